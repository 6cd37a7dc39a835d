//! The page of the audit log, and the same entries as a file.

use std::collections::{BTreeSet, HashMap};

use actix_web::{
    HttpResponse, get,
    http::header,
    web::{Bytes, Data, Query, ServiceConfig},
};
use askama::Template;
use chrono::TimeDelta;
use futures_util::{TryStreamExt as _, stream};
use serde::Deserialize;
use uuid::Uuid;

use super::{Field, Row, ids, own_name, read};
use crate::{
    app::web::{Page, Shell, Visitor, in_query, ok, resource, zone},
    http::problem::Problem,
    model::{paging::PageQuery, sorting::SortQuery},
    tenancy::{
        Api,
        audit::{self, AuditEntry, Filter},
        auth::{
            actor::Actor,
            rules::{Level, Resource},
        },
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(export);
}

/// How many entries a page has.
const SIZE: i64 = 50;
/// How many the file reads at once.
const AT_ONCE: i64 = 500;

/// The actions to choose from when searching. Others are found without choosing one.
const ACTIONS: [&str; 15] = [
    "create",
    "update",
    "delete",
    "invite",
    "rotate",
    "rotate_token",
    "sign_in",
    "lock_sign_in",
    "set_password",
    "verify_email",
    "rates",
    "reserve",
    "release",
    "outbound",
    "purge",
];
const KINDS: [&str; 21] = [
    "agents",
    "users",
    "extensions",
    "groups",
    "destinations",
    "call-backs",
    "numbers",
    "dialplan-entries",
    "pools",
    "reserved-numbers",
    "recordings",
    "voicemail",
    "voicemail-greetings",
    "keys",
    "webhooks",
    "tenants",
    "settings",
    "templates",
    "clusters",
    "switches",
    "carriers",
];

#[derive(Template)]
#[template(path = "web/audit.html")]
struct AuditPage<'a> {
    s: &'a Shell,
    rows: Vec<Row>,
    asked: &'a Asked,
    actions: &'static [&'static str],
    kinds: &'static [&'static str],
    zone: String,
    next: Option<String>,
    may_set_periods: bool,
}

impl AuditPage<'_> {
    /// Whether this kind, such as `groups/`, was chosen.
    fn is_chosen(&self, kind: &str) -> bool {
        self.asked.resource.trim_end_matches('/') == kind
    }
}

/// Which entries the address asks for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    actor: String,
    action: String,
    resource: String,
    /// The first and the last day, as the visitor counts them.
    from: String,
    to: String,
    cursor: Option<String>,
}

impl Asked {
    fn fields(&self) -> [(&'static str, &str); 5] {
        let (actor, action, resource) = (&self.actor, &self.action, &self.resource);
        [("actor", actor), ("action", action), ("resource", resource), ("from", &self.from), ("to", &self.to)]
    }

    fn is_search(&self) -> bool {
        self.fields().iter().any(|(_, text)| !text.trim().is_empty())
    }

    /// The same in an address, without the place in the list.
    fn query(&self) -> String {
        let given = self.fields().into_iter().filter(|(_, text)| !text.trim().is_empty());
        given.map(|(name, text)| format!("{name}={}", in_query(text.trim()))).collect::<Vec<_>>().join("&")
    }

    fn filter(&self, visitor: &Visitor) -> Filter {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (since, until) = zone::between(&zone::zone_of(visitor), "custom", &self.from, &self.to);
        let moment = |at: Option<String>| at.and_then(|at| at.parse().ok());
        Filter {
            actor: given(&self.actor),
            action: given(&self.action),
            resource: given(&self.resource),
            since: moment(since),
            until: moment(until),
            ..Filter::default()
        }
    }
}

/// The names of all that entries mention, whether it is there or gone.
async fn names_in(api: &Api, actor: &Actor, entries: &[AuditEntry]) -> sqlx::Result<HashMap<Uuid, String>> {
    let ids = entries.iter().flat_map(ids).collect::<BTreeSet<_>>();
    let tenants = entries.iter().filter_map(|entry| entry.tenant_id).collect::<Vec<_>>();
    let ids = ids.into_iter().chain(tenants.iter().copied()).collect::<Vec<_>>();
    let (of_platform, mut db) = (actor.tenant.is_none(), api.read(actor).await?);
    let mut names = audit::store::names(&mut *db, &tenants, &ids).await?.into_iter().collect::<HashMap<_, _>>();
    if of_platform {
        names.extend(audit::store::names_of_platform(&mut *db, &ids).await?);
    }
    // Things that are gone have the name that they had then. An entry about what led to them may be a little older.
    let unknown = ids.iter().filter(|id| !names.contains_key(id));
    let resources = unknown.flat_map(|id| KINDS.map(|kind| format!("{kind}/{id}"))).collect::<Vec<_>>();
    if let Some(oldest) = entries.iter().map(|entry| entry.at).min()
        && !resources.is_empty()
    {
        let since = oldest - TimeDelta::minutes(1);
        let gone = audit::store::last_values(&mut *db, &tenants, of_platform, &resources, since).await?;
        names.extend(gone.iter().filter_map(|(resource, values)| {
            let id = resource.split('/').nth(1)?.parse().ok()?;
            Some((id, own_name(values)?))
        }));
    }
    Ok(names)
}

#[get("/audit")]
async fn list(visitor: Visitor, asked: Query<Asked>) -> Page {
    let actor = visitor.needs(Resource::Audit, Level::Read)?;
    let page = PageQuery { limit: Some(SIZE), cursor: asked.cursor.clone() };
    let way = SortQuery::default().way(&page, "-at")?;
    let (after, filter) = (way.after_id()?, asked.filter(&visitor));
    let mut db = visitor.api.read(&actor).await?;
    let entries = audit::store::list(&mut *db, actor.tenant, &filter, way.is_down, after, way.fetch()).await?;
    drop(db);
    let page = way.page(entries, |entry| entry.id.to_string());
    let names = names_in(&visitor.api, &actor, &page.items).await?;
    let next = page.next_cursor.map(|cursor| format!("/audit?{}&cursor={cursor}", asked.query()));
    let may_set_periods = actor.tenant.is_some() && visitor.needs(Resource::Tenant, Level::Write).is_ok();
    let zone = zone::zone_of(&visitor).iana_name().unwrap_or("UTC").replace('_', " ");
    let shell = visitor.shell.on("audit");
    let rows = page.items.into_iter().map(|entry| read(&shell, entry, &names)).collect();
    let (actions, kinds) = (&ACTIONS, &KINDS);
    ok(&AuditPage { s: &shell, rows, asked: &asked, actions, kinds, zone, next, may_set_periods })
}

/// The file's columns, by the keys of their headings. The platform's has the tenant before them.
const COLUMNS: [&str; 7] =
    ["audit.at", "audit.actor", "audit.action", "audit.resource", "field.name", "audit.source", "audit.changes"];

fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    cells.into_iter().map(resource::csv).collect::<Vec<_>>().join(",") + "\r\n"
}

