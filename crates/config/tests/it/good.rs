//! What is accepted, and what it becomes.

use crate::{check, sources};
use domain::SnapshotEpoch;
use engine::Explains;
use std::time::Duration;

const GOOD: &str = r#"
explain_to_callers = "none"

[listen]
data = "127.0.0.1:9090"

[journal]
dir = "data"
retention = "7d"

[limits]
body = "8 MiB"
drain = "5s"
idle = "75s"

[terms]
dir = "terms"
[terms.events]
agi-declared = "2030-01-01"
[[terms.pack]]
id = "microsoft-openai"
mode = "enforce"
[[terms.pack]]
id = "eu-residency"
mode = "off"

[upstream]
timeouts = { connect = "1s" }
proxy = "http://proxy.internal:3128"
proxy_auth = { env = "PROXY_AUTH" }
no_proxy = [".internal"]

[[deployment]]
name = "azure-we"
provider = "azure"
resource = "acme"
region = "westeurope"
model = "gpt-5.4"
api_key = { env = "AZURE_KEY" }
order = 10
concurrency = 8
facts = { retention = "zero", attestations = ["iso27001", "soc2"] }
capabilities = { vision = false, context_tokens = 64000 }

[[deployment]]
provider = "openai"
model = "gpt-5.4"
timeouts = { total = "30s" }

[[deployment]]
name = "on-prem"
provider = "vllm"
endpoint = "http://gpu.internal:8000"
model = "gpt-oss-120b"
facts = { cloud = "on-prem", jurisdictions = "@eu-eea" }
price = { input = 0.5, output = 1.25 }
proxy = ""

[[deployment]]
provider = "bedrock"
region = "us-east-2"
model = "claude-opus-5-5"
wire_model = "us.anthropic.claude-opus-5-5"

[[model]]
name = "smart"
aliases = ["gpt-4"]
of = "gpt-5.4"

[[model]]
name = "cheap"
deployments = ["on-prem", "azure-we"]

[[workload]]
name = "research"
team = "lab"
organisation = "acme"
may_pin = true
explain_to_callers = "full"

[[workload]]
name = "support"
residency = "eu"
retention = "zero"
data_classes = ["personal"]
tags = ["customer-facing"]
models = ["smart"]

[[key]]
id = "lab"
secret = { env = "GATEWAY_KEY" }
workload = "research"

[[key]]
id = "desk"
secret = { file = "secret.txt" }
workload = "support"
"#;

#[test]
fn a_good_configuration_becomes_what_it_says() {
    let checked = check(GOOD).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(checked.listen.data.port(), 9090);
    assert_eq!(checked.listen.admin.port(), 8081);
    assert_eq!(checked.journal.dir.to_str(), Some("etc/data"));
    assert_eq!(checked.limits.body, 8 << 20);
    assert_eq!(checked.limits.idle, std::time::Duration::from_secs(75));
    assert_eq!(checked.terms.packs().len(), 2, "acme-bank and microsoft-openai");
    let names: Vec<&str> = checked.deployments.iter().map(|own| own.id.as_str()).collect();
    assert_eq!(names, ["azure-we", "openai/gpt-5.4", "on-prem", "bedrock/claude-opus-5-5"]);
    let models: Vec<String> = checked.models.iter().map(|model| model.name.to_string()).collect();
    assert_eq!(models, ["cheap", "claude-opus-5-5", "gpt-4", "gpt-5.4", "gpt-oss-120b", "smart"]);
    let smart = checked.models.iter().find(|model| model.name.as_str() == "smart").unwrap();
    assert_eq!(smart.deployments.len(), 2);
    let files: Vec<_> = checked.files.iter().filter_map(|file| file.to_str()).collect();
    assert_eq!(files, ["etc/cabotage.toml", "etc/terms/acme-bank.toml", "etc/secret.txt"]);
    assert_eq!(checked.workloads[0].explains, Explains::Full);
    assert_eq!(checked.workloads[1].explains, Explains::None);
}

#[test]
fn what_is_not_said_is_inherited() {
    let checked = check(GOOD).unwrap();
    let [azure, openai, on_prem, bedrock] = &checked.deployments[..] else { panic!("four") };
    assert_eq!(azure.connect_timeout, Duration::from_secs(1));
    assert_eq!(azure.timeouts.total, Duration::from_secs(600));
    assert_eq!(openai.timeouts.total, Duration::from_secs(30));
    assert_eq!((azure.order, openai.order, azure.concurrency), (10, 100, 8));
    let proxy = azure.proxy.as_ref().unwrap();
    assert_eq!((&*proxy.host, proxy.port, proxy.bypasses("gpu.internal")), ("proxy.internal", 3128, true));
    assert_eq!(proxy.authorization.as_deref(), Some("Basic Y2FuYXJ5OnByb3h5"));
    assert!(on_prem.proxy.is_none(), "switched off");
    assert!(matches!(bedrock.secret, config::checked::SecretOrigin::Identity));
}

