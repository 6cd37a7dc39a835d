//! Sessions: one row per sign-in. Scripts hold a short-lived access token and a refresh token that works once; browsers hold a cookie.

use std::net::IpAddr;

use chrono::Duration;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Auth, access,
    store::{self, NewSession},
};
use crate::{
    model::error::{Error, Result},
    node::{changes::Change, clock_store},
    text::token::{self, TokenHash},
};

/// How long a session lasts without signing in again.
const DAYS: i64 = 30;
/// The same for platform administrators.
const PLATFORM_HOURS: i64 = 12;

/// Where somebody signs in from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    pub address: Option<IpAddr>,
    pub user_agent: Option<String>,
}

/// What a script gets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Tokens {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    pub token_type: &'static str,
    /// Seconds for which the access token is valid.
    pub expires_in: i64,
    /// Works once, to get the next pair of tokens.
    pub refresh_token: String,
}

fn lifetime(account: &store::Account) -> Duration {
    if account.tenant_id.is_none() { Duration::hours(PLATFORM_HOURS) } else { Duration::days(DAYS) }
}

async fn open(
    change: &mut Change,
    account: &store::Account,
    source: &Source,
    cookie: Option<&TokenHash>,
) -> Result<Uuid> {
    let agent = source.user_agent.as_ref().map(|agent| agent.chars().take(200).collect::<String>());
    let now = clock_store::now(change.db()).await?;
    let new = NewSession {
        id: Uuid::now_v7(),
        user: account.id,
        cookie,
        source: source.address,
        user_agent: agent.as_deref(),
        expires_at: now + lifetime(account),
    };
    store::add_session(change.db(), &new).await?;
    Ok(new.id)
}

/// A script's session.
pub async fn for_script(
    auth: &Auth,
    change: &mut Change,
    account: &store::Account,
    source: &Source,
) -> Result<(Uuid, Tokens)> {
    let session = open(change, account, source, None).await?;
    Ok((session, tokens(auth, change, account.id, session).await?))
}

/// A browser's session: what its cookie holds.
pub async fn for_browser(change: &mut Change, account: &store::Account, source: &Source) -> Result<Zeroizing<String>> {
    let cookie = token::generate("dpb");
    open(change, account, source, Some(&TokenHash::of(cookie.as_bytes()))).await?;
    Ok(cookie)
}

async fn tokens(auth: &Auth, change: &mut Change, user: Uuid, session: Uuid) -> Result<Tokens> {
    let refresh = token::generate("dpr");
    store::add_refresh_token(change.db(), session, &TokenHash::of(refresh.as_bytes())).await?;
    Ok(Tokens {
        access_token: auth.signer.sign(user, session, clock_store::now(change.db()).await?)?,
        token_type: "Bearer",
        expires_in: access::LIFETIME,
        refresh_token: refresh.to_string(),
    })
}

/// The result of using a refresh token.
pub enum Refreshed {
    Tokens(Box<Tokens>),
    /// Unknown or expired, or its user may no longer sign in.
    Refused,
    /// It was used before, so it was stolen. The session has ended, which must be committed.
    Reused {
        user: Uuid,
    },
}

/// Uses up a refresh token and returns a new pair.
pub async fn refresh(auth: &Auth, change: &mut Change, token: &str) -> Result<Refreshed> {
    let Some(shown) = store::take_refresh_token(change.db(), &TokenHash::of(token.as_bytes())).await? else {
        return Ok(Refreshed::Refused);
    };
    if shown.used {
        store::end_session(change.db(), shown.session_id).await?;
        return Ok(Refreshed::Reused { user: shown.user_id });
    }
    let live = store::live_session(change.db(), shown.session_id, None).await?;
    if shown.expired || live.is_none() {
        return Ok(Refreshed::Refused);
    }
    Ok(Refreshed::Tokens(Box::new(tokens(auth, change, shown.user_id, shown.session_id).await?)))
}

/// The token that a browser's forms and scripts must send along with its cookie: made of the cookie, so that another site, which
/// can't read it, can't make it.
#[must_use]
pub fn csrf_token(cookie: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(b"csrf\0").chain_update(cookie).finalize())
}

/// Compares in constant time.
#[must_use]
pub fn is_csrf_token(cookie: &str, shown: &str) -> bool {
    use subtle::ConstantTimeEq as _;
    csrf_token(cookie).as_bytes().ct_eq(shown.as_bytes()).into()
}

/// The account of a user, whether they may sign in or not.
pub async fn account(change: &mut Change, user: Uuid) -> Result<store::Account> {
    store::account(change.db(), user).await?.ok_or(Error::NotFound("user"))
}
