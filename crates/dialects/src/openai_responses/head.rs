//! What a `response` object says besides its output.

use super::{
    OWN,
    ask::{Echo, StateAsk},
};
use crate::{codec::ReplyContext, object::Object};
use domain::{Bag, Finish, ItemKind, Losses, Message, PartKind, Reply, Usage, state::Status};
use serde::{Deserialize, Serialize};

/// What a `response` object says besides its output: chosen by whoever answers, the same for the stream and for
/// the stored object. Serialisable, so that a background response can be finished by another process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    /// The response's id (`resp_…`).
    pub id: String,
    /// Unix seconds at which the response was made.
    pub created_at: i64,
    /// Unix seconds at which it was completed; shown of a completed response only.
    pub completed_at: Option<i64>,
    /// The model as the caller asked for it; shown in place of the upstream's where set.
    pub model: Option<String>,
    /// The response that this one follows.
    pub previous_response_id: Option<String>,
    /// The conversation that it is a part of.
    pub conversation: Option<String>,
    /// What it repeats of the request (`background`, `store` and `metadata` too).
    pub echo: Echo,
    /// Whether encrypted thoughts are shown.
    pub encrypted: bool,
    /// Where the text of thoughts goes.
    pub thoughts: Thoughts,
}

/// Where the text of thoughts goes that come from a host of another dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thoughts {
    /// `summary`: for hosts that show a summary (Claude, Gemini). What clients expect and send back.
    #[default]
    Summary,
    /// `content`: for hosts that show the thought itself (open models).
    Content,
}

/// The `error` of a failed response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One of the API's codes (`server_error`, `rate_limit_exceeded`, `invalid_prompt` …).
    pub code: Box<str>,
    /// What went wrong, for the caller.
    pub message: Box<str>,
    /// The gateway's own code.
    pub kind: Option<Box<str>>,
    /// The member of the request that is at fault.
    pub param: Option<Box<str>>,
}

impl Failure {
    pub(super) fn text(&self) -> String {
        let mut object = Object::new();
        object.string("code", &self.code).string("message", &self.message);
        if let Some(kind) = &self.kind {
            object.string("type", kind);
        }
        if let Some(param) = &self.param {
            object.string("param", param);
        }
        object.finish()
    }
}

impl Head {
    /// Of a request, with the id and time that the gateway gave its answer.
    #[must_use]
    pub fn new(id: impl Into<String>, created_at: i64, model: impl Into<String>, ask: &StateAsk) -> Self {
        Self {
            id: id.into(),
            created_at,
            model: Some(model.into()),
            previous_response_id: ask.previous_response_id.clone(),
            conversation: ask.conversation.clone(),
            echo: ask.echo.clone(),
            encrypted: ask.wants_encrypted(),
            ..Self::default()
        }
    }

    /// Where nothing is known of the request.
    pub(super) fn of_context(context: &ReplyContext<'_>) -> Self {
        Self {
            id: context.id.to_owned(),
            created_at: context.created,
            completed_at: Some(context.created),
            model: context.model.map(str::to_owned),
            encrypted: true,
            ..Self::default()
        }
    }

    /// The id of the item at `index` of the output: the prefix of its kind, the response's id, the index. An
    /// item that has an id of a Responses host keeps it.
    #[must_use]
    pub fn item_id(&self, kind: &ItemKind, custom: bool, index: usize) -> String {
        let prefix = match kind {
            ItemKind::Message(_) => "msg",
            ItemKind::Reasoning(_) => "rs",
            ItemKind::ToolCall(_) if custom => "ctc",
            ItemKind::ToolCall(_) => "fc",
            ItemKind::ToolResult(_) if custom => "ctco",
            ItemKind::ToolResult(_) => "fco",
            ItemKind::Foreign { .. } => "item",
        };
        format!("{prefix}_{}_{index}", self.id.strip_prefix("resp_").unwrap_or(&self.id))
    }
}

