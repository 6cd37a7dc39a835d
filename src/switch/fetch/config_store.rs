//! The SQL of module configuration.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, types::Json};
use uuid::Uuid;

use super::store::{TenantRow, tenant_of};
use crate::{
    model::{
        agent_status::{OnSwitch, Status},
        call_handling::AtQueues,
        carrier::CarrierConfig,
        destination::{Config, Queue, TargetKind},
    },
    text::{Domain, SipUsername},
};

/// An extension as an agent of queues.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct QueueAgent {
    pub extension: Uuid,
    pub sip_username: SipUsername,
    #[serde(default)]
    pub quiet: bool,
    /// `None`: logged in.
    #[serde(default)]
    pub at_queues: Option<AtQueues>,
    /// What its agent has chosen. `None`: nothing, or nobody has it.
    #[serde(default)]
    pub status: Option<Status>,
    /// Whether its agent's phones are gone.
    #[serde(default)]
    pub gone: bool,
}

impl QueueAgent {
    /// Whether the queue has them. mod_callcenter has one status of an agent for all queues, so whoever does not want to be disturbed has no
    /// place in a queue that heeds that.
    #[must_use]
    pub fn takes_calls(&self, queue: &Queue) -> bool {
        queue.ring_busy_agents || !self.quiet
    }

    /// What a switch is to have them as.
    #[must_use]
    pub fn on_switch(&self) -> OnSwitch {
        OnSwitch::wanted(self.status.map(|status| (status, self.gone)), self.at_queues.unwrap_or_default())
    }
}

/// A destination's configuration as one statement saw it, with the names of what it leads to.
pub struct ConfigRow {
    pub tenant_id: Uuid,
    pub id: Uuid,
    pub config: Config,
    pub pin: Option<Vec<u8>>,
    /// May its tenant record calls?
    pub may_record: bool,
    /// The names of the extensions and groups among them.
    pub targets: BTreeMap<Uuid, String>,
    pub agents: Vec<QueueAgent>,
    /// Whether agents come with their status. Otherwise switches are told of it over their event sockets, and a load must not set it.
    pub with_status: bool,
}

