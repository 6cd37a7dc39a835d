//! The SQL of agents.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Agent, AgentExtension, NewAgent, OwnNumber};
use crate::{
    model::user::UserStatus,
    model::{language::Language, paging::Page, sorting::Sorted, which::Which},
    telephony::{extensions::ExtensionStatus, numbers::NumberStatus},
    tenancy::{
        auth::rules::Role,
        users::{self, User},
    },
};

/// Users to create, as columns.
#[derive(Default)]
pub struct NewUsers {
    pub ids: Vec<Uuid>,
    emails: Vec<String>,
    first_names: Vec<String>,
    last_names: Vec<String>,
    roles: Vec<String>,
    languages: Vec<Option<String>>,
}

impl NewUsers {
    pub fn push(&mut self, agent: &NewAgent) -> Uuid {
        let id = Uuid::now_v7();
        self.ids.push(id);
        self.emails.push(agent.email.to_string());
        self.first_names.push(agent.first_name.to_string());
        self.last_names.push(agent.last_name.to_string());
        self.roles.push(agent.role.as_str().to_owned());
        let language = agent.language.and_then(|language| serde_json::to_value(language).ok());
        self.languages.push(language.and_then(|language| language.as_str().map(ToOwned::to_owned)));
        id
    }
}

pub async fn insert_users(db: &mut PgConnection, tenant: Uuid, new: &NewUsers) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into users (id, tenant_id, email, first_name, last_name, role, status, language)
         select u.id, $1, u.email, u.first_name, u.last_name, u.role, 'invited', u.language
           from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
                as u (id, email, first_name, last_name, role, language)",
        tenant,
        &new.ids,
        &new.emails,
        &new.first_names,
        &new.last_names,
        &new.roles,
        &new.languages as &[Option<String>]
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// These users, in this order.
pub async fn users(db: &mut PgConnection, tenant: Uuid, ids: &[Uuid]) -> sqlx::Result<Vec<User>> {
    sqlx::query_as!(
        User,
        r#"select u.id, u.tenant_id, u.email, u.first_name, u.last_name, u.role as "role: Role",
                  u.status as "status: UserStatus", u.language as "language: Language",
                  u.email_verified_at is not null as "email_verified!", u.totp_enabled_at is not null as "two_factor!",
                  u.totp_required as two_factor_required, u.last_sign_in_at, u.version, u.created_at, u.updated_at
             from unnest($2::uuid[]) with ordinality as wanted (id, position)
             join users u on u.id = wanted.id and u.tenant_id = $1
            order by wanted.position"#,
        tenant,
        ids
    )
    .fetch_all(db)
    .await
}

/// Which agents to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Part of a name, an address or a number.
    pub search: Option<String>,
    /// The address, in any case of its letters.
    pub email: Option<String>,
    /// Part of first and last name.
    pub name: Option<String>,
    pub status: Option<UserStatus>,
    pub role: Option<Role>,
}

/// A page of agents with their extensions.
pub async fn page(db: &mut PgConnection, tenant: Uuid, filter: &Filter, sorted: Sorted) -> sqlx::Result<Page<Agent>> {
    let users = list(&mut *db, tenant, filter, &sorted).await?;
    let key = |user: &User, by: &str| match by {
        "email" => user.email.clone(),
        _ => format!("{}\u{1f}{}", user.last_name, user.first_name),
    };
    let page = sorted.page(users, |user| user.id, key);
    let ids = page.items.iter().map(|user| user.id).collect::<Vec<_>>();
    let mut extensions = extensions_of(db, tenant, &ids).await?;
    let items = page.items.into_iter().map(|user| {
        let own = extensions.extract_if(.., |(owner, _)| *owner == user.id).map(|(_, extension)| extension).collect();
        Agent { user, extensions: own, numbers: None }
    });
    Ok(Page { items: items.collect(), next_cursor: page.next_cursor })
}

struct AssignedRow {
    user_id: Uuid,
    id: Uuid,
    number: String,
    status: NumberStatus,
    daily_limit: i32,
}

