//! The tables behind a permission key: deployments with their facts, classes of workloads, data classes.

use crate::{
    attribute::{Attribute, Owner, Value},
    facts::DeploymentFacts,
    permission::{DataClasses, DeploymentIndex, Mode, PrincipalClass},
    terms::Terms,
};
use domain::{DeploymentId, WorkloadId};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// At most this many deployments in a fleet: their index is 16 bits.
pub const MAX_DEPLOYMENTS: usize = 65_535;
/// At most this many data classes are told apart (bit 0 is "another one").
pub const MAX_DATA_CLASSES: usize = 63;

/// Where parts of a workload's data must stay, part by part; `None` where it may be anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pins {
    /// Where its calls enter.
    pub ingress: Option<Arc<str>>,
    /// Where its inference is processed.
    pub inference: Option<Arc<str>>,
    /// Where its state lies.
    pub state: Option<Arc<str>>,
    /// Where logs of its content lie.
    pub logs: Option<Arc<str>>,
    /// Where backups of its content lie.
    pub backups: Option<Arc<str>>,
    /// Where sub-processors are that see its content.
    pub sub_processors: Option<Arc<str>>,
}

/// What terms may read of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkloadProfile {
    /// Its name.
    pub id: WorkloadId,
    /// Its organisation; `none` where not set.
    pub organisation: Arc<str>,
    /// Its team; `none` where not set.
    pub team: Arc<str>,
    /// Marks (`us-gov-natsec`).
    pub tags: Vec<Arc<str>>,
    /// Where its data must stay: `none`, `eu`, `us`, … Sets the pins inference and state where they are not
    /// set apart.
    pub residency: Arc<str>,
    /// Where parts of its data must stay, each by itself.
    pub pins: Pins,
    /// What retention it demands: `any`, `days30`, `zero`.
    pub retention_required: Arc<str>,
    /// How the law rates its risk: `none` (not stated), `minimal`, `limited`, `high`.
    pub risk_class: Arc<str>,
    /// How soon it needs answers: `none` (not stated), `interactive`, `real-time`, `batch`.
    pub latency_class: Arc<str>,
    /// Where its users are: a jurisdiction, `none` where not stated.
    pub country: Arc<str>,
    /// Packs that act at least so for it, whatever they say themselves: what its organisation, its team and it
    /// itself raised.
    pub modes: BTreeMap<Arc<str>, Mode>,
    /// Data classes that every call of it has.
    pub data_classes: Vec<Arc<str>>,
}

impl WorkloadProfile {
    /// A workload of which nothing is demanded.
    #[must_use]
    pub fn new(id: WorkloadId) -> Self {
        Self {
            id,
            organisation: "none".into(),
            team: "none".into(),
            tags: Vec::new(),
            residency: "none".into(),
            pins: Pins::default(),
            retention_required: "any".into(),
            risk_class: "none".into(),
            latency_class: "none".into(),
            country: "none".into(),
            modes: BTreeMap::new(),
            data_classes: Vec::new(),
        }
    }

    /// Sets what the workload has of an attribute. A mark and a data class are added; everything else is replaced.
    /// False where no workload has such an attribute.
    pub fn put(&mut self, attribute: Attribute, word: &str) -> bool {
        let own: Arc<str> = word.into();
        match attribute {
            Attribute::Organisation => self.organisation = own,
            Attribute::Team => self.team = own,
            Attribute::Workload => self.id = WorkloadId::new(word),
            Attribute::Tags => self.tags.push(own),
            Attribute::DataClasses => self.data_classes.push(own),
            Attribute::Residency => self.residency = own,
            Attribute::RetentionRequired => self.retention_required = own,
            Attribute::RiskClass => self.risk_class = own,
            Attribute::LatencyClass => self.latency_class = own,
            Attribute::Country => self.country = own,
            Attribute::PinIngress => self.pins.ingress = Some(own),
            Attribute::PinInference => self.pins.inference = Some(own),
            Attribute::PinState => self.pins.state = Some(own),
            Attribute::PinLogs => self.pins.logs = Some(own),
            Attribute::PinBackups => self.pins.backups = Some(own),
            Attribute::PinSubProcessors => self.pins.sub_processors = Some(own),
            _ => return false,
        }
        true
    }

