//! How a recording's content is sealed: in chunks, each with XChaCha20-Poly1305, so that a part can be read without the rest.
//!
//! Each recording has a key of its own, which the keyring seals and the database keeps. So when keys rotate, only that is sealed again. A chunk's
//! nonce is its number and whether it is the last one: chunks that were moved, left out or cut off don't open. What a chunk belongs to is
//! associated data.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The bytes of a chunk before it is sealed. Only the last one has fewer.
pub const CHUNK: usize = 64 * 1024;
/// The bytes that sealing adds to each chunk.
const TAG: usize = 16;

/// The key of one recording's content. It seals one content only.
pub struct ContentKey {
    bytes: Zeroizing<[u8; 32]>,
    cipher: XChaCha20Poly1305,
}

/// A chunk is damaged, was moved, or is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a recording's content is damaged")]
pub struct Damaged;

/// What a chunk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose {
    pub tenant: Uuid,
    pub id: Uuid,
}

impl Whose {
    fn associated_data(&self) -> [u8; 32] {
        let mut both = [0; 32];
        both[..16].copy_from_slice(self.tenant.as_bytes());
        both[16..].copy_from_slice(self.id.as_bytes());
        both
    }
}

fn nonce(number: u64, is_last: bool) -> XNonce {
    let mut bytes = [0; 24];
    bytes[15] = u8::from(is_last);
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    XNonce::from(bytes)
}

impl ContentKey {
    #[must_use]
    pub fn generate() -> Self {
        Self::of(Zeroizing::new(rand::random()))
    }

    fn of(bytes: Zeroizing<[u8; 32]>) -> Self {
        let cipher = XChaCha20Poly1305::new(&(*bytes).into());
        Self { bytes, cipher }
    }

    /// Reads what [`text`](Self::text) wrote.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD_NO_PAD.decode(text).ok()?);
        Some(Self::of(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// As it is sealed for the database.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD_NO_PAD.encode(&self.bytes[..]))
    }

    /// The bytes themselves, for signing links to this recording.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..]
    }

    pub fn seal(&self, whose: Whose, number: u64, is_last: bool, plain: &[u8]) -> Result<Vec<u8>, Damaged> {
        let payload = Payload { msg: plain, aad: &whose.associated_data() };
        self.cipher.encrypt(&nonce(number, is_last), payload).map_err(|_| Damaged)
    }

    pub fn open(&self, whose: Whose, number: u64, is_last: bool, sealed: &[u8]) -> Result<Vec<u8>, Damaged> {
        let payload = Payload { msg: sealed, aad: &whose.associated_data() };
        self.cipher.decrypt(&nonce(number, is_last), payload).map_err(|_| Damaged)
    }
}

/// The chunks that have a part of a content: which bytes of the store are read, and what is cut off after they are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// The number of the first.
    pub first: u64,
    /// Where they begin and end in the store.
    pub begins: u64,
    pub ends: u64,
    /// How much of the first chunk comes before the part.
    pub skip: usize,
}

/// The number of the last chunk of a content.
fn last(bytes: u64) -> u64 {
    bytes.saturating_sub(1) / CHUNK as u64
}

/// How long a content is in the store.
#[must_use]
pub fn sealed_length(bytes: u64) -> u64 {
    bytes + (last(bytes) + 1) * TAG as u64
}

impl Chunks {
    /// Those that have the bytes `from..to` of a content with so many bytes. The part isn't empty.
    #[must_use]
    pub fn of(from: u64, to: u64, bytes: u64) -> Self {
        let (plain, sealed) = (CHUNK as u64, (CHUNK + TAG) as u64);
        let first = from / plain;
        let after = to.saturating_sub(1) / plain + 1;
        let ends = (after * sealed).min(sealed_length(bytes));
        Self { first, begins: first * sealed, ends, skip: usize::try_from(from % plain).unwrap_or_default() }
    }

    /// Opens them, and returns their content from the part on.
    pub fn open(&self, key: &ContentKey, whose: Whose, bytes: u64, sealed: &[u8]) -> Result<Vec<u8>, Damaged> {
        let expected = usize::try_from(self.ends - self.begins).map_err(|_| Damaged)?;
        if sealed.len() != expected {
            return Err(Damaged);
        }
        let mut plain = Vec::with_capacity(sealed.len());
        for (number, chunk) in (self.first..).zip(sealed.chunks(CHUNK + TAG)) {
            plain.extend(key.open(whose, number, number == last(bytes), chunk)?);
        }
        Ok(plain.split_off(self.skip.min(plain.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose() -> Whose {
        Whose { tenant: Uuid::from_u128(1), id: Uuid::from_u128(2) }
    }

    fn seal(key: &ContentKey, content: &[u8]) -> Vec<u8> {
        let chunks = content.chunks(CHUNK).collect::<Vec<_>>();
        let sealed = (0..)
            .zip(&chunks)
            .map(|(n, chunk)| key.seal(whose(), n, usize::try_from(n).unwrap() + 1 == chunks.len(), chunk).unwrap());
        sealed.flatten().collect()
    }

    #[test]
    fn any_part_of_a_content_is_read_from_its_chunks_alone() {
        let key = ContentKey::read(&ContentKey::generate().text()).unwrap();
        for length in [1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17] {
            let content = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect::<Vec<_>>();
            let sealed = seal(&key, &content);
            let bytes = length as u64;
            assert_eq!(sealed.len() as u64, sealed_length(bytes));
            let places = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, length - 1];
            for from in places.into_iter().filter(|from| *from < length) {
                for to in
                    [from + 1, from + 100, CHUNK, length].into_iter().filter(|to| (from + 1..=length).contains(to))
                {
                    let chunks = Chunks::of(from as u64, to as u64, bytes);
                    let range = usize::try_from(chunks.begins).unwrap()..usize::try_from(chunks.ends).unwrap();
                    let part = chunks.open(&key, whose(), bytes, &sealed[range]).unwrap();
                    assert_eq!(&part[..to - from], &content[from..to], "{from}..{to} of {length}");
                }
            }
        }
    }

    #[test]
    fn chunks_that_were_moved_or_cut_off_or_are_somebody_elses_do_not_open() {
        let key = ContentKey::generate();
        let sealed = seal(&key, &vec![7; 2 * CHUNK]);
        let first = &sealed[..CHUNK + TAG];
        assert!(key.open(whose(), 0, false, first).is_ok());
        assert!(key.open(whose(), 1, false, first).is_err(), "moved");
        assert!(key.open(whose(), 0, true, first).is_err(), "the rest is missing");
        for other in [Whose { tenant: Uuid::from_u128(9), ..whose() }, Whose { id: Uuid::from_u128(9), ..whose() }] {
            assert!(key.open(other, 0, false, first).is_err());
        }
        assert!(ContentKey::generate().open(whose(), 0, false, first).is_err());
        // The content was said to be shorter.
        let chunks = Chunks::of(0, CHUNK as u64, CHUNK as u64);
        assert_eq!(chunks.open(&key, whose(), CHUNK as u64, first), Err(Damaged));
    }
}
