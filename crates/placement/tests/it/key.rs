//! The permission key: each field matters, and nothing beside it is read.

use crate::support::{World, at, compile, spec};
use domain::SnapshotEpoch;
use placement::{
    Action, Attribute, CallClass, DataClasses, DeploymentIndex, FactBook, Fleet, Mode, PackChoice,
    Permission, PermissionKey, Pins, Placement, PrincipalClass, Surface, Terms, WindowIndex, WorkloadProfile,
    attribute::{Owner, Words},
    terms::{SideFile, TermsInput},
};
use std::{collections::HashSet, sync::Arc};

/// A pack in which every field of the key decides something.
const PACK: &str = r#"
[pack]
id = "fields"
title = "Every field"
binds = "us"
status = "draft"
mode = "enforce"
[[rule]]
id = "by-window"
title = "T"
from = 2026-11-01
until = 2026-12-01
forbidden = { region = "us-east-2" }
source = "s"
clause = "c"
[[rule]]
id = "by-action"
title = "T"
applies_to = { action = "cache" }
forbidden = { region = "us-east-2" }
source = "s"
clause = "c"
[[rule]]
id = "by-principal"
title = "T"
forbidden = { organisation = "acme-bank" }
source = "s"
clause = "c"
[[rule]]
id = "by-class"
title = "T"
forbidden = { class = "stateful" }
source = "s"
clause = "c"
[[rule]]
id = "by-data"
title = "T"
forbidden = { data_classes = "pii" }
source = "s"
clause = "c"
[[rule]]
id = "by-other-data"
title = "T"
forbidden = { data_classes = "other" }
source = "s"
clause = "c"
[[rule]]
id = "by-surface"
title = "T"
forbidden = { surface = "gemini" }
source = "s"
clause = "c"
"#;

fn ids(permission: &Permission) -> Vec<String> {
    permission.refusing_ids().map(str::to_owned).collect()
}

#[test]
fn changing_any_field_gives_another_key_and_another_verdict() {
    let world = World::new(compile(&[("fields.toml", PACK, None)]));
    let placement = &world.placement;
    let fleet = placement.fleet();
    let class = |id: &str| fleet.workload(&domain::WorkloadId::new(id)).unwrap().0;
    let base = PermissionKey {
        epoch: SnapshotEpoch(7),
        window: placement.window_at(at("2027-01-01")),
        action: Action::Infer,
        principal: class("research"),
        deployment: world.index("bedrock-us-east-2/gpt-5.4"),
        call_class: CallClass::Stateless,
        data_classes: DataClasses::NONE,
        surface: Surface::OpenAiChat,
    };
    assert!(placement.evaluate(base).permits());
    let inside = PermissionKey { window: placement.window_at(at("2026-11-21")), ..base };
    // Exhaustive by hand: a new field of the key does not compile in `Placement::ask`, and belongs here too.
    let changed = [
        (PermissionKey { epoch: SnapshotEpoch(8), ..base }, vec!["policy-error:key"]),
        (inside, vec!["by-window"]),
        (PermissionKey { action: Action::Cache, ..base }, vec!["by-action"]),
        (PermissionKey { principal: class("advice"), ..base }, vec!["by-principal"]),
        (PermissionKey { call_class: CallClass::Stateful, ..base }, vec!["by-class"]),
        (PermissionKey { data_classes: fleet.data_classes_of(["pii"]), ..base }, vec!["by-data"]),
        (
            PermissionKey { data_classes: fleet.data_classes_of(["never heard of"]), ..base },
            vec!["by-other-data"],
        ),
        (PermissionKey { surface: Surface::Gemini, ..base }, vec!["by-surface"]),
        (PermissionKey { deployment: world.index("openai/gpt-5.4"), ..inside }, vec![]),
    ];
    let mut keys: HashSet<PermissionKey> = [base].into();
    for (key, expected) in changed {
        assert!(keys.insert(key), "not another key: {key:?}");
        assert_eq!(ids(&placement.evaluate(key)), expected, "{key:?}");
    }
    assert!(size_of::<PermissionKey>() <= 40, "{}", size_of::<PermissionKey>());
}

#[test]
fn a_key_that_points_nowhere_is_refused() {
    let world = World::enforced();
    let base = PermissionKey {
        epoch: SnapshotEpoch(7),
        window: WindowIndex(0),
        action: Action::Infer,
        principal: PrincipalClass(0),
        deployment: DeploymentIndex(0),
        call_class: CallClass::Stateless,
        data_classes: DataClasses::NONE,
        surface: Surface::OpenAiChat,
    };
    assert!(world.placement.evaluate(base).permits());
    for key in [
        PermissionKey { window: WindowIndex(u32::MAX), ..base },
        PermissionKey { principal: PrincipalClass(u32::MAX), ..base },
        PermissionKey { deployment: DeploymentIndex(u16::MAX), ..base },
    ] {
        assert_eq!(ids(&world.placement.evaluate(key)), ["policy-error:key"]);
    }
}

