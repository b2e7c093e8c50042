//! Record → bytes.

use super::{VERSION, bound, field, kind, numbers};
use domain::{
    CallId, Classed, Usage,
    record::{AttemptRecord, DecisionRecord, NoticeRecord, OutcomeRecord, Record, RefusalRecord},
};
use minicbor::Encoder;
use std::convert::Infallible;

/// Writing to a `Vec` cannot fail; the type only satisfies the encoder.
type Written = Result<(), minicbor::encode::Error<Infallible>>;

/// Appends the canonical encoding of `record` to `out`. Never fails: strings over their bound are cut with `…`.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    let result = match record {
        Record::Decision(decision) => write_decision(decision, out),
        Record::Attempt(attempt) => write_attempt(attempt, out),
        Record::Outcome(outcome) => write_outcome(outcome, out),
        Record::Refusal(refusal) => write_refusal(refusal, out),
        Record::Notice(notice) => write_notice(notice, out),
    };
    debug_assert!(result.is_ok(), "a Vec takes every byte");
}

fn write_decision(decision: &DecisionRecord, out: &mut Vec<u8>) -> Written {
    let mut map = Map::open(kind::DECISION, out)?;
    map.number(field::DECISION, decision.id.0)?;
    if decision.body.len() <= bound::DECISION_BODY {
        map.text(field::BODY, &decision.body, bound::DECISION_BODY)?;
    } else {
        map.text(field::BODY, &shortened(&decision.body), bound::DECISION_BODY)?;
    }
    map.close();
    Ok(())
}

/// A body above the bound as a valid JSON object that says so. Escaping makes up to six bytes of one, hence
/// the eighth.
fn shortened(body: &str) -> String {
    let head = cut(body, bound::DECISION_BODY / 8);
    serde_json::json!({ "cut": true, "bytes": body.len(), "head": head }).to_string()
}

fn write_attempt(attempt: &AttemptRecord, out: &mut Vec<u8>) -> Written {
    let mut map = Map::open(kind::ATTEMPT, out)?;
    map.call(attempt.call)?;
    map.number(field::ATTEMPT, attempt.attempt.into())?;
    map.signed(field::AT_US, attempt.at_us)?;
    map.text(field::WORKLOAD, attempt.workload.as_str(), bound::ID)?;
    map.text(field::KEY, attempt.key.as_str(), bound::ID)?;
    map.text(field::MODEL, attempt.model.as_str(), bound::MODEL)?;
    map.text(field::DEPLOYMENT, attempt.deployment.as_str(), bound::DEPLOYMENT)?;
    map.number(field::DECISION, attempt.decision.0)?;
    map.flag(field::STREAM, attempt.stream)?;
    map.number(field::REQUEST_BYTES, attempt.request_bytes)?;
    map.text(field::WAIVED, &attempt.waived, bound::WAIVED)?;
    map.close();
    Ok(())
}

fn write_outcome(outcome: &OutcomeRecord, out: &mut Vec<u8>) -> Written {
    let (number, code) = numbers::of_outcome(outcome.outcome);
    let mut map = Map::open(kind::OUTCOME, out)?;
    map.call(outcome.call)?;
    map.number(field::ATTEMPT, outcome.attempt.into())?;
    map.signed(field::AT_US, outcome.at_us)?;
    map.number(field::CODE, code.map_or(0, |code| numbers::of_code(code).into()))?;
    map.flag(field::LAST, outcome.last)?;
    map.number(field::OUTCOME, number.into())?;
    map.number(field::UPSTREAM_STATUS, outcome.upstream_status.into())?;
    write_usage(&outcome.usage, &mut map)?;
    if let Some(cost) = outcome.cost {
        // Written also where it is 0: a price of nothing is not an unknown price.
        map.always(field::COST, cost.0)?;
    }
    map.number(field::COST_BASIS, numbers::of_basis(outcome.cost_basis).into())?;
    map.text(field::FINISH, &outcome.finish, bound::FINISH)?;
    map.number(field::SERVED_BY, numbers::of_served(outcome.served_by).into())?;
    map.text(field::UPSTREAM_REQUEST_ID, &outcome.upstream_request_id, bound::UPSTREAM_REQUEST_ID)?;
    map.text(field::LOSSES, &outcome.losses, bound::LOSSES)?;
    map.number(field::FIRST_CONTENT_US, outcome.first_content_us)?;
    map.number(field::TOTAL_US, outcome.total_us)?;
    map.number(field::RELEASED_BYTES, outcome.released_bytes)?;
    write_class(&outcome.class, &mut map)?;
    map.close();
    Ok(())
}

fn write_class(class: &Classed, outer: &mut Map<'_>) -> Written {
    if *class == Classed::default() {
        return Ok(());
    }
    let mut map = outer.nested(field::CLASS)?;
    map.number(field::CALL_CLASS, numbers::of_class(class.class).into())?;
    map.number(field::SIGNS, class.signs.bits().into())?;
    map.number(field::CERTAINTY, numbers::of_certainty(class.certainty).into())?;
    map.number(field::AGENT, class.agent.map_or(0, |agent| agent.number().into()))?;
    map.number(field::LINK, numbers::of_link(class.link).into())?;
    if let Some(turn) = class.turn {
        map.always(field::CONVERSATION, turn.conversation.0)?;
        map.number(field::TURN, turn.turn.into())?;
    }
    map.close();
    Ok(())
}

