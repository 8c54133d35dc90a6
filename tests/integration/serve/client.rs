//! A client with one cookie.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::process::Server;

/// Sends requests and keeps the session's cookie, as a browser does.
pub(super) struct Client {
    address: String,
    pub(super) cookie: Option<String>,
}

/// What came back.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(server: &Server) -> Self {
        Self { address: server.address.clone(), cookie: None }
    }

    /// The same browser, after the service has moved to another port.
    pub(super) fn follow(&mut self, server: &Server) {
        self.address.clone_from(&server.address);
    }

    pub(super) async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, "").await
    }

    pub(super) async fn put(&mut self, key: &str, json: &str) -> Reply {
        self.send("PUT", &format!("/api/session/{key}"), json).await
    }

    pub(super) async fn post(&mut self, path: &str) -> Reply {
        self.send("POST", path, "").await
    }

    pub(super) async fn send(&mut self, method: &str, path: &str, body: &str) -> Reply {
        let request = Request::builder().method(method).uri(path);
        self.request(request.body(Full::from(body.to_owned())).unwrap()).await
    }

    pub(super) async fn request(&mut self, request: Request<Full<Bytes>>) -> Reply {
        self.try_request(request).await.unwrap()
    }

    /// One request on a connection of its own.
    pub(super) async fn try_request(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Reply, Box<dyn std::error::Error>> {
        let headers = request.headers_mut();
        headers.entry("host").or_insert(self.address.parse()?);
        if let Some(cookie) = &self.cookie {
            headers.entry("cookie").or_insert(cookie.parse()?);
        }
        let stream = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await;
        let (parts, body) = response?.into_parts();
        let body = body.collect().await?.to_bytes();
        drop(sender);
        driver.abort();
        let reply = Reply { status: parts.status, headers: parts.headers, body };
        if let Some(pair) = reply.cookie() {
            self.cookie = Some(pair).filter(|pair| !pair.ends_with('='));
        }
        Ok(reply)
    }
}

impl Reply {
    /// The body of a success.
    #[track_caller]
    pub(super) fn ok(&self) -> &str {
        let body = std::str::from_utf8(&self.body).unwrap();
        assert!(self.status.is_success(), "{}: {body}", self.status);
        body
    }

    /// The message of a refusal with this status.
    #[track_caller]
    pub(super) fn error(&self, status: u16) -> String {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{body}");
        assert_eq!(self.headers["content-type"], "application/json");
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 1, "{body}");
        json["error"].as_str().unwrap().to_owned()
    }

    /// The outcome and what else stands in `Server-Timing`.
    pub(super) fn timing(&self) -> &str {
        self.headers["server-timing"].to_str().unwrap()
    }

    /// `name=value` of the cookie that was set.
    pub(super) fn cookie(&self) -> Option<String> {
        let header = self.headers.get("set-cookie")?.to_str().unwrap();
        Some(header.split(';').next().unwrap().to_owned())
    }
}

/// Sends bytes as they are, and answers what comes back until the connection ends.
pub(super) async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut reply = Vec::new();
    // The connection may be reset after the answer.
    let _ = stream.read_to_end(&mut reply).await;
    String::from_utf8_lossy(&reply).into_owned()
}
