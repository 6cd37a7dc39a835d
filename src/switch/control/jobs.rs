//! Calls that are made by a click: the phone is called first, and then it calls as if its keys had been pressed, through the same routing and
//! admission.
//!
//! A job has the id of the call that it makes, so that live state, call records and the job speak of the same. The node that places it follows
//! it; whoever asks is told what the job's row says, corrected by live state if that node is gone.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Control,
    command::{Mode, Order, Placing, Then},
    job::{CallJob, JobState},
    line::Untaken,
    store,
    wait::{self, Wait},
};
use crate::{
    model::error::Result,
    switch::live::{
        Live, Watched,
        leg::Phase,
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
            Then::Supervises { leg, mode, is_announced } => {
                Some(Supervised { leg: *leg, mode: *mode, is_to_be_told: *is_announced })
            }
            Then::Calls { .. } => None,
        };
        let (notes, noted) = mpsc::channel(AT_MOST);
        let writes = write(api.clone(), job.clone(), noted);
        let follow = Follow { control, api, live, watched, job, notes };
        let followed = async move {
            let placing = Placing { leg: follow.job.id, user, number, domain, has_several, seconds: RINGS, then };
            let begun = follow.control.begin(&follow.api, &follow.watched, &Order::Place(placing)).await;
            let command = match begun {
                Ok(command) => Some(command),
                Err(Untaken::Refused(_) | Untaken::Away) => {
                    return follow.note(JobState::Ended, Some("SWITCH_AWAY"));
                }
                // It may have been taken: then its events come.
                Err(Untaken::Unanswered) => None,
            };
            let followed = follow.follow(hear, command, supervised);
            let _ = tokio::time::timeout(LONGEST, followed).await;
        };
        tokio::join!(followed, writes);
    });
}

/// What was heard of a job's call.
struct Noted {
    state: JobState,
    cause: Option<String>,
    at: DateTime<Utc>,
}

/// More than a job has states. What is heard several times is noted several times.
const AT_MOST: usize = 64;
/// The pauses between tries to write a job's state grow from this one to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// For how long it is tried. Jobs are kept for a week.
const WRITES: TimeDelta = TimeDelta::days(1);

/// Writes what is heard of a job, in that order and with its time, as soon as the database takes it.
async fn write(api: Api, job: CallJob, mut noted: mpsc::Receiver<Noted>) {
    while let Some(Noted { state, cause, at }) = noted.recv().await {
        let mut pause = FIRST_PAUSE;
        while let Err(error) =
            store::move_on(api.pool(), job.tenant_id, job.id, state, cause.as_deref(), Some(at)).await
        {
            if Utc::now() - at > WRITES {
                tracing::warn!(%error, job = %job.id, "the state of a call could not be kept");
                return;
            }
            tracing::debug!(%error, job = %job.id, "the state of a call can't be kept yet");
            // Not all of them at the same moment.
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The leg that a supervisor takes part in.
struct Supervised {
    leg: Uuid,
    mode: Mode,
    /// Whether both sides are still to be told that, before anybody hears them.
    is_to_be_told: bool,
}

struct Follow {
    control: Arc<Control>,
    api: Api,
    live: Arc<Live>,
    watched: Arc<Watched>,
    job: CallJob,
    notes: mpsc::Sender<Noted>,
}

impl Follow {
    /// Never waits: events would be missed.
    fn note(&self, state: JobState, cause: Option<&str>) {
        let noted = Noted { state, cause: cause.map(ToOwned::to_owned), at: Utc::now() };
        if self.notes.try_send(noted).is_err() {
            tracing::warn!(job = %self.job.id, ?state, "the state of a call could not be kept");
        }
    }

    async fn follow(&self, mut hear: Wait, command: Option<Uuid>, mut supervised: Option<Supervised>) {
        let leg = self.job.id;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.reset();
        let mut is_up = false;
        let mut heard = None;
        loop {
            let said = tokio::select! {
                said = hear.next() => said,
                _ = looks.tick() => {
                    if is_over(&self.live, &self.watched, &self.job) {
                        return self.note(JobState::Ended, None);
                    }
                    // That it waits may not have been heard.
                    if !self.tell(supervised.as_mut().filter(|_| self.waits())).await {
                        return self.note(JobState::Ended, Some("NOT_ANNOUNCED"));
                    }
                    continue;
                }
            };
            let Some(said) = said else { return };
            if let Some(cause) = wait::ended(&said.what, leg) {
                return self.note(JobState::Ended, cause);
            }
            let mut note = |state| {
                // Some things are said again and again. Only the first is news.
                if heard < Some(state) {
                    heard = Some(state);
                    self.note(state, None);
                }
            };
            match &said.what {
                What::Job(of, answer) if Some(*of) == command => {
                    if let Some(cause) = answer.strip_prefix("-ERR") {
                        return self.note(JobState::Ended, Some(cause.trim()));
                    }
                }
                // Once the own phone has answered: another supervisor may listen already.
                What::Tapped(tapped)
                    if is_up
                        && tapped.is_on
                        && tapped.by == Tap::Listener
                        && supervised.as_ref().is_some_and(|supervised| supervised.leg == tapped.leg) =>
                {
                    note(JobState::Answered);
                }
                what => match wait::of(what, leg) {
                    Some(Happened::Created) => note(JobState::RingingAgent),
                    Some(Happened::Answered) => {
                        is_up = true;
                        note(JobState::Ringing);
                    }
                    // Not as soon as it has answered: a leg that is sent elsewhere while `originate` still has it ends with ORIGINATOR_CANCEL.
                    Some(Happened::Parked) => {
                        let is_told = self.tell(supervised.as_mut()).await;
                        if !is_told {
                            return self.note(JobState::Ended, Some("NOT_ANNOUNCED"));
                        }
                    }
                    Some(Happened::Bridged { .. }) => note(JobState::Answered),
                    _ => {}
                },
            }
        }
    }

    /// Whether the own phone waits, as live state has it.
    fn waits(&self) -> bool {
        let known = self.watched.known();
        known.state.calls.leg(self.job.id).is_some_and(|leg| leg.phase == Phase::Parked)
    }

    /// If both sides are to be told that a supervisor will hear them: tells them, and then has the supervisor's phone, which waits, take part.
    /// If either can't be, the supervisor has to leave: `false`.
    async fn tell(&self, supervised: Option<&mut Supervised>) -> bool {
        let Some(supervised) = supervised.filter(|supervised| supervised.is_to_be_told) else { return true };
        supervised.is_to_be_told = false;
        let Supervised { leg: watched, mode, .. } = *supervised;
        let leg = self.job.id;
        let told = async {
            self.control.tell(&self.api, &self.watched, &Order::Announce(watched)).await?;
            self.control.tell(&self.api, &self.watched, &Order::TakePart { leg, watched, mode }).await
        };
        let is_told = told.await.is_ok();
        if !is_told {
            let _ = self.control.tell(&self.api, &self.watched, &Order::HangUp(leg)).await;
        }
        is_told
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
        store::move_on(api.pool(), job.tenant_id, job.id, JobState::Ended, None, None).await?;
        job = store::get(api.pool(), Some(job.tenant_id), job.id, None).await?.unwrap_or(job);
    }
    Ok(job)
}
