use super::*;
use crate::{
    Engine, EngineSettings, Explains, KeySpec, ModelSpec, SnapshotSpec, Timeouts, WorkloadSpec,
    call::ActiveCall, place::Placed, snapshot::DeploymentSpec, upstream::TlsSettings,
};
use domain::{
    Capabilities, DeploymentId, KeyId, ManualClock, ModelName, Secret, WorkloadId, journal::MemoryJournal,
    secret::FixedSecret,
};
use placement::{
    Attribute, FactBook, Fleet, PackChoice, Placement, Terms, WorkloadProfile, facts, facts::Stated,
};
use providers::Written;
use std::collections::BTreeMap;

/// AWS is closed until 27 April 2026.
const DATED: &str = r#"
[pack]
id = "dated"
title = "D"
binds = "us"
status = "draft"
mode = "enforce"
[[rule]]
id = "not-on-aws-yet"
title = "T"
until = 2026-04-27
forbidden = { cloud = "aws" }
source = "s"
clause = "c"
"#;

/// What a second edition adds: workloads are told apart, and Azure is closed to one of them.
const MORE: &str = r#"
[[rule]]
id = "first-not-on-azure"
title = "T"
applies_to = { workload = "a-first" }
forbidden = { cloud = "azure" }
source = "s"
clause = "c"
[[rule]]
id = "later"
title = "T"
from = 2026-04-27T00:00:20Z
forbidden = { cloud = "oci" }
source = "s"
clause = "c"
"#;

struct Bench {
    clock: Arc<ManualClock>,
    engine: Arc<Engine>,
}

impl Bench {
    fn new(start: &str) -> Self {
        let clock = Arc::new(ManualClock::at(start.parse().unwrap()));
        let engine = Engine::new(EngineSettings {
            clock: Arc::clone(&clock) as _,
            journal: Arc::new(MemoryJournal::default()),
            max_buffered: 1 << 20,
            seed: [3; 32],
        });
        Self { clock, engine }
    }

    fn load(&self, pack: &str, workloads: &[&str], clouds: &[&str]) {
        let pack = PackChoice { file: "dated.toml", text: pack, mode: None };
        let terms = Arc::new(Terms::compile(&[pack], &BTreeMap::new()).unwrap());
        let facts = clouds.iter().map(|cloud| {
            FactBook::default().describe(&facts::DeploymentSpec {
                id: (*cloud).into(),
                provider: "openai".into(),
                model: "gpt-5.4".into(),
                stated: vec![Stated::new(Attribute::Cloud, &[*cloud], "test.toml:1").unwrap()],
            })
        });
        let profiles: Vec<_> = workloads.iter().map(|id| WorkloadProfile::new((*id).into())).collect();
        let fleet = Arc::new(Fleet::new(facts.collect(), &profiles, &terms).unwrap());
        let spec = SnapshotSpec {
            deployments: (0..).zip(clouds).map(|(order, cloud)| deployment(cloud, order)).collect(),
            models: vec![ModelSpec {
                name: ModelName::new("gpt-5.4"),
                deployments: clouds.iter().map(|cloud| DeploymentId::new(cloud)).collect(),
            }],
            workloads: workloads.iter().map(|id| workload(id, &fleet)).collect(),
            keys: workloads
                .iter()
                .map(|id| KeySpec {
                    id: KeyId::new(id),
                    secret: format!("sk-{id}").into(),
                    workload: (*id).into(),
                })
                .collect(),
            placement: Arc::new(Placement::new(self.engine.next_epoch(), terms, fleet)),
            discover: false,
        };
        self.engine.load(spec).unwrap();
    }

    fn set(&self, now: &str) {
        self.clock.set(now.parse().unwrap());
    }

    async fn place(&self, workload: &str, body: &'static str) -> Placed {
        let caller = self.engine.caller(Some(&format!("sk-{workload}"))).unwrap();
        let call = ActiveCall::openai_chat(self.engine.new_call_id(), body.into()).unwrap();
        self.engine.place(&caller, &call).await.map_err(|refused| refused.fault.message).unwrap()
    }

    fn awaited(&self) -> u64 {
        self.engine.snapshot().unwrap().awaited()
    }

