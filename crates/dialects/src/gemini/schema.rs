//! JSON Schema as Gemini takes it.
//!
//! Gemini has two ways: `parameters`/`responseSchema` hold a subset of OpenAPI 3.0 schemas (every model), and
//! `parametersJsonSchema`/`responseJsonSchema` hold JSON Schema (models from 2.5 on; `$ref`, `$defs`, number
//! enums and `additionalProperties` included, recursion allowed). What neither can say is dropped and named
//! in the losses as `schema.<keyword>`. Order of properties is kept: it is the order of the answer.
//! Source: Google's reference of `Schema`, `FunctionDeclaration` and `GenerationConfig`.

use super::types::{Fields, Object, array, json};
use domain::{Code, Fault, Losses, Raw, RetryClass};
use serde_json::{Value, value::RawValue};

/// A schema may have at most this many nodes after inlining.
pub(super) const MAX_NODES: usize = 4_096;
/// A schema may be nested at most this deep after inlining.
pub(super) const MAX_DEPTH: usize = 48;

/// Which of Gemini's two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The subset of OpenAPI 3.0.
    OpenApi,
    /// JSON Schema.
    Json,
}

/// The form that `model` takes: JSON Schema from generation 2.5 on; a name that tells no generation gets the
/// form that every model takes.
pub(super) fn form_of(model: &str) -> Form {
    match generation(model) {
        Some(generation) if generation >= 25 => Form::Json,
        _ => Form::OpenApi,
    }
}

/// Ten times the generation in a model's name: 25 of `gemini-2.5-flash`. The `-latest` names are current.
pub(super) fn generation(model: &str) -> Option<u32> {
    let name = model.rsplit('/').next().unwrap_or_default().strip_prefix("gemini-")?;
    if name.ends_with("-latest") && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(30);
    }
    let version = name.split('-').next().unwrap_or_default();
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let minor: u32 = minor.parse().ok().filter(|minor| *minor < 10)?;
    major.parse::<u32>().ok()?.checked_mul(10)?.checked_add(minor)
}

/// A schema in the form that was found to hold it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Converted {
    /// The form.
    pub(super) form: Form,
    /// The schema as JSON text.
    pub(super) text: String,
}

/// Converts `schema` for a model of `form`. `None` where the schema says nothing (`{}`, or, in OpenAPI form,
/// an object without properties, which Gemini refuses).
///
/// # Errors
/// `invalid_request` for a schema that is no object, that refers to nothing, that is recursive where the
/// model takes no recursion, or that is above the bounds.
pub(super) fn convert(
    schema: &Raw,
    form: Form,
    place: &str,
    losses: &mut Losses,
) -> Result<Option<Converted>, Fault> {
    let root = Fields::of(schema.text()).ok_or_else(|| fault(place, "is not an object"))?;
    if root.rest().next().is_none() {
        return Ok(None);
    }
    let mut converter = Converter { root: schema.text(), form, place, losses, nodes: 0, open: Vec::new() };
    let text = converter.node(schema.text(), 0)?;
    if form == Form::OpenApi && text == "{\"type\":\"OBJECT\"}" {
        return Ok(None);
    }
    Ok(Some(Converted { form, text }))
}

fn fault(place: &str, what: &str) -> Fault {
    Fault::caller(Code::InvalidRequest, format!("The JSON Schema at `{place}` {what}.")).at(place)
}

/// What this model does not take another candidate may.
const fn elsewhere(mut fault: Fault) -> Fault {
    fault.retry = RetryClass::NextCandidate;
    fault
}

struct Converter<'a> {
    root: &'a str,
    form: Form,
    place: &'a str,
    losses: &'a mut Losses,
    nodes: usize,
    open: Vec<String>,
}

