//! OpenAI's own API: bearer key, one global host and residency hosts per country or region.

mod config;
pub(crate) mod request;
mod response;
#[cfg(test)]
mod tests;

use crate::{
    endpoint::Endpoint,
    provider::{Descriptor, FieldUse, Provider},
    written::{AuthMethod, FieldError, Written},
};
use domain::Dialect;

/// OpenAI's own API.
#[derive(Debug)]
pub struct OpenAi;

static DESCRIPTOR: Descriptor = Descriptor {
    id: "openai",
    name: "OpenAI",
    clouds: &[],
    dialects: &[Dialect::OpenAiChat, Dialect::OpenAiResponses],
    auths: &[AuthMethod::Key],
    env_keys: &["OPENAI_API_KEY"],
    base_url: "https://api.openai.com/v1",
    fields: &[FieldUse {
        name: "region",
        required: false,
        says: "residency host: us, eu, au, in or jp; without it the global host",
    }],
    regions: config::RESIDENCIES,
    bills_cancelled: false,
    fingerprint: response::FINGERPRINT,
    recordings: &["openai"],
    docs: "https://platform.openai.com/docs/api-reference/chat",
};

impl Provider for OpenAi {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn check(&'static self, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
        config::check(self, written)
    }
}
