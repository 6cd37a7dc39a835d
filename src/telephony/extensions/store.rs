//! The SQL of extensions.

use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

use super::{Extension, ExtensionStatus, Free, Owner, Sealed};
use crate::model::call_handling::CallHandling;
use crate::{
    model::{paging::Window, sorting::Sorted, which::Which},
    node::change_store,
    text::Variables,
};

/// A row as read, for the columns that need a wrapper.
struct Row {
    id: Uuid,
    tenant_id: Uuid,
    user_id: Option<Uuid>,
    number: crate::text::ExtensionNumber,
    alias: Option<crate::text::ExtensionNumber>,
    sip_username: crate::text::SipUsername,
    display_name: crate::text::DisplayName,
    caller_id_name: Option<crate::text::CallerName>,
    caller_id_number: Option<crate::text::CallerNumber>,
    ring_seconds: i16,
    voicemail_enabled: bool,
    voicemail_email: Option<crate::text::Email>,
    codecs: Option<crate::text::Codecs>,
    max_registrations: i16,
    status: ExtensionStatus,
    variables: Json<Variables>,
    calls: Json<CallHandling>,
    version: i64,
    created_at: chrono::DateTime<chrono::Utc>,
    updated_at: chrono::DateTime<chrono::Utc>,
}

impl From<Row> for Extension {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            tenant_id: row.tenant_id,
            user_id: row.user_id,
            number: row.number,
            alias: row.alias,
            sip_username: row.sip_username,
            display_name: row.display_name,
            caller_id_name: row.caller_id_name,
            caller_id_number: row.caller_id_number,
            ring_seconds: row.ring_seconds,
            voicemail_enabled: row.voicemail_enabled,
            voicemail_email: row.voicemail_email,
            codecs: row.codecs,
            max_registrations: row.max_registrations,
            status: row.status,
            variables: row.variables.0,
            calls: row.calls.0,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// An extension's secrets as they are kept.
pub async fn sealed(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Sealed>> {
    sqlx::query_as!(
        Sealed,
        "select sip_secret, voicemail_pin from extensions where tenant_id = $1 and id = $2",
        tenant,
        id
    )
    .fetch_optional(db)
    .await
}

pub async fn sealed_pin(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!("select voicemail_pin from extensions where tenant_id = $1 and id = $2", tenant, id)
        .fetch_optional(db)
        .await
}

pub async fn free_among(db: &mut PgConnection, tenant: Uuid, numbers: &[String]) -> sqlx::Result<Vec<(String, Free)>> {
    let rows = sqlx::query!(
        r#"select number, id, sip_username as "sip_username: crate::text::SipUsername" from extensions
            where tenant_id = $1 and number = any ($2) and user_id is null and status = 'active'"#,
        tenant,
        numbers
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.number, Free { id: row.id, sip_username: row.sip_username })).collect())
}

/// Whether an extension has this number.
pub async fn has_number(db: &mut PgConnection, tenant: Uuid, number: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from extensions where tenant_id = $1 and number = $2 and status <> 'deleted') as "has!""#,
        tenant,
        number
    )
    .fetch_one(db)
    .await
}

/// Sets the extension's agent. Without one, it is named after its number and its messages are not sent anywhere.
pub(super) async fn set_owner(
    db: &mut PgConnection,
    tenant: Uuid,
    id: Uuid,
    to: Option<&Owner<'_>>,
    sealed: Option<&Sealed>,
    sip_username: Option<&crate::text::SipUsername>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update extensions
            set user_id = $3, display_name = case when $3::uuid is null then number when display_name = number then $4 else display_name end,
                voicemail_email = case when $3::uuid is null then null else coalesce(voicemail_email, $5) end,
                sip_secret = coalesce($6, sip_secret), voicemail_pin = coalesce($7, voicemail_pin),
                sip_username = coalesce($8, sip_username),
                version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        tenant,
        id,
        to.map(|to| to.id),
        to.map(|to| to.name.as_str()),
        to.map(|to| to.email.as_str()),
        sealed.map(|sealed| &sealed.sip_secret[..]),
        sealed.map(|sealed| &sealed.voicemail_pin[..]),
        sip_username as _
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Whether its agent is suspended.
pub async fn is_of_a_suspended(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select 1 from extensions e join users u on u.tenant_id = e.tenant_id and u.id = e.user_id
                           where e.tenant_id = $1 and e.id = $2 and u.status = 'suspended') as "is!""#,
        tenant,
        id
    )
    .fetch_one(db)
    .await
}

