//! A call that the solver found: put to the ordinary engine, made as plain as can be, said in words.
//!
//! The solver and the engine share nothing but the policies. An example that the engine judges otherwise is a bug
//! of ours or of the solver, and is told as such: [`Example::of`] fails.

use super::{
    query::Inquiry,
    sheet::{ClaimKind, Comparison},
};
use crate::{
    attribute::{Attribute, Owner, Shape, Value, Words},
    instant,
    permission::{Action, Permission},
    terms::{
        RuleInfo, Terms,
        evaluate::{Ask, cedar_request},
    },
};
use cedar_policy::{Authorizer, Context, Decision, Entities, Entity, EvalResult, PolicySet, Request};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// At most this many words of a set are taken out one by one while an example is made plain.
const MAX_TRIED_WORDS: usize = 64;
/// At most this many instants are tried.
const MAX_TRIED_INSTANTS: usize = 200;
/// The instant of an example on which no date bears.
const SOME_DAY: &str = "2026-01-01";

/// What an example is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// That the claim is false.
    Contrary,
    /// A call of the scope for which the claim holds.
    Instance,
}

/// A call in words, and what the engine says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What was to be done.
    pub action: Action,
    /// When; `None` where every side is asked at an instant of its own.
    #[serde(serialize_with = "perhaps")]
    pub at: Option<Timestamp>,
    /// What is stated of it: what the claim or a rule asks about, where it is not what stands when nobody says
    /// anything. Of all else nothing is stated.
    pub stated: BTreeMap<Attribute, Value>,
    /// What the terms say of it; of a comparison, what each side says.
    pub said: Vec<Said>,
}

/// What one side says of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The packs, by id.
    pub packs: Vec<Arc<str>>,
    /// The instant at which they were asked.
    #[serde(serialize_with = "text")]
    pub at: Timestamp,
    /// The rules that refuse it, were each enforced; empty: permitted.
    pub refused: Vec<Named>,
    /// Where nothing refuses it: rules in force that concern the action, and do not apply to it.
    pub silent: Vec<Arc<str>>,
}

/// A rule by its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its id.
    pub id: Arc<str>,
    /// Its title.
    pub title: Arc<str>,
    /// Where it stands, `file:line`; empty where it is no rule of a file.
    pub place: String,
}

#[allow(clippy::ref_option, reason = "the signature that serde asks for")]
fn perhaps<S: serde::Serializer>(instant: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match instant {
        Some(instant) => text(instant, serializer),
        None => serializer.serialize_none(),
    }
}

fn text<S: serde::Serializer>(instant: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant::format(*instant))
}

impl Example {
    /// What the solver found, as the engine sees it. `None`: a set in it holds words of no list, and without them
    /// it shows nothing; [`Inquiry::narrowed`] asks for one that there can be.
    ///
    /// # Errors
    /// The engine does not see it so, or the request cannot be read: a bug that must not pass for an answer.
    pub fn of(
        inquiry: &Inquiry<'_>,
        action: Action,
        found: (&Request, &Entities),
        shows: Shows,
    ) -> Result<Option<Self>, String> {
        let judge = Judge::new(inquiry, action, shows)?;
        let (ask, foreign) = read(&judge, found)?;
        if judge.shows_it(&ask) {
            return Ok(Some(judge.example(&judge.plainer(ask))));
        }
        if foreign {
            return Ok(None);
        }
        Err(format!(
            "the solver and the engine do not agree about a call (this is a bug; please report it): {}",
            judge.example(&ask)
        ))
    }
}

/// The engine's view of a claim.
struct Judge<'a> {
    inquiry: &'a Inquiry<'a>,
    action: Action,
    shows: Shows,
    scope: PolicySet,
    reads: BTreeSet<Attribute>,
}

impl<'a> Judge<'a> {
    fn new(inquiry: &'a Inquiry<'a>, action: Action, shows: Shows) -> Result<Self, String> {
        let scope = PolicySet::from_policies([inquiry.scope_policy(action)?]);
        let scope = scope.map_err(|error| error.to_string())?;
        Ok(Self { inquiry, action, shows, scope, reads: inquiry.reads(action) })
    }

    fn in_scope(&self, ask: &Ask) -> bool {
        cedar_request(ask, &self.inquiry.terms.schema).is_ok_and(|(request, entities)| {
            Authorizer::new().is_authorized(&request, &self.scope, &entities).decision() == Decision::Allow
        })
    }

    /// These terms and, of a comparison, the other, each with the instant at which it is asked.
    fn sides(&self) -> Vec<(&'a Terms, Option<Timestamp>)> {
        match &self.inquiry.claim.kind {
            ClaimKind::PermitsAllThat(Comparison { at, other_at, .. })
            | ClaimKind::Equivalent(Comparison { at, other_at, .. }) => {
                vec![(self.inquiry.terms, *at), (self.inquiry.other, *other_at)]
            }
            _ => vec![(self.inquiry.terms, None)],
        }
    }

