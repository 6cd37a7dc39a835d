//! Legs that hang up and are not over yet.
//!
//! A switch fires `CHANNEL_HANGUP_COMPLETE`, with which a leg is over, only after it has posted the leg's record
//! (`switch_core_session_reporting_state` in switch_core_state_machine.c). As long as nobody takes records, that is many seconds later. By then, nobody
//! has talked for long: a leg that hung up (`CHANNEL_HANGUP`, which a leg never comes back from) is over soon, with or without its record.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::sleep;
use uuid::Uuid;

use super::said::{Happened, Said, What};

/// How long a leg has for its record. As a rule it takes milliseconds, and what happens meanwhile, such as the end of its connection, comes in its order.
const SOON: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The legs that hung up, the first one first.
#[derive(Default)]
pub struct Ends(Mutex<VecDeque<(Instant, Said)>>);

impl Ends {
    /// What is to be told now of what was heard.
    pub fn hear(&self, said: Said, now: Instant) -> Option<Said> {
        match of_leg(&said) {
            Some((_, Happened::HangsUp)) => {
                self.waiting().push_back((now + SOON, said));
                None
            }
            Some((leg, Happened::Ended)) => {
                self.waiting().retain(|(_, other)| of_leg(other).is_none_or(|(other, _)| other != leg));
                Some(said)
            }
            _ => Some(said),
        }
    }

    /// Tells of the ends that did not come by themselves, forever.
    pub async fn tell(&self, heard: impl Fn(Said)) -> Infallible {
        loop {
            sleep(LOOK_EVERY).await;
            while let Some(said) = self.over(Instant::now()) {
                heard(said);
            }
        }
    }

    fn over(&self, now: Instant) -> Option<Said> {
        let mut waiting = self.waiting();
        let (_, mut said) = waiting.pop_front_if(|(when, _)| *when <= now)?;
        if let What::Leg(leg) = &mut said.what {
            leg.happened = Happened::Ended;
        }
        Some(said)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Instant, Said)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_leg(said: &Said) -> Option<(Uuid, Happened)> {
    match &said.what {
        What::Leg(leg) => Some((leg.leg, leg.happened)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switch::live::said::{About, OfLeg};

    fn said(leg: Uuid, happened: Happened) -> Said {
        let cause = Some("NORMAL_CLEARING".to_owned());
        Said { at: 1, what: What::Leg(Box::new(OfLeg { leg, happened, about: About::default(), cause })) }
    }

    #[test]
    fn a_leg_that_hung_up_is_over_once_whether_its_end_is_heard_or_not() {
        let (ends, now) = (Ends::default(), Instant::now());
        let (heard, silent) = (Uuid::new_v4(), Uuid::new_v4());
        for leg in [heard, silent] {
            assert_eq!(ends.hear(said(leg, Happened::HangsUp), now), None);
        }
        assert_eq!(ends.over(now + SOON / 2), None, "it has its time");
        assert_eq!(ends.hear(said(heard, Happened::Ended), now), Some(said(heard, Happened::Ended)));
        assert_eq!(ends.over(now + SOON), Some(said(silent, Happened::Ended)));
        assert_eq!(ends.over(now + SOON), None);
        // Its record was taken after all.
        assert!(ends.hear(said(silent, Happened::Ended), now).is_some());
        assert_eq!(ends.over(now + 2 * SOON), None);
    }
}