/// What a node says, gathered before it is written.
#[derive(Default)]
struct Node<'a> {
    types: Vec<String>,
    nullable: bool,
    properties: Vec<(String, &'a RawValue)>,
    required: Vec<String>,
    any_of: Vec<&'a RawValue>,
    choices: Option<Vec<Value>>,
    items: Option<&'a RawValue>,
    plain: Vec<(&'static str, String)>,
    defs: Option<&'a RawValue>,
    additional: Option<&'a RawValue>,
    format: Option<String>,
    reference: Option<String>,
    entered: usize,
    merging: bool,
}

impl<'a> Converter<'a> {
    fn node(&mut self, text: &'a str, depth: usize) -> Result<String, Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH {
            return Err(elsewhere(fault(
                self.place,
                "is too large: at most 4096 nodes and 48 levels after inlining `$ref`",
            )));
        }
        if matches!(text, "true" | "false") {
            return Ok(String::from("{}"));
        }
        let mut node = Node::default();
        self.gather(text, &mut node, depth)?;
        let out = self.write(&mut node, depth);
        let entered = self.open.len().saturating_sub(node.entered);
        self.open.truncate(entered);
        out
    }

    fn gather(&mut self, text: &'a str, node: &mut Node<'a>, depth: usize) -> Result<(), Fault> {
        let fields = Fields::of(text).ok_or_else(|| fault(self.place, "has a part that is not a schema"))?;
        if let Some(types) = fields.get("type") {
            gather_types(types, node);
        }
        // The node's own words come first, so that they stand before those of what it refers to.
        let merges = |name: &str| matches!(name, "$ref" | "allOf");
        let own = fields.rest().filter(|(name, _)| !merges(name));
        for (name, value) in own.chain(fields.rest().filter(|(name, _)| merges(name))) {
            match name {
                "type" => {}
                "nullable" => node.nullable |= value.get() == "true",
                "properties" => {
                    let inner =
                        Fields::of(value.get()).ok_or_else(|| fault(self.place, "has bad `properties`"))?;
                    for (name, value) in inner.rest() {
                        if !node.properties.iter().any(|(known, _)| known == name) {
                            node.properties.push((name.to_owned(), value));
                        }
                    }
                }
                "required" => {
                    node.required.extend(serde_json::from_str::<Vec<String>>(value.get()).unwrap_or_default())
                }
                "anyOf" | "oneOf" => {
                    let branches: Vec<&RawValue> = serde_json::from_str(value.get())
                        .map_err(|_| fault(self.place, "has a bad `anyOf`"))?;
                    for branch in branches {
                        if is_null(branch) { node.nullable = true } else { node.any_of.push(branch) }
                    }
                }
                "allOf" => {
                    let branches: Vec<&'a RawValue> = serde_json::from_str(value.get())
                        .map_err(|_| fault(self.place, "has a bad `allOf`"))?;
                    node.merging = true;
                    for branch in branches {
                        self.descend(branch.get(), node, depth)?;
                    }
                }
                "$ref" => {
                    let alone = !node.merging && fields.rest().all(|(name, _)| name.starts_with('$'));
                    self.refer(value, node, depth, alone)?;
                }
                "enum" => gather_choices(serde_json::from_str(value.get()).unwrap_or_default(), node),
                "const" => gather_choices(serde_json::from_str(value.get()).into_iter().collect(), node),
                "items" => node.items = Some(value),
                "$defs" | "definitions" => node.defs = Some(value),
                "additionalProperties" => node.additional = Some(value),
                "format" => node.format = serde_json::from_str(value.get()).ok(),
                "exclusiveMinimum" => bound(value, "minimum", 1, node),
                "exclusiveMaximum" => bound(value, "maximum", -1, node),
                "$schema" | "$id" | "$comment" | "$anchor" | "examples" | "example" | "discriminator"
                | "strict" | "readOnly" | "writeOnly" | "deprecated" => {}
                other => match PLAIN.iter().find(|plain| **plain == other) {
                    Some(plain) => put_plain(node, plain, value.get().to_owned()),
                    None if other == "prefixItems" && self.form == Form::Json => {
                        put_plain(node, "prefixItems", value.get().to_owned());
                    }
                    None => self.losses.add(&format!("schema.{other}")),
                },
            }
        }
        Ok(())
    }

    /// Reads `text` into the same node: a branch of `allOf`, or what `$ref` names.
    fn descend(&mut self, text: &'a str, node: &mut Node<'a>, depth: usize) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth + node.entered > MAX_DEPTH {
            return Err(elsewhere(fault(
                self.place,
                "is too large: at most 4096 nodes and 48 levels after inlining `$ref`",
            )));
        }
        self.gather(text, node, depth + 1)
    }

    /// JSON Schema form: a `$ref` that stands alone is kept. Gemini takes nothing beside it, so one with
    /// company is inlined, unless it is recursive: then the company is dropped.
    fn refer(
        &mut self,
        value: &RawValue,
        node: &mut Node<'a>,
        depth: usize,
        alone: bool,
    ) -> Result<(), Fault> {
        let target: String = serde_json::from_str(value.get())
            .map_err(|_| fault(self.place, "has a `$ref` that is not a string"))?;
        let rewritten = target.replacen("#/definitions/", "#/$defs/", 1);
        let direct = rewritten.strip_prefix("#/$defs/").is_some_and(|name| !name.contains('/'));
        let keeps = alone || target == "#" || self.open.contains(&target);
        if self.form == Form::Json && (direct || target == "#") && keeps {
            node.reference = Some(rewritten);
            return Ok(());
        }
        if self.open.contains(&target) || target == "#" {
            return Err(elsewhere(fault(
                self.place,
                "is recursive, which this model does not take; flatten it or use a model that takes JSON Schema",
            )));
        }
        let found = resolve(self.root, &target)
            .ok_or_else(|| fault(self.place, "has a `$ref` that names nothing in the schema"))?;
        self.open.push(target);
        node.entered += 1;
        self.descend(found, node, depth)
    }

    fn write(&mut self, node: &mut Node<'a>, depth: usize) -> Result<String, Fault> {
        let mut object = Object::new();
        if let Some(reference) = &node.reference {
            object.put("$ref", reference);
            if node.defs.is_some() {
                self.write_defs(node, depth, &mut object)?;
            }
            return Ok(object.finish());
        }
        let only_branch = node.any_of.len() == 1 && node.types.is_empty() && node.properties.is_empty();
        if self.form == Form::OpenApi
            && only_branch
            && let Some(branch) = node.any_of.pop()
        {
            self.descend(branch.get(), node, depth)?;
        }
        self.write_type(node, &mut object);
        for (name, text) in &node.plain {
            object.put_text(name, text);
        }
        self.write_format(node, &mut object);
        if let Some(choices) = &node.choices {
            if self.form == Form::OpenApi {
                object.put("enum", &choices.iter().map(text_of).collect::<Vec<_>>());
            } else {
                object.put("enum", choices);
            }
        }
        if !node.any_of.is_empty() {
            let mut branches = Vec::new();
            for branch in &node.any_of {
                branches.push(self.node(branch.get(), depth + 1)?);
            }
            if node.nullable && self.form == Form::Json {
                branches.push(String::from("{\"type\":\"null\"}"));
            }
            object.put_text("anyOf", &array(branches));
        }
        self.write_children(node, depth, &mut object)?;
        Ok(object.finish())
    }

    fn write_type(&self, node: &mut Node<'_>, object: &mut Object) {
        if node.types.is_empty() && node.any_of.is_empty() && node.reference.is_none() {
            let guess = if !node.properties.is_empty() {
                Some("object")
            } else if node.items.is_some() {
                Some("array")
            } else {
                let texts = |all: &Vec<Value>| self.form == Form::OpenApi || all.iter().all(Value::is_string);
                node.choices.as_ref().filter(|all| texts(all)).map(|_| "string")
            };
            node.types.extend(guess.map(str::to_owned));
        }
        if self.form == Form::Json {
            if node.nullable && !node.types.is_empty() {
                node.types.push(String::from("null"));
            }
            match node.types.as_slice() {
                [] => {}
                [one] => object.put("type", one),
                many => object.put("type", many),
            }
            return;
        }
        if node.choices.as_ref().is_some_and(|choices| !choices.iter().all(Value::is_string)) {
            node.types = vec![String::from("string")];
        }
        match node.types.as_slice() {
            [] => {}
            [one] => object.put("type", &one.to_ascii_uppercase()),
            many => {
                let branches =
                    many.iter().map(|one| format!("{{\"type\":{}}}", json(&one.to_ascii_uppercase())));
                object.put_text("anyOf", &array(branches));
                node.any_of.clear();
            }
        }
        if node.nullable {
            object.put("nullable", &true);
        }
    }

    fn write_format(&mut self, node: &Node<'_>, object: &mut Object) {
        let Some(format) = node.format.as_deref() else { return };
        let kind = node.types.first().map_or("", String::as_str);
        let known = match self.form {
            Form::OpenApi => matches!(
                (kind, format),
                ("string", "enum" | "date-time")
                    | ("number", "float" | "double")
                    | ("integer", "int32" | "int64")
            ),
            Form::Json => matches!(format, "date-time" | "date" | "time"),
        };
        if known { object.put("format", format) } else { self.losses.add("schema.format") }
    }

    fn write_children(&mut self, node: &Node<'a>, depth: usize, object: &mut Object) -> Result<(), Fault> {
        let is = |name: &str| node.types.iter().any(|kind| kind == name);
        match node.items {
            Some(items) if items.get().starts_with('{') => {
                object.put_text("items", &self.node(items.get(), depth + 1)?);
            }
            Some(_) => object.put_text("items", "{}"),
            None if is("array") && self.form == Form::OpenApi => object.put_text("items", "{}"),
            None => {}
        }
        if !node.properties.is_empty() {
            let mut properties = Object::new();
            for (name, value) in &node.properties {
                properties.put_text(name, &self.node(value.get(), depth + 1)?);
            }
            object.put_text("properties", &properties.finish());
        } else if is("object") && self.form == Form::Json {
            object.put_text("properties", "{}");
        }
        let required: Vec<&String> = node
            .required
            .iter()
            .filter(|name| node.properties.iter().any(|(known, _)| known == *name))
            .collect();
        if !required.is_empty() {
            object.put("required", &required);
        }
        match (self.form, node.additional) {
            (Form::Json, Some(value)) if value.get().starts_with('{') => {
                object.put_text("additionalProperties", &self.node(value.get(), depth + 1)?);
            }
            (Form::Json, Some(value)) => object.put_text("additionalProperties", value.get()),
            (Form::OpenApi, Some(value)) if value.get() != "false" => {
                self.losses.add("schema.additionalProperties");
            }
            _ => {}
        }
        self.write_defs(node, depth, object)
    }

    fn write_defs(&mut self, node: &Node<'a>, depth: usize, object: &mut Object) -> Result<(), Fault> {
        if self.form == Form::Json
            && let Some(defs) = node.defs
        {
            let inner = Fields::of(defs.get()).ok_or_else(|| fault(self.place, "has bad `$defs`"))?;
            let mut written = Object::new();
            for (name, value) in inner.rest() {
                written.put_text(name, &self.node(value.get(), depth + 1)?);
            }
            object.put_text("$defs", &written.finish());
        }
        Ok(())
    }
}

