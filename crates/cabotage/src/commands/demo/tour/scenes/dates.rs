//! Scene 3: the same question on three dates, and a stateful runtime.

use crate::commands::demo::tour::{
    demo::{Demo, Scratch},
    stage::Stage,
};
use serde_json::Value;

const BEDROCK: &str = "gpt-5.4/bedrock-us-east-2";

pub(in crate::commands::demo::tour) fn explained(stage: &mut Stage) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let demo = Demo::start(stage, scratch.path(), &[])?;
    let ask = |at: &'static str| ["explain", "gpt-5.4", "--workload", "research", "--at", at];
    let with_json = |words: &[&'static str]| demo.json(&[words, &["--json"]].concat());

    let words = ask("2026-03-15");
    let ran = demo.run(stage, &words)?;
    let found = bedrock(&with_json(&words)?);
    stage.expect(
        ran.code == 0 && !found.may && found.rules.contains("msoai-2026-02-stateless"),
        "2026-03-15: Bedrock is refused by msoai-2026-02-stateless",
    );
    stage.expect(
        found.can.contains("not offered there before 2026-04-28"),
        "and it was not offered there yet",
    );

    let words = ask("2026-05-01");
    stage.say("");
    demo.run(stage, &words)?;
    let found = bedrock(&with_json(&words)?);
    stage.expect(
        found.may && found.availability == "gated-preview",
        "2026-05-01: permitted, in a gated preview",
    );

    let words = ask("2026-06-02");
    stage.say("");
    demo.run(stage, &words)?;
    let found = bedrock(&with_json(&words)?);
    stage.expect(found.may && found.availability == "ga", "2026-06-02: permitted, and offered in us-east-2");
    for (region, offered) in [("us-west-2", true), ("us-east-1", false)] {
        elsewhere(stage, &demo, region, offered)?;
    }

    let words = [
        "explain",
        "gpt-5.4",
        "--workload",
        "research",
        "--at",
        "2026-03-15",
        "--class",
        "stateful",
        "--host",
        "aws",
    ];
    stage.say("");
    let ran = demo.run(stage, &words)?;
    let split = with_json(&words)?;
    let verdict = split.pointer("/split/verdict").and_then(Value::as_str).unwrap_or_default();
    stage.expect(
        verdict == "split" && ran.text.contains("hop by hop"),
        "the runtime may sit on AWS; its inner calls run elsewhere",
    );
    Ok(())
}

/// The same question of a configuration that names another region, read without a gateway.
fn elsewhere(stage: &mut Stage, demo: &Demo, region: &str, offered: bool) -> anyhow::Result<()> {
    let folder = demo.folder();
    let file = folder.join(format!("{region}.toml")).display().to_string();
    let text = std::fs::read_to_string(folder.join("cabotage.toml"))?;
    std::fs::write(&file, text.replace("us-east-2", region))?;
    stage.say("");
    stage.command(&format!("sed s/us-east-2/{region}/ {}/cabotage.toml > {file}", folder.display()));
    let words = ["explain", "gpt-5.4", "--workload", "research", "--at", "2026-06-02", "-c", &file];
    stage.command(&format!("cabotage {} | grep bedrock", words.join(" ")));
    let ran = demo.run_quietly(&words)?;
    let line = ran.text.lines().find(|line| line.contains("bedrock")).unwrap_or_default();
    stage.say(line);
    let what = if offered { "also offered in" } else { "not offered in" };
    stage.expect(
        line.contains("not offered") != offered && line.contains(region),
        &format!("2026-06-02: {what} {region}"),
    );
    Ok(())
}

/// What an explanation says of Bedrock.
#[derive(Default)]
struct Found {
    may: bool,
    rules: String,
    availability: String,
    can: String,
}

fn bedrock(explanation: &Value) -> Found {
    let lists = ["permitted", "refused"].map(|list| explanation.get(list).and_then(Value::as_array));
    let line = lists
        .into_iter()
        .flatten()
        .flatten()
        .find(|line| line.get("deployment").is_some_and(|name| name == BEDROCK));
    let Some(line) = line else { return Found::default() };
    let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let rules = line.get("rules").and_then(Value::as_array).into_iter().flatten();
    Found {
        may: line.get("may").and_then(Value::as_bool).unwrap_or_default(),
        rules: rules.filter_map(|rule| rule.get("id")?.as_str()).collect::<Vec<_>>().join(", "),
        availability: text("/can/availability"),
        can: text("/can/why"),
    }
}
