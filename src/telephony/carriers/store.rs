//! The SQL of carriers.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{Carrier, CarrierStatus, Health, NewCarrier};
use crate::model::carrier::CarrierConfig;
use crate::{
    model::{
        paging::Window,
        settings::Words,
        sorting::{Sorted, in_order},
    },
    routing::carried,
};

struct Row {
    id: Uuid,
    tenant_id: Option<Uuid>,
    name: String,
    status: CarrierStatus,
    config: Json<CarrierConfig>,
    has_password: bool,
    priority: i32,
    rates: Option<i32>,
    rates_uploaded_at: Option<chrono::DateTime<chrono::Utc>>,
    sick_until: Option<chrono::DateTime<chrono::Utc>>,
    failures: Option<i32>,
    seized: Option<i64>,
    answered: Option<i64>,
    version: i64,
    created_at: chrono::DateTime<chrono::Utc>,
    updated_at: chrono::DateTime<chrono::Utc>,
}

impl TryFrom<Row> for Carrier {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.id,
            tenant_id: row.tenant_id,
            name: Words::parse(&row.name).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
            status: row.status,
            config: row.config.0,
            has_password: row.has_password,
            priority: row.priority,
            gateway: carried::gateway(row.id),
            rates: row.rates.unwrap_or_default(),
            rates_uploaded_at: row.rates_uploaded_at,
            health: Health {
                sick_until: row.sick_until,
                failures: row.failures.unwrap_or_default(),
                seized: row.seized.unwrap_or_default(),
                answered: row.answered.unwrap_or_default(),
            },
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

pub async fn insert(db: &mut PgConnection, id: Uuid, new: &NewCarrier, password: Option<&[u8]>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into carriers (id, tenant_id, name, status, config, password, priority) values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        new.tenant_id,
        new.name.as_str(),
        new.status as CarrierStatus,
        Json(&new.config) as _,
        password,
        new.priority
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// A carrier's password as it is kept.
pub async fn sealed_password(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Vec<u8>>> {
    let kept = sqlx::query_scalar!("select password from carriers where id = $1", id);
    Ok(kept.fetch_optional(db).await?.flatten())
}

/// `password`: `None` leaves it as it is.
pub async fn update(db: &mut PgConnection, new: &Carrier, password: Option<Option<&[u8]>>) -> sqlx::Result<()> {
    sqlx::query!(
        "update carriers set name = $2, status = $3, config = $4, priority = $5,
                             password = case when $6 then $7 else password end, version = version + 1, updated_at = now()
          where id = $1",
        new.id,
        new.name.as_str(),
        new.status as CarrierStatus,
        Json(&new.config) as _,
        new.priority,
        password.is_some(),
        password.flatten()
    )
    .execute(db)
    .await
    .map(|_| ())
}

async fn select(
    db: impl PgExecutor<'_>,
    only: Option<&[Uuid]>,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Carrier>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Row,
        r#"
        select c.id, c.tenant_id, c.name, c.status as "status: _", c.config as "config: _", c.password is not null as "has_password!",
               c.priority, s.rows as "rates?", s.uploaded_at as "rates_uploaded_at?", h.sick_until as "sick_until?",
               h.failures as "failures?", h.seized as "seized?", h.answered as "answered?", c.version, c.created_at, c.updated_at
          from carriers c
          left join rate_sheets s on s.id = c.sheet_id
          left join carrier_health h on h.carrier_id = c.id
          cross join lateral (
                 select (case $6::text when 'name' then lower(c.name) when 'priority' then lpad((c.priority::bigint + 3000000000)::text, 12, '0') else '' end) collate "C" as key,
                        (case $6::text when 'name' then lower($7::text) when 'priority' then $7::text else '' end) collate "C" as after) k
            where ($1::uuid[] is null or c.id = any ($1))
           and ($4::text is null or strpos(lower(c.name), lower($4)) > 0) and ($5::text is null or c.status = $5)
              and ($9::uuid is null or c.tenant_id = $9)
              and "# $(+ $order)+ + " limit $3",
        only,
        sorted.window.after,
        sorted.window.fetch(),
        filter.name,
        filter.status as Option<CarrierStatus>,
        sorted.by,
        sorted.key,
        sorted.is_down,
        filter.tenant
    )
    .fetch_all(db)
    .await
        };
    }
    let rows = in_order!(sorted, rows, "c.id", "$2", "$7", "$8")?;
    rows.into_iter().map(Carrier::try_from).collect()
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Carrier>> {
    Ok(select(db, Some(&[id]), &Filter::default(), &Window::FIRST.into()).await?.pop())
}

pub async fn by_name(db: &mut PgConnection, name: &str) -> sqlx::Result<Option<Carrier>> {
    match sqlx::query_scalar!("select id from carriers where name = $1", name).fetch_optional(&mut *db).await? {
        Some(id) => get(db, id).await,
        None => Ok(None),
    }
}

/// Which carriers to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of the name.
    pub name: Option<String>,
    pub status: Option<CarrierStatus>,
    /// Those that take only this tenant's calls.
    pub tenant: Option<Uuid>,
}

