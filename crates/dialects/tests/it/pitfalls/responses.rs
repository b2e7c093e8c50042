//! Whole answers: finish reasons, content, thoughts, usage.

use super::{
    client,
    run::{body, run},
};
use serde_json::{Value, json};

/// The only choice of an answer.
fn choice(outcome: &Value) -> &Value {
    let choices = &body(outcome)["choices"];
    assert_eq!(choices.as_array().map(Vec::len), Some(1), "{outcome}");
    &choices[0]
}

fn finish(outcome: &Value) -> &str {
    choice(outcome)["finish_reason"].as_str().expect("a finish reason")
}

/// Input, cached input, output, reasoning, total.
fn tokens(usage: &Value) -> [Option<u64>; 5] {
    [
        &usage["prompt_tokens"],
        &usage["prompt_tokens_details"]["cached_tokens"],
        &usage["completion_tokens"],
        &usage["completion_tokens_details"]["reasoning_tokens"],
        &usage["total_tokens"],
    ]
    .map(Value::as_u64)
}

#[test]
fn p64_stop_with_a_call_asks_for_tools() {
    let got = run("P64");
    assert_eq!(finish(&got["whole"]), "tool_calls");
    assert_eq!(finish(&got["without_a_call"]), "stop");
    for case in ["streamed", "call_in_an_earlier_chunk"] {
        let answer = client::read(&got[case]);
        assert_eq!((answer.finish.as_deref(), answer.calls.len()), (Some("tool_calls"), 1), "{case}");
    }
    let whole = &choice(&got["whole"])["message"]["tool_calls"][0]["id"];
    assert_eq!(*whole, client::read(&got["streamed"]).calls[0].id, "the same id both ways");
}

/// Our policy: a refusal is `content_filter`, a paused turn is not complete (`length`), an unknown word is `stop`
/// and told.
#[test]
fn p66_finish_words_stay_in_openais_list() {
    let got = run("P66");
    let wanted = [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "length"),
        ("model_context_window_exceeded", "length"),
        ("brand_new", "stop"),
    ];
    for (word, class) in wanted {
        assert_eq!(finish(&got[word]), class, "{word}");
        assert_eq!(got[word]["losses"], if word == "brand_new" { "finish_reason" } else { "" }, "{word}");
    }
    assert_eq!(client::read(&got["pause_turn_streamed"]).finish.as_deref(), Some("length"));
    assert_eq!(client::read(&got["refusal_streamed"]).finish.as_deref(), Some("content_filter"));
}

#[test]
fn p68_a_filter_is_content_filter_and_there_is_always_a_choice() {
    let got = run("P68");
    let cases = ["safety", "prohibited_content", "blocklist", "spii", "recitation", "blocked_prompt"];
    for case in cases.into_iter().chain(["blocked_prompt_with_empty_list"]) {
        assert_eq!(finish(&got[case]), "content_filter", "{case}");
        assert_eq!(choice(&got[case])["message"]["role"], "assistant", "{case}");
    }
    let streamed = client::read(&got["blocked_prompt_streamed"]);
    assert_eq!((streamed.finish.as_deref(), streamed.done), (Some("content_filter"), true));
}

#[test]
fn p69_an_answer_of_nothing_is_read() {
    let got = run("P69");
    let wanted = [
        ("no_content", "length"),
        ("no_parts", "stop"),
        ("empty_parts", "stop"),
        ("no_output_of_bedrock", "stop"),
    ];
    for (case, class) in wanted {
        assert_eq!(finish(&got[case]), class, "{case}");
        let content = &choice(&got[case])["message"]["content"];
        assert!(content.is_null() || content == "", "{case}: {content}");
    }
    let streamed = client::read(&got["streamed"]);
    assert_eq!((streamed.text.as_str(), streamed.finish.as_deref()), ("a", Some("stop")));
}

