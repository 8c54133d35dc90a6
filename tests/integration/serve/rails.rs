//! The example that shares its sessions with a Rails app: what Rails' own code puts into a session is
//! shown and checked there, and what it leaves Rails reads.

use std::io::Write as _;
use std::process::{Command, Stdio};

use http::Request;
use serde_json::{Value, json};
use sqlbypass::{AnyStore, SessionId};
use tempfile::tempdir;

use super::client::Client;
use super::examples::built;
use super::process::{Server, skip};

/// A Rails app as far as its session is concerned: Rails' flash and tokens, the session class of
/// `examples/rails`. It takes steps and answers what they came to.
const APP: &str = r#"
    require File.join(Dir.pwd, "examples/rails/encrypted_session")
    require "action_controller"
    require "action_dispatch"
    ask = JSON.parse(STDIN.read)
    ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ask["database"])
    EncryptedSession.plain = ask["keys"] ? :refuse : :write
    EncryptedSession.keys = SessionKeys.parse(ask["keys"]) if ask["keys"]
    EncryptedSession.serializer = ask["serializer"].to_sym
    row = EncryptedSession.find_or_initialize_by(session_id: EncryptedSession.row(ask["id"]))
    session = ActiveSupport::HashWithIndifferentAccess.new(row.data)
    controller = ActionController::Base.new
    controller.request = ActionDispatch::Request.new("PATH_INFO" => "/cart/items/hat",
      "rack.input" => StringIO.new, "REQUEST_METHOD" => "POST", "SCRIPT_NAME" => "")
    flash = ActionDispatch::Flash::FlashHash.from_session_value(session["flash"])
    answer = { "cart" => session["cart"], "flash" => flash.to_h }
    session["flash"] = flash.to_session_value
    case ask["do"]
    when "sign in"
      session["warden.user.user.key"] = [[42], "$2a$11$abcdefghijklmnopqrstuu"]
      flash["notice"] = "Signed in."
      flash.now["alert"] = "for this request alone"
      flash["kept"] = 1
      flash.keep("kept")
      session["flash"] = flash.to_session_value
      answer["global"] = controller.send(:masked_authenticity_token, session)
      answer["form"] = controller.send(:mask_token,
        controller.send(:per_form_csrf_token, session, "/cart/items/coat", "post"))
    when "verify"
      answer["valid"] = ask["tokens"].map do |token|
        controller.send(:valid_authenticity_token?, session, token)
      end
    end
    row.data = session.to_hash.compact
    row.save!
    puts JSON.generate(answer)
"#;

fn rails(question: &Value) -> Option<Value> {
    let mut check = Command::new("ruby");
    check.args(["-W0", "-ractive_record", "-rsqlite3", "-raction_controller", "-e", "1"]);
    if !check.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        skip("ruby with activerecord, actionpack and sqlite3");
        return None;
    }
    let mut command = Command::new("ruby");
    command.args(["-W0", "-e", APP]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "Rails' side failed");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

async fn post(client: &mut Client, path: &str, token: &str) -> u16 {
    let request = Request::post(path).header("x-csrf-token", token);
    client.request(request.body(Default::default()).unwrap()).await.status.as_u16()
}

async fn moves_an_endpoint(serializer: &str, keys: Option<&str>) {
    let Some(program) = built("rails") else {
        return skip("the example rails: run cargo build --examples first");
    };
    let folder = tempdir().unwrap();
    let database = folder.path().join("rails.db");
    let url = format!("sqlite://{}", database.display());
    AnyStore::url(&url).unwrap().create(true).open().await.unwrap().close().await.unwrap();
    let id = SessionId::generate().unwrap();
    let ask = |does: &str, tokens: &[&str]| {
        json!({"do": does, "tokens": tokens, "id": id.as_str(), "database": database,
               "keys": keys, "serializer": serializer})
    };
    let Some(page) = rails(&ask("sign in", &[])) else { return };
    let mut command = Command::new(program);
    command.arg("127.0.0.1:0").env("DATABASE_URL", &url).env_remove("SESSION_KEYS");
    command.env("SESSION_SERIALIZER", serializer);
    if let Some(keys) = keys {
        command.env("SESSION_KEYS", keys);
    }
    let server = Server::run(&mut command, folder.path()).await;
    let mut client = Client::new(&server);
    assert_eq!(client.get("/cart").await.status, 303, "nobody is signed in");

    client.cookie = Some(format!("_shop_session={}", id.as_str()));
    let shown: Value = serde_json::from_str(client.get("/cart").await.ok()).unwrap();
    assert_eq!((&shown["user"], &shown["notice"]), (&json!(42), &json!("Signed in.")));
    assert_eq!(shown["cart"], json!([]));
    // Rails' tokens are taken: that of all forms and that of one; nothing else is.
    let text = |token: &Value| token.as_str().unwrap().to_owned();
    assert_eq!(post(&mut client, "/cart/items/hat", &text(&page["global"])).await, 303);
    assert_eq!(post(&mut client, "/cart/items/coat", &text(&page["form"])).await, 303);
    assert_eq!(post(&mut client, "/cart/items/shoe", &text(&page["form"])).await, 422);
    assert_eq!(post(&mut client, "/cart/items/shoe", "forged").await, 422);
    assert_eq!(post(&mut client, "/cart/items/bag", &text(&shown["csrf"])).await, 303);
    // And Rails takes what was made here, and shows its flash once.
    let answer = rails(&ask("verify", &[&text(&shown["csrf"]), "forged"])).unwrap();
    assert_eq!(answer["valid"], json!([true, false]));
    assert_eq!(answer["cart"], json!(["hat", "coat", "bag"]));
    assert_eq!(answer["flash"], json!({"notice": "Added."}));
    let shown: Value = serde_json::from_str(client.get("/cart").await.ok()).unwrap();
    assert_eq!((&shown["notice"], &shown["cart"][2]), (&Value::Null, &json!("bag")));
}

#[tokio::test]
async fn an_endpoint_beside_rails_with_marshal() {
    moves_an_endpoint("marshal", None).await;
}

#[tokio::test]
async fn an_endpoint_beside_rails_with_json() {
    moves_an_endpoint("json", None).await;
}

#[tokio::test]
async fn an_endpoint_beside_rails_with_encryption() {
    let keys = "k1:6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b";
    moves_an_endpoint("marshal", Some(keys)).await;
}
