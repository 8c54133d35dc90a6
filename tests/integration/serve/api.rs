//! Every endpoint does what it says.

use http::Request;
use http_body_util::Full;
use tempfile::tempdir;

use super::client::Client;
use super::process::Server;

#[tokio::test]
async fn values_are_put_read_and_deleted() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);

    let reply = client.get("/api/session").await;
    assert_eq!(reply.ok(), "{}");
    assert!(reply.cookie().is_none(), "nothing is stored, so there is no cookie");
    assert_eq!(reply.timing(), "commit;desc=\"unchanged\";dur=0.000", "nothing was asked for");

    let reply = client.put("a", "1").await;
    assert_eq!(reply.status, 204);
    assert!(reply.timing().starts_with("commit;desc=\"created\";dur="), "{}", reply.timing());
    let header = reply.headers["set-cookie"].to_str().unwrap();
    assert!(header.starts_with("_session_id="));
    assert!(header.ends_with("; path=/; HttpOnly; SameSite=Lax"), "{header}");

    let reply = client.put("b%20%2F%C3%A4", r#"{"deep":[1,2.5,"x",null,true]}"#).await;
    assert_eq!(reply.status, 204);
    assert!(reply.cookie().is_none(), "the id has not changed");
    assert!(reply.timing().contains("\"saved\""));
    let reply = client.get("/api/session").await;
    assert_eq!(reply.ok(), r#"{"a":1,"b /ä":{"deep":[1,2.5,"x",null,true]}}"#);
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.headers["cache-control"], "no-store");
    let timing = reply.timing();
    assert!(timing.starts_with("load;dur=") && timing.contains("\"unchanged\""), "{timing}");

    assert!(client.put("a", "1").await.timing().contains("\"unchanged\""), "an equal value");
    assert_eq!(client.send("DELETE", "/api/session/a", "").await.status, 204);
    assert_eq!(client.send("DELETE", "/api/session/a", "").await.status, 204);
    assert_eq!(client.put("b%20%2F%C3%A4", "null").await.status, 204, "null removes, as in Rails");
    assert_eq!(client.get("/api/session").await.ok(), "{}");
}

#[tokio::test]
async fn what_curl_and_forms_send_is_taken_as_json() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    for content_type in ["application/x-www-form-urlencoded", "text/plain; charset=utf-8"] {
        let request = Request::put("/api/session/a").header("content-type", content_type);
        let reply = client.request(request.body(Full::from("\"1\"")).unwrap()).await;
        assert_eq!(reply.status, 204);
    }
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":"1"}"#);
}

#[tokio::test]
async fn life_tells_times_and_size_and_no_id() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    let empty = r#"{"stored":false,"created_at":null,"updated_at":null,"size":null}"#;
    assert_eq!(client.get("/api/life").await.ok(), empty);

    client.put("a", "1").await.ok();
    let reply = client.get("/api/life").await;
    let life: serde_json::Value = serde_json::from_str(reply.ok()).unwrap();
    assert_eq!(life["stored"], true);
    assert_eq!(life["size"], r#"{"value":{"a":1}}"#.len());
    let created: jiff::Timestamp = life["created_at"].as_str().unwrap().parse().unwrap();
    assert!(created.duration_until(jiff::Timestamp::now()).as_secs() < 60);
    assert_eq!(life["updated_at"], life["created_at"]);
    assert!(!reply.ok().contains(id(&client)));
}

#[tokio::test]
async fn a_renewed_id_finds_the_session_and_the_old_one_nothing() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let mut thief = Client::new(&server);
    thief.cookie.clone_from(&client.cookie);

    let reply = client.post("/api/renew").await;
    assert_eq!(reply.status, 204);
    assert_ne!(client.cookie, thief.cookie);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
    assert_eq!(thief.get("/api/session").await.ok(), "{}");
    thief.put("b", "2").await.ok();
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
}

#[tokio::test]
async fn a_reset_session_has_a_new_id_and_no_values() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let before = client.cookie.clone();
    assert_eq!(client.post("/api/reset").await.status, 204);
    assert_ne!(client.cookie, before);
    assert_eq!(client.get("/api/session").await.ok(), "{}");
    let reply = client.get("/api/life").await;
    assert!(reply.ok().contains("\"stored\":true"), "the row stays under the new id");
}

#[tokio::test]
async fn a_login_begins_a_new_session() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("planted", "1").await.ok();
    let mut thief = Client::new(&server);
    thief.cookie.clone_from(&client.cookie);

    assert_eq!(client.send("POST", "/api/login", r#"{"name":" Ada "}"#).await.status, 204);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"user":"Ada"}"#);
    assert_eq!(thief.get("/api/session").await.ok(), "{}");
}

#[tokio::test]
async fn a_logout_ends_the_session_and_takes_the_cookie_away() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let mut thief = Client::new(&server);
    thief.cookie.clone_from(&client.cookie);

    let reply = client.post("/api/logout").await;
    assert_eq!(reply.status, 204);
    let header = reply.headers["set-cookie"].to_str().unwrap();
    assert!(header.starts_with("_session_id=; path=/; max-age=0; expires=Thu, 01 Jan 1970"));
    assert!(client.cookie.is_none());
    assert_eq!(thief.get("/api/session").await.ok(), "{}");
    let rows: i64 = rusqlite::Connection::open(folder.path().join("sessions.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM sessions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn the_page_and_its_files_come_with_a_strict_policy() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.headers["content-type"], content_type);
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"));
        let elsewhere = reply.ok().matches("//").count() - reply.ok().matches("// ").count();
        let local = reply.ok().matches("http://127.0.0.1:3000/").count();
        let namespace = reply.ok().matches("http://www.w3.org/2000/svg").count();
        assert_eq!(elsewhere, local + namespace, "{path} names nothing elsewhere");
    }
    assert_eq!(client.send("HEAD", "/", "").await.status, 200);
    assert!(client.cookie.is_none(), "looking at the page begins no session");
}

#[tokio::test]
async fn the_serializer_and_the_cookie_are_chosen() {
    let folder = tempdir().unwrap();
    let arguments =
        ["--listen", "127.0.0.1:0", "--serializer", "null", "--cookie-name", "_shop_session"];
    let server = Server::start_with(folder.path(), &arguments).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    assert!(client.cookie.as_ref().unwrap().starts_with("_shop_session="));
    let stored: String = rusqlite::Connection::open(folder.path().join("sessions.db"))
        .unwrap()
        .query_row("SELECT data FROM sessions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, r#"{"a":1}"#);
}

fn id(client: &Client) -> &str {
    client.cookie.as_ref().unwrap().split_once('=').unwrap().1
}