#[test]
fn p70_every_text_block_is_kept() {
    let got = run("P70");
    let message = &choice(&got["texts"])["message"];
    assert_eq!(message["content"], "one two three");
    assert_eq!(message["tool_calls"].as_array().map(Vec::len), Some(1));
    let streamed = client::read(&got["streamed"]);
    assert_eq!((streamed.text.as_str(), streamed.calls.len()), ("one two three", 1));
}

#[test]
fn p73_thoughts_come_back_byte_identical_in_order_and_to_nobody_else() {
    let got = run("P73");
    let trip = &got["round_trip"];
    let there = &choice(&trip["there"])["message"];
    assert_eq!(there["content"], "Let me look.", "thoughts are no text");
    assert_eq!(there["reasoning_content"], "First.Second.");
    let back = &body(&trip["back"]["anthropic"])["messages"][1]["content"];
    assert_eq!(
        *back,
        json!([
            {"type": "thinking", "thinking": "First.", "signature": "EqQBCkYIARgCKkD+/=="},
            {"type": "redacted_thinking", "data": "EmwKAhgB+/="},
            {"type": "thinking", "thinking": "Second.", "signature": "c2Vjb25k"},
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}},
        ])
    );
    for target in ["bedrock", "gemini", "openai"] {
        let outcome = &trip["back"][target];
        let text = body(outcome).to_string();
        assert!(
            !text.contains("EqQB") && !text.contains("EmwK") && !text.contains("First."),
            "{target}: {text}"
        );
        assert!(outcome["losses"].as_str().is_some_and(|losses| losses.contains("reasoning")), "{target}");
    }
    let openai = &body(&trip["back"]["openai"])["messages"][1];
    assert!(openai.get("reasoning_content").is_none(), "{openai}");
    let streamed = got["streamed"]["frames"].as_array().expect("frames");
    let details: Vec<&Value> = streamed
        .iter()
        .filter_map(|frame| frame["choices"][0]["delta"].get("reasoning_details"))
        .filter_map(|list| list.get(0))
        .collect();
    assert_eq!(details[0]["signature"], "EqQBCkYIARgCKkD+/==");
    assert_eq!((&details[0]["text"], &details[1]["data"]), (&"First.".into(), &"EmwKAhgB+/=".into()));
    assert_eq!(client::read(&got["streamed"]).reasoning, "First.");
}

