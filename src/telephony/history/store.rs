//! The SQL of calls as people see them.
//!
//! Lists are found month by month, the newest first. In each month, calls that have all that is asked for are looked up in the index of facets
//! (`few`), which finds them at once if they are rare. If they are not, walking through the newest calls finds enough of them soon (`walk`).

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{Call, Direction, State, Story, Summary};
use crate::node::months_store::Month;

/// From so many calls on in one month, those that are asked for are not rare.
const FEW: i64 = 5000;

/// Which calls are asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    /// They must have all of these.
    pub facets: Vec<i64>,
    /// And at least one of these, if there are any.
    pub any: Vec<i64>,
    /// Seconds of talk.
    pub least: Option<i32>,
    pub most: Option<i32>,
    /// Only calls without a recording.
    pub unrecorded: bool,
    /// A part of a number or name, in lower case.
    pub sought: Option<String>,
    /// They must have none of these: the facets that whoever asks may not find them by.
    pub hidden: Vec<i64>,
    /// The facet of calls of which whoever asks may not know everything: these are found only by what everybody may know.
    pub hides: Option<i64>,
}

impl Wanted {
    fn pattern(&self) -> Option<String> {
        let escaped = |text: &String| text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        self.sought.as_ref().map(|text| format!("%{}%", escaped(text)))
    }

    fn is_plain(&self) -> bool {
        self.facets.is_empty() && self.any.is_empty() && self.sought.is_none()
    }
}

/// Where a list goes on: when a call began, and its id.
pub type Place = (DateTime<Utc>, Uuid);

