//! What goes on right now: calls, queues, agents, devices, and for the platform its switches and gateways. The page comes without them and
//! listens to `/v1/events` (assets/live.js). What can be done to calls there is in assets/acts.js.

use actix_web::{
    HttpRequest, get,
    http::{Method, StatusCode},
    web::{Data, ServiceConfig},
};
use askama::Template;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Form, Page, Shell, Turned, Visitor,
    ask::{turned, with},
    calls::Writing,
    catalogue, html,
};
use crate::{
    http::problem::Problem,
    model::settings::{Settings, Supervision},
    switch::{
        control::found::Found,
        live::{Live, show::Scope},
    },
    telephony::extensions,
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource, Role},
        },
        tenants,
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(calls).service(devices).service(platform);
}

/// Whether a request only shows what goes on right now: whoever came a short time ago sees that while the database is away, too.
pub fn looks(request: &HttpRequest) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && matches!(request.path(), "/app/live" | "/app/live/devices" | "/platform/live")
}

/// The words that the script writes, without what stands before the dot.
const WORDS: [&str; 46] = [
    "live.ringing",
    "live.waiting",
    "live.talking",
    "live.held",
    "live.parked",
    "live.connected",
    "live.inbound",
    "live.outbound",
    "live.internal",
    "live.offline",
    "live.away",
    "live.available",
    "live.busy",
    "live.wrap_up",
    "live.did_not_answer",
    "live.phone_gone",
    "live.set_by",
    "live.change_status",
    "live.not_changed",
    "live.on_call",
    "live.unknown",
    "live.withheld",
    "live.no_match",
    "live.further",
    "live.open_agent",
    "live.open_queue",
    "live.open_calls",
    "live.open_tenant",
    "live.actions",
    "live.waiting_now",
    "live.longest",
    "live.no_agents",
    "live.of_today",
    "live.no_call_today",
    "live.rings_at",
    "live.reachable",
    "live.unreachable",
    "live.muted",
    "live.up",
    "live.down",
    "live.heard",
    "live.unheard",
    "live.unknown_since",
    "live.lost_since",
    "live.is_live",
    "live.is_lost",
];

const OF_CALLS: &str = "call:state:changed,call:ended,agent:status:updated,queue:update";
const OF_DEVICES: &str = "registration:changed";
const OF_PLATFORM: &str = "call:state:changed,call:ended,registration:changed,gateway:changed";

#[derive(Template)]
#[template(path = "web/live.html")]
struct LivePage<'a> {
    s: &'a Shell,
    /// `calls`, `one`, `devices` or `platform`.
    part: &'static str,
    /// What is listened to.
    query: String,
    words: String,
    now: i64,
    switches: String,
    tenants: String,
    /// Whether the visitor may set others' status, and the reasons for it.
    may_set: bool,
    reasons: String,
    /// The only call that is shown.
    call: Option<Uuid>,
    /// What people write about it.
    written: Option<Writing>,
    buttons: Buttons,
    /// Whether the visitor sees what is not their own.
    sees_all: bool,
}

/// Most queues that a call can be sent to from here.
const MOST_QUEUES: usize = 200;

/// What the visitor may do to calls.
#[derive(Default)]
struct Buttons {
    /// The words of the script, as JSON.
    words: String,
    /// The visitor, to tell their own calls.
    me: Option<Uuid>,
    /// Whether they see and act on calls of others, too.
    of_all: bool,
    /// Their own extension's number, to take a call over.
    own: String,
    /// `allowed`, `announced` or `forbidden`; or `no_phone` if none of theirs can ring. Empty if they are not asked.
    supervision: &'static str,
    /// Whether a recording may be begun: where the company uses them. The platform asks for calls of all tenants, and the API says no.
    records: bool,
    queues: Vec<(String, String)>,
}

impl Buttons {
    fn may_supervise(&self) -> bool {
        matches!(self.supervision, "allowed" | "announced")
    }

    async fn of(visitor: &Visitor, actor: &Actor) -> Result<Self, Turned> {
        let language = visitor.shell.language;
        let read = |prefix| serde_json::from_str::<Map<String, Value>>(&catalogue::texts(prefix, language));
        let of_all = actor.level >= Level::Write;
        let words = ["act.", "softphone.presence."].into_iter().filter_map(|prefix| read(prefix).ok()).flatten();
        // Nobody else is told how they may be listened to.
        let words = words.filter(|(key, _)| of_all || !key.starts_with("act.supervise."));
        let words = Value::Object(words.collect()).to_string();
        let mut buttons = Self { words, me: actor.user().ok(), of_all, records: true, ..Self::default() };
        if visitor.shell.is_away {
            return Ok(buttons);
        }
        let Some(tenant) = actor.tenant else { return Ok(buttons) };
        let mut db = visitor.api.read(actor).await?;
        let own = extensions::store::phones_of(&mut *db, tenant, actor.id).await?;
        let settings = tenants::store::settings(&mut *db, tenant).await?;
        drop(db);
        buttons.own = own.first().map(|own| own.number.to_string()).unwrap_or_default();
        let settings = settings.and_then(|(settings, _)| serde_json::from_value::<Settings>(settings).ok());
        buttons.records = settings.as_ref().is_none_or(|settings| settings.features.call_recording);
        buttons.supervision = match settings.map(|settings| settings.calling.supervision).unwrap_or_default() {
            _ if !of_all => "",
            Supervision::Forbidden => "forbidden",
            _ if own.is_empty() => "no_phone",
            Supervision::Allowed => "allowed",
            Supervision::Announced => "announced",
        };
        if visitor.needs(Resource::Destinations, Level::Read).is_ok() {
            let path = format!("/v1/tenants/{tenant}/destinations?kind=queue");
            for queue in visitor.page_of(&path, MOST_QUEUES, None).await.map_err(turned)?.items {
                let text = |field: &str| queue[field].as_str().unwrap_or_default().to_owned();
                // Without a number, nothing can be sent there.
                if queue["number"].is_string() {
                    buttons.queues.push((text("id"), text("name")));
                }
            }
        }
        Ok(buttons)
    }
}

