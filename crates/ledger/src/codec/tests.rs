use super::*;
use domain::{
    Agent, CallClass, CallId, Certainty, Classed, Code, ConversationRef, DecisionId, Link, Signs, Usage,
    UsageSource,
    class::Turn,
    money::PicoDollars,
    record::{
        AttemptRecord, CostBasis, DecisionRecord, NoticeRecord, Outcome, OutcomeRecord, Record,
        RefusalRecord, ServedBy,
    },
};
use proptest::prelude::*;

fn bytes(record: &Record) -> Vec<u8> {
    let mut out = Vec::new();
    encode(record, &mut out);
    out
}

fn attempt() -> AttemptRecord {
    AttemptRecord {
        call: CallId::from_parts(1_790_000_000_000, 42),
        attempt: 1,
        at_us: 1_790_000_000_000_000,
        workload: "research".into(),
        key: "key-demo".into(),
        model: "gpt-5.4".into(),
        deployment: "azure-westeurope-gpt-5.4".into(),
        decision: DecisionId(7),
        stream: true,
        request_bytes: 900,
        waived: "".into(),
    }
}

/// Every field of a classification, from numbers.
fn classed(conversation: u64, bits: u32, n: u64) -> Classed {
    Classed {
        class: CallClass::ALL[(n % 3) as usize],
        signs: Signs::from_bits(bits),
        certainty: [Certainty::Possible, Certainty::Likely, Certainty::Certain][(n % 3) as usize],
        agent: Agent::by_number((n % 11) as u8),
        link: [Link::Unseen, Link::First, Link::Second, Link::Further][(n % 4) as usize],
        turn: (!n.is_multiple_of(4))
            .then_some(Turn { conversation: ConversationRef(conversation), turn: n as u32 }),
    }
}

fn outcome() -> OutcomeRecord {
    OutcomeRecord {
        call: attempt().call,
        attempt: 1,
        last: true,
        at_us: 1_790_000_000_500_000,
        outcome: Outcome::Cut(Code::UpstreamError),
        upstream_status: 200,
        usage: Usage { source: UsageSource::Estimated, ..Usage::from_inclusive(100, 40, 30, 10) },
        cost: Some(PicoDollars(0)),
        cost_basis: CostBasis::Simulated,
        finish: "stop".into(),
        served_by: ServedBy::Simulated,
        upstream_request_id: "req_1".into(),
        losses: "seed,logit_bias".into(),
        first_content_us: 120_000,
        total_us: 500_000,
        released_bytes: 77,
        class: classed(1, 0b1001_0000_0000_0001, 3),
    }
}

#[test]
fn the_bytes_are_what_they_were() {
    // Golden: `[1, 5, {3: 1, 26: "start", 27: "x"}]`. A change here is a change of the format on disk.
    let notice = Record::Notice(NoticeRecord { at_us: 1, kind: "start".into(), text: "x".into() });
    assert_eq!(
        bytes(&notice),
        [0x83, 1, 5, 0xa3, 3, 1, 0x18, 26, 0x65, b's', b't', b'a', b'r', b't', 0x18, 27, 0x61, b'x']
    );
    assert!(bytes(&Record::Attempt(attempt())).len() < 120);
    assert!(bytes(&Record::Outcome(outcome())).len() < 140);
}

#[test]
fn an_unknown_price_and_a_price_of_nothing_stay_apart() {
    for cost in [None, Some(PicoDollars(0)), Some(PicoDollars(u64::MAX))] {
        let record = Record::Outcome(OutcomeRecord { cost, ..outcome() });
        let Ok(Record::Outcome(back)) = decode(&bytes(&record)) else { panic!("an outcome") };
        assert_eq!(back.cost, cost);
    }
}

#[test]
fn newer_fields_are_skipped_and_newer_kinds_are_named() {
    // [1, 5, {3: 1, 26: "k", 30: [1, {2: "deep"}], 1000: null}]
    let newer = [
        0x83, 1, 5, 0xa4, 3, 1, 0x18, 26, 0x61, b'k', 0x18, 30, 0x82, 1, 0xa1, 2, 0x64, b'd', b'e', b'e',
        b'p', 0x19, 0x03, 0xe8, 0xf6,
    ];
    let expected = Record::Notice(NoticeRecord { at_us: 1, kind: "k".into(), text: "".into() });
    assert_eq!(decode(&newer).unwrap(), expected);
    assert!(matches!(decode(&[0x83, 1, 9, 0xa0]), Err(DecodeError::Kind(9))));
    assert!(matches!(decode(&[0x83, 2, 5, 0xa0]), Err(DecodeError::Version(2))));
    assert!(matches!(decode(&[0x83, 1, 2, 0xa0]), Err(DecodeError::Missing("call id"))));
}

