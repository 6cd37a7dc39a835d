//! The SQL of extension pools.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{HeldNumber, Pool};
use crate::model::{
    paging::Window,
    sorting::{Sorted, in_order},
};

pub async fn insert(db: &mut PgConnection, tenant: Uuid, id: Uuid, first: i64, last: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into extension_pools (tenant_id, id, first_number, last_number) values ($1, $2, $3, $4)",
        tenant,
        id,
        first,
        last
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Pool>> {
    let pools = select(db, tenant, Some(id), &Window::FIRST.into()).await?;
    Ok(pools.into_iter().next())
}

pub async fn list(db: impl PgExecutor<'_>, tenant: Uuid, sorted: &Sorted) -> sqlx::Result<Vec<Pool>> {
    select(db, tenant, None, sorted).await
}

async fn select(db: impl PgExecutor<'_>, tenant: Uuid, id: Option<Uuid>, sorted: &Sorted) -> sqlx::Result<Vec<Pool>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Pool,
        r#"
        select p.id, p.tenant_id, p.first_number, p.last_number, u.used as "used!", h.held as "held!",
               p.last_number - p.first_number + 1 - u.used - h.held as "free!", p.version, p.created_at, p.updated_at
          from extension_pools p,
               lateral (select count(*) as used from names n
                         where n.tenant_id = p.tenant_id and n.name ~ '^[1-9][0-9]{1,14}$'
                           and n.name::bigint between p.first_number and p.last_number) u,
               lateral (select count(*) as held from held_numbers h
                         where h.tenant_id = p.tenant_id and (h.until is null or h.until > now())
                           and h.number ~ '^[1-9][0-9]{1,14}$' and h.number::bigint between p.first_number and p.last_number
                           and not exists (select 1 from names n where n.tenant_id = h.tenant_id and n.name = h.number)) h, lateral (
                 select (case $5::text when 'first_number' then lpad(coalesce(p.first_number::text, ''), 30) else '' end) collate "C" as key,
                        (case $5::text when 'first_number' then lpad($6::text, 30) else '' end) collate "C" as after) k
            where p.tenant_id = $1 and ($2::uuid is null or p.id = $2)
              and "# $(+ $order)+ + " limit $4",
        tenant,
        id,
        sorted.window.after,
        sorted.window.fetch(),
        sorted.by,
        sorted.key,
        sorted.is_down
    )
    .fetch_all(db)
    .await
        };
    }
    in_order!(sorted, rows, "p.id", "$3", "$6", "$7")
}

pub async fn update(db: &mut PgConnection, tenant: Uuid, id: Uuid, first: i64, last: i64) -> sqlx::Result<()> {
    sqlx::query!(
        "update extension_pools set first_number = $3, last_number = $4, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        tenant,
        id,
        first,
        last
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from extension_pools where tenant_id = $1 and id = $2", tenant, id)
        .execute(db)
        .await
        .map(|_| ())
}

/// A range of numbers.
pub struct Range {
    pub id: Uuid,
    pub first_number: i64,
    pub last_number: i64,
}

pub async fn overlapping(
    db: &mut PgConnection,
    tenant: Uuid,
    but: Uuid,
    first: i64,
    last: i64,
) -> sqlx::Result<Option<Range>> {
    sqlx::query_as!(
        Range,
        "select id, first_number, last_number from extension_pools
          where tenant_id = $1 and id <> $2 and first_number <= $4 and last_number >= $3 limit 1",
        tenant,
        but,
        first,
        last
    )
    .fetch_optional(db)
    .await
}

/// The lowest numbers that are neither taken, reserved nor resting, and not among `but`.
pub async fn lowest_free(db: &mut PgConnection, tenant: Uuid, count: i64, but: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select n::text as "n!"
          from (select * from extension_pools where tenant_id = $1 order by first_number) p,
               generate_series(p.first_number, p.last_number) n
         where not exists (select 1 from names x where x.tenant_id = $1 and x.name = n::text)
           and not exists (select 1 from held_numbers h where h.tenant_id = $1 and h.number = n::text
                              and (h.until is null or h.until > now()))
           and n::text not in (select unnest($3::text[]))
         order by n limit $2
        "#,
        tenant,
        count,
        but
    )
    .fetch_all(db)
    .await
}

