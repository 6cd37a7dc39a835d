//! Calls of sandboxes, which are played: routing decides who would be rung, and what happens then is what somebody asked for. Every node plays
//! them ([`player`]), as if it heard a switch; at their end, records are kept as those of a switch are.

pub mod acts;
pub mod api;
pub mod play;
pub mod player;
mod replay;
mod store;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use self::play::{Phone, Play, Side};
use crate::{
    http::left::{self, Left},
    model::{
        destination::{Target, TargetKind},
        error::{Error, Result},
    },
    switch::{
        live::names::{Extension, Names},
        simulate::{
            self,
            explain::{self, End, Question},
        },
    },
    telephony::{destinations, history::Direction},
    tenancy::tenants,
    text::{Code, E164, SipUsername},
};

/// How many calls of a tenant are played in a minute.
pub const MOST_IN_A_MINUTE: i64 = 60;
/// The longest that phones ring, and that somebody talks, in seconds.
const LONGEST_RING: u32 = 120;
const LONGEST_TALK: u32 = 3600;
/// How many phones ring at once.
const MOST_RUNG: usize = 20;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SandboxOutcome)]
pub enum Outcome {
    Answered,
    Busy,
    /// The phones ring, and nobody answers. In a queue, the caller gives up.
    NoAnswer,
    Declined,
    /// No phone is registered.
    Unreachable,
    /// The network fails.
    Failed,
    /// Nobody answers, and the caller leaves a message.
    Voicemail,
}

impl Outcome {
    /// Why a leg ends that nobody answered (names in CAUSE_CHART of switch_channel.c).
    fn cause(self) -> &'static str {
        match self {
            Self::Answered => "NORMAL_CLEARING",
            Self::Busy => "USER_BUSY",
            Self::NoAnswer | Self::Voicemail => "NO_ANSWER",
            Self::Declined => "CALL_REJECTED",
            Self::Unreachable => "USER_NOT_REGISTERED",
            Self::Failed => "NORMAL_TEMPORARY_FAILURE",
        }
    }
}

/// A call to play.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSandboxCall {
    /// `inbound`: somebody outside calls one of the tenant's phone numbers. `outbound` and `internal`: an extension calls.
    pub direction: Direction,
    /// Who calls: the number outside, absent if it is withheld; or an extension's number, alias or SIP username.
    pub from: Option<String>,
    /// What is dialled: the tenant's phone number, or what somebody dials at the extension. Absent with `queue_id`, or with `agent_id`,
    /// whose first extension is called then.
    pub to: Option<String>,
    /// What becomes of it, if routing does not refuse it.
    pub outcome: Outcome,
    /// How long it rings, 0 to 120; 3 if absent.
    pub ring_seconds: Option<u32>,
    /// How long somebody talks, or leaves a message, 0 to 3600; 5 if absent.
    pub talk_seconds: Option<u32>,
    /// The agent who answers, among those who are rung; the first one if absent.
    pub agent_id: Option<Uuid>,
    /// The queue that is called, instead of `to`.
    pub queue_id: Option<Uuid>,
}

/// A call that is played.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SandboxCall {
    /// The id of the call, also in events, and in `/v1/calls` when it is over.
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Which way it goes.
    pub direction: Direction,
    /// The number that the caller shows; `null` if it is withheld.
    pub from: Option<String>,
    /// What was dialled.
    pub to: String,
    /// What becomes of it. If routing refuses it, that comes first: `cause` says so.
    pub outcome: Outcome,
    /// Where routing sends it, in one word, as `POST /v1/routes/explain` says.
    pub route: String,
    /// The numbers of the extensions that ring.
    pub rings: Vec<String>,
    /// The number of the extension, or the number outside, that answers.
    pub answered_by: Option<String>,
    /// The queue that it waits in.
    pub queue_id: Option<Uuid>,
    /// Why it ends, such as `NORMAL_CLEARING`.
    pub cause: String,
    /// When it begins.
    pub began_at: DateTime<Utc>,
    /// When it is over.
    pub ends_at: DateTime<Utc>,
    /// Whether it is over, and its records are kept: in a moment, it is in `/v1/calls`.
    pub over: bool,
}

