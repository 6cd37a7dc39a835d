//! Signing in, and what people do with passwords and links.

use std::net::IpAddr;

use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Auth,
    one_time::{self, Purpose},
    second_factor,
    session::{self, Source},
    store::{self, Account},
    throttle::{self, Door},
};
use crate::{
    model::error::{Error, Result},
    model::user::UserStatus,
    node::changes::{Audit, Author, Change, Changes},
    tenancy::{
        mail::{self, Message},
        tenants,
    },
    text::{
        Code, Email,
        token::{self, TokenHash},
    },
};

/// Credentials for signing in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub email: String,
    pub password: String,
    /// A code from the authenticator app, or a recovery code. Needed if a second factor is set up.
    pub code: Option<String>,
    /// The token from an earlier sign-in on this device. With it, you can sign in even while other people's guesses have locked the account.
    pub device_token: Option<String>,
}

/// Somebody who has signed in.
pub struct SignedIn<T> {
    pub account: Account,
    pub session: T,
    /// A token for a new device, which it keeps.
    pub device: Option<Zeroizing<String>>,
}

/// The longest text that is kept of a typed address. Addresses are shorter (at most 64 + 1 + 253).
const LONGEST_ADDRESS: usize = 320;

/// What was typed as an address: the text that failures are counted by, and the address if it is valid. An invalid one is cut to fit
/// into the database, without characters that a column can't hold.
fn typed(text: &str) -> (String, Option<Email>) {
    let text = text.trim().to_ascii_lowercase();
    let email = Email::parse(&text).ok();
    let held = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    (text.chars().take(LONGEST_ADDRESS).map(held).collect(), email)
}

async fn account_of(changes: &Changes, email: Option<&Email>) -> Result<Option<Account>> {
    let Some(email) = email else { return Ok(None) };
    Ok(store::account_by_email(changes.pool(), email.as_str()).await?)
}

/// Checks a password (and the second factor, where there is one) and opens a session with `open`.
///
/// Takes as long for an account that doesn't exist. Failures are counted in a transaction of their own.
pub async fn sign_in<T>(
    auth: &Auth,
    changes: &Changes,
    shown: &SignIn,
    source: &Source,
    open: impl AsyncFnOnce(&mut Change, &Account) -> Result<T>,
) -> Result<SignedIn<T>> {
    let _place = auth.passwords.admit()?;
    let (email, address) = typed(&shown.email);
    let account = account_of(changes, address.as_ref()).await?;
    let device = known_device(changes, account.as_ref(), shown.device_token.as_deref()).await?;
    let door = device.map_or(Door::Open { email: &email, source: source.address }, Door::Known);
    // Before the link was followed, a sign-up is no account yet.
    let hash = match (account.as_ref().and_then(|account| account.password_hash.clone()), &address) {
        (None, Some(address)) => store::sign_up_password(changes.pool(), address.as_str()).await?,
        (hash, _) => hash,
    };
    let right = is_right(auth, changes, &door, hash.as_deref(), &shown.password).await?;
    let signs_up = hash.is_some() && account.as_ref().is_none_or(|account| account.password_hash.is_none());
    // Whoever knows the password may be told that the address is not confirmed yet.
    if right && signs_up {
        return Err(Error::from(Code::ConfirmEmailFirst));
    }
    let Some(account) = account.filter(|account| right && (account.is_in_force() || account.has_to_confirm())) else {
        return refuse(changes, &door, source.address, Code::WrongPassword.into()).await;
    };
    let author =
        Author { name: format!("user:{}:{}", account.id, account.email), source: source.address, within: None };
    let mut change = changes.begin(author).await?;
    if account.totp_enabled {
        match shown.code.as_deref().map(str::trim).filter(|code| !code.is_empty()) {
            None => return Err(Error::SecondFactor),
            Some(code) if second_factor::check(&mut change, &account, code).await? => {}
            Some(_) => {
                drop(change);
                let wrong = Error::invalid("code", Code::CodeWrongOrUsed);
                return refuse(changes, &door, source.address, wrong).await;
            }
        }
    }
    if !account.email_verified {
        return Err(Error::from(Code::ConfirmEmailFirst));
    }
    throttle::succeeded(change.db(), &door).await?;
    let device = match door {
        Door::Known(_) => None,
        Door::Open { .. } => {
            let token = token::generate("dpd");
            store::add_device(change.db(), account.id, &TokenHash::of(token.as_bytes())).await?;
            Some(token)
        }
    };
    let session = open(&mut change, &account).await?;
    let resource = format!("users/{}", account.id);
    change.audit(Audit { tenant: account.tenant_id, action: "sign_in", resource, before: None, after: None }).await?;
    change.commit_quietly().await?;
    Ok(SignedIn { account, session, device })
}