#[test]
fn workloads_that_no_rule_tells_apart_share_a_class() {
    let world = World::enforced();
    let class = |id: &str| world.placement.fleet().workload(&domain::WorkloadId::new(id)).unwrap().0;
    assert_eq!(class("research"), class("research-2"));
    let all: HashSet<_> = ["research", "support-eu", "advice", "natsec"].map(class).into();
    assert_eq!(all.len(), 4);
    let by_team = PACK.replace("organisation = \"acme-bank\"", "team = \"another\"");
    let world = World::new(compile(&[("fields.toml", &by_team, None)]));
    let class = |id: &str| world.placement.fleet().workload(&domain::WorkloadId::new(id)).unwrap().0;
    assert_ne!(class("research"), class("research-2"));
    assert_eq!(class("research"), class("advice"));
}

/// A workload of which this attribute is this word, and nothing else is said.
fn marked(attribute: Attribute, word: &str) -> WorkloadProfile {
    let word: Arc<str> = word.into();
    let plain = WorkloadProfile::new(domain::WorkloadId::new("w"));
    let pin = |pins: Pins| WorkloadProfile { pins, ..plain.clone() };
    match attribute {
        Attribute::Organisation => WorkloadProfile { organisation: word, ..plain },
        Attribute::Team => WorkloadProfile { team: word, ..plain },
        Attribute::Workload => WorkloadProfile::new(domain::WorkloadId::new(&word)),
        Attribute::Tags => WorkloadProfile { tags: vec![word], ..plain },
        Attribute::Residency => WorkloadProfile { residency: word, ..plain },
        Attribute::PinIngress => pin(Pins { ingress: Some(word), ..Pins::default() }),
        Attribute::PinInference => pin(Pins { inference: Some(word), ..Pins::default() }),
        Attribute::PinState => pin(Pins { state: Some(word), ..Pins::default() }),
        Attribute::PinLogs => pin(Pins { logs: Some(word), ..Pins::default() }),
        Attribute::PinBackups => pin(Pins { backups: Some(word), ..Pins::default() }),
        Attribute::PinSubProcessors => pin(Pins { sub_processors: Some(word), ..Pins::default() }),
        Attribute::RiskClass => WorkloadProfile { risk_class: word, ..plain },
        Attribute::LatencyClass => WorkloadProfile { latency_class: word, ..plain },
        Attribute::Country => WorkloadProfile { country: word, ..plain },
        Attribute::RetentionRequired => WorkloadProfile { retention_required: word, ..plain },
        other => panic!("{other} is a new attribute of workloads: give it a place here"),
    }
}

#[test]
fn every_attribute_of_the_list_reaches_the_policies() {
    for attribute in Attribute::ALL.iter().copied().filter(|attribute| attribute.readable()) {
        let word = match attribute.words() {
            Words::Closed(words) => {
                words.iter().find(|word| !["none", "any", "unknown"].contains(word)).unwrap()
            }
            Words::Open => &"something",
        };
        let rule = format!(
            "[[rule]]\nid = \"r\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\nforbidden = {{ {attribute} = \"{word}\" }}\n"
        );
        let head = PACK.split("[[rule]]").next().unwrap();
        let terms = compile(&[("p.toml", &format!("{head}{rule}"), None)]);
        let deployment = |id: &str, provider: &str, model: &str, stated: &[&str]| {
            FactBook::default().describe(&spec(id, provider, model, stated))
        };
        let stated = format!("{attribute}={word}");
        let touched = match attribute {
            Attribute::Provider => deployment("touched", word, "m", &[]),
            Attribute::Model => deployment("touched", "p", word, &[]),
            _ if attribute.owner() == Owner::Deployment => deployment("touched", "p", "m", &[&stated]),
            _ => deployment("touched", "p", "m", &[]),
        };
        let plain = WorkloadProfile::new(domain::WorkloadId::new("plain"));
        let mut workloads = vec![plain];
        if attribute.owner() == Owner::Workload {
            workloads.push(marked(attribute, word));
        }
        let fleet =
            Fleet::new(vec![touched, deployment("plain", "p", "m", &[])], &workloads, &terms).unwrap();
        let placement = Placement::new(SnapshotEpoch(1), Arc::new(terms), Arc::new(fleet));
        let principal = |workload: &WorkloadProfile| placement.fleet().workload(&workload.id).unwrap().0;
        let base = PermissionKey {
            epoch: SnapshotEpoch(1),
            window: WindowIndex(0),
            action: Action::Infer,
            principal: principal(&workloads[0]),
            deployment: DeploymentIndex(1),
            call_class: CallClass::Hybrid,
            data_classes: DataClasses::NONE,
            surface: Surface::Internal,
        };
        let key = match (attribute, attribute.owner()) {
            (_, Owner::Deployment) => PermissionKey { deployment: DeploymentIndex(0), ..base },
            (_, Owner::Workload) => PermissionKey { principal: principal(&workloads[1]), ..base },
            (Attribute::Class, _) => PermissionKey { call_class: CallClass::by_name(word).unwrap(), ..base },
            (Attribute::Surface, _) => PermissionKey { surface: Surface::OpenAiChat, ..base },
            (Attribute::DataClasses, _) => {
                PermissionKey { data_classes: placement.fleet().data_classes_of([*word]), ..base }
            }
            other => panic!("{other:?} is a new attribute of calls: give it a place in the key and here"),
        };
        assert_ne!(key, base, "{attribute} changes no field of the key");
        assert!(placement.evaluate(base).permits(), "{attribute}");
        assert_eq!(ids(&placement.evaluate(key)), ["r"], "{attribute}");
    }
}