/// The page of a call that goes on, which has no record yet. `None`: there is no such call, or it is not the visitor's. `written`: what was
/// written about it. `sent`: the form about that, if one was sent and refused.
pub async fn one(
    mut visitor: Visitor,
    id: Uuid,
    written: &Value,
    sent: Option<Form>,
    status: StatusCode,
) -> Result<Option<Page>, Turned> {
    let actor = visitor.needs(Resource::Live, Level::Own)?;
    let tenant = Visitor::in_tenant(&actor)?;
    let live = visitor.request.app_data::<Data<Live>>().cloned().ok_or_else(Problem::unauthorized)?;
    let scope = Scope { tenant: Some(tenant), person: actor.only_own(), ..Scope::default() };
    let names = live.names.of(tenant, live.generations(), visitor.api.pool()).await;
    let found = match Found::find(&live, &names, &scope, tenant, id) {
        Ok(found) if found.is_of(actor.only_own()) => found,
        _ => return Ok(None),
    };
    let numbers = found.shown(&scope).legs.into_iter().filter_map(|leg| leg.number).collect();
    let written = Writing::of(&mut visitor, &actor, (tenant, id), written, numbers, sent).await?;
    let s = &mut visitor.shell;
    s.crumbs = vec![(s.t("nav.live").to_owned(), "/app/live".to_owned()), (s.t("act.now").to_owned(), String::new())];
    Ok(Some(page(visitor, "one", OF_CALLS, Some(written), status).await))
}

async fn page(
    mut visitor: Visitor,
    part: &'static str,
    topics: &str,
    written: Option<Writing>,
    status: StatusCode,
) -> Page {
    // Agents see their own calls and queues.
    let level = if matches!(part, "calls" | "one") { Level::Own } else { Level::Read };
    let actor = visitor.needs(Resource::Live, level)?;
    let mut path = with("", "topics", topics);
    let (mut switches, mut tenants) = (Vec::new(), Map::new());
    let mut reasons = json!([]);
    if part == "platform" {
        visitor.needs(Resource::Platform, Level::Read)?;
        let text = |thing: &Value, field: &str| thing[field].as_str().unwrap_or_default().to_owned();
        if visitor.shell.is_away {
            // Tenants' names are not known here.
            let live = visitor.request.app_data::<Data<Live>>();
            let known = live.map(|live| live.switches()).unwrap_or_default();
            switches.extend(known.iter().map(|one| json!({ "id": one.switch, "name": one.name })));
        } else {
            for one in visitor.all_of("/v1/switches").await.map_err(turned)?.items {
                switches.push(json!({ "id": one["id"], "name": one["name"] }));
            }
            for one in visitor.page_of("/v1/tenants", 500, None).await.map_err(turned)?.items {
                tenants.insert(text(&one, "id"), one["name"].clone());
            }
        }
    } else {
        let tenant = Visitor::in_tenant(&actor)?;
        let settings = if visitor.shell.is_away {
            None
        } else {
            let mut db = visitor.api.read(&actor).await?;
            tenants::store::settings(&mut *db, tenant).await?
        };
        if let Some(known) = settings.and_then(|(known, _)| known.pointer("/agents/status_reasons").cloned()) {
            reasons = known;
        }
        if actor.role == Role::PlatformAdmin {
            path = with(&path, "tenant_id", &tenant.to_string());
        }
    }
    let buttons = if part == "devices" { Buttons::default() } else { Buttons::of(&visitor, &actor).await? };
    let s = &mut visitor.shell;
    s.active = "live";
    let words = WORDS.iter().map(|key| (key.trim_start_matches("live.").to_owned(), Value::from(s.t(key))));
    let words = Value::Object(words.collect::<Map<_, _>>()).to_string();
    let shown = LivePage {
        s: &visitor.shell,
        part,
        query: path.trim_start_matches('?').to_owned(),
        words,
        now: chrono::Utc::now().timestamp_millis(),
        switches: Value::from(switches).to_string(),
        tenants: Value::Object(tenants).to_string(),
        may_set: part == "calls" && actor.level == Level::Write && !visitor.shell.is_away,
        reasons: reasons.to_string(),
        call: written.as_ref().map(|written| written.id),
        written,
        buttons,
        sees_all: actor.level >= Level::Read,
    };
    html(status, &shown)
}

#[get("/app/live")]
async fn calls(visitor: Visitor) -> Page {
    page(visitor, "calls", OF_CALLS, None, StatusCode::OK).await
}

#[get("/app/live/devices")]
async fn devices(visitor: Visitor) -> Page {
    page(visitor, "devices", OF_DEVICES, None, StatusCode::OK).await
}

#[get("/platform/live")]
async fn platform(visitor: Visitor) -> Page {
    page(visitor, "platform", OF_PLATFORM, None, StatusCode::OK).await
}
