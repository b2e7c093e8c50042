//! Pins: each part of a workload's data by itself, and what nobody stated is outside every pin.

use crate::support::{EU, FACTS, at, compile, spec};
use domain::{SnapshotEpoch, WorkloadId};
use placement::{
    Action, Attribute, CallClass, DataClasses, DeploymentIndex, DeploymentSpec, FactBook, Fleet, Permission,
    PermissionKey, Pins, Placement, Surface, Terms, WorkloadProfile,
};
use std::sync::{Arc, LazyLock};

fn ids(permission: &Permission) -> Vec<&str> {
    permission.refusing_ids().collect()
}

/// What the shipped pack says of one workload at one deployment, action by action.
fn refusals(workload: WorkloadProfile, deployment: &DeploymentSpec, action: Action) -> Vec<String> {
    static TERMS: LazyLock<Arc<Terms>> =
        LazyLock::new(|| Arc::new(compile(&[("terms/eu-residency.toml", EU, None)])));
    static BOOK: LazyLock<FactBook> =
        LazyLock::new(|| FactBook::parse(&[("catalog/facts.toml", FACTS)]).unwrap());
    let id = workload.id.clone();
    let fleet = Fleet::new(vec![BOOK.describe(deployment)], &[workload], &TERMS).unwrap();
    let placement = Placement::new(SnapshotEpoch(1), Arc::clone(&TERMS), Arc::new(fleet));
    let (principal, data_classes) = placement.fleet().workload(&id).unwrap();
    let key = PermissionKey {
        epoch: SnapshotEpoch(1),
        window: placement.window_at(at("2026-11-21")),
        action,
        principal,
        deployment: DeploymentIndex(0),
        call_class: CallClass::Stateless,
        data_classes: data_classes.with(DataClasses::NONE),
        surface: Surface::OpenAiChat,
    };
    ids(&placement.evaluate(key)).into_iter().map(str::to_owned).collect()
}

fn pinned(pins: Pins) -> WorkloadProfile {
    WorkloadProfile { pins, ..WorkloadProfile::new(WorkloadId::new("w")) }
}

fn eu() -> Option<Arc<str>> {
    Some("eu".into())
}

/// Everything about it is unknown.
fn unknown() -> DeploymentSpec {
    spec("somewhere", "nobody", "no-model", &[])
}

#[test]
fn each_pin_refuses_its_own_actions_where_the_fact_is_unknown() {
    let none = Pins::default;
    for (pins, rule, actions) in [
        (Pins { inference: eu(), ..none() }, "eu-residency", &["infer", "cache", "fine_tune"][..]),
        (
            Pins { ingress: eu(), ..none() },
            "eu-residency-ingress",
            &["infer", "host_state", "store", "fine_tune"],
        ),
        (Pins { state: eu(), ..none() }, "eu-residency-state", &["host_state", "store"]),
        (Pins { logs: eu(), ..none() }, "eu-residency-logs", &["log_body"]),
        (
            Pins { backups: eu(), ..none() },
            "eu-residency-backups",
            &["host_state", "store", "cache", "log_body", "fine_tune"],
        ),
        (
            Pins { sub_processors: eu(), ..none() },
            "eu-residency-sub-processors",
            &["infer", "host_state", "store", "log_body", "cache", "fine_tune"],
        ),
    ] {
        for action in Action::ALL {
            let expected = if actions.contains(&action.name()) { vec![rule] } else { vec![] };
            assert_eq!(
                refusals(pinned(pins.clone()), &unknown(), action),
                expected,
                "{rule} {}",
                action.name()
            );
        }
    }
}

#[test]
fn a_stated_fact_opens_its_own_pin_and_a_partly_unknown_one_does_not() {
    for (name, _, bound) in Attribute::PINS {
        let mut pins = Pins::default();
        let slot = match name {
            "ingress" => &mut pins.ingress,
            "inference" => &mut pins.inference,
            "state" => &mut pins.state,
            "logs" => &mut pins.logs,
            "backups" => &mut pins.backups,
            _ => &mut pins.sub_processors,
        };
        *slot = eu();
        let at_home = spec("home", "nobody", "no-model", &[&format!("{bound}=de,fr")]);
        let partly = spec("partly", "nobody", "no-model", &[&format!("{bound}=de,unknown")]);
        let abroad = spec("abroad", "nobody", "no-model", &[&format!("{bound}=de,us")]);
        let (mut opened, mut held) = (0, 0);
        for action in Action::ALL {
            opened += usize::from(refusals(pinned(pins.clone()), &at_home, action).is_empty());
            for other in [&partly, &abroad, &unknown()] {
                held += usize::from(!refusals(pinned(pins.clone()), other, action).is_empty());
            }
        }
        assert_eq!(opened, Action::ALL.len(), "{name}");
        assert!(held >= 3 && held % 3 == 0, "{name}: {held}");
    }
}

#[test]
fn residency_sets_the_pins_of_inference_and_state_unless_they_are_set_apart() {
    let resident = WorkloadProfile { residency: "eu".into(), ..pinned(Pins::default()) };
    assert_eq!(refusals(resident.clone(), &unknown(), Action::Infer), ["eu-residency"]);
    assert_eq!(refusals(resident.clone(), &unknown(), Action::HostState), ["eu-residency-state"]);
    for action in [Action::LogBody, Action::Administer] {
        assert!(
            refusals(resident.clone(), &unknown(), action).is_empty(),
            "the others are only set by themselves"
        );
    }
    let apart = Pins { state: Some("none".into()), logs: eu(), ..Pins::default() };
    let apart = WorkloadProfile { pins: apart, ..resident };
    assert!(refusals(apart.clone(), &unknown(), Action::HostState).is_empty());
    assert_eq!(refusals(apart.clone(), &unknown(), Action::Infer), ["eu-residency"]);
    assert_eq!(refusals(apart, &unknown(), Action::LogBody), ["eu-residency-logs"]);
}
