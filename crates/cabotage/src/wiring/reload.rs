//! Hot reload: when a file of the configuration changes, everything is read anew and swapped whole, or the old
//! snapshot stays and the log says why.

use super::{Origin, problem_count};
use config::{Checked, Sources};
use engine::Engine;
use notify::{RecursiveMode, Watcher as _};
use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// Editors write a file in several steps; after the first sign of a change we wait this long.
const SETTLE: Duration = Duration::from_millis(150);

/// What a reload cannot change: it stands in sockets and threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    listen: config::checked::Listen,
    journal: config::checked::Journal,
    limits: config::checked::Limits,
}

impl Fixed {
    pub(super) fn of(checked: &Checked) -> Self {
        Self { listen: checked.listen, journal: checked.journal.clone(), limits: checked.limits }
    }
}

/// What a reload needs.
pub(super) struct Reload {
    pub(super) origin: Origin,
    pub(super) engine: Arc<Engine>,
    pub(super) sources: Arc<Sources>,
    pub(super) started_with: Fixed,
    /// The [`fingerprint`] of the files that the snapshot in force was made of.
    pub(super) as_loaded: u64,
}

/// No files have this fingerprint: what is compared with it is read anew.
const NEVER_SEEN: u64 = 0;

impl Reload {
    /// Watches `files` and everything beside them until the process stops.
    pub(super) async fn run(self, mut files: Vec<PathBuf>, mut stopped: watch::Receiver<bool>) {
        if !matches!(self.origin, Origin::File(_)) {
            return;
        }
        let (sign, mut signs) = mpsc::channel(1);
        // At most one sign waits; more say nothing new.
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _waiting = sign.try_send(());
            }
        });
        let mut watcher = match watcher {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!(%error, "files are not watched; changes need a restart or SIGHUP");
                return;
            }
        };
        let mut hangup = Hangup::new();
        let mut watched = BTreeSet::new();
        let mut seen = self.as_loaded;
        loop {
            // Folders, not files: an editor replaces a file, and Kubernetes the folder's link.
            for folder in files.iter().map(|file| folder_of(file)) {
                if watched.insert(folder.clone())
                    && let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive)
                {
                    tracing::warn!(folder = %folder.display(), %error, "this folder is not watched");
                }
            }
            // What changed before a folder was watched gave no sign.
            if fingerprint(&files) == seen {
                tokio::select! {
                    sign = signs.recv() => if sign.is_none() { return },
                    () = hangup.received() => seen = NEVER_SEEN,
                    _ = stopped.wait_for(|stop| *stop) => return,
                }
            }
            tokio::time::sleep(SETTLE).await;
            let _drained = signs.try_recv();
            let now = fingerprint(&files);
            if now == seen {
                continue;
            }
            seen = now;
            // Compiles terms and asks Cedar, for seconds in big fleets: the health checks on this thread go on.
            let loaded = tokio::task::block_in_place(|| self.swap());
            // The fingerprint is from before the files were read, so an edit meanwhile is a change. Of files that
            // were not watched there is none: they are read once more.
            if let Some(new_files) = loaded.filter(|new_files| *new_files != files) {
                seen = NEVER_SEEN;
                files = new_files;
            }
        }
    }

    /// Reads everything anew and puts it in force, or says why not. Returns the files to watch.
    fn swap(&self) -> Option<Vec<PathBuf>> {
        let checked = match self.origin.check() {
            Ok(checked) => checked,
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!("{problem}");
                }
                tracing::error!("{}: the old configuration stays in force", problem_count(&problems));
                self.engine.notice("snapshot", "a changed configuration was refused; the old one stays");
                return None;
            }
        };
        let built =
            config::build(&checked, &self.sources, self.engine.next_epoch()).map_err(anyhow::Error::from);
        match built.and_then(|spec| Ok(self.engine.load(spec)?)) {
            Ok(epoch) => {
                super::told_of_terms(&checked, &*self.sources.clock);
                tracing::info!(
                    snapshot = epoch.0,
                    deployments = checked.deployments.len(),
                    "the new configuration is in force"
                );
                self.engine
                    .notice("snapshot", &format!("{} is in force, terms {}", epoch.0, checked.terms.hash()));
            }
            Err(error) => {
                tracing::error!("{error}: the old configuration stays in force");
                return None;
            }
        }
        if Fixed::of(&checked) != self.started_with {
            tracing::warn!("[listen], [journal] and [limits] change only with a restart");
        }
        Some(checked.files)
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Changes when the content of a file does, or when a pack, a raw policy, or a file of waivers or approvals comes
/// or goes.
pub(super) fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let folders: BTreeSet<PathBuf> = files.iter().map(|file| folder_of(file)).collect();
    for folder in folders {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let packs: BTreeSet<PathBuf> = names
            .filter(|path| path.extension().is_some_and(|ext| ext == "toml" || ext == "cedar"))
            .collect();
        packs.hash(&mut hasher);
    }
    for file in files {
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish().max(NEVER_SEEN + 1)
}

/// SIGHUP, where the system has it.
struct Hangup(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

impl Hangup {
    fn new() -> Self {
        #[cfg(unix)]
        {
            Self(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
        }
        #[cfg(not(unix))]
        Self()
    }

    async fn received(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
