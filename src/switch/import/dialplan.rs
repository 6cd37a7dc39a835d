//! Turns the extensions of a static dialplan into a tenant's entries, where entries can do the same.

use super::{
    before::{is_own, leads_on},
    tree::Node,
};
use crate::routing::{
    applications,
    entries::{Break, Condition, EntryBody, Field, Pattern, Step},
    raw,
};

/// The context and domain of the files' phones. An extension that leads elsewhere can't become an entry.
#[derive(Clone, Copy)]
pub struct Within<'a> {
    pub context: &'a str,
    pub domain: &'a str,
}

/// The entry that does what an extension does, or why that is not possible.
pub fn entry(extension: &Node, within: Within<'_>) -> Result<EntryBody, String> {
    if let Some(variable) = unset(extension) {
        return Err(format!("it uses $${{{variable}}}, which no file sets"));
    }
    if extension.attribute("continue") == Some("true") {
        return Err("it has continue=\"true\", and a call never continues after an entry".into());
    }
    let mut conditions = Vec::new();
    for child in &extension.children {
        if child.name != "condition" {
            return Err(format!("it contains <{}>", child.name));
        }
        conditions.push(condition(child, within)?);
    }
    let body = EntryBody::Conditions(conditions);
    body.check().map_err(|error| error.to_string())?;
    Ok(body)
}

/// A variable that an element or its children use and that no file sets.
pub fn unset(node: &Node) -> Option<&str> {
    let own = node.attributes.iter().find_map(|(_, value)| value.split_once("$${")?.1.split('}').next());
    own.or_else(|| node.children.iter().find_map(unset))
}

fn condition(node: &Node, within: Within<'_>) -> Result<Condition, String> {
    // A switch ignores unknown attributes, and so does this.
    for (name, _) in &node.attributes {
        if raw::TIMES.contains(&name.as_str()) {
            return Err(format!("it has a condition on {name}: use a schedule instead"));
        }
        if name == "regex" {
            return Err("it has a condition with several expressions: make one entry for each".into());
        }
    }
    let field = match node.attribute("field") {
        None | Some("destination_number" | "${destination_number}") => Field::DestinationNumber,
        Some("caller_id_number" | "${caller_id_number}") => Field::CallerNumber,
        Some("username" | "${username}") => Field::CallerExtension,
        Some(other) => return Err(format!("it has a condition on {other}, which entries can't have")),
    };
    let pattern = node.attribute("expression").map(Pattern::parse).transpose();
    let pattern = pattern.map_err(|error| format!("one of its expressions {error}"))?;
    let stop = match node.attribute("break") {
        None | Some("on-false") => Break::OnFalse,
        Some("on-true") => Break::OnTrue,
        Some("always") => Break::Always,
        Some("never") => Break::Never,
        Some(other) => return Err(format!("it has the unknown break=\"{other}\"")),
    };
    let (mut actions, mut anti_actions) = (Vec::new(), Vec::new());
    for child in &node.children {
        match child.name.as_str() {
            "action" => actions.push(step(child, within)?),
            "anti-action" => anti_actions.push(step(child, within)?),
            other => return Err(format!("it contains <{other}> in a condition")),
        }
    }
    Ok(Condition { field, pattern, hours: None, time_zone: None, stop, actions, anti_actions })
}

fn step(node: &Node, within: Within<'_>) -> Result<Step, String> {
    let application = node.attribute("application").unwrap_or_default();
    let data = node.attribute("data").unwrap_or_default().trim();
    if ["transfer", "execute_extension"].contains(&application) {
        if data.starts_with('-') {
            return Err(format!("it runs {application} {data}"));
        }
        let context = leads_on(application, data).and_then(|led| led.context);
        if let Some(elsewhere) = context.filter(|context| *context != within.context && !is_own(context)) {
            return Err(format!("it leads to the context {elsewhere}"));
        }
    }
    if let Some((_, domain)) = data.strip_prefix("user/").and_then(|rest| rest.split_once('@'))
        && application == "bridge"
        && ![within.domain, "${domain_name}", "${domain}", "${dialed_domain}"].contains(&domain)
    {
        return Err(format!("it calls a user of the domain {domain}"));
    }
    applications::step(application, data)
}
