//! Next turns at once, and what the store costs. Figures are printed; bounds are wide enough for a busy machine.

use super::{
    open,
    state_suite::{after, owner, tenant, turn, wait},
};
use domain::{
    ItemId, ResponseId,
    state::{Base, ContextOf, NewItem, StateStore},
};
use std::time::{Duration, Instant};

/// 64 clients, each turn follows the one that was just answered and must find it.
fn next_turns(clients: usize, turns: usize) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let begun = Instant::now();
    let misses: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                let store = &store;
                scope.spawn(move || {
                    let mut misses = 0;
                    let mut last: Option<String> = None;
                    for n in 0..turns {
                        let id = format!("r-{client}-{n}");
                        if let Some(last) = &last {
                            let of = ContextOf::Response(ResponseId::new(last));
                            let found = wait(store.context(&tenant("acme"), of)).unwrap();
                            misses += usize::from(found.is_none_or(|found| found.items.len() != 2 * n));
                        }
                        let base = last.as_deref().map_or(Base::Fresh, after);
                        wait(store.commit(turn(&id, base, &["i"], &["o"]))).unwrap();
                        last = Some(id);
                    }
                    misses
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let stats = store.stats();
    println!(
        "{} turns by {clients} clients in {:?}: {misses} misses, {} changes in {} flushes",
        clients * turns,
        begun.elapsed(),
        stats.changes,
        stats.transactions
    );
    assert_eq!(misses, 0);
    assert_eq!(stats.failures, 0);
    assert!(stats.transactions < stats.changes, "many changes share a flush");
}

#[test]
fn the_next_turn_finds_the_one_just_answered() {
    next_turns(64, 5);
}

/// As the issue has it: 10,000 next turns by 64 clients.
#[test]
#[ignore = "a measurement; run in release: `cargo nextest run --release -E 'test(ten_thousand_next_turns)' --run-ignored all`"]
fn ten_thousand_next_turns() {
    next_turns(64, 157);
}

fn typical(n: usize) -> NewItem {
    let text = "the quick brown fox jumps over the lazy dog. ".repeat(12);
    let body = format!(
        r#"{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{n} {text}"}}]}}"#
    );
    NewItem { id: ItemId::new(&format!("msg_{n:032}")), body: body.into(), opens_context: false }
}

/// A conversation of 2,000 items, and its next turn, in a store with `others` items besides.
fn conversation_of_2000(others: usize) -> (Duration, Duration) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let begun = Instant::now();
    for batch in 0..others.div_ceil(1_000) {
        let mut made = turn(&format!("other-{batch:09}"), Base::Fresh, &[], &[]);
        made.input = (0..1_000).map(typical).collect();
        wait(store.commit(made)).unwrap();
    }
    println!("{others} other items in {:?}", begun.elapsed());
    let mut last: Option<String> = None;
    for n in 0..1_000 {
        let id = format!("resp_{n:032}");
        let base = last.as_deref().map_or(Base::Fresh, after);
        let mut made = turn(&id, base, &[], &[]);
        made.owner = owner("acme", None);
        (made.input, made.output) = (vec![typical(2 * n)], vec![typical(2 * n + 1)]);
        wait(store.commit(made)).unwrap();
        last = Some(id);
    }
    let last = last.unwrap();
    let (mut loads, mut commits) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let begun = Instant::now();
        let of = ContextOf::Response(ResponseId::new(&last));
        let found = wait(store.context(&tenant("acme"), of)).unwrap().unwrap();
        loads.push(begun.elapsed());
        assert_eq!(found.items.len(), 2_000);
        let begun = Instant::now();
        // Each on a response that is no tip would copy; this one goes on from a chain of its own.
        wait(store.commit(turn(&format!("fresh-{n}"), Base::Fresh, &["i"], &["o"]))).unwrap();
        commits.push(begun.elapsed());
    }
    loads.sort();
    commits.sort();
    println!(
        "2,000 items beside {others}: load p50 {:?} p95 {:?}; commit p50 {:?} p95 {:?}",
        loads[10], loads[18], commits[10], commits[18]
    );
    (loads[10], commits[10])
}

#[test]
#[ignore = "a measurement; run in release"]
fn a_long_conversation_loads_flat_up_to_a_million_items() {
    let (alone, _) = conversation_of_2000(0);
    let (among, _) = conversation_of_2000(1_000_000);
    assert!(among < alone * 3 + Duration::from_millis(5), "{alone:?} alone, {among:?} among a million");
}
