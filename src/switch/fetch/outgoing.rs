//! Calls that leave the platform. Each is decided separately, by two statements, and the answer is never kept.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use uuid::Uuid;

use super::{
    Fetch, Reply, Source,
    call_store::{self, Leaving, LeavingRow},
    leaves::Outgoing,
    placed::PlacedCall,
    plans::Known,
    render,
};
use crate::node::generations::Slot;
use crate::{
    model::channel,
    model::refusal::Refusal,
    routing::{
        self, Action, Plan, Route, Tenant, Trace,
        callee::Callee,
        carried::{self, Carried, Carriers, Dialling},
        outbound::{self, Caller},
        plan::PlanError,
    },
    telephony::calls::{
        self,
        admission::{Admission, Ask, Asker},
        emergency,
    },
    text::E164,
};

/// How long a call for help waits for the database, each time it asks: then what the node knows has to do.
pub(super) const HELP_WAITS: Duration = Duration::from_millis(60);

/// For how long a node tries to record an emergency call, and how often.
const REMEMBERED: Duration = Duration::from_hours(24);
const AGAIN: Duration = Duration::from_secs(1);

/// What to do about a call.
pub(super) enum Decision {
    Answer(Reply, Source),
    /// The database must say what the tenant has under the dialled name.
    AskDatabase,
    /// The call leaves the platform, if it is admitted.
    Leave(Outgoing),
}

impl From<(Reply, Source)> for Decision {
    fn from((reply, source): (Reply, Source)) -> Self {
        Self::Answer(reply, source)
    }
}

impl Fetch {
    /// Lets a call out or refuses it. `has_asked`: the database was asked already and has nothing under the dialled name.
    pub(super) async fn leave(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        placed: &PlacedCall,
        outgoing: &Outgoing,
        has_asked: bool,
    ) -> Decision {
        let callee = match outgoing {
            Outgoing::Emergency(number) => {
                return Decision::Answer(self.connect_emergency(slot, placed, number).await, Source::Filled);
            }
            Outgoing::Outside(callee) => callee,
        };
        match self.read_leaving(slot, placed, Some(callee)).await {
            Ok(Some((row, known, carriers))) => {
                if !has_asked {
                    // The plan has changed, or the tenant has something under the dialled name.
                    let now = super::fill::call::route_of(&row.tenant, &known, placed).await.map(Outgoing::of);
                    if row.is_name || !matches!(now, Ok(Ok(now)) if now == *outgoing) {
                        return Decision::AskDatabase;
                    }
                }
                let reply = self.admitted(slot, placed, callee, &row, &known.plan, &carriers).await;
                Decision::Answer(reply, Source::Filled)
            }
            Ok(None) => self.has_less(slot).await.into(),
            Err(()) => Decision::Answer(Reply::Unavailable, Source::Unavailable),
        }
    }

    /// Everything needed to decide, read in one snapshot. `Err` if the database can't be asked; the log says why.
    async fn read_leaving(
        &self,
        slot: &Arc<Slot>,
        placed: &PlacedCall,
        callee: Option<&Callee>,
    ) -> Result<Option<(LeavingRow, Arc<Known>, Carriers)>, ()> {
        let mut ask = Leaving {
            tenant: slot.scope,
            caller: placed.caller.as_ref().map(ToString::to_string),
            dialled: placed.number.to_ascii_lowercase(),
            callee: callee.map(|callee| callee.number.to_string()).unwrap_or_default(),
            prefixes: callee.map(carried::prefixes).unwrap_or_default(),
            known_plan: -1,
            known_carriers: -1,
            switch: placed.switch,
            showing: placed.call.filter(|_| placed.shows.is_some()),
        };
        let failed = |error: PlanError| tracing::warn!(%error, scope = %slot.scope, "a call out could not be decided");
        // Read once more if everything was read anew meanwhile: it may be another database now.
        for _ in 0..3 {
            let (era, floor) = (self.generations.era(), slot.newest());
            let (known, carriers) = (self.plans.of(slot), self.plans.carriers());
            ask.known_plan = known.as_ref().map_or(-1, |known| known.generation);
            ask.known_carriers = carriers.generation(era);
            let read = self.readers.read(|db, _| Box::pin(call_store::leaving(db, &ask))).await;
            let row =
                read.map_err(|error| tracing::warn!(%error, scope = %slot.scope, "a call out could not be decided"))?;
            let Some(mut row) = row else { return Ok(None) };
            let generation = u64::try_from(row.tenant.generation).unwrap_or_default();
            if generation < floor && !slot.is_closed() {
                self.metrics.fill_found_less();
                self.generations.doubt();
            }
            if !self.generations.raise(era, slot, generation) {
                continue;
            }
            let known = match (row.plan.take(), known) {
                (Some(plan), _) if callee.is_some() => {
                    self.plans.keep(slot, row.tenant.generation, plan).await.map_err(failed)?
                }
                // A call for help does not need all of the plan.
                (Some(plan), _) => match self.plans.keep(slot, row.tenant.generation, plan).await {
                    Ok(known) => known,
                    Err(error) => {
                        failed(error);
                        self.plans.for_help(slot.scope).ok_or(())?
                    }
                },
                (None, Some(known)) => known,
                (None, None) => return Err(()),
            };
            let carriers = match row.carriers.take() {
                Some(read) => self.plans.keep_carriers(era, row.carriers_generation, read).carriers.clone(),
                None => carriers.carriers.clone(),
            };
            return Ok(Some((row, known, carriers)));
        }
        Err(())
    }