/// A number that is not available, and why.
pub struct Unavailable {
    pub number: String,
    pub why: String,
}

pub async fn unavailable(db: &mut PgConnection, tenant: Uuid, wanted: &[String]) -> sqlx::Result<Vec<Unavailable>> {
    sqlx::query_as!(
        Unavailable,
        r#"
        select w as "number!",
               case when not exists (select 1 from extension_pools p
                                      where p.tenant_id = $1 and w::bigint between p.first_number and p.last_number
                                        and w = w::bigint::text) then 'outside'
                    when exists (select 1 from names n where n.tenant_id = $1 and n.name = w) then 'taken'
                    else 'held' end as "why!"
          from unnest($2::text[]) w
         where (not exists (select 1 from extension_pools p
                             where p.tenant_id = $1 and w::bigint between p.first_number and p.last_number
                               and w = w::bigint::text)
             or exists (select 1 from names n where n.tenant_id = $1 and n.name = w)
             or exists (select 1 from held_numbers h where h.tenant_id = $1 and h.number = w
                           and (h.until is null or h.until > now())))
           -- An extension that is nobody's may be had.
           and not exists (select 1 from extensions e where e.tenant_id = $1 and e.number = w and e.user_id is null
                              and e.status = 'active')
        "#,
        tenant,
        wanted
    )
    .fetch_all(db)
    .await
}

/// The numbers of all of a tenant's pools together.
#[derive(Default)]
pub struct Usage {
    pub used: i64,
    pub held: i64,
    pub free: i64,
}

pub async fn usage(db: &mut PgConnection, tenant: Uuid) -> sqlx::Result<Usage> {
    let pools = select(db, tenant, None, &Window::FIRST.into()).await?;
    Ok(pools.iter().fold(Usage::default(), |all, pool| Usage {
        used: all.used + pool.used,
        held: all.held + pool.held,
        free: all.free + pool.free,
    }))
}

pub async fn reserve(db: &mut PgConnection, tenant: Uuid, number: &str, reason: &str) -> sqlx::Result<HeldNumber> {
    sqlx::query_as!(
        HeldNumber,
        "insert into held_numbers (tenant_id, number, reason) values ($1, $2, $3)
         on conflict (tenant_id, number) do update set reason = excluded.reason, until = null
         returning number, reason, until, created_at",
        tenant,
        number,
        reason
    )
    .fetch_one(db)
    .await
}

pub async fn release(db: &mut PgConnection, tenant: Uuid, number: &str) -> sqlx::Result<bool> {
    let gone = sqlx::query!("delete from held_numbers where tenant_id = $1 and number = $2", tenant, number);
    Ok(gone.execute(db).await?.rows_affected() == 1)
}

/// The numbers after one, by length and digits.
/// A reserved or resting number.
pub async fn held_number(db: impl PgExecutor<'_>, tenant: Uuid, number: &str) -> sqlx::Result<Option<HeldNumber>> {
    sqlx::query_as!(
        HeldNumber,
        "select number, reason, until, created_at from held_numbers
          where tenant_id = $1 and number = $2 and (until is null or until > now())",
        tenant,
        number
    )
    .fetch_optional(db)
    .await
}

/// `after`: the last of the page before.
pub async fn held(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    number: Option<&str>,
    is_down: bool,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<HeldNumber>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query_as!(
                HeldNumber,
                "select number, reason, until, created_at from held_numbers
                  where tenant_id = $1 and (until is null or until > now()) and ($4::text is null or number = $4)
                    and " + $order + " limit $3",
                tenant,
                after,
                limit,
                number
            )
            .fetch_all(db)
            .await
        };
    }
    if is_down {
        rows!(
            "($2::text is null or (length(number), number) < (length($2), $2)) order by length(number) desc, number desc"
        )
    } else {
        rows!("($2::text is null or (length(number), number) > (length($2), $2)) order by length(number), number")
    }
}
