//! As written → checked.

use super::request;
use crate::{
    endpoint::{Endpoint, Reach},
    origin::Base,
    provider::Provider,
    written::{Errors, FieldError, Written, label},
};
use domain::Dialect;

pub(super) fn check(provider: &'static dyn Provider, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
    let mut errors = Errors::default();
    let usual = if request::is_claude(written.wire_model.as_deref().unwrap_or(&written.model)) {
        Dialect::AnthropicMessages
    } else {
        Dialect::Gemini
    };
    let (auth, dialect) = errors.common(provider, written, usual);
    let wire_model = errors.wire_model(written);
    let project = match written.project.as_deref() {
        None => {
            errors.add("project", "is missing", "write the project's id, as in the console's address");
            None
        }
        Some(project) => errors.take(request::project(project)),
    };
    let location = match written.location.as_deref() {
        None => {
            errors.add(
                "location",
                "is missing",
                "a region such as europe-west4, a multi-region (us, eu) or global",
            );
            None
        }
        Some(location) => {
            errors.take(label("location", location, "a region such as europe-west4, us, eu or global"))
        }
    };
    let own = request::host(location.unwrap_or("global"));
    let base = Base::of(written, &own, &mut errors);
    let (Some(base), Some(project), Some(location)) = (base, project, location) else {
        return errors.finish(None);
    };
    let base = base.without_root(&["/v1", "/v1beta1"]);
    let place = request::Place { project, location };
    let mut draft = request::draft(provider, dialect, base, &wire_model, auth, &place);
    draft.region = Some(location.to_owned());
    draft.reach = match location {
        "global" => Reach::Global,
        zone if request::MULTI_REGIONS.contains(&zone) => Reach::Zone(zone.into()),
        _ => Reach::Region,
    };
    draft.finish(written, errors)
}
