//! The SQL of calls that are played.

use chrono::DateTime;
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::play::Play;

/// How many calls a tenant began to play in the last minute, and in how many seconds the oldest of them no longer counts. Whoever else counts
/// waits until this transaction ends.
pub async fn begun_lately(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<(i64, i64)> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('played calls of ' || $1::uuid::text, 0))", tenant)
        .execute(&mut *db)
        .await?;
    let row = sqlx::query!(
        r#"select count(*) as "count!",
                  coalesce(ceil(extract(epoch from min(created_at) + interval '1 minute' - now())), 0)::bigint as "seconds!"
             from sandbox_calls where tenant_id = $1 and created_at > now() - interval '1 minute'"#,
        tenant
    );
    let row = row.fetch_one(db).await?;
    Ok((row.count, row.seconds))
}

pub async fn insert(db: &mut PgConnection, play: &Play) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into sandbox_calls (tenant_id, id, play, ends_at) values ($1, $2, $3, $4)",
        play.tenant,
        play.id(),
        Json(play) as _,
        DateTime::from_timestamp_millis(play.ends()).unwrap_or_default()
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// A call that was played, or is.
pub struct Kept {
    pub play: Play,
    pub over: bool,
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Kept>> {
    let row = sqlx::query!(
        r#"select play as "play: Json<Play>", recorded_at is not null as "over!" from sandbox_calls where tenant_id = $1 and id = $2"#,
        tenant,
        id
    );
    Ok(row.fetch_optional(db).await?.map(|row| Kept { play: row.play.0, over: row.over }))
}

/// The same, and nobody else does anything to it until the transaction ends.
pub async fn lock(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Kept>> {
    let row = sqlx::query!(
        r#"select play as "play: Json<Play>", recorded_at is not null as "over!" from sandbox_calls
            where tenant_id = $1 and id = $2 for update"#,
        tenant,
        id
    );
    Ok(row.fetch_optional(db).await?.map(|row| Kept { play: row.play.0, over: row.over }))
}

/// Writes down what was done to a call.
pub async fn acted(db: &mut PgConnection, play: &Play) -> sqlx::Result<()> {
    sqlx::query!(
        "update sandbox_calls set play = $3, ends_at = $4 where tenant_id = $1 and id = $2",
        play.tenant,
        play.id(),
        Json(play) as _,
        DateTime::from_timestamp_millis(play.ends()).unwrap_or_default()
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The calls of a tenant. `after`: when the last of the page before began.
pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    is_down: bool,
    after: Option<(i64, Uuid)>,
    limit: i64,
) -> sqlx::Result<Vec<Kept>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query!(
                r#"select play as "play: Json<Play>", recorded_at is not null as "over!" from sandbox_calls
                    where tenant_id = $1 and "#
                    + $order
                    + " limit $4",
                tenant,
                after.map(|after| after.0),
                after.map(|after| after.1),
                limit
            )
            .map(|row| Kept { play: row.play.0, over: row.over })
            .fetch_all(db)
            .await
        };
    }
    if is_down {
        rows!(
            "($2::bigint is null or ((play ->> 'began')::bigint, id) < ($2, $3::uuid)) order by (play ->> 'began')::bigint desc, id desc"
        )
    } else {
        rows!(
            "($2::bigint is null or ((play ->> 'began')::bigint, id) > ($2, $3::uuid)) order by (play ->> 'began')::bigint, id"
        )
    }
}

/// The calls that every node plays: those that are up, and those that ended a moment ago.
pub async fn up(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Kept>> {
    let rows = sqlx::query!(
        r#"select play as "play: Json<Play>", recorded_at is not null as "over!" from sandbox_calls
            where recorded_at is null or ends_at > now() - interval '10 seconds' limit 1000"#
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| Kept { play: row.play.0, over: row.over }).collect())
}

/// Takes a call whose records are to be written, as it was in the end. `None`: another node has done it, or it goes on after all.
pub async fn take(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Play>> {
    let taken = sqlx::query_scalar!(
        r#"update sandbox_calls set recorded_at = now()
            where tenant_id = $1 and id = $2 and recorded_at is null and ends_at <= clock_timestamp() returning play as "play: Json<Play>""#,
        tenant,
        id
    );
    Ok(taken.fetch_optional(db).await?.map(|play| play.0))
}
