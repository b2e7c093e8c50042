//! Reads our chunks as a client's SDK does: by index, with pieces joined.

use serde_json::Value;

/// A streamed answer as a client has it at its end.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<Call>,
    pub finish: Option<String>,
    pub usage: Option<Value>,
    pub error: Option<Value>,
    pub done: bool,
}

/// A tool call.
#[derive(Debug, Default, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// Reads the frames of an outcome, and checks what every stream of ours promises: the role once and first, one
/// id, model and time on all chunks, a finish reason in a chunk with an empty delta, nothing behind `[DONE]`
/// or an error.
pub fn read(outcome: &Value) -> Answer {
    let frames = outcome["frames"].as_array().expect("frames");
    let mut answer = Answer::default();
    let mut identity = None;
    let mut roles = 0;
    for frame in frames {
        assert!(!answer.done && answer.error.is_none(), "something follows the end: {frame}");
        if frame == "[DONE]" {
            answer.done = true;
            continue;
        }
        if let Some(error) = frame.get("error") {
            answer.error = Some(error.clone());
            continue;
        }
        assert_eq!(frame["object"], "chat.completion.chunk");
        let own = (frame["id"].clone(), frame["model"].clone(), frame["created"].clone());
        assert!(own.0.as_str().is_some_and(|id| !id.is_empty()), "{frame}");
        assert_eq!(*identity.get_or_insert_with(|| own.clone()), own, "one id, model and time");
        if let Some(usage) = frame.get("usage").filter(|usage| !usage.is_null()) {
            assert_eq!(frame["choices"], serde_json::json!([]), "usage has a chunk of its own");
            assert!(answer.usage.replace(usage.clone()).is_none(), "usage is told once");
            continue;
        }
        let choices = frame["choices"].as_array().expect("choices");
        assert_eq!(choices.len(), 1, "{frame}");
        for choice in choices {
            if let Some(role) = choice["delta"].get("role") {
                assert_eq!((role.as_str(), roles), (Some("assistant"), 0), "the role once and first");
                roles += 1;
            }
            assert_eq!(roles, 1, "the role comes first: {frame}");
            take(choice, &mut answer);
        }
    }
    answer
}

fn take(choice: &Value, answer: &mut Answer) {
    let delta = &choice["delta"];
    assert!(answer.finish.is_none(), "a delta behind the finish reason");
    if let Some(finish) = choice["finish_reason"].as_str() {
        assert_eq!(*delta, serde_json::json!({}), "the finish reason has an empty delta");
        answer.finish = Some(finish.to_owned());
    }
    if let Some(content) = delta.get("content") {
        answer.text.push_str(content.as_str().expect("content is a text"));
    }
    answer.reasoning.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
    for piece in delta["tool_calls"].as_array().into_iter().flatten() {
        let index = piece["index"].as_u64().and_then(|index| usize::try_from(index).ok()).expect("an index");
        if index == answer.calls.len() {
            assert!(piece["id"].as_str().is_some_and(|id| !id.is_empty()), "a call begins with its id");
            assert_eq!((&piece["type"], &piece["function"]["arguments"]), (&"function".into(), &"".into()));
            answer.calls.push(Call::default());
        }
        let call = answer.calls.get_mut(index).expect("indices of calls count up from 0 without gaps");
        call.id.push_str(piece["id"].as_str().unwrap_or_default());
        call.name.push_str(piece["function"]["name"].as_str().unwrap_or_default());
        call.arguments.push_str(piece["function"]["arguments"].as_str().unwrap_or_default());
    }
}
