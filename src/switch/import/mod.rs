//! Imports a static FreeSWITCH configuration into a tenant: users, groups and dialplan, with a report of what was left out.
//!
//! One domain of the files becomes the tenant. The context that its users dial in becomes the tenant's entries; other contexts are
//! reported with how a call gets there. Typical calls are compared before and after the import.

mod before;
mod compare;
mod dialplan;
mod directory;
mod tree;
mod users;

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use uuid::Uuid;

pub use self::tree::{Files, Node, TreeError};
use self::{
    before::{Dialplan, PhoneCall, leads_on},
    compare::{Circle, Dials, Taken},
    dialplan::Within,
    directory::Domain as OldDomain,
};
use crate::{
    model::error::{Error, Result},
    node::changes::Change,
    routing::{Strategy, entries::EntryBody, raw},
    telephony::{
        dialplan as entries,
        dialplan::NewEntry,
        groups::{self, NewGroup},
    },
    tenancy::tenants,
    text::{DisplayName, Domain, GroupName},
};

/// A part of the files that was imported or left out.
#[derive(Debug, Serialize)]
pub struct Line {
    pub kind: &'static str,
    pub name: String,
    /// Why it was left out, or which part of it was.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// `FILE:LINE`
    pub place: String,
}

/// New secrets, made because the old ones were too weak. They are shown only here.
#[derive(Debug, Serialize)]
pub struct Made {
    pub number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voicemail_pin: Option<String>,
}

/// Where a call from a phone went before the import, and where it goes after.
#[derive(Debug, Serialize)]
pub struct Dial {
    pub dialled: String,
    pub before: String,
    pub after: String,
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The domain of the files that was imported.
    pub domain: String,
    /// The context whose extensions became the tenant's entries.
    pub context: String,
    pub taken: Vec<Line>,
    pub left: Vec<Line>,
    pub made: Vec<Made>,
    pub dials: Vec<Dial>,
    /// Errors in files, and directives that were not run.
    pub files: Vec<String>,
}

impl Report {
    fn take(&mut self, kind: &'static str, name: &str, node: &Node, note: impl Into<String>) {
        self.taken.push(Line { kind, name: name.to_owned(), note: note.into(), place: node.place() });
    }

    fn leave(&mut self, kind: &'static str, name: &str, node: &Node, note: impl Into<String>) {
        self.left.push(Line { kind, name: name.to_owned(), note: note.into(), place: node.place() });
    }
}

/// A configuration that was read.
pub struct Configuration {
    tree: Node,
    /// Errors in files, and directives that a switch would have run.
    pub refused: Vec<String>,
}

/// Why no domain could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    #[error("the files have {0}: choose one with --domain, and import the others into tenants of their own")]
    Several(String),
    #[error("the files have no domain {wanted}, only {known}")]
    Unknown { wanted: String, known: String },
}

/// Reads a folder.
///
/// # Errors
///
/// There is no configuration in it, or it can't be read at all. Errors in single files are in [`Configuration::refused`].
pub fn read(folder: &Path) -> std::result::Result<Configuration, TreeError> {
    let mut files = Files::new(folder);
    let tree = files.read()?;
    Ok(Configuration { tree, refused: files.refused })
}

impl Configuration {
    /// The domain that becomes the tenant: the wanted one, the only one with users, or the one with the tenant's name.
    ///
    /// # Errors
    ///
    /// There is no such domain, or there are several.
    pub fn choose(&self, wanted: Option<&str>, tenant: &str) -> std::result::Result<String, ChoiceError> {
        let (domains, _) = directory::read(&self.tree);
        let told = || {
            let told = domains.iter().map(OldDomain::told);
            told.collect::<Vec<_>>().join(", ")
        };
        if let Some(wanted) = wanted {
            return match domains.iter().find(|domain| domain.is(wanted)) {
                Some(found) => Ok(found.name.to_owned()),
                None => Err(ChoiceError::Unknown { wanted: wanted.to_owned(), known: told() }),
            };
        }
        let mut peopled = domains.iter().filter(|domain| !domain.users.is_empty());
        match (peopled.next(), peopled.next()) {
            (Some(_), Some(_)) => match domains.iter().find(|domain| domain.is(tenant)) {
                Some(own) => Ok(own.name.to_owned()),
                None => Err(ChoiceError::Several(told())),
            },
            (Some(only), None) => Ok(only.name.to_owned()),
            (None, _) => Ok(domains.first().map(|domain| domain.name.to_owned()).unwrap_or_default()),
        }
    }
}

