//! Switches: the FreeSWITCH servers that may fetch, each with credentials of its own.

pub mod api;
pub mod store;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::used::UsedKind;
use crate::{
    model::error::{Error, Result, same_version},
    node::changes::{Audited, Change},
    tenancy::clusters,
    text::{
        Code, SwitchName,
        token::{self, TokenHash},
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum SwitchStatus {
    Active,
    /// Its token is refused.
    Disabled,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Switch {
    pub id: Uuid,
    pub name: SwitchName,
    pub status: SwitchStatus,
    /// The cluster whose tenants it serves.
    pub cluster_id: Uuid,
    /// Since when it is being taken out of service: no call is made there by a click that another switch can make. Its calls go on.
    pub draining_since: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A switch that has asked for nothing for this long is silent: each asks for something within minutes.
const SILENT: TimeDelta = TimeDelta::minutes(30);

/// When a switch asked first and last with its token.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    pub first_seen_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
}

/// How a switch is, as pages show it everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its token is refused, whatever it did before.
    Disabled,
    /// It is being taken out of service.
    OutOfService,
    NeverAsked,
    /// It asked last at this time.
    SilentSince(DateTime<Utc>),
    Active,
}

impl State {
    #[must_use]
    pub fn of(status: SwitchStatus, is_draining: bool, seen: Option<Sighting>, now: DateTime<Utc>) -> Self {
        match (status, seen) {
            (SwitchStatus::Disabled, _) => Self::Disabled,
            (SwitchStatus::Active, _) if is_draining => Self::OutOfService,
            (SwitchStatus::Active, None) => Self::NeverAsked,
            (SwitchStatus::Active, Some(seen)) if now - seen.last_seen_at > SILENT => {
                Self::SilentSince(seen.last_seen_at)
            }
            (SwitchStatus::Active, Some(_)) => Self::Active,
        }
    }

    /// Its name in the catalogue of words and in the stylesheet.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::OutOfService => "out_of_service",
            Self::NeverAsked => "waiting",
            Self::SilentSince(_) => "silent",
            Self::Active => "active",
        }
    }
}

impl Switch {
    #[must_use]
    pub fn state(&self, seen: Option<Sighting>, now: DateTime<Utc>) -> State {
        State::of(self.status, self.draining_since.is_some(), seen, now)
    }
}

/// A switch with its new token, which is never shown again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SwitchWithToken {
    #[serde(flatten)]
    pub switch: Switch,
    /// `gateway-credentials` of its xml_curl.conf is `NAME:TOKEN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

#[derive(Debug, Clone, Deserialize, clap::Args, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSwitch {
    #[arg(long)]
    pub name: SwitchName,
    /// The cluster that it belongs to; the default cluster if absent.
    #[arg(long, value_parser = crate::text::id)]
    pub cluster_id: Option<Uuid>,
}

impl NewSwitch {
    /// A switch in the default cluster.
    #[must_use]
    pub fn named(name: SwitchName) -> Self {
        Self { name, cluster_id: None }
    }
}

/// A merge patch: absent fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchPatch {
    pub status: Option<SwitchStatus>,
    /// Moves it to another cluster.
    pub cluster_id: Option<Uuid>,
    /// `true` makes a new token. The old one is refused at once.
    #[serde(default)]
    pub new_token: bool,
}

pub async fn create(change: &mut Change, new: NewSwitch) -> Result<SwitchWithToken> {
    if let Some(known) = store::by_name(change.db(), &new.name).await? {
        let why = Code::SwitchNameTaken.with("name", &new.name);
        return Err(Error::taken(why, UsedKind::Switch, known.id, &new.name));
    }
    let token = token::generate("dps");
    let inserted = store::insert(
        change.db(),
        Uuid::now_v7(),
        &new.name,
        new.cluster_id.unwrap_or(clusters::DEFAULT),
        &TokenHash::of(token.as_bytes()),
    )
    .await;
    let switch = inserted.map_err(|error| {
        let error = Error::from(error);
        match error.violated() {
            Some(("switches_cluster_id_fkey", _)) => Error::invalid("cluster_id", Code::NamesNoCluster),
            Some(("switches_name_key", _)) => Error::from(Code::SwitchNameTaken.with("name", &new.name)),
            _ => error,
        }
    })?;
    change.audit_of("create", None, Some(&switch)).await?;
    Ok(SwitchWithToken { switch, token: Some(token.to_string()) })
}

