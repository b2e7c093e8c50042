//! Memo off = memo on, over random packs with waivers and dated modes, random workloads with pins and raised packs,
//! random facts, and questions at random instants, many of them beside a boundary.

use crate::support::{FACTS, Memo, World, at, demo_specs, workloads};
use domain::{ModelName, SnapshotEpoch, WorkloadId};
use jiff::{SignedDuration, Timestamp};
use placement::{
    Attribute, CallClass, DataClasses, FactBook, Fleet, Mode, PackChoice, PermissionKey, Pins, Placement,
    Question, Surface, Terms, WorkloadProfile,
    facts::Stated,
    terms::{SideFile, TermsInput},
};
use proptest::prelude::*;
use std::{fmt::Write as _, sync::Arc};

#[derive(Clone, Debug)]
struct RandomRule {
    from: u8,
    length: u8,
    applies: usize,
    verdict: usize,
    except: bool,
    mode: usize,
    /// For which workload it is waived, and from which hour of its time on.
    waived: Option<(usize, u8)>,
}

const APPLIES: [&str; 15] = [
    "family = \"openai-proprietary\"",
    "family = [\"claude\", \"openai-open-weight\"]",
    "class = \"stateless\"",
    "residency = \"eu\"",
    "organisation = \"acme-bank\", surface = \"openai-chat\"",
    "action = [\"infer\", \"host_state\"], data_classes = [\"pii\", \"none\"]",
    "team = \"another\"",
    "pin_state = \"eu\"",
    "pin_inference = \"eu\", class = [\"stateful\", \"hybrid\"]",
    "pin_ingress = \"us\"",
    "action = [\"infer\", \"log_body\"], pin_logs = \"eu\"",
    "pin_backups = \"eu\", pin_sub_processors = \"none\"",
    "risk_class = \"high\"",
    "latency_class = [\"interactive\", \"none\"]",
    "country = [\"de\", \"none\"], data_classes = \"pii\"",
];
const VERDICTS: [&str; 14] = [
    "forbidden = { cloud = \"aws\" }",
    "allowed_only = { cloud = [\"azure\", \"on-prem\"] }",
    "allowed_only = { jurisdictions = \"@eu-eea\" }",
    "forbidden = { retention = [\"unknown\", \"days30\"] }",
    "forbidden = { model = \"gpt-*\" }",
    "allowed_only = { attestations = [\"iso-27001\"] }",
    "allowed_only = { partition = [\"commercial\", \"unknown\"] }",
    "forbidden = { cost_structure = \"token\" }",
    "allowed_only = { accelerator = [\"unknown\", \"h200\"] }",
    "allowed_only = { sla = [\"99.9\", \"unknown\"] }",
    "allowed_only = { state_jurisdictions = \"@eu-eea\" }",
    "allowed_only = { log_jurisdictions = [\"us\", \"unknown\"] }",
    "forbidden = { backup_jurisdictions = \"unknown\" }",
    "allowed_only = { ingress_jurisdictions = \"@eu-eea\", sub_processor_jurisdictions = \"@eu-eea\" }",
];
/// Facts that some deployments have.
const STATED: [&str; 8] = [
    "partition=us-gov",
    "cost_structure=token",
    "accelerator=h200",
    "sla=99.9",
    "state_jurisdictions=de,fr",
    "log_jurisdictions=us",
    "backup_jurisdictions=de",
    "ingress_jurisdictions=de",
];
const NAMES: [&str; 7] = ["research", "support-eu", "advice", "natsec", "research-2", "pinned", "raised"];

fn begin(rule: &RandomRule) -> Timestamp {
    at("2026-01-01") + SignedDuration::from_hours(24 * i64::from(rule.from))
}

fn end(rule: &RandomRule) -> Timestamp {
    begin(rule) + SignedDuration::from_hours(1 + i64::from(rule.length))
}

fn pack(rules: &[RandomRule]) -> String {
    let mut text =
        "[pack]\nid = \"random\"\ntitle = \"R\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n"
            .to_owned();
    for (index, rule) in rules.iter().enumerate() {
        let mode = match rule.mode {
            3 => format!(
                "[{{ mode = \"observe\" }}, {{ mode = \"enforce\", from = {} }}]",
                begin(rule) + SignedDuration::from_mins(30)
            ),
            mode => format!("\"{}\"", ["observe", "warn", "enforce"][mode]),
        };
        let _ = write!(
            text,
            "[[rule]]\nid = \"r{index}\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\nfrom = {}\nuntil = {}\nmode = {mode}\nwaivable = true\napplies_to = {{ {} }}\n{}\n{}",
            begin(rule),
            end(rule),
            APPLIES[rule.applies],
            VERDICTS[rule.verdict],
            if rule.except { "except = [{ tags = \"us-gov-natsec\" }]\n" } else { "" },
        );
    }
    text
}

fn waivers(rules: &[RandomRule]) -> String {
    let mut text = String::new();
    for (index, rule) in rules.iter().enumerate() {
        let Some((workload, hour)) = rule.waived else { continue };
        let from = begin(rule) + SignedDuration::from_hours(i64::from(hour % 24));
        let _ = write!(
            text,
            "[[waiver]]\nrule = \"r{index}\"\nworkload = \"{}\"\nreason = \"r\"\nrequester = \"a\"\napprover = \"b\"\nfrom = {from}\nuntil = {}\n",
            NAMES[workload],
            from + SignedDuration::from_hours(7),
        );
    }
    text
}

