//! Pitfalls of requests, by number.

use super::*;
use crate::codec::Envelope;
use domain::{
    Code, Effort, LogprobOptions, Media, MediaSource, OutputFormat, PartKind, Reasoning, ReasoningControl,
    ReasoningOptions, Tool, ToolChoice, ToolKind,
};
use proptest::prelude::*;
use serde_json::json as j;

fn tool(name: &str, parameters: Option<Value>) -> Tool {
    Tool {
        name: name.to_owned(),
        description: Some(String::from("d")),
        parameters: parameters.map(Raw::from),
        strict: None,
        kind: ToolKind::Function,
        bag: domain::Bag::new(),
    }
}

fn steps() -> Call {
    foreign(vec![
        says(Role::User, "go"),
        (Role::Assistant, vec![asks("a", "f", "{\"x\":1}"), asks("b", "g", "")]),
        (Role::Tool, vec![answers("b", "two")]),
        (Role::Tool, vec![answers("a", "{\"n\":1}")]),
        says(Role::User, "and?"),
    ])
}

#[test]
fn p24_p27_results_of_one_step_stand_in_one_content_named_and_in_order() {
    let (body, losses) = encode(&steps());
    assert_eq!(losses, "");
    insta::assert_json_snapshot!(sorted(&body));
    assert_eq!(body["contents"][2]["parts"].as_array().unwrap().len(), 2);
}

#[test]
fn p24_a_result_without_its_call_is_the_callers_fault() {
    let call = foreign(vec![says(Role::User, "x"), (Role::Tool, vec![answers("nobody", "x")])]);
    let fault = encode_to(&call, "gemini-2.5-flash", &Capabilities::default()).unwrap_err();
    assert_eq!((fault.code, fault.param.as_deref()), (Code::InvalidRequest, Some("messages.tool_call_id")));
}

#[test]
fn p25_a_result_with_references_stays_a_text() {
    let mut call = steps();
    call.items[3] = Item::new(answers("b", "{\"$ref\":\"#/x\"}"), call.items[3].origin);
    assert_eq!(
        encode(&call).0["contents"][2]["parts"][1]["functionResponse"]["response"],
        j!({"result": "{\"$ref\":\"#/x\"}"})
    );
}

#[test]
fn p26_ids_are_left_out_where_the_host_refuses_them() {
    let quirks = Quirks { no_function_call_ids: true, ..Quirks::default() };
    let capabilities = Capabilities::default();
    let target = Target { model: "gemini-2.5-flash", capabilities: &capabilities, quirks };
    let body = json(&Gemini.encode_call(&steps(), &target).unwrap().body);
    assert!(!body.to_string().contains("\"id\""));
    assert!(encode(&steps()).0.to_string().contains("\"id\":\"a\""));
}

#[test]
fn p32_p33_p34_system_and_developer_are_hoisted_in_order_and_a_late_one_is_told() {
    let call = foreign(vec![
        says(Role::System, "one"),
        says(Role::Developer, "two"),
        says(Role::User, "hi"),
        says(Role::System, "three"),
        says(Role::Assistant, "ho"),
        says(Role::User, "hu"),
    ]);
    let (body, losses) = encode(&call);
    assert_eq!(
        body["systemInstruction"],
        j!({"parts": [{"text": "one"}, {"text": "two"}, {"text": "three"}]})
    );
    let said: Vec<&Value> =
        body["contents"].as_array().unwrap().iter().map(|one| &one["parts"][0]["text"]).collect();
    assert_eq!(said, ["hi", "ho", "hu"]);
    assert_eq!(losses, "messages.system_position");
    let (body, losses) = encode(&foreign(vec![says(Role::System, "alone")]));
    assert_eq!(body, j!({"contents": [{"role": "user", "parts": [{"text": "alone"}]}]}));
    assert_eq!(losses, "messages.system_role");
}

fn image(source: MediaSource, mime: Option<&str>) -> PartKind {
    PartKind::Image(Media { source, mime: mime.map(Into::into), name: None })
}

fn part_of(kind: PartKind) -> Result<Value, Fault> {
    let mut call = foreign(vec![says(Role::User, "")]);
    call.items[0].kind = ItemKind::Message(Message { role: Role::User, parts: vec![Part::new(kind, 0)] });
    let done = encode_to(&call, "gemini-2.5-flash", &Capabilities::default())?;
    Ok(json(&done.body)["contents"][0]["parts"][0].clone())
}

