//! The one list of what terms may read: its name in sheets and in Cedar, whose it is, what it may hold.
//! The Cedar schema, the checks of sheets and fact books, and the columns of `explain` are derived from it.

use serde::{Serialize, Serializer, ser::SerializeSeq};
use std::{fmt, sync::Arc};

/// Whose attribute it is: which part of the permission key determines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A placement fact of the deployment (or of the host of state), as it stands in the window.
    Deployment,
    /// Of the workload: determined by the principal class.
    Workload,
    /// Of the call itself.
    Context,
}

/// One word or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Exactly one word.
    Word,
    /// One or more words, as a set. In `allowed_only` all of them must be among the listed.
    Within,
    /// One or more words, as a set. In `allowed_only` all of the listed must be among them.
    HasAll,
}

/// Which words it may hold.
#[derive(Clone, Copy, Debug)]
pub enum Words {
    /// Any; names that the operator gives.
    Open,
    /// One of these.
    Closed(&'static [&'static str]),
}

/// The word for a fact that nobody stated. Packs decide what it means; residency packs refuse it.
pub const UNKNOWN: &str = "unknown";

macro_rules! attributes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $owner:ident, $shape:ident, $words:expr, $noun:literal;)+) => {
        /// What terms may read of a call, its workload and a deployment.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Attribute {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Attribute {
            /// Every attribute, in the order of the documents.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in sheets, fact books, Cedar and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Whose it is.
            #[must_use]
            pub const fn owner(self) -> Owner {
                match self { $(Self::$variant => Owner::$owner,)+ }
            }

            /// One word or several.
            #[must_use]
            pub const fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape,)+ }
            }

            /// Which words it may hold.
            #[must_use]
            pub const fn words(self) -> Words {
                match self { $(Self::$variant => $words,)+ }
            }

            /// How a sentence calls it.
            #[must_use]
            pub const fn noun(self) -> &'static str {
                match self { $(Self::$variant => $noun,)+ }
            }
        }
    };
}

const FAMILIES: &[&str] = &[
    "openai-proprietary",
    "openai-open-weight",
    "claude",
    "gemini",
    "gemma",
    "llama",
    "mistral",
    "cohere",
    "deepseek",
    "qwen",
    "kimi",
    "grok",
    "nova",
    "other",
    UNKNOWN,
];
const CLOUDS: &[&str] = &[
    "azure",
    "aws",
    "gcp",
    "oci",
    "ibm",
    "alibaba",
    "cloudflare",
    "cerebras",
    "groq",
    "together",
    "fireworks",
    "mistral",
    "xai",
    "anthropic",
    "ovh",
    "scaleway",
    "stackit",
    "on-prem",
    "undisclosed",
    UNKNOWN,
];
/// The jurisdictions with one more word: what stands where nothing is stated.
macro_rules! jurisdictions_or {
    ($word:expr) => {
        &[
            "at", "be", "bg", "hr", "cy", "cz", "dk", "ee", "fi", "fr", "de", "gr", "hu", "ie", "it", "lv",
            "lt", "lu", "mt", "nl", "pl", "pt", "ro", "sk", "si", "es", "se", "eu", "is", "li", "no", "eea",
            "ch", "gb", "us", "ca", "br", "mx", "au", "nz", "jp", "kr", "in", "sg", "hk", "tw", "cn", "id",
            "my", "th", "ae", "sa", "qa", "il", "tr", "za", "cl", "apac", "global", $word,
        ]
    };
}
/// Jurisdictions: ISO 3166 alpha-2 in lower case, `eu` and `eea` for "somewhere in it", `global` for anywhere.
const JURISDICTIONS: &[&str] = jurisdictions_or!(UNKNOWN);
/// Where users are: a jurisdiction or nothing stated.
const COUNTRIES: &[&str] = jurisdictions_or!("none");
/// Where something must stay: `none` where it may be anywhere.
const PLACES: &[&str] = &["none", "eu", "us", "uk", "ch", "ca", "au", "jp", "in"];
const EU_EEA: &[&str] = &[
    "at", "be", "bg", "hr", "cy", "cz", "dk", "ee", "fi", "fr", "de", "gr", "hu", "ie", "it", "lv", "lt",
    "lu", "mt", "nl", "pl", "pt", "ro", "sk", "si", "es", "se", "eu", "is", "li", "no", "eea",
];

