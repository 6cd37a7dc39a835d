//! `/v1/calls`, `/v1/call-jobs` and `/v1/live/calls/{id}/actions`: calls that are made, and what is done to them.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, get, post,
    web::{Bytes, Data, Json, Path, Query},
};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{
    Control,
    acts::{self, Act, Acting},
    command::{Mode, Place, Recorded, Then},
    found::{self, Found, Own},
    job::{CallJob, JobKind, JobState},
    jobs,
    returns::Returning,
    store, turn,
};
use crate::{
    http::{
        change::{ChangeRequest, Outcome},
        input,
        left::{self, Left},
        problem::Problem,
    },
    model::{
        error::Error,
        settings::{Feature, Settings, Supervision},
    },
    node::changes::{Audit, Change},
    routing::{self, Plan},
    switch::live::{Live, Watched, names::Extension, show::Scope, views},
    tenancy::{Api, TenantQuery, auth::actor::Actor, switches, tenants},
    text::{Code, DialNumber, Dialable, Domain, E164, Keys},
};

/// A call to be made: a phone is called first, and then it calls.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCall {
    /// The agent whose phone is called first; the signed-in person if neither this nor `extension_id` is given.
    pub agent_id: Option<Uuid>,
    /// The extension whose phone is called first.
    pub extension_id: Option<Uuid>,
    /// What is called then, as it would be dialled at the phone: a number inside or outside, or a feature code. A code that changes an
    /// extension only for one's own phone.
    pub to: Dialable,
    /// The number that a callee outside sees: one of the agent's. If absent, it is chosen as for every call.
    pub show: Option<E164>,
    /// Whether it is recorded.
    #[serde(default)]
    pub record: bool,
}

/// What is done to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallActionKind {
    /// Ends the call; with `leg_id`, or for an agent, that phone's leg.
    Hangup,
    /// The other side hears music.
    Hold,
    Resume,
    /// What the phone says is not passed on.
    Mute,
    Unmute,
    /// Sends whom the phone is connected with to `to`, and the phone leaves. Whoever waits in a menu or a queue is sent there themselves.
    Transfer,
    /// The phone calls `to`, while whom it is connected with hears music.
    Consult,
    /// Connects whoever waits with whoever was asked, and the phone leaves.
    Complete,
    /// Lets whoever was asked go, and connects the phone with whoever waits.
    Cancel,
    /// All three talk, until the phone hangs up.
    Conference,
    /// Parks whom the phone is connected with.
    Park,
    /// The phone of `extension_id`, or of the signed-in person, is called and takes the parked call.
    PickUp,
    /// Sends `digits` to whom the phone is connected with.
    Dtmf,
    /// Sends whom the phone is connected with into the queue `queue_id`.
    Queue,
    /// Sends whom the phone is connected with to the mailbox of the extension `to`, or to the phone's own.
    Voicemail,
    Record,
    /// The recording has silence until it is resumed.
    PauseRecording,
    ResumeRecording,
    StopRecording,
    /// Brings a call back to the page that had it, in a browser that was loaded anew or had lost its connection: the page is called, answers
    /// by itself, and takes the place of the leg that it has lost. For one's own calls only.
    Return,
}

/// Something that is done to a call.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallAction {
    /// What is done.
    pub action: CallActionKind,
    /// The leg of the phone that is meant. If absent, the asker's own, or else the first phone's of the tenant.
    pub leg_id: Option<Uuid>,
    /// Where to, as it would be dialled at the phone. Not a code that changes an extension, unless one's own phone asks there.
    pub to: Option<Dialable>,
    /// The keys that are pressed.
    pub digits: Option<Keys>,
    /// The queue.
    pub queue_id: Option<Uuid>,
    /// The extension whose phone picks up.
    pub extension_id: Option<Uuid>,
    /// The Call-ID of the dialog that the page has lost.
    pub sip_call_id: Option<String>,
    /// The name in the contact of the page's registration.
    pub contact: Option<String>,
    /// What the page made up for this: it is in the header `X-Dialplane-Call` of the INVITE that the page gets.
    pub mark: Option<Uuid>,
}

