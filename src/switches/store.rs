//! The SQL of switches.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Switch, SwitchStatus};
use crate::{http::page::Window, text::SwitchName, token::TokenHash};

pub async fn insert(db: &mut PgConnection, id: Uuid, name: &SwitchName, token: &TokenHash) -> sqlx::Result<Switch> {
    sqlx::query_as!(
        Switch,
        r#"insert into switches (id, name, token_hash) values ($1, $2, $3)
           returning id, name as "name: _", status as "status: SwitchStatus", version, created_at, updated_at"#,
        id,
        name as _,
        &token.0[..]
    )
    .fetch_one(db)
    .await
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Switch>> {
    sqlx::query_as!(
        Switch,
        r#"select id, name as "name: _", status as "status: SwitchStatus", version, created_at, updated_at
             from switches where id = $1"#,
        id
    )
    .fetch_optional(db)
    .await
}

pub async fn by_name(db: impl PgExecutor<'_>, name: &SwitchName) -> sqlx::Result<Option<Switch>> {
    sqlx::query_as!(
        Switch,
        r#"select id, name as "name: _", status as "status: SwitchStatus", version, created_at, updated_at
             from switches where name = $1"#,
        name as _
    )
    .fetch_optional(db)
    .await
}

pub async fn lock(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Switch>> {
    sqlx::query!("select 1 as one from switches where id = $1 for update", id).fetch_optional(&mut *db).await?;
    get(db, id).await
}

pub async fn list(db: impl PgExecutor<'_>, window: Window) -> sqlx::Result<Vec<Switch>> {
    sqlx::query_as!(
        Switch,
        r#"select id, name as "name: _", status as "status: SwitchStatus", version, created_at, updated_at
             from switches where id > $1 order by id limit $2"#,
        window.after,
        window.fetch()
    )
    .fetch_all(db)
    .await
}

pub async fn update(
    db: &mut PgConnection,
    id: Uuid,
    status: SwitchStatus,
    token: Option<&TokenHash>,
) -> sqlx::Result<Switch> {
    sqlx::query_as!(
        Switch,
        r#"update switches set status = $2, token_hash = coalesce($3, token_hash), version = version + 1, updated_at = now()
            where id = $1
           returning id, name as "name: _", status as "status: SwitchStatus", version, created_at, updated_at"#,
        id,
        status as SwitchStatus,
        token.map(|token| &token.0[..])
    )
    .fetch_one(db)
    .await
}

pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from switches where id = $1", id).execute(db).await.map(|_| ())
}
