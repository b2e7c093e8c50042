//! A gateway: journal, engine, listeners, on two runtimes. The data plane has its own, so that neither metrics
//! nor a reload ever takes a thread from a call.

use super::{
    Origin,
    journal::Records,
    reload::{self, Reload},
    state, stop,
};
use admin::AdminListener;
use anyhow::{Context as _, anyhow};
use config::{Checked, Sources};
use domain::Clock;
use engine::{Engine, EngineSettings};
use placement::explain::KeptAt;
use server::{Listener, ServerSettings, StateSide};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{oneshot, watch},
};

/// How often unused connections to upstreams are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How often kept state is looked through.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);

/// A gateway that is ready to serve.
pub(crate) struct Gateway {
    /// The engine, with a snapshot in force.
    pub(crate) engine: Arc<Engine>,
    /// Where callers are served.
    pub(crate) data_address: SocketAddr,
    /// Where administration is served.
    pub(crate) admin_address: SocketAddr,
    sources: Arc<Sources>,
    records: Records,
    state: Option<StateSide>,
    kept_at: Arc<[KeptAt]>,
    as_loaded: u64,
    data: (Runtime, Listener),
    rim: (Runtime, AdminListener),
}

impl Gateway {
    /// Opens the journal, puts the snapshot in force, binds both listeners. Nothing is served yet.
    pub(crate) fn start(
        checked: &Checked,
        sources: Arc<Sources>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        // First of all: what is edited from now on is a change.
        let as_loaded = reload::fingerprint(&checked.files);
        let records = Records::open(&checked.journal, clock.as_ref())?;
        let state = state::open(checked, Arc::clone(&clock), random()?)?;
        let engine = Engine::new(EngineSettings {
            clock,
            journal: Arc::new(records.journal.clone()),
            max_buffered: checked.limits.buffered,
            seed: random()?,
        });
        for (workload, counts) in super::journal::profiles(&checked.journal.dir) {
            engine.seed_profile(&workload.as_str().into(), &counts);
        }
        super::told_of_terms(checked, &*sources.clock);
        let epoch = engine.load(config::build(checked, &sources, engine.next_epoch())?)?;
        engine.notice("start", &format!("version {}, snapshot {}", env!("CARGO_PKG_VERSION"), epoch.0));
        let data = data_runtime(checked.limits.workers).context("the data plane's threads")?;
        let rim = Builder::new_multi_thread().worker_threads(1).enable_all().thread_name("rim").build()?;
        let settings = ServerSettings {
            max_connections: checked.limits.connections,
            max_body: checked.limits.body,
            idle_timeout: checked.limits.idle,
            drain: checked.limits.drain,
            ..ServerSettings::default()
        };
        let listener = data.block_on(Listener::bind(checked.listen.data, settings))?;
        let admin = rim.block_on(AdminListener::bind(checked.listen.admin))?;
        Ok(Self {
            data_address: listener.address()?,
            admin_address: admin.address()?,
            engine,
            sources,
            records,
            state,
            kept_at: state::kept_at(checked),
            as_loaded,
            data: (data, listener),
            rim: (rim, admin),
        })
    }

    /// Says where it listens, on standard error.
    pub(crate) fn announce(&self) {
        eprintln!("callers:        http://{}/v1", self.data_address);
        eprintln!("administration: http://{}", self.admin_address);
    }

    /// Serves until the process is told to stop, then lets calls under way finish, at most for the drain time.
    pub(crate) fn serve(self, origin: Origin, checked: Checked) -> anyhow::Result<()> {
        if let Origin::Environment { key: Some(key), .. } = &origin {
            eprintln!("callers' key:   {key}   (made for this process; set CABOTAGE_KEY to choose one)");
        }
        let Self {
            engine,
            sources,
            records,
            state,
            kept_at,
            as_loaded,
            data: (data, listener),
            rim: (rim, admin),
            ..
        } = self;
        let (stop, stopped) = watch::channel(false);
        // What the snapshot was made of is not needed any more: keys, notes, packs.
        let (started_with, files) = {
            let checked = checked;
            (reload::Fixed::of(&checked), checked.files)
        };
        let reload = Reload { origin, engine: Arc::clone(&engine), sources, started_with, as_loaded };
        rim.spawn(admin.serve(Arc::clone(&engine), kept_at, until(stopped.clone())));
        rim.spawn(sweep(Arc::clone(&engine), stopped.clone()));
        rim.spawn(reload.run(files, stopped.clone()));
        if let Some(state) = state.clone() {
            rim.spawn(upkeep(state, stopped.clone()));
        }
        let serving = listener.serve(Arc::clone(&engine), state, until(stopped));
        let (cut, is_cut) = oneshot::channel::<()>();
        let (end, mut served) = oneshot::channel();
        let plane = std::thread::Builder::new().name("data".to_owned()).spawn(move || {
            let serving = data.spawn(serving);
            data.block_on(async {
                tokio::select! {
                    served = serving => { let _main_is_gone = end.send(served); }
                    _cut_or_gone = is_cut => {}
                }
            });
            data.shutdown_timeout(Duration::from_millis(200));
        })?;
        let ended = rim.block_on(async {
            stop::asked().await?;
            tracing::info!("told to stop; calls under way may finish");
            engine.notice("drain", "told to stop");
            let _nobody_listens = stop.send(true);
            tokio::select! {
                served = &mut served => served?.map_err(|error| anyhow!("the data plane ended: {error}")),
                again = stop::asked() => { again?; Err(anyhow!("told to stop twice; calls were cut")) }
            }
        });
        drop(cut);
        // What the calls that were cut still had to say is in the journal then.
        let _it_ended_by_a_panic = plane.join();
        records.drainer.stop();
        rim.shutdown_timeout(Duration::from_millis(200));
        ended
    }
}

/// The threads that serve callers: as many as are asked for, else one per core. One alone is spared what several
/// need to hand work to each other; it is the thread that waits for the runtime.
fn data_runtime(workers: Option<usize>) -> std::io::Result<Runtime> {
    let mut data = match workers {
        Some(1) => Builder::new_current_thread(),
        Some(workers) => {
            let mut several = Builder::new_multi_thread();
            several.worker_threads(workers);
            several
        }
        None => Builder::new_multi_thread(),
    };
    data.enable_all().thread_name("data").build()
}

/// Ends when the process is told to stop.
async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the process's main thread.
    let _gone = stopped.wait_for(|stop| *stop).await;
}

/// Forgets what is past its time, and ends what a dead process left open.
async fn upkeep(state: StateSide, stopped: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(until(stopped));
    loop {
        state.runtime.upkeep(&state.stores).await;
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
            () = &mut stop => return,
        }
    }
}

async fn sweep(engine: Arc<Engine>, stopped: watch::Receiver<bool>) {
    let mut stop = std::pin::pin!(until(stopped));
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {
                engine.sweep();
                engine.watch_clock();
                // Asks Cedar, so not on a thread that others wait for.
                let engine = Arc::clone(&engine);
                let _detached = tokio::task::spawn_blocking(move || engine.prepare_next_window());
            }
            () = &mut stop => return,
        }
    }
}

/// Random bytes from the operating system. The TLS library's generator would first gather entropy of its own,
/// which takes a good part of a cold start.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}
