//! openai-chat: the laws over every recording.

use crate::fixtures;
use bytes::Bytes;
use dialects::{
    Codec, Envelope, Quirks, ReplyContext, Target,
    openai_chat::{
        OpenAiChat,
        passthrough::{End, ReplyPeek, Request, StreamTee},
    },
};
use domain::{Capabilities, Delta, Event, Fold, ItemKind, PartKind, ReasoningControl, Reply};
use serde_json::{Value, json};

fn able() -> Capabilities {
    Capabilities { reasoning: ReasoningControl::Effort, prefill: true, ..Capabilities::default() }
}

fn assert_same(file: &str, got: &Value, want: &Value) {
    if got != want {
        panic!(
            "{file}\n got: {}\nwant: {}",
            serde_json::to_string_pretty(got).expect("JSON"),
            serde_json::to_string_pretty(want).expect("JSON")
        );
    }
}

#[test]
fn every_recorded_request_is_written_as_it_was_read() {
    let mut count = 0;
    for exchange in fixtures::of_endpoint("chat.completions") {
        let Some(mut want) = exchange.request.clone() else { continue };
        if want["messages"].is_null() {
            continue;
        }
        let body = serde_json::to_vec(&want).expect("JSON");
        let call = match OpenAiChat.decode_call(&body, &Envelope::default()) {
            Ok(call) => call,
            Err(fault) => panic!("{}: {fault}", exchange.file),
        };
        let capabilities = able();
        let target =
            Target { model: call.model.as_str(), capabilities: &capabilities, quirks: Quirks::default() };
        let encoded = OpenAiChat.encode_call(&call, &target).expect("can be written");
        let got: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        // The closed list of edits: usage is asked for in every stream.
        if want["stream"] == true {
            want["stream_options"]["include_usage"] = json!(true);
        }
        assert_same(&exchange.file, &got, &want);
        assert!(encoded.losses.is_empty(), "{}: {}", exchange.file, encoded.losses);

        let request = Request::scan(Bytes::from(body)).expect("can be scanned");
        assert_eq!(request.model(), call.model.as_str());
        assert_eq!(request.messages(), call.turns.len());
        assert_eq!(request.stream(), call.stream.is_some());
        assert_eq!(request.max_output_tokens(), call.options.max_output_tokens);
        let parts = || {
            call.items.iter().flat_map(|item| match &item.kind {
                ItemKind::Message(message) => message.parts.as_slice(),
                ItemKind::ToolResult(result) => result.parts.as_slice(),
                _ => &[],
            })
        };
        let features = request.features();
        assert_eq!(
            features.images,
            parts().any(|p| matches!(p.kind, PartKind::Image(_))),
            "{}",
            exchange.file
        );
        count += 1;
    }
    eprintln!("{count} recorded requests");
}

#[test]
fn every_recorded_reply_is_read_and_those_of_openai_and_azure_are_written_as_they_were() {
    let (mut read, mut same) = (0, 0);
    for exchange in fixtures::of_endpoint("chat.completions") {
        let Some(want) = exchange.json() else { continue };
        let body = serde_json::to_vec(want).expect("JSON");
        if exchange.status >= 400 || want["choices"].is_null() {
            assert!(OpenAiChat.decode_reply(&body).is_err(), "{}", exchange.file);
            assert!(ReplyPeek::read(&body).is_err(), "{}", exchange.file);
            let error = OpenAiChat.decode_error(u16::try_from(exchange.status).expect("status"), &body);
            assert!(error.message.is_some(), "{}", exchange.file);
            continue;
        }
        let reply = match OpenAiChat.decode_reply(&body) {
            Ok(reply) => reply,
            Err(fault) => panic!("{}: {fault}", exchange.file),
        };
        read += 1;
        let peek = ReplyPeek::read(&body).expect("a reply");
        assert_eq!(peek.usage, reply.usage, "{}", exchange.file);
        assert_eq!(peek.id.as_deref().unwrap_or_default(), &*reply.id);
        let message = &want["choices"][0]["message"];
        if let Some(content) = message["content"].as_str() {
            assert_eq!(text_of(&reply), content, "{}", exchange.file);
        }
        let calls = message["tool_calls"].as_array().map_or(0, Vec::len);
        assert_eq!(calls_of(&reply), calls, "{}", exchange.file);
        let encoded = OpenAiChat.encode_reply(&reply, &ReplyContext::default());
        let got: Value = serde_json::from_slice(&encoded.body).expect("JSON");
        assert_eq!(got["usage"], want["usage"], "{}", exchange.file);
        assert!(encoded.losses.is_empty(), "{}: {}", exchange.file, encoded.losses);
        if matches!(
            exchange.provider.as_str(),
            "openai" | "azure-openai" | "groq" | "deepseek" | "openrouter"
        ) {
            assert_same(&exchange.file, &got, want);
            same += 1;
        }
    }
    eprintln!("{read} recorded replies, {same} written as they were");
}

fn text_of(reply: &Reply) -> String {
    let mut text = String::new();
    for item in reply.candidates.first().map(|c| c.items.as_slice()).unwrap_or_default() {
        if let ItemKind::Message(message) = &item.kind {
            for part in &message.parts {
                if let PartKind::Text { text: more, .. } = &part.kind {
                    text.push_str(more);
                }
            }
        }
    }
    text
}

fn calls_of(reply: &Reply) -> usize {
    let items = reply.candidates.first().map(|c| c.items.as_slice()).unwrap_or_default();
    items.iter().filter(|item| matches!(item.kind, ItemKind::ToolCall(_))).count()
}

fn events(pieces: &[&[u8]]) -> Result<Vec<Event>, domain::Fault> {
    let mut decoder = OpenAiChat.stream_decoder();
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut out)?;
    }
    decoder.end(&mut out)?;
    Ok(out)
}

