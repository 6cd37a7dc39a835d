//! Signing up, signing in, and what people do with passwords and links.

use std::net::IpAddr;

use serde::Deserialize;
use uuid::Uuid;

use super::{
    Auth,
    one_time::{self, Purpose},
    password, second_factor,
    session::{self, Source},
    store::{self, Account},
    throttle,
};
use crate::{
    model::error::{Error, Result},
    model::user::UserStatus,
    node::changes::{Audit, Author, Change, Changes},
    tenancy::mail::{self, Message},
    text::{Code, Email},
};

/// What somebody shows to sign in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub email: String,
    pub password: String,
    /// Of the authenticator app, or a recovery code; asked for where a second factor is set up.
    pub code: Option<String>,
}

/// Somebody who has signed in.
pub struct SignedIn<T> {
    pub account: Account,
    pub session: T,
}

/// The most of what was typed as an address that is kept; no address is as long (64 + 1 + 253).
const LONGEST_ADDRESS: usize = 320;

/// What was typed as an address: as failures are counted by it, and the address if it is one. What is none is nobody's, and need
/// not fit into the database: it is cut, and has no characters that a column can't hold.
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
/// Takes as long for an account that there is not. Failures count against account and address, also when nothing else is kept.
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
    let right = is_right(auth, changes, &email, account.as_ref(), &shown.password, source.address).await?;
    // Who has not confirmed the address yet may be told so: they know the password.
    let Some(account) = account.filter(|account| right && (account.is_in_force() || account.has_to_confirm())) else {
        return refuse(changes, &email, source.address, Code::WrongPassword.into()).await;
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
                return refuse(changes, &email, source.address, wrong).await;
            }
        }
    }
    if !account.email_verified {
        return Err(Error::from(Code::ConfirmEmailFirst));
    }
    throttle::succeeded(change.db(), &email).await?;
    let session = open(&mut change, &account).await?;
    let resource = format!("users/{}", account.id);
    change.audit(Audit { tenant: account.tenant_id, action: "sign_in", resource, before: None, after: None }).await?;
    change.commit_quietly().await?;
    Ok(SignedIn { account, session })
}

/// Is it the password of this account? Takes as long where there is none. Who has to wait is not told.
async fn is_right(
    auth: &Auth,
    changes: &Changes,
    email: &str,
    account: Option<&Account>,
    password: &str,
    source: Option<IpAddr>,
) -> Result<bool> {
    throttle::check(changes.pool(), email, source).await?;
    let hash = account.and_then(|account| account.password_hash.as_deref());
    // No transaction is held open over the hashing.
    let right = auth.passwords.verify(hash, password).await?;
    // Who waited for the hash while others failed waits longer.
    throttle::check(changes.pool(), email, source).await?;
    Ok(right)
}

async fn refuse<T>(changes: &Changes, email: &str, source: Option<IpAddr>, error: Error) -> Result<T> {
    let author = Author { name: "sign-in".into(), source, within: None };
    let mut change = changes.begin(author).await?;
    let locked = throttle::failed(change.db(), email, source).await?;
    if locked && let Some(account) = store::account_by_email(change.db(), email).await? {
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

/// The account of somebody signed in who shows its password. Wrong ones count like failed sign-ins: a session that was left open
/// is no place to guess at leisure.
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
    if is_right(auth, changes, &email, Some(&account), password, source).await? {
        return Ok(account);
    }
    refuse(changes, &email, source, Error::invalid(field, Code::Wrong)).await
}

/// The owner of an address shows the link that was sent to it.
pub async fn verify_email(change: &mut Change, token: &str) -> Result<Uuid> {
    let user = one_time::take(change, token, &[Purpose::Verify]).await?;
    store::verify_email(change.db(), user).await?;
    let account = session::account(change, user).await?;
    let resource = format!("users/{user}");
    change
        .audit(Audit { tenant: account.tenant_id, action: "verify_email", resource, before: None, after: None })
        .await?;
    Ok(user)
}

/// Sends a link to set a new password, if there is such an account; says nothing about that.
pub async fn forgot(auth: &Auth, changes: &Changes, source: Option<IpAddr>, email: &str) -> Result<()> {
    throttle::forgotten(changes.pool(), source).await?;
    let (auth, email) = (auth.clone(), typed(email).1);
    let mut change = changes.begin(Author { name: "forgot-password".into(), source, within: None }).await?;
    // Behind the answer: how long it takes would tell whether there is an account.
    actix_web::rt::spawn(async move {
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

/// Sets a password with a link that was sent; whoever was signed in before is not any more.
pub async fn reset(auth: &Auth, change: &mut Change, token: &str, new: &str) -> Result<Uuid> {
    let user = one_time::take(change, token, &[Purpose::Reset, Purpose::Welcome]).await?;
    let account = session::account(change, user).await?;
    if account.status == UserStatus::Suspended {
        return Err(Error::from(Code::AccountSuspended));
    }
    set_password(auth, change, &account, new, None).await?;
    // The link came by mail, so the address is theirs.
    store::verify_email(change.db(), user).await?;
    Ok(user)
}

/// Sets a new password for who showed the old one; other sessions end.
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
    password::check("password", new, &[&account.email, &account.first_name, &account.last_name])?;
    let hash = auth.passwords.hash(new).await?;
    store::set_password(change.db(), account.id, &hash).await?;
    store::end_sessions(change.db(), account.id, keep).await?;
    throttle::succeeded(change.db(), &account.email.to_ascii_lowercase()).await?;
    let resource = format!("users/{}", account.id);
    let after = Some(serde_json::json!({ "password": "(changed)" }));
    change.audit(Audit { tenant: account.tenant_id, action: "set_password", resource, before: None, after }).await?;
    let to = Email::parse(&account.email).map_err(|e| Error::invalid("email", e))?;
    let message = Message::PasswordChanged { name: &account.first_name };
    mail::queue(change, account.tenant_id, &to, account.language.unwrap_or_default(), &message).await
}
