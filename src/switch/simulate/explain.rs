//! Explains where a call would go and why, from the present state of the database. Nothing is counted, kept or changed.

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{
        error::{Error, Result},
        refusal::Refusal,
    },
    routing::{
        self, Action, Call, Dialled, Hops, MOST_HOPS, Plan, Route, Tenant, Then, Trace, Tried,
        callee::Callee,
        carried::{self, Carried, Carriers, Dialling, Offer},
        outbound,
        plan::PlanError,
    },
    switch::fetch::call_store::{self, Leaving},
    tenancy::tenants,
    text::{E164, SipUsername},
};

/// The call to explain.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    pub tenant: Uuid,
    pub number: &'a str,
    pub caller: Option<&'a SipUsername>,
    pub caller_number: Option<&'a str>,
    pub at: jiff::Timestamp,
}

/// One answer of the dialplan. If the call is led on, another step follows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedStep)]
pub struct Step {
    pub dialled: String,
    pub tried: Vec<Tried>,
    /// The kind of route, in one word.
    pub route: String,
    /// The applications that the switch runs.
    pub actions: Vec<Action>,
    /// The document that the switch would get.
    pub xml: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    pub steps: Vec<Step>,
    /// The kind of the last step's route, in one word.
    pub result: String,
    /// The cause that the caller gets if the call goes nowhere.
    pub cause: Option<String>,
    /// If the call leaves the platform, the carriers in the order they are tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<Offer>,
}

/// Where a call ends, for whoever plays it.
#[derive(Debug, Default)]
pub struct End {
    /// The phones that ring, all at once or one after the other.
    pub rings: Vec<SipUsername>,
    /// The queue that it waits in.
    pub queue: Option<Uuid>,
    /// The mailbox that takes a message if nobody answers.
    pub mailbox: Option<String>,
    /// The number outside that is called.
    pub outside: Option<String>,
    /// Why it goes nowhere.
    pub refusal: Option<Refusal>,
}

impl End {
    fn of(route: &Route, plan: &Plan) -> Self {
        match route {
            Route::Ring(ring) => Self {
                rings: vec![ring.extension.clone()],
                mailbox: match &ring.then {
                    Then::Voicemail(_) | Then::Ask => Some(ring.extension.to_string()),
                    Then::MessageFor(other) => Some(other.to_string()),
                    Then::Hangup => None,
                },
                ..Self::default()
            },
            Route::RingGroup(group) => {
                Self { rings: group.members.iter().map(|member| member.extension.clone()).collect(), ..Self::default() }
            }
            Route::Pickup { extension } | Route::Intercom { extension } => {
                Self { rings: vec![extension.clone()], ..Self::default() }
            }
            Route::Message { mailbox, .. } => Self { mailbox: Some(mailbox.clone()), ..Self::default() },
            Route::Queue { id, .. } if plan.destinations.contains_key(id) => {
                Self { queue: Some(*id), ..Self::default() }
            }
            Route::Refused(refusal) => Self { refusal: Some(*refusal), ..Self::default() },
            _ => Self::default(),
        }
    }
}

/// Explains one call. Returns `None` if the tenant does not exist.
pub async fn explain(db: &mut PgConnection, ask: &Question<'_>) -> Result<Option<Explanation>> {
    Ok(follow(db, ask, None).await?.map(|(explanation, _)| explanation))
}

fn unreadable(error: &PlanError) -> Error {
    tracing::error!(%error, "a call could not be explained");
    Error::Fault("a tenant's plan can't be read")
}

