//! Brakes guessing of phones' passwords.
//!
//! The switch checks digests itself (`sofia_reg_parse_auth` in sofia_reg.c) and says nothing of the result, but it sends along what it checks.
//! So a node can tell who knew the password. After too many wrong ones, whoever guesses is answered as if there were no such user, even if
//! they guess right, until they have been quiet for a while. Guesses lock no owner out:
//!
//! - Where an account has signed in rightly from an address, it is never refused there. A node that was started a moment ago sees from the
//!   switches' registrations where that is.
//! - From an address that has guessed nothing wrong, the right password is let in, however often the account is guessed from others. Whoever
//!   has many addresses has one guess at each.
//!
//! Each node counts for itself.

use std::{borrow::Cow, time::Duration};

use md5::{Digest as _, Md5};

use super::form::decode;
use crate::text::keyring::hex;

/// How long it takes until wrong passwords are forgotten, from the first.
const WINDOW: Duration = Duration::from_mins(10);
/// For how long an account's address is remembered after it last signed in there.
const REMEMBERED: Duration = Duration::from_hours(24 * 30);
/// The most wrong passwords for an account from one address.
const PER_BOTH: u32 = 10;
/// The most from one address. A site's phones share one.
const PER_ADDRESS: u32 = 50;
/// The most for an account from all addresses where it is not known. Beyond that, each address has one guess.
const PER_ACCOUNT: u32 = 200;
/// The most accounts and addresses that are remembered: about 20 MB with names as people have them, and never more than 200 MB.
const MOST: u64 = 200_000;
/// The longest account that is counted by its name. Nobody has a longer one, so all of these are one.
const LONGEST: usize = 320;

/// What a phone has sent to prove that it knows a password. Its texts are still encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proof<'a> {
    pub address: &'a [u8],
    pub method: &'a [u8],
    pub nonce: &'a [u8],
    pub uri: &'a [u8],
    pub qop: &'a [u8],
    pub cnonce: &'a [u8],
    pub count: &'a [u8],
    pub response: &'a [u8],
}

impl Proof<'_> {
    /// Whether it is that of a user with this hash of name, realm and password (RFC 2617).
    fn is_right(&self, a1: &str) -> bool {
        let text = |field| decode(field).unwrap_or(Cow::Borrowed(""));
        let hash = |parts: &[&str]| hex(&Md5::digest(parts.join(":")));
        let a2 = hash(&[&text(self.method), &text(self.uri)]);
        let wanted = if self.qop.is_empty() {
            hash(&[a1, &text(self.nonce), &a2])
        } else {
            let (nonce, count, cnonce, qop) = (text(self.nonce), text(self.count), text(self.cnonce), text(self.qop));
            hash(&[a1, &nonce, &count, &cnonce, &qop, &a2])
        };
        text(self.response).eq_ignore_ascii_case(&wanted)
    }
}

/// What a count is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Address(Box<str>),
    Account(Box<str>),
    Both(Box<str>, Box<str>),
}

/// The counts of wrong passwords, and where accounts have signed in.
pub struct Guesses {
    wrong: moka::sync::Cache<Counted, u32>,
    known: moka::sync::Cache<(Box<str>, Box<str>), ()>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            wrong: moka::sync::Cache::builder().max_capacity(MOST).time_to_live(WINDOW).build(),
            known: moka::sync::Cache::builder().max_capacity(MOST).time_to_idle(REMEMBERED).build(),
        }
    }
}

/// What becomes of somebody who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// The switch decides.
    Passed,
    Braked,
}

