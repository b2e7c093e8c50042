//! Deployments that are called by the Responses API: callers of both dialects reach them, they are asked to keep
//! nothing, and their encrypted thoughts go back to them and to nobody else.

use crate::{caller::Caller, child::GatewayChild, cloud_spec, folder};
use http::{Method, StatusCode, response::Parts};
use serde_json::{Value, json};
use simulator::{CloudKind, ExchangeRecord, Simulator, SimulatorConfig};

const KEY: &str = "sk-here";
const HOME: &str = "gpt-5.4@openai";
const AWAY: &str = "gpt-5.4@azure";

struct Bench {
    simulator: Simulator,
    _gateway: GatewayChild,
    _dir: tempfile::TempDir,
    caller: Caller,
}

impl Bench {
    async fn start() -> Self {
        let clouds = vec![
            cloud_spec("openai", CloudKind::Openai, None),
            cloud_spec("azure", CloudKind::Azure, Some("westeurope")),
        ];
        let simulator = Simulator::start(SimulatorConfig { clouds, ..SimulatorConfig::default() });
        let simulator = simulator.await.unwrap();
        let dir = folder(&[("cabotage.toml", &configuration(&simulator))]);
        let gateway = GatewayChild::serve(dir.path());
        let caller = Caller::connect(gateway.address).await.unwrap();
        Self { simulator, _gateway: gateway, _dir: dir, caller }
    }

    async fn ask(&mut self, path: &str, body: &Value) -> (Parts, Value) {
        let (head, bytes) = self.caller.send(Method::POST, path, KEY, body.to_string()).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(head.status, StatusCode::OK, "{text}");
        (head, serde_json::from_str(&text).unwrap())
    }

