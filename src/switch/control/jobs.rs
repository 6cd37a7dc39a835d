//! Calls that are made by a click: the phone is called first, and then it calls as if its keys had been pressed, through the same routing and
//! admission.
//!
//! A job has the id of the call that it makes, so that live state, call records and the job speak of the same. The node that places it follows
//! it; whoever asks is told what the job's row says, corrected by live state if that node is gone.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use super::{
    Control,
    command::{Order, Placing, Then},
    job::{CallJob, JobState},
    line::Untaken,
    store,
    wait::{self, Wait},
};
use crate::{
    model::error::Result,
    switch::live::{
        Live, Watched,
        names::Extension,
        said::{Happened, Tap, What},
        show::Scope,
    },
    tenancy::Api,
    text::{Code, Domain, ExtensionNumber, SipUsername},
};

/// For how long the phone rings that is called first.
pub const RINGS: u16 = 30;
/// How many calls a tenant begins in a second.
pub const OF_TENANT: i64 = 10;
/// A job whose call is nowhere after this time is over.
const LOST: TimeDelta = TimeDelta::seconds(15);
/// How often it is looked whether a call is still there.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The longest that a call is followed.
const LONGEST: Duration = Duration::from_hours(24);

/// A switch that can make a call, and the phone that rings first.
pub struct Ready {
    pub watched: Arc<Watched>,
    pub extension: Extension,
    pub domain: Domain,
    /// Whether it has several devices there.
    pub has_several: bool,
}

/// The tenant's switches that can make a call: those that are heard and don't drain, the one with the fewest calls first.
pub fn switches(live: &Live, tenant: Uuid, drained: &[Uuid]) -> Result<Vec<Arc<Watched>>> {
    let scope = Scope { tenant: Some(tenant), ..Scope::default() };
    let mut switches = scope.switches(live);
    switches.retain(|watched| watched.known().unknown_since.is_none() && !drained.contains(&watched.switch));
    if switches.is_empty() {
        return Err(Code::NoSwitchForCall.into());
    }
    switches.sort_by_key(|watched| watched.known().state.calls.ids().count());
    Ok(switches)
}

/// Finds a phone of one of these extensions that is registered, and its switch: the first of these that has one.
pub fn ready<'e>(
    live: &Live,
    tenant: Uuid,
    domain: &Domain,
    switches: &[Arc<Watched>],
    extensions: impl Iterator<Item = &'e Extension>,
) -> Result<Ready> {
    let slot = live.generations().scope(tenant);
    let domains = slot.iter().flat_map(|slot| slot.former.domains.iter()).chain([domain]).collect::<Vec<_>>();
    let mut named = None;
    for extension in extensions {
        named.get_or_insert(&extension.number);
        for watched in switches {
            let known = watched.known();
            let at = |domain: &&Domain| known.state.registrations.of(&extension.sip_username, domain.as_str()).len();
            let devices = domains.iter().map(at).sum::<usize>();
            if devices > 0 {
                drop(known);
                let (watched, extension) = (Arc::clone(watched), extension.clone());
                return Ok(Ready { watched, extension, domain: domain.clone(), has_several: devices > 1 });
            }
        }
    }
    Err(named
        .map_or_else(|| Code::WhichPhone.into(), |number| Code::NoPhoneRegistered.with("extension", number).into()))
}

/// Has the phone called, and follows what becomes of it.
pub fn place(control: &Arc<Control>, api: &Api, live: &Arc<Live>, ready: Ready, job: &CallJob, then: Then) {
    let (control, api, live) = (Arc::clone(control), api.clone(), Arc::clone(live));
    let Ready { watched, extension, domain, has_several } = ready;
    let parsed = (SipUsername::parse(&extension.sip_username), ExtensionNumber::parse(&extension.number));
    let (Ok(user), Ok(number)) = parsed else { return };
    let job = job.clone();
    let hear = Wait::new(&watched);
    tokio::spawn(async move {
        let supervised = match &then {
            Then::Supervises { leg, is_announced, .. } => Some(Supervised { leg: *leg, is_announced: *is_announced }),
            Then::Calls { .. } => None,
        };
        let follow = Follow { control, api, live, watched, job };
        let placing = Placing { leg: follow.job.id, user, number, domain, has_several, seconds: RINGS, then };
        let begun = follow.control.begin(&follow.api, &follow.watched, &Order::Place(placing)).await;
        let command = match begun {
            Ok(command) => Some(command),
            Err(Untaken::Refused(_) | Untaken::Away) => {
                return follow.note(JobState::Ended, Some("SWITCH_AWAY")).await;
            }
            // It may have been taken: then its events come.
            Err(Untaken::Unanswered) => None,
        };
        let followed = follow.follow(hear, command, supervised);
        let _ = tokio::time::timeout(LONGEST, followed).await;
    });
}