/// A supervisor's part in a call.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSupervision {
    /// Whether the supervisor only listens, talks to the agent, or to both.
    pub mode: Mode,
    /// The leg of the agent's phone. If absent, the first phone's of the tenant.
    pub leg_id: Option<Uuid>,
    /// The extension whose phone is called for it; one of the signed-in person's if absent.
    pub extension_id: Option<Uuid>,
}

/// What came of an action.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CallActionDone {
    /// The call as it is now; `null` if it is over, or whoever acted may see their own only and is not in it.
    pub call: Option<views::Call>,
    /// The slot that it is parked in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// The call that picks it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<CallJob>,
}

pub(super) fn scope(actor: &Actor, tenant: Uuid) -> Scope {
    Scope {
        tenant: Some(tenant),
        person: actor.only_own(),
        is_platform: actor.tenant.is_none(),
        switch: None,
        cluster: None,
    }
}

/// Refuses a code that changes the extension whose phone dials it, for a phone that is not the asker's own: who may change an extension has
/// rights of their own. `phones`: whose phones dial it.
fn no_change_of_others(
    to: &Dialable,
    settings: &Settings,
    domain: Domain,
    actor: &Actor,
    phones: impl IntoIterator<Item = Option<Uuid>>,
) -> Result<(), Error> {
    let is_own = |person: Option<Uuid>| person.is_some() && person == actor.person;
    let mut plan = Plan::empty(domain);
    (plan.settings.country, plan.settings.routing) = (Some(settings.country.clone()), settings.routing.clone());
    if routing::changes_extension(to.as_str(), &plan) && !phones.into_iter().all(is_own) {
        return Err(Error::invalid("to", Code::CodeForOwnPhone));
    }
    Ok(())
}

async fn settings(db: impl PgExecutor<'_>, tenant: Uuid) -> Result<Settings, Error> {
    let known = tenants::store::settings(db, tenant).await?;
    let (settings, _) = known.ok_or(Error::NotFound("tenant"))?;
    Settings::parse(&settings).map_err(|_| Error::Fault("a tenant's settings can't be read"))
}

/// Whose phone is called first. Somebody who may act for themselves only has no other.
pub(super) fn phones<'n>(
    actor: &Actor,
    names: &'n crate::switch::live::names::Names,
    agent: Option<Uuid>,
    extension: Option<Uuid>,
) -> Result<Vec<&'n Extension>, Error> {
    let limit = actor.only_own();
    let may = |one: &&Extension| limit.is_none() || one.user == limit;
    let found = match (extension, agent) {
        (Some(extension), agent) => {
            let named = names.of_id(extension).filter(may).filter(|one| agent.is_none() || one.user == agent);
            vec![named.ok_or(Error::NotFound("extension"))?]
        }
        (None, Some(agent)) => names.of_person(agent).filter(may).collect(),
        (None, None) => match actor.user() {
            Ok(person) => names.of_person(person).filter(may).collect(),
            Err(_) => return Err(Code::WhichPhone.into()),
        },
    };
    match (found.is_empty(), agent) {
        (true, Some(_)) => Err(Error::NotFound("agent")),
        (true, None) => Err(Code::WhichPhone.into()),
        _ => Ok(found),
    }
}

/// A job and what it needs, as long as the tenant and the switch have not too many.
pub(super) struct Prepared {
    pub job: CallJob,
    pub ready: jobs::Ready,
}

