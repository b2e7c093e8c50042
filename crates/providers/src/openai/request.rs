//! URLs and headers.

use crate::{endpoint::Draft, origin::Base, provider::Provider, written::AuthMethod};
use dialects::{MaxTokensField, Quirks};
use domain::Dialect;
use http::HeaderName;

/// Where hosts of OpenAI's APIs answer a dialect, below their root.
pub(crate) const fn operation(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiResponses => "responses",
        _ => "chat/completions",
    }
}

pub(super) fn draft(
    provider: &'static dyn Provider,
    dialect: Dialect,
    base: Base,
    wire_model: String,
    auth: AuthMethod,
) -> Draft {
    // Where the operator's URL has a path, it stands for `/v1`, as `base_url` does in the SDKs.
    let root = if base.prefix.is_empty() { "/v1" } else { "" };
    let mut draft = Draft::new(provider, dialect, base, wire_model, auth);
    draft.path = format!("{root}/{}", operation(dialect));
    draft.path_stream.clone_from(&draft.path);
    draft.path_embeddings = Some(format!("{root}/embeddings"));
    // The newer models refuse the old name, and every model takes the new one.
    draft.quirks = Quirks { max_tokens_field: MaxTokensField::MaxCompletionTokens, ..Quirks::default() };
    draft.call_header = Some(HeaderName::from_static("x-client-request-id"));
    draft
}