/// The options of an import.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// From [`Configuration::choose`].
    pub domain: &'a str,
    /// Keep extensions that conditions can't express as XML, if that passes the check.
    pub keep_xml: bool,
}

/// Imports what can be imported.
///
/// # Errors
///
/// Only database errors. What can't be imported is in the report.
pub async fn import(
    change: &mut Change,
    tenant: Uuid,
    files: &Configuration,
    wish: Wish<'_>,
    progress: impl Fn(usize, usize),
) -> Result<Report> {
    let mut report = Report { domain: wish.domain.to_owned(), files: files.refused.clone(), ..Report::default() };
    let (mut domains, strays) = directory::read(&files.tree);
    for user in strays {
        report.leave(
            "user",
            user.attribute("id").unwrap_or_default(),
            user,
            "it is in no domain, so no switch finds it",
        );
    }
    for other in domains.iter().filter(|domain| !domain.is(wish.domain)) {
        let note = format!("{} is not {}: import it into a tenant of its own", other.told(), wish.domain);
        report.leave("domain", other.name, other.nodes[0], note);
    }
    domains.retain(|domain| domain.is(wish.domain));
    let old = Dialplan::read(&files.tree);
    let context = phones_context(domains.first(), &old);
    report.context = context.to_owned();
    if let Some(domain) = domains.first() {
        let ids = users::take(change, tenant, domain, context, &mut report, progress).await?;
        for group in domain.groups() {
            take_group(change, tenant, group, &ids, &mut report).await?;
        }
    }
    let dials = Dials::of(change.db(), tenant, domains.first(), &old, context).await?;
    let within = Within { context, domain: wish.domain };
    let taken = take_context(change, tenant, &old, within, &dials, wish.keep_xml, &mut report).await?;
    report_the_rest(&old, domains.first(), context, &mut report);
    report.dials = dials.compared(change.db(), tenant, &old, context, &taken).await?;
    Ok(report)
}

/// The context that phones dial in: that of most users, or else a usual one.
fn phones_context<'a>(domain: Option<&OldDomain<'a>>, old: &Dialplan<'a>) -> &'a str {
    if let Some(context) = domain.and_then(OldDomain::usual_context) {
        return context;
    }
    let names = old.contexts.iter().map(|context| context.name);
    let named = |wanted: &str| names.clone().find(|name| *name == wanted);
    let by_domain = domain.and_then(|domain| named(domain.name));
    named("default").or(by_domain).or_else(|| names.clone().find(|name| *name != "public")).unwrap_or("default")
}

async fn take_group(
    change: &mut Change,
    tenant: Uuid,
    group: &Node,
    ids: &BTreeMap<String, Uuid>,
    report: &mut Report,
) -> Result<()> {
    let name = group.attribute("name").unwrap_or_default();
    // The stock files put every user in it, and it is not for calling.
    if name == "default" {
        return Ok(());
    }
    let Ok(group_name) = GroupName::parse(name) else {
        report.leave("group", name, group, "a group can't have this name");
        return Ok(());
    };
    let (mut members, mut absent) = (Vec::new(), Vec::new());
    for user in group.all("user").into_iter().filter_map(|user| user.attribute("id")) {
        match ids.get(user) {
            Some(id) if members.contains(id) => {}
            Some(id) => members.push(*id),
            None => absent.push(user),
        }
    }
    let note = if absent.is_empty() { String::new() } else { format!("without {}", absent.join(", ")) };
    let new = NewGroup {
        name: group_name,
        number: None,
        ring_seconds: None,
        strategy: Strategy::All,
        confirm: false,
        follow_forwards: false,
        pickup: false,
        otherwise: None,
        members,
    };
    match change.attempt(async |change| groups::create(change, tenant, new).await).await? {
        Ok(_) => report.take("group", name, group, note),
        Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => return Err(error),
        Err(error) => report.leave("group", name, group, error.to_string()),
    }
    Ok(())
}

