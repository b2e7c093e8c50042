//! A claim → the policy sets whose relation has to be shown, one query per action.
//!
//! The symbolic compiler takes every text for possible where the schema says `String`. What the gateway can make
//! is less: a closed list has its words and no others, a set is never empty (it holds `none` or `unknown`). Every
//! query says so, so a counterexample is always a call that there can be. The words of sets are said in a second
//! query alone ([`Words::Known`]): they cost the solver much, and most claims hold for sets of any words.

use super::sheet::{Claim, ClaimKind, Scope};
use crate::{
    attribute::{self, Attribute, Shape},
    instant,
    permission::Action,
    terms::{Terms, compile},
};
use cedar_policy::{EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, RequestEnv, Schema};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::{collections::BTreeSet, str::FromStr, sync::Arc};

/// First instant that is looked at.
const FIRST: &str = "1970-01-01T00:00:00Z";
/// First instant that is no longer looked at.
const LAST: &str = "9999-01-01T00:00:00Z";

/// A claim and the terms that it is about.
#[derive(Clone, Copy, Debug)]
pub struct Inquiry<'a> {
    /// The claim.
    pub claim: &'a Claim,
    /// The terms. Compiled without waivers.
    pub terms: &'a Terms,
    /// The other terms of a comparison; the same where it names none.
    pub other: &'a Terms,
}

/// What has to be shown for one action.
#[derive(Debug)]
pub struct Query {
    /// The action.
    pub action: Action,
    /// The kinds of principal, action and resource that a request has.
    pub env: RequestEnv,
    /// What has to be shown.
    pub body: Body,
}

/// What has to be shown.
#[derive(Debug)]
pub enum Body {
    /// Two policy sets stand in a relation.
    Sets {
        /// One.
        left: Box<PolicySet>,
        /// The other.
        right: Box<PolicySet>,
        /// What permits the calls that the query is about; `None`: the left. Where it permits nothing at all, the
        /// claim says nothing.
        subject: Option<Box<PolicySet>>,
        /// How they stand.
        relation: Relation,
    },
    /// A policy cannot fail.
    NeverErrors(Box<Policy>),
}

/// Which words a set may hold in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Any. What holds for these holds for the known ones.
    Any,
    /// Those of the attribute's list, where it has one.
    Known,
}

/// How two policy sets stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// No request is permitted by both.
    Disjoint,
    /// What the left permits, the right permits.
    Implies,
    /// Both permit the same requests.
    Equivalent,
}

impl<'a> Inquiry<'a> {
    /// The schema of all queries.
    #[must_use]
    pub const fn schema(&self) -> &'a Schema {
        &self.terms.schema
    }

    /// One query per action; of [`ClaimKind::NeverErrors`] one per rule and action of the rule.
    ///
    /// # Errors
    /// Cedar's words, should a policy that is made here not parse: a bug.
    pub fn queries(&self) -> Result<Vec<Query>, String> {
        match &self.claim.kind {
            ClaimKind::NeverErrors => self.each_rule(),
            _ => self.claim.scope.actions.iter().map(|action| self.query(*action, Words::Any)).collect(),
        }
    }

    /// The query of an action with the words of sets as they can be: for a call that the first query found and
    /// that there cannot be.
    ///
    /// # Errors
    /// As [`Inquiry::queries`].
    pub fn narrowed(&self, action: Action) -> Result<Query, String> {
        self.query(action, Words::Known)
    }

    fn each_rule(&self) -> Result<Vec<Query>, String> {
        let mut queries = Vec::new();
        for rule in self.terms.rules.values() {
            for action in &rule.actions {
                let body = Body::NeverErrors(Box::new(rule.policy.clone()));
                queries.push(Query { action: *action, env: env(*action)?, body });
            }
        }
        Ok(queries)
    }

    fn query(&self, action: Action, words: Words) -> Result<Query, String> {
        let scope = scope_text(&self.claim.scope, &self.reads(action), words);
        let (left, right, relation) = match &self.claim.kind {
            ClaimKind::NeverPermits | ClaimKind::AlwaysPermits => {
                let relation = if self.claim.kind == ClaimKind::NeverPermits {
                    Relation::Disjoint
                } else {
                    Relation::Implies
                };
                (vec![within(action, &scope)?], policies(self.terms, action, None)?, relation)
            }
            ClaimKind::PermitsAllThat(comparison) => {
                let mut left = policies(self.other, action, comparison.other_at)?;
                left.push(not_beyond(action, &scope)?);
                (left, policies(self.terms, action, comparison.at)?, Relation::Implies)
            }
            ClaimKind::Equivalent(comparison) => {
                let mut left = policies(self.other, action, comparison.other_at)?;
                left.push(not_beyond(action, &scope)?);
                let mut right = policies(self.terms, action, comparison.at)?;
                right.push(not_beyond(action, &scope)?);
                (left, right, Relation::Equivalent)
            }
            ClaimKind::NeverErrors => return Err("a claim that no rule fails has no policy sets".to_owned()),
        };
        let set = |policies: Vec<Policy>| {
            PolicySet::from_policies(policies).map(Box::new).map_err(|error| error.to_string())
        };
        let subject = match relation {
            Relation::Equivalent => Some(set(vec![within(action, &scope)?])?),
            Relation::Disjoint | Relation::Implies => None,
        };
        let body = Body::Sets { left: set(left)?, right: set(right)?, subject, relation };
        Ok(Query { action, env: env(action)?, body })
    }

    /// Every attribute that a policy for the action or the claim reads; what nobody reads decides nothing.
    pub(super) fn reads(&self, action: Action) -> BTreeSet<Attribute> {
        let mut reads: BTreeSet<Attribute> =
            self.claim.scope.all_clauses().map(|clause| clause.attribute).collect();
        for terms in [self.terms, self.other] {
            for rule in terms.rules.values().filter(|rule| !rule.notice && rule.actions.contains(&action)) {
                match rule.policy.to_json() {
                    Ok(json) => named(&json, &mut reads),
                    // Better too many than one too few.
                    Err(_) => reads.extend(Attribute::ALL.iter().filter(|attribute| attribute.readable())),
                }
            }
        }
        reads
    }

    /// The one policy that permits the calls of the scope that there can be, and no others.
    pub(super) fn scope_policy(&self, action: Action) -> Result<Policy, String> {
        within(action, &scope_text(&self.claim.scope, &self.reads(action), Words::Known))
    }
}

