//! Passwords of people: which are good enough, hashing off the async threads and few at a time.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;
use zxcvbn::feedback::{Feedback, Warning};

use crate::{
    model::error::{Error, Result},
    text::Code,
};

/// Fewest and most characters of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=200;
/// zxcvbn's score from which a password withstands guessing online and somewhat offline.
const GOOD: zxcvbn::Score = zxcvbn::Score::Three;
/// Its cost grows with the square of the length; what is longer is judged by its beginning.
const JUDGED: usize = 64;
/// Who waits for a hash beyond this is sent away: a flood of sign-ins must not pile up.
const WAITING: usize = 64;
/// Who signs in while so many do is sent away before the database is asked anything.
const SIGNING_IN: usize = 32;

fn not_made(error: impl std::fmt::Display) -> Error {
    Error::invalid("password", Code::NotMade.with("reason", error))
}

/// Argon2id with 19 MiB and two passes: OWASP's first recommendation. About 25 ms of one core.
fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(not_made)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hashing threads of this node: half of its cores, so that switches always have the other half.
#[derive(Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    signing_in: Arc<Semaphore>,
}

/// What a password is checked against where there is no account, so that it takes as long: a hash of nothing, with our parameters.
/// Not made at start: that would leave its 19 MiB behind.
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
    /// A place among those who sign in, for as long as it is held.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.signing_in).try_acquire_owned().map_err(|_| Error::Busy)
    }

    /// The hash of a password that was checked with [`check`].
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = Zeroizing::new(password.to_owned());
        self.run(move || {
            let hash = argon2()?.hash_password(password.as_bytes()).map_err(not_made)?;
            Ok(hash.to_string())
        })
        .await?
    }

    /// Is it the password of this hash? Without a hash it is not, after as much time.
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

/// Refuses passwords that are guessed soon: short ones, and those that zxcvbn knows from lists of breached passwords, names,
/// keyboards and dates, or finds in what else the person wrote.
pub fn check(field: &'static str, password: &str, written: &[&str]) -> Result<()> {
    let characters = password.chars().count();
    if !LENGTH.contains(&characters) {
        return Err(Error::invalid(
            field,
            Code::LengthOutOfRange.with("least", LENGTH.start()).with("most", LENGTH.end()),
        ));
    }
    let judged = password.chars().take(JUDGED).collect::<String>();
    // What the person wrote, whole and in its parts: an address's name is as easy a guess as the address.
    let parts = written.iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
    let guesses = written.iter().copied().chain(parts).filter(|text| text.len() > 2).collect::<Vec<_>>();
    // One's own name with a year behind it is many guesses to zxcvbn, and few to whoever knows the name.
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
