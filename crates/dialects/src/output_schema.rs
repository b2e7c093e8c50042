//! JSON Schema as Claude's hosts take it for an answer that must obey it (Anthropic's structured outputs and
//! strict tools, Bedrock's `textFormat`): a subset, and a 400 for any keyword outside of it. What is outside
//! is left out and named as a loss; the model is still held to the rest.
//!
//! Source: the limits that Anthropic's page on structured outputs lists, and the refusals that callers of both
//! hosts report (`For 'array' type, property 'maxItems' is not supported`). Order of properties is kept: it is
//! the order of the answer.

use crate::object::{self, Fields, Object};
use domain::{Losses, Raw};

/// Keywords that both hosts refuse.
const REFUSED: [&str; 13] = [
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "maxItems",
    "uniqueItems",
    "contains",
    "minProperties",
    "maxProperties",
    "patternProperties",
];
/// Deepest level that is looked into; bodies of callers are refused earlier, at 128.
const MAX_DEPTH: usize = 128;

/// `schema` in the subset. `also` are keywords that this host refuses beyond [`REFUSED`]; `place` is the wire
/// name of the schema, for the losses.
pub(crate) fn subset(schema: &Raw, also: &[&str], place: &str, losses: &mut Losses) -> String {
    node(schema, &mut Subset { also, place, losses }, 0)
}

struct Subset<'a> {
    also: &'a [&'a str],
    place: &'a str,
    losses: &'a mut Losses,
}

impl Subset<'_> {
    fn lose(&mut self, keyword: &str) {
        self.losses.add(&format!("{}.{keyword}", self.place));
    }
}

fn node(schema: &Raw, subset: &mut Subset<'_>, depth: usize) -> String {
    let Some(fields) = schema.read::<Fields>().ok().filter(|_| depth < MAX_DEPTH) else {
        return schema.text().to_owned();
    };
    let is_object = fields.peek("properties").is_some()
        || fields.peek("type").is_some_and(|what| what.text().contains("\"object\""));
    let mut closed = false;
    let mut out = Object::new();
    for (name, raw) in fields.into_iter() {
        match &*name {
            refused if REFUSED.contains(&refused) || subset.also.contains(&refused) => subset.lose(refused),
            // Zero and one are the only bounds of a list's length that the hosts know.
            "minItems" if !matches!(raw.text(), "0" | "1") => subset.lose("minItems"),
            "additionalProperties" => {
                closed = true;
                if raw.text() != "false" {
                    subset.lose("additionalProperties");
                }
                out.scalar("additionalProperties", false);
            }
            "properties" | "$defs" | "definitions" => {
                out.json(&name, &named(&raw, subset, depth));
            }
            // The hosts know no `oneOf`; a generator that picks one branch obeys `anyOf` just so.
            "oneOf" => {
                out.json("anyOf", &listed(&raw, subset, depth));
            }
            "anyOf" | "allOf" | "items" | "prefixItems" => {
                out.json(&name, &listed(&raw, subset, depth));
            }
            _ => {
                out.raw(&name, &raw);
            }
        }
    }
    if is_object && !closed {
        out.scalar("additionalProperties", false);
    }
    out.finish()
}

/// An object of schemas by name.
fn named(schemas: &Raw, subset: &mut Subset<'_>, depth: usize) -> String {
    let Ok(fields) = schemas.read::<Fields>() else { return schemas.text().to_owned() };
    let mut out = Object::new();
    for (name, schema) in fields.into_iter() {
        out.json(&name, &node(&schema, subset, depth + 1));
    }
    out.finish()
}

/// A schema or a list of schemas.
fn listed(schemas: &Raw, subset: &mut Subset<'_>, depth: usize) -> String {
    match schemas.read::<Vec<Raw>>() {
        Ok(list) => {
            let texts: Vec<String> = list.iter().map(|schema| node(schema, subset, depth + 1)).collect();
            object::list(&texts)
        }
        Err(_) => node(schemas, subset, depth + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: &str) -> (String, String) {
        let mut losses = Losses::none();
        let text = subset(&Raw::parse(schema).expect("JSON"), &["pattern"], "s", &mut losses);
        (text, losses.to_string())
    }

    #[test]
    fn what_the_hosts_refuse_is_left_out_and_named_and_order_is_kept() {
        let (text, losses) = of(r#"{"type":"object","properties":{
            "z":{"type":"string","minLength":1,"pattern":"^a"},
            "a":{"type":"array","minItems":1,"maxItems":9,"items":{"type":"number","minimum":0}},
            "minLength":{"oneOf":[{"type":"string","maxLength":3},{"type":"null"}]}},"required":["z"]}"#);
        assert_eq!(
            text,
            r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"array","minItems":1,"items":{"type":"number"}},"minLength":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["z"],"additionalProperties":false}"#
        );
        assert_eq!(losses, "s.minlength, s.pattern, s.maxitems, s.minimum, s.maxlength");
    }

    #[test]
    fn objects_are_closed_and_an_open_one_is_a_loss() {
        let (text, losses) = of(r#"{"type":["object","null"],"additionalProperties":{"type":"string"}}"#);
        assert_eq!(text, r#"{"type":["object","null"],"additionalProperties":false}"#);
        assert_eq!(losses, "s.additionalproperties");
    }

    #[test]
    fn nonsense_passes_as_it_is() {
        assert_eq!(of("true"), ("true".into(), String::new()));
        assert_eq!(of(r#"{"items":[true,1]}"#), (r#"{"items":[true,1]}"#.into(), String::new()));
    }
}
