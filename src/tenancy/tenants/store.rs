//! The SQL of tenants.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{From, Purged, Removed, Tenant, TenantStatus, WaitsFor};
use crate::{
    model::{
        paging::Window,
        sorting::{Sorted, in_order},
        used::{MOST_NAMED, Used, UsedKind},
    },
    text::{DisplayName, Domain},
};

/// How much a tenant still has.
pub struct Belongings {
    pub extensions: i64,
    pub groups: i64,
    pub numbers: i64,
}

/// The row of a new tenant.
pub struct NewRow<'a> {
    pub id: Uuid,
    pub name: &'a DisplayName,
    pub domain: &'a Domain,
    pub sandbox: bool,
}

pub async fn insert(db: &mut PgConnection, new: &NewRow<'_>, from: &From) -> sqlx::Result<Tenant> {
    // Tenants are created one after the other and numbered without gaps, even if one fails. The sequence is kept up to date for
    // nodes of the previous release, which use it.
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('tenants', 0))").fetch_one(&mut *db).await?;
    sqlx::query!(
        "insert into tenants (id, name, domain, cluster_id, template, template_version, settings, sandbox, ordinal)
         overriding system value
         values ($1, $2, $3, $4, $5, $6, $7, $8, (select coalesce(max(ordinal), 0) + 1 from tenants))",
        new.id,
        new.name as _,
        new.domain as _,
        from.cluster,
        from.template,
        from.template_version,
        from.settings,
        new.sandbox
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("select setval(pg_get_serial_sequence('tenants', 'ordinal'), (select max(ordinal) from tenants))")
        .fetch_one(&mut *db)
        .await?;
    get(db, new.id).await?.ok_or(sqlx::Error::RowNotFound)
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Tenant>> {
    Ok(select(db, Some(id), None, &Filter::default(), &Window::FIRST.into()).await?.pop())
}

pub async fn lock(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Tenant>> {
    sqlx::query!("select 1 as one from tenants where id = $1 for update", id).fetch_optional(&mut *db).await?;
    get(db, id).await
}

/// The tenant that has a domain, or had it and still keeps it.
pub async fn by_domain(db: impl PgExecutor<'_>, domain: &Domain) -> sqlx::Result<Option<Tenant>> {
    Ok(select(db, None, Some(domain), &Filter::default(), &Window::FIRST.into()).await?.pop())
}

/// Which tenants to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The one that has this domain.
    pub domain: Option<String>,
    /// Part of the name.
    pub name: Option<String>,
    pub status: Option<TenantStatus>,
    pub cluster: Option<Uuid>,
}

impl Filter {
    /// By what somebody typed: a domain has a dot, and is known as a whole.
    #[must_use]
    pub fn called(typed: &str) -> Self {
        let given = Some(typed.to_owned()).filter(|typed| !typed.is_empty());
        let (domain, name) = if typed.contains('.') { (given, None) } else { (None, given) };
        Self { domain, name, ..Self::default() }
    }
}

/// Tenants; with `only`, just that tenant.
pub async fn list(
    db: impl PgExecutor<'_>,
    only: Option<Uuid>,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Tenant>> {
    select(db, only, None, filter, sorted).await
}

async fn select(
    db: impl PgExecutor<'_>,
    id: Option<Uuid>,
    domain: Option<&Domain>,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Tenant>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query_as!(
        Tenant,
        r#"select id, name as "name: _", domain as "domain: _", domain as "context!: _", former_domains,
                  status as "status: TenantStatus",
                  cluster_id, template, sandbox, purge_at, version, created_at, updated_at
             from tenants, lateral (
                 select (case $9::text when 'name' then lower(name) when 'domain' then domain else '' end) collate "C" as key,
                        (case $9::text when 'name' then lower($10::text) when 'domain' then lower($10::text) else '' end) collate "C" as after) k
            where ($2::uuid is null or id = $2)
              and ($3::text is null
                   or domain = coalesce((select h.domain from former_domains f join tenants h on h.id = f.tenant_id where f.domain = $3), $3))
              and ($5::text is null or domain = lower($5)) and ($6::text is null or strpos(lower(name), lower($6)) > 0)
              and ($7::text is null or status = $7) and ($8::uuid is null or cluster_id = $8)
              and "# $(+ $order)+ + " limit $4",
        sorted.window.after,
        id,
        domain as _,
        sorted.window.fetch(),
        filter.domain,
        filter.name,
        filter.status as Option<TenantStatus>,
        filter.cluster,
        sorted.by,
        sorted.key,
        sorted.is_down
    )
    .fetch_all(db)
    .await
        };
    }
    in_order!(sorted, rows, "id", "$1", "$10", "$11")
}

