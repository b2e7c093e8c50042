//! As written → checked.

use super::request;
use crate::{
    endpoint::Endpoint,
    origin::Base,
    provider::Provider,
    written::{Errors, FieldError, Written, label},
};
use domain::Dialect;

pub(super) fn check(provider: &'static dyn Provider, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
    let mut errors = Errors::default();
    let usual =
        if written.model.starts_with("claude") { Dialect::AnthropicMessages } else { Dialect::OpenAiChat };
    let (auth, dialect) = errors.common(provider, written, usual);
    let wire_model = errors.wire_model(written);
    let resource = match (&written.resource, &written.endpoint) {
        (Some(resource), _) => errors.take(label(
            "resource",
            resource,
            "the first part of the resource's host, without the dots",
        )),
        (None, Some(_)) => Some("unused"),
        (None, None) => {
            errors.add("resource", "is missing", "write the resource's name, or its URL as `endpoint`");
            None
        }
    };
    let region = written.region.as_deref().and_then(|region| {
        errors.take(label("region", region, "as Azure spells it, for instance swedencentral"))
    });
    let version = written.api_version.as_deref().and_then(|text| errors.take(request::version(text)));
    if dialect == Dialect::AnthropicMessages && version.is_some() {
        errors.add("api_version", "is not used by Claude in Foundry", "remove it");
    }
    let own = request::host(resource.unwrap_or("unused"), dialect);
    let base = Base::of(written, &own, &mut errors);
    let (Some(base), Some(_)) = (base, resource) else { return errors.finish(None) };
    let base = base.without_root(&["/openai/v1", "/openai", "/anthropic/v1", "/anthropic"]);
    let mut draft = request::draft(provider, dialect, base, wire_model, auth, version);
    draft.region = region.map(Into::into);
    draft.finish(written, errors)
}
