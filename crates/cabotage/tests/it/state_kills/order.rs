//! What a conversation holds after the kills, held against what its callers saw.

use std::{collections::HashMap, fmt};

/// A turn that a caller sent, by the instants of one clock of all callers.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// The text of its message: unique among all turns of all callers.
    pub(super) text: String,
    pub(super) sent: u64,
    /// When the last byte of its answer had come; `None`: the connection broke before, so it may be kept or not.
    pub(super) answered: Option<u64>,
}

/// A message of a conversation: who speaks, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) role: String,
    pub(super) text: String,
}

/// What the comparison showed.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) answered: usize,
    pub(super) unanswered: usize,
    /// Of the turns without an answer, those that were kept.
    pub(super) kept_unanswered: usize,
    pub(super) violations: Vec<String>,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answered turns, {} without an answer ({} of them kept), {} violations",
            self.answered,
            self.unanswered,
            self.kept_unanswered,
            self.violations.len()
        )?;
        self.violations.iter().take(20).try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

impl Findings {
    /// Holds one conversation against the turns that were sent to it: each answered turn is there once, each
    /// other one at most once, nothing else is; every question has its answer behind it; and a turn that was
    /// answered before another one was sent stands before it.
    pub(super) fn compare(&mut self, conversation: &str, sent: &[Sent], kept: &[Kept]) {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, pair) in kept.chunks(2).enumerate() {
            match pair {
                [question, answer] if question.role == "user" && answer.role == "assistant" => {
                    places.entry(&question.text).or_default().push(place);
                }
                other => self.found(conversation, &format!("no question with its answer: {other:?}")),
            }
        }
        let mut in_order = Vec::new();
        for turn in sent {
            let found = places.remove(turn.text.as_str()).unwrap_or_default();
            match turn.answered {
                Some(_) => self.answered += 1,
                None => {
                    self.unanswered += 1;
                    self.kept_unanswered += found.len().min(1);
                }
            }
            match (&*found, turn.answered) {
                ([], Some(_)) => self.found(conversation, &format!("lost: {}", turn.text)),
                ([], None) => {}
                ([place], _) => in_order.push((*place, turn)),
                _ => self.found(conversation, &format!("doubled: {}", turn.text)),
            }
        }
        for text in places.keys() {
            self.found(conversation, &format!("never sent: {text}"));
        }
        in_order.sort_by_key(|(place, _)| *place);
        // From the end: the earliest answer of all that stands behind.
        let mut behind: Option<u64> = None;
        for (_, turn) in in_order.iter().rev() {
            if behind.is_some_and(|answered| answered < turn.sent) {
                self.found(conversation, &format!("out of order: {}", turn.text));
            }
            behind = match (behind, turn.answered) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }

    fn found(&mut self, conversation: &str, what: &str) {
        self.violations.push(format!("{conversation}: {what}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str, sent: u64, answered: Option<u64>) -> Sent {
        Sent { text: text.to_owned(), sent, answered }
    }

    fn kept(texts: &[&str]) -> Vec<Kept> {
        let one = |role: &str, text: &str| Kept { role: role.to_owned(), text: text.to_owned() };
        texts.iter().flat_map(|text| [one("user", text), one("assistant", "Yes.")]).collect()
    }

    /// Two callers: `a` and then `b` in turn, `c` beside them without an answer.
    fn turns() -> Vec<Sent> {
        vec![sent("a", 1, Some(3)), sent("b", 4, Some(6)), sent("c", 2, None)]
    }

    #[test]
    fn what_may_be_is_no_violation() {
        for may in [&["a", "b"][..], &["a", "c", "b"], &["c", "a", "b"], &["a", "b", "c"]] {
            let mut findings = Findings::default();
            findings.compare("conv", &turns(), &kept(may));
            assert!(findings.violations.is_empty(), "{may:?}: {findings}");
        }
    }

    #[test]
    fn what_must_not_be_is_found() {
        for (must_not, what) in [
            (&["a"][..], "lost: b"),
            (&["a", "b", "a"], "doubled: a"),
            (&["a", "c", "b", "c"], "doubled: c"),
            (&["b", "a"], "out of order: b"),
            (&["a", "b", "d"], "never sent: d"),
        ] {
            let mut findings = Findings::default();
            findings.compare("conv", &turns(), &kept(must_not));
            assert!(findings.violations.iter().any(|own| own.contains(what)), "{must_not:?}: {findings}");
        }
        let mut findings = Findings::default();
        findings.compare("conv", &turns(), &kept(&["a", "b"])[..3]);
        assert!(findings.violations.iter().any(|own| own.contains("no question with its answer")));
    }
}
