//! Links in mails: random, for one purpose, used once, valid for a limited time.

use chrono::Duration;
use uuid::Uuid;

use super::store;
use crate::{
    model::error::{Error, Result},
    node::{changes::Change, clock_store},
    text::Code,
    text::token::{self, TokenHash},
};

/// What a link lets its reader do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Verify,
    Reset,
    /// An invited user's first password.
    Welcome,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Welcome => "welcome",
        }
    }

    fn lifetime(self) -> Duration {
        match self {
            Self::Verify => Duration::days(1),
            Self::Reset => Duration::hours(1),
            Self::Welcome => Duration::days(7),
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset | Self::Welcome => "reset",
        }
    }
}

/// Makes a new link and revokes earlier ones for the same purpose. The pages behind it send no Referer, and requests are logged
/// without their query.
pub async fn link(change: &mut Change, base: &str, user: Uuid, purpose: Purpose) -> Result<String> {
    let links = links(change, base, &[user], purpose).await?;
    links.into_iter().next().ok_or(Error::NotFound("user"))
}

/// A new link for each of these.
pub async fn links(change: &mut Change, base: &str, users: &[Uuid], purpose: Purpose) -> Result<Vec<String>> {
    let tokens = users.iter().map(|_| token::generate("dpo")).collect::<Vec<_>>();
    let hashes = tokens.iter().map(|token| TokenHash::of(token.as_bytes()).0.to_vec()).collect::<Vec<_>>();
    store::drop_one_time_tokens(change.db(), users, purpose.name()).await?;
    let until = clock_store::now(change.db()).await? + purpose.lifetime();
    store::add_one_time_tokens(change.db(), &hashes, users, purpose.name(), until).await?;
    Ok(tokens.iter().map(|token| format!("{base}/{}?token={}", purpose.path(), token.as_str())).collect())
}

/// Whether [`take`] would accept the token now. It is not used up.
pub async fn is_good(db: impl sqlx::PgExecutor<'_>, token: &str, purposes: &[Purpose]) -> Result<bool> {
    let purposes = purposes.iter().map(|purpose| purpose.name().to_owned()).collect::<Vec<_>>();
    Ok(store::peek_one_time_token(db, &TokenHash::of(token.as_bytes()), &purposes).await?.is_some())
}

/// Uses up a token and returns its user.
pub async fn take(change: &mut Change, token: &str, purposes: &[Purpose]) -> Result<Uuid> {
    let purposes = purposes.iter().map(|purpose| purpose.name().to_owned()).collect::<Vec<_>>();
    let user = store::use_one_time_token(change.db(), &TokenHash::of(token.as_bytes()), &purposes).await?;
    user.ok_or_else(|| Error::invalid("token", Code::LinkExpired))
}
