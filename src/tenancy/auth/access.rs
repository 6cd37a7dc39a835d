//! Access tokens: signed with EdDSA, short-lived, by keys that rotate.
//!
//! A token names a session. Each request asks the database whether that session still exists and what its user may do, so a suspended
//! user is out at once, and a leaked token works for minutes only.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::store;
use crate::{
    model::error::{Error, Result},
    node::clock_store,
    text::Code,
    text::keyring::{Keyring, Place},
};

/// Seconds for which an access token is valid.
pub const LIFETIME: i64 = 600;
/// How long a key signs; it verifies for an hour longer.
const KEY_DAYS: i64 = 30;
/// How often a node looks for new keys. Until then it may sign with a key that another node has retired; together with a
/// token's lifetime, this is well within the hour for which the key still verifies.
const MAINTAIN_EVERY: Duration = Duration::from_mins(10);
const ISSUER: &str = "dialplane";
/// The database is asked about unknown key ids at most this often.
const RELOAD_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    /// The user.
    pub sub: Uuid,
    /// The session.
    pub sid: Uuid,
    iat: i64,
    /// In seconds since 1970.
    pub exp: i64,
}

struct Key {
    id: Uuid,
    signs: EncodingKey,
}

#[derive(Default)]
struct Keys {
    newest: Option<Key>,
    checks: HashMap<Uuid, DecodingKey>,
}

/// The signing keys of this node.
pub struct Signer {
    keys: ArcSwap<Keys>,
    loaded: Mutex<Instant>,
}

impl Signer {
    /// Reads the keys, and makes a new one if there is none or the newest is too old to sign.
    pub async fn open(pool: &PgPool, keyring: &Keyring) -> Result<Self> {
        let signer = Self { keys: ArcSwap::default(), loaded: Mutex::new(Instant::now()) };
        signer.renew(pool, keyring).await?;
        Ok(signer)
    }

    /// Runs forever: takes part in the rotation, and forgets keys that are gone.
    pub async fn maintain(&self, pool: &PgPool, keyring: &Keyring) {
        loop {
            tokio::time::sleep(MAINTAIN_EVERY).await;
            if let Err(error) = self.renew(pool, keyring).await {
                tracing::warn!(%error, "the signing keys could not be renewed");
            }
        }
    }

    async fn renew(&self, pool: &PgPool, keyring: &Keyring) -> Result<()> {
        let newest = self.load(pool, keyring).await?;
        let old = clock_store::now(pool).await? - chrono::Duration::days(KEY_DAYS);
        if newest.is_none_or(|created| created < old) {
            rotate(pool, keyring).await?;
            self.load(pool, keyring).await?;
        }
        Ok(())
    }

    async fn load(&self, pool: &PgPool, keyring: &Keyring) -> Result<Option<DateTime<Utc>>> {
        let mut keys = Keys::default();
        let rows = store::signing_keys(pool).await?;
        let newest = rows.iter().filter(|row| row.retired_at.is_none()).map(|row| row.created_at).max();
        for row in rows {
            let sealed = keyring.open_sealed(place(row.id), &row.sealed)?;
            let Ok(pkcs8) = STANDARD.decode(sealed.as_bytes()) else { continue };
            let Ok(pair) = Ed25519KeyPair::from_pkcs8(&pkcs8) else { continue };
            keys.checks.insert(row.id, DecodingKey::from_ed_der(pair.public_key().as_ref()));
            if row.retired_at.is_none() && Some(row.created_at) == newest {
                keys.newest = Some(Key { id: row.id, signs: EncodingKey::from_ed_der(&pkcs8) });
            }
        }
        self.keys.store(keys.into());
        Ok(newest)
    }

    /// A token for a session, from now on.
    pub fn sign(&self, user: Uuid, session: Uuid, now: DateTime<Utc>) -> Result<String> {
        let keys = self.keys.load();
        let key = keys.newest.as_ref().ok_or(Error::NotFound("signing key"))?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(key.id.to_string());
        let now = now.timestamp();
        let claims = Claims { iss: ISSUER.into(), sub: user, sid: session, iat: now, exp: now + LIFETIME };
        encode(&header, &claims, &key.signs).map_err(|_| Error::NotFound("signing key"))
    }

    /// The claims of a token, if one of our keys signed it. We choose the algorithm, never the token. Whether it has expired is
    /// for the database to say, by whose clock it was made (`store::live_session`).
    pub async fn read(&self, token: &str, pool: &PgPool, keyring: &Keyring) -> Option<Claims> {
        let id = decode_header(token).ok()?.kid?.parse::<Uuid>().ok()?;
        if !self.keys.load().checks.contains_key(&id) {
            // Another node may have made the key since.
            let mut loaded = self.loaded.lock().await;
            if loaded.elapsed() >= RELOAD_EVERY {
                *loaded = Instant::now();
                self.load(pool, keyring).await.ok()?;
            }
        }
        let keys = self.keys.load();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.validate_exp = false;
        Some(decode::<Claims>(token, keys.checks.get(&id)?, &validation).ok()?.claims)
    }
}

/// Makes a new key. Earlier ones only verify from now on, until nothing they signed can be valid any more.
pub async fn rotate(pool: &PgPool, keyring: &Keyring) -> Result<Uuid> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| Error::invalid("signing key", Code::NotMade.with("reason", "no key")))?;
    let id = Uuid::now_v7();
    let sealed = keyring.seal(place(id), &STANDARD.encode(pkcs8.as_ref()));
    store::add_signing_key(pool, id, &sealed).await?;
    Ok(id)
}

fn place(id: Uuid) -> Place {
    Place { column: "signing_keys.sealed", tenant: Uuid::nil(), row: id }
}
