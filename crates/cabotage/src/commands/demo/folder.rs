//! The demo's folder: its configuration, the packs, the journal. A temporary one goes with the demo, one that the
//! user names stays, so that `kill -9`, a restart and `ledger show` find everything.

use super::clouds;
use anyhow::{Context as _, bail};
use std::{
    fs::{self, File},
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The configuration, with the usual addresses in it.
const CONFIG: &str = include_str!("../../../../../demo/cabotage.toml");
/// The packs.
const PACKS: [(&str, &str); 3] = [
    ("microsoft-openai.toml", include_str!("../../../../../terms/microsoft-openai.toml")),
    ("eu-residency.toml", include_str!("../../../../../terms/eu-residency.toml")),
    ("acme-bank.toml", include_str!("../../../../../terms/acme-bank.toml")),
];
/// The configuration's name in the folder.
const FILE: &str = "cabotage.toml";
/// What a demo's temporary folder is named after.
const TEMPORARY: &str = "demo";
/// The lock in it.
const LOCK: &str = "lock";
/// Temporary folders that are tried before we give up.
const TRIES_MAX: u32 = 64;

/// What is put into the configuration.
pub(super) struct Addresses {
    /// The data plane's port.
    pub(super) data: u16,
    /// Administration's port.
    pub(super) admin: u16,
    /// Name and address of each simulated cloud.
    pub(super) clouds: Vec<(String, SocketAddr)>,
}

impl Addresses {
    /// The configuration with these addresses.
    fn put_in(&self, config: &str) -> String {
        let mut pairs = vec![
            ("\"127.0.0.1:8080\"".to_owned(), format!("\"127.0.0.1:{}\"", self.data)),
            ("\"127.0.0.1:8081\"".to_owned(), format!("\"127.0.0.1:{}\"", self.admin)),
        ];
        for (name, port) in clouds::usual_ports() {
            if let Some((_, address)) = self.clouds.iter().find(|(cloud, _)| *cloud == name) {
                pairs.push((format!("http://127.0.0.1:{port}"), format!("http://{address}")));
            }
        }
        // Line by line and one pair a line: an address that was put in is never replaced again.
        let mut text = String::with_capacity(config.len() + 64);
        for line in config.split_inclusive('\n') {
            match pairs.iter().find(|(usual, _)| !line.starts_with('#') && line.contains(usual.as_str())) {
                Some((usual, own)) => text.push_str(&line.replace(usual.as_str(), own)),
                None => text.push_str(line),
            }
        }
        text
    }
}

/// The folder of a running demo. A temporary one is removed when this is dropped.
pub(super) struct Folder {
    dir: PathBuf,
    temporary: bool,
    /// Held while a temporary folder is in use; the system gives it back however the process ends.
    lock_held: Option<File>,
}

impl Folder {
    /// The user's folder, or a new temporary one that only this user can read.
    pub(super) fn open(state: Option<&Path>) -> anyhow::Result<Self> {
        match state {
            Some(dir) => {
                fs::create_dir_all(dir)
                    .with_context(|| format!("the folder {} cannot be made", dir.display()))?;
                let dir = fs::canonicalize(dir)?;
                let file = dir.join(FILE);
                if let Ok(text) = fs::read_to_string(&file)
                    && text.lines().next() != CONFIG.lines().next()
                {
                    bail!("{} is not the demo's: give --state another folder", file.display());
                }
                Ok(Self { dir, temporary: false, lock_held: None })
            }
            None => {
                remove_abandoned();
                let mut folder = Self { dir: temporary(TEMPORARY)?, temporary: true, lock_held: None };
                folder.lock_held = Some(lock(&folder.dir)?);
                Ok(folder)
            }
        }
    }

    /// Writes the configuration and those packs that are not there yet. Returns the configuration's file.
    pub(super) fn prepare(&self, addresses: &Addresses) -> anyhow::Result<PathBuf> {
        let terms = self.dir.join("terms");
        fs::create_dir_all(&terms)
            .with_context(|| format!("the folder {} cannot be made", terms.display()))?;
        for (name, text) in PACKS {
            let pack = terms.join(name);
            // What the user edited stays.
            if !pack.exists() {
                put(&pack, text)?;
            }
        }
        let file = self.dir.join(FILE);
        put(&file, &addresses.put_in(CONFIG))?;
        Ok(file)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    /// Whether it goes with the demo.
    pub(super) const fn is_temporary(&self) -> bool {
        self.temporary
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            eprintln!("{} could not be removed: {error}", self.dir.display());
        }
    }
}

/// Takes the lock of a new folder. It gets its name only when it is held, so that nobody ever sees it free.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let unnamed = dir.join("lock.new");
    let file = File::create(&unnamed)?;
    file.lock()?;
    fs::rename(unnamed, dir.join(LOCK))?;
    Ok(file)
}

