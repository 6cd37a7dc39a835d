//! The SQL of call records.

use sqlx::PgExecutor;

use super::Posted;

pub async fn keep(db: impl PgExecutor<'_>, posted: &Posted) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into cdr_inbox (leg, switch_id, body) values ($1, $2, $3) on conflict (leg) do nothing",
        posted.leg,
        posted.switch,
        &posted.body[..]
    )
    .execute(db)
    .await
    .map(|_| ())
}
