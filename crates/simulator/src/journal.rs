//! What was received and sent, exchange by exchange: the oracle of tests.
//!
//! In memory the last 1,000,000 exchanges (by configuration), about 0.5 KB each; headers and request bodies of the last 10,000. With a path,
//! each exchange is also appended to a file as two JSON lines, `{"event":"received",…}` before it is
//! answered and `{"event":"finished",…}` at its end, one `write` each, so that a harness that kills
//! either side can read what happened.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Exchanges whose headers and body are kept.
const KEPT_BODIES: usize = 10_000;
/// Bytes kept of a request body.
pub(crate) const BODY_BYTES_KEPT: usize = 64 * 1024;

/// Usage as the simulated cloud reported it, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedUsage {
    /// All input tokens, cached ones included.
    pub input: u64,
    /// Of those, read from the prompt cache.
    pub cached: u64,
    /// Of those, written to the prompt cache.
    pub cache_written: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    /// Of those, reasoning.
    pub reasoning: u64,
}

/// One exchange: a request received and what was sent for it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExchangeRecord {
    /// Counted from 1 over all clouds of this simulator.
    pub seq: u64,
    /// Name of the cloud that was asked.
    pub cloud: Arc<str>,
    /// Its region, "" without one.
    pub region: Arc<str>,
    /// When the head of the request was there, wall clock in ms.
    pub received_at: u64,
    /// When the last byte was handed to the socket or the exchange was given up, wall ms; `None`: open.
    pub finished_at: Option<u64>,
    /// HTTP method.
    pub method: String,
    /// Path and query as received, a `key` in the query masked.
    pub path: String,
    /// Request headers in lower case, credentials masked to their last four letters. Empty for exchanges
    /// older than the last 10,000.
    pub headers: BTreeMap<String, String>,
    /// `x-cabotage-*` request headers, kept as long as the record.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cabotage: BTreeMap<String, String>,
    /// Request body as text, at most 64 KiB of it. `None` when it did not arrive, or the record is old.
    pub body: Option<String>,
    /// Bytes of request body received.
    pub body_bytes: u64,
    /// The model asked for, "" when the request names none.
    pub model: String,
    /// Whether a streamed answer was asked for and given.
    pub streamed: bool,
    /// Status sent; 0: none.
    pub status: u16,
    /// Name of the fault that was applied, if any.
    pub fault: Option<String>,
    /// Body bytes handed to the connection.
    pub bytes_sent: u64,
    /// Content deltas handed to the connection.
    pub deltas_sent: u64,
    /// Whether the whole answer, as scripted, was handed to the connection.
    pub complete: bool,
    /// Whether the client left before that. Neither complete nor this: the cloud was killed meanwhile.
    pub client_disconnected: bool,
    /// When it was seen to leave, wall ms.
    pub disconnected_at: Option<u64>,
    /// Usage reported in the answer.
    pub usage: Option<ReportedUsage>,
}

/// Which exchanges to read. The default is the last 10,000 of all clouds.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct JournalQuery {
    /// Only those with a greater `seq`.
    #[serde(default)]
    pub since: u64,
    /// At most so many, the newest.
    pub limit: Option<usize>,
    /// Only of this cloud or kind prefix.
    pub cloud: Option<String>,
}

#[derive(Debug, Default)]
struct Pages {
    /// Ordered by `seq`, without holes.
    records: VecDeque<ExchangeRecord>,
    last_seq: u64,
}

impl Pages {
    fn at(&mut self, seq: u64) -> Option<&mut ExchangeRecord> {
        let first = self.records.front()?.seq;
        let at = usize::try_from(seq.checked_sub(first)?).ok()?;
        self.records.get_mut(at)
    }
}