attributes! {
    /// The family of the model.
    Family = "family", Deployment, Word, Words::Closed(FAMILIES), "model family";
    /// The model's name in the catalog.
    Model = "model", Deployment, Word, Words::Open, "model";
    /// Sold as an API, or part of the vendor's own product.
    Product = "product", Deployment, Word, Words::Closed(&["api", "first-party", UNKNOWN]), "product";
    /// The adapter through which it is called.
    Provider = "provider", Deployment, Word, Words::Open, "provider";
    /// Who sells it: the other side of the contract, who bills.
    Seller = "seller", Deployment, Word, Words::Open, "seller";
    /// Who runs the service.
    Operator = "operator", Deployment, Word, Words::Open, "operator";
    /// Who processes the data in the sense of data-protection law.
    Processor = "processor", Deployment, Word, Words::Open, "data processor";
    /// Whose infrastructure it stands on.
    Cloud = "cloud", Deployment, Word, Words::Closed(CLOUDS), "cloud";
    /// The region by the cloud's own name.
    Region = "region", Deployment, Word, Words::Open, "region";
    /// How far the provider may move the call: one region, a data zone, a geography, anywhere.
    GeoTier = "geo_tier", Deployment, Word,
        Words::Closed(&["regional", "data-zone", "geo", "global", UNKNOWN]), "geo tier";
    /// The cloud's partition: its commercial part, or one that is sealed off from it.
    Partition = "partition", Deployment, Word,
        Words::Closed(&["commercial", "us-gov", "eu-sovereign", "cn", "on-prem", UNKNOWN]), "partition";
    /// Where inference may be processed: every jurisdiction that is possible.
    Jurisdictions = "jurisdictions", Deployment, Within, Words::Closed(JURISDICTIONS), "processing jurisdictions";
    /// Where the call may enter: where its connection is opened and read.
    IngressJurisdictions = "ingress_jurisdictions", Deployment, Within, Words::Closed(JURISDICTIONS),
        "ingress jurisdictions";
    /// Where state that is kept there may lie.
    StateJurisdictions = "state_jurisdictions", Deployment, Within, Words::Closed(JURISDICTIONS),
        "state jurisdictions";
    /// Where logs with content may lie.
    LogJurisdictions = "log_jurisdictions", Deployment, Within, Words::Closed(JURISDICTIONS), "log jurisdictions";
    /// Where backups of what is kept may lie.
    BackupJurisdictions = "backup_jurisdictions", Deployment, Within, Words::Closed(JURISDICTIONS),
        "backup jurisdictions";
    /// Where sub-processors may see the data.
    SubProcessorJurisdictions = "sub_processor_jurisdictions", Deployment, Within, Words::Closed(JURISDICTIONS),
        "sub-processor jurisdictions";
    /// What the provider keeps, and how long.
    Retention = "retention", Deployment, Word,
        Words::Closed(&["zero", "flagged-30d", "days30", "days55", "longer", UNKNOWN]), "retention";
    /// Whether the provider trains on the data.
    TrainingUse = "training_use", Deployment, Word,
        Words::Closed(&["never", "opt-in", "opt-out", "always", UNKNOWN]), "training use";
    /// Attestations that an operator confirmed.
    Attestations = "attestations", Deployment, HasAll, Words::Open, "attestations";
    /// How it is paid for.
    CostStructure = "cost_structure", Deployment, Word,
        Words::Closed(&["token", "provisioned", "batch", "flex", "self-hosted", UNKNOWN]), "cost structure";
    /// What computes there, by the vendor's name for it.
    Accelerator = "accelerator", Deployment, Word, Words::Open, "accelerator";
    /// The availability that the seller promises: a percentage (`99.9`) or `none`.
    Sla = "sla", Deployment, Word, Words::Open, "SLA";
    /// The hosting option where the seller has several (Claude in Foundry, Claude on Google).
    HostedOn = "hosted_on", Deployment, Word,
        Words::Closed(&["azure", "aws", "gcp", "anthropic", "not-applicable", UNKNOWN]), "hosting option";
    /// Whether it is offered there. No matter of permission: terms cannot read it.
    Availability = "availability", Deployment, Word,
        Words::Closed(&["ga", "preview", "gated-preview", "retired", "not-offered", UNKNOWN]), "availability";
    /// The workload's organisation.
    Organisation = "organisation", Workload, Word, Words::Open, "organisation";
    /// The workload's team.
    Team = "team", Workload, Word, Words::Open, "team";
    /// The workload's name.
    Workload = "workload", Workload, Word, Words::Open, "workload";
    /// What the operator marked the workload with, for instance `us-gov-natsec`. `none` where nothing.
    Tags = "tags", Workload, Within, Words::Open, "mark";
    /// Where the workload's data must stay.
    Residency = "residency", Workload, Word,
        Words::Closed(PLACES), "residency requirement";
    /// Where the workload's calls must enter.
    PinIngress = "pin_ingress", Workload, Word, Words::Closed(PLACES), "ingress pin";
    /// Where the workload's inference must be processed.
    PinInference = "pin_inference", Workload, Word, Words::Closed(PLACES), "inference pin";
    /// Where the workload's state must lie.
    PinState = "pin_state", Workload, Word, Words::Closed(PLACES), "state pin";
    /// Where logs of the workload's content must lie.
    PinLogs = "pin_logs", Workload, Word, Words::Closed(PLACES), "log pin";
    /// Where backups of the workload's content must lie.
    PinBackups = "pin_backups", Workload, Word, Words::Closed(PLACES), "backup pin";
    /// Where sub-processors that see the workload's content must be.
    PinSubProcessors = "pin_sub_processors", Workload, Word, Words::Closed(PLACES), "sub-processor pin";
    /// How the law rates the risk of what the workload does.
    RiskClass = "risk_class", Workload, Word, Words::Closed(&["none", "minimal", "limited", "high"]), "risk class";
    /// How soon the workload needs its answers.
    LatencyClass = "latency_class", Workload, Word,
        Words::Closed(&["none", "interactive", "real-time", "batch"]), "latency class";
    /// Where the workload's users are: a jurisdiction, or `none` where not stated.
    Country = "country", Workload, Word, Words::Closed(COUNTRIES), "country of the users";
    /// What retention the workload demands of whoever serves it.
    RetentionRequired = "retention_required", Workload, Word, Words::Closed(&["any", "days30", "zero"]),
        "retention requirement";
    /// Who keeps state for the call.
    Class = "class", Context, Word, Words::Closed(&["stateless", "stateful", "hybrid"]), "call class";
    /// Kinds of data in the call. `none` where nothing was found or stated.
    DataClasses = "data_classes", Context, Within, Words::Open, "data class";
    /// The client API through which the call came.
    Surface = "surface", Context, Word,
        Words::Closed(&["openai-chat", "openai-responses", "openai-embeddings", "anthropic-messages", "gemini",
            "bedrock-converse", "internal"]), "surface";
}

