//! The permission key: each field matters, and nothing beside it is read.

use crate::support::{World, at, compile};
use domain::SnapshotEpoch;
use placement::{
    Action, CallClass, DataClasses, DeploymentIndex, Permission, PermissionKey, PrincipalClass, Surface,
    WindowIndex,
};
use std::collections::HashSet;

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
