//! `check --live`: ten tiny calls on each configured deployment, by the engine's own path, bounded by a budget,
//! and a report that may be passed on: no host, no key, no id, none of the operator's own names.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use domain::{
    CallId, Capabilities, Clock, ModelName, WorkloadId,
    journal::MemoryJournal,
    record::{Outcome, OutcomeRecord, Record},
};
use engine::{
    ActiveCall, AnswerBody, Caller, DeploymentSpec, Engine, EngineSettings, Explains, KeySpec, ModelSpec,
    SnapshotSpec,
};
use jiff::Timestamp;
use ledger::Tier;
use serde_json::{Value, json};
use std::{future::poll_fn, path::Path, process::ExitCode, sync::Arc};

/// Bound of one call's answer, in tokens. Reasoning models think within it.
const OUTPUT_MAX: u64 = 256;
/// What one call's prompt has at most, with a tool's description, in tokens.
const INPUT_MAX: u64 = 400;
/// The key of the one caller; it never leaves the process.
const KEY: &str = "check-live";

/// What the calls may cost, in pico-dollars.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(u64);

impl Budget {
    /// From US dollars: above 0, at most 100.
    pub(super) fn of_dollars(dollars: f64) -> anyhow::Result<Self> {
        if !(dollars > 0.0 && dollars <= 100.0) {
            bail!("--budget {dollars}: write US dollars above 0 and at most 100, for instance 0.10");
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 10¹⁴")]
        Ok(Self((dollars * 1e12) as u64))
    }
}

/// A deployment as the run sees it.
struct Target {
    model: String,
    provider: &'static str,
    wire_model: String,
    dialect: &'static str,
    region: Option<String>,
    capabilities: Capabilities,
    /// Upper bound of one call's cost; `None` where no price is known.
    ceiling: Option<u64>,
}

impl Target {
    fn of(index: usize, spec: &DeploymentSpec, now: Timestamp) -> Self {
        let rates = spec.prices.at(now).and_then(|row| row.rates(Tier::Standard, INPUT_MAX).copied());
        let endpoint = &spec.endpoint;
        Self {
            model: format!("live-{index}"),
            provider: endpoint.provider().descriptor().id,
            wire_model: endpoint.wire_model().to_owned(),
            dialect: endpoint.dialect().name(),
            region: endpoint.region().map(str::to_owned),
            capabilities: spec.capabilities.clone(),
            // Half as much again, for surcharges by geography.
            ceiling: rates.map(|rates| {
                let output = rates.output.max(rates.reasoning.unwrap_or(0));
                (rates.input * INPUT_MAX + output * OUTPUT_MAX) / 2 * 3
            }),
        }
    }
}

/// Runs the calls, prints a line for each, writes the report. Exit 0 where all that ran were answered.
pub(super) fn run(
    spec: SnapshotSpec,
    clock: &Arc<dyn Clock>,
    budget: Budget,
    report: &Path,
) -> anyhow::Result<ExitCode> {
    let now = clock.now();
    let targets: Vec<Target> =
        spec.deployments.iter().enumerate().map(|(index, own)| Target::of(index, own, now)).collect();
    let journal = Arc::new(MemoryJournal::default());
    let engine = Engine::new(EngineSettings {
        clock: Arc::clone(clock),
        journal: Arc::clone(&journal) as _,
        max_buffered: 64 << 20,
        seed: crate::wiring::random()?,
    });
    engine.load(for_live(spec, &targets)?)?;
    let caller = engine.caller(Some(KEY)).map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut live = Live { engine, journal, caller, left: budget.0, spent: 0, failed: 0 };
    let mut rows = Vec::new();
    for target in &targets {
        println!("{} {} ({})", target.provider, target.wire_model, target.dialect);
        let calls = runtime.block_on(live.deployment(target));
        rows.push(json!({
            "provider": target.provider,
            "model": target.wire_model,
            "dialect": target.dialect,
            "region": target.region,
            "calls": calls,
        }));
    }
    let text = serde_json::to_string_pretty(&json!({
        "made": now.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "cost_usd_at_list_price": domain::money::PicoDollars(live.spent).to_string(),
        "deployments": rows,
    }))?;
    std::fs::write(report, text + "\n").with_context(|| format!("{} cannot be written", report.display()))?;
    println!("cost at list price: ${}; report: {}", domain::money::PicoDollars(live.spent), report.display());
    Ok(if live.failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}

/// The same deployments, each under a name of its own, and one caller.
fn for_live(spec: SnapshotSpec, targets: &[Target]) -> anyhow::Result<SnapshotSpec> {
    let models = targets.iter().zip(&spec.deployments).map(|(target, own)| ModelSpec {
        name: ModelName::new(&target.model),
        deployments: vec![own.id.clone()],
    });
    let models = models.collect();
    // The first workload's terms hold for the calls; they are the operator's own.
    let mut workloads = spec.workloads;
    workloads.truncate(1);
    let Some(workload) = workloads.first_mut() else { bail!("the configuration has no workload") };
    workload.models.clear();
    workload.explains = Explains::Full;
    let id: WorkloadId = workload.id.clone();
    let keys = vec![KeySpec { id: KEY.into(), secret: KEY.to_owned().into(), workload: id }];
    Ok(SnapshotSpec { models, workloads, keys, ..spec })
}

/// A run under way.
struct Live {
    engine: Arc<Engine>,
    journal: Arc<MemoryJournal>,
    caller: Caller,
    /// Pico-dollars.
    left: u64,
    /// Pico-dollars.
    spent: u64,
    failed: u32,
}

impl Live {
    async fn deployment(&mut self, target: &Target) -> Vec<Value> {
        let mut rows = Vec::new();
        for (name, body) in calls(target) {
            let Some(body) = body else {
                println!("  {name:<16} not offered by this model");
                rows.push(
                    json!({ "call": name, "skipped": "the catalog says that the model does not offer it" }),
                );
                continue;
            };
            let skipped = match target.ceiling {
                None => Some(
                    "no price is known, so the budget could not be kept; write `price` in the configuration",
                ),
                Some(ceiling) if ceiling > self.left => Some("the budget is used up"),
                Some(_) => None,
            };
            if let Some(why) = skipped {
                println!("  {name:<16} skipped: {why}");
                rows.push(json!({ "call": name, "skipped": why }));
                continue;
            }
            rows.push(self.call(name, &body, target).await);
        }
        rows
    }

    async fn call(&mut self, name: &str, body: &Value, target: &Target) -> Value {
        let id = self.engine.new_call_id();
        let fault = match ActiveCall::openai_chat(id, Bytes::from(body.to_string())) {
            Ok(active) => match self.engine.infer(&self.caller, active).await {
                Ok(served) => {
                    read_to_end(served.body).await;
                    None
                }
                Err(refused) => Some(refused.fault),
            },
            Err(fault) => Some(fault),
        };
        let outcome = self.outcome(id);
        // A call without a known cost is booked at its ceiling, so that the budget holds.
        let cost = outcome.as_ref().and_then(|end| end.cost).map(|cost| cost.0);
        let booked = match (&outcome, cost) {
            (None, _) => 0,
            (Some(_), Some(cost)) => cost,
            (Some(_), None) => target.ceiling.unwrap_or(0),
        };
        self.left = self.left.saturating_sub(booked);
        self.spent = self.spent.saturating_add(booked);
        let ended = outcome.as_ref().map(|end| end.outcome);
        let answered = fault.is_none() && matches!(ended, Some(Outcome::Done));
        self.failed += u32::from(!answered);
        let code = match (&fault, ended) {
            (Some(fault), _) => Some(fault.code.name()),
            (None, Some(Outcome::Failed(code) | Outcome::Cut(code))) => Some(code.name()),
            _ => None,
        };
        let ms = outcome.as_ref().map_or(0, |end| end.total_us / 1_000);
        println!(
            "  {name:<16} {:<6} {ms:>6} ms  {}",
            if answered { "ok" } else { "FAILED" },
            code.unwrap_or("")
        );
        json!({
            "call": name,
            "answered": answered,
            "code": code,
            "status": outcome.as_ref().map(|end| end.upstream_status),
            "finish": outcome.as_ref().map(|end| &*end.finish),
            "served_by": outcome.as_ref().map(|end| end.served_by.name()),
            "tokens_in": outcome.as_ref().map(|end| end.usage.input_total()),
            "tokens_out": outcome.as_ref().map(|end| end.usage.output_total()),
            "cost_basis": outcome.as_ref().map(|end| end.cost_basis.name()),
            "losses": outcome.as_ref().map(|end| &*end.losses),
            "first_content_ms": outcome.as_ref().map(|end| end.first_content_us / 1_000),
            "total_ms": ms,
        })
    }

    fn outcome(&self, id: CallId) -> Option<OutcomeRecord> {
        self.journal.records().into_iter().rev().find_map(|record| match record {
            Record::Outcome(end) if end.call == id && end.last => Some(end),
            _ => None,
        })
    }
}

/// Reads an answer to its end, which settles it.
async fn read_to_end(body: AnswerBody) {
    if let AnswerBody::Stream(mut stream) = body {
        while poll_fn(|cx| stream.poll_next(cx)).await.is_some() {}
    }
}

/// The ten calls; `None` where the model does not offer what it takes.
fn calls(target: &Target) -> [(&'static str, Option<Value>); 10] {
    let can = &target.capabilities;
    let say = |more: Value| {
        let mut body = json!({
            "model": target.model,
            "max_completion_tokens": OUTPUT_MAX,
            "messages": [{ "role": "user", "content": "Answer with the one word: yes" }],
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        body
    };
    let tool = json!([{ "type": "function", "function": {
        "name": "get_time", "description": "The time in a city",
        "parameters": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
    } }]);
    let asked = json!([{ "role": "user", "content": "What time is it in Oslo? Use the tool." }]);
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "answer", "strict": true, "schema": {
        "type": "object", "properties": { "yes": { "type": "boolean" } }, "required": ["yes"],
        "additionalProperties": false,
    } } });
    let named = json!({ "type": "function", "function": { "name": "get_time" } });
    [
        ("plain", Some(say(json!({})))),
        (
            "system",
            Some(say(json!({ "messages": [
            { "role": "system", "content": "You answer with one word." }, { "role": "user", "content": "Is water wet?" },
        ] }))),
        ),
        (
            "turns",
            Some(say(json!({ "messages": [
            { "role": "user", "content": "My number is 7." }, { "role": "assistant", "content": "Noted." },
            { "role": "user", "content": "Which number? Answer with the digit." },
        ] }))),
        ),
        ("stream", Some(say(json!({ "stream": true })))),
        ("stream-usage", Some(say(json!({ "stream": true, "stream_options": { "include_usage": true } })))),
        ("temperature", can.sampling.then(|| say(json!({ "temperature": 0 })))),
        ("tool", can.tools.then(|| say(json!({ "tools": tool, "messages": asked })))),
        (
            "tool-forced",
            can.forced_tools.then(|| say(json!({ "tools": tool, "messages": asked, "tool_choice": named }))),
        ),
        ("tool-stream", can.tools.then(|| say(json!({ "tools": tool, "messages": asked, "stream": true })))),
        ("json-schema", can.json_schema.then(|| say(json!({ "response_format": schema })))),
    ]
}
