//! Draining: sums, lookups, retention, restarts.

use crate::records::{NOW_US, attempt, call, decision, open, outcome, read_all, refusal};
use domain::{
    journal::Journal,
    record::{NoticeRecord, Record},
};
use ledger::show::{Dimension, Report};
use std::{path::Path, time::Duration};
use storage::{Drainer, DrainerSettings, FileJournal, LedgerStore, StoreError, journal::segment};

fn drain(journal: &FileJournal, dir: &Path) -> Drainer {
    let settings = DrainerSettings { batch_max: 100, ..DrainerSettings::new(dir.join("ledger.db")) };
    let drainer = Drainer::start(journal.clone(), settings).unwrap();
    assert!(drainer.catch_up(journal.stats().sequence, Duration::from_secs(20)));
    drainer
}

fn calls(journal: &FileJournal, range: std::ops::Range<u64>) {
    for n in range {
        let _permit = journal.admit().unwrap();
        journal.append(&decision()).unwrap();
        journal.append(&attempt(n, 1)).unwrap();
        journal.append(&outcome(n, 1, true)).unwrap();
    }
}

#[test]
fn sums_are_what_the_records_say() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    calls(&journal, 0..500);
    journal.append(&attempt(600, 1)).unwrap();
    journal.append(&outcome(600, 1, false)).unwrap();
    journal.append(&attempt(600, 2)).unwrap();
    journal.append(&outcome(600, 2, true)).unwrap();
    journal.append(&refusal(601)).unwrap();
    journal
        .append(&Record::Notice(NoticeRecord { at_us: NOW_US, kind: "start".into(), text: "".into() }))
        .unwrap();
    let drainer = drain(&journal, dir.path());
    assert_eq!(drainer.stats().drained, journal.stats().sequence);
    drainer.stop();
    let store = LedgerStore::open_read_only(&dir.path().join("ledger.db")).unwrap();
    let rows = store.rows(i64::MIN, i64::MAX).unwrap();
    let report = Report::by(Dimension::Workload, rows);
    let total = &report.total;
    assert_eq!((total.calls, total.attempts, total.refused, total.failed), (502, 502, 1, 1));
    assert_eq!(
        (total.uncached_in, total.cache_read, total.out_visible, total.out_reasoning),
        (502 * 60, 502 * 40, 502 * 20, 502 * 10)
    );
    assert_eq!(total.cost_pico, 502_000);
    let names: Vec<&str> = report.lines.iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names, ["research", "support-eu"]);
    assert_eq!(store.rows(NOW_US + 3_600_000_000, i64::MAX).unwrap(), []);
}

#[test]
fn an_attempt_and_its_outcome_may_be_drained_by_different_processes() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(dir.path());
        journal.append(&attempt(1, 1)).unwrap();
        drain(&journal, dir.path()).stop();
    }
    let (journal, recovery) = open(dir.path());
    assert_eq!(recovery.unknown, 1);
    drain(&journal, dir.path()).stop();
    let store = LedgerStore::open_read_only(&dir.path().join("ledger.db")).unwrap();
    let rows = store.rows(i64::MIN, i64::MAX).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((&*rows[0].workload, &*rows[0].deployment), ("research", "azure-westeurope"));
    assert_eq!((rows[0].sums.unknown, rows[0].sums.unpriced, rows[0].sums.cost_pico), (1, 1, 0));
}

#[test]
fn a_call_is_found_with_its_decision() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    calls(&journal, 0..2_000);
    let drainer = drain(&journal, dir.path());
    let store = LedgerStore::open_read_only(&dir.path().join("ledger.db")).unwrap();
    for n in [0, 1, 777, 1_999] {
        let found = store.call(dir.path(), call(n)).unwrap();
        let records: Vec<&Record> = found.iter().map(|found| &found.record).collect();
        assert_eq!(records, [&decision(), &attempt(n, 1), &outcome(n, 1, true)], "call {n}");
    }
    assert!(store.call(dir.path(), call(5_000)).unwrap().is_empty());
    drainer.stop();
}

#[test]
fn a_lost_database_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    calls(&journal, 0..700);
    drain(&journal, dir.path()).stop();
    let sums = |dir: &Path| {
        let store = LedgerStore::open_read_only(&dir.join("ledger.db")).unwrap();
        store.rows(i64::MIN, i64::MAX).unwrap()
    };
    let before = sums(dir.path());
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _maybe_absent = std::fs::remove_file(dir.path().join(file));
    }
    drain(&journal, dir.path()).stop();
    assert_eq!(sums(dir.path()), before);
}

