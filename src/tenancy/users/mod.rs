//! People who sign in: the platform's administrators, and the owners, administrators, managers and agents of tenants.

pub mod store;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    model::user::UserStatus,
    model::{
        error::{Error, Result},
        language::Language,
    },
    node::changes::{Audit, Change},
    tenancy::auth::{password::Passwords, rules::Role, store::end_sessions},
    text::Code,
};

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct User {
    pub id: Uuid,
    /// `null` for an administrator of the platform.
    pub tenant_id: Option<Uuid>,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub role: Role,
    pub status: UserStatus,
    /// The tenant's language if absent.
    pub language: Option<Language>,
    pub email_verified: bool,
    pub two_factor: bool,
    /// Whether they must set up a second factor before anything else.
    pub two_factor_required: bool,
    pub last_sign_in_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Creates a platform administrator, who needs no mail to start.
pub async fn create_platform_admin(
    change: &mut Change,
    passwords: &Passwords,
    email: &str,
    password: &str,
) -> Result<()> {
    let hash = passwords.hash(password).await?;
    let id = store::insert_platform_admin(change.db(), Uuid::now_v7(), email, &hash).await?;
    let id = id.ok_or_else(|| Error::from(Code::EmailOfATenant.with("email", email)))?;
    end_sessions(change.db(), id, None).await?;
    let after = Some(serde_json::json!({ "email": email, "role": "platform_admin" }));
    change.audit(Audit { tenant: None, action: "create", resource: format!("users/{id}"), before: None, after }).await
}

/// What a violated constraint of a user's row means.
#[must_use]
pub fn taken(error: sqlx::Error) -> Error {
    let error = Error::from(error);
    match error.violated() {
        Some(("users_email_in_tenant" | "users_email_claimed", _)) => Error::from(Code::ThisEmailTaken),
        Some(("users_tenant_id_fkey", _)) => Error::NotFound("tenant"),
        _ => error,
    }
}
