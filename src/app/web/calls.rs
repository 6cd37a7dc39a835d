//! Calls: the list with its filters and the page of one call. `one` is the page of a call, `look` a glance at it.

mod look;
mod one;
mod writing;

use std::collections::HashMap;

use actix_web::{
    get,
    web::{Query, ServiceConfig},
};
use askama::Template;
use chrono::{DateTime, Utc};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;
use uuid::Uuid;

pub use one::money;
pub use writing::Writing;

use super::{
    Page, Shell, Turned, Visitor,
    ask::{Ask, turned, with},
    in_query, ok,
    resource::{dialled, formatted},
    zone::{self, zone_of},
};
use crate::{
    telephony::{history, reports},
    tenancy::{
        audit,
        auth::{
            actor::Actor,
            rules::{Level, Resource, Role},
        },
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(list).service(count).service(look::look).configure(one::pages);
}

const SIZE: usize = 50;
/// The most queues that one can choose from.
const MOST_QUEUES: usize = 200;
const DIRECTIONS: [&str; 3] = ["inbound", "outbound", "internal"];
const STATES: [&str; 8] = [LOST, "answered", "voicemail", "abandoned", "missed", "busy", "failed", "refused"];
/// Missed or given up, as start page and reports count them.
const LOST: &str = "lost";
const PERIODS: [&str; 5] = ["today", "yesterday", "week", "days30", "custom"];
/// Filters that are passed on as they are: those that one types in, and those that links from other pages have.
const TYPED: [&str; 8] = ["queue_id", "party", "country", "cause", "disposition", "tag", "min_seconds", "max_seconds"];
const LINKED: [&str; 4] = ["agent_id", "extension_id", "number_id", "carrier_id"];
/// From when until before when, exactly: links of figures have these, as figures are of days in the tenant's zone.
const BETWEEN: [&str; 2] = ["since", "until"];

/// The platform names the tenant where a path doesn't.
pub fn named(actor: &Actor, tenant: Uuid, path: &str) -> String {
    if actor.role == Role::PlatformAdmin { with(path, "tenant_id", &tenant.to_string()) } else { path.to_owned() }
}

pub fn moment(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(value.as_str()?).ok().map(|at| at.to_utc())
}

pub fn icon(direction: &str) -> &'static str {
    match direction {
        "inbound" => "phone-incoming",
        "outbound" => "phone-outgoing",
        _ => "arrow-left-right",
    }
}

/// Seconds as `12:34` or `1:02:03`.
pub fn lasted(seconds: i64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// The same of fractions.
pub fn lasted_f(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    lasted(i64::try_from(whole).unwrap_or(i64::MAX))
}

/// Somebody on a call: a name, a number, and their page.
#[derive(Debug, Default, Clone)]
pub struct Party {
    pub name: String,
    pub number: String,
    pub href: String,
    /// What a telephone dials to reach them.
    pub dial: String,
}

pub type Names = HashMap<Uuid, String>;

pub fn name_of(names: &Names, id: &Value) -> Option<String> {
    names.get(&id.as_str()?.parse().ok()?).cloned()
}

impl Party {
    pub fn of(s: &Shell, party: &Value, names: &Names) -> Self {
        let text = |field: &str| party[field].as_str().unwrap_or_default();
        let number = formatted(text("number"));
        let dial = dialled(text("number")).to_owned();
        let known = name_of(names, &party["agent_id"]);
        let said = Some(text("name").to_owned()).filter(|name| !name.is_empty() && *name != text("number"));
        let name = known.or(said).unwrap_or_default();
        let may_open = s.me.as_ref().is_some_and(|me| me.role != Role::Agent);
        let href = text("agent_id");
        let href = if href.is_empty() || !may_open { String::new() } else { format!("/app/agents/{href}") };
        match (name.is_empty(), number.is_empty()) {
            (true, true) => Self { name: s.t("live.withheld").to_owned(), number, href, dial },
            (true, false) => Self { name: number, number: String::new(), href, dial },
            _ => Self { name, number, href, dial },
        }
    }
}

struct Row {
    id: String,
    direction: &'static str,
    way: String,
    state: String,
    state_text: String,
    from: Party,
    to: Party,
    took: Option<Party>,
    at: Option<DateTime<Utc>>,
    waited: String,
    talked: String,
    queue: String,
    tags: Vec<String>,
    recorded: bool,
    noted: bool,
}

struct Chosen {
    name: &'static str,
    options: Vec<(String, String, bool)>,
}

/// A filter that a link brought along, and the address without it.
struct Chip {
    label: String,
    without: String,
}

#[derive(Template)]
#[template(path = "web/calls/list.html")]
struct CallsPage<'a> {
    s: &'a Shell,
    asked: &'a Asked,
    rows: Vec<Row>,
    period: Chosen,
    direction: Chosen,
    state: Chosen,
    queues: Vec<(String, String, bool)>,
    dispositions: Vec<(String, bool)>,
    recorded: Chosen,
    chips: Vec<Chip>,
    next: Option<String>,
    first: Option<String>,
    query: String,
    export: String,
    is_search: bool,
    is_own: bool,
    zone: String,
}