#[test]
fn p43_p44_media_by_url_and_bytes() {
    let url = |url: &str| MediaSource::Url(url.into());
    assert_eq!(
        part_of(image(url("gs://b/a.PNG?x"), None)),
        Ok(j!({"fileData": {"mimeType": "image/png", "fileUri": "gs://b/a.PNG?x"}}))
    );
    assert_eq!(
        part_of(image(url("https://h/a"), None)),
        Ok(j!({"fileData": {"mimeType": "image/jpeg", "fileUri": "https://h/a"}}))
    );
    let bytes = |data: &str| MediaSource::Base64(data.into());
    assert_eq!(
        part_of(image(bytes("AAAA"), Some("image/jpg; charset=x"))),
        Ok(j!({"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}))
    );
    assert_eq!(part_of(image(bytes("iVBORw0KGgoA"), None)).unwrap()["inlineData"]["mimeType"], "image/png");
    let pdf = Media { source: bytes("JVBERi0x"), mime: Some("application/pdf".into()), name: None };
    assert_eq!(part_of(PartKind::Document(pdf)).unwrap()["inlineData"]["mimeType"], "application/pdf");
    for kind in [
        image(bytes("AAAA"), Some("image/tiff")),
        image(url("http://h/a.png"), None),
        image(MediaSource::FileId("file-1".into()), None),
    ] {
        assert_eq!(part_of(kind).unwrap_err().code, Code::UnsupportedParameter);
    }
}

#[test]
fn p48_p49_limits_stops_and_the_rest_of_the_options() {
    let mut call = foreign(vec![says(Role::User, "x")]);
    call.options.max_output_tokens = Some(7);
    call.options.stop = vec![String::from("x"), String::new()];
    call.options.temperature = serde_json::Number::from_f64(1.5);
    call.options.seed = Some(3.into());
    call.options.logprobs = Some(LogprobOptions { top: Some(2) });
    call.options.end_user = Some("u".into());
    call.options.store = Some(false);
    call.tools = vec![tool("f", None)];
    call.parallel_tool_calls = Some(false);
    call.tool_choice = Some(ToolChoice::Named(String::from("f")));
    let (body, losses) = encode(&call);
    insta::assert_json_snapshot!(sorted(&body));
    assert_eq!(losses, "user, parallel_tool_calls");
    call.options.stop = (0..6).map(|n| n.to_string()).collect();
    let fault = encode_to(&call, "gemini-2.5-flash", &Capabilities::default()).unwrap_err();
    assert_eq!((fault.code, fault.param.as_deref()), (Code::UnsupportedParameter, Some("stop")));
}

#[test]
fn tool_choice_in_all_its_forms() {
    for (choice, want) in [
        (ToolChoice::Auto, j!({"mode": "AUTO"})),
        (ToolChoice::None, j!({"mode": "NONE"})),
        (ToolChoice::Required, j!({"mode": "ANY"})),
        (ToolChoice::Named(String::from("f")), j!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
    ] {
        let mut call = steps();
        call.tools = vec![tool("f", None)];
        call.tool_choice = Some(choice);
        assert_eq!(encode(&call).0["toolConfig"]["functionCallingConfig"], want);
    }
}

#[test]
fn p51_n_is_candidate_count_where_the_model_gives_several_and_a_fault_elsewhere() {
    let mut call = foreign(vec![says(Role::User, "x")]);
    call.options.candidates = Some(2);
    assert_eq!(encode(&call).0["generationConfig"]["candidateCount"], 2);
    let one = Capabilities { candidates: false, ..Capabilities::default() };
    let fault = encode_to(&call, "gemini-2.5-flash", &one).unwrap_err();
    assert_eq!((fault.code, fault.param.as_deref()), (Code::UnsupportedParameter, Some("n")));
}

#[test]
fn p52_p54_effort_and_budget_become_what_the_model_takes() {
    use ReasoningControl as C;
    for (model, control, effort, budget, want, loss) in [
        ("gemini-3.5-flash", C::Effort, Some(Effort::Minimal), None, j!({"thinkingLevel": "minimal"}), ""),
        (
            "gemini-3.8-flash",
            C::Effort,
            Some(Effort::Minimal),
            None,
            j!({"thinkingLevel": "low"}),
            "reasoning_effort",
        ),
        ("gemini-3.1-pro", C::Effort, Some(Effort::Medium), None, j!({"thinkingLevel": "medium"}), ""),
        (
            "gemini-3.1-pro",
            C::Effort,
            Some(Effort::XHigh),
            None,
            j!({"thinkingLevel": "high"}),
            "reasoning_effort",
        ),
        (
            "gemini-3.1-pro",
            C::Effort,
            None,
            Some(2_000),
            j!({"thinkingLevel": "low"}),
            "thinking.budget_tokens",
        ),
        ("gemini-2.5-flash", C::Budget, Some(Effort::None), None, j!({"thinkingBudget": 0}), ""),
        (
            "gemini-2.5-pro",
            C::Budget,
            Some(Effort::None),
            None,
            j!({"thinkingBudget": 128}),
            "reasoning_effort",
        ),
        (
            "gemini-2.5-flash",
            C::Budget,
            None,
            Some(99_999),
            j!({"thinkingBudget": 24_576}),
            "thinking.budget_tokens",
        ),
        ("gemini-2.0-flash", C::None, Some(Effort::High), None, Value::Null, "reasoning_effort"),
    ] {
        let mut call = foreign(vec![says(Role::User, "x")]);
        call.options.reasoning =
            Some(ReasoningOptions { effort, budget_tokens: budget, ..ReasoningOptions::default() });
        let can = Capabilities { reasoning: control, ..Capabilities::default() };
        let done = encode_to(&call, model, &can).unwrap();
        assert_eq!(json(&done.body)["generationConfig"]["thinkingConfig"], want, "{model} {effort:?}");
        assert_eq!(done.losses.to_string(), loss, "{model} {effort:?}");
    }
}

fn declared(model: &str, schema: Value) -> Result<(Value, String), Fault> {
    let mut call = foreign(vec![says(Role::User, "x")]);
    call.tools = vec![tool("f", Some(schema))];
    let done = encode_to(&call, model, &Capabilities::default())?;
    Ok((json(&done.body)["tools"][0]["functionDeclarations"][0].clone(), done.losses.to_string()))
}

#[test]
fn p55_references_are_inlined_or_kept_and_recursion_is_bounded() {
    let flat = j!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"type": "string", "description": "d"}}});
    let (tool, _) = declared("gemini-2.0-flash", flat.clone()).unwrap();
    assert_eq!(tool["parameters"]["properties"]["a"], j!({"type": "STRING", "description": "d"}));
    let (tool, _) = declared("gemini-2.5-flash", flat.clone()).unwrap();
    assert_eq!(tool["parametersJsonSchema"], flat);
    let tree = j!({"type": "object", "properties": {"next": {"$ref": "#/definitions/N"}},
        "definitions": {"N": {"type": "object", "properties": {"next": {"$ref": "#/definitions/N"}}}}});
    assert_eq!(declared("gemini-2.0-flash", tree.clone()).unwrap_err().code, Code::InvalidRequest);
    let (tool, _) = declared("gemini-3-flash", tree).unwrap();
    assert_eq!(tool["parametersJsonSchema"]["properties"]["next"], j!({"$ref": "#/$defs/N"}));
    let beside = j!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "description": "mine"}},
        "$defs": {"A": {"type": "string", "description": "its"}}});
    let (tool, _) = declared("gemini-3-flash", beside).unwrap();
    assert_eq!(
        tool["parametersJsonSchema"]["properties"]["a"],
        j!({"type": "string", "description": "mine"})
    );
    let mut bomb = j!({"type": "string"});
    for _ in 0..60 {
        bomb = j!({"type": "array", "items": bomb});
    }
    assert_eq!(declared("gemini-3-flash", bomb).unwrap_err().code, Code::InvalidRequest);
    assert!(declared("gemini-3-flash", j!({"allOf": [{"$ref": "#/nowhere/x"}]})).is_err());
}

