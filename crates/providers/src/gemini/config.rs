//! As written → checked.

use super::request;
use crate::{
    endpoint::{Draft, Endpoint, Proof, Reach},
    origin::Base,
    provider::Provider,
    written::{Errors, FieldError, Written},
};
use domain::Dialect;
use http::HeaderName;

pub(super) fn check(provider: &'static dyn Provider, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
    let mut errors = Errors::default();
    let (auth, dialect) = errors.common(provider, written, Dialect::Gemini);
    let wire_model = errors.wire_model(written);
    let Some(base) = Base::of(written, provider.descriptor().base_url, &mut errors) else {
        return errors.finish(None);
    };
    let base = base.without_root(&["/v1beta"]);
    // People copy the id with the collection before it.
    let wire_model = wire_model.strip_prefix("models/").map_or(wire_model.clone(), Into::into);
    let mut draft = Draft::new(provider, dialect, base, wire_model, auth);
    let model = format!("/v1beta/models/{}", request::segment(&draft.wire_model));
    draft.path = request::generate(&model, false);
    draft.path_stream = request::generate(&model, true);
    draft.model_in_body = false;
    draft.reach = Reach::Global;
    draft.proof = Proof::Header(HeaderName::from_static("x-goog-api-key"));
    draft.finish(written, errors)
}