pub async fn update(db: &mut PgConnection, tenant: &Tenant) -> sqlx::Result<Tenant> {
    sqlx::query!(
        "update tenants set name = $2, domain = $3, status = $4, cluster_id = $5, purge_at = $6, version = version + 1, updated_at = now()
          where id = $1",
        tenant.id,
        &tenant.name as _,
        &tenant.domain as _,
        tenant.status as TenantStatus,
        tenant.cluster_id,
        tenant.purge_at
    )
    .execute(&mut *db)
    .await?;
    get(db, tenant.id).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Until when a domain rests that another tenant had.
pub async fn rests_until(
    db: &mut PgConnection,
    tenant: Uuid,
    domain: &Domain,
) -> sqlx::Result<Option<chrono::DateTime<chrono::Utc>>> {
    sqlx::query_scalar!(
        "select until from resting_domains
          where digest = sha256(convert_to($1::text, 'UTF8')) and had_by <> $2 and until > now()",
        domain.as_str(),
        tenant
    )
    .fetch_optional(db)
    .await
}

/// The SIP username of one of the tenant's extensions that another extension has had in this domain.
pub async fn used_in(db: &mut PgConnection, tenant: Uuid, domain: &Domain) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        "select e.sip_username from extensions e
           join used_sip_usernames u on u.digest = sip_username_digest(e.sip_username, $2) and u.extension_id <> e.id
          where e.tenant_id = $1 and e.status <> 'deleted' order by e.number limit 1",
        tenant,
        domain.as_str()
    )
    .fetch_optional(db)
    .await
}

/// The tenant's number, counted from one.
pub async fn ordinal(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!("select ordinal from tenants where id = $1", id).fetch_one(db).await
}

/// A tenant's settings and version.
pub async fn settings(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<(Value, i64)>> {
    let row = sqlx::query!("select settings, version from tenants where id = $1", id).fetch_optional(db).await?;
    Ok(row.map(|row| (row.settings, row.version)))
}

/// The same, locked until the transaction ends.
pub async fn lock_settings(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<(Value, i64)>> {
    let row = sqlx::query!("select settings, version from tenants where id = $1 for update", id);
    Ok(row.fetch_optional(db).await?.map(|row| (row.settings, row.version)))
}

/// Returns the new version.
pub async fn update_settings(db: &mut PgConnection, id: Uuid, settings: &Value) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        "update tenants set settings = $2, version = version + 1, updated_at = now() where id = $1 returning version",
        id,
        settings
    )
    .fetch_one(db)
    .await
}

/// Those of these people who may see reports.
pub async fn readers(db: &mut PgConnection, id: Uuid, people: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id from users where tenant_id = $1 and id = any ($2) and role in ('owner', 'admin', 'manager')",
        id,
        people
    )
    .fetch_all(db)
    .await
}

pub async fn belongings(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Belongings> {
    sqlx::query_as!(
        Belongings,
        r#"select (select count(*) from extensions where tenant_id = $1 and status <> 'deleted') as "extensions!",
                  (select count(*) from groups where tenant_id = $1) as "groups!",
                  (select count(*) from numbers where tenant_id = $1) as "numbers!""#,
        id
    )
    .fetch_one(db)
    .await
}

/// The first of its extensions, groups and numbers.
pub async fn first_of(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Vec<Used>> {
    sqlx::query_as!(
        Used,
        r#"select kind as "kind!: UsedKind", id as "id!", name as "name!" from (
              (select 'extension' as kind, id, number as name from extensions
                where tenant_id = $1 and status <> 'deleted' order by number limit $2)
              union all
              (select 'group', id, coalesce(shown_name, name) from groups where tenant_id = $1 order by name limit $2)
              union all
              (select 'number', id, number from numbers where tenant_id = $1 order by number limit $2)) found"#,
        id,
        MOST_NAMED
    )
    .fetch_all(db)
    .await
}

/// How many of a tenant's recordings are under a legal hold.
pub async fn held_recordings(db: &mut PgConnection, id: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from recordings where tenant_id = $1 and held_since is not null"#,
        id
    )
    .fetch_one(db)
    .await
}

