//! The reader held against a second one by serde, which read answers before it.

use super::*;
use crate::{
    openai_chat::types::{Filled, Lenient},
    testkit,
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Second<'a> {
    id: Lenient,
    model: Lenient,
    service_tier: Lenient,
    system_fingerprint: Lenient,
    usage: Option<WireUsage>,
    choices: Option<Vec<Choice>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    finish_reason: Lenient,
    error: Filled,
}

fn second(body: &str) -> Result<ReplyPeek, Code> {
    let inside = || error::fault_inside(&error::decode(200, body.as_bytes())).code;
    let answer: Second<'_> = serde_json::from_str(body).map_err(|_| Code::UpstreamBadResponse)?;
    let failed = |c: &Choice| c.error.0 || c.finish_reason.0.as_deref() == Some("error");
    if answer.error.is_some() || answer.choices.iter().flatten().any(failed) {
        return Err(inside());
    }
    let choices = answer.choices.ok_or(Code::UpstreamBadResponse)?;
    let word = choices.first().and_then(|c| c.finish_reason.0.as_deref());
    Ok(ReplyPeek {
        id: answer.id.0,
        model: answer.model.0,
        service_tier: answer.service_tier.0,
        system_fingerprint: answer.system_fingerprint.0,
        usage: answer.usage.map(|usage| usage.normal()),
        finish: word.and_then(finish::read),
        candidates: choices.len(),
    })
}

fn check(body: &str) {
    let head: String = body.chars().take(300).collect();
    assert_eq!(ReplyPeek::read(body.as_bytes()).map_err(|fault| fault.code), second(body), "{head}");
}

const ANSWER: &str = r#" {"id":"chatcmpl-\u00e9\ud83e\udd80","object":"chat.completion","created":1754000000,"model":"gpt-4o-mini-2024-07-18",
"choices":[{"index":0,"message":{"role":"assistant","content":"Grüße \"🦀\"\n","refusal":null,"annotations":[]},
"logprobs":{"content":[{"token":"G","logprob":-1.5e-3,"bytes":[71, 114]}]},"finish_reason":"stop"},{"index":1,"finish_reason":"len\u0067th"}],
"data":[[0.5,-1],null],"usage":{"prompt_tokens":24,"completion_tokens":8,"total_tokens":32,"prompt_tokens_details":{"cached_tokens":3}},
"service_tier":"default","system_fingerprint":null} "#;

#[test]
fn every_recorded_answer_is_read_as_the_second_reader_reads_it() {
    let mut read = 0;
    let hosts = "azure-openai cerebras deepseek gemini-openai-compat groq huggingface mistral moonshotai ollama openai \
        openrouter perplexity together voyage xai zai";
    for host in hosts.split_whitespace() {
        for (_, recording) in testkit::fixtures(host).into_iter().flatten() {
            match (&recording["response"]["json"], &recording["response"]["text"]) {
                (Value::Null, Value::String(text)) => check(text),
                (json, _) => check(&json.to_string()),
            }
            read += 1;
        }
    }
    eprintln!("{read} recorded answers");
}

