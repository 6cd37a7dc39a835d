//! `/v1/auth`: signing in, and the caller's own account.

use actix_web::{
    HttpRequest, HttpResponse, post,
    web::{Bytes, Data},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    flows::{self, SignIn},
    rules::Role,
    second_factor::{self, Setup},
    session::{self, Refreshed, Tokens},
    store,
};
use crate::{
    http::{input, problem::Problem},
    model::error::Error,
    node::changes::{Audit, Author, Change},
    tenancy::{
        Api,
        auth::actor::{Actor, peer, source},
    },
    text::Code,
};

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SignedInAnswer {
    #[serde(flatten)]
    pub tokens: Tokens,
    pub user_id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub role: Role,
    /// Given to a new device. Send it with the next sign-in, so that strangers' guesses don't lock you out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
}

/// Sign in
#[utoipa::path(tag = "auth", request_body = SignIn, security(()), responses((status = 200, body = SignedInAnswer), (status = 401, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/auth/login")]
pub async fn login(api: Data<Api>, request: HttpRequest, body: Bytes) -> Result<HttpResponse, Problem> {
    let shown: SignIn = input::parse(&body)?;
    let source = source(&request);
    let open = async |change: &mut Change, account: &store::Account| {
        session::for_script(&api.auth, change, account, &source).await
    };
    let signed_in = flows::sign_in(&api.auth, &api.changes, &shown, &source, open).await?;
    let (account, (_, tokens)) = (signed_in.account, signed_in.session);
    let (user_id, tenant_id, role) = (account.id, account.tenant_id, account.role);
    let device_token = signed_in.device.map(|token| token.to_string());
    let answer = SignedInAnswer { tokens, user_id, tenant_id, role, device_token };
    Ok(HttpResponse::Ok().json(answer))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshBody {
    pub refresh_token: String,
}

/// Get a new pair of tokens
///
/// Each refresh token works once. If one is used twice, it was stolen, and the session ends.
#[utoipa::path(tag = "auth", request_body = RefreshBody, security(()), responses((status = 200, body = Tokens), (status = 401, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/auth/refresh")]
pub async fn refresh(api: Data<Api>, request: HttpRequest, body: Bytes) -> Result<HttpResponse, Problem> {
    let shown: RefreshBody = input::parse(&body)?;
    let tokens = flows::not_guessed(&api.changes, peer(&request), refreshed(&api, &request, &shown.refresh_token));
    Ok(HttpResponse::Ok().json(tokens.await?))
}

async fn refreshed(api: &Api, request: &HttpRequest, token: &str) -> Result<Tokens, Error> {
    let author = Author { name: "refresh".to_owned(), source: peer(request), within: None };
    let mut change = api.changes.begin(author).await?;
    let refreshed = session::refresh(&api.auth, &mut change, token).await?;
    if let Refreshed::Reused { user } = &refreshed {
        let account = session::account(&mut change, *user).await?;
        let (tenant, resource) = (account.tenant_id, format!("users/{user}"));
        let entry = Audit { tenant, action: "refresh_token_reused", resource, before: None, after: None };
        change.audit(entry).await?;
    }
    change.commit_quietly().await?;
    match refreshed {
        Refreshed::Tokens(tokens) => Ok(*tokens),
        Refreshed::Refused | Refreshed::Reused { .. } => Err(Error::from(Code::RefreshTokenExpired)),
    }
}

/// Sign out: the session and all its tokens end
#[utoipa::path(tag = "auth", responses((status = 204)))]
#[post("/v1/auth/logout")]
pub async fn logout(api: Data<Api>, actor: Actor) -> Result<HttpResponse, Problem> {
    actor.user()?;
    if let Some(session) = actor.session {
        store::end_session(api.pool(), session).await?;
    }
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgotBody {
    pub email: String,
}

/// Ask for a link to set a new password
///
/// The answer is the same, and takes as long, whether or not the address has an account.
#[utoipa::path(tag = "auth", request_body = ForgotBody, security(()), responses((status = 202), (status = 429, body = Problem)))]
#[post("/v1/auth/forgot-password")]
pub async fn forgot_password(api: Data<Api>, request: HttpRequest, body: Bytes) -> Result<HttpResponse, Problem> {
    let shown: ForgotBody = input::parse(&body)?;
    flows::forgot(&api.auth, &api.changes, peer(&request), &shown.email).await?;
    Ok(HttpResponse::Accepted().finish())
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetBody {
    /// The token in the link.
    pub token: String,
    pub password: String,
}

/// Set a password with the link from a mail
#[utoipa::path(tag = "auth", request_body = ResetBody, security(()), responses((status = 204), (status = 409, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/auth/reset-password")]
pub async fn reset_password(api: Data<Api>, request: HttpRequest, body: Bytes) -> Result<HttpResponse, Problem> {
    let shown: ResetBody = input::parse(&body)?;
    flows::reset(&api.auth, &api.changes, peer(&request), &shown.token, &shown.password).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePasswordBody {
    pub old_password: String,
    pub password: String,
}

/// Change your password; your other sessions end
#[utoipa::path(tag = "auth", request_body = ChangePasswordBody, responses((status = 204), (status = 422, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/auth/change-password")]
pub async fn change_password(
    api: Data<Api>,
    actor: Actor,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let shown: ChangePasswordBody = input::parse(&body)?;
    actor.user()?;
    change_own_password(&api, &actor, &request, &shown.old_password, &shown.password).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sets a new password with the old one.
pub async fn change_own_password(
    api: &Api,
    actor: &Actor,
    request: &HttpRequest,
    old: &str,
    new: &str,
) -> Result<(), Error> {
    let account = own_account(api, actor, request, "old_password", old).await?;
    let author = Author { within: None, ..actor.author(request) };
    let mut change = api.changes.begin(author).await?;
    flows::change_password(&api.auth, &mut change, &account, actor.session, new).await?;
    change.commit_quietly().await
}

/// The caller's own account, for changes that also need its password.
pub async fn own_account(
    api: &Api,
    actor: &Actor,
    request: &HttpRequest,
    field: &'static str,
    password: &str,
) -> Result<store::Account, Error> {
    flows::own_account(&api.auth, &api.changes, actor.id, peer(request), field, password).await
}

/// Begins a change of the caller's own account.
pub async fn own_change(api: &Api, actor: &Actor, request: &HttpRequest) -> Result<Change, Problem> {
    let author = Author { within: None, ..actor.author(request) };
    Ok(api.changes.begin(author).await?)
}

/// Begin to set up a second factor
#[utoipa::path(tag = "auth", responses((status = 200, body = Setup), (status = 409, body = Problem)))]
#[post("/v1/auth/two-factor")]
pub async fn begin_two_factor(api: Data<Api>, actor: Actor, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut change = own_change(&api, &actor, &request).await?;
    let account = session::account(&mut change, actor.user()?).await?;
    let setup = second_factor::begin(&mut change, &account).await?;
    change.commit_quietly().await?;
    Ok(HttpResponse::Ok().json(setup))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeBody {
    /// The code that the authenticator app shows.
    pub code: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RecoveryCodes {
    /// Each works once, instead of a code. They are never shown again.
    pub recovery_codes: Vec<String>,
}

/// Finish setting up a second factor, with its first code
#[utoipa::path(tag = "auth", request_body = CodeBody, responses((status = 200, body = RecoveryCodes), (status = 422, body = Problem)))]
#[post("/v1/auth/two-factor/confirm")]
pub async fn confirm_two_factor(
    api: Data<Api>,
    actor: Actor,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let shown: CodeBody = input::parse(&body)?;
    let mut change = own_change(&api, &actor, &request).await?;
    let account = session::account(&mut change, actor.user()?).await?;
    let recovery_codes = second_factor::confirm(&mut change, &account, &shown.code).await?;
    change.commit_quietly().await?;
    Ok(HttpResponse::Ok().json(RecoveryCodes { recovery_codes }))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    pub password: String,
}

/// Switch the second factor off, with the password
#[utoipa::path(tag = "auth", request_body = PasswordBody, responses((status = 204), (status = 422, body = Problem), (status = 429, body = Problem)))]
#[post("/v1/auth/two-factor/disable")]
pub async fn disable_two_factor(
    api: Data<Api>,
    actor: Actor,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let shown: PasswordBody = input::parse(&body)?;
    actor.user()?;
    let account = own_account(&api, &actor, &request, "password", &shown.password).await?;
    if account.totp_required {
        return Err(Error::from(Code::SecondFactorRequired).into());
    }
    let mut change = own_change(&api, &actor, &request).await?;
    second_factor::disable(&mut change, &account).await?;
    change.commit_quietly().await?;
    Ok(HttpResponse::NoContent().finish())
}
