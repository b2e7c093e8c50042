//! Scene 7: a conversation of five turns that moves from cloud to cloud, over a `kill -9`; nothing visible is lost,
//! and what is lost is named.

use crate::{
    commands::demo::tour::{
        demo::{Demo, Scratch},
        stage::Stage,
    },
    http1::Answer,
};
use anyhow::Context as _;
use serde_json::{Value, json};

const KEY: &str = "sk-demo";
const TURNS: &str = "/v1/responses";
/// The tool, as every turn offers it.
const TOOL: &str = r#"{"type":"function","name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}"#;
/// Where each turn runs, in order.
const PLACES: [&str; 5] = [
    "gpt-5.4/azure-westeurope",
    "gpt-5.4/azure-westeurope",
    "claude-opus-5-5/bedrock-us-east-2",
    "gemini-3.8-flash/vertex-europe-west4",
    "gpt-oss-120b/vllm-onprem",
];

pub(in crate::commands::demo::tour) fn moved(stage: &mut Stage) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    stage.command("cabotage demo --state DIR");
    let mut demo = Demo::start(stage, scratch.path(), &[])?;
    let made = demo.post(stage, KEY, "/v1/conversations", r#"{"metadata":{"case":"4711"}}"#)?;
    let made = body(&made)?;
    stage.say(&made.to_string());
    let conversation = made.get("id").and_then(Value::as_str).context("no conversation was made")?.to_owned();
    let mut turns = Turns { conversation, lost: Vec::new(), tokens: Vec::new() };

    stage.say("\n# Turn 1 on Azure: the model thinks and asks for a tool. Turn 2 brings the result.");
    let asked = turns.take(stage, &demo, &json!("What is the weather in Paris?"))?;
    let mut call = asked.pointer("/output").and_then(Value::as_array).into_iter().flatten();
    let call = call.rfind(|item| item.get("type").is_some_and(|kind| kind == "function_call"));
    let id = call.and_then(|call| call.get("call_id")?.as_str()).unwrap_or_default().to_owned();
    stage.expect(!id.is_empty(), "the model asks for its tool");
    let result = json!([{ "type": "function_call_output", "call_id": id, "output": "14 degrees, rain" }]);
    let told = turns.take(stage, &demo, &result)?;
    stage.expect(said(&told).contains("14 degrees, rain"), "and answers with what the tool said");

    stage.say("");
    stage.command("kill -9 $(pidof cabotage)");
    demo.kill_9()?;
    drop(demo);
    stage.command("cabotage demo --state DIR");
    let demo = Demo::start(stage, scratch.path(), &[])?;

    for (cloud, question) in [
        ("Bedrock, another model", "Shall I take a coat?"),
        ("Vertex", "And tomorrow?"),
        ("vLLM, on premises", "Sum it up."),
    ] {
        stage.say(&format!("\n# The next turn on {cloud}."));
        let answered = turns.take(stage, &demo, &json!(question))?;
        stage.expect(said(&answered).contains(question), "answered");
    }
    let longer = turns.tokens.windows(2).all(|pair| pair.first() < pair.last());
    stage.expect(longer, "every turn carried all that was said before, whoever said it");
    stage.expect(
        turns.lost.iter().skip(3).all(|lost| lost.contains("reasoning")),
        "what another host's thoughts lost on the way is named in x-cabotage-translation-loss",
    );
    exported(stage, &demo, &turns.conversation)?;
    lies_where(stage, &demo)
}

/// The turns of a conversation, one after the other.
struct Turns {
    conversation: String,
    /// What each lost.
    lost: Vec<String>,
    /// How many tokens each sent to its model.
    tokens: Vec<u64>,
}