    fn known(&self) -> usize {
        self.engine.snapshot().unwrap().memo.standings.len()
    }
}

fn deployment(cloud: &str, order: u16) -> DeploymentSpec {
    let written = Written {
        provider: "openai".into(),
        model: "gpt-5.4".into(),
        endpoint: Some("http://127.0.0.1:9".into()),
        ..Written::default()
    };
    DeploymentSpec {
        id: cloud.into(),
        endpoint: providers::registry::check(&written).unwrap(),
        secret: Arc::new(FixedSecret::new(Secret::token("sk"))),
        capabilities: Capabilities::default(),
        prices: Arc::new(ledger::PriceSheet::new(Vec::new(), "")),
        timeouts: Timeouts::default(),
        order,
        concurrency: 4,
        connect_timeout: Duration::from_secs(1),
        tls: TlsSettings::default(),
        proxy: None,
    }
}

fn workload(id: &str, fleet: &Fleet) -> WorkloadSpec {
    let (principal, data_classes) = fleet.workload(&WorkloadId::new(id)).unwrap();
    WorkloadSpec {
        id: id.into(),
        principal,
        data_classes,
        explains: Explains::Full,
        may_pin: true,
        models: Vec::new(),
        class: None,
    }
}

fn names(placed: &Placed) -> Vec<&str> {
    placed.candidates.iter().map(|deployment| deployment.id.as_str()).collect()
}

const PLAIN: &str = r#"{"model":"gpt-5.4","messages":[{"role":"user","content":"x"}]}"#;
const PINNED: &str = r#"{"model":"gpt-5.4@azure","messages":[{"role":"user","content":"x"}]}"#;
const ELSEWHERE: &str = r#"{"model":"gpt-5.4@aws","messages":[{"role":"user","content":"x"}]}"#;

#[tokio::test]
async fn at_a_boundary_no_call_waits() {
    let bench = Bench::new("2026-04-26T23:50:00Z");
    bench.load(DATED, &["b"], &["aws", "azure"]);
    assert_eq!(names(&bench.place("b", PLAIN).await), ["azure"]);
    bench.place("b", PINNED).await;
    assert_eq!((bench.awaited(), bench.known()), (2, 2));
    bench.set("2026-04-26T23:58:59Z");
    bench.engine.prepare_next_window();
    assert_eq!(bench.known(), 2, "the boundary is more than a minute away");
    bench.set("2026-04-26T23:59:01Z");
    bench.engine.prepare_next_window();
    assert_eq!(bench.known(), 4);
    bench.set("2026-04-26T23:59:59.999Z");
    assert_eq!(names(&bench.place("b", PLAIN).await), ["azure"]);
    bench.set("2026-04-27T00:00:00Z");
    assert_eq!(names(&bench.place("b", PLAIN).await), ["aws", "azure"]);
    bench.place("b", PINNED).await;
    assert_eq!(bench.awaited(), 2, "no call waited at the boundary");
    // What was not made ahead is made when it is asked for, and rightly.
    let cold = bench.place("b", ELSEWHERE).await;
    assert_eq!((names(&cold), bench.awaited()), (vec!["aws"], 3));
}

#[tokio::test]
async fn boundaries_close_together_are_all_prepared() {
    let bench = Bench::new("2026-04-26T23:59:50Z");
    bench.load(&format!("{DATED}{MORE}"), &["b"], &["aws", "azure"]);
    bench.place("b", PLAIN).await;
    bench.engine.prepare_next_window();
    for now in ["2026-04-27T00:00:00Z", "2026-04-27T00:00:20Z"] {
        bench.set(now);
        let placed = bench.place("b", PLAIN).await;
        let snapshot = bench.engine.snapshot().unwrap();
        assert_eq!(placed.standing.window, snapshot.placement.window_at(now.parse().unwrap()));
        assert_eq!(bench.awaited(), 1, "{now}");
    }
}