/// Adds the numbers that these agents call out with.
pub async fn with_numbers(db: &mut PgConnection, tenant: Uuid, agents: &mut [Agent]) -> sqlx::Result<()> {
    let ids = agents.iter().map(|agent| agent.user.id).collect::<Vec<_>>();
    let rows = sqlx::query_as!(
        AssignedRow,
        r#"select a.user_id, n.id, n.number, n.status as "status: NumberStatus", a.daily_limit
             from assignments a join numbers n on n.tenant_id = a.tenant_id and n.id = a.number_id
            where a.tenant_id = $1 and a.user_id = any ($2) order by n.number"#,
        tenant,
        &ids
    );
    let rows = rows.fetch_all(db).await?;
    for agent in agents {
        let own = rows.iter().filter(|row| row.user_id == agent.user.id);
        let number = |row| {
            let &AssignedRow { id, ref number, status, daily_limit, .. } = row;
            OwnNumber { id, number: number.clone(), status, daily_limit }
        };
        agent.numbers = Some(own.map(number).collect());
    }
    Ok(())
}

/// One agent.
pub async fn get(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Agent>> {
    match users::store::get(&mut *db, Some(tenant), id).await? {
        Some(user) => with_extensions(db, tenant, user).await.map(Some),
        None => Ok(None),
    }
}

/// The agent with this e-mail address, in any case of its letters.
pub async fn by_email(db: &mut PgConnection, tenant: Uuid, email: &str) -> sqlx::Result<Option<Agent>> {
    let id =
        sqlx::query_scalar!("select id from users where tenant_id = $1 and lower(email) = lower($2)", tenant, email);
    match id.fetch_optional(&mut *db).await? {
        Some(id) => get(db, tenant, id).await,
        None => Ok(None),
    }
}

/// The agent that a line means.
pub async fn which(db: &mut PgConnection, tenant: Uuid, which: &Which) -> sqlx::Result<Option<User>> {
    match (which.id, &which.key) {
        (Some(id), _) => users::store::get(db, Some(tenant), id).await,
        (None, Some(email)) => Ok(by_email(db, tenant, email).await?.map(|agent| agent.user)),
        (None, None) => Ok(None),
    }
}

/// A user as an agent, with their extensions.
pub async fn with_extensions(db: &mut PgConnection, tenant: Uuid, user: User) -> sqlx::Result<Agent> {
    let extensions = extensions_of(db, tenant, &[user.id]).await?;
    let extensions = extensions.into_iter().map(|(_, extension)| extension).collect();
    Ok(Agent { user, extensions, numbers: None })
}

async fn list(db: impl PgExecutor<'_>, tenant: Uuid, filter: &Filter, sorted: &Sorted) -> sqlx::Result<Vec<User>> {
    // A person's input is plain text, so `%` and `_` are escaped.
    let pattern = filter.search.as_ref().map(|text| {
        let text = text.trim().to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        format!("%{text}%")
    });
    macro_rules! rows {
        ($order:tt) => {
    sqlx::query_as!(
        User,
        r#"select u.id, u.tenant_id, u.email, u.first_name, u.last_name, u.role as "role: Role",
                  u.status as "status: UserStatus", u.language as "language: Language",
                  u.email_verified_at is not null as "email_verified!", u.totp_enabled_at is not null as "two_factor!",
                  u.totp_required as two_factor_required, u.last_sign_in_at, u.version, u.created_at, u.updated_at
             from users u
            where u.tenant_id = $1
              and ($3::text is null or lower(u.first_name || ' ' || u.last_name) like $3 or lower(u.email) like $3
                   or exists (select 1 from extensions e where e.tenant_id = u.tenant_id and e.user_id = u.id
                                 and e.status <> 'deleted' and e.number like $3))
              and ($4::text is null or u.status = $4) and ($5::text is null or u.role = $5)
              and ($7::text is null or lower(u.email) = lower($7))
              and ($8::text is null or strpos(lower(u.first_name || ' ' || u.last_name), lower($8)) > 0)
              and ($9::text is null or true) and "# + $order + " limit $6",
        tenant,
        sorted.window.after,
        pattern,
        filter.status as Option<UserStatus>,
        filter.role as Option<Role>,
        sorted.window.fetch(),
        filter.email,
        filter.name,
        sorted.key
    )
    .fetch_all(db)
    .await
        };
    }
    // Each order is a statement of its own, for which there is an index.
    match (sorted.by, sorted.is_down) {
        // As users_search and users_email_in_tenant have them.
        ("name", false) => rows!(
            "(lower(u.last_name), lower(u.first_name), u.id)
                 > (coalesce(lower(split_part($9, chr(31), 1)), ''), coalesce(lower(split_part($9, chr(31), 2)), ''), $2)
             order by lower(u.last_name), lower(u.first_name), u.id"
        ),
        ("name", true) => rows!(
            "($9 is null or (lower(u.last_name), lower(u.first_name), u.id)
                 < (lower(split_part($9, chr(31), 1)), lower(split_part($9, chr(31), 2)), $2))
             order by lower(u.last_name) desc, lower(u.first_name) desc, u.id desc"
        ),
        ("email", false) => rows!(
            "coalesce(u.tenant_id, '00000000-0000-0000-0000-000000000000') = $1
             and (lower(u.email), u.id) > (coalesce(lower($9), ''), $2) order by lower(u.email), u.id"
        ),
        ("email", true) => rows!(
            "coalesce(u.tenant_id, '00000000-0000-0000-0000-000000000000') = $1
             and ($9 is null or (lower(u.email), u.id) < (lower($9), $2)) order by lower(u.email) desc, u.id desc"
        ),
        (_, false) => rows!("u.id > $2 order by u.id"),
        (_, true) => rows!("u.id < $2 order by u.id desc"),
    }
}

