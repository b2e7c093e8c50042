//! Reads `<pack>.cases.toml`, collecting everything that is wrong with it.

use super::{Case, CasesFile, Expected, MAX_CASES, MAX_CHECKS, Named, Place, Who};
use crate::{
    attribute::{Attribute, Owner, Value},
    classify::CallClass,
    facts::{Availability, DeploymentSpec, Stated},
    fleet::WorkloadProfile,
    permission::{Action, Surface},
    problem::Problems,
    reader::{Fields, Node, Reader, did_you_mean},
};
use domain::{DeploymentId, ModelName, WorkloadId};
use jiff::Timestamp;
use std::{collections::BTreeMap, ops::Range, sync::Arc};
use toml::de::DeTable;

/// Keys of a case that `[defaults]` may set for all.
const USUAL: [&str; 7] = ["at", "deployment", "workload", "class", "data_classes", "surface", "action"];
const AVAILABILITIES: [&str; 6] = ["ga", "preview", "gated-preview", "retired", "not-offered", "unknown"];

/// What the file itself names, by name.
struct Book<'r, 't> {
    defaults: Option<&'r DeTable<'t>>,
    deployments: BTreeMap<String, Place>,
    workloads: BTreeMap<String, Who>,
}

pub(super) fn read(file: &str, text: &str) -> Result<CasesFile, Problems> {
    let mut reader = Reader::new(file, text);
    let root = reader.parse();
    let mut fields = Fields::new(root.get_ref(), root.span(), "a file of cases");
    let packs = fields.take("packs").map(|node| named(&mut reader, node, "packs"));
    let as_written = fields.take("modes").is_some_and(|node| {
        reader.one_of(node, "modes", &["enforced", "as-written"], |word| match word {
            "enforced" => Some(false),
            "as-written" => Some(true),
            _ => None,
        }) == Some(true)
    });
    let events = fields.take("events").map(|node| read_events(&mut reader, node)).unwrap_or_default();
    let waivers = fields.take("waivers").and_then(|node| reader.flag(node, "waivers")).unwrap_or_default();
    let mut book = Book { defaults: None, deployments: BTreeMap::new(), workloads: BTreeMap::new() };
    if let Some(node) = fields.take("deployment")
        && let Some(table) = reader.fields(node, "`deployment`")
    {
        for (name, _, node) in table.entries() {
            if let Some(place) = read_place(&mut reader, node, name) {
                book.deployments.insert(name.to_owned(), place);
            }
        }
    }
    if let Some(node) = fields.take("workload")
        && let Some(table) = reader.fields(node, "`workload`")
    {
        for (name, _, node) in table.entries() {
            if let Some(who) = read_who(&mut reader, node, name) {
                book.workloads.insert(name.to_owned(), who);
            }
        }
    }
    if let Some(node) = fields.take("defaults") {
        book.defaults = node.get_ref().as_table();
        if let Some(mut table) = reader.fields(node, "`defaults`") {
            for key in USUAL {
                let _known = table.take(key);
            }
            table.finish(&mut reader);
        }
    }
    let mut cases: Vec<Case> = Vec::new();
    let mut names = BTreeMap::new();
    if let Some(list) = fields.need("case", &mut reader) {
        match list.get_ref().as_array() {
            Some(list) if list.len() > MAX_CASES => {
                reader.wrong(&root.span(), format!("more than {MAX_CASES} cases"), "split the pack");
            }
            Some(list) => {
                for node in list.iter() {
                    if let Some(fields) = reader.fields(node, "a case") {
                        cases.extend(read_case(&mut reader, fields, &book, as_written, &mut names));
                    }
                }
            }
            None => {
                reader.wrong(&list.span(), "`case` must be a list of tables".to_owned(), "write [[case]]");
            }
        }
    }
    fields.finish(&mut reader);
    let file = reader.file();
    reader.problems.into_result()?;
    Ok(CasesFile { file, packs, as_written, events, waivers, cases })
}

fn read_events<'t>(reader: &mut Reader<'t>, node: &Node<'t>) -> BTreeMap<String, Timestamp> {
    let mut events = BTreeMap::new();
    if let Some(table) = reader.fields(node, "`events`") {
        for (name, _, node) in table.entries() {
            if let Some(date) = reader.instant(node, name) {
                events.insert(name.to_owned(), date);
            }
        }
    }
    events
}

/// The words of a list, each with its place.
fn named<'t>(reader: &mut Reader<'t>, node: &Node<'t>, what: &str) -> Vec<Named> {
    // An empty list is a statement here: none.
    if node.get_ref().as_array().is_some_and(|list| list.is_empty()) {
        return Vec::new();
    }
    reader.words(node, what).into_iter().map(|(word, span)| place_of(reader, word, &span)).collect()
}

fn place_of(reader: &Reader<'_>, word: Arc<str>, span: &Range<usize>) -> Named {
    let (line, column) = reader.place(span.start);
    Named { word, line, column }
}

