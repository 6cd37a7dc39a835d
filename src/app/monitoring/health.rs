//! Whether all is well.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{
    get,
    web::{Data, Json},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    app::{
        process, scrape,
        status::{Counters, Health},
    },
    switch::live::Live,
    tenancy::auth::actor::Actor,
};

/// Work that waits for longer than this is behind.
const BEHIND: f64 = 300.0;
/// A switch that has asked before, and not for so long, is silent.
const SILENT: TimeDelta = TimeDelta::hours(1);

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// The node is about to stop.
    Stopping,
    /// The node can't reach the database: it serves what it knew, and takes no changes.
    Detached,
    /// The node lacks a key of secrets that are in the database.
    KeyMissing,
    /// The database's disk is full.
    DatabaseFull,
    /// Certificates, settings or the like could not be read again: the last good version is in force.
    NotRenewed,
    /// The node does not hear what goes on at a switch.
    SwitchUnheard,
    /// A switch takes no commands over its event socket.
    SwitchTakesNoCommands,
    /// A switch has asked this node before, and not for an hour.
    SwitchSilent,
    /// Gateways to carriers are down at a switch.
    GatewaysDown,
    /// Work has waited in the database for longer than five minutes.
    WorkWaits,
}

/// Something that needs a hand.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Trouble {
    pub kind: TroubleKind,
    /// The switch's name, the kind of work, or the part of the node.
    pub subject: Option<String>,
    /// Since when, if that is known.
    pub since: Option<DateTime<Utc>>,
    /// How many gateways are down, or how much work waits.
    pub count: Option<i64>,
}

/// Connections of one pool to the database.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PoolHealth {
    /// What they are for.
    pub name: &'static str,
    /// Connections in use.
    pub in_use: u32,
    /// Open, and used by nobody.
    pub idle: u32,
    /// The most at once.
    pub limit: u32,
}

/// The node that answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NodeHealth {
    /// Another one after each start.
    pub id: Uuid,
    /// The program's version.
    pub version: &'static str,
    /// When its process started.
    pub started_at: Option<DateTime<Utc>>,
    /// `fresh`, or why it takes no changes: `stopping`, `detached`, `key_missing` or `database_full`, as `/readyz` says it.
    pub state: &'static str,
    /// How old what it knows of changes is at most.
    pub changes_age_seconds: f64,
    /// The parts of which the last good version is in force, as a newer one could not be read.
    pub not_renewed: Vec<&'static str>,
    /// Its connections to the database.
    pub pools: Vec<PoolHealth>,
}

/// A switch, as this node knows it.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct SwitchHealth {
    /// The switch's name.
    pub switch: String,
    /// Known of switches with an event socket.
    pub switch_id: Option<Uuid>,
    /// When it asked this node last, give or take 15 seconds. `null`: not since the node started.
    pub asked_at: Option<DateTime<Utc>>,
    /// Whether this node hears what goes on there. `null`: it has no event socket.
    pub heard: Option<bool>,
    /// Since when nothing is known of what goes on there.
    pub unknown_since: Option<DateTime<Utc>>,
    /// Whether it takes commands over its event socket.
    pub takes_commands: Option<bool>,
    /// How many commands it was not given yet.
    pub pending_commands: Option<i32>,
    /// Gateways to carriers that are up.
    pub gateways_up: Option<usize>,
    /// Those that are down.
    pub gateways_down: Option<usize>,
}

/// Work of one kind that waits in the database.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WaitingWork {
    /// `mails`, `webhooks`, `expulsions`, `cleanups`, `call_records` or `call_jobs`.
    pub kind: String,
    /// How much.
    pub waiting: i64,
    /// For how long the oldest has waited.
    pub oldest_seconds: f64,
}

/// How things are, as the node that answers knows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MonitoringHealth {
    /// Whether there are no troubles.
    pub ok: bool,
    /// What needs a hand.
    pub troubles: Vec<Trouble>,
    /// The node that answers.
    pub node: NodeHealth,
    /// All switches, by name.
    pub switches: Vec<SwitchHealth>,
    /// Work that waits, as it was some seconds ago. `null` while the database is away.
    pub backlogs: Option<Vec<WaitingWork>>,
}

