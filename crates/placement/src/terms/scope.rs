//! Which rules can speak of a question at all, so that Cedar is asked about those alone.
//!
//! A rule says nothing where one of its conditions is not met. It is looked at in two steps, and what comes of both
//! is kept: the conditions on the workload, the call and the model are alike for all deployments, so they are
//! judged once for all; those on the deployment are judged for what is left. A doubt is always asked: a raw policy
//! has no conditions that are known here.

use super::{
    Terms,
    evaluate::Ask,
    sheet::{Clause, Row, Verdict},
};
use crate::{
    attribute::{Attribute, Owner, Value},
    fleet::Raised,
    permission::{Action, Mode},
};
use cedar_policy::{Policy, PolicySet};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    hash::Hash,
    sync::{Arc, Mutex},
};

/// At most this many of each are kept; what is beyond it is made anew for each question.
const MAX_KEPT: usize = 4_096;

/// What was found out once about which rules can speak.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    /// What the conditions of some rule look at, of what all deployments that serve a model share.
    looks_at: BTreeSet<Attribute>,
    concerned: Kept<Scope, [Concerned]>,
    sets: Kept<(Action, Box<[Speaker]>), Sets>,
}

/// A bounded memo.
type Kept<K, V> = Mutex<HashMap<K, Arc<V>>>;

/// What tells questions apart before a deployment is looked at: the action, the last change of any rule or mode
/// before the instant, the packs that were raised, and the value of each attribute that is looked at.
type Scope = (Action, Option<Timestamp>, Raised, Box<[Value]>);

/// A rule, by its number, and whether it refuses.
type Speaker = (u32, bool);

/// A rule that concerns a scope.
#[derive(Debug)]
struct Concerned {
    speaker: Speaker,
    /// What it asks of the deployment before it speaks.
    conditions: Box<[Clause]>,
    policy: Policy,
    unwaived: Option<Policy>,
}

/// The policies that can speak of a question, each set with the base permit.
#[derive(Debug)]
pub(super) struct Sets {
    pub(super) enforced: PolicySet,
    /// `None` where there is no such rule.
    pub(super) advisory: Option<PolicySet>,
}

impl Scopes {
    /// Takes note of a rule's conditions.
    pub(super) fn look_at(&mut self, conditions: &[Clause]) {
        self.looks_at.extend(conditions.iter().map(|clause| clause.attribute).filter(|own| is_shared(*own)));
    }
}

/// True for what all deployments that serve a model share within one question.
fn is_shared(attribute: Attribute) -> bool {
    attribute.owner() != Owner::Deployment || matches!(attribute, Attribute::Family | Attribute::Model)
}

/// What is kept under a key, or what is made for it.
fn kept<K: Eq + Hash, V: ?Sized, E>(
    memo: &Kept<K, V>,
    key: K,
    make: impl FnOnce() -> Result<Arc<V>, E>,
) -> Result<Arc<V>, E> {
    if let Some(found) = memo.lock().ok().and_then(|memo| memo.get(&key).cloned()) {
        return Ok(found);
    }
    let made = make()?;
    if let Ok(mut memo) = memo.lock()
        && memo.len() < MAX_KEPT
    {
        memo.insert(key, Arc::clone(&made));
    }
    Ok(made)
}

impl Terms {
    /// The policies that can speak of a question, in force at its instant, by their mode then.
    pub(super) fn sets_for(&self, ask: &Ask, base: &Policy) -> Result<Arc<Sets>, String> {
        let passed = self.boundaries.partition_point(|date| *date <= ask.now);
        let since = passed.checked_sub(1).and_then(|last| self.boundaries.get(last)).copied();
        let values = self.scopes.looks_at.iter().map(|attribute| ask.get(*attribute)).collect();
        let scope = (ask.action, since, Arc::clone(&ask.raised), values);
        let concerned =
            kept(&self.scopes.concerned, scope, || Ok::<_, Infallible>(self.concerned(ask).collect()));
        let Ok(concerned) = concerned;
        let met = |clause: &Clause| touched(clause, &ask.get(clause.attribute));
        let speaking = || concerned.iter().filter(|rule| rule.conditions.iter().all(met));
        let speakers = speaking().map(|rule| rule.speaker).collect();
        kept(&self.scopes.sets, (ask.action, speakers), || sets(base, speaking()).map(Arc::new))
    }

