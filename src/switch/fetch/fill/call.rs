//! Filling the answers to calls: in a tenant's context, and from outside.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{FillError, Filled, Found, finish, generation};
use crate::{
    model::channel,
    node::generations::{Heard, Slot},
    routing::{self, Action, Plan, Route, Routed, Tenant, Trace, entries::EntryBody, plan::PlanError},
    switch::fetch::{
        Fetch,
        answer::{self, RenderError},
        cache::{Entry, Vary},
        call::{self, OUTSIDE},
        call_store,
        dialled::Dialled,
        plans::Known,
        readers::ReadError,
        store::TenantRow,
    },
    telephony::extensions,
    text::E164,
};

/// Routes a call in the tenant's context, by one statement; by two, when the plan that came with the first reads the number
/// otherwise than the one that was known.
pub(super) async fn call(fetch: &Fetch, slot: &Arc<Slot>, dialled: &Dialled) -> Result<Filled, FillError> {
    let mut known = fetch.plans.of(slot);
    let era = fetch.generations.era();
    let Some(usual) = call::usual_plan(slot) else { return Ok(Filled::Less) };
    let at = Timestamp::now();
    loop {
        let plan = known.as_ref().map_or(&usual, |known| &*known.plan);
        let wanted = needs(plan, dialled);
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
        if needs(&now.plan, dialled) != wanted {
            known = Some(now);
            continue;
        }
        let tenant = tenant(&row.tenant, &now.plan);
        let routed = now.route(&tenant, dialled, row.found.as_ref(), at).await?;
        if let routing::Route::Handle { change } = &routed.route {
            handle(fetch, slot, row.found.as_ref(), change).await?;
        }
        let extra = [answer::mark(row.tenant.id)];
        let (domain, raw) = (tenant.domain.clone(), xml_entries(&now.plan));
        let found = routed_as(&tenant, domain.as_str(), routed, row.tenant, &extra, dialled, &raw)?;
        return Ok(finish(fetch, slot, era, found, true));
    }
}

/// The name that must be known, read by a plan.
fn needs(plan: &Plan, dialled: &Dialled) -> Option<String> {
    let read = routing::Dialled::read(&dialled.number, plan);
    read.needs(dialled.caller.as_ref()).map(ToOwned::to_owned)
}

/// Where a call goes by what this node knows, if the tenant has nothing of the name.
pub async fn route_of(row: &TenantRow, known: &Known, dialled: &Dialled) -> Result<Route, PlanError> {
    let routed = known.route(&tenant(row, &known.plan), dialled, None, Timestamp::now()).await;
    routed.map(|routed| routed.route)
}

/// XML of the tenant's entries, which the switch tries by itself before the route.
pub fn xml_entries(plan: &Plan) -> Vec<&str> {
    let bodies = plan.entries.iter().map(|entry| &entry.body);
    bodies.filter_map(|body| if let EntryBody::Xml(text) = body { Some(text.trim_end()) } else { None }).collect()
}

fn routed_as(
    tenant: &Tenant,
    context: &str,
    routed: Routed,
    row: TenantRow,
    extra: &[Action],
    dialled: &Dialled,
    raw: &[&str],
) -> Result<Found, RenderError> {
    let vary = if routed.varies_by_caller || routed.varies_by_number { Vary::Caller } else { Vary::No };
    let until = routed.until.map(|until| u64::try_from(until.as_millisecond()).unwrap_or_default());
    let until = if matches!(routed.route, Route::Handle { .. }) { Some(0) } else { until };
    let stray = matches!(routed.route, Route::Refused(_)) || dialled.has_capitals();
    let leaves = matches!(routed.route, Route::Outside(_) | Route::Emergency { .. });
    let body =
        if leaves { None } else { Some(answer::dialplan(context, tenant, &routed.route, extra, dialled.hops, raw)?) };
    let leaves = leaves.then(|| Box::new(routed.route));
    Ok(Found { tenant: Some(row), body, stray, vary, until, leaves })
}

