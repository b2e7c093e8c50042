//! Torn tails, flipped bits, missing files.

use crate::records::{attempt, call, decision, open, outcome, read_all, settings};
use domain::{journal::Journal, record::Record};
use std::{fs, path::Path};
use storage::{FileJournal, OpenError, journal::segment};

fn write(dir: &Path, calls: std::ops::Range<u64>) {
    let (journal, _) = open(dir);
    for n in calls {
        let _permit = journal.admit().unwrap();
        journal.append(&decision()).unwrap();
        journal.append(&attempt(n, 1)).unwrap();
        journal.append(&outcome(n, 1, true)).unwrap();
    }
}

fn only_segment(dir: &Path) -> std::path::PathBuf {
    let all = segment::list(dir).unwrap();
    segment::path(dir, *all.last().unwrap())
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..3);
    let file = only_segment(dir.path());
    let whole = fs::read(&file).unwrap();
    let (all, _) = read_all(dir.path());
    let last = all.last().unwrap().offset as usize;
    for length in last..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(segment::path(dir.path(), 1), &whole[..length]).unwrap();
        let (journal, recovery) = open(dir.path());
        assert_eq!(recovery.torn_bytes, (length - last) as u64);
        assert_eq!(
            (recovery.lost, recovery.unknown),
            (0, 1),
            "the last outcome is gone, its attempt is closed"
        );
        journal.append(&attempt(9, 1)).unwrap();
        let (after, lost) = read_all(dir.path());
        assert_eq!(lost, 0);
        let sequences: Vec<u64> = after.iter().map(|found| found.sequence).collect();
        assert_eq!(sequences, (1..=all.len() as u64 + 1).collect::<Vec<u64>>());
    }
}

#[test]
fn a_flipped_bit_costs_one_record_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..20);
    let file = only_segment(dir.path());
    let whole = fs::read(&file).unwrap();
    let (all, _) = read_all(dir.path());
    let victim = &all[11];
    let (start, end) = (victim.offset as usize, all[12].offset as usize);
    for at in start..end {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&file, &bad).unwrap();
        let (left, lost) = read_all(dir.path());
        assert_eq!((left.len(), lost), (all.len() - 1, 1), "byte {at}");
        assert!(left.iter().all(|found| found.sequence != victim.sequence));
    }
    // A start does not cut off what stands behind the damage.
    let (_journal, recovery) = open(dir.path());
    assert_eq!((recovery.lost, recovery.torn_bytes), (1, 0));
    let (left, lost) = read_all(dir.path());
    assert_eq!(lost, 1);
    assert!(left.len() >= all.len() - 1);
}

#[test]
fn a_damaged_last_record_does_not_lend_its_number_to_another() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..3);
    let file = only_segment(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();
    let (before, _) = read_all(dir.path());
    let (journal, recovery) = open(dir.path());
    assert!(recovery.lost >= 1);
    let next = journal.append(&attempt(9, 1)).unwrap().sequence;
    assert!(next > before.last().unwrap().sequence + 1);
}

#[test]
fn a_missing_segment_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..900);
    let all = segment::list(dir.path()).unwrap();
    assert!(all.len() >= 3);
    fs::remove_file(segment::path(dir.path(), all[1])).unwrap();
    let (left, lost) = read_all(dir.path());
    assert!(lost > 100);
    assert_eq!(left.last().unwrap().sequence, left.len() as u64 + lost);
}

#[test]
fn a_segment_without_header_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..3);
    fs::write(segment::path(dir.path(), 2), [0; 64]).unwrap();
    let (journal, _) = open(dir.path());
    assert_eq!(journal.append(&attempt(9, 1)).unwrap().sequence, 8);
    let (all, lost) = read_all(dir.path());
    assert_eq!((all.len(), lost), (8, 0));
    assert!(dir.path().join("journal-0000000002.damaged").exists());
}

#[test]
fn a_reader_beside_the_writer_sees_whole_records_only() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let writer = std::thread::spawn(move || {
        for n in 0..3_000 {
            let _permit = journal.admit().unwrap();
            journal.append(&attempt(n, 1)).unwrap();
            journal.append(&outcome(n, 1, true)).unwrap();
        }
    });
    let mut reader = storage::journal::Reader::new(dir.path(), storage::journal::Position::default());
    let mut next = 1;
    while next <= 6_000 {
        match reader.next_record().unwrap() {
            Some(found) => {
                assert_eq!(found.sequence, next);
                assert!(found.record.is_ok());
                next += 1;
            }
            None => std::thread::yield_now(),
        }
    }
    writer.join().unwrap();
    assert_eq!(reader.lost(), 0);
}

#[test]
fn a_call_between_two_attempts_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (journal, _) = open(dir.path());
        journal.append(&attempt(1, 1)).unwrap();
        journal.append(&outcome(1, 1, false)).unwrap();
        journal.append(&attempt(2, 1)).unwrap();
    }
    let (_journal, recovery) = open(dir.path());
    assert_eq!((recovery.unknown, recovery.between), (1, 1));
    let (all, _) = read_all(dir.path());
    let notices: Vec<&str> = all
        .iter()
        .filter_map(|found| match found.record.as_ref().unwrap() {
            Record::Notice(notice) => Some(&*notice.text),
            _ => None,
        })
        .collect();
    assert_eq!(notices, [format!("{} ended between attempt 1 and the next", call(1))]);
    drop(_journal);
    let (_journal, again) = open(dir.path());
    assert_eq!((again.unknown, again.between), (0, 0), "what was closed stays closed");
}

#[test]
fn one_process_and_one_log_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let again = FileJournal::open(settings(dir.path()), 0).err().unwrap();
    assert!(matches!(again, OpenError::InUse { .. }), "{again}");
    drop(journal);
    let other = storage::JournalSettings { log_id: "other/1".into(), ..settings(dir.path()) };
    let other = FileJournal::open(other, 0).err().unwrap();
    assert!(other.to_string().contains("acme/test-1"), "{other}");
    for (wrong, what) in [
        (storage::JournalSettings { segment_bytes: 4096, ..settings(dir.path()) }, "at least"),
        (storage::JournalSettings { log_id: "".into(), ..settings(dir.path()) }, "log id"),
        (
            storage::JournalSettings { durability: storage::Durability::Power, ..settings(dir.path()) },
            "not built yet",
        ),
    ] {
        let error = FileJournal::open(wrong, 0).err().unwrap().to_string();
        assert!(error.contains(what), "{error}");
    }
}
