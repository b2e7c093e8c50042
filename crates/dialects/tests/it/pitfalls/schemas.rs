//! Schemas of tools and answers.

use super::{
    client,
    run::{body, refusal, run},
};
use serde_json::{Value, json};

/// What a tool takes, in either of Gemini's fields.
fn parameters(outcome: &Value) -> Value {
    let declared = &body(outcome)["tools"][0]["functionDeclarations"][0];
    declared.get("parameters").or(declared.get("parametersJsonSchema")).cloned().unwrap_or_default()
}

#[test]
fn p55_references_are_inlined_or_kept_where_the_model_reads_them() {
    let got = run("P55");
    let place = json!({"type": "OBJECT", "properties": {"city": {"type": "STRING", "description": "Its name."}},
        "required": ["city"]});
    let inlined = parameters(&got["references"]["gemini-old"]);
    assert_eq!((&inlined["properties"]["from"], &inlined["properties"]["to"]), (&place, &place));
    assert!(!inlined.to_string().contains('$'), "{inlined}");
    let kept = parameters(&got["references"]["gemini"]);
    assert_eq!(kept["properties"]["from"], json!({"$ref": "#/$defs/Place"}));
    assert!(kept["$defs"]["Place"].is_object());
    assert!(parameters(&got["recursion"]["gemini"])["$defs"]["Node"].is_object());
    let refused = &got["recursion"]["gemini-old"];
    assert_eq!(refusal(refused, 400), ("invalid_request", "tools[0].function.parameters"));
    assert_eq!(refused["retry"], "NextCandidate", "another model may take it");
    assert_eq!(refusal(&got["nowhere"]["gemini-old"], 400).0, "invalid_request");
    assert_eq!(got["nowhere"]["gemini-old"]["retry"], "Stop", "nobody can");
}

#[test]
fn p56_keywords_outside_of_the_subset_are_translated_or_told() {
    let got = run("P56");
    for target in ["gemini-old", "gemini"] {
        let outcome = &got["keywords"][target];
        let schema = parameters(outcome);
        let text = schema.to_string();
        for keyword in ["$schema", "exclusive", "default", "const", "multipleOf", "\"uri\""] {
            assert!(!text.contains(keyword), "{target}: {keyword} in {text}");
        }
        assert_eq!(schema["properties"]["level"]["minimum"], 1, "{target}: above 0, of whole numbers");
        assert_eq!(schema["properties"]["level"]["maximum"], 10, "{target}");
        assert_eq!(schema["properties"]["kind"]["enum"], json!(["a"]), "{target}");
        assert_eq!(schema["properties"]["when"]["format"], "date-time", "{target}");
        assert_eq!(outcome["losses"], "schema.default, schema.format, schema.multipleof", "{target}");
    }
    assert!(parameters(&got["keywords"]["gemini-old"]).get("additionalProperties").is_none());
    assert_eq!(parameters(&got["keywords"]["gemini"])["additionalProperties"], false);
}

#[test]
fn p57_a_tool_without_parameters_has_none() {
    let got = run("P57");
    for target in ["gemini-old", "gemini"] {
        for case in ["empty", "missing"] {
            assert_eq!(parameters(&got[case][target]), Value::Null, "{case} to {target}");
        }
    }
    assert_eq!(
        parameters(&got["no_properties"]["gemini-old"]),
        Value::Null,
        "it refuses an object of nothing"
    );
    assert_eq!(parameters(&got["no_properties"]["gemini"]), json!({"type": "object", "properties": {}}));
}

#[test]
fn p58_null_is_nullable_and_anything_stays_anything() {
    let got = run("P58");
    let old = parameters(&got["null_and_any"]["gemini-old"]);
    assert_eq!(
        old["properties"],
        json!({
            "a": {"type": "STRING", "nullable": true},
            "b": {"type": "INTEGER", "nullable": true},
            "c": {},
            "d": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}], "nullable": true},
        })
    );
    let new = parameters(&got["null_and_any"]["gemini"]);
    assert_eq!(new["properties"]["a"], json!({"anyOf": [{"type": "string"}, {"type": "null"}]}));
    assert_eq!(new["properties"]["c"], json!({}));
}

