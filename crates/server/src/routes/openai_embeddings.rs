//! `POST /v1/embeddings`: OpenAI Embeddings, passed through to the deployments that have them.

use super::openai::{self, DIALECT};
use crate::{answer, body::Outgoing, listener::ServerSettings};
use domain::{CallId, Code, Fault, RetryClass, Source};
use engine::{ActiveCall, AnswerBody, Caller, Engine, WholeReply};
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use std::sync::Arc;

/// Answers one call.
pub(super) async fn answer(
    engine: Arc<Engine>,
    settings: ServerSettings,
    caller: Caller,
    call: CallId,
    request: Request<Incoming>,
) -> Response<Outgoing> {
    let scanned =
        openai::read(&engine, settings, &caller, call, request, ActiveCall::openai_embeddings).await;
    let (active, _buffered) = match scanned {
        Ok(read) => read,
        Err(response) => return *response,
    };
    match engine.infer(&caller, active).await {
        Err(refused) => openai::refused(call, refused),
        Ok(reply) => {
            let AnswerBody::Whole(WholeReply::Bytes(bytes)) = reply.body else {
                // Embeddings are never streamed and never translated.
                let message = "the answer to an embeddings call is not of its kind; this is a bug";
                let fault = Fault::new(Source::Gateway, RetryClass::Stop, Code::Internal, message);
                return answer::fault(DIALECT, call, &fault, Some(&reply.head));
            };
            let mut response = Response::new(Outgoing::whole(bytes));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            answer::own_headers(headers, &reply.head);
            response
        }
    }
}
