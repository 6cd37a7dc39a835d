//! Rate limits for people who are not signed in. Failed sign-ins lock the account and the address, for longer each time. Accounts that
//! don't exist are locked too, so a lock reveals nothing.

use std::{fmt::Write as _, net::IpAddr};

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::throttle_store as store;
use crate::{
    http::left::{self, Left},
    model::error::{Error, Result},
    text::token::TokenHash,
};

/// How many failures are allowed before the first lock.
const FREE_FOR_ACCOUNT: i32 = 5;
const FREE_FOR_ADDRESS: i32 = 30;
/// The first wait; each further failure doubles it, up to the longest.
const FIRST_SECONDS: i32 = 30;
const LONGEST_SECONDS: i32 = 15 * 60;
/// Seconds after which half of the failures are forgotten. Many people may share an address, and some of them mistype; an account's
/// failures are forgotten when its owner signs in.
const HALF_LIFE_OF_ADDRESS: f64 = 3600.0;
const HALF_LIFE_OF_ACCOUNT: f64 = 24.0 * 3600.0;
/// Per hour and address.
const MOST_SIGN_UPS: i32 = 30;
const MOST_FORGOTTEN: i32 = 100;
/// Per hour and account, whoever asks for them.
const MOST_MAILS: i32 = 10;
/// Invalid links and refresh tokens, per hour and address.
const MOST_GUESSES: i32 = 30;

const HOUR: f64 = 3600.0;
/// The name of the limit of wrong passwords.
const SIGN_INS: &str = "sign-ins";

/// Notes what is left, for the answer.
fn note(policy: &'static str, quota: i32, window: f64, count: i32, reset: Option<i64>) {
    #[expect(clippy::cast_possible_truncation, reason = "a day at most, in whole seconds")]
    let window = Some(window as i64);
    left::note(Left { policy, quota: quota.into(), window, left: i64::from(quota) - i64::from(count), reset });
}

fn account(email: &str) -> String {
    format!("account {email}")
}