/// Runs statements about one tenant, and counts the rows of each under a name.
macro_rules! removing {
    ($db:expr, $id:expr, $removed:expr, $($what:literal: $statement:literal),+ $(,)?) => {$(
        let done = sqlx::query!($statement, $id).execute(&mut *$db).await?;
        $removed.count($what, done.rows_affected());
    )+};
}

/// Deletes a tenant with all it has; the audit log stays.
pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Removed> {
    let mut removed = Removed::default();
    // Of these, nothing counts as something that the tenant had.
    sqlx::query!("delete from destination_refs where tenant_id = $1", id).execute(&mut *db).await?;
    sqlx::query!("delete from call_meters where scope = $1", id).execute(&mut *db).await?;
    sqlx::query!("update carriers set sheet_id = null where tenant_id = $1", id).execute(&mut *db).await?;
    // Whoever looks up a carrier's host holds the carrier meanwhile (`carriers::store::unresolved_hosts`).
    sqlx::query!("select id from carriers where tenant_id = $1 order by id for update", id).fetch_all(&mut *db).await?;
    sqlx::query!(
        "delete from resolved_hosts
          where host not in (select lower(split_part(config ->> 'host', ':', 1)) from carriers
                              where tenant_id is distinct from $1 and config ->> 'host' is not null
                              union all
                             select lower(domain) from clusters cross join unnest(sip_domains) domain)",
        id
    )
    .execute(&mut *db)
    .await?;
    removing!(db, id, removed,
        "dialplan_entries": "delete from dialplan_entries where tenant_id = $1",
        "assignments": "delete from assignments where tenant_id = $1",
        "calls_out": "delete from admissions where tenant_id = $1",
        "past_calls_out": "delete from past_calls where tenant_id = $1",
        "days_of_calls": "delete from number_days where tenant_id = $1",
        "days_of_costs": "delete from spend_days where tenant_id = $1",
        "contacts": "delete from contacts where tenant_id = $1",
        "played_calls": "delete from sandbox_calls where tenant_id = $1",
        "webhooks": "delete from webhooks where tenant_id = $1",
        "events_for_webhooks": "delete from webhook_events where tenant_id = $1",
        "carriers": "delete from carriers where tenant_id = $1",
        "phone_numbers": "delete from numbers where tenant_id = $1",
        "destinations": "delete from destinations where tenant_id = $1",
        "groups": "delete from groups where tenant_id = $1",
        "extensions": "delete from extensions where tenant_id = $1",
        "names": "delete from names where tenant_id = $1",
        // A record that can't be read names its tenant all the same, in a variable.
        "call_records": "delete from cdr_inbox
                          where tenant_id = $1 or tenant_id is null and position(convert_to($1::uuid::text, 'UTF8') in body) > 0",
        "recordings": "delete from recordings where tenant_id = $1",
        "calls": "delete from calls where tenant_id = $1",
        "figures_of_calls": "delete from call_rollups where tenant_id = $1",
        "figures_to_compute": "delete from call_slots_due where tenant_id = $1",
        "legs_of_calls": "delete from ended_legs where tenant_id = $1",
        "channels_of_calls": "delete from call_channels where tenant_id = $1",
        "past_call_records": "delete from past_records where tenant_id = $1",
        // Answers kept for repeated requests may contain passwords, even if sealed, and say that there is what is gone.
        "kept_answers": "delete from idempotency_keys
                          where $1 = any (tenants) or location like '/v1/tenants/' || $1::uuid::text || '%'
                             or actor in (select id from users where tenant_id = $1
                                          union all select id from api_keys where tenant_id = $1)",
        "keys": "delete from api_keys where tenant_id = $1",
        "failed_sign_ins": "delete from sign_in_failures
                             where who in (select 'account ' || lower(email) from users where tenant_id = $1)",
        "sign_ups": "delete from sign_ups s using tenants t
                      where t.id = $1 and (s.domain = t.domain
                            or lower(s.email) in (select lower(email) from users where tenant_id = $1))",
        "mails": "delete from mail_outbox where tenant_id = $1",
        // Mails that belong to no tenant, such as those of a sign-up.
        "other_mails": "delete from mail_outbox
                         where tenant_id is null and lower(recipient) in (select lower(email) from users where tenant_id = $1)",
        "people": "delete from users where tenant_id = $1",
    );
    sqlx::query!("delete from tenants where id = $1", id).execute(db).await?;
    Ok(removed)
}

