//! One exchange on one cloud: read the request, journal it, ask the cloud, disturb, send, journal the end.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use crate::body::PacedBody;
use crate::clock::now_ms;
use crate::clouds;
use crate::config::{CloudSpec, Credentials};
use crate::fault::{self, Delivery, FaultAction, Script};
use crate::fields;
use crate::identity::hash;
use crate::journal::{BODY_BYTES_KEPT, ExchangeRecord, Journal, ReportedUsage, masked};
use crate::listener::Line;
use crate::pace::Frame;

/// Largest request body read.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Prompt prefixes that a cloud remembers as cached.
const PREFIXES_MAX: usize = 4096;

/// One simulated cloud.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) spec: CloudSpec,
    pub(crate) credentials: Credentials,
    pub(crate) clock_skew_seconds: Option<u64>,
    pub(crate) name: Arc<str>,
    pub(crate) region: Arc<str>,
    pub(crate) pace: Duration,
    pub(crate) journal: Arc<Journal>,
    pub(crate) script: Mutex<Script>,
    pub(crate) prefixes: Mutex<Prefixes>,
}

/// The prompt prefixes seen last: the prompt cache.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Cloud {
    /// Whether this prefix was seen before; it is from now on.
    pub(crate) fn remembers(&self, model: &str, prefix: &str) -> bool {
        let key = hash(model.as_bytes()) ^ hash(prefix.as_bytes()).rotate_left(1);
        let mut prefixes = self.prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        if !prefixes.known.insert(key) {
            return true;
        }
        prefixes.order.push_back(key);
        if prefixes.order.len() > PREFIXES_MAX
            && let Some(oldest) = prefixes.order.pop_front()
        {
            prefixes.known.remove(&oldest);
        }
        false
    }

    /// The region token, "" without one.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }
}

/// A request as the clouds see it.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) cloud: &'a Cloud,
    /// Sequence number of the exchange, the seed of its ids.
    pub(crate) seq: u64,
    /// When it was received, wall ms.
    pub(crate) now_ms: u64,
    pub(crate) method: &'a Method,
    /// As on the wire, percent-encoded.
    pub(crate) path: &'a str,
    /// As on the wire, without `?`.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
    /// The body as JSON, `Null` when it is none.
    pub(crate) json: &'a Value,
}

impl Ask<'_> {
    /// A request header as text, "" when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The token of `authorization: Bearer …`, "" when absent.
    pub(crate) fn bearer(&self) -> &str {
        let value = self.header("authorization");
        match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => "",
        }
    }

    /// The decoded value of a query parameter, "" when absent.
    pub(crate) fn query_value(&self, name: &str) -> String {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decoded(value))
            .unwrap_or_default()
    }

    /// Whether this model is served here.
    pub(crate) fn serves(&self, model: &str) -> bool {
        let models = &self.cloud.spec.models;
        if models.is_empty() {
            !model.contains("does-not-exist") && !model.contains("no-such-model")
        } else {
            models.iter().any(|known| known == model)
        }
    }
}

/// Percent-decoded text; what is no UTF-8 is replaced.
pub(crate) fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What a cloud answers, before faults and timing.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content: Content,
    pub(crate) usage: Option<ReportedUsage>,
    /// Pace asked for in the prompt.
    pub(crate) pace_ms: Option<u64>,
    /// Fault asked for in the prompt.
    pub(crate) fault: Option<FaultAction>,
}

/// A reply's body.
#[derive(Debug)]
pub(crate) enum Content {
    /// In one piece, with content-length.
    Whole {
        /// Its type.
        content_type: String,
        /// All of it.
        bytes: Bytes,
    },
    /// Frame by frame, chunked.
    Stream {
        /// Its type.
        content_type: String,
        /// In order.
        frames: Vec<Frame>,
    },
}

impl Reply {
    /// A JSON reply with these headers.
    pub(crate) fn json(status: u16, headers: Vec<(String, String)>, value: &Value) -> Self {
        Self::text(status, headers, "application/json", value.to_string())
    }

    /// A reply of this type with these headers.
    pub(crate) fn text(
        status: u16,
        headers: Vec<(String, String)>,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Self {
        let content = Content::Whole { content_type: content_type.to_owned(), bytes: body.into() };
        Self { status, headers, content, usage: None, pace_ms: None, fault: None }
    }

    /// A stream with status 200.
    pub(crate) fn stream(headers: Vec<(String, String)>, content_type: &str, frames: Vec<Frame>) -> Self {
        let content = Content::Stream { content_type: content_type.to_owned(), frames };
        Self { status: 200, headers, content, usage: None, pace_ms: None, fault: None }
    }
}

/// Headers from pairs of texts.
pub(crate) fn headers<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// An exchange whose end is not journalled yet; dropped, it is.
#[derive(Debug)]
pub(crate) struct Open {
    journal: Arc<Journal>,
    line: Arc<Line>,
    seq: u64,
    bytes: u64,
    deltas: u64,
    ended: bool,
}

impl Open {
    /// Counts a chunk handed to the connection.
    pub(crate) fn sent(&mut self, bytes: usize, delta: bool) {
        self.bytes += bytes as u64;
        self.deltas += u64::from(delta);
    }

