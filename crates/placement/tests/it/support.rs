//! A fleet like the demo's, and short ways to ask it.

use domain::{DeploymentId, ModelName, SnapshotEpoch, WorkloadId};
use jiff::Timestamp;
use placement::{
    Attribute, CallClass, Can, Candidate, DataClasses, DeploymentIndex, DeploymentSpec, FactBook, Fleet,
    Live, Mode, PackChoice, Permission, PermissionKey, Placement, Question, Standing, Surface, Terms,
    WorkloadProfile, facts::Stated,
};
use std::{cell::RefCell, collections::BTreeMap, collections::HashMap, rc::Rc, sync::Arc};

pub(crate) const MSOAI: &str = include_str!("../../../../terms/microsoft-openai.toml");
pub(crate) const EU: &str = include_str!("../../../../terms/eu-residency.toml");
pub(crate) const ACME: &str = include_str!("../../../../terms/acme-bank.toml");
pub(crate) const FACTS: &str = include_str!("../../../../catalog/facts.toml");

pub(crate) fn at(text: &str) -> Timestamp {
    placement::instant::parse(text).unwrap()
}

pub(crate) fn terms(mode: Mode) -> Terms {
    compile(&[
        ("terms/microsoft-openai.toml", MSOAI, Some(mode)),
        ("terms/eu-residency.toml", EU, None),
        ("terms/acme-bank.toml", ACME, None),
    ])
}

pub(crate) fn compile(packs: &[(&str, &str, Option<Mode>)]) -> Terms {
    let packs: Vec<PackChoice<'_>> =
        packs.iter().map(|(file, text, mode)| PackChoice { file, text, mode: *mode }).collect();
    Terms::compile(&packs, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A deployment: name, provider, model, and `attribute=word,word` statements.
pub(crate) fn spec(id: &str, provider: &str, model: &str, stated: &[&str]) -> DeploymentSpec {
    let stated = stated
        .iter()
        .map(|text| {
            let (name, words) = text.split_once('=').unwrap();
            let words: Vec<&str> = words.split(',').collect();
            Stated::new(Attribute::by_name(name).unwrap(), &words, "test.toml:1").unwrap()
        })
        .collect();
    DeploymentSpec {
        id: DeploymentId::new(id),
        provider: provider.into(),
        model: ModelName::new(model),
        stated,
    }
}

pub(crate) fn demo_specs() -> Vec<DeploymentSpec> {
    let mut all = Vec::new();
    for model in ["gpt-5.4", "gpt-6.1-sol"] {
        let name = |place: &str| format!("{place}/{model}");
        let zone = ["geo_tier=data-zone", "retention=zero"];
        all.push(spec(
            &name("azure-westeurope"),
            "azure",
            model,
            &[&["region=westeurope"], &zone[..]].concat(),
        ));
        all.push(spec(
            &name("azure-swedencentral"),
            "azure",
            model,
            &[&["region=swedencentral"], &zone[..]].concat(),
        ));
        all.push(spec(&name("openai"), "openai", model, &[]));
        all.push(spec(
            &name("bedrock-us-east-2"),
            "bedrock",
            model,
            &["region=us-east-2", "geo_tier=regional", "retention=zero"],
        ));
    }
    all.push(spec("gcp/gpt-6.1-sol", "vertex", "gpt-6.1-sol", &["region=us", "geo_tier=geo"]));
    all.push(spec("frontier-on-aws", "bedrock", "gpt-5.4", &["region=us-east-2", "product=first-party"]));
    all.push(spec(
        "bedrock/gpt-oss-120b",
        "bedrock",
        "gpt-oss-120b",
        &["region=us-east-2", "geo_tier=regional"],
    ));
    all.push(spec("vllm/gpt-oss-120b", "vllm", "gpt-oss-120b", &["jurisdictions=de", "region=frankfurt"]));
    all.push(spec("anthropic/claude", "anthropic", "claude-opus-5-5", &["geo_tier=global"]));
    all.push(spec(
        "bedrock/claude",
        "bedrock",
        "claude-opus-5-5",
        &["region=us-east-2", "geo_tier=regional"],
    ));
    all.push(spec(
        "foundry-azure/claude",
        "azure",
        "claude-opus-5-5",
        &["hosted_on=azure", "retention=zero", "geo_tier=global"],
    ));
    all.push(spec(
        "foundry-anthropic/claude",
        "azure",
        "claude-opus-5-5",
        &["hosted_on=anthropic", "retention=zero", "region=westeurope", "geo_tier=data-zone"],
    ));
    all.push(spec("foundry-unsaid/claude", "azure", "claude-opus-5-5", &["retention=zero"]));
    all
}

pub(crate) fn workloads() -> Vec<WorkloadProfile> {
    let plain = |id: &str| WorkloadProfile::new(WorkloadId::new(id));
    vec![
        plain("research"),
        WorkloadProfile { residency: "eu".into(), ..plain("support-eu") },
        WorkloadProfile { organisation: "acme-bank".into(), ..plain("advice") },
        WorkloadProfile { tags: vec!["us-gov-natsec".into()], ..plain("natsec") },
        WorkloadProfile { team: "another".into(), ..plain("research-2") },
    ]
}

pub(crate) struct World {
    pub(crate) placement: Placement,
}

impl World {
    pub(crate) fn new(terms: Terms) -> Self {
        let book =
            FactBook::parse(&[("catalog/facts.toml", FACTS)]).unwrap_or_else(|problems| panic!("{problems}"));
        let deployments = demo_specs().iter().map(|spec| book.describe(spec)).collect();
        let fleet = Fleet::new(deployments, &workloads(), &terms).unwrap();
        Self { placement: Placement::new(SnapshotEpoch(7), Arc::new(terms), Arc::new(fleet)) }
    }

    /// The world in which the vendors' terms are enforced, as in the demo.
    pub(crate) fn enforced() -> Self {
        Self::new(terms(Mode::Enforce))
    }

    pub(crate) fn index(&self, id: &str) -> DeploymentIndex {
        self.placement.fleet().index_of(&DeploymentId::new(id)).unwrap_or_else(|| panic!("{id}"))
    }

    pub(crate) fn permission(&self, workload: &str, id: &str, class: CallClass, now: &str) -> Permission {
        let model = ModelName::new("x");
        let question = self.question(workload, &model, class, at(now), &[]);
        let lookup = |key: PermissionKey| Arc::new(self.placement.evaluate(key));
        (*self.placement.permission(&question, self.index(id), &lookup)).clone()
    }

    /// Ids of the rules that refuse: the complete determining set.
    pub(crate) fn refusals(&self, workload: &str, id: &str, class: CallClass, now: &str) -> Vec<String> {
        self.permission(workload, id, class, now).refusing_ids().map(str::to_owned).collect()
    }

    pub(crate) fn question<'a>(
        &self,
        workload: &str,
        model: &'a ModelName,
        call_class: CallClass,
        now: Timestamp,
        candidates: &'a [Candidate],
    ) -> Question<'a> {
        let (principal, data_classes) = self.placement.fleet().workload(&WorkloadId::new(workload)).unwrap();
        let data_classes = data_classes.with(DataClasses::NONE);
        Question { principal, model, call_class, data_classes, surface: Surface::OpenAiChat, candidates, now }
    }

    /// Candidates of a model, in the order of the fleet.
    pub(crate) fn candidates(&self, model: &str) -> Vec<Candidate> {
        let serves = |index: &DeploymentIndex| {
            let facts = self.placement.fleet().deployment(*index).unwrap();
            facts.value(Attribute::Model, at("2026-11-21")).as_word() == model
                && !facts.id.as_str().starts_with("frontier")
        };
        (0..)
            .zip(self.placement.fleet().deployments().map(|(index, _)| index).filter(serves))
            .map(|(order, deployment)| Candidate { deployment, can: Can::Yes, order, weight: 1, cost: None })
            .collect()
    }

    pub(crate) fn standing(&self, workload: &str, model: &str, class: CallClass, now: &str) -> Standing {
        let name = ModelName::new(model);
        let candidates = self.candidates(model);
        let question = self.question(workload, &name, class, at(now), &candidates);
        self.placement.standing(&question, &|key| Arc::new(self.placement.evaluate(key)))
    }

    /// Health by name: those that begin with one of these are down.
    pub(crate) fn down<'a>(&'a self, prefixes: &'a [&'a str]) -> impl Fn(DeploymentIndex) -> Live + 'a {
        move |index| {
            let id = &self.placement.fleet().deployment(index).unwrap().id;
            if prefixes.iter().any(|prefix| id.as_str().starts_with(prefix)) {
                Live::Down
            } else {
                Live::Up { latency_us: 0 }
            }
        }
    }
}

