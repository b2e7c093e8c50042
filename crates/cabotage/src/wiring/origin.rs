//! Where the configuration comes from: a file, or the environment.

use super::shipped::{PRICES, SHIPPED};
use anyhow::bail;
use config::{Checked, Problem, Problems, Process, Surroundings, Text, environment};
use domain::Clock;
use jiff::tz::TimeZone;
use ledger::Catalog;
use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

/// Where the configuration comes from. It is read anew at every reload.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A file.
    File(PathBuf),
    /// The provider keys in the environment, once at the start.
    Environment {
        /// The configuration made of them.
        text: String,
        /// The callers' key where `CABOTAGE_KEY` is not set: made for this process.
        key: Option<String>,
    },
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::Environment { .. } => f.write_str("Environment"),
        }
    }
}

impl Origin {
    /// Looks for provider keys in the environment.
    pub(crate) fn environment(clock: &dyn Clock) -> anyhow::Result<Self> {
        let around = Process;
        let today = clock.now().to_zoned(TimeZone::UTC).date();
        // Only the lines of providers that have a key: the others need not be parsed.
        let wanted: HashSet<&str> = providers::registry::providers()
            .map(|provider| provider.descriptor())
            .filter(|descriptor| descriptor.env_keys.iter().any(|name| around.variable(name).is_some()))
            .map(|descriptor| descriptor.id)
            .collect();
        let of_wanted = |line: &&str| {
            let provider = line.strip_prefix("{\"provider\":\"").and_then(|rest| rest.split('"').next());
            provider.is_some_and(|provider| wanted.contains(provider))
        };
        let lines: String = PRICES.split_inclusive('\n').filter(of_wanted).collect();
        let found = environment::find(&around, &Catalog::parse(lines)?, today);
        for note in &found.notes {
            tracing::warn!("{note}");
        }
        if found.deployments == 0 {
            let keys = providers::registry::providers().flat_map(|provider| provider.descriptor().env_keys);
            let keys: Vec<&str> = keys.copied().collect();
            bail!(
                "no configuration (-c FILE) and no provider key in the environment.\n  \
                 Set one of: {}.\n  \
                 Or try without any key: cabotage demo",
                keys.join(", ")
            );
        }
        tracing::info!(
            deployments = found.deployments,
            providers = found.providers.join(","),
            "made from the environment"
        );
        let key = match around.variable(environment::GATEWAY_KEY) {
            Some(_) => None,
            None => Some(new_key()?),
        };
        Ok(Self::Environment { text: found.text, key })
    }

    /// Reads and checks.
    ///
    /// # Errors
    /// All problems, or the one that the file cannot be read.
    pub(crate) fn check(&self) -> Result<Checked, Problems> {
        match self {
            Self::File(file) => {
                let text =
                    Process.read(file).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
                let text = text.map_err(|error| unreadable(file, &error))?;
                config::check(Text { file, text: &text }, SHIPPED, &Process)
            }
            Self::Environment { text, key } => {
                let around = WithKey { key: key.clone() };
                config::check(Text { file: Path::new("environment"), text }, SHIPPED, &around)
            }
        }
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Problems {
    Problems(vec![Problem {
        file: file.display().to_string().into(),
        line: 1,
        column: 1,
        message: format!("cannot read the configuration: {error}"),
        hint: String::new(),
    }])
}

/// A key of 160 random bits for the callers of this process.
fn new_key() -> anyhow::Result<String> {
    let random: [u8; 20] = super::gateway::random()?;
    Ok(random.iter().fold("sk-cab-".to_owned(), |key, byte| format!("{key}{byte:02x}")))
}

/// The process's surroundings, with the callers' key that was made for it.
struct WithKey {
    key: Option<String>,
}

impl Surroundings for WithKey {
    fn variable(&self, name: &str) -> Option<String> {
        match &self.key {
            Some(key) if name == environment::GATEWAY_KEY => Some(key.clone()),
            _ => Process.variable(name),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Process.read(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Process.list(dir)
    }
}