/// `only`: of these.
pub async fn list(
    db: impl PgExecutor<'_>,
    only: Option<&[Uuid]>,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Carrier>> {
    select(db, only, filter, sorted).await
}

pub async fn lock(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Carrier>> {
    sqlx::query!("select 1 as one from carriers where id = $1 for update", id).fetch_optional(&mut *db).await?;
    get(db, id).await
}

pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update carriers set sheet_id = null where id = $1", id).execute(&mut *db).await?;
    sqlx::query!("delete from carriers where id = $1", id).execute(db).await.map(|_| ())
}

/// Begins a rate sheet. [`put_in_force`] puts it in force.
pub async fn begin_sheet(db: &mut PgConnection, carrier: Uuid, sheet: Uuid, rows: i32) -> sqlx::Result<()> {
    sqlx::query!("insert into rate_sheets (id, carrier_id, rows) values ($1, $2, $3)", sheet, carrier, rows)
        .execute(db)
        .await
        .map(|_| ())
}

/// Rates as columns.
#[derive(Default)]
pub struct RateColumns {
    pub prefixes: Vec<String>,
    pub effective: Vec<chrono::DateTime<chrono::Utc>>,
    pub prices: Vec<i64>,
    pub first: Vec<i16>,
    pub steps: Vec<i16>,
}

pub async fn add_rates(
    db: &mut PgConnection,
    sheet: Uuid,
    rates: &RateColumns,
    part: std::ops::Range<usize>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into rates (sheet_id, prefix, effective_at, price, first_seconds, step_seconds)
         select $1, r.* from unnest($2::text[], $3::timestamptz[], $4::bigint[], $5::smallint[], $6::smallint[]) r",
        sheet,
        &rates.prefixes[part.clone()],
        &rates.effective[part.clone()],
        &rates.prices[part.clone()],
        &rates.first[part.clone()],
        &rates.steps[part]
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The sheet in force.
pub async fn sheet_in_force(db: &mut PgConnection, carrier: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!("select sheet_id from carriers where id = $1", carrier).fetch_one(db).await
}

/// What was kept of an earlier sheet.
#[derive(Debug, Default)]
pub struct KeptRates {
    /// How many of its rates.
    pub rates: i64,
    /// How many rates the new sheet has besides its own: these, and its own prices under the prefixes that these have.
    pub added: i64,
    /// The prefixes with a price of the earlier sheet that the new sheet does not name.
    pub unnamed: Vec<String>,
}

/// Keeps the rates of the old sheet whose successor begins later: the rate of the longest prefix in the new sheet that covers them. They are
/// kept (the present one and those to follow) until then, and then have their successor's price, for otherwise a finer prefix would go on at
/// its old price.
pub async fn keep_until_next(
    db: &mut PgConnection,
    old: Uuid,
    new: Uuid,
    now: chrono::DateTime<chrono::Utc>,
) -> sqlx::Result<KeptRates> {
    sqlx::query_as!(
        KeptRates,
        r#"with later as (
              select prefix, min(effective_at) as begins from rates where sheet_id = $2
               group by prefix having min(effective_at) > $3),
           succeeded as (
              select o.prefix, l.prefix as successor, l.begins
                from (select distinct prefix from rates where sheet_id = $1 and exists (select 1 from later)) o
               cross join lateral (
                      select n.prefix from rates n
                       where n.sheet_id = $2
                         and n.prefix = any (array(select left(o.prefix, l) from generate_series(1, length(o.prefix)) l))
                       order by length(n.prefix) desc limit 1) s
                join later l on l.prefix = s.prefix),
           kept as (
              insert into rates (sheet_id, prefix, effective_at, price, first_seconds, step_seconds)
              select $2, o.prefix, o.effective_at, o.price, o.first_seconds, o.step_seconds
                from succeeded s join rates o on o.sheet_id = $1 and o.prefix = s.prefix and o.effective_at < s.begins
               where o.effective_at >= coalesce((select max(p.effective_at) from rates p
                                                  where p.sheet_id = $1 and p.prefix = o.prefix and p.effective_at <= $3), o.effective_at)
              returning prefix),
           follow as (
              insert into rates (sheet_id, prefix, effective_at, price, first_seconds, step_seconds)
              select $2, s.prefix, n.effective_at, n.price, n.first_seconds, n.step_seconds
                from succeeded s join rates n on n.sheet_id = $2 and n.prefix = s.successor
               where s.prefix <> s.successor and s.prefix in (select prefix from kept)
              returning 1 as one)
           select (select count(*) from kept) as "rates!",
                  (select count(*) from kept) + (select count(*) from follow) as "added!",
                  array(select distinct k.prefix from kept k join succeeded s on s.prefix = k.prefix and s.prefix <> s.successor
                         order by 1) as "unnamed!""#,
        old,
        new,
        now
    )
    .fetch_one(db)
    .await
}

/// Where a new sheet has a price later and nothing now, not even by a shorter prefix, and the old sheet had a price by a shorter prefix: that
/// price goes on until then, for the new prefix alone.
pub async fn keep_by_shorter(
    db: &mut PgConnection,
    old: Uuid,
    new: Uuid,
    now: chrono::DateTime<chrono::Utc>,
) -> sqlx::Result<KeptRates> {
    sqlx::query_as!(
        KeptRates,
        r#"with later as (
              select prefix, min(effective_at) as begins from rates where sheet_id = $2
               group by prefix having min(effective_at) > $3),
           -- Below another such prefix, that one's rates count.
           below as (
              select l.prefix from later l cross join generate_series(1, 14) n join later o on o.prefix = left(l.prefix, n)
               where n < length(l.prefix)),
           bare as (
              select l.prefix, l.begins, array(select left(l.prefix, n) from generate_series(1, length(l.prefix)) n) as shorter
                from later l
               where l.prefix not in (select prefix from below)
                 and not exists (select 1 from rates n where n.sheet_id = $2 and n.effective_at <= $3
                                    and n.prefix = any (array(select left(l.prefix, k) from generate_series(1, length(l.prefix)) k)))),
           was as (
              -- From when a rate counts, if none of a longer prefix does: the present one of each prefix, and those to follow.
              select b.prefix, o.prefix as by, o.effective_at, greatest(o.effective_at, $3) as since, o.price, o.first_seconds, o.step_seconds
                from bare b
                join rates o on o.sheet_id = $1 and o.prefix = any (b.shorter) and o.effective_at < b.begins
               where o.effective_at >= coalesce((select max(p.effective_at) from rates p
                                                  where p.sheet_id = $1 and p.prefix = o.prefix and p.effective_at <= $3), o.effective_at)),
           kept as (
              insert into rates (sheet_id, prefix, effective_at, price, first_seconds, step_seconds)
              select $2, w.prefix, w.effective_at, w.price, w.first_seconds, w.step_seconds
                from was w
               where not exists (select 1 from was x where x.prefix = w.prefix and length(x.by) > length(w.by) and x.since <= w.since)
              on conflict do nothing
              returning prefix)
           select (select count(*) from kept) as "rates!", (select count(*) from kept) as "added!",
                  array(select distinct prefix from kept order by 1) as "unnamed!""#,
        old,
        new,
        now
    )
    .fetch_one(db)
    .await
}

