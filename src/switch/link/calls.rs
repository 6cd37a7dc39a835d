//! The calls that a switch has, against those that it should have: legs over carriers get more time or none, and calls that are gone
//! free their lines, whether or not their records come.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    VisitError,
    socket::{Talk, Unanswered},
};
use crate::{
    node::changes::Changes,
    routing::carried::{self, Mark},
    telephony::calls::{
        legs::{self, Renewed, Up},
        legs_store, store,
    },
};

/// A call that was admitted this many seconds ago is in the switch's list, or is gone: the list is written a moment later
/// (`core_event_handler` in switch_core_sqldb.c).
const LISTED_AFTER: i64 = 5;

/// A channel, as `show channels as json` lists it.
#[derive(Deserialize)]
struct Listed {
    uuid: Uuid,
    #[serde(default)]
    callstate: String,
    #[serde(default)]
    presence_data: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    rows: Vec<Listed>,
}

/// Compares a switch's calls with what is known of them.
pub(super) async fn watch(changes: &Changes, talk: &Talk, switch: Uuid) -> Result<(), VisitError> {
    let pool = changes.pool();
    let (open, known) = (legs_store::open(pool, switch).await?, legs_store::up(pool, switch).await?);
    if open.is_empty() && known.is_empty() {
        return Ok(());
    }
    let list = match serde_json::from_str::<List>(&talk.ask("show channels as json").await?) {
        Ok(list) => list.rows,
        Err(error) => {
            tracing::warn!(%switch, %error, "a switch's list of channels can't be read, so its calls are not watched");
            return Ok(());
        }
    };
    let marks = list.iter().filter_map(|channel| Some((channel, Mark::read(&channel.presence_data)?)));
    let mut known = known.into_iter().map(|leg| (leg.leg, leg)).collect::<HashMap<_, _>>();
    let (mut here, mut of_calls) = (Vec::new(), HashSet::new());
    let mut now = None;
    for (channel, mark) in marks {
        of_calls.insert(mark.call);
        // Answered: neither early nor over (`callstate_table` in switch_channel.c).
        if !matches!(channel.callstate.as_str(), "ACTIVE" | "HELD" | "UNHELD" | "RING_WAIT") {
            continue;
        }
        let leg = if let Some(leg) = known.remove(&channel.uuid) {
            leg
        } else {
            let Some(call) = open.iter().find(|call| call.call == mark.call && call.callee == mark.callee) else {
                continue;
            };
            if now.is_none() {
                now = talk.ask("strepoch").await?.trim().parse::<i64>().ok();
            }
            let Some(elapsed) = elapsed(talk, channel.uuid, now).await? else { continue };
            let at = call.carriers.iter().position(|carrier| *carrier == mark.carrier);
            let allowed = at.and_then(|at| call.allowed.get(at).copied().flatten());
            let leg = Up {
                leg: channel.uuid,
                tenant: call.tenant,
                call: call.call,
                callee: mark.callee,
                carrier: mark.carrier,
                elapsed,
                allowed,
            };
            legs_store::note(pool, switch, &leg).await?;
            leg
        };
        here.push(leg.leg);
        if let Renewed::Until(until) = legs::renew(pool, &leg).await? {
            give(talk, &leg, until).await?;
            legs_store::allow(pool, leg.leg, until).await?;
            tracing::debug!(%switch, leg = %leg.leg, ?until, "a call may last longer");
        }
    }
    for leg in known.into_keys() {
        if is_there(talk, leg).await? {
            here.push(leg);
        }
    }
    legs_store::seen(pool, switch, &here).await?;
    let listed = list.iter().map(|channel| channel.uuid).collect::<HashSet<_>>();
    for call in &open {
        let is_listed = listed.contains(&call.call) || of_calls.contains(&call.call);
        if call.age >= LISTED_AFTER && !is_listed && !is_there(talk, call.call).await? {
            let mut db = pool.acquire().await?;
            store::end(&mut db, call.call, false).await?;
            tracing::info!(%switch, call = %call.call, "a call is gone from its switch, and frees its line");
        }
    }
    Ok(())
}

/// How many seconds a leg is answered, by its switch's clock. `None`: it is not, or is gone.
async fn elapsed(talk: &Talk, leg: Uuid, now: Option<i64>) -> Result<Option<i64>, Unanswered> {
    // In microseconds (`switch_caller_get_field_by_name` in switch_caller.c).
    let answered = talk.ask(&format!("uuid_getvar {leg} answered_time")).await?.trim().parse::<i64>().ok();
    let Some((now, answered)) = now.zip(answered.filter(|at| *at > 0)) else { return Ok(None) };
    Ok(Some((now - answered / 1_000_000).max(0)))
}

/// Whether the switch has a channel that is not in its list: that is a table of its own, which may be incomplete.
async fn is_there(talk: &Talk, channel: Uuid) -> Result<bool, Unanswered> {
    Ok(talk.ask(&format!("uuid_exists {channel}")).await?.trim() != "false")
}

/// Has the switch end a leg later than it was to. What was scheduled for the leg is in a group of its name
/// (`switch_ivr_schedule_hangup` in switch_ivr_async.c).
async fn give(talk: &Talk, leg: &Up, until: Option<i32>) -> Result<(), Unanswered> {
    let id = leg.leg;
    talk.ask(&format!("sched_del {id}")).await?;
    let Some(left) = until.map(|until| i64::from(until) - leg.elapsed) else { return Ok(()) };
    // Its time may be over since: then it ends now.
    let left = u32::try_from(left.max(1)).unwrap_or(1);
    talk.ask(&format!("sched_hangup +{left} {id} {}", carried::OUT_OF_MONEY)).await?;
    talk.ask(&format!("sched_broadcast +{} {id} {} bleg", carried::warn_after(left), carried::WARNING)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_channels_is_read_also_if_it_is_empty() {
        let empty = serde_json::from_str::<List>("{\"row_count\":0}").unwrap();
        assert!(empty.rows.is_empty());
        let text = "{\"row_count\":1,\"rows\":[{\"uuid\":\"f70a3b66-5105-4e1e-8913-485896181d48\",\"direction\":\"outbound\",\
                    \"callstate\":\"ACTIVE\",\"presence_data\":\"\",\"cid_name\":\"x\"}]}";
        assert_eq!(serde_json::from_str::<List>(text).unwrap().rows[0].callstate, "ACTIVE");
    }
}
