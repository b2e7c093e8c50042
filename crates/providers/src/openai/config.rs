//! As written → checked.

use super::request;
use crate::{
    endpoint::{Endpoint, Reach},
    origin::Base,
    provider::Provider,
    written::{Errors, FieldError, Written},
};
use domain::Dialect;

/// Residency hosts: `https://{region}.api.openai.com`. TLS ends and inference runs in the region.
pub(super) const RESIDENCIES: &[&str] = &["us", "eu", "au", "in", "jp"];

pub(super) fn check(provider: &'static dyn Provider, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
    let mut errors = Errors::default();
    let (auth, dialect) = errors.common(provider, written, Dialect::OpenAiChat);
    let wire_model = errors.wire_model(written);
    let region = written.region.as_deref();
    let host = match region {
        Some(region) if RESIDENCIES.contains(&region) => format!("https://{region}.api.openai.com"),
        Some(other) => {
            errors.add(
                "region",
                format!("`{}` has no residency host", other.escape_debug()),
                format!("use one of: {}; leave it out for the global host", RESIDENCIES.join(", ")),
            );
            return errors.finish(None);
        }
        None => "https://api.openai.com".to_owned(),
    };
    let Some(base) = Base::of(written, &host, &mut errors) else { return errors.finish(None) };
    let mut draft = request::draft(provider, dialect, base, wire_model, auth);
    draft.region = region.map(Into::into);
    draft.reach = region.map_or(Reach::Global, |region| Reach::Zone(region.into()));
    draft.finish(written, errors)
}
