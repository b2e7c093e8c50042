//! What an answer shows of who wrote it, and how the filter's refusal is told.

use crate::{
    evidence::{Fingerprint, MayShow},
    fault::Answer,
};
use dialects::WireErrorKind;
use memchr::memmem;

/// The models of other makers that Foundry hosts show their makers' marks (recorded: OpenAI's headers, xAI's cost
/// field).
pub(super) const FINGERPRINT: Fingerprint = Fingerprint {
    headers: &[
        "apim-request-id",
        "x-ms-region",
        "x-ms-deployment-name",
        "x-ms-rai-invoked",
        "azureml-model-session",
        "azureml-served-by-cluster",
        "ms-azureml-model-time",
        "azureai-*",
        "x-ratelimit-abusepenalty-active",
        "x-ms-is-spilled-over",
        "x-ms-aoai-*",
        "x-ms-served-model",
    ],
    shared: &[],
    ids: &[],
    fields: &["prompt_filter_results", "content_filter_results"],
    request_id: Some("apim-request-id"),
    region: Some("x-ms-region"),
    may_show: MayShow::Also(&["openai", "anthropic", "xai", "mistral", "deepseek"]),
};

/// A 400 with the filter's own results inside is the filter's, whatever the words around it say.
pub(super) fn kind(answer: &Answer<'_>) -> WireErrorKind {
    let filtered = answer.said.code.as_deref() == Some("content_filter")
        || memmem::find(answer.body, b"ResponsibleAIPolicyViolation").is_some()
        || memmem::find(answer.body, b"\"content_filter_result\"").is_some();
    if answer.status == 400 && filtered {
        return WireErrorKind::ContentFilter;
    }
    if answer.said.code.as_deref() == Some("DeploymentNotFound") {
        return WireErrorKind::ModelNotFound;
    }
    if answer.status == 400
        && answer.said.message.as_deref().is_some_and(|said| said.contains("exceed the configured limit"))
    {
        return WireErrorKind::ContextLength;
    }
    answer.said.kind
}