    /// True where the call shows what it should show, as the engine sees it.
    fn shows_it(&self, ask: &Ask) -> bool {
        let kind = &self.inquiry.claim.kind;
        let asked = |(terms, at): &(&Terms, Option<Timestamp>)| permission(terms, *at, ask);
        let permissions: Vec<Permission> = self.sides().iter().map(asked).collect();
        if *kind == ClaimKind::NeverErrors {
            let failed = permissions.iter().flat_map(Permission::refusing_ids);
            return failed.filter(|id| id.starts_with("policy-error:")).count() > 0
                && self.shows == Shows::Contrary;
        }
        let here = permissions.first().is_some_and(permits);
        let there = permissions.get(1).is_some_and(permits);
        let contrary = match kind {
            ClaimKind::NeverPermits => here,
            ClaimKind::AlwaysPermits => !here,
            ClaimKind::PermitsAllThat(_) => there && !here,
            ClaimKind::Equivalent(_) => there != here,
            ClaimKind::NeverErrors => false,
        };
        // An instance of "permits all that the other permits" is a call that the other does permit.
        let speaks = there || !matches!(kind, ClaimKind::PermitsAllThat(_));
        self.in_scope(ask)
            && match self.shows {
                Shows::Contrary => contrary,
                Shows::Instance => !contrary && speaks,
            }
    }

    /// The same example with as much as possible left unsaid, and at the first instant of its window.
    fn plainer(&self, mut ask: Ask) -> Ask {
        for attribute in self.reads.iter().copied() {
            let usual = usual(attribute);
            if ask.get(attribute) == usual || self.try_on(&mut ask, attribute, usual) {
                continue;
            }
            let Value::Set(words) = ask.get(attribute) else { continue };
            for word in words.iter().take(MAX_TRIED_WORDS) {
                let kept = ask.get(attribute);
                let rest: Vec<&str> = kept.words().filter(|own| *own != &**word).collect();
                if !rest.is_empty() {
                    let fewer = Value::set(rest, "");
                    self.try_on(&mut ask, attribute, fewer);
                }
            }
        }
        for now in self.instants() {
            let moved = Ask { now, ..ask.clone() };
            if self.shows_it(&moved) {
                return moved;
            }
        }
        ask
    }

    fn try_on(&self, ask: &mut Ask, attribute: Attribute, value: Value) -> bool {
        let mut other = ask.clone();
        other.set(attribute, value);
        let fits = self.shows_it(&other);
        if fits {
            *ask = other;
        }
        fits
    }

    /// Instants that read better than the solver's: the beginnings of all stretches, the earliest first.
    fn instants(&self) -> Vec<Timestamp> {
        let terms = [self.inquiry.terms, self.inquiry.other];
        let all = terms.into_iter().flat_map(|terms| terms.boundaries().iter().copied());
        let mut all: Vec<Timestamp> = all.chain(self.inquiry.claim.scope.instants()).collect();
        all.sort();
        all.dedup();
        all.truncate(MAX_TRIED_INSTANTS);
        all.extend(instant::parse(SOME_DAY));
        all
    }

    fn example(&self, ask: &Ask) -> Example {
        let named: Vec<Attribute> = self.inquiry.claim.scope.all_clauses().map(|c| c.attribute).collect();
        let stated = self
            .reads
            .iter()
            .copied()
            .filter(|attribute| named.contains(attribute) || ask.get(*attribute) != usual(*attribute))
            .map(|attribute| (attribute, ask.get(attribute)))
            .collect();
        let said = self.sides().into_iter().map(|(terms, at)| self.said(terms, at, ask)).collect();
        let moving = self.sides().iter().any(|(_, at)| at.is_none());
        Example { action: self.action, at: moving.then_some(ask.now), stated, said }
    }

    fn said(&self, terms: &Terms, at: Option<Timestamp>, ask: &Ask) -> Said {
        let at = at.unwrap_or(ask.now);
        let permission = permission(terms, Some(at), ask);
        let findings = permission.refused.iter().chain(&permission.warnings).chain(&permission.observed);
        let refused: Vec<Named> = findings.map(|finding| named(&finding.rule)).collect();
        let in_force = |info: &RuleInfo| {
            info.from.is_none_or(|from| from <= at) && info.until.is_none_or(|until| at < until)
        };
        let silent = terms.rules.values().filter(|rule| {
            refused.is_empty() && !rule.notice && rule.actions.contains(&self.action) && in_force(&rule.info)
        });
        let silent = silent.map(|rule| Arc::clone(&rule.info.id)).collect();
        let packs = terms.packs().iter().map(|pack| Arc::clone(&pack.id)).collect();
        Said { packs, at, refused, silent }
    }
}

fn named(info: &RuleInfo) -> Named {
    let place = if info.file.is_empty() { String::new() } else { format!("{}:{}", info.file, info.line) };
    Named { id: Arc::clone(&info.id), title: Arc::clone(&info.title), place }
}

