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

/// What the rules of a made pack look at, and so how many of them are left for Cedar.
#[derive(Clone, Copy, PartialEq)]
enum Looks {
    /// Each at a team of its own, a fifth of them at the family: of a question at most one is left.
    FamiliesAndTeams,
    /// Each at a team of its own: one is left.
    Teams,
    /// Each at a region of its own, of which the fleet has 64: few are left, and other ones at each deployment.
    Regions,
    /// At nothing: all are left, for each question.
    Nothing,
}

impl Looks {
    const fn words(self) -> &'static str {
        match self {
            Self::FamiliesAndTeams => "looking at families and teams",
            Self::Teams => "looking at teams",
            Self::Regions => "looking at regions",
            Self::Nothing => "looking at nothing that tells questions apart",
        }
    }
}

/// As many rules as asked for. All of them permit two clouds and no other.
fn pack(rules: usize, looks: Looks) -> String {
    let mut text =
        "[pack]\nid = \"many\"\ntitle = \"M\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n"
            .to_owned();
    let names = ["openai-proprietary", "claude", "gemini", "llama", "mistral"];
    for index in 0..rules {
        let applies = match looks {
            Looks::FamiliesAndTeams => format!("family = \"{}\", team = \"t{index}\"", names[index % 5]),
            Looks::Teams => format!("team = \"t{index}\""),
            Looks::Regions => format!("region = \"r{}\"", index % 64),
            Looks::Nothing => "family = \"openai-proprietary\"".to_owned(),
        };
        let _ = write!(
            text,
            "[[rule]]\nid = \"r{index}\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\nfrom = 2026-01-01\napplies_to = {{ {applies} }}\nallowed_only = {{ cloud = [\"azure\", \"gcp\"] }}\n",
        );
    }
    text
}

#[test]
#[ignore = "a measurement"]
fn cost_of_an_evaluation_a_standing_and_a_ranking() {
    println!("compile the shipped packs: {}", per_round(5, || drop(crate::support::terms(Mode::Enforce))));
    let mut worlds = vec![("shipped packs".to_owned(), World::enforced())];
    for (rules, looks) in [
        (5, Looks::Nothing),
        (35, Looks::Nothing),
        (100, Looks::FamiliesAndTeams),
        (100, Looks::Regions),
        (100, Looks::Nothing),
        (1_000, Looks::Teams),
        (1_000, Looks::Nothing),
    ] {
        worlds.push((
            format!("{rules} rules, {}", looks.words()),
            World::new(compile(&[("m.toml", &pack(rules, looks), None)])),
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
            assert_eq!(black_box(rank(&standing, &live, 8, &mut ranked)), Outcome::Placed);
        });
        println!(
            "{name}: evaluation {evaluation}, memo hit {hit}, standing of {} {miss}, rank {ranking}",
            candidates.len()
        );
    }
}

/// So many deployments of one model, in 64 regions, of which each second stands in a cloud that the rules refuse,
/// and so many workloads that the rules tell apart.
fn fleet(rules: &str, deployments: usize, workloads: usize) -> Placement {
    let terms = compile(&[("m.toml", rules, None)]);
    let facts = (0..deployments).map(|index| {
        let cloud = ["cloud=azure", "cloud=aws"][index % 2];
        let region = format!("region=r{}", index % 64);
        let stated = ["family=openai-proprietary", cloud, &region, "product=api", "jurisdictions=de,fr"];
        FactBook::default().describe(&spec(&format!("d{index}"), "p", "m", &stated))
    });
    let workloads: Vec<_> = (0..workloads)
        .map(|index| WorkloadProfile {
            team: format!("t{index}").as_str().into(),
            ..WorkloadProfile::new(WorkloadId::new(&format!("w{index}")))
        })
        .collect();
    let fleet = Fleet::new(facts.collect(), &workloads, &terms).unwrap();
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
    for (rules, looks, deployments, classes) in [
        (100, Looks::FamiliesAndTeams, 64, 20),
        (100, Looks::Teams, 64, 20),
        (100, Looks::Regions, 64, 20),
        (100, Looks::Nothing, 64, 20),
        (1_000, Looks::FamiliesAndTeams, 500, 200),
        (1_000, Looks::Teams, 500, 200),
        (1_000, Looks::Regions, 500, 200),
        (1_000, Looks::Nothing, 500, 200),
    ] {
        let mut made = None;
        let building = spent(|| made = Some(fleet(&pack(rules, looks), usize::from(deployments), classes)));
        let placement = made.unwrap();
        // Where no rule looks at teams, all workloads are one class: the same decision again, without a memo.
        let distinct = placement.fleet().class_count();
        let candidates = everywhere(deployments);
        let decide = |class: usize| {
            let standing = first_decision(&placement, class, &candidates);
            // Each second deployment is refused, where a rule speaks of this class.
            let speaks = looks != Looks::FamiliesAndTeams || class.is_multiple_of(5);
            let refused = if speaks { usize::from(deployments) / 2 } else { 0 };
            assert_eq!(standing.refused.len(), refused, "{class}");
        };
        let very_first = spent(|| decide(0));
        let next = spent(|| decide(1));
        let rest = if rules == 1_000 && looks == Looks::Nothing { 2 } else { classes };
        let all = spent(|| (0..rest).for_each(decide));
        println!(
            "{rules} rules {}, {deployments} deployments, {distinct} classes: terms and fleet made in {building}; \
             very first decision {very_first}, the next {next}, {rest} decisions {all}",
            looks.words()
        );
    }
}
