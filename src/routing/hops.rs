//! Counts how often routes have led a call on, so that loops end.
//!
//! Only leading on without a person counts. When somebody presses a digit in a menu or transfers a call, the count begins again. A
//! route that leads on notes the count and where it leads (`channel::HOPS`). If the call is then at another place, somebody has sent
//! it there.

use super::{Action, action::set};
use crate::model::channel;

/// A call that was led on more often than this is in a loop.
pub const MOST_HOPS: u8 = 10;

/// How often a saved chain of destinations may lead on. Before it, a call may have come by a dialplan entry, by a phone that did not
/// take it, and by that phone's forward.
pub const MOST_LEADS: u8 = MOST_HOPS - 3;

/// How often the count may begin again. XML entries transfer calls without counting, so this ends their loops.
const MOST_CHOICES: u8 = 100;

/// What a leg begins with that a group rings by its member's forward. Groups that such a leg comes to ring phones alone.
const SPREAD: u8 = 5;

/// What a leg begins with that rings besides an extension's own phone. An extension that such a leg comes to rings its own phone alone.
const FOLLOWS: u8 = SPREAD + 1;

/// The counts of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Hops {
    /// How often it was led on since somebody last chose where it goes.
    led: u8,
    /// How often somebody has chosen.
    chosen: u8,
}

impl Hops {
    /// The counts of a call that was led on this often.
    #[must_use]
    pub fn led(times: u8) -> Self {
        Self { led: times.min(MOST_HOPS + 1), chosen: 0 }
    }

    /// Reads the variable of a call at `destination`.
    #[must_use]
    pub fn read(value: Option<&str>, destination: &str) -> Self {
        let Some(value) = value else { return Self::default() };
        let mut parts = value.splitn(3, ':');
        let (led, chosen, to) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        // An unreadable value counts as too many. Nodes of earlier releases write only the count.
        let led = led.parse().unwrap_or(u8::MAX).min(MOST_HOPS + 1);
        let chosen = chosen.map_or(0, |chosen| chosen.parse().unwrap_or(u8::MAX).min(MOST_CHOICES + 1));
        match to {
            Some(to) if to != destination => Self { led: 0, chosen: (chosen + 1).min(MOST_CHOICES + 1) },
            _ => Self { led, chosen },
        }
    }

    /// The counts of a leg that a group rings by its member's forward.
    #[must_use]
    pub(super) fn spread(self) -> Self {
        Self { led: self.led.max(SPREAD - 1), ..self }
    }

    /// Whether a group has rung this call by its member's forward.
    #[must_use]
    pub(super) fn is_spread(self) -> bool {
        self.led >= SPREAD
    }

    /// The counts of a leg that rings besides an extension's own phone (`follow_me`).
    #[must_use]
    pub(super) fn following(self) -> Self {
        Self { led: self.led.max(FOLLOWS - 1), ..self }
    }

    /// Whether an extension has rung this call besides its own phone.
    #[must_use]
    pub(super) fn follows(self) -> bool {
        self.led >= FOLLOWS
    }

    /// The variable's value for a call that is led on.
    #[must_use]
    pub fn value(self, to: &str) -> String {
        format!("{}:{}:{to}", self.led + 1, self.chosen)
    }

    /// Notes that the call is led on.
    #[must_use]
    pub(super) fn on(self, to: &str) -> Action {
        set(channel::HOPS, self.value(to))
    }

    #[must_use]
    pub fn is_circle(self) -> bool {
        self.led > MOST_HOPS || self.chosen > MOST_CHOICES
    }

    /// Whether a route or a user of the platform has sent it where it is.
    #[must_use]
    pub fn is_sent(self) -> bool {
        self != Self::default()
    }

    #[must_use]
    pub fn count(self) -> u8 {
        self.led
    }

    /// The form in an answer's key.
    #[must_use]
    pub fn key(self) -> [u8; 2] {
        [self.led + 1, self.chosen + 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_led_counts_and_being_sent_begins_again() {
        assert_eq!(Hops::read(None, "1000"), Hops::default());
        let mut hops = Hops::default();
        for times in 1..=MOST_HOPS + 1 {
            assert!(!hops.is_circle());
            hops = Hops::read(Some(&hops.value("1000~after")), "1000~after");
            assert_eq!(hops.count(), times);
        }
        assert!(hops.is_circle());
        let hops = Hops::read(Some("7:0:1000"), "1001");
        assert_eq!((hops.count(), hops.is_sent(), hops.is_circle()), (0, true, false));
        for value in ["11", "300", "x", "", "11:0:1000", "0:101:1000", "0:x:1000"] {
            assert!(Hops::read(Some(value), "1000").is_circle(), "{value}");
        }
        assert_eq!(Hops::read(Some("3"), "1000"), Hops::led(3));
    }

    #[test]
    fn transfers_that_nobody_counts_end_too() {
        let mut hops = Hops::default();
        let mut rounds = 0;
        while !hops.is_circle() {
            hops = Hops::read(Some(&hops.value("a")), "b");
            rounds += 1;
        }
        assert_eq!(rounds, MOST_CHOICES + 1);
    }
}
