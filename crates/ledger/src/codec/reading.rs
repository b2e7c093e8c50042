//! Bytes → record. Bytes come from a disk: nothing in them is trusted, nothing in them panics.

use super::{VERSION, field, kind, numbers};
use domain::{
    Agent, CallId, Classed, ConversationRef, DecisionId, Signs, Usage,
    class::Turn,
    money::PicoDollars,
    record::{AttemptRecord, DecisionRecord, NoticeRecord, OutcomeRecord, Record, RefusalRecord},
};
use minicbor::{Decoder, data::Type};

/// Why bytes are not a record that we can read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not CBOR, or not the shape of a record.
    #[error("not a journal record: {0}")]
    Malformed(#[from] minicbor::decode::Error),
    /// Written by a newer binary in a form that this one does not know.
    #[error("journal record of version {0}; this binary reads up to version {VERSION}: upgrade it")]
    Version(u8),
    /// A kind of record that this binary does not know. Readers count it and go on.
    #[error("journal record of unknown kind {0}")]
    Kind(u8),
    /// A field that the record cannot be without.
    #[error("journal record without its {0}")]
    Missing(&'static str),
}

/// Reads one record. Fields that this binary does not know are skipped.
///
/// # Errors
/// [`DecodeError`] says what is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    let mut decoder = Decoder::new(bytes);
    decoder.array()?;
    let version = decoder.u8()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let kind = decoder.u8()?;
    let fields = Fields::read(&mut decoder)?;
    fields.into_record(kind)
}

/// The fields of every kind in one place: numbers are shared by kinds and never mean two things.
#[derive(Default)]
struct Fields<'b> {
    call: Option<CallId>,
    attempt: u16,
    at_us: i64,
    workload: &'b str,
    key: &'b str,
    model: &'b str,
    deployment: &'b str,
    decision: Option<u64>,
    stream: bool,
    request_bytes: u64,
    waived: &'b str,
    code: u64,
    last: bool,
    outcome: u64,
    upstream_status: u16,
    usage: Usage,
    cost: Option<u64>,
    cost_basis: u64,
    finish: &'b str,
    served_by: u64,
    upstream_request_id: &'b str,
    losses: &'b str,
    first_content_us: u64,
    total_us: u64,
    released_bytes: u64,
    class: Classed,
    body: &'b str,
    kind: &'b str,
    text: &'b str,
}

impl<'b> Fields<'b> {
    fn read(decoder: &mut Decoder<'b>) -> Result<Self, DecodeError> {
        let mut fields = Self::default();
        let count =
            decoder.map()?.ok_or_else(|| minicbor::decode::Error::message("a map of indefinite length"))?;
        for _ in 0..count {
            let key = decoder.u64()?;
            match u8::try_from(key) {
                Ok(key) => fields.read_one(key, decoder)?,
                Err(_) => decoder.skip()?,
            }
        }
        Ok(fields)
    }

    fn read_one(&mut self, key: u8, decoder: &mut Decoder<'b>) -> Result<(), DecodeError> {
        match key {
            field::CALL => {
                let bytes: [u8; 16] = decoder
                    .bytes()?
                    .try_into()
                    .map_err(|_| minicbor::decode::Error::message("a call id of another length than 16"))?;
                self.call = Some(CallId::from_bits(u128::from_be_bytes(bytes)));
            }
            field::ATTEMPT => self.attempt = decoder.u16()?,
            field::AT_US => self.at_us = decoder.i64()?,
            field::WORKLOAD => self.workload = decoder.str()?,
            field::KEY => self.key = decoder.str()?,
            field::MODEL => self.model = decoder.str()?,
            field::DEPLOYMENT => self.deployment = decoder.str()?,
            field::DECISION => self.decision = Some(decoder.u64()?),
            field::STREAM => self.stream = decoder.bool()?,
            field::REQUEST_BYTES => self.request_bytes = decoder.u64()?,
            field::WAIVED => self.waived = decoder.str()?,
            field::CODE => self.code = decoder.u64()?,
            field::LAST => self.last = decoder.bool()?,
            field::OUTCOME => self.outcome = decoder.u64()?,
            field::UPSTREAM_STATUS => self.upstream_status = decoder.u16()?,
            field::USAGE => self.usage = read_usage(decoder)?,
            field::COST => self.cost = Some(decoder.u64()?),
            field::COST_BASIS => self.cost_basis = decoder.u64()?,
            field::FINISH => self.finish = decoder.str()?,
            field::SERVED_BY => self.served_by = decoder.u64()?,
            field::UPSTREAM_REQUEST_ID => self.upstream_request_id = decoder.str()?,
            field::LOSSES => self.losses = decoder.str()?,
            field::FIRST_CONTENT_US => self.first_content_us = decoder.u64()?,
            field::TOTAL_US => self.total_us = decoder.u64()?,
            field::RELEASED_BYTES => self.released_bytes = decoder.u64()?,
            field::CLASS => self.class = read_class(decoder)?,
            field::BODY => self.body = decoder.str()?,
            field::KIND => self.kind = decoder.str()?,
            field::TEXT => self.text = decoder.str()?,
            _ => decoder.skip()?,
        }
        Ok(())
    }