#[test]
fn p74_geminis_signatures_come_back_on_their_part_or_are_stood_in_for() {
    let got = run("P74");
    let trip = &got["round_trip"];
    let there = &choice(&trip["there"])["message"];
    let proof = |data: &str| json!({"google": {"thought_signature": data}});
    assert_eq!(there["extra_content"], proof("dGV4dA=="));
    assert_eq!(there["tool_calls"][0]["extra_content"], proof("Y2FsbA=="));
    let parts = &body(&trip["back"]["gemini-3"])["contents"][1]["parts"];
    assert_eq!((&parts[0]["text"], &parts[0]["thoughtSignature"]), (&"Look.".into(), &"dGV4dA==".into()));
    assert_eq!(parts[1]["thoughtSignature"], "Y2FsbA==");
    assert!(parts[2].get("thoughtSignature").is_none(), "the second call of a step has none");
    let elsewhere = &trip["back"]["anthropic"];
    assert!(!body(elsewhere).to_string().contains("Y2FsbA"), "{elsewhere}");
    assert_eq!(elsewhere["losses"], "reasoning.signature;n=2", "of the text and of the call");
    let streamed = got["streamed"]["frames"].to_string();
    assert!(
        streamed.contains(r#""extra_content":{"google":{"thought_signature":"Y2FsbA=="}}"#),
        "{streamed}"
    );
    let contents = &body(&got["missing"]["gemini-3"])["contents"];
    let placeholder = "skip_thought_signature_validator";
    assert!(contents[1]["parts"][0].get("thoughtSignature").is_none(), "an earlier turn is not checked");
    assert_eq!(contents[5]["parts"][0]["thoughtSignature"], placeholder);
    assert!(contents[5]["parts"][1].get("thoughtSignature").is_none(), "the first call of the step only");
    let older = body(&got["missing"]["gemini"]).to_string();
    assert!(!older.contains(placeholder), "a model that demands none gets none");
}

#[test]
fn p75_redacted_thoughts_are_kept_and_unsigned_ones_not_sent() {
    let got = run("P75");
    let blocks = &body(&got["redacted"]["back"]["bedrock"])["messages"][1]["content"];
    assert_eq!(
        blocks[0],
        json!({"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}})
    );
    assert_eq!(blocks[1], json!({"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}}));
    assert!(blocks[2]["toolUse"].is_object(), "thoughts stand before the call");
    let unsigned = &got["unsigned"]["back"]["bedrock"];
    assert_eq!(body(unsigned)["messages"][1]["content"], json!([{"text": "Sun."}]));
    assert_eq!(unsigned["losses"], "reasoning");
}

#[test]
fn p77_mistrals_list_is_a_text_and_a_thought() {
    let got = run("P77");
    let message = &choice(&got["whole"])["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&"Sun.".into(), &"Hm.".into()));
    let streamed = client::read(&got["streamed"]);
    assert_eq!((streamed.text.as_str(), streamed.reasoning.as_str()), ("Sun.", "Hm."));
}

#[test]
fn p78_cached_tokens_are_part_of_the_prompt_once() {
    let got = run("P78");
    let wanted = [Some(105), Some(90), Some(7), Some(0), Some(112)];
    for case in ["whole", "of_bedrock"] {
        assert_eq!(tokens(&body(&got[case])["usage"]), wanted, "{case}");
    }
    assert_eq!(client::read(&got["streamed"]).usage.as_ref().map(tokens), Some(wanted));
}

#[test]
fn p80_geminis_thoughts_are_part_of_the_completion() {
    let got = run("P80");
    let wanted = [Some(20), Some(0), Some(80), Some(30), Some(100)];
    assert_eq!(tokens(&body(&got["thoughts"])["usage"]), wanted);
    assert_eq!(client::read(&got["streamed"]).usage.as_ref().map(tokens), Some(wanted));
    let with_tools = [Some(27), Some(0), Some(80), Some(30), Some(107)];
    assert_eq!(tokens(&body(&got["tool_prompts"])["usage"]), with_tools);
}

#[test]
fn p81_counts_that_nobody_gave_are_absent_or_zero_and_never_null() {
    let got = run("P81");
    let check = |case: &str, usage: &Value| {
        assert!(!usage.to_string().contains("null"), "{case}: {usage}");
        assert_eq!((&usage["prompt_tokens"], &usage["total_tokens"]), (&json!(10), &json!(15)), "{case}");
    };
    for case in ["anthropic", "gemini", "bedrock", "openai"] {
        check(case, &body(&got[case])["usage"]);
    }
    let openai = &body(&got["openai"])["usage"];
    assert!(openai.get("prompt_tokens_details").is_none(), "the same dialect is left as it is");
    check("streamed", client::read(&got["streamed"]).usage.as_ref().expect("usage"));
}

#[test]
fn p82_what_only_a_dialect_knows_stays_in_it_and_is_told_elsewhere() {
    let got = run("P82");
    let mut wanted = super::run::cases("P82")["same_dialect"].value("reply");
    wanted["model"] = "asked-for".into();
    assert_eq!(*body(&got["same_dialect"]), wanted, "untouched but for the model's name");
    let told = [
        ("citations_of_anthropic", vec!["choices.message.citations", "context_management"]),
        ("grounding_of_gemini", vec!["logprobs", "choices.avglogprobs", "choices.groundingmetadata"]),
        ("trace_of_bedrock", vec!["trace"]),
    ];
    for (case, names) in told {
        assert_eq!(got[case]["losses"], names.join(", "), "{case}");
        assert_eq!(choice(&got[case])["message"]["content"], "x", "{case}");
    }
}