fn read_case<'r, 't>(
    reader: &mut Reader<'t>,
    mut fields: Fields<'r, 't>,
    book: &Book<'r, 't>,
    as_written: bool,
    names: &mut BTreeMap<Arc<str>, u32>,
) -> Option<Case> {
    let span = fields.span.clone();
    let (line, _) = reader.place(span.start);
    let name_node = fields.need("name", reader);
    let name = name_node.and_then(|node| reader.text(node, "name"));
    if let (Some(name), Some(node)) = (&name, name_node)
        && let Some(first) = names.insert(Arc::clone(name), line)
    {
        reader.wrong(
            &node.span(),
            format!("two cases are called “{name}”"),
            format!("the first is at line {first}"),
        );
    }
    let usual = |fields: &mut Fields<'r, 't>, key: &'static str| {
        fields.take(key).or_else(|| book.defaults.and_then(|table| table.get(key)))
    };
    let at_node = usual(&mut fields, "at");
    let deployment_node = usual(&mut fields, "deployment");
    let workload_node = usual(&mut fields, "workload");
    let class_node = usual(&mut fields, "class");
    let data_node = usual(&mut fields, "data_classes");
    let surface_node = usual(&mut fields, "surface");
    let action_node = usual(&mut fields, "action");
    for (node, key) in [(at_node, "at"), (deployment_node, "deployment")] {
        if node.is_none() {
            reader.wrong(&span, format!("a case has no `{key}`"), format!("add `{key} = …`"));
        }
    }
    let at: Vec<Timestamp> =
        each(at_node).into_iter().filter_map(|node| reader.instant(node, "at")).collect();
    let deployments: Vec<Place> =
        each(deployment_node).into_iter().filter_map(|node| place(reader, node, book)).collect();
    let workloads: Vec<Who> = match workload_node {
        None => vec![nobody()],
        some => each(some).into_iter().filter_map(|node| who(reader, node, book)).collect(),
    };
    let classes = class_node.map_or_else(|| vec![CallClass::Stateless], |node| read_classes(reader, node));
    let data_classes = data_node.map(|node| named(reader, node, "data_classes")).unwrap_or_default();
    let surface = surface_node.and_then(|node| {
        let known = Surface::ALL.map(Surface::name);
        reader.one_of(node, "surface", &known, |word| Surface::ALL.into_iter().find(|s| s.name() == word))
    });
    let action = action_node
        .and_then(|node| reader.one_of(node, "action", &Action::ALL.map(Action::name), Action::by_name));
    let boundary = fields.take("boundary").and_then(|node| reader.flag(node, "boundary")).unwrap_or_default();
    let before_node = fields.take("before");
    let before = before_node.and_then(|node| read_expected(reader, node, "before", as_written));
    if boundary != before_node.is_some() {
        let (message, hint) = if boundary {
            ("a case with `boundary = true` has no `before`", "say what comes out the second before")
        } else {
            ("a case has `before` and no `boundary = true`", "add `boundary = true`, or leave `before` out")
        };
        reader.wrong(&span, message.to_owned(), hint);
    }
    let expect =
        fields.need("expect", reader).and_then(|node| read_expected(reader, node, "expect", as_written));
    fields.finish(reader);
    let checks = at.len() * deployments.len() * workloads.len() * classes.len();
    if checks > MAX_CHECKS {
        reader.wrong(
            &span,
            format!("the case has {checks} combinations, more than {MAX_CHECKS}"),
            "split it",
        );
        return None;
    }
    Some(Case {
        name: name?,
        line,
        at,
        deployments,
        workloads,
        classes,
        data_classes: data_classes.into_iter().map(|named| named.word).collect(),
        surface: surface.unwrap_or(Surface::OpenAiChat),
        action,
        before,
        expect: expect?,
    })
}

/// The items of a list, or the one value.
fn each<'r, 't>(node: Option<&'r Node<'t>>) -> Vec<&'r Node<'t>> {
    node.map_or_else(Vec::new, |node| {
        node.get_ref().as_array().map_or_else(|| vec![node], |list| list.iter().collect())
    })
}

fn read_classes<'t>(reader: &mut Reader<'t>, node: &Node<'t>) -> Vec<CallClass> {
    let known = ["stateless", "stateful", "hybrid"];
    each(Some(node))
        .into_iter()
        .filter_map(|node| reader.one_of(node, "class", &known, CallClass::by_name))
        .collect()
}

/// A workload that sets nothing.
fn nobody() -> Who {
    Who::Given { name: "".into(), profile: Box::new(WorkloadProfile::new(WorkloadId::new("case"))) }
}

fn place<'t>(reader: &mut Reader<'t>, node: &Node<'t>, book: &Book<'_, 't>) -> Option<Place> {
    if node.get_ref().is_table() {
        return read_place(reader, node, "");
    }
    let name = reader.text(node, "deployment")?;
    let known = book.deployments.get(&*name).cloned();
    Some(known.unwrap_or_else(|| Place::Fleet(place_of(reader, name, &node.span()))))
}

fn who<'t>(reader: &mut Reader<'t>, node: &Node<'t>, book: &Book<'_, 't>) -> Option<Who> {
    if node.get_ref().is_table() {
        return read_who(reader, node, "");
    }
    let name = reader.text(node, "workload")?;
    let known = book.workloads.get(&*name).cloned();
    Some(known.unwrap_or_else(|| Who::Fleet(place_of(reader, name, &node.span()))))
}