/// Explains one call, and says where it ends. `arrives`: the tenant's phone number that somebody outside calls, instead of what is dialled.
pub async fn follow(
    db: &mut PgConnection,
    ask: &Question<'_>,
    arrives: Option<&E164>,
) -> Result<Option<(Explanation, End)>> {
    let Some(sandbox) = tenants::store::get(&mut *db, ask.tenant).await?.map(|tenant| tenant.sandbox) else {
        return Ok(None);
    };
    let mut steps = Vec::new();
    let mut dialled = ask.number.to_owned();
    let mut caller = ask.caller.cloned();
    for hops in (0..=MOST_HOPS + 1).map(Hops::led) {
        // The plan decides what else must be read, so the first query reads the plan.
        let Some(first) = call_store::dialled(&mut *db, ask.tenant, None, -1).await? else { return Ok(None) };
        let Some(plan) = first.plan else { return Ok(None) };
        let plan = Plan::read(plan, None).await.map_err(|error| unreadable(&error))?;
        let read = Dialled::read(&dialled, &plan);
        let name = read.needs(caller.as_ref()).map(str::to_ascii_lowercase);
        let arrives = arrives.filter(|_| steps.is_empty());
        let arrived = match arrives {
            Some(number) => Some(call_store::number(&mut *db, number).await?),
            None => None,
        };
        let found = match name.filter(|_| arrives.is_none()) {
            Some(name) => call_store::dialled(&mut *db, ask.tenant, Some(&name), first.tenant.generation).await?,
            None => None,
        };
        let found = found.and_then(|row| row.found);
        let tenant = Tenant::of(&plan, first.tenant.domain, first.tenant.active);
        let call = Call {
            dialled: &dialled,
            caller: caller.as_ref(),
            caller_number: ask.caller_number,
            own_number: None,
            area: None,
            hops,
            after: None,
            menu: None,
            forwarder: None,
            comes_back: false,
            sent_by: None,
            withheld: false,
            left: None,
            call_back: None,
            at: ask.at,
            turn: 0,
        };
        let mut trace = Trace::on();
        let mut route = match arrived {
            Some(row) => {
                let owner = row.owner.filter(|(owner, ..)| owner.id == ask.tenant);
                let found = owner.and_then(|(.., found)| found);
                routing::inbound(&tenant, &plan, &call, found.as_ref(), row.record, &mut trace).route
            }
            None => routing::route(&tenant, &plan, &call, found.as_ref(), &mut trace).route,
        };
        if let (Route::PickupAny { from }, Some(routing::Found::Extension(extension))) = (&mut route, &found) {
            *from = call_store::pickups(&mut *db, ask.tenant, extension.id)
                .await?
                .map(|(_, from)| from)
                .unwrap_or_default();
        }
        match &route {
            Route::Lead { to, on_behalf_of, .. } => {
                let next = (to.clone(), on_behalf_of.clone());
                steps.push(step(&dialled, trace, route.name(), route.actions(&tenant, hops), &tenant));
                dialled = next.0;
                caller = next.1.or(caller);
            }
            Route::Outside(callee) => {
                let leaving =
                    Looking { tenant: &tenant, plan: &plan, caller: caller.as_ref(), dialled: &dialled, sandbox };
                let (step, refusal, offers) = leaving.outside(db, ask.tenant, callee, trace, hops).await?;
                let result = step.route.clone();
                steps.push(step);
                let cause = refusal.map(|refusal| refusal.cause().to_owned());
                let refusal = refusal.filter(|refusal| *refusal != Refusal::Sandbox);
                let outside = refusal.is_none().then(|| callee.number.to_string());
                let end = End { outside, refusal, ..End::default() };
                return Ok(Some((Explanation { steps, result, cause, offers }, end)));
            }
            Route::Emergency { number } => {
                let leaving =
                    Looking { tenant: &tenant, plan: &plan, caller: caller.as_ref(), dialled: &dialled, sandbox };
                steps.push(leaving.emergency(db, ask.tenant, number, trace).await?);
                let result = route.name().to_owned();
                let cause = sandbox.then(|| Refusal::Sandbox.cause().to_owned());
                let end = End { outside: Some(number.clone()), ..End::default() };
                return Ok(Some((Explanation { steps, result, cause, offers: Vec::new() }, end)));
            }
            _ => {
                let cause = if let Route::Refused(refusal) = &route { Some(refusal.cause().to_owned()) } else { None };
                let result = route.name().to_owned();
                steps.push(step(&dialled, trace, route.name(), route.actions(&tenant, hops), &tenant));
                let end = End::of(&route, &plan);
                return Ok(Some((Explanation { steps, result, cause, offers: Vec::new() }, end)));
            }
        }
    }
    let refusal = Refusal::Loop;
    let (result, cause) = (refusal.name().to_owned(), Some(refusal.cause().to_owned()));
    let end = End { refusal: Some(refusal), ..End::default() };
    Ok(Some((Explanation { steps, result, cause, offers: Vec::new() }, end)))
}

fn step(dialled: &str, trace: Trace, route: &str, actions: Vec<Action>, tenant: &Tenant) -> Step {
    let xml = crate::switch::fetch::render::actions(tenant.domain.as_str(), "explained", &actions, &[]);
    let xml = xml.map(|xml| String::from_utf8_lossy(&xml).into_owned()).unwrap_or_default();
    Step { dialled: dialled.to_owned(), tried: trace.tried(), route: route.to_owned(), actions, xml }
}

struct Looking<'a> {
    tenant: &'a Tenant,
    plan: &'a Plan,
    caller: Option<&'a SipUsername>,
    dialled: &'a str,
    sandbox: bool,
}

