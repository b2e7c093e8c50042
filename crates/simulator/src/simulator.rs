//! The simulator as its user holds it: start, kill, heal, script, read the journal, shut down.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::SimulatorConfig;
use crate::control;
use crate::exchange::{Cloud, Prefixes};
use crate::fault::{FaultRule, Script};
use crate::journal::{ExchangeRecord, Journal, JournalQuery, selects};
use crate::listener::{self, ListenerHandle};

/// Clouds in one simulator at most.
const CLOUDS_MAX: usize = 256;

/// Why the simulator cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// Two clouds have one name.
    #[error("two simulated clouds are named `{0}`; names must differ")]
    DuplicateName(String),
    /// More clouds than the simulator takes.
    #[error("{0} simulated clouds are too many; at most {CLOUDS_MAX}")]
    TooMany(usize),
    /// A port is taken, most likely.
    #[error("cannot listen on 127.0.0.1:{port} for `{cloud}`: {source}; choose another port or 0")]
    Listen {
        /// The cloud, or `control`.
        cloud: String,
        /// The port asked for.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// The journal file cannot be opened.
    #[error("cannot open the simulator's journal {path}: {source}")]
    Journal {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A selector matches no cloud.
    #[error("no simulated cloud matches `{0}`; there are: {1}")]
    UnknownCloud(String, String),
    /// A killed cloud's port could not be taken again, or the simulator has stopped.
    #[error("cannot switch `{cloud}`: {source}")]
    Switch {
        /// The cloud.
        cloud: String,
        /// What the system says.
        source: io::Error,
    },
}

/// How one cloud stands, as `GET /clouds` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloudState {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: crate::CloudKind,
    /// Its region token.
    pub region: Option<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it accepts connections.
    pub alive: bool,
    /// The fault rules in force.
    pub faults: Vec<FaultRule>,
}

#[derive(Debug)]
struct Running {
    cloud: Arc<Cloud>,
    listener: ListenerHandle,
}

/// What the handle and the control API share.
#[derive(Debug)]
pub(crate) struct Fleet {
    clouds: Vec<Running>,
    journal: Arc<Journal>,
}

/// A running simulator. Its tasks live on the tokio runtime it was started on; dropped, they end.
#[derive(Debug)]
pub struct Simulator {
    fleet: Arc<Fleet>,
    control_address: SocketAddr,
    control: tokio::task::JoinHandle<()>,
}

impl Simulator {
    /// Binds all listeners and the control API. Must run inside a tokio runtime with time and net.
    ///
    /// # Errors
    /// Names that collide, ports that are taken, a journal that cannot be opened.
    pub async fn start(config: SimulatorConfig) -> Result<Self, SimulatorError> {
        check(&config)?;
        let journal =
            Journal::open(config.journal_path.as_deref(), config.journal_kept).map_err(|source| {
                SimulatorError::Journal { path: config.journal_path.clone().unwrap_or_default(), source }
            })?;
        let journal = Arc::new(journal);
        // The port that was asked for comes first: where it is taken, that is what the error says.
        let (control_address, listener) = control::bind(config.control_port).await.map_err(|source| {
            SimulatorError::Listen { cloud: "control".to_owned(), port: config.control_port, source }
        })?;
        let mut clouds = Vec::with_capacity(config.clouds.len());
        for spec in &config.clouds {
            let cloud = Arc::new(Cloud {
                credentials: config.credentials(spec),
                clock_skew_seconds: config.clock_skew_seconds,
                name: Arc::from(spec.name.as_str()),
                region: Arc::from(spec.region.as_deref().unwrap_or_default()),
                pace: Duration::from_millis(config.pace_ms),
                journal: Arc::clone(&journal),
                script: Mutex::new(Script::default()),
                prefixes: Mutex::new(Prefixes::default()),
                spec: spec.clone(),
            });
            let listener = listener::start(Arc::clone(&cloud), spec.port).map_err(|source| {
                SimulatorError::Listen { cloud: spec.name.clone(), port: spec.port, source }
            })?;
            clouds.push(Running { cloud, listener });
        }
        let fleet = Arc::new(Fleet { clouds, journal });
        let control = control::start(Arc::clone(&fleet), listener);
        Ok(Self { fleet, control_address, control })
    }

    /// Where the cloud of this name listens; `None` when there is none.
    #[must_use]
    pub fn address(&self, cloud: &str) -> Option<SocketAddr> {
        self.fleet
            .clouds
            .iter()
            .find(|running| *running.cloud.name == *cloud)
            .map(|running| running.listener.address)
    }

    /// `http://127.0.0.1:PORT` of the cloud of this name.
    #[must_use]
    pub fn base_url(&self, cloud: &str) -> Option<String> {
        self.address(cloud).map(|address| format!("http://{address}"))
    }

    /// Where the control API listens.
    #[must_use]
    pub fn control_address(&self) -> SocketAddr {
        self.control_address
    }

