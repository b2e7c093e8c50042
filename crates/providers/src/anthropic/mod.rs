//! Anthropic's own API: key in `x-api-key`, API version in a header.

mod config;
mod request;
mod response;
#[cfg(test)]
mod tests;

use crate::{
    endpoint::Endpoint,
    provider::{Descriptor, FieldUse, Provider},
    written::{AuthMethod, FieldError, Written},
};
use domain::Dialect;

/// Anthropic's own API.
#[derive(Debug)]
pub struct Anthropic;

static DESCRIPTOR: Descriptor = Descriptor {
    id: "anthropic",
    name: "Anthropic",
    clouds: &[],
    dialects: &[Dialect::AnthropicMessages],
    auths: &[AuthMethod::Key, AuthMethod::Bearer],
    env_keys: &["ANTHROPIC_API_KEY"],
    base_url: "https://api.anthropic.com",
    fields: &[FieldUse {
        name: "api_version",
        required: false,
        says: "the `anthropic-version` header; without it 2023-06-01",
    }],
    regions: &[],
    bills_cancelled: false,
    fingerprint: response::FINGERPRINT,
    recordings: &["anthropic"],
    docs: "https://docs.anthropic.com/en/api/messages",
};

impl Provider for Anthropic {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn check(&'static self, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
        config::check(self, written)
    }

    fn fault(&self, endpoint: &Endpoint, answer: &crate::Answer<'_>) -> domain::Fault {
        crate::fault::classify(endpoint, answer, response::kind(answer))
    }
}
