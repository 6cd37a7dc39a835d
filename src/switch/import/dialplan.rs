//! A static dialplan's extensions as a tenant's entries, as far as those can say the same.

use super::tree::Node;
use crate::routing::{
    applications,
    entries::{Break, Condition, EntryBody, Field, Pattern, Step},
};

/// The entry that does what an extension does, or why there is none.
pub fn entry(extension: &Node) -> Result<EntryBody, String> {
    if extension.attribute("continue") == Some("true") {
        return Err("it goes on with the next extension, which entries don't".into());
    }
    let mut conditions = Vec::new();
    for child in &extension.children {
        if child.name != "condition" {
            return Err(format!("it holds <{}>", child.name));
        }
        conditions.push(condition(child)?);
    }
    let body = EntryBody::Conditions(conditions);
    body.check().map_err(|error| error.to_string())?;
    Ok(body)
}

fn condition(node: &Node) -> Result<Condition, String> {
    for (name, _) in &node.attributes {
        if !["field", "expression", "break"].contains(&name.as_str()) {
            return Err(format!("a condition by {name}: make a schedule of it"));
        }
    }
    let field = match node.attribute("field") {
        None | Some("destination_number") => Field::DestinationNumber,
        Some("caller_id_number") => Field::CallerNumber,
        Some("username") => Field::CallerExtension,
        Some(other) => return Err(format!("a condition on {other}")),
    };
    let pattern = node.attribute("expression").map(Pattern::parse).transpose();
    let pattern = pattern.map_err(|error| format!("an expression that {error}"))?;
    let stop = match node.attribute("break") {
        None | Some("on-false") => Break::OnFalse,
        Some("on-true") => Break::OnTrue,
        Some("always") => Break::Always,
        Some("never") => Break::Never,
        Some(other) => return Err(format!("break={other}")),
    };
    let (mut actions, mut anti_actions) = (Vec::new(), Vec::new());
    for child in &node.children {
        match child.name.as_str() {
            "action" => actions.push(step(child)?),
            "anti-action" => anti_actions.push(step(child)?),
            other => return Err(format!("it holds <{other}> in a condition")),
        }
    }
    Ok(Condition { field, pattern, hours: None, time_zone: None, stop, actions, anti_actions })
}

fn step(node: &Node) -> Result<Step, String> {
    applications::step(node.attribute("application").unwrap_or_default(), node.attribute("data").unwrap_or_default())
}
