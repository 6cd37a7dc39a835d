//! The SQL of phone numbers and their assignments.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{AgentNumber, Assignment, Capability, LeadsTo, Number, NumberStatus, Outbound};
use crate::model::number::Choice;
use crate::{
    model::{
        destination::{Target, TargetKind},
        paging::Window,
        settings::{Country, Words},
        sorting::Sorted,
        which::Which,
    },
    telephony::destinations::store::target_columns,
    text::E164,
};

struct Row {
    id: Uuid,
    tenant_id: Uuid,
    number: E164,
    country: Option<String>,
    provider: Option<String>,
    status: NumberStatus,
    capabilities: Vec<Capability>,
    record: bool,
    extension_id: Option<Uuid>,
    group_id: Option<Uuid>,
    destination_id: Option<Uuid>,
    destination_kind: Option<String>,
    assignment: Option<Json<Assignment>>,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Number {
    fn from(row: Row) -> Self {
        let kind = row
            .destination_kind
            .and_then(|kind| serde_json::from_value::<TargetKind>(serde_json::Value::String(kind)).ok());
        let destination = row.destination_id.zip(kind).map(|(id, kind)| Target { kind, id });
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            number: row.number,
            country: row.country.and_then(|country| Country::parse(&country).ok()),
            provider: row.provider.and_then(|provider| Words::parse(&provider).ok()),
            status: row.status,
            capabilities: row.capabilities,
            record: row.record,
            destination: row.extension_id.map(Target::extension).or(row.group_id.map(Target::group)).or(destination),
            assignment: row.assignment.map(|assignment| assignment.0),
            leads_to: None,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A number to insert.
pub struct New<'a> {
    pub tenant: Uuid,
    pub id: Uuid,
    pub number: &'a E164,
    pub country: Option<&'a Country>,
    pub provider: Option<&'a Words>,
    pub status: NumberStatus,
    pub capabilities: &'a [Capability],
    pub record: bool,
    pub destination: Option<Target>,
}

pub async fn insert(db: &mut PgConnection, new: &New<'_>) -> sqlx::Result<()> {
    let (extension, group, destination) = target_columns(new.destination);
    sqlx::query!(
        "insert into numbers (tenant_id, id, number, country, provider, status, capabilities, extension_id, group_id, destination_id, record)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        new.tenant,
        new.id,
        new.number as _,
        new.country.map(Country::as_str),
        new.provider.map(Words::as_str),
        new.status as NumberStatus,
        new.capabilities as &[Capability],
        extension,
        group,
        destination,
        new.record
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Many numbers to insert, as columns. Other fields have their defaults.
#[derive(Default)]
pub struct Columns {
    ids: Vec<Uuid>,
    numbers: Vec<String>,
    countries: Vec<Option<String>>,
    providers: Vec<Option<String>>,
}

impl Columns {
    pub fn push(&mut self, id: Uuid, number: &E164, country: Option<&Country>, provider: Option<&Words>) {
        self.ids.push(id);
        self.numbers.push(number.to_string());
        self.countries.push(country.map(|country| country.as_str().to_owned()));
        self.providers.push(provider.map(|provider| provider.as_str().to_owned()));
    }
}

/// A number that was inserted.
pub struct Inserted {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
}

/// Inserts the numbers that nobody has. They are inserted in order, so that two changes with the same numbers wait for each other
/// instead of deadlocking; and by one statement, so that the platform's generation is locked only from its end to the commit.
pub async fn insert_all(db: &mut PgConnection, tenant: Uuid, new: &Columns) -> sqlx::Result<Vec<Inserted>> {
    sqlx::query_as!(
        Inserted,
        "insert into numbers (tenant_id, id, number, country, provider)
         select $1, n.id, n.number, n.country, n.provider
           from unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) as n (id, number, country, provider)
          order by n.number
         on conflict (number) do nothing
         returning id, created_at",
        tenant,
        &new.ids,
        &new.numbers,
        &new.countries as &[Option<String>],
        &new.providers as &[Option<String>]
    )
    .fetch_all(db)
    .await
}

pub async fn update(db: &mut PgConnection, number: &Number) -> sqlx::Result<()> {
    let (extension, group, destination) = target_columns(number.destination);
    sqlx::query!(
        "update numbers set provider = $3, status = $4, capabilities = $5, extension_id = $6, group_id = $7, destination_id = $8,
                            record = $9, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        number.tenant_id,
        number.id,
        number.provider.as_ref().map(Words::as_str),
        number.status as NumberStatus,
        &number.capabilities as &[Capability],
        extension,
        group,
        destination,
        number.record
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Which numbers to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub id: Option<Uuid>,
    pub status: Option<NumberStatus>,
    pub assigned: Option<bool>,
    pub country: Option<String>,
    pub provider: Option<String>,
    /// Part of the number, or of its provider.
    pub search: Option<String>,
    /// Only numbers that lead to an extension of this user or are assigned to them.
    pub user: Option<Uuid>,
    /// The number itself.
    pub number: Option<String>,
    /// Only numbers that are assigned to this agent.
    pub agent: Option<Uuid>,
    /// Only numbers that lead to this extension, group or destination.
    pub leads_to: Option<Uuid>,
}

/// A number, whosesoever it is.
pub struct Anywhere {
    pub number: String,
    pub country: Option<String>,
    pub provider: Option<String>,
    pub status: NumberStatus,
    pub tenant_id: Uuid,
    pub tenant: String,
    pub domain: String,
    /// Whether calls to it lead anywhere.
    pub leads: bool,
    /// Whether an agent calls out with it.
    pub assigned: bool,
}

/// Which numbers of all tenants are meant. All that is given must hold.
#[derive(Default)]
pub struct AnywhereFilter {
    /// Part of the number.
    pub number: Option<String>,
    pub status: Option<NumberStatus>,
    /// Part of the tenant's name or domain.
    pub tenant: Option<String>,
    /// Part of the provider's name.
    pub provider: Option<String>,
}

/// Numbers of all tenants by their order, after one of them.
pub async fn anywhere(
    db: impl PgExecutor<'_>,
    filter: &AnywhereFilter,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<Anywhere>> {
    sqlx::query_as!(
        Anywhere,
        r#"
        select n.number, n.country, n.provider, n.status as "status: _", t.id as tenant_id, t.name as tenant, t.domain,
               (coalesce(n.extension_id, n.group_id, n.destination_id) is not null) as "leads!",
               exists (select 1 from assignments a where a.tenant_id = n.tenant_id and a.number_id = n.id) as "assigned!"
          from numbers n join tenants t on t.id = n.tenant_id
         where n.number > $1 and ($2::text is null or strpos(n.number, $2) > 0) and ($3::text is null or n.status = $3)
           and ($4::text is null or strpos(lower(t.name || ' ' || t.domain), lower($4)) > 0)
           and ($5::text is null or strpos(lower(coalesce(n.provider, '')), lower($5)) > 0)
         order by n.number limit $6
        "#,
        after,
        filter.number,
        filter.status as Option<NumberStatus>,
        filter.tenant,
        filter.provider,
        limit
    )
    .fetch_all(db)
    .await
}

pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Number>> {
    macro_rules! rows {
        ($order:tt) => {
    sqlx::query_as!(
        Row,
        r#"
        select n.id, n.tenant_id, n.number as "number: _", n.country, n.provider, n.status as "status: _",
               n.capabilities as "capabilities: _", n.record, n.extension_id, n.group_id, n.destination_id, d.kind as "destination_kind?",
               case when a.user_id is not null then jsonb_build_object('agent_id', a.user_id, 'daily_limit', a.daily_limit,
                    'allowed_countries', to_jsonb(a.allowed_countries)) end as "assignment: Json<Assignment>",
               n.version, n.created_at, n.updated_at
          from numbers n
          left join destinations d on d.tenant_id = n.tenant_id and d.id = n.destination_id
          left join assignments a on a.tenant_id = n.tenant_id and a.number_id = n.id
         where n.tenant_id = $1 and ($3::uuid is null or n.id = $3)
           and ($4::text is null or n.status = $4) and ($5::bool is null or $5 = (a.user_id is not null))
           and ($6::text is null or n.country = $6) and ($7::text is null or n.provider = $7)
           and ($8::text is null or strpos(n.number, $8) > 0 or strpos(lower(coalesce(n.provider, '')), lower($8)) > 0)
           and ($9::uuid is null or a.user_id = $9
                or exists (select 1 from extensions e where e.tenant_id = n.tenant_id and e.id = n.extension_id and e.user_id = $9))
           and ($11::text is null or n.number = $11) and ($12::uuid is null or a.user_id = $12)
           and ($13::uuid is null or $13 in (n.extension_id, n.group_id, n.destination_id))
           and ($14::text is null or true) and "# + $order + " limit $10",
        tenant,
        sorted.window.after,
        filter.id,
        filter.status as Option<NumberStatus>,
        filter.assigned,
        filter.country,
        filter.provider,
        filter.search,
        filter.user,
        sorted.window.fetch(),
        filter.number,
        filter.agent,
        filter.leads_to,
        sorted.key
    )
    .fetch_all(db)
    .await?
        };
    }
    // Each order is a statement of its own. There is an index of numbers.
    let rows = match (sorted.by, sorted.is_down) {
        ("number", false) => {
            rows!(r#"(n.number collate "C", n.id) > (coalesce($14, ''), $2) order by n.number collate "C", n.id"#)
        }
        ("number", true) => rows!(
            r#"(n.number collate "C", n.id) < (coalesce($14, '~'), $2) order by n.number collate "C" desc, n.id desc"#
        ),
        (_, false) => rows!("n.id > $2 order by n.id"),
        (_, true) => rows!("n.id < $2 order by n.id desc"),
    };
    Ok(rows.into_iter().map(Number::from).collect())
}

/// Adds the names of what these numbers lead to.
pub async fn with_names(db: &mut PgConnection, tenant: Uuid, numbers: &mut [Number]) -> sqlx::Result<()> {
    let ids = numbers.iter().map(|number| number.id).collect::<Vec<_>>();
    let rows = sqlx::query!(
        r#"select n.id, coalesce(e.display_name, g.shown_name, g.name, d.name) as "name!", coalesce(e.number, g.number, d.number) as number
             from numbers n
             left join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id
             left join groups g on g.tenant_id = n.tenant_id and g.id = n.group_id
             left join destinations d on d.tenant_id = n.tenant_id and d.id = n.destination_id
            where n.tenant_id = $1 and n.id = any ($2) and num_nonnulls(n.extension_id, n.group_id, n.destination_id) = 1"#,
        tenant,
        &ids
    );
    let rows = rows.fetch_all(db).await?.into_iter();
    let mut found = rows.map(|row| (row.id, LeadsTo { name: row.name, number: row.number })).collect::<HashMap<_, _>>();
    for number in numbers {
        number.leads_to = found.remove(&number.id);
    }
    Ok(())
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Number>> {
    let filter = Filter { id: Some(id), ..Filter::default() };
    Ok(list(db, tenant, &filter, &Window::FIRST.into()).await?.pop())
}

pub async fn lock(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Number>> {
    sqlx::query!("select 1 as one from numbers where tenant_id = $1 and id = $2 for update", tenant, id)
        .fetch_optional(&mut *db)
        .await?;
    get(db, tenant, id).await
}

pub async fn delete(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from numbers where tenant_id = $1 and id = $2", tenant, id).execute(db).await.map(|_| ())
}

pub async fn by_number(db: &mut PgConnection, tenant: Uuid, number: &E164) -> sqlx::Result<Option<Number>> {
    let id = sqlx::query_scalar!("select id from numbers where tenant_id = $1 and number = $2", tenant, number as _);
    match id.fetch_optional(&mut *db).await? {
        Some(id) => get(db, tenant, id).await,
        None => Ok(None),
    }
}

/// One of the tenant's agents.
#[derive(Default)]
pub struct Holder {
    pub name: String,
    pub is_suspended: bool,
}

pub async fn agent(db: &mut PgConnection, tenant: Uuid, user: Uuid) -> sqlx::Result<Option<Holder>> {
    sqlx::query_as!(
        Holder,
        r#"select trim(first_name || ' ' || last_name) as "name!", status = 'suspended' as "is_suspended!"
             from users where tenant_id = $1 and id = $2"#,
        tenant,
        user
    )
    .fetch_optional(db)
    .await
}

/// Assigns a number. Calls that others made with it today don't count for the new agent.
pub async fn assign(db: &mut PgConnection, tenant: Uuid, number: Uuid, to: &Assignment) -> sqlx::Result<()> {
    let countries = to.allowed_countries.as_ref().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
    sqlx::query!(
        "insert into assignments as a (tenant_id, number_id, user_id, daily_limit, allowed_countries, made_before, made_before_on)
         select $1, $2, $3, $4, $5, coalesce(d.made, 0), t.today
           from (select limit_day(now(), settings->>'time_zone', limit_day, limit_day_until) as today
                   from tenants where id = $1) t
           left join number_days d on d.tenant_id = $1 and d.number_id = $2 and d.day = t.today
         on conflict (tenant_id, number_id) do update
            set user_id = $3, daily_limit = $4, allowed_countries = $5,
                made_before = case when a.user_id = $3 then a.made_before else excluded.made_before end,
                made_before_on = case when a.user_id = $3 then a.made_before_on else excluded.made_before_on end",
        tenant,
        number,
        to.agent_id,
        to.daily_limit,
        countries.as_deref()
    )
    .execute(&mut *db)
    .await?;
    raise_version(db, tenant, number).await
}

pub async fn unassign(db: &mut PgConnection, tenant: Uuid, number: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from assignments where tenant_id = $1 and number_id = $2", tenant, number)
        .execute(&mut *db)
        .await?;
    raise_version(db, tenant, number).await
}

async fn raise_version(db: &mut PgConnection, tenant: Uuid, number: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update numbers set version = version + 1, updated_at = now() where tenant_id = $1 and id = $2",
        tenant,
        number
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// An agent's numbers, oldest assignment first.
pub async fn numbers_of_agent(db: &mut PgConnection, tenant: Uuid, user: Uuid) -> sqlx::Result<Vec<AgentNumber>> {
    let rows = sqlx::query!(
        r#"
        select n.id, n.number as "number: E164", n.country, n.status as "status: NumberStatus", a.daily_limit, a.allowed_countries,
               coalesce((select d.made - case when a.made_before_on = d.day then a.made_before else 0 end from number_days d
                          where d.tenant_id = n.tenant_id and d.number_id = n.id
                            and d.day = limit_day(now(), t.settings->>'time_zone', t.limit_day, t.limit_day_until)), 0) as "made!"
          from assignments a
          join numbers n on n.tenant_id = a.tenant_id and n.id = a.number_id
          join tenants t on t.id = a.tenant_id
         where a.tenant_id = $1 and a.user_id = $2
         order by a.created_at, n.id
        "#,
        tenant,
        user
    )
    .fetch_all(db)
    .await?;
    let country = |text: &str| Country::parse(text).ok();
    let numbers = rows.into_iter().map(|row| AgentNumber {
        id: row.id,
        number: row.number,
        country: row.country.as_deref().and_then(country),
        status: row.status,
        daily_limit: row.daily_limit,
        allowed_countries: row.allowed_countries.map(|all| all.iter().filter_map(|one| country(one)).collect()),
        calls_made_today: row.made,
    });
    Ok(numbers.collect())
}

pub async fn choice(db: &mut PgConnection, tenant: Uuid, user: Uuid) -> sqlx::Result<Option<Outbound>> {
    let row = sqlx::query!(
        r#"select outbound_choice as "choice: Choice", outbound_number from users where tenant_id = $1 and id = $2"#,
        tenant,
        user
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Outbound { choice: row.choice, number_id: row.outbound_number }))
}

pub async fn set_choice(db: &mut PgConnection, tenant: Uuid, user: Uuid, outbound: &Outbound) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set outbound_choice = $3, outbound_number = $4 where tenant_id = $1 and id = $2",
        tenant,
        user,
        outbound.choice as Choice,
        outbound.number_id
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// The number that a line means.
pub async fn which(db: &mut PgConnection, tenant: Uuid, which: &Which) -> sqlx::Result<Option<Number>> {
    match (which.id, which.key.as_deref().map(E164::parse)) {
        (Some(id), _) => get(db, tenant, id).await,
        (None, Some(Ok(number))) => by_number(db, tenant, &number).await,
        (None, _) => Ok(None),
    }
}