/// Extensions to create, as columns.
#[derive(Default)]
pub struct NewRows {
    ids: Vec<Uuid>,
    users: Vec<Option<Uuid>>,
    numbers: Vec<String>,
    aliases: Vec<Option<String>>,
    sip_usernames: Vec<String>,
    sip_secrets: Vec<Vec<u8>>,
    display_names: Vec<String>,
    caller_id_names: Vec<Option<String>>,
    caller_id_numbers: Vec<Option<String>>,
    ring_seconds: Vec<i16>,
    voicemail: Vec<bool>,
    voicemail_pins: Vec<Vec<u8>>,
    voicemail_emails: Vec<Option<String>>,
    codecs: Vec<Option<String>>,
    max_registrations: Vec<i16>,
    variables: Vec<Json<Variables>>,
    calls: Vec<Json<CallHandling>>,
}

impl NewRows {
    pub fn push(&mut self, new: Extension, sealed: Sealed) {
        self.ids.push(new.id);
        self.users.push(new.user_id);
        self.numbers.push(new.number.to_string());
        self.aliases.push(new.alias.map(|alias| alias.to_string()));
        self.sip_usernames.push(new.sip_username.to_string());
        self.sip_secrets.push(sealed.sip_secret);
        self.display_names.push(new.display_name.to_string());
        self.caller_id_names.push(new.caller_id_name.map(|name| name.to_string()));
        self.caller_id_numbers.push(new.caller_id_number.map(|number| number.to_string()));
        self.ring_seconds.push(new.ring_seconds);
        self.voicemail.push(new.voicemail_enabled);
        self.voicemail_pins.push(sealed.voicemail_pin);
        self.voicemail_emails.push(new.voicemail_email.map(|email| email.to_string()));
        self.codecs.push(new.codecs.map(|codecs| codecs.as_str().to_owned()));
        self.max_registrations.push(new.max_registrations);
        self.variables.push(Json(new.variables));
        self.calls.push(Json(new.calls));
    }
}

/// One of the new SIP usernames that an extension had before which is gone from the tenant's domain.
pub(super) async fn used_before(db: &mut PgConnection, tenant: Uuid, new: &NewRows) -> sqlx::Result<Option<String>> {
    used_among(db, tenant, &new.sip_usernames).await
}

pub(super) async fn used_among(db: &mut PgConnection, tenant: Uuid, names: &[String]) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select sip_username_used($1, $2)", tenant, names).fetch_one(db).await
}

/// For [`super::insert`], which holds the tenant's names.
pub(super) async fn insert(db: &mut PgConnection, tenant: Uuid, new: &NewRows) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into extensions (tenant_id, id, user_id, number, alias, sip_username, sip_secret, display_name, caller_id_name,
                                 caller_id_number, ring_seconds, voicemail_enabled, voicemail_pin, voicemail_email, codecs,
                                 max_registrations, variables, calls)
         select $1, e.*
           from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::text[], $9::text[], $10::text[],
                       $11::smallint[], $12::bool[], $13::bytea[], $14::text[], $15::text[], $16::smallint[], $17::jsonb[],
                       $18::jsonb[]) as e",
        tenant,
        &new.ids,
        &new.users as &[Option<Uuid>],
        &new.numbers,
        &new.aliases as &[Option<String>],
        &new.sip_usernames,
        &new.sip_secrets,
        &new.display_names,
        &new.caller_id_names as &[Option<String>],
        &new.caller_id_numbers as &[Option<String>],
        &new.ring_seconds,
        &new.voicemail,
        &new.voicemail_pins,
        &new.voicemail_emails as &[Option<String>],
        &new.codecs as &[Option<String>],
        &new.max_registrations,
        &new.variables as _,
        &new.calls as _
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn get(db: impl PgExecutor<'_>, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Extension>> {
    Ok(select(db, tenant, Some(id), Filter::default(), &Window::FIRST.into()).await?.pop())
}

