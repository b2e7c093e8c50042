//! A caller over one HTTP/1.1 connection, which knows whether it got an answer's last byte.

use bytes::Bytes;
use domain::CallId;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
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
        let request = http::Request::post("/v1/chat/completions")
            .header("host", "gateway")
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = self.sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let call = response.headers().get(domain::product::header::CALL_ID);
        let call = call.and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        // The gateway may not have closed its side yet; without this the next call could be refused.
        self.sender.ready().await.ok();
        let complete = !stream || bytes.ends_with(b"data: [DONE]\n\n");
        Some(Answered { call, status, complete })
    }
}
