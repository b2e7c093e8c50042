//! Memo off = memo on, over random packs, workloads and questions at random instants.

use crate::support::{Memo, World, at, compile, demo_specs, workloads};
use domain::{ModelName, WorkloadId};
use placement::{CallClass, PermissionKey, Question, Surface};
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
}

const APPLIES: [&str; 7] = [
    "family = \"openai-proprietary\"",
    "family = [\"claude\", \"openai-open-weight\"]",
    "class = \"stateless\"",
    "residency = \"eu\"",
    "organisation = \"acme-bank\", surface = \"openai-chat\"",
    "action = [\"infer\", \"host_state\"], data_classes = [\"pii\", \"none\"]",
    "team = \"another\"",
];
const VERDICTS: [&str; 6] = [
    "forbidden = { cloud = \"aws\" }",
    "allowed_only = { cloud = [\"azure\", \"on-prem\"] }",
    "allowed_only = { jurisdictions = \"@eu-eea\" }",
    "forbidden = { retention = [\"unknown\", \"days30\"] }",
    "forbidden = { model = \"gpt-*\" }",
    "allowed_only = { attestations = [\"iso-27001\"] }",
];

fn pack(rules: &[RandomRule]) -> String {
    let mut text =
        "[pack]\nid = \"random\"\ntitle = \"R\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n"
            .to_owned();
    for (index, rule) in rules.iter().enumerate() {
        let from = at("2026-01-01").as_second() + i64::from(rule.from) * 86_400;
        let date = |second: i64| jiff::Timestamp::from_second(second).unwrap();
        let _ = write!(
            text,
            "[[rule]]\nid = \"r{index}\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\nfrom = {}\nuntil = {}\nmode = \"{}\"\napplies_to = {{ {} }}\n{}\n{}",
            date(from),
            date(from + (1 + i64::from(rule.length)) * 3_600),
            ["observe", "warn", "enforce"][rule.mode],
            APPLIES[rule.applies],
            VERDICTS[rule.verdict],
            if rule.except { "except = [{ tags = \"us-gov-natsec\" }]\n" } else { "" },
        );
    }
    text
}

fn random_rule() -> impl Strategy<Value = RandomRule> {
    (any::<u8>(), any::<u8>(), 0..APPLIES.len(), 0..VERDICTS.len(), any::<bool>(), 0..3_usize).prop_map(
        |(from, length, applies, verdict, except, mode)| RandomRule {
            from,
            length,
            applies,
            verdict,
            except,
            mode,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn memo_off_is_memo_on(
        rules in prop::collection::vec(random_rule(), 1..8),
        asked in prop::collection::vec((0..5_usize, 0..20_usize, 0..3_usize, 0..2_usize, 0..300_000_u32), 40),
    ) {
        let world = World::new(compile(&[("random.toml", &pack(&rules), None)]));
        let placement = &world.placement;
        let memo = Memo::default();
        let names = workloads();
        let specs = demo_specs();
        let model = ModelName::new("x");
        for (workload, deployment, class, surface, minute) in asked {
            let (principal, data_classes) =
                placement.fleet().workload(&WorkloadId::new(names[workload % names.len()].id.as_str())).unwrap();
            let question = Question {
                principal,
                model: &model,
                call_class: CallClass::ALL[class],
                data_classes,
                surface: [Surface::OpenAiChat, Surface::Gemini][surface],
                candidates: &[],
                now: jiff::Timestamp::from_second(at("2026-01-01").as_second() + i64::from(minute) * 60).unwrap(),
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