/// A memo as simple as it can be.
#[derive(Clone, Default)]
pub(crate) struct Memo(Rc<RefCell<HashMap<PermissionKey, Arc<Permission>>>>);

impl Memo {
    pub(crate) fn get(&self, placement: &Placement, key: PermissionKey) -> Arc<Permission> {
        let mut map = self.0.borrow_mut();
        Arc::clone(map.entry(key).or_insert_with(|| Arc::new(placement.evaluate(key))))
    }
}

/// Every pack that ships, by name, with its cases.
pub(crate) const SHIPPED: [(&str, &str); 11] = [
    ("microsoft-openai", MSOAI),
    ("eu-residency", EU),
    ("us-only", include_str!("../../../../terms/us-only.toml")),
    ("sovereign", include_str!("../../../../terms/sovereign.toml")),
    ("zero-retention", include_str!("../../../../terms/zero-retention.toml")),
    ("regulated", include_str!("../../../../terms/regulated.toml")),
    ("data-classes", include_str!("../../../../terms/data-classes.toml")),
    ("latency-class", include_str!("../../../../terms/latency-class.toml")),
    ("commitments", include_str!("../../../../terms/commitments.toml")),
    ("access", include_str!("../../../../terms/access.toml")),
    ("acme-bank", ACME),
];

/// The golden cases beside each shipped pack.
pub(crate) const CASES: [(&str, &str); 11] = [
    ("microsoft-openai", include_str!("../../../../terms/microsoft-openai.cases.toml")),
    ("eu-residency", include_str!("../../../../terms/eu-residency.cases.toml")),
    ("us-only", include_str!("../../../../terms/us-only.cases.toml")),
    ("sovereign", include_str!("../../../../terms/sovereign.cases.toml")),
    ("zero-retention", include_str!("../../../../terms/zero-retention.cases.toml")),
    ("regulated", include_str!("../../../../terms/regulated.cases.toml")),
    ("data-classes", include_str!("../../../../terms/data-classes.cases.toml")),
    ("latency-class", include_str!("../../../../terms/latency-class.cases.toml")),
    ("commitments", include_str!("../../../../terms/commitments.cases.toml")),
    ("access", include_str!("../../../../terms/access.cases.toml")),
    ("acme-bank", include_str!("../../../../terms/acme-bank.cases.toml")),
];
