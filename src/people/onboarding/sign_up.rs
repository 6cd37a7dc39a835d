//! A company signs up: tenant and owner at once.

use std::net::IpAddr;

use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Bytes, Data},
};
use serde::{Deserialize, Serialize};

use super::{NewOwner, NewTenancy};
use crate::{
    http::{input, problem::Problem},
    model::{error::Result, language::Language},
    node::changes::{Author, Change, Changes},
    tenancy::{
        Api,
        auth::{
            Auth,
            actor::peer,
            password,
            store::{self, Account},
            throttle,
        },
        mail::{self, Message},
    },
    text::{DisplayName, Domain, Email},
};

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
pub async fn register(auth: &Auth, changes: &Changes, source: Option<IpAddr>, new: Registration) -> Result<()> {
    throttle::sign_up(changes.pool(), source).await?;
    let written = [
        new.email.as_str(),
        new.first_name.as_str(),
        new.last_name.as_str(),
        new.domain.as_str(),
        new.company.as_str(),
    ];
    password::check("password", &new.password, &written)?;
    let hash = auth.passwords.hash(&new.password).await?;
    let mut change = changes.begin(Author { name: "registration".into(), source, within: None }).await?;
    let account = store::account_by_email(change.db(), new.email.as_str()).await?;
    let owner = NewOwner {
        first_name: new.first_name,
        last_name: new.last_name,
        email: new.email.clone(),
        language: Some(new.language),
    };
    let tenancy = NewTenancy {
        name: Some(new.company),
        domain: new.domain,
        template: None,
        region: new.region,
        owner: account.is_none().then_some(owner),
        settings: None,
    };
    // Also where there is an account: what is refused, a domain or a region, is refused whichever the address is.
    let made = change.attempt(async |change| {
        super::create(&auth.public_url, change, tenancy, Some(&hash)).await.map_err(Some)?;
        if account.is_some() { Err(None) } else { Ok(()) }
    });
    if let Err(Some(error)) = made.await? {
        return Err(error);
    }
    if let Some(account) = account {
        tell_of_account(auth, &mut change, &account, &new.email, new.language).await?;
    }
    change.commit().await.map(|_| ())
}

/// Writes to somebody whose address was registered again.
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

/// Sign up: a tenant and its owner at once
///
/// The answer is the same whether or not the address has an account; the mail says.
#[utoipa::path(tag = "auth", request_body = Registration, security(()), responses((status = 202, body = Registered), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/auth/register")]
pub async fn sign_up(api: Data<Api>, request: HttpRequest, body: Bytes) -> std::result::Result<HttpResponse, Problem> {
    let new: Registration = input::parse(&body)?;
    register(&api.auth, &api.changes, peer(&request), new).await?;
    Ok(HttpResponse::Accepted().json(REGISTERED))
}
