//! Seals secrets at rest with XChaCha20-Poly1305. Tenant, row and column are associated data, so a sealed value that was moved
//! to another row or column doesn't open. The keys are in a file, never in the database.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The first eight bytes of a key's SHA-256, which identify the key in a sealed value without revealing it.
pub type KeyId = [u8; 8];

const NONCE_BYTES: usize = 24;

type Key = (KeyId, XChaCha20Poly1305);

/// The keys of this platform. One of them seals, and all of them open. They can be replaced while they are in use.
pub struct Keyring {
    keys: ArcSwap<Keys>,
    /// The keys that the database uses, whether or not this node has them.
    used: ArcSwap<Vec<KeyId>>,
    /// Only one thread replaces keys at a time.
    turn: Mutex<()>,
}

#[derive(Clone)]
struct Keys {
    all: Vec<Key>,
    /// The index of the key that seals.
    seals: usize,
}

/// Where a sealed value belongs. It is part of the associated data.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub column: &'static str,
    pub tenant: Uuid,
    pub row: Uuid,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("the key file {path} can't be read or written: {source}")]
    File { path: String, source: io::Error },
    #[error("the key file {path} must hold lines of 64 hexadecimal digits, one key a line, the newest first")]
    Format { path: String },
    #[error("others may read the key file {path} (mode {mode:04o}): chmod 600 {path}")]
    Mode { path: String, mode: u32 },
    #[error("the key {} is missing in the key file {path}, but secrets are sealed with it: put it back; until then this node keeps it in memory", hex(.id))]
    Lost { path: String, id: KeyId },
    #[error("a secret was sealed with a key this node doesn't have (key id {})", hex(.0))]
    UnknownKey(KeyId),
    #[error("a sealed secret can't be opened: it is damaged or belongs to another row")]
    Damaged,
}

impl Place {
    fn associated_data(&self) -> Vec<u8> {
        [self.column.as_bytes(), b"\0", self.tenant.as_bytes(), self.row.as_bytes()].concat()
    }
}

impl Keyring {
    /// Reads the key file. If there is none, makes one with a new key (mode 0600).
    pub fn open(path: &Path) -> Result<Self, KeyringError> {
        match Self::read(path) {
            Err(KeyringError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|source| failed(path, source))?;
                Self::read(path)
            }
            read => read,
        }
    }

    /// Reads the key file, which must exist.
    pub fn read(path: &Path) -> Result<Self, KeyringError> {
        Ok(Self::of(file_keys(path)?))
    }

    /// A keyring of one random key, for tests and previews.
    #[must_use]
    pub fn ephemeral() -> Self {
        Self::of(vec![entry(&rand::random())])
    }

    fn of(all: Vec<Key>) -> Self {
        Self { keys: ArcSwap::from_pointee(Keys { all, seals: 0 }), used: ArcSwap::default(), turn: Mutex::default() }
    }

    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.load().all.iter().map(|(id, _)| *id).collect()
    }

    #[must_use]
    pub fn has(&self, id: &[u8]) -> bool {
        self.keys.load().all.iter().any(|(own, _)| own[..] == *id)
    }

    /// The key that seals.
    #[must_use]
    pub fn seals_with(&self) -> KeyId {
        let keys = self.keys.load();
        keys.all[keys.seals].0
    }

    /// Makes this key the one that seals. Returns `false` if the keyring doesn't have it.
    pub fn seal_with(&self, id: &[u8]) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys.load();
        let Some(seals) = keys.all.iter().position(|(own, _)| own[..] == *id) else { return false };
        if seals != keys.seals {
            self.keys.store(Keys { all: keys.all.clone(), seals }.into());
        }
        true
    }

    /// Reads the key file again. If it has lost a key that the database uses, that key is kept, and the error names it.
    pub fn take(&self, path: &Path) -> Result<(), KeyringError> {
        let mut all = file_keys(path)?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.keys.load();
        let is_gone = |key: &&Key| !all.iter().any(|(id, _)| *id == key.0);
        let gone = before.all.iter().filter(is_gone).cloned().collect::<Vec<_>>();
        let lost = gone.into_iter().filter(|(id, _)| self.used.load().contains(id)).collect::<Vec<_>>();
        let told = lost.first().map(|(id, _)| KeyringError::Lost { path: path.display().to_string(), id: *id });
        all.extend(lost);
        let seals = all.iter().position(|(id, _)| *id == before.all[before.seals].0).unwrap_or_default();
        self.keys.store(Keys { all, seals }.into());
        told.map_or(Ok(()), Err)
    }

    /// The keys that the database uses and this node lacks. The node can't open what was sealed with them.
    #[must_use]
    pub fn missing(&self) -> Vec<KeyId> {
        let keys = self.keys.load();
        let lacks = |used: &&KeyId| !keys.all.iter().any(|(own, _)| own == *used);
        self.used.load().iter().filter(lacks).copied().collect()
    }

    pub fn note_used(&self, used: Vec<KeyId>) {
        self.used.store(used.into());
    }

    /// Returns key id, nonce and ciphertext in one value.
    #[must_use]
    pub fn seal(&self, place: Place, plain: &str) -> Vec<u8> {
        let keys = self.keys.load();
        let (id, cipher) = &keys.all[keys.seals];
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
        let keys = self.keys.load();
        let (_, cipher) = keys.all.iter().find(|(known, _)| known == id).ok_or(KeyringError::UnknownKey(*id))?;
        let payload = Payload { msg: text, aad: &place.associated_data() };
        let plain = cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeyringError::Damaged)?;
        String::from_utf8(plain).map(Zeroizing::new).map_err(|_| KeyringError::Damaged)
    }
}

