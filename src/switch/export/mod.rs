//! Exports a tenant as static files with which FreeSWITCH runs without Dialplane: users, dialplan, menus, queues, conferences,
//! and the carriers' gateways. Limits, prices and schedules are decided at each call, so files can't have them; the report lists
//! what is missing.

mod files;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    routing::{self, AFTER, Call, Failure, Found, Hops, Plan, Route, Tenant, Trace},
    switch::fetch::{call_store, config_store, config_store::ConfigRow, documents, render, sofia, store},
    telephony::destinations,
    text::keyring::Keyring,
};

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Render(#[from] render::RenderError),
    #[error(transparent)]
    Secret(#[from] crate::text::keyring::KeyringError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("tenant not found")]
    NoTenant,
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub users: usize,
    pub dialplan: usize,
    pub files: usize,
    /// What calls do with Dialplane but not with the files.
    pub missing: Vec<String>,
}

/// Writes the files to an empty or new folder.
pub async fn export(
    db: &mut PgConnection,
    keyring: &Keyring,
    tenant: Uuid,
    folder: &Path,
) -> Result<Report, ExportError> {
    let mut report = Report::default();
    let plan = destinations::store::plan(&mut *db, tenant).await?.ok_or(ExportError::NoTenant)?;
    let names = store::names(&mut *db, tenant, i32::MAX - 1).await?.ok_or(ExportError::NoTenant)?;
    let mut written = files::stock();
    let users = users(&mut *db, keyring, tenant, &plan, &names.names, &mut report).await?;
    written.push(("directory/tenant.xml".into(), users));
    let dialplan = dialplan(&mut *db, tenant, &plan, &names.names, &mut report).await?;
    written.push(("dialplan/tenant.xml".into(), dialplan));
    for (name, text) in modules(&mut *db, keyring, tenant, &plan).await? {
        written.push((format!("autoload_configs/{name}.xml"), text));
    }
    for (path, text) in &written {
        write_private(&folder.join(path), text)?;
    }
    report.files = written.len();
    if !plan.settings.routing.outbound.countries.is_empty() || plan.settings.features.international_calls {
        report.missing.push("countries, limits and prices of outbound calls".into());
    }
    report.missing.push(
        "outbound calls: files can't decide whether to admit a call; only emergency calls go to the carriers".into(),
    );
    Ok(report)
}

/// A document without the lines that open and close its document and section.
fn inner(document: &[u8]) -> String {
    let text = String::from_utf8_lossy(document);
    let lines = text.lines().collect::<Vec<_>>();
    // document, section, …, /section, /document
    lines.get(2..lines.len().saturating_sub(2)).unwrap_or_default().join("\n") + "\n"
}

async fn users(
    db: &mut PgConnection,
    keyring: &Keyring,
    tenant: Uuid,
    plan: &Plan,
    names: &[String],
    report: &mut Report,
) -> Result<String, ExportError> {
    let mut rows = BTreeMap::new();
    for name in names {
        if let Some((_, Some(row))) = store::extension(&mut *db, tenant, name).await?
            && row.active
        {
            rows.insert(row.id, row);
        }
    }
    report.users = rows.len();
    let mut text = inner(&render::static_users(&plan.domain, rows.values(), keyring)?);
    let mut groups = String::new();
    for name in names.iter().filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic())) {
        if let Some((_, Some(members))) = store::group(&mut *db, tenant, name).await? {
            let _ = writeln!(groups, "<group name=\"{name}\">\n<users>");
            for member in members {
                let _ = writeln!(groups, "<user id=\"{}\" type=\"pointer\"/>", member.sip_username);
            }
            groups.push_str("</users>\n</group>\n");
        }
    }
    text = text.replacen("</groups>", &format!("{groups}</groups>"), 1);
    Ok(format!("<include>\n{text}</include>\n"))
}

/// Writes a file that only its owner may read: the files have users' hashes, PINs and carriers' passwords.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

