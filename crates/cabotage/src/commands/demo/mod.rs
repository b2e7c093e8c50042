//! `cabotage demo`: simulated clouds and a gateway before them in one process, no keys, no configuration.
//!
//! Its configuration is ordinary files (`demo/cabotage.toml`, `terms/*.toml`) in a folder of its own, read by the
//! same road as `serve -c`; only the addresses of the simulated clouds are put in.

mod clouds;
mod folder;
mod orders;
mod screen;
mod tour;

use crate::{
    clock::SystemClock,
    exit,
    wiring::{self, Origin},
};
use anyhow::Context as _;
use clap::Args;
use clouds::Clouds;
use domain::Clock;
use folder::{Addresses, Folder};
use jiff::Timestamp;
use std::{
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, atomic::Ordering::Relaxed},
};

pub(crate) use clouds::{CONTROL_PORT, usual_ports};

/// Simulated clouds and the gateway, without keys or configuration.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Demo {
    /// What to do to a running demo
    #[command(subcommand)]
    order: Option<orders::Order>,
    /// Port of the data plane; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of administration; 0 takes a free one
    #[arg(long, default_value_t = 8081)]
    admin_port: u16,
    /// Port of the simulator's control; its clouds take the ports after it. 0 takes free ones; so does `--port 0`
    #[arg(long)]
    sim_port: Option<u16>,
    /// Let the gateway's clock show this instant at the start
    #[arg(long, value_name = "INSTANT", value_parser = placement::instant::parse)]
    at: Option<Timestamp>,
    /// Keep configuration, terms and journal in this folder; else they go with the demo
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Write the demo's configuration and terms to this folder, and end
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tour", "state", "at"])]
    write: Option<PathBuf>,
    /// Run and show every scene, and end; exit 1 where one fails
    #[arg(long, conflicts_with_all = ["state", "at"])]
    tour: bool,
    /// Print the addresses as `name=value` lines instead of the screen
    #[arg(long)]
    machine_readable: bool,
}

/// Runs the demo until it is told to stop, or does what was asked of a running one.
pub(crate) fn run(arguments: &Demo) -> anyhow::Result<ExitCode> {
    if let Some(order) = &arguments.order {
        return orders::run(order);
    }
    if let Some(dir) = &arguments.write {
        folder::write(dir)?;
        print!("{}", screen::written(dir));
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.tour {
        return tour::run();
    }
    stay_up(arguments)
}

fn stay_up(arguments: &Demo) -> anyhow::Result<ExitCode> {
    const PORTS: &str =
        "the demo cannot start (--port, --admin-port and --sim-port choose ports, 0 takes a free one)";
    let sim_port = arguments.sim_port.unwrap_or(if arguments.port == 0 { 0 } else { CONTROL_PORT });
    // Signatures carry the gateway's time: clouds of another time do not mind.
    let clouds = Clouds::start(sim_port, arguments.at.is_none()).context(PORTS)?;
    let told_to_stop = clouds.told_to_stop();
    let folder = Folder::open(arguments.state.as_deref())?;
    let addresses =
        Addresses { data: arguments.port, admin: arguments.admin_port, clouds: clouds.addresses() };
    let file = folder.prepare(&addresses)?;
    let clock: Arc<dyn Clock> = Arc::new(arguments.at.map_or_else(SystemClock::real, SystemClock::showing));
    let sources = Arc::new(wiring::shipped::sources(Arc::clone(&clock))?);
    let origin = Origin::File(file);
    let checked = match origin.check() {
        Ok(checked) => checked,
        Err(problems) => {
            eprintln!("{problems}\n\n{}", wiring::problem_count(&problems));
            return Ok(ExitCode::from(exit::FAILED));
        }
    };
    let gateway = wiring::Gateway::start(&checked, sources, Arc::clone(&clock)).context(PORTS)?;
    let running = screen::Running {
        data: gateway.data_address,
        admin: gateway.admin_address,
        clouds: &clouds,
        folder: &folder,
        checked: &checked,
        at: arguments.at,
    };
    let text = if arguments.machine_readable { running.machine_readable() } else { running.screen() };
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let served = if told_to_stop.load(Relaxed) { Ok(()) } else { gateway.serve(origin, checked) };
    clouds.stop();
    served?;
    Ok(ExitCode::SUCCESS)
}
