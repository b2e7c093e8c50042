//! Streamed answers. What every stream of ours promises is checked by `client::read` for each.

use super::{
    client,
    run::{self, refusal, run},
};
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use dialects::openai_chat::passthrough::{End, StreamTee};
use domain::Dialect;
use serde_json::{Value, json};

/// The bytes of a case of an openai-chat upstream, and the tee that lets them through.
fn teed(number: &str, case: &str, strip_usage: bool) -> (StreamTee, End, String) {
    let bytes = run::stream_bytes(&run::cases(number)[case], Dialect::OpenAiChat);
    let (mut tee, mut out) = (StreamTee::new(strip_usage), Vec::new());
    tee.push(&Bytes::from(bytes), &mut out).expect("a stream");
    let end = tee.end(&mut out);
    (tee, end, String::from_utf8(out.concat()).expect("UTF-8"))
}

#[test]
fn p83_usage_has_one_chunk_of_its_own_where_it_was_asked_for() {
    let got = run("P83");
    for host in ["anthropic", "bedrock", "gemini", "openai"] {
        let with = client::read(&got[format!("{host}_with")]);
        let usage = with.usage.as_ref().expect("usage");
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(10), &json!(5)), "{host}");
        assert!(with.done, "{host}");
        let frames = got[format!("{host}_with")]["frames"].as_array().expect("frames");
        assert_eq!(
            (frames.last(), &frames[frames.len() - 2]["choices"]),
            (Some(&"[DONE]".into()), &json!([]))
        );
        assert!(frames[..frames.len() - 2].iter().all(|f| f.get("usage") == Some(&Value::Null)), "{host}");
        let without = &got[format!("{host}_without")];
        let frames = without["frames"].as_array().expect("frames");
        assert!(frames.iter().all(|frame| frame.get("usage").is_none()), "{host}");
        assert!(client::read(without).done, "{host}");
        assert_eq!(without["usage"]["out_visible"], 5, "{host}: booked all the same");
    }
    // The road of the same dialect: our own wish for usage is taken out again.
    let (tee, end, out) = teed("P83", "openai_with", true);
    assert_eq!((end, tee.usage().map(|usage| usage.out_visible)), (End::Complete, Some(5)));
    assert!(!out.contains("prompt_tokens") && out.ends_with("data: [DONE]\n\n"), "{out}");
}

#[test]
fn p84_usage_is_taken_once_wherever_it_stands() {
    let got = run("P84");
    for case in ["trailing", "on_every_chunk", "last_content_and_trailing", "of_groq"] {
        assert_eq!(got[case]["usage"]["uncached_in"], 10, "{case}");
        assert_eq!(got[case]["usage"]["out_visible"], 5, "{case}: the last one holds");
        let usage = client::read(&got[case]).usage.expect("usage");
        assert_eq!(usage["total_tokens"], 15, "{case}");
        let (tee, _, _) = teed("P84", case, false);
        assert_eq!(tee.usage().map(|usage| (usage.uncached_in, usage.out_visible)), Some((10, 5)), "{case}");
    }
}

#[test]
fn p85_azures_first_chunk_has_no_choice_and_no_id() {
    let got = run("P85");
    let answer = client::read(&got["azure"]);
    assert_eq!((answer.text.as_str(), answer.finish.as_deref(), answer.done), ("Sun.", Some("stop"), true));
    let frames = got["azure"]["frames"].to_string();
    assert!(
        frames.contains("prompt_filter_results") && frames.contains("content_filter_results"),
        "{frames}"
    );
    assert_eq!(
        got["azure"]["frames"][0]["id"], "chatcmpl-up",
        "the id of the answer from the first chunk on"
    );
}

#[test]
fn p86_the_last_usage_holds_and_nothing_is_added() {
    let got = run("P86");
    let wanted = [("restated", (10, 90, 7)), ("corrected", (12, 3, 7)), ("several_deltas", (10, 0, 7))];
    for (case, (fresh, cached, output)) in wanted {
        let usage = client::read(&got[case]).usage.expect("usage");
        assert_eq!(usage["prompt_tokens"], fresh + cached, "{case}");
        assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], cached, "{case}");
        assert_eq!(usage["completion_tokens"], output, "{case}");
    }
}

