//! Asks Cedar what the terms say of one question, and reads the answer so that nothing is lost in it.
//!
//! Two questions are asked: rules in `enforce` with the base permit, whose decision is Cedar's own; and rules
//! in `warn`, `observe` and notices, of which only the list of those that apply is taken. Cedar *skips* a
//! policy that errors, so any error is a refusal by `policy-error:<id>`.

use super::{Binds, Rule, RuleInfo, Terms};
use crate::{
    attribute::{Attribute, Owner, Shape, Value},
    fleet::Raised,
    instant,
    permission::{Action, Finding, Mode, Permission},
};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, Response,
    RestrictedExpression,
};
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    str::FromStr,
    sync::Arc,
};

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
    /// Packs that act at least so for this question, whatever they say themselves.
    pub raised: Raised,
}

impl Ask {
    /// A question with nothing known yet.
    #[must_use]
    pub fn new(action: Action, now: Timestamp) -> Self {
        Self { action, now, values: vec![None; Attribute::ALL.len()], raised: Raised::default() }
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
        let Some(base) = self.base.get(&ask.action) else {
            return refused(vec![synthetic("no-permit", "No rule permits this action.")]);
        };
        let sets = match self.sets_for(ask, base) {
            Ok(sets) => sets,
            Err(message) => return refused(vec![policy_error("policy-set", &message)]),
        };
        let (request, entities) = match cedar_request(ask, &self.schema) {
            Ok(both) => both,
            Err(message) => return refused(vec![policy_error("request", &message)]),
        };
        let (refusing, mut errors) =
            read(&Authorizer::new().is_authorized(&request, &sets.enforced, &entities));
        let mut permission = Permission::default();
        if let Some(advisory) = &sets.advisory {
            let (applying, more) = read(&Authorizer::new().is_authorized(&request, advisory, &entities));
            errors.extend(more);
            let rules = applying.ids.iter().filter_map(|id| self.rules.get(id.as_str()));
            sort_in(&mut permission, rules, ask);
            // A rule that applies without its waivers and not with them is waived.
            let applies = |id: &str| applying.ids.iter().chain(&refusing.ids).any(|own| own == id);
            let bare = applying.ids.iter().filter_map(|id| id.strip_prefix(UNWAIVED));
            let waived = bare.filter(|id| !applies(id)).filter_map(|id| self.rules.get(id));
            permission.waived = sorted(waived.map(|rule| finding(rule, ask)).collect());
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

/// What stands before the id of a rule's policy without its waivers.
pub(crate) const UNWAIVED: &str = "unwaived:";

/// What Cedar said: its decision, and the rules that determined it (of a denial, the forbids).
struct Said {
    permitted: bool,
    ids: Vec<String>,
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
                policy_error(error.policy_id().as_ref(), &error.to_string())
            }
        })
        .collect();
    (Said { permitted, ids }, errors)
}

fn sort_in<'a>(permission: &mut Permission, rules: impl Iterator<Item = &'a Rule>, ask: &Ask) {
    let (mut warnings, mut observed, mut notices) = (Vec::new(), Vec::new(), Vec::new());
    for rule in rules {
        let finding = finding(rule, ask);
        match (rule.notice, finding.mode) {
            (true, _) => notices.push(finding),
            (false, Mode::Warn) => warnings.push(finding),
            (false, _) => observed.push(finding),
        }
    }
    permission.warnings = sorted(warnings);
    permission.observed = sorted(observed);
    permission.notices = sorted(notices);
}

