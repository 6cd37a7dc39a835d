//! Which of an extension's devices a leg is for, as `user/…` in a dial string says it: behind the SIP username, which has no `~` itself.
//!
//! The switch fetches whoever it calls. It finds them in the answer by `id`, or by `number-alias` (`find_user_in_tag` in switch_xml.c), so
//! the answer's alias is what was asked for.

use std::fmt;

use crate::text::DeviceId;

/// What a leg is for, if not for all devices of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// One that the switch chooses. A leg whose UUID was given beforehand can't be several.
    Any,
    /// One that the switch chooses, and its leg is one of several of a bridge.
    Fork,
    /// `place`: which of the extension's legs it is, from 1.
    Device { place: u8, id: DeviceId },
    /// One that gets a call back that its extension has already, whatever limit the extension has.
    Again(DeviceId),
}

const AGAIN: &str = "again";

const FORK: &str = "fork";

const BEGINS: char = '~';

impl Only {
    /// Parts a user that a switch asks for. What follows the `~` in another form is nobody's name.
    #[must_use]
    pub fn part(user: &str) -> Option<(&str, Self)> {
        let (user, only) = user.split_once(BEGINS)?;
        if only == "any" {
            return Some((user, Self::Any));
        }
        if only == FORK {
            return Some((user, Self::Fork));
        }
        let (place, id) = only.split_once('.')?;
        if place == AGAIN {
            return Some((user, Self::Again(DeviceId::parse(id)?)));
        }
        let place = place.parse::<u8>().ok().filter(|n| *n > 0 && n.to_string() == place)?;
        Some((user, Self::Device { place, id: DeviceId::parse(id)? }))
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "{BEGINS}any"),
            Self::Fork => write!(f, "{BEGINS}{FORK}"),
            Self::Again(id) => write!(f, "{BEGINS}{AGAIN}.{id}"),
            Self::Device { place, id } => write!(f, "{BEGINS}{place}.{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::SipUsername;

    #[test]
    fn what_is_written_is_read_and_nobody_is_called_so() {
        let id = DeviceId::parse("00000000000000ff").unwrap();
        for only in [Only::Any, Only::Fork, Only::Device { place: 1, id }, Only::Device { place: 20, id }, Only::Again(id)] {
            let text = format!("u7k{only}");
            assert_eq!(Only::part(&text), Some(("u7k", only)));
            assert!(SipUsername::parse(&text).is_err(), "{text}");
        }
        for wrong in [
            "u7k",
            "u7k~",
            "u7k~1",
            "u7k~one",
            "u7k~1.",
            "u7k~01.00000000000000ff",
            "u7k~0.00000000000000ff",
            "u7k~1.ff",
            "u7k~again",
            "u7k~again.ff",
        ] {
            assert_eq!(Only::part(wrong), None, "{wrong}");
        }
    }
}