    /// The data of every event.
    async fn stream(&mut self, path: &str, body: &Value) -> Vec<Value> {
        let (head, bytes) = self.caller.send(Method::POST, path, KEY, body.to_string()).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(head.status, StatusCode::OK, "{text}");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    fn last(&self) -> (ExchangeRecord, Value) {
        let record = self.simulator.journal().pop().unwrap();
        let body = serde_json::from_str(record.body.as_deref().unwrap()).unwrap();
        (record, body)
    }
}

fn configuration(simulator: &Simulator) -> String {
    let [openai, azure] = ["openai", "azure"].map(|cloud| simulator.base_url(cloud).unwrap());
    let key = "5a".repeat(32);
    format!(
        r#"
[listen]
data = "127.0.0.1:0"
admin = "127.0.0.1:0"
[journal]
dir = "data"
[[state.store]]
name = "kept"
master_key = {{ value = "{key}", in_clear = true }}
[[deployment]]
name = "openai"
provider = "openai"
dialect = "openai-responses"
model = "gpt-5.4"
endpoint = "{openai}"
api_key = {{ value = "sk-simulated-openai", in_clear = true }}
[[deployment]]
name = "azure"
provider = "azure"
dialect = "openai-responses"
model = "gpt-5.4"
region = "westeurope"
endpoint = "{azure}"
api_key = {{ value = "simulated-azure-key", in_clear = true }}
[[workload]]
name = "here"
may_pin = true
[[key]]
id = "here"
workload = "here"
secret = {{ value = "{KEY}", in_clear = true }}
"#
    )
}

fn weather() -> Value {
    json!({"name": "get_weather", "description": "The weather of a place",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_caller_reaches_them_whole_streamed_and_with_tools() {
    let mut bench = Bench::start().await;
    for (model, path) in [(HOME, "/v1/responses"), (AWAY, "/openai/v1/responses")] {
        let said = json!({"role": "user", "content": "canary-4711 please"});
        let (_, answer) =
            bench.ask("/v1/chat/completions", &json!({"model": model, "messages": [said]})).await;
        let message = &answer["choices"][0]["message"];
        assert!(message["content"].as_str().unwrap().contains("canary-4711"), "{answer}");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        assert!(answer["usage"]["total_tokens"].as_u64() > Some(0), "{answer}");
        let (record, sent) = bench.last();
        assert_eq!((&*record.path, &sent["store"]), (path, &json!(false)), "{sent}");

        let body = json!({"model": model, "messages": [said], "stream": true, "stream_options": {"include_usage": true}});
        let chunks = bench.stream("/v1/chat/completions", &body).await;
        let text: String =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert!(text.contains("canary-4711"), "{text}");
        assert!(chunks.last().unwrap()["usage"]["total_tokens"].as_u64() > Some(0));

        let tools = json!([{"type": "function", "function": weather()}]);
        let asked = json!({"role": "user", "content": "What is the weather in Paris? Use the tool."});
        let force = json!({"type": "function", "function": {"name": "get_weather"}});
        let body = json!({"model": model, "messages": [asked], "tools": tools, "tool_choice": force});
        let (_, answer) = bench.ask("/v1/chat/completions", &body).await;
        assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls", "{answer}");
        let call = &answer["choices"][0]["message"]["tool_calls"][0];
        assert_eq!(call["function"]["name"], "get_weather");
        let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "canary-sunny"});
        let body = json!({"model": model, "messages": [asked, answer["choices"][0]["message"], result], "tools": tools});
        let (_, answer) = bench.ask("/v1/chat/completions", &body).await;
        assert_eq!(answer["choices"][0]["finish_reason"], "stop", "{answer}");
        let (_, sent) = bench.last();
        let items = sent["input"].as_array().unwrap();
        assert!(
            items.iter().any(|item| item["type"] == "function_call_output" && item["call_id"] == call["id"])
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_thoughts_go_home_as_they_came() {
    let mut bench = Bench::start().await;
    let ask = |input: Value| {
        json!({"model": HOME, "store": false, "input": input, "reasoning": {"effort": "low", "summary": "auto"},
            "include": ["reasoning.encrypted_content"]})
    };
    let question = json!({"role": "user", "content": "Think, then say canary-1."});
    let (_, answer) = bench.ask("/v1/responses", &ask(json!([question]))).await;
    let output = answer["output"].as_array().unwrap().clone();
    let thought = output.iter().find(|item| item["type"] == "reasoning").unwrap();
    let proof = thought["encrypted_content"].as_str().unwrap().to_owned();
    let mut input = vec![question];
    input.extend(output);
    input.push(json!({"role": "user", "content": "And now canary-2."}));
    let (head, answer) = bench.ask("/v1/responses", &ask(json!(input))).await;
    assert!(answer.to_string().contains("canary-2"), "{answer}");
    let lost = head.headers.get("x-cabotage-translation-loss");
    assert!(lost.is_none(), "{lost:?}");
    let (_, sent) = bench.last();
    assert!(
        sent["input"].as_array().unwrap().iter().any(|item| item["encrypted_content"] == proof.as_str()),
        "{sent}"
    );

    // Streamed, the same item with its proof comes at its end.
    let mut body = ask(json!("Think, then say canary-3."));
    body["stream"] = json!(true);
    let events = bench.stream("/v1/responses", &body).await;
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed", "{last}");
    let output = last["response"]["output"].as_array().unwrap();
    assert!(output.iter().any(|item| item["encrypted_content"].is_string()), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_conversation_leaves_its_proofs_at_home_and_says_so() {
    let mut bench = Bench::start().await;
    let turn = |model: &str, text: &str, before: &Value| {
        let mut body = json!({"model": model, "input": text, "reasoning": {"effort": "low"}});
        if !before.is_null() {
            body["previous_response_id"] = before["id"].clone();
        }
        body
    };
    let (_, first) = bench.ask("/v1/responses", &turn(HOME, "Think, then say canary-1.", &Value::Null)).await;
    assert_eq!(first["store"], true);
    let (_, sent) = bench.last();
    assert_eq!(sent["store"], false, "the provider keeps nothing: we do");
    // At home the proof goes along.
    let (head, second) = bench.ask("/v1/responses", &turn(HOME, "And canary-2.", &first)).await;
    assert!(head.headers.get("x-cabotage-translation-loss").is_none());
    let with_proof = |sent: &Value| {
        sent["input"].as_array().unwrap().iter().any(|item| item["encrypted_content"].is_string())
    };
    assert!(with_proof(&bench.last().1), "{}", bench.last().1);
    // Elsewhere it would be refused: it stays behind, by name, and all that was said goes along.
    let before = bench.simulator.journal().len();
    let (head, _) = bench.ask("/v1/responses", &turn(AWAY, "And canary-3.", &second)).await;
    assert_eq!(bench.simulator.journal().len(), before + 1, "it is not tried with it first");
    let lost = head.headers["x-cabotage-translation-loss"].to_str().unwrap();
    assert!(lost.contains("reasoning.signature"), "{lost}");
    let (record, sent) = bench.last();
    assert_eq!(&*record.cloud, "azure");
    assert!(!with_proof(&sent), "{sent}");
    for canary in ["canary-1", "canary-2", "canary-3"] {
        assert!(sent.to_string().contains(canary), "{canary}: {sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_proof_of_the_callers_own_is_left_out_after_a_refusal() {
    let mut bench = Bench::start().await;
    let think = json!({"effort": "low"});
    let (_, away) = bench
        .ask(
            "/v1/responses",
            &json!({"model": AWAY, "store": false, "input": "Think, then say canary-1.", "reasoning": think,
                "include": ["reasoning.encrypted_content"]}),
        )
        .await;
    let mut input = vec![json!({"role": "user", "content": "Think, then say canary-1."})];
    input.extend(away["output"].as_array().unwrap().clone());
    input.push(json!({"role": "user", "content": "And canary-2."}));
    // Nobody knows where these items came from: they are sent as they are, refused, and sent once more without.
    let before = bench.simulator.journal().len();
    let (head, answer) =
        bench.ask("/v1/responses", &json!({"model": HOME, "input": input, "reasoning": think})).await;
    assert!(answer.to_string().contains("canary-2"), "{answer}");
    let lost = head.headers["x-cabotage-translation-loss"].to_str().unwrap();
    assert!(lost.contains("reasoning.signature"), "{lost}");
    let statuses: Vec<u16> =
        bench.simulator.journal().iter().skip(before).map(|exchange| exchange.status).collect();
    assert_eq!(statuses, [400, 200]);
}
