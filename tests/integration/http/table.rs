//! `table.txt`, row by row and on every database: request, options and what the handler does, to the
//! exact Set-Cookie, the exact statements and the rows that are left.

use std::time::{Duration, SystemTime};

use http::{Request, StatusCode};
use sqlbypass::conformance::{Fixture, MaintenanceFixture, RawRow};
use sqlbypass::{
    CookieOptions, Json, Maintenance as _, ManagerOptions, OverTls, SameSite, Session, SessionId,
    SessionLayer, SessionManager, SessionOptions, Spelling,
};

use super::recording::Recording;
use super::{send, set_cookie};

/// One row of the table.
struct Case {
    line: &'static str,
    cookie: &'static str,
    options: Vec<&'static str>,
    handler: Vec<&'static str>,
    set_cookie: Option<&'static str>,
    statements: &'static str,
    rows: Vec<&'static str>,
}

fn cases() -> Vec<Case> {
    let lines = include_str!("table.txt").lines();
    let rows = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| {
        let columns: Vec<&str> = line.split(" | ").collect();
        let [cookie, options, handler, set_cookie, statements, rows] = columns[..] else {
            panic!("six columns: {line}")
        };
        let words = |column: &'static str| {
            if column == "-" { Vec::new() } else { column.split_whitespace().collect() }
        };
        Case {
            line,
            cookie,
            options: words(options),
            handler: words(handler),
            set_cookie: (set_cookie != "-").then_some(set_cookie),
            statements: if statements == "-" { "" } else { statements },
            rows: words(rows),
        }
    })
    .collect()
}

/// Runs every row on a fixture's database.
pub(super) async fn run<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let store = Recording::new(store);
    let cases = cases();
    assert!(cases.len() >= 150, "the table was not read");
    for case in cases {
        store.store().clear().await.unwrap();
        case.run(&fixture, &store).await;
    }
}

impl Case {
    async fn run<F: Fixture>(&self, fixture: &F, store: &Recording<F::Store>) {
        let id = SessionId::generate().unwrap();
        let value = self.put_rows(fixture, &id).await;
        let cookie = self.cookie_options();
        let mut request = self.request();
        if let Some(value) = value {
            let name = self.name().replace(' ', "+");
            request.headers_mut().insert("cookie", format!("{name}={value}").parse().unwrap());
        }
        let manager_options = ManagerOptions {
            legacy_fallback: !self.options.contains(&"secure_session_only"),
            ..ManagerOptions::default()
        };
        let manager = SessionManager::with_options(store.clone(), Json, manager_options);
        let layer = SessionLayer::new(manager).cookie(cookie).unwrap();
        let actions = self.handler.clone();
        let handler = |session: Session| async move {
            for action in actions {
                act(&session, action).await;
            }
            StatusCode::OK
        };
        let begun = SystemTime::now();
        let response = send(&layer, request, handler).await;
        let line = self.line;
        assert_eq!(response.status(), StatusCode::OK, "{line}");
        assert_eq!(store.take().join(", "), self.statements, "{line}");
        let new = self.check_cookie(set_cookie(&response), &id, begun);
        self.check_rows(&fixture.rows().await, &id, new.as_ref());
    }

