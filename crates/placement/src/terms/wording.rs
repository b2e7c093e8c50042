//! The words of sentences: how each attribute and each of its values is called by people who never saw a sheet.
//!
//! A condition can stand in four places of a sentence: as what the rule is about (`calls of workloads marked …`),
//! after `only` (`on Microsoft Azure`), after `not`, and as an exception (`for workloads marked …`).

use super::sheet::Clause;
use crate::{
    attribute::{Attribute, UNKNOWN, Words},
    permission::Action,
};
use std::sync::Arc;

/// What a call may or may not do, after `may`.
pub(super) const fn verb(action: Action) -> &'static str {
    match action {
        Action::Infer => "run",
        Action::HostState => "have their state hosted",
        Action::Store => "be stored",
        Action::LogBody => "have their content logged",
        Action::Cache => "have their answers cached",
        Action::FineTune => "be used for fine-tuning",
        Action::Administer => "have their deployment administered",
    }
}

/// What a rule is about, after `calls`: ` to OpenAI's closed models`, ` of workloads marked x`.
pub(super) fn about(clause: &Clause) -> String {
    let words = &clause.written;
    match clause.attribute {
        Attribute::Family | Attribute::Model => format!(" to {}", models(clause)),
        Attribute::Product => format!(" through {}", names(clause, "or")),
        Attribute::DataClasses if only(words, "none") => " that carry no classified data".to_owned(),
        Attribute::DataClasses => format!(" that carry data of the class {}", names(clause, "or")),
        Attribute::Surface => format!(" made in the API {}", names(clause, "or")),
        _ => format!(" {}", place(clause)),
    }
}

/// Of whom a rule speaks, after `calls`: all of these clauses name workloads, and all of them must hold.
pub(super) fn of_whom(clauses: &[&Clause]) -> String {
    let all: Vec<String> = clauses.iter().filter_map(|clause| owner(clause)).collect();
    let kind = "workloads ";
    let kinds: Vec<&str> = all.iter().filter_map(|own| own.strip_prefix(kind)).collect();
    let named: Vec<&str> = all.iter().filter(|own| !own.starts_with(kind)).map(String::as_str).collect();
    match (named.as_slice(), kinds.as_slice()) {
        ([], []) => String::new(),
        (named, []) => format!(" of {}", named.join(", of ")),
        ([], kinds) => format!(" of {kind}{}", kinds.join(" and ")),
        (named, kinds) => format!(" of {kind}of {} and {}", named.join(", of "), kinds.join(" and ")),
    }
}

/// Whom an exception spares, after `except`.
pub(super) fn spared(clause: &Clause) -> String {
    match clause.attribute {
        Attribute::Family | Attribute::Model => format!("for {}", models(clause)),
        Attribute::Class => format!("for {} calls", names(clause, "or")),
        Attribute::Product => format!("through {}", names(clause, "or")),
        Attribute::DataClasses => format!("for data of the class {}", names(clause, "or")),
        Attribute::Surface => format!("for calls made in the API {}", names(clause, "or")),
        _ => owner(clause).map_or_else(|| place(clause), |owner| format!("for {owner}")),
    }
}

/// Where something is forbidden, after `may not …`: one of the words is enough.
pub(super) fn place(clause: &Clause) -> String {
    let any = || names(clause, "or");
    if let Some(set) = place_of(clause.attribute) {
        return match clause.words.as_slice() {
            [word] if **word == *UNKNOWN => format!("where it is unknown {}", set.unknown),
            _ => format!("where {} {}", set.touches, any()),
        };
    }
    match clause.attribute {
        Attribute::Attestations => format!("where {} is attested", any()),
        Attribute::DataClasses => format!("where they carry data of the class {}", any()),
        attribute if names_all(attribute, &clause.words) => format!("whatever the {} is", attribute.noun()),
        _ => within(clause),
    }
}

/// Where something is allowed, after `only`: of a set, all of it must be among the words.
pub(super) fn within(clause: &Clause) -> String {
    let any = || names(clause, "or");
    if let Some(set) = place_of(clause.attribute) {
        return format!("where {} {}", set.within, any());
    }
    match clause.attribute {
        Attribute::Family | Attribute::Model => format!("with {}", models(clause)),
        Attribute::Class => format!("as {} calls", any()),
        Attribute::Product => format!("through {}", any()),
        Attribute::Surface => format!("in the API {}", any()),
        Attribute::DataClasses if only(&clause.words, "none") => "without classified data".to_owned(),
        Attribute::DataClasses => format!("where they carry data of no other class than {}", any()),
        Attribute::Cloud => format!("on {}", any()),
        Attribute::Region => format!("in the region {}", any()),
        Attribute::Provider => format!("through the provider {}", any()),
        Attribute::Seller => format!("where the seller is {}", any()),
        Attribute::Operator => format!("where the operator is {}", any()),
        Attribute::Processor => format!("where the data processor is {}", any()),
        Attribute::Retention => format!("at providers that {}", any()),
        Attribute::TrainingUse => format!("at providers that {}", any()),
        Attribute::GeoTier => format!("on endpoints that {}", any()),
        Attribute::HostedOn => format!("in the variant hosted on {}", any()),
        Attribute::Attestations => {
            let verb = if clause.words.len() == 1 { "is" } else { "are" };
            format!("where {} {verb} attested", names(clause, "and"))
        }
        _ => match owner(clause) {
            Some(owner) => format!("for {owner}"),
            None => format!("where the {} is {}", clause.attribute.noun(), any()),
        },
    }
}

