//! The operator's word on who keeps state: only with its reason.

use crate::check;
use placement::CallClass;

fn with(lines: &str) -> String {
    format!(
        r#"
[classify]
discover = true
[[deployment]]
provider = "openai"
model = "gpt-5.4"
[[key]]
id = "me"
secret = {{ env = "GATEWAY_KEY" }}
workload = "app"
[[workload]]
name = "app"
{lines}
"#
    )
}

#[test]
fn a_class_with_its_reason_is_taken() {
    let checked = check(&with("class = \"stateful\"\nclass_reason = \" contract 17 \"")).unwrap();
    let own = checked.workloads[0].class.as_ref().unwrap();
    assert_eq!((own.class, &*own.reason), (CallClass::Stateful, "contract 17"));
    assert!(checked.discover);
    let silent = check(&with("").replace("discover = true", "")).unwrap();
    assert!(silent.workloads[0].class.is_none() && !silent.discover);
}

#[test]
fn one_without_the_other_is_an_error_with_its_line() {
    for (lines, message, hint) in [
        ("class = \"hybrid\"", "without a reason", "class_reason"),
        ("class = \"hybrid\"\nclass_reason = \"  \"", "without a reason", "class_reason"),
        ("class_reason = \"contract 17\"", "without a `class`", "class = "),
        ("class = \"warm\"\nclass_reason = \"x\"", "warm", "stateful"),
    ] {
        let problems = check(&with(lines)).unwrap_err().to_string();
        assert!(problems.contains(message) && problems.contains(hint), "{lines}: {problems}");
        assert!(problems.contains("etc/cabotage.toml:13") || problems.contains(":13"), "{lines}: {problems}");
    }
}
