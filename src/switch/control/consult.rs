//! Looks after somebody who waits while a phone asks a third.
//!
//! The switch itself sends them back after a while, so that they don't wait forever if this node dies. Until then, this node sees to it that
//! they come back at once: to the phone's call if the third hangs up, or to the phone if that hangs up or the third does not take the call.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Control,
    command::{Order, Place},
    wait::{self, Wait},
};
use crate::{
    switch::live::{
        Watched,
        leg::Phase,
        said::{Happened, Tap, What},
    },
    tenancy::Api,
    text::{Domain, SipUsername},
};

/// After this, the switch has sent them back itself.
const LONGEST: Duration = Duration::from_hours(1);
/// How often it is looked whether somebody still waits.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Another node may connect them: the phone's leg ends first then.
const TAKEN_OVER: Duration = Duration::from_secs(2);

/// Somebody waits while a phone asks a third.
pub struct Asking {
    pub call: Uuid,
    /// The phone's leg.
    pub leg: Uuid,
    /// The leg that waits.
    pub waits: Uuid,
    pub back: SipUsername,
    pub domain: Domain,
    /// Whether the phone and the third were connected already.
    pub has_asked: bool,
}

enum Then {
    Nothing,
    Connect,
    SendBack,
}

impl Asking {
    /// Whether the phone and the third are connected. Before that, its leg may be parked for a moment, on its way to the third.
    fn asks(&self, what: &What) -> bool {
        let What::Leg(said) = what else { return false };
        match said.happened {
            Happened::Bridged { a, b } => (a == self.leg || b == self.leg) && a != self.waits && b != self.waits,
            _ => false,
        }
    }

    /// What live state says, for an event may have been missed. Nothing while the switch is not heard.
    fn looks(&self, watched: &Watched) -> Option<Then> {
        let known = watched.known();
        let calls = known.unknown_since.is_none().then_some(&known.state.calls)?;
        let Some(waits) = calls.leg(self.waits).filter(|waits| waits.partner.is_none()) else {
            return Some(Then::Nothing);
        };
        (calls.leg(self.leg).is_none() && waits.phase != Phase::Ringing).then_some(Then::SendBack)
    }

    /// Whether it is over, and what is to be done then. `has_asked`: the phone was connected with the third.
    fn ends(&self, what: &What, has_asked: bool) -> Option<Then> {
        let is_connected = match what {
            What::Leg(said) => {
                matches!(said.happened, Happened::Bridged { a, b } if a == self.waits || b == self.waits)
            }
            _ => wait::tapped(what, self.leg, true, |tap| *tap == Tap::Listener),
        };
        if is_connected || wait::ended(what, self.waits).is_some() {
            Some(Then::Nothing)
        } else if has_asked && wait::of(what, self.leg) == Some(Happened::Parked) {
            Some(Then::Connect)
        } else if wait::ended(what, self.leg).is_some() {
            Some(Then::SendBack)
        } else {
            None
        }
    }
}

/// Looks after them until they are connected, or gone.
pub fn watch(control: &Arc<Control>, api: &Api, watched: &Arc<Watched>, mut hear: Wait, asking: Asking) {
    let (tells, api, watched, call) = (Arc::clone(control), api.clone(), Arc::clone(watched), asking.call);
    let task = tokio::spawn(async move {
        let over = async {
            let mut has_asked = asking.has_asked;
            let mut looks = tokio::time::interval(LOOK_EVERY);
            looks.reset();
            loop {
                tokio::select! {
                    said = hear.next() => {
                        let Some(said) = said else { return Then::Nothing };
                        has_asked |= asking.asks(&said.what);
                        if let Some(then) = asking.ends(&said.what, has_asked) {
                            return then;
                        }
                    }
                    _ = looks.tick() => if let Some(then) = asking.looks(&watched) {
                        return then;
                    },
                }
            }
        };
        let then = tokio::time::timeout(LONGEST, over).await.unwrap_or(Then::Nothing);
        let orders = match then {
            Then::Nothing => return,
            Then::Connect => {
                vec![Order::EndsWithPartner(asking.leg), Order::Connect(asking.leg, asking.waits)]
            }
            Then::SendBack => {
                let taken = async {
                    while let Some(said) = hear.next().await {
                        if matches!(asking.ends(&said.what, true), Some(Then::Nothing)) {
                            return;
                        }
                    }
                };
                if tokio::time::timeout(TAKEN_OVER, taken).await.is_ok() {
                    return;
                }
                vec![Order::Send(asking.waits, Place::Back(asking.back), asking.domain)]
            }
        };
        for order in orders {
            if let Err(error) = tells.tell(&api, &watched, &order).await {
                tracing::warn!(switch = %watched.switch, %error, "somebody who waits could not be brought back");
            }
        }
    });
    control.watches(call, task.abort_handle());
}
