//! `kill -9` at any moment: what was said to be written is there, and every attempt has one outcome.

use crate::{
    child,
    records::{number_of, open, read_all},
};
use domain::record::{Outcome, Record};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader},
    path::Path,
    time::Duration,
};

/// Lets a child write for `ms`, kills it with SIGKILL, returns what it said.
fn run_and_kill(name: &str, dir: &Path, first: u64, ms: u64) -> Vec<String> {
    let mut child = child::start(name, dir, first, "");
    let out = BufReader::new(child.stdout.take().unwrap());
    let said = std::thread::spawn(move || {
        let whole = |line: &String| line.starts_with("attempt ") || line.starts_with("outcome ");
        out.lines().map_while(Result::ok).filter(whole).collect::<Vec<String>>()
    });
    std::thread::sleep(Duration::from_millis(ms));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut said = said.join().unwrap();
    // The last line may be torn.
    said.pop();
    said
}

/// Attempts and outcomes of the journal by call and attempt; fails where anything is doubled or missing.
struct Books {
    attempts: BTreeSet<(u64, u16)>,
    outcomes: BTreeMap<(u64, u16), Outcome>,
    terminals: BTreeMap<u64, u64>,
}

fn books(dir: &Path) -> Books {
    let (found, lost) = read_all(dir);
    assert_eq!(lost, 0);
    let mut books =
        Books { attempts: BTreeSet::new(), outcomes: BTreeMap::new(), terminals: BTreeMap::new() };
    for (index, found) in found.iter().enumerate() {
        assert_eq!(found.sequence, index as u64 + 1, "sequence numbers have no gap across restarts");
        match found.record.as_ref().unwrap() {
            Record::Attempt(attempt) => {
                assert!(books.attempts.insert((number_of(attempt.call), attempt.attempt)));
            }
            Record::Outcome(outcome) => {
                let n = number_of(outcome.call);
                let before = books.outcomes.insert((n, outcome.attempt), outcome.outcome);
                assert_eq!(before, None, "call {n} attempt {} ends twice", outcome.attempt);
                *books.terminals.entry(n).or_default() += u64::from(outcome.last);
            }
            _ => {}
        }
    }
    books
}

#[test]
fn nothing_that_was_said_is_lost_and_every_attempt_ends_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    let mut recovered = 0;
    for cycle in 0..20u64 {
        said.extend(run_and_kill("writes_calls", dir.path(), cycle * 1_000_000, 20 + cycle * 3));
        let (journal, recovery) = open(dir.path());
        recovered += recovery.unknown;
        drop(journal);
    }
    assert!(said.len() > 2_000, "the children wrote {} records", said.len());
    let books = books(dir.path());
    for line in &said {
        let (what, n) = line.split_once(' ').unwrap();
        let n: u64 = n.parse().unwrap();
        assert!(books.attempts.contains(&(n, 1)), "attempt of call {n} was said and is not there");
        if what == "outcome" {
            assert_eq!(books.terminals.get(&n), Some(&1), "call {n} has one terminal");
        }
    }
    let mut unknown = 0;
    for attempt in &books.attempts {
        let outcome = books.outcomes.get(attempt).unwrap_or_else(|| panic!("{attempt:?} has no outcome"));
        unknown += u64::from(*outcome == Outcome::Unknown);
    }
    assert_eq!(unknown, recovered);
    assert!(unknown <= 20, "one thread leaves at most one attempt open");
}

#[test]
fn drained_once_whatever_dies_in_between() {
    let dir = tempfile::tempdir().unwrap();
    for cycle in 0..10u64 {
        run_and_kill("writes_and_drains", dir.path(), cycle * 1_000_000, 60 + cycle * 7);
    }
    let (journal, _) = open(dir.path());
    let settings = storage::DrainerSettings::new(dir.path().join("ledger.db"));
    let drainer = storage::Drainer::start(journal.clone(), settings).unwrap();
    assert!(drainer.catch_up(journal.stats().sequence, Duration::from_secs(20)));
    drainer.stop();
    let books = books(dir.path());
    let store = storage::LedgerStore::open_read_only(&dir.path().join("ledger.db")).unwrap();
    let mut sums = ledger::show::Sums::default();
    for row in store.rows(i64::MIN, i64::MAX).unwrap() {
        assert_ne!(&*row.workload, "?", "an outcome lost its attempt");
        sums.add(&row.sums);
    }
    assert!(books.outcomes.len() > 500, "{} outcomes", books.outcomes.len());
    assert_eq!(sums.attempts, books.outcomes.len() as u64);
    assert_eq!(sums.calls, books.terminals.values().sum::<u64>());
    let done = books.outcomes.values().filter(|outcome| **outcome == Outcome::Done).count() as u64;
    assert_eq!(sums.cost_pico, done * 1_000);
    assert_eq!(sums.unknown, books.outcomes.len() as u64 - done);
    assert_eq!(store.gaps().unwrap(), (0, 0));
    assert_eq!(store.sizes().unwrap()[1], 0, "no attempt stays open in the database");
}