/// The ids of the newest calls that are asked for, before a place.
pub async fn places(
    db: &mut PgConnection,
    tenant: Uuid,
    wanted: &Wanted,
    before: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Place>> {
    let before = match (before, wanted.until) {
        (Some(before), Some(until)) if before.0 < until => before,
        // No id is smaller than this one: calls that began at that very moment are left out.
        (_, Some(until)) => (until, Uuid::nil()),
        (Some(before), None) => before,
        (None, None) => (DateTime::<Utc>::MAX_UTC, Uuid::max()),
    };
    // The database's time ends earlier.
    let before = (before.0.min(Utc::now() + TimeDelta::days(3)), before.1);
    if wanted.is_plain() {
        let since = wanted.since.unwrap_or(DateTime::UNIX_EPOCH);
        return walk(db, tenant, wanted, since, before, limit).await;
    }
    let Some(oldest) = oldest(&mut *db, tenant).await? else { return Ok(Vec::new()) };
    let since = wanted.since.map_or(oldest, |since| since.max(oldest));
    let mut found = Vec::new();
    let mut month = Month::of(before.0);
    while found.len() < usize::try_from(limit).unwrap_or_default() && month.next().begins() > since {
        let (from, rest) = (month.begins().max(since), limit - i64::try_from(found.len()).unwrap_or_default());
        let to = if month.next().begins() <= before.0 { (month.next().begins(), Uuid::nil()) } else { before };
        let some = few(db, tenant, wanted, from, to).await?;
        if i64::try_from(some.len()).unwrap_or(i64::MAX) < FEW {
            found.extend(some.into_iter().take(usize::try_from(rest).unwrap_or_default()));
        } else {
            found.extend(walk(db, tenant, wanted, from, to, rest).await?);
        }
        month = month.previous();
    }
    Ok(found)
}

/// The ids of the oldest calls that are asked for, after a place.
pub async fn places_up(
    db: &mut PgConnection,
    tenant: Uuid,
    wanted: &Wanted,
    after: Option<Place>,
    limit: i64,
) -> sqlx::Result<Vec<Place>> {
    let Some(oldest) = oldest(&mut *db, tenant).await? else { return Ok(Vec::new()) };
    let since = wanted.since.map_or(oldest, |since| since.max(oldest));
    let after = after.filter(|after| after.0 >= since).unwrap_or((since, Uuid::nil()));
    // No id is smaller than this one: calls that began at that very moment are left out.
    let latest = Utc::now() + TimeDelta::days(3);
    let end = (wanted.until.map_or(latest, |until| until.min(latest)), Uuid::nil());
    if wanted.is_plain() {
        return walk_up(db, tenant, wanted, after, end, limit).await;
    }
    let mut found = Vec::new();
    let mut month = Month::of(after.0);
    while found.len() < usize::try_from(limit).unwrap_or_default() && month.begins() < end.0 {
        let rest = limit - i64::try_from(found.len()).unwrap_or_default();
        let to = if month.next().begins() < end.0 { (month.next().begins(), Uuid::nil()) } else { end };
        let mut some = few(db, tenant, wanted, month.begins().max(after.0), to).await?;
        if i64::try_from(some.len()).unwrap_or(i64::MAX) < FEW {
            some.retain(|place| *place > after);
            found.extend(some.into_iter().rev().take(usize::try_from(rest).unwrap_or_default()));
        } else {
            found.extend(walk_up(db, tenant, wanted, after.max((month.begins(), Uuid::nil())), to, rest).await?);
        }
        month = month.next();
    }
    Ok(found)
}

/// When the tenant's oldest call began.
async fn oldest(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<DateTime<Utc>>> {
    let oldest = "select started_at from calls where tenant_id = $1 order by started_at limit 1";
    sqlx::query_scalar(oldest).bind(tenant).fetch_optional(db).await
}

/// Calls by the indexes of what is asked for, newest first, if they are few. Without the index of time: the planner takes what is asked for
/// together to be independent of each other, and would walk through all calls for two things that never come together. Not prepared, because
/// a kept plan would not know that.
async fn few(
    db: &mut PgConnection,
    tenant: Uuid,
    wanted: &Wanted,
    from: DateTime<Utc>,
    to: Place,
) -> sqlx::Result<Vec<Place>> {
    indexes_of_time(db, "off").await?;
    let few = sqlx::query_as::<_, Place>(
        "with few as materialized (
            select started_at, id from calls
             where tenant_id = $1 and ($2::bigint[] = '{}' or facets @> $2) and started_at >= $3 and started_at <= $4
               and (started_at, id) < ($4, $5) and ($6::int is null or talk_ms >= $6::bigint * 1000)
               and ($7::int is null or talk_ms < ($7::bigint + 1) * 1000) and not ($8 and recorded)
               and ($9::text is null or sought like $9
                    and ($13::bigint is null or not facets @> array[$13] or split_part(sought, chr(1), 1) like $9))
               and ($11::bigint[] = '{}' or facets && $11) and ($12::bigint[] = '{}' or not facets && $12) limit $10)
         select started_at, id from few order by started_at desc, id desc",
    );
    let few = few.bind(tenant).bind(&wanted.facets).bind(from).bind(to.0).bind(to.1).bind(wanted.least);
    let few = few.bind(wanted.most).bind(wanted.unrecorded).bind(wanted.pattern()).bind(FEW).bind(&wanted.any);
    let few = few.bind(&wanted.hidden).bind(wanted.hides);
    let few = few.persistent(false).fetch_all(&mut *db).await?;
    indexes_of_time(db, "on").await?;
    Ok(few)
}

async fn indexes_of_time(db: &mut PgConnection, state: &str) -> sqlx::Result<()> {
    let set = "select set_config('enable_indexscan', $1, true), set_config('enable_indexonlyscan', $1, true), set_config('enable_seqscan', $1, true)";
    sqlx::query(set).bind(state).execute(db).await.map(|_| ())
}

/// Calls by time, newest first.
async fn walk(
    db: &mut PgConnection,
    tenant: Uuid,
    wanted: &Wanted,
    from: DateTime<Utc>,
    to: Place,
    limit: i64,
) -> sqlx::Result<Vec<Place>> {
    let rows = sqlx::query!(
        "select started_at, id from calls
          where tenant_id = $1 and ($2::bigint[] = '{}' or facets @> $2) and started_at >= $3 and started_at <= $4
            and (started_at, id) < ($4, $5) and ($6::int is null or talk_ms >= $6::bigint * 1000)
            and ($7::int is null or talk_ms < ($7::bigint + 1) * 1000) and not ($8 and recorded)
            and ($9::text is null or sought like $9
                 and ($13::bigint is null or not facets @> array[$13] or split_part(sought, chr(1), 1) like $9))
            and ($11::bigint[] = '{}' or facets && $11) and ($12::bigint[] = '{}' or not facets && $12)
          order by started_at desc, id desc limit $10",
        tenant,
        &wanted.facets,
        from,
        to.0,
        to.1,
        wanted.least,
        wanted.most,
        wanted.unrecorded,
        wanted.pattern(),
        limit,
        &wanted.any,
        &wanted.hidden,
        wanted.hides
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.started_at, row.id)).collect())
}

/// The same, oldest first.
async fn walk_up(
    db: &mut PgConnection,
    tenant: Uuid,
    wanted: &Wanted,
    after: Place,
    to: Place,
    limit: i64,
) -> sqlx::Result<Vec<Place>> {
    let rows = sqlx::query!(
        "select started_at, id from calls
          where tenant_id = $1 and ($2::bigint[] = '{}' or facets @> $2) and started_at >= $3 and started_at <= $4
            and (started_at, id) > ($3, $12) and (started_at, id) < ($4, $5) and ($6::int is null or talk_ms >= $6::bigint * 1000)
            and ($7::int is null or talk_ms < ($7::bigint + 1) * 1000) and not ($8 and recorded)
            and ($9::text is null or sought like $9
                 and ($14::bigint is null or not facets @> array[$14] or split_part(sought, chr(1), 1) like $9))
            and ($11::bigint[] = '{}' or facets && $11) and ($13::bigint[] = '{}' or not facets && $13)
          order by started_at, id limit $10",
        tenant,
        &wanted.facets,
        after.0,
        to.0,
        to.1,
        wanted.least,
        wanted.most,
        wanted.unrecorded,
        wanted.pattern(),
        limit,
        &wanted.any,
        after.1,
        &wanted.hidden,
        wanted.hides
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.started_at, row.id)).collect())
}

