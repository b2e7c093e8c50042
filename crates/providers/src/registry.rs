//! The one list of providers. Help, documents, configuration schema, capability and test matrices derive from it.
//!
//! To add a provider: a folder and one line in [`FOLDERS`]; a plain OpenAI-style host: one row in
//! `openai_compatible.rs`.

use crate::endpoint::Endpoint;
use crate::{
    anthropic, azure, bedrock, gemini, openai, openai_compatible,
    provider::Provider,
    vertex,
    written::{FieldError, Written},
};

/// Providers with a folder of their own.
static FOLDERS: [&dyn Provider; 6] = [
    &openai::OpenAi,
    &azure::Azure,
    &bedrock::Bedrock,
    &anthropic::Anthropic,
    &gemini::Gemini,
    &vertex::Vertex,
];

/// Every provider, in the order of the documents.
pub fn providers() -> impl Iterator<Item = &'static dyn Provider> {
    let rows = openai_compatible::HOSTS.iter().map(|host| host as &'static dyn Provider);
    FOLDERS.iter().copied().chain(rows)
}

/// The provider of this id.
#[must_use]
pub fn provider(id: &str) -> Option<&'static dyn Provider> {
    providers().find(|provider| provider.descriptor().id == id)
}

/// A deployment as written → checked and prepared, by the provider that it names.
///
/// # Errors
/// Every error at once, each with the field and a hint; an unknown provider with the near ones.
pub fn check(written: &Written) -> Result<Endpoint, Vec<FieldError>> {
    let Some(provider) = provider(&written.provider) else {
        let ids: Vec<&str> = providers().map(|provider| provider.descriptor().id).collect();
        return Err(vec![FieldError {
            field: "provider",
            message: format!("`{}` is not a provider", written.provider.escape_debug()),
            hint: format!(
                "use one of: {}; any other host with an OpenAI-style API is `openai-compatible` with an `endpoint`",
                ids.join(", ")
            )
            .into(),
        }]);
    };
    provider.check(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_and_descriptors_whole() {
        let mut ids = HashSet::new();
        for provider in providers() {
            let descriptor = provider.descriptor();
            assert!(ids.insert(descriptor.id), "{} twice", descriptor.id);
            let id_ok =
                descriptor.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(id_ok, "{}", descriptor.id);
            assert!(!descriptor.dialects.is_empty() && !descriptor.auths.is_empty(), "{}", descriptor.id);
            assert!(descriptor.docs.starts_with("https://"), "{}", descriptor.id);
            assert!(
                !descriptor.recordings.is_empty() || descriptor.id == "openai-compatible",
                "a row ships with its recording: {}",
                descriptor.id
            );
        }
    }

    #[test]
    fn marks_of_a_host_are_its_own() {
        let mut seen = HashSet::new();
        for provider in providers() {
            let print = &provider.descriptor().fingerprint;
            for mark in print.headers.iter().chain(print.ids).chain(print.fields) {
                assert!(seen.insert(*mark), "{mark} is claimed by two providers");
            }
        }
    }

    #[test]
    fn an_unknown_provider_is_told_the_known_ones() {
        let errors = check(&Written { provider: "azur".into(), ..Written::default() }).expect_err("unknown");
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].field, "provider");
        assert!(errors[0].hint.contains("azure"), "{}", errors[0]);
    }
}