#[test]
fn p88_arguments_begin_empty_and_indices_count_calls_only() {
    let got = run("P88");
    let answer = client::read(&got["behind_thought_and_text"]);
    let calls: Vec<_> = answer.calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
    assert_eq!(calls, [("toolu_1", "weather", r#"{"city":"Paris"}"#), ("toolu_2", "now", "{}")]);
    assert_eq!((answer.text.as_str(), answer.reasoning.as_str()), ("Look.", "Hm."));
    assert_eq!(answer.finish.as_deref(), Some("tool_calls"));
}

#[test]
fn p89_calls_of_several_chunks_have_indices_and_ids_of_their_own() {
    let got = run("P89");
    let answer = client::read(&got["over_chunks"]);
    let ids: std::collections::BTreeSet<_> = answer.calls.iter().map(|call| &call.id).collect();
    assert_eq!((answer.calls.len(), ids.len()), (3, 3), "equal calls have ids of their own too");
    let cities: Vec<_> = answer.calls.iter().map(|call| &*call.arguments).collect();
    assert_eq!(cities, [r#"{"city":"Paris"}"#, r#"{"city":"Rome"}"#, r#"{"city":"Paris"}"#]);
    let given: Vec<_> = client::read(&got["with_ids"]).calls.into_iter().map(|call| call.id).collect();
    assert_eq!(given, ["f1", "f2"]);
}

#[test]
fn p92_accents_of_calls_and_roles_are_understood() {
    let got = run("P92");
    let whole = client::read(&got["whole_without_index"]);
    let calls: Vec<_> = whole.calls.iter().map(|call| (&*call.id, &*call.arguments)).collect();
    assert_eq!(calls, [("D681PevKs", r#"{"city":"Paris"}"#), ("E681PevKs", r#"{"city":"Rome"}"#)]);
    for case in ["incremental", "arguments_as_object"] {
        let answer = client::read(&got[case]);
        assert_eq!(answer.calls.len(), 1, "{case}");
        assert_eq!(
            (&*answer.calls[0].id, &*answer.calls[0].arguments),
            ("call_a", r#"{"city":"Paris"}"#),
            "{case}"
        );
    }
    assert_eq!(client::read(&got["empty_role"]).text, "Sun.");
}

#[test]
fn p93_signs_of_life_are_no_events_and_go_no_further() {
    let got = run("P93");
    for case in ["anthropic_pings", "openrouter_comments", "gemini_comments"] {
        let answer = client::read(&got[case]);
        assert_eq!((answer.text.as_str(), answer.done, answer.error), ("Sun.", true, None), "{case}");
    }
    // On the road of the same dialect comments pass as comments, and nothing is made of them.
    let (tee, end, _) = teed("P93", "openrouter_comments", false);
    assert_eq!((end, tee.usage().map(|usage| usage.out_visible)), (End::Complete, Some(5)));
}

/// A body that is compressed although nobody asked for it is refused by the engine, see `coverage`.
#[test]
fn p94_line_ends_splits_and_marks_make_no_difference() {
    let got = run("P94");
    let plain = client::read(&got["plain"]);
    assert_eq!(plain.text, "Grüße, 世界 🌍");
    for (case, outcome) in got.as_object().expect("cases") {
        let answer = client::read(outcome);
        assert_eq!((&answer.text, &answer.finish, answer.done), (&plain.text, &plain.finish, true), "{case}");
        assert!(!outcome.to_string().contains('\u{fffd}'), "{case}");
    }
}

#[test]
fn p95_a_frame_is_whole_or_an_error() {
    let got = run("P95");
    let whole = client::read(&got["split_anywhere"]);
    assert_eq!((whole.text.as_str(), whole.done), ("Sun.", true));
    let text = |value: &str| HeaderValue::String(value.to_owned().into());
    let message = Message::new(r#"{"contentBlockIndex":0,"delta":{"text":"Sun"}}"#)
        .add_header(Header::new(":event-type", text("contentBlockDelta")))
        .add_header(Header::new(":message-type", text("event")));
    let mut frame = Vec::new();
    write_message_to(&message, &mut frame).expect("a frame");
    for at in [5, 9, 20, frame.len() - 20, frame.len() - 1] {
        let mut broken = frame.clone();
        broken[at] ^= 1;
        let outcome = run::stream(&broken, Dialect::BedrockConverse, true, "a flipped bit");
        assert_eq!(refusal(&outcome["failed"], 502).0, "upstream_bad_response", "byte {at}");
        assert_eq!(client::read(&outcome).text, "", "byte {at}: nothing of it is shown");
    }
}

/// An exception in the first frame fails the attempt before anything was released, so that its status can be the
/// answer's; later it ends the stream.
#[test]
fn p96_an_exception_has_its_status_first_and_ends_the_stream_later() {
    let got = run("P96");
    let first = [
        ("throttled_first", 429, "rate_limit_exceeded"),
        ("invalid_first", 400, "invalid_request"),
        ("too_long_first", 400, "context_length_exceeded"),
        ("unavailable_first", 503, "permitted_unavailable"),
        ("anthropic_error_first", 503, "permitted_unavailable"),
    ];
    for (case, status, code) in first {
        assert_eq!(refusal(&got[case]["failed"], status).0, code, "{case}");
        assert_eq!(got[case]["content_before"], false, "{case}");
    }
    let middle = [
        ("model_error_in_the_middle", "upstream_error"),
        ("throttled_in_the_middle", "rate_limit_exceeded"),
        ("anthropic_error_event", "permitted_unavailable"),
    ];
    for (case, code) in middle {
        broke_off(&got[case], "Sun", code, case);
    }
}

/// The stream ends with an error of `code` and neither a finish reason nor `[DONE]`.
fn broke_off(outcome: &Value, text: &str, code: &str, case: &str) {
    let answer = client::read(outcome);
    assert_eq!(answer.error.as_ref().map(|error| &error["code"]), Some(&code.into()), "{case}");
    assert_eq!((answer.finish, answer.done, answer.text.as_str()), (None, false, text), "{case}");
}

/// What is booked of such an answer is the engine's, see `coverage`.
#[test]
fn p97_a_stream_without_its_end_mark_is_an_error_and_never_a_clean_end() {
    let got = run("P97");
    for (case, text) in [("openai", "Sun."), ("anthropic", "Sun"), ("bedrock", "Sun."), ("gemini", "Sun")] {
        broke_off(&got[case], text, "upstream_bad_response", case);
    }
    for case in ["half_a_frame", "anthropic_without_message_stop"] {
        let error = client::read(&got[case]).error.expect(case);
        assert_eq!(error["code"], "upstream_bad_response", "{case}");
        assert!(!client::read(&got[case]).done, "{case}");
    }
    for case in ["openai_in_a_call", "anthropic_in_a_call"] {
        broke_off(&got[case], "", "upstream_bad_response", case);
        assert_eq!(client::read(&got[case]).calls[0].arguments, "{\"ci", "{case}: not made whole");
    }
    for host in ["", "_of_anthropic", "_of_bedrock", "_of_gemini"] {
        broke_off(&got[format!("nothing_at_all{host}")], "", "upstream_bad_response", host);
    }
    assert_eq!(got["anthropic"]["usage"]["uncached_in"], 10, "what was counted until then is kept");
}

/// The class is kept; the words are the operator's.
#[test]
fn p99_an_error_in_the_middle_ends_the_stream_with_its_class() {
    let got = run("P99");
    let wanted = [
        ("error_frame", "upstream_error", "server_error"),
        ("with_code", "rate_limit_exceeded", "rate_limit_error"),
        ("named_event", "upstream_error", "server_error"),
        ("in_a_choice", "upstream_error", "server_error"),
        ("filter", "content_filter", "invalid_request_error"),
    ];
    for (case, code, kind) in wanted {
        broke_off(&got[case], "Sun", code, case);
        assert_eq!(got[case]["failed"]["body"]["error"]["type"], kind, "{case}");
        // The road of the same dialect: the upstream's words stay here too.
        let (tee, end, out) = teed("P99", case, false);
        assert!(matches!(&end, End::Broken(fault) if fault.code.name() == code), "{case}: {end:?}");
        assert!(tee.failure().is_some() && !out.contains("[DONE]"), "{case}: {out}");
        assert!(!out.contains("error\":{") && !out.contains("boom"), "{case}: {out}");
    }
}

#[test]
fn p100_an_error_instead_of_a_stream_is_known_as_one() {
    let got = run("P100");
    for case in ["gemini_list_instead_of_a_stream", "gemini_object_instead_of_a_stream"] {
        assert_eq!(refusal(&got[case]["failed"], 404).0, "upstream_model_unavailable", "{case}");
        assert_eq!(got[case]["content_before"], false, "{case}");
    }
    assert_eq!(got["gemini_not_found"]["kind"], "ModelNotFound");
    for case in ["openai_json_instead_of_a_stream", "html"] {
        assert_eq!(
            refusal(&got[case]["failed"], 502).0,
            "upstream_bad_response",
            "{case}: never an empty answer"
        );
    }
    assert_eq!(refusal(&got["openai_error_in_a_whole_200"], 429).0, "rate_limit_exceeded");
    assert_eq!(refusal(&got["anthropic_error_in_a_whole_200"], 503).0, "permitted_unavailable");
    assert_eq!(refusal(&got["bedrock_error_in_a_whole_200"], 429).0, "rate_limit_exceeded");
}

#[test]
fn p101_the_role_once_and_one_identity_and_an_empty_last_delta() {
    let got = run("P101");
    for (case, outcome) in got.as_object().expect("cases") {
        let answer = client::read(outcome);
        assert!(answer.text.starts_with("Sun.") && answer.done, "{case}");
        assert_eq!(answer.finish.as_deref(), Some("stop"), "{case}");
        assert_eq!(
            outcome["frames"][0]["choices"][0]["delta"],
            json!({"role": "assistant", "content": ""}),
            "{case}"
        );
        assert_eq!(outcome["frames"][0]["model"], "asked-for", "{case}");
    }
}