/// What the address asks for.
#[derive(Default)]
struct Asked(HashMap<String, String>);

impl Asked {
    fn of(visitor: &Visitor) -> Self {
        let query = Query::<HashMap<String, String>>::from_query(visitor.request.query_string());
        let mut asked = query.map(Query::into_inner).unwrap_or_default();
        asked.retain(|_, value| !value.trim().is_empty());
        let has_days = ["period", "from", "to"].iter().any(|name| asked.contains_key(*name));
        asked.retain(|name, value| {
            !BETWEEN.contains(&name.as_str()) || (!has_days && value.parse::<Timestamp>().is_ok())
        });
        Self(asked)
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |value| value.trim())
    }

    fn period(&self) -> &str {
        if self.0.contains_key("from") || self.0.contains_key("to") { "custom" } else { self.get("period") }
    }

    /// Whether fields that are closed at first have something.
    fn has_more(&self) -> bool {
        TYPED.iter().chain(&["recorded", "from", "to"]).any(|name| self.0.contains_key(*name))
    }

    /// The exact times of a link, in words of the visitor's zone.
    fn between(&self, zone: &TimeZone) -> Option<String> {
        let told = BETWEEN.map(|name| {
            let at = self.get(name).parse::<Timestamp>().ok()?;
            Some(at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string())
        });
        told.iter().any(Option::is_some).then(|| told.map(Option::unwrap_or_default).join(" – "))
    }

    /// The address of this list without some parameters.
    fn without(&self, left: &[&str]) -> String {
        let parts = self.0.iter().filter(|(name, _)| !left.contains(&name.as_str()));
        let mut parts = parts.map(|(name, value)| format!("{name}={}", in_query(value))).collect::<Vec<_>>();
        parts.sort();
        parts.join("&")
    }

    /// The API's path for these calls.
    fn path(&self, visitor: &Visitor, actor: &Actor, tenant: Uuid, path: &str) -> String {
        let mut path = named(actor, tenant, path);
        let mut add = |name: &str, value: &str| path = with(&path, name, value);
        for (name, known) in [("direction", &DIRECTIONS[..]), ("state", &STATES), ("recorded", &["true", "false"])] {
            match self.get(name) {
                LOST => add("states", "missed,abandoned"),
                value if known.contains(&value) => add(name, value),
                _ => {}
            }
        }
        for name in TYPED.iter().chain(&LINKED).filter(|name| self.0.contains_key(**name)) {
            add(name, self.get(name));
        }
        if self.get("q").chars().count() >= 3 {
            add("search", self.get("q"));
        }
        let (since, until) = zone::between(&zone_of(visitor), self.period(), self.get("from"), self.get("to"));
        for (name, at) in BETWEEN.into_iter().zip([since, until]) {
            if let Some(at) = at.as_deref().or_else(|| self.0.get(name).map(String::as_str)) {
                add(name, at);
            }
        }
        path
    }
}

fn chosen(s: &Shell, name: &'static str, words: &str, values: &[&str], is: &str) -> Chosen {
    let options = values.iter().map(|value| ((*value).to_owned(), s.t_of(words, value), *value == is));
    Chosen { name, options: options.collect() }
}

fn row(s: &Shell, call: &Value, names: &Names) -> Row {
    let text = |field: &str| call[field].as_str().unwrap_or_default().to_owned();
    let took = &call["answered_by"];
    let is_same = took["number"] == call["to"]["number"] && took["agent_id"] == call["to"]["agent_id"];
    let seconds = |field: &str| call[field].as_i64().map(lasted).unwrap_or_default();
    Row {
        id: text("id"),
        direction: icon(&text("direction")),
        way: s.t_of("value", &text("direction")),
        state_text: s.t_of("value", &text("state")),
        state: text("state"),
        from: Party::of(s, &call["from"], names),
        to: Party::of(s, &call["to"], names),
        took: (!took.is_null() && !is_same).then(|| Party::of(s, took, names)),
        at: moment(&call["started_at"]),
        waited: seconds("wait_seconds"),
        talked: if call["talk_seconds"].as_i64() == Some(0) { String::new() } else { seconds("talk_seconds") },
        queue: name_of(names, &call["queue_id"]).unwrap_or_default(),
        tags: call["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        recorded: call["recorded"] == true,
        noted: call["notes"].is_string(),
    }
}

/// The names of all that calls mention.
pub async fn names(visitor: &Visitor, actor: &Actor, tenant: Uuid, things: &[Value]) -> Result<Names, Turned> {
    let mut ids = things.iter().flat_map(super::audit::mentioned).collect::<Vec<_>>();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Names::new());
    }
    let mut db = visitor.api.read(actor).await?;
    // Those of carriers, and then of all that a tenant has.
    let mut found = reports::store::names(&mut *db, tenant, &ids).await?;
    found.extend(audit::store::names(&mut *db, &[tenant], &ids).await?);
    Ok(found.into_iter().collect())
}

