//! Organisation → team → workload: what is handed down, and that a lower level may only narrow.

use crate::{check, sources};
use domain::SnapshotEpoch;
use placement::{Attribute, Mode, Value};

const BASE: &str = r#"
[[deployment]]
provider = "openai"
model = "gpt-5.4"
[[deployment]]
provider = "openai"
model = "gpt-6.1-sol"
[[key]]
id = "me"
secret = { env = "GATEWAY_KEY" }
workload = "app"
"#;

const LEVELS: &str = r#"
[organisation.acme]
residency = "eu"
pins = { logs = "eu" }
retention = "days30"
tags = ["audited", "internal"]
data_classes = ["personal"]
packs = ["eu-residency"]
modes = { microsoft-openai = "warn" }
models = ["gpt-5.4", "gpt-6.1-sol"]
[team.pay]
organisation = "acme"
retention = "zero"
tags = ["audited"]
data_classes = ["payment"]
modes = { microsoft-openai = "enforce" }
"#;

fn with(levels: &str, workload: &str) -> String {
    format!("{levels}\n[[workload]]\nname = \"app\"\n{workload}\n{BASE}")
}

fn problems(levels: &str, workload: &str) -> String {
    check(&with(levels, workload)).map_or_else(|problems| problems.to_string(), |_| "accepted".to_owned())
}