/// Makes a key file with one key. Of several processes that do so at once, the first counts, and none reads a part of a file.
fn create(path: &Path) -> io::Result<()> {
    let line = Zeroizing::new(format!("{}\n", hex(&rand::random::<[u8; 32]>())));
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".new-{}", hex(&rand::random::<[u8; 8]>())));
    let beside = PathBuf::from(beside);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all()));
    let placed = written.and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Not every file system has links.
        Err(_) => fs::rename(&beside, path),
        Ok(()) => Ok(()),
    });
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => placed.and(Err(error)),
        _ => placed,
    }
}

/// Puts a new key first in the key file. Returns its id.
pub fn add_key(path: &Path) -> Result<KeyId, KeyringError> {
    let key = Zeroizing::new(rand::random::<[u8; 32]>());
    let before = Zeroizing::new(read_file(path)?);
    replace(path, &Zeroizing::new(format!("{}\n{}", hex(&key[..]), *before)))?;
    Ok(entry(&key).0)
}

/// Moves keys from the key file to the end of `FILE.retired`, which old backups may need. Returns how many it moved.
pub fn remove_keys(path: &Path, retired: &[Vec<u8>]) -> Result<usize, KeyringError> {
    let text = Zeroizing::new(read_file(path)?);
    let is_retired = |line: &&str| parse_key(line.trim()).is_some_and(|(id, _)| retired.iter().any(|r| r[..] == id));
    let (out, kept): (Vec<_>, Vec<_>) = text.lines().filter(|line| !line.trim().is_empty()).partition(is_retired);
    if out.is_empty() || kept.is_empty() {
        return Ok(0);
    }
    let aside = retired_file(path);
    let mut file =
        fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&aside).map_err(|e| failed(&aside, e))?;
    let lines = Zeroizing::new(out.iter().fold(String::new(), |all, line| all + line + "\n"));
    file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| failed(&aside, e))?;
    replace(path, &Zeroizing::new(kept.iter().fold(String::new(), |all, line| all + line + "\n")))?;
    Ok(out.len())
}