#[test]
fn the_longest_record_is_within_the_bound() {
    let long = "ä".repeat(600);
    let attempt = AttemptRecord {
        call: CallId::from_bits(u128::MAX),
        attempt: u16::MAX,
        at_us: i64::MIN,
        workload: long.as_str().into(),
        key: long.as_str().into(),
        model: long.as_str().into(),
        deployment: long.as_str().into(),
        decision: DecisionId(u64::MAX),
        stream: true,
        request_bytes: u64::MAX,
        waived: long.as_str().into(),
    };
    let most = u64::MAX;
    let outcome = OutcomeRecord {
        call: attempt.call,
        attempt: u16::MAX,
        last: true,
        at_us: i64::MIN,
        outcome: Outcome::Failed(Code::UpstreamTimeout),
        upstream_status: u16::MAX,
        usage: Usage {
            uncached_in: most,
            cache_read: most,
            cache_write: most,
            cache_write_1h: most,
            out_visible: most,
            out_reasoning: most,
            audio_in: most,
            audio_out: most,
            source: UsageSource::Estimated,
        },
        cost: Some(PicoDollars(most)),
        cost_basis: CostBasis::BilledToEndEstimated,
        finish: long.as_str().into(),
        served_by: ServedBy::Contradicted,
        upstream_request_id: long.as_str().into(),
        losses: long.as_str().into(),
        first_content_us: most,
        total_us: most,
        released_bytes: most,
        class: classed(most, u32::MAX, most),
    };
    let refusal = RefusalRecord {
        call: attempt.call,
        at_us: i64::MIN,
        workload: attempt.workload.clone(),
        key: attempt.key.clone(),
        model: attempt.model.clone(),
        decision: Some(DecisionId(most)),
        code: Code::UpstreamTimeout,
    };
    let notice = NoticeRecord { at_us: i64::MIN, kind: long.as_str().into(), text: long.as_str().into() };
    for record in
        [Record::Attempt(attempt), Record::Outcome(outcome), Record::Refusal(refusal), Record::Notice(notice)]
    {
        let bytes = bytes(&record);
        assert!(bytes.len() <= RECORD_BYTES_MAX, "{} bytes: {record:?}", bytes.len());
        assert!(format!("{:?}", decode(&bytes).unwrap()).contains('…'));
    }
    let body = "\"\u{1}".repeat(bound::DECISION_BODY);
    let decision = Record::Decision(DecisionRecord { id: DecisionId(1), body: body.as_str().into() });
    let bytes = bytes(&decision);
    assert!(bytes.len() <= DECISION_BYTES_MAX, "{}", bytes.len());
    let Record::Decision(back) = decode(&bytes).unwrap() else { panic!("a decision") };
    let value: serde_json::Value = serde_json::from_str(&back.body).unwrap();
    assert_eq!(value["cut"], true);
}

fn any_text(max: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..max / 4).prop_map(|chars| chars.into_iter().collect())
}

fn any_usage() -> impl Strategy<Value = Usage> {
    (any::<[u64; 8]>(), 0u64..3).prop_map(|(n, source)| Usage {
        uncached_in: n[0],
        cache_read: n[1],
        cache_write: n[2],
        cache_write_1h: n[3],
        out_visible: n[4],
        out_reasoning: n[5],
        audio_in: n[6],
        audio_out: n[7],
        source: numbers::to_source(source),
    })
}

fn any_record() -> impl Strategy<Value = Record> {
    let attempt = (any::<u128>(), any::<u16>(), any::<i64>(), any_text(64), any_text(64), any::<u64>())
        .prop_map(|(call, attempt, at_us, a, b, n)| {
            Record::Attempt(AttemptRecord {
                call: CallId::from_bits(call),
                attempt,
                at_us,
                workload: a.as_str().into(),
                key: b.as_str().into(),
                model: a.as_str().into(),
                deployment: b.as_str().into(),
                decision: DecisionId(n),
                stream: n % 2 == 0,
                request_bytes: n,
                waived: a.as_str().into(),
            })
        });
    let outcome = (any_usage(), any::<Option<u64>>(), 1u64..6, 1u64..30, any_text(64), any::<[u64; 3]>())
        .prop_map(|(usage, cost, outcome, code, text, n)| {
            Record::Outcome(OutcomeRecord {
                call: CallId::from_bits(n[0].into()),
                attempt: 3,
                last: n[0] % 2 == 0,
                at_us: 5,
                outcome: numbers::to_outcome(outcome, Some(numbers::to_code(code))),
                upstream_status: 500,
                usage,
                cost: cost.map(PicoDollars),
                cost_basis: numbers::to_basis(code % 6),
                finish: "stop".into(),
                served_by: numbers::to_served(code % 5),
                upstream_request_id: text.as_str().into(),
                losses: text.as_str().into(),
                first_content_us: n[1],
                total_us: n[2],
                released_bytes: n[1],
                class: classed(n[0], n[1] as u32, n[2]),
            })
        });
    let refusal = (any::<u128>(), any_text(64), any::<Option<u64>>(), 1u64..30).prop_map(
        |(call, text, decision, code)| {
            Record::Refusal(RefusalRecord {
                call: CallId::from_bits(call),
                at_us: -1,
                workload: text.as_str().into(),
                key: "".into(),
                model: text.as_str().into(),
                decision: decision.map(DecisionId),
                code: numbers::to_code(code),
            })
        },
    );
    let decision = (any::<u64>(), any_text(900)).prop_map(|(id, body)| {
        Record::Decision(DecisionRecord { id: DecisionId(id), body: body.as_str().into() })
    });
    prop_oneof![attempt, outcome, refusal, decision]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_written_the_same(record in any_record()) {
        let first = bytes(&record);
        let back = decode(&first).unwrap();
        prop_assert_eq!(&back, &record);
        prop_assert_eq!(bytes(&back), first);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_flipped_bit_panics(record in any_record(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = bytes(&record);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = decode(&bytes);
    }
}
