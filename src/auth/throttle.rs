//! Lockout: who fails to sign in has to wait longer each time, by account and by address. Accounts that there are not are locked
//! as well, so that a lock tells nothing.

use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use sqlx::PgConnection;

use super::store;
use crate::changes::{Error, Result};

/// Failures that cost nothing but themselves.
const FREE_FOR_ACCOUNT: i32 = 5;
const FREE_FOR_ADDRESS: i32 = 30;
/// The first wait; each further failure doubles it, up to the longest.
const FIRST_SECONDS: i64 = 30;
const LONGEST_SECONDS: i64 = 15 * 60;

fn account(email: &str) -> String {
    format!("account {email}")
}

/// A /64 is one household's: an address of IPv6 counts by it.
fn address(source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(v4) => format!("address {v4}"),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("address {a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn who(email: &str, source: Option<IpAddr>) -> Vec<String> {
    std::iter::once(account(email)).chain(source.map(address)).collect()
}

/// Refuses who has to wait.
pub async fn check(db: &mut PgConnection, email: &str, source: Option<IpAddr>) -> Result<()> {
    match store::locked_until(db, &who(email, source)).await? {
        Some(until) => Err(Error::TooMany { seconds: (until - Utc::now()).num_seconds().max(1) }),
        None => Ok(()),
    }
}

/// Counts a failure. True: the account was locked by it.
pub async fn failed(db: &mut PgConnection, email: &str, source: Option<IpAddr>) -> Result<bool> {
    let mut locked = false;
    for who in who(email, source) {
        let is_account = who.starts_with("account");
        let failures = store::count_failure(&mut *db, &who).await?;
        let free = if is_account { FREE_FOR_ACCOUNT } else { FREE_FOR_ADDRESS };
        if failures >= free {
            store::lock(&mut *db, &who, until(failures - free)).await?;
            locked |= is_account && failures == free;
        }
    }
    Ok(locked)
}

fn until(beyond: i32) -> DateTime<Utc> {
    let seconds = FIRST_SECONDS.saturating_mul(1 << beyond.clamp(0, 10)).min(LONGEST_SECONDS);
    Utc::now() + Duration::seconds(seconds)
}

/// Forgets an account's failures; the address's fade by themselves, as one success must not pay for many guesses elsewhere.
pub async fn succeeded(db: &mut PgConnection, email: &str) -> Result<()> {
    Ok(store::forget_failures(db, &account(email)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour() {
        let seconds = |beyond| (until(beyond) - Utc::now()).num_seconds() + 1;
        assert_eq!([0, 1, 2, 5, 30].map(seconds), [30, 60, 120, 900, 900]);
    }

    #[test]
    fn addresses_of_one_household_are_one() {
        assert_eq!(address("2001:db8:1:2::1".parse().unwrap()), address("2001:db8:1:2:ffff::9".parse().unwrap()));
        assert_eq!(address("::ffff:192.0.2.1".parse().unwrap()), "address 192.0.2.1");
    }
}
