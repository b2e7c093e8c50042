//! Scenes 4 and 5: the bank. A contract comes into force at midnight; a line of its terms is edited.

use crate::{
    clock::SystemClock,
    commands::demo::tour::{
        demo::{Demo, Scratch},
        stage::{Stage, said},
    },
};
use anyhow::bail;
use domain::Clock as _;
use std::{thread::sleep, time::Duration};

const KEY: &str = "sk-demo-bank";
const MODEL: &str = "gpt-5.4";
/// Calls until midnight must be over, one a second.
const SECONDS_MAX: u32 = 40;
/// From 23:59:40 to midnight.
const TO_MIDNIGHT: Duration = Duration::from_secs(20);
/// Looks at a reload, ten a second.
const LOOKS_MAX: u32 = 80;

pub(in crate::commands::demo::tour) fn midnight(stage: &mut Stage) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    stage.command("cabotage demo --at 2026-11-30T23:59:40Z");
    let clock = SystemClock::real();
    let demo = Demo::start(stage, scratch.path(), &["--at", "2026-11-30T23:59:40Z"])?;
    demo.run(stage, &["demo", "kill", "azure"])?;
    let first = demo.call(stage, KEY, MODEL, "Hello")?;
    stage.expect(first.status == 503, "before midnight: 503");
    stage.expect(
        first.text().contains("bedrock-us-east-2 is healthy, withheld: acme-aws-contract"),
        "it names what is withheld, and by which rule",
    );
    stage.say("");
    stage.say("# one call a second, until it changes");
    let mut refused = 1;
    for _ in 0..SECONDS_MAX {
        sleep(Duration::from_secs(1));
        let answer = demo.quietly(KEY, MODEL, "Hello")?;
        if answer.status == 503 {
            refused += 1;
            continue;
        }
        stage.say("# … 503, each time, until");
        stage.answer(&answer);
        let bedrock = answer.header("x-cabotage-deployment").ends_with("bedrock-us-east-2");
        stage.expect(answer.status == 200 && bedrock, "at midnight Bedrock answers, with no restart");
        // The demo's clock was set after ours was started, so at its midnight ours shows 20 s or more.
        let early = clock.monotonic() < TO_MIDNIGHT;
        stage.expect(refused > 1 && !early, "and not before: every call until then was a 503");
        return Ok(());
    }
    bail!("no answer came {SECONDS_MAX} s after 23:59:40")
}

pub(in crate::commands::demo::tour) fn edited(stage: &mut Stage) -> anyhow::Result<()> {
    const BEFORE: &str = "forbidden = { cloud = \"aws\" }";
    const AFTER: &str = "forbidden = { cloud = [\"aws\", \"azure\"] }";
    let scratch = Scratch::new()?;
    let demo = Demo::start(stage, scratch.path(), &[])?;
    let answer = demo.call(stage, KEY, MODEL, "Hello")?;
    stage.expect(answer.status == 200, "the bank's call is answered");
    let file = demo.folder().join("terms/acme-bank.toml");
    let text = std::fs::read_to_string(&file)?;
    let Some(line) = text.lines().position(|line| line == BEFORE) else {
        bail!("{} has no such line", file.display())
    };
    stage.say("");
    stage.command(&format!("sed -i 's/{BEFORE}/{}/' {}", AFTER, file.display()));
    std::fs::write(&file, text.replacen(BEFORE, AFTER, 1))?;
    let mut last = demo.quietly(KEY, MODEL, "Hello")?;
    for _ in 0..LOOKS_MAX {
        if last.status != 200 {
            break;
        }
        sleep(Duration::from_millis(100));
        last = demo.quietly(KEY, MODEL, "Hello")?;
    }
    stage.say("# a moment later, with no restart:");
    let answer = demo.call(stage, KEY, MODEL, "Hello")?;
    stage.expect(
        answer.status == 403 && said(&answer).contains("placement_refused"),
        "the next call is refused: 403",
    );
    stage.expect(said(&answer).contains("acme-aws-contract"), "the rule is named");
    // The rule begins where its table does, a few lines above the edited one.
    let rule =
        text.lines().take(line).collect::<Vec<_>>().iter().rposition(|line| *line == "[[rule]]").unwrap_or(0)
            + 1;
    let place = format!("{}:{rule}", file.display());
    stage.expect(said(&answer).contains(&place), "with its file and line");
    Ok(())
}
