//! Whole answers, usage, errors.

use crate::{
    Codec, ReplyContext, WireErrorKind, openai_chat::OpenAiChat, openai_chat::passthrough::ReplyPeek,
};
use domain::{
    Candidate, Code, Dialect, Fault, Finish, Item, ItemKind, Message, Origin, Part, Reasoning, Reply, Role,
    Signature, ToolCall, Usage, UsageSource,
};
use serde_json::{Value, json};

fn answer(message: Value, finish: &str) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
}

fn decode(body: &Value) -> Reply {
    OpenAiChat.decode_reply(body.to_string().as_bytes()).expect("a reply")
}

fn encode(reply: &Reply) -> Value {
    let context = ReplyContext { id: "chatcmpl-ours", created: 5, ..ReplyContext::default() };
    serde_json::from_slice(&OpenAiChat.encode_reply(reply, &context).body).expect("JSON")
}

#[test]
fn p76_p77_thoughts_are_no_text() {
    for message in [
        json!({"role": "assistant", "content": "4", "reasoning_content": "2+2"}),
        json!({"role": "assistant", "content": "4", "reasoning": "2+2"}),
        json!({"role": "assistant", "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "2+"}, {"type": "text", "text": "2"}]},
            {"type": "text", "text": "4"}]}),
    ] {
        let reply = decode(&answer(message, "stop"));
        let items = &reply.candidates[0].items;
        assert!(matches!(&items[0].kind, ItemKind::Reasoning(thought) if thought.text == "2+2"));
        assert!(matches!(&items[1].kind, ItemKind::Message(said) if said.parts == [Part::text("4", 0)]));
        assert_eq!(encode(&reply)["choices"][0]["message"]["content"], "4");
    }
}

fn usage_of(usage: Value) -> Usage {
    let mut body = answer(json!({"role": "assistant", "content": "x"}), "stop");
    body["usage"] = usage;
    let reply = decode(&body);
    assert_eq!(ReplyPeek::read(body.to_string().as_bytes()).expect("a reply").usage, reply.usage);
    reply.usage.expect("usage")
}

#[test]
fn p79_p81_usage_is_counted_once() {
    let usage = usage_of(json!({"prompt_tokens": 105, "completion_tokens": 9, "total_tokens": 114,
        "prompt_tokens_details": {"cached_tokens": 90}, "completion_tokens_details": {"reasoning_tokens": 4}}));
    assert_eq!((usage.uncached_in, usage.cache_read), (15, 90));
    assert_eq!((usage.out_visible, usage.out_reasoning), (5, 4));
    let usage = usage_of(json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6,
        "prompt_tokens_details": null, "completion_tokens_details": {"reasoning_tokens": null}}));
    assert_eq!((usage.uncached_in, usage.cache_read, usage.out_visible), (5, 0, 1));
    // xAI and Gemini's compatibility surface count thoughts beside the completion.
    let usage = usage_of(json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 320,
        "completion_tokens_details": {"reasoning_tokens": 305}}));
    assert_eq!((usage.out_visible, usage.out_reasoning), (5, 305));
    let usage = usage_of(json!({"prompt_tokens": 20, "prompt_cache_hit_tokens": 8, "completion_tokens": 1}));
    assert_eq!((usage.uncached_in, usage.cache_read), (12, 8));
}

fn foreign_reply() -> Reply {
    let item = |kind| Item::new(kind, Origin::default());
    let signature = |dialect| Signature { dialect, data: "c2ln".into() };
    Reply {
        id: "msg_1".into(),
        model: "claude".into(),
        usage: Some(Usage {
            uncached_in: 10,
            cache_read: 90,
            cache_write: 5,
            out_visible: 3,
            out_reasoning: 2,
            source: UsageSource::Reported,
            ..Usage::default()
        }),
        candidates: vec![Candidate {
            items: vec![
                item(ItemKind::Reasoning(Reasoning {
                    text: "hm".into(),
                    signature: Some(signature(Dialect::AnthropicMessages)),
                    redacted: false,
                })),
                item(ItemKind::Message(Message {
                    role: Role::Assistant,
                    parts: vec![Part::text("one ", 0), Part::text("two", 1)],
                })),
                item(ItemKind::ToolCall(ToolCall {
                    id: "toolu_1".into(),
                    name: "f".into(),
                    arguments: "{}".into(),
                    signature: Some(signature(Dialect::Gemini)),
                })),
            ],
            finish: Some(Finish::ToolCalls),
            ..Candidate::default()
        }],
        ..Reply::default()
    }
}

