//! Faults by script: which exchange is hit and what happens to its reply.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clouds;
use crate::exchange::{Ask, Content, Reply};
use crate::pace::{self, Step};

/// Rules kept per cloud at most.
pub(crate) const RULES_MAX: usize = 1_000;

/// Which exchanges a rule hits: all conditions that are given must hold. Without any: every exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// The path contains this.
    pub path: Option<String>,
    /// The model asked for is exactly this.
    pub model: Option<String>,
    /// The request body contains this.
    pub body: Option<String>,
    /// Only the n-th exchange (from 1) that meets the conditions above.
    pub nth: Option<u64>,
    /// Only each n-th exchange that meets the conditions above.
    pub every: Option<u64>,
    /// Only the first so many exchanges that pass all of the above.
    pub count: Option<u64>,
}

/// What happens to a reply that a rule hits. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultAction {
    /// This status instead of an answer. Without `body`: the cloud's own error shape for the status.
    Status {
        /// HTTP status.
        status: u16,
        /// JSON, or text when a string.
        #[serde(default)]
        body: Option<Value>,
        /// More headers, such as `retry-after`.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Nothing, not even the head, for this long; then the answer.
    SlowHeaders {
        /// How long.
        ms: u64,
    },
    /// The head at once (streams), the first content only after this long.
    SlowFirstToken {
        /// How long.
        ms: u64,
    },
    /// Open and silent after so many deltas.
    Stall {
        /// Deltas sent before.
        #[serde(default)]
        after_deltas: u64,
    },
    /// Open after so many deltas, but with pings only.
    StallWithPings {
        /// Deltas sent before.
        #[serde(default)]
        after_deltas: u64,
        /// Time between two pings.
        #[serde(default = "ping_ms_default")]
        every_ms: u64,
    },
    /// The connection is reset instead of any answer.
    ResetBeforeHeaders,
    /// The connection is reset after so many body bytes; 0: right after the head.
    Reset {
        /// Body bytes sent before.
        #[serde(default)]
        after_bytes: u64,
    },
    /// The connection is closed in order (FIN) in the middle of the body.
    Close {
        /// Body bytes sent before.
        #[serde(default)]
        after_bytes: u64,
    },
    /// The stream ends in order, last chunk and all, but its closing events are missing.
    EndWithoutTerminal {
        /// Deltas sent before.
        #[serde(default)]
        after_deltas: u64,
    },
    /// The first so many bytes of the whole body, with a content-length that fits them.
    TruncatedJson {
        /// Bytes kept; `None`: half.
        #[serde(default)]
        bytes: Option<u64>,
    },
    /// This body with this type instead of an answer, such as a login page as HTML with status 200.
    Page {
        /// HTTP status.
        #[serde(default = "ok_status")]
        status: u16,
        /// Its type.
        #[serde(default = "html_type")]
        content_type: String,
        /// Its text.
        #[serde(default = "html_page")]
        body: String,
    },
    /// Status 200 with the cloud's own error object as body, or as first event of a stream.
    ErrorInSuccess {
        /// The status that the error object speaks of.
        #[serde(default = "overloaded_status")]
        status: u16,
    },
    /// The cloud's own error event in the middle of a stream, and then the end.
    ErrorMidStream {
        /// Deltas sent before.
        #[serde(default)]
        after_deltas: u64,
        /// The status that the error object speaks of.
        #[serde(default = "overloaded_status")]
        status: u16,
    },
    /// The right body under a wrong type.
    WrongContentType {
        /// The type sent.
        #[serde(default = "html_type")]
        content_type: String,
    },
    /// The n-th delta is damaged: its checksum (binary event streams), or a byte that is no UTF-8.
    Corrupt {
        /// Deltas sent before.
        #[serde(default)]
        after_deltas: u64,
        /// For binary event streams: the checksum of the prelude instead of the message's.
        #[serde(default)]
        prelude: bool,
    },
    /// After the first delta a body without end in sight: one line or string of so many bytes.
    HugeBody {
        /// How many.
        bytes: u64,
    },
    /// The same bytes in chunks of this size, which splits characters and events.
    Fragment {
        /// Bytes per chunk.
        bytes: usize,
    },
    /// 503 in the cloud's own shape: the whole region answers, and is down.
    RegionDown,
}

fn ping_ms_default() -> u64 {
    1_000
}
fn ok_status() -> u16 {
    200
}
fn overloaded_status() -> u16 {
    503
}
fn html_type() -> String {
    "text/html; charset=utf-8".to_owned()
}
fn html_page() -> String {
    "<!doctype html><title>Sign in</title><p>Sign in to continue.</p>".to_owned()
}

impl FaultAction {
    /// The name as in the script, for the journal.
    pub(crate) fn name(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.get("kind").and_then(Value::as_str).map(str::to_owned))
            .unwrap_or_default()
    }
}

/// One row of a fault script. The first row that hits an exchange is applied to it, the others are not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Which exchanges.
    #[serde(default)]
    pub when: When,
    /// What happens.
    pub action: FaultAction,
}

#[derive(Debug)]
struct Counted {
    rule: FaultRule,
    met: u64,
    hit: u64,
}

