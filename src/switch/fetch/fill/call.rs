//! Fills for calls: in a tenant's context, and from outside.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{FillError, Filled, Found, finish, generation};
use crate::{
    model::{
        call_handling::AtQueues,
        channel,
        destination::{Config, Queue},
        refusal::Refusal,
    },
    node::generations::Slot,
    routing::{self, Action, Keep, Plan, Route, Routed, Tenant, Trace, plan::PlanError},
    switch::fetch::{
        Fetch, PUBLIC,
        cache::{CachedAnswer, Vary},
        call_store,
        leaves::Outgoing,
        placed::PlacedCall,
        plans::{self, Known},
        readers::ReadError,
        render::{self, RenderError},
        store::TenantRow,
    },
    switch::{agents, call_backs},
    telephony::extensions,
    text::{DialNumber, E164},
};

/// Routes a call in the tenant's context with one statement. It takes a second one if a newer plan comes with the first
/// and needs another name looked up for the dialled number.
pub(super) async fn call(fetch: &Fetch, slot: &Arc<Slot>, placed: &PlacedCall) -> Result<Filled, FillError> {
    let mut known = fetch.plans.of(slot);
    let era = fetch.generations.era();
    let Some(usual) = plans::usual(slot) else { return Ok(Filled::Less) };
    let at = Timestamp::now();
    loop {
        let plan = known.as_ref().map_or(&usual, |known| &*known.plan);
        let wanted = needs(plan, placed);
        let generation_known = known.as_ref().map_or(-1, |known| known.generation);
        let scope = slot.scope;
        let read = fetch
            .readers
            .read(|db, _| Box::pin(call_store::dialled(db, scope, wanted.as_deref(), generation_known)))
            .await?;
        let Some(row) = read else { return Ok(Filled::Less) };
        if !fetch.generations.raise(era, slot, generation(row.tenant.generation)) {
            return Ok(Filled::Moved);
        }
        let now = match (row.plan, known.take()) {
            (Some(plan), _) => fetch.plans.keep(slot, row.tenant.generation, plan).await?,
            (None, Some(known)) => known,
            (None, None) => return Ok(Filled::Failed),
        };
        if needs(&now.plan, placed) != wanted {
            known = Some(now);
            continue;
        }
        let tenant = tenant(&row.tenant, &now.plan);
        let mut routed = now.route(&tenant, placed, row.found.as_ref(), at).await?;
        if let Route::Handle { change, .. } = &routed.route
            && (placed.is_somebody_elses() || !handle(fetch, slot, &now.plan, row.found.as_ref(), change).await?)
        {
            routed.route = Route::Refused(Refusal::Unallocated);
        }
        if let Route::CallBack { queue, number, .. } = &routed.route {
            let (queue, number) = (*queue, number.clone());
            if !wishes(fetch, slot.scope, &now.plan, queue, &number, placed).await? {
                routed.route = back_to_queue(&now.plan, queue, placed);
            }
        }
        if let (Route::PickupAny { from }, Some(routing::Found::Extension(extension))) = (&mut routed.route, &row.found)
        {
            let id = extension.id;
            let read = fetch.readers.go_on(|db, _| Box::pin(call_store::pickups(db, scope, id))).await?;
            match read {
                Some((now, found)) if now >= row.tenant.generation => *from = found,
                _ => return Ok(Filled::Less),
            }
        }
        let extra = marked(row.tenant.id, placed, &routed.route);
        let before = xml_entries(slot, &now.plan);
        let Some(context) = &slot.domain else { return Ok(Filled::Less) };
        let rung = fetch.ring_devices(slot, placed.switch, &mut routed.route, None).0;
        let mut found = routed_as(&tenant, &now.plan, context.as_str(), routed, row.tenant, &extra, placed, &before)?;
        found.rung = rung;
        return Ok(finish(fetch, slot, era, found, true));
    }
}

/// What every route begins with: the tenant, and that nobody sees a withheld number.
fn marked(tenant: Uuid, placed: &PlacedCall, route: &Route) -> Vec<Action> {
    let mut marked = render::begins(tenant).to_vec();
    // A code before the number may say otherwise.
    if placed.withheld && !matches!(route, Route::Withhold { .. }) {
        marked.extend(routing::withheld::hidden());
    }
    if placed.is_preferred {
        marked.extend(routing::withheld::instead(placed.caller_name.as_ref(), placed.caller_number.as_deref()));
    }
    marked
}

/// The name that must be looked up to route the call by this plan.
fn needs(plan: &Plan, placed: &PlacedCall) -> Option<String> {
    let read = routing::Dialled::read(&placed.number, plan);
    read.needs(placed.caller.as_ref()).map(ToOwned::to_owned)
}