pub async fn lock(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<Option<Extension>> {
    sqlx::query!("select 1 as one from extensions where tenant_id = $1 and id = $2 for update", tenant, id)
        .fetch_optional(&mut *db)
        .await?;
    get(db, tenant, id).await
}

/// The extension that has this number itself, not as an alias.
pub async fn by_number(
    db: &mut PgConnection,
    tenant: Uuid,
    number: &crate::text::ExtensionNumber,
) -> sqlx::Result<Option<Extension>> {
    let id = sqlx::query_scalar!(
        "select id from extensions where tenant_id = $1 and number = $2 and status <> 'deleted'",
        tenant,
        number as _
    );
    match id.fetch_optional(&mut *db).await? {
        Some(id) => get(db, tenant, id).await,
        None => Ok(None),
    }
}

/// Which extensions to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only those with this number, alias or SIP username.
    pub name: Option<&'a str>,
    /// Only those of this user.
    pub user: Option<Uuid>,
    /// Only the one with this number of its own.
    pub number: Option<&'a str>,
    /// Only those with this in their display name.
    pub display_name: Option<&'a str>,
    pub status: Option<ExtensionStatus>,
}

/// Extensions that are not deleted.
pub async fn list(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    filter: Filter<'_>,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Extension>> {
    select(db, tenant, None, filter, sorted).await
}

/// The extension with this id, deleted or not; without an id, all that are not deleted.
async fn select(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Option<Uuid>,
    filter: Filter<'_>,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Extension>> {
    macro_rules! rows {
        ($order:tt) => {
    sqlx::query_as!(
        Row,
        r#"select id, tenant_id, user_id, number as "number: _", alias as "alias: _", sip_username as "sip_username: _",
                  display_name as "display_name: _", caller_id_name as "caller_id_name: _",
                  caller_id_number as "caller_id_number: _", ring_seconds, voicemail_enabled,
                  voicemail_email as "voicemail_email: _", codecs as "codecs: _", max_registrations,
                  status as "status: ExtensionStatus", variables as "variables: Json<Variables>",
                  calls as "calls: Json<CallHandling>", version, created_at, updated_at
             from extensions
            where tenant_id = $1 and ($6::uuid is null and status <> 'deleted' or id = $6)
              and ($3::text is null or $3 in (number, alias, sip_username)) and ($4::uuid is null or user_id = $4)
              and ($7::text is null or number = $7) and ($8::text is null or strpos(lower(display_name), lower($8)) > 0)
              and ($9::text is null or status = $9)
              and ($10::text is null or true) and "# + $order + " limit $5",
        tenant,
        sorted.window.after,
        filter.name,
        filter.user,
        sorted.window.fetch(),
        id,
        filter.number,
        filter.display_name,
        filter.status as Option<ExtensionStatus>,
        sorted.key
    )
    .fetch_all(db)
    .await?
        };
    }
    // Each order is a statement of its own, for which there is an index.
    let rows = match (sorted.by, sorted.is_down) {
        ("number", false) => rows!(
            "(length(number), number, id) > (coalesce(length($10), 0), coalesce($10, ''), $2) order by length(number), number, id"
        ),
        ("number", true) => rows!(
            "(length(number), number, id) < (coalesce(length($10), 100), coalesce($10, ''), $2)
             order by length(number) desc, number desc, id desc"
        ),
        ("display_name", false) => rows!(
            r#"(lower(display_name) collate "C", id) > (coalesce(lower($10), ''), $2)
               order by lower(display_name) collate "C", id"#
        ),
        ("display_name", true) => rows!(
            r#"($10 is null or (lower(display_name) collate "C", id) < (lower($10), $2))
               order by lower(display_name) collate "C" desc, id desc"#
        ),
        (_, false) => rows!("id > $2 order by id"),
        (_, true) => rows!("id < $2 order by id desc"),
    };
    Ok(rows.into_iter().map(Extension::from).collect())
}

