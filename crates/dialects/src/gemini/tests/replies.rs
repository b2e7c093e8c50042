//! Pitfalls of replies and errors, by number.

use super::*;
use crate::codec::WireErrorKind;
use domain::{Code, Finish, UsageSource};
use serde_json::json as j;

fn reply(value: &Value) -> Reply {
    Gemini.decode_reply(value.to_string().as_bytes()).unwrap()
}

fn written(reply: &Reply) -> Value {
    json(&Gemini.encode_reply(reply, &ReplyContext::default()).body)
}

#[test]
fn p64_stop_with_a_call_asks_for_tools() {
    let wire = j!({"candidates": [{"content": {"role": "model", "parts": [
        {"functionCall": {"name": "f", "args": {"a": 1}}}]}, "finishReason": "STOP"}], "responseId": "r"});
    let reply = reply(&wire);
    assert_eq!(reply.candidates[0].finish, Some(Finish::ToolCalls));
    assert_eq!(written(&reply), wire);
}

#[test]
fn p68_a_filter_is_content_filter_and_a_blocked_prompt_is_one_candidate() {
    for word in ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION", "IMAGE_SAFETY"] {
        let wire = j!({"candidates": [{"finishReason": word, "index": 0}]});
        let reply = reply(&wire);
        assert_eq!(reply.candidates[0].finish, Some(Finish::ContentFilter), "{word}");
        assert_eq!(written(&reply), wire);
    }
    let wire = j!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}});
    let blocked = reply(&wire);
    assert_eq!(blocked.candidates.len(), 1);
    assert_eq!(blocked.candidates[0].finish, Some(Finish::ContentFilter));
    assert_eq!(written(&blocked), wire);
    let odd = reply(&j!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}));
    assert_eq!(odd.candidates[0].finish, Some(Finish::Other("MALFORMED_FUNCTION_CALL".into())));
}

#[test]
fn p69_a_candidate_without_content_or_parts_is_read() {
    for wire in [
        j!({"candidates": [{"finishReason": "MAX_TOKENS"}]}),
        j!({"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}),
        j!({"candidates": [{"content": {}, "finishReason": "MAX_TOKENS", "index": 0}]}),
    ] {
        let reply = reply(&wire);
        assert!(reply.candidates[0].items.is_empty());
        assert_eq!(reply.candidates[0].finish, Some(Finish::Length));
        assert_eq!(written(&reply), wire);
    }
}

#[test]
fn p80_usage_adds_thoughts_and_tool_prompts_and_takes_cache_out() {
    let usage = reply(&j!({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {
        "promptTokenCount": 100, "cachedContentTokenCount": 40, "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 50, "thoughtsTokenCount": 30, "totalTokenCount": 187, "trafficType": "ON_DEMAND",
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 9}]}}));
    let tier = usage.service_tier.clone();
    let usage = usage.usage.unwrap();
    assert_eq!(
        (usage.uncached_in, usage.cache_read, usage.out_visible, usage.out_reasoning),
        (67, 40, 50, 30)
    );
    assert_eq!((usage.input_total(), usage.output_total(), usage.audio_in), (107, 80, 9));
    assert_eq!((usage.source, tier.as_deref()), (UsageSource::Reported, Some("ON_DEMAND")));
}

#[test]
fn p82_what_only_gemini_knows_is_kept_by_its_name() {
    let wire = j!({"candidates": [{"content": {"parts": [{"text": "a"}], "role": "model"}, "finishReason": "STOP",
        "safetyRatings": [], "citationMetadata": {"citations": []}, "groundingMetadata": {"x": 1},
        "logprobsResult": {"chosenCandidates": []}, "index": 0}], "createTime": "2026-08-19T14:40:44.232367Z"});
    let reply = reply(&wire);
    assert_eq!(reply.created, Some(1_787_150_444));
    for name in ["safetyRatings", "citationMetadata", "groundingMetadata"] {
        assert!(reply.candidates[0].bag.get(Dialect::Gemini, name).is_some(), "{name}");
    }
    assert_eq!(written(&reply), wire);
}

