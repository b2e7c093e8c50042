//! A configuration from the environment.

use crate::{FACTS, PACKS, PRICES};
use config::{Imagined, Shipped, Text, environment};
use std::path::Path;

fn find(variables: &[(&str, &str)]) -> (environment::Found, Imagined) {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let around = Imagined { variables, ..Imagined::default() };
    let catalog = ledger::Catalog::parse(PRICES).unwrap();
    (environment::find(&around, &catalog, jiff::civil::date(2026, 11, 21)), around)
}

#[test]
fn keys_become_deployments_and_no_secret_is_in_the_text() {
    let (found, around) = find(&[
        ("OPENAI_API_KEY", "sk-canary"),
        ("ANTHROPIC_API_KEY", "canary"),
        ("AZURE_OPENAI_API_KEY", "canary"),
        ("AZURE_OPENAI_ENDPOINT", "https://acme.openai.azure.com"),
        ("MISTRAL_API_KEY", "canary"),
        ("CABOTAGE_KEY", "sk-canary-gateway-0123456789"),
    ]);
    assert!(!found.text.contains("canary"));
    assert_eq!(found.providers, ["openai", "azure", "anthropic", "mistral"], "{:?}", found.notes);
    let shipped = Shipped { facts: FACTS, packs: PACKS, optional: &[] };
    let checked = config::check(Text { file: Path::new("environment"), text: &found.text }, shipped, &around)
        .unwrap_or_else(|problems| panic!("{problems}\n{}", found.text));
    let asked = |name: &str| checked.models.iter().find(|model| model.name.as_str() == name);
    assert_eq!(asked("gpt-5.4").map(|model| model.deployments.len()), Some(2), "OpenAI and Azure");
    assert!(asked("claude-opus-5-5").is_some());
    assert!(checked.deployments.len() <= 4 * environment::MODELS_PER_PROVIDER_MAX);
}

#[test]
fn models_can_be_chosen() {
    let (found, _) = find(&[("OPENAI_API_KEY", "sk"), ("CABOTAGE_MODELS", "gpt-5.4, gpt-5.4-mini")]);
    assert!(found.deployments >= 1 && found.deployments <= 2, "{}", found.text);
    assert!(found.text.contains("model = \"gpt-5.4\""));
}

#[test]
fn what_is_missing_beside_a_key_is_told() {
    let (found, _) = find(&[("AZURE_OPENAI_API_KEY", "canary"), ("OPENAI_API_KEY", " ")]);
    assert_eq!(found.deployments, 0);
    insta::assert_snapshot!(found.notes.join("\n"));
}

#[test]
fn nothing_gives_nothing() {
    assert_eq!(find(&[]).0.deployments, 0);
}