#[test]
fn p70_p73_p74_p78_a_foreign_reply_in_chat() {
    insta::with_settings!({ sort_maps => true }, {
        insta::assert_json_snapshot!(encode(&foreign_reply()), @r#"
    {
      "choices": [
        {
          "finish_reason": "tool_calls",
          "index": 0,
          "message": {
            "content": "one two",
            "reasoning_content": "hm",
            "reasoning_details": [
              {
                "format": "anthropic-messages",
                "signature": "c2ln",
                "text": "hm",
                "type": "reasoning.text"
              }
            ],
            "refusal": null,
            "role": "assistant",
            "tool_calls": [
              {
                "extra_content": {
                  "google": {
                    "thought_signature": "c2ln"
                  }
                },
                "function": {
                  "arguments": "{}",
                  "name": "f"
                },
                "id": "toolu_1",
                "type": "function"
              }
            ]
          }
        }
      ],
      "created": 5,
      "id": "chatcmpl-ours",
      "model": "claude",
      "object": "chat.completion",
      "usage": {
        "completion_tokens": 5,
        "completion_tokens_details": {
          "audio_tokens": 0,
          "reasoning_tokens": 2
        },
        "prompt_tokens": 105,
        "prompt_tokens_details": {
          "audio_tokens": 0,
          "cache_write_tokens": 5,
          "cached_tokens": 90
        },
        "total_tokens": 110
      }
    }
    "#);
    });
}

#[test]
fn p73_p74_what_chat_carried_comes_back_as_it_was() {
    let message = encode(&foreign_reply())["choices"][0]["message"].clone();
    let call = super::read(&json!({"model": "m", "messages": [{"role": "user", "content": "x"}, message]}))
        .expect("a call");
    let want = foreign_reply();
    let of = |item: &Item| match &item.kind {
        ItemKind::Reasoning(thought) => thought.signature.clone(),
        ItemKind::ToolCall(call) => call.signature.clone(),
        _ => None,
    };
    assert_eq!(of(&call.items[1]), of(&want.candidates[0].items[0]));
    assert_eq!(of(&call.items[3]), of(&want.candidates[0].items[2]));
    assert!(matches!(&call.items[1].kind, ItemKind::Reasoning(thought) if thought.text == "hm"));
}

#[test]
fn p66_finish_words_stay_in_openais_list() {
    for (finish, want) in [
        (Finish::Stop, "stop"),
        (Finish::StopSequence(Some("X".into())), "stop"),
        (Finish::Length, "length"),
        (Finish::ToolCalls, "tool_calls"),
        (Finish::ContentFilter, "content_filter"),
        (Finish::Refusal, "content_filter"),
        (Finish::Pause, "length"),
        (Finish::Other("MALFORMED".into()), "stop"),
    ] {
        let reply = Reply {
            candidates: vec![Candidate { finish: Some(finish), ..Candidate::default() }],
            ..Reply::default()
        };
        assert_eq!(encode(&reply)["choices"][0]["finish_reason"], want);
    }
}

#[test]
fn p113_an_error_inside_of_200_is_a_fault() {
    let error = json!({"error": {"code": 429, "message": "slow down"}});
    let mut in_choice = answer(json!({"role": "assistant", "content": ""}), "error");
    in_choice["choices"][0]["error"] = json!({"code": 502, "message": "Provider returned error"});
    for (body, code) in [(error, Code::RateLimited), (in_choice, Code::UpstreamError)] {
        let text = body.to_string();
        let fault = OpenAiChat.decode_reply(text.as_bytes()).expect_err("an error");
        assert_eq!(fault.code, code);
        assert!(!fault.message.contains("Provider returned"), "upstream words stay in the detail");
        assert_eq!(ReplyPeek::read(text.as_bytes()).expect_err("an error").code, code);
    }
    for body in ["<html>", "[]", "\"x\"", "{\"id\":\"x\"}", "{\"choices\":[{\"ind"] {
        let code = Code::UpstreamBadResponse;
        assert_eq!(OpenAiChat.decode_reply(body.as_bytes()).expect_err(body).code, code);
        assert_eq!(ReplyPeek::read(body.as_bytes()).expect_err(body).code, code);
    }
}

#[test]
fn p103_to_p107_error_bodies_of_every_host() {
    use WireErrorKind as K;
    let cases = [
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            K::ContextLength,
        ),
        (
            400,
            r#"{"object":"error","message":"Prompt contains 300000 tokens, too large for model with 131072 maximum context length","type":"invalid_request_error","code":3051}"#,
            K::ContextLength,
        ),
        (
            400,
            r#"{"error_type":"TOO_MANY_TOKENS","message":"too many tokens: size limit exceeded"}"#,
            K::ContextLength,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"The input token count (5) exceeds the maximum","status":"INVALID_ARGUMENT"}}]"#,
            K::ContextLength,
        ),
        (
            400,
            r#"{"error":{"message":"filtered","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
            K::ContentFilter,
        ),
        (401, r#"{"detail":"Invalid API Key"}"#, K::Auth),
        (401, r#"{"error":{"message":"Missing Authentication header","code":401}}"#, K::Auth),
        (
            404,
            r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}"#,
            K::ModelNotFound,
        ),
        (404, r#"{"message":"model 'command-r' was removed on September 15, 2025."}"#, K::ModelNotFound),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            K::Quota,
        ),
        (400, r#"{"error":{"message":"You have reached your specified API usage limits."}}"#, K::Quota),
        (429, r#"{"error":{"code":"RateLimitReached","message":"exceeded rate limit."}}"#, K::RateLimit),
        (
            422,
            r#"{"detail":[{"loc":["body","n"],"msg":"Input should be 1","type":"value_error"}]}"#,
            K::Invalid,
        ),
        (503, "<html><body>Bad gateway</body></html>", K::Overloaded),
        (500, "", K::Server),
        (200, r#"{"error":{"message":"x","code":529}}"#, K::Overloaded),
    ];
    for (status, body, want) in cases {
        let error = OpenAiChat.decode_error(status, body.as_bytes());
        assert_eq!(error.kind, want, "{body}");
        assert_eq!(error.message.is_none(), body.is_empty(), "{body}");
    }
    let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "é".repeat(2_000));
    let error = OpenAiChat.decode_error(500, long.as_bytes());
    assert!(error.message.is_some_and(|message| message.len() <= 512));
}

#[test]
fn our_errors_are_in_openais_form_and_tell_nothing_of_the_upstream() {
    let fault = Fault::caller(Code::InvalidRequest, "`n` must be at least 1").at("n").because("sk-secret");
    let body = String::from_utf8(OpenAiChat.encode_error(&fault)).expect("UTF-8");
    assert!(!body.contains("secret"));
    let error: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        error,
        json!({"error": {"message": "`n` must be at least 1", "type": "invalid_request_error",
        "param": "n", "code": "invalid_request"}})
    );
    for (code, want) in [
        (Code::InvalidApiKey, "authentication_error"),
        (Code::PlacementRefused, "permission_error"),
        (Code::ModelNotFound, "not_found_error"),
        (Code::RateLimited, "rate_limit_error"),
        (Code::QuotaExhausted, "insufficient_quota"),
        (Code::PermittedUnavailable, "service_unavailable"),
        (Code::UpstreamError, "server_error"),
    ] {
        let body = OpenAiChat.encode_error(&Fault::caller(code, "x"));
        let error: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(error["error"]["type"], want);
        assert_eq!(error["error"]["code"], code.name());
    }
}