/// The visitor's tenant, and whether they see only their own calls.
fn arrive(visitor: &mut Visitor) -> Result<(Actor, Uuid), Turned> {
    let actor = visitor.needs(Resource::Calls, Level::Own)?;
    let tenant = Visitor::in_tenant(&actor)?;
    visitor.shell.active = "calls";
    Ok((actor, tenant))
}

#[get("/app/calls")]
async fn list(mut visitor: Visitor) -> Page {
    let (actor, tenant) = arrive(&mut visitor)?;
    let is_own = actor.level == Level::Own;
    let asked = Asked::of(&visitor);
    let cursor = asked.0.get("cursor").cloned();
    let path = asked.path(&visitor, &actor, tenant, "/v1/calls");
    let page = visitor.page_of(&path, SIZE, cursor.as_deref()).await.map_err(turned)?;
    let mut things = page.items;
    things.push(Value::from(LINKED.iter().map(|name| asked.get(name)).collect::<Vec<_>>()));
    let names = names(&visitor, &actor, tenant, &things).await?;
    things.pop();
    let mut queues = Vec::new();
    if !is_own {
        let path = format!("/v1/tenants/{tenant}/destinations?kind=queue");
        for queue in visitor.page_of(&path, MOST_QUEUES, None).await.map_err(turned)?.items {
            let text = |field: &str| queue[field].as_str().unwrap_or_default().to_owned();
            queues.push((text("id"), text("name"), text("id") == asked.get("queue_id")));
        }
    }
    let known = history::store::dispositions(&mut *visitor.api.read(&actor).await?, tenant).await?;
    let s = &visitor.shell;
    let query = asked.without(&["cursor"]);
    let after = |cursor: String| {
        let between = if query.is_empty() { "" } else { "&" };
        format!("/app/calls?{query}{between}cursor={}", in_query(&cursor))
    };
    let chips = LINKED.iter().filter(|name| !asked.get(name).is_empty()).map(|name| Chip {
        label: name_of(&names, &Value::from(asked.get(name)))
            .map_or_else(|| s.t_of("field", name), |name| formatted(&name)),
        without: format!("/app/calls?{}", asked.without(&[name, "cursor"])),
    });
    let between = asked
        .between(&zone_of(&visitor))
        .map(|label| Chip { label, without: format!("/app/calls?{}", asked.without(&["since", "until", "cursor"])) });
    ok(&CallsPage {
        rows: things.iter().map(|call| row(s, call, &names)).collect(),
        period: chosen(s, "period", "period", &PERIODS, asked.period()),
        direction: chosen(s, "direction", "value", &DIRECTIONS, asked.get("direction")),
        state: chosen(s, "state", "value", &STATES, asked.get("state")),
        recorded: chosen(s, "recorded", "yes", &["true", "false"], asked.get("recorded")),
        dispositions: known.into_iter().map(|one| (one.clone(), one == asked.get("disposition"))).collect(),
        queues,
        chips: chips.chain(between).collect(),
        next: page.next.map(after),
        first: cursor.map(|_| format!("/app/calls?{query}")),
        export: asked.path(&visitor, &actor, tenant, "/v1/calls/export"),
        is_search: !query.is_empty(),
        query,
        is_own,
        zone: zone_of(&visitor).iana_name().unwrap_or("UTC").replace('_', " "),
        asked: &asked,
        s,
    })
}

#[derive(Template)]
#[template(ext = "html", source = r#"<span id="count">{{ text }}</span>"#)]
struct Count {
    text: String,
}

/// How many they are: asked for by the page once it is there, as counting takes longer than showing the first ones.
#[get("/app/calls/count")]
async fn count(mut visitor: Visitor) -> Page {
    let (actor, tenant) = arrive(&mut visitor)?;
    let path = Asked::of(&visitor).path(&visitor, &actor, tenant, "/v1/calls/count");
    let found = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
    let count = found["count"].as_i64().unwrap_or_default();
    let key = match (found["is_more"] == true, count) {
        (true, _) => "calls.count_more",
        (_, 1) => "calls.count_one",
        _ => "calls.count",
    };
    ok(&Count { text: super::catalogue::text(key, visitor.shell.language).replace("{count}", &count.to_string()) })
}
