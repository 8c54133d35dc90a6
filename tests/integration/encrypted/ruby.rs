//! A session that goes from Ruby to Rust and back, by `examples/rails/encrypted_session.rb`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use sqlbypass::{
    AnyStore, Encrypted, Hybrid, Key, Keys, Marshal, Outcome, Plain, SessionId, SessionManager,
};

use super::{put, stored};
use crate::promises::new_id;

const KEYS: &str = "k1:6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b\n\
                    k0:6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c";

/// Answers requests line by line, as the gem's store would do them.
const APP: &str = r#"
    require File.join(Dir.pwd, "examples/rails/encrypted_session")
    $stdout.sync = true
    ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ARGV[0], timeout: 5000)
    EncryptedSession.keys = SessionKeys.parse(ENV.fetch("SESSION_KEYS"))
    sql = 0
    ActiveSupport::Notifications.subscribe("sql.active_record") do |*, event|
      sql += 1 if event[:sql].match?(/\A(INSERT|UPDATE|DELETE)/)
    end
    find = ->(id) do
      EncryptedSession.find_by(session_id: EncryptedSession.row(id)) ||
        EncryptedSession.find_by(session_id: id)&.tap { |row| row.session_id = EncryptedSession.row(id) }
    end
    STDIN.each_line do |line|
      ask = JSON.parse(line)
      EncryptedSession.plain = ask.fetch("plain", "refuse").to_sym
      EncryptedSession.serializer = ask.fetch("serializer", "marshal").to_sym
      sql = 0
      answer =
        begin
          row = find.(ask["id"]) || EncryptedSession.new(session_id: EncryptedSession.row(ask["id"]))
          data = row.data
          case ask["do"]
          when "set"
            row.data = data.merge(ask["keys"])
            row.save!
          when "renew"
            row.destroy
            row = EncryptedSession.new(session_id: EncryptedSession.row(ask["to"]), data: data)
            row.save!
          when "raw"
            row.update_columns(session_id: ask["id"])
          end
          { "data" => row.data, "sql" => sql }
        rescue SessionKeys::Error => error
          { "error" => error.message }
        end
      puts JSON.generate(answer)
    end
"#;

struct Ruby {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    process: Child,
}

impl Ruby {
    /// `None` on a developer's machine without Ruby or ActiveRecord; CI has them.
    fn start(database: &std::path::Path) -> Option<Self> {
        let mut check = Command::new("ruby");
        check.args(["-W0", "-ractive_record", "-rsqlite3", "-e", "1"]).stderr(Stdio::null());
        if !check.status().is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "CI must have ruby with active_record");
            eprintln!("SKIPPED: no ruby with active_record and sqlite3 here");
            return None;
        }
        let mut command = Command::new("ruby");
        command.args(["-W0", "-e", APP]).arg(database).env("SESSION_KEYS", KEYS);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Some(Self { input, output, process })
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.input, "{question}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

impl Drop for Ruby {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Met {
    ruby: Ruby,
    store: AnyStore,
    _folder: tempfile::TempDir,
}

async fn meet() -> Option<Met> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.db");
    let url = format!("sqlite://{}", file.display());
    let store = AnyStore::url(&url).unwrap().create(true).open().await.unwrap();
    Some(Met { ruby: Ruby::start(&file)?, store, _folder: folder })
}

fn keys() -> Keys {
    Keys::parse(KEYS).unwrap()
}

