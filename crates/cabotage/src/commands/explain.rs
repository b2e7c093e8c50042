//! `cabotage explain`: where would a call run, and why nowhere else. Asks a running gateway, or reads a
//! configuration; both by the engine's own `explain`.

use crate::{clock::SystemClock, exit, http1, wiring};
use anyhow::{Context as _, bail};
use clap::Args;
use domain::{Clock, journal::MemoryJournal};
use engine::{Engine, EngineSettings, explain::ExplainQuery};
use jiff::Timestamp;
use placement::{CallClass, explain::render_text, instant};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// The terms permit no deployment.
const REFUSED: u8 = 3;
/// Permitted, but down, saturated, not offered there, or unable to carry such a call.
const UNAVAILABLE: u8 = 4;

/// Where would a call run, and why nowhere else. Exit 0: permitted; 3: refused; 4: permitted, but not to be had.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The model as callers ask for it
    #[arg(value_name = "MODEL", required_unless_present = "model")]
    positional: Option<String>,
    /// The same, by name
    #[arg(long, value_name = "MODEL", conflicts_with = "positional")]
    model: Option<String>,
    /// For which workload; needed where there are several
    #[arg(long)]
    workload: Option<String>,
    /// Who keeps state: stateless, stateful or hybrid. Default: stateless; with --host, stateful. For stateful also
    /// where a turn that this gateway keeps would lie
    #[arg(long, value_parser = class)]
    class: Option<CallClass>,
    /// At which instant: 2026-03-15 (its first moment in UTC) or 2026-11-30T23:59:40Z. Default: now
    #[arg(long, value_name = "INSTANT", value_parser = instant::parse)]
    at: Option<Timestamp>,
    /// A place that counts as down: a deployment, a provider, a cloud, a region, or provider-region
    #[arg(long, value_name = "PLACE")]
    assume_down: Vec<String>,
    /// Where a stateful runtime would sit, a cloud or a deployment: who hosts, bills and logs each hop
    #[arg(long, value_name = "PLACE")]
    host: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The running gateway that is asked
    #[arg(long, env = "CABOTAGE_ADMIN", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    admin: String,
    /// Read this configuration instead of asking a gateway
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn class(word: &str) -> Result<CallClass, String> {
    CallClass::by_name(word).ok_or_else(|| "one of: stateless, stateful, hybrid".to_owned())
}

impl Explain {
    fn query(&self) -> ExplainQuery {
        let model = self.positional.as_ref().or(self.model.as_ref()).cloned().unwrap_or_default();
        let usual = if self.host.is_some() { CallClass::Stateful } else { CallClass::Stateless };
        ExplainQuery {
            workload: self.workload.clone(),
            class: self.class.unwrap_or(usual),
            at: self.at,
            assume_down: self.assume_down.clone(),
            host: self.host.clone(),
            ..ExplainQuery::new(&model)
        }
    }
}

/// Prints the explanation.
pub(crate) fn run(arguments: &Explain) -> anyhow::Result<ExitCode> {
    let (outcome, text) = match &arguments.config {
        Some(file) => match offline(file, arguments)? {
            Some(explained) => explained,
            None => return Ok(ExitCode::from(exit::FAILED)),
        },
        None => online(arguments)?,
    };
    print!("{text}");
    Ok(ExitCode::from(match outcome.as_str() {
        "placed" => 0,
        "refused" => REFUSED,
        _ => UNAVAILABLE,
    }))
}

/// Asks the running gateway. Outcome and text.
fn online(arguments: &Explain) -> anyhow::Result<(String, String)> {
    let query = arguments.query();
    let question = json!({
        "model": query.model,
        "workload": query.workload,
        "class": query.class.name(),
        "at": query.at.map(|at| at.to_string()),
        "assume_down": query.assume_down,
        "host": query.host,
    });
    let accept = if arguments.json { "application/json" } else { "text/plain" };
    let headers = [("content-type", "application/json"), ("accept", accept)];
    let answer = http1::ask(&arguments.admin, "POST", "/explain", &headers, question.to_string().as_bytes())
        .context("is a gateway running there? (another address: --admin URL; without a gateway: -c FILE)")?;
    if answer.status != 200 {
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        bail!(
            "{}",
            said.pointer("/error/message")
                .and_then(Value::as_str)
                .unwrap_or("the gateway gave no explanation")
        );
    }
    let outcome = answer.header(admin::OUTCOME).to_owned();
    let text = answer.text();
    Ok((outcome, if arguments.json { pretty(&text) } else { text }))
}

/// Reads the configuration; nothing listens and nothing is called. `None`: its problems have been printed.
fn offline(file: &Path, arguments: &Explain) -> anyhow::Result<Option<(String, String)>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::real());
    let Some(checked) = wiring::offline::read(file)? else { return Ok(None) };
    let sources = wiring::shipped::sources(Arc::clone(&clock))?;
    let engine = Engine::new(EngineSettings {
        clock,
        journal: Arc::new(MemoryJournal::default()),
        max_buffered: 0,
        // Nobody calls this engine: no key is ever compared.
        seed: [0; 32],
    });
    for (workload, counts) in wiring::journal::profiles(&checked.journal.dir) {
        engine.seed_profile(&workload.as_str().into(), &counts);
    }
    engine.load(config::build(&checked, &sources, engine.next_epoch())?)?;
    let query = ExplainQuery { stores: wiring::state::kept_at(&checked), ..arguments.query() };
    let explanation = engine.explain(&query).map_err(|fault| anyhow::anyhow!("{}", fault.message))?;
    let outcome = json!(explanation.outcome).as_str().unwrap_or_default().to_owned();
    let text = if arguments.json {
        format!("{}\n", serde_json::to_string_pretty(&explanation)?)
    } else {
        render_text(&explanation)
    };
    Ok(Some((outcome, text)))
}

fn pretty(text: &str) -> String {
    serde_json::from_str::<Value>(text)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .map_or_else(|_| text.to_owned(), |text| text + "\n")
}