fn node(health: &Health, counters: &Counters) -> NodeHealth {
    let fetch = &health.fetch;
    let pool = |(name, pool): (&'static str, &sqlx::PgPool)| {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        let in_use = pool.size().saturating_sub(idle);
        PoolHealth { name, in_use, idle, limit: pool.options().get_max_connections() }
    };
    NodeHealth {
        id: fetch.node,
        version: env!("PROGRAM_VERSION"),
        started_at: process::started(),
        state: health.state(),
        changes_age_seconds: fetch.generations.age().as_secs_f64(),
        not_renewed: health.renewal.failed().iter().map(|(part, _)| part.name()).collect(),
        pools: counters.pools.named().into_iter().map(pool).collect(),
    }
}

fn switches(health: &Health, counters: &Counters, live: &Live, now: DateTime<Utc>) -> Vec<SwitchHealth> {
    let mut all = BTreeMap::<String, SwitchHealth>::new();
    let ago = |ago: Duration| now - TimeDelta::from_std(ago).unwrap_or_default();
    for (name, asked) in health.fetch.credentials.sightings() {
        all.entry(name.to_string()).or_default().asked_at = asked.map(ago);
    }
    for link in counters.links.known().iter() {
        let switch = all.entry(link.switch.clone()).or_default();
        (switch.takes_commands, switch.pending_commands) = (Some(link.is_up), Some(link.pending));
    }
    for sight in scrape::sights(live) {
        let switch = all.entry(sight.switch).or_default();
        (switch.switch_id, switch.unknown_since) = (Some(sight.id), sight.unknown_since);
        switch.heard = Some(sight.unknown_since.is_none());
        if sight.unknown_since.is_none() {
            let [up, down] = sight.gateways;
            (switch.gateways_up, switch.gateways_down) = (Some(up), Some(down));
        }
    }
    let named = |(name, switch)| SwitchHealth { switch: name, ..switch };
    all.into_iter().map(named).collect()
}

impl SwitchHealth {
    fn troubles(&self, now: DateTime<Utc>) -> Vec<Trouble> {
        let trouble = |kind, since, count| Trouble { kind, subject: Some(self.switch.clone()), since, count };
        let mut found = Vec::new();
        if self.heard == Some(false) {
            found.push(trouble(TroubleKind::SwitchUnheard, self.unknown_since, None));
        }
        if self.takes_commands == Some(false) {
            found.push(trouble(TroubleKind::SwitchTakesNoCommands, None, self.pending_commands.map(Into::into)));
        }
        if let Some(asked) = self.asked_at.filter(|asked| now - *asked > SILENT) {
            found.push(trouble(TroubleKind::SwitchSilent, Some(asked), None));
        }
        if let Some(down) = self.gateways_down.filter(|down| *down > 0) {
            found.push(trouble(TroubleKind::GatewaysDown, None, i64::try_from(down).ok()));
        }
        found
    }
}

/// What is wrong with the node itself.
fn of_node(node: &NodeHealth, detached: Duration, now: DateTime<Utc>) -> Vec<Trouble> {
    let kind = match node.state {
        "stopping" => Some(TroubleKind::Stopping),
        "detached" => Some(TroubleKind::Detached),
        "key_missing" => Some(TroubleKind::KeyMissing),
        "database_full" => Some(TroubleKind::DatabaseFull),
        _ => None,
    };
    let since = |kind| (kind == TroubleKind::Detached).then(|| now - TimeDelta::from_std(detached).unwrap_or_default());
    let own = kind.map(|kind| Trouble { kind, subject: None, since: since(kind), count: None });
    let parts = node.not_renewed.iter().map(|part| Trouble {
        kind: TroubleKind::NotRenewed,
        subject: Some((*part).to_owned()),
        since: None,
        count: None,
    });
    own.into_iter().chain(parts).collect()
}