/// Removes the temporary folders of demos that were killed: those whose lock nobody holds any longer.
fn remove_abandoned() {
    let start = format!("cabotage-{TEMPORARY}-");
    let folders = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for folder in folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(&start)) {
        let Ok(file) = File::open(folder.path().join(LOCK)) else { continue };
        if file.try_lock().is_ok() {
            // Another user's folder, for instance, stays.
            let _left = fs::remove_dir_all(folder.path());
        }
    }
}

/// Writes the demo's configuration and packs to a folder that has none of them yet.
pub(super) fn write(dir: &Path) -> anyhow::Result<()> {
    let terms = dir.join("terms");
    let files = PACKS.iter().map(|(name, text)| (terms.join(name), *text)).chain([(dir.join(FILE), CONFIG)]);
    let files: Vec<(PathBuf, &str)> = files.collect();
    if let Some((file, _)) = files.iter().find(|(file, _)| file.exists()) {
        bail!("{} is there already: name a folder without one, or remove it", file.display());
    }
    fs::create_dir_all(&terms).with_context(|| format!("the folder {} cannot be made", terms.display()))?;
    files.iter().try_for_each(|(file, text)| put(file, text))
}

fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

/// A new folder under the system's temporary one, for this user alone.
pub(super) fn temporary(what: &str) -> anyhow::Result<PathBuf> {
    for number in 0..TRIES_MAX {
        let name = format!("cabotage-{what}-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        match builder.create(&dir) {
            Ok(()) => return Ok(fs::canonicalize(&dir)?),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("the folder {} cannot be made", dir.display()));
            }
        }
    }
    bail!("no name is left for a temporary folder in {}", std::env::temp_dir().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_address_stands_in_the_configuration_and_is_replaced() {
        let usual = clouds::usual_ports();
        let addresses = Addresses {
            data: 0,
            admin: 0,
            // Each gets the usual port of another cloud, so that a second replacement would show.
            clouds: usual
                .iter()
                .zip(usual.iter().cycle().skip(1))
                .map(|((name, _), (_, port))| (name.clone(), SocketAddr::from(([127, 0, 0, 1], *port))))
                .collect(),
        };
        for (name, port) in &usual {
            assert!(
                CONFIG.contains(&format!("http://127.0.0.1:{port}")),
                "{name} is not in the configuration"
            );
        }
        let text = addresses.put_in(CONFIG);
        let endpoints = |text: &str| -> Vec<u16> {
            let lines = text.lines().filter_map(|line| line.strip_prefix("endpoint = \"http://127.0.0.1:"));
            lines.map(|rest| rest.get(..4).unwrap().parse().unwrap()).collect()
        };
        let expected: Vec<u16> =
            endpoints(CONFIG).into_iter().map(|port| if port == 9108 { 9101 } else { port + 1 }).collect();
        assert_eq!(endpoints(&text), expected);
        assert!(text.contains("data = \"127.0.0.1:0\"") && text.contains("admin = \"127.0.0.1:0\""));
    }
}
