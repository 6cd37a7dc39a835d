//! What the database lets a tenant's work do: the role it is done as, and that role's policies and grants. A dump that was restored
//! without the role lacks them all, and row-level security then hides every row.

use sqlx::PgConnection;

use super::rights_store;

/// The role that a tenant's work is done as.
pub const ROLE: &str = "dialplane_tenant";

/// What the migrations of this program give it, one a line; a test renews the list.
const WANTED: &str = include_str!("rights.txt");

/// What the database gives it, in the words of the list.
pub async fn there(db: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    rights_store::rights(db).await
}

/// What is missing.
pub async fn missing(db: &mut PgConnection) -> sqlx::Result<Vec<&'static str>> {
    let there = there(db).await?;
    Ok(WANTED.lines().filter(|wanted| there.iter().all(|right| right != wanted)).collect())
}

/// Is the role there, and may this user become it?
pub async fn has_role(db: &mut PgConnection) -> sqlx::Result<bool> {
    rights_store::has_role(db, ROLE).await
}

/// Does the role see more than its policies show?
pub async fn is_unbound(db: &mut PgConnection) -> sqlx::Result<bool> {
    rights_store::is_unbound(db, ROLE).await
}

/// Makes the role, and lets this user become it, as far as the user may do that.
pub async fn make_role(db: &mut PgConnection) -> sqlx::Result<()> {
    rights_store::make_role(db).await
}
