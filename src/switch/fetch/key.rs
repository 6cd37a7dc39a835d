//! Keys of answers, built on the stack: a kind, then texts, separated by a byte that no text contains.
//!
//! A key contains everything its answer depends on. A text is folded to lower case only if the answer is the same for
//! every spelling. If the answer hashes or repeats the spelling, the key has it unchanged, and unusual spellings are
//! kept as strays, since there are endlessly many.

use super::{cache::Key, request::GroupView};

const CAPACITY: usize = 600;

/// A key under construction. A text that is too long or contains the separator makes it finish as `None`: nothing of
/// ours can have that name.
#[derive(Clone)]
pub struct KeyText {
    bytes: [u8; CAPACITY],
    length: usize,
    valid: bool,
}

impl KeyText {
    #[must_use]
    pub fn new(kind: u8) -> Self {
        let mut key = Self { bytes: [0; CAPACITY], length: 0, valid: true };
        key.push(kind);
        key
    }

    /// Continues a finished key.
    #[must_use]
    pub fn from(bytes: &[u8]) -> Self {
        let mut key = Self { bytes: [0; CAPACITY], length: 0, valid: !bytes.is_empty() };
        for byte in bytes {
            key.push(*byte);
        }
        key
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        } else {
            self.valid = false;
        }
    }

    /// Adds a text unchanged.
    #[must_use]
    pub fn raw(mut self, text: &[u8]) -> Self {
        self.valid &= !text.contains(&0);
        self.push(0);
        for byte in text {
            self.push(*byte);
        }
        self
    }

    /// Adds a text in lower case.
    #[must_use]
    pub fn folded(mut self, text: &str) -> Self {
        let start = self.length;
        self = self.raw(text.as_bytes());
        self.bytes[start..self.length].make_ascii_lowercase();
        self
    }

    #[must_use]
    pub fn view(mut self, view: GroupView) -> Self {
        self.push(match view {
            GroupView::Ring => b'r',
            GroupView::Voicemail => b'v',
            GroupView::ByName => b'n',
        });
        self
    }

    /// Adds the mark of the registered devices that the answer depends on.
    #[must_use]
    pub fn mark(self, mark: u64) -> Self {
        self.raw(format!("~{mark:016x}").as_bytes())
    }

    #[must_use]
    pub fn finish(self) -> Option<FinishedKey> {
        self.valid.then_some(FinishedKey(self))
    }
}

/// A key that names at most one answer.
pub struct FinishedKey(KeyText);

impl std::ops::Deref for FinishedKey {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0.bytes[..self.0.length]
    }
}

impl From<FinishedKey> for Key {
    fn from(key: FinishedKey) -> Self {
        key.to_vec().into_boxed_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_questions_have_different_keys() {
        let keys = [
            KeyText::new(b'A').folded("a.test").folded("1000"),
            KeyText::new(b'P').folded("a.test").folded("1000"),
            KeyText::new(b'A').folded("a.test1").folded("000"),
            KeyText::new(b'A').folded("a.test").folded(""),
            KeyText::new(b'A').folded("a.test"),
            KeyText::new(b'A').folded("a.test").folded("1000").raw(b"1000").raw(b"realm"),
            KeyText::new(b'A').folded("a.test").folded("1000").raw(b"1000").raw(b"Realm"),
        ];
        let keys = keys.map(|key| key.finish().unwrap().to_vec());
        let distinct = keys.iter().collect::<std::collections::HashSet<_>>();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn case_does_not_make_a_different_name() {
        let key = |domain: &str, user: &str| KeyText::new(b'A').folded(domain).folded(user).finish().unwrap().to_vec();
        assert_eq!(key("A.Test", "ADA"), key("a.test", "ada"));
    }

    #[test]
    fn a_name_that_nobody_can_have_has_no_key() {
        assert!(KeyText::new(b'A').folded("a.test").folded("a\0b").finish().is_none());
        assert!(KeyText::new(b'A').folded(&"x".repeat(CAPACITY)).finish().is_none());
    }
}