async fn dialplan(
    db: &mut PgConnection,
    tenant: Uuid,
    plan: &Plan,
    names: &[String],
    report: &mut Report,
) -> Result<String, ExportError> {
    let scope = Tenant::of(plan, plan.domain.clone(), true);
    let mut extensions = Vec::new();
    for entry in &plan.entries {
        if let Some(xml) = entry.xml() {
            match routing::raw::check(xml) {
                Ok(()) => extensions.push(routing::raw::rendered(xml, &plan.domain)),
                Err(why) => report.missing.push(format!("dialplan entry {}: its XML {why}", entry.name)),
            }
        } else {
            report.missing.push(format!("dialplan entry {}: it is decided at each call", entry.name));
        }
    }
    for number in routing::emergency::numbers(plan.country()) {
        extensions.push(extension("emergency", &exactly(number), None, &emergency(db, tenant, number).await?)?);
    }
    for name in names {
        let found = call_store::dialled(&mut *db, tenant, Some(name), -1).await?.and_then(|row| row.found);
        let Some(found) = found else { continue };
        if matches!(&found, Found::Extension(extension) if !extension.answers_to(name)) {
            continue;
        }
        report_schedule(plan, &found, name, report);
        let route = |after| routed(&scope, plan, name, Some(&found), after);
        let first = route(None);
        if matches!(&first, Route::Ring(ring) if ring.then == routing::Then::Ask) {
            for (failure, causes) in [
                (Failure::Busy, "^(USER_BUSY|CALL_REJECTED)$"),
                (Failure::NoAnswer, "^(NO_ANSWER|NO_USER_RESPONSE|ALLOTTED_TIMEOUT|PROGRESS_TIMEOUT)$"),
                (Failure::NotRegistered, "^(USER_NOT_REGISTERED|SUBSCRIBER_ABSENT)$"),
                (Failure::Other, "."),
            ] {
                let next = route(Some(failure));
                let pattern = exactly(&format!("{name}{AFTER}"));
                extensions.push(extension("after", &pattern, Some(causes), &next.actions(&scope, Hops::default()))?);
            }
        }
        extensions.push(extension(first.name(), &exactly(name), None, &first.actions(&scope, Hops::default()))?);
    }
    let codes = &plan.settings.routing.codes;
    for code in [&codes.echo, &codes.voicemail, &codes.park] {
        let route = routed(&scope, plan, code.as_str(), None, None);
        extensions.push(extension(
            route.name(),
            &exactly(code.as_str()),
            None,
            &route.actions(&scope, Hops::default()),
        )?);
    }
    report.dialplan = extensions.len();
    let public = public(db, tenant, plan, report).await?;
    let domain = &plan.domain;
    Ok(format!(
        "<include>\n<context name=\"{domain}\">\n{}\n</context>\n<context name=\"public\">\n{}\n</context>\n</include>\n",
        extensions.join("\n"),
        public.join("\n")
    ))
}

fn report_schedule(plan: &Plan, found: &Found, name: &str, report: &mut Report) {
    let Found::Destination(id) = found else { return };
    let Some(planned) = plan.destinations.get(id) else { return };
    if matches!(planned.config, crate::model::destination::Config::Schedule(_)) && name.len() != 32 {
        report.missing.push(format!("schedule {}: it stays as it is right now, open or closed", planned.name));
    }
}

fn routed(tenant: &Tenant, plan: &Plan, number: &str, found: Option<&Found>, after: Option<Failure>) -> Route {
    let call = Call { after, ..Call::dialling(number, jiff::Timestamp::now()) };
    routing::route(tenant, plan, &call, found, &mut Trace::off()).route
}

/// An expression that matches only this number.
fn exactly(number: &str) -> String {
    format!("^{}$", regex::escape(number))
}

fn extension(
    name: &str,
    pattern: &str,
    disposition: Option<&str>,
    actions: &[routing::Action],
) -> Result<String, render::RenderError> {
    let mut text = String::from_utf8_lossy(&render::static_extension(pattern, disposition, actions)?).into_owned();
    text = text.replacen("NAME", name, 1);
    Ok(text.trim_end().to_owned())
}

async fn emergency(db: &mut PgConnection, tenant: Uuid, number: &str) -> Result<Vec<routing::Action>, ExportError> {
    let (_, carriers) = call_store::carriers(&mut *db).await?;
    let known = std::sync::Arc::new(carriers.into_iter().map(|carrier| (carrier.id, carrier)).collect());
    let sandbox = crate::tenancy::tenants::store::get(&mut *db, tenant).await?.is_some_and(|tenant| tenant.sandbox);
    if sandbox {
        let refused = routing::Refusal::Sandbox.cause().to_owned();
        return Ok(vec![routing::Action { application: "hangup", data: refused }]);
    }
    let ids = routing::carried::for_emergencies(&known, tenant);
    let carried = routing::carried::Carried {
        dialled: routing::carried::Dialling::Emergency(number),
        caller_id: None,
        original: None,
        carriers: &ids,
        limits: &[],
        known: &known,
        call: None,
        tenant: None,
        location: None,
        record: false,
        consent_tone: false,
        withheld: false,
        diverted: false,
    };
    Ok(carried.actions())
}