macro_rules! call {
    ($row:expr) => {
        Call {
            id: $row.id,
            tenant_id: $row.tenant_id,
            direction: $row.direction,
            state: $row.state,
            started_at: $row.started_at,
            ended_at: $row.ended_at,
            summary: $row.summary.0,
            wait_seconds: seconds($row.wait_ms),
            talk_seconds: seconds($row.talk_ms),
            billed_seconds: $row.billed_seconds,
            extension_id: $row.extension_id,
            agent_id: $row.agent_id,
            number_id: $row.number_id,
            queue_id: $row.queue_id,
            carrier_id: $row.carrier_id,
            country: $row.country,
            cause: $row.cause,
            cost: $row.cost,
            currency: $row.currency,
            recorded: $row.recorded,
            notes: $row.notes,
            tags: $row.tags,
            disposition: $row.disposition,
            contact_id: $row.contact_id,
            version: $row.version,
            updated_at: $row.updated_at,
        }
    };
}

/// The calls at these places, newest first.
pub async fn at(db: impl PgExecutor<'_>, tenant: Uuid, places: &[Place]) -> sqlx::Result<Vec<Call>> {
    let (times, ids): (Vec<_>, Vec<_>) = places.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"select c.tenant_id, c.id, c.direction as "direction: Direction", c.state as "state: State", c.started_at, c.ended_at,
                  c.summary as "summary: Json<Summary>", c.wait_ms, c.talk_ms, c.billed_seconds, c.extension_id, c.agent_id, c.number_id,
                  c.queue_id, c.carrier_id, c.country, c.cause, c.cost, c.currency, c.recorded, c.notes, c.tags, c.disposition, c.contact_id, c.version,
                  c.updated_at
             from unnest($2::timestamptz[], $3::uuid[]) as x (at, id)
             join calls c on c.tenant_id = $1 and c.started_at = x.at and c.id = x.id
            order by c.started_at desc, c.id desc"#,
        tenant,
        &times,
        &ids
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| call!(row)).collect())
}

/// A call with its story. `only`: the agent who must have been on it. `lock`: until the transaction ends.
pub async fn get(
    db: &mut PgConnection,
    tenant: Uuid,
    id: Uuid,
    only: Option<Uuid>,
    lock: bool,
) -> sqlx::Result<Option<(Call, Story)>> {
    if lock {
        let locked = sqlx::query!("select 1 as one from calls where id = $1 and tenant_id = $2 for update", id, tenant);
        locked.fetch_all(&mut *db).await?;
    }
    let row = sqlx::query!(
        r#"select tenant_id, id, direction as "direction: Direction", state as "state: State", started_at, ended_at,
                  summary as "summary: Json<Summary>", story as "story: Json<Story>", wait_ms, talk_ms, billed_seconds, extension_id, agent_id,
                  number_id, queue_id, carrier_id, country, cause, cost, currency, recorded, notes, tags, disposition, contact_id, version, updated_at
             from calls where id = $1 and tenant_id = $2 and ($3::uuid is null or $3 = any (agents))"#,
        id,
        tenant,
        only
    );
    Ok(row.fetch_optional(db).await?.map(|row| (call!(row), row.story.0)))
}

/// Saves what people wrote about a call. `before`, `after`: the facets of that.
pub async fn write(db: &mut PgConnection, call: &Call, before: &[i64], after: &[i64]) -> sqlx::Result<Option<Call>> {
    let row = sqlx::query!(
        r#"update calls
              set notes = $4, tags = $5, disposition = $6, contact_id = $9, version = greatest(version, $10) + 1, updated_at = now(),
                  facets = array(select f from unnest(facets) f where f <> all ($7) union select f from unnest($8::bigint[]) f)
            where tenant_id = $1 and started_at = $2 and id = $3
        returning tenant_id, id, direction as "direction: Direction", state as "state: State", started_at, ended_at,
                  summary as "summary: Json<Summary>", wait_ms, talk_ms, billed_seconds, extension_id, agent_id,
                  number_id, queue_id, carrier_id, country, cause, cost, currency, recorded, notes, tags, disposition, contact_id, version, updated_at"#,
        call.tenant_id,
        call.started_at,
        call.id,
        call.notes,
        &call.tags,
        call.disposition,
        before,
        after,
        call.contact_id,
        call.version
    );
    Ok(row.fetch_optional(db).await?.map(|row| call!(row)))
}

/// What became of calls, for people to choose from.
pub async fn dispositions(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<String>> {
    let list = sqlx::query_scalar!(
        r#"select coalesce(settings -> 'dispositions', '[]') as "list!: Json<Vec<String>>" from tenants where id = $1"#,
        tenant
    );
    Ok(list.fetch_optional(db).await?.map(|list| list.0).unwrap_or_default())
}

fn seconds(millis: i64) -> i32 {
    i32::try_from(millis / 1000).unwrap_or(i32::MAX)
}