/// Prefixes that had a price in the old sheet but have none in the new one, not even by a shorter prefix.
pub async fn no_longer_priced(
    db: &mut PgConnection,
    old: Uuid,
    new: Uuid,
    now: chrono::DateTime<chrono::Utc>,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select distinct o.prefix from rates o
          where o.sheet_id = $1 and o.effective_at <= $3
            and not exists (select 1 from rates n
                             where n.sheet_id = $2 and n.effective_at <= $3
                               and n.prefix = any (array(select left(o.prefix, l) from generate_series(1, length(o.prefix)) l)))
          order by o.prefix",
        old,
        new,
        now
    )
    .fetch_all(db)
    .await
}

/// Prefixes of a sheet that have a price later but none now, not even by a shorter prefix.
pub async fn not_yet_priced(
    db: &mut PgConnection,
    sheet: Uuid,
    now: chrono::DateTime<chrono::Utc>,
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select distinct o.prefix from rates o
          where o.sheet_id = $1 and o.effective_at > $2
            and not exists (select 1 from rates n
                             where n.sheet_id = $1 and n.effective_at <= $2
                               and n.prefix = any (array(select left(o.prefix, l) from generate_series(1, length(o.prefix)) l)))
          order by o.prefix",
        sheet,
        now
    )
    .fetch_all(db)
    .await
}

