//! Clusters: groups of switches that serve the same tenants. A tenant lives on one cluster.

pub mod api;
pub mod configuration;
pub mod store;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::used::UsedKind;
use crate::{
    model::error::{Error, Result, same_version},
    model::same::is_same,
    node::changes::{Audited, Change},
    text::{Code, DisplayName, Domain},
};

/// The id of the cluster that every platform starts with.
pub const DEFAULT: Uuid = Uuid::from_u128(2);
const MOST_TENANTS: i32 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ClusterStatus {
    Active,
    /// Keeps its tenants, gets no new ones.
    Draining,
    /// Gets no new tenants, and none may move here.
    Disabled,
}

/// A module configuration that a cluster sets for its switches.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Configuration {
    pub name: String,
    pub xml: String,
    pub version: i64,
    pub updated_at: DateTime<Utc>,
}

/// From whom the switches' profile `external` accepts calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AcceptsCallsFrom {
    /// From the networks and hosts of its carriers, and from other clusters' switches. Everybody else gets 403.
    #[default]
    Carriers,
    /// From everybody. Beware: whoever may call a FreeSWITCH can take over any call whose Call-ID they know, with an INVITE
    /// with Replaces.
    Anyone,
}

/// A server that helps browsers through firewalls (WebRTC's `RTCIceServer`).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// `stun:…`, `turn:…` or `turns:…`
    pub urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Cluster {
    pub id: Uuid,
    pub name: String,
    pub region: String,
    /// What the softphones of its tenants connect to: `wss://…`.
    pub websocket_url: Option<String>,
    /// Domains at which its switches are reached from other clusters and from outside. On-net calls to its tenants' numbers go
    /// to the first.
    pub sip_domains: Vec<String>,
    pub ice_servers: Vec<IceServer>,
    pub accepts_calls_from: AcceptsCallsFrom,
    pub max_tenants: i32,
    /// How many tenants live on it.
    pub tenants: i64,
    pub status: ClusterStatus,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCluster {
    pub name: DisplayName,
    pub region: DisplayName,
    pub websocket_url: Option<String>,
    #[serde(default)]
    pub sip_domains: Vec<Domain>,
    #[serde(default)]
    pub ice_servers: Vec<IceServer>,
    #[serde(default)]
    pub accepts_calls_from: AcceptsCallsFrom,
    pub max_tenants: i32,
}

/// A merge patch: absent fields stay as they are, and `null` empties a field.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterPatch {
    pub name: Option<DisplayName>,
    pub region: Option<DisplayName>,
    #[serde(default, deserialize_with = "crate::model::patch::patch")]
    #[schema(value_type = Option<String>)]
    pub websocket_url: Option<Option<String>>,
    pub sip_domains: Option<Vec<Domain>>,
    pub ice_servers: Option<Vec<IceServer>>,
    pub accepts_calls_from: Option<AcceptsCallsFrom>,
    pub max_tenants: Option<i32>,
    pub status: Option<ClusterStatus>,
}

fn check(cluster: &Cluster) -> Result<()> {
    let printable = |text: &str| text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic());
    if let Some(url) = &cluster.websocket_url
        && !(printable(url) && (url.starts_with("wss://") || url.starts_with("ws://")))
    {
        return Err(Error::invalid("websocket_url", Code::WrongWebsocketUrl));
    }
    if !(1..=MOST_TENANTS).contains(&cluster.max_tenants) {
        return Err(Error::invalid("max_tenants", Code::range(1, MOST_TENANTS)));
    }
    if cluster.sip_domains.len() > 20 {
        return Err(Error::invalid("sip_domains", Code::entries(20)));
    }
    let ice_is_fine = cluster.ice_servers.len() <= 10
        && cluster.ice_servers.iter().all(|server| {
            (1..=5).contains(&server.urls.len())
                && server.urls.iter().all(|url| {
                    printable(url)
                        && ["stun:", "stuns:", "turn:", "turns:"].iter().any(|scheme| url.starts_with(scheme))
                })
                && server.username.as_deref().is_none_or(printable)
                && server.credential.as_deref().is_none_or(printable)
        });
    if !ice_is_fine {
        return Err(Error::invalid("ice_servers", Code::WrongIceServers));
    }
    Ok(())
}