/// What changed, in one cell.
fn told(changes: &[Field]) -> String {
    let told = changes.iter().map(|field| {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
        format!("{}: {} → {}", field.label, text(&field.before), text(&field.after))
    });
    told.collect::<Vec<_>>().join("\n")
}

fn written(row: &Row, tenant: Option<&str>) -> String {
    let at = row.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let (source, changes) = (row.source.as_deref().unwrap_or_default(), told(&row.changes));
    line(tenant.into_iter().chain([&*at, &row.who, &row.what, &row.kind, &row.name, source, &changes]))
}

/// A file under way.
struct Export {
    api: Data<Api>,
    shell: Shell,
    actor: Actor,
    filter: Filter,
    next: Next,
}

enum Next {
    Head,
    Before(Option<Uuid>),
    Nothing,
}

impl Export {
    /// The next part of the file. Each is read on its own, so that slow readers hold no transaction open.
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, Problem> {
        let before = match self.next {
            Next::Head => {
                self.next = Next::Before(None);
                let tenant = self.actor.tenant.is_none().then_some("field.tenant");
                let columns = tenant.into_iter().chain(COLUMNS).map(|key| self.shell.t(key));
                let head = "\u{feff}".to_owned() + &line(columns);
                return Ok(Some((Bytes::from(head), self)));
            }
            Next::Before(before) => before,
            Next::Nothing => return Ok(None),
        };
        let mut db = self.api.read(&self.actor).await?;
        let entries = audit::store::list(&mut *db, self.actor.tenant, &self.filter, true, before, AT_ONCE).await?;
        drop(db);
        let names = names_in(&self.api, &self.actor, &entries).await?;
        let is_last = i64::try_from(entries.len()).unwrap_or(AT_ONCE) < AT_ONCE;
        let last = entries.last().map(|entry| entry.id).filter(|_| !is_last);
        self.next = last.map_or(Next::Nothing, |last| Next::Before(Some(last)));
        let of_platform = self.actor.tenant.is_none();
        let lines = entries.into_iter().map(|entry| {
            let tenant = entry.tenant_id.and_then(|tenant| names.get(&tenant).cloned()).unwrap_or_default();
            written(&read(&self.shell, entry, &names), of_platform.then_some(&tenant))
        });
        Ok(Some((Bytes::from(lines.collect::<String>()), self)))
    }
}

/// All entries that the page finds, not only those of its first page.
#[get("/audit/export.csv")]
async fn export(visitor: Visitor, asked: Query<Asked>) -> Page {
    let actor = visitor.needs(Resource::Audit, Level::Read)?;
    let filter = asked.filter(&visitor);
    let export = Export { api: visitor.api.clone(), shell: visitor.shell, actor, filter, next: Next::Head };
    let parts = stream::try_unfold(export, Export::step).map_err(actix_web::Error::from);
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""))
        .streaming(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_changed_in_one_cell_and_is_no_formula() {
        let field = |before: Option<&str>, after: Option<&str>| Field {
            label: "Name".into(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        };
        let row = Row {
            at: "2026-03-29T01:30:00Z".parse().unwrap(),
            who: "=cmd|' /C calc'!A0".into(),
            what: "Changed".into(),
            kind: "Group".into(),
            name: "Sales, East".into(),
            source: None,
            changes: vec![field(Some("a"), Some("b")), field(None, Some("c"))],
        };
        assert_eq!(
            written(&row, None),
            "2026-03-29T01:30:00.000Z,'=cmd|' /C calc'!A0,Changed,Group,\"Sales, East\",,\"Name: a → b\nName: – → c\"\r\n"
        );
    }

    #[test]
    fn the_address_of_a_search_has_what_was_asked_for() {
        let asked = Asked { actor: " ada@acme.test ".into(), from: "2026-01-01".into(), ..Asked::default() };
        assert_eq!(asked.query(), "actor=ada%40acme%2Etest&from=2026%2D01%2D01");
        assert!(asked.is_search() && !Asked::default().is_search());
    }
}
