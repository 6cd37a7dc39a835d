//! The kind of thing that a caller dialled, recognised by its form and the tenant's feature codes.

use super::{emergency, plan::Plan, withheld};
use crate::model::{call_handling::AtQueues, lamp::Lamp};
use crate::text::{DialNumber, ExtensionNumber, SipUsername};

/// A suffix: `NAME~after` is dialled after `NAME` was rung and did not take the call.
pub const AFTER: &str = "~after";

/// A suffix: `NAME~message` is dialled to leave a message for an extension that forwarded the call.
pub const MESSAGE: &str = "~message";

/// A suffix: `ID~left` is dialled after a caller has left the queue with this id without an agent.
pub const LEFT: &str = "~left";

/// An infix: `NUMBER~menu~ID` is what a caller dialled in a menu.
pub const IN_MENU: &str = "~menu~";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dialled {
    /// An emergency number of the tenant's country.
    Emergency(String),
    Feature(Feature),
    /// A name that the tenant may have: an extension's number, alias or SIP username, a group, a destination. It may also be
    /// a number outside.
    Name(SipUsername),
    /// Nothing of the tenant can have this name, but it may be a number outside.
    Number(DialNumber),
    /// Nobody can have this.
    Nonsense,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    Echo,
    OwnVoicemail,
    /// `None`: the caller is asked for the mailbox.
    Voicemail(Option<ExtensionNumber>),
    Forward(DialNumber),
    ForwardOff,
    DoNotDisturb(bool),
    Pickup(ExtensionNumber),
    /// Of a call that rings in a group of the caller's.
    PickupAny,
    Intercom(ExtensionNumber),
    /// What a key with a lamp dials.
    Key(Lamp, ExtensionNumber),
    /// `None`: in any free slot.
    Park(Option<u8>),
    SpeedDial(String),
    AtQueues(AtQueues),
    /// Call the number, with the caller's own withheld or shown.
    Withhold {
        withholds: bool,
        number: DialNumber,
    },
}

impl Feature {
    /// Whether it changes the extension that dials it.
    #[must_use]
    pub fn changes_extension(&self) -> bool {
        matches!(self, Self::Forward(_) | Self::ForwardOff | Self::DoNotDisturb(_) | Self::AtQueues(_))
    }
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
        // The key of a lamp dials what the lamp watches.
        if let Some(slot) = number.strip_prefix("park+") {
            return slot_of(slot).map_or(Self::Nonsense, |slot| Self::Feature(Feature::Park(Some(slot))));
        }
        if let Some((lamp, number)) = Lamp::read(number) {
            return Self::Feature(Feature::Key(lamp, number));
        }
        if let Some((withholds, number)) = withheld::dialled(number, plan, |rest| is_speed_dial(rest, plan)) {
            return Self::Feature(Feature::Withhold { withholds, number });
        }
        if let Ok(name) = SipUsername::parse(number) {
            return Self::Name(name);
        }
        DialNumber::parse(number).map_or(Self::Nonsense, Self::Number)
    }

    /// The name that must be looked up to route this.
    #[must_use]
    pub fn needs<'a>(&'a self, caller: Option<&'a SipUsername>) -> Option<&'a str> {
        if self.is_about_caller() { caller.map(SipUsername::as_str) } else { self.by_name() }
    }

    /// The name that was dialled, alone or behind a code.
    #[must_use]
    pub fn by_name(&self) -> Option<&str> {
        match self {
            Self::Feature(
                Feature::Voicemail(Some(number))
                | Feature::Pickup(number)
                | Feature::Intercom(number)
                | Feature::Key(_, number),
            ) => Some(number.as_str()),
            Self::Name(name) => Some(name.as_str()),
            Self::Emergency(_) | Self::Feature(_) | Self::Number(_) | Self::Nonsense => None,
        }
    }

    /// Whether the route depends on who calls.
    #[must_use]
    pub fn is_about_caller(&self) -> bool {
        matches!(
            self,
            Self::Feature(
                Feature::OwnVoicemail
                    | Feature::Forward(_)
                    | Feature::ForwardOff
                    | Feature::DoNotDisturb(_)
                    | Feature::AtQueues(_)
                    | Feature::PickupAny
            )
        )
    }
}

/// The most speed dials and codes that stand before another: more lead nowhere.
const MOST_LED: usize = 8;

/// Whether whoever dials this changes the extension that they dial from, also by a speed dial or behind a code for their number.
#[must_use]
pub fn changes_extension(number: &str, plan: &Plan) -> bool {
    let mut dialled = number.to_owned();
    for _ in 0..MOST_LED {
        dialled = match Dialled::read(&dialled, plan) {
            Dialled::Feature(feature) if feature.changes_extension() => return true,
            Dialled::Feature(Feature::Withhold { number, .. }) => number.to_string(),
            Dialled::Feature(Feature::SpeedDial(key)) => match plan.settings.routing.speed_dials.get(&key) {
                Some(number) => number.to_string(),
                None => return false,
            },
            _ => return false,
        };
    }
    false
}

/// The feature that was dialled. The longest code that fits counts, so that `*80` is not `*8` and 0.
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
    // A code of digits counts only if nothing follows: many numbers may begin with it.
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
        7 if rest.is_empty() => Some(Feature::PickupAny),
        7 => ExtensionNumber::parse(rest).ok().map(Feature::Pickup),
        8 => ExtensionNumber::parse(rest).ok().map(Feature::Intercom),
        9 if rest.is_empty() => Some(Feature::Park(None)),
        9 => slot_of(rest).map(|slot| Feature::Park(Some(slot))),
        11 if rest.is_empty() => Some(Feature::AtQueues(AtQueues::LoggedIn)),
        12 if rest.is_empty() => Some(Feature::AtQueues(AtQueues::LoggedOut)),
        13 if rest.is_empty() => Some(Feature::AtQueues(AtQueues::Paused)),
        10 if rest.len() == 2 && rest.bytes().all(|b| b.is_ascii_digit()) => Some(Feature::SpeedDial(rest.to_owned())),
        14 | 15 => withheld::after_code(rest, |rest| is_speed_dial(rest, plan))
            .map(|number| Feature::Withhold { withholds: at == 14, number }),
        _ => None,
    };
    Some(feature.map_or(Dialled::Nonsense, Dialled::Feature))
}

/// Whether this calls a speed dial that the tenant has.
fn is_speed_dial(number: &str, plan: &Plan) -> bool {
    match feature(number, plan) {
        Some(Dialled::Feature(Feature::SpeedDial(key))) => plan.settings.routing.speed_dials.contains_key(&key),
        _ => false,
    }
}

/// A parking slot, in one digit or two: 7 and 07 are the same.
fn slot_of(text: &str) -> Option<u8> {
    let is_slot = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_slot.then(|| text.parse().ok()).flatten().filter(|slot| *slot > 0)
}
