//! URLs and headers.

use crate::{
    endpoint::{Draft, Proof},
    origin::Base,
    provider::Provider,
    written::{AuthMethod, FieldError},
};
use domain::Dialect;
use http::{HeaderName, HeaderValue};

/// The version of the API that the dialect is written for.
pub(super) const VERSION: &str = "2023-06-01";
/// Where it stands.
pub(super) const VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");

pub(super) fn draft(
    provider: &'static dyn Provider,
    dialect: Dialect,
    base: Base,
    wire_model: String,
    auth: AuthMethod,
) -> Draft {
    let mut draft = Draft::new(provider, dialect, base, wire_model, auth);
    draft.path = "/v1/messages".into();
    draft.path_stream.clone_from(&draft.path);
    if auth == AuthMethod::Key {
        draft.proof = Proof::Header(HeaderName::from_static("x-api-key"));
    }
    draft
}

/// The version header's value: a date.
pub(super) fn version(text: &str) -> Result<HeaderValue, FieldError> {
    let date = text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10;
    HeaderValue::try_from(text).ok().filter(|_| date).ok_or_else(|| FieldError {
        field: "api_version",
        message: format!("`{}` is not a date", text.escape_debug()),
        hint: format!("write it as {VERSION}, or leave it out").into(),
    })
}