#[tokio::test]
async fn at_a_swap_no_call_of_a_hot_class_waits() {
    let bench = Bench::new("2026-04-26T23:59:30Z");
    bench.load(DATED, &["b", "a-first"], &["aws", "azure"]);
    assert_eq!(names(&bench.place("b", PLAIN).await), ["azure"]);
    bench.place("b", PINNED).await;
    // One class of two workloads until now; told apart from now on, in other order, and the deployments too.
    bench.load(&format!("{DATED}{MORE}"), &["a-first", "other", "b"], &["oci", "azure", "aws"]);
    assert_eq!(names(&bench.place("b", PLAIN).await), ["oci", "azure"]);
    assert_eq!(names(&bench.place("b", PINNED).await), ["azure"]);
    assert_eq!(names(&bench.place("a-first", PLAIN).await), ["oci"]);
    assert_eq!(bench.awaited(), 0);
    // The boundary that comes within the minute was made too.
    bench.set("2026-04-27T00:00:00Z");
    assert_eq!(names(&bench.place("b", PLAIN).await), ["oci", "azure", "aws"]);
    assert_eq!(bench.awaited(), 0);
    // Each standing that was made ahead is the one that is made when it is asked for.
    let snapshot = bench.engine.snapshot().unwrap();
    assert!(snapshot.memo.standings.len() >= 4);
    for (key, kept) in snapshot.memo.standings.iter() {
        let instant = snapshot.placement.windows().inside(key.window).unwrap();
        assert_eq!(snapshot.make_standing(&key, instant).decision, kept.standing().decision);
    }
    // A deployment that is gone takes its pinned questions along.
    bench.load(DATED, &["b"], &["aws"]);
    assert_eq!(names(&bench.place("b", PLAIN).await), ["aws"]);
    assert_eq!((bench.awaited(), bench.known()), (0, 1));
}

#[tokio::test]
async fn what_was_asked_last_is_hottest() {
    let bench = Bench::new("2026-01-01T00:00:00Z");
    bench.load(DATED, &["b"], &["aws", "azure"]);
    let snapshot = bench.engine.snapshot().unwrap();
    let first = || {
        let hot = snapshot.memo.hot(snapshot.placement.window_at("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(hot.len(), 2);
        hot[0].pin.is_some()
    };
    bench.place("b", PLAIN).await;
    bench.engine.prepare_next_window();
    bench.place("b", PINNED).await;
    assert!(first());
    bench.engine.prepare_next_window();
    bench.place("b", PLAIN).await;
    assert!(!first());
}

#[tokio::test]
async fn a_standing_is_never_kept_under_the_key_of_another_window() {
    let bench = Bench::new("2026-04-26T23:59:59Z");
    bench.load(DATED, &["b"], &["aws", "azure"]);
    let before = bench.place("b", PLAIN).await;
    let snapshot = bench.engine.snapshot().unwrap();
    let (key, _) = snapshot.memo.standings.iter().next().unwrap();
    // The call was admitted before the boundary, its standing is made after it.
    let late = snapshot.make_standing(&key, "2026-04-27T00:00:00.001Z".parse().unwrap());
    assert_eq!((late.window, late.decision), (key.window, before.decision));
}

/// By hand, in release for a figure that means something:
/// `cargo nextest run -p engine --release --run-ignored only --no-capture -E 'test(cost_of)'`.
#[tokio::test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
async fn cost_of_a_decision_that_is_known() {
    const ROUNDS: u32 = 100_000;
    let bench = Bench::new("2026-01-01T00:00:00Z");
    bench.load(DATED, &["b"], &["aws", "azure"]);
    bench.place("b", PLAIN).await;
    let snapshot = bench.engine.snapshot().unwrap();
    let (key, _) = snapshot.memo.standings.iter().next().unwrap();
    let start = std::time::Instant::now();
    for _ in 0..ROUNDS {
        assert!(std::hint::black_box(snapshot.memo.known(&key)).is_some());
    }
    let hit = start.elapsed() / ROUNDS;
    let caller = bench.engine.caller(Some("sk-b")).unwrap();
    let call = ActiveCall::openai_chat(bench.engine.new_call_id(), PLAIN.into()).unwrap();
    let start = std::time::Instant::now();
    for _ in 0..ROUNDS {
        assert!(std::hint::black_box(bench.engine.place(&caller, &call).await).is_ok());
    }
    println!("memo hit {hit:?}; whole placement of a call, two deployments: {:?}", start.elapsed() / ROUNDS);
}
