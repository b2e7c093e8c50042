//! Requests: messages, tools, media, options.

use super::run::{body, refusal, roles, run};
use bytes::Bytes;
use dialects::{MaxTokensField, openai_chat::passthrough};
use serde_json::{Value, json};

#[test]
fn p01_parallel_results_in_one_turn() {
    let got = run("P01");
    for case in ["in_order", "out_of_order"] {
        let messages = &body(&got[case]["anthropic"])["messages"];
        assert_eq!(roles(messages), ["user", "assistant", "user"], "{case}");
        assert_eq!(
            messages[2]["content"],
            json!([
                {"type": "tool_result", "tool_use_id": "call_a", "content": "sun"},
                {"type": "tool_result", "tool_use_id": "call_b", "content": "rain"},
            ]),
            "{case}: in the order of the calls"
        );
    }
}

#[test]
fn p02_results_stand_before_the_text_of_the_same_message() {
    let got = run("P02");
    let messages = &body(&got["then_user"]["anthropic"])["messages"];
    assert_eq!(roles(messages), ["user", "assistant", "user"]);
    let kinds: Vec<_> =
        messages[2]["content"].as_array().expect("blocks").iter().map(|b| &b["type"]).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
}

#[test]
fn p03_a_tool_message_is_a_tool_result_block() {
    let got = run("P03");
    let messages = &body(&got["tool_role"]["bedrock"])["messages"];
    assert_eq!(
        messages[2],
        json!({"role": "user", "content": [
            {"toolResult": {"toolUseId": "call_a", "content": [{"text": "sun"}]}},
            {"toolResult": {"toolUseId": "call_b", "content": [{"text": "rain"}, {"text": "and wind"}]}},
        ]})
    );
}

#[test]
fn p04_neighbours_are_merged_and_roles_alternate() {
    let got = run("P04");
    let messages = &body(&got["neighbours"]["bedrock"])["messages"];
    assert_eq!(roles(messages), ["user", "assistant", "user", "assistant", "user"]);
    let counts: Vec<_> =
        messages.as_array().expect("a list").iter().map(|m| m["content"].as_array().map(Vec::len)).collect();
    assert_eq!(counts, [Some(1), Some(2), Some(4), Some(2), Some(1)], "nothing is lost in the merging");
}

#[test]
fn p05_tools_of_the_history_are_declared() {
    let got = run("P05");
    let tools = &body(&got["history_only"]["bedrock"])["toolConfig"]["tools"];
    assert_eq!(tools.as_array().map(Vec::len), Some(1), "each name once");
    assert_eq!(tools[0]["toolSpec"]["name"], "weather");
    assert!(tools[0]["toolSpec"]["inputSchema"]["json"].is_object());
}

#[test]
fn p06_an_assistant_with_calls_only_has_no_empty_text() {
    let got = run("P06");
    for case in ["empty", "null", "absent"] {
        let anthropic = &body(&got[case]["anthropic"])["messages"][1]["content"];
        assert_eq!(anthropic.as_array().map(Vec::len), Some(1), "{case}");
        assert_eq!(anthropic[0]["type"], "tool_use", "{case}");
        let bedrock = &body(&got[case]["bedrock"])["messages"][1]["content"];
        assert_eq!(bedrock.as_array().map(Vec::len), Some(1), "{case}");
        assert!(bedrock[0]["toolUse"].is_object(), "{case}");
    }
}

#[test]
fn p07_an_assistant_who_says_nothing_is_left_out() {
    let got = run("P07");
    for target in ["bedrock", "anthropic"] {
        let messages = &body(&got["nothing_said"][target])["messages"];
        assert_eq!(roles(messages), ["user"], "{target}");
        let texts: Vec<_> =
            messages[0]["content"].as_array().expect("blocks").iter().map(|b| &b["text"]).collect();
        assert_eq!(texts, ["one", "two", "three"], "{target}");
    }
}