/// The journal of one simulator.
#[derive(Debug)]
pub(crate) struct Journal {
    pages: Mutex<Pages>,
    kept: usize,
    file: Option<Mutex<File>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding leaves a record half-written at worst; reading on is right for an oracle.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Opens the file, if any, for appending; keeps the last `kept` exchanges in memory.
    pub(crate) fn open(path: Option<&Path>, kept: usize) -> io::Result<Self> {
        let file = match path {
            None => None,
            Some(path) => Some(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)),
        };
        Ok(Self { pages: Mutex::default(), kept: kept.max(1), file })
    }

    /// Enters a new exchange and gives it its sequence number.
    pub(crate) fn begin(&self, mut record: ExchangeRecord) -> u64 {
        let (seq, line) = {
            let mut pages = lock(&self.pages);
            pages.last_seq += 1;
            record.seq = pages.last_seq;
            let line = self.file.as_ref().map(|_| line_of("received", &record));
            if pages.records.len() >= self.kept {
                pages.records.pop_front();
            }
            if let Some(old) = pages.last_seq.checked_sub(KEPT_BODIES as u64)
                && let Some(old) = pages.at(old)
            {
                old.body = None;
                old.headers = BTreeMap::new();
            }
            pages.records.push_back(record);
            (pages.last_seq, line)
        };
        self.append(line);
        seq
    }

    /// Changes an open exchange; nothing happens when it is no longer kept.
    pub(crate) fn update(&self, seq: u64, change: impl FnOnce(&mut ExchangeRecord)) {
        if let Some(record) = lock(&self.pages).at(seq) {
            change(record);
        }
    }

    /// Makes the last change to an exchange and appends it to the file.
    pub(crate) fn finish(&self, seq: u64, change: impl FnOnce(&mut ExchangeRecord)) {
        let line = {
            let mut pages = lock(&self.pages);
            let Some(record) = pages.at(seq) else { return };
            change(record);
            self.file.as_ref().map(|_| {
                let brief = ExchangeRecord { body: None, headers: BTreeMap::new(), ..record.clone() };
                line_of("finished", &brief)
            })
        };
        self.append(line);
    }

    fn append(&self, line: Option<String>) {
        if let (Some(file), Some(line)) = (&self.file, line)
            && let Err(error) = lock(file).write_all(line.as_bytes())
        {
            tracing::warn!(%error, "simulator journal: cannot append");
        }
    }

    /// The exchanges that `query` names, oldest first.
    pub(crate) fn read(&self, query: &JournalQuery) -> Vec<ExchangeRecord> {
        let pages = lock(&self.pages);
        let wanted = |record: &&ExchangeRecord| {
            record.seq > query.since
                && query.cloud.as_deref().is_none_or(|selector| selects(selector, &record.cloud))
        };
        let mut found: Vec<_> = pages
            .records
            .iter()
            .rev()
            .filter(wanted)
            .take(query.limit.unwrap_or(KEPT_BODIES))
            .cloned()
            .collect();
        found.reverse();
        found
    }

    /// Forgets all exchanges; sequence numbers go on, the file is left alone.
    pub(crate) fn clear(&self) {
        lock(&self.pages).records.clear();
    }
}

fn line_of(event: &str, record: &ExchangeRecord) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        event: &'a str,
        #[serde(flatten)]
        record: &'a ExchangeRecord,
    }
    let mut line = serde_json::to_string(&Line { event, record }).unwrap_or_default();
    line.push('\n');
    line
}

/// Whether `selector` names `cloud`: `all`, its name, or the front of its name up to a `-`.
pub(crate) fn selects(selector: &str, cloud: &str) -> bool {
    selector == "all"
        || cloud.strip_prefix(selector).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// `value` with all but its last four letters replaced; a scheme in front (`Bearer`) stays.
pub(crate) fn masked(value: &str) -> String {
    let (scheme, secret) = value.split_once(' ').map_or(("", value), |(scheme, secret)| (scheme, secret));
    let tail: Vec<char> = secret.chars().rev().take(if secret.len() > 8 { 4 } else { 0 }).collect();
    let tail: String = tail.into_iter().rev().collect();
    if scheme.is_empty() { format!("…{tail}") } else { format!("{scheme} …{tail}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_old_exchanges_go_and_the_rest_stays() {
        let journal = Journal::open(None, 1_000_000).unwrap();
        for _ in 0..=KEPT_BODIES {
            journal.begin(ExchangeRecord { body: Some("x".to_owned()), ..ExchangeRecord::default() });
        }
        let all = journal.read(&JournalQuery { limit: Some(usize::MAX), ..JournalQuery::default() });
        assert_eq!(all.len(), KEPT_BODIES + 1);
        assert_eq!(all[0].body, None);
        assert_eq!(all[1].body.as_deref(), Some("x"));
        assert_eq!(journal.read(&JournalQuery { since: 9_999, ..JournalQuery::default() }).len(), 2);
    }

    #[test]
    fn selectors_match_names_and_kinds_only() {
        assert!(selects("azure", "azure-westeurope"));
        assert!(selects("azure-westeurope", "azure-westeurope"));
        assert!(!selects("azure-west", "azure-westeurope"));
        assert!(selects("all", "openai"));
    }

    #[test]
    fn secrets_are_masked() {
        assert_eq!(masked("Bearer sk-simulated-openai"), "Bearer …enai");
        assert_eq!(masked("short"), "…");
    }
}