    async fn admitted(
        &self,
        slot: &Slot,
        placed: &PlacedCall,
        callee: &Callee,
        row: &LeavingRow,
        plan: &Plan,
        carriers: &Carriers,
    ) -> Reply {
        let showing = row.caller.as_ref().zip(placed.shows.as_ref()).map(|(caller, number)| caller.showing(number));
        let caller = showing.as_ref().or(row.caller.as_ref());
        let before = super::fill::xml_entries(slot, plan);
        let tenant = Tenant::of(plan, row.tenant.domain.clone(), row.tenant.active);
        if !tenant.active {
            return document(slot, &tenant, plan, &Route::Refused(Refusal::TenantSuspended), placed, &[]);
        }
        if let Some(on_net) = &row.on_net
            && outbound::barred(caller).is_none()
        {
            let mut run = on_net.actions(slot.scope, callee, caller, placed.hops, placed.withheld);
            if placed.diverted {
                // What extensions have as numbers is no business of the other tenant's.
                run.insert(0, routing::diverted::forgotten());
            }
            let run = placed.transferred(run, &tenant.domain);
            return actions(slot, "on_net", run, &before);
        }
        let decision = outbound::decide(plan, slot.scope, callee, caller, &row.offers, carriers, &mut Trace::off());
        let decision = if slot.sandbox { decision.in_sandbox() } else { decision };
        // Without its UUID a call can't be recognised, so each fetch counts as a call.
        let call = placed.call.unwrap_or_else(Uuid::now_v7);
        let (extension, user) = (caller.map(|caller| caller.extension), caller.and_then(|caller| caller.user));
        let asker = Asker { tenant: slot.scope, call, callee: callee.number.as_str(), extension, user };
        let ask = Ask::new(asker, plan, &decision, carriers).on(placed.switch, row.is_watched);
        match self.readers.go_on(|db, _| Box::pin(calls::store::admit(db, &ask))).await {
            Ok(Admission::Admitted { caller_id, carriers: ids, seconds }) => {
                let record = &plan.settings.routing.record;
                let original = placed.original(plan);
                let carried = Carried {
                    dialled: Dialling::Number(&callee.number),
                    // Whoever is called back sees the number that they called.
                    caller_id: row.queue_shows.as_ref().or(caller_id.as_ref()),
                    original: original.as_ref(),
                    carriers: &ids,
                    limits: &seconds,
                    known: carriers,
                    call: Some(call),
                    tenant: Some(slot.scope),
                    location: None,
                    record: plan.settings.features.call_recording
                        && (record.outbound || caller.is_some_and(|caller| caller.record)),
                    consent_tone: record.consent_tone,
                    withheld: placed.withheld,
                    diverted: placed.diverted,
                };
                let forwarder = placed.forwarder.as_ref();
                let or_mailbox = forwarder.map(|forwarder| carried::or_mailbox(forwarder, &tenant.domain));
                let run = or_mailbox.into_iter().chain(carried.actions()).collect();
                // The mailbox of whoever forwarded it takes the call.
                let home = &tenant.domain;
                let run = if forwarder.is_some() { placed.sent(run, home) } else { placed.transferred(run, home) };
                actions(slot, "outbound", run, &before)
            }
            Ok(Admission::Refused(refusal)) => {
                let route = match &placed.forwarder {
                    Some(forwarder) => Route::to_mailbox(forwarder),
                    None => Route::Refused(refusal),
                };
                document(slot, &tenant, plan, &route, placed, &before)
            }
            Err(error) => {
                tracing::warn!(%error, scope = %slot.scope, "a call out could not be admitted");
                Reply::Unavailable
            }
        }
    }

    /// The same for an emergency call, which does not wait for a database that is slow.
    async fn read_for_help(
        &self,
        slot: &Arc<Slot>,
        placed: &PlacedCall,
    ) -> Result<Option<(LeavingRow, Arc<Known>, Carriers)>, ()> {
        // Without anything to fall back on, the call would show no number and no place.
        let limit = if self.plans.for_help(slot.scope).is_some() { HELP_WAITS } else { HELP_WAITS * 5 };
        let read = tokio::time::timeout(limit, self.read_leaving(slot, placed, None)).await;
        read.unwrap_or_else(|_| {
            tracing::warn!(scope = %slot.scope, "an emergency call did not wait for the database");
            Err(())
        })
    }

    /// The tenant's plan, for a phone that may only call for help.
    pub(super) async fn plan_for_help(&self, slot: &Arc<Slot>, placed: &PlacedCall) -> Option<Arc<Known>> {
        self.read_for_help(slot, placed).await.ok()?.map(|(_, known, _)| known)
    }

