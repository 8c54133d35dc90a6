//! Cookies that no session has: what a flood of them costs, and that it leaves nothing.

use http::{Request, StatusCode};
use sqlbypass::conformance::{Calls, Counting, Fixture};
use sqlbypass::{CookieOptions, Json, Session, SessionId, SessionLayer, SessionManager};

use super::{read, request, send, set_cookie};

/// How often each kind comes.
const ROUNDS: usize = 5;

/// A table with one row, whose id the cookies are made to look like.
struct Place<F: Fixture> {
    fixture: F,
    manager: SessionManager<Counting<F::Store>>,
    id: SessionId,
}

impl<F: Fixture> Place<F> {
    async fn open() -> Self {
        let (fixture, store) = F::open().await;
        let id = SessionId::generate().unwrap();
        fixture.put(id.private().as_str(), Some(br#"{"value":{"n":1}}"#)).await;
        let manager = SessionManager::new(Counting::new(store), Json);
        Self { fixture, manager, id }
    }

    /// Sends each cookie to handlers that read, renew, clear and leave the session alone, with and
    /// without an expiry; answers what that has cost. No cookie comes back, and no row is made.
    async fn flood(&self, cookies: &[Vec<u8>]) -> Calls {
        let renew = |session: Session| async move {
            session.renew().unwrap();
            StatusCode::OK
        };
        let clear = |session: Session| async move {
            session.clear().unwrap();
            StatusCode::OK
        };
        let untouched = |_: Session| async { StatusCode::OK };
        let expiring = CookieOptions::default().max_age(Some(std::time::Duration::from_secs(60)));
        let plain = SessionLayer::new(self.manager.clone());
        let expiring = SessionLayer::new(self.manager.clone()).cookie(expiring).unwrap();
        for cookie in cookies {
            let of = |layer: &SessionLayer<_>| layer.clone();
            let responses = [
                send(&of(&plain), request(cookie), read).await,
                send(&of(&plain), request(cookie), renew).await,
                send(&of(&plain), request(cookie), clear).await,
                send(&of(&expiring), request(cookie), untouched).await,
            ];
            for response in responses {
                assert_eq!(response.status(), StatusCode::OK);
                assert_eq!(set_cookie(&response), None);
            }
        }
        let rows = self.fixture.rows().await;
        let kept =
            [(self.id.private().as_str().to_owned(), Some(br#"{"value":{"n":1}}"#.to_vec()))];
        assert!(rows == kept, "a row came, went or changed");
        self.manager.store().take()
    }
}

/// Not one statement for what can be no id.
pub(super) async fn malformed<F: Fixture>() {
    let place = Place::<F>::open().await;
    let id = place.id.private();
    let private = id.as_str();
    let escaped: String = private.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let name = b"_session_id=".as_slice();
    let values: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        private.into(),
        escaped.into(),
        private.replace(':', "%3a").into(),
        format!("%32{}", &private[1..]).into(),
        b"2::".to_vec(),
        b"1::x".to_vec(),
        b"00000002::x".to_vec(),
        format!("{}::x", "9".repeat(100)).into(),
        b"\xff\xfe\xfd".to_vec(),
        b"%FF%FE".to_vec(),
        b"%C3".to_vec(),
        b"%ED%A0%80".to_vec(),
        [place.id.as_str().as_bytes(), b"\x80"].concat(),
        vec![b'a'; 4_097],
        vec![b'0'; 1 << 18],
        b"%61".repeat(4_097),
        b"%".repeat(4_097),
    ];
    let mut cookies: Vec<Vec<u8>> = values.iter().map(|value| [name, value].concat()).collect();
    let good = place.id.as_str();
    cookies.extend([
        b"_session_id".to_vec(),
        b"=;;=; ;_session_id".to_vec(),
        b"_SESSION_ID=x; session_id=x; _session_idx=x; x_session_id=x".to_vec(),
        // The first of the name counts, and it is malformed.
        format!("_session_id=; _session_id={good}").into_bytes(),
        format!("_session_id; _session_id={good}").into_bytes(),
        format!("_session_id={private}; _session_id={good}").into_bytes(),
    ]);
    for _ in 0..ROUNDS {
        assert_eq!(place.flood(&cookies).await, Calls::default());
    }
}

/// One read each for what might be an id, by whatever name it goes.
pub(super) async fn unknown<F: Fixture>() {
    let place = Place::<F>::open().await;
    let (good, private) = (place.id.as_str(), place.id.private());
    let hash = &private.as_str()[3..];
    let mut values = vec![
        format!("%EF%BC%92%3A%3A{hash}"),
        format!("\u{ff12}::{hash}"),
        format!("\u{ff12}\u{ff1a}\u{ff1a}{hash}"),
        format!("%D9%A2::{hash}"),
        format!("%E0%A5%A8::{hash}"),
        format!("%012::{hash}"),
        format!("%002::{hash}"),
        format!("%0A2::{hash}"),
        format!("+2::{hash}"),
        format!("{good}%00"),
        format!("%00{good}"),
        format!("{good}%20"),
        format!("{good}+"),
        format!("{good}%E2%80%8B"),
        format!("{good}%0D%0A"),
        format!("\"{good}\""),
        format!("{good}%"),
        format!("{good}%zz"),
        format!("%25{good}"),
        good.to_uppercase() + "A",
        good[1..].to_owned(),
        format!("{good}, {good}"),
        hash.to_owned(),
        "%00".to_owned(),
        "' OR 1=1 --".to_owned(),
        "*".to_owned(),
        "%25".to_owned(),
        "a".repeat(4_096),
    ];
    values.extend((0..200).map(|_| SessionId::generate().unwrap().as_str().to_owned()));
    let unknown = SessionId::generate().unwrap();
    // A later one of the name is not tried when the first is unknown.
    values.push(format!("{}; _session_id={good}", unknown.as_str()));
    let cookies: Vec<Vec<u8>> =
        values.iter().map(|value| format!("_session_id={value}").into_bytes()).collect();
    let finds = 4 * cookies.len() as u64;
    assert_eq!(place.flood(&cookies).await, Calls { find: finds, ..Calls::default() });
    // The good one is as good as before.
    let layer = SessionLayer::new(place.manager.clone());
    let cookie = format!("_session_id={good}");
    let answers = |session: Session| async move {
        assert_eq!(session.get("n").await.unwrap(), Some(1));
        StatusCode::OK
    };
    send(&layer, request(cookie), answers).await;
    send(&layer, Request::new(()), read).await;
}