/// The rules of one cloud with their counts.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<Counted>,
}

impl Script {
    /// Replaces all rules; counts start anew. Rules past the first 1,000 are dropped.
    pub(crate) fn set(&mut self, rules: Vec<FaultRule>) {
        self.rules = rules.into_iter().take(RULES_MAX).map(|rule| Counted { rule, met: 0, hit: 0 }).collect();
    }

    /// The rules as they stand.
    pub(crate) fn rules(&self) -> Vec<FaultRule> {
        self.rules.iter().map(|counted| counted.rule.clone()).collect()
    }

    /// The action for this exchange, if a rule hits it.
    pub(crate) fn pick(&mut self, path: &str, model: &str, body: &[u8]) -> Option<FaultAction> {
        for counted in &mut self.rules {
            let when = &counted.rule.when;
            let meets = when.path.as_deref().is_none_or(|wanted| path.contains(wanted))
                && when.model.as_deref().is_none_or(|wanted| model == wanted)
                && when.body.as_deref().is_none_or(|wanted| contains(body, wanted.as_bytes()));
            if !meets {
                continue;
            }
            counted.met += 1;
            let hits = when.nth.is_none_or(|nth| counted.met == nth)
                && when.every.is_none_or(|every| every > 0 && counted.met.is_multiple_of(every))
                && when.count.is_none_or(|count| counted.hit < count);
            if hits {
                counted.hit += 1;
                return Some(counted.rule.action.clone());
            }
        }
        None
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|window| window == needle)
}

/// A reply made ready to send.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content_type: String,
    /// The content-length to send; `None`: chunked.
    pub(crate) length: Option<u64>,
    /// Wait before the head.
    pub(crate) wait: Duration,
    /// Reset instead of a head.
    pub(crate) reset: bool,
    pub(crate) steps: VecDeque<Step>,
}

impl Delivery {
    /// `reply` without a fault, streams at `pace`.
    fn plain(reply: Reply, pace: Duration) -> Self {
        let (content_type, length, steps) = match reply.content {
            Content::Whole { content_type, bytes } => {
                let length = bytes.len() as u64;
                (content_type, Some(length), VecDeque::from([Step::Send { bytes, delta: true }]))
            }
            Content::Stream { content_type, frames } => (content_type, None, pace::paced(frames, pace)),
        };
        Self {
            status: reply.status,
            headers: reply.headers,
            content_type,
            length,
            wait: Duration::ZERO,
            reset: false,
            steps,
        }
    }

    fn edit(&mut self, change: impl FnOnce(VecDeque<Step>) -> VecDeque<Step>) {
        self.steps = change(std::mem::take(&mut self.steps));
    }

    fn set_body(&mut self, body: Bytes) {
        self.length = Some(body.len() as u64);
        self.steps = VecDeque::from([Step::Send { bytes: body, delta: false }]);
    }
}

/// `reply` with `action` done to it.
pub(crate) fn deliver(ask: &Ask<'_>, reply: Reply, action: Option<FaultAction>, pace: Duration) -> Delivery {
    let Some(action) = action else { return Delivery::plain(reply, pace) };
    let streamed = matches!(reply.content, Content::Stream { .. });
    match action {
        FaultAction::Status { status, body, headers } => status_reply(ask, status, body, headers),
        FaultAction::RegionDown => Delivery::plain(clouds::failure(ask, 503, None), pace),
        FaultAction::ErrorInSuccess { status } if !streamed => {
            let mut delivery = Delivery::plain(clouds::failure(ask, status, None), pace);
            delivery.status = 200;
            delivery
        }
        FaultAction::Page { status, content_type, body } => {
            let mut delivery = Delivery::plain(reply, pace);
            delivery.status = status;
            delivery.content_type = content_type;
            delivery.set_body(body.into());
            delivery
        }
        other => damage(ask, Delivery::plain(reply, pace), other, streamed),
    }
}

fn status_reply(
    ask: &Ask<'_>,
    status: u16,
    body: Option<Value>,
    headers: BTreeMap<String, String>,
) -> Delivery {
    let mut delivery = Delivery::plain(clouds::failure(ask, status, None), Duration::ZERO);
    match body {
        None => {}
        Some(Value::String(text)) => {
            delivery.content_type = "text/plain; charset=utf-8".to_owned();
            delivery.set_body(text.into());
        }
        Some(json) => delivery.set_body(json.to_string().into()),
    }
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("content-type") {
            delivery.content_type = value;
        } else {
            delivery.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            delivery.headers.push((name, value));
        }
    }
    delivery
}