    /// Puts into the table what the cookie is to find; answers the cookie's value.
    async fn put_rows<F: Fixture>(&self, fixture: &F, id: &SessionId) -> Option<String> {
        let private = id.private();
        let (private, raw) = (private.as_str(), id.as_str());
        let one: Option<&[u8]> = Some(br#"{"value":{"n":1}}"#);
        let rows: &[(&str, Option<&[u8]>)] = match self.cookie {
            "none" | "unknown" | "text" | "malformed" => &[],
            "known" => &[(private, one)],
            "raw" => &[(raw, one)],
            "both" => &[(private, one), (raw, one)],
            "empty" => &[(private, Some(br#"{"value":{}}"#))],
            "null" => &[(private, None)],
            other => panic!("no such cookie: {other}"),
        };
        for (stored, data) in rows {
            fixture.put(stored, *data).await;
        }
        match self.cookie {
            "none" => None,
            "text" => Some("admin".to_owned()),
            "malformed" => Some(private.to_owned()),
            _ => Some(raw.to_owned()),
        }
    }

    fn name(&self) -> &'static str {
        if self.options.contains(&"odd_name") {
            return "odd key";
        }
        self.options.iter().find_map(|word| word.strip_prefix("name=")).unwrap_or("_session_id")
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        for word in &self.options {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name {
                "https" => *request.uri_mut() = "https://example.com/".parse().unwrap(),
                "at" => *request.uri_mut() = value.parse().unwrap(),
                "host" => drop(request.headers_mut().insert("host", value.parse().unwrap())),
                "over_tls" => drop(request.extensions_mut().insert(OverTls)),
                _ => {}
            }
        }
        request
    }

    fn cookie_options(&self) -> CookieOptions {
        let new = CookieOptions::new(self.name()).unwrap();
        self.options.iter().fold(new, |cookie, word| {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name {
                "https" | "at" | "host" | "over_tls" | "name" | "odd_name" => cookie,
                "secure_session_only" => cookie,
                "silent" => cookie.clear_on_destroy(false),
                "expire_after" => cookie.expire_after(seconds(value)),
                "max_age" => cookie.max_age(seconds(value)),
                "secure" => cookie.secure(true),
                "assume_ssl" => cookie.assume_ssl(true),
                "scripts" => cookie.http_only(false),
                "partitioned" => cookie.partitioned(true),
                "rack3" => cookie.spelling(Spelling::Rack3),
                "skip" => cookie.skip(true),
                "defer" => cookie.defer(true),
                "domain" => cookie.domain(Some(value)).unwrap(),
                "domain_all" => cookie.domain_all(value.parse().ok()),
                "domain_among" => cookie.domain_among(value.split(',')).unwrap(),
                "path" => cookie.path((value != "nil").then_some(value)).unwrap(),
                "same_site" => cookie.same_site(match value {
                    "strict" => Some(SameSite::Strict),
                    "none" => Some(SameSite::None),
                    _ => None,
                }),
                "by_path" => cookie.per_request(|request, options| {
                    by_path(request.uri.path(), options);
                }),
                other => panic!("no such option: {other}"),
            }
        })
    }

    /// Compares the header with what is expected, and answers the new id in it.
    fn check_cookie(
        &self,
        header: Option<&str>,
        id: &SessionId,
        begun: SystemTime,
    ) -> Option<SessionId> {
        let line = self.line;
        assert_eq!(header.is_some(), self.set_cookie.is_some(), "{line}");
        let (header, expected) = (header?, self.set_cookie?);
        let mut shown = header.replace(id.as_str(), "ID");
        let (_, value) = shown.split_once('=').unwrap();
        let value = value.split(';').next().unwrap();
        let mut new = None;
        if value.len() == 32 && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            new = SessionId::parse(value.as_bytes());
            shown = shown.replace(new.as_ref().unwrap().as_str(), "NEW");
        }
        if let Some((_, rest)) = expected.split_once("NOW+") {
            let wanted: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let (_, rest) = shown.split_once("expires=").expect(line);
            let date = rest.split(';').next().unwrap().to_owned();
            let time = httpdate::parse_http_date(&date).expect(line);
            let after = |now: SystemTime| now + seconds(&wanted).unwrap();
            // An HTTP date has no fraction.
            let earliest = after(begun) - Duration::from_secs(1);
            assert!(time > earliest && time <= after(SystemTime::now()), "{line}: {date}");
            shown = shown.replace(&date, &format!("NOW+{wanted}"));
        }
        assert_eq!(shown, expected, "{line}");
        new
    }

    fn check_rows(&self, rows: &[RawRow], id: &SessionId, new: Option<&SessionId>) {
        let private = id.private();
        let new = new.map(SessionId::private);
        let mut left: Vec<String> = rows
            .iter()
            .map(|(stored, data)| {
                let name = match stored.as_str() {
                    stored if stored == private.as_str() => "id",
                    stored if stored == id.as_str() => "raw",
                    stored if new.is_some_and(|new| new.as_str() == stored) => "new",
                    _ => "other",
                };
                let data = data.as_deref().map(|data| std::str::from_utf8(data).unwrap());
                let holds = match data {
                    None => "null",
                    Some(r#"{"value":{}}"#) => "{}",
                    Some(r#"{"value":{"n":1}}"#) => "1",
                    Some(r#"{"value":{"n":2}}"#) => "2",
                    Some(_) => "what nobody wrote",
                };
                format!("{name}:{holds}")
            })
            .collect();
        left.sort();
        assert_eq!(left, self.rows, "{}", self.line);
    }
}

fn seconds(value: &str) -> Option<Duration> {
    (value != "nil").then(|| Duration::from_secs(value.parse().unwrap()))
}

/// What a service might want by the request.
fn by_path(path: &str, options: &mut SessionOptions) {
    match path {
        "/strict" => options.same_site = Some(SameSite::Strict),
        "/wide" => options.set_domain(Some("example.com")).unwrap(),
        "/long" => options.expire_after = seconds("7200"),
        "/aged" => options.max_age = seconds("30"),
        "/skip" => options.skip = true,
        _ => {}
    }
}

/// One step of the handler.
async fn act(session: &Session, action: &str) {
    let options = |change: &dyn Fn(&mut SessionOptions)| session.configure(change);
    match action {
        "read" => drop(session.value("n").await.unwrap()),
        "write" => session.insert("n", 2).unwrap(),
        "equal" => session.insert("n", 1).unwrap(),
        "nil" => session.insert("n", None::<i64>).unwrap(),
        "remove" => session.remove("n").unwrap(),
        "clear" => session.clear().unwrap(),
        "renew" => session.renew().unwrap(),
        "rotate" => session.rotate().unwrap(),
        "reset" => session.reset().unwrap(),
        "destroy" => session.destroy().unwrap(),
        "commit" => drop(session.commit().await.unwrap()),
        "options.skip" => options(&|options| options.skip = true).unwrap(),
        "options.skip=no" => options(&|options| options.skip = false).unwrap(),
        "options.defer" => options(&|options| options.defer = true).unwrap(),
        "options.defer=no" => options(&|options| options.defer = false).unwrap(),
        "options.drop" => options(&|options| options.drop = true).unwrap(),
        "options.renew" => options(&|options| options.renew = true).unwrap(),
        "options.renew=no" => options(&|options| options.renew = false).unwrap(),
        "options.secure" => options(&|options| options.secure = true).unwrap(),
        "options.expire_after=60" => {
            options(&|options| options.expire_after = seconds("60")).unwrap();
        }
        "options.expire_after=nil" => options(&|options| options.expire_after = None).unwrap(),
        other => panic!("no such action: {other}"),
    }
}
