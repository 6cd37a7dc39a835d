//! Which key comes next: in order, or in a random-looking order that asks every key once before it repeats one.

use std::sync::atomic::{AtomicU64, Ordering};

/// A tenant and a user, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    pub domain: u32,
    pub user: u32,
}

pub struct Keys {
    domains: u64,
    users: u64,
    first_user: u32,
    /// The step through the key space, coprime to its size, so that every key is reached.
    step: u64,
    next: AtomicU64,
    end: AtomicU64,
}

impl Keys {
    pub fn new(domains: u32, users: u32, first_user: u32, random: bool) -> Self {
        let (domains, users) = (u64::from(domains.max(1)), u64::from(users.max(1)));
        let size = domains * users;
        // A step of the golden ratio puts neighbours far apart.
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "any step will do"
        )]
        let wish = (size as f64 * 0.618_033_988_75) as u64;
        let step =
            if random { (wish.max(1)..=wish.max(1) + size).find(|step| gcd(*step, size) == 1).unwrap_or(1) } else { 1 };
        Self { domains, users, first_user, step, next: AtomicU64::new(0), end: AtomicU64::new(u64::MAX) }
    }

    /// Begins anew, for at most `limit` keys or without a limit.
    pub fn restart(&self, limit: Option<u64>) {
        let from = if limit.is_some() { 0 } else { self.next.load(Ordering::Relaxed) };
        self.next.store(from, Ordering::Relaxed);
        self.end.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn next(&self) -> Option<Key> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        (turn < self.end.load(Ordering::Relaxed)).then(|| self.at(turn))
    }

    pub fn asked(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(self.end.load(Ordering::Relaxed))
    }

    fn at(&self, turn: u64) -> Key {
        let size = self.domains * self.users;
        let place = u128::from(turn % size) * u128::from(self.step) % u128::from(size);
        let place = u64::try_from(place).unwrap_or(0);
        let number = |n: u64| u32::try_from(n).unwrap_or(0);
        Key { domain: number(place % self.domains), user: self.first_user + number(place / self.domains) }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_key_comes_once_before_any_comes_again() {
        for (domains, users, random) in [(1, 1, true), (1, 1000, true), (7, 13, true), (20, 500, true), (3, 4, false)] {
            let keys = Keys::new(domains, users, 1000, random);
            let size = domains * users;
            let met = (0..size).map(|_| keys.next().unwrap()).collect::<HashSet<_>>();
            assert_eq!(met.len(), size as usize);
            assert!(met.iter().all(|key| key.domain < domains && (1000..1000 + users).contains(&key.user)));
        }
    }

    #[test]
    fn a_limit_ends_the_keys() {
        let keys = Keys::new(1, 10, 0, false);
        keys.restart(Some(3));
        assert_eq!(std::iter::from_fn(|| keys.next()).count(), 3);
        assert_eq!(keys.asked(), 3);
    }
}
