//! The tables behind a permission key: deployments with their facts, classes of workloads, data classes.

use crate::{
    attribute::{Attribute, Owner, Value},
    facts::DeploymentFacts,
    permission::{DataClasses, DeploymentIndex, PrincipalClass},
    terms::Terms,
};
use domain::{DeploymentId, WorkloadId};
use std::{collections::HashMap, sync::Arc};

/// At most this many deployments in a fleet: their index is 16 bits.
pub const MAX_DEPLOYMENTS: usize = 65_535;
/// At most this many data classes are told apart (bit 0 is "another one").
pub const MAX_DATA_CLASSES: usize = 63;

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
    /// Where its data must stay: `none`, `eu`, `us`, …
    pub residency: Arc<str>,
    /// What retention it demands: `any`, `days30`, `zero`.
    pub retention_required: Arc<str>,
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
            retention_required: "any".into(),
            data_classes: Vec::new(),
        }
    }

    /// The value of an attribute that is the workload's.
    #[must_use]
    pub fn value(&self, attribute: Attribute) -> Value {
        match attribute {
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

/// The values that a class of workloads has, in the order of [`class_attributes`].
type ClassValues = Vec<(Attribute, Value)>;

/// Deployments, classes of workloads and data classes, interned.
#[derive(Debug)]
pub struct Fleet {
    deployments: Vec<DeploymentFacts>,
    by_id: HashMap<DeploymentId, DeploymentIndex>,
    classes: Vec<ClassValues>,
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
        let mut known: HashMap<ClassValues, PrincipalClass> = HashMap::new();
        for workload in workloads {
            let values = class_values(workload, terms);
            let next = PrincipalClass(u32::try_from(fleet.classes.len()).unwrap_or(u32::MAX));
            let class = *known.entry(values).or_insert_with_key(|values| {
                fleet.classes.push(values.clone());
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
        self.classes.get(usize::try_from(class.0).ok()?).map(Vec::as_slice)
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
fn class_values(workload: &WorkloadProfile, terms: &Terms) -> ClassValues {
    Attribute::ALL
        .iter()
        .copied()
        .filter(|attribute| attribute.owner() == Owner::Workload)
        .map(|attribute| {
            if terms.reads(attribute) {
                (attribute, workload.value(attribute))
            } else if matches!(Value::unknown(attribute), Value::Set(_)) {
                (attribute, Value::set(["any"], "any"))
            } else {
                (attribute, Value::word("any"))
            }
        })
        .collect()
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