    /// Connects an emergency call, even if the database can't be asked, as long as this node knows a carrier.
    pub(super) async fn connect_emergency(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        placed: &PlacedCall,
        number: &str,
    ) -> Reply {
        let read = if self.generations.is_fresh() { self.read_for_help(slot, placed).await } else { Err(()) };
        let (caller, known, carriers) = if let Ok(Some((row, known, carriers))) = read {
            (row.caller, Some(known), carriers)
        } else {
            (None, self.plans.for_help(slot.scope), self.plans.carriers().carriers.clone())
        };
        let usual = super::plans::usual(slot);
        let Some(plan) = known.as_ref().map(|known| &*known.plan).or(usual.as_ref()) else { return Reply::Unavailable };
        // Nothing of a sandbox is dialled outside.
        let ids = if slot.sandbox { Vec::new() } else { carried::for_emergencies(&carriers, slot.scope) };
        let caller_id = outbound::emergency_caller_id(plan, caller.as_ref(), placed.own_number.as_ref());
        self.note_emergency(slot.scope, placed, number, caller.as_ref(), plan, caller_id.as_ref(), &ids);
        let carried = Carried {
            dialled: Dialling::Emergency(number),
            caller_id: caller_id.as_ref(),
            original: None,
            carriers: &ids,
            limits: &[],
            known: &carriers,
            call: placed.call,
            tenant: Some(slot.scope),
            location: plan.settings.routing.emergency.location.as_ref(),
            record: false,
            consent_tone: false,
            withheld: false,
            diverted: false,
        };
        // An emergency call continues if its caller is suspended meanwhile: the calls to end are found by this variable.
        let mut run = vec![Action { application: "unset", data: channel::EXTENSION.to_owned() }];
        run.extend(carried.actions());
        run = placed.sent(run, &plan.domain);
        if slot.sandbox {
            let Some(home) = slot.home.clone() else { return Reply::Unavailable };
            let refused = Route::Refused(Refusal::Sandbox);
            return document(slot, &Tenant::of(plan, home, true), plan, &refused, placed, &[]);
        }
        if ids.is_empty() {
            tracing::error!(tenant = %slot.scope, "an emergency call found no carrier");
            run = vec![Action { application: "hangup", data: Refusal::NoCarrier.cause().to_owned() }];
        }
        // None of the tenant's own entries come before an emergency call.
        actions(slot, "emergency", run, &[])
    }

    /// Records an emergency call and tells the tenant's contacts. The call does not wait for this.
    #[expect(clippy::too_many_arguments, reason = "what is known of the call")]
    fn note_emergency(
        self: &Arc<Self>,
        tenant: Uuid,
        placed: &PlacedCall,
        number: &str,
        caller: Option<&Caller>,
        plan: &Plan,
        caller_id: Option<&E164>,
        carriers: &[Uuid],
    ) {
        let call = placed.call.unwrap_or_else(Uuid::now_v7);
        let extension = caller.map(|caller| caller.extension).or(placed.extension);
        let asker = Asker { tenant, call, callee: number, extension, user: caller.and_then(|caller| caller.user) };
        let mut ask = Ask::emergency(asker, plan, caller_id, carriers.to_vec()).on(placed.switch, false);
        ask.at = Some(chrono::Utc::now());
        let alarm = emergency::Alarm {
            tenant,
            call,
            number: number.to_owned(),
            extension: placed.caller.as_ref().map(ToString::to_string),
            location: plan.settings.routing.location(),
            contacts: plan.settings.routing.emergency.contacts.clone(),
        };
        let (pool, keyring) = (self.changes.clone(), Arc::clone(&self.keyring));
        tokio::spawn(async move {
            // As long as the database is down, the call is remembered here.
            let until = Instant::now() + REMEMBERED;
            while let Err(error) = emergency::write_down(&pool, &keyring, &ask, &alarm).await {
                if Instant::now() > until {
                    tracing::error!(%error, %tenant, number = alarm.number, "an emergency call could not be recorded");
                    return;
                }
                tracing::warn!(%error, %tenant, "an emergency call is recorded later");
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
}

/// `before`: the tenant's XML entries.
fn actions(slot: &Slot, name: &'static str, run: Vec<Action>, before: &[String]) -> Reply {
    // The switch looks for the context that it asked for.
    let Some(domain) = &slot.domain else { return Reply::Unavailable };
    let run = [vec![render::mark(slot.scope)], run].concat();
    reply(render::actions(domain.as_str(), name, &run, before))
}

pub(super) fn document(
    slot: &Slot,
    tenant: &Tenant,
    plan: &Plan,
    route: &Route,
    placed: &PlacedCall,
    before: &[String],
) -> Reply {
    actions(slot, route.name(), placed.actions(tenant, plan, route), before)
}

fn reply(rendered: Result<Bytes, render::RenderError>) -> Reply {
    match rendered {
        Ok(document) => Reply::Document(document),
        Err(error) => {
            tracing::warn!(%error, "a call could not be rendered");
            Reply::Unavailable
        }
    }
}