/// `switches`: those that can do it. Whoever has a connection to the database reads through that one, and waits for no other.
pub(super) async fn prepare(
    control: &Control,
    live: &Live,
    db: &mut PgConnection,
    tenant: Uuid,
    (phones, switches): (Vec<&Extension>, &[Arc<Watched>]),
    kind: JobKind,
) -> Result<Prepared, Error> {
    let domain = found::domain(live, tenant)?;
    let ready = jobs::ready(live, tenant, &domain, switches, phones.into_iter())?;
    let placed = store::placed_by(db, tenant).await?;
    let left = jobs::OF_TENANT - placed - 1;
    left::note(Left { policy: "calls", quota: jobs::OF_TENANT, window: Some(1), left, reset: Some(1) });
    if placed >= jobs::OF_TENANT || !control.count(ready.watched.switch) {
        return Err(Code::TooManyCallsPlaced.into());
    }
    let now = Utc::now();
    let job = CallJob {
        id: Uuid::new_v4(),
        tenant_id: tenant,
        kind,
        switch_id: ready.watched.switch,
        extension_id: ready.extension.id,
        agent_id: ready.extension.user,
        to: None,
        call_id: None,
        state: JobState::Queued,
        cause: None,
        created_at: now,
        changed_at: now,
        answered_at: None,
        ended_at: None,
    };
    Ok(Prepared { job, ready })
}

/// Make a call
///
/// The agent's phone rings first. When it has answered, it calls the number, through the same routing and limits as if it had been dialled there.
/// The answer is a job, whose id is also the call's.
#[utoipa::path(tag = "live", request_body = NewCall, params(TenantQuery), responses((status = 201, body = CallJob), (status = 409, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/calls")]
pub async fn make_call(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    request: ChangeRequest,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let new: NewCall = input::parse(&body)?;
    let names = live.names.of(tenant, live.generations(), api.pool()).await;
    let drained = switches::store::draining(api.pool()).await?;
    let mut prepared = None;
    let work = async |change: &mut Change| {
        let phones = phones(&actor, &names, new.agent_id, new.extension_id)?;
        if let Some(number) = &new.show {
            let agent = phones.first().and_then(|phone| phone.user);
            if !store::is_number_of(change.db(), tenant, agent, number.as_str()).await? {
                return Err(Error::invalid("show", Code::NotANumberToShow).into());
            }
        }
        let settings = settings(change.db(), tenant).await?;
        let domain = found::domain(&live, tenant)?;
        no_change_of_others(&new.to, &settings, domain, &actor, phones.iter().map(|phone| phone.user))?;
        let mut records = None;
        if new.record {
            may_record(&settings)?;
            records = Some(Recorded { consent_tone: settings.routing.record.consent_tone });
        }
        let switches = jobs::switches(&live, tenant, &drained)?;
        let mut made = prepare(&control, &live, change.db(), tenant, (phones, &switches), JobKind::Call).await?;
        made.job.to = Some(new.to.to_string());
        store::insert(change.db(), &made.job).await?;
        let place = actor.place(tenant, &format!("/v1/call-jobs/{}", made.job.id));
        let outcome = Outcome::made_at(&made.job, place);
        prepared = Some((made, records));
        outcome
    };
    let answer = request.quietly().run(&api, &actor, &body, work).await?;
    // The same request again makes no second call.
    if let Some((Prepared { job, ready }, records)) = prepared {
        let then = Then::Calls { to: new.to, shows: new.show, records };
        let (control, live) = (control.into_inner(), live.into_inner());
        jobs::place(&control, &api, &live, ready, &job, then);
    }
    Ok(answer)
}

/// Show a call that is being made
#[utoipa::path(tag = "live", params(TenantQuery), responses((status = 200, body = CallJob), (status = 404, body = Problem)))]
#[get("/v1/call-jobs/{id}")]
pub async fn show_call_job(
    api: Data<Api>,
    live: Data<Live>,
    actor: Actor,
    path: Path<Uuid>,
    tenant: Query<TenantQuery>,
) -> Result<Json<CallJob>, Problem> {
    let tenant = match (actor.tenant, tenant.tenant_id) {
        (None, named) => named,
        (Some(_), named) => Some(actor.tenant_or(named)?),
    };
    let job = store::get(&mut *api.read(&actor).await?, tenant, *path, actor.only_own()).await?;
    let job = job.ok_or_else(|| Problem::not_found("call"))?;
    Ok(Json(jobs::now(&api, &live, job).await?))
}