/// The file of keys with which nothing is sealed any more.
#[must_use]
pub fn retired_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".retired");
    name.into()
}

/// Replaces a file at once: readers see the old text or the new one. Mode and owner stay, because the node may run as another
/// user than the one who rotates keys.
fn replace(path: &Path, text: &str) -> Result<(), KeyringError> {
    let failed = |source| failed(path, source);
    let path = fs::canonicalize(path).map_err(failed)?;
    let before = fs::metadata(&path).map_err(failed)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o700)))
        .and_then(|()| match file.metadata() {
            Ok(own) if own.uid() != before.uid() || own.gid() != before.gid() => {
                std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))
            }
            other => other.map(|_| ()),
        })
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, &path));
    written.map_err(|source| {
        let _ = fs::remove_file(&beside);
        failed(source)
    })
}

fn read_file(path: &Path) -> Result<String, KeyringError> {
    let failed = |source| failed(path, source);
    let mode = fs::metadata(path).map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyringError::Mode { path: path.display().to_string(), mode });
    }
    fs::read_to_string(path).map_err(failed)
}

fn file_keys(path: &Path) -> Result<Vec<Key>, KeyringError> {
    let text = Zeroizing::new(read_file(path)?);
    let keys = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(parse_key).collect::<Option<Vec<_>>>();
    match keys {
        Some(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(KeyringError::Format { path: path.display().to_string() }),
    }
}

fn failed(path: &Path, source: io::Error) -> KeyringError {
    KeyringError::File { path: path.display().to_string(), source }
}

fn entry(key: &[u8; 32]) -> Key {
    let mut id = KeyId::default();
    id.copy_from_slice(&Sha256::digest(key)[..8]);
    (id, XChaCha20Poly1305::new(&(*key).into()))
}

fn parse_key(line: &str) -> Option<Key> {
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
    fn of_processes_that_make_the_key_file_at_once_all_have_the_same_key() {
        let dir = std::env::temp_dir().join(format!("dialplane-keys-{}", hex(&rand::random::<[u8; 8]>())));
        fs::create_dir(&dir).unwrap();
        let path = dir.join("secret.key");
        let start = std::sync::Barrier::new(8);
        let ids = std::thread::scope(|threads| {
            let open = || {
                start.wait();
                Keyring::open(&path).unwrap().ids()
            };
            let all = (0..8).map(|_| threads.spawn(open)).collect::<Vec<_>>();
            all.into_iter().map(|one| one.join().unwrap()).collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!((ids.len(), fs::read_dir(&dir).unwrap().count()), (1, 1), "one key, and nothing beside its file");
        fs::remove_dir_all(dir).unwrap();
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
        assert_ne!(rotated.seals_with(), first.seals_with());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Keyring::open(&path).err().map(|error| error.to_string()).unwrap();
        assert!(refused.contains("mode 0644") && refused.contains("chmod 600"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        // A rotated file keeps its owner and mode. If a key in use is missing in it, the key is kept and named.
        let added = add_key(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        first.take(&path).unwrap();
        assert!(first.has(&added) && first.seals_with() != added, "it seals with what it did");
        assert_eq!(remove_keys(&path, &[first.seals_with().to_vec()]).unwrap(), 1);
        first.note_used(vec![first.seals_with(), [9; 8]]);
        assert_eq!(first.missing(), [[9; 8]]);
        assert!(matches!(first.take(&path), Err(KeyringError::Lost { .. })));
        assert_eq!(first.open_sealed(place(), &sealed).unwrap().as_str(), "secret");
        fs::copy(retired_file(&path), dir.join("old.key")).unwrap();
        assert_eq!(
            Keyring::read(&dir.join("old.key")).unwrap().open_sealed(place(), &sealed).unwrap().as_str(),
            "secret"
        );
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(Keyring::open(&path), Err(KeyringError::Format { .. })));
        fs::remove_dir_all(dir).unwrap();
    }
}
