//! What is done to calls that are played: what would be told a switch is written down with the call, and every node plays what a switch would say
//! to it. So whoever acts waits for the same events as of a real call, and clients see the same.

use std::collections::BTreeSet;

use chrono::Utc;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    phone,
    play::{Acted, Deed, Play, Sent, Side},
    store,
};
use crate::{
    model::{
        error::{Error, Result},
        settings::Settings,
    },
    routing::PARK,
    switch::{
        control::{
            command::{Order, Place, Tape},
            found::Found,
        },
        live::{Live, names::Names},
        simulate::explain::{self, Question},
    },
    tenancy::{Api, tenants},
    text::{Code, SipUsername},
};

/// A call that ends sooner than this is over: other nodes may have played its end before they hear of what is done.
const TOO_LATE_MS: i64 = 1500;
/// For how long those ring whom a call is sent to.
const RING_MS: i64 = 1000;

/// Carries out an order on a call that is played.
pub async fn take(api: &Api, live: &Live, found: &Found, order: &Order) -> Result<()> {
    let mut tx = api.pool().begin().await?;
    let kept = store::lock(&mut tx, found.tenant, found.call.id).await?.filter(|kept| !kept.over);
    let mut play = kept.ok_or_else(|| Error::from(Code::CallGone))?.play;
    let at = Utc::now().timestamp_millis();
    if play.ends() - at < TOO_LATE_MS {
        return Err(Code::CallGone.into());
    }
    let Some(deed) = deed(&mut tx, found, &play, order).await? else { return Ok(()) };
    // Two things never happen at the same moment.
    let at = play.acts.last().map_or(at, |last| at.max(last.at + 20));
    play.acts.push(Acted { at, deed });
    store::acted(&mut tx, &play).await?;
    tx.commit().await?;
    live.plays.notify_one();
    Ok(())
}

/// What an order means for the call. `None`: nothing that anybody sees.
async fn deed(db: &mut PgConnection, found: &Found, play: &Play, order: &Order) -> Result<Option<Deed>> {
    Ok(Some(match order {
        Order::HangUp(leg) => Deed::HungUp(*leg),
        Order::Hold(leg) => Deed::Held(*leg),
        Order::Resume(leg) => Deed::Resumed(*leg),
        Order::Mute(leg) => Deed::Muted(*leg),
        Order::Unmute(leg) => Deed::Unmuted(*leg),
        Order::Record(leg, Tape::Start, file) => Deed::Recorded(*leg, file.to_string()),
        Order::Record(leg, Tape::Stop, file) => Deed::RecordingStopped(*leg, file.to_string()),
        // A switch fires no event for these either.
        Order::Record(_, Tape::Mask | Tape::Unmask, _)
        | Order::RecordWell(_)
        | Order::Consent(_)
        | Order::Press(..)
        | Order::StopRecording(_) => return Ok(None),
        Order::SendPartner(leg, to, _) => {
            let partner =
                found.of_id(*leg).and_then(|leg| leg.partner).ok_or_else(|| Error::from(Code::NotConnected))?;
            sent(db, found, play, Some(*leg), partner, to).await?
        }
        Order::Send(leg, to, _) => sent(db, found, play, None, *leg, to).await?,
        Order::OnItsOwn(..)
        | Order::Consult { .. }
        | Order::EndsWithPartner(_)
        | Order::Wait(_)
        | Order::Connect(..)
        | Order::Join(..)
        | Order::Announce(_)
        | Order::TakePart { .. }
        | Order::SendOutside { .. }
        | Order::HoldPlace { .. }
        | Order::CallBack { .. }
        | Order::BringBack(_)
        | Order::Keep { .. }
        | Order::Place(_) => return Err(Code::CantBePlayed.into()),
    }))
}

/// Where a leg goes that is sent to a number of the tenant's dialplan. `from`: the phone that sends it, and leaves.
async fn sent(
    db: &mut PgConnection,
    found: &Found,
    play: &Play,
    from: Option<Uuid>,
    leg: Uuid,
    to: &Place,
) -> Result<Deed> {
    let mut sent = Sent { from, leg, rung: Vec::new(), ring_ms: RING_MS, mailbox: None, cause: None };
    let number = match to {
        Place::Mailbox(user) => {
            sent.mailbox = Some(user.to_string());
            return Ok(Deed::Sent(sent));
        }
        Place::Back(_) | Place::After(_) | Place::Destination(_) => return Err(Code::CantBePlayed.into()),
        Place::Number(number) => number.to_string(),
    };
    let known = tenants::store::settings(&mut *db, found.tenant).await?;
    let (settings, _) = known.ok_or(Error::NotFound("tenant"))?;
    let settings = Settings::parse(&settings).map_err(|_| Error::Fault("a tenant's settings can't be read"))?;
    if number == settings.routing.codes.park.as_str() {
        let from = from.ok_or_else(|| Error::from(Code::NotConnected))?;
        return Ok(Deed::Parked { from, leg, lot: lot(play), slot: free_slot(found, &lot(play))? });
    }
    // It may go where the phone may call that sends it.
    let on_behalf = from.and_then(|from| play.side(from)).and_then(|side| side.phone.as_ref());
    let username = on_behalf.and_then(|phone| SipUsername::parse(&phone.user).ok());
    let question = Question {
        tenant: found.tenant,
        number: &number,
        caller: username.as_ref(),
        caller_number: play.side(leg).and_then(Side::number),
        at: jiff::Timestamp::now(),
    };
    let (_, end) = explain::follow(db, &question, None).await?.ok_or(Error::NotFound("tenant"))?;
    if end.queue.is_some() {
        return Err(Code::CantBePlayed.into());
    }
    sent.cause = end.refusal.map(|refusal| refusal.cause().to_owned());
    if sent.cause.is_none() {
        sent.rung = rung(&found.names, &end);
    }
    Ok(Deed::Sent(sent))
}

fn rung(names: &Names, end: &explain::End) -> Vec<Side> {
    let side = |phone, number| Side { leg: Uuid::now_v7(), phone, number };
    if let Some(number) = &end.outside {
        return vec![side(None, Some(number.clone()))];
    }
    let phones = end.rings.iter().filter_map(|name| names.of_phone(name.as_str()));
    phones.take(super::MOST_RUNG).map(|extension| side(Some(phone(extension)), None)).collect()
}

fn lot(play: &Play) -> String {
    format!("{PARK}@{}", play.domain)
}

/// The first slot that is free, as `valet_park … auto in 1 99` takes it.
fn free_slot(found: &Found, lot: &str) -> Result<String> {
    let known = found.watched.known();
    let taken =
        known.state.lots.iter().filter(|(of, ..)| *of == lot).map(|(_, slot, ..)| slot).collect::<BTreeSet<_>>();
    let free = (1..=99).map(|slot: u8| slot.to_string()).find(|slot| !taken.contains(slot.as_str()));
    free.ok_or_else(|| Code::CantBePlayed.into())
}
