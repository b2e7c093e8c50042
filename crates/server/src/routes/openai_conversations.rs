//! OpenAI's Conversations API: a thread of items that turns are added to.

use super::{
    Asked,
    openai::{self, Read},
    openai_responses_kept::{query, side, whole},
    wrong_method,
};
use crate::body::Outgoing;
use bytes::Bytes;
use domain::{Code, ConversationId, Fault, ItemId, Raw};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use runtime::read_page;

/// What is asked of the Conversations API, from its path.
enum Of<'a> {
    All,
    One(&'a str),
    Fork(&'a str),
    Items(&'a str),
    Item(&'a str, &'a str),
}

/// Everything under `/v1/conversations`.
pub(super) async fn answer(asked: Asked, request: Request<Incoming>) -> Response<Outgoing> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_start_matches("/v1/conversations").split('/').skip(1).collect();
    let (of, methods) = match parts.as_slice() {
        [] | [""] => (Of::All, "POST"),
        [id] => (Of::One(id), "GET, POST or DELETE"),
        [id, "fork"] => (Of::Fork(id), "POST"),
        [id, "items"] => (Of::Items(id), "GET or POST"),
        [id, "items", item] => (Of::Item(id, item), "GET or DELETE"),
        _ => {
            let message = "there is no such route under a conversation";
            return asked.refuse(&Fault::caller(Code::RouteNotFound, message));
        }
    };
    let method = request.method().clone();
    if !methods.contains(method.as_str()) {
        return asked.refuse(&wrong_method(methods));
    }
    let pairs = query(request.uri().query());
    let mut body = Bytes::new();
    if method == Method::POST {
        let Asked { engine, settings, caller, call, .. } = &asked;
        match openai::received(engine, *settings, caller, *call, request, Ok).await {
            Ok(Read { asked, .. }) => body = asked,
            Err(response) => return *response,
        }
    }
    match act(&asked, &of, &method, &pairs, &body).await {
        Ok(object) => whole(&asked, &object),
        Err(fault) => asked.refuse(&fault),
    }
}

async fn act(
    asked: &Asked,
    of: &Of<'_>,
    method: &Method,
    pairs: &[(String, String)],
    body: &[u8],
) -> Result<Raw, Fault> {
    let (runtime, client) = side(asked).await?;
    let encrypted = pairs.iter().any(|(name, value)| {
        name.starts_with("include") && value.split(',').any(|one| one == "reasoning.encrypted_content")
    });
    let of_id = |id: &str| ConversationId::new(id);
    match (of, method) {
        (Of::All, _) => runtime.create_conversation(&client, body).await,
        (Of::One(id), &Method::POST) => runtime.update_conversation(&client, &of_id(id), body).await,
        (Of::One(id), &Method::DELETE) => runtime.delete_conversation(&client, &of_id(id)).await,
        (Of::One(id), _) => runtime.conversation(&client, &of_id(id)).await,
        (Of::Fork(id), _) => runtime.fork_conversation(&client, &of_id(id), body).await,
        (Of::Items(id), &Method::POST) => runtime.add_items(&client, &of_id(id), body).await,
        (Of::Items(id), _) => {
            let page = read_page(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
            runtime.list_items(&client, &of_id(id), page, encrypted).await
        }
        (Of::Item(id, item), &Method::DELETE) => {
            runtime.delete_item(&client, &of_id(id), &ItemId::new(item)).await
        }
        (Of::Item(id, item), _) => runtime.item(&client, &of_id(id), &ItemId::new(item), encrypted).await,
    }
}