/// A response object at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) status: Status,
    /// The upstream's name of the model.
    pub(super) model: &'a str,
    /// The items' JSON.
    pub(super) output: &'a [String],
    pub(super) usage: Option<&'a Usage>,
    /// The tier that really served the call.
    pub(super) tier: Option<&'a str>,
    pub(super) failure: Option<&'a Failure>,
    /// Why it is incomplete.
    pub(super) incomplete: Option<&'a str>,
    /// Members of the answer that only this dialect knows.
    pub(super) extra: Option<&'a Bag>,
}

impl<'a> Moment<'a> {
    /// A response that has yet to say something.
    pub(super) const fn new(status: Status, model: &'a str) -> Self {
        Self {
            status,
            model,
            output: &[],
            usage: None,
            tier: None,
            failure: None,
            incomplete: None,
            extra: None,
        }
    }
}

/// The response object's text.
pub(super) fn text(head: &Head, moment: &Moment<'_>) -> String {
    let mut object = Object::new();
    let nullable = |object: &mut Object, name: &str, text: Option<&str>| {
        match text {
            Some(text) => object.string(name, text),
            None => object.json(name, "null"),
        };
    };
    object.string("id", &head.id).string("object", "response").scalar("created_at", head.created_at);
    object.string("status", moment.status.name());
    match head.completed_at.filter(|_| moment.status == Status::Completed) {
        Some(at) => object.scalar("completed_at", at),
        None => object.json("completed_at", "null"),
    };
    match moment.failure {
        Some(failure) => object.json("error", &failure.text()),
        None => object.json("error", "null"),
    };
    match moment.incomplete {
        Some(reason) => {
            let mut details = Object::new();
            details.string("reason", reason);
            object.json("incomplete_details", &details.finish())
        }
        None => object.json("incomplete_details", "null"),
    };
    object.string("model", head.model.as_deref().unwrap_or(moment.model));
    nullable(&mut object, "previous_response_id", head.previous_response_id.as_deref());
    match &head.conversation {
        Some(id) => {
            let mut conversation = Object::new();
            conversation.string("id", id);
            object.json("conversation", &conversation.finish())
        }
        None => object.json("conversation", "null"),
    };
    object.json("output", &crate::object::list(moment.output));
    for (name, raw) in head.echo.iter() {
        match moment.tier {
            Some(tier) if name == "service_tier" => object.string(name, tier),
            _ => object.raw(name, raw),
        };
    }
    match moment.usage.filter(|usage| usage.source != domain::UsageSource::Unknown) {
        Some(usage) => object.json("usage", &super::types::usage_text(usage)),
        None => object.json("usage", "null"),
    };
    if let Some(extra) = moment.extra {
        object.bag(extra, OWN);
    }
    object.finish()
}

/// The status of an ended answer, and why it is incomplete.
pub(super) fn ended(
    finish: Option<&Finish>,
    declined: bool,
    losses: &mut Losses,
) -> (Status, Option<&'static str>) {
    match finish {
        Some(Finish::Length) => (Status::Incomplete, Some("max_output_tokens")),
        Some(Finish::ContentFilter) => (Status::Incomplete, Some("content_filter")),
        // A refusal in words is an answer; one without is a filter's.
        Some(Finish::Refusal) if !declined => (Status::Incomplete, Some("content_filter")),
        Some(Finish::Pause | Finish::Other(_)) => {
            losses.add("finish_reason");
            (Status::Completed, None)
        }
        Some(Finish::StopSequence(Some(_))) => {
            losses.add("stop_sequence");
            (Status::Completed, None)
        }
        None | Some(Finish::Stop | Finish::StopSequence(None) | Finish::ToolCalls | Finish::Refusal) => {
            (Status::Completed, None)
        }
    }
}

/// Whether an answer declines in words.
pub(super) fn declines(reply: &Reply) -> bool {
    let Some(candidate) = reply.candidates.first() else { return false };
    candidate.items.iter().any(|item| match &item.kind {
        ItemKind::Message(Message { parts, .. }) => {
            parts.iter().any(|part| matches!(part.kind, PartKind::Refusal(_)))
        }
        _ => false,
    })
}
