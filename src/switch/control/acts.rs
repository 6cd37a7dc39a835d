//! What people do to a call. Each command is given once, and done when an event of the switch shows it.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Control,
    command::{Order, Place, Recording, Tape},
    consult,
    found::{Found, Own, answered},
    line::Untaken,
    wait::{self, Wait},
    way::Way,
};
use crate::{
    model::{
        error::{Error, Result},
        settings::routing::FeatureCodes,
    },
    switch::{
        live::{
            Live,
            leg::{Leg, Phase},
            said::{Happened, Tap, What},
        },
        sandbox::acts as played,
    },
    tenancy::Api,
    text::{Code, DialNumber, Dialable, Keys, SipUsername},
};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    HangUp,
    Hold,
    Resume,
    Mute,
    Unmute,
    Send(Place),
    Park,
    /// The leg's phone asks somebody, while its partner waits.
    Consult(Dialable),
    /// Whoever waits and whoever was asked are connected, and the leg ends.
    Complete,
    /// Whoever was asked is let go.
    Cancel,
    /// All three talk.
    Join,
    Press(Keys),
    Record,
    PauseRecording,
    ResumeRecording,
    StopRecording,
}

/// What came of it, beside the call's new state.
#[derive(Debug, Default)]
pub struct Done {
    /// Where the call is parked.
    pub slot: Option<String>,
}

/// Somebody who acts on a call.
pub struct Acting<'a> {
    pub api: &'a Api,
    pub live: &'a Arc<Live>,
    pub control: &'a Arc<Control>,
    pub found: &'a Found,
    /// The person whose calls these must be.
    pub limit: Option<Uuid>,
    /// The person who asks.
    pub asker: Option<Uuid>,
    /// The leg that is named.
    pub leg: Option<Uuid>,
    /// Whether both sides hear a tone before they are recorded.
    pub consent_tone: bool,
}

/// That a leg is over while something else is waited for.
fn gone<T>(what: &What, leg: Uuid) -> Option<Result<T>> {
    wait::ended(what, leg).map(|_| Err(Code::CallGone.into()))
}

