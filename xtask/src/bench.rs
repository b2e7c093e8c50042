//! `cargo xtask bench`: what a call costs in the gateway, beside the least that a hop can cost here.
//!
//! One mock upstream and one load generator, in this process, and in front of the mock one gate after the other:
//! Cabotage as people run it (64 deployments, both shipped packs enforced, 1,000 keys, the journal on the disk and
//! drained), a bare hyper hop, and nginx where it is installed. The rounds are interleaved and the figures are
//! medians. A figure alone says little about another machine; the ratios travel better, within about 15 %.

mod client;
mod gate;
mod load;
mod mock;
mod order;
mod process;
mod proxy;
mod report;

use crate::{run, test::cargo};
use anyhow::{Context as _, Result, ensure};
use gate::{Gate, Kind};
use load::Order;
use mock::Mock;
pub(crate) use order::{OrderArgs, order};
use process::Usage;
use report::{Figures, Table};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// What is measured, and how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Rounds; each starts every gate anew
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds per measurement
    #[arg(long, default_value_t = 5)]
    secs: u64,
    /// Requests a second of the measurement at a fixed rate
    #[arg(long, default_value_t = 3_000)]
    rate: u32,
    /// Leave the placing of processes on cores to the system
    #[arg(long)]
    no_pin: bool,
    /// Be the bare hyper hop to this address
    #[arg(long, hide = true, requires = "listen")]
    hop_to: Option<std::net::SocketAddr>,
    /// Where the hop listens
    #[arg(long, hide = true)]
    listen: Option<std::net::SocketAddr>,
}

/// Connections of the closed loop and of the fixed rate.
const CONNECTIONS: usize = 64;
/// Streams at a time.
const STREAMS: usize = 100;
/// Bytes of prompt: a chat's turn, and a long context.
const PROMPTS: [usize; 2] = [700, 32 * 1024];

/// Builds what is needed, optimised, and measures.
pub(crate) fn bench(root: &Path, args: &Args) -> Result<()> {
    if let (Some(upstream), Some(listen)) = (args.hop_to, args.listen) {
        return proxy::serve(listen, upstream);
    }
    let cores = cores(args);
    if cfg!(debug_assertions) {
        // The load generator must be optimised as well.
        run(cargo(root).args(["build", "--release", "--package", "cabotage", "--package", "xtask"]))?;
        let again = std::env::args_os().skip(1);
        return run(pinned(&released(root, "xtask"), cores.map(|(load, _)| load)).args(again));
    }
    let binary = released(root, "cabotage");
    ensure!(binary.exists(), "{} is not built: run `cargo xtask bench`", binary.display());
    measure(args, &binary, cores.map(|(_, gate)| gate))
}

fn measure(args: &Args, binary: &Path, core: Option<usize>) -> Result<()> {
    let mock = Mock::start()?;
    let mut table = Table::default();
    for round in 1..=args.rounds {
        table.add(Kind::Direct, one(args, &mock, None)?);
        for kind in [Kind::Cabotage, Kind::Hyper, Kind::Nginx] {
            let Some(gate) = Gate::start(kind, &mock, binary, core)? else { continue };
            let figures = one(args, &mock, Some(&gate))?;
            eprintln!("round {round} of {}: {} {}", args.rounds, kind.name(), figures.brief());
            table.add(kind, figures);
        }
    }
    println!("{}", table.text(args.rate));
    Ok(())
}

/// All measurements of one gate, freshly started.
fn one(args: &Args, mock: &Mock, gate: Option<&Gate>) -> Result<Figures> {
    let order = |prompt, stream| match gate {
        Some(gate) => Order::new(gate.address, gate.key, gate.model, prompt, stream),
        None => Order::new(mock.address, "none", "bench", prompt, stream),
    };
    let [short, long] = PROMPTS;
    let secs = Duration::from_secs(args.secs);
    let mut figures = Figures::default();
    if let Some(gate) = gate {
        std::thread::sleep(Duration::from_secs(1));
        figures.set("cold start to the first 200, ms", gate.cold.as_secs_f64() * 1e3);
        figures.set("idle memory, MB", gate.resident_mb()?);
        load::closed(&order(short, false), CONNECTIONS, secs / 3)?;
        for (name, prompt) in
            [("CPU per request, 0.9 KB prompt, µs", short), ("CPU per request, 32 KB prompt, µs", long)]
        {
            let before = Usage::now(gate)?;
            let seen = load::closed(&order(prompt, false), CONNECTIONS, secs)?;
            let used = before.until_now(gate)?;
            figures.set(name, used.gate_us() / seen.answers());
            if prompt == short {
                figures.set("requests per second and core", seen.answers() * 1e6 / used.gate_us());
            }
            figures.foreign(&used);
        }
    }
    let before = gate.map(Usage::now).transpose()?;
    let seen = load::rate(&order(short, false), CONNECTIONS, args.rate, secs)?;
    figures.set("p50 at the fixed rate, µs", seen.quantile_us(0.5));
    figures.set("p99 at the fixed rate, µs", seen.quantile_us(0.99));
    if let (Some(gate), Some(before)) = (gate, before) {
        let used = before.until_now(gate)?;
        figures.set("CPU per request at the fixed rate, µs", used.gate_us() / seen.answers());
        figures.foreign(&used);
    }
    let before = gate.map(Usage::now).transpose()?;
    let seen = load::streams(&order(short, true), STREAMS, secs)?;
    figures.set("p50 of a delta's way, µs", seen.quantile_us(0.5));
    figures.set("p99 of a delta's way, µs", seen.quantile_us(0.99));
    if let (Some(gate), Some(before)) = (gate, before) {
        let used = before.until_now(gate)?;
        figures.set("CPU per streamed delta, µs", used.gate_us() / seen.answers());
        figures.foreign(&used);
        figures.set("memory after all this, MB", gate.resident_mb()?);
    }
    Ok(figures)
}

/// The cores of the load (with the mock) and of the gate; `None` where there is one core or no `taskset`.
fn cores(args: &Args) -> Option<(usize, usize)> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    // This process may itself be pinned already: then the first look, before it was, decided.
    let count = std::env::var(CORES).ok().and_then(|text| text.parse().ok()).unwrap_or(count);
    let taskset = Command::new("taskset").arg("--version").output().is_ok();
    (!args.no_pin && taskset && count > 1).then(|| (0, count - 1))
}

/// Tells the optimised twin of this process how many cores there are.
const CORES: &str = "CABOTAGE_BENCH_CORES";

/// A command on one core.
fn pinned(program: &Path, core: Option<usize>) -> Command {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = match core {
        None => Command::new(program),
        Some(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
    };
    if std::env::var_os(CORES).is_none() {
        command.env(CORES, count.to_string());
    }
    command
}

fn released(root: &Path, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("release").join(name)
}

/// An address of this machine with a port that is free now.
fn free_address() -> Result<std::net::SocketAddr> {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).context("asking for a free port")?;
    Ok(socket.local_addr()?)
}
