//! Scene 6: the gateway is killed in the middle of a stream; nothing is missing from the ledger.

use crate::commands::demo::tour::{
    demo::{Demo, Scratch},
    stage::Stage,
};
use serde_json::Value;

/// Calls before the kill; every fifth is the bank's.
const CALLS: u64 = 20;

pub(in crate::commands::demo::tour) fn killed(stage: &mut Stage) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    stage.command("cabotage demo --state DIR");
    let mut demo = Demo::start(stage, scratch.path(), &[])?;
    let mut answered = 0;
    let mut last = String::new();
    for number in 0..CALLS {
        let key = if number % 5 == 0 { "sk-demo-bank" } else { "sk-demo" };
        let answer = demo.quietly(key, "gpt-5.4", &format!("Call number {number}"))?;
        answered += u64::from(answer.status == 200);
        answer.header("x-cabotage-call-id").clone_into(&mut last);
    }
    let slow = r#"[[sim {"deltas":2000,"pace_ms":50}]]"#;
    let stream = demo.open_stream("sk-demo", "gpt-5.4", slow)?;
    stage.say(&format!("# {CALLS} calls were answered; one more is in the middle of its stream"));
    stage.command("kill -9 $(pidof cabotage)");
    demo.kill_9()?;
    drop(stream);
    drop(demo);
    stage.command("cabotage demo --state DIR");
    let demo = Demo::start(stage, scratch.path(), &[])?;
    let journal = demo.folder().join("data").display().to_string();
    stage.say("");
    demo.run(stage, &["ledger", "show", "--journal", &journal])?;
    let report = demo.json(&["ledger", "show", "--journal", &journal, "--json"])?;
    let sum =
        |name: &str| report.pointer(&format!("/total/{name}")).and_then(Value::as_u64).unwrap_or_default();
    stage.expect(
        answered == CALLS && sum("calls") == CALLS + 1,
        "every call is there: the answered ones, and the one that was cut",
    );
    stage.expect(sum("unknown") == 1, "the one that was cut is `unknown`, not forgotten and not invented");
    stage.expect(report.get("lost_records").and_then(Value::as_u64) == Some(0), "no record is lost");
    stage.say("");
    let one = demo.run(stage, &["ledger", "show", "--journal", &journal, "--call", &last])?;
    stage.expect(
        one.code == 0 && one.text.contains("done"),
        "the last answered call can be looked up: decision, attempt, outcome",
    );
    Ok(())
}
