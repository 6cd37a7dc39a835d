//! `/v1/calls`, `/v1/call-jobs` and `/v1/live/calls/{id}/actions`: calls that are made, and what is done to them.

use std::sync::Arc;

use actix_web::{
    HttpResponse, get, post,
    web::{Bytes, Data, Json, Path, Query},
};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Control,
    acts::{self, Act, Acting},
    command::{Mode, Order, Place, Then},
    found::{self, Found},
    job::{CallJob, JobKind, JobState},
    jobs, store,
};
use crate::{
    http::{
        change::{ChangeRequest, Outcome},
        input,
        problem::Problem,
    },
    model::{
        error::Error,
        settings::{Settings, Supervision},
    },
    node::changes::{Audit, Change},
    switch::live::{Live, names::Extension, show::Scope, views},
    tenancy::{Api, TenantQuery, auth::actor::Actor, switches, tenants},
    text::{Code, DialNumber, E164, Keys},
};

/// A call to be made: a phone is called first, and then it calls.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCall {
    /// The agent whose phone is called first; the signed-in person if neither this nor `extension_id` is given.
    pub agent_id: Option<Uuid>,
    /// The extension whose phone is called first.
    pub extension_id: Option<Uuid>,
    /// What is called then, as it would be dialled at the phone: a number inside or outside, or a feature code.
    pub to: DialNumber,
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
}

/// Something that is done to a call.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallAction {
    /// What is done.
    pub action: CallActionKind,
    /// The leg of the phone that is meant. If absent, the asker's own, or else the first phone's of the tenant.
    pub leg_id: Option<Uuid>,
    /// Where to, as it would be dialled at the phone.
    pub to: Option<DialNumber>,
    /// The keys that are pressed.
    pub digits: Option<Keys>,
    /// The queue.
    pub queue_id: Option<Uuid>,
    /// The extension whose phone picks up.
    pub extension_id: Option<Uuid>,
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
    /// The call as it is now; `null` if it is over.
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