/// Notes what a purge removed.
pub async fn note_purge(db: &mut PgConnection, id: Uuid, domain: &Domain, removed: &Removed) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into purges (tenant, domain, removed) values ($1, sha256(convert_to($2, 'UTF8')), $3)",
        id,
        domain.as_str(),
        sqlx::types::Json(removed) as _
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// What a purge removed, with the switches that still have mailboxes of the tenant's domain.
pub async fn purged(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Purged>> {
    let row = sqlx::query!(
        r#"select purged_at, domain, removed as "removed: sqlx::types::Json<Removed>" from purges where tenant = $1"#,
        id
    );
    let Some(row) = row.fetch_optional(&mut *db).await? else { return Ok(None) };
    let waits_for = sqlx::query_as!(
        WaitsFor,
        r#"select w.id as switch_id, w.name, count(*) as "mailboxes!", min(c.since) as "since!", max(c.error) as error
             from cleanups c join switches w on w.id = c.switch_id
            where c.whole and (c.tenant = $2 or sha256(convert_to(c.domain, 'UTF8')) = $1)
            group by w.id, w.name order by w.name"#,
        row.domain,
        id
    );
    let waits_for = waits_for.fetch_all(db).await?;
    Ok(Some(Purged { tenant_id: id, purged_at: row.purged_at, removed: row.removed.0, waits_for }))
}

/// Tenants whose grace period is over.
pub async fn to_purge(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id from tenants t where purge_at < now()
            and not exists (select from recordings r where r.tenant_id = t.id and r.held_since is not null)
          order by purge_at limit 10"
    )
    .fetch_all(db)
    .await
}

/// Removes the values from a deleted tenant's audit entries, and the names of its own people and keys. Who (by id), what and when stay.
pub async fn forget_in_audit_log(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r"update audit_log a
             set before = null, after = null,
                 actor = case when not exists (select 1 from users u where u.tenant_id is null and u.id::text = split_part(a.actor, ':', 2))
                               and not exists (select 1 from api_keys k where k.tenant_id is null and k.id::text = split_part(a.actor, ':', 2))
                              then regexp_replace(a.actor, '^(user|key):([0-9a-f-]{36}):.*$', '\1:\2') else a.actor end
           where tenant_id = $1",
        id
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Whether the tenant is still to be purged. From here on, its deletion can't be cancelled.
pub async fn lock_to_purge(db: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    let row = sqlx::query!("select 1 as one from tenants where id = $1 and purge_at < now() for update", id);
    Ok(row.fetch_optional(db).await?.is_some())
}

/// Whether the database knows a time zone.
pub async fn is_zone(db: impl PgExecutor<'_>, zone: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select is_zone($1) as "is!""#, zone).fetch_one(db).await
}

/// Whether anything was spent or is reserved of a day that is not over for calls that go on.
pub async fn has_spent(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from spend_days s join tenants t on t.id = s.tenant_id
                           where t.id = $1 and s.spent <> 0
                             and s.day >= limit_day(now(), t.settings->>'time_zone', t.limit_day, t.limit_day_until)) as "has!""#,
        tenant
    )
    .fetch_one(db)
    .await
}