/// Keywords that both forms know and that are carried as they are.
const PLAIN: [&str; 11] = [
    "title",
    "description",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
    "propertyOrdering",
    "minProperties",
];

fn put_plain(node: &mut Node<'_>, name: &'static str, text: String) {
    // The node's own word stands before that of what it refers to.
    if !node.plain.iter().any(|(known, _)| *known == name) {
        node.plain.push((name, text));
    }
}

fn gather_types(value: &RawValue, node: &mut Node<'_>) {
    let types: Vec<String> = serde_json::from_str::<Vec<String>>(value.get())
        .or_else(|_| serde_json::from_str(value.get()).map(|one| vec![one]))
        .unwrap_or_default();
    for kind in types {
        let kind = kind.to_ascii_lowercase();
        if kind == "null" {
            node.nullable = true;
        } else if !node.types.contains(&kind) {
            node.types.push(kind);
        }
    }
}

fn gather_choices(values: Vec<Value>, node: &mut Node<'_>) {
    if values.iter().any(Value::is_null) {
        node.nullable = true;
    }
    let values: Vec<Value> = values.into_iter().filter(|value| !value.is_null()).collect();
    if node.choices.is_none() && !values.is_empty() {
        node.choices = Some(values);
    }
}

/// An exclusive bound as an inclusive one: exact for integers, for numbers the nearest that can be said.
fn bound(value: &RawValue, name: &'static str, step: i64, node: &mut Node<'_>) {
    let text = match serde_json::from_str::<i64>(value.get()) {
        Ok(whole) if node.types.iter().any(|kind| kind == "integer") => {
            whole.saturating_add(step).to_string()
        }
        _ if value.get() == "true" || value.get() == "false" => return,
        _ => value.get().to_owned(),
    };
    put_plain(node, name, text);
}

