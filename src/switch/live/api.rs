//! `/v1/live/…`: what goes on right now.

use actix_web::{
    get,
    web::{Data, Json, Query},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    Live,
    select::Asker,
    show::Scope,
    views::{
        self, Agent, AgentState, CallState, Conference, Direction, LiveGateway, LivePage, Parked, Queue, Registration,
    },
};
use crate::{
    http::problem::Problem,
    model::{
        paging::PageQuery,
        sorting::{SortQuery, moment_key},
    },
    tenancy::{Api, TenantQuery, auth::actor::Actor},
};

/// Of which switches.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WhereQuery {
    /// Only what is on this switch.
    switch_id: Option<Uuid>,
    /// Only what is on the switches of this cluster.
    cluster_id: Option<Uuid>,
}

/// What whoever asks may see.
pub(super) fn scope(actor: &Actor, tenant: &TenantQuery, at: &WhereQuery) -> Result<Scope, Problem> {
    let tenant = match (actor.tenant, tenant.tenant_id) {
        (None, named) => named,
        (Some(_), named) => Some(actor.tenant_or(named)?),
    };
    Ok(Scope {
        tenant,
        person: actor.only_own(),
        is_platform: actor.tenant.is_none(),
        switch: at.switch_id,
        cluster: at.cluster_id,
    })
}

