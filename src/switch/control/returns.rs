//! Brings a call back to a page that had it: a browser was loaded anew, or had lost its connection, and the switch knows no way to the page's
//! old dialog any more.
//!
//! The switch calls the page, by the very contact that the page has registered. The page answers by itself, as it asked for this call; it
//! knows it by a mark that it made up. Only then does the new leg take the place of the old one, so that what is said meanwhile over the
//! old one is not interrupted. Whoever asks gets their own legs only, and only at their own phone.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Control,
    command::{BringBack, Order, Place},
    found::{Found, Own, answered, domain},
    wait::{self, Wait},
};
use crate::{
    model::error::{Error, Result},
    switch::live::{
        Live,
        leg::Phase,
        said::{Happened, What, page_of},
    },
    tenancy::Api,
    text::{Code, Contact, DeviceId, DialNumber, ExtensionNumber},
};

/// A REGISTER is answered before anybody hears of it.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// Somebody who asks for their call.
pub struct Returning<'a> {
    pub api: &'a Api,
    pub live: &'a Arc<Live>,
    pub control: &'a Arc<Control>,
    pub found: &'a Found,
    pub person: Uuid,
    /// Of the dialog that was lost.
    pub sip_call_id: &'a str,
    /// The name of the page in its contact.
    pub page: &'a str,
    pub mark: Uuid,
}

/// Whom the leg was with.
enum With {
    /// The other side, which hears music if the page was away for long.
    Side { leg: Uuid, waits: bool },
    /// A conference, which the page enters again.
    Room(DialNumber),
}

impl Returning<'_> {
    async fn tell(&self, order: Order) -> Result<()> {
        self.control.tell(self.api, &self.found.watched, &order).await
    }

    fn own(found: &Found, person: Uuid, sip_call_id: &str) -> Result<Own> {
        let own = found.of_dialog(person, sip_call_id).ok_or_else(|| Error::from(Code::CallGone))?;
        answered(&own.leg)?;
        Ok(own)
    }

    /// Whom the lost leg is with now.
    fn with(&self) -> Result<(Own, With)> {
        let found = self.found.again(self.live).ok_or_else(|| Error::from(Code::CallGone))?;
        let own = Self::own(&found, self.person, self.sip_call_id)?;
        if let Some(leg) = own.leg.partner {
            return Ok((own, With::Side { leg, waits: false }));
        }
        if own.leg.phase == Phase::Parked {
            let leg = found.aside(&own.leg)?;
            return Ok((own, With::Side { leg, waits: true }));
        }
        let known = found.watched.known();
        let is_in_room = known.state.conferences.iter().any(|(_, room)| room.members.contains_key(&own.leg.id));
        drop(known);
        let number = own.leg.about.dialled.as_deref().filter(|_| is_in_room && own.leg.about.is_caller == Some(true));
        let number = number.and_then(|number| DialNumber::parse(number).ok());
        number.map(|number| (own, With::Room(number))).ok_or_else(|| Code::NotConnected.into())
    }

    /// The device that the page has registered as. It may have done so a moment ago.
    async fn device(&self, own: &Own, hear: &mut Wait) -> Result<DeviceId> {
        let known = async {
            loop {
                if let Some(device) = self.registered(own) {
                    return Some(device);
                }
                hear.next().await?;
            }
        };
        let device = tokio::time::timeout(HEARD_WITHIN, known).await.ok().flatten();
        device.ok_or_else(|| Code::PageNotThere.into())
    }

    fn registered(&self, own: &Own) -> Option<DeviceId> {
        let slot = self.live.generations().scope(self.found.tenant)?;
        let known = self.found.watched.known();
        let domains = slot.former.domains.iter().chain([&self.found.domain]);
        domains.into_iter().find_map(|domain| {
            let all = known.state.registrations.of(own.user.as_str(), domain.as_str());
            // After a lost connection, the newest one is where the page is.
            let of_page =
                all.iter().filter(|one| one.is_dialled && page_of(&one.contact).as_deref() == Some(self.page));
            let newest = of_page.max_by_key(|one| one.seen)?;
            Some(Contact::parse(&newest.contact)?.device(own.user.as_str(), domain.as_str()))
        })
    }

    pub async fn bring(&self) -> Result<()> {
        let own = Self::own(self.found, self.person, self.sip_call_id)?;
        // Before anybody's phone is called.
        self.with()?;
        let mut hear = Wait::new(&self.found.watched);
        let device = self.device(&own, &mut hear).await?;
        let extension = self.found.names.of_phone(own.user.as_str()).ok_or(Error::NotFound("extension"))?;
        let number = ExtensionNumber::parse(&extension.number).map_err(|_| Error::NotFound("extension"))?;
        let leg = Uuid::new_v4();
        let user = own.user.clone();
        let domain = domain(self.live, self.found.tenant)?;
        let order = Order::BringBack(BringBack { leg, user, number, domain, device, mark: self.mark });
        let job = self.control.begin(self.api, &self.found.watched, &order).await?;
        let brought = match self.answers(&mut hear, leg, job).await {
            Ok(()) => self.connect(&mut hear, leg).await,
            Err(error) => Err(error),
        };
        if brought.is_err() {
            let _ = self.tell(Order::HangUp(leg)).await;
        }
        brought
    }

    /// Waits until the page has answered.
    async fn answers(&self, hear: &mut Wait, leg: Uuid, job: Uuid) -> Result<()> {
        let not = || Some(Err(Error::from(Code::NotBroughtBack)));
        let is_up = |what: &What| match what {
            What::Job(of, answer) if *of == job && answer.starts_with("-ERR") => not(),
            _ if wait::ended(what, leg).is_some() => not(),
            _ => (wait::of(what, leg) == Some(Happened::Answered)).then_some(Ok(())),
        };
        hear.until(is_up).await
    }

    /// The new leg takes the place of the old one, which ends.
    async fn connect(&self, hear: &mut Wait, leg: Uuid) -> Result<()> {
        let (own, with) = self.with()?;
        match with {
            With::Side { leg: other, waits } => {
                if waits {
                    self.tell(Order::EndsWithPartner(other)).await?;
                }
                self.tell(Order::Connect(leg, other)).await?;
                let is_over = |what: &What| [leg, other].iter().any(|leg| wait::ended(what, *leg).is_some());
                let gone = |what: &What| is_over(what).then(|| Err(Error::from(Code::CallGone)));
                hear.until(|what| gone(what).or_else(|| wait::connects(what, leg, other).then_some(Ok(())))).await?;
            }
            With::Room(number) => {
                self.tell(Order::OnItsOwn(leg, own.user.clone(), self.found.domain.clone())).await?;
                self.tell(Order::Send(leg, Place::Number(number), self.found.domain.clone())).await?;
            }
        }
        // It may have ended by itself.
        let _ = self.tell(Order::HangUp(own.leg.id)).await;
        Ok(())
    }
}