    /// The value of an attribute that is the workload's.
    #[must_use]
    pub fn value(&self, attribute: Attribute) -> Value {
        let pin = |pin: &Option<Arc<str>>, usual: &str| {
            pin.as_ref().map_or_else(|| Value::word(usual), |place| Value::Word(Arc::clone(place)))
        };
        match attribute {
            Attribute::PinIngress => pin(&self.pins.ingress, "none"),
            Attribute::PinInference => pin(&self.pins.inference, &self.residency),
            Attribute::PinState => pin(&self.pins.state, &self.residency),
            Attribute::PinLogs => pin(&self.pins.logs, "none"),
            Attribute::PinBackups => pin(&self.pins.backups, "none"),
            Attribute::PinSubProcessors => pin(&self.pins.sub_processors, "none"),
            Attribute::RiskClass => Value::Word(Arc::clone(&self.risk_class)),
            Attribute::LatencyClass => Value::Word(Arc::clone(&self.latency_class)),
            Attribute::Country => Value::Word(Arc::clone(&self.country)),
            Attribute::Organisation => Value::Word(Arc::clone(&self.organisation)),
            Attribute::Team => Value::Word(Arc::clone(&self.team)),
            Attribute::Workload => Value::word(self.id.as_str()),
            Attribute::Tags => Value::set(self.tags.iter().map(|tag| &**tag), "none"),
            Attribute::Residency => Value::Word(Arc::clone(&self.residency)),
            Attribute::RetentionRequired => Value::Word(Arc::clone(&self.retention_required)),
            _ => Value::unknown(attribute),
        }
    }
}

/// What terms can tell of a class of workloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Class {
    /// Its attributes, in the order of [`Attribute::ALL`].
    values: Vec<(Attribute, Value)>,
    /// Packs that act at least so for it. Only packs that are there.
    raised: Raised,
}

/// Packs that act at least so for a class of workloads.
pub type Raised = Arc<BTreeMap<Arc<str>, Mode>>;

/// Deployments, classes of workloads and data classes, interned.
#[derive(Debug)]
pub struct Fleet {
    deployments: Vec<DeploymentFacts>,
    by_id: HashMap<DeploymentId, DeploymentIndex>,
    classes: Vec<Class>,
    workloads: HashMap<WorkloadId, (PrincipalClass, DataClasses)>,
    data_classes: Vec<Arc<str>>,
    hash: String,
}

/// Why a fleet cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// Too many deployments.
    #[error("more than {MAX_DEPLOYMENTS} deployments")]
    TooManyDeployments,
    /// Two of one name.
    #[error("the deployment `{0}` is there twice")]
    TwiceDeployment(DeploymentId),
    /// Two of one name.
    #[error("the workload `{0}` is there twice")]
    TwiceWorkload(WorkloadId),
    /// Too many data classes.
    #[error("more than {MAX_DATA_CLASSES} data classes in packs and workloads together")]
    TooManyDataClasses,
}

impl Fleet {
    /// Interns deployments, workloads and data classes. Workloads that no rule of `terms` can tell apart
    /// share a class.
    ///
    /// # Errors
    /// Doubles, or more than the bounds.
    pub fn new(
        deployments: Vec<DeploymentFacts>,
        workloads: &[WorkloadProfile],
        terms: &Terms,
    ) -> Result<Self, FleetError> {
        if deployments.len() > MAX_DEPLOYMENTS {
            return Err(FleetError::TooManyDeployments);
        }
        let mut fleet = Self {
            hash: facts_hash(&deployments),
            deployments,
            by_id: HashMap::new(),
            classes: Vec::new(),
            workloads: HashMap::new(),
            data_classes: vec!["other".into()],
        };
        for (index, facts) in (0..).zip(&fleet.deployments) {
            if fleet.by_id.insert(facts.id.clone(), DeploymentIndex(index)).is_some() {
                return Err(FleetError::TwiceDeployment(facts.id.clone()));
            }
        }
        let stated = workloads.iter().flat_map(|workload| workload.data_classes.iter().map(|name| &**name));
        for name in terms.data_classes().chain(stated) {
            if !fleet.data_classes.iter().any(|known| **known == *name) {
                fleet.data_classes.push(name.into());
            }
        }
        if fleet.data_classes.len() > MAX_DATA_CLASSES + 1 {
            return Err(FleetError::TooManyDataClasses);
        }
        let mut known: HashMap<Class, PrincipalClass> = HashMap::new();
        for workload in workloads {
            let class = Class { values: class_values(workload, terms), raised: raised(workload, terms) };
            let next = PrincipalClass(u32::try_from(fleet.classes.len()).unwrap_or(u32::MAX));
            let class = *known.entry(class).or_insert_with_key(|class| {
                fleet.classes.push(class.clone());
                next
            });
            let data = fleet.data_classes_of(workload.data_classes.iter().map(|name| &**name));
            if fleet.workloads.insert(workload.id.clone(), (class, data)).is_some() {
                return Err(FleetError::TwiceWorkload(workload.id.clone()));
            }
        }
        Ok(fleet)
    }

