//! Static FreeSWITCH configuration into a tenant: its users, groups and dialplan, with a report of what could not be taken.

mod dialplan;
mod tree;

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use uuid::Uuid;

pub use self::tree::{Files, Node, TreeError};
use crate::{
    model::error::{Error, Result},
    node::changes::Change,
    routing::{Strategy, entries::EntryBody, raw},
    telephony::{
        dialplan as entries,
        dialplan::NewEntry,
        extensions::{self, NewExtension},
        groups::{self, NewGroup},
    },
    tenancy::tenants,
    text::{
        CallerName, CallerNumber, DisplayName, Email, ExtensionNumber, GroupName, SipSecret, SipUsername, Variable,
        VoicemailPin, variable_names,
    },
};

/// Something that was taken, or not.
#[derive(Debug, Serialize)]
pub struct Line {
    pub kind: &'static str,
    pub name: String,
    /// Why it was not taken, or what of it was not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Secrets that were made because the ones before were too weak; shown this once.
#[derive(Debug, Serialize)]
pub struct Made {
    pub number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voicemail_pin: Option<String>,
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub taken: Vec<Line>,
    pub left: Vec<Line>,
    pub made: Vec<Made>,
}

/// Reads a folder: its tree, and what of it a switch would have run.
pub fn read(folder: &Path) -> std::result::Result<(Node, Vec<String>), TreeError> {
    let mut files = Files::new(folder);
    let tree = files.read()?;
    Ok((tree, files.refused))
}

/// Takes what can be taken; `keep_xml`: extensions that entries can't say stay XML, where that passes the check.
pub async fn import(
    change: &mut Change,
    tenant: Uuid,
    tree: &Node,
    keep_xml: bool,
    progress: impl Fn(usize, usize),
) -> Result<Report> {
    let mut report = Report::default();
    let users =
        tree.all("user").into_iter().filter(|user| user.attribute("type") != Some("pointer")).collect::<Vec<_>>();
    let mut ids = BTreeMap::new();
    for (at, user) in users.iter().enumerate() {
        progress(at, users.len());
        if let Some((id, made)) = take_user(change, tenant, user, &mut report).await? {
            ids.insert(user.attribute("id").unwrap_or_default().to_owned(), id);
            report.made.extend(made);
        }
    }
    for group in tree.all("group").into_iter().filter(|group| !group.all("user").is_empty()) {
        take_group(change, tenant, group, &ids, &mut report).await?;
    }
    let mut position = 0;
    for context in tree.all("context") {
        let name = context.attribute("name").unwrap_or_default();
        for extension in context.named("extension") {
            position += 10;
            let label = format!("{name}/{}", extension.attribute("name").unwrap_or("unnamed"));
            if name == "public" {
                let note = "calls from outside are led by phone numbers: give the number a destination".to_owned();
                report.left.push(Line { kind: "dialplan", name: label, note });
                continue;
            }
            take_extension(change, tenant, extension, &label, position, keep_xml, &mut report).await?;
        }
    }
    Ok(report)
}

fn pairs<'a>(user: &'a Node, list: &'a str, item: &'a str) -> BTreeMap<&'a str, &'a str> {
    let items = user.named(list).flat_map(move |list| list.named(item));
    items.filter_map(|item| Some((item.attribute("name")?, item.attribute("value")?))).collect()
}

