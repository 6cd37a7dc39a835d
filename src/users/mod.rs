//! People who sign in. For now there is the first administrator of the platform; signing in is a subject of its own.

mod store;

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use uuid::Uuid;

use crate::changes::{Audit, Change, Error, Result};

/// Argon2id with 19 MiB and two passes: OWASP's first recommendation.
fn hasher() -> Result<Argon2<'static>> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(|e| Error::invalid("password", e))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Makes the platform's administrator.
pub async fn create_platform_admin(change: &mut Change, email: &str, password: &str) -> Result<()> {
    let hash = hasher()?.hash_password(password.as_bytes()).map_err(|e| Error::invalid("password", e))?;
    let id = Uuid::now_v7();
    store::insert_platform_admin(change.db(), id, email, &hash.to_string()).await?;
    let after = Some(serde_json::json!({ "email": email, "role": "platform_admin" }));
    change.audit(Audit { tenant: None, action: "create", resource: format!("users/{id}"), before: None, after }).await
}
