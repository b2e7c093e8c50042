//! A small HTTP/1.1 client, a connection per request, and the simulator under test.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use simulator::{Simulator, SimulatorConfig};
use tokio::net::TcpStream;

/// A simulator with all demo clouds on free ports.
pub(crate) async fn simulator() -> Simulator {
    Simulator::start(SimulatorConfig::default()).await.unwrap()
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Why the body ended early, if it did.
    pub(crate) broken: Option<String>,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON of all `data:` lines, `[DONE]` left out.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

/// Sends a request and returns when the head is there.
pub(crate) async fn begin(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Response<Incoming>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    sender.send_request(request).await.map_err(|error| error.to_string())
}

/// Sends a request and reads the whole answer, as far as it comes.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Got, String> {
    let response = begin(address, method, path, headers, body).await?;
    let (head, mut incoming) = response.into_parts();
    let mut body = Vec::new();
    let mut broken = None;
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(error) => {
                broken = Some(error.to_string());
                break;
            }
        }
    }
    Ok(Got { status: head.status.as_u16(), headers: head.headers, body: body.into(), broken })
}

/// POSTs JSON to a cloud with one credential header.
pub(crate) async fn post(
    simulator: &Simulator,
    cloud: &str,
    path: &str,
    credential: (&str, &str),
    body: &Value,
) -> Got {
    let headers = [credential, ("content-type", "application/json"), ("anthropic-version", "2023-06-01")];
    let address = simulator.address(cloud).unwrap();
    send(address, "POST", path, &headers, body.to_string()).await.unwrap()
}

/// The credential header that each cloud accepts by default.
pub(crate) fn credential(cloud: &str) -> (&'static str, &'static str) {
    match cloud.split('-').next().unwrap() {
        "openai" => ("authorization", "Bearer sk-simulated-openai"),
        "azure" => ("api-key", "simulated-azure-key"),
        "anthropic" => ("x-api-key", "sk-ant-simulated"),
        "bedrock" => ("authorization", "Bearer bedrock-api-key-simulated"),
        "vertex" => ("authorization", "Bearer ya29.simulated-vertex"),
        "gemini" => ("x-goog-api-key", "AIzaSimulatedGeminiKey"),
        _ => ("x-none", "none"),
    }
}

/// The request `text` in the cloud's own dialect: path and body.
pub(crate) fn asking(cloud: &str, text: &str, stream: bool) -> (String, Value) {
    let chat = serde_json::json!({"model": "gpt-5.4", "stream": stream,
        "messages": [{"role": "user", "content": text}]});
    let gemini = serde_json::json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
    let verb = if stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" };
    match cloud.split('-').next().unwrap() {
        "azure" => ("/openai/v1/chat/completions".to_owned(), chat),
        "anthropic" => (
            "/v1/messages".to_owned(),
            serde_json::json!({"model": "claude-opus-5-5", "max_tokens": 4096, "stream": stream,
                "messages": [{"role": "user", "content": text}]}),
        ),
        "bedrock" => (
            format!(
                "/model/us.anthropic.claude-opus-5-5-v1%3A0/converse{}",
                if stream { "-stream" } else { "" }
            ),
            serde_json::json!({"messages": [{"role": "user", "content": [{"text": text}]}]}),
        ),
        "vertex" => (
            format!("/v1/projects/p/locations/europe-west4/publishers/google/models/gemini-3.5-flash{verb}"),
            gemini,
        ),
        "gemini" => (format!("/v1beta/models/gemini-3.5-flash{verb}"), gemini),
        _ => ("/v1/chat/completions".to_owned(), chat),
    }
}

/// Asks a cloud in its own dialect.
pub(crate) async fn ask(simulator: &Simulator, cloud: &str, text: &str, stream: bool) -> Got {
    let (path, body) = asking(cloud, text, stream);
    post(simulator, cloud, &path, credential(cloud), &body).await
}

/// All clouds of the demo.
pub(crate) const CLOUDS: [&str; 8] = [
    "openai",
    "azure-westeurope",
    "azure-swedencentral",
    "anthropic",
    "bedrock-us-east-2",
    "vertex-europe-west4",
    "gemini",
    "vllm-onprem",
];