/// The attributes that a policy names. No two owners share a name. Depth is bounded by Cedar's own parser.
fn named(json: &Json, into: &mut BTreeSet<Attribute>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| named(item, into)),
        Json::Object(members) => {
            into.extend(members.get("attr").and_then(Json::as_str).and_then(Attribute::by_name));
            members.values().for_each(|member| named(member, into));
        }
        _ => {}
    }
}

fn env(action: Action) -> Result<RequestEnv, String> {
    let kind = |name: &str| EntityTypeName::from_str(name).map_err(|error| error.to_string());
    let action = EntityUid::from_type_name_and_id(kind("Action")?, EntityId::new(action.name()));
    Ok(RequestEnv::new(kind("Workload")?, action, kind("Deployment")?))
}

/// The base permit and every rule that can refuse, taken at an instant where one is given.
fn policies(terms: &Terms, action: Action, at: Option<Timestamp>) -> Result<Vec<Policy>, String> {
    let rules = terms.rules.values().filter(|rule| !rule.notice && rule.actions.contains(&action));
    let policies = rules.map(|rule| &rule.policy).chain(terms.base.get(&action));
    match at {
        None => Ok(policies.cloned().collect()),
        Some(at) => policies.map(|policy| taken_at(policy, at)).collect(),
    }
}

/// The policy with the instant in the place of `context.now`.
fn taken_at(policy: &Policy, at: Timestamp) -> Result<Policy, String> {
    let mut json = policy.to_json().map_err(|error| error.to_string())?;
    let now = json!({ ".": { "left": { "Var": "context" }, "attr": "now" } });
    replace(&mut json, &now, &json!({ "datetime": [{ "Value": instant::format(at) }] }));
    Policy::from_json(Some(policy.id().clone()), json).map_err(|error| error.to_string())
}

/// Depth is bounded by Cedar's own parser.
fn replace(json: &mut Json, what: &Json, by: &Json) {
    if json == what {
        json.clone_from(by);
        return;
    }
    match json {
        Json::Array(items) => items.iter_mut().for_each(|item| replace(item, what, by)),
        Json::Object(members) => members.values_mut().for_each(|member| replace(member, what, by)),
        _ => {}
    }
}

fn within(action: Action, scope: &str) -> Result<Policy, String> {
    parse(
        "scope",
        &format!(
            "permit (principal, action == Action::\"{}\", resource)\nwhen {{ {scope} }};",
            action.name()
        ),
    )
}

fn not_beyond(action: Action, scope: &str) -> Result<Policy, String> {
    parse(
        "beyond the scope",
        &format!(
            "forbid (principal, action == Action::\"{}\", resource)\nunless {{ {scope} }};",
            action.name()
        ),
    )
}

fn parse(id: &str, text: &str) -> Result<Policy, String> {
    Policy::parse(Some(PolicyId::new(id)), text).map_err(|error| format!("{error} in {text}"))
}

/// The calls of a scope, and of these only such as there can be.
fn scope_text(scope: &Scope, reads: &BTreeSet<Attribute>, words: Words) -> String {
    let mut all = dates(Some(FIRST.to_owned()), Some(LAST.to_owned()));
    all.extend(reads.iter().flat_map(|attribute| possible(*attribute, words)));
    all.extend(dates(scope.from.map(instant::format), scope.until.map(instant::format)));
    all.extend(scope.clauses.iter().map(compile::touches));
    if !scope.outside.is_empty() {
        let within: Vec<String> = scope.outside.iter().map(compile::is_within).collect();
        all.push(format!("!({})", within.join(" && ")));
    }
    for except in &scope.except {
        let mut holds = dates(except.from.map(instant::format), except.until.map(instant::format));
        holds.extend(except.clauses.iter().map(compile::touches));
        all.push(format!("!({})", holds.join(" && ")));
    }
    all.join(" &&\n  ")
}

fn dates(from: Option<String>, until: Option<String>) -> Vec<String> {
    let from = from.map(|from| format!("context.now >= datetime(\"{from}\")"));
    let until = until.map(|until| format!("context.now < datetime(\"{until}\")"));
    from.into_iter().chain(until).collect()
}

/// What the gateway can put into an attribute.
fn possible(attribute: Attribute, words: Words) -> Vec<String> {
    let path = attribute.cedar_path();
    let closed = match attribute.words() {
        attribute::Words::Closed(words) => {
            Some(compile::set(&words.iter().map(|word| Arc::from(*word)).collect::<Vec<_>>()))
        }
        attribute::Words::Open => None,
    };
    match (attribute.shape(), closed) {
        (Shape::Word, Some(known)) => vec![format!("{known}.contains({path})")],
        (Shape::Word, None) => vec![format!("{path} != \"\"")],
        (Shape::Within | Shape::HasAll, known) => {
            let known =
                known.filter(|_| words == Words::Known).map(|known| format!("{known}.containsAll({path})"));
            [format!("!{path}.isEmpty()"), format!("!{path}.contains(\"\")")]
                .into_iter()
                .chain(known)
                .collect()
        }
    }
}