/// Whether two sheets have the same prices from now on. Since when a price is in force makes no difference.
pub async fn has_same_rates(
    db: &mut PgConnection,
    old: Uuid,
    new: Uuid,
    now: chrono::DateTime<chrono::Utc>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"with counts as (
              select distinct on (sheet_id, prefix, greatest(effective_at, $3))
                     sheet_id, prefix, greatest(effective_at, $3) as since, price, first_seconds, step_seconds
                from rates where sheet_id in ($1, $2)
               order by sheet_id, prefix, greatest(effective_at, $3), effective_at desc),
           was as (select prefix, since, price, first_seconds, step_seconds from counts where sheet_id = $1),
           becomes as (select prefix, since, price, first_seconds, step_seconds from counts where sheet_id = $2)
           select not exists (table was except table becomes) and not exists (table becomes except table was) as "same!""#,
        old,
        new,
        now
    )
    .fetch_one(db)
    .await
}

/// Forgets a sheet that was not put in force.
pub async fn drop_sheet(db: &mut PgConnection, sheet: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from rate_sheets where id = $1", sheet).execute(db).await.map(|_| ())
}

/// Puts a sheet in force, with `added` rates besides its own. The rest of the previous sheet is deleted.
pub async fn put_in_force(db: &mut PgConnection, carrier: Uuid, sheet: Uuid, added: i64) -> sqlx::Result<()> {
    sqlx::query!("update rate_sheets set rows = rows + $2::bigint::int where id = $1", sheet, added)
        .execute(&mut *db)
        .await?;
    sqlx::query!(
        "update carriers set sheet_id = $2, version = version + 1, updated_at = now() where id = $1",
        carrier,
        sheet
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("delete from rate_sheets where carrier_id = $1 and id <> $2", carrier, sheet)
        .execute(db)
        .await
        .map(|_| ())
}

/// One rate, for people to look at.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Rate {
    pub prefix: String,
    pub effective_at: chrono::DateTime<chrono::Utc>,
    pub price: i64,
    pub first_seconds: i16,
    pub step_seconds: i16,
}

/// Rates whose prefix begins with this. `after`: the prefix and time of the last on the page before.
pub async fn rates(
    db: impl PgExecutor<'_>,
    carrier: Uuid,
    prefix: &str,
    is_down: bool,
    after: Option<&(String, DateTime<Utc>)>,
    limit: i64,
) -> sqlx::Result<Vec<Rate>> {
    macro_rules! rows {
        ($order:tt) => {
            sqlx::query_as!(
                Rate,
                "select r.prefix, r.effective_at, r.price, r.first_seconds, r.step_seconds
                   from carriers c join rates r on r.sheet_id = c.sheet_id
                  where c.id = $1 and r.prefix like $2 || '%' and "
                    + $order
                    + " limit $5",
                carrier,
                prefix,
                after.map(|after| after.0.as_str()),
                after.map(|after| after.1),
                limit
            )
            .fetch_all(db)
            .await
        };
    }
    if is_down {
        rows!(
            "($3::text is null or (r.prefix, r.effective_at) < ($3, $4::timestamptz)) order by r.prefix desc, r.effective_at desc"
        )
    } else {
        rows!(
            "($3::text is null or (r.prefix, r.effective_at) > ($3, $4::timestamptz)) order by r.prefix, r.effective_at"
        )
    }
}