async fn take_user(
    change: &mut Change,
    tenant: Uuid,
    user: &Node,
    report: &mut Report,
) -> Result<Option<(Uuid, Option<Made>)>> {
    let id = user.attribute("id").unwrap_or_default();
    let mut left = |note: String| report.left.push(Line { kind: "user", name: id.to_owned(), note });
    let number =
        [user.attribute("number-alias"), Some(id)].into_iter().flatten().find_map(|n| ExtensionNumber::parse(n).ok());
    let (Some(number), Ok(username)) = (number, SipUsername::parse(id)) else {
        left("it has no number of 2 to 15 digits, as id or number-alias".into());
        return Ok(None);
    };
    let (params, variables) = (pairs(user, "params", "param"), pairs(user, "variables", "variable"));
    let param = |name: &str| params.get(name).copied();
    let variable = |name: &str| variables.get(name).copied();
    let secret = param("password").and_then(|text| SipSecret::parse(text).ok());
    let mut notes = Vec::new();
    let names = [number.as_str(), username.as_str()];
    let pin = param("vm-password").and_then(|text| {
        let read = VoicemailPin::parse(text).map_err(|error| Error::invalid("vm-password", error));
        let read = read.and_then(|pin| extensions::check_pin(pin.reveal(), &names).map(|()| pin));
        read.map_err(|error| notes.push(format!("a new voicemail PIN was made: {error}"))).ok()
    });
    let mut own = Vec::new();
    for (name, value) in variables.iter().filter(|(name, _)| variable_names().any(|known| known == **name)) {
        match Variable::parse(name, value) {
            Ok(variable) => own.push(variable),
            Err(error) => notes.push(format!("without {name}, which {error}")),
        }
    }
    let name = variable("effective_caller_id_name").and_then(|name| DisplayName::parse(name).ok());
    let mut new = NewExtension::with_number(
        number.clone(),
        name.unwrap_or(DisplayName::parse(id).map_err(|e| Error::invalid("id", e))?),
    );
    new.sip_username = Some(username);
    new.caller_id_name = variable("outbound_caller_id_name").and_then(|name| CallerName::parse(name).ok());
    new.caller_id_number = variable("outbound_caller_id_number").and_then(|number| CallerNumber::parse(number).ok());
    new.voicemail_email = param("vm-mailto").and_then(|email| Email::parse(email).ok());
    new.voicemail_enabled = param("vm-enabled").map(|enabled| enabled == "true");
    new.variables = own.into_iter().collect();
    let (weak_secret, weak_pin) = (secret.is_none(), pin.is_none());
    (new.sip_password, new.voicemail_pin) = (secret, pin);
    match change.attempt(async |change| extensions::create(change, tenant, new).await).await? {
        Ok(created) => {
            let made = (weak_secret || weak_pin).then(|| Made {
                number: number.to_string(),
                sip_password: weak_secret.then(|| created.sip_password.clone()),
                voicemail_pin: weak_pin.then(|| created.voicemail_pin.clone()),
            });
            if weak_secret {
                notes.push("a new password was made: the one before was too short, or a hash".into());
            }
            report.taken.push(Line { kind: "user", name: id.to_owned(), note: notes.join("; ") });
            Ok(Some((created.extension.id, made)))
        }
        Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => Err(error),
        Err(error) => {
            left(error.to_string());
            Ok(None)
        }
    }
}

async fn take_group(
    change: &mut Change,
    tenant: Uuid,
    group: &Node,
    ids: &BTreeMap<String, Uuid>,
    report: &mut Report,
) -> Result<()> {
    let name = group.attribute("name").unwrap_or_default();
    // Everybody is in it; no one is called by it.
    if name == "default" {
        return Ok(());
    }
    let mut left = |note: String| report.left.push(Line { kind: "group", name: name.to_owned(), note });
    let Ok(group_name) = GroupName::parse(name) else {
        left("its name is none that a group can have".into());
        return Ok(());
    };
    let members = group.all("user").into_iter().filter_map(|user| ids.get(user.attribute("id")?).copied()).collect();
    let new = NewGroup {
        name: group_name,
        number: None,
        ring_seconds: None,
        strategy: Strategy::All,
        confirm: false,
        otherwise: None,
        members,
    };
    match change.attempt(async |change| groups::create(change, tenant, new).await).await? {
        Ok(_) => report.taken.push(Line { kind: "group", name: name.to_owned(), note: String::new() }),
        Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => return Err(error),
        Err(error) => {
            left(error.to_string());
        }
    }
    Ok(())
}

async fn take_extension(
    change: &mut Change,
    tenant: Uuid,
    extension: &Node,
    label: &str,
    position: i32,
    keep_xml: bool,
    report: &mut Report,
) -> Result<()> {
    let mut left = |note: String| report.left.push(Line { kind: "dialplan", name: label.to_owned(), note });
    let name = label.rsplit('/').next().unwrap_or_default();
    let Ok(name) = DisplayName::parse(name) else {
        left("its name is none that an entry can have".into());
        return Ok(());
    };
    let home = tenants::store::get(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let (conditions, xml, note) = match dialplan::entry(extension) {
        Ok(EntryBody::Conditions(conditions)) => (Some(conditions), None, String::new()),
        Ok(EntryBody::Xml(_)) => return Ok(()),
        Err(why) => match keep_xml.then(|| raw::canonical(&written(extension), &home.domain)) {
            Some(Ok(xml)) => (None, Some(xml), format!("as XML: {why}")),
            Some(Err(no_xml)) => {
                left(format!("{why}; as XML it {no_xml}"));
                return Ok(());
            }
            None => {
                left(why);
                return Ok(());
            }
        },
    };
    let new = NewEntry { position, name, enabled: true, conditions, xml };
    match change.attempt(async |change| entries::create(change, tenant, new, true).await).await? {
        Ok(_) => report.taken.push(Line { kind: "dialplan", name: label.to_owned(), note }),
        Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => return Err(error),
        Err(error) => {
            left(error.to_string());
        }
    }
    Ok(())
}

/// An element as XML again.
fn written(node: &Node) -> String {
    let mut out = format!("<{}", node.name);
    for (name, value) in &node.attributes {
        out.extend([" ", name, "=\"", &quick_xml::escape::escape(value), "\""]);
    }
    out.push('>');
    for child in &node.children {
        out.push_str(&written(child));
    }
    out + &format!("</{}>", node.name)
}
