//! Turns the users of a domain into a tenant's extensions.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{
    Made, Report,
    directory::{Domain, User},
};
use crate::{
    model::error::{Error, Result},
    node::changes::Change,
    telephony::extensions::{self, NewExtension},
    text::{
        CallerName, CallerNumber, DisplayName, Email, ExtensionNumber, SipSecret, SipUsername, TextError, Variable,
        VoicemailPin, variable_names,
    },
};

/// Params and variables that are imported, or that Dialplane sets itself.
const READ: [&str; 10] = [
    "password",
    "vm-password",
    "vm-mailto",
    "vm-enabled",
    "user_context",
    "effective_caller_id_name",
    "effective_caller_id_number",
    "outbound_caller_id_name",
    "outbound_caller_id_number",
    "dial-string",
];

/// Makes an extension of each user. Returns the extensions' ids by user id.
pub async fn take(
    change: &mut Change,
    tenant: Uuid,
    domain: &Domain<'_>,
    context: &str,
    report: &mut Report,
    progress: impl Fn(usize, usize),
) -> Result<BTreeMap<String, Uuid>> {
    let mut shared: HashMap<&str, usize> = HashMap::new();
    for password in domain.users.iter().filter_map(|user| user.params.get("password")) {
        *shared.entry(password).or_default() += 1;
    }
    let mut ids = BTreeMap::new();
    for (at, user) in domain.users.iter().enumerate() {
        progress(at, domain.users.len());
        let others = user.params.get("password").and_then(|password| shared.get(password)).map_or(0, |count| count - 1);
        if let Some(id) = take_user(change, tenant, user, others, context, report).await? {
            ids.insert(user.id.to_owned(), id);
        }
    }
    Ok(ids)
}

/// Notes for the report on what of a user was left out or changed.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    /// Parses a value, and notes why if that fails.
    fn read<T>(
        &mut self,
        name: &str,
        value: Option<&str>,
        parse: fn(&str) -> std::result::Result<T, TextError>,
    ) -> Option<T> {
        let value = value.filter(|value| !value.is_empty())?;
        if let Some(variable) = unset(value) {
            self.0.push(format!("without {name}, which uses $${{{variable}}}, which no file sets"));
            return None;
        }
        parse(value).map_err(|error| self.0.push(format!("without {name}, which {error}"))).ok()
    }
}

fn unset(value: &str) -> Option<&str> {
    value.split_once("$${")?.1.split('}').next()
}

async fn take_user(
    change: &mut Change,
    tenant: Uuid,
    user: &User<'_>,
    sharing: usize,
    context: &str,
    report: &mut Report,
) -> Result<Option<Uuid>> {
    let (id, node) = (user.id, user.node);
    let number =
        [node.attribute("number-alias"), Some(id)].into_iter().flatten().find_map(|n| ExtensionNumber::parse(n).ok());
    let (Some(number), Ok(username), Ok(label)) = (number, SipUsername::parse(id), DisplayName::parse(id)) else {
        report.leave("user", id, node, "neither its id nor its number-alias is a number of 2 to 15 digits");
        return Ok(None);
    };
    let mut notes = Notes::default();
    let param = |name: &str| user.params.get(name).copied();
    let variable = |name: &str| user.variables.get(name).copied();
    let mut new = NewExtension::with_number(
        number.clone(),
        notes
            .read("effective_caller_id_name", variable("effective_caller_id_name"), DisplayName::parse)
            .unwrap_or(label),
    );
    new.sip_username = Some(username);
    new.caller_id_name = notes.read("outbound_caller_id_name", variable("outbound_caller_id_name"), CallerName::parse);
    new.caller_id_number =
        notes.read("outbound_caller_id_number", variable("outbound_caller_id_number"), CallerNumber::parse);
    new.voicemail_email = notes.read("vm-mailto", param("vm-mailto"), Email::parse);
    new.voicemail_enabled = param("vm-enabled").map(|enabled| {
        ["true", "yes", "on", "1", "t", "enabled", "active", "allow"].contains(&enabled.to_ascii_lowercase().as_str())
    });
    new.variables = variables(user, &mut notes).into_iter().collect();
    new.sip_password = password(param("password"), sharing, &mut notes);
    let names = [number.as_str(), id];
    new.voicemail_pin = param("vm-password").and_then(|text| {
        let read = VoicemailPin::parse(text).map_err(|error| Error::invalid("vm-password", error));
        let read = read.and_then(|pin| extensions::check_pin(pin.reveal(), &names).map(|()| pin));
        read.map_err(|error| notes.0.push(format!("a new voicemail PIN was made: {error}"))).ok()
    });
    let (weak_secret, weak_pin) = (new.sip_password.is_none(), new.voicemail_pin.is_none());
    let foreign = user.context().filter(|own| *own != context);
    notes
        .0
        .extend(foreign.map(|foreign| format!("it dialled in the context {foreign}, and now dials as in {context}")));
    if node.attribute("cidr").is_some() {
        notes.0.push("without cidr: it registers with its password from any address".into());
    }
    let unread = user.own.iter().filter(|name| !READ.contains(name) && !variable_names().any(|known| known == **name));
    let unread = unread.copied().collect::<Vec<_>>();
    if !unread.is_empty() {
        notes.0.push(format!("without {}", unread.join(", ")));
    }
    match change.attempt(async |change| extensions::create(change, tenant, new).await).await? {
        Ok(created) => {
            if weak_secret || weak_pin {
                report.made.push(Made {
                    number: number.to_string(),
                    sip_password: weak_secret.then(|| created.sip_password.clone()),
                    voicemail_pin: weak_pin.then(|| created.voicemail_pin.clone()),
                });
            }
            report.take("user", id, node, notes.0.join("; "));
            Ok(Some(created.extension.id))
        }
        Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => Err(error),
        Err(error) => {
            report.leave("user", id, node, error.to_string());
            Ok(None)
        }
    }
}

fn variables(user: &User<'_>, notes: &mut Notes) -> Vec<Variable> {
    let mut own = Vec::new();
    for (name, value) in user.variables.iter().filter(|(name, _)| variable_names().any(|known| known == **name)) {
        if let Some(variable) = unset(value) {
            notes.0.push(format!("without {name}, which uses $${{{variable}}}, which no file sets"));
            continue;
        }
        match Variable::parse(name, value) {
            Ok(variable) => own.push(variable),
            Err(error) => notes.0.push(format!("without {name}, which {error}")),
        }
    }
    own
}

/// The password, or a note on why a new one is made.
fn password(given: Option<&str>, sharing: usize, notes: &mut Notes) -> Option<SipSecret> {
    let kept = match given {
        Some(given) if unset(given).is_some() => Err("the old one uses a variable that no file sets".to_owned()),
        Some(_) if sharing > 0 => Err("other users have the old one too".to_owned()),
        Some(given) => SipSecret::parse(given).map_err(|error| format!("the old one {error}")),
        None => Err("there was none, or only a hash".to_owned()),
    };
    kept.map_err(|why| notes.0.push(format!("a new password was made: {why}"))).ok()
}
