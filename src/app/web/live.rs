//! What goes on right now: calls, queues, agents, devices, and for the platform its switches and gateways. The page comes without them and
//! listens to `/v1/events` (assets/live.js).

use actix_web::{get, web::ServiceConfig};
use askama::Template;
use serde_json::{Map, Value, json};

use super::{
    Page, Shell, Visitor,
    ask::{turned, with},
    ok,
};
use crate::tenancy::{
    auth::rules::{Level, Resource, Role},
    tenants,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(calls).service(devices).service(platform);
}

/// The words that the script writes, without what stands before the dot.
const WORDS: [&str; 44] = [
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
    /// `calls`, `devices` or `platform`.
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
}

async fn page(mut visitor: Visitor, part: &'static str, topics: &str) -> Page {
    let actor = visitor.needs(Resource::Live, Level::Read)?;
    let mut path = with("", "topics", topics);
    let (mut switches, mut tenants) = (Vec::new(), Map::new());
    let mut reasons = json!([]);
    if part == "platform" {
        visitor.needs(Resource::Platform, Level::Read)?;
        let text = |thing: &Value, field: &str| thing[field].as_str().unwrap_or_default().to_owned();
        for one in visitor.all_of("/v1/switches").await.map_err(turned)?.items {
            switches.push(json!({ "id": one["id"], "name": one["name"] }));
        }
        for one in visitor.page_of("/v1/tenants", 500, None).await.map_err(turned)?.items {
            tenants.insert(text(&one, "id"), one["name"].clone());
        }
    } else {
        let tenant = Visitor::in_tenant(&actor)?;
        let mut db = visitor.api.read(&actor).await?;
        let settings = tenants::store::settings(&mut *db, tenant).await?;
        drop(db);
        if let Some(known) = settings.and_then(|(known, _)| known.pointer("/agents/status_reasons").cloned()) {
            reasons = known;
        }
        if actor.role == Role::PlatformAdmin {
            path = with(&path, "tenant_id", &tenant.to_string());
        }
    }
    let s = &mut visitor.shell;
    s.active = "live";
    let words = WORDS.iter().map(|key| (key.trim_start_matches("live.").to_owned(), Value::from(s.t(key))));
    let words = Value::Object(words.collect::<Map<_, _>>()).to_string();
    ok(&LivePage {
        s: &visitor.shell,
        part,
        query: path.trim_start_matches('?').to_owned(),
        words,
        now: chrono::Utc::now().timestamp_millis(),
        switches: Value::from(switches).to_string(),
        tenants: Value::Object(tenants).to_string(),
        may_set: part == "calls" && actor.level == Level::Write,
        reasons: reasons.to_string(),
    })
}

#[get("/app/live")]
async fn calls(visitor: Visitor) -> Page {
    page(visitor, "calls", OF_CALLS).await
}

#[get("/app/live/devices")]
async fn devices(visitor: Visitor) -> Page {
    page(visitor, "devices", OF_DEVICES).await
}

#[get("/platform/live")]
async fn platform(visitor: Visitor) -> Page {
    page(visitor, "platform", OF_PLATFORM).await
}