#[test]
fn p08_blank_texts_are_left_out() {
    let got = run("P08");
    for target in ["bedrock", "anthropic"] {
        let text = body(&got["blank"][target])["messages"].to_string();
        assert!(text.contains("What is it?") && text.contains("Well?"), "{target}");
        assert!(!text.contains(r#""text":" "#) && !text.contains(r#""text":"\t"#), "{target}: {text}");
    }
}

#[test]
fn p09_empty_arguments_are_an_empty_object() {
    let got = run("P09");
    let case = &got["empty_arguments"];
    assert_eq!(body(&case["anthropic"])["messages"][1]["content"][0]["input"], json!({}));
    assert_eq!(body(&case["bedrock"])["messages"][1]["content"][0]["toolUse"]["input"], json!({}));
    assert_eq!(body(&case["gemini"])["contents"][1]["parts"][0]["functionCall"]["args"], json!({}));
}

#[test]
fn p10_arguments_that_are_no_object_are_wrapped_and_told() {
    let got = run("P10");
    for (case, given) in [("truncated", r#"{"city": "Par"#), ("bare_value", "[1]")] {
        let of = &got[case];
        let inputs = [
            &body(&of["anthropic"])["messages"][1]["content"][0]["input"],
            &body(&of["bedrock"])["messages"][1]["content"][0]["toolUse"]["input"],
            &body(&of["gemini"])["contents"][1]["parts"][0]["functionCall"]["args"],
        ];
        for input in inputs {
            let wrapped = input.as_object().expect("an object");
            assert_eq!(wrapped.values().collect::<Vec<_>>(), [given], "{case}: nothing of it is dropped");
        }
        for target in ["anthropic", "bedrock", "gemini"] {
            assert_eq!(of[target]["losses"], "messages.tool_calls.arguments", "{case} to {target}");
        }
        let own = &body(&of["openai"])["messages"][1]["tool_calls"][0]["function"]["arguments"];
        assert_eq!(own, given, "{case}: its own dialect takes it as it is");
    }
}

#[test]
fn p11_a_result_without_its_calls_id_is_the_callers_fault() {
    let got = run("P11");
    for target in ["anthropic", "bedrock", "gemini", "openai"] {
        let outcome = &got["absent"][target];
        assert_eq!(refusal(outcome, 400), ("invalid_request", "messages[2]"), "{target}");
        assert_eq!(outcome["body"]["error"]["type"], "invalid_request_error", "{target}");
    }
    assert_eq!(refusal(&got["empty"]["bedrock"], 400).0, "invalid_request");
}

#[test]
fn p12_blank_descriptions_are_left_out_and_a_nameless_tool_refused() {
    let got = run("P12");
    for case in ["empty_description", "blank_description"] {
        let spec = &body(&got[case]["bedrock"])["toolConfig"]["tools"][0]["toolSpec"];
        assert_eq!(spec["name"], "now", "{case}");
        assert!(spec.get("description").is_none(), "{case}");
    }
    assert_eq!(refusal(&got["empty_name"]["bedrock"], 400), ("invalid_request", "tools[0]"));
}

#[test]
fn p13_none_is_said_and_the_tools_stay() {
    let got = run("P13");
    let sent = body(&got["none"]["anthropic"]);
    assert_eq!(sent["tool_choice"], json!({"type": "none"}));
    assert_eq!(sent["tools"].as_array().map(Vec::len), Some(1));
}

#[test]
fn p14_none_says_nothing_about_parallel_calls() {
    let got = run("P14");
    let sent = body(&got["none_and_not_parallel"]["anthropic"]);
    assert_eq!(sent["tool_choice"], json!({"type": "none"}));
}

#[test]
fn p15_not_parallel_alone_does_not_force_a_call() {
    let got = run("P15");
    let sent = body(&got["only_not_parallel"]["anthropic"]);
    assert_eq!(sent["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
}

#[test]
fn p16_required_and_named_choices() {
    let got = run("P16");
    for target in ["anthropic", "vertex-anthropic"] {
        assert_eq!(body(&got["required"][target])["tool_choice"], json!({"type": "any"}), "{target}");
        assert_eq!(
            body(&got["named"][target])["tool_choice"],
            json!({"type": "tool", "name": "weather"}),
            "{target}"
        );
    }
}

/// Our policy: without tools in the history none are offered; with them they stay, unforced, and it is told.
#[test]
fn p17_none_where_the_dialect_cannot_say_it() {
    let got = run("P17");
    assert!(body(&got["without_history"]["bedrock"]).get("toolConfig").is_none());
    let kept = &got["with_history"]["bedrock"];
    assert_eq!(body(kept)["toolConfig"]["tools"][0]["toolSpec"]["name"], "weather");
    assert!(body(kept)["toolConfig"].get("toolChoice").is_none());
    assert_eq!(kept["losses"], "tool_choice");
}

#[test]
fn p18_a_model_that_cannot_be_forced_is_asked_and_it_is_told() {
    let got = run("P18");
    for case in ["required", "named"] {
        let outcome = &got[case]["bedrock-llama"];
        assert_eq!(body(outcome)["toolConfig"]["toolChoice"], json!({"auto": {}}), "{case}");
        assert_eq!(outcome["losses"], "tool_choice", "{case}");
    }
}

#[test]
fn p19_the_choice_stands_in_the_tool_config() {
    let got = run("P19");
    let cases = [
        ("required", json!({"any": {}})),
        ("named", json!({"tool": {"name": "weather"}})),
        ("auto", json!({"auto": {}})),
    ];
    for (case, wanted) in cases {
        let sent = body(&got[case]["bedrock"]);
        assert_eq!(sent["toolConfig"]["toolChoice"], wanted, "{case}");
        assert!(sent.get("toolChoice").is_none(), "{case}");
    }
}

#[test]
fn p20_a_named_choice_passes_to_an_openai_style_host() {
    let got = run("P20");
    let wanted = json!({"type": "function", "function": {"name": "weather"}});
    assert_eq!(body(&got["named"]["mistral"])["tool_choice"], wanted);
}

#[test]
fn p21_mistral_gets_an_assistant_between_tool_and_user() {
    let got = run("P21");
    let messages = &body(&got["user_after_tool"]["mistral"])["messages"];
    assert_eq!(roles(messages), ["user", "assistant", "tool", "assistant", "user"]);
    assert_eq!(messages[3], json!({"role": "assistant", "content": ""}));
    let elsewhere = &body(&got["user_after_tool"]["openai"])["messages"];
    assert_eq!(roles(elsewhere), ["user", "assistant", "tool", "user"], "nobody else does");
}

/// Ids that Mistral gave are of its form already, so they go out and come back unchanged; others are mapped, the
/// same way every time, so that call and result meet.
#[test]
fn p22_mistral_gets_ids_of_nine_letters_and_digits() {
    let got = run("P22");
    let messages = &body(&got["long_ids"]["mistral"])["messages"];
    let calls = &messages[1]["tool_calls"];
    for id in [&calls[0]["id"], &calls[1]["id"]] {
        let id = id.as_str().expect("an id");
        assert!(id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
    }
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    assert_eq!(messages[2]["tool_call_id"], calls[1]["id"]);
    assert_eq!(messages[3]["tool_call_id"], calls[0]["id"]);
    let own = &body(&got["short_ids"]["mistral"])["messages"];
    assert_eq!(
        (&own[1]["tool_calls"][0]["id"], &own[2]["tool_call_id"]),
        (&"D681PevKs".into(), &"D681PevKs".into())
    );
}

#[test]
fn p23_mistral_gets_no_names_but_of_tools() {
    let got = run("P23");
    let outcome = &got["names"]["mistral"];
    for message in body(outcome)["messages"].as_array().expect("a list") {
        assert_eq!(message.get("name").is_some(), message["role"] == "tool", "{message}");
    }
    assert_eq!(outcome["losses"], "messages.name;n=3");
}

#[test]
fn p24_gemini_gets_objects_and_the_functions_name() {
    let got = run("P24");
    let wanted = [
        ("text_result", json!({"result": "sun"})),
        ("object_result", json!({"sky": "sun"})),
        ("list_result", json!({"result": "[\"sun\"]"})),
    ];
    for (case, response) in wanted {
        let contents = &body(&got[case]["gemini"])["contents"];
        assert_eq!(contents[1]["parts"][0]["functionCall"]["args"], json!({"city": "Paris"}), "{case}");
        let found = &contents[2]["parts"][0]["functionResponse"];
        assert_eq!((&found["name"], &found["response"]), (&"weather".into(), &response), "{case}");
    }
    assert_eq!(refusal(&got["unknown_call"]["gemini"], 400).0, "invalid_request");
}

#[test]
fn p25_a_result_with_references_stays_a_text() {
    let got = run("P25");
    let found =
        &body(&got["references"]["gemini"])["contents"][2]["parts"][0]["functionResponse"]["response"];
    assert!(found["result"].as_str().is_some_and(|text| text.contains("$ref")), "{found}");
    assert_eq!(found.as_object().map(serde_json::Map::len), Some(1));
}

#[test]
fn p26_ids_of_calls_are_left_out_where_the_host_refuses_them() {
    let got = run("P26");
    let ids = |target: &str| {
        let contents = &body(&got["ids"][target])["contents"];
        let call = contents[1]["parts"][0]["functionCall"].get("id").cloned();
        (call, contents[2]["parts"][0]["functionResponse"].get("id").cloned())
    };
    assert_eq!(ids("vertex-gemini"), (None, None));
    assert_eq!(ids("gemini"), (Some("call_a".into()), Some("call_a".into())));
}

#[test]
fn p27_all_results_of_a_turn_stand_in_one_content() {
    let got = run("P27");
    let contents = &body(&got["out_of_order"]["gemini"])["contents"];
    assert_eq!(roles(contents), ["user", "model", "user", "user"]);
    let results: Vec<&Value> = contents[2]["parts"].as_array().expect("parts").iter().collect();
    assert_eq!(results.len(), contents[1]["parts"].as_array().map_or(0, Vec::len), "as many as calls");
    let ids: Vec<_> = results.iter().map(|part| &part["functionResponse"]["id"]).collect();
    assert_eq!(ids, ["call_a", "call_b"]);
}

/// Our policy: hoisted, in order, and told, since its place is lost.
#[test]
fn p33_a_system_message_in_the_middle_is_hoisted_and_told() {
    let got = run("P33");
    let case = &got["in_the_middle"];
    let anthropic = body(&case["anthropic"]);
    assert_eq!(
        anthropic["system"],
        json!([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])
    );
    assert_eq!(roles(&anthropic["messages"]), ["user", "assistant", "user"]);
    let bedrock = body(&case["bedrock"]);
    assert_eq!(bedrock["system"], json!([{"text": "one"}, {"text": "two"}]));
    assert_eq!(roles(&bedrock["messages"]), ["user", "assistant", "user"]);
    let gemini = body(&case["gemini"]);
    assert_eq!(gemini["systemInstruction"]["parts"], json!([{"text": "one"}, {"text": "two"}]));
    assert_eq!(roles(&gemini["contents"]), ["user", "model", "user"]);
    for target in ["anthropic", "bedrock", "gemini"] {
        assert_eq!(case[target]["losses"], "messages.system_position", "{target}");
        let alone = body(&got["system_only"][target]);
        assert!(alone.to_string().contains("one"), "{target}: instructions alone are said by the user");
    }
    assert_eq!(roles(&body(&case["openai"])["messages"]), ["system", "user", "assistant", "system", "user"]);
}

#[test]
fn p34_developer_is_system_where_the_word_is_unknown() {
    let got = run("P34");
    let case = &got["developer"];
    assert_eq!(body(&case["anthropic"])["system"][0]["text"], "Be brief.");
    assert_eq!(body(&case["bedrock"])["system"][0]["text"], "Be brief.");
    assert_eq!(body(&case["gemini"])["systemInstruction"]["parts"][0]["text"], "Be brief.");
    for target in ["vllm", "mistral"] {
        assert_eq!(roles(&body(&case[target])["messages"]), ["system", "user"], "{target}");
    }
    assert_eq!(roles(&body(&case["openai"])["messages"]), ["developer", "user"]);
}

#[test]
fn p35_a_begun_answer_is_continued_or_refused() {
    let got = run("P35");
    let case = &got["begun"];
    let anthropic = &body(&case["anthropic"])["messages"];
    assert_eq!(
        anthropic[1],
        json!({"role": "assistant", "content": [{"type": "text", "text": "The answer is"}]})
    );
    assert_eq!(body(&case["mistral"])["messages"][1]["prefix"], true);
    for target in ["anthropic-adaptive", "bedrock-nova"] {
        assert_eq!(refusal(&case[target], 400), ("unsupported_parameter", "messages[1].prefix"), "{target}");
        assert_eq!(case[target]["retry"], "NextCandidate", "{target}: another model may continue it");
    }
    assert_eq!(case["gemini"]["losses"], "messages.prefix", "the mark is stripped, and told");
    body(&got["not_said_to_be_begun"]["anthropic"]);
}

#[test]
fn p36_every_block_of_a_list_is_kept_in_order() {
    let got = run("P36");
    let sent = body(&got["lists"]["anthropic"]);
    let texts = |blocks: &Value| -> Vec<String> {
        let list = blocks.as_array().expect("blocks").iter();
        list.map(|block| block["text"].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(texts(&sent["system"]), ["one", "two"]);
    assert_eq!(texts(&sent["messages"][1]["content"]), ["three", "four"]);
}

/// To an upstream of the same dialect the caller's bytes go as they are: what it marks there it means so.
#[test]
fn p37_cache_marks_are_kept_or_told() {
    let got = run("P37");
    let case = &got["marks"];
    let mark = json!({"type": "ephemeral"});
    let anthropic = body(&case["anthropic"]);
    assert_eq!(anthropic["system"][0]["cache_control"], mark);
    assert_eq!(anthropic["messages"][0]["content"][0]["cache_control"], mark);
    assert_eq!(anthropic["messages"][2]["content"][0]["content"][0]["cache_control"], mark, "in a result");
    assert_eq!(anthropic["tools"][0]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    let bedrock = body(&case["bedrock"]);
    let point = json!({"cachePoint": {"type": "default"}});
    assert_eq!(bedrock["system"][1], point);
    assert_eq!(bedrock["messages"][0]["content"][1], point);
    assert_eq!(bedrock["messages"][2]["content"][1], point, "behind the result");
    assert_eq!(bedrock["toolConfig"]["tools"][1], json!({"cachePoint": {"type": "default", "ttl": "1h"}}));
    assert_eq!(case["gemini"]["losses"], "messages.cache_control;n=3, tools.cache_control");
    assert!(!body(&case["gemini"]).to_string().contains("cache"));
}

#[test]
fn p39_fields_that_converse_does_not_know_are_told_and_not_sent() {
    let got = run("P39");
    let outcome = &got["openai_only"]["bedrock"];
    let known = ["inferenceConfig", "messages", "serviceTier"];
    let fields: Vec<_> = body(outcome).as_object().expect("an object").keys().collect();
    assert!(fields.iter().all(|field| known.contains(&field.as_str())), "{fields:?}");
    assert_eq!(body(outcome)["serviceTier"], json!({"type": "flex"}), "that word it knows");
    let losses = outcome["losses"].as_str().expect("losses");
    let lost =
        ["prompt_cache_key", "store", "user", "metadata", "logit_bias", "seed", "brand_new", "verbosity"];
    for name in lost {
        assert!(losses.split(", ").any(|loss| loss == name), "{name} in {losses}");
    }
    assert_eq!(got["tier_it_does_not_know"]["bedrock"]["losses"], "service_tier");
}

#[test]
fn p40_top_k_goes_where_the_family_has_it() {
    let got = run("P40");
    let case = &got["top_k"];
    assert_eq!(body(&case["bedrock"])["additionalModelRequestFields"], json!({"top_k": 40}));
    assert_eq!(
        body(&case["bedrock-nova"])["additionalModelRequestFields"],
        json!({"inferenceConfig": {"topK": 40}})
    );
    assert_eq!(case["bedrock-llama"]["losses"], "top_k", "never ignored in silence");
    assert_eq!(body(&case["anthropic"])["top_k"], 40);
    assert_eq!(body(&case["gemini"])["generationConfig"]["topK"], 40);
    assert_eq!(body(&case["vllm"])["top_k"], 40);
}

/// Our policy: the gateway fetches nothing. A host that takes bytes only refuses the URL, and another may take it.
#[test]
fn p42_image_urls() {
    let got = run("P42");
    let https = &got["https"];
    let source = &body(&https["anthropic"])["messages"][0]["content"][1]["source"];
    assert_eq!(*source, json!({"type": "url", "url": "https://example.com/cat.png"}));
    for target in ["bedrock", "ollama"] {
        assert_eq!(
            refusal(&https[target], 400),
            ("unsupported_parameter", "messages[0].content"),
            "{target}"
        );
        assert_eq!(https[target]["retry"], "NextCandidate", "{target}");
    }
    let s3 = &body(&got["s3"]["bedrock"])["messages"][0]["content"][1]["image"];
    assert_eq!(*s3, json!({"format": "png", "source": {"s3Location": {"uri": "s3://bucket/cat.png"}}}));
    assert_eq!(refusal(&got["s3"]["anthropic"], 400).0, "unsupported_parameter");
    let bytes = &body(&got["bytes"]["bedrock"])["messages"][0]["content"][1]["image"];
    assert_eq!(*bytes, json!({"format": "png", "source": {"bytes": "iVBORw0KGgo="}}));
}

#[test]
fn p43_media_by_url_and_bytes() {
    let got = run("P43");
    let part = |case: &str| body(&got[case]["gemini"])["contents"][0]["parts"][1].clone();
    let by_url = |uri: &str, mime: &str| json!({"fileData": {"fileUri": uri, "mimeType": mime}});
    assert_eq!(part("gs"), by_url("gs://bucket/cat.webp", "image/webp"));
    assert_eq!(part("https"), by_url("https://example.com/cat.png?size=1", "image/png"));
    assert_eq!(part("data"), json!({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}));
    assert_eq!(refusal(&got["http"]["gemini"], 400).0, "unsupported_parameter");
}

#[test]
fn p44_image_types_are_normalised_or_refused() {
    let got = run("P44");
    for (case, mime) in [("jpg", "jpeg"), ("parameters", "png"), ("webp", "webp")] {
        let bedrock = &body(&got[case]["bedrock"])["messages"][0]["content"][1]["image"]["format"];
        assert_eq!(bedrock, mime, "{case}");
        let anthropic = &body(&got[case]["anthropic"])["messages"][0]["content"][1]["source"]["media_type"];
        assert_eq!(*anthropic, format!("image/{mime}"), "{case}");
        let gemini = &body(&got[case]["gemini"])["contents"][0]["parts"][1]["inlineData"]["mimeType"];
        assert_eq!(*gemini, format!("image/{mime}"), "{case}");
    }
    for target in ["bedrock", "anthropic", "gemini"] {
        assert_eq!(refusal(&got["bmp"][target], 400).0, "unsupported_parameter", "{target}");
        assert_eq!(got["bmp"][target]["retry"], "NextCandidate", "{target}");
    }
}

#[test]
fn p45_documents_have_clean_unique_names_and_a_text_beside_them() {
    let got = run("P45");
    let blocks = body(&got["names"]["bedrock"])["messages"][0]["content"].as_array().expect("blocks").clone();
    let names: Vec<_> = blocks.iter().filter_map(|block| block["document"]["name"].as_str()).collect();
    assert_eq!(names, ["a-b-c-d", "a-b-c-d 2", "Q1 (final) [v2]"]);
    let alone = &body(&got["alone"]["bedrock"])["messages"][0]["content"];
    assert_eq!(alone[0]["document"]["format"], "md");
    assert!(alone[1]["text"].is_string(), "a document never stands alone");
    for target in ["bedrock", "anthropic", "gemini"] {
        let outcome = &got["file_id"][target];
        assert_eq!(refusal(outcome, 400).0, "unsupported_parameter", "{target}: a file of another provider");
        let says = outcome["body"]["error"]["message"].as_str().expect("a message");
        assert!(says.contains("file"), "{target}: {says}");
        assert_eq!(outcome["retry"], "NextCandidate", "{target}");
    }
}

#[test]
fn p46_a_limit_is_filled_in_where_the_dialect_demands_one() {
    let got = run("P46");
    assert_eq!(body(&got["absent"]["anthropic"])["max_tokens"], 64_000);
    assert_eq!(body(&got["unknown_model"]["anthropic"])["max_tokens"], 4_096);
    assert!(body(&got["unknown_model"]["bedrock"]).get("inferenceConfig").is_none(), "Bedrock demands none");
}

#[test]
fn p47_the_limit_has_the_name_that_the_configured_host_wants() {
    let got = run("P47");
    for case in ["old_name", "new_name"] {
        for target in ["openai", "azure"] {
            let sent = body(&got[case][target]);
            assert_eq!(sent["max_completion_tokens"], 99, "{case} to {target}");
            assert!(sent.get("max_tokens").is_none(), "{case} to {target}");
        }
    }
    assert_eq!(
        body(&got["old_name"]["azure"])["model"],
        "our-alias",
        "the name tells nothing, the host does"
    );
    let passed = passed_through("P47", "old_name", "our-alias", MaxTokensField::MaxCompletionTokens);
    assert_eq!((&passed["max_completion_tokens"], passed.get("max_tokens")), (&json!(99), None));
}

#[test]
fn p48_the_new_name_of_the_limit_is_never_dropped() {
    let got = run("P48");
    let case = &got["new_name"];
    for target in ["vllm", "ollama", "mistral", "anthropic"] {
        assert_eq!(body(&case[target])["max_tokens"], 99, "{target}");
        assert!(body(&case[target]).get("max_completion_tokens").is_none(), "{target}");
    }
    assert_eq!(body(&case["gemini"])["generationConfig"]["maxOutputTokens"], 99);
    assert_eq!(body(&case["bedrock"])["inferenceConfig"]["maxTokens"], 99);
    let passed = passed_through("P48", "new_name", "qwen3:8b", MaxTokensField::MaxTokens);
    assert_eq!((&passed["max_tokens"], passed.get("max_completion_tokens")), (&json!(99), None));
}

/// The same request on the road that most calls to hosts of the same dialect take: bytes with edits.
fn passed_through(number: &str, case: &str, model: &str, field: MaxTokensField) -> Value {
    let request = super::run::cases(number)[case].text("request").expect("a request");
    let request = passthrough::Request::scan(Bytes::from(request)).expect("a request");
    let changes = passthrough::Changes {
        model: Some(model),
        max_tokens_field: field,
        ..passthrough::Changes::default()
    };
    serde_json::from_slice(&request.edit(&changes).to_bytes()).expect("JSON")
}

#[test]
fn p49_stop_is_a_list_without_blanks() {
    let got = run("P49");
    assert_eq!(body(&got["text"]["anthropic"])["stop_sequences"], json!(["END"]));
    assert_eq!(body(&got["text"]["bedrock"])["inferenceConfig"]["stopSequences"], json!(["END"]));
    assert_eq!(body(&got["text"]["gemini"])["generationConfig"]["stopSequences"], json!(["END"]));
    for target in ["anthropic", "bedrock"] {
        let outcome = &got["blank_entries"][target];
        assert!(body(outcome).to_string().contains(r#"["END"]"#), "{target}");
        assert_eq!(outcome["losses"], "stop", "{target}");
    }
    let many = &body(&got["more_than_four"]["anthropic"])["stop_sequences"];
    assert_eq!(many.as_array().map(Vec::len), Some(6));
}

/// Our policy: lowered to what the host takes, and told.
#[test]
fn p50_a_temperature_that_the_host_does_not_take() {
    let got = run("P50");
    let above = &got["above_one"];
    assert_eq!(body(&above["anthropic"])["temperature"], 1.0);
    assert_eq!(body(&above["bedrock"])["inferenceConfig"]["temperature"], 1.0);
    assert_eq!(above["anthropic"]["losses"], "temperature");
    let thinking = &got["with_thinking"]["anthropic"];
    assert!(body(thinking).get("temperature").is_none() && body(thinking).get("top_p").is_none());
    assert_eq!(thinking["losses"], "temperature, top_p");
    let without = &got["of_a_model_without_sampling"]["anthropic-adaptive"];
    assert!(body(without).get("temperature").is_none());
    assert_eq!(without["losses"], "temperature");
}

#[test]
fn p51_several_candidates_are_refused_and_never_made_one() {
    let got = run("P51");
    for target in ["anthropic", "bedrock", "gemini"] {
        assert_eq!(refusal(&got["two"][target], 400), ("unsupported_parameter", "n"), "{target}");
        assert_eq!(got["two"][target]["retry"], "NextCandidate", "{target}: another model may give two");
    }
    body(&got["one"]["anthropic"]);
}

#[test]
fn p52_effort_becomes_a_budget_that_fits_or_a_clear_refusal() {
    let got = run("P52");
    let high = &got["high"];
    let limits = |sent: &Value| (sent["thinking"]["budget_tokens"].as_u64(), sent["max_tokens"].as_u64());
    assert_eq!(limits(body(&high["anthropic"])), (Some(16_384), Some(64_000)));
    let adaptive = body(&high["anthropic-adaptive"]);
    assert_eq!(
        (&adaptive["thinking"]["type"], &adaptive["output_config"]["effort"]),
        (&"adaptive".into(), &"high".into())
    );
    let bedrock = &body(&high["bedrock"])["additionalModelRequestFields"]["thinking"];
    assert_eq!(*bedrock, json!({"type": "enabled", "budget_tokens": 16_384}));
    let (budget, limit) = limits(body(&got["under_a_limit"]["anthropic"]));
    assert!(
        limit == Some(4_000) && budget.is_some_and(|budget| (1_024..4_000).contains(&budget)),
        "{budget:?}"
    );
    for target in ["anthropic", "bedrock"] {
        assert_eq!(
            refusal(&got["no_room"][target], 400),
            ("unsupported_parameter", "max_tokens"),
            "{target}"
        );
    }
    assert!(body(&got["none"]["anthropic"]).get("thinking").is_none());
    assert_eq!(body(&got["none"]["anthropic-adaptive"])["thinking"], json!({"type": "disabled"}));
    let forced = &got["forced_tool"]["anthropic"];
    assert!(body(forced).get("thinking").is_none(), "a forced tool and thinking exclude each other");
    assert_eq!(forced["losses"], "reasoning_effort");
}

#[test]
fn p54_effort_becomes_the_nearest_level_that_the_model_takes() {
    let got = run("P54");
    let config =
        |case: &str, target: &str| body(&got[case][target])["generationConfig"]["thinkingConfig"].clone();
    assert_eq!(config("minimal", "gemini-3"), json!({"thinkingLevel": "low"}));
    assert_eq!(got["minimal"]["gemini-3"]["losses"], "reasoning_effort");
    assert_eq!(config("medium", "gemini-3"), json!({"thinkingLevel": "high"}));
    assert_eq!(config("minimal", "gemini"), json!({"thinkingBudget": 1_024}));
    assert_eq!(config("minimal", "gemini-old"), Value::Null);
    assert_eq!(got["minimal"]["gemini-old"]["losses"], "reasoning_effort");
}