#[test]
fn p56_p58_p59_keywords_are_translated_for_the_openapi_form() {
    let schema = j!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "additionalProperties": false, "required": ["z", "gone"],
        "properties": {
            "z": {"type": "integer", "exclusiveMinimum": 0, "default": 1},
            "c": {"const": "k"}, "f": {"type": "string", "format": "uri"},
            "d": {"type": "string", "format": "date-time"},
            "n": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "l": {"type": ["integer", "null"]},
            "any": {}, "e": {"type": "integer", "enum": [1, 2]}, "o": {"oneOf": [{"type": "string"}, {"type": "number"}]},
            "m": {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]}
        }
    });
    let (tool, losses) = declared("gemini-2.0-flash", schema.clone()).unwrap();
    insta::assert_json_snapshot!("openapi", sorted(&tool["parameters"]));
    assert!(losses.contains("schema.default") && losses.contains("schema.format"), "{losses}");
    let (tool, _) = declared("gemini-2.5-flash", schema).unwrap();
    insta::assert_json_snapshot!("json_schema", sorted(&tool["parametersJsonSchema"]));
}

#[test]
fn order_of_properties_is_kept() {
    let mut call = foreign(vec![says(Role::User, "x")]);
    let schema = r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}"#;
    call.options.output = Some(OutputFormat::JsonSchema {
        name: Some("n".into()),
        description: None,
        schema: Some(Raw::parse(schema).unwrap()),
        strict: Some(true),
    });
    let done = encode_to(&call, "gemini-2.5-flash", &Capabilities::default()).unwrap();
    let text = String::from_utf8(done.body).unwrap();
    assert!(text.contains(&format!("\"responseJsonSchema\":{schema}")), "{text}");
}

