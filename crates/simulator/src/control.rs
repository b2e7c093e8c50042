//! The control API on loopback, so that another process can kill, heal, script and read.
//!
//! `GET /clouds` · `POST /kill {"cloud":"azure"}` · `POST /heal {"cloud":"all"}` ·
//! `POST /faults {"cloud":"openai","rules":[…]}` · `GET /journal?since=SEQ&limit=N&cloud=SELECTOR` ·
//! `DELETE /journal`. All JSON; an error is `{"error":"…"}` with 400 or 404.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::exchange::decoded;
use crate::fault::FaultRule;
use crate::journal::JournalQuery;
use crate::simulator::Fleet;

/// Largest body of an order.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Selected {
    cloud: String,
}

#[derive(Deserialize)]
struct Scripted {
    cloud: String,
    rules: Vec<FaultRule>,
}

type Outcome = Result<Value, (StatusCode, String)>;

/// Takes 127.0.0.1:`port`.
pub(crate) async fn bind(port: u16) -> io::Result<(SocketAddr, TcpListener)> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    Ok((listener.local_addr()?, listener))
}

/// Answers on `listener`; the task ends with its connections when it is aborted.
pub(crate) fn start(fleet: Arc<Fleet>, listener: TcpListener) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let _ = stream.set_nodelay(true);
                    let fleet = Arc::clone(&fleet);
                    let service = service_fn(move |request| {
                        let fleet = Arc::clone(&fleet);
                        async move { Ok::<_, Infallible>(answer(&fleet, request).await) }
                    });
                    connections.spawn(async move {
                        let http1 = hyper::server::conn::http1::Builder::new();
                        let _ = http1.serve_connection(TokioIo::new(stream), service).await;
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    })
}

async fn answer(fleet: &Fleet, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let outcome = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Err(error) => Err((StatusCode::BAD_REQUEST, format!("cannot read the body: {error}"))),
        Ok(body) => {
            let query = head.uri.query().unwrap_or_default();
            obey(fleet, &head.method, head.uri.path(), query, &body.to_bytes()).await
        }
    };
    let (status, value) = match outcome {
        Ok(value) => (StatusCode::OK, value),
        Err((status, message)) => (status, json!({ "error": message })),
    };
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    let json_type = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json_type);
    response
}

async fn obey(fleet: &Fleet, method: &Method, path: &str, query: &str, body: &[u8]) -> Outcome {
    let unknown = |error: crate::SimulatorError| (StatusCode::NOT_FOUND, error.to_string());
    match (method.as_str(), path) {
        ("GET", "/clouds") => to_json(fleet.states()),
        ("POST", "/kill") => {
            let names = fleet.kill(&parsed::<Selected>(body)?.cloud).await.map_err(unknown)?;
            Ok(json!({ "killed": names }))
        }
        ("POST", "/heal") => {
            let names = fleet.heal(&parsed::<Selected>(body)?.cloud).await.map_err(unknown)?;
            Ok(json!({ "healed": names }))
        }
        ("POST", "/faults") => {
            let order = parsed::<Scripted>(body)?;
            let names = fleet.script(&order.cloud, &order.rules).map_err(unknown)?;
            Ok(json!({ "scripted": names, "rules": order.rules.len() }))
        }
        ("GET", "/journal") => to_json(fleet.read(&journal_query(query))),
        ("DELETE", "/journal") => {
            fleet.clear();
            Ok(json!({ "cleared": true }))
        }
        _ => Err((StatusCode::NOT_FOUND, format!("no such order: {method} {path}"))),
    }
}

fn journal_query(query: &str) -> JournalQuery {
    let mut wanted = JournalQuery::default();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "since" => wanted.since = value.parse().unwrap_or(0),
            "limit" => wanted.limit = value.parse().ok(),
            "cloud" => wanted.cloud = Some(decoded(value)),
            _ => {}
        }
    }
    wanted
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn to_json<T: serde::Serialize>(value: T) -> Outcome {
    serde_json::to_value(value).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
