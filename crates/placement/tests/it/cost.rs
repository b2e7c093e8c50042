//! What an evaluation costs. Not a check: run it by hand, in release for figures that mean something:
//! `cargo test -p placement --release --test it cost -- --ignored --nocapture`.

use crate::support::{Memo, World, at, compile};
use placement::{CallClass, Mode, Outcome, rank};
use std::{fmt::Write as _, hint::black_box, sync::Arc, time::Duration};

#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn per_round(rounds: u32, mut work: impl FnMut()) -> Duration {
    work();
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        work();
    }
    start.elapsed() / rounds
}

/// As many rules as asked for, of many families, so that the filter by scope has something to do.
fn pack(rules: usize) -> String {
    let mut text =
        "[pack]\nid = \"many\"\ntitle = \"M\"\nbinds = \"us\"\nstatus = \"draft\"\nmode = \"enforce\"\n"
            .to_owned();
    let families = ["openai-proprietary", "claude", "gemini", "llama", "mistral"];
    for index in 0..rules {
        let family = families[index % families.len()];
        let _ = write!(
            text,
            "[[rule]]\nid = \"r{index}\"\ntitle = \"R\"\nsource = \"s\"\nclause = \"c\"\nfrom = 2026-01-01\napplies_to = {{ family = \"{family}\", team = \"t{index}\" }}\nallowed_only = {{ cloud = [\"azure\", \"gcp\"] }}\n",
        );
    }
    text
}

#[test]
#[ignore = "a measurement"]
fn cost_of_an_evaluation_a_standing_and_a_ranking() {
    println!("compile the shipped packs: {:?}", per_round(5, || drop(crate::support::terms(Mode::Enforce))));
    let mut worlds = vec![("shipped packs".to_owned(), World::enforced())];
    for rules in [5, 35, 100, 205, 1_000] {
        worlds.push((
            format!("{rules} rules, 5 families"),
            World::new(compile(&[("m.toml", &pack(rules), None)])),
        ));
    }
    for (name, world) in &worlds {
        let model = domain::ModelName::new("gpt-5.4");
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
            "{name}: evaluation {evaluation:?}, memo hit {hit:?}, standing of {} {miss:?}, rank {ranking:?}",
            candidates.len()
        );
    }
}
