//! `kill -9` of the gateway while many callers talk in conversations that they share: no turn whose answer a
//! caller got is lost, none is there twice, and each conversation is in the order in which it was led.
//!
//! A few callers and kills in a normal run; the figure of the whole is measured with
//! `CABOTAGE_STATE_CALLERS=500 CABOTAGE_STATE_KILLS=50`, in release.

mod order;

use crate::{caller::Caller, child::GatewayChild, cloud_spec, folder};
use http::{Method, StatusCode};
use order::{Findings, Kept, Sent};
use serde_json::{Value, json};
use simulator::{CloudKind, Simulator, SimulatorConfig};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// So many callers lead one conversation together.
const SHARING: usize = 5;

/// The callers' key.
pub(crate) const KEY: &str = "sk-kept";

/// The clock of all callers: it tells before from after.
static CLOCK: AtomicU64 = AtomicU64::new(1);

fn tick() -> u64 {
    CLOCK.fetch_add(1, Ordering::SeqCst)
}

fn asked_for(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn no_answered_turn_is_lost_doubled_or_out_of_order() {
    let callers = asked_for("CABOTAGE_STATE_CALLERS", 20);
    let kills = asked_for("CABOTAGE_STATE_KILLS", 4);
    let runtime = Runtime::new().unwrap();
    let simulator = runtime.block_on(cloud());
    let dir = folder(&[("cabotage.toml", &configuration(&simulator))]);
    let begun = Instant::now();

    let gateway = GatewayChild::serve(dir.path());
    let conversations = callers.div_ceil(SHARING);
    let conversations: Vec<String> = runtime.block_on(async { begin(gateway.address, conversations).await });
    gateway.kill();

    let sent: Vec<Mutex<Vec<Sent>>> = conversations.iter().map(|_| Mutex::default()).collect();
    let sent = Arc::new(sent);
    for round in 0..kills {
        let gateway = GatewayChild::serve(dir.path());
        let before = answered(&sent);
        let load: Vec<_> = (0..callers)
            .map(|caller| {
                let place = caller / SHARING;
                let talk = talk(gateway.address, conversations[place].clone(), format!("{round}.{caller}"));
                let sent = Arc::clone(&sent);
                runtime.spawn(async move { talk.run(&sent[place]).await })
            })
            .collect();
        // From the first answers on, a little later each time.
        let until = Instant::now() + Duration::from_mins(1);
        while answered(&sent) < before + callers / 4 {
            assert!(Instant::now() < until, "no answers in a minute");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(20 + 7 * (round as u64 % 29)));
        gateway.kill();
        runtime.block_on(async {
            for caller in load {
                caller.await.unwrap();
            }
        });
    }
    let took = begun.elapsed();

    let gateway = GatewayChild::serve(dir.path());
    let mut findings = Findings::default();
    for (conversation, sent) in conversations.iter().zip(sent.iter()) {
        let kept = runtime.block_on(items(gateway.address, conversation));
        findings.compare(conversation, &sent.lock().unwrap(), &kept);
    }
    gateway.stop();
    runtime.block_on(simulator.shutdown());
    println!("{callers} callers, {kills} kills, {:.0} s: {findings}", took.as_secs_f64());
    assert!(findings.violations.is_empty(), "{findings}");
    assert!(findings.answered >= kills * callers / 4 && findings.unanswered > 0, "{findings}");
}

fn answered(sent: &[Mutex<Vec<Sent>>]) -> usize {
    sent.iter().map(|own| own.lock().unwrap().iter().filter(|turn| turn.answered.is_some()).count()).sum()
}

/// One caller of a conversation, until the gateway is gone.
struct Talk {
    address: SocketAddr,
    conversation: String,
    name: String,
}

fn talk(address: SocketAddr, conversation: String, name: String) -> Talk {
    Talk { address, conversation, name }
}

impl Talk {
    async fn run(self, sent: &Mutex<Vec<Sent>>) {
        let Some(mut line) = Caller::connect(self.address).await else { return };
        for count in 0.. {
            let text = format!("turn {}.{count}", self.name);
            let body = json!({"model": "gpt-5.4", "conversation": self.conversation, "input": text});
            let place = {
                let mut sent = sent.lock().unwrap();
                sent.push(Sent { text, sent: tick(), answered: None });
                sent.len() - 1
            };
            let Some((status, answer)) = line.ask(Method::POST, "/v1/responses", KEY, &body).await else {
                return;
            };
            assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("completed")), "{answer}");
            sent.lock().unwrap()[place].answered = Some(tick());
        }
    }
}

async fn begin(address: SocketAddr, count: usize) -> Vec<String> {
    let mut line = Caller::connect(address).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..count {
        let (status, made) = line.ask(Method::POST, "/v1/conversations", KEY, &json!({})).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{made}");
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// Every message of a conversation, the first one first.
async fn items(address: SocketAddr, conversation: &str) -> Vec<Kept> {
    let mut line = Caller::connect(address).await.unwrap();
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/conversations/{conversation}/items?order=asc&limit=100{after}");
        let (status, page) = line.ask(Method::GET, &path, KEY, &Value::Null).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{page}");
        all.extend(page["data"].as_array().unwrap().iter().map(|item| Kept {
            role: item["role"].as_str().unwrap_or_default().to_owned(),
            text: item["content"][0]["text"].as_str().unwrap_or_default().to_owned(),
        }));
        if page["has_more"] != json!(true) {
            return all;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
}

/// One cloud, OpenAI.
pub(crate) async fn cloud() -> Simulator {
    let openai = cloud_spec("openai", CloudKind::Openai, None);
    Simulator::start(SimulatorConfig { clouds: vec![openai], ..SimulatorConfig::default() }).await.unwrap()
}

/// A gateway in front of it, with a store of state.
pub(crate) fn configuration(simulator: &Simulator) -> String {
    let openai = simulator.base_url("openai").unwrap();
    let key = "5a".repeat(32);
    format!(
        r#"
[listen]
data = "127.0.0.1:0"
admin = "127.0.0.1:0"
[journal]
dir = "data"
[[state.store]]
name = "kept"
master_key = {{ value = "{key}", in_clear = true }}
[[deployment]]
name = "openai"
provider = "openai"
model = "gpt-5.4"
endpoint = "{openai}"
api_key = {{ value = "sk-simulated-openai", in_clear = true }}
concurrency = 1000
[[workload]]
name = "kept"
[[key]]
id = "kept"
workload = "kept"
secret = {{ value = "sk-kept", in_clear = true }}
[[workload]]
name = "another"
[[key]]
id = "another"
workload = "another"
secret = {{ value = "sk-another", in_clear = true }}
"#
    )
}
