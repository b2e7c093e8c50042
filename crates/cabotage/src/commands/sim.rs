//! `cabotage sim`: simulated clouds alone, with scripted faults, for a gateway that runs elsewhere.

use super::demo::{CONTROL_PORT, usual_ports};
use crate::wiring;
use anyhow::{Context as _, bail};
use clap::Args;
use simulator::{FaultRule, Simulator, SimulatorConfig};
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::runtime::Builder;

/// Simulated clouds alone.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// Which: a name (azure-westeurope) or a kind (azure); all where none is named
    cloud: Vec<String>,
    /// Port of the cloud, where one is named; 0 takes a free one. Else its usual one: 9101 and up
    #[arg(long)]
    port: Option<u16>,
    /// Port of the control API; 0 takes a free one
    #[arg(long, default_value_t = CONTROL_PORT)]
    control_port: u16,
    /// Faults by script: a JSON list of rules, for every cloud that runs
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Append every exchange to this file as JSON lines
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Milliseconds between two pieces of a stream
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pace: u64,
    /// How far a signature's time may be off, in seconds; 0 for any
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    clock_skew: u64,
}

/// Runs the clouds until it is told to stop.
pub(crate) fn run(arguments: &Sim) -> anyhow::Result<ExitCode> {
    let mut config = SimulatorConfig {
        control_port: arguments.control_port,
        pace_ms: arguments.pace,
        journal_path: arguments.journal.clone(),
        clock_skew_seconds: (arguments.clock_skew != 0).then_some(arguments.clock_skew),
        ..SimulatorConfig::default()
    };
    choose(&mut config, &arguments.cloud)?;
    for (name, port) in usual_ports() {
        if let Some(cloud) = config.clouds.iter_mut().find(|cloud| cloud.name == name) {
            cloud.port = port;
        }
    }
    match (arguments.port, config.clouds.as_mut_slice()) {
        (None, _) => {}
        (Some(port), [only]) => only.port = port,
        (Some(0), all) => all.iter_mut().for_each(|cloud| cloud.port = 0),
        (Some(_), _) => bail!("--port fits one cloud; name one, or give --port 0 for free ports"),
    }
    let faults = arguments.faults.as_deref().map(read_faults).transpose()?.unwrap_or_default();
    let runtime = Builder::new_multi_thread().enable_all().thread_name("clouds").build()?;
    let simulator = runtime.block_on(Simulator::start(config))?;
    if !faults.is_empty() {
        simulator.script("all", faults)?;
    }
    println!("SIMULATED clouds; Ctrl-C ends them");
    for cloud in simulator.clouds() {
        println!("  {:<20} http://{}", cloud.name, cloud.address);
    }
    println!(
        "  {:<20} http://{}   GET /clouds /journal, POST /kill /heal /faults",
        "control",
        simulator.control_address()
    );
    runtime.block_on(wiring::stop::asked())?;
    runtime.block_on(simulator.shutdown());
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(ExitCode::SUCCESS)
}

/// Leaves the clouds that are named, in the order of the list.
fn choose(config: &mut SimulatorConfig, wanted: &[String]) -> anyhow::Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let known: Vec<String> = config.clouds.iter().map(|cloud| cloud.name.clone()).collect();
    let is = |cloud: &simulator::CloudSpec, word: &str| cloud.name == word || cloud.kind.name() == word;
    for word in wanted {
        if !config.clouds.iter().any(|cloud| is(cloud, word)) {
            bail!("there is no simulated cloud `{word}`; there are: {}", known.join(", "));
        }
    }
    config.clouds.retain(|cloud| wanted.iter().any(|word| is(cloud, word)));
    Ok(())
}

fn read_faults(file: &std::path::Path) -> anyhow::Result<Vec<FaultRule>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no list of faults; for instance [{{\"when\": {{\"nth\": 2}}, \"action\": {{\"kind\": \"status\", \"status\": 429}}}}]",
            file.display()
        )
    })
}