fn write_usage(usage: &Usage, outer: &mut Map<'_>) -> Written {
    if *usage == Usage::default() {
        return Ok(());
    }
    let mut map = outer.nested(field::USAGE)?;
    map.number(field::UNCACHED_IN, usage.uncached_in)?;
    map.number(field::CACHE_READ, usage.cache_read)?;
    map.number(field::CACHE_WRITE, usage.cache_write)?;
    map.number(field::CACHE_WRITE_1H, usage.cache_write_1h)?;
    map.number(field::OUT_VISIBLE, usage.out_visible)?;
    map.number(field::OUT_REASONING, usage.out_reasoning)?;
    map.number(field::AUDIO_IN, usage.audio_in)?;
    map.number(field::AUDIO_OUT, usage.audio_out)?;
    map.number(field::SOURCE, numbers::of_source(usage.source).into())?;
    map.close();
    Ok(())
}

fn write_refusal(refusal: &RefusalRecord, out: &mut Vec<u8>) -> Written {
    let mut map = Map::open(kind::REFUSAL, out)?;
    map.call(refusal.call)?;
    map.signed(field::AT_US, refusal.at_us)?;
    map.text(field::WORKLOAD, refusal.workload.as_str(), bound::ID)?;
    map.text(field::KEY, refusal.key.as_str(), bound::ID)?;
    map.text(field::MODEL, refusal.model.as_str(), bound::MODEL)?;
    if let Some(decision) = refusal.decision {
        map.always(field::DECISION, decision.0)?;
    }
    map.number(field::CODE, numbers::of_code(refusal.code).into())?;
    map.close();
    Ok(())
}

fn write_notice(notice: &NoticeRecord, out: &mut Vec<u8>) -> Written {
    let mut map = Map::open(kind::NOTICE, out)?;
    map.signed(field::AT_US, notice.at_us)?;
    map.text(field::KIND, &notice.kind, bound::NOTICE_KIND)?;
    map.text(field::TEXT, &notice.text, bound::NOTICE_TEXT)?;
    map.close();
    Ok(())
}

/// A map whose number of fields is known only at its end. No map has more than 23 fields, so the head is one
/// byte, written first and mended in [`Map::close`].
struct Map<'a> {
    out: &'a mut Vec<u8>,
    head: usize,
    fields: u8,
}

impl<'a> Map<'a> {
    fn open(kind: u8, out: &'a mut Vec<u8>) -> Result<Self, minicbor::encode::Error<Infallible>> {
        Encoder::new(&mut *out).array(3)?.u8(VERSION)?.u8(kind)?.map(0)?;
        let head = out.len().saturating_sub(1);
        Ok(Self { out, head, fields: 0 })
    }

    fn key(&mut self, key: u8) -> Result<Encoder<&mut Vec<u8>>, minicbor::encode::Error<Infallible>> {
        self.fields = self.fields.saturating_add(1);
        let mut encoder = Encoder::new(&mut *self.out);
        encoder.u8(key)?;
        Ok(encoder)
    }

    fn nested(&mut self, key: u8) -> Result<Map<'_>, minicbor::encode::Error<Infallible>> {
        self.key(key)?.map(0)?;
        let head = self.out.len().saturating_sub(1);
        Ok(Map { out: self.out, head, fields: 0 })
    }

    fn close(self) {
        debug_assert!(self.fields < 24, "the head has one byte");
        if let Some(head) = self.out.get_mut(self.head) {
            *head = 0xa0 | self.fields;
        }
    }

    fn call(&mut self, call: CallId) -> Written {
        self.key(field::CALL)?.bytes(&call.bits().to_be_bytes())?;
        Ok(())
    }

    fn number(&mut self, key: u8, value: u64) -> Written {
        if value == 0 { Ok(()) } else { self.always(key, value) }
    }

    fn always(&mut self, key: u8, value: u64) -> Written {
        self.key(key)?.u64(value)?;
        Ok(())
    }

    fn signed(&mut self, key: u8, value: i64) -> Written {
        if value != 0 {
            self.key(key)?.i64(value)?;
        }
        Ok(())
    }

    fn flag(&mut self, key: u8, value: bool) -> Written {
        if value {
            self.key(key)?.bool(true)?;
        }
        Ok(())
    }

    fn text(&mut self, key: u8, value: &str, max: usize) -> Written {
        if value.is_empty() {
            return Ok(());
        }
        if value.len() <= max {
            self.key(key)?.str(value)?;
        } else {
            self.key(key)?.str(&cut(value, max))?;
        }
        Ok(())
    }
}

/// The mark of a cut.
const CUT: &str = "…";

/// At most `max` bytes of `text`, cut on a character boundary and marked.
fn cut(text: &str, max: usize) -> String {
    let mut end = max.saturating_sub(CUT.len()).min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let mut kept = text.get(..end).unwrap_or_default().to_owned();
    kept.push_str(CUT);
    kept
}