/// How many agents and extensions a tenant has.
pub struct Counts {
    pub users: i64,
    pub extensions: i64,
    pub suspended: i64,
    pub invited: i64,
}

pub async fn counts(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Counts> {
    sqlx::query_as!(
        Counts,
        r#"select count(*) as "users!", count(*) filter (where status = 'suspended') as "suspended!",
                  count(*) filter (where status = 'invited') as "invited!",
                  (select count(*) from extensions where tenant_id = $1 and status <> 'deleted') as "extensions!"
             from users where tenant_id = $1"#,
        tenant
    )
    .fetch_one(db)
    .await
}

/// The extensions of users, by their numbers.
pub async fn extensions_of(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    users: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, AgentExtension)>> {
    let rows = sqlx::query!(
        r#"select user_id as "user_id!", id, number, sip_username, status as "status: ExtensionStatus"
             from extensions where tenant_id = $1 and user_id = any ($2) and status <> 'deleted'
            order by length(number), number"#,
        tenant,
        users
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let (id, number, sip_username, status) = (row.id, row.number, row.sip_username, row.status);
            (row.user_id, AgentExtension { id, number, sip_username, status })
        })
        .collect())
}

/// Revokes all links that were sent to somebody.
pub async fn drop_links(db: &mut PgConnection, user: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from one_time_tokens where user_id = $1", user).execute(db).await.map(|_| ())
}

/// Updates the extensions of somebody with a new name or address: those that showed the old name show the new one, and voicemail
/// that went to the old address goes to the new one.
pub async fn extensions_follow(
    db: &mut PgConnection,
    tenant: Uuid,
    user: Uuid,
    name: (&str, &str),
    email: (&str, &str),
) -> sqlx::Result<()> {
    sqlx::query!(
        "update extensions
            set display_name = case when display_name = $3 then $4 else display_name end,
                voicemail_email = case when lower(voicemail_email) = lower($5) then $6 else voicemail_email end,
                version = version + 1, updated_at = now()
          where tenant_id = $1 and user_id = $2 and status <> 'deleted'
            and ((display_name = $3 and $3 <> $4) or (lower(voicemail_email) = lower($5) and $5 <> $6))",
        tenant,
        user,
        name.0,
        name.1,
        email.0,
        email.1
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn has_password(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<bool> {
    let has = sqlx::query_scalar!(
        r#"select password_hash is not null as "has!" from users where tenant_id = $1 and id = $2"#,
        tenant,
        id
    );
    Ok(has.fetch_optional(db).await?.unwrap_or_default())
}

pub async fn set_extension_status(
    db: &mut PgConnection,
    tenant: Uuid,
    user: Uuid,
    suspended: bool,
) -> sqlx::Result<()> {
    let (from, to) = if suspended { ("active", "suspended") } else { ("suspended", "active") };
    sqlx::query!(
        "update extensions set status = $4, version = version + 1, updated_at = now()
          where tenant_id = $1 and user_id = $2 and status = $3",
        tenant,
        user,
        from,
        to
    )
    .execute(db)
    .await
    .map(|_| ())
}