    /// Journals the end: everything that was to be sent has been handed over.
    pub(crate) fn complete(&mut self) {
        self.end(true);
    }

    fn end(&mut self, complete: bool) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (now, left) = (now_ms(), self.line.left_at());
        let client_left = !complete && !self.line.is_cut();
        let (bytes, deltas) = (self.bytes, self.deltas);
        self.journal.finish(self.seq, |record| {
            record.finished_at = Some(now);
            record.bytes_sent = bytes;
            record.deltas_sent = deltas;
            record.complete = complete;
            record.client_disconnected = client_left;
            record.disconnected_at = client_left.then(|| left.unwrap_or(now));
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// Answers one request. An error ends the connection without an answer.
pub(crate) async fn handle(
    cloud: Arc<Cloud>,
    line: Arc<Line>,
    request: Request<Incoming>,
) -> Result<Response<PacedBody>, io::Error> {
    let received_at = now_ms();
    let (head, incoming) = request.into_parts();
    let collected = Limited::new(incoming, BODY_BYTES_MAX).collect().await.map(|body| body.to_bytes());
    let too_large = collected.as_ref().is_err_and(|error| error.is::<http_body_util::LengthLimitError>());
    let arrived = collected.is_ok();
    let body = collected.unwrap_or_default();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let model = clouds::model_asked(path, &json);

    let mut record = ExchangeRecord {
        cloud: Arc::clone(&cloud.name),
        region: Arc::clone(&cloud.region),
        received_at,
        method: head.method.to_string(),
        path: path_shown(path, query),
        model: model.clone(),
        body_bytes: body.len() as u64,
        streamed: clouds::asks_stream(path, &json),
        ..ExchangeRecord::default()
    };
    keep_headers(&mut record, &head.headers);
    if arrived {
        let kept = body.get(..body.len().min(BODY_BYTES_KEPT)).unwrap_or_default();
        record.body = Some(String::from_utf8_lossy(kept).into_owned());
    }
    let seq = cloud.journal.begin(record);
    let open = Open {
        journal: Arc::clone(&cloud.journal),
        line: Arc::clone(&line),
        seq,
        bytes: 0,
        deltas: 0,
        ended: false,
    };
    if !arrived && !too_large {
        return Err(io::Error::other("the request body did not arrive"));
    }

    let ask = Ask {
        cloud: &cloud,
        seq,
        now_ms: received_at,
        method: &head.method,
        path,
        query,
        headers: &head.headers,
        body: &body,
        json: &json,
    };
    let delivery = decide(&ask, &model, too_large);
    send(delivery, line, open).await
}

/// The reply with its fault, both entered in the journal.
fn decide(ask: &Ask<'_>, model: &str, too_large: bool) -> Delivery {
    let cloud = ask.cloud;
    let scripted =
        cloud.script.lock().unwrap_or_else(PoisonError::into_inner).pick(ask.path, model, ask.body);
    let mut reply =
        if too_large { clouds::failure(ask, 413, Some("Request too large")) } else { clouds::answer(ask) };
    let action = scripted.or_else(|| reply.fault.take());
    let name = action.as_ref().map(FaultAction::name);
    let usage = reply.usage;
    let pace = reply.pace_ms.map_or(cloud.pace, Duration::from_millis);
    let delivery = fault::deliver(ask, reply, action, pace);
    let (status, reset) = (delivery.status, delivery.reset);
    cloud.journal.update(ask.seq, |record| {
        record.fault = name;
        record.status = if reset { 0 } else { status };
        record.usage = usage.filter(|_| status == 200);
        record.streamed &= delivery.length.is_none();
    });
    delivery
}

async fn send(delivery: Delivery, line: Arc<Line>, open: Open) -> Result<Response<PacedBody>, io::Error> {
    let mut open = open;
    if !delivery.wait.is_zero() {
        tokio::time::sleep(delivery.wait).await;
    }
    if delivery.reset {
        open.complete();
        line.reset();
        return std::future::pending().await;
    }
    let mut response = Response::new(PacedBody::new(delivery.steps, delivery.length, line, open));
    *response.status_mut() =
        StatusCode::from_u16(delivery.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let named = delivery.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let always = [("content-type", delivery.content_type.as_str()), ("x-cabotage-simulated", "true")];
    for (name, value) in named.chain(always) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn path_shown(path: &str, query: &str) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some(("key", value)) => format!("key={}", masked(value)),
            _ => pair.to_owned(),
        })
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

fn keep_headers(record: &mut ExchangeRecord, headers: &HeaderMap) {
    const SECRET: [&str; 7] = [
        "authorization",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "x-amz-security-token",
        "cookie",
        "proxy-authorization",
    ];
    let mut kept = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = if SECRET.contains(&name.as_str()) { masked(&value) } else { value.into_owned() };
        if name.as_str().starts_with("x-cabotage-") {
            record.cabotage.insert(name.to_string(), value.clone());
        }
        kept.insert(name.to_string(), value);
    }
    record.headers = kept;
}

/// The model that a body names, "" when none.
pub(crate) fn model_in(json: &Value) -> &str {
    fields::text(json, "model")
}