    /// The rules that concern a question, as far as can be told without looking at the deployment.
    fn concerned(&self, ask: &Ask) -> impl Iterator<Item = Concerned> {
        let shared = |clause: &&Clause| is_shared(clause.attribute);
        (0..).zip(self.rules.values()).filter_map(move |(number, rule)| {
            let concerned = rule.actions.contains(&ask.action)
                && rule.info.from.is_none_or(|from| from <= ask.now)
                && rule.info.until.is_none_or(|until| ask.now < until)
                && rule
                    .conditions
                    .iter()
                    .filter(shared)
                    .all(|clause| touched(clause, &ask.get(clause.attribute)));
            concerned.then(|| Concerned {
                speaker: (number, rule.acts(ask) == Mode::Enforce && !rule.notice),
                conditions: rule.conditions.iter().filter(|own| !shared(own)).cloned().collect(),
                policy: rule.policy.clone(),
                unwaived: rule.unwaived.clone(),
            })
        })
    }
}

fn sets<'a>(base: &Policy, speaking: impl Iterator<Item = &'a Concerned>) -> Result<Sets, String> {
    let (mut enforced, mut advisory) = (vec![base.clone()], vec![base.clone()]);
    for rule in speaking {
        let (_, refuses) = rule.speaker;
        let own = if refuses { &mut enforced } else { &mut advisory };
        own.push(rule.policy.clone());
        advisory.extend(rule.unwaived.clone());
    }
    let set = |policies: Vec<Policy>| PolicySet::from_policies(policies).map_err(|error| error.to_string());
    let advisory = if advisory.len() > 1 { Some(set(advisory)?) } else { None };
    Ok(Sets { enforced: set(enforced)?, advisory })
}

/// What must hold for the rule to speak at all, exceptions aside.
pub(super) fn conditions(row: &Row) -> impl Iterator<Item = &Clause> {
    let verdict: &[Clause] = match &row.verdict {
        Verdict::Forbidden(clauses) => clauses,
        Verdict::AllowedOnly(_) | Verdict::Notice => &[],
    };
    row.applies_to.iter().chain(verdict)
}

/// As `compile::touches` makes it: one of the words is one of the clause's.
pub(super) fn touched(clause: &Clause, value: &Value) -> bool {
    value.words().any(|own| listed(clause, own))
}

/// True where the clause has the word, or a pattern that it fits.
pub(super) fn listed(clause: &Clause, own: &str) -> bool {
    clause.words.iter().any(|word| fits(word, own))
}

/// A word, or a pattern in which `*` stands for any text.
pub(super) fn fits(word: &str, own: &str) -> bool {
    let Some((head, rest)) = word.split_once('*') else { return word == own };
    let Some(mut left) = own.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = left.split_once(part) else { return false };
        left = after;
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attribute::Shape,
        instant,
        terms::{PackChoice, TermsInput, evaluate::cedar_request},
    };
    use cedar_policy::Authorizer;
    use std::collections::BTreeMap;

    #[test]
    fn a_pattern_fits_as_in_cedar() {
        for (pattern, own, expect) in [
            ("gpt-5.4", "gpt-5.4", true),
            ("gpt-5.4", "gpt-5.4-pro", false),
            ("gpt-*", "gpt-5.4-pro", true),
            ("*-pro", "gpt-5.4-pro", true),
            ("g*5*pro", "gpt-5.4-pro", true),
            ("g*6*pro", "gpt-5.4-pro", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, own), expect, "{pattern} {own}");
        }
    }

    /// Rows that look at everything that is shared, in every shape: teams, patterns, sets, notices.
    const LOOKING: &str = r#"