/// All carriers, by id.
fn known(read: Option<Vec<carried::Carrier>>) -> Carriers {
    std::sync::Arc::new(read.unwrap_or_default().into_iter().map(|carrier| (carrier.id, carrier)).collect())
}

impl Looking<'_> {
    fn ask(&self, id: Uuid, callee: Option<&Callee>) -> Leaving {
        Leaving {
            tenant: id,
            caller: self.caller.map(ToString::to_string),
            dialled: self.dialled.to_owned(),
            callee: callee.map(|callee| callee.number.to_string()).unwrap_or_default(),
            prefixes: callee.map(carried::prefixes).unwrap_or_default(),
            known_plan: -1,
            known_carriers: -1,
            switch: None,
            showing: None,
        }
    }

    /// Routes an emergency call, over every carrier that takes emergency calls.
    async fn emergency(&self, db: &mut PgConnection, id: Uuid, number: &str, trace: Trace) -> sqlx::Result<Step> {
        if self.sandbox {
            let actions = Route::Refused(Refusal::Sandbox).actions(self.tenant, Hops::default());
            return Ok(step(self.dialled, trace, "emergency", actions, self.tenant));
        }
        let row = call_store::leaving(&mut *db, &self.ask(id, None)).await?;
        let (caller, read) = row.map(|row| (row.caller, row.carriers)).unwrap_or_default();
        let carriers = known(read);
        let ids = carried::for_emergencies(&carriers, id);
        let caller_id = outbound::emergency_caller_id(self.plan, caller.as_ref(), None);
        let carried = Carried {
            dialled: Dialling::Emergency(number),
            caller_id: caller_id.as_ref(),
            original: None,
            carriers: &ids,
            limits: &[],
            known: &carriers,
            call: None,
            tenant: None,
            location: self.plan.settings.routing.emergency.location.as_ref(),
            record: false,
            consent_tone: false,
            withheld: false,
            diverted: false,
        };
        Ok(step(self.dialled, trace, "emergency", carried.actions(), self.tenant))
    }

    async fn outside(
        &self,
        db: &mut PgConnection,
        id: Uuid,
        callee: &Callee,
        mut trace: Trace,
        hops: Hops,
    ) -> sqlx::Result<(Step, Option<Refusal>, Vec<Offer>)> {
        let ask = self.ask(id, Some(callee));
        let refused = |trace, refusal: Refusal, offers| {
            let route = Route::Refused(refusal);
            (
                step(self.dialled, trace, refusal.name(), route.actions(self.tenant, hops), self.tenant),
                Some(refusal),
                offers,
            )
        };
        let Some(row) = call_store::leaving(&mut *db, &ask).await? else {
            return Ok(refused(trace, Refusal::TenantSuspended, Vec::new()));
        };
        let carriers = known(row.carriers);
        if let Some(on_net) = &row.on_net
            && outbound::barred(row.caller.as_ref()).is_none()
        {
            trace.note("on net", true, || format!("{} is a number of this platform", callee.number));
            let run = on_net.actions(id, callee, row.caller.as_ref(), hops, false);
            return Ok((step(self.dialled, trace, "on_net", run, self.tenant), None, Vec::new()));
        }
        let decision = outbound::decide(self.plan, id, callee, row.caller.as_ref(), &row.offers, &carriers, &mut trace);
        if let Some(refusal) = decision.refusal {
            return Ok(refused(trace, refusal, decision.offers));
        }
        let today = decision.numbers.iter().find(|held| held.made < held.limit);
        trace.note("daily limit", today.is_some(), || {
            let held = decision.numbers.iter().map(|held| format!("{}: {} of {}", held.number, held.made, held.limit));
            held.collect::<Vec<_>>().join(", ")
        });
        let Some(shown) = today else { return Ok(refused(trace, Refusal::DailyLimit, decision.offers)) };
        if self.sandbox {
            trace.note("sandbox", false, || "nothing is dialled outside".into());
            return Ok(refused(trace, Refusal::Sandbox, decision.offers));
        }
        let ids = decision.offers.iter().map(|offer| offer.carrier).collect::<Vec<_>>();
        let carried = Carried {
            dialled: Dialling::Number(&callee.number),
            caller_id: Some(&shown.number),
            original: None,
            carriers: &ids,
            limits: &[],
            known: &carriers,
            call: None,
            tenant: None,
            location: None,
            record: self.plan.settings.features.call_recording
                && (self.plan.settings.routing.record.outbound
                    || row.caller.as_ref().is_some_and(|caller| caller.record)),
            consent_tone: self.plan.settings.routing.record.consent_tone,
            withheld: false,
            diverted: false,
        };
        Ok((step(self.dialled, trace, "outbound", carried.actions(), self.tenant), None, decision.offers))
    }
}
