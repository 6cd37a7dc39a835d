//! A company signs up: tenant and owner, once the link in the mail was followed.

use std::net::IpAddr;

use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Bytes, Data},
};
use serde::{Deserialize, Serialize};

use super::{NewOwner, NewTenancy};
use crate::{
    http::{input, problem::Problem},
    model::{
        error::{Error, Result},
        language::Language,
    },
    node::changes::{Author, Change, Changes},
    tenancy::{
        Api,
        auth::{
            Auth,
            actor::peer,
            flows::{not_guessed, verify_email},
            store::{self, Account, SignUp},
            throttle,
        },
        clusters,
        mail::{self, Message},
        tenants,
    },
    text::{
        Code, DisplayName, Domain, Email,
        token::{self, TokenHash},
    },
};

/// A sign-up: a company and its owner.
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
    /// The region of the tenant's cluster. Any region if absent.
    pub region: Option<String>,
}

/// The answer to every sign-up, whether the address has an account or not.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Registered {
    pub message: &'static str,
}

pub const REGISTERED: Registered =
    Registered { message: "Check your inbox: follow the link in our mail to finish signing up." };

/// Keeps a sign-up until its link is followed, and sends the link. Until then nobody sees it, and it reserves nothing. An address that
/// has an account gets a mail that says so; the answer is the same.
pub async fn register(auth: &Auth, changes: &Changes, source: Option<IpAddr>, new: Registration) -> Result<()> {
    throttle::sign_up(changes.pool(), source).await?;
    let written = [
        new.email.as_str(),
        new.first_name.as_str(),
        new.last_name.as_str(),
        new.domain.as_str(),
        new.company.as_str(),
    ];
    let hash = auth.passwords.choose(&new.password, &written).await?;
    let mut change = changes.begin(Author { name: "registration".into(), source, within: None }).await?;
    // Checked whether or not the address has an account, so that a refusal reveals nothing about it.
    if tenants::store::by_domain(change.db(), &new.domain).await?.is_some() {
        return Err(Error::from(Code::DomainTaken.with("domain", &new.domain)));
    }
    tenants::does_not_rest(&mut change, uuid::Uuid::nil(), &new.domain).await?;
    clusters::choose(&mut change, new.region.as_deref()).await?;
    let account = store::account_by_email(change.db(), new.email.as_str()).await?;
    match account.filter(|account| account.email_verified) {
        Some(account) => tell_of_account(auth, &mut change, &account, &new.email, new.language).await?,
        None => ask_to_confirm(auth, &mut change, &new, hash).await?,
    }
    change.commit_quietly().await
}

/// Keeps the sign-up and sends the link.
async fn ask_to_confirm(auth: &Auth, change: &mut Change, new: &Registration, password_hash: String) -> Result<()> {
    if !throttle::may_be_asked(change.db(), new.email.as_str()).await? {
        return Ok(());
    }
    let token = token::generate("dpo");
    let kept = SignUp {
        email: new.email.to_string(),
        company: new.company.to_string(),
        domain: new.domain.to_string(),
        first_name: new.first_name.to_string(),
        last_name: new.last_name.to_string(),
        password_hash,
        language: new.language,
        region: new.region.clone(),
    };
    store::add_sign_up(change.db(), &TokenHash::of(token.as_bytes()), &kept).await?;
    let link = format!("{}/verify?token={}", auth.public_url, token.as_str());
    let message = Message::VerifyEmail { name: new.first_name.as_str(), link: &link };
    mail::queue(change, None, &new.email, new.language, &message).await
}

/// Does a link belong to a sign-up? Then its password is asked for.
pub async fn is_sign_up(changes: &Changes, token: &str) -> Result<bool> {
    Ok(store::sign_up_of(changes.pool(), &TokenHash::of(token.as_bytes())).await?.is_some())
}

/// Whoever follows a sign-up's link is the one who signed up: somebody else may have written down the address, with a password that
/// only they know.
async fn is_theirs(auth: &Auth, changes: &Changes, token: &str, password: Option<&str>) -> Result<()> {
    let Some(hash) = store::sign_up_of(changes.pool(), &TokenHash::of(token.as_bytes())).await? else { return Ok(()) };
    let Some(password) = password else { return Err(Error::invalid("password", Code::Missing)) };
    let _place = auth.passwords.admit()?;
    // No transaction is open while hashing.
    if auth.passwords.verify(Some(&hash), password).await? {
        return Ok(());
    }
    Err(Error::invalid("password", Code::NotTheSignUpsPassword))
}

