//! The SQL of live state: which switches to listen to, and the names of what they speak of.

use sqlx::{PgExecutor, PgPool};
use uuid::Uuid;

/// A switch whose event socket is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub switch: Uuid,
    pub name: String,
    pub cluster: Uuid,
    pub address: String,
    pub password: Vec<u8>,
}

pub async fn switches(db: &PgPool) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        "select w.id as switch, w.name, w.cluster_id as cluster, e.address, e.password
           from event_sockets e join switches w on w.id = e.switch_id where w.status = 'active'"
    )
    .fetch_all(db)
    .await
}

/// An extension, and whose it is.
pub struct ExtensionRow {
    pub id: Uuid,
    pub number: String,
    pub sip_username: String,
    pub name: String,
    pub user: Option<Uuid>,
    pub person: Option<String>,
    pub at_queues: Option<String>,
    pub active: bool,
}

pub async fn extensions(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<ExtensionRow>> {
    sqlx::query_as!(
        ExtensionRow,
        r#"select e.id, e.number, e.sip_username, e.display_name as name, e.user_id as "user",
                  u.first_name || ' ' || u.last_name as person, e.calls ->> 'at_queues' as at_queues,
                  e.status = 'active' as "active!"
             from extensions e left join users u on u.id = e.user_id and u.tenant_id = e.tenant_id
            where e.tenant_id = $1 and e.status <> 'deleted'"#,
        tenant
    )
    .fetch_all(db)
    .await
}

/// A queue or a conference.
pub struct PlaceRow {
    pub id: Uuid,
    pub name: String,
    /// The extensions of a queue's agents.
    pub extensions: Vec<Uuid>,
    /// How long agents of a queue have after a call, in seconds.
    pub wrap_up: Option<i32>,
}

pub async fn places(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<PlaceRow>> {
    sqlx::query_as!(
        PlaceRow,
        r#"select id, name,
                  array(select (tier ->> 'extension_id')::uuid
                          from jsonb_array_elements(case when kind = 'queue' then config -> 'tiers' else '[]' end) tier) as "extensions!: Vec<Uuid>",
                  (config ->> 'wrap_up_seconds')::int as wrap_up
             from destinations where tenant_id = $1 and kind in ('queue', 'conference')"#,
        tenant
    )
    .fetch_all(db)
    .await
}

/// For how many seconds an agent's phones may be gone; `None`: as long as they want, or there is no such tenant.
pub async fn grace(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Option<i32>> {
    let set = sqlx::query_scalar!(
        r#"select coalesce((settings #>> '{agents,phone_gone_seconds}')::int, $2) as "seconds!" from tenants where id = $1"#,
        tenant,
        crate::model::settings::PHONE_GONE_SECONDS
    );
    Ok(set.fetch_optional(db).await?.filter(|seconds| *seconds > 0))
}

pub struct CarrierRow {
    pub id: Uuid,
    pub name: String,
    pub tenant: Option<Uuid>,
}

pub async fn carriers(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<CarrierRow>> {
    sqlx::query_as!(CarrierRow, r#"select id, name, tenant_id as tenant from carriers"#).fetch_all(db).await
}