/// The workloads that a clause names; `None` where it names none.
fn owner(clause: &Clause) -> Option<String> {
    let any = names(clause, "or");
    Some(match clause.attribute {
        Attribute::Organisation => format!("the organisation {any}"),
        Attribute::Team => format!("the team {any}"),
        Attribute::Workload => format!("the workload {any}"),
        Attribute::Tags if only(&clause.words, "none") => "workloads without a mark".to_owned(),
        Attribute::Tags => format!("workloads marked {any}"),
        Attribute::Residency => format!("workloads whose data must stay in {any}"),
        Attribute::RetentionRequired => format!("workloads that ask for {any}"),
        Attribute::RiskClass => format!("workloads of {any} risk"),
        Attribute::LatencyClass => format!("workloads of the latency class {any}"),
        Attribute::Country => format!("workloads with users in {any}"),
        attribute => {
            let what = pinned(attribute)?;
            format!("workloads that pin {what} to {any}")
        }
    })
}

/// What a pin holds in place; `None` where the attribute is no pin.
const fn pinned(attribute: Attribute) -> Option<&'static str> {
    Some(match attribute {
        Attribute::PinIngress => "the receipt of calls",
        Attribute::PinInference => "inference",
        Attribute::PinState => "state",
        Attribute::PinLogs => "logs",
        Attribute::PinBackups => "backups",
        Attribute::PinSubProcessors => "sub-processors",
        _ => return None,
    })
}

/// How a set of places is spoken of.
struct Places {
    /// `every place of processing lies in` …
    within: &'static str,
    /// `they may be processed in` …
    touches: &'static str,
    /// `where they are processed`
    unknown: &'static str,
}

const fn place_of(attribute: Attribute) -> Option<Places> {
    let (within, touches, unknown) = match attribute {
        Attribute::Jurisdictions => {
            ("every place of processing lies in", "they may be processed in", "where they are processed")
        }
        Attribute::IngressJurisdictions => (
            "every place that receives the call lies in",
            "the call may be received in",
            "where the call is received",
        ),
        Attribute::StateJurisdictions => (
            "every place that keeps the state lies in",
            "the state may be kept in",
            "where the state is kept",
        ),
        Attribute::LogJurisdictions => {
            ("every place that keeps logs lies in", "logs may be kept in", "where logs are kept")
        }
        Attribute::BackupJurisdictions => {
            ("every place that keeps backups lies in", "backups may be kept in", "where backups are kept")
        }
        Attribute::SubProcessorJurisdictions => {
            ("every sub-processor works in", "a sub-processor may work in", "where sub-processors work")
        }
        _ => return None,
    };
    Some(Places { within, touches, unknown })
}

/// True where a clause names every word that there can be.
fn names_all(attribute: Attribute, words: &[Arc<str>]) -> bool {
    match attribute.words() {
        Words::Closed(known) => known.iter().all(|own| words.iter().any(|word| **word == **own)),
        Words::Open => false,
    }
}

fn only(words: &[Arc<str>], word: &str) -> bool {
    matches!(words, [one] if **one == *word)
}

/// `OpenAI's closed models`, `Claude models or Gemini models`, `the models gpt-5.4 or gpt-5.5`.
fn models(clause: &Clause) -> String {
    let any = names(clause, "or");
    if clause.written.iter().any(|word| word.contains('*')) {
        return format!("models whose name fits {any}");
    }
    match (clause.attribute, clause.written.len()) {
        (Attribute::Family, _) => any,
        (_, 1) => format!("the model {any}"),
        _ => format!("the models {any}"),
    }
}

/// The words of a clause as people say them, joined.
fn names(clause: &Clause, joint: &str) -> String {
    let names: Vec<String> =
        clause.written.iter().map(|word| name(clause.attribute, word).to_owned()).collect();
    list(&names, joint)
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn list(words: &[String], joint: &str) -> String {
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} {joint} {last}", rest.join(", ")),
    }
}