#[test]
fn segments_past_their_retention_go_and_sums_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    // Calls are a millisecond apart: 3,000 of them are three seconds.
    calls(&journal, 0..3_000);
    let segments = segment::list(dir.path()).unwrap().len();
    let settings = DrainerSettings {
        retention: Duration::from_secs(1),
        ..DrainerSettings::new(dir.path().join("ledger.db"))
    };
    let drainer = Drainer::start(journal.clone(), settings).unwrap();
    assert!(drainer.catch_up(journal.stats().sequence, Duration::from_secs(20)));
    drainer.stop();
    let left = segment::list(dir.path()).unwrap().len();
    assert!(left < segments && left >= 3, "{left} of {segments} segments are left");
    let (all, lost) = read_all(dir.path());
    assert_eq!(lost, 0);
    // What is left covers the retention.
    let Some(Record::Attempt(first)) = all
        .iter()
        .filter_map(|found| found.record.as_ref().ok())
        .find(|record| matches!(record, Record::Attempt(_)))
    else {
        panic!("an attempt")
    };
    assert!(first.at_us <= NOW_US + 2_000_000);
    let store = LedgerStore::open_read_only(&dir.path().join("ledger.db")).unwrap();
    let rows = store.rows(i64::MIN, i64::MAX).unwrap();
    assert_eq!(rows.iter().map(|row| row.sums.calls).sum::<u64>(), 3_000);
}

#[test]
fn a_locked_database_delays_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let database = dir.path().join("ledger.db");
    drop(LedgerStore::open(&database, journal.log_id()).unwrap());
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let settings = DrainerSettings { busy: Duration::from_millis(20), ..DrainerSettings::new(&database) };
    let drainer = Drainer::start(journal.clone(), settings).unwrap();
    calls(&journal, 0..50);
    assert!(!drainer.catch_up(journal.stats().sequence, Duration::from_millis(200)));
    assert!(drainer.stats().errors > 0);
    other.execute_batch("COMMIT").unwrap();
    assert!(drainer.catch_up(journal.stats().sequence, Duration::from_secs(20)));
    drainer.stop();
    let store = LedgerStore::open_read_only(&database).unwrap();
    assert_eq!(store.rows(i64::MIN, i64::MAX).unwrap().iter().map(|row| row.sums.calls).sum::<u64>(), 50);
}

#[test]
fn a_database_of_another_log_or_a_newer_binary_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    drop(LedgerStore::open(&path, "acme/1").unwrap());
    let error = LedgerStore::open(&path, "acme/2").err().unwrap();
    assert!(matches!(error, StoreError::OtherLog { .. }), "{error}");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = LedgerStore::open(&path, "acme/1").err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn profiles_are_counted_once_and_by_workload() {
    use domain::{
        Agent, Classed, ConversationRef, Link, Sign,
        class::{Counts, Turn},
    };
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut expected = Counts::default();
    for n in 0..30 {
        let Record::Outcome(mut one) = outcome(n, 1, true) else { panic!("an outcome") };
        let turn = n as u32 % 3 + 1;
        one.class = Classed {
            signs: Sign::ALL.iter().copied().filter(|_| n == 7).collect(),
            agent: (n % 2 == 0).then_some(Agent::Codex),
            link: [Link::First, Link::Second, Link::Further][n as usize % 3],
            turn: Some(Turn { conversation: ConversationRef(n / 3), turn }),
            ..Classed::default()
        };
        one.class.class = one.class.signs.class();
        expected.add(&Counts::of(&one.class, one.at_us));
        journal.append(&attempt(n, 1)).unwrap();
        journal.append(&Record::Outcome(one)).unwrap();
        // An attempt that another follows is no call.
        journal.append(&outcome(100 + n, 1, false)).unwrap();
    }
    for _ in 0..2 {
        drain(&journal, dir.path()).stop();
        let store = LedgerStore::open_read_only(&dir.path().join("ledger.db")).unwrap();
        let profiles = store.profiles(i64::MIN).unwrap();
        assert_eq!(profiles.into_iter().collect::<Vec<_>>(), [("research".to_owned(), expected)]);
        assert!(store.profiles(i64::MAX).unwrap().is_empty());
    }
    assert_eq!((expected.continued, expected.conversations, expected.turns_max), (20, 10, 3));
}
