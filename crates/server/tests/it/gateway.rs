//! A gateway over simulated clouds, and a client for it.

use bytes::Bytes;
use domain::{
    Capabilities, Clock, DeploymentId, KeyId, ManualClock, ModelName, ReasoningControl, Secret, SecretNeed,
    WorkloadId, journal::MemoryJournal, record::Record, secret::FixedSecret,
};
use engine::{
    DeploymentSpec, Engine, EngineSettings, Explains, KeySpec, ModelSpec, SnapshotSpec, Timeouts,
    WorkloadSpec,
};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ledger::PriceSheet;
use placement::{
    CallClass, FactBook, Fleet, PackChoice, Placement, Terms, WorkloadProfile, classify::Override, facts,
};
use providers::{AuthMethod, Written};
use server::{Listener, ServerSettings};
use simulator::{Simulator, SimulatorConfig};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpStream;

/// Silence after which these gateways send a comment.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_millis(150);

/// A deployment of the test fleet: name, provider, model, cloud of the simulator, the rest of its settings.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) provider: &'static str,
    pub(crate) model: &'static str,
    pub(crate) cloud: &'static str,
    pub(crate) written: fn(Written) -> Written,
    pub(crate) reasoning: ReasoningControl,
}

fn key(mut written: Written) -> Written {
    written.auth = Some(AuthMethod::Key);
    written
}

pub(crate) const FLEET: &[Place] = &[
    Place {
        name: "openai",
        provider: "openai",
        model: "gpt-5.4",
        cloud: "openai",
        written: |w| w,
        reasoning: ReasoningControl::Effort,
    },
    Place {
        name: "azure-westeurope",
        provider: "azure",
        model: "gpt-5.4",
        cloud: "azure-westeurope",
        written: key,
        reasoning: ReasoningControl::Effort,
    },
    Place {
        name: "anthropic",
        provider: "anthropic",
        model: "claude-opus-5-5",
        cloud: "anthropic",
        written: |w| w,
        reasoning: ReasoningControl::Adaptive,
    },
    Place {
        name: "bedrock-claude",
        provider: "bedrock",
        model: "claude-opus-5-5",
        cloud: "bedrock-us-east-2",
        written: |mut w| {
            w.wire_model = Some("us.anthropic.claude-opus-5-5".into());
            w.region = Some("us-east-2".into());
            w.auth = Some(AuthMethod::Sigv4);
            w
        },
        reasoning: ReasoningControl::Adaptive,
    },
    Place {
        name: "vertex-gemini",
        provider: "vertex",
        model: "gemini-3-pro",
        cloud: "vertex-europe-west4",
        written: |mut w| {
            w.location = Some("europe-west4".into());
            w.project = Some("demo".into());
            w
        },
        reasoning: ReasoningControl::Effort,
    },
    Place {
        name: "gemini",
        provider: "gemini",
        model: "gemini-3-pro",
        cloud: "gemini",
        written: |w| w,
        reasoning: ReasoningControl::Effort,
    },
    Place {
        name: "vllm",
        provider: "vllm",
        model: "gpt-oss-120b",
        cloud: "vllm-onprem",
        written: |w| w,
        reasoning: ReasoningControl::Effort,
    },
];

/// A rule about a class: stateless calls of two workloads stay on Azure.
const LAB: &str = r#"
[pack]
id = "lab"
title = "The lab's own contract"
binds = "us"
status = "draft"
mode = "enforce"

[[rule]]
id = "lab-stateless"
title = "Stateless calls of the lab run on Azure"
from = 2020-01-01
applies_to = { action = "infer", class = "stateless", workload = ["lab", "lab-runtime"] }
allowed_only = { provider = "azure" }
source = "contract 17"
clause = "4"
owner = "lab"
reviewed = 2026-11-21
waivable = false
"#;

/// A clock that stands on the wall at a date and runs for durations.
struct TestClock {
    wall: ManualClock,
    started: std::time::Instant,
}