fn finding(rule: &Rule, ask: &Ask) -> Finding {
    Finding { rule: Arc::clone(&rule.info), mode: rule.acts(ask) }
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
    let mut finding =
        synthetic(&format!("policy-error:{id}"), "A policy failed; what cannot be judged is refused.");
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

pub(super) fn cedar_request(ask: &Ask, schema: &cedar_policy::Schema) -> Result<(Request, Entities), String> {
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
    let request = Request::new(principal, action, resource, context, Some(schema))
        .map_err(|error| error.to_string())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{PackChoice, sheet::DatedMode};
    use cedar_policy::{Policy, PolicySet};
    use std::collections::BTreeMap;

    fn terms_with(id: &str, policy: &str, mode: Mode) -> Terms {
        let head = "[pack]\nid=\"p\"\ntitle=\"P\"\nbinds=\"us\"\nstatus=\"draft\"\nmode=\"enforce\"\n";
        let rule = "[[rule]]\nid=\"r\"\ntitle=\"R\"\nforbidden={cloud=\"oci\"}\nsource=\"s\"\nclause=\"c\"\n";
        let text = format!("{head}{rule}");
        let pack = PackChoice { file: "p.toml", text: &text, mode: None };
        let mut terms = Terms::compile(&[pack], &BTreeMap::new()).unwrap();
        let mut info = (**terms.rule("r").unwrap()).clone();
        info.id = id.into();
        let rule = Rule {
            info: Arc::new(info),
            actions: vec![Action::Infer],
            conditions: Vec::new(),
            modes: vec![DatedMode { mode, from: None }],
            notice: false,
            unwaived: None,
            policy: Policy::parse(Some(cedar_policy::PolicyId::new(id)), policy).unwrap(),
        };
        terms.rules.insert(id.into(), rule);
        terms
    }

    fn ids(permission: &Permission) -> Vec<&str> {
        permission.refusing_ids().collect()
    }

    /// A policy that errs when it is evaluated, although it is well typed: the sum overflows.
    const ERRS: &str = r#"forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };"#;

    #[test]
    fn cedar_skips_a_policy_that_errs_and_we_refuse() {
        let now = crate::instant::parse("2026-11-21").unwrap();
        let ask = Ask::new(Action::Infer, now);
        for mode in [Mode::Enforce, Mode::Warn, Mode::Observe] {
            let terms = terms_with("broken", ERRS, mode);
            // Cedar alone permits: the broken forbid is skipped, and only the diagnostics tell.
            let (request, entities) = cedar_request(&ask, &terms.schema).unwrap();
            let all =
                terms.rules.values().map(|rule| rule.policy.clone()).chain(terms.base.values().cloned());
            let response =
                Authorizer::new().is_authorized(&request, &PolicySet::from_policies(all).unwrap(), &entities);
            assert_eq!(response.decision(), Decision::Allow, "Cedar's own decision");
            assert_eq!(response.diagnostics().errors().count(), 1);
            // We do not.
            assert_eq!(ids(&terms.evaluate(&ask)), ["policy-error:broken"], "{mode:?}");
        }
    }

    #[test]
    fn a_missing_attribute_cannot_reach_cedar() {
        // Reads an attribute that the schema does not know: refused when it is loaded.
        let policy = r#"forbid (principal, action, resource) when { resource.colour == "red" };"#;
        let terms = terms_with("colour", policy, Mode::Enforce);
        assert!(terms.validate().is_err());
        // And were it loaded, it would err and refuse, not be skipped.
        let now = crate::instant::parse("2026-11-21").unwrap();
        assert_eq!(ids(&terms.evaluate(&Ask::new(Action::Infer, now))), ["policy-error:colour"]);
    }

    #[test]
    fn without_a_base_permit_nothing_is_permitted() {
        let now = crate::instant::parse("2026-11-21").unwrap();
        let mut terms =
            terms_with("x", "forbid (principal, action, resource) when { false };", Mode::Enforce);
        assert!(terms.evaluate(&Ask::new(Action::Infer, now)).permits());
        terms.base.remove(&Action::Infer);
        assert_eq!(ids(&terms.evaluate(&Ask::new(Action::Infer, now))), ["no-permit"]);
    }

    #[test]
    fn dates_stand_in_policies_only_as_comparisons_of_now_with_a_literal() {
        for text in [
            include_str!("../../../../terms/microsoft-openai.toml"),
            include_str!("../../../../terms/eu-residency.toml"),
            include_str!("../../../../terms/acme-bank.toml"),
        ] {
            let pack = PackChoice { file: "p.toml", text, mode: None };
            let terms = Terms::compile(&[pack], &BTreeMap::new()).unwrap();
            for rule in terms.rules.values() {
                let cedar = rule.policy.to_string();
                for (at, _) in cedar.match_indices("context.now") {
                    let after = cedar.get(at + "context.now".len()..).unwrap();
                    assert!(
                        after.starts_with(" >= datetime(\"") || after.starts_with(" < datetime(\""),
                        "{cedar}"
                    );
                }
            }
        }
    }
}