pub(super) async fn settings(api: &Api, tenant: Uuid) -> Result<Settings, Error> {
    let known = tenants::store::settings(api.pool(), tenant).await?;
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

pub(super) async fn prepare(
    control: &Control,
    live: &Live,
    api: &Api,
    tenant: Uuid,
    phones: Vec<&Extension>,
    kind: JobKind,
) -> Result<Prepared, Error> {
    let domain = found::domain(live, tenant)?;
    let drained = switches::store::draining(api.pool()).await?;
    let ready = jobs::ready(live, tenant, &domain, &drained, phones.into_iter())?;
    if store::placed_by(api.pool(), tenant).await? >= jobs::OF_TENANT || !control.count(ready.watched.switch) {
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
    let mut prepared = None;
    let work = async |change: &mut Change| {
        let phones = phones(&actor, &names, new.agent_id, new.extension_id)?;
        if let Some(number) = &new.show {
            let agent = phones.first().and_then(|phone| phone.user);
            if !store::is_number_of(change.db(), tenant, agent, number.as_str()).await? {
                return Err(Error::invalid("show", Code::NotANumberToShow).into());
            }
        }
        let mut made = prepare(&control, &live, &api, tenant, phones, JobKind::Call).await?;
        made.job.to = Some(new.to.to_string());
        store::insert(change.db(), &made.job).await?;
        let outcome = Outcome::made(&made.job);
        prepared = Some(made);
        outcome
    };
    let answer = request.quietly().run(&api, &actor, &body, work).await?;
    // The same request again makes no second call.
    if let Some(Prepared { job, ready }) = prepared {
        let then = Then::Calls { to: new.to, shows: new.show, records: new.record };
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

async fn read(api: &Api, tenant: Uuid, found: &Found, asked: &CallAction) -> Result<Act, Error> {
    use CallActionKind as Kind;
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
        Kind::Park | Kind::PickUp => Act::Park,
        Kind::Dtmf => Act::Press(asked.digits.clone().ok_or_else(|| missing("digits"))?),
        Kind::Queue => {
            let queue = asked.queue_id.ok_or_else(|| missing("queue_id"))?;
            let number = store::number_of(api.pool(), tenant, queue, "queue").await?.ok_or(Error::NotFound("queue"))?;
            let number = number.and_then(|number| DialNumber::parse(&number).ok());
            Act::Send(Place::Number(number.ok_or_else(|| Error::invalid("queue_id", Code::NotDiallable))?))
        }
        Kind::Voicemail => Act::Send(acts::mailbox(found, || found.leg(asked.leg_id, None, None), asked.to.as_ref())?),
        Kind::Record => Act::Record,
        Kind::PauseRecording => Act::PauseRecording,
        Kind::ResumeRecording => Act::ResumeRecording,
        Kind::StopRecording => Act::StopRecording,
    })
}

/// Do something to a call that is up
///
/// Returns when the switch shows that it was done. Where a call is sent is a number in the tenant's dialplan, on behalf of the phone that is
/// meant: it may go where that phone may call, and that phone's agent pays. An agent acts on their own calls only.
#[utoipa::path(tag = "live", request_body = CallAction, params(TenantQuery), responses((status = 200, body = CallActionDone), (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
#[post("/v1/live/calls/{id}/actions")]
pub async fn act_on_call(
    api: Data<Api>,
    live: Data<Live>,
    control: Data<Control>,
    actor: Actor,
    path: Path<Uuid>,
    tenant: Query<TenantQuery>,
    body: Bytes,
) -> Result<Json<CallActionDone>, Problem> {
    let tenant = actor.tenant_or(tenant.tenant_id)?;
    let asked: CallAction = input::parse(&body)?;
    let (control, live) = (control.into_inner(), live.into_inner());
    let scope = scope(&actor, tenant);
    // Nobody else acts on it, here and on other nodes.
    let _turn = control.turn(tenant, *path)?;
    let mut turns = api.read(&actor).await?;
    if !store::take_turn(&mut *turns, *path).await? {
        return Err(Error::from(Code::ActedOn).into());
    }
    let found = Found::find(&api, &live, &scope, tenant, *path).await?;
    if asked.action == CallActionKind::PickUp {
        return Ok(Json(pick_up(&api, &live, &control, &actor, &found, &asked).await?));
    }
    if !found.is_of(actor.only_own()) {
        return Err(Error::from(Code::CallGone).into());
    }
    let act = read(&api, tenant, &found, &asked).await?;
    let codes = settings(&api, tenant).await?.routing.codes;
    let acting = Acting {
        api: &api,
        live: &live,
        control: &control,
        found: &found,
        limit: actor.only_own(),
        asker: actor.person,
        leg: asked.leg_id,
    };
    let done = acting.act(&act, &codes).await?;
    let call = found.again(&live).map(|found| found.shown(&scope));
    Ok(Json(CallActionDone { call, slot: done.slot, job: None }))
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
    let slot = {
        let known = found.watched.known();
        let in_call = |leg: Uuid| found.call.legs.iter().any(|one| one.id == leg);
        known.state.lots.iter().find(|(_, _, leg, _)| in_call(*leg)).map(|(_, slot, ..)| slot.to_owned())
    };
    let slot = slot.ok_or_else(|| Error::from(Code::NotParked))?;
    let codes = settings(api, found.tenant).await?.routing.codes;
    let to = DialNumber::parse(&format!("{}{slot}", codes.park)).map_err(|_| Error::from(Code::NotParked))?;
    let phones = phones(actor, &found.names, None, asked.extension_id)?;
    let Prepared { mut job, ready } = prepare(control, live, api, found.tenant, phones, JobKind::Call).await?;
    job.to = Some(to.to_string());
    let mut change = api.read(actor).await?;
    store::insert(&mut change, &job).await?;
    change.commit().await?;
    jobs::place(control, api, live, ready, &job, Then::Calls { to, shows: None, records: false });
    let call = found.again(live).map(|found| found.shown(&scope(actor, found.tenant)));
    Ok(CallActionDone { call, slot: Some(slot), job: Some(job) })
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
    let mut prepared = None;
    let work = async |change: &mut Change| {
        change.hold(tenant).await?;
        let supervision = settings(&api, tenant).await?.calling.supervision;
        if supervision == Supervision::Forbidden {
            return Err(Error::from(Code::SupervisionForbidden).into());
        }
        let found = Found::find(&api, &live, &scope(&actor, tenant), tenant, *path).await?;
        let leg = found.leg(new.leg_id, None, None)?.leg;
        found::answered(&leg)?;
        let phones = phones(&actor, &found.names, None, new.extension_id)?;
        let mut made = prepare(&control, &live, &api, tenant, phones, JobKind::from(new.mode)).await?;
        // The part is taken on the call's own switch.
        if made.ready.watched.switch != found.watched.switch {
            return Err(Code::NoPhoneRegistered.with("extension", made.ready.extension.number.clone()).into());
        }
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
        let outcome = Outcome::made(&made.job);
        prepared = Some((made, leg.id, supervision == Supervision::Announced));
        outcome
    };
    let answer = request.quietly().run(&api, &actor, &body, work).await?;
    if let Some((Prepared { job, ready }, leg, is_announced)) = prepared {
        let (control, live) = (control.into_inner(), live.into_inner());
        if is_announced {
            control.tell(&api, &ready.watched, &Order::Announce(leg)).await?;
        }
        jobs::place(&control, &api, &live, ready, &job, Then::Supervises { leg, mode: new.mode });
    }
    Ok(answer)
}
