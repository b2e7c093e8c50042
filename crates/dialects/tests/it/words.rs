//! The same conversation has the same words, whoever spells it: the bytes of a chat request, the decoded chat
//! request, and the same talk in Anthropic's, Bedrock's and Gemini's dialects give one row of atoms.

use bytes::Bytes;
use dialects::{Envelope, codec, openai_chat::passthrough::Request};
use domain::{
    Dialect,
    atom::{self, Written},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What is said in one turn.
#[derive(Clone, Debug)]
enum Turn {
    User(Vec<String>),
    Model(String),
    /// The model asks for tools, by name and argument, and each answers.
    Tools(Vec<(String, String, String)>),
}

#[derive(Clone, Debug)]
struct Talk {
    system: Option<String>,
    turns: Vec<Turn>,
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "[ -~]{1,40}", "\\PC{1,20}", Just("Zeile\n\"zwei\"\\ \t".to_owned())]
        .prop_filter("not blank", |text| !text.trim().is_empty())
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        prop::collection::vec(word(), 1..3).prop_map(Turn::User),
        word().prop_map(Turn::Model),
        prop::collection::vec(("[a-z_]{1,12}", word(), word()), 1..3).prop_map(Turn::Tools),
    ]
}

prop_compose! {
    fn talk()(system in prop::option::of(word()), first in word(), rest in prop::collection::vec(turn(), 0..6)) -> Talk {
        let mut turns = vec![Turn::User(vec![first])];
        turns.extend(rest);
        Talk { system, turns }
    }
}

fn chat(talk: &Talk) -> Value {
    let mut messages: Vec<Value> = Vec::new();
    messages.extend(talk.system.iter().map(|text| json!({"role": "system", "content": text})));
    for (number, turn) in talk.turns.iter().enumerate() {
        match turn {
            Turn::User(texts) if texts.len() == 1 => {
                messages.push(json!({"role": "user", "content": texts[0]}))
            }
            Turn::User(texts) => {
                let parts: Vec<Value> =
                    texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
                messages.push(json!({"role": "user", "content": parts}));
            }
            Turn::Model(text) => messages.push(json!({"role": "assistant", "content": text})),
            Turn::Tools(calls) => {
                let id = |at: usize| format!("call_{number}_{at}");
                let asked: Vec<Value> = calls
                    .iter()
                    .enumerate()
                    .map(|(at, (name, argument, _))| {
                        let arguments = format!(" {{\"z\": 1 ,\"a\":{}}}", json!(argument));
                        json!({"id": id(at), "type": "function", "function": {"name": name, "arguments": arguments}})
                    })
                    .collect();
                messages.push(json!({"role": "assistant", "content": null, "tool_calls": asked}));
                messages.extend(calls.iter().enumerate().map(
                    |(at, (_, _, answer))| json!({"role": "tool", "tool_call_id": id(at), "content": answer}),
                ));
            }
        }
    }
    json!({"model": "m", "messages": messages})
}

/// Both of these dialects talk in blocks; `tool` spells a call, `result` its answer.
fn blocks(
    talk: &Talk,
    text: fn(&str) -> Value,
    tool: fn(&str, &str, &Value) -> Value,
    result: fn(&str, &str) -> Value,
) -> Vec<Value> {
    let mut messages = Vec::new();
    for (number, turn) in talk.turns.iter().enumerate() {
        match turn {
            Turn::User(texts) => {
                let parts: Vec<Value> = texts.iter().map(|said| text(said)).collect();
                messages.push(json!({"role": "user", "content": parts}));
            }
            Turn::Model(said) => messages.push(json!({"role": "assistant", "content": [text(said)]})),
            Turn::Tools(calls) => {
                let id = |at: usize| format!("toolu_{number}_{at}");
                let numbered = || calls.iter().enumerate();
                let asked: Vec<Value> = numbered()
                    .map(|(at, (name, argument, _))| tool(&id(at), name, &json!({"a": argument, "z": 1})))
                    .collect();
                let answered: Vec<Value> =
                    numbered().map(|(at, (_, _, answer))| result(&id(at), answer)).collect();
                messages.push(json!({"role": "assistant", "content": asked}));
                messages.push(json!({"role": "user", "content": answered}));
            }
        }
    }
    messages
}

