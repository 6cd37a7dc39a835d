//! Passwords of people: which are strong enough, and hashing a few at a time, off the async threads.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;
use zxcvbn::feedback::{Feedback, Warning};

use crate::{
    model::error::{Error, Result},
    text::Code,
};

/// Shortest and longest password, in characters.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=200;
/// The zxcvbn score that withstands guessing online, and for a while offline.
const GOOD: zxcvbn::Score = zxcvbn::Score::Three;
/// zxcvbn's cost grows with the square of the length, so longer passwords are judged by their beginning.
const JUDGED: usize = 64;
/// Most requests that wait for a hash. More are refused, so that a flood of sign-ins does not pile up.
const WAITING: usize = 64;
/// Most sign-ins at once. More are refused before the database is asked.
const SIGNING_IN: usize = 32;

fn not_made(error: impl std::fmt::Display) -> Error {
    Error::invalid("password", Code::NotMade.with("reason", error))
}

/// Argon2id with 19 MiB and two passes: OWASP's first recommendation. About 25 ms of one core.
fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(not_made)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hashing threads of this node: half of its cores. Switches always have the other half.
#[derive(Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    signing_in: Arc<Semaphore>,
}

/// A hash of nothing, with our parameters. Passwords for accounts that don't exist are checked against it, so that they take as long.
/// It is a constant because making one at start would leave its 19 MiB behind.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlzIQ$jIPaPJLX4FDlLyWp5oIaRW46W9BbapKtVYJ6boAxkpo";

impl Default for Passwords {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            permits: Arc::new(Semaphore::new((cores / 2).max(1))),
            waiting: Arc::new(Semaphore::new(WAITING)),
            signing_in: Arc::new(Semaphore::new(SIGNING_IN)),
        }
    }
}

impl Passwords {
    /// A place among the sign-ins of this node, until it is dropped.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.signing_in).try_acquire_owned().map_err(|_| Error::Busy)
    }

    /// Hashes a new password if it is strong enough (see [`check`]).
    pub async fn choose(&self, password: &str, written: &[&str]) -> Result<String> {
        let shown = Zeroizing::new(password.to_owned());
        let written = written.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let judge = move || check("password", &shown, &written.iter().map(String::as_str).collect::<Vec<_>>());
        self.run(judge).await??;
        self.hash(password).await
    }

    /// Hashes a password that was checked.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = Zeroizing::new(password.to_owned());
        self.run(move || {
            let hash = argon2()?.hash_password(password.as_bytes()).map_err(not_made)?;
            Ok(hash.to_string())
        })
        .await?
    }

    /// Whether the password matches the hash. Without a hash it doesn't, after the same time.
    pub async fn verify(&self, hash: Option<&str>, password: &str) -> Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(NOBODY).to_owned();
        let password = Zeroizing::new(password.chars().take(*LENGTH.end()).collect::<String>());
        self.run(move || {
            let Ok(hash) = PasswordHash::new(&hash) else { return Ok(false) };
            Ok(argon2()?.verify_password(password.as_bytes(), &hash).is_ok() && known)
        })
        .await?
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        let _permit = self.permits.acquire().await.map_err(|_| Error::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Busy)
    }
}

/// Refuses weak passwords: short ones, and those that zxcvbn finds in lists of breached passwords, names, keyboard rows and dates, or in
/// the person's other input.
pub fn check(field: &'static str, password: &str, written: &[&str]) -> Result<()> {
    let characters = password.chars().count();
    if !LENGTH.contains(&characters) {
        return Err(Error::invalid(
            field,
            Code::LengthOutOfRange.with("least", LENGTH.start()).with("most", LENGTH.end()),
        ));
    }
    let judged = password.chars().take(JUDGED).collect::<String>();
    // The person's other input, whole and in parts: the name in an address is as easy to guess as the address.
    let parts = written.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    let guesses = written.iter().copied().chain(parts).filter(|text| text.len() > 2).collect::<Vec<_>>();
    // One's own name with a year is hard to guess for zxcvbn, and easy for people who know the name.
    let plain = judged.to_lowercase();
    let rest = guesses.iter().fold(plain, |rest, own| rest.replace(&own.to_lowercase(), ""));
    if rest.chars().count() * 2 < judged.chars().count() {
        return Err(Error::invalid(field, Code::PasswordOfYourName));
    }
    let judgement = zxcvbn::zxcvbn(&judged, &guesses);
    if judgement.score() >= GOOD {
        return Ok(());
    }
    let warning = judgement.feedback().and_then(Feedback::warning);
    Err(Error::invalid(field, warning.map_or(Code::PasswordGuessedSoon, weakness)))
}

fn weakness(warning: Warning) -> Code {
    match warning {
        Warning::StraightRowsOfKeysAreEasyToGuess => Code::PasswordRowOfKeys,
        Warning::ShortKeyboardPatternsAreEasyToGuess => Code::PasswordKeyboardPattern,
        Warning::RepeatsLikeAaaAreEasyToGuess => Code::PasswordRepeats,
        Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess => Code::PasswordRepeatsParts,
        Warning::ThisIsATop10Password => Code::PasswordTop10,
        Warning::ThisIsATop100Password => Code::PasswordTop100,
        Warning::ThisIsACommonPassword => Code::PasswordVeryCommon,
        Warning::ThisIsSimilarToACommonlyUsedPassword => Code::PasswordSimilar,
        Warning::SequencesLikeAbcAreEasyToGuess => Code::PasswordSequence,
        Warning::RecentYearsAreEasyToGuess => Code::PasswordYear,
        Warning::AWordByItselfIsEasyToGuess => Code::PasswordOneWord,
        Warning::DatesAreOftenEasyToGuess => Code::PasswordDate,
        Warning::NamesAndSurnamesByThemselvesAreEasyToGuess => Code::PasswordName,
        Warning::CommonNamesAndSurnamesAreEasyToGuess => Code::PasswordCommonName,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_hash_takes_as_long_as_anybodys() {
        let ours = argon2().unwrap().hash_password(b"some password").unwrap().to_string();
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(NOBODY), parameters(&ours));
        let lengths = |hash: &str| hash.split('$').skip(4).map(str::len).collect::<Vec<_>>();
        assert_eq!(lengths(NOBODY), lengths(&ours));
    }

    #[test]
    fn weak_and_breached_passwords_are_refused_with_the_reason() {
        for weak in
            ["short", "password123", "qwertyuiop", "aaaaaaaaaaaa", "ada.lovelace1", "1234567890", "iloveyou2024"]
        {
            let error = check("password", weak, &["ada.lovelace@acme.test", "Ada", "Lovelace"]).expect_err(weak);
            assert!(error.to_string().starts_with("password "), "{error}");
        }
        check("password", "copper lantern walks 9 rivers", &[]).unwrap();
        check("password", "xB7-qpl2-Zr9w-0t", &[]).unwrap();
        assert!(check("password", &"long and unlikely words ".repeat(20), &[]).is_err());
    }

    #[tokio::test]
    async fn a_password_matches_its_hash_and_nobodys_none() {
        let passwords = Passwords::default();
        let hash = passwords.hash("copper lantern walks").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify(Some(&hash), "copper lantern walks").await.unwrap());
        assert!(!passwords.verify(Some(&hash), "copper lantern").await.unwrap());
        assert!(!passwords.verify(None, "nobody has this").await.unwrap());
    }
}