/// What a workload brings that is no attribute: a pack that it raised, and its name where a waiver names it.
#[test]
fn a_raised_pack_and_a_waiver_make_another_class_of_workloads() {
    let head = PACK.split("[[rule]]").next().unwrap().replace("mode = \"enforce\"", "mode = \"observe\"");
    let rule = "[[rule]]\nid = \"r\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\nforbidden = { provider = \"p\" }\nwaivable = true\n";
    let text = format!("{head}{rule}");
    let waiver = "[[waiver]]\nrule = \"r\"\nworkload = \"waived\"\nreason = \"r\"\nrequester = \"a\"\napprover = \"b\"\nfrom = 2026-11-01\nuntil = 2026-11-20\n";
    let packs = [PackChoice { file: "p.toml", text: &text, mode: None }];
    let waivers = Some(SideFile { file: "waivers.toml", text: waiver });
    let terms = Terms::compile_all(&TermsInput { packs: &packs, waivers, ..TermsInput::default() }).unwrap();
    let plain = |id: &str| WorkloadProfile::new(domain::WorkloadId::new(id));
    let raised = |id: &str, mode| WorkloadProfile { modes: [("fields".into(), mode)].into(), ..plain(id) };
    let workloads = [
        plain("plain"),
        plain("plain-2"),
        raised("raised", Mode::Enforce),
        raised("warned", Mode::Warn),
        // A pack that is not there raises nothing.
        WorkloadProfile { modes: [("gone".into(), Mode::Enforce)].into(), ..plain("elsewhere") },
        plain("waived"),
    ];
    let facts = FactBook::default().describe(&spec("d", "p", "m", &[]));
    let fleet = Fleet::new(vec![facts], &workloads, &terms).unwrap();
    let placement = Placement::new(SnapshotEpoch(1), Arc::new(terms), Arc::new(fleet));
    let class = |id: &str| placement.fleet().workload(&domain::WorkloadId::new(id)).unwrap().0;
    assert_eq!([class("plain-2"), class("elsewhere")], [class("plain"); 2]);
    let distinct: HashSet<_> = ["plain", "raised", "warned", "waived"].map(class).into();
    assert_eq!(distinct.len(), 4);
    let said = |id: &str, now: &str| {
        let key = PermissionKey {
            epoch: SnapshotEpoch(1),
            window: placement.window_at(at(now)),
            action: Action::Infer,
            principal: class(id),
            deployment: DeploymentIndex(0),
            call_class: CallClass::Stateless,
            data_classes: DataClasses::NONE,
            surface: Surface::OpenAiChat,
        };
        let found = placement.evaluate(key);
        [&found.refused, &found.warnings, &found.observed, &found.waived].map(|findings| findings.len())
    };
    assert_eq!(said("plain", "2026-11-10"), [0, 0, 1, 0]);
    assert_eq!(said("raised", "2026-11-10"), [1, 0, 0, 0]);
    assert_eq!(said("warned", "2026-11-10"), [0, 1, 0, 0]);
    assert_eq!(said("waived", "2026-11-10"), [0, 0, 0, 1]);
    assert_eq!(said("waived", "2026-11-20"), [0, 0, 1, 0]);
}
