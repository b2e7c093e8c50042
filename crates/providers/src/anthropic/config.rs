//! As written → checked.

use super::request;
use crate::{
    endpoint::{Endpoint, Reach},
    origin::Base,
    provider::Provider,
    written::{Errors, FieldError, Written},
};
use domain::Dialect;

pub(super) fn check(provider: &'static dyn Provider, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
    let mut errors = Errors::default();
    let (auth, dialect) = errors.common(provider, written, Dialect::AnthropicMessages);
    let wire_model = errors.wire_model(written);
    let version = written.api_version.as_deref().unwrap_or(request::VERSION);
    let version = errors.take(request::version(version));
    let base = Base::of(written, provider.descriptor().base_url, &mut errors);
    let (Some(base), Some(version)) = (base, version) else { return errors.finish(None) };
    let mut draft = request::draft(provider, dialect, base.without_root(&["/v1"]), wire_model, auth);
    draft.headers.push((request::VERSION_HEADER, version));
    draft.reach = Reach::Unknown;
    draft.finish(written, errors)
}