fn config(kind: &str, config: &serde_json::Value) -> sqlx::Result<Config> {
    let whole = serde_json::json!({ "kind": kind, "config": config });
    serde_json::from_value(whole).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A destination of this kind, with its tenant. The outer `None` means no such tenant, the inner no such destination.
pub async fn destination(
    db: impl PgExecutor<'_>,
    tenant: Uuid,
    id: Uuid,
    kind: TargetKind,
) -> sqlx::Result<Option<(TenantRow, Option<ConfigRow>)>> {
    let row = sqlx::query!(
        r#"
        select g.generation, t.domain as "domain: Domain", t.cluster_id, t.former_domains, t.former_clusters, t.sandbox,
               t.status = 'active' as "tenant_active!",
               d.config as "config?", d.pin as "pin?",
               coalesce((t.settings #>> '{features,call_recording}')::boolean, false) as "may_record!",
               coalesce((
                    select jsonb_object_agg(x.id, x.name) from (
                        select e.id, e.number as name from destination_refs r
                          join extensions e on e.tenant_id = r.tenant_id and e.id = r.extension_id
                         where r.tenant_id = g.scope and r.from_id = $2
                        union
                        select gr.id, coalesce(gr.number, gr.name) from destination_refs r
                          join groups gr on gr.tenant_id = r.tenant_id and gr.id = r.group_id
                         where r.tenant_id = g.scope and r.from_id = $2) x), '{}') as "targets!: Json<BTreeMap<Uuid, String>>",
               coalesce((
                    select jsonb_agg(jsonb_build_object('extension', e.id, 'sip_username', e.sip_username,
                           'quiet', coalesce((e.calls ->> 'do_not_disturb')::boolean, false), 'at_queues', e.calls ->> 'at_queues',
                           'status', s.status, 'gone', s.gone_at is not null))
                      from destination_refs r join extensions e on e.tenant_id = r.tenant_id and e.id = r.extension_id
                      left join agent_statuses s on s.tenant_id = e.tenant_id and s.user_id = e.user_id
                     where r.tenant_id = g.scope and r.from_id = $2 and e.status = 'active'), '[]')
               as "agents!: Json<Vec<QueueAgent>>",
               exists (select from switches w left join event_sockets k on k.switch_id = w.id
                        where w.cluster_id = t.cluster_id and w.status = 'active' and k.switch_id is null)
               or not exists (select from switches w where w.cluster_id = t.cluster_id and w.status = 'active') as "with_status!"
          from generation g
          join tenants t on t.id = g.scope
          left join destinations d on d.tenant_id = g.scope and d.id = $2 and d.kind = $3
         where g.scope = $1
        "#,
        tenant,
        id,
        kind.as_str()
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let tenant_row = tenant_of!(tenant, row);
    let found = match row.config {
        None => None,
        Some(text) => Some(ConfigRow {
            tenant_id: tenant,
            id,
            config: config(kind.as_str(), &text)?,
            pin: row.pin,
            may_record: row.may_record,
            targets: row.targets.0,
            agents: row.agents.0,
            with_status: row.with_status,
        }),
    };
    Ok(Some((tenant_row, found)))
}

/// A queue with its tenant's domain, and when it or anything in it last changed.
pub struct QueueRow {
    pub domain: Domain,
    pub row: ConfigRow,
    pub changed_at: DateTime<Utc>,
}

/// The queues of a cluster's active tenants, with their agents. Without a cluster, those of all clusters.
pub async fn queues(db: impl PgExecutor<'_>, cluster: Option<Uuid>) -> sqlx::Result<Vec<QueueRow>> {
    let rows = sqlx::query!(
        r#"
        select t.domain as "domain: Domain", d.tenant_id, d.id, d.config,
               coalesce((t.settings #>> '{features,call_recording}')::boolean, false) as "may_record!",
               coalesce(agents.active, '[]') as "agents!: Json<Vec<QueueAgent>>",
               greatest(d.updated_at, t.updated_at, agents.changed_at) as "changed_at!",
               exists (select from switches w left join event_sockets k on k.switch_id = w.id
                        where w.cluster_id = t.cluster_id and w.status = 'active' and k.switch_id is null)
               or not exists (select from switches w where w.cluster_id = t.cluster_id and w.status = 'active') as "with_status!"
          from destinations d
          join tenants t on t.id = d.tenant_id and t.status = 'active'
         cross join lateral (
                select jsonb_agg(jsonb_build_object('extension', e.id, 'sip_username', e.sip_username,
                           'quiet', coalesce((e.calls ->> 'do_not_disturb')::boolean, false), 'at_queues', e.calls ->> 'at_queues',
                           'status', s.status, 'gone', s.gone_at is not null))
                           filter (where e.status = 'active') as active,
                       max(e.updated_at) as changed_at
                  from destination_refs r join extensions e on e.tenant_id = r.tenant_id and e.id = r.extension_id
                  left join agent_statuses s on s.tenant_id = e.tenant_id and s.user_id = e.user_id
                 where r.tenant_id = d.tenant_id and r.from_id = d.id) agents
         where d.kind = 'queue' and coalesce((t.settings #>> '{features,queues}')::boolean, true)
           and ($1::uuid is null or t.cluster_id = $1)
         order by d.tenant_id, d.id
        "#,
        cluster
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let (targets, agents) = (BTreeMap::new(), row.agents.0);
            let config = config("queue", &row.config)?;
            let (domain, changed_at) = (row.domain, row.changed_at);
            let (tenant_id, id, may_record) = (row.tenant_id, row.id, row.may_record);
            let with_status = row.with_status;
            let row = ConfigRow { tenant_id, id, config, pin: None, may_record, targets, agents, with_status };
            Ok(QueueRow { domain, row, changed_at })
        })
        .collect()
}

/// An active carrier; its password is sealed.
pub struct CarrierRow {
    pub id: Uuid,
    pub config: CarrierConfig,
    pub password: Option<Vec<u8>>,
    pub updated_at: DateTime<Utc>,
}

/// Whose carriers to read, besides those of the platform.
#[derive(Debug, Clone, Copy)]
pub enum Whose {
    /// Those of a cluster's tenants; with `None`, of all tenants.
    Cluster(Option<Uuid>),
    /// One tenant's.
    Tenant(Uuid),
}

pub async fn carriers(db: impl PgExecutor<'_>, whose: Whose) -> sqlx::Result<Vec<CarrierRow>> {
    let (cluster, tenant) = match whose {
        Whose::Cluster(cluster) => (cluster, None),
        Whose::Tenant(tenant) => (None, Some(tenant)),
    };
    let rows = sqlx::query!(
        r#"
        select c.id, c.config as "config: Json<CarrierConfig>", c.password, c.updated_at
          from carriers c
          left join tenants t on t.id = c.tenant_id
         where c.status = 'active' and not coalesce(t.sandbox, false)
           and (c.tenant_id is null or (($1::uuid is null or t.cluster_id = $1) and ($2::uuid is null or c.tenant_id = $2)))
         order by c.id
        "#,
        cluster,
        tenant
    )
    .fetch_all(db)
    .await?;
    let carriers = rows.into_iter().map(|row| CarrierRow {
        id: row.id,
        config: row.config.0,
        password: row.password,
        updated_at: row.updated_at,
    });
    Ok(carriers.collect())
}

/// The addresses that may call a cluster's switches from outside.
#[derive(Debug, PartialEq, Eq)]
pub struct Callers {
    pub anyone: bool,
    /// Such as `192.0.2.0/28`, each once, in order.
    pub networks: Vec<String>,
}

/// The networks and hosts of the cluster's carriers, and the switches of other clusters, which send on-net calls.
pub async fn callers(db: impl PgExecutor<'_>, cluster: Option<Uuid>) -> sqlx::Result<Callers> {
    sqlx::query_as!(
        Callers,
        r#"
        with usable as (
            select c.config, lower(split_part(c.config ->> 'host', ':', 1)) as host
              from carriers c left join tenants t on t.id = c.tenant_id
             where c.status = 'active' and (c.tenant_id is null or $1::uuid is null or t.cluster_id = $1)),
        named as (
            select host from usable
             union select lower(domain) from clusters k cross join unnest(k.sip_domains) domain where k.id is distinct from $1)
        select coalesce((select accepts_calls_from = 'anyone' from clusters where id = $1), false) as "anyone!",
               array(select network from (
                        select jsonb_array_elements_text(config -> 'networks') as network from usable
                         where jsonb_typeof(config -> 'networks') = 'array'
                         union select host || '/32' from named where host ~ '^[0-9.]+$'
                         union select address || '/32' from named join resolved_hosts r on r.host = named.host
                                 cross join unnest(r.addresses) address) networks
                      order by network) as "networks!"
        "#,
        cluster
    )
    .fetch_one(db)
    .await
}

/// A configuration file that the cluster sets; `None` if it doesn't.
pub async fn cluster_config(
    db: impl PgExecutor<'_>,
    cluster: Option<Uuid>,
    name: &str,
) -> sqlx::Result<Option<String>> {
    let Some(cluster) = cluster else { return Ok(None) };
    sqlx::query_scalar!("select xml from cluster_configs where cluster_id = $1 and name = $2", cluster, name)
        .fetch_optional(db)
        .await
}
