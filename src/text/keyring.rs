//! Sealing of secrets at rest: XChaCha20-Poly1305 with the tenant, row and column as associated data, so that a sealed
//! value moved to another row or column doesn't open. The keys live in a file, never in the database.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The first eight bytes of a key's SHA-256: names the key in a sealed value without telling anything about it.
pub type KeyId = [u8; 8];

const NONCE_BYTES: usize = 24;

/// The keys of this platform: the first seals, all open.
pub struct Keyring {
    keys: Vec<(KeyId, XChaCha20Poly1305)>,
}

/// Which value a sealed text is: part of what is authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub column: &'static str,
    pub tenant: Uuid,
    pub row: Uuid,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("the key file {path} can't be read or made: {source}")]
    File { path: String, source: std::io::Error },
    #[error("the key file {path} must hold lines of 64 hexadecimal digits, one key a line, the newest first")]
    Format { path: String },
    #[error("a secret was sealed with a key this node doesn't have (key id {})", hex(.0))]
    UnknownKey(KeyId),
    #[error("a sealed secret doesn't open: it was damaged or belongs to another row")]
    Damaged,
}

impl Place {
    fn associated_data(&self) -> Vec<u8> {
        [self.column.as_bytes(), b"\0", self.tenant.as_bytes(), self.row.as_bytes()].concat()
    }
}

impl Keyring {
    /// Reads the key file, or makes one with a new key (mode 0600) when there is none.
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        let failed = |source| KeyringError::File { path: path.display().to_string(), source };
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let line = Zeroizing::new(format!("{}\n", hex(&rand::random::<[u8; 32]>())));
                let mut file =
                    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
                file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
                line
            }
            Err(e) => return Err(failed(e)),
        };
        let keys = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(parse_key).collect::<Option<Vec<_>>>();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self { keys }),
            _ => Err(KeyringError::Format { path: path.display().to_string() }),
        }
    }

    /// A keyring of one random key, for tests and previews.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self { keys: vec![entry(&rand::random())] }
    }

    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// Key id, nonce and ciphertext in one value.
    #[must_use]
    pub fn seal(&self, place: Place, plain: &str) -> Vec<u8> {
        let (id, cipher) = &self.keys[0];
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let payload = Payload { msg: plain.as_bytes(), aad: &place.associated_data() };
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("XChaCha20-Poly1305 seals anything shorter than 256 GiB");
        [&id[..], &nonce, &sealed].concat()
    }

    pub fn open_sealed(&self, place: Place, sealed: &[u8]) -> Result<Zeroizing<String>, KeyringError> {
        let (id, rest) = sealed.split_first_chunk::<8>().ok_or(KeyringError::Damaged)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(KeyringError::Damaged)?;
        let (_, cipher) = self.keys.iter().find(|(known, _)| known == id).ok_or(KeyringError::UnknownKey(*id))?;
        let payload = Payload { msg: text, aad: &place.associated_data() };
        let plain = cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeyringError::Damaged)?;
        String::from_utf8(plain).map(Zeroizing::new).map_err(|_| KeyringError::Damaged)
    }
}

fn entry(key: &[u8; 32]) -> (KeyId, XChaCha20Poly1305) {
    let mut id = KeyId::default();
    id.copy_from_slice(&Sha256::digest(key)[..8]);
    (id, XChaCha20Poly1305::new(&(*key).into()))
}

fn parse_key(line: &str) -> Option<(KeyId, XChaCha20Poly1305)> {
    let mut key = Zeroizing::new([0_u8; 32]);
    if line.len() != 64 || !line.is_ascii() {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(line.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(entry(&key))
}

#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { column: "sip_secret", tenant: Uuid::from_u128(1), row: Uuid::from_u128(2) }
    }

    #[test]
    fn a_sealed_secret_opens_only_in_its_own_place() {
        let keyring = Keyring::ephemeral();
        let sealed = keyring.seal(place(), "secret");
        assert_eq!(keyring.open_sealed(place(), &sealed).unwrap().as_str(), "secret");
        for wrong in [
            Place { column: "voicemail_pin", ..place() },
            Place { tenant: Uuid::from_u128(9), ..place() },
            Place { row: Uuid::from_u128(9), ..place() },
        ] {
            assert!(matches!(keyring.open_sealed(wrong, &sealed), Err(KeyringError::Damaged)));
        }
        assert!(matches!(Keyring::ephemeral().open_sealed(place(), &sealed), Err(KeyringError::UnknownKey(_))));
        assert!(matches!(keyring.open_sealed(place(), &sealed[..20]), Err(KeyringError::Damaged)));
    }

    #[test]
    fn the_key_file_is_made_once_and_rotates_by_a_new_first_line() {
        let dir = std::env::temp_dir().join(format!("dialplane-keyring-{}", Uuid::now_v7()));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("secret.key");
        let first = Keyring::open(&path).unwrap();
        let sealed = first.seal(place(), "secret");
        let old = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{}\n{old}", hex(&[7; 32]))).unwrap();
        let rotated = Keyring::open(&path).unwrap();
        assert_eq!(rotated.open_sealed(place(), &sealed).unwrap().as_str(), "secret");
        assert_ne!(rotated.ids().next(), first.ids().next());
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(Keyring::open(&path), Err(KeyringError::Format { .. })));
        fs::remove_dir_all(dir).unwrap();
    }
}
