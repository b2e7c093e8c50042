//! The journal and the ledger's database, and what a start finds of the last process.

use anyhow::Context as _;
use config::checked;
use domain::{Clock, class::Counts};
use std::{collections::BTreeMap, fs, path::Path};
use storage::{Drainer, DrainerSettings, Durability, FileJournal, JournalSettings, LedgerStore};

/// The folder of the segments inside `journal.dir`.
pub(crate) const SEGMENTS: &str = "journal";
/// The ledger's database inside `journal.dir`.
pub(crate) const LEDGER: &str = "ledger.sqlite";
/// The file with the log's own id inside `journal.dir`.
const LOG_ID: &str = "log-id";

/// The journal, open, and its drainer, at work.
pub(crate) struct Records {
    pub(crate) journal: FileJournal,
    pub(crate) drainer: Drainer,
}

impl Records {
    /// Opens both; what the last process left open is closed as unknown.
    pub(crate) fn open(settings: &checked::Journal, clock: &dyn Clock) -> anyhow::Result<Self> {
        let dir = &settings.dir;
        fs::create_dir_all(dir).with_context(|| format!("the folder {} cannot be made", dir.display()))?;
        let mut journal = JournalSettings::new(dir.join(SEGMENTS), &log_id(dir)?);
        journal.durability = match settings.durability {
            checked::Durability::Process => Durability::Process,
            checked::Durability::Power => Durability::Power,
            checked::Durability::Strict => Durability::Strict,
        };
        let (journal, recovery) = FileJournal::open(journal, clock.now().as_microsecond())?;
        if recovery.unknown + recovery.between + recovery.lost + recovery.torn_bytes > 0 {
            tracing::warn!(
                unknown = recovery.unknown,
                between = recovery.between,
                torn_bytes = recovery.torn_bytes,
                lost = recovery.lost,
                "the last process did not end by itself; its open calls are recorded as unknown"
            );
        }
        let mut drain = DrainerSettings::new(dir.join(LEDGER));
        drain.retention = settings.retention;
        let drainer = Drainer::start(journal.clone(), drain)?;
        Ok(Self { journal, drainer })
    }
}

/// What workloads were like in earlier lives of the gateway, by the ledger in a journal's folder. Nothing where there
/// is none, or one that cannot be read: a profile informs and must not keep a gateway from starting.
pub(crate) fn profiles(dir: &Path) -> BTreeMap<String, Counts> {
    let database = dir.join(LEDGER);
    if !database.exists() {
        return BTreeMap::new();
    }
    let read = LedgerStore::open_read_only(&database).and_then(|store| store.profiles(i64::MIN));
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, "the workloads' profiles begin anew");
        BTreeMap::new()
    })
}

/// `cabotage/` and sixteen random digits, made once for a folder.
fn log_id(dir: &Path) -> anyhow::Result<String> {
    let file = dir.join(LOG_ID);
    if let Ok(text) = fs::read_to_string(&file)
        && !text.trim().is_empty()
    {
        return Ok(text.trim().to_owned());
    }
    let random: [u8; 8] = super::gateway::random()?;
    let id = random.iter().fold("cabotage/".to_owned(), |id, byte| format!("{id}{byte:02x}"));
    fs::write(&file, &id).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(id)
}
