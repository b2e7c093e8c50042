//! `cabotage catalog`.

use crate::{cabotage, folder};
use serde_json::Value;
use std::path::Path;

const CONFIG: &str = r#"
facts = ["own-facts.toml"]
[[deployment]]
name = "west"
provider = "azure"
resource = "acme"
region = "westeurope"
model = "gpt-5.4"
facts = { geo_tier = "data-zone" }
api_key = { env = "AZURE_KEY_OF_NOBODY" }
[[deployment]]
provider = "openai"
model = "gpt-5.4"
[[key]]
id = "me"
secret = { env = "KEY_OF_NOBODY" }
"#;

const OWN: &str = r#"as_of = 2026-01-10
[[fact]]
of = { provider = "openai" }
says = { retention = "zero" }
basis = "declared-by-contract"
source = "contract 4711"
confidence = "stated"
"#;

fn ours() -> tempfile::TempDir {
    folder(&[("cabotage.toml", CONFIG), ("own-facts.toml", OWN)])
}

/// Exit code, standard output, standard error.
fn ask(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = cabotage(dir).arg("catalog").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(dir: &Path, arguments: &[&str], code: i32) -> Value {
    let (found, out, err) = ask(dir, &[arguments, &["--json"]].concat());
    assert_eq!(found, Some(code), "{out}{err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn fact<'v>(facts: &'v Value, name: &str) -> &'v Value {
    facts.as_array().unwrap().iter().find(|fact| fact["fact"] == name).unwrap()
}

#[test]
fn a_deployment_is_shown_with_sources_dates_and_what_an_overlay_shadows() {
    let dir = ours();
    let now = "2026-11-21";
    let shown = json(dir.path(), &["show", "openai/gpt-5.4", "-c", "cabotage.toml", "--at", now], 0);
    let retention = fact(&shown["facts"], "retention");
    assert_eq!(retention["value"], "zero");
    assert_eq!(retention["source"], "contract 4711");
    assert_eq!(retention["as_of"], "2026-01-10");
    assert_eq!(retention["overlay"], true);
    assert_eq!(retention["shadows"][0]["value"], "days30");
    let cloud = fact(&shown["facts"], "cloud");
    assert_eq!(
        (&cloud["value"], &cloud["since"]),
        (&Value::from("undisclosed"), &Value::from("2026-04-27T00:00:00Z"))
    );
    let before =
        json(dir.path(), &["show", "openai/gpt-5.4", "-c", "cabotage.toml", "--at", "2026-03-15"], 0);
    let cloud = fact(&before["facts"], "cloud");
    assert_eq!(cloud["value"], "azure");
    assert_eq!(cloud["basis"], "declared-by-contract");
    assert_eq!(cloud["then"], "undisclosed");
    let (code, text, _) = ask(dir.path(), &["show", "west", "-c", "cabotage.toml", "--at", now]);
    assert_eq!(code, Some(0));
    for part in [
        "west: gpt-5.4 at azure, as of 2026-11-21 00:00 UTC",
        "  jurisdictions                eu",
        "  availability                 ga  (since 2026-03-05, until 2027-09-02, then retired)",
        "documented, verified, looked up 2026-11-21: https://learn.microsoft.com",
        "catalog/facts.toml:",
        "nobody states it",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn a_model_is_shown_at_its_hosts_without_a_configuration() {
    let dir = folder(&[]);
    let (code, text, err) = ask(dir.path(), &["show", "gpt-5.5", "--at", "2026-05-10"]);
    assert_eq!(code, Some(0), "{err}");
    for part in [
        "family                       openai-proprietary",
        "bedrock, region us-east-2\n    availability gated-preview (since 2026-04-28, until 2026-06-01, then ga)",
        "seller aws · operator aws · processor aws · cloud aws · retention flagged-30d",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let shown =
        json(dir.path(), &["show", "claude-opus-5-5", "--provider", "azure", "--hosted-on", "anthropic"], 0);
    assert_eq!(fact(&shown["facts"], "seller")["value"], "anthropic");
    assert_eq!(fact(&shown["facts"], "cloud")["value"], "undisclosed");
    let (code, _, err) = ask(dir.path(), &["show", "gpt-5.5x"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no deployment and no model `gpt-5.5x`") && err.contains("did you mean"), "{err}");
    let (code, _, err) = ask(dir.path(), &["show", "gpt-5.5", "--provider", "azure", "--hosted-on", "asure"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("`hosted_on` knows no value `asure`"), "{err}");
}

#[test]
fn the_book_and_the_fleet_are_shown_at_a_glance() {
    let dir = ours();
    let (code, text, _) = ask(dir.path(), &["show"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("dated facts, fact book ") && text.contains("availability"), "{text}");
    let (code, text, _) = ask(dir.path(), &["show", "-c", "cabotage.toml", "--at", "2026-11-21"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("2 deployments, as of 2026-11-21 00:00 UTC") && text.contains("  west\n"),
        "{text}"
    );
    assert!(text.contains("family openai-proprietary · cloud azure · region westeurope"), "{text}");
}

#[test]
fn two_dates_are_compared() {
    let dir = ours();
    let found = json(dir.path(), &["diff", "2026-04-26T23:59:59Z", "2026-04-27", "-c", "cabotage.toml"], 3);
    let own = found["deployments"].as_array().unwrap();
    assert_eq!(own.len(), 1, "{own:#?}");
    assert_eq!(
        (own[0]["deployment"].as_str(), own[0]["fact"].as_str()),
        (Some("openai/gpt-5.4"), Some("cloud"))
    );
    assert_eq!(own[0]["before"][0]["value"], "azure");
    assert_eq!(own[0]["after"][0]["value"], "undisclosed");
    let (code, text, _) = ask(dir.path(), &["diff", "2026-11-21", "2026-11-22", "-c", "cabotage.toml"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, _, err) = ask(dir.path(), &["diff", "2026-11-22", "2026-11-21"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("is not after"), "{err}");
    let (code, _, err) = ask(dir.path(), &["diff", "2026-11-22", "shipped"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("are not of a kind"), "{err}");
}

#[test]
fn two_books_are_compared() {
    let dir = ours();
    let found = json(dir.path(), &["diff", "shipped", "shipped+own-facts.toml", "-c", "cabotage.toml"], 3);
    assert_eq!(found["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(found["rows"][0]["fact"], "retention");
    assert_eq!(found["rows"][0]["place_after"][1], "own-facts.toml:2");
    let own = found["deployments"].as_array().unwrap();
    assert_eq!(own.len(), 1);
    assert_eq!(
        (own[0]["deployment"].as_str(), own[0]["after"][0]["value"].as_str()),
        (Some("openai/gpt-5.4"), Some("zero"))
    );
    let (code, text, _) = ask(dir.path(), &["diff", "shipped", "shipped+own-facts.toml"]);
    assert_eq!(code, Some(3));
    assert!(text.contains("  changed: retention of provider openai"), "{text}");
    assert!(text.contains("name them with -c FILE"), "{text}");
    assert_eq!(ask(dir.path(), &["diff", "shipped", "shipped"]).0, Some(0));
    let (code, _, err) = ask(dir.path(), &["diff", "shipped", "none.toml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("none.toml cannot be read"), "{err}");
}

#[test]
fn what_is_stale_is_told() {
    let dir = ours();
    let found = json(dir.path(), &["stale", "-c", "cabotage.toml", "--at", "2026-11-22"], 3);
    let old = found["facts"]["old"].as_array().unwrap();
    assert_eq!(old.len(), 1, "{old:#?}");
    assert_eq!(
        (
            old[0]["as_of"].as_str(),
            old[0]["place"].as_str().is_some_and(|place| place.ends_with("own-facts.toml:2"))
        ),
        (Some("2026-01-10"), true)
    );
    assert!(found["facts"]["unmatched"].as_array().unwrap().len() > 10);
    assert!(found["facts"]["single_source"].as_array().unwrap().len() > 10);
    let (code, text, _) =
        ask(dir.path(), &["stale", "--at", "2027-08-01", "--older-than", "900d", "--within", "60d"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("  2027-09-02 retired: model gpt-5.4, provider azure"), "{text}");
    let (code, text, _) = ask(dir.path(), &["stale", "--at", "2026-11-22", "--within", "1d"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, _, err) = ask(dir.path(), &["stale", "--older-than", "soon"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("`soon` is not a number of days"), "{err}");
    let broken = folder(&[("f.toml", "as_of = 2026-01-01\n[[fact]]\nof = { providr = \"x\" }\n")]);
    let (code, out, err) = ask(broken.path(), &["stale", "--facts", "f.toml"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(err.contains("f.toml:3:8: rows cannot match on `providr`"), "{err}");
}