impl Turns {
    /// The next turn, at its place.
    fn take(&mut self, stage: &mut Stage, demo: &Demo, input: &Value) -> anyhow::Result<Value> {
        let place = PLACES.get(self.lost.len()).copied().unwrap_or_default();
        let model = place.split_once('/').map_or(place, |(model, _)| model);
        // Written by hand, so that it reads in the order in which people write it.
        let request = format!(
            r#"{{"model":"{model}@{place}","conversation":"{}","reasoning":{{"effort":"medium"}},"tools":[{TOOL}],"input":{input}}}"#,
            self.conversation
        );
        let answer = demo.post(stage, KEY, TURNS, &request)?;
        stage.turn(&answer);
        let whole = body(&answer)?;
        let there = answer.header("x-cabotage-deployment") == place;
        stage.expect(answer.status == 200 && there, &format!("it runs at {place}"));
        self.lost.push(answer.header("x-cabotage-translation-loss").to_owned());
        let tokens = whole.pointer("/usage/input_tokens").and_then(Value::as_u64);
        self.tokens.push(tokens.unwrap_or_default());
        Ok(whole)
    }
}

/// The conversation in the open format, read beside the running gateway.
fn exported(stage: &mut Stage, demo: &Demo, conversation: &str) -> anyhow::Result<()> {
    let config = demo.folder().join("cabotage.toml").display().to_string();
    let words = ["state", "export", "-c", &config, "--workload", "research", "--conversation", conversation];
    stage.say("\n# The conversation in the open format (docs/state-format.md), beside the running gateway.");
    stage.command(&format!(
        "cabotage {} | jq -r 'select(.conversation).conversation.items[] | [.item.type, .item.role, .from.deployment] | @tsv'",
        words.join(" ")
    ));
    let ran = demo.run_quietly(&words)?;
    let lines: Vec<Value> = ran.text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let items = lines.iter().find_map(|line| line.pointer("/conversation/items")?.as_array());
    let items = items.map_or(&[][..], Vec::as_slice);
    let mut kinds = Vec::new();
    for item in items {
        let word = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, from) = (word("/item/type"), word("/from/deployment"));
        stage.say(&format!("{kind:<21} {:<10} {from}", word("/item/role")));
        kinds.push(kind);
    }
    stage.say(ran.text.lines().last().unwrap_or_default());
    let count = |wanted: &str| kinds.iter().filter(|kind| **kind == wanted).count();
    stage.expect(
        ran.code == 0
            && count("message") == 8
            && count("function_call") == 1
            && count("function_call_output") == 1,
        "every question and answer is there, the call of the tool and its result, each with where it ran",
    );
    stage.expect(count("reasoning") >= 2, "so are the thoughts that the models showed");
    let digests = lines.iter().filter(|line| line.get("digest").is_some()).count();
    stage.expect(digests + 1 == lines.len(), "each line has a digest, the last one that of the whole");
    Ok(())
}

/// Where the runtime sits, where the state lies, where the inner call may run.
fn lies_where(stage: &mut Stage, demo: &Demo) -> anyhow::Result<()> {
    let words =
        ["explain", "gpt-5.4", "--workload", "support-eu", "--class", "stateful", "--at", "2026-11-21"];
    stage.say("");
    stage.command(&format!("cabotage {} | sed -n '/^A TURN/,$p'", words.join(" ")));
    let ran = demo.run_quietly(&words)?;
    let picture: Vec<&str> = ran.text.lines().skip_while(|line| !line.starts_with("A TURN")).collect();
    stage.say(&picture.join("\n"));
    let kept = demo.json(&[&words[..], &["--json"]].concat())?;
    let word = |pointer: &str| kept.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    stage.expect(
        word("/kept/store") == "state-eu" && word("/kept/stores/0/bound_elsewhere") == "state-eu",
        "support-eu's state lies in the EU store and nowhere else",
    );
    let inner = kept.pointer("/kept/inner").and_then(Value::as_array);
    let refused = inner.into_iter().flatten().filter(|hop| hop.get("may") == Some(&Value::Bool(false)));
    stage.expect(refused.count() > 0, "and its inner calls are judged apart: not every place may have them");
    Ok(())
}

fn body(answer: &Answer) -> anyhow::Result<Value> {
    serde_json::from_slice(&answer.body).with_context(|| format!("no JSON: {}", answer.text()))
}

/// The text of a turn's last message.
fn said(turn: &Value) -> &str {
    let output = turn.get("output").and_then(Value::as_array).into_iter().flatten();
    output.filter_map(|item| item.pointer("/content/0/text")?.as_str()).next_back().unwrap_or_default()
}