/// What the engine says of a question at an instant; without one, at the question's own.
fn permission(terms: &Terms, at: Option<Timestamp>, ask: &Ask) -> Permission {
    terms.evaluate(&Ask { now: at.unwrap_or(ask.now), ..ask.clone() })
}

/// Permitted were every rule enforced.
fn permits(permission: &Permission) -> bool {
    permission.refused.is_empty() && permission.warnings.is_empty() && permission.observed.is_empty()
}

/// What an attribute holds where nobody says anything: `unknown` of a deployment, `none` (or the first word that
/// there is) of a workload and a call.
fn usual(attribute: Attribute) -> Value {
    let word = match (attribute.owner(), attribute.words()) {
        (Owner::Deployment, _) => return Value::unknown(attribute),
        (_, Words::Open) => "none",
        (_, Words::Closed(words)) if words.contains(&"none") => "none",
        (_, Words::Closed(words)) => words.first().copied().unwrap_or("none"),
    };
    match attribute.shape() {
        Shape::Word => Value::word(word),
        Shape::Within | Shape::HasAll => Value::set([word], word),
    }
}

/// The solver's request as a question, and whether words that are in no list were left out of its sets.
fn read(judge: &Judge<'_>, found: (&Request, &Entities)) -> Result<(Ask, bool), String> {
    let (request, entities) = found;
    let context = request.context().ok_or("the solver's call has no context")?;
    let now = context.get("now").ok_or("the solver's call has no instant")?;
    let mut ask = Ask::new(judge.action, read_instant(&now)?);
    let principal = request.principal().and_then(|uid| entities.get(uid));
    let resource = request.resource().and_then(|uid| entities.get(uid));
    let mut foreign = false;
    for attribute in Attribute::ALL.iter().copied().filter(|attribute| attribute.readable()) {
        // What no policy reads, the solver fills with what it likes.
        let found = if judge.reads.contains(&attribute) {
            held(attribute, principal, resource, context)?
        } else {
            None
        };
        let known = found.map(|value| known(attribute, value, &mut foreign));
        ask.set(attribute, known.flatten().unwrap_or_else(|| usual(attribute)));
    }
    Ok((ask, foreign))
}

/// The value without words that the attribute's list does not have; `None` where nothing is left.
fn known(attribute: Attribute, value: Value, foreign: &mut bool) -> Option<Value> {
    let (Value::Set(words), Words::Closed(list)) = (&value, attribute.words()) else { return Some(value) };
    let known: Vec<&str> = words.iter().map(|word| &**word).filter(|word| list.contains(word)).collect();
    *foreign |= known.len() < words.len();
    (!known.is_empty()).then(|| Value::set(known, ""))
}

/// What the solver put into an attribute; `None` where it left the whole entity out, which it does where nothing
/// of it matters.
fn held(
    attribute: Attribute,
    principal: Option<&Entity>,
    resource: Option<&Entity>,
    context: &Context,
) -> Result<Option<Value>, String> {
    let of = |entity: Option<&Entity>| {
        let held = entity.and_then(|entity| entity.attr(attribute.name())).transpose();
        held.map_err(|error| error.to_string())
    };
    let found = match attribute.owner() {
        Owner::Workload => of(principal),
        Owner::Deployment => of(resource),
        Owner::Context => Ok(context.get(attribute.name())),
    };
    match (found?, attribute.shape()) {
        (None, _) => Ok(None),
        (Some(EvalResult::String(word)), Shape::Word) => Ok(Some(Value::word(&word))),
        (Some(EvalResult::Set(set)), Shape::Within | Shape::HasAll) => {
            let words: Vec<String> = set
                .iter()
                .filter_map(|item| match item {
                    EvalResult::String(word) => Some(word.clone()),
                    _ => None,
                })
                .collect();
            Ok(Some(Value::set(words.iter().map(String::as_str), "")))
        }
        (Some(other), _) => Err(format!("the solver's call holds `{other}` as `{attribute}`")),
    }
}

/// A datetime as Cedar writes it: a literal, or `datetime("1970-01-01").offset(duration("…ms"))`.
fn read_instant(value: &EvalResult) -> Result<Timestamp, String> {
    let text = value.to_string();
    let literal = |name: &str| {
        let (_, after) = text.split_once(&format!("{name}(\""))?;
        after.split_once('"').map(|(literal, _)| literal)
    };
    let start = literal("datetime").ok_or_else(|| format!("the solver's instant is `{text}`"))?;
    let start = instant::parse(start)?;
    let Some(offset) = literal("duration") else { return Ok(start) };
    let millis = offset.strip_suffix("ms").and_then(|millis| millis.parse::<i64>().ok());
    let millis = millis.ok_or_else(|| format!("the solver's instant is `{text}`"))?;
    start.checked_add(SignedDuration::from_millis(millis)).map_err(|error| error.to_string())
}
