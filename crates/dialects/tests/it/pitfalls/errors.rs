//! Error bodies of upstreams. What a caller reads of one that came with its own status is made of the kind by the
//! providers' crate; what he reads of one that came with a 200 is made here.

use super::{
    client,
    run::{refusal, run},
};
use serde_json::Value;

/// Our own sentence, and not a word of the upstream's.
fn leaks_nothing(case: &str, outcome: &Value) {
    let message = outcome["message"].as_str().unwrap_or_default();
    let shown = outcome["inside_of_200"].to_string();
    assert!(message.len() < 8 || !shown.contains(message), "{case}: {shown}");
}

#[test]
fn p104_a_usage_limit_that_comes_as_400_is_a_quota() {
    let got = run("P104");
    for case in ["usage_limit", "no_credit"] {
        assert_eq!(got[case]["kind"], "Quota", "{case}");
        let inside = &got[case]["inside_of_200"];
        assert_eq!(refusal(inside, 429).0, "insufficient_quota", "{case}");
        assert_eq!(
            (&inside["retry"], &inside["counts_against_health"]),
            (&"NextCandidate".into(), &false.into())
        );
        leaks_nothing(case, &got[case]);
    }
}

#[test]
fn p105_every_hosts_words_for_a_context_that_is_too_long() {
    let got = run("P105");
    for (case, outcome) in got.as_object().expect("cases") {
        assert_eq!(outcome["kind"], "ContextLength", "{case}");
        leaks_nothing(case, outcome);
    }
    for case in ["anthropic", "anthropic_limit_and_prompt", "azure", "azure_by_words", "openai", "gemini"] {
        let inside = &got[case]["inside_of_200"];
        assert_eq!(refusal(inside, 400).0, "context_length_exceeded", "{case}");
        assert_eq!(inside["body"]["error"]["type"], "invalid_request_error", "{case}");
        assert_eq!(
            (&inside["retry"], &inside["counts_against_health"]),
            (&"Stop".into(), &false.into()),
            "{case}"
        );
    }
}

#[test]
fn p106_azures_filter_keeps_its_code_and_is_not_tried_elsewhere() {
    let got = run("P106");
    let azure = &got["azure"];
    assert_eq!((&azure["kind"], &azure["code"]), (&"ContentFilter".into(), &"content_filter".into()));
    for outcome in [&azure["inside_of_200"], &got["streamed"]["failed"]] {
        assert_eq!(refusal(outcome, 400).0, "content_filter");
        assert_eq!(outcome["retry"], "Stop");
    }
}

#[test]
fn p107_error_bodies_of_every_shape() {
    let got = run("P107");
    let wanted = [
        ("mistral_detail", &["Auth"][..], Some("Unauthorized")),
        ("mistral_list", &["Invalid"], Some("field required")),
        ("cohere", &["Auth"], Some("invalid api token")),
        ("gemini_list", &["RateLimit"], Some("Resource has been exhausted")),
        ("gemini_list_of_a_compatible_host", &["RateLimit"], Some("Resource has been exhausted")),
        ("bedrock", &["Auth"], Some("The security token included in the request is invalid.")),
        ("openrouter_number", &["Quota"], Some("Insufficient credits")),
        ("error_is_a_text", &["ModelNotFound"], Some("model 'x' not found")),
        // Where the words say nothing, the kind is the status's or none, and the status decides.
        ("html", &["Server"], None),
        ("html_of_anthropic", &["Server", "Unknown"], None),
        ("html_of_gemini", &["ModelNotFound"], None),
        ("html_of_bedrock", &["Overloaded"], None),
        ("nothing", &["Server"], None),
        ("truncated", &["Server"], None),
        ("a_number", &["Server"], None),
    ];
    assert_eq!(wanted.len(), got.as_object().map_or(0, serde_json::Map::len));
    for (case, kinds, message) in wanted {
        let outcome = &got[case];
        assert!(kinds.contains(&outcome["kind"].as_str().unwrap_or_default()), "{case}: {}", outcome["kind"]);
        if let Some(message) = message {
            assert_eq!(outcome["message"], message, "{case}");
        }
        let inside = &outcome["inside_of_200"];
        let status = inside["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect(case);
        refusal(inside, status);
        leaks_nothing(case, outcome);
    }
    assert_eq!(got["gemini_list"]["inside_of_200"]["counts_against_health"], false, "a limit is no illness");
}

/// The caller's key is not at fault, and no end of ours is shown.
#[test]
fn p108_a_refused_key_of_ours_is_a_502() {
    let got = run("P108");
    assert_eq!(got["deepseek"]["kind"], "Auth");
    let streamed = &got["streamed"]["failed"];
    for outcome in [&got["deepseek"]["inside_of_200"], &got["inside_of_200"], streamed] {
        assert_eq!(refusal(outcome, 502).0, "upstream_auth");
        assert_eq!(outcome["body"]["error"]["type"], "server_error");
        assert!(!outcome.to_string().contains("1234"), "{outcome}");
    }
    assert!(client::read(&got["streamed"]).error.is_some());
}

#[test]
fn p113_an_error_inside_of_a_200_is_a_failure() {
    let got = run("P113");
    let wanted = [
        ("in_a_choice", 429, "rate_limit_exceeded"),
        ("finish_error", 502, "upstream_error"),
        ("at_the_top", 502, "upstream_error"),
        ("no_choices", 502, "upstream_bad_response"),
        ("html", 502, "upstream_bad_response"),
        ("truncated", 502, "upstream_bad_response"),
    ];
    for (case, status, code) in wanted {
        assert_eq!(refusal(&got[case], status).0, code, "{case}");
        assert_eq!(got[case]["retry"], "NextCandidate", "{case}");
    }
    assert_eq!(got["null_error_is_none"]["body"]["choices"][0]["message"]["content"], "Sun.");
}