impl Guesses {
    /// Judges one attempt. `answer`: what the switch would get, with the user's hash if there is such a user. `is_registered`: whether the
    /// account is registered from an address at the moment.
    pub fn judge(
        &self,
        user: &str,
        domain: &str,
        proof: &Proof<'_>,
        answer: &[u8],
        is_registered: impl Fn(&str) -> bool,
    ) -> Judged {
        if proof.response.is_empty() {
            return Judged::Passed;
        }
        let Some(address) = decode(proof.address).filter(|address| !address.is_empty() && address.len() <= 45) else {
            // An older configuration of the switch does not send it.
            return Judged::Passed;
        };
        let account = if user.len() + domain.len() < LONGEST {
            format!("{user}@{domain}").to_ascii_lowercase()
        } else {
            String::new()
        };
        let pair = (account.into_boxed_str(), Box::from(address.as_ref()));
        if self.known.get(&pair).is_some() {
            return Judged::Passed;
        }
        let is_right = a1_of(answer).is_some_and(|a1| proof.is_right(a1));
        let (account, address) = pair.clone();
        let counts = [
            (Counted::Both(account.clone(), address.clone()), PER_BOTH),
            (Counted::Address(address.clone()), PER_ADDRESS),
            (Counted::Account(account), PER_ACCOUNT),
        ];
        let is_full = |(counted, most): &(Counted, u32)| self.wrong.get(counted).is_some_and(|count| count >= *most);
        let [both, at_address, of_account] = &counts;
        let is_first = || is_right && self.wrong.get(&both.0).is_none();
        let is_braked = is_full(both) || is_full(at_address) || (is_full(of_account) && !is_first());
        let braked = is_braked && !(is_right && is_registered(&address));
        match (is_right, braked) {
            (true, false) => self.known.insert(pair, ()),
            (true, true) => {}
            // A count that is full stays as it is, so that it ends some time after the guesses do.
            (false, _) => counts.into_iter().for_each(|(counted, most)| self.count(counted, most)),
        }
        if braked { Judged::Braked } else { Judged::Passed }
    }

    fn count(&self, counted: Counted, most: u32) {
        self.wrong
            .entry(counted)
            .and_upsert_with(|count| count.map_or(1, |count| count.into_value().saturating_add(1).min(most)));
    }
}