impl Attribute {
    /// The six pins: name in the configuration, the workload's attribute, the deployment's that it binds.
    pub const PINS: [(&'static str, Self, Self); 6] = [
        ("ingress", Self::PinIngress, Self::IngressJurisdictions),
        ("inference", Self::PinInference, Self::Jurisdictions),
        ("state", Self::PinState, Self::StateJurisdictions),
        ("logs", Self::PinLogs, Self::LogJurisdictions),
        ("backups", Self::PinBackups, Self::BackupJurisdictions),
        ("sub_processors", Self::PinSubProcessors, Self::SubProcessorJurisdictions),
    ];

    /// The attribute of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|attribute| attribute.name() == name)
    }

    /// True where terms may read it. Availability is another question than permission.
    #[must_use]
    pub const fn readable(self) -> bool {
        !matches!(self, Self::Availability)
    }

    /// The placement facts: attributes of a deployment, availability among them.
    pub fn facts() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|attribute| attribute.owner() == Owner::Deployment)
    }

    /// Its place in [`Attribute::ALL`], for tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Where Cedar finds it.
    pub(crate) fn cedar_path(self) -> String {
        let base = match self.owner() {
            Owner::Deployment => "resource",
            Owner::Workload => "principal",
            Owner::Context => "context",
        };
        format!("{base}.{}", self.name())
    }

    /// The words of a named group (`@eu-eea`).
    #[must_use]
    pub fn group(self, name: &str) -> Option<&'static [&'static str]> {
        match (self, name) {
            (
                Self::Jurisdictions
                | Self::IngressJurisdictions
                | Self::StateJurisdictions
                | Self::LogJurisdictions
                | Self::BackupJurisdictions
                | Self::SubProcessorJurisdictions
                | Self::Country,
                "@eu-eea",
            ) => Some(EU_EEA),
            _ => None,
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What an attribute holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// One word.
    Word(Arc<str>),
    /// A set: sorted, without doubles, never empty.
    Set(Arc<[Arc<str>]>),
}

impl Value {
    /// One word.
    #[must_use]
    pub fn word(word: &str) -> Self {
        Self::Word(word.into())
    }

    /// A set, sorted; where nothing is given, the set of the one word `empty`.
    #[must_use]
    pub fn set<'a>(words: impl IntoIterator<Item = &'a str>, empty: &str) -> Self {
        let mut words: Vec<Arc<str>> = words.into_iter().map(Into::into).collect();
        if words.is_empty() {
            words.push(empty.into());
        }
        words.sort();
        words.dedup();
        Self::Set(words.into())
    }

    /// The value that says "nobody stated it" in the attribute's shape.
    #[must_use]
    pub fn unknown(attribute: Attribute) -> Self {
        match attribute.shape() {
            Shape::Word => Self::word(UNKNOWN),
            Shape::Within | Shape::HasAll => Self::set([UNKNOWN], UNKNOWN),
        }
    }

    /// The one word; of a set, its first.
    #[must_use]
    pub fn as_word(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Set(words) => words.first().map_or(UNKNOWN, |word| word),
        }
    }

    /// All words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::Word(word) => std::slice::from_ref(word).iter(),
            Self::Set(words) => words.iter(),
        }
        .map(|word| &**word)
    }

    /// True where one of the words is this one.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.words().any(|own| own == word)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Word(word) => serializer.serialize_str(word),
            Self::Set(words) => {
                let mut list = serializer.serialize_seq(Some(words.len()))?;
                for word in words.iter() {
                    list.serialize_element(&**word)?;
                }
                list.end()
            }
        }
    }
}
