//! Scenes 1 and 2: a call, a stream, and where they go when clouds die.

use crate::commands::demo::tour::{
    demo::{Demo, Scratch},
    stage::{Stage, said},
};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

const MODEL: &str = "gpt-5.4";

/// What OpenAI's client is asked to do.
const PROGRAM: &str = r#"from openai import OpenAI
client = OpenAI()  # OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=sk-demo
for chunk in client.chat.completions.create(model="gpt-5.4", stream=True,
        messages=[{"role": "user", "content": "Hello from the OpenAI client"}]):
    if chunk.choices and chunk.choices[0].delta.content:
        print(chunk.choices[0].delta.content, end="|")
print()"#;

pub(in crate::commands::demo::tour) fn first_call(stage: &mut Stage) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let demo = Demo::start(stage, scratch.path(), &[])?;
    let answer = demo.call(stage, "sk-demo", MODEL, "Hello")?;
    stage.expect(answer.status == 200 && said(&answer).contains("You said: Hello"), "the call is answered");
    let cost = answer.header("x-cabotage-cost");
    stage.expect(
        cost.starts_with("0.00") && cost.ends_with("list-price-not-billed"),
        "it has a cost, and says that nobody bills it",
    );
    stage.expect(answer.header("x-cabotage-why").contains("permitted"), "one line says why it ran there");
    stage.expect(
        answer.header("x-cabotage-served-by") == "simulated",
        "the verdict on who served it is `simulated`",
    );
    match python() {
        Some(python) => {
            stage.say("");
            stage.command(&format!("python - <<'EOF'\n{PROGRAM}\nEOF"));
            let ran = demo.python(&python, PROGRAM)?;
            stage.say(&ran.text);
            let pieces = ran.text.matches('|').count();
            stage.expect(
                ran.code == 0 && pieces > 2 && ran.text.contains("OpenAI"),
                "OpenAI's own client streams",
            );
        }
        None => {
            stage.say("# OpenAI's Python client is not installed here (CABOTAGE_PYTHON names an interpreter that has it);");
            stage.say("# the same call by HTTP:");
            let answer = demo.stream(stage, "sk-demo", MODEL, "Hello")?;
            let text = answer.text();
            let events: Vec<&str> = text.lines().filter(|line| line.starts_with("data: ")).collect();
            for event in events.iter().take(3) {
                let event: String = event.chars().take(160).collect();
                stage.say(&format!("{event}…"));
            }
            stage.say("…");
            stage.say(events.last().copied().unwrap_or_default());
            let ended = events.last().is_some_and(|event| event.contains("[DONE]"));
            stage.expect(
                answer.status == 200 && events.len() > 4 && ended,
                "the stream comes in pieces and ends in order",
            );
        }
    }
    Ok(())
}

/// An interpreter that has OpenAI's client: the one that is named, the usual one, or that of the SDK checks.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("CABOTAGE_PYTHON").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let checks = std::env::var_os("CABOTAGE_SDK_VENV")
        .map(PathBuf::from)
        .or_else(|| home.map(|home| home.join(".cache/cabotage/sdk-venv")))
        .map(|venv| venv.join("bin/python"));
    let known = [named, checks, Some("python3".into())];
    known.into_iter().flatten().find(|python| {
        let tried = Command::new(python)
            .args(["-c", "import openai"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        tried.is_ok_and(|status| status.success())
    })
}

pub(in crate::commands::demo::tour) fn outage(stage: &mut Stage) -> anyhow::Result<()> {
    let scratch = Scratch::new()?;
    let demo = Demo::start(stage, scratch.path(), &[])?;
    demo.run(stage, &["demo", "kill", "azure-westeurope"])?;
    let answer = demo.call(stage, "sk-demo", MODEL, "Hello")?;
    let attempts = answer.header("x-cabotage-attempts");
    stage.expect(
        answer.status == 200 && answer.header("x-cabotage-deployment").ends_with("azure-swedencentral"),
        "the same call moves to azure-swedencentral",
    );
    stage.expect(
        attempts.contains("azure-westeurope=upstream_unreachable")
            && attempts.contains("azure-swedencentral=ok"),
        "both attempts are shown",
    );
    stage.say("");
    demo.run(stage, &["demo", "kill", "azure"])?;
    let answer = demo.call(stage, "sk-demo", MODEL, "Hello")?;
    stage.expect(
        answer.status == 200 && answer.header("x-cabotage-deployment").ends_with("bedrock-us-east-2"),
        "sk-demo moves to Bedrock",
    );
    let answer = demo.call(stage, "sk-demo-eu", MODEL, "Hello")?;
    let text = answer.text();
    stage.expect(
        answer.status == 503 && text.contains("permitted_unavailable"),
        "sk-demo-eu is not sent out of the EU: 503",
    );
    stage.expect(
        text.contains("bedrock-us-east-2 is healthy, withheld: eu-residency"),
        "the 503 names what is withheld, and by which rule",
    );
    stage.say("");
    demo.run(stage, &["demo", "heal"])?;
    let mut back = demo.quietly("sk-demo-eu", MODEL, "Hello")?;
    for _ in 0..30 {
        if back.status == 200 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
        back = demo.quietly("sk-demo-eu", MODEL, "Hello")?;
    }
    stage.expect(back.status == 200, "after `heal`, sk-demo-eu is answered again");
    Ok(())
}
