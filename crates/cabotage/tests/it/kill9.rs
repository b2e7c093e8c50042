//! `kill -9` of the gateway under load, again and again on the same journal.
//!
//! Two witnesses stand outside the gateway: the simulated clouds, which know every request that reached them, and
//! the callers, who know every answer of which they got the last byte. The journal must have an attempt for the
//! former and exactly one terminal for the latter, and the ledger's database must say what the journal says.
//! Two gateways with an unsound journal show that the check can fail.

mod check;
mod control;

use crate::{
    caller::{Answered, Caller},
    child::GatewayChild,
    cloud_spec, folder,
};
use check::{Findings, Witness};
use control::Control;
use simulator::{CloudKind, FaultAction, FaultRule, JournalQuery, Simulator, SimulatorConfig, When};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinHandle};

/// Callers at a time.
const CALLERS: usize = 24;
/// The two clouds; the deployments have their names. The first is tried first and fails now and then.
const CLOUDS: [&str; 2] = ["azure-westeurope", "openai"];

/// How a cycle ends.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    /// Killed under load.
    Killed,
    /// Killed after the callers have left and everything in the gateway has come to rest: then nothing may be
    /// missing that was merely late.
    AtRest,
}

/// The gateway, the number of cycles and their ending.
struct Trial {
    gateway: Option<Control>,
    cycles: u32,
    ending: Ending,
}

/// Cycles of the sound gateway: a few in a normal run, `CABOTAGE_KILL_CYCLES=200` for the figure.
fn cycles() -> u32 {
    std::env::var("CABOTAGE_KILL_CYCLES").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

#[test]
fn nothing_is_lost_when_the_gateway_is_killed_under_load() {
    let findings = run(&Trial { gateway: None, cycles: cycles(), ending: Ending::Killed });
    assert!(findings.violations.is_empty(), "{findings}");
    assert!(findings.is_worth_something(), "{findings}");
    assert!(findings.unknown > 0, "no kill came while a call was under way: {findings}");
}

#[test]
fn the_check_accepts_a_sound_journal_in_the_controls_process() {
    let findings = run(&Trial { gateway: Some(Control::Sound), cycles: 3, ending: Ending::Killed });
    assert!(findings.violations.is_empty(), "{findings}");
    assert!(findings.is_worth_something(), "{findings}");
}

#[test]
fn a_journal_that_is_written_after_the_answer_is_caught() {
    let findings = run(&Trial { gateway: Some(Control::Late), cycles: 6, ending: Ending::Killed });
    assert!(findings.saw("there is no attempt") && findings.saw("answered (200"), "{findings}");
    let findings = run(&Trial { gateway: Some(Control::Late), cycles: 1, ending: Ending::AtRest });
    assert!(findings.violations.is_empty(), "only the kill makes the difference: {findings}");
}

#[test]
fn a_journal_that_drops_when_its_queue_is_full_is_caught() {
    let findings = run(&Trial { gateway: Some(Control::Dropping), cycles: 2, ending: Ending::AtRest });
    assert!(findings.saw("there is no attempt") && findings.saw("answered (200"), "{findings}");
}

/// Runs all cycles, lets a sound gateway recover, and holds the journal against the witnesses.
fn run(trial: &Trial) -> Findings {
    let runtime = Runtime::new().unwrap();
    let simulator = runtime.block_on(clouds());
    let dir = folder(&[("cabotage.toml", &configuration(&simulator))]);
    let mut witness = Witness::default();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let begun = Instant::now();
    for cycle in 0..trial.cycles {
        let gateway = match trial.gateway {
            None => GatewayChild::serve(dir.path()),
            Some(control) => GatewayChild::start(control.command(dir.path())),
        };
        let answers = Arc::new(Mutex::new(Vec::new()));
        let load: Vec<_> = (0..CALLERS)
            .map(|caller| runtime.spawn(calls(gateway.address, cycle, caller, Arc::clone(&answers))))
            .collect();
        // From the first answer on: before, the gateway is busy with its first look at the terms.
        let until = Instant::now() + Duration::from_secs(20);
        while answers.lock().unwrap().is_empty() {
            assert!(Instant::now() < until, "nothing was answered in 20 s");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(30 + random.below(171)));
        if trial.ending == Ending::AtRest {
            std::thread::sleep(Duration::from_millis(300));
            end(&runtime, load);
            std::thread::sleep(Duration::from_millis(500));
            gateway.kill();
        } else {
            gateway.kill();
            end(&runtime, load);
        }
        witness.answers.append(&mut answers.lock().unwrap());
        hear(&simulator, &mut witness);
    }
    let took = begun.elapsed();
    // The last one is sound: it recovers what was left open, and stops by itself, with everything drained.
    GatewayChild::serve(dir.path()).stop();
    // What still lay in the sockets of a killed gateway reaches the clouds a little later.
    std::thread::sleep(Duration::from_millis(100));
    hear(&simulator, &mut witness);
    runtime.block_on(simulator.shutdown());
    let findings = check::check(&dir.path().join("data"), &witness);
    let name = trial.gateway.map_or("the binary", Control::name);
    println!("{name}: {} cycles, {:.0} a minute; {findings}", trial.cycles, per_minute(trial.cycles, took));
    findings
}

/// One caller's calls until the gateway is gone. Callers are out of step with each other, so that a kill finds
/// calls at every stage: they start one after the other and their streams differ in length.
async fn calls(address: SocketAddr, cycle: u32, caller: usize, answers: Arc<Mutex<Vec<Answered>>>) {
    tokio::time::sleep(Duration::from_millis(3 * caller as u64)).await;
    let Some(mut connection) = Caller::connect(address).await else { return };
    for count in 0_usize.. {
        let words = "and on ".repeat((caller + 5 * count) % 12);
        let prompt = format!("cycle {cycle}, caller {caller}, call {count} {words}");
        let stream = (caller + count) % 4 == 1;
        let Some(answered) = connection.chat("sk-kill", "gpt-5.4", &prompt, stream).await else { return };
        answers.lock().unwrap().push(answered);
    }
}

/// Ends the callers: those of a gateway that is gone end by themselves.
fn end(runtime: &Runtime, load: Vec<JoinHandle<()>>) {
    runtime.block_on(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        for caller in load {
            caller.abort();
            let _ended_or_aborted = caller.await;
        }
    });
}

