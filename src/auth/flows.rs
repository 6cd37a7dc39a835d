//! Signing up, signing in, and what people do with passwords and links.

use serde::{Deserialize, Serialize};
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
    changes::{Audit, Author, Change, Changes, Error, Result},
    mail::{self, Language, Message},
    onboarding::{self, NewOwner, NewTenancy},
    text::{DisplayName, Domain, Email},
    users::UserStatus,
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

/// How a sign-in may be refused without saying whether there is such an account.
const REFUSED: &str = "The e-mail address or the password is wrong.";

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
    let email = shown.email.trim().to_ascii_lowercase();
    let author = Author { name: "sign-in".into(), source: source.address, within: None };
    let mut change = changes.begin(author).await?;
    throttle::check(change.db(), &email, source.address).await?;
    let account = store::account_by_email(change.db(), &email).await?;
    // No transaction is held open over the hashing.
    drop(change);
    let hash = account.as_ref().and_then(|account| account.password_hash.as_deref());
    let right = auth.passwords.verify(hash, &shown.password).await?;
    let name = account
        .as_ref()
        .map_or_else(|| "sign-in".to_owned(), |account| format!("user:{}:{}", account.id, account.email));
    let mut change = changes.begin(Author { name, source: source.address, within: None }).await?;
    // Who waited for the hash while others failed waits longer.
    throttle::check(change.db(), &email, source.address).await?;
    let Some(account) = account.filter(|account| right && account.is_in_force()) else {
        return refuse(changes, change, &email, source, Error::Refused(REFUSED)).await;
    };
    if account.totp_enabled {
        match shown.code.as_deref().map(str::trim).filter(|code| !code.is_empty()) {
            None => return Err(Error::SecondFactor),
            Some(code) if second_factor::check(&mut change, &account, code).await? => {}
            Some(_) => {
                let wrong = Error::invalid("code", "is wrong or was used before");
                return refuse(changes, change, &email, source, wrong).await;
            }
        }
    }
    if !account.email_verified {
        return Err(Error::Conflict("Confirm your e-mail address first, with the link that was sent to it.".into()));
    }
    throttle::succeeded(change.db(), &email).await?;
    let session = open(&mut change, &account).await?;
    let resource = format!("users/{}", account.id);
    change.audit(Audit { tenant: account.tenant_id, action: "sign_in", resource, before: None, after: None }).await?;
    change.commit_quietly().await?;
    Ok(SignedIn { account, session })
}

async fn refuse<T>(changes: &Changes, change: Change, email: &str, source: &Source, error: Error) -> Result<T> {
    drop(change);
    let author = Author { name: "sign-in".into(), source: source.address, within: None };
    let mut change = changes.begin(author).await?;
    let locked = throttle::failed(change.db(), email, source.address).await?;
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

/// A company that signs up, with its owner.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub company: DisplayName,
    pub domain: Domain,
    pub first_name: DisplayName,
    pub last_name: DisplayName,
    pub email: Email,
    pub password: String,
    #[serde(default)]
    pub language: Language,
    /// Where the tenant shall live; anywhere when not given.
    pub region: Option<String>,
}

/// What somebody who registered is told, whatever became of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Registered {
    pub message: &'static str,
}

pub const REGISTERED: Registered =
    Registered { message: "A mail with a link is on its way to this address. The link ends the registration." };

/// Makes tenant and owner. An address that has an account gets a mail that says so, and the answer is the same.
pub async fn register(auth: &Auth, change: &mut Change, new: Registration) -> Result<()> {
    let written = [
        new.email.as_str(),
        new.first_name.as_str(),
        new.last_name.as_str(),
        new.domain.as_str(),
        new.company.as_str(),
    ];
    password::check("password", &new.password, &written)?;
    let hash = auth.passwords.hash(&new.password).await?;
    if let Some(account) = store::account_by_email(change.db(), new.email.as_str()).await? {
        let (sign_in, forgot) = (format!("{}/sign-in", auth.public_url), format!("{}/forgot", auth.public_url));
        let message = Message::AddressTaken { sign_in_link: &sign_in, forgot_link: &forgot };
        let language = account.language.unwrap_or(new.language);
        return mail::queue(change, account.tenant_id, &new.email, language, &message).await;
    }
    let tenancy = NewTenancy {
        name: Some(new.company),
        domain: new.domain,
        template: None,
        region: new.region,
        owner: Some(NewOwner {
            first_name: new.first_name,
            last_name: new.last_name,
            email: new.email,
            language: Some(new.language),
        }),
        settings: None,
    };
    onboarding::create(&auth.public_url, change, tenancy, Some(&hash)).await.map(|_| ())
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
pub async fn forgot(auth: &Auth, change: &mut Change, email: &str) -> Result<()> {
    let Some(account) = store::account_by_email(change.db(), email.trim()).await? else { return Ok(()) };
    if account.status == UserStatus::Suspended {
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
        return Err(Error::Refused("This account is suspended."));
    }
    set_password(auth, change, &account, new, None).await?;
    // The link came by mail, so the address is theirs.
    store::verify_email(change.db(), user).await?;
    Ok(user)
}

/// Sets a new password with the old one; other sessions end.
pub async fn change_password(
    auth: &Auth,
    change: &mut Change,
    user: Uuid,
    session: Option<Uuid>,
    old: &str,
    new: &str,
) -> Result<()> {
    let account = session::account(change, user).await?;
    if !auth.passwords.verify(account.password_hash.as_deref(), old).await? {
        return Err(Error::invalid("old_password", "is wrong"));
    }
    set_password(auth, change, &account, new, session).await
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
