//! What keys on phones watch besides calls and parking slots: `dnd-1001`, `forward-1001`, `queue-500`, `agents-500`.

use crate::text::ExtensionNumber;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lamp {
    /// Whether an extension is on do not disturb.
    DoNotDisturb,
    /// Whether an extension forwards all calls.
    Forward,
    /// Whether somebody waits in a queue.
    Waiting,
    /// Whether an agent of a queue is logged in and not paused.
    Agents,
}

impl Lamp {
    const ALL: [(&'static str, Self); 4] = [
        ("dnd-", Self::DoNotDisturb),
        ("forward-", Self::Forward),
        ("queue-", Self::Waiting),
        ("agents-", Self::Agents),
    ];

    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().map(|(_, lamp)| *lamp)
    }

    /// What a key watches and dials, without its domain: the lamp, and whose it is.
    #[must_use]
    pub fn read(key: &str) -> Option<(Self, ExtensionNumber)> {
        Self::ALL.iter().find_map(|(prefix, lamp)| {
            let number = ExtensionNumber::parse(key.strip_prefix(prefix)?).ok()?;
            Some((*lamp, number))
        })
    }

    /// The same as a phone writes it.
    #[must_use]
    pub fn key(self, number: &ExtensionNumber) -> String {
        let prefix = Self::ALL.iter().find(|(_, lamp)| *lamp == self).map_or("", |(prefix, _)| prefix);
        format!("{prefix}{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_lamp_and_whose_it_is() {
        for key in ["dnd-1001", "forward-1001", "queue-500", "agents-500"] {
            let (lamp, number) = Lamp::read(key).unwrap();
            assert_eq!(lamp.key(&number), key);
        }
        for other in ["dnd-", "dnd1001", "dnd-x", "park+1", "1001", "dnd-1001@acme.test"] {
            assert!(Lamp::read(other).is_none(), "{other}");
        }
    }
}
