//! The engine's answers and those of the plain interpreter, point by point over the whole domain: family × host ×
//! product × jurisdiction × mark × data class × call class × instant. Ids of rules, not only yes and no.

use crate::{
    plain::{calendar, rules},
    support::{MSOAI, at, compile, spec},
};
use domain::{ModelName, SnapshotEpoch, WorkloadId};
use jiff::Timestamp;
use placement::{
    CallClass, DataClasses, FactBook, Finding, Fleet, Mode, Permission, PermissionKey, Placement,
    PrincipalClass, Question, Surface, WorkloadProfile,
};
use std::{cell::RefCell, collections::HashMap, sync::Arc};

type Families<'a> = &'a [(&'a str, rules::Family)];
type Hosts<'a> = &'a [(&'a str, rules::Host)];

const FAMILIES: [(&str, rules::Family); 15] = [
    ("openai-proprietary", rules::Family::Closed),
    ("openai-open-weight", rules::Family::Open),
    ("claude", rules::Family::Others),
    ("gemini", rules::Family::Others),
    ("gemma", rules::Family::Others),
    ("llama", rules::Family::Others),
    ("mistral", rules::Family::Others),
    ("cohere", rules::Family::Others),
    ("deepseek", rules::Family::Others),
    ("qwen", rules::Family::Others),
    ("kimi", rules::Family::Others),
    ("grok", rules::Family::Others),
    ("nova", rules::Family::Others),
    ("other", rules::Family::Others),
    ("unknown", rules::Family::Others),
];
const HOSTS: [(&str, rules::Host); 20] = [
    ("azure", rules::Host::Azure),
    ("aws", rules::Host::Aws),
    ("gcp", rules::Host::Elsewhere),
    ("unknown", rules::Host::Elsewhere),
    ("oci", rules::Host::Elsewhere),
    ("ibm", rules::Host::Elsewhere),
    ("alibaba", rules::Host::Elsewhere),
    ("cloudflare", rules::Host::Elsewhere),
    ("cerebras", rules::Host::Elsewhere),
    ("groq", rules::Host::Elsewhere),
    ("together", rules::Host::Elsewhere),
    ("fireworks", rules::Host::Elsewhere),
    ("mistral", rules::Host::Elsewhere),
    ("xai", rules::Host::Elsewhere),
    ("anthropic", rules::Host::Elsewhere),
    ("ovh", rules::Host::Elsewhere),
    ("scaleway", rules::Host::Elsewhere),
    ("stackit", rules::Host::Elsewhere),
    ("on-prem", rules::Host::Elsewhere),
    ("undisclosed", rules::Host::Elsewhere),
];
const PRODUCTS: [(&str, rules::Product); 2] =
    [("api", rules::Product::Api), ("first-party", rules::Product::FirstParty)];
const CLASSES: [(CallClass, rules::Class); 3] = [
    (CallClass::Stateless, rules::Class::Stateless),
    (CallClass::Stateful, rules::Class::Stateful),
    (CallClass::Hybrid, rules::Class::Hybrid),
];
const JURISDICTIONS: [&str; 3] = ["de,fr", "us", "unknown"];
const DATA: [&[&str]; 3] = [&[], &["pii"], &["phi", "never heard of"]];

/// Which part of the domain is enumerated.
#[derive(Clone, Copy)]
struct Domain<'a> {
    families: Families<'a>,
    hosts: Hosts<'a>,
    jurisdictions: &'a [&'a str],
    data: &'a [&'a [&'a str]],
    classes: &'a [(CallClass, rules::Class)],
    instants: usize,
}

/// The whole of it: 10,011,600 points.
const WHOLE: Domain<'_> = Domain {
    families: &FAMILIES,
    hosts: &HOSTS,
    jurisdictions: &JURISDICTIONS,
    data: &DATA,
    classes: &CLASSES,
    instants: 309,
};

/// What came of it.
#[derive(Debug, Default)]
struct Compared {
    points: u64,
    evaluations: u64,
    differences: u64,
    /// The first few differences.
    shown: Vec<String>,
}

/// One deployment, as the rows see it.
#[derive(Clone, Copy)]
struct Place {
    family: rules::Family,
    host: rules::Host,
    product: rules::Product,
}

/// So many instants: around each boundary a day, a second and a millisecond before, it itself, a second and a day
/// after; the rest evenly over 2022 to 2034.
fn instants(count: usize) -> Vec<i64> {
    use calendar::{DAY, SECOND, day};
    let around = [-DAY, -SECOND, -1, 0, SECOND, DAY];
    let mut all: Vec<i64> =
        rules::BOUNDARIES.iter().flat_map(|boundary| around.map(|offset| boundary + offset)).collect();
    let (first, last) = (day(2022, 1, 1), day(2034, 12, 31));
    let rest = i64::try_from(count - all.len()).unwrap();
    all.extend((0..rest).map(|index| first + (last - first) / rest * index));
    all
}

fn compare(pack: &str, domain: Domain<'_>) -> Compared {
    let terms = compile(&[("terms/microsoft-openai.toml", pack, Some(Mode::Enforce))]);
    let (mut deployments, mut places) = (Vec::new(), Vec::new());
    for (family_word, family) in domain.families {
        for (host_word, host) in domain.hosts {
            for (product_word, product) in PRODUCTS {
                for jurisdiction in domain.jurisdictions {
                    let stated = [
                        format!("family={family_word}"),
                        format!("cloud={host_word}"),
                        format!("product={product_word}"),
                        format!("jurisdictions={jurisdiction}"),
                    ];
                    let stated: Vec<&str> = stated.iter().map(String::as_str).collect();
                    let id = format!("{family_word}/{host_word}/{product_word}/{jurisdiction}");
                    deployments.push(FactBook::default().describe(&spec(&id, "p", "m", &stated)));
                    places.push(Place { family: *family, host: *host, product });
                }
            }
        }
    }
    let plain = |id: &str| WorkloadProfile::new(WorkloadId::new(id));
    let workloads = [
        plain("anyone"),
        WorkloadProfile { tags: vec!["us-gov-natsec".into()], ..plain("natsec") },
        WorkloadProfile { data_classes: vec!["pii".into(), "phi".into()], ..plain("names the data classes") },
    ];
    let fleet = Fleet::new(deployments, &workloads, &terms).unwrap();
    let placement = Placement::new(SnapshotEpoch(7), Arc::new(terms), Arc::new(fleet));
    let instants = instants(domain.instants);
    let indexed: Vec<(usize, Place)> = places.into_iter().enumerate().collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let parts: Vec<Compared> = std::thread::scope(|scope| {
        let chunks = indexed.chunks(indexed.len().div_ceil(threads));
        let running: Vec<_> =
            chunks.map(|chunk| scope.spawn(|| compare_at(&placement, chunk, domain, &instants))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut whole = Compared::default();
    for part in parts {
        whole.points += part.points;
        whole.evaluations += part.evaluations;
        whole.differences += part.differences;
        whole.shown.extend(part.shown);
    }
    whole
}

fn compare_at(
    placement: &Placement,
    places: &[(usize, Place)],
    domain: Domain<'_>,
    instants: &[i64],
) -> Compared {
    let class_of =
        |id: &str| -> PrincipalClass { placement.fleet().workload(&WorkloadId::new(id)).unwrap().0 };
    let principals = [(class_of("anyone"), false), (class_of("natsec"), true)];
    let data: Vec<DataClasses> =
        domain.data.iter().map(|names| placement.fleet().data_classes_of(names.iter().copied())).collect();
    let now: Vec<Timestamp> = instants.iter().map(|ms| Timestamp::from_millisecond(*ms).unwrap()).collect();
    let model = ModelName::new("m");
    let mut found = Compared::default();
    let memo: RefCell<HashMap<PermissionKey, Arc<Permission>>> = RefCell::default();
    for (index, place) in places {
        let deployment = placement::DeploymentIndex(u16::try_from(*index).unwrap());
        for (principal, natsec) in principals {
            for data_classes in &data {
                for (call_class, class) in domain.classes.iter().copied() {
                    for (ms, now) in instants.iter().zip(&now) {
                        let question = Question {
                            principal,
                            model: &model,
                            call_class,
                            data_classes: *data_classes,
                            surface: Surface::OpenAiChat,
                            candidates: &[],
                            now: *now,
                        };
                        let said = placement.permission(&question, deployment, &|key| {
                            let known = memo.borrow().get(&key).cloned();
                            known.unwrap_or_else(|| {
                                let made = Arc::new(placement.evaluate(key));
                                memo.borrow_mut().insert(key, Arc::clone(&made));
                                made
                            })
                        });
                        let Place { family, host, product } = *place;
                        let point = rules::Point { family, host, class, product, natsec, at: *ms };
                        let expected = rules::judge(&point);
                        found.points += 1;
                        if (expected.refused, expected.notices) != bits(&said) {
                            found.differences += 1;
                            if found.shown.len() < 5 {
                                let ids: Vec<&str> = said.refusing_ids().collect();
                                found.shown.push(format!("{now} {point:?}: {expected:?}, engine {ids:?}"));
                            }
                        }
                    }
                }
            }
        }
    }
    found.evaluations = u64::try_from(memo.borrow().len()).unwrap();
    found
}

/// Refusals and notices of the engine as the interpreter's bits. A rule that the rows do not have is bit 7, of a
/// notice only from April 2026 on: the pack has notices of earlier agreements, which the rows do not.
fn bits(permission: &Permission) -> (u8, u8) {
    let of = |findings: &[Finding], names: &[&str]| {
        findings.iter().fold(0_u8, |bits, finding| {
            bits | 1 << names.iter().position(|name| **name == *finding.rule.id).unwrap_or(7)
        })
    };
    let april = |finding: &&Finding| finding.rule.from >= Some(at("2026-04-27"));
    let notices: Vec<Finding> = permission.notices.iter().filter(april).cloned().collect();
    let advice = permission.warnings.len() + permission.observed.len() + permission.waived.len();
    let refused = of(&permission.refused, &rules::REFUSALS) | if advice == 0 { 0 } else { 1 << 6 };
    (refused, of(&notices, &rules::NOTICES))
}

/// Few deployments and many instants: asking Cedar is what costs, and instants of one window share the answer.
#[test]
fn a_hundred_thousand_points_agree() {
    let part = Domain {
        families: &FAMILIES[..3],
        hosts: &HOSTS[..3],
        jurisdictions: &["us"],
        data: &DATA[1..2],
        instants: 928,
        ..WHOLE
    };
    let found = compare(MSOAI, part);
    assert_eq!((found.points, found.differences), (100_224, 0), "{:#?}", found.shown);
}

#[test]
fn a_pack_that_was_broken_on_purpose_is_caught() {
    let part = Domain {
        families: &FAMILIES[..1],
        hosts: &HOSTS[1..3],
        jurisdictions: &["us"],
        data: &DATA[..1],
        classes: &CLASSES[..2],
        instants: 50,
    };
    let stateless = MSOAI.find("id = \"msoai-2026-02-stateless\"").unwrap();
    let (before, after) = MSOAI.split_at(stateless);
    for (what, broken) in [
        (
            "ends a day late",
            format!("{before}{}", after.replacen("until = 2026-04-27", "until = 2026-04-28", 1)),
        ),
        (
            "begins a day late",
            format!("{before}{}", after.replacen("from = 2026-02-27", "from = 2026-02-28", 1)),
        ),
        ("has no exception", MSOAI.replacen("{ tags = \"us-gov-natsec\" }, ", "", 1)),
        ("knows one product", MSOAI.replacen("[\"api\", \"first-party\"]", "[\"api\"]", 1)),
        ("opens one cloud more", MSOAI.replacen("[\"azure\", \"aws\"]", "[\"azure\", \"aws\", \"gcp\"]", 1)),
        ("has another name", MSOAI.replacen("\"msoai-2025-01\"", "\"msoai-2025-02\"", 1)),
        ("tells too long", MSOAI.replacen("until = 2031-01-01", "until = 2031-01-02", 1)),
    ] {
        assert_ne!(broken, MSOAI, "{what}: the pack reads otherwise now");
        assert!(compare(&broken, part).differences > 0, "{what}");
    }
}

#[test]
#[ignore = "a measurement: 10 million points"]
#[allow(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn ten_million_points_agree() {
    let start = std::time::Instant::now();
    let found = compare(MSOAI, WHOLE);
    println!(
        "{} points, {} evaluations, {} differences, {:.1} s",
        found.points,
        found.evaluations,
        found.differences,
        start.elapsed().as_secs_f64()
    );
    assert_eq!((found.points, found.differences), (10_011_600, 0), "{:#?}", found.shown);
}