impl Acting<'_> {
    /// Gives a command.
    pub async fn tell(&self, order: Order) -> Result<()> {
        if self.found.watched.is_played() {
            return played::take(self.api, self.live, self.found, &order).await;
        }
        self.control.tell(self.api, &self.found.watched, &order).await
    }

    fn hear(&self) -> Wait {
        Wait::new(&self.found.watched)
    }

    fn own(&self) -> Result<Own> {
        self.found.leg(self.leg, self.limit, self.asker)
    }

    /// Does it, unless it is so already.
    pub async fn act(&self, act: &Act, codes: &FeatureCodes) -> Result<Done> {
        match act {
            Act::HangUp => self.hang_up().await,
            Act::Hold | Act::Resume => self.hold(*act == Act::Hold).await,
            Act::Mute | Act::Unmute => self.mute(*act == Act::Mute).await,
            Act::Send(to) => self.send(to).await,
            Act::Park => self.park(codes).await,
            Act::Consult(to) => self.consult(to).await,
            Act::Complete => Box::pin(self.complete()).await,
            Act::Cancel => Box::pin(self.cancel()).await,
            Act::Join => Box::pin(self.join()).await,
            Act::Press(keys) => self.press(keys).await,
            Act::Record => self.record().await,
            Act::PauseRecording => self.tape(Tape::Mask).await,
            Act::ResumeRecording => self.tape(Tape::Unmask).await,
            Act::StopRecording => self.tape(Tape::Stop).await,
        }
    }

    async fn hang_up(&self) -> Result<Done> {
        let late = || Error::from(Code::NotSeenToHappen.with("seconds", wait::PATIENCE.as_secs()));
        tokio::time::timeout(wait::PATIENCE, self.hang_all_up()).await.unwrap_or_else(|_| Err(late()))
    }

    /// Takes as long as the legs take together.
    async fn hang_all_up(&self) -> Result<Done> {
        let mut left = match (self.leg, self.limit) {
            (None, None) => self.found.all_legs().collect::<Vec<_>>(),
            (Some(leg), None) => self.found.all_legs().filter(|one| *one == leg).collect(),
            (_, Some(_)) => vec![self.own()?.leg.id],
        };
        if left.is_empty() {
            return Err(Error::NotFound("leg"));
        }
        let mut hear = self.hear();
        for leg in &left {
            if self.found.watched.is_played() {
                match self.tell(Order::HangUp(*leg)).await {
                    Ok(()) => {}
                    Err(Error::Refused(why)) if why.code == Code::CallGone => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            match self.control.try_tell(self.api, &self.found.watched, &Order::HangUp(*leg)).await {
                // One ends when the other does.
                Ok(()) | Err(Untaken::Refused(_)) => {}
                Err(untaken) => return Err(untaken.into()),
            }
        }
        left.retain(|leg| self.is_there(*leg));
        while !left.is_empty() {
            let over = hear.until(|what| left.iter().copied().find(|leg| wait::ended(what, *leg).is_some()).map(Ok));
            let over = over.await?;
            left.retain(|leg| *leg != over && self.is_there(*leg));
        }
        Ok(Done::default())
    }

    fn is_there(&self, leg: Uuid) -> bool {
        self.found.watched.known().state.calls.leg(leg).is_some()
    }

    async fn hold(&self, is_wanted: bool) -> Result<Done> {
        let Own { leg, .. } = self.own()?;
        answered(&leg)?;
        let (order, wanted) =
            if is_wanted { (Order::Hold(leg.id), Happened::Held) } else { (Order::Resume(leg.id), Happened::Unheld) };
        if is_wanted {
            self.found.partner(&leg)?;
        }
        if (leg.phase == Phase::Held) == is_wanted {
            return Ok(Done::default());
        }
        let mut hear = self.hear();
        self.tell(order).await?;
        hear.until(|what| (wait::of(what, leg.id) == Some(wanted)).then_some(Ok(())).or_else(|| gone(what, leg.id)))
            .await?;
        Ok(Done::default())
    }

    async fn mute(&self, is_wanted: bool) -> Result<Done> {
        let Own { leg, .. } = self.own()?;
        answered(&leg)?;
        if leg.is_heard_whole && leg.is_muted == is_wanted {
            return Ok(Done::default());
        }
        let mut hear = self.hear();
        self.tell(if is_wanted { Order::Mute(leg.id) } else { Order::Unmute(leg.id) }).await?;
        if !leg.is_heard_whole {
            // It may have been so already: then no event says so.
            return Ok(Done::default());
        }
        let is_mute = |tap: &Tap| *tap == Tap::Mute;
        hear.until(|what| {
            wait::tapped(what, leg.id, is_wanted, is_mute).then_some(Ok(())).or_else(|| gone(what, leg.id))
        })
        .await?;
        Ok(Done::default())
    }

    /// Sends whom the phone is connected with; or the leg itself, if that is connected with nobody.
    async fn send(&self, to: &Place) -> Result<Done> {
        let domain = self.found.domain.clone();
        let is_any = self.leg.is_none() && self.limit.is_none();
        let waits = || self.found.call.legs.first().filter(|first| first.partner.is_none());
        let (leg, user) = match self.own() {
            // The agent whose phone rings for a queue's caller does not have them yet.
            Ok(own) if is_any && own.leg.phase == Phase::Ringing && self.found.call.waits => match waits() {
                Some(first) => (first.clone(), None),
                None => (own.leg, Some(own.user)),
            },
            Ok(own) => (own.leg, Some(own.user)),
            // A caller who waits, in a menu or a queue, and no phone is there yet. Of a caller who talks, the other side would be sent.
            Err(error) if matches!(&error, Error::Refused(why) if why.code == Code::NoPhoneInCall) => {
                (waits().cloned().ok_or(error)?, None)
            }
            Err(error) => return Err(error),
        };
        answered(&leg)?;
        let Some(partner) = leg.partner else {
            let way = Way { api: self.api, found: self.found, leg: &leg, user: user.as_ref(), asker: self.asker };
            self.tell(way.order(to).await?).await?;
            return Ok(Done::default());
        };
        let mut hear = self.hear();
        self.tell(Order::SendPartner(leg.id, to.clone(), domain)).await?;
        hear.until(|what| gone(what, partner).or_else(|| wait::parts(what, leg.id).then_some(Ok(())))).await?;
        Ok(Done::default())
    }

    async fn park(&self, codes: &FeatureCodes) -> Result<Done> {
        let Own { leg, .. } = self.own()?;
        answered(&leg)?;
        let partner = self.found.partner(&leg)?;
        let code =
            DialNumber::parse(codes.park.as_str()).map_err(|_| Error::Fault("a feature code can't be dialled"))?;
        let mut hear = self.hear();
        self.tell(Order::SendPartner(leg.id, Place::Number(code.into()), self.found.domain.clone())).await?;
        let slot = hear
            .until(|what| gone(what, partner).or_else(|| wait::parked(what, partner).map(|slot| Ok(slot.to_owned()))));
        Ok(Done { slot: Some(slot.await?) })
    }

    async fn consult(&self, to: &Dialable) -> Result<Done> {
        let Own { leg, user, .. } = self.own()?;
        answered(&leg)?;
        let partner = self.found.partner(&leg)?;
        if self.found.aside(&leg).is_ok() {
            return Err(Code::SomebodyAside.into());
        }
        let domain = self.found.domain.clone();
        let mut hear = self.hear();
        if leg.phase == Phase::Held {
            self.tell(Order::Resume(leg.id)).await?;
        }
        self.tell(Order::OnItsOwn(leg.id, user.clone(), domain.clone())).await?;
        let watch = Wait::new(&self.found.watched);
        let order = Order::Consult { leg: leg.id, to: to.clone(), back: user.clone(), domain: domain.clone() };
        if let Err(untaken) = self.control.try_tell(self.api, &self.found.watched, &order).await
            && !matches!(untaken, Untaken::Unanswered)
        {
            // It has not happened: the phone goes on as before.
            let _ = self.tell(Order::EndsWithPartner(leg.id)).await;
            return Err(untaken.into());
        }
        // Also if it is not seen to happen: it may still.
        self.look_after(watch, &leg, user, partner, false);
        let parted = hear.until(|what| gone(what, partner).or_else(|| wait::parts(what, leg.id).then_some(Ok(()))));
        parted.await?;
        Ok(Done::default())
    }

    /// Sees to it that whoever waits while a phone asks a third comes back.
    fn look_after(&self, hear: Wait, leg: &Leg, back: SipUsername, waits: Uuid, has_asked: bool) {
        let (call, domain) = (self.found.call.id, self.found.domain.clone());
        let asking = consult::Asking { call, leg: leg.id, waits, back, domain, has_asked };
        consult::watch(self.control, self.api, &self.found.watched, hear, asking);
    }

    /// Ends the waiting of whoever waits. If that fails, they are looked after as before.
    async fn settle(&self, own: &Own, waits: Uuid, work: impl Future<Output = Result<()>>) -> Result<Done> {
        let hear = Wait::new(&self.found.watched);
        self.control.stop_watching(self.found.call.id);
        if let Err(error) = work.await {
            self.look_after(hear, &own.leg, own.user.clone(), waits, own.leg.partner.is_some());
            return Err(error);
        }
        Ok(Done::default())
    }

    async fn complete(&self) -> Result<Done> {
        let own = self.own()?;
        let leg = own.leg.id;
        let asked = self.found.partner(&own.leg)?;
        let waits = self.found.aside(&own.leg)?;
        if let Some(asked) = self.found.of_id(asked) {
            answered(asked)?;
        }
        let work = async {
            let mut hear = self.hear();
            self.tell(Order::EndsWithPartner(leg)).await?;
            self.tell(Order::Connect(waits, asked)).await?;
            let over = |what: &What| gone(what, waits).or_else(|| gone(what, asked));
            hear.until(|what| over(what).or_else(|| wait::connects(what, waits, asked).then_some(Ok(())))).await
        };
        Box::pin(self.settle(&own, waits, work)).await
    }

    async fn cancel(&self) -> Result<Done> {
        let own = self.own()?;
        let (leg, rings) = (own.leg.id, own.leg.partner.is_none() && own.leg.phase != Phase::Parked);
        let waits = self.found.aside(&own.leg)?;
        let work = async {
            let mut hear = self.hear();
            self.tell(Order::EndsWithPartner(leg)).await?;
            if rings {
                // Whoever is asked still rings.
                self.tell(Order::Wait(leg)).await?;
                let is_parked = |what: &What| (wait::of(what, leg) == Some(Happened::Parked)).then_some(Ok(()));
                hear.until(|what| gone(what, leg).or_else(|| is_parked(what))).await?;
            }
            self.tell(Order::Connect(leg, waits)).await?;
            let over = |what: &What| gone(what, waits).or_else(|| gone(what, leg));
            hear.until(|what| over(what).or_else(|| wait::connects(what, waits, leg).then_some(Ok(())))).await
        };
        Box::pin(self.settle(&own, waits, work)).await
    }

    async fn join(&self) -> Result<Done> {
        let own = self.own()?;
        let leg = own.leg.id;
        self.found.partner(&own.leg)?;
        let waits = self.found.aside(&own.leg)?;
        let work = async {
            let mut hear = self.hear();
            self.tell(Order::EndsWithPartner(leg)).await?;
            self.tell(Order::Join(waits, leg)).await?;
            let is_listener = |tap: &Tap| *tap == Tap::Listener;
            let over = |what: &What| gone(what, waits).or_else(|| gone(what, leg));
            hear.until(|what| over(what).or_else(|| wait::tapped(what, leg, true, is_listener).then_some(Ok(())))).await
        };
        Box::pin(self.settle(&own, waits, work)).await
    }

    /// To whom the phone is connected with. A switch fires no event for keys that it sends.
    async fn press(&self, keys: &Keys) -> Result<Done> {
        let Own { leg, .. } = self.own()?;
        answered(&leg)?;
        let partner = self.found.partner(&leg)?;
        self.tell(Order::Press(partner, keys.clone())).await?;
        Ok(Done::default())
    }

    fn recorded(&self) -> impl Iterator<Item = (&Leg, &String)> {
        self.found.call.legs.iter().filter_map(|leg| Some((leg, leg.recordings.last()?)))
    }

    /// The recording that may be acted on: one that somebody began at a phone of the tenant, or the one by its policy. Of a call that another
    /// tenant's routing is in as well, nobody can tell whose policy records.
    fn own_recording(&self, tape: Tape) -> Result<Option<(Uuid, Recording)>> {
        let call = &self.found.call;
        let is_ours = |leg: &Leg| {
            call.legs
                .iter()
                .zip(&call.owners)
                .any(|(one, owner)| one.id == leg.id && owner.is_none_or(|owner| owner == self.found.tenant))
        };
        let (by_people, by_policy) =
            self.recorded().partition::<Vec<_>, _>(|(leg, file)| Recording::is_by_people(leg.id, file));
        if let Some((leg, file)) = by_people.into_iter().find(|(leg, _)| is_ours(leg)) {
            return Ok(Recording::heard(file).map(|file| (leg.id, file)));
        }
        let Some((leg, file)) = by_policy.into_iter().next().filter(|_| self.found.is_only_ours) else {
            return Ok(None);
        };
        if tape == Tape::Stop && self.limit.is_some() {
            return Err(Code::RecordedByPolicy.into());
        }
        Ok(Recording::heard(file).map(|file| (leg.id, file)))
    }

    async fn record(&self) -> Result<Done> {
        let Own { leg, .. } = self.own()?;
        answered(&leg)?;
        if self.recorded().next().is_some() {
            return Err(Code::IsRecorded.into());
        }
        let file = Recording::new(leg.id, chrono::Utc::now().timestamp());
        let mut hear = self.hear();
        if self.consent_tone {
            self.tell(Order::Consent(leg.id)).await?;
        }
        self.tell(Order::RecordWell(leg.id)).await?;
        self.tell(Order::Record(leg.id, Tape::Start, file)).await?;
        let is_recording = |tap: &Tap| matches!(tap, Tap::Recording(_));
        hear.until(|what| {
            gone(what, leg.id).or_else(|| wait::tapped(what, leg.id, true, is_recording).then_some(Ok(())))
        })
        .await?;
        Ok(Done::default())
    }

    /// A switch fires no event for a recording that is masked.
    async fn tape(&self, tape: Tape) -> Result<Done> {
        // Also refuses those whose call it is not.
        let Own { leg, .. } = self.own()?;
        let Some((of, file)) = self.own_recording(tape)? else {
            if tape == Tape::Stop && !leg.is_heard_whole && self.limit.is_none() && self.found.is_only_ours {
                self.tell(Order::StopRecording(leg.id)).await?;
                return Ok(Done::default());
            }
            return Err(Code::NotRecorded.into());
        };
        let mut hear = self.hear();
        self.tell(Order::Record(of, tape, file)).await?;
        if tape == Tape::Stop {
            let is_recording = |tap: &Tap| matches!(tap, Tap::Recording(_));
            hear.until(|what| gone(what, of).or_else(|| wait::tapped(what, of, false, is_recording).then_some(Ok(()))))
                .await?;
        }
        Ok(Done::default())
    }
}

/// Whose mailbox a call is sent to: that of the extension with this number, or the phone's own.
pub fn mailbox(found: &Found, own: impl FnOnce() -> Result<Own>, number: Option<&Dialable>) -> Result<Place> {
    let Some(number) = number else { return Ok(Place::Mailbox(own()?.user)) };
    let extension = found.names.of_number(number.as_str()).ok_or(Error::NotFound("extension"))?;
    SipUsername::parse(&extension.sip_username).map(Place::Mailbox).map_err(|_| Error::NotFound("extension"))
}