/// A word of an attribute as people say it; a word that has no other name stands as it is.
fn name(attribute: Attribute, word: &str) -> &str {
    match attribute {
        Attribute::Family => family(word),
        Attribute::Cloud | Attribute::HostedOn => cloud(word),
        Attribute::Product => match word {
            "api" => "an API",
            "first-party" => "the vendor's own products",
            UNKNOWN => "an unknown kind of product",
            word => word,
        },
        Attribute::Operator | Attribute::Processor => match word {
            "own" => "the house itself",
            word => word,
        },
        Attribute::Retention => match word {
            "zero" => "keep nothing (zero retention)",
            "flagged-30d" => "keep only flagged content, for up to 30 days",
            "days30" => "keep content for up to 30 days",
            "days55" => "keep content for up to 55 days",
            "longer" => "keep content for longer than 55 days",
            UNKNOWN => "do not say what they keep",
            word => word,
        },
        Attribute::TrainingUse => match word {
            "never" => "never train on the data",
            "opt-in" => "train on the data only where asked to",
            "opt-out" => "train on the data unless told not to",
            "always" => "train on the data",
            UNKNOWN => "do not say whether they train on the data",
            word => word,
        },
        Attribute::GeoTier => match word {
            "regional" => "stay in one region",
            "data-zone" => "stay in one data zone",
            "geo" => "stay in one geography",
            "global" => "run anywhere in the world",
            UNKNOWN => "do not say where they run",
            word => word,
        },
        Attribute::RetentionRequired => match word {
            "zero" => "zero retention",
            "days30" => "a retention of at most 30 days",
            "any" => "no particular retention",
            word => word,
        },
        _ if attribute.noun().contains("jurisdiction") || is_place(attribute) => jurisdiction(word),
        _ => word,
    }
}

const fn is_place(attribute: Attribute) -> bool {
    matches!(attribute, Attribute::Residency | Attribute::Country)
        || pinned(attribute).is_some()
        || place_of(attribute).is_some()
}

fn family(word: &str) -> &str {
    match word {
        "openai-proprietary" => "OpenAI's closed models",
        "openai-open-weight" => "OpenAI's open-weight models",
        "claude" => "Claude models",
        "gemini" => "Gemini models",
        "gemma" => "Gemma models",
        "llama" => "Llama models",
        "mistral" => "Mistral models",
        "cohere" => "Cohere models",
        "deepseek" => "DeepSeek models",
        "qwen" => "Qwen models",
        "kimi" => "Kimi models",
        "grok" => "Grok models",
        "nova" => "Nova models",
        "other" => "models of other families",
        UNKNOWN => "models of an unknown family",
        word => word,
    }
}

fn cloud(word: &str) -> &str {
    match word {
        "azure" => "Microsoft Azure",
        "aws" => "Amazon Web Services",
        "gcp" => "Google Cloud",
        "oci" => "Oracle Cloud",
        "ibm" => "IBM Cloud",
        "alibaba" => "Alibaba Cloud",
        "anthropic" => "Anthropic",
        "cloudflare" => "Cloudflare",
        "on-prem" => "own premises",
        "undisclosed" => "a cloud that is not disclosed",
        "not-applicable" => "no choice of hosts",
        UNKNOWN => "an unknown cloud",
        word => word,
    }
}

/// A jurisdiction by the name that a reader knows.
fn jurisdiction(word: &str) -> &str {
    JURISDICTIONS.iter().find(|(code, _)| *code == word).map_or(word, |(_, name)| name)
}

const JURISDICTIONS: &[(&str, &str)] = &[
    ("@eu-eea", "the EU or the EEA"),
    ("eu", "the EU"),
    ("eea", "the EEA"),
    ("none", "no particular place"),
    ("global", "any country"),
    (UNKNOWN, "an unknown place"),
    ("apac", "Asia and the Pacific"),
    ("us", "the United States"),
    ("uk", "the United Kingdom"),
    ("gb", "the United Kingdom"),
    ("at", "Austria"),
    ("be", "Belgium"),
    ("bg", "Bulgaria"),
    ("hr", "Croatia"),
    ("cy", "Cyprus"),
    ("cz", "Czechia"),
    ("dk", "Denmark"),
    ("ee", "Estonia"),
    ("fi", "Finland"),
    ("fr", "France"),
    ("de", "Germany"),
    ("gr", "Greece"),
    ("hu", "Hungary"),
    ("ie", "Ireland"),
    ("it", "Italy"),
    ("lv", "Latvia"),
    ("lt", "Lithuania"),
    ("lu", "Luxembourg"),
    ("mt", "Malta"),
    ("nl", "the Netherlands"),
    ("pl", "Poland"),
    ("pt", "Portugal"),
    ("ro", "Romania"),
    ("sk", "Slovakia"),
    ("si", "Slovenia"),
    ("es", "Spain"),
    ("se", "Sweden"),
    ("is", "Iceland"),
    ("li", "Liechtenstein"),
    ("no", "Norway"),
    ("ch", "Switzerland"),
    ("ca", "Canada"),
    ("br", "Brazil"),
    ("mx", "Mexico"),
    ("au", "Australia"),
    ("nz", "New Zealand"),
    ("jp", "Japan"),
    ("kr", "South Korea"),
    ("in", "India"),
    ("sg", "Singapore"),
    ("hk", "Hong Kong"),
    ("tw", "Taiwan"),
    ("cn", "China"),
    ("id", "Indonesia"),
    ("my", "Malaysia"),
    ("th", "Thailand"),
    ("ae", "the United Arab Emirates"),
    ("sa", "Saudi Arabia"),
    ("qa", "Qatar"),
    ("il", "Israel"),
    ("tr", "Türkiye"),
    ("za", "South Africa"),
    ("cl", "Chile"),
];