/// Imports the extensions of the context that phones dial in, in file order.
async fn take_context(
    change: &mut Change,
    tenant: Uuid,
    old: &Dialplan<'_>,
    within: Within<'_>,
    dials: &Dials,
    keep_xml: bool,
    report: &mut Report,
) -> Result<Taken> {
    let mut taken = Taken::default();
    let Some(context) = old.context(within.context) else { return Ok(taken) };
    let home = tenants::store::get(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let domain = &home.domain;
    let mut position = 0;
    for extension in context.node.named("extension") {
        position += 10;
        let name = extension.attribute("name").unwrap_or("unnamed");
        let label = format!("{}/{name}", context.name);
        let Ok(name) = DisplayName::parse(name) else {
            report.leave("dialplan", &label, extension, "an entry can't have this name");
            continue;
        };
        let (conditions, xml, note) = match dialplan::entry(extension, within) {
            Ok(EntryBody::Conditions(conditions)) => (Some(conditions), None, String::new()),
            Ok(EntryBody::Xml(_)) => continue,
            Err(why) => match keep_xml.then(|| kept(extension, old, within, domain)) {
                Some(Ok(xml)) => (None, Some(xml), format!("as XML: {why}")),
                Some(Err(no_xml)) => {
                    report.leave("dialplan", &label, extension, format!("{why}; as XML it {no_xml}"));
                    continue;
                }
                None => {
                    report.leave("dialplan", &label, extension, why);
                    continue;
                }
            },
        };
        // Entries are tried before the tenant's extensions, and XML even before feature codes and emergency numbers.
        if let Some(shadowed) = dials.shadowed(old, within.context, extension, xml.is_some(), &taken) {
            report.leave("dialplan", &label, extension, shadowed);
            continue;
        }
        let is_xml = xml.is_some();
        match if is_xml { Circle::None } else { dials.circles(old, within.context, extension) } {
            Circle::None => {}
            Circle::Own => {
                report.take(
                    "dialplan",
                    &label,
                    extension,
                    "no entry needed: a tenant's extensions can be called by their numbers",
                );
                continue;
            }
            Circle::Endless(number) => {
                let note = format!("as an entry it would send {number} in an endless loop: make its pattern narrower");
                report.leave("dialplan", &label, extension, note);
                continue;
            }
        }
        let new = NewEntry { position, name, enabled: true, conditions, xml };
        match change.attempt(async |change| entries::create(change, tenant, new, true).await).await? {
            Ok(_) => {
                taken.add(extension, is_xml);
                report.take("dialplan", &label, extension, note);
            }
            Err(error @ (Error::Sql(_) | Error::Keyring(_) | Error::NotFound(_))) => return Err(error),
            Err(error) => report.leave("dialplan", &label, extension, error.to_string()),
        }
    }
    Ok(taken)
}

/// Reports every part of the dialplan that did not become an entry.
fn report_the_rest(old: &Dialplan<'_>, domain: Option<&OldDomain<'_>>, phones: &str, report: &mut Report) {
    for context in &old.contexts {
        for child in context.node.children.iter().filter(|child| child.name != "extension") {
            let label = format!("{}/<{}>", context.name, child.name);
            report.leave("dialplan", &label, child, "it is in no extension, so a switch ignores it");
        }
        if context.name == phones {
            continue;
        }
        let note = reached(old, domain, phones, context.name);
        for extension in context.node.named("extension") {
            let label = format!("{}/{}", context.name, extension.attribute("name").unwrap_or("unnamed"));
            report.leave("dialplan", &label, extension, note.clone());
        }
    }
    for double in &old.doubles {
        let name = double.attribute("name").unwrap_or_default();
        report.leave("context", name, double, "an earlier context has this name, and a switch finds only the first");
    }
    for stray in &old.strays {
        report.leave("dialplan", stray.attribute("name").unwrap_or("unnamed"), stray, "it is in no context");
    }
}

/// How calls reach a context that is not the one of the tenant's phones.
fn reached(old: &Dialplan<'_>, domain: Option<&OldDomain<'_>>, phones: &str, context: &str) -> String {
    let users = domain.map(|domain| &domain.users[..]).unwrap_or_default();
    let theirs = users.iter().filter(|user| user.context() == Some(context)).map(|user| user.id).collect::<Vec<_>>();
    if !theirs.is_empty() {
        let some = theirs.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        let more = if theirs.len() > 5 { ", …" } else { "" };
        return format!(
            "only the users {some}{more} dial in {context}, and all phones of the tenant dial as in {phones}"
        );
    }
    // Start at the phones' context and follow the transfers.
    let mut from = BTreeMap::from([(phones, String::new())]);
    let mut next = vec![phones];
    while let Some(name) = next.pop() {
        for extension in old.context(name).into_iter().flat_map(|context| context.node.named("extension")) {
            for target in old.contexts.iter().map(|context| context.name) {
                if !from.contains_key(target) && leads_to(extension, target) {
                    let label = format!("{name}/{}", extension.attribute("name").unwrap_or("unnamed"));
                    from.insert(target, label);
                    next.push(target);
                }
            }
        }
    }
    match from.get(context) {
        Some(label) => {
            format!("calls get to {context} by {label}, and a tenant has only one context: use a destination instead")
        }
        None if context == "public" => {
            "calls from outside go by phone numbers: give the number a destination".to_owned()
        }
        None => format!(
            "no phone gets to {context}, only calls from outside, which go by phone numbers: give the number a destination"
        ),
    }
}

fn leads_to(extension: &Node, context: &str) -> bool {
    let actions = extension.all("action").into_iter().chain(extension.all("anti-action"));
    actions.into_iter().any(|action| {
        let data = action.attribute("data").unwrap_or_default();
        let led = leads_on(action.attribute("application").unwrap_or_default(), data);
        // bind_meta_app and others name the application in their data.
        let within = || data.contains("execute_extension::") || data.contains("transfer::");
        led.is_some_and(|led| led.context == Some(context))
            || (within() && data.split_whitespace().next_back() == Some(context))
    })
}

/// An extension as XML that may be kept, or why it may not. `own` is the tenant's context.
fn kept(extension: &Node, old: &Dialplan<'_>, within: Within<'_>, own: &Domain) -> std::result::Result<String, String> {
    if let Some(variable) = dialplan::unset(extension) {
        return Err(format!("would use $${{{variable}}}"));
    }
    let extension = with_own_context(extension, within, own.as_str());
    if let Some(elsewhere) = old.contexts.iter().find(|context| leads_to(&extension, context.name)) {
        return Err(format!("would lead to the context {}", elsewhere.name));
    }
    raw::canonical(&written(&extension), own).map_err(|why| why.to_string())
}

/// Replaces the context that phones dialled in by the tenant's own in every action.
fn with_own_context(node: &Node, within: Within<'_>, own: &str) -> Node {
    let mut node = node.clone();
    let application = node.attribute("application").unwrap_or_default().to_owned();
    for (name, value) in &mut node.attributes {
        let led = leads_on(&application, value).and_then(|led| led.context);
        if name == "data" && led == Some(within.context) {
            let before = value.trim_end().strip_suffix(within.context).unwrap_or_default();
            *value = format!("{before}{own}");
        }
    }
    node.children = node.children.iter().map(|child| with_own_context(child, within, own)).collect();
    node
}

/// Writes an element as XML, without attributes that a switch doesn't know.
fn written(node: &Node) -> String {
    let mut out = format!("<{}", node.name);
    for (name, value) in node.attributes.iter().filter(|(name, _)| raw::is_known(&node.name, name)) {
        out.extend([" ", name, "=\"", &quick_xml::escape::escape(value), "\""]);
    }
    out.push('>');
    for child in &node.children {
        out.push_str(&written(child));
    }
    out + &format!("</{}>", node.name)
}

/// Whether an extension of the files matches a call.
fn is_for(old: &Dialplan<'_>, extension: &Node, context: &str, number: &str, caller: &str) -> bool {
    old.matches(extension, context, PhoneCall { number, caller }).is_some()
}
