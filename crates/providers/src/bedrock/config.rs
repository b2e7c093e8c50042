//! As written → checked.

use super::request;
use crate::{
    endpoint::{Endpoint, Reach},
    origin::Base,
    provider::Provider,
    written::{Errors, FieldError, Written, label},
};
use domain::Dialect;

/// Inference profiles by geography, the words before the model's id.
pub(super) const PROFILES: &[&str] = &["us", "eu", "jp", "au", "apac", "in", "us-gov", "ca", "global"];

pub(super) fn check(provider: &'static dyn Provider, written: &Written) -> Result<Endpoint, Vec<FieldError>> {
    let mut errors = Errors::default();
    let name = written.wire_model.as_deref().unwrap_or(&written.model);
    let (in_name, bare) = request::split_profile(name, PROFILES);
    let usual = if bare.starts_with("openai.") { Dialect::OpenAiChat } else { Dialect::BedrockConverse };
    let (auth, dialect) = errors.common(provider, written, usual);
    let mut wire_model = errors.wire_model(written);
    if !name.is_empty() && !bare.contains('.') && !bare.starts_with("arn:") {
        errors.add(
            if written.wire_model.is_some() { "wire_model" } else { "model" },
            format!("`{}` is not an id of this provider", name.escape_debug()),
            "write `wire_model` with the maker before it (anthropic.claude-…, openai.gpt-…) or an ARN",
        );
    }
    let profile = match (written.profile.as_deref(), in_name) {
        (None, in_name) => in_name,
        (Some(profile), _) if !PROFILES.contains(&profile) => {
            errors.add(
                "profile",
                format!("`{}` is not an inference profile", profile.escape_debug()),
                format!("use one of: {}", PROFILES.join(", ")),
            );
            None
        }
        (Some(profile), Some(in_name)) if profile == in_name => Some(profile),
        (Some(_), Some(in_name)) => {
            errors.add(
                "profile",
                format!("disagrees with the `{in_name}.` before the model's id"),
                "write the profile in one place",
            );
            None
        }
        (Some(_), None) if bare.starts_with("arn:") => {
            errors.add("profile", "is written beside an ARN", "remove it; the ARN names its profile");
            None
        }
        (Some(profile), None) => {
            wire_model = format!("{profile}.{wire_model}");
            Some(profile)
        }
    };
    let region = match written.region.as_deref() {
        None => {
            errors.add("region", "is missing", "write the AWS region that is called, for instance us-east-2");
            None
        }
        Some(region) => errors.take(label("region", region, "as AWS spells it, for instance us-east-2")),
    };
    let own = request::host(region.unwrap_or("us-east-1"));
    let base = Base::of(written, &own, &mut errors);
    let (Some(base), Some(region)) = (base, region) else { return errors.finish(None) };
    let base = base.without_root(&["/openai/v1"]);
    let reach = reach(&wire_model, profile);
    let mut draft = request::draft(provider, dialect, base, wire_model, auth, region);
    draft.region = Some(region.to_owned());
    draft.reach = reach;
    draft.finish(written, errors)
}

/// A profile carries a call out of its region; an ARN says itself what it is, except an application's own
/// profile, which may be of any kind.
fn reach(wire_model: &str, profile: Option<&str>) -> Reach {
    let in_arn =
        wire_model.split_once("inference-profile/").map(|(_, id)| request::split_profile(id, PROFILES).0);
    match (profile, in_arn) {
        (Some("global"), _) | (None, Some(Some("global"))) => Reach::Global,
        (Some(zone), _) | (None, Some(Some(zone))) => Reach::Zone(zone.into()),
        (None, Some(None)) => Reach::Unknown,
        (None, None) => Reach::Region,
    }
}