/// Whether the tenant uses recordings.
fn may_record(settings: &Settings) -> Result<(), Error> {
    settings.features.need(Feature::CallRecording)
}

async fn read(api: &Api, actor: &Actor, found: &Found, asked: &CallAction) -> Result<Act, Error> {
    use CallActionKind as Kind;
    let tenant = found.tenant;
    let missing = |field| Error::invalid(field, Code::Missing);
    let to = || asked.to.clone().ok_or_else(|| missing("to"));
    Ok(match asked.action {
        Kind::Hangup => Act::HangUp,
        Kind::Hold => Act::Hold,
        Kind::Resume => Act::Resume,
        Kind::Mute => Act::Mute,
        Kind::Unmute => Act::Unmute,
        Kind::Transfer => Act::Send(Place::Number(to()?)),
        Kind::Consult => Act::Consult(to()?),
        Kind::Complete => Act::Complete,
        Kind::Cancel => Act::Cancel,
        Kind::Conference => Act::Join,
        Kind::Park | Kind::PickUp | Kind::Return => Act::Park,
        Kind::Dtmf => Act::Press(asked.digits.clone().ok_or_else(|| missing("digits"))?),
        Kind::Queue => {
            let queue = asked.queue_id.ok_or_else(|| missing("queue_id"))?;
            let number = store::number_of(api.pool(), tenant, queue, "queue").await?.ok_or(Error::NotFound("queue"))?;
            let number = number.and_then(|number| DialNumber::parse(&number).ok());
            Act::Send(Place::Number(number.ok_or_else(|| Error::invalid("queue_id", Code::NotDiallable))?.into()))
        }
        Kind::Voicemail => {
            let own = || found.leg(asked.leg_id, actor.only_own(), actor.person);
            Act::Send(acts::mailbox(found, own, asked.to.as_ref())?)
        }
        Kind::Record => Act::Record,
        Kind::PauseRecording => Act::PauseRecording,
        Kind::ResumeRecording => Act::ResumeRecording,
        Kind::StopRecording => Act::StopRecording,
    })
}