/// The attributes of a table that belong to `owner`; the rest is wrong.
fn attributes<'r, 't>(
    reader: &mut Reader<'t>,
    table: &Fields<'r, 't>,
    owner: Owner,
    what: &str,
) -> Vec<(Attribute, Value, Range<usize>)> {
    let known: Vec<&str> =
        Attribute::ALL.iter().filter(|own| own.owner() == owner).map(|own| own.name()).collect();
    let mut all = Vec::new();
    for (key, span, node) in table.entries() {
        if owner == Owner::Deployment && key == "book" {
            continue;
        }
        match Attribute::by_name(key).filter(|attribute| attribute.owner() == owner) {
            Some(attribute) => {
                all.extend(reader.attribute_value(node, attribute).map(|value| (attribute, value, span)));
            }
            None => reader.wrong(&span, format!("{what} has no `{key}`"), did_you_mean(key, &known)),
        }
    }
    all
}

fn read_place<'t>(reader: &mut Reader<'t>, node: &Node<'t>, name: &str) -> Option<Place> {
    let mut table = reader.fields(node, "a deployment")?;
    let described = table.take("book").and_then(|node| reader.flag(node, "book")).unwrap_or_default();
    let given = attributes(reader, &table, Owner::Deployment, "a deployment");
    if !described {
        let given = given.into_iter().map(|(attribute, value, _)| (attribute, value)).collect();
        return Some(Place::Facts { name: name.into(), given });
    }
    let word = |wanted: Attribute| {
        given.iter().find(|(own, _, _)| *own == wanted).map(|(_, value, _)| value.as_word().to_owned())
    };
    let (provider, model) = (word(Attribute::Provider), word(Attribute::Model));
    for (known, key) in [(&provider, "provider"), (&model, "model")] {
        if known.is_none() {
            let message = format!("a deployment out of the fact book has no `{key}`");
            reader.wrong(&node.span(), message, format!("add `{key} = …`"));
        }
    }
    let stated = given
        .into_iter()
        .filter(|(attribute, _, _)| !matches!(attribute, Attribute::Provider | Attribute::Model))
        .map(|(attribute, value, span)| Stated {
            attribute,
            value,
            from: None,
            until: None,
            source: format!("{}:{}", reader.file(), reader.place(span.start).0).into(),
        })
        .collect();
    Some(Place::Book {
        name: name.into(),
        spec: DeploymentSpec {
            id: DeploymentId::new(if name.is_empty() { "case" } else { name }),
            provider: provider?.into(),
            model: ModelName::new(&model?),
            stated,
        },
    })
}

fn read_who<'t>(reader: &mut Reader<'t>, node: &Node<'t>, name: &str) -> Option<Who> {
    let table = reader.fields(node, "a workload")?;
    let mut profile = WorkloadProfile::new(WorkloadId::new(if name.is_empty() { "case" } else { name }));
    for (attribute, value, span) in attributes(reader, &table, Owner::Workload, "a workload") {
        // `none` of a set is the empty set.
        for word in value.words().filter(|word| attribute != Attribute::Tags || *word != "none") {
            if !profile.put(attribute, word) {
                reader.wrong(&span, format!("a case cannot set `{attribute}` of a workload"), "");
            }
        }
    }
    Some(Who::Given { name: name.into(), profile: Box::new(profile) })
}

fn read_expected<'t>(
    reader: &mut Reader<'t>,
    node: &Node<'t>,
    what: &'static str,
    as_written: bool,
) -> Option<Expected> {
    if node.get_ref().as_str().is_some() {
        let hint = "write \"permitted\", or { refused = [\"rule-id\"] }";
        return match node.get_ref().as_str() {
            Some("permitted") => Some(Expected::default()),
            other => {
                let word = other.unwrap_or_default();
                reader.wrong(&node.span(), format!("`{what}` knows no `{word}`"), hint);
                None
            }
        };
    }
    let mut table = reader.fields(node, what)?;
    let mut set = |reader: &mut Reader<'t>, key: &'static str| {
        table.take(key).map(|node| (named(reader, node, key), node.span()))
    };
    let refused = set(reader, "refused").map(|(set, _)| set).unwrap_or_default();
    let notices = set(reader, "notices").map(|(set, _)| set);
    let waived = set(reader, "waived").map(|(set, _)| set);
    let [warned, observed] = ["warned", "observed"].map(|key| {
        let (set, span) = set(reader, key)?;
        if !as_written {
            let message = format!("`{key}` is told apart only by the packs' own modes");
            reader.wrong(&span, message, "write modes = \"as-written\" at the head of the file");
        }
        Some(set)
    });
    let availability = table.take("availability").and_then(|node| {
        let known = |word: &str| AVAILABILITIES.contains(&word).then(|| Availability::of(word));
        reader.one_of(node, "availability", &AVAILABILITIES, known)
    });
    table.finish(reader);
    Some(Expected { refused, notices, warned, observed, waived, availability })
}
