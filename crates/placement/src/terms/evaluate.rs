//! Asks Cedar what the terms say of one question, and reads the answer so that nothing is lost in it.
//!
//! Two questions are asked: rules in `enforce` with the base permit, whose decision is Cedar's own; and rules
//! in `warn`, `observe` and notices, of which only the list of those that apply is taken. Cedar *skips* a
//! policy that errors, so any error is a refusal by `policy-error:<id>`.

use super::{Binds, Rule, RuleInfo, Terms};
use crate::{
    attribute::{Attribute, Owner, Shape, Value},
    instant,
    permission::{Action, Finding, Mode, Permission},
};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicySet, Request,
    Response, RestrictedExpression,
};
use jiff::Timestamp;
use std::{collections::HashMap, collections::HashSet, str::FromStr, sync::Arc};

/// One question in full: every attribute resolved. Made from a permission key, or by hand for a host that is
/// no deployment.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is to be permitted.
    pub action: Action,
    /// An instant inside the window.
    pub now: Timestamp,
    /// The value of every readable attribute, by [`Attribute::index`]; `None` reads as unknown.
    pub values: Vec<Option<Value>>,
}

impl Ask {
    /// A question with nothing known yet.
    #[must_use]
    pub fn new(action: Action, now: Timestamp) -> Self {
        Self { action, now, values: vec![None; Attribute::ALL.len()] }
    }

    /// Sets what an attribute holds.
    pub fn set(&mut self, attribute: Attribute, value: Value) {
        if let Some(slot) = self.values.get_mut(attribute.index()) {
            *slot = Some(value);
        }
    }

    /// What an attribute holds.
    #[must_use]
    pub fn get(&self, attribute: Attribute) -> Value {
        self.values.get(attribute.index()).cloned().flatten().unwrap_or_else(|| Value::unknown(attribute))
    }
}

impl Terms {
    /// What the terms say. Slow (tens of microseconds and up): for a memo's miss, never for each request.
    #[must_use]
    pub fn evaluate(&self, ask: &Ask) -> Permission {
        let family = ask.get(Attribute::Family);
        let mut enforced: Vec<&Rule> = Vec::new();
        let mut advisory: Vec<&Rule> = Vec::new();
        for rule in self.rules.values() {
            let concerned = rule.actions.contains(&ask.action)
                && (rule.families.is_empty() || rule.families.iter().any(|f| family.has(f)));
            if !concerned {
                continue;
            }
            if rule.mode_at(ask.now) == Mode::Enforce && !rule.notice {
                enforced.push(rule);
            } else {
                advisory.push(rule);
            }
        }
        let Some(base) = self.base.get(&ask.action) else {
            return refused(vec![synthetic("no-permit", "No rule permits this action.")]);
        };
        let (request, entities) = match cedar_request(ask, &self.schema) {
            Ok(both) => both,
            Err(message) => return refused(vec![policy_error("request", &message)]),
        };
        let (refusing, mut errors) = match decide(base, &enforced, &request, &entities) {
            Ok(both) => both,
            Err(message) => return refused(vec![policy_error("policy-set", &message)]),
        };
        let mut permission = Permission::default();
        if !advisory.is_empty() {
            match decide(base, &advisory, &request, &entities) {
                Ok((applying, more)) => {
                    errors.extend(more);
                    sort_in(&mut permission, applying.ids.iter().filter_map(|id| self.rules.get(id.as_str())), ask.now);
                }
                Err(message) => errors.push(policy_error("policy-set", &message)),
            }
        }
        let mut findings: Vec<Finding> = refusing
            .ids
            .iter()
            .filter_map(|id| self.rules.get(id.as_str()))
            .map(|rule| Finding { rule: Arc::clone(&rule.info), mode: Mode::Enforce })
            .collect();
        findings.extend(errors);
        if findings.is_empty() && !refusing.permitted {
            findings.push(synthetic("no-permit", "No rule permits this action."));
        }
        permission.refused = sorted(findings);
        permission
    }
}

/// What Cedar said: its decision, and the rules that determined it (of a denial, the forbids).
struct Said {
    permitted: bool,
    ids: Vec<String>,
}

fn decide(
    base: &Policy,
    rules: &[&Rule],
    request: &Request,
    entities: &Entities,
) -> Result<(Said, Vec<Finding>), String> {
    let policies = rules.iter().map(|rule| rule.policy.clone()).chain([base.clone()]);
    let set = PolicySet::from_policies(policies).map_err(|error| error.to_string())?;
    Ok(read(&Authorizer::new().is_authorized(request, &set, entities)))
}