#[test]
fn p57_a_tool_without_parameters_has_none() {
    for (model, schema, want) in [
        ("gemini-2.5-flash", j!({}), Value::Null),
        ("gemini-2.0-flash", j!({"type": "object", "properties": {}}), Value::Null),
        ("gemini-2.5-flash", j!({"type": "object"}), j!({"type": "object", "properties": {}})),
    ] {
        let (tool, _) = declared(model, schema).unwrap();
        assert_eq!(tool["parameters"], Value::Null);
        assert_eq!(tool["parametersJsonSchema"], want);
    }
}

#[test]
fn p63_a_gemini_callers_schema_is_carried_as_it_is_and_read_as_json_schema() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"x"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}}]}]}"#;
    let envelope = Envelope { model: Some("m"), stream: false };
    let call = Gemini.decode_call(body.as_bytes(), &envelope).unwrap();
    assert_eq!(
        call.tools[0].parameters,
        raw(j!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}))
    );
    assert_eq!(encode(&call).0, json(body.as_bytes()));
}

#[test]
fn p72_p74_signatures_go_back_on_their_part_and_foreign_thoughts_do_not() {
    let mut call = steps();
    let thought = |signature, text: &str| {
        ItemKind::Reasoning(Reasoning { text: text.to_owned(), signature, redacted: false })
    };
    let origin = Origin { message: 1, part: 0 };
    call.items.insert(1, Item::new(thought(signed(Dialect::AnthropicMessages, "A"), "hm"), origin));
    call.items.insert(2, Item::new(thought(signed(Dialect::Gemini, "T"), "so"), origin));
    if let ItemKind::ToolCall(tool) = &mut call.items[3].kind {
        tool.signature = signed(Dialect::Gemini, "G");
    }
    let (body, losses) = encode(&call);
    assert_eq!(losses, "reasoning, reasoning.signature");
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[0], j!({"text": "so", "thought": true, "thoughtSignature": "T"}));
    assert_eq!(parts[1]["thoughtSignature"], "G");
    assert_eq!(parts[2].get("thoughtSignature"), None);
}

#[test]
fn p74_a_missing_signature_is_stood_in_for_on_the_first_call_of_a_current_step_only() {
    let strict = Capabilities { reasoning: ReasoningControl::Effort, ..Capabilities::default() };
    let mut call = steps();
    let old = json(&encode_to(&call, "gemini-3-flash", &strict).unwrap().body);
    assert!(!old.to_string().contains("skip_thought"), "an earlier turn is not checked");
    call.items.pop();
    call.turns.pop();
    let body = json(&encode_to(&call, "gemini-3-flash", &strict).unwrap().body);
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[1].get("thoughtSignature"), None);
    assert!(!encode(&call).0.to_string().contains("skip_thought"), "2.5 does not need one");
}

#[test]
fn broken_arguments_are_wrapped_and_told() {
    let mut call = steps();
    call.items[1] = Item::new(asks("a", "f", "{\"x\": tru"), call.items[1].origin);
    let (body, losses) = encode(&call);
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["args"], j!({"arguments": "{\"x\": tru"}));
    assert_eq!(losses, "messages.tool_calls.arguments");
}

#[test]
fn bad_requests_are_the_callers_fault_and_name_the_place() {
    let envelope = Envelope { model: Some("m"), stream: false };
    for (body, code, param) in [
        ("{", Code::InvalidJson, None),
        ("[]", Code::InvalidJson, None),
        ("{}", Code::InvalidRequest, Some("contents")),
        (r#"{"contents":[{"parts":"x"}]}"#, Code::InvalidRequest, Some("contents[0].parts")),
        (
            r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#,
            Code::InvalidRequest,
            Some("contents[0].parts[0].functionCall.name"),
        ),
    ] {
        let fault = Gemini.decode_call(body.as_bytes(), &envelope).unwrap_err();
        assert_eq!((fault.code, fault.param.as_deref()), (code, param), "{body}");
    }
}

proptest! {
    #[test]
    fn no_schema_makes_it_panic_or_write_bad_json(text in "[\\[\\]{}:,\"a-z$#/0-9 ]{0,80}", key in "[a-zA-Z$]{1,12}") {
        let schema = serde_json::from_str(&text).unwrap_or_else(|_| j!({"type": "object", "properties": {"p": {key: text}}}));
        for model in ["gemini-2.0-flash", "gemini-3-flash"] {
            let _ = declared(model, schema.clone());
        }
    }
}