#[test]
fn ugly_answers_are_read_as_the_second_reader_reads_them() {
    let ok = r#""choices":[{"finish_reason":"stop"}],"data":[]"#;
    check(ANSWER);
    assert_eq!(ReplyPeek::read(ANSWER.as_bytes()).expect("an answer").candidates, 2);
    for (end, _) in ANSWER.char_indices() {
        check(ANSWER.get(..end).expect("a boundary"));
    }
    let values = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "7.9",
        "-0.5",
        "1e30",
        "18446744073709551616",
        "\"\"",
        "\"x\"",
        "\"\\n\"",
        "\"error\"",
        "\"\\u0065rror\"",
        "[]",
        "[ ]",
        "[0]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "[{\"a\":[]}]",
        "{\"message\":\"slow down\",\"code\":429}",
        "{\"code\":\"content_filter\"}",
    ];
    for value in values {
        for member in ["id", "model", "service_tier", "system_fingerprint", "error", "i\\u0064", "unknown"] {
            check(&format!("{{{ok},\"{member}\":{value}}}"));
            check(&format!("{{\"{member}\":{value}}}"));
        }
        for member in ["finish_reason", "error", "index"] {
            check(&format!("{{\"choices\":[{{\"{member}\":{value}}}]}}"));
            check(&format!("{{\"choices\":[{{}},{{\"{member}\":{value}}}]}}"));
        }
        for member in ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"] {
            check(&format!("{{{ok},\"usage\":{{\"prompt_tokens_details\":null,\"{member}\":{value}}}}}"));
        }
    }
    for choices in ["null", "[]", "5", "\"x\"", "{}", "[null]", "[5]", "[{}]", "[{},]", "[{} {}]"] {
        check(&format!("{{\"choices\":{choices},\"data\":{choices}}}"));
        check(&format!("{{\"choices\":{choices},\"error\":{{\"message\":\"x\"}}}}"));
    }
    for usage in [
        "null",
        "5",
        "\"x\"",
        "[]",
        "[1,null,2.5]",
        "[1,[]]",
        "{\"prompt_tokens_details\":[3]}",
        "{\"prompt_tokens_details\":5}",
        "{}",
        "{\"prompt_tokens\":1,\"prompt_tokens\":2}",
        "{\"a\":1,\"a\":2}",
    ] {
        check(&format!("{{{ok},\"usage\":{usage}}}"));
    }
    for body in [
        "",
        " ",
        "null",
        "5",
        "[",
        "<html>",
        "{}",
        "{} x",
        "\u{feff}{}",
        "{\"a\":01}",
        "{\"a\":\"\u{1}\"}",
        r#"{"choices":[],"x":{"a":1,"a":2},"y":1,"y":2}"#,
        r#"{"choices":[],"id":"a","id":"b"}"#,
        r#"{"choices":[],"choices":[]}"#,
        r#"{"choices":[{"error":null,"error":null}]}"#,
        r#"{"choices":[{"message":{"content":"\ud83d","a\udc00":"\udc00\ud83d","b":"\ud83d\u0041"}}]}"#,
        r#"{"choices":[{"message":{"content":"\ud83g"}}]}"#,
        r#"{"choices":[],"id":"\ud83d"}"#,
        r#"{"choices":[],"\ud83d":1}"#,
        r#"{"choices":[{"error":"\ud83d"}]}"#,
    ] {
        check(body);
    }
    let digits = "7".repeat(400);
    check(&format!("{{{ok},\"x\":[-{digits}.{digits}e-7]}}"));
    check(&format!("{{{ok},\"logprobs\":[{}0]}}", "1,".repeat(400_000)));
    for levels in [127, 128, 129, 300, 5_000] {
        check(&format!("{{{ok},\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels)));
        check(&format!("{{{ok},\"x\":{}1{}}}", "{\"a\":[".repeat(levels), "]}".repeat(levels)));
        check(&format!("{{{ok},\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels - 1)));
    }
    let bottomless = ReplyPeek::read(format!("{{\"x\":{}", "[".repeat(1_000_000)).as_bytes());
    assert_eq!(bottomless.map_err(|fault| fault.code), Err(Code::UpstreamBadResponse));
}

#[test]
fn what_is_not_utf8_is_refused_wherever_it_stands() {
    for body in [
        &b"{\"choices\":[],\"x\":\"\xff\"}"[..],
        b"{\"choices\":[{\"message\":\"\xc3\"}]}",
        b"{\"choices\":[]}\xe2\x82",
    ] {
        let code = |outcome: Result<ReplyPeek, Fault>| outcome.map_err(|fault| fault.code);
        assert_eq!(code(ReplyPeek::read(body)), Err(Code::UpstreamBadResponse));
        assert_eq!(code(ReplyPeek::read_embeddings(body)), Err(Code::UpstreamBadResponse));
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "(stop|error||.{0,40})".prop_map(Into::into),
    ];
    let name = "(id|model|usage|choices|data|error|finish_reason|prompt_tokens|.{0,4})";
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(name, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_members_are_read_alike(
        choices in prop::collection::vec(prop::collection::btree_map("(finish_reason|error|index)", value(), 0..3), 0..3),
        members in prop::collection::btree_map("(id|model|service_tier|usage|error|data|x)", value(), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut body: serde_json::Map<String, Value> = members.into_iter().collect();
        body.insert("choices".into(), choices.into_iter().map(|choice| Value::Object(choice.into_iter().collect())).collect());
        let text = Value::Object(body).to_string();
        check(&text);
        let mut end = cut.index(text.len() + 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        check(text.get(..end).expect("a boundary"));
    }
}
