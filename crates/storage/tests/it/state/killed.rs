//! `kill -9` in the middle of many turns: no turn that was answered is lost, none is doubled, order stands.

use super::{
    open,
    state_suite::{after, tenant, turn, wait},
};
use domain::{
    ResponseId,
    state::{Base, ContextOf, StateStore},
};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const FOLDER: &str = "STATE_TEST_FOLDER";
const ROUND: &str = "STATE_TEST_ROUND";
const CHAINS: usize = 8;

/// The child: eight chains of turns at once, each turn said after it was answered, for ever.
#[test]
fn writes_turns() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let round = std::env::var(ROUND).unwrap();
    let store = open(&dir);
    std::thread::scope(|scope| {
        for chain in 0..CHAINS {
            let (store, round) = (&store, &round);
            scope.spawn(move || {
                let mut last: Option<String> = None;
                for n in 0.. {
                    let id = format!("r-{round}-{chain}-{n:06}");
                    let base = last.as_deref().map_or(Base::Fresh, after);
                    let (input, output) = (format!("i-{id}"), format!("o-{id}"));
                    wait(store.commit(turn(&id, base, &[&input], &[&output]))).unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "kept {id}").unwrap();
                    out.flush().unwrap();
                    last = Some(id);
                }
            });
        }
    });
}

#[test]
fn no_answered_turn_is_lost_or_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "state::killed::writes_turns", "--nocapture", "--test-threads", "1"])
            .env(FOLDER, dir.path())
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            out.lines().map_while(Result::ok).filter(|line| line.contains("kept ")).collect::<Vec<_>>()
        });
        let until = Instant::now() + Duration::from_millis(300 + 37 * round);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        child.kill().unwrap();
        child.wait().unwrap();
        let said = reader.join().unwrap();
        kept.extend(said.iter().filter_map(|line| line.split("kept ").nth(1)).map(str::to_owned));
    }
    assert!(kept.len() > 100, "{} turns are too few to tell", kept.len());
    let store = open(dir.path());
    for id in &kept {
        let found = wait(store.response(&tenant("acme"), &ResponseId::new(id))).unwrap();
        assert!(found.is_some(), "{id} was answered and is lost");
    }
    // The last of each chain holds every turn before it, once and in order.
    for round in 0..10 {
        for chain in 0..CHAINS {
            let start = format!("r-{round}-{chain}-");
            let Some(last) = kept.iter().filter(|id| id.starts_with(&start)).max() else { continue };
            let context = wait(store.context(&tenant("acme"), ContextOf::Response(ResponseId::new(last))));
            let items = context.unwrap().unwrap().items;
            let count: usize = last.rsplit('-').next().unwrap().parse().unwrap();
            assert_eq!(items.len(), 2 * (count + 1));
            for (n, pair) in items.chunks(2).enumerate() {
                assert_eq!(pair[0].id.as_str(), format!("i-{start}{n:06}"));
                assert_eq!(pair[1].id.as_str(), format!("o-{start}{n:06}"));
            }
        }
    }
}
