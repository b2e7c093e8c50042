//! Segments: a decision in each that needs it, room set aside, memory that does not grow.

use crate::records::{NOW_US, attempt, call, decision, open, outcome, read_all, settings};
use domain::{
    DecisionId,
    journal::Journal,
    record::{DecisionRecord, Record},
};
use std::collections::HashSet;
use storage::{FileJournal, JournalSettings, journal::segment};

#[test]
fn every_segment_has_the_decisions_of_its_attempts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for id in 1..=20 {
        journal
            .append(&Record::Decision(DecisionRecord {
                id: DecisionId(id),
                body: format!("{{\"n\":{id}}}").into(),
            }))
            .unwrap();
    }
    for n in 0..1_500u64 {
        let _permit = journal.admit().unwrap();
        let Record::Attempt(mut one) = attempt(n, 1) else { panic!("an attempt") };
        one.decision = DecisionId(n % 20 + 1);
        journal.append(&Record::Attempt(one)).unwrap();
        journal.append(&outcome(n, 1, true)).unwrap();
    }
    let (all, lost) = read_all(dir.path());
    assert_eq!(lost, 0);
    let mut here: (u64, HashSet<u64>) = (0, HashSet::new());
    for found in &all {
        if found.segment != here.0 {
            here = (found.segment, HashSet::new());
        }
        match found.record.as_ref().unwrap() {
            Record::Decision(decision) => {
                assert!(here.1.insert(decision.id.0), "twice in segment {}", found.segment);
                assert_eq!(&*decision.body, format!("{{\"n\":{}}}", decision.id.0));
            }
            Record::Attempt(attempt) => {
                assert!(here.1.contains(&attempt.decision.0), "missing in segment {}", found.segment);
            }
            _ => {}
        }
    }
    assert!(here.0 >= 5, "{} segments", here.0);
}

#[test]
fn a_repeated_decision_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let first = journal.append(&decision()).unwrap().sequence;
    journal.append(&attempt(1, 1)).unwrap();
    assert_eq!(journal.append(&decision()).unwrap().sequence, first);
    assert_eq!(journal.stats().decisions_known, 1);
    assert_eq!(read_all(dir.path()).0.len(), 2);
}

#[test]
fn an_attempt_that_stays_open_for_segments_is_found_and_its_segments_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(dir.path());
        journal.append(&attempt(1, 1)).unwrap();
        for n in 2..1_500 {
            let _permit = journal.admit().unwrap();
            journal.append(&attempt(n, 1)).unwrap();
            journal.append(&outcome(n, 1, true)).unwrap();
        }
        assert_eq!(journal.delete_segments_before(u64::MAX).unwrap(), 0);
    }
    let (journal, recovery) = open(dir.path());
    assert_eq!(recovery.unknown, 1);
    let (all, _) = read_all(dir.path());
    let Record::Outcome(last) = all.last().unwrap().record.as_ref().unwrap() else { panic!("an outcome") };
    assert_eq!((last.call, last.last), (call(1), true));
    assert!(journal.delete_segments_before(u64::MAX).unwrap() > 3);
    assert_eq!(segment::list(dir.path()).unwrap().len(), 1);
}

#[test]
fn sequences_go_on_over_restarts_even_without_records() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5u64 {
        drop(open(dir.path()));
        let (journal, _) = open(dir.path());
        assert_eq!(journal.append(&attempt(round, 1)).unwrap().sequence, round * 2 + 1);
        assert_eq!(journal.append(&outcome(round, 1, true)).unwrap().sequence, round * 2 + 2);
    }
    assert!(segment::list(dir.path()).unwrap().len() <= 11);
}

#[test]
fn a_spare_segment_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let mut used = false;
    for n in 0..600 {
        let _permit = journal.admit().unwrap();
        journal.append(&attempt(n, 1)).unwrap();
        journal.append(&outcome(n, 1, true)).unwrap();
        journal.prepare_spare().unwrap();
        let spare = segment::spare_path(dir.path()).exists();
        used |= spare;
    }
    assert!(used && journal.stats().rotations >= 1);
    assert_eq!(read_all(dir.path()).1, 0);
}

/// Kilobytes of memory of this process.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hundred_thousand_calls_leave_no_memory_behind() {
    let dir = tempfile::tempdir().unwrap();
    let large = JournalSettings { segment_bytes: 4 << 20, ..settings(dir.path()) };
    let (journal, _) = FileJournal::open(large, NOW_US).unwrap();
    let database = storage::DrainerSettings::new(dir.path().join("ledger.db"));
    let drainer = storage::Drainer::start(journal.clone(), database).unwrap();
    let mut at_20k = 0;
    for n in 0..100_000 {
        let _permit = journal.admit().unwrap();
        journal.append(&decision()).unwrap();
        journal.append(&attempt(n, 1)).unwrap();
        journal.append(&outcome(n, 1, true)).unwrap();
        if n == 20_000 {
            assert!(drainer.catch_up(journal.stats().sequence, std::time::Duration::from_secs(60)));
            at_20k = resident_kb();
        }
    }
    assert!(drainer.catch_up(journal.stats().sequence, std::time::Duration::from_secs(120)));
    let grown = resident_kb().saturating_sub(at_20k);
    assert!(grown * 1024 < 80_000 * 5 + (1 << 20), "{grown} KB more after 80,000 calls");
}