pub async fn update(
    db: &mut PgConnection,
    extension: &Extension,
    secret: Option<&[u8]>,
    pin: Option<&[u8]>,
) -> sqlx::Result<Extension> {
    sqlx::query!(
        "update extensions
            set number = $3, alias = $4, display_name = $5, caller_id_name = $6, caller_id_number = $7, ring_seconds = $8,
                voicemail_enabled = $9, voicemail_email = $10, codecs = $11, max_registrations = $12, status = $13,
                variables = $14, sip_secret = coalesce($15, sip_secret), voicemail_pin = coalesce($16, voicemail_pin),
                calls = $17, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2",
        extension.tenant_id,
        extension.id,
        &extension.number as _,
        &extension.alias as _,
        &extension.display_name as _,
        &extension.caller_id_name as _,
        &extension.caller_id_number as _,
        extension.ring_seconds,
        extension.voicemail_enabled,
        &extension.voicemail_email as _,
        &extension.codecs as _,
        extension.max_registrations,
        extension.status as ExtensionStatus,
        Json(&extension.variables) as _,
        secret,
        pin,
        Json(&extension.calls) as _
    )
    .execute(&mut *db)
    .await?;
    get(db, extension.tenant_id, extension.id).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Whether forwards of all calls lead from an extension back to it.
pub async fn forwards_back(db: &mut PgConnection, tenant: Uuid, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        with recursive way (id, next, steps) as (
            select e.id, e.calls->>'forward_always', 0 from extensions e where e.tenant_id = $1 and e.id = $2
            union all
            select e.id, e.calls->>'forward_always', w.steps + 1
              from way w
              join names n on n.tenant_id = $1 and n.name = w.next
              join extensions e on e.tenant_id = n.tenant_id and e.id = n.extension_id
             where w.steps < 30 and (w.steps = 0 or w.id <> $2))
        select exists (select 1 from way where steps > 0 and id = $2) as "back!"
        "#,
        tenant,
        id
    )
    .fetch_one(db)
    .await
}