fn is_null(branch: &RawValue) -> bool {
    serde_json::from_str::<Value>(branch.get())
        .is_ok_and(|value| value.get("type").and_then(Value::as_str) == Some("null"))
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a local JSON pointer (`#/$defs/Node`) names.
fn resolve<'a>(root: &'a str, reference: &str) -> Option<&'a str> {
    let mut at = root;
    for step in reference.strip_prefix("#/")?.split('/') {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = match Fields::of(at) {
            Some(fields) => fields.rest().find(|(name, _)| *name == step).map(|(_, value)| value.get()),
            None => serde_json::from_str::<Vec<&'a RawValue>>(at).ok().and_then(|list| {
                step.parse::<usize>().ok().and_then(|index| list.get(index).map(|v| v.get()))
            }),
        };
        at = next?;
    }
    Some(at)
}

/// Gemini's OpenAPI subset as JSON Schema: types in lower case, `nullable` as a type. `None` where nothing
/// is to be changed.
pub(super) fn to_json_schema(schema: &Raw) -> Option<Raw> {
    let mut value = schema.value();
    lower(&mut value, 0).then(|| Raw::from(value))
}

fn lower(value: &mut Value, depth: usize) -> bool {
    let Some(object) = value.as_object_mut().filter(|_| depth <= MAX_DEPTH) else { return false };
    let mut changed = false;
    if let Some(kind) = object.get("type").and_then(Value::as_str) {
        let lowered = kind.to_ascii_lowercase();
        if lowered != kind {
            object.insert(String::from("type"), Value::from(lowered));
            changed = true;
        }
    }
    if object.get("nullable").and_then(Value::as_bool) == Some(true)
        && let Some(kind) = object.get("type").cloned()
    {
        object.remove("nullable");
        object.insert(String::from("type"), Value::from(vec![kind, Value::from("null")]));
        changed = true;
    }
    for (name, inner) in object.iter_mut() {
        match name.as_str() {
            "items" => changed |= lower(inner, depth + 1),
            "properties" => {
                for property in inner.as_object_mut().into_iter().flat_map(|map| map.values_mut()) {
                    changed |= lower(property, depth + 1);
                }
            }
            "anyOf" => {
                for branch in inner.as_array_mut().into_iter().flatten() {
                    changed |= lower(branch, depth + 1);
                }
            }
            _ => {}
        }
    }
    changed
}