/// What somebody decided by a feature code is a change like any other.
async fn handle(
    fetch: &Fetch,
    slot: &Slot,
    found: Option<&routing::Found>,
    change: &routing::Handle,
) -> Result<(), FillError> {
    let Some(routing::Found::Extension(extension)) = found else { return Ok(()) };
    let mut calls = extension.calls.clone();
    match change {
        routing::Handle::Forward(to) => calls.forward_always.clone_from(to),
        routing::Handle::DoNotDisturb(on) => calls.do_not_disturb = *on,
    }
    if calls == extension.calls {
        return Ok(());
    }
    let kept = extensions::store::set_calls_by_phone(&fetch.changes, slot.scope, extension.id, &calls).await;
    let now = kept.map_err(|error| FillError::Read(ReadError::Sql(error)))?;
    now.inspect(|now| _ = slot.raise(generation(*now)));
    Ok(())
}

pub(super) async fn by_number(
    fetch: &Fetch,
    platform: &Arc<Slot>,
    number: &E164,
    of: Option<Uuid>,
    dialled: &Dialled,
) -> Result<Filled, FillError> {
    let (era, floor) = (fetch.generations.era(), platform.newest());
    let row = fetch.readers.read(|db, _| Box::pin(call_store::number(db, number))).await?;
    let platform_generation = generation(row.platform_generation);
    if platform_generation < floor && !platform.is_closed() {
        return Ok(Filled::Less);
    }
    // A number of a tenant elsewhere is nobody's here; when the tenant moves, the platform's generation rises.
    let record = row.record;
    let Some((owner, plan, target)) = row.owner.filter(|(owner, ..)| of.is_none_or(|of| of == owner.cluster)) else {
        let (slot, generation) = (Arc::clone(platform), platform_generation);
        if !fetch.generations.raise(era, &slot, generation) {
            return Ok(Filled::Moved);
        }
        let body = slot.standing.unallocated.clone();
        let entry = Entry { slot, generation, body, stray: true, vary: Vary::No, until: None };
        return Ok(Filled::Entry(Arc::new(entry)));
    };
    let generation = generation(owner.generation);
    // The tenant may be newer than this node's last poll. What was read of a database that was replaced meanwhile is read again.
    let (domain, cluster) = (Some(owner.domain.clone()), owner.cluster);
    let heard = Heard { scope: owner.id, generation, domain, cluster };
    let Some(slot) = fetch.generations.hear(era, &heard) else { return Ok(Filled::Moved) };
    let known = fetch.plans.keep(&slot, owner.generation, plan).await?;
    let plan = &*known.plan;
    let tenant = tenant(&owner, plan);
    let call = dialled.call(Timestamp::now());
    let routed = routing::inbound(&tenant, plan, &call, target.as_ref(), record, &mut Trace::off());
    let mut extra = vec![answer::mark(owner.id)];
    // Somebody of another tenant may call on net: here they are nobody who signed in.
    for variable in ["user_name", channel::ON_BEHALF, "dialed_user", "dialed_domain"] {
        extra.push(Action { application: "unset", data: variable.to_owned() });
    }
    // Who answers may transfer the call, to wherever the tenant's own calls may go (sofia_handle_sip_i_refer in sofia.c).
    for variable in ["domain_name", "force_transfer_context"] {
        extra.push(Action { application: "set", data: format!("{variable}={}", owner.domain) });
    }
    extra.extend(routing::recording_from_outside(plan, record, &routed.route));
    let found = routed_as(&tenant, OUTSIDE, routed, owner, &extra, dialled, &[])?;
    let (body, vary, until) =
        (found.body.unwrap_or_else(|| slot.standing.unallocated.clone()), found.vary, found.until);
    Ok(Filled::Entry(Arc::new(Entry { slot, generation, body, stray: false, vary, until })))
}

fn tenant(row: &TenantRow, plan: &Plan) -> Tenant {
    Tenant::of(plan, row.domain.clone(), row.active)
}