/// The device of the token, if the owner of this account has signed in from it before.
async fn known_device(changes: &Changes, account: Option<&Account>, token: Option<&str>) -> Result<Option<TokenHash>> {
    let (Some(account), Some(token)) = (account, token) else { return Ok(None) };
    let hash = TokenHash::of(token.as_bytes());
    Ok(store::use_device(changes.pool(), account.id, &hash).await?.then_some(hash))
}

/// Whether the password matches the hash. Takes as long without a hash. While locked, the caller isn't told.
async fn is_right(auth: &Auth, changes: &Changes, door: &Door<'_>, hash: Option<&str>, password: &str) -> Result<bool> {
    throttle::check(changes.pool(), door).await?;
    // No transaction is open while hashing.
    let right = auth.passwords.verify(hash, password).await?;
    // The account may have been locked while this one waited for its hash.
    throttle::check(changes.pool(), door).await?;
    Ok(right)
}

async fn refuse<T>(changes: &Changes, door: &Door<'_>, source: Option<IpAddr>, error: Error) -> Result<T> {
    let author = Author { name: "sign-in".into(), source, within: None };
    let mut change = changes.begin(author).await?;
    let locked = throttle::failed(change.db(), door).await?;
    if locked
        && let Door::Open { email, .. } = door
        && let Some(account) = store::account_by_email(change.db(), email).await?
    {
        let resource = format!("users/{}", account.id);
        let audit = Audit { tenant: account.tenant_id, action: "lock_sign_in", resource, before: None, after: None };
        change.audit(audit).await?;
        let to = Email::parse(&account.email).map_err(|e| Error::invalid("email", e))?;
        let language = account.language.unwrap_or_default();
        let message = Message::SignInLocked { name: &account.first_name };
        mail::queue(&mut change, account.tenant_id, &to, language, &message).await?;
    }
    change.commit_quietly().await?;
    Err(error)
}

/// The account of a signed-in user, who confirms with the password. Wrong passwords count as failed sign-ins, so that an open session
/// can't be used for guessing.
pub async fn own_account(
    auth: &Auth,
    changes: &Changes,
    user: Uuid,
    source: Option<IpAddr>,
    field: &'static str,
    password: &str,
) -> Result<Account> {
    let account = store::account(changes.pool(), user).await?.ok_or(Error::NotFound("user"))?;
    let (email, _) = typed(&account.email);
    let door = Door::Open { email: &email, source };
    if is_right(auth, changes, &door, account.password_hash.as_deref(), password).await? {
        return Ok(account);
    }
    refuse(changes, &door, source, Error::invalid(field, Code::Wrong)).await
}

/// Confirms a user's address by the link that was sent to it.
pub async fn verify_email(change: &mut Change, token: &str) -> Result<Uuid> {
    let user = one_time::take(change, token, &[Purpose::Verify]).await?;
    claim_email(change, user).await?;
    let account = session::account(change, user).await?;
    let resource = format!("users/{user}");
    change
        .audit(Audit { tenant: account.tenant_id, action: "verify_email", resource, before: None, after: None })
        .await?;
    Ok(user)
}