/// Where a call goes by the known plan, if the tenant has nothing under the dialled name.
pub async fn route_of(row: &TenantRow, known: &Known, placed: &PlacedCall) -> Result<Route, PlanError> {
    let routed = known.route(&tenant(row, &known.plan), placed, None, Timestamp::now()).await;
    routed.map(|routed| routed.route)
}

/// The tenant's XML entries, which the switch tries itself before the route. Of a sandbox, without those that dial outside.
pub fn xml_entries(slot: &Slot, plan: &Plan) -> Vec<String> {
    let tried = plan.entries.iter().filter(|entry| entry.left_out.is_none());
    let tried = tried.filter_map(|entry| entry.for_switch.as_ref());
    tried.filter(|entry| !(slot.sandbox && entry.dials_outside)).map(|entry| entry.xml.clone()).collect()
}

#[expect(clippy::too_many_arguments, reason = "what a document is made of")]
fn routed_as(
    tenant: &Tenant,
    plan: &Plan,
    context: &str,
    routed: Routed,
    row: TenantRow,
    extra: &[Action],
    placed: &PlacedCall,
    before: &[String],
) -> Result<Found, RenderError> {
    let vary = if routed.varies_by_caller || routed.varies_by_number { Vary::Caller } else { Vary::No };
    let keep = if placed.is_special() { Keep::Never } else { routed.keep };
    let stray = matches!(routed.route, Route::Refused(_)) || placed.has_capitals();
    let (leaves, body) = match Outgoing::of(routed.route) {
        Ok(outgoing) => (Some(Box::new(outgoing)), None),
        Err(route) => {
            let run = [extra, &placed.actions(tenant, plan, &route)].concat();
            (None, Some(render::actions(context, route.name(), &run, before)?))
        }
    };
    Ok(Found { tenant: Some(row), body, stray, vary, rung: None, keep, leaves })
}

/// Saves what a feature code changes. Whether it did: not if calls would be sent to a number that rests, for its next owner would get them,
/// and not for an extension that was suspended at this moment.
async fn handle(
    fetch: &Fetch,
    slot: &Slot,
    plan: &Plan,
    found: Option<&routing::Found>,
    change: &routing::Handle,
) -> Result<bool, FillError> {
    let Some(routing::Found::Extension(extension)) = found else { return Ok(false) };
    if let routing::Handle::AtQueues(code) = change {
        let by_person = agents::store::set_by_phone(&fetch.changes, slot.scope, extension.id, *code).await;
        let is_persons = by_person.map_err(|error| FillError::Read(ReadError::Sql(error)))?;
        // Whoever logs in does so also where the extension was paused or logged out by itself.
        if is_persons && *code != AtQueues::LoggedIn {
            return Ok(true);
        }
    }
    let mut calls = extension.calls.clone();
    match change {
        routing::Handle::Forward(to) => calls.forward_always.clone_from(to),
        routing::Handle::DoNotDisturb(on) => calls.do_not_disturb = *on,
        routing::Handle::AtQueues(state) => calls.at_queues = *state,
    }
    if calls == extension.calls {
        return Ok(true);
    }
    let dials = match change {
        routing::Handle::Forward(Some(to)) => plan.settings.routing.codes.names_in(&to.to_string()),
        _ => Vec::new(),
    };
    let (without, set) = calls.apart_from(&extension.calls);
    let (change, tenant) = ((&*without, &set.into()), slot.scope);
    let kept = extensions::store::set_calls_by_phone(&fetch.changes, tenant, extension.id, change, &dials).await;
    let now = kept.map_err(|error| FillError::Read(ReadError::Sql(error)))?;
    now.inspect(|now| _ = slot.raise(generation(*now)));
    Ok(now.is_some())
}

/// Keeps that a caller wants to be called back. Whether it is kept: not if too many wait for that.
async fn wishes(
    fetch: &Fetch,
    tenant: Uuid,
    plan: &Plan,
    queue: Uuid,
    number: &DialNumber,
    placed: &PlacedCall,
) -> Result<bool, FillError> {
    let Some(Config::Queue(Queue { call_back: Some(call_back), .. })) =
        plan.destinations.get(&queue).map(|planned| &planned.config)
    else {
        return Ok(false);
    };
    let (joined, ahead) = placed.waited;
    let wish = call_backs::NewWish {
        tenant,
        queue,
        number: &number.to_string(),
        joined,
        ahead,
        switch: placed.switch,
        keep_hours: call_back.keep_hours,
    };
    let kept = call_backs::store::keep(&fetch.changes, &wish).await;
    kept.map_err(|error| FillError::Read(ReadError::Sql(error)))
}

