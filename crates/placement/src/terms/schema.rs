//! The Cedar schema, made from the attribute list: no attribute is optional, because Cedar skips a policy
//! that reads a missing one, and a rule must never be skipped in silence.

use crate::{
    attribute::{Attribute, Owner, Shape},
    permission::Action,
};
use cedar_policy::Schema;
use std::fmt::Write as _;

/// The schema as Cedar text.
#[must_use]
pub fn text() -> String {
    let mut out = String::new();
    for (entity, owner) in [("Workload", Owner::Workload), ("Deployment", Owner::Deployment)] {
        let _ = writeln!(out, "entity {entity} = {{");
        fields(&mut out, owner);
        out.push_str("};\n");
    }
    let actions: Vec<String> = Action::ALL.iter().map(|action| format!("\"{}\"", action.name())).collect();
    let _ = writeln!(out, "action {} appliesTo {{", actions.join(", "));
    out.push_str("  principal: [Workload],\n  resource: [Deployment],\n  context: {\n  now: datetime,\n");
    fields(&mut out, Owner::Context);
    out.push_str("  }\n};\n");
    out
}

fn fields(out: &mut String, owner: Owner) {
    for attribute in Attribute::ALL.iter().filter(|a| a.owner() == owner && a.readable()) {
        let kind = match attribute.shape() {
            Shape::Word => "String",
            Shape::Within | Shape::HasAll => "Set<String>",
        };
        let _ = writeln!(out, "  {}: {kind},", attribute.name());
    }
}

/// The schema, parsed.
///
/// # Errors
/// Cedar's words, should the text not parse (a test says that it does).
pub fn cedar_schema() -> Result<Schema, String> {
    Schema::from_cedarschema_str(&text()).map(|(schema, _)| schema).map_err(|error| error.to_string())
}