/// Sends a link to set a new password if the account exists. The answer is the same if it doesn't.
pub async fn forgot(auth: &Auth, changes: &Changes, source: Option<IpAddr>, email: &str) -> Result<()> {
    throttle::forgotten(changes.pool(), source).await?;
    let (auth, email) = (auth.clone(), typed(email).1);
    let mut change = changes.begin(Author { name: "forgot-password".into(), source, within: None }).await?;
    // After the answer, since its time would reveal whether the account exists.
    tokio::task::spawn_local(async move {
        let sent = async {
            send_reset(&auth, &mut change, email.as_ref()).await?;
            change.commit_quietly().await
        };
        if let Err(error) = sent.await {
            tracing::warn!(%error, "a link to set a new password was not sent");
        }
    });
    Ok(())
}

/// Sends the link to confirm an address once more, if it is waiting to be confirmed. The answer doesn't tell. Those who were
/// invited get their invitation again.
pub async fn confirm_again(auth: &Auth, changes: &Changes, source: Option<IpAddr>, email: &str) -> Result<()> {
    throttle::forgotten(changes.pool(), source).await?;
    let (auth, email) = (auth.clone(), typed(email).1);
    let mut change = changes.begin(Author { name: "confirm-again".into(), source, within: None }).await?;
    // After the answer, as with a link to set a new password.
    tokio::task::spawn_local(async move {
        let sent = async {
            send_confirmation(&auth, &mut change, email.as_ref()).await?;
            change.commit_quietly().await
        };
        if let Err(error) = sent.await {
            tracing::warn!(%error, "a link to confirm an address was not sent");
        }
    });
    Ok(())
}