/// Do something to a call that is up
///
/// Returns when the switch shows that it was done. Where a call is sent is a number in the tenant's dialplan, on behalf of the phone that is
/// meant: it may go where that phone may call, and that phone's agent pays. An agent acts on their own calls only. Whoever acts on others' calls
/// is in the audit log.
#[utoipa::path(tag = "live", request_body = CallAction, params(TenantQuery), responses((status = 200, body = CallActionDone), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
#[post("/v1/live/calls/{id}/actions")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn act_on_call(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    request: HttpRequest,
    path: Path<Uuid>,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<Json<CallActionDone>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let asked: CallAction = input::parse(&body)?;
    let (control, live) = (control.into_inner(), live.into_inner());
    let scope = scope(&actor, tenant);
    let names = live.names.of(tenant, live.generations(), api.pool()).await;
    let find = || {
        let found = Found::find(&live, &names, &scope, tenant, *path)?;
        // A parked call is anybody's to pick up.
        let is_free = asked.action == CallActionKind::PickUp && slot(&found).is_some();
        if found.is_of(actor.only_own()) || is_free { Ok(found) } else { Err(Error::from(Code::CallGone)) }
    };
    // Whoever may not act on it takes nobody's turn, and does not learn that somebody else has it.
    find()?;
    // Nobody else acts on it, here and on other nodes. It may have changed until then.
    let _turn = control.turn(tenant, *path)?;
    let work = async {
        let found = find()?;
        if asked.action == CallActionKind::PickUp {
            return Ok(Json(pick_up(&api, &live, &control, &actor, &found, &asked).await?));
        }
        if asked.action == CallActionKind::Return {
            let missing = |field| Error::invalid(field, Code::Missing);
            let person = actor.person.ok_or_else(|| Error::from(Code::CallGone))?;
            let returning = Returning {
                api: &api,
                live: &live,
                control: &control,
                found: &found,
                person,
                sip_call_id: asked.sip_call_id.as_deref().ok_or_else(|| missing("sip_call_id"))?,
                page: asked.contact.as_deref().ok_or_else(|| missing("contact"))?,
                mark: asked.mark.ok_or_else(|| missing("mark"))?,
            };
            returning.bring().await?;
            let call = shown(&found, &live, &actor);
            return Ok(Json(CallActionDone { call, slot: None, job: None }));
        }
        let act = read(&api, &actor, &found, &asked).await?;
        let settings = settings(api.pool(), tenant).await?;
        match &act {
            // Of a transferred call, routing refuses it as well: there is nobody whose phone has dialled it.
            Act::Send(Place::Number(to)) => no_change_of_others(to, &settings, found.domain.clone(), &actor, [None])?,
            Act::Consult(to) => {
                let own = found.leg(asked.leg_id, actor.only_own(), actor.person)?;
                no_change_of_others(to, &settings, found.domain.clone(), &actor, [own.person])?;
                no_way_in(&settings, &actor, &own)?;
            }
            Act::Join => no_way_in(&settings, &actor, &found.leg(asked.leg_id, actor.only_own(), actor.person)?)?,
            _ => {}
        }
        if act == Act::Record {
            may_record(&settings)?;
        }
        let consent_tone = settings.routing.record.consent_tone;
        let codes = settings.routing.codes;
        let acting = Acting {
            api: &api,
            live: &live,
            control: &control,
            found: &found,
            limit: actor.only_own(),
            asker: actor.person,
            leg: asked.leg_id,
            consent_tone,
        };
        let done = Box::pin(acting.act(&act, &codes)).await?;
        if !(actor.person.is_some() && found.is_of(actor.person)) {
            note(&api, &actor, &request, &found, &asked).await?;
        }
        let call = shown(&found, &live, &actor);
        Ok(Json(CallActionDone { call, slot: done.slot, job: None }))
    };
    Box::pin(turn::taking(api.pool(), *path, work)).await
}

/// Whoever has another's phone ask somebody, and then joins all three, is in their call as a supervisor is.
fn no_way_in(settings: &Settings, actor: &Actor, own: &Own) -> Result<(), Error> {
    let is_others = actor.person.is_some() && actor.person != own.person;
    let is_forbidden = settings.calling.supervision == Supervision::Forbidden;
    if is_others && is_forbidden { Err(Error::from(Code::SupervisionForbidden)) } else { Ok(()) }
}

/// Writes down who acted on a call of others.
async fn note(api: &Api, actor: &Actor, request: &HttpRequest, found: &Found, asked: &CallAction) -> Result<(), Error> {
    let mut change = api.changes.begin(actor.author(request)).await?;
    let after = serde_json::json!({ "action": asked.action, "leg_id": asked.leg_id, "to": asked.to });
    let resource = format!("calls/{}", found.call.id);
    let entry = Audit { tenant: Some(found.tenant), action: "act", resource, before: None, after: Some(after) };
    change.audit(entry).await?;
    change.commit_quietly().await
}

/// The call as it is now, for somebody who may see it.
fn shown(found: &Found, live: &Live, actor: &Actor) -> Option<views::Call> {
    let now = found.again(live).filter(|found| found.is_of(actor.only_own()));
    now.map(|found| found.shown(&scope(actor, found.tenant)))
}

/// The slot that a call is parked in.
fn slot(found: &Found) -> Option<String> {
    let known = found.watched.known();
    let in_call = |leg: Uuid| found.call.legs.iter().any(|one| one.id == leg);
    let of_tenant = |lot: &str| lot.split_once('@').is_some_and(|(_, domain)| domain == found.domain.as_str());
    let there = known.state.lots.iter().find(|(lot, _, leg, _)| of_tenant(lot) && in_call(*leg));
    there.map(|(_, slot, ..)| slot.to_owned())
}