    /// Kills what `selector` names: a cloud, a kind (`azure`), or `all`. New connections are refused and
    /// open ones reset when this returns. Returns the names.
    ///
    /// # Errors
    /// A selector that names nothing.
    pub async fn kill(&self, selector: &str) -> Result<Vec<String>, SimulatorError> {
        self.fleet.kill(selector).await
    }

    /// Brings back what `selector` names, on the same ports. Returns the names.
    ///
    /// # Errors
    /// A selector that names nothing; a port that another process has taken meanwhile.
    pub async fn heal(&self, selector: &str) -> Result<Vec<String>, SimulatorError> {
        self.fleet.heal(selector).await
    }

    /// Replaces the fault rules of what `selector` names (at most 1,000 each); no rules: no faults.
    ///
    /// # Errors
    /// A selector that names nothing.
    pub fn script(
        &self,
        selector: &str,
        rules: impl Into<Vec<FaultRule>>,
    ) -> Result<Vec<String>, SimulatorError> {
        self.fleet.script(selector, &rules.into())
    }

    /// The last 10,000 exchanges, oldest first, with open ones as they stand.
    #[must_use]
    pub fn journal(&self) -> Vec<ExchangeRecord> {
        self.fleet.read(&JournalQuery::default())
    }

    /// The exchanges that `query` names, oldest first.
    #[must_use]
    pub fn journal_where(&self, query: &JournalQuery) -> Vec<ExchangeRecord> {
        self.fleet.read(query)
    }

    /// Forgets the exchanges in memory.
    pub fn clear_journal(&self) {
        self.fleet.clear();
    }

    /// How each cloud stands.
    #[must_use]
    pub fn clouds(&self) -> Vec<CloudState> {
        self.fleet.states()
    }

    /// Ends all listeners and connections; returns when nothing listens any more.
    pub async fn shutdown(self) {
        for running in &self.fleet.clouds {
            let _ = running.listener.stop().await;
        }
        self.control.abort();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.control.abort();
    }
}

fn check(config: &SimulatorConfig) -> Result<(), SimulatorError> {
    if config.clouds.len() > CLOUDS_MAX {
        return Err(SimulatorError::TooMany(config.clouds.len()));
    }
    let mut names = BTreeSet::new();
    for spec in &config.clouds {
        if !names.insert(spec.name.as_str()) {
            return Err(SimulatorError::DuplicateName(spec.name.clone()));
        }
    }
    Ok(())
}

impl Fleet {
    fn select(&self, selector: &str) -> Result<Vec<&Running>, SimulatorError> {
        let found: Vec<_> =
            self.clouds.iter().filter(|running| selects(selector, &running.cloud.name)).collect();
        if found.is_empty() {
            let names: Vec<&str> = self.clouds.iter().map(|running| &*running.cloud.name).collect();
            return Err(SimulatorError::UnknownCloud(selector.to_owned(), names.join(", ")));
        }
        Ok(found)
    }

    pub(crate) async fn kill(&self, selector: &str) -> Result<Vec<String>, SimulatorError> {
        let mut names = Vec::new();
        for running in self.select(selector)? {
            let name = running.cloud.name.to_string();
            let outcome = running.listener.kill().await;
            outcome.map_err(|source| SimulatorError::Switch { cloud: name.clone(), source })?;
            names.push(name);
        }
        Ok(names)
    }

    pub(crate) async fn heal(&self, selector: &str) -> Result<Vec<String>, SimulatorError> {
        let mut names = Vec::new();
        for running in self.select(selector)? {
            let name = running.cloud.name.to_string();
            let outcome = running.listener.heal().await;
            outcome.map_err(|source| SimulatorError::Switch { cloud: name.clone(), source })?;
            names.push(name);
        }
        Ok(names)
    }

    pub(crate) fn script(&self, selector: &str, rules: &[FaultRule]) -> Result<Vec<String>, SimulatorError> {
        let found = self.select(selector)?;
        for running in &found {
            let mut script = running.cloud.script.lock().unwrap_or_else(PoisonError::into_inner);
            script.set(rules.to_vec());
        }
        Ok(found.iter().map(|running| running.cloud.name.to_string()).collect())
    }

    pub(crate) fn read(&self, query: &JournalQuery) -> Vec<ExchangeRecord> {
        self.journal.read(query)
    }

    pub(crate) fn clear(&self) {
        self.journal.clear();
    }

    pub(crate) fn states(&self) -> Vec<CloudState> {
        self.clouds
            .iter()
            .map(|running| CloudState {
                name: running.cloud.name.to_string(),
                kind: running.cloud.spec.kind,
                region: running.cloud.spec.region.clone(),
                address: running.listener.address,
                alive: running.listener.is_alive(),
                faults: running.cloud.script.lock().unwrap_or_else(PoisonError::into_inner).rules(),
            })
            .collect()
    }
}
