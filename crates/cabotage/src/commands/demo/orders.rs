//! `demo kill` and `demo heal`: orders to the simulator of a running demo.

use super::CONTROL_PORT;
use crate::http1;
use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::process::ExitCode;

/// What is done to a running demo.
#[derive(Debug, Subcommand)]
pub(crate) enum Order {
    /// Takes a simulated cloud down: a cloud (azure-westeurope), all of a kind (azure), or `all`
    Kill(Kill),
    /// Brings simulated clouds back
    Heal(Heal),
}

/// Where the simulator is.
#[derive(Debug, Args)]
struct At {
    /// The simulator's control API
    #[arg(long, env = "CABOTAGE_SIM", value_name = "URL", default_value_t = format!("http://127.0.0.1:{CONTROL_PORT}"))]
    sim: String,
}

/// Takes down.
#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// A cloud, all of a kind, or `all`
    cloud: String,
    #[command(flatten)]
    at: At,
}

/// Brings back.
#[derive(Debug, Args)]
pub(crate) struct Heal {
    /// A cloud or all of a kind
    #[arg(default_value = "all")]
    cloud: String,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(order: &Order) -> anyhow::Result<ExitCode> {
    let (sim, path, cloud, done) = match order {
        Order::Kill(Kill { cloud, at }) => (&at.sim, "/kill", cloud, "killed"),
        Order::Heal(Heal { cloud, at }) => (&at.sim, "/heal", cloud, "healed"),
    };
    let body = json!({ "cloud": cloud }).to_string();
    let answer = http1::ask(sim, "POST", path, &[("content-type", "application/json")], body.as_bytes())
        .map_err(|error| error.context("is the demo running? (cabotage demo; another port: --sim URL)"))?;
    let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status != 200 {
        bail!("{}", said.get("error").and_then(Value::as_str).unwrap_or("the simulator refused"));
    }
    let names = said.get(done).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    println!("{done}: {}", names.collect::<Vec<_>>().join(", "));
    Ok(ExitCode::SUCCESS)
}