/// The leg that a supervisor takes part in.
struct Supervised {
    leg: Uuid,
    /// Whether both sides are to hear that.
    is_announced: bool,
}

struct Follow {
    control: Arc<Control>,
    api: Api,
    live: Arc<Live>,
    watched: Arc<Watched>,
    job: CallJob,
}

impl Follow {
    async fn note(&self, state: JobState, cause: Option<&str>) {
        let noted = store::move_on(self.api.pool(), self.job.tenant_id, self.job.id, state, cause).await;
        if let Err(error) = noted {
            tracing::debug!(%error, job = %self.job.id, "the state of a call could not be kept");
        }
    }

    async fn follow(&self, mut hear: Wait, command: Option<Uuid>, supervised: Option<Supervised>) {
        let leg = self.job.id;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.reset();
        let mut is_up = false;
        loop {
            let said = tokio::select! {
                said = hear.next() => said,
                _ = looks.tick() => {
                    if is_over(&self.live, &self.watched, &self.job) {
                        return self.note(JobState::Ended, None).await;
                    }
                    continue;
                }
            };
            let Some(said) = said else { return };
            if let Some(cause) = wait::ended(&said.what, leg) {
                return self.note(JobState::Ended, cause).await;
            }
            match &said.what {
                What::Job(of, answer) if Some(*of) == command => {
                    if let Some(cause) = answer.strip_prefix("-ERR") {
                        return self.note(JobState::Ended, Some(cause.trim())).await;
                    }
                }
                // Once the own phone has answered: another supervisor may listen already.
                What::Tapped(tapped)
                    if is_up
                        && tapped.is_on
                        && tapped.by == Tap::Listener
                        && supervised.as_ref().is_some_and(|supervised| supervised.leg == tapped.leg) =>
                {
                    self.note(JobState::Answered, None).await;
                }
                what => match wait::of(what, leg) {
                    Some(Happened::Created) => self.note(JobState::RingingAgent, None).await,
                    Some(Happened::Answered) => {
                        is_up = true;
                        if !self.announce(supervised.as_ref()).await {
                            return self.note(JobState::Ended, Some("NOT_ANNOUNCED")).await;
                        }
                        self.note(JobState::Ringing, None).await;
                    }
                    Some(Happened::Bridged { .. }) => self.note(JobState::Answered, None).await,
                    _ => {}
                },
            }
        }
    }

    /// Has both sides hear that a supervisor is there, if the tenant wants that. If it can't be, the supervisor has to leave: `false`.
    async fn announce(&self, supervised: Option<&Supervised>) -> bool {
        let Some(Supervised { leg, .. }) = supervised.filter(|supervised| supervised.is_announced) else { return true };
        let announced = self.control.tell(&self.api, &self.watched, &Order::Announce(*leg)).await;
        if announced.is_err() {
            let _ = self.control.tell(&self.api, &self.watched, &Order::HangUp(self.job.id)).await;
        }
        announced.is_ok()
    }
}

/// Whether a job's call is nowhere although its switch is heard.
fn is_over(live: &Live, watched: &Watched, job: &CallJob) -> bool {
    // The time is the database's, which may be a little different.
    if Utc::now() - job.created_at < LOST || live.generations().scope(job.tenant_id).is_none() {
        return false;
    }
    let known = watched.known();
    known.unknown_since.is_none() && known.state.calls.leg(job.id).is_none()
}

/// A job as it is now. If the node that followed it is gone, live state says whether it is over.
pub async fn now(api: &Api, live: &Live, mut job: CallJob) -> Result<CallJob> {
    if job.state == JobState::Ended {
        return Ok(job);
    }
    let watched = live.switches().into_iter().find(|watched| watched.switch == job.switch_id);
    if watched.is_none_or(|watched| is_over(live, &watched, &job)) {
        store::move_on(api.pool(), job.tenant_id, job.id, JobState::Ended, None).await?;
        job = store::get(api.pool(), Some(job.tenant_id), job.id, None).await?.unwrap_or(job);
    }
    Ok(job)
}
