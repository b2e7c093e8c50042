//! What callers are told, in the Responses API's own codes. What is not there and what is another tenant's is
//! told alike.

use domain::{Code, Fault, RetryClass, Source, state::StateError};
use std::time::Duration;

/// An id for a message: cut, because it is the caller's text.
fn shown(id: &str) -> String {
    id.chars().take(80).collect()
}

pub(crate) fn no_response(id: &str) -> Fault {
    let message = format!("Response with id '{}' not found.", shown(id));
    Fault::caller(Code::ResponseNotFound, message).at("response_id")
}

pub(crate) fn no_previous(id: &str) -> Fault {
    let message = format!("Previous response with id '{}' not found.", shown(id));
    Fault::caller(Code::PreviousResponseNotFound, message).at("previous_response_id")
}

pub(crate) fn no_conversation(id: &str) -> Fault {
    let message = format!("Conversation with id '{}' not found.", shown(id));
    Fault::caller(Code::ConversationNotFound, message).at("conversation")
}

pub(crate) fn no_item(id: &str, param: &str) -> Fault {
    Fault::caller(Code::ItemNotFound, format!("Item with id '{}' not found.", shown(id))).at(param)
}

pub(crate) fn still_running(id: &str) -> Fault {
    let message = format!(
        "Response '{}' is still running: wait until its status is final, or cancel it, before a turn follows it.",
        shown(id)
    );
    Fault::caller(Code::ResponseInProgress, message).at("previous_response_id")
}

pub(crate) fn no_answer(id: &str) -> Fault {
    let message = format!(
        "Response '{}' failed or was cancelled and has no answer to follow: follow the response before it.",
        shown(id)
    );
    Fault::caller(Code::InvalidRequest, message).at("previous_response_id")
}

pub(crate) fn locked() -> Fault {
    let message = "Another turn is under way on this conversation. Try again when it has ended.";
    Fault::caller(Code::ConversationLocked, message).at("conversation").after(Some(Duration::from_secs(1)))
}

pub(crate) fn lost_lease() -> Fault {
    let message =
        "The turn lost its hold on the conversation and was not kept. Nothing was changed; send it again.";
    Fault::caller(Code::ConversationLocked, message).at("conversation")
}

pub(crate) fn too_large(what: &str, max: u64, param: &str) -> Fault {
    let message = format!("{what} is larger than this gateway keeps ({max}). Send less, or split it.");
    Fault::caller(Code::ItemTooLarge, message).at(param.to_owned())
}

pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Fault {
    Fault::caller(Code::InvalidRequest, message.into()).at(param.to_owned())
}

pub(crate) fn internal(why: &str) -> Fault {
    let message = "the gateway failed in keeping the conversation; this is a bug";
    Fault::new(Source::Gateway, RetryClass::Stop, Code::Internal, message).because(why)
}

/// What a store says where nothing more is known of the request.
pub(crate) fn of_store(error: &StateError) -> Fault {
    let unavailable = |message: &'static str| {
        Fault::new(Source::Gateway, RetryClass::Stop, Code::StateUnavailable, message)
            .after(Some(Duration::from_secs(1)))
            .because(&error.to_string())
    };
    match error {
        StateError::Busy => unavailable("the state store has as much to do as it takes; try again shortly"),
        StateError::Broken(_) => {
            unavailable("the state store cannot be reached at the moment; try again later")
        }
        StateError::Unreadable(_) => {
            let message = "what was kept of this cannot be read; the operator's log says why";
            Fault::new(Source::Gateway, RetryClass::Stop, Code::StateUnavailable, message)
                .because(&error.to_string())
        }
        StateError::TooLarge { what, max } => too_large(what, *max, "input"),
        StateError::NoCursor => invalid("after", "the cursor names no item of this list"),
        StateError::Exists => invalid("id", "something with this id is there already"),
        StateError::Fenced => lost_lease(),
        StateError::Missing => {
            Fault::caller(Code::ResponseNotFound, "what the request names is not there (any more)")
        }
        StateError::Running => still_running(""),
        StateError::NoAnswer => no_answer(""),
    }
}
