//! What is computed from a sound's bytes while they come: sealed chunks, its hash, and what its beginning says. On a thread that serves nobody.

use std::{io, ops::Range};

use sha2::{Digest as _, Sha256};

use super::{
    sealed::{CHUNK, ContentKey, Whose},
    wav::{self, Silences},
};

/// A sound that is being sealed.
pub struct Sealing {
    whose: Whose,
    key: ContentKey,
    hash: Sha256,
    bytes: u64,
    head: Vec<u8>,
    /// From the first piece on; `None` if that is the beginning of no WAV file.
    wav: Option<(wav::Head, Silences)>,
    /// What is not sealed yet: always something, once anything has come.
    open: Vec<u8>,
    number: u64,
}

impl Sealing {
    /// With a key of its own.
    #[must_use]
    pub fn of(whose: Whose) -> Self {
        Self {
            whose,
            key: ContentKey::generate(),
            hash: Sha256::new(),
            bytes: 0,
            head: Vec::new(),
            wav: None,
            open: Vec::new(),
            number: 0,
        }
    }

    /// Takes the next bytes, and returns what is sealed.
    pub fn take(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.hash.update(bytes);
        if self.wav.is_none() && self.head.len() < wav::HEAD {
            self.head.extend_from_slice(&bytes[..bytes.len().min(wav::HEAD - self.head.len())]);
            let head = wav::Head::read(&self.head);
            self.wav = head.map(|head| (head, Silences::of(head)));
        }
        if let Some((head, silences)) = &mut self.wav {
            let before = usize::try_from(head.begins.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
            silences.hear(bytes.get(before..).unwrap_or_default());
        }
        self.bytes += bytes.len() as u64;
        self.open.extend_from_slice(bytes);
        let mut sealed = Vec::with_capacity(self.open.len() + CHUNK);
        let mut done = 0;
        // The last chunk stays open: it is sealed as such.
        while self.open.len() - done > CHUNK {
            sealed.extend(self.seal(done..done + CHUNK, false)?);
            done += CHUNK;
        }
        self.open.drain(..done);
        Ok(sealed)
    }

    /// Seals the last chunk.
    pub fn end(&mut self) -> io::Result<Vec<u8>> {
        self.seal(0..self.open.len(), true)
    }

    fn seal(&mut self, part: Range<usize>, is_last: bool) -> io::Result<Vec<u8>> {
        let sealed = self.key.seal(self.whose, self.number, is_last, &self.open[part]).map_err(io::Error::other)?;
        self.number += 1;
        Ok(sealed)
    }

    /// How many bytes have come.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    #[must_use]
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// The SHA-256 of what has come.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        self.hash.clone().finalize().to_vec()
    }

    /// What its beginning says, and where nothing is heard; `None` if it is no WAV file. It is asked once.
    pub fn sound(&mut self) -> Option<(wav::Head, Silences)> {
        self.wav.take()
    }
}
