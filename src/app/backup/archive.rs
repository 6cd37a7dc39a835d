//! The file of a backup: a tar archive. It is written in one pass, although its sizes are known only at the end.

use std::{
    fs, io,
    io::{Read, Write},
    path::Path,
};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::{DUMP, MANIFEST};
use crate::text::keyring::hex;

pub const BLOCK: usize = 512;
/// The largest manifest in bytes; real ones have some kilobytes.
const MOST_MANIFEST: u64 = 4 << 20;

pub fn header(name: &str, bytes: u64, made_at: DateTime<Utc>) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    // This only fails for long or strange names, and ours are neither.
    let _ = header.set_path(name);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(made_at.timestamp()).unwrap_or_default());
    header.set_cksum();
    header
}

/// Fills the last block.
pub fn pad(file: &mut impl Write, bytes: u64) -> io::Result<()> {
    let over = usize::try_from(bytes % BLOCK as u64).unwrap_or_default();
    if over == 0 { Ok(()) } else { file.write_all(&[0; BLOCK][over..]) }
}

/// The contents of an archive.
#[derive(Default)]
pub struct Contents {
    pub manifest: Option<Vec<u8>>,
    /// Where the dump begins.
    pub dump: Option<u64>,
}

pub fn find(path: &Path) -> io::Result<Contents> {
    let mut archive = tar::Archive::new(fs::File::open(path)?);
    let mut contents = Contents::default();
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        if name == DUMP {
            contents.dump = Some(entry.raw_file_position());
        } else if name == MANIFEST {
            let mut text = Vec::new();
            entry.by_ref().take(MOST_MANIFEST).read_to_end(&mut text)?;
            contents.manifest = Some(text);
        }
    }
    Ok(contents)
}

/// Counts and hashes what is read through it.
pub struct Hashing<R> {
    inner: R,
    hash: Sha256,
    pub bytes: u64,
}

impl<R: Read> Hashing<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    pub fn finish(self) -> (u64, String) {
        (self.bytes, hex(&self.hash.finalize()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
