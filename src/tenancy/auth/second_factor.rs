//! The second factor: time-based codes (RFC 6238), each used once, and recovery codes for a lost device.

use serde::Serialize;
use totp_rs::{Algorithm, Secret, TOTP};
use uuid::Uuid;

use super::{second_factor_store as store, store::Account};
use crate::{
    model::error::{Error, Result},
    node::{
        changes::{Audit, Change},
        clock_store,
    },
    text::{Code, keyring::Place, token::TokenHash},
};

const STEP: u64 = 30;
/// Codes of one step before and after are accepted, since clocks differ.
const SKEW: u8 = 1;
const RECOVERY_CODES: usize = 10;

/// What an authenticator app is set up with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TwoFactorSetup)]
pub struct Setup {
    /// For typing, in base32.
    pub secret: String,
    /// For scanning, as a QR code.
    pub url: String,
}

fn place(user: Uuid) -> Place {
    Place { column: "users.totp_secret", tenant: Uuid::nil(), row: user }
}

fn totp(secret: Vec<u8>, email: &str) -> Result<TOTP> {
    TOTP::new(Algorithm::SHA1, 6, SKEW, STEP, secret, Some("Dialplane".to_owned()), email.replace(':', " "))
        .map_err(|e| Error::invalid("secret", Code::NotMade.with("reason", e)))
}

/// Begins the set-up. The factor is active once a code was entered.
pub async fn begin(change: &mut Change, account: &Account) -> Result<Setup> {
    if account.totp_enabled {
        return Err(Error::from(Code::SecondFactorIsSetUp));
    }
    let secret = Secret::Raw(rand::random::<[u8; 20]>().to_vec());
    let encoded = secret.to_encoded().to_string();
    let sealed = change.keyring().seal(place(account.id), &encoded);
    store::set_totp_secret(change.db(), account.id, Some(&sealed)).await?;
    setup(&encoded, &account.email)
}

fn setup(encoded: &str, email: &str) -> Result<Setup> {
    let bytes = Secret::Encoded(encoded.to_owned()).to_bytes().map_err(|_| Error::invalid("secret", Code::Damaged))?;
    Ok(Setup { secret: encoded.to_owned(), url: totp(bytes, email)?.get_url() })
}

/// A set-up that was begun, to show it again.
pub fn pending(change: &Change, account: &Account) -> Result<Option<Setup>> {
    let Some(sealed) = account.totp_secret.as_ref().filter(|_| !account.totp_enabled) else { return Ok(None) };
    let encoded = change.keyring().open_sealed(place(account.id), sealed)?;
    setup(&encoded, &account.email).map(Some)
}

/// Completes the set-up with a first code and returns the recovery codes, which are never shown again.
pub async fn confirm(change: &mut Change, account: &Account, code: &str) -> Result<Vec<String>> {
    if account.totp_enabled || account.totp_secret.is_none() {
        return Err(Error::from(Code::NoSecondFactorToConfirm));
    }
    if !check(change, account, code).await? {
        return Err(Error::invalid("code", Code::CodeNotNow));
    }
    store::enable_totp(change.db(), account.id).await?;
    let codes = (0..RECOVERY_CODES).map(|_| recovery_code()).collect::<Vec<_>>();
    let hashes = codes.iter().map(|code| TokenHash::of(code.as_bytes()).0.to_vec()).collect::<Vec<_>>();
    store::set_recovery_codes(change.db(), account.id, &hashes).await?;
    audit(change, account, "enable_two_factor").await?;
    Ok(codes)
}

pub async fn disable(change: &mut Change, account: &Account) -> Result<()> {
    store::set_totp_secret(change.db(), account.id, None).await?;
    store::set_recovery_codes(change.db(), account.id, &[]).await?;
    audit(change, account, "disable_two_factor").await
}

async fn audit(change: &mut Change, account: &Account, action: &str) -> Result<()> {
    let resource = format!("users/{}", account.id);
    change.audit(Audit { tenant: account.tenant_id, action, resource, before: None, after: None }).await
}

/// Checks a current code or a recovery code, and uses it up.
pub async fn check(change: &mut Change, account: &Account, code: &str) -> Result<bool> {
    let code = code.replace([' ', '-'], "").to_ascii_lowercase();
    if code.len() != 6 {
        return Ok(store::use_recovery_code(change.db(), account.id, &TokenHash::of(code.as_bytes())).await?);
    }
    let Some(sealed) = &account.totp_secret else { return Ok(false) };
    let encoded = change.keyring().open_sealed(place(account.id), sealed)?;
    let bytes = Secret::Encoded(encoded.to_string()).to_bytes().map_err(|_| Error::invalid("secret", Code::Damaged))?;
    let totp = totp(bytes, &account.email)?;
    let now = u64::try_from(clock_store::now(change.db()).await?.timestamp()).unwrap_or_default();
    for step in (now / STEP).saturating_sub(u64::from(SKEW))..=(now / STEP) + u64::from(SKEW) {
        if totp.generate(step * STEP) == code {
            let step = i64::try_from(step).unwrap_or_default();
            return Ok(store::take_totp_step(change.db(), account.id, step).await?);
        }
    }
    Ok(false)
}

/// Ten characters without those that look alike: 50 random bits.
fn recovery_code() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567891";
    rand::random::<[u8; 10]>().iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}
