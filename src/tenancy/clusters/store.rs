//! The SQL of clusters.

use sqlx::{PgConnection, PgExecutor, types::Json};
use uuid::Uuid;

use super::{AcceptsCallsFrom, Cluster, ClusterStatus, IceServer};
use crate::model::{
    paging::Window,
    sorting::{Sorted, in_order},
    used::{MOST_NAMED, Used, UsedKind},
};

/// Makes other transactions that place or remove tenants wait until this one ends.
pub async fn hold(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('clusters', 0))").fetch_one(db).await.map(|_| ())
}

pub async fn insert(db: &mut PgConnection, new: &Cluster) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into clusters (id, name, region, websocket_url, sip_domains, ice_servers, max_tenants, accepts_calls_from)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.id,
        new.name,
        new.region,
        new.websocket_url,
        &new.sip_domains,
        Json(&new.ice_servers) as _,
        new.max_tenants,
        new.accepts_calls_from as AcceptsCallsFrom
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn get(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<Cluster>> {
    Ok(select(db, Some(id), &Filter::default(), &Window::FIRST.into()).await?.into_iter().next())
}

/// Which clusters to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A part of the name.
    pub name: Option<String>,
    pub status: Option<ClusterStatus>,
}

pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, sorted: &Sorted) -> sqlx::Result<Vec<Cluster>> {
    select(db, None, filter, sorted).await
}

async fn select(
    db: impl PgExecutor<'_>,
    id: Option<Uuid>,
    filter: &Filter,
    sorted: &Sorted,
) -> sqlx::Result<Vec<Cluster>> {
    macro_rules! rows {
        ($($order:tt)+) => {
    sqlx::query!(
        r#"select c.id, c.name, c.region, c.websocket_url, c.sip_domains, c.ice_servers as "ice_servers: Json<Vec<IceServer>>",
                  c.accepts_calls_from as "accepts_calls_from: AcceptsCallsFrom", c.max_tenants, (select count(*) from tenants t where t.cluster_id = c.id) as "tenants!",
                  c.status as "status: ClusterStatus", c.version, c.created_at, c.updated_at
             from clusters c, lateral (
                 select (case $5::text when 'name' then lower(c.name) else '' end) collate "C" as key,
                        (case $5::text when 'name' then lower($6::text) else '' end) collate "C" as after) k
            where ($1::uuid is null or c.id = $1) and ($4::text is null or strpos(lower(c.name), lower($4)) > 0)
              and ($8::text is null or c.status = $8) and "# $(+ $order)+ + " limit $3",
        id,
        sorted.window.after,
        sorted.window.fetch(),
        filter.name,
        sorted.by,
        sorted.key,
        sorted.is_down,
        filter.status as Option<ClusterStatus>
    )
    .map(|row| Cluster {
        id: row.id,
        name: row.name,
        region: row.region,
        websocket_url: row.websocket_url,
        sip_domains: row.sip_domains,
        ice_servers: row.ice_servers.0,
        accepts_calls_from: row.accepts_calls_from,
        max_tenants: row.max_tenants,
        tenants: row.tenants,
        status: row.status,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
    .fetch_all(db)
    .await
        };
    }
    in_order!(sorted, rows, "c.id", "$2", "$6", "$7")
}

pub async fn update(db: &mut PgConnection, cluster: &Cluster) -> sqlx::Result<()> {
    sqlx::query!(
        "update clusters set name = $2, region = $3, websocket_url = $4, sip_domains = $5, ice_servers = $6, max_tenants = $7,
                status = $8, accepts_calls_from = $9, version = version + 1, updated_at = now()
          where id = $1",
        cluster.id,
        cluster.name,
        cluster.region,
        cluster.websocket_url,
        &cluster.sip_domains,
        Json(&cluster.ice_servers) as _,
        cluster.max_tenants,
        cluster.status as ClusterStatus,
        cluster.accepts_calls_from as AcceptsCallsFrom
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn delete(db: &mut PgConnection, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("delete from clusters where id = $1", id).execute(db).await.map(|_| ())
}

pub async fn switches(db: &mut PgConnection, id: Uuid) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from switches where cluster_id = $1"#, id).fetch_one(db).await
}

/// The first switches and tenants that it has.
pub async fn first_of(db: &mut PgConnection, id: Uuid) -> sqlx::Result<Vec<Used>> {
    sqlx::query_as!(
        Used,
        r#"select kind as "kind!: UsedKind", id as "id!", name as "name!" from (
              (select 'switch' as kind, id, name from switches where cluster_id = $1 order by name limit $2)
              union all
              (select 'tenant', id, domain from tenants where cluster_id = $1 order by domain limit $2)) found"#,
        id,
        MOST_NAMED
    )
    .fetch_all(db)
    .await
}

pub async fn least_filled(db: &mut PgConnection, region: Option<&str>) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        // Where there is no active switch at all, no cluster is better than another: the first tenant may come before the first switch, and a
        // sandbox needs none.
        "select c.id from clusters c left join tenants t on t.cluster_id = c.id
          where c.status = 'active' and ($1::text is null or c.region = $1)
            and (exists (select 1 from switches s where s.cluster_id = c.id and s.status = 'active')
                 or not exists (select 1 from switches s where s.status = 'active'))
          group by c.id having count(t.id) < c.max_tenants
          order by count(t.id)::float / c.max_tenants, c.id limit 1",
        region
    )
    .fetch_optional(db)
    .await
}

/// The cluster of this name.
pub async fn id_of(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!("select id from clusters where name = $1", name).fetch_optional(db).await
}

pub async fn regions(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!("select distinct region from clusters order by region").fetch_all(db).await
}

/// Makes others wait who change this cluster's configurations, until the transaction ends.
pub async fn alone(db: impl PgExecutor<'_>, cluster: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended('configuration of ' || $1::uuid::text, 0)) as held",
        cluster
    )
    .fetch_one(db)
    .await
    .map(|_| ())
}

/// One configuration that a cluster sets.
pub async fn configuration(
    db: impl PgExecutor<'_>,
    cluster: Uuid,
    name: &str,
) -> sqlx::Result<Option<super::Configuration>> {
    sqlx::query_as!(
        super::Configuration,
        "select name, xml, version, updated_at from cluster_configs where cluster_id = $1 and name = $2",
        cluster,
        name
    )
    .fetch_optional(db)
    .await
}

/// All configurations that a cluster sets.
pub async fn configurations(db: impl PgExecutor<'_>, cluster: Uuid) -> sqlx::Result<Vec<super::Configuration>> {
    sqlx::query_as!(
        super::Configuration,
        "select name, xml, version, updated_at from cluster_configs where cluster_id = $1 order by name",
        cluster
    )
    .fetch_all(db)
    .await
}

pub async fn put_configuration(db: &mut PgConnection, cluster: Uuid, name: &str, xml: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into cluster_configs (cluster_id, name, xml) values ($1, $2, $3)
         on conflict (cluster_id, name) do update set xml = $3, version = cluster_configs.version + 1, updated_at = now()",
        cluster,
        name,
        xml
    )
    .execute(db)
    .await
    .map(|_| ())
}

pub async fn delete_configuration(db: &mut PgConnection, cluster: Uuid, name: &str) -> sqlx::Result<()> {
    sqlx::query!("delete from cluster_configs where cluster_id = $1 and name = $2", cluster, name)
        .execute(db)
        .await
        .map(|_| ())
}
