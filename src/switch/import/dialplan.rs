//! A static dialplan's extensions as a tenant's entries, as far as those can say the same.

use super::tree::Node;
use crate::{
    model::destination::Prompt,
    routing::entries::{Break, Cause, Condition, EntryBody, Field, Pattern, Step, Template},
    text::{SoundFile, Variable},
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
    let application = node.attribute("application").unwrap_or_default();
    let data = node.attribute("data").unwrap_or_default();
    Ok(match application {
        "answer" => Step::Answer,
        "pre_answer" => Step::PreAnswer,
        "ring_ready" => Step::RingReady,
        "sleep" => Step::Sleep { milliseconds: data.trim().parse().map_err(|_| format!("sleep {data}"))? },
        "playback" => {
            let file = SoundFile::parse(data).map_err(|_| format!("playback of {data}"))?;
            Step::Play { prompt: Prompt::File(file) }
        }
        "hangup" => Step::Hangup { cause: cause(data)? },
        "transfer" => Step::Dial { number: number(data.split_whitespace().next().unwrap_or_default())? },
        "bridge" => {
            let user = data.strip_prefix("user/").and_then(|rest| rest.split('@').next());
            Step::Dial { number: number(user.ok_or_else(|| format!("bridge {data}"))?)? }
        }
        "set" => {
            let (name, value) = data.split_once('=').ok_or_else(|| format!("set {data}"))?;
            Step::Set(Variable::parse(name, value).map_err(|error| format!("sets {name}, which {error}"))?)
        }
        other => return Err(format!("runs {other}")),
    })
}

fn cause(data: &str) -> Result<Cause, String> {
    Ok(match data.to_ascii_uppercase().as_str() {
        "" | "NORMAL_CLEARING" => Cause::NormalClearing,
        "USER_BUSY" => Cause::UserBusy,
        "CALL_REJECTED" => Cause::CallRejected,
        "UNALLOCATED_NUMBER" => Cause::UnallocatedNumber,
        "NO_ANSWER" => Cause::NoAnswer,
        other => return Err(format!("hangs up with {other}")),
    })
}

/// `$1` and `${1}` become `{1}`.
fn number(text: &str) -> Result<Template, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let after = after.strip_prefix('{').map_or(after, |inner| inner);
        let group = after.chars().next().filter(char::is_ascii_digit).ok_or_else(|| format!("dials {text}"))?;
        out.extend(['{', group, '}']);
        rest = &after[1..];
        rest = rest.strip_prefix('}').unwrap_or(rest);
    }
    Template::parse(&(out + rest)).map_err(|_| format!("dials {text}"))
}
