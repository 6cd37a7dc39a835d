//! Whose place is held in a queue.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// How many places of a queue are held at once: each is a leg on the switch. More agents than that are not free at the same moment.
pub const MOST: usize = 20;

/// Somebody who waits to be called back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub id: Uuid,
    pub joined: DateTime<Utc>,
    /// By how many seconds they come before others.
    pub ahead: i32,
    pub next_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// Whether a leg waits for them.
    pub is_held: bool,
}

impl Wish {
    /// As long as somebody has waited who is at this place.
    #[must_use]
    pub fn waited(&self, now: DateTime<Utc>) -> u32 {
        let waited = (now - self.joined).num_seconds().max(0) + i64::from(self.ahead);
        u32::try_from(waited).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Have a leg wait, as long as if it had waited so many seconds before.
    Hold(Uuid, u32),
    /// End the leg that waits.
    LetGo(Uuid),
    /// It was kept for as long as the queue keeps wishes.
    GiveUp(Uuid),
}

/// What is to be done about those who wait to be called back by a queue. `is_open`: whether anybody is called now.
#[must_use]
pub fn steps(wishes: &[Wish], is_open: bool, now: DateTime<Utc>) -> Vec<Step> {
    let mut in_order = wishes.iter().collect::<Vec<_>>();
    in_order.sort_by_key(|wish| (wish.joined - TimeDelta::seconds(wish.ahead.into()), wish.id));
    let (mut steps, mut held) = (Vec::new(), 0);
    for wish in in_order {
        if wish.expires_at <= now {
            steps.push(Step::GiveUp(wish.id));
            continue;
        }
        let is_next = is_open && wish.next_at <= now && held < MOST;
        held += usize::from(is_next);
        match (is_next, wish.is_held) {
            (true, false) => steps.push(Step::Hold(wish.id, wish.waited(now))),
            (false, true) => steps.push(Step::LetGo(wish.id)),
            _ => {}
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    /// One who has waited so many seconds.
    fn wish(id: u128, waited: i64) -> Wish {
        let joined = now() - TimeDelta::seconds(waited);
        let expires_at = now() + TimeDelta::hours(1);
        Wish { id: Uuid::from_u128(id), joined, ahead: 0, next_at: joined, expires_at, is_held: false }
    }

    fn id(id: u128) -> Uuid {
        Uuid::from_u128(id)
    }

    #[test]
    fn everybody_comes_in_as_if_they_had_waited_all_the_time() {
        let mut with_priority = wish(3, 10);
        with_priority.ahead = 600;
        let found = steps(&[wish(1, 30), wish(2, 90), with_priority], true, now());
        assert_eq!(found, [Step::Hold(id(3), 610), Step::Hold(id(2), 90), Step::Hold(id(1), 30)]);
    }

    #[test]
    fn whose_place_is_held_keeps_it_and_nobody_is_held_twice() {
        let held = Wish { is_held: true, ..wish(1, 30) };
        assert!(steps(&[held], true, now()).is_empty());
    }

    #[test]
    fn after_an_attempt_in_vain_the_place_is_free_until_the_next() {
        let later = Wish { next_at: now() + TimeDelta::seconds(1), ..wish(1, 30) };
        assert!(steps(&[later], true, now()).is_empty());
        assert_eq!(steps(&[Wish { is_held: true, ..later }], true, now()), [Step::LetGo(id(1))]);
        assert_eq!(steps(&[later], true, now() + TimeDelta::seconds(1)), [Step::Hold(id(1), 31)]);
    }

    #[test]
    fn nobody_is_called_while_the_company_is_closed() {
        let held = Wish { is_held: true, ..wish(2, 90) };
        assert_eq!(steps(&[wish(1, 30), held], false, now()), [Step::LetGo(id(2))]);
    }

    #[test]
    fn only_those_who_come_first_hold_a_place() {
        let many = (0..100_u32).map(|n| wish(u128::from(n), i64::from(n))).collect::<Vec<_>>();
        let found = steps(&many, true, now());
        assert_eq!(found.len(), MOST);
        assert_eq!(found[0], Step::Hold(id(99), 99));
        // Somebody with priority takes the place of the last of them.
        let mut held = many.iter().rev().take(MOST).map(|one| Wish { is_held: true, ..*one }).collect::<Vec<_>>();
        held.push(Wish { ahead: 1000, ..wish(200, 1) });
        assert_eq!(steps(&held, true, now()), [Step::Hold(id(200), 1001), Step::LetGo(id(80))]);
    }

    #[test]
    fn what_was_kept_long_enough_is_given_up_also_while_nobody_is_called() {
        let old = Wish { expires_at: now(), is_held: true, ..wish(1, 3600) };
        assert_eq!(steps(&[old], false, now()), [Step::GiveUp(id(1))]);
        assert_eq!(steps(&[old], true, now()), [Step::GiveUp(id(1))]);
    }
}
