//! One endpoint of a Rails app, moved to hyper: both serve the same cookie and the same sessions.
//!
//! `DATABASE_URL=sqlite:///srv/shop/production.sqlite3 cargo run --example rails --features encryption
//! [ADDRESS:PORT]`, behind a proxy that sends `/cart` here and the rest to Rails. README.md beside this
//! file has the steps. `SESSION_KEYS` holds the keys where the sessions are encrypted, and
//! `SESSION_SERIALIZER` what Rails calls its serializer (marshal unless it is set).

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use sqlbypass::{
    AnyStore, Codec, CookieOptions, CsrfToken, Encrypted, Flash, Keys, Plain, Serializer, Session,
    SessionLayer, SessionManager, Value, WardenUser,
};
use tokio::net::TcpListener;

type Answer = Result<Response<String>, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The table is Rails': it is not made here.
    let store = AnyStore::url(&std::env::var("DATABASE_URL")?)?.open().await?;
    // The name and attributes of the app's own session store.
    let cookie = CookieOptions::new("_shop_session")?;
    let layer = SessionLayer::new(SessionManager::new(store, codec()?)).cookie(cookie)?;

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3001".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = layer.hyper(service_fn(answer));
        tokio::spawn(async move {
            let io = TokioIo::new(stream);
            if let Err(error) = http1::Builder::new().serve_connection(io, service).await {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}

/// What Rails writes with; encrypted where there are keys.
fn codec() -> Result<Arc<dyn Codec>, Box<dyn Error>> {
    let name = std::env::var("SESSION_SERIALIZER").unwrap_or_else(|_| "marshal".into());
    let serializer: Serializer = name.parse()?;
    Ok(match std::env::var("SESSION_KEYS") {
        Ok(keys) => {
            let keys = Keys::parse(&keys)?;
            Arc::new(Encrypted::new(serializer, keys).plain(Plain::Read))
        }
        Err(_) => Arc::new(serializer),
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(cart(&request).await.unwrap_or_else(|error| {
        eprintln!("{error}");
        text(StatusCode::INTERNAL_SERVER_ERROR, "the cart is out of order\n")
    }))
}

async fn cart(request: &Request<Incoming>) -> Answer {
    let session = request.extensions().get::<Session>().ok_or("the session layer is missing")?;
    let Some(user) = signed_in(session).await? else {
        return Ok(see_other("/users/sign_in"));
    };
    let path = request.uri().path();
    match (request.method(), path.strip_prefix("/cart/items/")) {
        (&Method::GET, None) if path == "/cart" => show(session, &user).await,
        (&Method::POST, Some(item)) => add(session, request, item).await,
        _ => Ok(text(StatusCode::NOT_FOUND, "there is no such page\n")),
    }
}

/// Who Devise has signed in. Compare `has_salt_of` with the user's `encrypted_password` where it is
/// at hand: a changed password ends sessions that way.
async fn signed_in(session: &Session) -> Result<Option<WardenUser>, Box<dyn Error>> {
    let stored = session.value(&WardenUser::key("user")).await?;
    Ok(stored.as_ref().and_then(WardenUser::from_session))
}

async fn show(session: &Session, user: &WardenUser) -> Answer {
    let stored = session.value(Flash::KEY).await?;
    let flash = Flash::from_session(stored.as_ref());
    if stored.is_some() {
        // What was shown is gone at the next request, here or in Rails.
        session.insert_value(Flash::KEY, flash.to_session())?;
    }
    let csrf = match token(session).await? {
        Some(token) => token,
        None => {
            let token = CsrfToken::generate()?;
            session.insert(CsrfToken::KEY, token.to_session())?;
            token
        }
    };
    let cart: Vec<String> = session.get("cart").await?.unwrap_or_default();
    let page = json!({
        "user": user.id().and_then(Value::as_i64),
        "notice": flash.get("notice").and_then(Value::as_str),
        "cart": cart,
        "csrf": csrf.masked()?,
    });
    Ok(text(StatusCode::OK, &format!("{page}\n")))
}

async fn add(session: &Session, request: &Request<Incoming>, item: &str) -> Answer {
    let sent = request.headers().get("x-csrf-token").and_then(|token| token.to_str().ok());
    let is_genuine = match (token(session).await?, sent) {
        (Some(token), Some(sent)) => token.verify_for(sent, request.uri().path(), "post"),
        _ => false,
    };
    if !is_genuine {
        return Ok(text(StatusCode::UNPROCESSABLE_ENTITY, "the token does not fit\n"));
    }
    let item = Value::from(item);
    session
        .update("cart", |cart| match cart {
            Value::Array(items) => items.push(item),
            other => *other = Value::Array(vec![item]),
        })
        .await?;
    let mut flash = Flash::from_session(session.value(Flash::KEY).await?.as_ref());
    flash.set("notice", "Added.");
    session.insert_value(Flash::KEY, flash.to_session())?;
    Ok(see_other("/cart"))
}

async fn token(session: &Session) -> Result<Option<CsrfToken>, Box<dyn Error>> {
    let stored = session.get::<String>(CsrfToken::KEY).await?;
    Ok(stored.as_deref().and_then(CsrfToken::from_session))
}

fn see_other(place: &'static str) -> Response<String> {
    let mut response = text(StatusCode::SEE_OTHER, "");
    response.headers_mut().insert(header::LOCATION, header::HeaderValue::from_static(place));
    response
}

fn text(status: StatusCode, body: &str) -> Response<String> {
    let mut response = Response::new(body.to_owned());
    *response.status_mut() = status;
    response
}