/// Notes how an attempt over a carrier ended. Five failures in a row make it sick: for half a minute at first, then twice as long
/// each time, at most half an hour.
pub async fn note_attempt(db: impl PgExecutor<'_>, carrier: Uuid, answered: bool, failed: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into carrier_health as h (carrier_id, seized, answered, failures)
         select c.id, 1, $2::bool::int, $3::bool::int from carriers c where c.id = $1
         on conflict (carrier_id) do update
            set seized = h.seized + 1, answered = h.answered + $2::bool::int, updated_at = now(),
                failures = case when $3 then h.failures + 1 else 0 end,
                sick_until = case when not $3 then null
                                  when h.failures + 1 >= 5
                                  then now() + least(interval '30 seconds' * (2 ^ least(h.failures + 1 - 5, 6)), interval '30 minutes')
                                  else h.sick_until end",
        carrier,
        answered,
        failed
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Notes whether a carrier answered a probe.
pub async fn note_probe(db: impl PgExecutor<'_>, carrier: Uuid, reachable: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into carrier_health as h (carrier_id, sick_until)
         select c.id, case when $2 then null else now() + interval '30 seconds' end from carriers c where c.id = $1
         on conflict (carrier_id) do update
            set updated_at = now(), failures = case when $2 then 0 else h.failures end,
                sick_until = case when $2 then null else greatest(h.sick_until, now() + interval '30 seconds') end",
        carrier,
        reachable
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Sick carriers that are due for a probe.
pub async fn sick(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<(Uuid, CarrierConfig)>> {
    let rows = sqlx::query!(
        r#"select c.id, c.config as "config: Json<CarrierConfig>" from carriers c join carrier_health h on h.carrier_id = c.id
            where c.status = 'active' and h.sick_until is not null and h.updated_at < now() - interval '10 seconds'
              and not exists (select from tenants t where t.id = c.tenant_id and t.sandbox)"#
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.config.0)).collect())
}

/// Host names of active carriers and of clusters that were not looked up within a minute. Takes them, so that other nodes don't
/// look them up too. Their carriers are locked: a tenant whose data is removed at this moment leaves no name behind.
pub async fn unresolved_hosts(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        with due as (
            select lower(split_part(c.config ->> 'host', ':', 1)) as host
              from carriers c
              left join resolved_hosts r on r.host = lower(split_part(c.config ->> 'host', ':', 1))
             where c.status = 'active' and (r.tried_at is null or r.tried_at < now() - interval '1 minute')
             order by c.id
               for key share of c
        )
        insert into resolved_hosts (host)
        select named.host
          from (select host from due
                union select lower(domain) from clusters cross join unnest(sip_domains) domain) named
          left join resolved_hosts r on r.host = named.host
         where named.host !~ '^[0-9.]+$' and (r.tried_at is null or r.tried_at < now() - interval '1 minute')
         order by named.host
            on conflict (host) do update set tried_at = now() where resolved_hosts.tried_at < now() - interval '1 minute'
        returning host
        "#
    )
    .fetch_all(db)
    .await
}

/// Saves the addresses of a host name; `None` if it could not be looked up.
pub async fn resolved_host(db: impl PgExecutor<'_>, host: &str, addresses: Option<&[String]>) -> sqlx::Result<()> {
    sqlx::query!(
        "update resolved_hosts set addresses = coalesce($2, addresses), tried_at = now() where host = $1",
        host,
        addresses
    )
    .execute(db)
    .await
    .map(|_| ())
}
