//! The SQL of `doctor`. It is not checked at compile time, because the database may have any version.

use std::collections::HashMap;

use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// The nodes that have polled in the last seconds.
pub async fn live_nodes(db: &mut PgConnection) -> sqlx::Result<Vec<Uuid>> {
    let nodes = sqlx::query("select id from nodes where polled_at > clock_timestamp() - interval '5 seconds'");
    nodes.fetch_all(db).await?.iter().map(|row| row.try_get(0)).collect()
}

/// The headers in which carriers write the number called.
pub async fn carriers_headers(db: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    let headers = "select distinct config #>> '{inbound,header}' from carriers
                    where status = 'active' and config #>> '{inbound,header}' is not null order by 1";
    sqlx::query_scalar(headers).fetch_all(db).await
}

pub async fn version(db: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query_scalar("select version()").fetch_one(db).await
}

/// The number of call records that can't be read.
pub async fn unreadable_records(db: &mut PgConnection) -> sqlx::Result<i64> {
    let count = "select count(*) from cdr_inbox where noted_at is null and unreadable is not null";
    sqlx::query_scalar(count).fetch_one(db).await
}

pub async fn encoding(db: &mut PgConnection) -> sqlx::Result<String> {
    let encoding = "select pg_encoding_to_char(encoding)::text from pg_database where datname = current_database()";
    sqlx::query_scalar(encoding).fetch_one(db).await
}

/// The versions of applied migrations, and whether each finished.
pub async fn migrations(db: &mut PgConnection) -> sqlx::Result<Vec<(i64, bool)>> {
    let rows = sqlx::query("select version, success from _sqlx_migrations order by version").fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

pub async fn has_extension(db: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select from pg_extension where extname = $1)").bind(name).fetch_one(db).await
}

pub async fn user(db: &mut PgConnection) -> sqlx::Result<String> {
    sqlx::query_scalar("select current_user::text").fetch_one(db).await
}

/// How many seconds the clocks of zones are ahead of UTC at these moments, for the zones that the database knows.
pub async fn zone_offsets(
    db: &mut PgConnection,
    names: &[String],
    moments: &[i64],
) -> sqlx::Result<HashMap<String, Vec<i64>>> {
    let offsets = "select z.name, array(select extract(epoch from (to_timestamp(m) at time zone z.name)
                                                                - (to_timestamp(m) at time zone 'UTC'))::bigint
                                          from unnest($2::bigint[]) with ordinality u (m, n) order by n)
                     from pg_timezone_names z where z.name = any ($1)";
    let rows = sqlx::query(offsets).bind(names).bind(moments).fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The zones of tenants.
pub async fn zones_in_use(db: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    let zones = "select distinct settings ->> 'time_zone' from tenants where settings ->> 'time_zone' is not null";
    sqlx::query_scalar(zones).fetch_all(db).await
}

/// A switch that may still have mailboxes that are gone.
#[derive(sqlx::FromRow)]
pub struct Leftovers {
    pub switch: String,
    pub mailboxes: i64,
    /// Whether its event socket is known.
    pub is_linked: bool,
    /// What it answered the last time.
    pub error: Option<String>,
}

/// Orders of less than ten minutes ago are probably just being carried out.
pub async fn leftovers(db: &mut PgConnection) -> sqlx::Result<Vec<Leftovers>> {
    let leftovers = "select w.name as switch, count(*) as mailboxes, max(c.error) as error,
                            exists (select from event_sockets e where e.switch_id = w.id) as is_linked
                       from cleanups c join switches w on w.id = c.switch_id
                      where c.whole and c.since < now() - interval '10 minutes'
                      group by w.id order by w.name";
    sqlx::query_as(leftovers).fetch_all(db).await
}
