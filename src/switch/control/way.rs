//! Where a caller who waits is sent.
//!
//! Nobody has answered them, so nobody's phone is there that a call could come back to: what routing would refuse would end the call. So it is asked
//! before, and they stay where they are.

use uuid::Uuid;

use super::{
    command::{Order, Place},
    found::Found,
};
use crate::{
    model::{
        error::{Error, Result},
        refusal::Refusal,
    },
    switch::{
        live::{leg::Leg, whose},
        simulate::explain::{self, Question},
    },
    tenancy::Api,
    text::{Code, DialNumber, Dialable, SipUsername},
};

pub struct Way<'a> {
    pub api: &'a Api,
    pub found: &'a Found,
    pub leg: &'a Leg,
    /// The phone that waits, if it is one of the tenant's.
    pub user: Option<&'a SipUsername>,
    /// The person who asks.
    pub asker: Option<Uuid>,
}

/// What routing says.
struct Said {
    is_outside: bool,
    /// The kind of route.
    route: String,
    /// Why it goes nowhere.
    refusal: Option<String>,
}

/// Routes that are for whoever dials at a phone of the tenant.
const OF_PHONES: [&str; 5] = ["call_handling", "emergency", "group_pickup", "pickup", "voicemail"];

impl Way<'_> {
    /// What sends them there.
    pub async fn order(&self, to: &Place) -> Result<Order> {
        let (leg, domain) = (self.leg.id, self.found.domain.clone());
        let Place::Number(number) = to else { return Ok(Order::Send(leg, to.clone(), domain)) };
        if self.found.watched.is_played() {
            return Ok(Order::Send(leg, to.clone(), domain));
        }
        let said = self.ask(number, self.user).await?;
        match said.refusal {
            None => Ok(Order::Send(leg, to.clone(), domain)),
            Some(refusal) if refusal == Refusal::NotSignedIn.name() && self.user.is_none() => {
                let payer = self.payer().ok_or_else(|| Code::NobodyPays.with("to", number))?;
                let said = self.ask(number, Some(&payer)).await?;
                match said.refusal {
                    None if said.is_outside => {
                        let queue = self.found.call.queue.as_deref().and_then(whose::id_of);
                        // A code before the number is for whoever dials it at a phone.
                        let to = DialNumber::parse(number.as_str()).map_err(|_| refused(number, said.route))?;
                        Ok(Order::SendOutside { leg, to, payer, back: queue, domain })
                    }
                    refusal => Err(refused(number, refusal.unwrap_or(said.route))),
                }
            }
            Some(refusal) => Err(refused(number, refusal)),
        }
    }

    /// Whoever asks pays, as if they had taken the call and transferred it.
    fn payer(&self) -> Option<SipUsername> {
        let mut own = self.found.names.of_person(self.asker?).filter(|one| one.active);
        own.next().and_then(|one| SipUsername::parse(&one.sip_username).ok())
    }

    async fn ask(&self, number: &Dialable, caller: Option<&SipUsername>) -> Result<Said> {
        let question = Question {
            tenant: self.found.tenant,
            number: number.as_str(),
            caller,
            caller_number: self.leg.about.number.as_deref(),
            at: jiff::Timestamp::now(),
        };
        let mut db = self.api.pool().begin().await?;
        let followed = explain::follow(&mut db, &question, None).await?;
        let (said, end) = followed.ok_or(Error::NotFound("tenant"))?;
        let is_of_phones = self.user.is_none() && OF_PHONES.contains(&said.result.as_str());
        let is_refused = said.cause.is_some() || is_of_phones;
        Ok(Said {
            is_outside: end.outside.is_some(),
            refusal: is_refused.then(|| said.result.clone()),
            route: said.result,
        })
    }
}

fn refused(number: &Dialable, reason: String) -> Error {
    Code::NotSentThere.with("to", number).with("reason", reason).into()
}
