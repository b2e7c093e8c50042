//! A disk that is full or fails: calls are refused, records are not dropped, and it mends itself.

use crate::{
    child,
    records::{NOW_US, attempt, decision, outcome, read_all, settings},
};
use domain::journal::{Journal, JournalError};
use std::io::Read as _;
use storage::{FileJournal, JournalSettings, journal::segment};

#[test]
fn at_the_bound_calls_are_refused_and_outcomes_still_written() {
    let dir = tempfile::tempdir().unwrap();
    let bound = JournalSettings { bytes_max: Some(256 << 10), ..settings(dir.path()) };
    let (journal, _) = FileJournal::open(bound, NOW_US).unwrap();
    let mut written = 0u64;
    // Five calls are open and wait while others fill the disk.
    let permits: Vec<_> = (0..5).map(|_| journal.admit().unwrap()).collect();
    for n in 0..5 {
        journal.append(&decision()).unwrap();
        journal.append(&attempt(n, 1)).unwrap();
    }
    let mut refused = None;
    for n in 100..10_000 {
        let Ok(_permit) = journal.admit() else {
            refused = Some(n);
            break;
        };
        if let Err(error) = journal.append(&attempt(n, 1)) {
            assert!(matches!(error, JournalError::Broken(_)));
            continue;
        }
        journal.append(&outcome(n, 1, true)).unwrap();
        written += 1;
    }
    assert!(refused.is_some() && written > 200, "{written} calls fit");
    assert!(journal.stats().broken && journal.stats().refused_broken > 0);
    for n in 0..5 {
        journal.append(&outcome(n, 1, true)).unwrap();
    }
    drop(permits);
    assert!(journal.admit().is_err(), "room for outcomes is no room for calls");
    // Somebody makes room: what has been drained goes.
    let last = *segment::list(dir.path()).unwrap().last().unwrap();
    journal.delete_segments_before(last).unwrap();
    let _permit = journal.admit().unwrap();
    journal.append(&attempt(50_000, 1)).unwrap();
    assert!(!journal.stats().broken);
    let (all, _) = read_all(dir.path());
    assert!(all.iter().all(|found| found.record.is_ok()));
}

#[test]
fn the_bound_of_open_calls_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = FileJournal::open(settings(dir.path()), NOW_US).unwrap();
    let mut permits: Vec<_> = (0..8).map(|_| journal.admit().unwrap()).collect();
    assert_eq!(journal.admit().err(), Some(JournalError::Full { open: 8 }));
    permits.pop();
    assert!(journal.admit().is_ok());
    assert_eq!(journal.stats().refused_full, 1);
    drop(permits);
    assert_eq!(journal.stats().open_calls, 0);
}

#[test]
fn a_failed_write_makes_the_segment_bad_and_the_record_goes_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    // No file may grow past 40 KiB (blocks of 512 bytes): every segment fails in the middle of a record.
    let mut child = child::start("writes_calls", dir.path(), 0, "trap '' XFSZ; ulimit -f 80;");
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert!(said.contains("errors "), "{}", said.lines().last().unwrap_or_default());
    let (all, lost) = read_all(dir.path());
    assert_eq!(lost, 0);
    for (index, found) in all.iter().enumerate() {
        assert_eq!(found.sequence, index as u64 + 1);
        assert!(found.record.is_ok());
    }
    let outcomes = said.lines().filter(|line| line.starts_with("outcome ")).count();
    assert!(outcomes > 2_000 && all.len() >= outcomes * 2);
    assert!(segment::list(dir.path()).unwrap().len() > 3);
}