pub async fn update(
    change: &mut Change,
    id: Uuid,
    patch: SwitchPatch,
    if_match: Option<i64>,
) -> Result<SwitchWithToken> {
    let before = locked(change, id, if_match).await?;
    let is_new = |patch: &SwitchPatch| {
        patch.status.is_some_and(|status| status != before.status)
            || patch.cluster_id.is_some_and(|cluster| cluster != before.cluster_id)
    };
    if !patch.new_token && !is_new(&patch) {
        return Ok(SwitchWithToken { switch: before, token: None });
    }
    let token = patch.new_token.then(|| token::generate("dps"));
    let hash = token.as_ref().map(|token| TokenHash::of(token.as_bytes()));
    let switch = store::update(
        change.db(),
        id,
        patch.status.unwrap_or(before.status),
        patch.cluster_id.unwrap_or(before.cluster_id),
        hash.as_ref(),
    )
    .await
    .map_err(|error| match Error::from(error) {
        error if error.violated().is_some_and(|(name, _)| name == "switches_cluster_id_fkey") => {
            Error::invalid("cluster_id", Code::NamesNoCluster)
        }
        error => error,
    })?;
    if token.is_some() {
        store::forget_sighting(change.db(), id).await?;
    }
    change.audit_of(if patch.new_token { "rotate_token" } else { "update" }, Some(&before), Some(&switch)).await?;
    Ok(SwitchWithToken { switch, token: token.map(|token| token.to_string()) })
}

/// Takes a switch out of service, or puts it back.
pub async fn drain(change: &mut Change, id: Uuid, is_wanted: bool, if_match: Option<i64>) -> Result<Switch> {
    let before = locked(change, id, if_match).await?;
    if before.draining_since.is_some() == is_wanted {
        return Ok(before);
    }
    let switch = store::drain(change.db(), id, is_wanted).await?;
    change.audit_of(if is_wanted { "drain" } else { "resume" }, Some(&before), Some(&switch)).await?;
    Ok(switch)
}

pub async fn delete(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<()> {
    let before = locked(change, id, if_match).await?;
    store::delete(change.db(), id).await?;
    change.audit_of("delete", Some(&before), None).await
}

async fn locked(change: &mut Change, id: Uuid, if_match: Option<i64>) -> Result<Switch> {
    let switch = store::lock(change.db(), id).await?.ok_or(Error::NotFound("switch"))?;
    same_version(if_match, switch.version)?;
    Ok(switch)
}

impl Audited for Switch {
    fn tenant(&self) -> Option<Uuid> {
        None
    }

    fn resource(&self) -> String {
        format!("switches/{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_active_only_if_it_is_in_service_and_asked_lately() {
        let now = "2026-11-27T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let seen = |minutes| {
            let (first_seen_at, last_seen_at) = (now - TimeDelta::days(9), now - TimeDelta::minutes(minutes));
            Some(Sighting { first_seen_at, last_seen_at })
        };
        let state = |status, is_draining, seen| State::of(status, is_draining, seen, now);
        assert_eq!(state(SwitchStatus::Active, false, seen(29)), State::Active);
        assert_eq!(state(SwitchStatus::Active, false, seen(31)), State::SilentSince(now - TimeDelta::minutes(31)));
        assert_eq!(state(SwitchStatus::Active, false, None), State::NeverAsked);
        for seen in [None, seen(1), seen(60)] {
            assert_eq!(state(SwitchStatus::Active, true, seen), State::OutOfService);
            assert_eq!(state(SwitchStatus::Disabled, true, seen), State::Disabled);
            assert_eq!(state(SwitchStatus::Disabled, false, seen), State::Disabled);
        }
    }
}
