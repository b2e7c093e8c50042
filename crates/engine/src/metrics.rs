//! What the gateway counts. Label sets are resolved once per deployment; a call only adds to atomics.
//!
//! No label ever holds a caller's text: models and users are unbounded, deployments are not.

use crate::budget::BufferBudget;
use domain::record::Outcome;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64},
};

/// Which deployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDeployment {
    deployment: String,
}

/// Which deployment, and how its attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    deployment: String,
    outcome: &'static str,
}

/// Why a call ended without an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

/// All counters of one gateway.
pub struct Metrics {
    registry: Mutex<Registry>,
    attempts: Family<ByOutcome, Counter>,
    refusals: Family<ByCode, Counter>,
    input_tokens: Family<ByDeployment, Counter>,
    output_tokens: Family<ByDeployment, Counter>,
    cost: Family<ByDeployment, Counter<f64, AtomicU64>>,
    first_content: Family<ByDeployment, Histogram>,
    duration: Family<ByDeployment, Histogram>,
    in_flight: Family<ByDeployment, Gauge>,
    buffered: Gauge<i64, AtomicI64>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// The counters of one deployment, resolved.
#[derive(Clone, Debug)]
pub struct DeploymentMetrics {
    done: Counter,
    failed: Counter,
    cut: Counter,
    left: Counter,
    /// Tokens in.
    pub input_tokens: Counter,
    /// Tokens out.
    pub output_tokens: Counter,
    /// List cost in dollars.
    pub cost: Counter<f64, AtomicU64>,
    /// Seconds to the first content.
    pub first_content: Histogram,
    /// Seconds to the end.
    pub duration: Histogram,
    /// Calls under way.
    pub in_flight: Gauge,
}

impl DeploymentMetrics {
    /// Counts an attempt's end.
    pub fn ended(&self, outcome: Outcome) {
        match outcome {
            Outcome::Done => self.done.inc(),
            Outcome::Failed(_) | Outcome::Unknown => self.failed.inc(),
            Outcome::Cut(_) => self.cut.inc(),
            Outcome::CallerLeft => self.left.inc(),
        };
    }
}

fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(domain::product::NAME);
        let metrics = Self {
            attempts: Family::default(),
            refusals: Family::default(),
            input_tokens: Family::default(),
            output_tokens: Family::default(),
            cost: Family::default(),
            first_content: Family::new_with_constructor(seconds),
            duration: Family::new_with_constructor(seconds),
            in_flight: Family::default(),
            buffered: Gauge::default(),
            registry: Mutex::new(Registry::default()),
        };
        registry.register(
            "attempts",
            "Upstream requests by deployment and outcome",
            metrics.attempts.clone(),
        );
        registry.register(
            "refusals",
            "Calls that ended without an upstream request, by code",
            metrics.refusals.clone(),
        );
        registry.register("input_tokens", "Tokens in, cached or not", metrics.input_tokens.clone());
        registry.register("output_tokens", "Tokens out, seen or thought", metrics.output_tokens.clone());
        registry.register("cost_dollars", "List price of the tokens in US dollars", metrics.cost.clone());
        registry.register(
            "first_content_seconds",
            "From the upstream request to its first content",
            metrics.first_content.clone(),
        );
        registry.register(
            "duration_seconds",
            "From the upstream request to its end",
            metrics.duration.clone(),
        );
        registry.register("in_flight", "Upstream requests under way", metrics.in_flight.clone());
        registry.register("buffered_bytes", "Bytes of bodies held in memory", metrics.buffered.clone());
        Self { registry: Mutex::new(registry), ..metrics }
    }
}

impl Metrics {
    /// The counters of one deployment. Cheap to keep, not cheap to look up: once per snapshot.
    #[must_use]
    pub fn deployment(&self, name: &str) -> DeploymentMetrics {
        let by = ByDeployment { deployment: name.to_owned() };
        let outcome =
            |outcome| self.attempts.get_or_create_owned(&ByOutcome { deployment: name.to_owned(), outcome });
        DeploymentMetrics {
            done: outcome("done"),
            failed: outcome("failed"),
            cut: outcome("cut"),
            left: outcome("caller_left"),
            input_tokens: self.input_tokens.get_or_create_owned(&by),
            output_tokens: self.output_tokens.get_or_create_owned(&by),
            cost: self.cost.get_or_create_owned(&by),
            first_content: self.first_content.get_or_create_owned(&by),
            duration: self.duration.get_or_create_owned(&by),
            in_flight: self.in_flight.get_or_create_owned(&by),
        }
    }

    /// Counts a call that ended without an attempt.
    pub fn refused(&self, code: domain::Code) {
        self.refusals.get_or_create(&ByCode { code: code.name() }).inc();
    }

    /// The Prometheus text. Gauges that mirror other state are set here.
    #[must_use]
    pub fn text(&self, buffers: &BufferBudget) -> String {
        self.buffered.set(i64::try_from(buffers.used()).unwrap_or(i64::MAX));
        let mut out = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if text::encode(&mut out, &registry).is_err() {
            out.clear();
        }
        out
    }
}