/// The hash in an answer (`render::auth_params`).
fn a1_of(answer: &[u8]) -> Option<&str> {
    const BEFORE: &[u8] = b"name=\"a1-hash\" value=\"";
    let at = answer.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
    std::str::from_utf8(answer.get(at..at + 32)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"<param name=\"a1-hash\" value=\"939e7578ed9e3c518a452acee763bce9\"/>";

    /// The example of RFC 2617, section 3.5.
    fn proof<'a>(address: &'a str, response: &'a str) -> Proof<'a> {
        Proof {
            address: address.as_bytes(),
            method: b"GET",
            nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
            uri: b"%2Fdir%2Findex.html",
            qop: b"auth",
            cnonce: b"0a4f113b",
            count: b"00000001",
            response: response.as_bytes(),
        }
    }

    fn judge(guesses: &Guesses, account: &str, proof: &Proof<'_>, answer: &[u8]) -> Judged {
        let (user, domain) = account.split_once('@').unwrap();
        guesses.judge(user, domain, proof, answer, |_| false)
    }

    #[test]
    fn names_that_nobody_has_are_counted_as_one_however_long_they_are() {
        let guesses = Guesses::default();
        for at in 0..=PER_BOTH {
            let account = format!("{}{at}@x", "a".repeat(60_000));
            let judged = judge(&guesses, &account, &proof("198.51.100.7", "0"), b"<domain/>");
            assert_eq!(judged, if at < PER_BOTH { Judged::Passed } else { Judged::Braked });
        }
        guesses.wrong.run_pending_tasks();
        assert_eq!(guesses.wrong.entry_count(), 3, "one account, one address, and both");
    }

    const RIGHT: &str = "6629fae49393a05397450978507c4ef1";

    #[test]
    fn the_digest_of_the_standard_is_right() {
        assert!(proof("192.0.2.1", RIGHT).is_right(a1_of(ANSWER).unwrap()));
        assert!(!proof("192.0.2.1", "0").is_right(a1_of(ANSWER).unwrap()));
    }

    #[test]
    fn whoever_guesses_is_braked_and_the_owner_is_not() {
        let guesses = Guesses::default();
        let judge =
            |account: &str, address: &str, response: &str| judge(&guesses, account, &proof(address, response), ANSWER);
        assert_eq!(judge("a@x", "192.0.2.1", RIGHT), Judged::Passed, "the owner");
        for _ in 0..PER_BOTH {
            assert_eq!(judge("a@x", "198.51.100.1", "0"), Judged::Passed);
        }
        assert_eq!(judge("a@x", "198.51.100.1", "0"), Judged::Braked);
        assert_eq!(judge("A@X", "198.51.100.1", RIGHT), Judged::Braked, "even if the next guess is right");
        assert_eq!(judge("a@x", "192.0.2.1", RIGHT), Judged::Passed, "the owner where they are known");
        assert_eq!(judge("a@x", "192.0.2.2", RIGHT), Judged::Passed, "and at another address");
    }

    #[test]
    fn many_accounts_from_one_address_and_many_addresses_for_one_account_are_braked() {
        let guesses = Guesses::default();
        let judge =
            |account: &str, address: &str, response: &str| judge(&guesses, account, &proof(address, response), ANSWER);
        judge("desk@x", "203.0.113.1", RIGHT);
        for at in 0..PER_ADDRESS {
            judge(&format!("{at}@x"), "203.0.113.1", "0");
        }
        assert_eq!(judge("new@x", "203.0.113.1", RIGHT), Judged::Braked);
        assert_eq!(judge("desk@x", "203.0.113.1", RIGHT), Judged::Passed, "a phone that has signed in there");
        for at in 0..PER_ACCOUNT {
            judge("desk@x", &format!("10.0.{}.{}", at / 256, at % 256), "0");
        }
        assert_eq!(judge("desk@x", "203.0.113.9", "0"), Judged::Braked);
        assert_eq!(judge("desk@x", "203.0.113.9", RIGHT), Judged::Braked, "one guess at each address");
        assert_eq!(judge("desk@x", "10.0.0.1", RIGHT), Judged::Braked);
        assert_eq!(judge("desk@x", "203.0.113.1", RIGHT), Judged::Passed);
        assert_eq!(judge("desk@x", "203.0.113.8", RIGHT), Judged::Passed, "the owner, at a new address");
    }

    #[test]
    fn whoever_is_registered_at_an_address_is_let_in_there_by_a_node_that_has_just_started() {
        let guesses = Guesses::default();
        let judge = |address: &str, response: &str| {
            guesses.judge("desk", "x", &proof(address, response), ANSWER, |at| at == "192.0.2.1")
        };
        for at in 0..PER_ACCOUNT {
            judge(&format!("10.0.{}.{}", at / 256, at % 256), "0");
        }
        for _ in 0..PER_BOTH {
            judge("192.0.2.1", "0");
        }
        assert_eq!(judge("192.0.2.1", "0"), Judged::Braked, "somebody guesses there as well");
        assert_eq!(judge("192.0.2.1", RIGHT), Judged::Passed);
        assert_eq!(judge("10.0.0.1", RIGHT), Judged::Braked, "a right guess elsewhere");
    }

    #[test]
    fn an_unknown_user_is_a_wrong_guess_and_a_switch_that_sends_nothing_is_let_be() {
        let guesses = Guesses::default();
        for _ in 0..PER_BOTH {
            judge(&guesses, "nobody@x", &proof("198.51.100.7", RIGHT), b"<domain/>");
        }
        assert_eq!(judge(&guesses, "nobody@x", &proof("198.51.100.7", RIGHT), b"<domain/>"), Judged::Braked);
        for _ in 0..100 {
            assert_eq!(judge(&guesses, "a@x", &Proof::default(), ANSWER), Judged::Passed);
        }
    }
}