impl SandboxCall {
    #[must_use]
    pub fn of(play: &Play, over: bool) -> Self {
        let time = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap_or_default();
        Self {
            id: play.id(),
            tenant_id: play.tenant,
            direction: play.direction,
            from: play.caller.number().map(ToOwned::to_owned),
            to: play.dialled.clone(),
            outcome: play.outcome,
            route: play.route.clone(),
            rings: play.rung.iter().filter_map(|side| side.phone.as_ref()).map(|phone| phone.number.clone()).collect(),
            answered_by: play.taker().and_then(Side::number).map(ToOwned::to_owned),
            queue_id: play.queue,
            cause: play.cause.clone(),
            began_at: time(play.began),
            ends_at: time(play.ends()),
            over,
        }
    }
}

fn bounded(field: &'static str, asked: Option<u32>, usual: u32, most: u32) -> Result<i64> {
    let seconds = asked.unwrap_or(usual);
    if seconds > most {
        return Err(Error::invalid(field, Code::range(0, i64::from(most))));
    }
    Ok(i64::from(seconds) * 1000)
}

fn phone(extension: &Extension) -> Phone {
    Phone {
        extension: extension.id,
        agent: extension.user,
        user: extension.sip_username.clone(),
        number: extension.number.clone(),
        name: extension.name.clone(),
    }
}

/// What a call of a sandbox will be. It reads as the platform, as fetches do. `names`: the tenant's.
pub async fn prepare(db: &mut PgConnection, names: &Arc<Names>, tenant: Uuid, new: &NewSandboxCall) -> Result<Play> {
    let home = tenants::store::get(&mut *db, tenant).await?.ok_or(Error::NotFound("tenant"))?;
    if !home.sandbox {
        return Err(Code::NotASandbox.into());
    }
    let ring_ms = bounded("ring_seconds", new.ring_seconds, 3, LONGEST_RING)?;
    let talk_ms = bounded("talk_seconds", new.talk_seconds, 5, LONGEST_TALK)?;
    let caller = caller(&mut *db, names, tenant, new).await?;
    let (to, arrives) = callee(&mut *db, names, tenant, new).await?;
    let username = caller.phone.as_ref().and_then(|phone| SipUsername::parse(&phone.user).ok());
    let question = Question {
        tenant,
        number: &to,
        caller: username.as_ref(),
        caller_number: caller.number(),
        at: jiff::Timestamp::now(),
    };
    let (explained, end) =
        explain::follow(&mut *db, &question, arrives.as_ref()).await?.ok_or(Error::NotFound("tenant"))?;
    let mut play = Play {
        tenant,
        domain: home.domain.to_string(),
        direction: new.direction,
        outcome: new.outcome,
        route: explained.result,
        began: Utc::now().timestamp_millis(),
        ring_ms,
        talk_ms,
        caller,
        dialled: arrives.map_or(to, |number| number.to_string()),
        rung: Vec::new(),
        taken_by: None,
        plays_itself: false,
        mailbox: None,
        queue: end.queue,
        cause: new.outcome.cause().to_owned(),
        refusal: end.refusal,
        acts: Vec::new(),
    };
    if let Some(refusal) = end.refusal {
        (play.ring_ms, play.talk_ms) = (0, 0);
        refusal.cause().clone_into(&mut play.cause);
    } else {
        ring(names, &mut play, end, new)?;
    }
    Ok(play)
}

/// Begins to play a call, unless the tenant plays too many.
pub async fn begin(db: &mut PgConnection, play: &Play) -> Result<SandboxCall> {
    let (count, seconds) = store::begun_lately(&mut *db, play.tenant).await?;
    let (left, reset) = (MOST_IN_A_MINUTE - count - 1, Some(seconds.max(1)));
    left::note(Left { policy: "sandbox-calls", quota: MOST_IN_A_MINUTE, window: Some(60), left, reset });
    if count >= MOST_IN_A_MINUTE {
        return Err(Code::TooManyPlayed.with("most", MOST_IN_A_MINUTE).with("seconds", seconds.max(1)).into());
    }
    store::insert(db, play).await?;
    Ok(SandboxCall::of(play, false))
}