fn content_of_chunks(text: &str) -> (String, usize, Option<Value>) {
    let (mut content, mut ids, mut usage) = (String::new(), std::collections::BTreeSet::new(), None);
    for line in text.lines().filter_map(|line| line.strip_prefix("data:")) {
        let Ok(chunk) = serde_json::from_str::<Value>(line.trim()) else { continue };
        if chunk["usage"].is_object() {
            usage = Some(chunk["usage"].clone());
        } else if chunk["x_groq"]["usage"].is_object() {
            usage = Some(chunk["x_groq"]["usage"].clone());
        }
        let delta = &chunk["choices"][0]["delta"];
        match &delta["content"] {
            Value::String(text) => content.push_str(text),
            Value::Array(parts) => content.extend(parts.iter().filter_map(|part| part["text"].as_str())),
            _ => {}
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            if let Some(id) = call["id"].as_str().filter(|id| !id.is_empty()) {
                ids.insert(id.to_owned());
            }
        }
    }
    (content, ids.len(), usage)
}

#[test]
fn every_recorded_stream_is_read_whole_and_passes_through_byte_for_byte() {
    let mut count = 0;
    for exchange in fixtures::of_endpoint("chat.completions") {
        let Some(text) = exchange.sse().filter(|_| exchange.status < 400) else { continue };
        if !text.contains("chat.completion.chunk") {
            continue;
        }
        let failed = text.contains("\"error\":{");
        let bytes = text.as_bytes();
        let whole = match events(&[bytes]) {
            Ok(events) => events,
            Err(fault) => panic!("{}: {fault}", exchange.file),
        };
        for size in [1, 7, 64] {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(events(&pieces).as_ref(), Ok(&whole), "{} in pieces of {size}", exchange.file);
        }
        assert_order(&exchange.file, &whole);
        let mut fold = Fold::new();
        whole.iter().for_each(|event| fold.push(event));
        let (content, ids, usage) = content_of_chunks(text);
        assert_eq!(text_of(fold.reply()), content, "{}", exchange.file);
        if ids > 0 {
            assert_eq!(calls_of(fold.reply()), ids, "{}", exchange.file);
        }
        if !failed {
            assert_eq!(fold.reply().usage.is_some(), usage.is_some(), "{}", exchange.file);
        }

        for size in [13, 1 << 20] {
            let mut tee = StreamTee::new(false);
            let mut out = Vec::new();
            let body = Bytes::from(text.to_owned());
            for start in (0..body.len()).step_by(size) {
                let piece = body.slice(start..body.len().min(start + size));
                tee.push(&piece, &mut out).expect("a stream");
            }
            let end = tee.end(&mut out);
            if failed {
                assert!(tee.failure().is_some(), "{}", exchange.file);
                continue;
            }
            assert_eq!(end, End::Complete, "{}", exchange.file);
            assert_eq!(out.concat(), bytes, "{}", exchange.file);
            assert_eq!(tee.usage(), fold.reply().usage, "{}", exchange.file);
            assert_eq!(tee.id().unwrap_or_default(), &*fold.reply().id, "{}", exchange.file);
            let content = whole.iter().any(|e| {
                matches!(e, Event::Opened { opened: domain::Opened::ToolCall { .. }, .. })
                    || matches!(e, Event::Delta { delta, .. } if delta.is_content())
            });
            assert_eq!(tee.content_seen(), content, "{}", exchange.file);
        }
        count += 1;
        if failed {
            continue;
        }
        // Written again and read again, the answer is the same.
        let context = ReplyContext { include_usage: true, ..ReplyContext::default() };
        let mut encoder = OpenAiChat.stream_encoder(&context);
        let mut again = Vec::new();
        whole.iter().for_each(|event| encoder.push(event, &mut again));
        let mut second = Fold::new();
        for event in events(&[&again]).expect("our own stream") {
            second.push(&event);
        }
        assert_eq!(text_of(second.reply()), text_of(fold.reply()), "{}", exchange.file);
        assert_eq!(calls_of(second.reply()), calls_of(fold.reply()), "{}", exchange.file);
        assert_eq!(second.reply().usage, fold.reply().usage, "{}", exchange.file);
        let finish = |reply: &Reply| reply.candidates.first().and_then(|c| c.finish.clone());
        assert_eq!(finish(second.reply()), finish(fold.reply()), "{}", exchange.file);
    }
    eprintln!("{count} recorded streams");
}

/// The order that `Event` promises.
fn assert_order(file: &str, events: &[Event]) {
    let mut open = std::collections::BTreeSet::new();
    let mut next = std::collections::BTreeMap::<u32, u32>::new();
    let mut over = false;
    for (at, event) in events.iter().enumerate() {
        assert!(!over, "{file}: something follows the end");
        match event {
            Event::Started { .. } => assert_eq!(at, 0, "{file}: started late"),
            Event::Opened { candidate, item, .. } => {
                let next = next.entry(*candidate).or_default();
                assert_eq!(item, next, "{file}: a gap");
                *next += 1;
                open.insert((*candidate, *item));
            }
            Event::Delta { candidate, item, delta } => {
                assert!(open.contains(&(*candidate, *item)), "{file}: a piece of nothing");
                assert!(*delta != Delta::Text(String::new()), "{file}: an empty piece");
            }
            Event::Closed { candidate, item } => assert!(open.remove(&(*candidate, *item)), "{file}"),
            Event::Finished | Event::Failed(_) => over = true,
            _ => {}
        }
    }
    assert!(
        over && (open.is_empty() || matches!(events.last(), Some(Event::Failed(_)))),
        "{file}: left open"
    );
}
