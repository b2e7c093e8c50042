//! The simulated clouds of the demo, on threads of their own.

use crate::wiring;
use simulator::{Simulator, SimulatorConfig};
use std::{
    future::Future as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    task::Poll,
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

/// The usual port of the simulator's control; its clouds take the ports after it, in the order of their list.
pub(crate) const CONTROL_PORT: u16 = 9100;

/// Exchanges that the demo's simulator keeps in memory, about 0.5 KB each.
const JOURNAL_KEPT: usize = 100_000;

/// Name and usual port of every simulated cloud, in the order of their ports.
pub(crate) fn usual_ports() -> Vec<(String, u16)> {
    let ports = CONTROL_PORT.saturating_add(1)..;
    simulator::demo_clouds().into_iter().zip(ports).map(|(cloud, port)| (cloud.name, port)).collect()
}

/// The running clouds.
pub(crate) struct Clouds {
    runtime: Runtime,
    simulator: Simulator,
}

impl Clouds {
    /// Starts all clouds: control on `control_port`, the clouds on the ports after it; all on free ports where it
    /// is 0. `check_clock`: refuse signatures of another time.
    ///
    /// # Errors
    /// A port that is taken.
    pub(crate) fn start(control_port: u16, check_clock: bool) -> anyhow::Result<Self> {
        let mut config =
            SimulatorConfig { control_port, journal_kept: JOURNAL_KEPT, ..SimulatorConfig::default() };
        if control_port != 0 {
            for (cloud, port) in config.clouds.iter_mut().zip(control_port.saturating_add(1)..) {
                cloud.port = port;
            }
        }
        if !check_clock {
            config.clock_skew_seconds = None;
        }
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("clouds").build()?;
        let simulator = runtime.block_on(Simulator::start(config))?;
        Ok(Self { runtime, simulator })
    }

    /// Where each cloud listens, in the order of the list.
    pub(crate) fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.simulator.clouds().into_iter().map(|cloud| (cloud.name, cloud.address)).collect()
    }

    /// The control API.
    pub(crate) fn control(&self) -> SocketAddr {
        self.simulator.control_address()
    }

    /// Listens for Ctrl-C from now on: true once it came. The gateway listens by itself, but only when it serves;
    /// until then nothing may end the process before the demo's files are removed.
    pub(crate) fn told_to_stop(&self) -> Arc<AtomicBool> {
        let told = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&told);
        let (ready, listening) = mpsc::channel();
        self.runtime.spawn(async move {
            let mut asked = Box::pin(wiring::stop::asked());
            // The first poll is what sets up the listening.
            let first =
                std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_ready())).await;
            // Nobody waits any longer where the start was given up.
            let _waiting = ready.send(());
            if first || asked.await.is_ok() {
                set.store(true, Relaxed);
            }
        });
        // An error means that the task ended, which it does not before it has sent.
        let _listening = listening.recv();
        told
    }

    /// Ends all listeners and connections.
    pub(crate) fn stop(self) {
        self.runtime.block_on(self.simulator.shutdown());
        self.runtime.shutdown_timeout(Duration::from_millis(200));
    }
}
