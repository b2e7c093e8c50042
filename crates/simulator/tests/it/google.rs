use serde_json::{Value, json};

use crate::client::{Got, ask, credential, post, send, simulator};

const VERTEX: &str = "/v1/projects/p/locations/europe-west4/publishers";

fn text_of(events: &[Value]) -> String {
    let parts =
        events.iter().flat_map(|event| event["candidates"][0]["content"]["parts"].as_array().unwrap());
    parts.filter_map(|part| part["text"].as_str()).collect()
}

#[tokio::test]
async fn gemini_answers_whole_as_sse_and_as_array() {
    let simulator = simulator().await;
    let got = ask(&simulator, "gemini", "Hello", false).await;
    assert!(got.header("server-timing").starts_with("gfet4t7; dur="));
    let whole = got.json();
    assert_eq!(whole["usageMetadata"].get("trafficType"), None);
    let text = whole["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap().to_owned();
    let streamed = ask(&simulator, "gemini", "Hello", true).await;
    assert!(streamed.text().contains("}\r\n\r\ndata: "));
    let events = streamed.events();
    assert_eq!(text_of(&events), text);
    assert_eq!(events.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    assert_eq!(events.last().unwrap()["usageMetadata"], whole["usageMetadata"]);
    let body = json!({"contents": [{"parts": [{"text": "Hello"}]}]});
    let path = "/v1beta/models/gemini-3.5-flash:streamGenerateContent?key=AIzaSimulatedGeminiKey";
    let array = post(&simulator, "gemini", path, ("x-none", ""), &body).await.json();
    assert_eq!(text_of(array.as_array().unwrap()), text);
}

#[tokio::test]
async fn thoughts_and_calls_carry_signatures_that_must_come_back() {
    let simulator = simulator().await;
    let path = "/v1beta/models/gemini-3.5-flash:generateContent";
    let mut body = json!({
        "contents": [{"role": "user", "parts": [{"text": "weather in Oslo?"}]}],
        "tools": [{"functionDeclarations": [{"name": "get_weather", "parameters": {"type": "OBJECT",
            "properties": {"city": {"type": "STRING"}}, "required": ["city"]}}]}],
        "generationConfig": {"thinkingConfig": {"thinkingBudget": 512, "includeThoughts": true}},
    });
    let ask = |body: &Value| {
        let body = body.clone();
        let simulator = &simulator;
        async move { post(simulator, "gemini", path, credential("gemini"), &body).await }
    };
    let got = ask(&body).await.json();
    let parts = got["candidates"][0]["content"]["parts"].as_array().unwrap().clone();
    assert_eq!(parts[0]["thought"], true);
    assert_eq!(parts[1]["functionCall"]["args"], json!({"city": "Oslo"}));
    let usage = &got["usageMetadata"];
    let sum = ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"]
        .map(|key| usage[key].as_u64().unwrap());
    assert_eq!(usage["totalTokenCount"].as_u64().unwrap(), sum.iter().sum::<u64>());

    let answered = json!({"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": {"sky": "grey"}}}]});
    let mut bare = parts[1].clone();
    bare.as_object_mut().unwrap().remove("thoughtSignature");
    // Of an earlier turn nothing is checked: it may be another model's.
    let mut earlier = body.clone();
    let contents = earlier["contents"].as_array_mut().unwrap();
    contents.push(json!({"role": "model", "parts": [bare.clone()]}));
    contents.push(answered.clone());
    contents.push(json!({"role": "model", "parts": [{"text": "Grey."}]}));
    contents.push(json!({"role": "user", "parts": [{"text": "Thanks"}]}));
    let got = ask(&earlier).await;
    assert_eq!(got.status, 200, "{}", got.text());
    for (part, status) in [(bare, 400), (parts[1].clone(), 200)] {
        let mut again = body.clone();
        let contents = again["contents"].as_array_mut().unwrap();
        contents.push(json!({"role": "model", "parts": [part]}));
        contents.push(answered.clone());
        let got = ask(&again).await;
        assert_eq!(got.status, status, "{}", got.text());
    }
    body["contents"].as_array_mut().unwrap().push(answered);
    assert_eq!(ask(&body).await.status, 400, "a response without a call");
}

#[tokio::test]
async fn vertex_serves_gemini_and_claude() {
    let simulator = simulator().await;
    let got = ask(&simulator, "vertex-europe-west4", "Hello", false).await;
    assert_eq!(got.header("server"), "scaffolding on HTTPServer2");
    assert_eq!(got.header("server-timing"), "");
    assert_eq!(got.json()["usageMetadata"]["trafficType"], "ON_DEMAND");
    let claude = |body: Value, verb: &'static str| {
        let path = format!("{VERTEX}/anthropic/models/claude-opus-5-5@20260901:{verb}");
        let simulator = &simulator;
        async move { post(simulator, "vertex-europe-west4", &path, credential("vertex"), &body).await }
    };
    let mut body = json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello"}]});
    let got = claude(body.clone(), "rawPredict").await.json();
    assert!(got["id"].as_str().unwrap().starts_with("msg_vrtx_"));
    body["stream"] = json!(true);
    let events = claude(body.clone(), "streamRawPredict").await.events();
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    body["model"] = json!("claude-opus-5-5");
    let refused = claude(body, "rawPredict").await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (400, &json!("invalid_request_error")));
}

#[tokio::test]
async fn errors_have_google_shape() {
    let simulator = simulator().await;
    let status = |got: &Got| (got.status, got.json()["error"]["status"].as_str().unwrap().to_owned());
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}]});
    let path = "/v1beta/models/gemini-3.5-flash:generateContent";
    let wrong = post(&simulator, "gemini", path, ("x-goog-api-key", "no"), &body).await;
    assert_eq!(wrong.json()["error"]["details"][0]["reason"], "API_KEY_INVALID");
    assert_eq!(status(&wrong), (400, "INVALID_ARGUMENT".to_owned()));
    let address = simulator.address("gemini").unwrap();
    let unknown = send(address, "GET", "/v1beta/nothing", &[credential("gemini")], "").await.unwrap();
    assert_eq!(status(&unknown), (404, "NOT_FOUND".to_owned()));
    let path = format!("{VERTEX}/google/models/gemini-3.5-flash:generateContent");
    let wrong = post(&simulator, "vertex-europe-west4", &path, ("authorization", "Bearer no"), &body).await;
    assert_eq!(status(&wrong), (401, "UNAUTHENTICATED".to_owned()));
    let elsewhere = path.replace("europe-west4", "us-east5");
    let got = post(&simulator, "vertex-europe-west4", &elsewhere, credential("vertex"), &body).await;
    assert_eq!(got.status, 404);
    let extra = json!({"contents": [{"parts": [{"text": "x"}]}], "nonsense": 1});
    let got = post(&simulator, "vertex-europe-west4", &path, credential("vertex"), &extra).await;
    assert!(got.json()["error"]["message"].as_str().unwrap().contains("Unknown name \"nonsense\""));
}
