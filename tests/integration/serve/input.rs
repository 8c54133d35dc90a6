//! Bad input: refused with a clear JSON error that quotes nothing, and nothing is changed.

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Client, raw};
use super::process::Server;

const LIMIT: usize = 64 << 10;

#[tokio::test]
async fn bad_json_is_refused_and_not_quoted() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let deep = "[".repeat(200);
    for body in ["{\"secret", "secret", "1 2", "\"\\ud800\"", "1e999", "\u{feff}1", &deep] {
        let error = client.put("a", body).await.error(400);
        assert!(error.starts_with("the body is not valid JSON (line 1, column "), "{error}");
        assert!(!error.contains("secret"));
    }
    for body in ["", "  \n"] {
        assert_eq!(client.put("a", body).await.error(400), "the body is empty: send a JSON value");
    }
    let latin = Request::put("/api/session/a").body(Full::from(&b"\"\xe4\""[..])).unwrap();
    client.request(latin).await.error(400);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
}

#[tokio::test]
async fn bad_logins_are_refused_and_end_no_session() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let long = format!(r#"{{"name":"{}"}}"#, "n".repeat(257));
    for body in ["", "{", "1", "{}", r#"{"name":1}"#, r#"{"name":"  "}"#, &long] {
        let error = client.send("POST", "/api/login", body).await.error(400);
        assert!(!error.contains("nnn"), "{error}");
    }
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
}

#[tokio::test]
async fn bad_keys_are_refused() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    for (key, problem) in [
        ("", "the key is empty"),
        ("session_id", "the key session_id is reserved"),
        ("session%5fid", "the key session_id is reserved"),
        ("%ff%fe", "the key is not UTF-8"),
        ("%4", "the key is not well percent-encoded"),
        (&*"k".repeat(257), "the key is longer than 256 bytes"),
    ] {
        assert_eq!(client.put(key, "1").await.error(400), problem);
        let path = format!("/api/session/{key}");
        assert_eq!(client.send("DELETE", &path, "").await.error(400), problem);
    }
    assert!(client.cookie.is_none());
    for key in ["k".repeat(256), "%00".into(), "__proto__".into(), "%F0%9F%94%91".into()] {
        client.put(&key, "1").await.ok();
    }
    let reply = client.get("/api/session").await;
    let values: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(reply.ok()).unwrap();
    let keys: Vec<_> = values.keys().map(String::as_str).collect();
    assert_eq!(keys, [&*"k".repeat(256), "\0", "__proto__", "🔑"]);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whatever_its_length_is_said_to_be() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let problem = "the body is longer than 65536 bytes";

    client.put("a", &text(LIMIT)).await.ok();
    assert_eq!(client.put("b", &text(LIMIT + 1)).await.error(413), problem);
    assert_eq!(client.put("b", &text(1 << 20)).await.error(413), problem);

    // No length at all: chunks.
    let mut chunked =
        b"PUT /api/session/b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[b' '; 0x1000]);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let reply = raw(&server, &chunked).await;
    assert!(reply.starts_with("HTTP/1.1 413 ") && reply.contains(problem), "{reply}");

    // A length beyond reason is refused before the body comes.
    let reply = raw(
        &server,
        b"PUT /api/session/b HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n",
    )
    .await;
    assert!(reply.starts_with("HTTP/1.1 413 ") && reply.contains(problem), "{reply}");
    assert_eq!(client.get("/api/session").await.ok().len(), LIMIT + r#"{"a":}"#.len());
}

