//! The SQL of failed and repeated attempts.

use sqlx::{PgConnection, PgExecutor};

/// For how many seconds any of these is locked.
pub async fn locked_for(db: impl PgExecutor<'_>, who: &[String]) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "select ceil(extract(epoch from max(locked_until) - now()))::bigint
           from sign_in_failures where who = any ($1) and locked_until > now()",
        who
    )
    .fetch_one(db)
    .await
}

/// Counts a failure. The count is halved each `half_life` seconds; `last_at` is the time up to which that was done.
pub async fn count_failure(db: impl PgExecutor<'_>, who: &str, half_life: f64) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        "insert into sign_in_failures as f (who, failures, locked_until, last_at) values ($1, 1, now(), now())
         on conflict (who) do update
            set (failures, last_at) =
                (select (f.failures >> least(30, halvings)) + 1, f.last_at + halvings * make_interval(secs => $2)
                   from (select greatest(0, floor(extract(epoch from now() - f.last_at) / $2::float8))::int as halvings) as passed)
         returning failures",
        who,
        half_life
    )
    .fetch_one(db)
    .await
}

/// Counts something with a limit per hour. Returns the count of this hour, and how many seconds of it are left.
pub async fn count_in_hour(db: impl PgExecutor<'_>, who: &str) -> sqlx::Result<(i32, i64)> {
    let row = sqlx::query!(
        r#"insert into sign_in_failures as f (who, failures, locked_until, last_at) values ($1, 1, now() + interval '1 hour', now())
         on conflict (who) do update
            set failures = case when f.locked_until > now() then f.failures + 1 else 1 end, last_at = now(),
                locked_until = case when f.locked_until > now() then f.locked_until else now() + interval '1 hour' end
         returning failures, ceil(extract(epoch from locked_until - now()))::bigint as "seconds!""#,
        who
    )
    .fetch_one(db)
    .await?;
    Ok((row.failures, row.seconds))
}

/// The count of this hour, and how many seconds of it are left.
pub async fn counted_in_hour(db: impl PgExecutor<'_>, who: &str) -> sqlx::Result<Option<(i32, i64)>> {
    let row = sqlx::query!(
        r#"select failures, ceil(extract(epoch from locked_until - now()))::bigint as "seconds!"
             from sign_in_failures where who = $1 and locked_until > now()"#,
        who
    );
    Ok(row.fetch_optional(db).await?.map(|row| (row.failures, row.seconds)))
}

pub async fn lock(db: &mut PgConnection, who: &str, seconds: i32) -> sqlx::Result<()> {
    sqlx::query!(
        "update sign_in_failures set locked_until = now() + make_interval(secs => $2::int) where who = $1",
        who,
        seconds
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn forget_failures(db: &mut PgConnection, who: &str) -> sqlx::Result<()> {
    sqlx::query!("delete from sign_in_failures where who = $1 or last_at < now() - interval '2 days'", who)
        .execute(db)
        .await
        .map(|_| ())
}
