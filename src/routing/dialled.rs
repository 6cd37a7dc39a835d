//! What a caller dialled, told apart by its form and the tenant's feature codes.

use super::{emergency, plan::Plan};
use crate::text::{DialNumber, ExtensionNumber, SipUsername};

/// What is dialled again after a phone that was rung did not take the call: the name of what was rung, and this.
pub const AFTER: &str = "~after";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialled {
    /// An emergency number of the tenant's country.
    Emergency(String),
    Feature(Feature),
    /// Something a tenant may have: an extension's number, alias or user name, a group, a destination. It may be a number outside too.
    Name(SipUsername),
    /// Can be nobody's name, and may be a number outside.
    Number(DialNumber),
    /// Nothing anybody could have.
    Nonsense,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    Echo,
    OwnVoicemail,
    /// `None`: the mailbox is asked for.
    Voicemail(Option<ExtensionNumber>),
    Forward(DialNumber),
    ForwardOff,
    DoNotDisturb(bool),
    Pickup(ExtensionNumber),
    Intercom(ExtensionNumber),
    /// `None`: in whatever slot is free.
    Park(Option<u8>),
    SpeedDial(String),
}

impl Dialled {
    #[must_use]
    pub fn read(number: &str, plan: &Plan) -> Self {
        if let Some(number) = emergency::dialled(number, plan) {
            return Self::Emergency(number.to_owned());
        }
        if let Some(feature) = feature(number, plan) {
            return feature;
        }
        if let Ok(name) = SipUsername::parse(number) {
            return Self::Name(name);
        }
        DialNumber::parse(number).map_or(Self::Nonsense, Self::Number)
    }

    /// The name in the tenant that must be known to route this.
    #[must_use]
    pub fn needs<'a>(&'a self, caller: Option<&'a SipUsername>) -> Option<&'a str> {
        match self {
            Self::Feature(
                Feature::OwnVoicemail | Feature::Forward(_) | Feature::ForwardOff | Feature::DoNotDisturb(_),
            ) => caller.map(SipUsername::as_str),
            Self::Feature(Feature::Voicemail(Some(number)) | Feature::Pickup(number) | Feature::Intercom(number)) => {
                Some(number.as_str())
            }
            Self::Name(name) => Some(name.as_str()),
            Self::Emergency(_) | Self::Feature(_) | Self::Number(_) | Self::Nonsense => None,
        }
    }

    /// Does what happens depend on who calls?
    #[must_use]
    pub fn is_about_caller(&self) -> bool {
        matches!(
            self,
            Self::Feature(Feature::OwnVoicemail | Feature::Forward(_) | Feature::ForwardOff | Feature::DoNotDisturb(_))
        )
    }
}

/// The feature that was dialled. A longer code counts before a shorter one that it begins with, so that `*80` is not `*8` and 0.
fn feature(number: &str, plan: &Plan) -> Option<Dialled> {
    let codes = &plan.settings.routing.codes;
    let mut fitting = codes
        .all()
        .into_iter()
        .enumerate()
        .filter_map(|(at, code)| Some((at, code, number.strip_prefix(code.as_str())?)))
        .collect::<Vec<_>>();
    fitting.sort_by_key(|(_, code, _)| std::cmp::Reverse(code.as_str().len()));
    let (at, code, rest) = fitting.into_iter().next()?;
    // A code of digits is one only if nothing follows: it may begin many numbers.
    if !code.as_str().starts_with('*') && !rest.is_empty() {
        return None;
    }
    let feature = match at {
        0 if rest.is_empty() => Some(Feature::Echo),
        1 if rest.is_empty() => Some(Feature::OwnVoicemail),
        2 if rest.is_empty() => Some(Feature::Voicemail(None)),
        2 => ExtensionNumber::parse(rest).ok().map(|number| Feature::Voicemail(Some(number))),
        3 => DialNumber::parse(rest).ok().map(Feature::Forward),
        4 if rest.is_empty() => Some(Feature::ForwardOff),
        5 if rest.is_empty() => Some(Feature::DoNotDisturb(true)),
        6 if rest.is_empty() => Some(Feature::DoNotDisturb(false)),
        7 => ExtensionNumber::parse(rest).ok().map(Feature::Pickup),
        8 => ExtensionNumber::parse(rest).ok().map(Feature::Intercom),
        9 if rest.is_empty() => Some(Feature::Park(None)),
        9 if rest.len() == 2 => rest.parse().ok().filter(|slot| *slot > 0).map(|slot| Feature::Park(Some(slot))),
        10 if rest.len() == 2 && rest.bytes().all(|b| b.is_ascii_digit()) => Some(Feature::SpeedDial(rest.to_owned())),
        _ => None,
    };
    Some(feature.map_or(Dialled::Nonsense, Dialled::Feature))
}