impl Clock for TestClock {
    fn now(&self) -> jiff::Timestamp {
        self.wall.now() + self.started.elapsed()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A gateway over simulated clouds.
pub(crate) struct Gateway {
    pub(crate) simulator: Simulator,
    pub(crate) engine: Arc<Engine>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) address: SocketAddr,
}

/// The key that every test uses.
pub(crate) const KEY: &str = "sk-test";

fn secret(need: &SecretNeed, cloud: &str) -> Secret {
    match need {
        SecretNeed::None => Secret::None,
        SecretNeed::Aws => Secret::Aws {
            access_key_id: "AKIASIMULATED0000000".into(),
            secret_access_key: "simulatedSecretAccessKey/0000000000000000".into(),
            session_token: None,
            expires_at: None,
        },
        SecretNeed::Key | SecretNeed::Entra { .. } | SecretNeed::Google => Secret::token(match cloud {
            "openai" => "sk-simulated-openai",
            "azure-westeurope" | "azure-swedencentral" => "simulated-azure-key",
            "anthropic" => "sk-ant-simulated",
            "gemini" => "AIzaSimulatedGeminiKey",
            _ => "ya29.simulated-vertex",
        }),
    }
}

impl Gateway {
    /// Starts one over [`FLEET`], with bounds on time short enough for tests.
    pub(crate) async fn start() -> Self {
        Self::start_with(Timeouts {
            first_content: Duration::from_millis(1_500),
            idle_content: Duration::from_millis(700),
            total: Duration::from_secs(20),
        })
        .await
    }

    pub(crate) async fn start_with(timeouts: Timeouts) -> Self {
        Self::start_over(timeouts, &[]).await
    }

    /// Starts one whose named deployments do not sit at the simulator but at these addresses.
    pub(crate) async fn start_over(timeouts: Timeouts, elsewhere: &[(&str, SocketAddr)]) -> Self {
        let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let journal = Arc::new(MemoryJournal::default());
        // Signatures are dated, so the wall clock is the real one here.
        let wall = jiff::Timestamp::from_second(unix_now()).unwrap();
        let clock = Arc::new(TestClock { wall: ManualClock::at(wall), started: std::time::Instant::now() });
        let engine = Engine::new(EngineSettings {
            clock,
            journal: journal.clone(),
            max_buffered: 64 << 20,
            seed: [7; 32],
        });
        engine.load(spec(&engine, &simulator, timeouts, elsewhere)).unwrap();
        let listener = Listener::bind(
            ([127, 0, 0, 1], 0).into(),
            ServerSettings {
                max_body: 1 << 20,
                head_timeout: Duration::from_millis(1_500),
                body_timeout: Duration::from_millis(1_500),
                keep_alive: KEEP_ALIVE,
                ..ServerSettings::default()
            },
        );
        let listener = listener.await.unwrap();
        let address = listener.address().unwrap();
        tokio::spawn(listener.serve(engine.clone(), None, std::future::pending()));
        Self { simulator, engine, journal, address }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> http::Response<hyper::body::Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        // The connection lives as long as the answer's body is read.
        std::mem::forget(sender);
        response
    }

    /// Posts a chat request and reads the answer whole.
    pub(crate) async fn chat(&self, body: serde_json::Value) -> (u16, http::HeaderMap, String) {
        self.post(KEY, body.to_string()).await
    }

    pub(crate) async fn post(&self, key: &str, body: impl Into<Bytes>) -> (u16, http::HeaderMap, String) {
        let response = self.send(request(key, body)).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// The metrics as they are scraped.
    pub(crate) fn metrics(&self) -> String {
        let shared = self.engine.shared();
        shared.metrics.text(&shared.buffers)
    }

    /// Calls under way, by the metrics.
    pub(crate) fn in_flight(&self) -> i64 {
        let text = self.metrics();
        let lines = text.lines().filter(|line| line.contains("in_flight") && !line.starts_with('#'));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<i64>().ok()).sum()
    }

    /// Attempts, outcomes and refusals in the journal.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let records = self.journal.records();
        let count = |wanted: fn(&Record) -> bool| records.iter().filter(|record| wanted(record)).count();
        (
            count(|record| matches!(record, Record::Attempt(_))),
            count(|record| matches!(record, Record::Outcome(_))),
            count(|record| matches!(record, Record::Refusal(_))),
        )
    }
}