    fn into_record(self, kind: u8) -> Result<Record, DecodeError> {
        match kind {
            kind::DECISION => Ok(Record::Decision(DecisionRecord {
                id: DecisionId(self.decision.unwrap_or_default()),
                body: self.body.into(),
            })),
            kind::ATTEMPT => Ok(Record::Attempt(AttemptRecord {
                call: self.call.ok_or(DecodeError::Missing("call id"))?,
                attempt: self.attempt,
                at_us: self.at_us,
                workload: self.workload.into(),
                key: self.key.into(),
                model: self.model.into(),
                deployment: self.deployment.into(),
                decision: DecisionId(self.decision.unwrap_or_default()),
                stream: self.stream,
                request_bytes: self.request_bytes,
                waived: self.waived.into(),
            })),
            kind::OUTCOME => self.into_outcome(),
            kind::REFUSAL => Ok(Record::Refusal(RefusalRecord {
                call: self.call.ok_or(DecodeError::Missing("call id"))?,
                at_us: self.at_us,
                workload: self.workload.into(),
                key: self.key.into(),
                model: self.model.into(),
                decision: self.decision.map(DecisionId),
                code: numbers::to_code(self.code),
            })),
            kind::NOTICE => Ok(Record::Notice(NoticeRecord {
                at_us: self.at_us,
                kind: self.kind.into(),
                text: self.text.into(),
            })),
            other => Err(DecodeError::Kind(other)),
        }
    }

    fn into_outcome(self) -> Result<Record, DecodeError> {
        let code = (self.code != 0).then(|| numbers::to_code(self.code));
        Ok(Record::Outcome(OutcomeRecord {
            call: self.call.ok_or(DecodeError::Missing("call id"))?,
            attempt: self.attempt,
            last: self.last,
            at_us: self.at_us,
            outcome: numbers::to_outcome(self.outcome, code),
            upstream_status: self.upstream_status,
            usage: self.usage,
            cost: self.cost.map(PicoDollars),
            cost_basis: numbers::to_basis(self.cost_basis),
            finish: self.finish.into(),
            served_by: numbers::to_served(self.served_by),
            upstream_request_id: self.upstream_request_id.into(),
            losses: self.losses.into(),
            first_content_us: self.first_content_us,
            total_us: self.total_us,
            released_bytes: self.released_bytes,
            class: self.class,
        }))
    }
}

fn read_class(decoder: &mut Decoder<'_>) -> Result<Classed, DecodeError> {
    let mut class = Classed::default();
    let (mut conversation, mut turn) = (None, 0);
    let count =
        decoder.map()?.ok_or_else(|| minicbor::decode::Error::message("a map of indefinite length"))?;
    for _ in 0..count {
        let key = decoder.u64()?;
        if decoder.datatype().is_ok_and(is_not_unsigned) {
            decoder.skip()?;
            continue;
        }
        let value = decoder.u64()?;
        let small = u32::try_from(value).unwrap_or(u32::MAX);
        match u8::try_from(key) {
            Ok(field::CALL_CLASS) => class.class = numbers::to_class(value),
            Ok(field::SIGNS) => class.signs = Signs::from_bits(small),
            Ok(field::CERTAINTY) => class.certainty = numbers::to_certainty(value),
            Ok(field::AGENT) => class.agent = u8::try_from(value).ok().and_then(Agent::by_number),
            Ok(field::LINK) => class.link = numbers::to_link(value),
            Ok(field::CONVERSATION) => conversation = Some(ConversationRef(value)),
            Ok(field::TURN) => turn = small,
            _ => {}
        }
    }
    class.turn = conversation.map(|conversation| Turn { conversation, turn });
    Ok(class)
}

fn read_usage(decoder: &mut Decoder<'_>) -> Result<Usage, DecodeError> {
    let mut usage = Usage::default();
    let count =
        decoder.map()?.ok_or_else(|| minicbor::decode::Error::message("a map of indefinite length"))?;
    for _ in 0..count {
        let key = decoder.u64()?;
        if decoder.datatype().is_ok_and(is_not_unsigned) {
            decoder.skip()?;
            continue;
        }
        let value = decoder.u64()?;
        match u8::try_from(key) {
            Ok(field::UNCACHED_IN) => usage.uncached_in = value,
            Ok(field::CACHE_READ) => usage.cache_read = value,
            Ok(field::CACHE_WRITE) => usage.cache_write = value,
            Ok(field::CACHE_WRITE_1H) => usage.cache_write_1h = value,
            Ok(field::OUT_VISIBLE) => usage.out_visible = value,
            Ok(field::OUT_REASONING) => usage.out_reasoning = value,
            Ok(field::AUDIO_IN) => usage.audio_in = value,
            Ok(field::AUDIO_OUT) => usage.audio_out = value,
            Ok(field::SOURCE) => usage.source = numbers::to_source(value),
            _ => {}
        }
    }
    Ok(usage)
}

/// A newer field of the usage map may hold anything.
const fn is_not_unsigned(kind: Type) -> bool {
    !matches!(kind, Type::U8 | Type::U16 | Type::U32 | Type::U64)
}
