//! What operators ask of a store, with rows that are whole, broken, raw, and of other formats.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use sqlbypass::admin::{
    self, BackfillOptions, ClearOptions, ConvertOptions, DoctorOptions, EncryptOptions,
    ListOptions, Revoke, StatsOptions, Target, TrimOptions, UpgradeOptions, UserOptions, Which,
};
use sqlbypass::{
    Filter, Guard, Insert, Json, Keys, Lookup, Maintenance, Recrypt, Row, RowKey, Save, Scan,
    SessionId, Store, StoredId, Timeouts, Update, Users,
};

use super::ears::{heard, new_id, told};
use super::life::{DATA, USER};

pub(crate) async fn put<S: Store>(store: &S, id: &SessionId, data: impl Into<bytes::Bytes>) {
    let insert = Save::Insert(Insert::new(id.private(), data));
    heard(&format!("{insert:?} {insert:#?}"));
    told(store.save(&insert).await);
}

pub(crate) fn json() -> String {
    format!(r#"{{"value":{{"text":"{DATA}","user":"{USER}","n":1}}}}"#)
}

/// Rows that tasks stumble over.
pub(crate) fn broken() -> [String; 4] {
    [
        DATA.to_owned(),
        format!(r#"{{"value":{{"{DATA}":"{DATA}"#),
        format!(r#"{{"value":"{DATA}"}}"#),
        // Marshal that ends too early.
        "BAh7B0kiCXRleHQGOgZFVEkiHlNFTlRJTkVM".to_owned(),
    ]
}

pub(crate) async fn all<S: Store + Maintenance + Clone + Debug + 'static>(store: &S) {
    single(store).await;
    for data in broken() {
        put(store, &new_id(), data).await;
    }
    let ids: Vec<SessionId> = (0..4).map(|_| new_id()).collect();
    for id in &ids {
        put(store, id, json()).await;
    }
    rows(store).await;

    let quiet = || |_: &_| std::ops::ControlFlow::<()>::Continue(());
    let users = UserOptions::new(Users::key("user"), Arc::new(Json));
    heard(&format!("{users:?}"));
    told(admin::upgrade(store, &UpgradeOptions::default(), quiet()).await);
    told(admin::stats(store, &StatsOptions::default(), quiet()).await);
    told(admin::doctor(store, &DoctorOptions::default(), quiet()).await);
    // Users are shown to whoever asks for them; here only how many there are.
    let listed = admin::list(store, &ListOptions::default(), quiet()).await;
    told(listed.map(|listed| listed.sessions.len()));
    told(admin::show(store, &Which::Session(ids[0].clone()), Json, false, quiet()).await);
    for row in ["-1", "~0123456789abcdef"] {
        told(admin::show(store, &Which::Row(row.into()), Json, true, quiet()).await);
    }
    told(
        admin::backfill(store, &BackfillOptions::new(Users::key("user"), Arc::new(Json)), quiet())
            .await,
    );
    told(admin::sessions_of(store, USER, &users, quiet()).await.map(|found| found.sessions.len()));
    told(admin::revoke(store, USER, &Revoke::Others("1".into()), &users, quiet()).await);
    for to in [Target::Marshal, Target::Json] {
        told(admin::convert(store, &ConvertOptions::new(to), quiet()).await);
    }
    let keys = Keys::parse("k1:bGVha2xlYWtsZWFrbGVha2xlYWtsZWFrbGVha2xlYWs=").unwrap();
    let other = Keys::parse("k2:a2FlbGthZWxrYWVsa2FlbGthZWxrYWVsa2FlbGthZWw=").unwrap();
    for (to, keys) in
        [(Recrypt::Encrypt, &keys), (Recrypt::Rotate, &other), (Recrypt::Decrypt, &keys)]
    {
        let options = EncryptOptions::new(to, keys.clone());
        heard(&format!("{options:?}"));
        told(admin::encrypt(store, &options, quiet()).await);
    }
    told(admin::revoke(store, USER, &Revoke::All, &users, quiet()).await);
    let trim = TrimOptions { older_than: Duration::ZERO, ..TrimOptions::default() };
    told(admin::trim(store, &trim, quiet()).await);
    told(admin::clear(store, &ClearOptions::default(), quiet()).await);
}

/// A store's own operations, as they succeed and as they do not.
async fn single<S: Store>(store: &S) {
    let (id, other) = (new_id(), new_id());
    let stored = StoredId::from(id.private());
    put(store, &id, json()).await;
    put(store, &other, json()).await;
    // Taken.
    put(store, &id, json()).await;
    let lookup = Lookup::with_legacy(&id).timeouts(Timeouts {
        idle: Some(Duration::from_secs(60)),
        lifetime: Some(Duration::from_secs(60)),
    });
    heard(&format!("{lookup:?} {stored:?} {id:?} {:?} {:?}", id.private(), id.legacy()));
    // Where the id column is the table's key.
    heard(&format!("{:?}", RowKey::Text(id.private().as_str().into())));
    told(store.find(&lookup).await);
    for update in [
        Update { guard: Guard::Data(Some(DATA.into())), ..Update::new(stored) }.data(json()),
        Update::new(stored).data(format!("{} ", json())),
        Update::new(stored).rekey(other.private()).data(json()),
        Update::new(new_id().private().into()).data(json()),
    ] {
        let save = Save::Update(update);
        heard(&format!("{save:?} {save:#?}"));
        told(store.save(&save).await);
    }
    told(store.touch(&stored, Timeouts::default()).await);
    told(store.destroy(&lookup).await);
    told(store.destroy(&lookup).await);
}

async fn rows<S: Store + Maintenance>(store: &S) {
    let scan = Scan { with_data: true, ..Scan::new(100) };
    let found: Vec<Row> = told(store.scan(&scan).await).unwrap();
    assert!(found.len() > 4);
    let (mut saves, mut moves) = (Vec::new(), Vec::new());
    for row in &found[..2] {
        let id = new_id();
        told(store.rekey(row, &id.private()).await);
        saves.push(Save::Update(Update::new(id.private().into()).data(json())));
        moves.push((row.clone(), id.private()));
    }
    heard(&format!("{moves:?} {saves:?}"));
    told(store.save_all(&saves).await);
    told(store.rekey_all(&moves).await);
    told(store.count().await);
    told(store.facts().await);
    told(store.inspect().await);
    let after = Scan { after: Some(found[0].key.clone()), ..Scan::new(1) };
    heard(&format!("{after:?}"));
    told(store.scan(&after).await);
    told(store.delete(&[found[2].key.clone()], &Filter::default()).await);
}

/// Nothing works any more.
pub(crate) async fn closed<S: Store + Maintenance>(store: &S) {
    let id = new_id();
    put(store, &id, json()).await;
    told(store.find(&Lookup::with_legacy(&id)).await);
    told(store.destroy(&Lookup::with_legacy(&id)).await);
    told(store.scan(&Scan::new(1)).await);
}