/// Who calls.
async fn caller(db: &mut PgConnection, names: &Names, tenant: Uuid, new: &NewSandboxCall) -> Result<Side> {
    let leg = Uuid::now_v7();
    if new.direction == Direction::Inbound {
        let read = |number: &String| {
            E164::from_dialled(number).ok_or_else(|| Error::invalid("from", Code::NotATelephoneNumber))
        };
        let number = new.from.as_ref().map(read).transpose()?;
        return Ok(Side { leg, phone: None, number: number.map(|number| number.to_string()) });
    }
    let name = new.from.as_ref().ok_or_else(|| Error::invalid("from", Code::Missing))?;
    let username = simulate::caller(db, tenant, name).await?;
    let username = username.ok_or_else(|| Error::invalid("from", Code::NoSuchCaller.with("caller", name)))?;
    let extension = names.of_phone(username.as_str()).ok_or(Error::NotFound("extension"))?;
    Ok(Side { leg, phone: Some(phone(extension)), number: None })
}

/// What is dialled, or the phone number that is called from outside.
async fn callee(
    db: &mut PgConnection,
    names: &Names,
    tenant: Uuid,
    new: &NewSandboxCall,
) -> Result<(String, Option<E164>)> {
    let to = match (&new.to, new.queue_id, new.agent_id) {
        (Some(to), ..) => to.trim().to_owned(),
        (None, Some(id), _) => {
            let target = Target { kind: TargetKind::Queue, id };
            let name = destinations::store::dialled_name(db, tenant, target).await?;
            return Ok((name.ok_or(Error::NotFound("queue"))?, None));
        }
        (None, None, Some(agent)) => {
            let first = names.of_person(agent).next().ok_or(Error::NotFound("agent"))?;
            return Ok((first.number.clone(), None));
        }
        (None, None, None) => return Err(Error::invalid("to", Code::Missing)),
    };
    if to.is_empty() || to.len() > 64 {
        return Err(Error::invalid("to", Code::NotDiallable));
    }
    if new.direction != Direction::Inbound {
        return Ok((to, None));
    }
    let number = E164::from_dialled(&to).ok_or_else(|| Error::invalid("to", Code::NotATelephoneNumber))?;
    Ok((to, Some(number)))
}

/// Who is rung, and who answers.
fn ring(names: &Names, play: &mut Play, end: End, new: &NewSandboxCall) -> Result<()> {
    let rung = match end.queue {
        Some(queue) => names.serving(queue).into_iter().map(phone).collect::<Vec<_>>(),
        None => end.rings.iter().filter_map(|name| names.of_phone(name.as_str())).map(phone).collect(),
    };
    let side = |phone| Side { leg: Uuid::now_v7(), phone: Some(phone), number: None };
    play.rung = rung.into_iter().take(MOST_RUNG).map(side).collect();
    if let Some(number) = end.outside {
        play.rung = vec![Side { leg: Uuid::now_v7(), phone: None, number: Some(number) }];
    }
    let wrong = || Error::invalid("outcome", Code::RingsNobody.with("route", &play.route));
    match new.outcome {
        Outcome::Voicemail => play.mailbox = Some(end.mailbox.ok_or_else(wrong)?),
        // A menu or an announcement answers, and a message is left where only a mailbox is.
        Outcome::Answered if play.rung.is_empty() && end.queue.is_none() => {
            (play.plays_itself, play.mailbox) = (true, end.mailbox);
        }
        Outcome::Answered => {
            let is_asked = |side: &Side| {
                new.agent_id.is_none() || side.phone.as_ref().is_some_and(|phone| phone.agent == new.agent_id)
            };
            let taken = play.rung.iter().position(is_asked);
            if taken.is_none() {
                let is_empty = play.rung.is_empty();
                return Err(if is_empty { wrong() } else { Error::invalid("agent_id", Code::NotRung) });
            }
            play.taken_by = taken;
            // One agent of a queue is rung, unless all are.
            if end.queue.is_some() {
                play.rung = taken.and_then(|at| play.rung.get(at)).cloned().into_iter().collect();
                play.taken_by = Some(0);
            }
        }
        _ if play.rung.is_empty() && end.queue.is_none() => return Err(wrong()),
        _ => {}
    }
    if play.taken_by.is_none() && !play.plays_itself && play.mailbox.is_none() {
        play.talk_ms = 0;
    }
    Ok(())
}