#[test]
fn p89_calls_without_ids_get_distinct_stable_ids_that_never_go_back() {
    let call = j!({"functionCall": {"name": "f", "args": {}}});
    let wire = |id: &str| j!({"candidates": [{"content": {"parts": [call, call], "role": "model"}, "finishReason": "STOP"}], "responseId": id});
    let ids = |reply: &Reply| -> Vec<String> {
        let items = reply.candidates[0].items.iter();
        items
            .filter_map(
                |item| if let ItemKind::ToolCall(call) = &item.kind { Some(call.id.clone()) } else { None },
            )
            .collect()
    };
    let (one, two) = (ids(&reply(&wire("r1"))), ids(&reply(&wire("r2"))));
    assert_eq!(one, ids(&reply(&wire("r1"))));
    assert!(one[0] != one[1] && one[0] != two[0], "{one:?} {two:?}");
    let back = foreign(vec![
        says(Role::User, "x"),
        (Role::Assistant, vec![asks(&one[0], "f", "{}"), asks(&one[1], "f", "{}")]),
        (Role::Tool, vec![answers(&one[0], "1"), answers(&one[1], "2")]),
    ]);
    assert!(!encode(&back).0.to_string().contains("\"id\""));
}

#[test]
fn p105_a_context_that_is_too_long_is_known_by_its_words() {
    let body = j!({"error": {"code": 400, "status": "INVALID_ARGUMENT",
        "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}});
    assert_eq!(Gemini.decode_error(400, body.to_string().as_bytes()).kind, WireErrorKind::ContextLength);
}

#[test]
fn p107_error_bodies_of_every_shape() {
    let error = |code: u16, status: &str, message: &str| j!({"error": {"code": code, "message": message, "status": status}});
    for (status, body, kind) in [
        (404, error(404, "NOT_FOUND", "models/x is not found").to_string(), WireErrorKind::ModelNotFound),
        (404, j!([error(404, "NOT_FOUND", "m")]).to_string(), WireErrorKind::ModelNotFound),
        (429, error(429, "RESOURCE_EXHAUSTED", "Resource exhausted").to_string(), WireErrorKind::RateLimit),
        (403, error(403, "PERMISSION_DENIED", "no").to_string(), WireErrorKind::Auth),
        (503, error(503, "UNAVAILABLE", "The model is overloaded").to_string(), WireErrorKind::Overloaded),
        (500, error(500, "INTERNAL", "oops").to_string(), WireErrorKind::Server),
        (
            400,
            error(400, "INVALID_ARGUMENT", "Function call is missing a thought_signature").to_string(),
            WireErrorKind::ForeignSignature,
        ),
        (502, String::from("<html>bad gateway</html>"), WireErrorKind::Server),
        (400, String::new(), WireErrorKind::Invalid),
        (418, String::from("\u{0}"), WireErrorKind::Unknown),
    ] {
        assert_eq!(Gemini.decode_error(status, body.as_bytes()).kind, kind, "{body}");
    }
}

#[test]
fn recorded_errors_are_known() {
    for recording in recordings() {
        let value = if recording.stream { Value::Null } else { json(&recording.body) };
        if value.get("error").is_none() {
            continue;
        }
        let status = u16::try_from(recording.status).unwrap();
        let error = Gemini.decode_error(status, &recording.body);
        let want = match recording.name.as_str() {
            name if name.contains("429") => WireErrorKind::RateLimit,
            name if name.contains("authentication") => WireErrorKind::Auth,
            _ if status == 404 => WireErrorKind::ModelNotFound,
            _ => WireErrorKind::Invalid,
        };
        assert_eq!(error.kind, want, "{}", recording.name);
        assert!(error.message.is_some() && error.code.is_some());
        assert!(Gemini.decode_reply(&recording.body).is_err());
    }
}

#[test]
fn our_errors_are_in_googles_form_and_tell_nothing_of_the_upstream() {
    let fault = Fault::caller(Code::UnsupportedParameter, "No.").at("n").because("secret host");
    let body = json(&Gemini.encode_error(&fault));
    insta::assert_json_snapshot!(sorted(&body));
    assert_eq!(Gemini.decode_error(400, body.to_string().as_bytes()).kind, WireErrorKind::Invalid);
}

#[test]
fn bodies_that_are_no_reply_are_bad_responses() {
    for body in
        ["", "<html>", "{}", "[1]", "[]", "null", "{\"candidates\": 3}", "{\"candidates\": [{\"content\""]
    {
        assert_eq!(
            Gemini.decode_reply(body.as_bytes()).unwrap_err().code,
            Code::UpstreamBadResponse,
            "{body}"
        );
    }
}