/// Calls from outside to the tenant's numbers.
async fn public(
    db: &mut PgConnection,
    tenant: Uuid,
    plan: &Plan,
    report: &mut Report,
) -> Result<Vec<String>, ExportError> {
    let filter = crate::telephony::numbers::store::Filter::default();
    let numbers =
        crate::telephony::numbers::store::list(&mut *db, tenant, &filter, &crate::model::paging::Window::FIRST.into())
            .await?;
    let mut extensions = Vec::new();
    for number in numbers {
        let Some(to) =
            number.destination.and_then(|target| plan.name_of(target).or_else(|| Some(target.id.to_string())))
        else {
            report.missing.push(format!("number {}: it leads nowhere", number.number));
            continue;
        };
        // The plan has no names of extensions and groups that only a phone number leads to.
        let name = match number.destination {
            Some(target) => destinations::store::dialled_name(&mut *db, tenant, target).await?.unwrap_or(to),
            None => to,
        };
        let domain = &plan.domain;
        let actions = [
            routing::Action { application: "set", data: format!("domain_name={domain}") },
            routing::Action { application: "transfer", data: format!("{name} XML {domain}") },
        ];
        let digits = number.number.as_str().trim_start_matches('+');
        extensions.push(extension("number", &format!("^\\+?(00)?{digits}$"), None, &actions)?);
    }
    Ok(extensions)
}

/// Configuration of the modules that the tenant's destinations need.
async fn modules(
    db: &mut PgConnection,
    keyring: &Keyring,
    tenant: Uuid,
    plan: &Plan,
) -> Result<Vec<(&'static str, String)>, ExportError> {
    use crate::model::destination::TargetKind;
    let mut rows: BTreeMap<TargetKind, Vec<ConfigRow>> = BTreeMap::new();
    for (id, planned) in &plan.destinations {
        let kind = planned.config.kind();
        if let Some((_, Some(row))) = config_store::destination(&mut *db, tenant, *id, kind).await? {
            rows.entry(kind).or_default().push(row);
        }
    }
    let mut all = Vec::new();
    for (kind, name) in [
        (TargetKind::Ivr, "ivr.conf"),
        (TargetKind::Conference, "conference.conf"),
        (TargetKind::Queue, "callcenter.conf"),
    ] {
        let mut documents = rows.remove(&kind).unwrap_or_default();
        // A switch that runs on files is sent no commands, so the files have the agents' statuses.
        for row in &mut documents {
            row.with_status = true;
        }
        let documents = documents.iter().map(|row| documents::static_document(&plan.domain, row, keyring));
        let merged = merge(name, &documents.collect::<Result<Vec<_>, _>>()?);
        all.extend(merged.map(|text| (name, format!("<include>\n{text}</include>\n"))));
    }
    let carriers = config_store::carriers(&mut *db, config_store::Whose::Tenant(tenant)).await?;
    let sofia = sofia::document_of(sofia::PROFILES.as_str(), carriers, keyring)?;
    all.push(("sofia.conf", format!("<include>\n{}</include>\n", inner(&sofia))));
    Ok(all)
}

/// Merges several documents of one module: lists of the same name become one list.
fn merge(name: &str, documents: &[bytes::Bytes]) -> Option<String> {
    let first = inner(documents.first()?);
    let mut lists: Vec<(String, String)> = Vec::new();
    for document in documents {
        let text = inner(document);
        let mut open: Option<(String, String)> = None;
        for line in text.lines() {
            let element = line.trim_start_matches("</").trim_start_matches('<');
            let element = element.split([' ', '>', '/']).next().unwrap_or_default().to_owned();
            let is_list =
                ["menus", "profiles", "advertise", "caller-controls", "settings", "queues", "agents", "tiers"]
                    .contains(&element.as_str());
            match (&mut open, is_list) {
                (None, true) => open = Some((element, String::new())),
                (Some((list, body)), true) if *list == element => {
                    let (list, body) = (list.clone(), body.clone());
                    open = None;
                    match lists.iter_mut().find(|(known, _)| *known == list) {
                        // Controls are the same in each.
                        Some((_, all)) if list != "caller-controls" && list != "settings" => all.push_str(&body),
                        Some(_) => {}
                        None => lists.push((list, body)),
                    }
                }
                (Some((_, body)), _) => {
                    body.push_str(line);
                    body.push('\n');
                }
                (None, false) => {}
            }
        }
    }
    debug_assert!(first.starts_with("<configuration"));
    let mut out = format!("<configuration name=\"{name}\">\n");
    for (list, body) in lists {
        let _ = write!(out, "<{list}>\n{body}</{list}>\n");
    }
    Some(out + "</configuration>\n")
}