fn page<T>(
    live: &Live,
    scope: &Scope,
    (page, sort): (&PageQuery, &SortQuery),
    sorts: &[&'static str],
    items: Vec<T>,
    key: impl Fn(&T, &str) -> String,
) -> Result<Json<LivePage<T>>, Problem> {
    let page = sort.of_all(page, sorts, items, key)?;
    Ok(Json(LivePage { items: page.items, next_cursor: page.next_cursor, unknown: scope.unknown(live) }))
}

/// A name as a key, without regard to case. `rest` tells those of the same name apart.
fn name_key(name: Option<&String>, rest: &str) -> String {
    format!("{}\0{rest}", name.map(|name| name.to_lowercase()).unwrap_or_default())
}

fn since_key(since: Option<DateTime<Utc>>, rest: &str) -> String {
    format!("{} {rest}", moment_key(since))
}

fn is(wanted: Option<&String>, value: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| value == Some(wanted))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RegistrationQuery {
    /// Only the phones of the extension with this number or SIP username.
    extension: Option<String>,
    /// Only phones that came by this transport: `udp`, `tcp`, `tls`, `ws` or `wss`.
    transport: Option<String>,
}

/// List the phones that are registered
///
/// It can be sorted by `extension` or `since`; otherwise it is sorted by domain and SIP username.
#[utoipa::path(tag = "live", params(TenantQuery, WhereQuery, RegistrationQuery, SortQuery, PageQuery), responses((status = 200, body = LivePage<Registration>)))]
#[get("/v1/live/registrations")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn live_registrations(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    at: Query<WhereQuery>,
    filter: Query<RegistrationQuery>,
    sort: Query<SortQuery>,
    paging: Query<PageQuery>,
) -> Result<Json<LivePage<Registration>>, Problem> {
    let scope = scope(&actor, &tenant, &at)?;
    let mut phones = Asker { live: &live, pool: api.pool(), scope: &scope }.registrations().await;
    phones.retain(|phone| {
        let is_named = filter
            .extension
            .as_ref()
            .is_none_or(|name| *name == phone.sip_username || phone.extension.as_ref() == Some(name));
        is_named && is(filter.transport.as_ref(), phone.transport.as_deref())
    });
    page(&live, &scope, (&paging, &sort), &["extension", "since"], phones, |phone, by| {
        let usual = format!("{} {} {}", phone.domain, phone.sip_username, phone.call_id);
        match by {
            "extension" => name_key(phone.extension.as_ref(), &usual),
            "since" => since_key(phone.since, &usual),
            _ => usual,
        }
    })
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallQuery {
    /// Only calls of the extension with this number.
    extension: Option<String>,
    /// Only calls of this agent.
    agent_id: Option<Uuid>,
    /// Only calls that wait in this queue or came from it.
    queue_id: Option<Uuid>,
    /// Only calls in this state.
    #[param(inline)]
    state: Option<CallState>,
    /// Only calls in this direction.
    #[param(inline)]
    direction: Option<Direction>,
    /// Only calls from or to this number.
    number: Option<String>,
    /// Only the call in which a phone's dialog has this Call-ID.
    sip_call_id: Option<String>,
}

impl CallQuery {
    fn takes(&self, call: &views::Call) -> bool {
        let any = |wanted: Option<&String>, part: fn(&views::Leg) -> Option<&String>| {
            wanted.is_none_or(|wanted| call.legs.iter().any(|leg| part(leg) == Some(wanted)))
        };
        let has_number = self.number.is_none()
            || call.dialled == self.number
            || any(self.number.as_ref(), |leg| leg.number.as_ref());
        any(self.extension.as_ref(), |leg| leg.extension.as_ref())
            && self.agent_id.is_none_or(|agent| call.legs.iter().any(|leg| leg.agent_id == Some(agent)))
            && self.queue_id.is_none_or(|queue| call.queue_id == Some(queue))
            && self.state.is_none_or(|state| call.state == state)
            && self.direction.is_none_or(|direction| call.direction == direction)
            && has_number
    }
}

/// List the calls that are up
///
/// A call between two tenants is shown to both; each sees of the other's phones what they show. The calls can be sorted by `began_at` or `since`;
/// otherwise the oldest come first.
#[utoipa::path(tag = "live", params(TenantQuery, WhereQuery, CallQuery, SortQuery, PageQuery), responses((status = 200, body = LivePage<views::Call>)))]
#[get("/v1/live/calls")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn live_calls(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    at: Query<WhereQuery>,
    filter: Query<CallQuery>,
    sort: Query<SortQuery>,
    paging: Query<PageQuery>,
) -> Result<Json<LivePage<views::Call>>, Problem> {
    let scope = scope(&actor, &tenant, &at)?;
    let asker = Asker { live: &live, pool: api.pool(), scope: &scope };
    let mut calls = asker.calls_with(filter.sip_call_id.as_deref()).await;
    calls.retain(|call| filter.takes(call));
    page(&live, &scope, (&paging, &sort), &["began_at", "since"], calls, |call, by| {
        let usual = format!("{} {} {}", call.began_at.timestamp_micros(), call.id, call.tenant_id);
        if by == "since" { since_key(Some(call.since), &usual) } else { usual }
    })
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QueueQuery {
    /// Only this queue.
    queue_id: Option<Uuid>,
}

/// List the queues, with who waits and who serves them
///
/// It can be sorted by `name`.
#[utoipa::path(tag = "live", params(TenantQuery, WhereQuery, QueueQuery, SortQuery, PageQuery), responses((status = 200, body = LivePage<Queue>)))]
#[get("/v1/live/queues")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn live_queues(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    at: Query<WhereQuery>,
    filter: Query<QueueQuery>,
    sort: Query<SortQuery>,
    paging: Query<PageQuery>,
) -> Result<Json<LivePage<Queue>>, Problem> {
    let scope = scope(&actor, &tenant, &at)?;
    let mut queues = Asker { live: &live, pool: api.pool(), scope: &scope }.queues().await;
    queues.retain(|queue| filter.queue_id.is_none_or(|wanted| wanted == queue.queue_id));
    page(&live, &scope, (&paging, &sort), &["name"], queues, |queue, by| {
        let usual = format!("{} {}", queue.tenant_id, queue.queue_id);
        if by == "name" { name_key(queue.name.as_ref(), &usual) } else { usual }
    })
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AgentQuery {
    /// Only the agents of this queue.
    queue_id: Option<Uuid>,
    /// Only this agent.
    agent_id: Option<Uuid>,
    /// Only agents in this state.
    #[param(inline)]
    state: Option<AgentState>,
}

/// List the agents of queues, and how they are
///
/// It can be sorted by `name` or `since`.
#[utoipa::path(tag = "live", params(TenantQuery, WhereQuery, AgentQuery, SortQuery, PageQuery), responses((status = 200, body = LivePage<Agent>)))]
#[get("/v1/live/agents")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn live_agents(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    at: Query<WhereQuery>,
    filter: Query<AgentQuery>,
    sort: Query<SortQuery>,
    paging: Query<PageQuery>,
) -> Result<Json<LivePage<Agent>>, Problem> {
    let scope = scope(&actor, &tenant, &at)?;
    let mut agents = Asker { live: &live, pool: api.pool(), scope: &scope }.agents().await;
    agents.retain(|(_, agent)| {
        filter.queue_id.is_none_or(|queue| agent.queues.contains(&queue))
            && filter.agent_id.is_none_or(|wanted| agent.agent_id == Some(wanted))
            && filter.state.is_none_or(|state| agent.state == state)
    });
    let page = sort.of_all(&paging, &["name", "since"], agents, |(name, agent), by| {
        let usual = format!("{} {name}", agent.tenant_id);
        match by {
            "name" => name_key(agent.name.as_ref(), &usual),
            "since" => since_key(agent.since, &usual),
            _ => usual,
        }
    })?;
    let items = page.items.into_iter().map(|(_, agent)| agent).collect();
    Ok(Json(LivePage { items, next_cursor: page.next_cursor, unknown: scope.unknown(&live) }))
}