/// Confirms an address by the link that was sent to it. For a sign-up, this creates the tenant and its owner; the password that was
/// chosen then is asked for.
pub async fn confirm(
    auth: &Auth,
    changes: &Changes,
    source: Option<IpAddr>,
    token: &str,
    password: Option<&str>,
) -> Result<()> {
    not_guessed(changes, source, async {
        is_theirs(auth, changes, token, password).await?;
        let mut change = changes.begin(Author { name: "verify-email".into(), source, within: None }).await?;
        if let Some(kept) = store::take_sign_up(change.db(), &TokenHash::of(token.as_bytes())).await? {
            begin(auth, &mut change, kept).await?;
            change.commit().await.map(|_| ())
        } else {
            verify_email(&mut change, token).await?;
            change.commit_quietly().await
        }
    })
    .await
}

/// Creates the tenant and its owner. Since the sign-up, somebody else may have taken the domain, or the owner may have got an account.
async fn begin(auth: &Auth, change: &mut Change, kept: SignUp) -> Result<()> {
    let account = store::account_by_email(change.db(), &kept.email).await?;
    if account.is_some_and(|account| account.email_verified) {
        return Err(Error::from(Code::EmailHasAccount));
    }
    // These were validated when they were sent.
    let name = |text: &str| DisplayName::parse(text).map_err(|error| Error::invalid("name", error));
    let tenancy = NewTenancy {
        name: Some(name(&kept.company)?),
        domain: Domain::parse(&kept.domain).map_err(|error| Error::invalid("domain", error))?,
        reuse: false,
        template: None,
        region: kept.region,
        cluster_id: None,
        sandbox: None,
        owner: Some(NewOwner {
            first_name: name(&kept.first_name)?,
            last_name: name(&kept.last_name)?,
            email: Email::parse(&kept.email).map_err(|error| Error::invalid("email", error))?,
            language: Some(kept.language),
        }),
        settings: None,
    };
    super::create(&auth.public_url, change, tenancy, Some(&kept.password_hash)).await.map(|_| ())
}

/// Tells the owner of an address that somebody signed up with it again.
async fn tell_of_account(
    auth: &Auth,
    change: &mut Change,
    account: &Account,
    to: &Email,
    language: Language,
) -> Result<()> {
    if !throttle::may_be_written_to(change.db(), account.id).await? {
        return Ok(());
    }
    let (sign_in, forgot) = (format!("{}/sign-in", auth.public_url), format!("{}/forgot", auth.public_url));
    let message = Message::AddressTaken { sign_in_link: &sign_in, forgot_link: &forgot };
    mail::queue(change, account.tenant_id, to, account.language.unwrap_or(language), &message).await
}

/// Sign up
///
/// Sends a mail with a link. Following it within a day creates the tenant and its owner. The answer is the same whether or not the
/// address has an account; the mail says which.
#[utoipa::path(tag = "auth", request_body = Registration, security(()), responses((status = 202, body = Registered), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/auth/register")]
pub async fn sign_up(api: Data<Api>, request: HttpRequest, body: Bytes) -> std::result::Result<HttpResponse, Problem> {
    let new: Registration = input::parse(&body)?;
    register(&api.auth, &api.changes, peer(&request), new).await?;
    Ok(HttpResponse::Accepted().json(REGISTERED))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyBody {
    /// The token in the link.
    pub token: String,
    /// For a sign-up: the password that was chosen then.
    pub password: Option<String>,
}

/// Confirm an e-mail address with the link that was sent to it
///
/// For a sign-up, this creates the tenant and the account, and needs the password that was chosen then: whoever follows the link is the
/// one who signed up.
#[utoipa::path(tag = "auth", request_body = VerifyBody, security(()), responses((status = 204), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/auth/verify-email")]
pub async fn verify(api: Data<Api>, request: HttpRequest, body: Bytes) -> std::result::Result<HttpResponse, Problem> {
    let shown: VerifyBody = input::parse(&body)?;
    confirm(&api.auth, &api.changes, peer(&request), &shown.token, shown.password.as_deref()).await?;
    Ok(HttpResponse::NoContent().finish())
}