/// The caller waits on, at the place that they had.
fn back_to_queue(plan: &Plan, queue: Uuid, placed: &PlacedCall) -> Route {
    let Some(Config::Queue(config)) = plan.destinations.get(&queue).map(|planned| &planned.config) else {
        return Route::Refused(Refusal::Unallocated);
    };
    let (joined, ahead) = placed.waited;
    let waited = joined.map_or(0, |joined| (Timestamp::now().as_second() - joined).max(0)) + i64::from(ahead);
    Route::Queue {
        id: queue,
        record: false,
        ahead: u16::try_from(waited).unwrap_or(u16::MAX),
        call_back: None,
        then: config.overflow.and_then(|target| plan.name_of(target)),
    }
}

pub(super) async fn by_number(
    fetch: &Fetch,
    platform: &Arc<Slot>,
    number: &E164,
    cluster: Option<Uuid>,
    placed: &PlacedCall,
) -> Result<Filled, FillError> {
    let (era, floor) = (fetch.generations.era(), platform.newest());
    let row = fetch.readers.read(|db, _| Box::pin(call_store::number(db, number))).await?;
    let platform_generation = generation(row.platform_generation);
    if platform_generation < floor && !platform.is_closed() {
        return Ok(Filled::Less);
    }
    // A number of another cluster's tenant counts as nobody's. If the tenant moves, the platform's generation rises.
    let (record, help) = (row.record, row.help);
    let Some((owner, plan, target)) =
        row.owner.filter(|(owner, ..)| cluster.is_none_or(|cluster| cluster == owner.cluster))
    else {
        let (slot, generation) = (Arc::clone(platform), platform_generation);
        if !fetch.generations.raise(era, &slot, generation) {
            return Ok(Filled::Moved);
        }
        let body = slot.standing.unallocated.clone();
        // Nobody asks again by the key of one call.
        let keep = if placed.is_special() { Keep::Never } else { Keep::WhileCurrent };
        let answer = CachedAnswer { slot, generation, body, stray: true, vary: Vary::No, rung: None, keep };
        return Ok(Filled::Answer(Arc::new(answer)));
    };
    let generation = generation(owner.generation);
    // The tenant may be newer than this node's last poll. If the database was replaced meanwhile, ask again.
    let Some(slot) = fetch.generations.hear(era, &owner.heard()) else { return Ok(Filled::Moved) };
    let known = fetch.plans.keep(&slot, owner.generation, plan).await?;
    let plan = &*known.plan;
    let tenant = tenant(&owner, plan);
    let at = Timestamp::now();
    let call = placed.call(at);
    let routed = routing::inbound(&tenant, plan, &call, target.as_ref(), record, &mut Trace::off());
    let mut extra = marked(owner.id, placed, &routed.route);
    // The caller may be another tenant's user on an on-net call: here they are not signed in.
    for variable in ["user_name", channel::ON_BEHALF, "dialed_user", "dialed_domain"] {
        extra.push(Action { application: "unset", data: variable.to_owned() });
    }
    // Whoever answers may transfer the call to wherever the tenant's own calls may go (sofia_handle_sip_i_refer in sofia.c).
    for variable in ["domain_name", "force_transfer_context"] {
        extra.push(Action { application: "set", data: format!("{variable}={}", owner.domain) });
    }
    let (name, value) = routing::carried::INHERIT_CODEC;
    extra.push(Action { application: "set", data: format!("{name}={value}") });
    let mut routed = routed;
    let help_extension = help.as_ref().map(|help| &help.extension);
    let (rung, devices) = fetch.ring_devices(&slot, placed.switch, &mut routed.route, help_extension);
    if let Some(help) = help {
        extra.extend(routing::transfers::calls_back(&help.extension, devices, help.ring_seconds, &tenant));
        let until = Timestamp::from_second(help.until.timestamp()).unwrap_or(at);
        routed.keep = match routed.keep {
            Keep::Never => Keep::Never,
            Keep::Until(earlier) => Keep::Until(earlier.min(until)),
            Keep::WhileCurrent => Keep::Until(until),
        };
    }
    extra.extend(routing::recording_from_outside(plan, record, &routed.route));
    let found = routed_as(&tenant, plan, PUBLIC, routed, owner, &extra, placed, &[])?;
    let (body, vary, keep) = (found.body.unwrap_or_else(|| slot.standing.unallocated.clone()), found.vary, found.keep);
    Ok(Filled::Answer(Arc::new(CachedAnswer { slot, generation, body, stray: false, vary, rung, keep })))
}

fn tenant(row: &TenantRow, plan: &Plan) -> Tenant {
    Tenant::of(plan, row.domain.clone(), row.active)
}