fn of_work(work: &WaitingWork, now: DateTime<Utc>) -> Option<Trouble> {
    // A call that somebody began by a click waits for nothing while it goes on.
    let is_behind = work.kind != "call_jobs" && work.oldest_seconds > BEHIND;
    is_behind.then(|| Trouble {
        kind: TroubleKind::WorkWaits,
        subject: Some(work.kind.clone()),
        since: Duration::try_from_secs_f64(work.oldest_seconds)
            .ok()
            .and_then(|waited| TimeDelta::from_std(waited).ok())
            .map(|waited| now - waited),
        count: Some(work.waiting),
    })
}

/// What this node knows.
pub fn look(health: &Health, counters: &Counters, live: &Live) -> MonitoringHealth {
    let now = Utc::now();
    let (node, switches) = (node(health, counters), switches(health, counters, live, now));
    let backlogs = counters.backlogs.known().map(|known| {
        let work = known.iter().map(|it| WaitingWork {
            kind: it.kind.clone(),
            waiting: it.waiting,
            oldest_seconds: it.oldest,
        });
        work.collect::<Vec<_>>()
    });
    let mut troubles = of_node(&node, health.fetch.generations.detached_for(), now);
    troubles.extend(switches.iter().flat_map(|switch| switch.troubles(now)));
    troubles.extend(backlogs.iter().flatten().filter_map(|work| of_work(work, now)));
    MonitoringHealth { ok: troubles.is_empty(), troubles, node, switches, backlogs }
}

/// Show whether all is well
///
/// It is what the node that answers knows of itself, of the database and of the switches.
#[utoipa::path(tag = "monitoring", responses((status = 200, body = MonitoringHealth)))]
#[get("/v1/monitoring/health")]
pub async fn show_health(
    _actor: Actor,
    health: Data<Health>,
    counters: Data<Counters>,
    live: Data<Live>,
) -> Json<MonitoringHealth> {
    Json(look(&health, &counters, &live))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_of_a_switch_is_said_with_its_name() {
        let now = Utc::now();
        let well = SwitchHealth {
            switch: "fs1".into(),
            asked_at: Some(now - TimeDelta::minutes(59)),
            heard: Some(true),
            takes_commands: Some(true),
            gateways_down: Some(0),
            ..SwitchHealth::default()
        };
        assert_eq!(well.troubles(now), []);
        // One without an event socket that has never asked is being set up.
        assert_eq!(SwitchHealth { switch: "fs2".into(), ..SwitchHealth::default() }.troubles(now), []);
        let silent = now - TimeDelta::minutes(61);
        let ill = SwitchHealth {
            asked_at: Some(silent),
            heard: Some(false),
            unknown_since: Some(silent),
            takes_commands: Some(false),
            pending_commands: Some(3),
            gateways_down: Some(2),
            ..well
        };
        let troubles = ill.troubles(now);
        assert!(troubles.iter().all(|trouble| trouble.subject.as_deref() == Some("fs1")), "{troubles:?}");
        let told = troubles.iter().map(|trouble| (trouble.kind, trouble.since, trouble.count)).collect::<Vec<_>>();
        assert_eq!(
            told,
            [
                (TroubleKind::SwitchUnheard, Some(silent), None),
                (TroubleKind::SwitchTakesNoCommands, None, Some(3)),
                (TroubleKind::SwitchSilent, Some(silent), None),
                (TroubleKind::GatewaysDown, None, Some(2)),
            ]
        );
    }

    #[test]
    fn work_is_behind_after_five_minutes_and_a_call_never() {
        let work = |kind: &str, oldest_seconds| WaitingWork { kind: kind.into(), waiting: 4, oldest_seconds };
        let now = Utc::now();
        assert_eq!(of_work(&work("mails", 299.0), now), None);
        let behind = of_work(&work("mails", 301.0), now).unwrap();
        assert_eq!((behind.kind, behind.count), (TroubleKind::WorkWaits, Some(4)));
        assert_eq!(behind.since, Some(now - TimeDelta::seconds(301)));
        assert_eq!(of_work(&work("call_jobs", 3000.0), now), None);
    }
}