/// A phone takes a parked call, as its keys could.
async fn pick_up(
    api: &Api,
    live: &Arc<Live>,
    control: &Arc<Control>,
    actor: &Actor,
    found: &Found,
    asked: &CallAction,
) -> Result<CallActionDone, Error> {
    let slot = slot(found).ok_or_else(|| Error::from(Code::NotParked))?;
    let mut change = api.read(actor).await?;
    let codes = settings(&mut *change, found.tenant).await?.routing.codes;
    let to = DialNumber::parse(&format!("{}{slot}", codes.park)).map_err(|_| Error::from(Code::NotParked))?;
    let phones = phones(actor, &found.names, None, asked.extension_id)?;
    // Each switch has lots of its own, and what is there may be taken also while it drains.
    let phones = (phones, std::slice::from_ref(&found.watched));
    let Prepared { mut job, ready } = prepare(control, live, &mut change, found.tenant, phones, JobKind::Call).await?;
    job.to = Some(to.to_string());
    store::insert(&mut change, &job).await?;
    change.commit().await?;
    jobs::place(control, api, live, ready, &job, Then::Calls { to: to.into(), shows: None, records: None });
    Ok(CallActionDone { call: shown(found, live, actor), slot: Some(slot), job: Some(job) })
}

/// Listen to a call, or talk along
///
/// The supervisor's phone is called, and takes part when it is answered. The answer is a job, whose id is that call's; ending it ends the part.
/// Who did this is in the audit log.
#[utoipa::path(tag = "live", request_body = NewSupervision, params(TenantQuery), responses((status = 201, body = CallJob), (status = 404, body = Problem), (status = 409, body = Problem)))]
#[post("/v1/live/calls/{id}/supervise")]
#[expect(clippy::too_many_arguments, reason = "each is taken from the request")]
pub async fn supervise_call(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    request: ChangeRequest,
    path: Path<Uuid>,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let new: NewSupervision = input::parse(&body)?;
    let names = live.names.of(tenant, live.generations(), api.pool()).await;
    let mut prepared = None;
    let work = async |change: &mut Change| {
        change.hold(tenant).await?;
        let supervision = settings(change.db(), tenant).await?.calling.supervision;
        if supervision == Supervision::Forbidden {
            return Err(Error::from(Code::SupervisionForbidden).into());
        }
        let found = Found::find(&live, &names, &scope(&actor, tenant), tenant, *path)?;
        let leg = found.leg(new.leg_id, None, None)?.leg;
        found::answered(&leg)?;
        let phones = phones(&actor, &found.names, None, new.extension_id)?;
        // The part is taken on the call's own switch.
        let phones = (phones, std::slice::from_ref(&found.watched));
        let mut made = prepare(&control, &live, change.db(), tenant, phones, JobKind::from(new.mode)).await?;
        made.job.call_id = Some(found.call.id);
        store::insert(change.db(), &made.job).await?;
        let action = match new.mode {
            Mode::Listen => "listen",
            Mode::Whisper => "whisper",
            Mode::Barge => "barge",
        };
        let after = serde_json::json!({ "id": made.job.id, "extension_id": made.job.extension_id });
        let resource = format!("calls/{}", found.call.id);
        change.audit(Audit { tenant: Some(tenant), action, resource, before: None, after: Some(after) }).await?;
        let place = actor.place(tenant, &format!("/v1/call-jobs/{}", made.job.id));
        let outcome = Outcome::made_at(&made.job, place);
        prepared = Some((made, leg.id, supervision == Supervision::Announced));
        outcome
    };
    let answer = request.quietly().run(&api, &actor, &body, work).await?;
    if let Some((Prepared { job, ready }, leg, is_announced)) = prepared {
        let (control, live) = (control.into_inner(), live.into_inner());
        let then = Then::Supervises { leg, mode: new.mode, is_announced };
        jobs::place(&control, &api, &live, ready, &job, then);
    }
    Ok(answer)
}
