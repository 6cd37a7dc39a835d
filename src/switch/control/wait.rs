//! Waits for the event that shows that a command was carried out.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast::{Receiver, error::RecvError};
use uuid::Uuid;

use crate::{
    model::error::{Error, Result},
    switch::live::{
        Watched,
        said::{Happened, OfLeg, OfParked, Said, Tap, Tapped, What},
    },
    text::Code,
};

/// For how long. What takes longer may still happen.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// Hears a switch from the moment that it was made, so that nothing is missed that a later command causes.
pub struct Wait(Receiver<Arc<Said>>);

impl Wait {
    #[must_use]
    pub fn new(watched: &Watched) -> Self {
        Self(watched.hear())
    }

    /// The next thing that is said. `None`: the switch is not listened to any more.
    pub async fn next(&mut self) -> Option<Arc<Said>> {
        loop {
            match self.0.recv().await {
                Ok(said) => return Some(said),
                // Something may be missing. Whoever waits has a time limit.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Waits until something is said for which `take` has an answer.
    pub async fn until<T>(&mut self, mut take: impl FnMut(&What) -> Option<Result<T>>) -> Result<T> {
        let heard = async {
            while let Some(said) = self.next().await {
                if let Some(taken) = take(&said.what) {
                    return taken;
                }
            }
            Err(Error::from(Code::SwitchUnheard))
        };
        let late = || Error::from(Code::NotSeenToHappen.with("seconds", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| Err(late()))
    }
}

/// What happened to a leg.
#[must_use]
pub fn of(what: &What, leg: Uuid) -> Option<Happened> {
    match what {
        What::Leg(said) if said.leg == leg => Some(said.happened),
        _ => None,
    }
}

/// Whether these two are connected now.
#[must_use]
pub fn connects(what: &What, one: Uuid, other: Uuid) -> bool {
    let What::Leg(said) = what else { return false };
    matches!(said.happened, Happened::Bridged { a, b } if (a, b) == (one, other) || (a, b) == (other, one))
}

/// Whether a leg is connected with its partner no longer.
#[must_use]
pub fn parts(what: &What, leg: Uuid) -> bool {
    let What::Leg(said) = what else { return false };
    match said.happened {
        Happened::Unbridged { a, b } => a == leg || b == leg,
        Happened::Ended => said.leg == leg,
        _ => false,
    }
}

/// Where a call is parked.
#[must_use]
pub fn parked(what: &What, leg: Uuid) -> Option<&str> {
    match what {
        What::Parked(OfParked { leg: at, slot, is_there: true, .. }) if *at == leg => Some(slot),
        _ => None,
    }
}

/// Whether a leg is tapped so now.
#[must_use]
pub fn tapped(what: &What, leg: Uuid, is_on: bool, by: impl Fn(&Tap) -> bool) -> bool {
    matches!(what, What::Tapped(Tapped { leg: at, by: how, is_on: now }) if *at == leg && *now == is_on && by(how))
}

/// Why a leg ended, if it did.
#[must_use]
pub fn ended(what: &What, leg: Uuid) -> Option<Option<&str>> {
    match what {
        What::Leg(said) => match &**said {
            OfLeg { leg: at, happened: Happened::Ended, cause, .. } if *at == leg => Some(cause.as_deref()),
            _ => None,
        },
        _ => None,
    }
}
