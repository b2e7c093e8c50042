//! Records and journals for tests.

use domain::{
    CallId, Code, DecisionId, Usage, UsageSource,
    money::PicoDollars,
    record::{
        AttemptRecord, CostBasis, DecisionRecord, Outcome, OutcomeRecord, Record, RefusalRecord, ServedBy,
    },
};
use std::path::Path;
use storage::{
    FileJournal, JournalSettings, Recovery,
    journal::{Found, Position, Reader},
};

pub(crate) const NOW_US: i64 = 1_790_000_000_000_000;

/// Call `n` is made at `n` milliseconds after [`NOW_US`].
pub(crate) fn call(n: u64) -> CallId {
    CallId::from_parts(NOW_US as u64 / 1000 + n, u128::from(n))
}

pub(crate) fn number_of(call: CallId) -> u64 {
    (call.bits() & 0x3fff_ffff_ffff_ffff) as u64
}

pub(crate) fn attempt(n: u64, attempt: u16) -> Record {
    Record::Attempt(AttemptRecord {
        call: call(n),
        attempt,
        at_us: NOW_US + n as i64 * 1000,
        workload: "research".into(),
        key: "key-demo".into(),
        model: "gpt-5.4".into(),
        deployment: "azure-westeurope".into(),
        decision: DecisionId(7),
        stream: false,
        request_bytes: 900,
        waived: "".into(),
    })
}

pub(crate) fn outcome(n: u64, attempt: u16, last: bool) -> Record {
    Record::Outcome(OutcomeRecord {
        call: call(n),
        attempt,
        last,
        at_us: NOW_US + n as i64 * 1000 + 400,
        outcome: if last { Outcome::Done } else { Outcome::Failed(Code::UpstreamError) },
        upstream_status: 200,
        usage: Usage { source: UsageSource::Reported, ..Usage::from_inclusive(100, 40, 30, 10) },
        cost: Some(PicoDollars(1_000)),
        cost_basis: CostBasis::List,
        finish: "stop".into(),
        served_by: ServedBy::Simulated,
        upstream_request_id: "req-0123456789".into(),
        losses: "".into(),
        first_content_us: 10,
        total_us: 400,
        released_bytes: 30,
        class: domain::Classed::default(),
    })
}

pub(crate) fn refusal(n: u64) -> Record {
    Record::Refusal(RefusalRecord {
        call: call(n),
        at_us: NOW_US + n as i64 * 1000,
        workload: "support-eu".into(),
        key: "key-eu".into(),
        model: "gpt-5.4".into(),
        decision: Some(DecisionId(7)),
        code: Code::PlacementRefused,
    })
}

pub(crate) fn decision() -> Record {
    Record::Decision(DecisionRecord { id: DecisionId(7), body: "{\"permitted\":[\"azure\"]}".into() })
}

/// Segments of 128 KiB and 8 open calls: a segment holds about 280 calls.
pub(crate) fn settings(dir: &Path) -> JournalSettings {
    JournalSettings {
        segment_bytes: 128 << 10,
        open_calls_max: 8,
        ..JournalSettings::new(dir, "acme/test-1")
    }
}

pub(crate) fn open(dir: &Path) -> (FileJournal, Recovery) {
    FileJournal::open(settings(dir), NOW_US).unwrap()
}

/// Everything in the journal, and how many records are missing.
pub(crate) fn read_all(dir: &Path) -> (Vec<Found>, u64) {
    let mut reader = Reader::new(dir, Position::default());
    let mut all = Vec::new();
    while let Some(found) = reader.next_record().unwrap() {
        all.push(found);
    }
    (all, reader.lost())
}