[pack]
id = "looking"
title = "L"
binds = "us"
status = "draft"
mode = "enforce"
[[rule]]
id = "by-team"
title = "R"
source = "s"
clause = "c"
applies_to = { team = ["a", "b"], data_classes = "health" }
allowed_only = { cloud = "azure" }
[[rule]]
id = "by-model"
title = "R"
source = "s"
clause = "c"
applies_to = { model = ["gpt-*", "claude-opus-5-5"] }
allowed_only = { cloud = ["azure", "gcp"] }
[[rule]]
id = "by-class"
title = "R"
source = "s"
clause = "c"
mode = "observe"
forbidden = { class = "stateful", surface = "openai-chat", family = "claude" }
[[rule]]
id = "by-nothing"
title = "R"
source = "s"
clause = "c"
forbidden = { cloud = "oci" }
except = [{ team = "a" }]
"#;

    /// Small and always the same.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 20).unwrap() % bound
        }
    }

    /// What the rules of one mode say when Cedar is asked about every one of them.
    fn all_asked(terms: &Terms, ask: &Ask, advisory: bool) -> BTreeSet<String> {
        let own = terms.rules.values().filter(|rule| {
            (rule.acts(ask) != Mode::Enforce || rule.notice) == advisory
                && rule.info.from.is_none_or(|from| from <= ask.now)
                && rule.info.until.is_none_or(|until| ask.now < until)
        });
        let base = terms.base.values();
        let all = PolicySet::from_policies(own.map(|rule| &rule.policy).chain(base).cloned()).unwrap();
        speaking(terms, ask, &all)
    }

    fn speaking(terms: &Terms, ask: &Ask, set: &PolicySet) -> BTreeSet<String> {
        let (request, entities) = cedar_request(ask, &terms.schema).unwrap();
        let response = Authorizer::new().is_authorized(&request, set, &entities);
        response
            .diagnostics()
            .reason()
            .map(ToString::to_string)
            .filter(|id| !id.starts_with("base-"))
            .collect()
    }

    #[test]
    fn what_is_left_out_says_nothing() {
        let mut packs = vec![("looking.toml".to_owned(), LOOKING.to_owned())];
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../terms");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if crate::terms::is_pack_file(&name) {
                packs.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
        assert!(packs.len() > 8, "the shipped packs are not there");
        let packs: Vec<_> = packs.iter().map(|(file, text)| PackChoice { file, text, mode: None }).collect();
        let terms = Terms::compile_all(&TermsInput { packs: &packs, ..TermsInput::default() }).unwrap();
        // The words that the rules name, and one that none names.
        let mut words: BTreeMap<Attribute, Vec<String>> = BTreeMap::new();
        for clause in terms.packs.iter().flat_map(|pack| &pack.rows).flat_map(Row::clauses) {
            let named = clause.words.iter().map(|word| word.replace('*', "x"));
            words.entry(clause.attribute).or_insert_with(|| vec!["unknown".to_owned()]).extend(named);
        }
        let dates = ["2025-06-01", "2026-03-15", "2026-05-01", "2026-12-02", "2028-01-01"];
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let (mut spoke, mut left_out) = (0, 0);
        for round in 0..400 {
            let now = instant::parse(dates[round % dates.len()]).unwrap();
            let action = Action::ALL[random.below(Action::ALL.len())];
            let mut ask = Ask::new(action, now);
            for (attribute, words) in &words {
                let mut one = || words[random.below(words.len())].clone();
                let (first, second) = (one(), one());
                let value = match attribute.shape() {
                    Shape::Word => Value::word(&first),
                    Shape::Within | Shape::HasAll => Value::set([&*first, &*second], "none"),
                };
                ask.set(*attribute, value);
            }
            let sets = terms.sets_for(&ask, &terms.base[&action]).unwrap();
            let none = PolicySet::new();
            let advisory = sets.advisory.as_ref().unwrap_or(&none);
            for (set, is_advisory) in [(&sets.enforced, false), (advisory, true)] {
                let said = speaking(&terms, &ask, set);
                assert_eq!(said, all_asked(&terms, &ask, is_advisory), "{ask:?}");
                spoke += said.len();
            }
            left_out += terms.rules.len() + 1 - sets.enforced.policies().count();
        }
        assert!(spoke > 400 && left_out > 400, "{spoke} rules spoke, {left_out} were left out");
    }
}
