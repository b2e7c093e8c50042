//! A whole answer that passes through: what settlement needs of it.

use crate::openai_chat::{
    error, finish,
    types::{Filled, Lenient, WireUsage},
};
use domain::{Code, Fault, Finish, Usage};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

/// What settlement needs of a whole answer. The rest of the body is skipped, not read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplyPeek {
    /// The upstream's id of the answer.
    pub id: Option<Box<str>>,
    /// The model that answered, as the upstream names it.
    pub model: Option<Box<str>>,
    /// The tier that served it.
    pub service_tier: Option<Box<str>>,
    /// The upstream's backend mark.
    pub system_fingerprint: Option<Box<str>>,
    /// Tokens, where reported.
    pub usage: Option<Usage>,
    /// Why the first candidate ended.
    pub finish: Option<Finish>,
    /// How many candidates there are.
    pub candidates: usize,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: Lenient,
    #[serde(default)]
    model: Lenient,
    #[serde(default)]
    service_tier: Lenient,
    #[serde(default)]
    system_fingerprint: Lenient,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    finish_reason: Lenient,
    #[serde(default)]
    error: Filled,
}

/// An answer of embeddings: what `choices` are to a chat, `data` is here.
#[derive(Deserialize)]
struct Vectors<'a> {
    #[serde(default)]
    model: Lenient,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    data: Option<Vec<IgnoredAny>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

impl ReplyPeek {
    /// Reads a 2xx body of an embeddings request; a vector counts as a candidate.
    ///
    /// # Errors
    /// `upstream_bad_response` where it is no list of vectors; the fault inside where a 2xx body carries one.
    pub fn read_embeddings(body: &[u8]) -> Result<Self, Fault> {
        let answer: Vectors<'_> = serde_json::from_slice(body).map_err(|error| {
            let message = "The upstream's answer is not the JSON object that a list of embeddings is.";
            Fault::upstream(Code::UpstreamBadResponse, message).because(&error.to_string())
        })?;
        if answer.error.is_some_and(|error| error.get() != "null") {
            return Err(error::fault_inside(&error::decode(200, body)));
        }
        let Some(data) = answer.data else {
            let message = "The upstream's answer has no `data`; it is not a list of embeddings.";
            return Err(Fault::upstream(Code::UpstreamBadResponse, message));
        };
        Ok(Self {
            model: answer.model.0,
            usage: answer.usage.map(|usage| usage.input_only()),
            candidates: data.len(),
            ..Self::default()
        })
    }

    /// Reads a 2xx body.
    ///
    /// # Errors
    /// `upstream_bad_response` where it is no chat answer; the fault inside where a 2xx body carries one.
    pub fn read(body: &[u8]) -> Result<Self, Fault> {
        let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| {
            Fault::upstream(
                Code::UpstreamBadResponse,
                "The upstream's answer is not the JSON object that a chat completion is.",
            )
            .because(&error.to_string())
        })?;
        let Some(choices) = answer.choices else {
            return Err(match answer.error {
                Some(_) => error::fault_inside(&error::decode(200, body)),
                None => Fault::upstream(
                    Code::UpstreamBadResponse,
                    "The upstream's answer has no `choices`; it is not a chat completion.",
                ),
            });
        };
        if answer.error.is_some_and(|error| error.get() != "null")
            || choices.iter().any(|c| c.error.0 || c.finish_reason.0.as_deref() == Some("error"))
        {
            return Err(error::fault_inside(&error::decode(200, body)));
        }
        Ok(Self {
            id: answer.id.0,
            model: answer.model.0,
            service_tier: answer.service_tier.0,
            system_fingerprint: answer.system_fingerprint.0,
            usage: answer.usage.map(|usage| usage.normal()),
            finish: choices
                .first()
                .and_then(|c| finish::read(c.finish_reason.0.as_deref().unwrap_or_default())),
            candidates: choices.len(),
        })
    }
}
