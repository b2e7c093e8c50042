//! Google AI Studio: the Gemini API for developers, with a key.

mod config;
pub(crate) mod request;
mod response;
#[cfg(test)]
mod tests;

use crate::{
    endpoint::Endpoint,
    fault::{self, Answer},
    provider::{Descriptor, Provider},
    written::{AuthMethod, FieldError, Written},
};
use domain::{Dialect, Fault};

/// Google AI Studio.
#[derive(Debug)]
pub struct Gemini;

static DESCRIPTOR: Descriptor = Descriptor {
    id: "gemini",
    name: "Google AI Studio",
    clouds: &["google"],
    dialects: &[Dialect::Gemini],
    auths: &[AuthMethod::Key],
    env_keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    base_url: "https://generativelanguage.googleapis.com",
    fields: &[],
    regions: &[],
    bills_cancelled: false,
    fingerprint: response::FINGERPRINT,
    recordings: &["gemini"],
    docs: "https://ai.google.dev/api/generate-content",
};

impl Provider for Gemini {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn check(&'static self, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
        config::check(self, written)
    }

    fn fault(&self, endpoint: &Endpoint, answer: &Answer<'_>) -> Fault {
        fault::classify(endpoint, answer, response::kind(answer))
    }
}
