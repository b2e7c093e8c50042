//! `POST /explain`: where would a call run, and why nowhere else. JSON, or text where the client accepts only that;
//! the outcome stands in a header for whoever reads no body.

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{Code, Fault};
use engine::{Engine, explain::ExplainQuery};
use placement::{
    CallClass,
    explain::{KeptAt, render_text},
    instant,
};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The header that holds the outcome: `placed`, `refused`, `permitted_unavailable`, `not_available_there`, `unable`.
pub const OUTCOME: &str = "x-cabotage-outcome";

/// A question as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    model: String,
    workload: Option<String>,
    class: Option<String>,
    at: Option<String>,
    #[serde(default)]
    assume_down: Vec<String>,
    host: Option<String>,
}

impl Written {
    fn read(self) -> Result<ExplainQuery, Fault> {
        let wrong =
            |field: &'static str, message: String| Fault::caller(Code::InvalidRequest, message).at(field);
        let class = match self.class.as_deref() {
            // A host is asked about for the sake of a runtime that keeps state there.
            None if self.host.is_some() => CallClass::Stateful,
            None => CallClass::Stateless,
            Some(word) => CallClass::by_name(word)
                .ok_or_else(|| wrong("class", "`class` is one of: stateless, stateful, hybrid".to_owned()))?,
        };
        let at =
            self.at.as_deref().map(instant::parse).transpose().map_err(|message| wrong("at", message))?;
        let Self { model, workload, assume_down, host, .. } = self;
        Ok(ExplainQuery { workload, class, at, assume_down, host, ..ExplainQuery::new(&model) })
    }
}

/// Answers one question.
pub(crate) async fn answer(
    State(engine): State<Arc<Engine>>,
    Extension(stores): Extension<Arc<[KeptAt]>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let read = serde_json::from_slice::<Written>(&body)
        .map_err(|error| Fault::caller(Code::InvalidJson, format!("the question cannot be read: {error}")))
        .and_then(Written::read);
    let query = match read {
        Ok(query) => ExplainQuery { stores, ..query },
        Err(fault) => return refused(&fault),
    };
    // Cedar may be asked: off the threads that answer health and metrics.
    let explained = tokio::task::spawn_blocking(move || engine.explain(&query)).await;
    let explanation = match explained {
        Ok(Ok(explanation)) => explanation,
        Ok(Err(fault)) => return refused(&fault),
        Err(error) => {
            tracing::error!(%error, "an explanation failed");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let text = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    let (kind, body) = if text {
        ("text/plain; charset=utf-8", render_text(&explanation))
    } else {
        ("application/json", json!(explanation).to_string())
    };
    let outcome = json!(explanation.outcome);
    let outcome = HeaderValue::from_str(outcome.as_str().unwrap_or_default());
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    if let Ok(outcome) = outcome {
        response.headers_mut().insert(OUTCOME, outcome);
    }
    response
}

fn refused(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = json!({ "code": fault.code.name(), "message": fault.message, "param": fault.param });
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "error": error }).to_string())
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ExplainQuery, Fault> {
        serde_json::from_str::<Written>(text)
            .map_err(|_| Fault::caller(Code::InvalidJson, ""))
            .and_then(Written::read)
    }

    #[test]
    fn a_question_is_read_and_what_is_wrong_is_named() {
        let query = read(r#"{"model":"m","at":"2026-03-15","host":"aws"}"#).unwrap();
        assert_eq!(query.class, CallClass::Stateful);
        assert_eq!(query.at, Some("2026-03-15T00:00:00Z".parse().unwrap()));
        for (text, param) in [
            (r#"{"model":"m","class":"warm"}"#, Some("class")),
            (r#"{"model":"m","at":"soon"}"#, Some("at")),
            (r#"{"model":"m","wrokload":"x"}"#, None),
            ("{}", None),
        ] {
            assert_eq!(read(text).unwrap_err().param.as_deref(), param, "{text}");
        }
    }
}