#[test]
fn p59_choices_of_numbers_are_texts_where_only_texts_are_known() {
    let got = run("P59");
    let level = |target: &str| parameters(&got["integers"][target])["properties"]["level"].clone();
    assert_eq!(level("gemini-old"), json!({"type": "STRING", "enum": ["1", "2", "3"]}));
    assert_eq!(level("gemini"), json!({"type": "integer", "enum": [1, 2, 3]}));
}

#[test]
fn p60_an_answer_by_schema_is_content_and_never_a_tool_call() {
    let got = run("P60");
    let native = &got["native"];
    assert_eq!(body(&native["anthropic"])["output_config"]["format"]["type"], "json_schema");
    assert!(body(&native["anthropic"]).get("tools").is_none());
    let text = &body(&native["bedrock"])["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    assert!(text.is_string(), "Converse takes the schema as a text");
    assert_eq!(body(&native["gemini"])["generationConfig"]["responseMimeType"], "application/json");
    let forced = body(&got["by_tool"]["anthropic"]);
    assert_eq!(forced["tool_choice"], json!({"type": "tool", "name": forced["tools"][0]["name"]}));
    let forced = &body(&got["by_tool"]["bedrock"])["toolConfig"];
    assert_eq!(forced["toolChoice"]["tool"]["name"], forced["tools"][0]["toolSpec"]["name"]);
    for case in ["answer_by_tool", "answer_by_tool_of_bedrock"] {
        let choice = &body(&got[case])["choices"][0];
        let content = choice["message"]["content"].as_str().expect("content");
        let answer: Value = serde_json::from_str(content).expect("JSON");
        assert_eq!(answer, json!({"name": "Ann", "age": 30}), "{case}");
        assert_eq!(choice["finish_reason"], "stop", "{case}");
        assert!(choice["message"].get("tool_calls").is_none(), "{case}");
    }
    let streamed = client::read(&got["streamed_answer_by_tool"]);
    assert_eq!(streamed.text, r#"{"name":"Ann","age":30}"#);
    assert_eq!((streamed.calls.len(), streamed.finish.as_deref()), (0, Some("stop")));
}

/// A schema that must be obeyed is held to the subset that the host takes, and what is left out is told. One that
/// need not be goes as it is.
#[test]
fn p61_constraints_that_the_host_refuses_are_left_out_and_told() {
    let got = run("P61");
    let answer = &got["answer"];
    let text = &body(&answer["bedrock"])["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    let schema: Value = serde_json::from_str(text.as_str().expect("a text")).expect("JSON");
    let wanted = json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
        "name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "number"}}}});
    assert_eq!(schema, wanted);
    let losses = answer["bedrock"]["losses"].as_str().expect("losses");
    for keyword in ["minlength", "maxlength", "pattern", "minimum", "minitems", "maxitems"] {
        assert!(losses.contains(&format!("response_format.schema.{keyword}")), "{keyword} in {losses}");
    }
    let anthropic = &body(&answer["anthropic"])["output_config"]["format"]["schema"];
    assert_eq!(anthropic["properties"]["name"], json!({"type": "string", "pattern": "^[A-Z]"}));
    assert_eq!(anthropic["additionalProperties"], false);
    let strict = &got["strict_tool"];
    assert_eq!(strict["bedrock"]["losses"], "tools.strict", "not obeyed exactly, so nothing is refused");
    assert!(!body(&strict["bedrock"]).to_string().contains("strict"));
    let tool = &body(&strict["anthropic"])["tools"][0];
    assert_eq!(tool["strict"], true);
    assert!(!tool["input_schema"].to_string().contains("minLength"), "{tool}");
    for target in ["bedrock", "anthropic"] {
        let lax = &got["lax_tool"][target];
        assert!(body(lax).to_string().contains("minLength"), "{target}");
        assert_eq!(lax["losses"], "", "{target}");
    }
}
