//! Every route of the data plane, in one match. There is no other way in: a request that reaches a client API has
//! its caller's key checked first, here, for all of them.

mod calls;
mod models;
mod openai;
mod openai_chat;
mod openai_conversations;
mod openai_embeddings;
mod openai_responses;
mod openai_responses_kept;

use crate::{StateSide, answer, body::Outgoing, caller_key, listener::ServerSettings};
use domain::{CallId, Code, Dialect, Fault};
use engine::{Caller, Engine};
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use hyper::body::Incoming;
use std::sync::Arc;

/// The routes, for `cabotage` to list and for tests to crawl.
pub(crate) const ROUTES: &[(&str, &str)] = &[
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/responses/input_tokens"),
    ("POST", "/v1/responses/compact"),
    ("GET", "/v1/responses/{id}"),
    ("DELETE", "/v1/responses/{id}"),
    ("POST", "/v1/responses/{id}/cancel"),
    ("GET", "/v1/responses/{id}/input_items"),
    ("POST", "/v1/conversations"),
    ("GET", "/v1/conversations/{id}"),
    ("POST", "/v1/conversations/{id}"),
    ("DELETE", "/v1/conversations/{id}"),
    ("POST", "/v1/conversations/{id}/fork"),
    ("GET", "/v1/conversations/{id}/items"),
    ("POST", "/v1/conversations/{id}/items"),
    ("GET", "/v1/conversations/{id}/items/{item}"),
    ("DELETE", "/v1/conversations/{id}/items/{item}"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
    ("GET", "/cabotage/v1/calls/{id}"),
    ("GET", "/"),
];

/// Answers one request.
pub(crate) async fn answer(
    engine: Arc<Engine>,
    state: Option<StateSide>,
    settings: ServerSettings,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let call = engine.new_call_id();
    let dialect = Dialect::OpenAiChat;
    if let Err(fault) = plainly_framed(request.headers()) {
        let mut response = answer::fault(dialect, call, &fault, None);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    if request.uri().path() == "/" && *request.method() == Method::GET {
        return signpost();
    }
    let key = match caller_key::of(request.headers()) {
        Ok(key) => key,
        Err(fault) => return answer::fault(dialect, call, &fault, None),
    };
    let caller = match engine.caller(key) {
        Ok(caller) => caller,
        Err(fault) => return answer::fault(dialect, call, &fault, None),
    };
    let path = request.uri().path();
    let get = *request.method() == Method::GET;
    if path == "/v1/chat/completions" {
        if *request.method() != Method::POST {
            return answer::fault(dialect, call, &wrong_method("POST"), None);
        }
        return openai_chat::answer(engine, settings, caller, call, request).await;
    }
    if path == "/v1/responses" || path.starts_with("/v1/responses/") || path.starts_with("/v1/conversations")
    {
        let asked = Asked { engine, state, settings, caller, call };
        return match path.starts_with("/v1/responses") {
            true => Box::pin(asked.response(request)).await,
            false => Box::pin(openai_conversations::answer(asked, request)).await,
        };
    }
    if path == "/v1/embeddings" {
        if *request.method() != Method::POST {
            return answer::fault(dialect, call, &wrong_method("POST"), None);
        }
        return Box::pin(openai_embeddings::answer(engine, settings, caller, call, request)).await;
    }
    if let Some(model) = path.strip_prefix("/v1/models") {
        if !get {
            return answer::fault(dialect, call, &wrong_method("GET"), None);
        }
        return models::answer(&engine, &caller, call, model.strip_prefix('/').unwrap_or(model));
    }
    if let Some(id) = path.strip_prefix("/cabotage/v1/calls/") {
        if !get {
            return answer::fault(dialect, call, &wrong_method("GET"), None);
        }
        return calls::answer(&engine, &caller, call, id);
    }
    let list: Vec<String> = ROUTES.iter().map(|(method, path)| format!("{method} {path}")).collect();
    let message = format!("there is no such route; this gateway answers: {}", list.join(", "));
    answer::fault(dialect, call, &Fault::caller(Code::RouteNotFound, message), None)
}

/// A request to the stateful side: who asks, and what answers.
struct Asked {
    engine: Arc<Engine>,
    state: Option<StateSide>,
    settings: ServerSettings,
    caller: Caller,
    call: CallId,
}

impl Asked {
    /// Everything under `/v1/responses`.
    async fn response(self, request: Request<Incoming>) -> Response<Outgoing> {
        let path = request.uri().path().strip_prefix("/v1/responses").unwrap_or_default();
        let post = *request.method() == Method::POST;
        match path.trim_start_matches('/') {
            "" if post => openai_responses::answer(self, request).await,
            "input_tokens" if post => openai_responses::count(self, request).await,
            "compact" if post => openai_responses_kept::compact(self, request).await,
            "" | "input_tokens" | "compact" => self.refuse(&wrong_method("POST")),
            _ => openai_responses_kept::answer(self, request).await,
        }
    }

    /// A refusal in the words of OpenAI's APIs, on record.
    fn refuse(&self, fault: &Fault) -> Response<Outgoing> {
        self.engine.refuse(&self.caller, self.call, fault);
        answer::fault(Dialect::OpenAiResponses, self.call, fault, None)
    }
}

/// A body framed in a way that the next reader on the road may understand otherwise is where requests are
/// smuggled: of transfer encodings only `chunked` is taken, once and alone. (hyper sees to all other abuses.)
fn plainly_framed(headers: &HeaderMap) -> Result<(), Fault> {
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(encoding) = encodings.next() else { return Ok(()) };
    if encoding.as_bytes().eq_ignore_ascii_case(b"chunked")
        && encodings.next().is_none()
        && !headers.contains_key(header::CONTENT_LENGTH)
    {
        return Ok(());
    }
    Err(Fault::caller(
        Code::InvalidRequest,
        "the only transfer-encoding taken here is `chunked`, once and without a content-length",
    ))
}

fn wrong_method(right: &str) -> Fault {
    Fault::caller(Code::MethodNotAllowed, format!("this route takes {right}"))
}

/// For the person who opens the port in a browser.
fn signpost() -> Response<Outgoing> {
    let text = format!(
        "{} data plane. Point an OpenAI client here: base_url = http://<this host>/v1, api_key = your key.\n",
        domain::product::NAME
    );
    let mut response = Response::new(Outgoing::whole(text.into()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// A JSON answer that is not a call's.
fn json(value: &serde_json::Value) -> Response<Outgoing> {
    let mut response = Response::new(Outgoing::whole(value.to_string().into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
