//! Google Cloud's Vertex AI: Gemini by `generateContent`, Claude by `rawPredict`; regional, multi-region and
//! global hosts.

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

/// Google Cloud's Vertex AI.
#[derive(Debug)]
pub struct Vertex;

static DESCRIPTOR: Descriptor = Descriptor {
    id: "vertex",
    name: "Google Vertex AI",
    clouds: &["google"],
    dialects: &[Dialect::Gemini, Dialect::AnthropicMessages],
    auths: &[AuthMethod::Adc, AuthMethod::Bearer, AuthMethod::Key],
    env_keys: &[],
    base_url: "https://{location}-aiplatform.googleapis.com",
    fields: &[
        FieldUse { name: "project", required: true, says: "the Google Cloud project" },
        FieldUse {
            name: "location",
            required: true,
            says: "a region (europe-west4), a multi-region (us, eu) or global",
        },
    ],
    regions: &[
        "global",
        "us",
        "eu",
        "us-central1",
        "us-east1",
        "us-east5",
        "us-west1",
        "europe-west1",
        "europe-west4",
        "asia-southeast1",
    ],
    bills_cancelled: false,
    fingerprint: response::FINGERPRINT,
    recordings: &["vertex"],
    docs: "https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
};

impl Provider for Vertex {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn check(&'static self, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
        config::check(self, written)
    }
}
