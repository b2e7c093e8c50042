//! Records for tests.

use domain::{
    CallId, Code, DecisionId, Usage, UsageSource,
    money::PicoDollars,
    record::{AttemptRecord, CostBasis, Outcome, OutcomeRecord, Record, RefusalRecord, ServedBy},
};

pub(crate) const MINUTE_US: i64 = 60_000_000;

pub(crate) fn attempt(call: u128, attempt: u16) -> Record {
    Record::Attempt(AttemptRecord {
        call: CallId::from_bits(call),
        attempt,
        at_us: MINUTE_US,
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

pub(crate) fn outcome(call: u128, attempt: u16, last: bool) -> Record {
    Record::Outcome(OutcomeRecord {
        call: CallId::from_bits(call),
        attempt,
        last,
        at_us: MINUTE_US + 5,
        outcome: if last { Outcome::Done } else { Outcome::Failed(Code::UpstreamError) },
        upstream_status: 200,
        usage: Usage { source: UsageSource::Reported, ..Usage::from_inclusive(100, 40, 30, 10) },
        cost: Some(PicoDollars(1_000)),
        cost_basis: CostBasis::List,
        finish: "stop".into(),
        served_by: ServedBy::Simulated,
        upstream_request_id: "req".into(),
        losses: "".into(),
        first_content_us: 10,
        total_us: 20,
        released_bytes: 30,
        class: domain::Classed::default(),
    })
}

pub(crate) fn refusal(call: u128) -> Record {
    Record::Refusal(RefusalRecord {
        call: CallId::from_bits(call),
        at_us: MINUTE_US,
        workload: "support-eu".into(),
        key: "key-eu".into(),
        model: "gpt-5.4".into(),
        decision: Some(DecisionId(7)),
        code: Code::PlacementRefused,
    })
}
