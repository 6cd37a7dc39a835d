//! Answers questions about calls without making them: what a call would cost over each carrier, where it would go and why.

pub mod api;
pub mod explain;
pub mod preview;

use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{
    model::paging::Window,
    telephony::extensions::store::{self, Filter},
    text::SipUsername,
};

/// Finds the caller by number, alias or SIP username.
///
/// # Errors
///
/// Only database errors.
pub async fn caller(db: impl PgExecutor<'_>, tenant: Uuid, name: &str) -> sqlx::Result<Option<SipUsername>> {
    let name = name.to_lowercase();
    let filter = Filter { name: Some(&name), ..Filter::default() };
    let found = store::list(db, tenant, filter, &Window::FIRST.into()).await?;
    Ok(found.into_iter().next().map(|extension| extension.sip_username))
}