/// Reads a response. Any error is a finding that refuses: Cedar has skipped the policy.
fn read(response: &Response) -> (Said, Vec<Finding>) {
    let permitted = response.decision() == Decision::Allow;
    let ids = if permitted {
        Vec::new()
    } else {
        response.diagnostics().reason().map(ToString::to_string).collect()
    };
    let errors = response
        .diagnostics()
        .errors()
        .map(|error| match error {
            cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
                policy_error(&error.policy_id().to_string(), &error.to_string())
            }
        })
        .collect();
    (Said { permitted, ids }, errors)
}

fn sort_in<'a>(permission: &mut Permission, rules: impl Iterator<Item = &'a Rule>, now: Timestamp) {
    let (mut warnings, mut observed, mut notices) = (Vec::new(), Vec::new(), Vec::new());
    for rule in rules {
        let mode = rule.mode_at(now);
        let finding = Finding { rule: Arc::clone(&rule.info), mode };
        match (rule.notice, mode) {
            (true, _) => notices.push(finding),
            (false, Mode::Warn) => warnings.push(finding),
            (false, _) => observed.push(finding),
        }
    }
    permission.warnings = sorted(warnings);
    permission.observed = sorted(observed);
    permission.notices = sorted(notices);
}

fn sorted(mut findings: Vec<Finding>) -> Box<[Finding]> {
    findings.sort_by(|a, b| a.rule.id.cmp(&b.rule.id));
    findings.dedup_by(|a, b| a.rule.id == b.rule.id);
    findings.into()
}

fn refused(findings: Vec<Finding>) -> Permission {
    Permission { refused: sorted(findings), ..Permission::default() }
}

pub(crate) fn policy_error(id: &str, message: &str) -> Finding {
    let mut finding = synthetic(&format!("policy-error:{id}"), "A policy failed; what cannot be judged is refused.");
    if let Some(info) = Arc::get_mut(&mut finding.rule) {
        info.clause = message.into();
    }
    finding
}

fn synthetic(id: &str, says: &str) -> Finding {
    Finding {
        mode: Mode::Enforce,
        rule: Arc::new(RuleInfo {
            id: id.into(),
            title: says.trim_end_matches('.').into(),
            says: says.into(),
            source: "the gateway".into(),
            clause: "".into(),
            pack: "".into(),
            binds: Binds::Us,
            waivable: false,
            file: "".into(),
            line: 0,
            from: None,
            until: None,
        }),
    }
}

fn cedar_request(ask: &Ask, schema: &cedar_policy::Schema) -> Result<(Request, Entities), String> {
    let principal = uid("Workload", "w")?;
    let resource = uid("Deployment", "d")?;
    let action = uid("Action", ask.action.name())?;
    let mut context = vec![("now".to_owned(), RestrictedExpression::new_datetime(instant::format(ask.now)))];
    context.extend(expressions(ask, Owner::Context));
    let context = Context::from_pairs(context).map_err(|error| error.to_string())?;
    let entities = [(principal.clone(), Owner::Workload), (resource.clone(), Owner::Deployment)]
        .into_iter()
        .map(|(uid, owner)| {
            let attributes: HashMap<String, RestrictedExpression> = expressions(ask, owner).collect();
            Entity::new(uid, attributes, HashSet::new()).map_err(|error| error.to_string())
        })
        .collect::<Result<Vec<_>, _>>()?;
    let entities = Entities::from_entities(entities, None).map_err(|error| error.to_string())?;
    let request =
        Request::new(principal, action, resource, context, Some(schema)).map_err(|error| error.to_string())?;
    Ok((request, entities))
}

fn expressions(ask: &Ask, owner: Owner) -> impl Iterator<Item = (String, RestrictedExpression)> {
    Attribute::ALL.iter().filter(move |a| a.owner() == owner && a.readable()).map(move |attribute| {
        let value = ask.get(*attribute);
        let word = |word: &str| RestrictedExpression::new_string(word.to_owned());
        let expression = match attribute.shape() {
            Shape::Word => word(value.as_word()),
            Shape::Within | Shape::HasAll => RestrictedExpression::new_set(value.words().map(word)),
        };
        (attribute.name().to_owned(), expression)
    })
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = EntityTypeName::from_str(kind).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