#[test]
fn a_snapshot_is_made_of_it() {
    let checked = check(GOOD).unwrap();
    let sources = sources();
    let spec = config::build(&checked, &sources, SnapshotEpoch(7)).unwrap();
    assert_eq!(spec.placement.epoch(), SnapshotEpoch(7));
    assert_eq!(spec.deployments.len(), 4);
    let [azure, openai, on_prem, bedrock] = &spec.deployments[..] else { panic!("four") };
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    for priced in [azure, openai, on_prem, bedrock] {
        assert!(priced.prices.at(now).is_some(), "{} has no price", priced.id);
    }
    assert_eq!(on_prem.prices.at(now).unwrap().rates(ledger::Tier::Standard, 10).unwrap().input, 500_000);
    assert!(!azure.capabilities.vision && openai.capabilities.vision, "changed for one of the two");
    assert_eq!(azure.capabilities.context_tokens, 64_000);
    let facts = spec.placement.fleet().deployments().map(|(_, facts)| facts).collect::<Vec<_>>();
    let said = |index: usize, attribute| facts[index].value(attribute, now).to_string();
    assert_eq!(said(0, placement::Attribute::Retention), "zero");
    assert_eq!(said(0, placement::Attribute::Region), "westeurope");
    assert_eq!(said(2, placement::Attribute::Cloud), "on-prem");
    assert_eq!(said(3, placement::Attribute::GeoTier), "geo");
    assert_eq!(spec.workloads.len(), 2);
    assert_ne!(spec.workloads[0].principal, spec.workloads[1].principal, "the rules can tell them apart");
}

#[test]
fn the_smallest_configuration_is_two_tables() {
    let checked = check(
        "[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\n[[key]]\nid = \"me\"\nsecret = { env = \"GATEWAY_KEY\" }\n",
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(checked.keys[0].workload.as_str(), "default");
    assert_eq!(checked.terms.packs().len(), 2, "the shipped packs");
    assert!(checked.notes.0.is_empty(), "{}", checked.notes);
}

#[test]
fn what_should_be_known_is_noted() {
    let checked = check(
        "[listen]\nadmin = \"0.0.0.0:8081\"\n[[deployment]]\nprovider = \"azure\"\nresource = \"acme\"\nregion = \"westeurop\"\nmodel = \"gpt-5.4\"\napi_key = { value = \"canary\", in_clear = true }\n[[key]]\nid = \"me\"\nsecret = { value = \"short-canary\", in_clear = true }\n",
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    insta::assert_snapshot!(checked.notes);
    assert!(!format!("{checked:?}").contains("canary"), "Debug shows a secret");
}

#[test]
fn a_deployment_that_rules_about_families_do_not_see_is_noted() {
    let with = |model: &str, facts: &str| {
        let text = format!(
            "[[deployment]]\nprovider = \"openai\"\nmodel = \"{model}\"\n{facts}[[key]]\nid = \"me\"\nsecret = {{ env = \"GATEWAY_KEY\" }}\n"
        );
        check(&text).unwrap_or_else(|problems| panic!("{problems}")).notes.to_string()
    };
    let noted = with("house-model-7", "");
    assert!(noted.contains("nobody states the family of `house-model-7` (openai/house-model-7)"), "{noted}");
    assert_eq!(with("house-model-7", "facts = { family = \"other\" }\n"), "");
    assert_eq!(with("gpt-5.4", ""), "");
}

#[test]
fn an_optional_pack_is_in_force_only_where_it_is_named_or_in_the_operators_folder() {
    let base = "[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\n[[key]]\nid = \"me\"\nsecret = { env = \"GATEWAY_KEY\" }\n";
    let packs = |head: &str| -> Vec<String> {
        let checked = check(&format!("{head}\n{base}")).unwrap_or_else(|problems| panic!("{problems}"));
        checked.terms.packs().iter().map(|pack| pack.id.to_string()).collect()
    };
    let named = |mode: &str| format!("[[terms.pack]]\nid = \"us-only\"\nmode = \"{mode}\"\n");
    let usual = ["microsoft-openai", "eu-residency"];
    assert_eq!(packs(""), usual);
    assert_eq!(packs(&named("off")), usual);
    assert_eq!(packs(&named("enforce")), ["microsoft-openai", "eu-residency", "us-only"]);
    assert_eq!(packs("[terms]\ndir = \"own-terms\"\n"), ["us-only", "microsoft-openai", "eu-residency"]);
}

#[test]
fn an_overlay_of_the_user_beats_more_specific_rows_of_the_shipped_book() {
    use placement::{Attribute, DeploymentSpec};
    let text = "facts = [\"lab-facts.toml\"]\n[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\n[[key]]\nid = \"me\"\nsecret = { env = \"GATEWAY_KEY\" }\n";
    let checked = check(text).unwrap_or_else(|problems| panic!("{problems}"));
    let own = &checked.deployments[0];
    let spec = DeploymentSpec {
        id: own.id.clone(),
        provider: "openai".into(),
        model: own.model.clone(),
        stated: own.stated.clone(),
    };
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let fact = checked.facts.describe(&spec).at(Attribute::Retention, now);
    assert_eq!((fact.value.as_word(), &*fact.source), ("zero", "contract 4711"));
}
