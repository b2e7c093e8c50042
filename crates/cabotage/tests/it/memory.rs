//! Memory under variety: many calls with many keys, models and prompts must not make the gateway grow.

use crate::{caller::Caller, child::GatewayChild, cloud_spec, folder};
use simulator::{CloudKind, Simulator, SimulatorConfig};
use std::{fmt::Write as _, net::SocketAddr, time::Instant};
use tokio::runtime::Runtime;

/// Connections; each makes its calls one after the other.
const CALLERS: u64 = 16;

/// How many calls, from which on memory is measured, and how much it may grow.
struct Run {
    /// Distinct keys, models and prompts. Half of the models exist; the others are answered with 404.
    kinds: u64,
    calls: u64,
    from: u64,
    step: u64,
    /// In bytes per call.
    slope_max: f64,
}

/// A tenth in a normal run, where what is bounded is still filling: 110 to 152 bytes per call were seen, and none
/// from 30,000 calls on. `CABOTAGE_MEMORY_CALLS=100000` for the figure.
fn length() -> Run {
    match std::env::var("CABOTAGE_MEMORY_CALLS").ok().and_then(|text| text.parse().ok()) {
        Some(calls) => Run { kinds: 10_000, calls, from: 20_000, step: 5_000, slope_max: 5.0 },
        None => Run { kinds: 1_000, calls: 12_000, from: 5_000, step: 500, slope_max: 250.0 },
    }
}

#[test]
fn memory_does_not_grow_with_calls_keys_models_and_prompts() {
    let run = length();
    let runtime = Runtime::new().unwrap();
    let cloud = cloud_spec("openai", CloudKind::Openai, None);
    let config = SimulatorConfig { clouds: vec![cloud], journal_kept: 1_000, ..SimulatorConfig::default() };
    let simulator = runtime.block_on(Simulator::start(config)).unwrap();
    let dir = folder(&[("cabotage.toml", &configuration(&simulator.base_url("openai").unwrap(), run.kinds))]);
    let gateway = GatewayChild::serve(dir.path());
    let begun = Instant::now();
    let (mut resident, mut anonymous) = (Vec::new(), Vec::new());
    let mut statuses = [0_u64; 2];
    for first in (0..run.calls).step_by(usize::try_from(run.step).unwrap()) {
        for (sum, count) in
            statuses.iter_mut().zip(runtime.block_on(calls(gateway.address, run.kinds, first, run.step)))
        {
            *sum += count;
        }
        let (done, rss, anon) =
            (first + run.step, gateway.memory_kib("VmRSS"), gateway.memory_kib("RssAnon"));
        println!("{done:>7} calls: {rss} KiB resident, {anon} KiB of them anonymous");
        if done >= run.from {
            resident.push((done as f64, rss as f64 * 1024.0));
            anonymous.push((done as f64, anon as f64 * 1024.0));
        }
    }
    // Where the system takes back pages of the program's file, resident memory falls; that must not hide growth.
    let slope = slope(&resident).max(slope(&anonymous));
    let [ok, not_found] = statuses;
    println!(
        "{} calls in {:.0} s ({ok} answered, {not_found} of unknown models), {} keys, models and prompts: \
         {slope:.2} bytes per call from call {} on",
        run.calls,
        begun.elapsed().as_secs_f64(),
        run.kinds,
        run.from
    );
    assert_eq!(ok + not_found, run.calls, "every call was answered as it should");
    assert_eq!(not_found, run.calls / 2);
    assert!(slope <= run.slope_max, "{slope:.2} bytes per call, at most {}", run.slope_max);
}

/// Makes `count` calls from number `first` on. Returns how many were answered with 200 and with 404.
async fn calls(address: SocketAddr, kinds: u64, first: u64, count: u64) -> [u64; 2] {
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            tokio::spawn(async move {
                let mut connection = Caller::connect(address).await.unwrap();
                let mut statuses = [0; 2];
                for number in (first..first + count).filter(|number| number % CALLERS == caller) {
                    // Numbers without a common factor with the kinds: each round meets other combinations.
                    let round = number / kinds;
                    let key = format!("sk-memory-{}", (number + 3 * round) % kinds);
                    let model = format!("model-{}", number * 7 % kinds);
                    let prompt = format!("prompt {}: {}", (number * 11 + round) % kinds, "words ".repeat(40));
                    let answer = connection.chat(&key, &model, &prompt, number % 4 == 1).await.unwrap();
                    match answer.status {
                        200 => statuses[0] += 1,
                        404 => statuses[1] += 1,
                        _ => {}
                    }
                }
                statuses
            })
        })
        .collect();
    let mut sums = [0; 2];
    for task in tasks {
        for (sum, count) in sums.iter_mut().zip(task.await.unwrap()) {
            *sum += count;
        }
    }
    sums
}

/// The slope of the straight line through the points with the least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let over: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let under: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    over / under
}

fn configuration(endpoint: &str, kinds: u64) -> String {
    let mut text = format!(
        r#"
[listen]
data = "127.0.0.1:0"
admin = "127.0.0.1:0"
[journal]
dir = "data"
[[deployment]]
name = "openai"
provider = "openai"
model = "gpt-5.4"
endpoint = "{endpoint}"
api_key = {{ value = "sk-simulated-openai", in_clear = true }}
"#
    );
    for model in 0..kinds / 2 {
        write!(text, "[[model]]\nname = \"model-{model}\"\nof = \"gpt-5.4\"\n").unwrap();
    }
    for key in 0..kinds {
        let secret = format!("{{ value = \"sk-memory-{key}\", in_clear = true }}");
        write!(text, "[[key]]\nid = \"key-{key}\"\nsecret = {secret}\n").unwrap();
    }
    text
}

#[test]
fn the_slope_of_a_line_is_its_slope() {
    assert!((slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) - 2.0).abs() < 1e-9);
}
