//! URLs and headers.

use crate::{
    endpoint::{Draft, Proof},
    gemini::request::{generate, segment},
    origin::Base,
    provider::Provider,
    written::{AuthMethod, FieldError},
};
use dialects::Quirks;
use domain::Dialect;
use http::HeaderName;

/// Locations that are jurisdictions, with hosts of their own form.
pub(super) const MULTI_REGIONS: &[&str] = &["us", "eu"];

/// What stands in the body instead of the header, where Claude is called here.
const ANTHROPIC_VERSION: &str = "vertex-2023-10-16";

/// The project and location of a path.
pub(super) struct Place<'a> {
    pub(super) project: &'a str,
    pub(super) location: &'a str,
}

/// The host of a location.
pub(super) fn host(location: &str) -> String {
    match location {
        "global" => "https://aiplatform.googleapis.com".into(),
        zone if MULTI_REGIONS.contains(&zone) => format!("https://aiplatform.{zone}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

/// Whether a model's name is of the family that is called by `rawPredict`.
pub(super) fn is_claude(model: &str) -> bool {
    model.starts_with("claude")
}

pub(super) fn draft(
    provider: &'static dyn Provider,
    dialect: Dialect,
    base: Base,
    wire_model: &str,
    auth: AuthMethod,
    place: &Place<'_>,
) -> Draft {
    let mut draft = Draft::new(provider, dialect, base, wire_model.to_owned(), auth);
    let publisher = if dialect == Dialect::AnthropicMessages { "anthropic" } else { "google" };
    let model = format!(
        "/v1/projects/{}/locations/{}/publishers/{publisher}/models/{}",
        place.project,
        place.location,
        segment(wire_model)
    );
    if dialect == Dialect::AnthropicMessages {
        draft.path = format!("{model}:rawPredict");
        draft.path_stream = format!("{model}:streamRawPredict");
        draft.quirks = Quirks { anthropic_version_in_body: Some(ANTHROPIC_VERSION), ..Quirks::default() };
    } else {
        draft.path = generate(&model, false);
        draft.path_stream = generate(&model, true);
        draft.quirks = Quirks { no_function_call_ids: true, ..Quirks::default() };
    }
    draft.model_in_body = false;
    if auth == AuthMethod::Key {
        draft.proof = Proof::Header(HeaderName::from_static("x-goog-api-key"));
    }
    draft
}

/// A project's id or number; old ids have a domain and a colon before them.
pub(super) fn project(text: &str) -> Result<&str, FieldError> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':' | b'.'));
    let dots = text.split([':', '.']).any(str::is_empty);
    if !plain || dots || text.len() > 100 {
        return Err(FieldError {
            field: "project",
            message: format!("`{}` is not a project's id", text.escape_debug()),
            hint: "lower-case letters, digits and hyphens, as in the console's address".into(),
        });
    }
    Ok(text)
}
