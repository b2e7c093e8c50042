//! A caller over one HTTP/1.1 connection, which knows whether it got an answer's last byte.

use bytes::Bytes;
use domain::CallId;
use http::{Method, StatusCode, response::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// An answer of which the last byte has come.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// The call's id in the gateway's header; `None` where there is none.
    pub(crate) call: Option<CallId>,
    /// HTTP status.
    pub(crate) status: u16,
    /// Whether the answer says that it is complete: a stream by its end mark, a whole body by itself.
    pub(crate) complete: bool,
}

/// One connection to a gateway.
pub(crate) struct Caller {
    sender: SendRequest<Full<Bytes>>,
}

impl Caller {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> Option<Self> {
        let socket = TcpStream::connect(address).await.ok()?;
        socket.set_nodelay(true).ok()?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await.ok()?;
        tokio::spawn(connection);
        Some(Self { sender })
    }

    /// Makes a chat call and reads its answer to the last byte. `None`: the connection broke before that.
    pub(crate) async fn chat(
        &mut self,
        key: &str,
        model: &str,
        prompt: &str,
        stream: bool,
    ) -> Option<Answered> {
        let body = format!(
            r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
        );
        let (head, bytes) = self.send(Method::POST, "/v1/chat/completions", key, body).await?;
        let call = head.headers.get(domain::product::header::CALL_ID);
        let call = call.and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
        let complete = !stream || bytes.ends_with(b"data: [DONE]\n\n");
        Some(Answered { call, status: head.status.as_u16(), complete })
    }

    /// Sends JSON (nothing where it is null) and reads the JSON of the answer. `None`: the connection broke
    /// before its last byte.
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Option<(StatusCode, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (head, bytes) = self.send(method, path, key, body).await?;
        Some((head.status, serde_json::from_slice(&bytes).unwrap()))
    }

    /// Sends a request and reads the answer to its last byte. `None`: the connection broke before that.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        key: &str,
        body: String,
    ) -> Option<(Parts, Bytes)> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "gateway")
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let (head, body) = self.sender.send_request(request).await.ok()?.into_parts();
        let bytes = body.collect().await.ok()?.to_bytes();
        // The gateway may not have closed its side yet; without this the next call could be refused.
        self.sender.ready().await.ok();
        Some((head, bytes))
    }
}