#[tokio::test]
async fn a_length_that_lies_changes_nothing_beyond_it() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    // Less comes than is said: the client goes away half-way.
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    stream
        .write_all(b"PUT /api/session/a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = String::new();
    // hyper may close without an answer: nobody is there to read it.
    let _ = stream.read_to_string(&mut reply).await;
    assert!(!reply.starts_with("HTTP/1.1 2"), "{reply}");

    // More comes than is said: the rest is the next request, and none.
    let reply = raw(
        &server,
        b"PUT /api/session/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n12345 x\r\n\r\n",
    )
    .await;
    assert!(reply.starts_with("HTTP/1.1 204 "), "{reply}");
    assert!(reply.contains("HTTP/1.1 400 "), "{reply}");
    let cookie = reply.split("set-cookie: ").nth(1).unwrap().split(';').next().unwrap();
    let mut client = Client::new(&server);
    client.cookie = Some(cookie.to_owned());
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
}

#[tokio::test]
async fn other_content_is_refused() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    for (name, value) in [
        ("content-type", "multipart/form-data; boundary=x"),
        ("content-type", "application/octet-stream"),
        ("content-encoding", "gzip"),
    ] {
        let request = Request::put("/api/session/a").header(name, value);
        let reply = client.request(request.body(Full::from("1")).unwrap()).await;
        assert!(reply.error(415).starts_with("the body must "));
    }
    assert_eq!(client.get("/api/session").await.ok(), "{}");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    for (method, path, allow) in [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/page.css", "GET, HEAD"),
        ("PUT", "/api/session", "GET, HEAD"),
        ("GET", "/api/session/a", "PUT, DELETE"),
        ("POST", "/api/life", "GET, HEAD"),
        ("GET", "/api/login", "POST"),
        ("GET", "/api/renew", "POST"),
        ("PUT", "/api/reset", "POST"),
        ("DELETE", "/api/logout", "POST"),
        ("OPTIONS", "/api/session/a", "PUT, DELETE"),
    ] {
        let reply = client.send(method, path, "").await;
        assert_eq!(reply.error(405), format!("this path takes {allow} only"));
        assert_eq!(reply.headers["allow"], allow);
    }
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    for path in ["/favicon.ico", "/api", "/api/", "/api/nothing", "/api/session/a/b", "//", "/x%00"]
    {
        assert_eq!(client.get(path).await.error(404), "there is nothing at this path");
    }
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ] {
        for (method, path) in
            [("PUT", "/api/session/a"), ("DELETE", "/api/session/a"), ("POST", "/api/logout")]
        {
            let request = Request::builder().method(method).uri(path).header(name, value);
            let reply = client.request(request.body(Full::from("2")).unwrap()).await;
            assert_eq!(reply.error(403), "the request comes from another site");
            assert!(reply.cookie().is_none());
        }
    }
    let own = format!("http://{}", server.address);
    for (name, value) in [("sec-fetch-site", "same-origin"), ("origin", &*own)] {
        let request = Request::put("/api/session/b").header(name, value);
        client.request(request.body(Full::from("2")).unwrap()).await.ok();
    }
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1,"b":2}"#);
}

#[tokio::test]
async fn odd_cookies_find_nothing_and_break_nothing() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let private: String = rusqlite::Connection::open(folder.path().join("sessions.db"))
        .unwrap()
        .query_row("SELECT session_id FROM sessions", [], |row| row.get(0))
        .unwrap();
    let huge = "x".repeat(100_000);
    let escaped = private.replace(':', "%3A");
    for value in ["", "'; DROP TABLE sessions; --", "%00", "%ff", &private, &escaped, &huge] {
        client.cookie = Some(format!("_session_id={value}"));
        assert_eq!(client.get("/api/session").await.ok(), "{}");
    }
    // Beyond what a head may have, the HTTP layer itself refuses.
    let head = format!(
        "GET /api/session HTTP/1.1\r\nhost: x\r\ncookie: _session_id={}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let _ = stream.write_all(head.as_bytes()).await;
    let mut reply = Vec::new();
    let read = stream.read_to_end(&mut reply);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.unwrap();
    let reply = String::from_utf8_lossy(&reply);
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431 "), "{reply}");
    assert_eq!(Client::new(&server).get("/api/session").await.ok(), "{}");
}
