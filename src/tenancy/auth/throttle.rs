//! Lockout: who fails to sign in has to wait longer each time, by account and by address. Accounts that there are not are locked
//! as well, so that a lock tells nothing. And how often strangers may have something done.

use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::store;
use crate::model::error::{Error, Result};

/// Failures that cost nothing but themselves.
const FREE_FOR_ACCOUNT: i32 = 5;
const FREE_FOR_ADDRESS: i32 = 30;
/// The first wait; each further failure doubles it, up to the longest.
const FIRST_SECONDS: i64 = 30;
const LONGEST_SECONDS: i64 = 15 * 60;
/// Seconds in which half of the failures are forgotten. Behind an address may be a whole office, where somebody always mistypes;
/// an account's are forgotten when its owner signs in.
const HALF_LIFE_OF_ADDRESS: f64 = 3600.0;
const HALF_LIFE_OF_ACCOUNT: f64 = 24.0 * 3600.0;
/// In an hour, from one address.
const MOST_SIGN_UPS: i32 = 30;
const MOST_FORGOTTEN: i32 = 100;
/// In an hour, to one account, by whoever asks for them.
const MOST_MAILS: i32 = 10;

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
pub async fn check(db: impl PgExecutor<'_>, email: &str, source: Option<IpAddr>) -> Result<()> {
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
        let (free, half_life) = if is_account {
            (FREE_FOR_ACCOUNT, HALF_LIFE_OF_ACCOUNT)
        } else {
            (FREE_FOR_ADDRESS, HALF_LIFE_OF_ADDRESS)
        };
        let failures = store::count_failure(&mut *db, &who, half_life).await?;
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

/// Counts a sign-up from an address, and refuses who had many. Those that come to nothing count as well: each costs a hash.
pub async fn sign_up(db: impl PgExecutor<'_>, source: Option<IpAddr>) -> Result<()> {
    hourly(db, "sign-ups", source, MOST_SIGN_UPS).await
}

/// Counts somebody who forgot their password, and refuses who forgets many.
pub async fn forgotten(db: impl PgExecutor<'_>, source: Option<IpAddr>) -> Result<()> {
    hourly(db, "forgotten", source, MOST_FORGOTTEN).await
}

async fn hourly(db: impl PgExecutor<'_>, what: &str, source: Option<IpAddr>, most: i32) -> Result<()> {
    let Some(source) = source else { return Ok(()) };
    let (count, ends) = store::count_in_hour(db, &format!("{what} {}", address(source))).await?;
    if count > most {
        return Err(Error::TooMany { seconds: (ends - Utc::now()).num_seconds().max(1) });
    }
    Ok(())
}

/// Counts a mail that anybody can have sent to an account. False: there were enough of them.
pub async fn may_be_written_to(db: impl PgExecutor<'_>, user: Uuid) -> Result<bool> {
    Ok(store::count_in_hour(db, &format!("mails {user}")).await?.0 <= MOST_MAILS)
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