/// The usual workloads, one that has pins and classes, and one that raised the pack.
fn profiles() -> Vec<WorkloadProfile> {
    let plain = |id: &str| WorkloadProfile::new(WorkloadId::new(id));
    let mut all = workloads();
    all.push(WorkloadProfile {
        pins: Pins {
            ingress: Some("us".into()),
            inference: Some("eu".into()),
            state: Some("eu".into()),
            logs: Some("eu".into()),
            backups: Some("eu".into()),
            sub_processors: None,
        },
        risk_class: "high".into(),
        latency_class: "interactive".into(),
        country: "de".into(),
        data_classes: vec!["pii".into()],
        ..plain("pinned")
    });
    all.push(WorkloadProfile { modes: [("random".into(), Mode::Enforce)].into(), ..plain("raised") });
    all
}

fn random_world(rules: &[RandomRule]) -> World {
    let text = pack(rules);
    let waivers = waivers(rules);
    let packs = [PackChoice { file: "random.toml", text: &text, mode: None }];
    let waivers = Some(SideFile { file: "waivers.toml", text: &waivers });
    let terms = Terms::compile_all(&TermsInput { packs: &packs, waivers, ..TermsInput::default() })
        .unwrap_or_else(|problems| panic!("{problems}"));
    let book = FactBook::parse(&[("catalog/facts.toml", FACTS)]).unwrap();
    let deployments = demo_specs().into_iter().enumerate().map(|(index, mut spec)| {
        // Every second deployment says more of itself, each from another place on.
        for (name, words) in STATED.iter().skip(index).step_by(2).filter_map(|text| text.split_once('=')) {
            let words: Vec<&str> = words.split(',').collect();
            spec.stated.push(Stated::new(Attribute::by_name(name).unwrap(), &words, "test.toml:1").unwrap());
        }
        book.describe(&spec)
    });
    let fleet = Fleet::new(deployments.collect(), &profiles(), &terms).unwrap();
    World { placement: Placement::new(SnapshotEpoch(7), Arc::new(terms), Arc::new(fleet)) }
}

fn random_rule() -> impl Strategy<Value = RandomRule> {
    let waived = prop::option::weighted(0.8, (0..NAMES.len(), any::<u8>()));
    (0..200_u8, any::<u8>(), 0..APPLIES.len(), 0..VERDICTS.len(), any::<bool>(), 0..4_usize, waived).prop_map(
        |(from, length, applies, verdict, except, mode, waived)| RandomRule {
            from,
            length,
            applies,
            verdict,
            except,
            mode,
            waived,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn memo_off_is_memo_on(
        rules in prop::collection::vec(random_rule(), 1..8),
        asked in prop::collection::vec(
            (0..NAMES.len(), 0..20_usize, 0..3_usize, 0..2_usize, any::<bool>(), 0..300_000_u32, 0..4_usize),
            40,
        ),
    ) {
        let world = random_world(&rules);
        let placement = &world.placement;
        let memo = Memo::default();
        let specs = demo_specs();
        let model = ModelName::new("x");
        let boundaries = placement.terms().boundaries();
        for (workload, deployment, class, surface, marked, minute, beside) in asked {
            let (principal, data_classes) = placement.fleet().workload(&WorkloadId::new(NAMES[workload])).unwrap();
            let marks = if marked { placement.fleet().data_classes_of(["pii"]) } else { DataClasses::NONE };
            let boundary = boundaries[usize::try_from(minute).unwrap() % boundaries.len()];
            let now = match beside {
                0 => at("2026-01-01") + SignedDuration::from_mins(i64::from(minute)),
                1 => boundary - SignedDuration::from_millis(1),
                2 => boundary,
                _ => boundary + SignedDuration::from_secs(1),
            };
            let question = Question {
                principal,
                model: &model,
                call_class: CallClass::ALL[class],
                data_classes: data_classes.with(marks),
                surface: [Surface::OpenAiChat, Surface::Gemini][surface],
                candidates: &[],
                now,
            };
            let deployment = world.index(specs[deployment % specs.len()].id.as_str());
            let on = placement.permission(&question, deployment, &|key| memo.get(placement, key));
            let off = placement.permission(&question, deployment, &|key: PermissionKey| Arc::new(placement.evaluate(key)));
            prop_assert_eq!(&*on, &*off);
            // The window's inside stands for each of its instants: ask Cedar with the true instant.
            let key = placement.key(&question, placement::Action::Infer, deployment);
            let mut ask = placement.ask(key).unwrap();
            ask.now = question.now;
            prop_assert_eq!(placement.terms().evaluate(&ask), placement.evaluate(key));
        }
    }
}

/// What the property above needs in order to mean something: its random worlds refuse, warn, observe and waive.
#[test]
fn the_random_worlds_have_something_to_say() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut said = [0_usize; 5];
    for _ in 0..5 {
        let rules = prop::collection::vec(random_rule(), 8).new_tree(&mut runner).unwrap().current();
        let world = random_world(&rules);
        for (rule, name) in rules.iter().flat_map(|rule| NAMES.map(|name| (rule, name))) {
            let hour = rule.waived.map_or(0, |(_, hour)| i64::from(hour % 24));
            let now = placement::instant::format(begin(rule) + SignedDuration::from_hours(hour));
            let found = world.permission(name, "azure-westeurope/gpt-5.4", CallClass::Hybrid, &now);
            let counts =
                [&found.refused, &found.warnings, &found.observed, &found.waived].map(|own| own.len());
            said.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            said[4] += usize::from(found.permits());
        }
    }
    assert!(said.iter().all(|count| *count > 0), "{said:?}");
}