    /// The index of a deployment.
    #[must_use]
    pub fn index_of(&self, id: &DeploymentId) -> Option<DeploymentIndex> {
        self.by_id.get(id).copied()
    }

    /// The facts of a deployment.
    #[must_use]
    pub fn deployment(&self, index: DeploymentIndex) -> Option<&DeploymentFacts> {
        self.deployments.get(usize::from(index.0))
    }

    /// All deployments in order.
    pub fn deployments(&self) -> impl Iterator<Item = (DeploymentIndex, &DeploymentFacts)> {
        (0..).map(DeploymentIndex).zip(&self.deployments)
    }

    /// The class of a workload and the data classes that all its calls have.
    #[must_use]
    pub fn workload(&self, id: &WorkloadId) -> Option<(PrincipalClass, DataClasses)> {
        self.workloads.get(id).copied()
    }

    /// How many classes of workloads there are.
    #[must_use]
    pub const fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// The attributes of a class of workloads; one that no rule reads is `any`.
    pub fn class_values(&self, class: PrincipalClass) -> Option<&[(Attribute, Value)]> {
        self.classes.get(usize::try_from(class.0).ok()?).map(|class| class.values.as_slice())
    }

    /// Packs that act at least so for a class of workloads, whatever they say themselves.
    #[must_use]
    pub fn raised(&self, class: PrincipalClass) -> Option<&Raised> {
        self.classes.get(usize::try_from(class.0).ok()?).map(|class| &class.raised)
    }

    /// The bits of these data classes. A class that neither a pack nor a workload names sets bit 0.
    pub fn data_classes_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> DataClasses {
        let mut bits = 0_u64;
        for name in names {
            let bit = self.data_classes.iter().position(|known| **known == *name).unwrap_or(0);
            bits |= 1 << bit.min(MAX_DATA_CLASSES);
        }
        DataClasses(bits)
    }

    /// The names of the bits, in order of the table; `none` where no bit is set.
    #[must_use]
    pub fn data_class_names(&self, set: DataClasses) -> Value {
        let names = (0_u32..).zip(&self.data_classes).filter(|(bit, _)| set.0 >> (*bit).min(63) & 1 == 1);
        Value::set(names.map(|(_, name)| &**name), "none")
    }

    /// Hash of every fact of every deployment, hex, 32 digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// The attributes of a workload, with those that no rule reads made alike.
fn class_values(workload: &WorkloadProfile, terms: &Terms) -> Vec<(Attribute, Value)> {
    Attribute::ALL
        .iter()
        .copied()
        .filter(|attribute| attribute.owner() == Owner::Workload)
        .map(|attribute| {
            let waived = attribute == Attribute::Workload && terms.is_waived_for(workload.id.as_str());
            if terms.reads(attribute) || waived {
                (attribute, workload.value(attribute))
            } else if matches!(Value::unknown(attribute), Value::Set(_)) {
                (attribute, Value::set(["any"], "any"))
            } else {
                (attribute, Value::word("any"))
            }
        })
        .collect()
}

/// What the workload raised, of the packs that are there.
fn raised(workload: &WorkloadProfile, terms: &Terms) -> Raised {
    let there = |pack: &str| terms.packs().iter().any(|known| *known.id == *pack);
    let modes = workload.modes.iter().filter(|(pack, _)| there(pack));
    Arc::new(modes.map(|(pack, mode)| (Arc::clone(pack), *mode)).collect())
}

fn facts_hash(deployments: &[DeploymentFacts]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut line = String::new();
    for facts in deployments {
        for (attribute, rows) in &facts.rows {
            for row in rows {
                use std::fmt::Write as _;
                line.clear();
                let date =
                    |date: Option<jiff::Timestamp>| date.map_or_else(String::new, crate::instant::format);
                let _ = writeln!(
                    line,
                    "{}\t{attribute}\t{}\t{}\t{}\t{}",
                    facts.id,
                    row.fact.value,
                    row.fact.basis.name(),
                    date(row.from),
                    date(row.until),
                );
                hasher.update(line.as_bytes());
            }
        }
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}
