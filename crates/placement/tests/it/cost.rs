//! What a decision costs. Measurements, not checks of time: run them by hand, in release for figures that mean
//! something: `cargo nextest run -p placement --release --run-ignored only --no-capture -E 'test(cost::)'`.
//! Each figure is wall time and, on Linux, the processor time of the measuring thread.

use crate::support::{Memo, World, at, compile, spec};
use domain::{ModelName, SnapshotEpoch, WorkloadId};
use placement::{
    CallClass, Can, Candidate, DeploymentIndex, FactBook, Fleet, Mode, Outcome, Placement, Question,
    Standing, Surface, WorkloadProfile, rank,
};
use std::{
    fmt::{self, Write as _},
    hint::black_box,
    sync::Arc,
    time::Duration,
};

/// Wall time, and processor time where the system tells it.
#[derive(Clone, Copy)]
struct Spent {
    wall: Duration,
    processor: Option<Duration>,
}

impl Spent {
    fn per(self, rounds: u32) -> Self {
        Self { wall: self.wall / rounds, processor: self.processor.map(|own| own / rounds) }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.wall)?;
        self.processor.map_or(Ok(()), |own| write!(f, " (processor {own:?})"))
    }
}

/// Nanoseconds that this thread has run, as Linux counts them.
fn processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn spent(work: impl FnOnce()) -> Spent {
    let (before, start) = (processor(), std::time::Instant::now());
    work();
    let wall = start.elapsed();
    Spent { wall, processor: processor().zip(before).map(|(after, before)| after.saturating_sub(before)) }
}

fn per_round(rounds: u32, mut work: impl FnMut()) -> Spent {
    work();
    spent(|| (0..rounds).for_each(|_| work())).per(rounds)
}

/// As many rules as asked for, of so many families, so that the filter by scope has something to do; of none, so
/// that it has nothing to do.
fn pack(rules: usize, families: usize) -> String {
    let mut text =
        "[pack]\nid = \"many\"\ntitle = \"M\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n"
            .to_owned();
    let names = ["openai-proprietary", "claude", "gemini", "llama", "mistral"];
    for index in 0..rules {
        let family = names.iter().take(families).cycle().nth(index);
        let family = family.map_or_else(String::new, |family| format!("family = \"{family}\", "));
        let _ = write!(
            text,
            "[[rule]]\nid = \"r{index}\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\nfrom = 2026-01-01\napplies_to = {{ {family}team = \"t{index}\" }}\nallowed_only = {{ cloud = [\"azure\", \"gcp\"] }}\n",
        );
    }
    text
}

#[test]
#[ignore = "a measurement"]
fn cost_of_an_evaluation_a_standing_and_a_ranking() {
    println!("compile the shipped packs: {}", per_round(5, || drop(crate::support::terms(Mode::Enforce))));
    let mut worlds = vec![("shipped packs".to_owned(), World::enforced())];
    for (rules, families) in [(5, 5), (35, 5), (100, 5), (100, 0), (205, 5), (1_000, 5), (1_000, 0)] {
        worlds.push((
            format!("{rules} rules, {families} families"),
            World::new(compile(&[("m.toml", &pack(rules, families), None)])),
        ));
    }
    for (name, world) in &worlds {
        let model = ModelName::new("gpt-5.4");
        let candidates = world.candidates("gpt-5.4");
        let question =
            world.question("research", &model, CallClass::Stateless, at("2026-03-15"), &candidates);
        let key = world.placement.key(&question, placement::Action::Infer, candidates[0].deployment);
        let evaluation = per_round(200, || drop(black_box(world.placement.evaluate(key))));
        let memo = Memo::default();
        let hit = per_round(10_000, || drop(black_box(memo.get(&world.placement, key))));
        let miss = per_round(20, || {
            drop(black_box(
                world.placement.standing(&question, &|key| Arc::new(world.placement.evaluate(key))),
            ));
        });
        let standing = world.placement.standing(&question, &|key| memo.get(&world.placement, key));
        let live = world.down(&[]);
        let mut ranked = Vec::new();
        let ranking = per_round(10_000, || {
            assert_eq!(black_box(rank(&standing, &live, &mut ranked)), Outcome::Placed);
        });
        println!(
            "{name}: evaluation {evaluation}, memo hit {hit}, standing of {} {miss}, rank {ranking}",
            candidates.len()
        );
    }
}

/// So many deployments of one model, of which each second stands in a cloud that the rules refuse, and so many
/// workloads that the rules tell apart.
fn fleet(rules: &str, deployments: usize, workloads: usize) -> Placement {
    let terms = compile(&[("m.toml", rules, None)]);
    let facts = (0..deployments).map(|index| {
        let cloud = ["cloud=azure", "cloud=aws"][index % 2];
        let stated = ["family=openai-proprietary", cloud, "product=api", "jurisdictions=de,fr"];
        FactBook::default().describe(&spec(&format!("d{index}"), "p", "m", &stated))
    });
    let workloads: Vec<_> = (0..workloads)
        .map(|index| WorkloadProfile {
            team: format!("t{index}").as_str().into(),
            ..WorkloadProfile::new(WorkloadId::new(&format!("w{index}")))
        })
        .collect();
    let fleet = Fleet::new(facts.collect(), &workloads, &terms).unwrap();
    assert_eq!(fleet.class_count(), workloads.len());
    Placement::new(SnapshotEpoch(1), Arc::new(terms), Arc::new(fleet))
}

/// A standing without any memo, as the first decision of a class.
fn first_decision(placement: &Placement, workload: usize, candidates: &[Candidate]) -> Standing {
    let (principal, data_classes) =
        placement.fleet().workload(&WorkloadId::new(&format!("w{workload}"))).unwrap();
    let model = ModelName::new("m");
    let question = Question {
        principal,
        model: &model,
        call_class: CallClass::Stateless,
        data_classes,
        surface: Surface::OpenAiChat,
        candidates,
        now: at("2026-03-15"),
    };
    placement.standing(&question, &|key| Arc::new(placement.evaluate(key)))
}

fn everywhere(deployments: u16) -> Vec<Candidate> {
    (0..deployments)
        .map(|index| Candidate {
            deployment: DeploymentIndex(index),
            can: Can::Yes,
            order: u32::from(index),
            weight: 1,
            cost: None,
        })
        .collect()
}

#[test]
#[ignore = "a measurement"]
fn cost_of_first_decisions_in_big_fleets() {
    for (rules, families, deployments, classes) in
        [(100, 5, 64, 20), (100, 0, 64, 20), (1_000, 5, 500, 200), (1_000, 0, 500, 200)]
    {
        let mut made = None;
        let building =
            spent(|| made = Some(fleet(&pack(rules, families), usize::from(deployments), classes)));
        let placement = made.unwrap();
        let candidates = everywhere(deployments);
        let decide = |class: usize| {
            let standing = first_decision(&placement, class, &candidates);
            // The rule of its own team and no other one refuses each second deployment, where its family is meant.
            let refused =
                if families == 0 || class.is_multiple_of(5) { usize::from(deployments) / 2 } else { 0 };
            assert_eq!(standing.refused.len(), refused, "{class}");
        };
        let very_first = spent(|| decide(0));
        let next = spent(|| decide(1));
        let rest = if rules == 1_000 && families == 0 { 8 } else { classes };
        let all = spent(|| (0..rest).for_each(decide));
        println!(
            "{rules} rules of {families} families, {deployments} deployments, {classes} classes: terms and fleet made in {building}; \
             very first decision {very_first}, of the next class {next}, {rest} classes {all}"
        );
    }
}