/// Takes down what the clouds have seen since the last time.
fn hear(simulator: &Simulator, witness: &mut Witness) {
    let since = witness.exchanges.last().map_or(0, |exchange| exchange.seq);
    let query = JournalQuery { since, limit: Some(usize::MAX), ..JournalQuery::default() };
    witness.exchanges.extend(simulator.journal_where(&query).iter().map(check::Exchange::of));
}

async fn clouds() -> Simulator {
    let [azure, openai] = CLOUDS;
    let config = SimulatorConfig {
        clouds: vec![
            cloud_spec(azure, CloudKind::Azure, Some("westeurope")),
            cloud_spec(openai, CloudKind::Openai, None),
        ],
        // Streams take some milliseconds, so that a kill finds some of them open.
        pace_ms: 1,
        ..SimulatorConfig::default()
    };
    let simulator = Simulator::start(config).await.unwrap();
    let every = |every, action| FaultRule { when: When { every: Some(every), ..When::default() }, action };
    let refused = FaultAction::Status { status: 500, body: None, headers: Default::default() };
    simulator.script(azure, [every(11, refused), every(29, FaultAction::ResetBeforeHeaders)]).unwrap();
    simulator.script(openai, [every(37, FaultAction::Close { after_bytes: 700 })]).unwrap();
    simulator
}

fn configuration(simulator: &Simulator) -> String {
    let [azure, openai] = CLOUDS.map(|cloud| simulator.base_url(cloud).unwrap());
    format!(
        r#"
[listen]
data = "127.0.0.1:0"
admin = "127.0.0.1:0"
[journal]
dir = "data"
[[deployment]]
name = "azure-westeurope"
provider = "azure"
model = "gpt-5.4"
region = "westeurope"
endpoint = "{azure}"
api_key = {{ value = "simulated-azure-key", in_clear = true }}
order = 1
[[deployment]]
name = "openai"
provider = "openai"
model = "gpt-5.4"
endpoint = "{openai}"
api_key = {{ value = "sk-simulated-openai", in_clear = true }}
order = 2
[[key]]
id = "kill"
secret = {{ value = "sk-kill", in_clear = true }}
"#
    )
}

fn per_minute(cycles: u32, took: Duration) -> f64 {
    f64::from(cycles) * 60.0 / took.as_secs_f64()
}

/// A small generator of random numbers (splitmix64), the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
