//! The SQL of erasures.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{Erased, Erasure, ErasureState, StillSet};

macro_rules! erasure {
    ($row:expr) => {
        Erasure {
            id: $row.id,
            tenant_id: $row.tenant_id,
            numbers: $row.counted.into(),
            state: $row.state,
            erased: $row.erased.0,
            settings: $row.settings.0,
            remaining: $row.remaining,
            next_at: $row.next_at,
            version: $row.version,
            created_at: $row.created_at,
            updated_at: $row.updated_at,
            finished_at: $row.finished_at,
        }
    };
}

pub async fn insert(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Uuid,
    numbers: &[String],
    erased: &Erased,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into erasures (tenant_id, id, numbers, counted, erased) values ($1, $2, $3, cardinality($3::text[])::smallint, $4)",
        tenant,
        id,
        numbers,
        Json(erased) as _
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// `after`: the last of the page before.
pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    state: Option<ErasureState>,
    is_down: bool,
    after: Option<Uuid>,
    limit: i64,
) -> sqlx::Result<Vec<Erasure>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query!(
                r#"select tenant_id, id, counted, state as "state: ErasureState", erased as "erased: Json<Erased>", settings as "settings: Json<StillSet>",
                          remaining, next_at, version, created_at, updated_at, finished_at
                     from erasures where tenant_id = $1 and ($4::text is null or state = $4) and "#
                    + $order
                    + " limit $3",
                tenant,
                after.unwrap_or(if is_down { Uuid::max() } else { Uuid::nil() }),
                limit,
                state as Option<ErasureState>
            )
            .map(|row| erasure!(row))
            .fetch_all(db)
            .await
        };
    }
    if is_down { rows!("id < $2 order by id desc") } else { rows!("id > $2 order by id") }
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Erasure>> {
    let row = sqlx::query!(
        r#"select tenant_id, id, counted, state as "state: ErasureState", erased as "erased: Json<Erased>", settings as "settings: Json<StillSet>",
                  remaining, next_at, version, created_at, updated_at, finished_at
             from erasures where tenant_id = $1 and id = $2"#,
        tenant,
        id
    );
    Ok(row.fetch_optional(db).await?.map(|row| erasure!(row)))
}

/// How many of the tenant's are not done.
pub async fn open(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from erasures where tenant_id = $1 and state <> 'finished'"#,
        tenant
    )
    .fetch_one(db)
    .await
}

/// Whether one of these is the tenant's own phone number.
pub async fn has_own(db: impl PgExecutor<'_>, tenant: Uuid, numbers: &[String]) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from numbers where tenant_id = $1 and number = any ($2)) as "has!""#,
        tenant,
        numbers
    )
    .fetch_one(db)
    .await
}

/// Takes the lock that lets one node do the work, until the connection ends.
pub async fn take_turn(db: &mut PgConnection) -> sqlx::Result<bool> {
    // The letters of "eras".
    sqlx::query_scalar!(r#"select pg_try_advisory_lock(1701994867) as "is_ours!""#).fetch_one(db).await
}

pub async fn end_turn(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(r#"select pg_advisory_unlock(1701994867) as "was_ours!""#).fetch_one(db).await.map(|_| ())
}

/// An erasure that is to be worked on.
pub struct Due {
    pub tenant: Uuid,
    pub id: Uuid,
    pub numbers: Vec<String>,
    pub state: ErasureState,
    pub erased: Erased,
    pub created_at: DateTime<Utc>,
}

pub async fn due(pool: &PgPool, now: DateTime<Utc>) -> sqlx::Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"select tenant_id, id, numbers as "numbers!", state as "state: ErasureState", erased as "erased: Json<Erased>", created_at
             from erasures where next_at <= $1 and numbers is not null order by next_at, id limit 100"#,
        now
    );
    let rows = rows.fetch_all(pool).await?.into_iter().map(|row| Due {
        tenant: row.tenant_id,
        id: row.id,
        numbers: row.numbers,
        state: row.state,
        erased: row.erased.0,
        created_at: row.created_at,
    });
    Ok(rows.collect())
}

/// What a look has found.
pub struct Looked {
    pub erased: Erased,
    pub settings: StillSet,
    pub remaining: i32,
    /// When to look again; `None`: nothing is left, and the numbers are forgotten.
    pub next_at: Option<DateTime<Utc>>,
    pub now: DateTime<Utc>,
}

pub async fn looked(db: impl PgExecutor<'_>, due: &Due, looked: &Looked) -> sqlx::Result<()> {
    let state = if looked.next_at.is_some() { ErasureState::Looked } else { ErasureState::Finished };
    sqlx::query!(
        "update erasures set state = $3, erased = $4, settings = $5, remaining = $6, next_at = $7, version = version + 1, updated_at = now(),
                numbers = case when $7::timestamptz is not null then numbers end,
                finished_at = case when $7::timestamptz is null then $8::timestamptz end
          where tenant_id = $1 and id = $2",
        due.tenant,
        due.id,
        state as ErasureState,
        Json(looked.erased) as _,
        Json(looked.settings) as _,
        looked.remaining,
        looked.next_at,
        looked.now
    )
    .execute(db)
    .await
    .map(|_| ())
}