/// Sets a key and renews, or only one of them; the id afterwards.
async fn rust(
    manager: &SessionManager<AnyStore>,
    id: &SessionId,
    seen: &str,
    set: Option<(&str, i64)>,
    renew: bool,
) -> SessionId {
    let session = manager.session(Some(id.clone()));
    assert_eq!(session.get::<String>("words").await.unwrap().as_deref(), Some(seen));
    if let Some((key, value)) = set {
        session.insert(key, value).unwrap();
    }
    if renew {
        session.renew().unwrap();
    }
    assert_eq!(session.commit().await.unwrap().outcome, Outcome::Saved);
    session.id().await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_ruby_to_rust_and_back() {
    let Some(Met { mut ruby, store, _folder }) = meet().await else { return };
    let manager = SessionManager::new(store.clone(), Encrypted::new(Marshal, keys()));
    let id = new_id();
    let asked = json!({"do": "set", "id": id.as_str(), "keys": {"words": "grüße", "n": 1}});
    assert_eq!(ruby.ask(&asked), json!({"data": {"words": "grüße", "n": 1}, "sql": 1}));
    let sealed = stored(&store, &id).await.unwrap();
    assert!(sealed.starts_with("sbe1.k1."));
    assert_eq!(ruby.ask(&asked)["sql"], 0, "equal content issues no SQL");
    assert_eq!(stored(&store, &id).await.unwrap(), sealed);

    let id = rust(&manager, &id, "grüße", Some(("n", 2)), false).await;
    let id = rust(&manager, &id, "grüße", None, true).await;
    let id = rust(&manager, &id, "grüße", Some(("m", 3)), true).await;
    let read = json!({"do": "read", "id": id.as_str()});
    assert_eq!(ruby.ask(&read)["data"], json!({"words": "grüße", "n": 2, "m": 3}));

    let to = new_id();
    let renewed = json!({"do": "renew", "id": id.as_str(), "to": to.as_str()});
    assert_eq!(ruby.ask(&renewed)["data"], json!({"words": "grüße", "n": 2, "m": 3}));
    assert_eq!(stored(&store, &id).await, None);
    let id = rust(&manager, &to, "grüße", Some(("n", 4)), true).await;

    // A row of gem 1.x: bound to the private id all along, whoever secures it.
    ruby.ask(&json!({"do": "raw", "id": id.as_str()}));
    assert_eq!(ruby.ask(&json!({"do": "read", "id": id.as_str()}))["data"]["n"], 4);
    let session = manager.session(Some(id.clone()));
    assert_eq!(session.get::<i64>("n").await.unwrap(), Some(4));
    session.commit().await.unwrap();
    assert_eq!(ruby.ask(&json!({"do": "read", "id": id.as_str()}))["data"]["n"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_refuse_the_same() {
    let Some(Met { mut ruby, store, _folder }) = meet().await else { return };
    let manager = SessionManager::new(store.clone(), Encrypted::new(Marshal, keys()));
    let (mine, theirs) = (new_id(), new_id());
    for id in [&mine, &theirs] {
        ruby.ask(&json!({"do": "set", "id": id.as_str(), "keys": {"words": "sentinel"}}));
    }
    let good = stored(&store, &mine).await.unwrap();
    let old = SessionManager::new(
        store.clone(),
        Encrypted::new(Marshal, Keys::new(Key::generate("k9").unwrap())),
    );
    let session = old.session(None);
    session.insert("words", "sentinel").unwrap();
    session.commit().await.unwrap();
    let unknown = stored(&store, &session.id().await.unwrap().unwrap()).await.unwrap();
    let other = if &good[40..41] == "A" { "B" } else { "A" };
    let changed = format!("{}{other}{}", &good[..40], &good[41..]);
    for (bad, problem) in [
        (stored(&store, &theirs).await.unwrap(), "seal does not fit"),
        (changed, "seal does not fit"),
        (unknown, "not on the ring"),
        ("sbe1.k1.AAAA".to_owned(), "ends too early"),
        ("sbe1.k1.A".to_owned(), "no base64"),
        ("sbe1.".to_owned(), "envelope"),
        ("BAh7AA==\n".to_owned(), "is not encrypted"),
    ] {
        put(&store, &mine, &bad).await;
        let answer = ruby.ask(&json!({"do": "set", "id": mine.as_str(), "keys": {"n": 1}}));
        let told = answer["error"].as_str().unwrap_or_default();
        assert!(told.contains(problem) && !told.contains("sentinel"), "{answer}");
        let session = manager.session(Some(mine.clone()));
        let error = session.get::<String>("words").await.unwrap_err();
        assert!(error.is_decode() && error.to_string().contains(problem), "{error}");
        assert_eq!(stored(&store, &mine).await.unwrap(), bad, "the row stays");
    }
}

/// While a table is converted both read what is plain, and either may write it.
#[tokio::test(flavor = "multi_thread")]
async fn plain_rows_beside_encrypted_ones() {
    let Some(Met { mut ruby, store, _folder }) = meet().await else { return };
    let manager = |plain| {
        let codec = Encrypted::new(Hybrid::default(), keys()).plain(plain);
        SessionManager::new(store.clone(), codec)
    };
    for serializer in ["marshal", "json"] {
        let id = new_id();
        let ask = |does: &str, plain: &str, n: i64| {
            let keys = json!({"words": "grüße", "n": n});
            json!({"do": does, "id": id.as_str(), "keys": keys, "plain": plain, "serializer": serializer})
        };
        ruby.ask(&ask("set", "write", 1));
        assert!(!stored(&store, &id).await.unwrap().starts_with("sbe1."));
        let session = manager(Plain::Read).session(Some(id.clone()));
        assert_eq!(session.get::<i64>("n").await.unwrap(), Some(1));
        assert_eq!(ruby.ask(&ask("set", "read", 1))["sql"], 0);
        session.insert("n", 2).unwrap();
        session.commit().await.unwrap();
        assert!(stored(&store, &id).await.unwrap().starts_with("sbe1."));
        assert_eq!(ruby.ask(&ask("read", "refuse", 0))["data"]["n"], 2);
        ruby.ask(&ask("set", "write", 3));
        assert!(!stored(&store, &id).await.unwrap().starts_with("sbe1."));
        let session = manager(Plain::Write).session(Some(id.clone()));
        assert_eq!(session.get::<i64>("n").await.unwrap(), Some(3));
        ruby.ask(&ask("set", "read", 4));
        assert!(stored(&store, &id).await.unwrap().starts_with("sbe1."));
        let session = manager(Plain::Refuse).session(Some(id.clone()));
        assert_eq!(session.get::<i64>("n").await.unwrap(), Some(4));
    }
}