/// Saves a PIN that was chosen by phone, with an audit entry. Returns the tenant's new generation, or `None` if the extension is no
/// longer active, and nothing was done.
pub async fn set_pin_by_phone(pool: &PgPool, tenant: Uuid, id: Uuid, sealed: &[u8]) -> sqlx::Result<Option<i64>> {
    let mut tx = pool.begin().await?;
    let changed = sqlx::query!(
        "update extensions set voicemail_pin = $3, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2 and status = 'active'",
        tenant,
        id,
        sealed
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if changed == 0 {
        return Ok(None);
    }
    let after = serde_json::json!({ "voicemail_pin": "(changed)" });
    change_store::commit_by_phone(tx, tenant, format!("extensions/{id}"), after).await.map(Some)
}

/// Saves what a feature code changes, with an audit entry. Only that: whatever else is changed at the same time stays changed. `without`:
/// fields that get their default, `set`: fields with their values, `dials`: what these dial. Returns the tenant's new generation, or `None`
/// if the extension is no longer active, or a number rests that would be dialled.
pub async fn set_calls_by_phone(
    pool: &PgPool,
    tenant: Uuid,
    id: Uuid,
    (without, set): (&[String], &serde_json::Value),
    dials: &[String],
) -> sqlx::Result<Option<i64>> {
    let mut tx = pool.begin().await?;
    if !dials.is_empty() {
        // Otherwise whoever has such a number could give it up at the same moment, unaware of this.
        change_store::hold(&mut tx, tenant).await?;
    }
    let calls = sqlx::query_scalar!(
        "update extensions set calls = (calls - $3::text[]) || $4, version = version + 1, updated_at = now()
          where tenant_id = $1 and id = $2 and status = 'active'
            and not exists (select from held_numbers
                             where tenant_id = $1 and number = any ($5) and until > now())
         returning calls",
        tenant,
        id,
        without,
        set,
        dials
    );
    let Some(calls) = calls.fetch_optional(&mut *tx).await? else { return Ok(None) };
    let after = serde_json::json!({ "calls": calls });
    change_store::commit_by_phone(tx, tenant, format!("extensions/{id}"), after).await.map(Some)
}

/// After many inserts: updates the planner's statistics, and marks the rows as visible to all.
pub async fn vacuum(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("vacuum (analyze)").execute(db).await.map(|_| ())
}

/// What a softphone needs of one of its user's extensions; the secret is sealed.
pub struct OwnPhone {
    pub id: Uuid,
    pub number: crate::text::ExtensionNumber,
    pub sip_username: crate::text::SipUsername,
    pub display_name: crate::text::DisplayName,
    pub sip_secret: Vec<u8>,
}

/// A user's active extensions, ordered by number.
pub async fn phones_of(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid) -> sqlx::Result<Vec<OwnPhone>> {
    sqlx::query_as!(
        OwnPhone,
        r#"select id, number as "number: _", sip_username as "sip_username: _", display_name as "display_name: _", sip_secret
             from extensions where tenant_id = $1 and user_id = $2 and status = 'active' order by length(number), number"#,
        tenant,
        user
    )
    .fetch_all(db)
    .await
}

/// Whether somebody has an active extension.
pub async fn has_phone(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select exists(select 1 from extensions where tenant_id = $1 and user_id = $2 and status = 'active') as "has!""#,
        tenant,
        user
    );
    row.fetch_one(db).await.map(|row| row.has)
}

/// Who can be called at an extension.
pub struct Colleague {
    pub user_id: Option<Uuid>,
    pub number: crate::text::ExtensionNumber,
    pub sip_username: crate::text::SipUsername,
    pub display_name: crate::text::DisplayName,
}

/// The active extensions of a tenant but a user's own, ordered by number.
pub async fn colleagues(db: impl PgExecutor<'_>, tenant: Uuid, user: Uuid, most: i64) -> sqlx::Result<Vec<Colleague>> {
    sqlx::query_as!(
        Colleague,
        r#"select user_id, number as "number: _", sip_username as "sip_username: _", display_name as "display_name: _"
             from extensions where tenant_id = $1 and user_id is distinct from $2 and status = 'active'
            order by length(number), number limit $3"#,
        tenant,
        user,
        most
    )
    .fetch_all(db)
    .await
}

/// Has the registrations of an extension ended on its switches.
pub async fn expel_registrations(db: impl PgExecutor<'_>, tenant: Uuid, extension: Uuid) -> sqlx::Result<()> {
    sqlx::query!("select expel_registrations($1, $2)", tenant, extension).execute(db).await.map(|_| ())
}

/// The extension that a line means.
pub async fn which(db: &mut PgConnection, tenant: Uuid, which: &Which) -> sqlx::Result<Option<Extension>> {
    match (which.id, which.key.as_deref().map(crate::text::ExtensionNumber::parse)) {
        (Some(id), _) => {
            Ok(get(db, tenant, id).await?.filter(|extension| extension.status != ExtensionStatus::Deleted))
        }
        (None, Some(Ok(number))) => by_number(db, tenant, &number).await,
        (None, _) => Ok(None),
    }
}