fn anthropic(talk: &Talk) -> Value {
    let messages = blocks(
        talk,
        // A mark for the cache moves from call to call and is not said.
        |text| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}),
        |id, name, input| json!({"type": "tool_use", "id": id, "name": name, "input": input}),
        |id, answer| json!({"type": "tool_result", "tool_use_id": id, "content": answer}),
    );
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": messages});
    if let Some(system) = &talk.system {
        body["system"] = json!(system);
    }
    body
}

fn bedrock(talk: &Talk) -> Value {
    let messages = blocks(
        talk,
        |text| json!({"text": text}),
        |id, name, input| json!({"toolUse": {"toolUseId": id, "name": name, "input": input}}),
        |id, answer| json!({"toolResult": {"toolUseId": id, "content": [{"text": answer}]}}),
    );
    let mut body = json!({"messages": messages});
    if let Some(system) = &talk.system {
        body["system"] = json!([{"text": system}]);
    }
    body
}

fn decoded(dialect: Dialect, body: &Value) -> Vec<String> {
    let envelope = Envelope { model: Some("m"), ..Envelope::default() };
    let call = codec(dialect).decode_call(body.to_string().as_bytes(), &envelope).unwrap();
    let mut out = Written::default();
    atom::of_call(&call, &mut out);
    out.0
}

fn from_bytes(body: &Value) -> Vec<String> {
    let mut out = Written::default();
    Request::scan(Bytes::from(body.to_string())).unwrap().words(&mut out);
    out.0
}

proptest! {
    #[test]
    fn every_dialect_says_the_same(talk in talk()) {
        let chat = chat(&talk);
        let words = decoded(Dialect::OpenAiChat, &chat);
        prop_assert!(!words.is_empty());
        prop_assert_eq!(&from_bytes(&chat), &words);
        prop_assert_eq!(&decoded(Dialect::AnthropicMessages, &anthropic(&talk)), &words);
        prop_assert_eq!(&decoded(Dialect::BedrockConverse, &bedrock(&talk)), &words);
    }

    #[test]
    fn another_word_is_another_row(talk in talk(), turn in any::<prop::sample::Index>()) {
        let mut other = talk.clone();
        match turn.get_mut(&mut other.turns) {
            Turn::User(texts) => texts[0].push_str(" not"),
            Turn::Model(text) => text.push_str(" not"),
            Turn::Tools(calls) => calls[0].2.push_str(" not"),
        }
        prop_assert_ne!(from_bytes(&chat(&talk)), from_bytes(&chat(&other)));
    }
}

#[test]
fn media_refusals_thoughts_and_odd_parts_are_read_alike_from_bytes_and_items() {
    let body = json!({"model": "m", "messages": [
        {"content": [
            {"type": "text", "text": "look"},
            {"image_url": {"url": "data:image/jpg;base64,QUJD", "detail": "low"}, "type": "image_url"},
            {"type": "image_url", "image_url": "https://example.com/a.png"},
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}},
            {"type": "file", "file": {"file_id": "file-1", "file_data": "data:application/pdf;base64,JVBE"}},
            {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
            {"type": "unheard_of", "id": "1", "x": {"b": 1, "a": 2}},
        ], "role": "user"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": " said "}],
         "reasoning_content": "hm", "refusal": "no"},
        {"role": "assistant", "refusal": "never"},
        {"role": "developer", "content": "  "},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "c", "type": "custom", "custom": {"name": "run", "input": "ls -l"}},
            {"id": "d", "type": "function", "function": {"name": "f", "arguments": {"k": [1, 2]}}},
            {"id": "e", "type": "function", "function": {"name": "g"}}]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "a.txt"}]},
        {"role": "tool", "tool_call_id": "d", "content": ""},
        {"role": "user", "content": "Ende \u{1f600} \u{e9}"},
    ]});
    let words = from_bytes(&body);
    assert_eq!(words, decoded(Dialect::OpenAiChat, &body));
    assert_eq!(words.len(), 19, "{words:#?}");
    assert!(words.iter().all(|word| !word.contains("hm")), "thoughts come and go: {words:#?}");
}

#[test]
fn ids_and_names_do_not_count() {
    let body = |id: &str, name: &str| {
        json!({"model": "m", "messages": [
            {"role": "user", "name": name, "content": "x"},
            {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": id, "content": "y"}]})
    };
    assert_eq!(from_bytes(&body("call_1", "ann")), from_bytes(&body("call_2", "bob")));
}