pub async fn create(change: &mut Change, new: NewCluster) -> Result<Cluster> {
    // The database keeps no more.
    let now = Utc::now().trunc_subsecs(6);
    let cluster = Cluster {
        id: Uuid::now_v7(),
        name: new.name.to_string(),
        region: new.region.to_string(),
        websocket_url: new.websocket_url,
        sip_domains: new.sip_domains.iter().map(ToString::to_string).collect(),
        ice_servers: new.ice_servers,
        accepts_calls_from: new.accepts_calls_from,
        max_tenants: new.max_tenants,
        tenants: 0,
        status: ClusterStatus::Active,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    check(&cluster)?;
    if let Some(known) = store::id_of(change.db(), &cluster.name).await? {
        let why = Code::ClusterNameTaken.with("name", &cluster.name);
        return Err(Error::taken(why, UsedKind::Cluster, known, &cluster.name));
    }
    store::insert(change.db(), &cluster).await.map_err(|e| taken(e, &cluster))?;
    let cluster = store::get(change.db(), cluster.id).await?.ok_or(Error::NotFound("cluster"))?;
    change.audit_of("create", None, Some(&cluster)).await?;
    Ok(cluster)
}

pub async fn update(change: &mut Change, id: Uuid, patch: ClusterPatch, if_match: Option<i64>) -> Result<Cluster> {
    let before = locked(change, id, if_match).await?;
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = name.to_string();
    }
    if let Some(region) = patch.region {
        after.region = region.to_string();
    }
    if let Some(url) = patch.websocket_url {
        after.websocket_url = url;
    }
    if let Some(domains) = patch.sip_domains {
        after.sip_domains = domains.iter().map(ToString::to_string).collect();
    }
    if let Some(servers) = patch.ice_servers {
        after.ice_servers = servers;
    }
    after.accepts_calls_from = patch.accepts_calls_from.unwrap_or(after.accepts_calls_from);
    after.max_tenants = patch.max_tenants.unwrap_or(after.max_tenants);
    after.status = patch.status.unwrap_or(after.status);
    if is_same(&before, &after) {
        return Ok(before);
    }
    check(&after)?;
    store::update(change.db(), &after).await.map_err(|e| taken(e, &after))?;
    let after = store::get(change.db(), id).await?.ok_or(Error::NotFound("cluster"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

pub async fn delete(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<()> {
    let before = locked(change, id, if_match).await?;
    if id == DEFAULT {
        return Err(Error::from(Code::DefaultClusterStays));
    }
    let switches = store::switches(change.db(), id).await?;
    if before.tenants > 0 || switches > 0 {
        let why = Code::ClusterInUse.with("tenants", before.tenants).with("switches", switches);
        return Err(Error::Taken(why, store::first_of(change.db(), id).await?));
    }
    store::delete(change.db(), id).await?;
    change.audit_of("delete", Some(&before), None).await
}

/// The least filled active cluster with room and an active switch, in this region or in any.
pub async fn choose(change: &mut Change, region: Option<&str>) -> Result<Uuid> {
    store::hold(change.db()).await?;
    if let Some(id) = store::least_filled(change.db(), region).await? {
        return Ok(id);
    }
    let known = store::regions(change.db()).await?;
    match region {
        Some(region) if !known.iter().any(|name| name == region) => {
            Err(Error::invalid("region", Code::NamesNoRegion.with("regions", known.join(", "))))
        }
        Some(region) => Err(Error::from(Code::NoClusterInRegion.with("region", region))),
        None => Err(Error::from(Code::NoCluster)),
    }
}

/// Checks that a tenant may move here.
pub async fn check_room(change: &mut Change, id: Uuid) -> Result<()> {
    store::hold(change.db()).await?;
    let cluster =
        store::get(change.db(), id).await?.ok_or_else(|| Error::invalid("cluster_id", Code::NamesNoCluster))?;
    if cluster.status != ClusterStatus::Active || cluster.tenants >= i64::from(cluster.max_tenants) {
        return Err(Error::from(Code::ClusterFull.with("cluster", &cluster.name)));
    }
    Ok(())
}

async fn locked(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<Cluster> {
    store::hold(change.db()).await?;
    let cluster = store::get(change.db(), id).await?.ok_or(Error::NotFound("cluster"))?;
    same_version(if_match, cluster.version)?;
    Ok(cluster)
}

fn taken(error: sqlx::Error, cluster: &Cluster) -> Error {
    let error = Error::from(error);
    match error.violated() {
        Some(("clusters_name_key", _)) => Error::from(Code::ClusterNameTaken.with("name", &cluster.name)),
        Some(("sip_domain_of_tenant", _)) => Error::from(Code::SipDomainOfTenant),
        _ => error,
    }
}

impl Audited for Cluster {
    fn tenant(&self) -> Option<Uuid> {
        None
    }

    fn resource(&self) -> String {
        format!("clusters/{}", self.id)
    }

    /// The credentials of a TURN server are secret.
    fn shown(&self) -> serde_json::Value {
        let mut shown = self.clone();
        for server in &mut shown.ice_servers {
            server.credential = server.credential.as_ref().map(|_| "(secret)".to_owned());
        }
        serde_json::to_value(shown).unwrap_or_default()
    }
}
