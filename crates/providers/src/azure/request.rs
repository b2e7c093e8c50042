//! URLs and headers.

use crate::{
    endpoint::{Draft, Proof},
    gemini::request::segment,
    openai::request::operation,
    origin::Base,
    provider::Provider,
    written::{AuthMethod, FieldError},
};
use dialects::Quirks;
use domain::{Dialect, SecretNeed};
use http::{HeaderName, HeaderValue};

/// What an Entra token must be for.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// The host of a resource.
pub(super) fn host(resource: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::AnthropicMessages => format!("https://{resource}.services.ai.azure.com"),
        _ => format!("https://{resource}.openai.azure.com"),
    }
}

pub(super) fn draft(
    provider: &'static dyn Provider,
    dialect: Dialect,
    base: Base,
    wire_model: String,
    auth: AuthMethod,
    version: Option<&str>,
) -> Draft {
    let mut draft = Draft::new(provider, dialect, base, wire_model, auth);
    let deployment = segment(&draft.wire_model);
    let path = |operation: &str| match version {
        None => format!("/openai/v1/{operation}"),
        Some(version) => format!("/openai/deployments/{deployment}/{operation}?api-version={version}"),
    };
    (draft.path, draft.path_embeddings) = match (dialect, version) {
        (Dialect::AnthropicMessages, _) => ("/anthropic/v1/messages".into(), None),
        // Its dated road has no deployment in the path: the body names it.
        (Dialect::OpenAiResponses, Some(version)) => {
            (format!("/openai/responses?api-version={version}"), Some(path("embeddings")))
        }
        _ => (path(operation(dialect)), Some(path("embeddings"))),
    };
    draft.path_stream.clone_from(&draft.path);
    if dialect == Dialect::AnthropicMessages {
        let version = HeaderValue::from_static("2023-06-01");
        draft.headers.push((HeaderName::from_static("anthropic-version"), version));
    } else {
        draft.quirks =
            Quirks { max_tokens_field: dialects::MaxTokensField::MaxCompletionTokens, ..Quirks::default() };
    }
    match auth {
        AuthMethod::Key if dialect == Dialect::AnthropicMessages => {
            draft.proof = Proof::Header(HeaderName::from_static("x-api-key"));
        }
        AuthMethod::Key => draft.proof = Proof::Header(HeaderName::from_static("api-key")),
        AuthMethod::Entra => draft.secret_need = SecretNeed::Entra { scope: SCOPE },
        _ => {}
    }
    draft.call_header = Some(HeaderName::from_static("x-ms-client-request-id"));
    draft
}

/// A dated version: `2024-10-21`, `2025-04-01-preview`.
pub(super) fn version(text: &str) -> Result<&str, FieldError> {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    if date.len() == 10 && date.parse::<jiff::civil::Date>().is_ok() {
        return Ok(text);
    }
    Err(FieldError {
        field: "api_version",
        message: format!("`{}` is not a dated version", text.escape_debug()),
        hint: "write it as 2024-10-21 or 2025-04-01-preview, or leave it out for the v1 API".into(),
    })
}
