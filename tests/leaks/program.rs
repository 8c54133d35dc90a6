//! What the program writes: every command, as it succeeds and as it fails, and the service.

use std::process::Stdio;
use std::time::Duration;

use sqlbypass::SessionId;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::ears::{clean, new_id, secret, secret_id};
use super::life::{DATA, USER};
use super::place::{Place, said};
use super::tasks::{broken, json, put};
use super::{builder, passwords};

const COMMANDS: [&str; 19] = [
    "create",
    "create --print",
    "doctor",
    "stats",
    "list --limit 5",
    "show --row 1",
    "show --row 999999",
    "upgrade --dry-run",
    "upgrade",
    "convert --to marshal",
    "convert --to json",
    "convert --to json --dry-run",
    "convert --encrypt --keys-file keys",
    "convert --decrypt --keys-file other",
    "convert --decrypt --keys-file keys",
    "trim --days 1 --dry-run",
    "trim --days 0",
    "bench --seconds 0.1",
    "clear --yes",
];

/// All of it at its loudest.
fn loud(mut command: Command) -> Command {
    command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    command
}

pub(crate) async fn commands(place: &Place) {
    passwords();
    secret("data", DATA);
    let store = builder(place).open().await.unwrap();
    let (id, raw) = (new_id(), new_id());
    put(&store, &id, json()).await;
    put(&store, &new_id(), json().replace(USER, "somebody")).await;
    for data in broken() {
        put(&store, &new_id(), data).await;
    }
    place.put(&[(raw.as_str().to_owned(), "{}", super::place::OLD, super::place::OLD)]).await;
    store.close().await.unwrap();
    for (name, key) in [("keys", "bGVhaw"), ("other", "a2FlbA")] {
        let text = format!("k1:{}\n", key.repeat(8).get(..42).unwrap().to_owned() + "w=");
        secret("key", text[3..].trim());
        std::fs::write(place.folder.path().join(name), text).unwrap();
    }
    for command in COMMANDS {
        for format in ["text", "json"] {
            let output = loud(place.command(&format!("{command} --format {format}")))
                .output()
                .await
                .unwrap();
            clean(&said(&output));
            // It does what is asked, but for one command.
            let is_refused = output.status.code() == Some(2);
            assert_eq!(is_refused, command.ends_with("--days 0"), "{}", said(&output));
        }
    }
    misplaced(place).await;
    // By the cookie's id, which comes on standard input; and text of a column, decoded with an error.
    for arguments in ["show", "show --format json"] {
        clean(&fed(place.command(arguments), id.as_str()).await);
    }
    for data in broken() {
        let decode = super::place::program("decode --serializer marshal");
        let text = fed(decode, &data).await;
        assert!(!text.is_empty());
        clean(&text);
    }
    let wrong = "SENTINEL-of-the-password-30bd";
    secret("password", wrong);
    for url in [
        place.url.replace("p%40ss", wrong),
        format!("postgres://app:{wrong}@127.0.0.1:1/x"),
        format!("mysql://app:{wrong}@127.0.0.1:1/x"),
        format!("mysql://app:{wrong}@127.0.0.1:nonsense/x"),
        format!("oracle://app:{wrong}@127.0.0.1/x"),
    ] {
        for command in ["doctor", "stats", "serve", "trim"] {
            if place.is_sqlite() && url == place.url {
                continue;
            }
            let mut command = loud(super::place::program(command));
            command.arg("--database").arg(&url).current_dir(place.folder.path());
            let output = command.output().await.unwrap();
            assert!(!output.status.success());
            clean(&said(&output));
        }
    }
}

/// Where a file or a variable is to be named, the keys themselves; and out of all place.
async fn misplaced(place: &Place) {
    let keys = std::fs::read_to_string(place.folder.path().join("keys")).unwrap();
    for keys in [keys.trim(), &keys.trim()[3..], &keys] {
        for option in ["--keys-file", "--keys-env", "--keys", "--format", "--"] {
            for command in ["list", "trim", "convert --encrypt", "serve"] {
                let mut command = loud(place.command(command));
                let output = command.args([option, keys]).output().await.unwrap();
                assert_eq!(output.status.code(), Some(2), "{}", said(&output));
                clean(&said(&output));
            }
        }
    }
}

async fn fed(command: Command, input: &str) -> String {
    let mut command = loud(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    said(&child.wait_with_output().await.unwrap())
}

/// Sessions that begin, change and end; and requests that it refuses.
pub(crate) async fn service(place: &Place) {
    place.sql("DROP TABLE IF EXISTS sessions").await;
    let mut command = loud(place.command("serve --listen 127.0.0.1:0"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut ready = String::new();
    out.read_line(&mut ready).await.unwrap();
    let address = ready.trim().strip_prefix("listening on http://").expect(&ready).to_owned();
    let body = format!("\"{DATA}\"");
    let (begun, _) = ask(&address, "PUT", "/api/session/text", "", &body).await;
    let cookie = begun.expect("a cookie");
    for (method, path, body) in [
        ("GET", "/api/session", String::new()),
        ("PUT", "/api/session/text", format!("{{\"{DATA}\": ")),
        ("PUT", "/api/session/session_id", body.clone()),
        ("PUT", &*format!("/api/session/{DATA}"), body.clone()),
        ("GET", &*format!("/nowhere/{DATA}"), String::new()),
    ] {
        ask(&address, method, path, &cookie, &body).await;
    }
    let stranger = new_id();
    ask(&address, "GET", "/api/session", &format!("_session_id={}", stranger.as_str()), "").await;
    place.sql("ALTER TABLE sessions RENAME COLUMN data TO payload").await;
    let (_, status) = ask(&address, "PUT", "/api/session/text", &cookie, &body).await;
    assert!(status.contains(" 50"), "{status}");
    place.sql("DROP TABLE sessions").await;
    ask(&address, "PUT", "/api/session/text", &cookie, &body).await;
    super::place::signal(&child, "TERM");
    let mut text = String::new();
    let read = async {
        out.read_to_string(&mut text).await.unwrap();
        child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("it ends");
    child.wait().await.unwrap();
    assert!(!text.is_empty(), "it said nothing of what went wrong");
    clean(&text);
}

/// The cookie that was set, and the line of the status.
async fn ask(
    address: &str,
    method: &str,
    path: &str,
    cookie: &str,
    body: &str,
) -> (Option<String>, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: {cookie}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // It may be reset behind the answer.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = set.map(|text| text.split(';').next().unwrap().to_owned());
    if let Some(id) = cookie.as_deref().and_then(|pair| pair.split('=').nth(1))
        && let Some(id) = SessionId::parse(id.as_bytes())
    {
        secret_id(&id);
    }
    (cookie, answer.lines().next().unwrap_or_default().to_owned())
}
