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
}

/// Finds a phone of one of these extensions that is registered, and its switch: of several, the one with the fewest calls.
pub fn ready<'e>(
    live: &Live,
    tenant: Uuid,
    domain: &Domain,
    drained: &[Uuid],
    extensions: impl Iterator<Item = &'e Extension>,
) -> Result<Ready> {
    let scope = Scope { tenant: Some(tenant), ..Scope::default() };
    let mut switches = scope.switches(live);
    switches.retain(|watched| watched.known().unknown_since.is_none() && !drained.contains(&watched.switch));
    if switches.is_empty() {
        return Err(Code::NoSwitchForCall.into());
    }
    let slot = live.generations().scope(tenant);
    let domains = slot.iter().flat_map(|slot| slot.former.domains.iter()).chain([domain]).collect::<Vec<_>>();
    switches.sort_by_key(|watched| watched.known().state.calls.ids().count());
    let mut named = None;
    for extension in extensions {
        named.get_or_insert(&extension.number);
        for watched in &switches {
            let known = watched.known();
            let is_there =
                |domain: &&Domain| !known.state.registrations.of(&extension.sip_username, domain.as_str()).is_empty();
            if domains.iter().any(is_there) {
                drop(known);
                let (watched, extension) = (Arc::clone(watched), extension.clone());
                return Ok(Ready { watched, extension, domain: domain.clone() });
            }
        }
    }
    Err(named
        .map_or_else(|| Code::WhichPhone.into(), |number| Code::NoPhoneRegistered.with("extension", number).into()))
}

/// Has the phone called, and follows what becomes of it.
pub fn place(control: &Arc<Control>, api: &Api, live: &Arc<Live>, ready: Ready, job: &CallJob, then: Then) {
    let (control, api, live) = (Arc::clone(control), api.clone(), Arc::clone(live));
    let Ready { watched, extension, domain } = ready;
    let parsed = (SipUsername::parse(&extension.sip_username), ExtensionNumber::parse(&extension.number));
    let (Ok(user), Ok(number)) = parsed else { return };
    let job = job.clone();
    let hear = Wait::new(&watched);
    tokio::spawn(async move {
        let follow = Follow { api, live, watched, job };
        let supervised = match &then {
            Then::Supervises { leg, .. } => Some(*leg),
            Then::Calls { .. } => None,
        };
        let placing = Placing { leg: follow.job.id, user, number, domain, seconds: RINGS, then };
        let begun = control.begin(&follow.api, &follow.watched, &Order::Place(placing)).await;
        match begun {
            Ok(command) => {
                let followed = follow.follow(hear, command, supervised);
                let _ = tokio::time::timeout(LONGEST, followed).await;
            }
            Err(Untaken::Refused(_) | Untaken::Away) => follow.note(JobState::Ended, Some("SWITCH_AWAY")).await,
            // It may have been taken: then live state has it.
            Err(Untaken::Unanswered) => {}
        }
    });
}

struct Follow {
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

    async fn follow(&self, mut hear: Wait, command: Uuid, supervised: Option<Uuid>) {
        let leg = self.job.id;
        loop {
            let Ok(said) = tokio::time::timeout(LOOK_EVERY, hear.next()).await else {
                if is_over(&self.live, &self.watched, &self.job) {
                    return self.note(JobState::Ended, None).await;
                }
                continue;
            };
            let Some(said) = said else { return };
            if let Some(cause) = wait::ended(&said.what, leg) {
                return self.note(JobState::Ended, cause).await;
            }
            match &said.what {
                What::Job(of, answer) if *of == command => {
                    if let Some(cause) = answer.strip_prefix("-ERR") {
                        return self.note(JobState::Ended, Some(cause.trim())).await;
                    }
                }
                What::Tapped(tapped)
                    if tapped.is_on && tapped.by == Tap::Listener && Some(tapped.leg) == supervised =>
                {
                    self.note(JobState::Answered, None).await;
                }
                what => match wait::of(what, leg) {
                    Some(Happened::Created) => self.note(JobState::RingingAgent, None).await,
                    Some(Happened::Answered) => self.note(JobState::Ringing, None).await,
                    Some(Happened::Bridged { .. }) => self.note(JobState::Answered, None).await,
                    _ => {}
                },
            }
        }
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