#[test]
fn a_workload_inherits_what_its_organisation_and_team_set() {
    let text = with(LEVELS, "team = \"pay\"\nmodels = [\"gpt-5.4\"]\ndata_classes = [\"health\"]");
    let checked = check(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let own = &checked.workloads[0];
    let value = |attribute| own.profile.value(attribute);
    for (attribute, expected) in [
        (Attribute::Organisation, "acme"),
        (Attribute::Team, "pay"),
        (Attribute::Residency, "eu"),
        (Attribute::PinInference, "eu"),
        (Attribute::PinState, "eu"),
        (Attribute::PinLogs, "eu"),
        (Attribute::PinBackups, "none"),
        (Attribute::RetentionRequired, "zero"),
    ] {
        assert_eq!(value(attribute).as_word(), expected, "{attribute}");
    }
    assert_eq!(value(Attribute::Tags), Value::set(["audited"], "none"));
    let classes: Vec<&str> = own.profile.data_classes.iter().map(|class| &**class).collect();
    assert_eq!(classes, ["personal", "payment", "health"]);
    assert_eq!(own.models.iter().map(|model| model.as_str()).collect::<Vec<_>>(), ["gpt-5.4"]);
    assert_eq!(own.profile.modes.get("microsoft-openai"), Some(&Mode::Enforce));
}

#[test]
fn a_raised_mode_refuses_for_its_workloads_and_for_nobody_else() {
    let levels = "[organisation.acme]\nmodes = { microsoft-openai = \"enforce\" }\n";
    let text = with(levels, "organisation = \"acme\"\n[[workload]]\nname = \"other\"");
    let checked = check(&text).unwrap_or_else(|problems| panic!("{problems}"));
    let spec = config::build(&checked, &sources(), SnapshotEpoch(1)).unwrap();
    let placement = &spec.placement;
    let fleet = placement.fleet();
    let observed_or_refused = |workload: &str| {
        let (principal, data_classes) = fleet.workload(&workload.into()).unwrap();
        let key = placement::PermissionKey {
            epoch: SnapshotEpoch(1),
            // A date at which OpenAI is declared to be elsewhere than on Azure does not exist; ask for AWS's rule
            // by way of the only window in which an unknown cloud is refused.
            window: placement.window_at(placement::instant::parse("2026-03-15").unwrap()),
            action: placement::Action::Infer,
            principal,
            deployment: placement::DeploymentIndex(0),
            call_class: placement::CallClass::Stateless,
            data_classes,
            surface: placement::Surface::OpenAiChat,
        };
        let mut ask = placement.ask(key).unwrap();
        ask.set(Attribute::Cloud, Value::word("aws"));
        let found = placement.terms().evaluate(&ask);
        (found.refused.len(), found.observed.len())
    };
    assert_eq!(observed_or_refused("app"), (1, 0));
    assert_eq!(observed_or_refused("other"), (0, 1));
}

#[test]
fn what_would_widen_is_an_error_that_names_both_places() {
    for (workload, expected) in [
        (
            "team = \"pay\"\nresidency = \"us\"",
            "etc/cabotage.toml:21:13: `residency = \"us\"` widens what the level above sets: \"eu\" (etc/cabotage.toml:3)",
        ),
        ("team = \"pay\"\nresidency = \"none\"", "`residency = \"none\"` widens"),
        (
            "team = \"pay\"\npins = { logs = \"none\" }",
            "`pins.logs = \"none\"` widens what the level above sets: \"eu\" (etc/cabotage.toml:4)",
        ),
        (
            "team = \"pay\"\npins = { state = \"none\" }",
            "`pins.state = \"none\"` widens what the level above sets: \"eu\" (etc/cabotage.toml:3)",
        ),
        (
            "team = \"pay\"\nretention = \"days30\"",
            "`retention = \"days30\"` widens what the level above sets: \"zero\" (etc/cabotage.toml:13)",
        ),
        (
            "team = \"pay\"\ntags = [\"internal\"]",
            "the mark `internal` is not among those that the level above allows (etc/cabotage.toml:14)",
        ),
        (
            "team = \"pay\"\nmodes = { microsoft-openai = \"observe\" }",
            "`modes.microsoft-openai = \"observe\"` widens what the level above sets: \"enforce\" (etc/cabotage.toml:16)",
        ),
        (
            "team = \"pay\"\nmodes = { eu-residency = \"warn\" }",
            "`modes.eu-residency = \"warn\"` widens what the level above sets: \"enforce\" ((shipped) terms/eu-residency.toml)",
        ),
        ("team = \"pay\"\norganisation = \"other\"", "the workload is of `other`, but its team of `acme`"),
        ("team = \"pai\"", "there is no team `pai`"),
        ("organisation = \"acmee\"", "there is no organisation `acmee`\n    hint: did you mean `acme`?"),
        (
            "team = \"pay\"\nmodes = { microsoft-openia = \"enforce\" }",
            "no pack `microsoft-openia` is in force\n    hint: did you mean `microsoft-openai`?",
        ),
    ] {
        let said = problems(LEVELS, workload);
        assert!(said.contains(expected), "expected {expected:?} in\n{said}");
    }
    let said = problems(
        &LEVELS.replace("\"gpt-5.4\", \"gpt-6.1-sol\"", "\"gpt-5.4\""),
        "team = \"pay\"\nmodels = [\"gpt-6.1-sol\"]",
    );
    assert!(
        said.contains(
            "the model `gpt-6.1-sol` is not among those that the level above allows (etc/cabotage.toml:10)"
        ),
        "{said}"
    );
    // A team above a workload narrows its organisation, too.
    let said = problems(&LEVELS.replace("retention = \"zero\"", "retention = \"any\""), "team = \"pay\"");
    assert!(said.contains("cabotage.toml:13:13: `retention = \"any\"` widens"), "{said}");
    for (from, to, expected) in [
        (
            "packs = [\"eu-residency\"]",
            "packs = [\"us-only\"]",
            "cabotage.toml:8:10: no pack `us-only` is in force",
        ),
        ("\"gpt-6.1-sol\"]", "\"gpt-7\"]", "there is no model `gpt-7`"),
        ("organisation = \"acme\"", "organisation = \"acne\"", "there is no organisation `acne`"),
        ("residency = \"eu\"", "residence = \"eu\"", "`organisation.acme` has no `residence`"),
    ] {
        let said = problems(&LEVELS.replacen(from, to, 1), "team = \"pay\"");
        assert!(said.contains(expected), "expected {expected:?} in\n{said}");
    }
}

#[test]
fn all_that_widens_is_told_at_once() {
    let said = check(&with(
        LEVELS,
        "team = \"pay\"\nresidency = \"us\"\nretention = \"any\"\ntags = [\"x\", \"y\"]",
    ))
    .unwrap_err();
    assert_eq!(said.0.len(), 4, "{said}");
}

#[test]
fn without_levels_names_are_only_names() {
    let checked = check(&with(
        "",
        "team = \"anybody\"\norganisation = \"acme\"\ntags = [\"x\"]\nrisk_class = \"high\"\nlatency_class = \"batch\"\ncountry = \"de\"\npins = { sub_processors = \"eu\" }",
    ));
    let own = &checked.unwrap_or_else(|problems| panic!("{problems}")).workloads[0].profile;
    let word = |attribute| own.value(attribute).to_string();
    assert_eq!(word(Attribute::Organisation), "acme");
    assert_eq!(
        (word(Attribute::RiskClass), word(Attribute::LatencyClass)),
        ("high".to_owned(), "batch".to_owned())
    );
    assert_eq!(
        (word(Attribute::Country), word(Attribute::PinSubProcessors)),
        ("de".to_owned(), "eu".to_owned())
    );
    for (text, expected) in [
        ("pins = { backup = \"eu\" }", "`workload.pins` has no `backup`"),
        ("pins = { backups = \"mars\" }", "`workload.pins.backups` knows no value `mars`"),
        ("risk_class = \"hi\"", "`workload.risk_class` knows no value `hi`"),
        ("country = \"@eu-eea\"", "`workload.country` knows no value `@eu-eea`"),
    ] {
        let said = problems("", text);
        assert!(said.contains(expected), "expected {expected:?} in\n{said}");
    }
}
