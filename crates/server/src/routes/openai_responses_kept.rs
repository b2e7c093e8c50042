//! What was kept of responses: retrieve, resume, cancel, delete, what went in, compaction.

use super::{
    Asked,
    openai::{self, JSON, SSE},
    openai_responses::turn,
    wrong_method,
};
use crate::body::Outgoing;
use dialects::openai_responses as responses;
use domain::{Code, Fault, Raw, ResponseId};
use engine::Head;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use runtime::{Client, read_page};

/// Everything under `/v1/responses/{id}`.
pub(super) async fn answer(asked: Asked, request: Request<Incoming>) -> Response<Outgoing> {
    let (id, below) =
        match request.uri().path().strip_prefix("/v1/responses/").unwrap_or_default().split_once('/') {
            Some((id, below)) => (ResponseId::new(id), below),
            None => (ResponseId::new(request.uri().path().trim_start_matches("/v1/responses/")), ""),
        };
    let right = match (below, request.method()) {
        ("", &Method::GET | &Method::DELETE) | ("cancel", &Method::POST) | ("input_items", &Method::GET) => {
            None
        }
        ("", _) => Some("GET or DELETE"),
        ("cancel", _) => Some("POST"),
        ("input_items", _) => Some("GET"),
        _ => {
            return asked
                .refuse(&Fault::caller(Code::RouteNotFound, "there is no such route under a response"));
        }
    };
    if let Some(right) = right {
        return asked.refuse(&wrong_method(right));
    }
    match one(&asked, &request, &id, below).await {
        Ok(response) => response,
        Err(fault) => asked.refuse(&fault),
    }
}

async fn one(
    asked: &Asked,
    request: &Request<Incoming>,
    id: &ResponseId,
    below: &str,
) -> Result<Response<Outgoing>, Fault> {
    let (runtime, client) = side(asked).await?;
    let query = query(request.uri().query());
    let pairs = || query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let asks = |wanted: &str| pairs().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let body = match (below, request.method()) {
        ("cancel", _) => runtime.cancel(&client, id).await?,
        ("input_items", _) => runtime.input_items(&client, id, read_page(pairs())?).await?,
        (_, &Method::DELETE) => runtime.delete(&client, id).await?,
        _ if asks("stream") == Some("true") => {
            let after = asks("starting_after").map(|after| {
                after.parse().map_err(|_| {
                    Fault::caller(Code::InvalidRequest, "`starting_after` is the number of an event")
                        .at("starting_after".to_owned())
                })
            });
            let stream = runtime.resume(&client, id, after.transpose()?).await?;
            return Ok(openai::answered(
                turn(stream, None, asked.settings.keep_alive),
                SSE,
                &Head::of(asked.call),
            ));
        }
        _ => runtime.retrieve(&client, id).await?,
    };
    Ok(whole(asked, &body))
}

/// `POST /v1/responses/compact`.
pub(super) async fn compact(asked: Asked, request: Request<Incoming>) -> Response<Outgoing> {
    let Asked { engine, settings, caller, call, .. } = &asked;
    let read =
        openai::received(engine, *settings, caller, *call, request, |body| responses::decode_count(&body));
    let decoded = match read.await {
        Ok(read) => read.asked,
        Err(response) => return *response,
    };
    let (runtime, client) = match side(&asked).await {
        Ok(side) => side,
        Err(fault) => return asked.refuse(&fault),
    };
    match runtime.compact(&client, decoded).await {
        Ok((head, body)) => openai::answered(Outgoing::whole(body.text().to_owned().into()), JSON, &head),
        Err(refused) => openai::refused(*call, *refused),
    }
}

/// The stateful side and the caller's part of it.
pub(super) async fn side(asked: &Asked) -> Result<(std::sync::Arc<runtime::Runtime>, Client), Fault> {
    let Some(state) = &asked.state else {
        let message = "this gateway keeps no state: name a store in its configuration ([[state.store]]), or send the whole conversation";
        return Err(Fault::new(
            domain::Source::Gateway,
            domain::RetryClass::Stop,
            Code::StateUnavailable,
            message,
        ));
    };
    let client = state.client(&asked.engine, asked.caller.clone()).await?;
    Ok((std::sync::Arc::clone(&state.runtime), client))
}

/// An object of the API as a whole answer.
pub(super) fn whole(asked: &Asked, body: &Raw) -> Response<Outgoing> {
    openai::answered(Outgoing::whole(body.text().to_owned().into()), JSON, &Head::of(asked.call))
}

/// The pairs of a query, decoded.
pub(super) fn query(query: Option<&str>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}