/// The actions that leave the reply what it is and disturb how it is sent.
fn damage(ask: &Ask<'_>, mut delivery: Delivery, action: FaultAction, streamed: bool) -> Delivery {
    match action {
        FaultAction::SlowHeaders { ms } => delivery.wait = Duration::from_millis(ms),
        FaultAction::SlowFirstToken { ms } if streamed => {
            let at = delivery.steps.iter().position(|step| matches!(step, Step::Send { delta: true, .. }));
            delivery.steps.insert(at.unwrap_or(0), Step::Wait(Duration::from_millis(ms)));
        }
        FaultAction::SlowFirstToken { ms } => delivery.wait = Duration::from_millis(ms),
        FaultAction::Stall { after_deltas } => {
            delivery.edit(|steps| pace::cut_after_deltas(steps, after_deltas, Some(Step::Silence)));
        }
        FaultAction::StallWithPings { after_deltas, every_ms } => {
            let pings =
                Step::Pings { bytes: clouds::ping(ask), every: Duration::from_millis(every_ms.max(1)) };
            delivery.edit(|steps| pace::cut_after_deltas(steps, after_deltas, Some(pings)));
        }
        FaultAction::ResetBeforeHeaders => delivery.reset = true,
        FaultAction::Reset { after_bytes } => {
            delivery.edit(|steps| pace::cut_after_bytes(steps, after_bytes, Step::Reset));
        }
        FaultAction::Close { after_bytes } => {
            delivery.edit(|steps| pace::cut_after_bytes(steps, after_bytes, Step::Break));
        }
        FaultAction::EndWithoutTerminal { after_deltas } => {
            delivery.edit(|steps| pace::cut_after_deltas(steps, after_deltas, None));
            if !streamed {
                delivery.length = None;
            }
        }
        FaultAction::TruncatedJson { bytes } => truncate(&mut delivery, bytes),
        FaultAction::ErrorInSuccess { status } => {
            let event = Step::Send { bytes: clouds::stream_failure(ask, status, 0), delta: false };
            delivery.steps = VecDeque::from([event]);
        }
        FaultAction::ErrorMidStream { after_deltas, status } => {
            delivery.edit(|steps| pace::cut_after_deltas(steps, after_deltas, None));
            let sent = delivery.steps.iter().filter(|step| matches!(step, Step::Send { .. })).count() as u64;
            let bytes = clouds::stream_failure(ask, status, sent);
            delivery.steps.push_back(Step::Send { bytes, delta: false });
        }
        FaultAction::WrongContentType { content_type } => delivery.content_type = content_type,
        FaultAction::Corrupt { after_deltas, prelude } => corrupt(&mut delivery, after_deltas, prelude),
        FaultAction::HugeBody { bytes } => {
            let chunk = Bytes::from(vec![b'a'; 64 * 1024]);
            let left = bytes.div_ceil(64 * 1024).max(1);
            delivery
                .edit(|steps| pace::cut_after_deltas(steps, 1, Some(Step::Repeat { bytes: chunk, left })));
            delivery.length = None;
        }
        FaultAction::Fragment { bytes } => delivery.edit(|steps| pace::fragmented(steps, bytes)),
        // Made by `deliver`.
        FaultAction::Status { .. } | FaultAction::RegionDown | FaultAction::Page { .. } => {}
    }
    delivery
}

fn truncate(delivery: &mut Delivery, bytes: Option<u64>) {
    let whole: Vec<u8> = delivery
        .steps
        .iter()
        .flat_map(|step| match step {
            Step::Send { bytes, .. } => bytes.to_vec(),
            _ => Vec::new(),
        })
        .collect();
    let keep = bytes.map_or(whole.len() / 2, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let mut body = Bytes::from(whole);
    body.truncate(keep);
    delivery.set_body(body);
}

fn corrupt(delivery: &mut Delivery, after_deltas: u64, prelude: bool) {
    let binary = delivery.content_type.contains("eventstream");
    let mut seen = 0;
    for step in &mut delivery.steps {
        let Step::Send { bytes, delta: true } = step else { continue };
        if seen == after_deltas {
            let at = match (binary, prelude) {
                (true, true) => 8,
                (true, false) => bytes.len().saturating_sub(1),
                (false, _) => bytes.len() / 2,
            };
            let mut damaged = bytes.to_vec();
            if let Some(byte) = damaged.get_mut(at) {
                *byte = if binary { *byte ^ 0xff } else { 0xff };
            }
            *bytes = damaged.into();
            return;
        }
        seen += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(when: When) -> FaultRule {
        FaultRule { when, action: FaultAction::RegionDown }
    }

    #[test]
    fn counting_conditions_count_what_meets_the_others() {
        let mut script = Script::default();
        script.set(vec![rule(When { model: Some("m".to_owned()), nth: Some(2), ..When::default() })]);
        let hits: Vec<bool> =
            ["m", "x", "m", "m"].into_iter().map(|model| script.pick("/", model, b"").is_some()).collect();
        assert_eq!(hits, [false, false, true, false]);

        script.set(vec![rule(When { every: Some(2), count: Some(1), ..When::default() })]);
        let hits: Vec<bool> = (0..5).map(|_| script.pick("/", "", b"").is_some()).collect();
        assert_eq!(hits, [false, true, false, false, false]);
    }

    #[test]
    fn a_rule_reads_from_json() {
        let text = r#"{"when":{"path":"/v1"},"action":{"kind":"status","status":429,"headers":{"retry-after":"2"}}}"#;
        let rule: FaultRule = serde_json::from_str(text).unwrap();
        assert_eq!(rule.action.name(), "status");
    }
}
