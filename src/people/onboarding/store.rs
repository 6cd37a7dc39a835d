//! The SQL of what a tenant starts with besides its pools.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::{Channel, Integration, NumberRequest};

pub async fn insert_number_request(
    db: &mut PgConnection,
    tenant: Uuid,
    request: &NumberRequest,
    sealed: &[u8],
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into number_requests (tenant_id, id, country, sip_username, sip_secret) values ($1, $2, $3, $4, $5)",
        tenant,
        request.id,
        request.country,
        request.sip_username,
        sealed
    )
    .execute(db)
    .await
    .map(|_| ())
}

/// Adds an inactive channel.
pub async fn insert_channel(db: &mut PgConnection, tenant: Uuid, kind: &str) -> sqlx::Result<Channel> {
    sqlx::query_as!(
        Channel,
        "insert into channels (tenant_id, id, kind) values ($1, $2, $3) returning id, kind, status, config",
        tenant,
        Uuid::now_v7(),
        kind
    )
    .fetch_one(db)
    .await
}

/// Adds an inactive integration.
pub async fn insert_integration(
    db: &mut PgConnection,
    tenant: Uuid,
    kind: &str,
    name: &str,
    config: &Value,
) -> sqlx::Result<Integration> {
    sqlx::query_as!(
        Integration,
        "insert into integrations (tenant_id, id, kind, name, config) values ($1, $2, $3, $4, $5)
         returning id, kind, name, status, config",
        tenant,
        Uuid::now_v7(),
        kind,
        name,
        config
    )
    .fetch_one(db)
    .await
}

pub async fn number_requests(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<NumberRequest>> {
    sqlx::query_as!(
        NumberRequest,
        r#"select id, country, status, sip_username, null::text as sip_password, created_at
             from number_requests where tenant_id = $1 order by id"#,
        tenant
    )
    .fetch_all(db)
    .await
}

pub async fn channels(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<Channel>> {
    sqlx::query_as!(Channel, "select id, kind, status, config from channels where tenant_id = $1 order by id", tenant)
        .fetch_all(db)
        .await
}

pub async fn integrations(db: impl PgExecutor<'_>, tenant: Uuid) -> sqlx::Result<Vec<Integration>> {
    sqlx::query_as!(
        Integration,
        "select id, kind, name, status, config from integrations where tenant_id = $1 order by id",
        tenant
    )
    .fetch_all(db)
    .await
}
