//! The rights of the role that work for tenants runs as: its policies and grants. A dump that was restored before the role
//! existed lacks them all, and row-level security then hides every row.

use sqlx::PgConnection;

use super::rights_store;

/// The role that work for tenants runs as.
pub const ROLE: &str = "dialplane_tenant";

/// The rights that this program's migrations give it, one per line. A test renews the list.
const WANTED: &str = include_str!("rights.txt");

/// The script that an administrator of Postgres runs for a user who can't create roles.
#[must_use]
pub fn script(user: &str, database: &str) -> String {
    // As psql reads a quoted argument of \set: quotes are doubled, backslashes escape.
    let quoted = |name: &str| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "''"));
    let named = format!("\\set dialplane_user {}\n\\set dialplane_database {}\n", quoted(user), quoted(database));
    format!("{named}{}", include_str!("roles.sql"))
}

/// The rights that the database gives it, in the format of the list.
pub async fn there(db: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    rights_store::rights(db).await
}

/// The rights that are missing.
pub async fn missing(db: &mut PgConnection) -> sqlx::Result<Vec<&'static str>> {
    let there = there(db).await?;
    Ok(WANTED.lines().filter(|wanted| there.iter().all(|right| right != wanted)).collect())
}

/// Whether the role exists and this user may become it.
pub async fn has_role(db: &mut PgConnection) -> sqlx::Result<bool> {
    rights_store::has_role(db, ROLE).await
}

/// Whether the role bypasses its policies.
pub async fn is_unbound(db: &mut PgConnection) -> sqlx::Result<bool> {
    rights_store::is_unbound(db, ROLE).await
}

/// Creates the role and lets this user become it, as far as the user's own rights allow.
pub async fn make_role(db: &mut PgConnection) -> sqlx::Result<()> {
    rights_store::make_role(db).await
}