async fn send_confirmation(auth: &Auth, change: &mut Change, email: Option<&Email>) -> Result<()> {
    let Some(email) = email else { return Ok(()) };
    if store::sign_up_password(change.db(), email.as_str()).await?.is_some() {
        return send_sign_up(auth, change, email).await;
    }
    let account = store::account_by_email(change.db(), email.as_str()).await?;
    let Some(account) = account.filter(Account::has_to_confirm) else { return Ok(()) };
    if !throttle::may_be_written_to(change.db(), account.id).await? {
        return Ok(());
    }
    let to = Email::parse(&account.email).map_err(|e| Error::invalid("email", e))?;
    let language = account.language.unwrap_or_default();
    if account.password_hash.is_some() {
        let link = one_time::link(change, &auth.public_url, account.id, Purpose::Verify).await?;
        let message = Message::VerifyEmail { name: &account.first_name, link: &link };
        return mail::queue(change, account.tenant_id, &to, language, &message).await;
    }
    let Some(tenant) = account.tenant_id else { return Ok(()) };
    let home = tenants::store::get(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let link = one_time::link(change, &auth.public_url, account.id, Purpose::Welcome).await?;
    let message = Message::Welcome { name: &account.first_name, tenant: home.name.as_str(), link: &link };
    mail::queue(change, Some(tenant), &to, language, &message).await
}

/// A new link for the newest sign-up of an address.
async fn send_sign_up(auth: &Auth, change: &mut Change, email: &Email) -> Result<()> {
    if !throttle::may_be_asked(change.db(), email.as_str()).await? {
        return Ok(());
    }
    let token = token::generate("dpo");
    let renewed = store::renew_sign_up(change.db(), email.as_str(), &TokenHash::of(token.as_bytes())).await?;
    let Some((name, language)) = renewed else { return Ok(()) };
    let link = format!("{}/verify?token={}", auth.public_url, token.as_str());
    let message = Message::VerifyEmail { name: &name, link: &link };
    mail::queue(change, None, email, language, &message).await
}

/// Whether a link from a mail works now. It is not used up. As with using links, addresses that ask for many invalid ones have
/// to wait.
pub async fn is_good_link(
    changes: &Changes,
    source: Option<IpAddr>,
    token: &str,
    purposes: &[Purpose],
) -> Result<bool> {
    throttle::may_guess(changes.pool(), source).await?;
    let is_good = one_time::is_good(changes.pool(), token, purposes).await?
        || (purposes.contains(&Purpose::Verify)
            && store::sign_up_of(changes.pool(), &TokenHash::of(token.as_bytes())).await?.is_some());
    if !is_good {
        throttle::guessed(changes.pool(), source).await?;
    }
    Ok(is_good)
}

async fn send_reset(auth: &Auth, change: &mut Change, email: Option<&Email>) -> Result<()> {
    let Some(email) = email else { return Ok(()) };
    let Some(account) = store::account_by_email(change.db(), email.as_str()).await? else { return Ok(()) };
    if account.status == UserStatus::Suspended || !throttle::may_be_written_to(change.db(), account.id).await? {
        return Ok(());
    }
    let link = one_time::link(change, &auth.public_url, account.id, Purpose::Reset).await?;
    let to = Email::parse(&account.email).map_err(|e| Error::invalid("email", e))?;
    let message = Message::ResetPassword { name: &account.first_name, link: &link };
    mail::queue(change, account.tenant_id, &to, account.language.unwrap_or_default(), &message).await
}

/// Sets a password by a link from a mail. All sessions end.
pub async fn reset(auth: &Auth, changes: &Changes, source: Option<IpAddr>, token: &str, new: &str) -> Result<()> {
    not_guessed(changes, source, async {
        let mut change = changes.begin(Author { name: "reset-password".into(), source, within: None }).await?;
        let user = one_time::take(&mut change, token, &[Purpose::Reset, Purpose::Welcome]).await?;
        let account = session::account(&mut change, user).await?;
        if account.status == UserStatus::Suspended {
            return Err(Error::from(Code::AccountSuspended));
        }
        set_password(auth, &mut change, &account, new, None).await?;
        // The link was sent by mail, so the address is confirmed.
        claim_email(&mut change, user).await?;
        change.commit_quietly().await
    })
    .await
}

/// Confirms the address of a user. If another account has it already, it stays with that.
async fn claim_email(change: &mut Change, user: Uuid) -> Result<()> {
    store::verify_email(change.db(), user).await.map_err(|error| {
        let error = Error::from(error);
        match error.violated() {
            Some(("users_email_claimed", _)) => Error::from(Code::EmailHasAccount),
            _ => error,
        }
    })
}

/// Limits guessing: runs work with a link or token that strangers could guess, counts invalid ones, and refuses addresses with many.
pub async fn not_guessed<T>(
    changes: &Changes,
    source: Option<IpAddr>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    throttle::may_guess(changes.pool(), source).await?;
    let done = work.await;
    let guess = |error: &Error| match error {
        Error::Invalid { field, why } => *field == "token" || why.code == Code::NotTheSignUpsPassword,
        Error::Refused(why) => why.code == Code::RefreshTokenExpired,
        _ => false,
    };
    if done.as_ref().err().is_some_and(guess) {
        throttle::guessed(changes.pool(), source).await?;
    }
    done
}

/// Sets a new password after the old one was checked. Other sessions end.
pub async fn change_password(
    auth: &Auth,
    change: &mut Change,
    account: &Account,
    session: Option<Uuid>,
    new: &str,
) -> Result<()> {
    set_password(auth, change, account, new, session).await
}

async fn set_password(
    auth: &Auth,
    change: &mut Change,
    account: &Account,
    new: &str,
    keep: Option<Uuid>,
) -> Result<()> {
    let hash = auth.passwords.choose(new, &[&account.email, &account.first_name, &account.last_name]).await?;
    store::set_password(change.db(), account.id, &hash).await?;
    store::end_sessions(change.db(), account.id, keep).await?;
    // Somebody who knew the old password may have signed in on them.
    store::forget_devices(change.db(), account.id).await?;
    let email = account.email.to_ascii_lowercase();
    throttle::succeeded(change.db(), &Door::Open { email: &email, source: None }).await?;
    let resource = format!("users/{}", account.id);
    let after = Some(serde_json::json!({ "password": "(changed)" }));
    change.audit(Audit { tenant: account.tenant_id, action: "set_password", resource, before: None, after }).await?;
    let to = Email::parse(&account.email).map_err(|e| Error::invalid("email", e))?;
    let message = Message::PasswordChanged { name: &account.first_name };
    mail::queue(change, account.tenant_id, &to, account.language.unwrap_or_default(), &message).await
}