/// List the conferences that people are in
///
/// It can be sorted by `name` or `since`.
#[utoipa::path(tag = "live", params(TenantQuery, WhereQuery, SortQuery, PageQuery), responses((status = 200, body = LivePage<Conference>)))]
#[get("/v1/live/conferences")]
pub async fn live_conferences(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    at: Query<WhereQuery>,
    sort: Query<SortQuery>,
    paging: Query<PageQuery>,
) -> Result<Json<LivePage<Conference>>, Problem> {
    let scope = scope(&actor, &tenant, &at)?;
    let shown = Asker { live: &live, pool: api.pool(), scope: &scope }.conferences().await;
    page(&live, &scope, (&paging, &sort), &["name", "since"], shown, |one, by| {
        let usual = format!("{} {:?}", one.conference_id, one.at.switch_id);
        match by {
            "name" => name_key(one.name.as_ref(), &usual),
            "since" => since_key(Some(one.since), &usual),
            _ => usual,
        }
    })
}

/// List the calls that are parked
///
/// It can be sorted by `since`; otherwise it is sorted by slot.
#[utoipa::path(tag = "live", params(TenantQuery, WhereQuery, SortQuery, PageQuery), responses((status = 200, body = LivePage<Parked>)))]
#[get("/v1/live/parked")]
pub async fn live_parked(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    at: Query<WhereQuery>,
    sort: Query<SortQuery>,
    paging: Query<PageQuery>,
) -> Result<Json<LivePage<Parked>>, Problem> {
    let scope = scope(&actor, &tenant, &at)?;
    let shown = Asker { live: &live, pool: api.pool(), scope: &scope }.parked().await;
    page(&live, &scope, (&paging, &sort), &["since"], shown, |one, by| {
        let usual = format!("{} {:0>4} {:?}", one.tenant_id, one.slot, one.call_id);
        if by == "since" { since_key(one.since, &usual) } else { usual }
    })
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GatewayQuery {
    /// Only the gateways to this carrier.
    carrier_id: Option<Uuid>,
    /// Only gateways that are up, or only those that are down.
    up: Option<bool>,
}

/// List the gateways to carriers, as each switch sees them
///
/// A tenant sees those to carriers of its own. They can be sorted by `carrier` or `since`.
#[utoipa::path(tag = "live", params(TenantQuery, WhereQuery, GatewayQuery, SortQuery, PageQuery), responses((status = 200, body = LivePage<LiveGateway>)))]
#[get("/v1/live/gateways")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn live_gateways(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    tenant: Query<TenantQuery>,
    at: Query<WhereQuery>,
    filter: Query<GatewayQuery>,
    sort: Query<SortQuery>,
    paging: Query<PageQuery>,
) -> Result<Json<LivePage<LiveGateway>>, Problem> {
    let scope = scope(&actor, &tenant, &at)?;
    let mut gateways = Asker { live: &live, pool: api.pool(), scope: &scope }.gateways().await;
    gateways.retain(|(_, gateway)| {
        filter.carrier_id.is_none_or(|wanted| wanted == gateway.carrier_id)
            && filter.up.is_none_or(|up| up == gateway.up)
    });
    let page = sort.of_all(&paging, &["carrier", "since"], gateways, |(switch, gateway), by| {
        let usual = format!("{} {switch}", gateway.carrier_id);
        match by {
            "carrier" => name_key(gateway.carrier.as_ref(), &usual),
            "since" => since_key(gateway.since, &usual),
            _ => usual,
        }
    })?;
    let items = page.items.into_iter().map(|(_, gateway)| gateway).collect();
    Ok(Json(LivePage { items, next_cursor: page.next_cursor, unknown: scope.unknown(&live) }))
}