/// A /64 belongs to one household, so IPv6 addresses are counted by it.
fn address(source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(v4) => format!("address {v4}"),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("address {a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// How somebody signs in, which decides what their failures count against.
pub enum Door<'a> {
    /// From an unknown device: failures count against the account and the address.
    Open { email: &'a str, source: Option<IpAddr> },
    /// From a device that the owner has signed in from before. It has a count of its own: guesses by strangers don't lock it, and a
    /// stolen device token allows no more guesses than a stranger has.
    Known(TokenHash),
}

impl Door<'_> {
    fn who(&self) -> Vec<String> {
        match self {
            Self::Open { email, source } => std::iter::once(account(email)).chain(source.map(address)).collect(),
            Self::Known(hash) => vec![device(hash)],
        }
    }
}

fn device(hash: &TokenHash) -> String {
    hash.0.iter().fold("device ".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Refuses if the account, address or device is locked.
pub async fn check(db: impl PgExecutor<'_>, door: &Door<'_>) -> Result<()> {
    match store::locked_for(db, &door.who()).await? {
        Some(seconds) => {
            note(SIGN_INS, FREE_FOR_ACCOUNT, HALF_LIFE_OF_ACCOUNT, FREE_FOR_ACCOUNT, Some(seconds));
            Err(Error::TooMany { seconds: seconds.max(1) })
        }
        None => Ok(()),
    }
}

/// Counts a failure. Returns `true` if it locked the account.
pub async fn failed(db: &mut PgConnection, door: &Door<'_>) -> Result<bool> {
    let mut locked = false;
    for who in door.who() {
        let is_address = who.starts_with("address");
        let (free, half_life) = if is_address {
            (FREE_FOR_ADDRESS, HALF_LIFE_OF_ADDRESS)
        } else {
            (FREE_FOR_ACCOUNT, HALF_LIFE_OF_ACCOUNT)
        };
        let failures = store::count_failure(&mut *db, &who, half_life).await?;
        let locked_for = (failures >= free).then(|| wait(failures - free));
        note(SIGN_INS, free, half_life, failures, locked_for.map(i64::from));
        if let Some(seconds) = locked_for {
            store::lock(&mut *db, &who, seconds).await?;
            locked |= who.starts_with("account") && failures == free;
        }
    }
    Ok(locked)
}

/// The seconds that somebody waits after this many failures beyond those that are free.
fn wait(beyond: i32) -> i32 {
    FIRST_SECONDS.saturating_mul(1 << beyond.clamp(0, 10)).min(LONGEST_SECONDS)
}

/// Forgets the failures of an account or a device. Those of an address only fade: one success must not make up for many guesses at
/// other accounts.
pub async fn succeeded(db: &mut PgConnection, door: &Door<'_>) -> Result<()> {
    let who = match door {
        Door::Open { email, .. } => account(email),
        Door::Known(hash) => device(hash),
    };
    Ok(store::forget_failures(db, &who).await?)
}

/// Counts a sign-up from an address, and refuses more than the limit. Failed ones count too, since each costs a hash.
pub async fn sign_up(db: impl PgExecutor<'_>, source: Option<IpAddr>) -> Result<()> {
    hourly(db, "sign-ups", source, MOST_SIGN_UPS).await
}

/// Counts a request for a password reset, and refuses more than the limit.
pub async fn forgotten(db: impl PgExecutor<'_>, source: Option<IpAddr>) -> Result<()> {
    hourly(db, "forgotten", source, MOST_FORGOTTEN).await
}

async fn hourly(db: impl PgExecutor<'_>, what: &'static str, source: Option<IpAddr>, most: i32) -> Result<()> {
    let Some(source) = source else { return Ok(()) };
    let (count, seconds) = store::count_in_hour(db, &format!("{what} {}", address(source))).await?;
    note(what, most, HOUR, count, Some(seconds));
    if count > most {
        return Err(Error::TooMany { seconds: seconds.max(1) });
    }
    Ok(())
}

fn guesses(source: IpAddr) -> String {
    format!("guesses {}", address(source))
}

/// Refuses an address that has sent many invalid links or tokens.
pub async fn may_guess(db: impl PgExecutor<'_>, source: Option<IpAddr>) -> Result<()> {
    let Some(source) = source else { return Ok(()) };
    let counted = store::counted_in_hour(db, &guesses(source)).await?;
    if let Some((count, seconds)) = counted {
        note("links", MOST_GUESSES, HOUR, count, Some(seconds));
    }
    match counted {
        Some((count, seconds)) if count >= MOST_GUESSES => Err(Error::TooMany { seconds: seconds.max(1) }),
        _ => Ok(()),
    }
}

/// Counts an invalid link or token.
pub async fn guessed(db: impl PgExecutor<'_>, source: Option<IpAddr>) -> Result<()> {
    if let Some(source) = source {
        let (count, seconds) = store::count_in_hour(db, &guesses(source)).await?;
        note("links", MOST_GUESSES, HOUR, count, Some(seconds));
    }
    Ok(())
}

/// Counts an invalid API key, and refuses more than the limit. One that is valid is never held up: many scripts may share an address.
pub async fn wrong_key(db: &sqlx::PgPool, source: Option<IpAddr>) -> Result<()> {
    let Some(source) = source else { return Ok(()) };
    let who = format!("keys {}", address(source));
    if let Some((count, seconds)) = store::counted_in_hour(db, &who).await?.filter(|(count, _)| *count >= MOST_GUESSES)
    {
        note("keys", MOST_GUESSES, HOUR, count, Some(seconds));
        return Err(Error::TooMany { seconds: seconds.max(1) });
    }
    let (count, seconds) = store::count_in_hour(db, &who).await?;
    note("keys", MOST_GUESSES, HOUR, count, Some(seconds));
    Ok(())
}

/// Counts a mail to an unconfirmed address. Returns `false` if the limit is reached.
pub async fn may_be_asked(db: impl PgExecutor<'_>, email: &str) -> Result<bool> {
    Ok(store::count_in_hour(db, &format!("mails to {}", email.to_ascii_lowercase())).await?.0 <= MOST_MAILS)
}

/// Counts a mail that strangers can cause. Returns `false` if the limit is reached.
pub async fn may_be_written_to(db: impl PgExecutor<'_>, user: Uuid) -> Result<bool> {
    Ok(store::count_in_hour(db, &format!("mails {user}")).await?.0 <= MOST_MAILS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour() {
        assert_eq!([0, 1, 2, 5, 30].map(wait), [30, 60, 120, 900, 900]);
    }

    #[test]
    fn addresses_of_one_household_are_one() {
        assert_eq!(address("2001:db8:1:2::1".parse().unwrap()), address("2001:db8:1:2:ffff::9".parse().unwrap()));
        assert_eq!(address("::ffff:192.0.2.1".parse().unwrap()), "address 192.0.2.1");
    }
}