pub(crate) fn request(key: &str, body: impl Into<Bytes>) -> http::Request<Full<Bytes>> {
    http::Request::post("/v1/chat/completions")
        .header("host", "gateway")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap()
}

fn unix_now() -> i64 {
    i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
        .unwrap()
}

fn spec(
    engine: &Engine,
    simulator: &Simulator,
    timeouts: Timeouts,
    elsewhere: &[(&str, SocketAddr)],
) -> SnapshotSpec {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let eu = std::fs::read_to_string(format!("{root}/terms/eu-residency.toml")).unwrap();
    let packs = [
        PackChoice { file: "terms/eu-residency.toml", text: &eu, mode: None },
        PackChoice { file: "terms/lab.toml", text: LAB, mode: None },
    ];
    let terms = Arc::new(Terms::compile(&packs, &BTreeMap::new()).unwrap());
    let book = std::fs::read_to_string(format!("{root}/catalog/facts.toml")).unwrap();
    let book = FactBook::parse(&[("catalog/facts.toml", &book)]).unwrap();
    let mut deployments = Vec::new();
    let mut facts = Vec::new();
    for (order, place) in (0..).zip(FLEET) {
        let moved = elsewhere.iter().find(|(name, _)| *name == place.name).map(|(_, address)| *address);
        let address = moved.or_else(|| simulator.address(place.cloud)).unwrap();
        let written = Written {
            provider: place.provider.into(),
            model: place.model.into(),
            endpoint: Some(format!("http://{address}")),
            ..Written::default()
        };
        let endpoint = providers::registry::check(&(place.written)(written)).unwrap();
        let secret = secret(endpoint.secret_need(), place.cloud);
        facts.push(book.describe(&facts::DeploymentSpec {
            id: place.name.into(),
            provider: place.provider.into(),
            model: place.model.into(),
            stated: Vec::new(),
        }));
        deployments.push(DeploymentSpec {
            id: place.name.into(),
            endpoint,
            secret: Arc::new(FixedSecret::new(secret)),
            capabilities: Capabilities {
                reasoning: place.reasoning,
                max_output_tokens: 4_096,
                ..Capabilities::default()
            },
            prices: Arc::new(PriceSheet::new(Vec::new(), "")),
            timeouts,
            order,
            concurrency: 64,
            connect_timeout: Duration::from_secs(1),
            tls: engine::upstream::TlsSettings::default(),
            proxy: None,
        });
    }
    let profile = |name: &str, residency: &str| WorkloadProfile {
        residency: residency.into(),
        ..WorkloadProfile::new(name.into())
    };
    let names = [("research", "none"), ("support-eu", "eu"), ("lab", "none"), ("lab-runtime", "none")];
    let profiles = names.map(|(name, residency)| profile(name, residency));
    let fleet = Arc::new(Fleet::new(facts, &profiles, &terms).unwrap());
    let workload = |name: &str| {
        let (principal, data_classes) = fleet.workload(&WorkloadId::new(name)).unwrap();
        WorkloadSpec {
            id: name.into(),
            principal,
            data_classes,
            explains: Explains::Full,
            may_pin: true,
            models: Vec::new(),
            class: (name == "lab-runtime").then(|| Override {
                class: CallClass::Stateful,
                reason: "runs inside a managed runtime".into(),
            }),
        }
    };
    let mut models: BTreeMap<&str, Vec<DeploymentId>> = BTreeMap::new();
    for place in FLEET {
        models.entry(place.model).or_default().push(place.name.into());
    }
    SnapshotSpec {
        deployments,
        models: models
            .into_iter()
            .map(|(name, deployments)| ModelSpec { name: ModelName::new(name), deployments })
            .collect(),
        workloads: names.map(|(name, _)| workload(name)).into(),
        keys: [
            ("key-1", KEY, "research"),
            ("key-2", "sk-eu", "support-eu"),
            ("key-3", "sk-lab", "lab"),
            ("key-4", "sk-lab-runtime", "lab-runtime"),
        ]
        .map(|(id, secret, workload)| KeySpec {
            id: KeyId::new(id),
            secret: secret.to_owned().into(),
            workload: workload.into(),
        })
        .into(),
        placement: Arc::new(Placement::new(engine.next_epoch(), terms, fleet)),
        discover: true,
    }
}
