//! How much there is and how fast it goes.

use actix_web::{
    get,
    web::{Data, Json},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    app::{
        process,
        scrape::{self, Sight},
        status::Health,
        timing::Timing,
    },
    node::histogram::Summary,
    switch::live::Live,
    tenancy::auth::actor::Actor,
};

/// How often something was done, and how long it took.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Took {
    /// How often.
    pub count: u64,
    /// How long all of them took together.
    pub seconds: f64,
    /// Half of them took no longer: a bound, not the exact time. `null`: longer than ten seconds.
    pub p50_seconds: Option<f64>,
    /// 99 of 100 took no longer.
    pub p99_seconds: Option<f64>,
}

impl From<Summary> for Took {
    fn from(summary: Summary) -> Self {
        let seconds = |within: Option<std::time::Duration>| within.map(|within| within.as_secs_f64());
        Self {
            count: summary.count,
            seconds: summary.together.as_secs_f64(),
            p50_seconds: seconds(summary.median),
            p99_seconds: seconds(summary.slowest),
        }
    }
}

/// Questions of switches.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FetchStats {
    /// What was asked for.
    pub kind: &'static str,
    /// Where the answer came from: `hit`, `filled`, `stale`, `memory`, `not_ours` or `unavailable`.
    pub source: &'static str,
    #[serde(flatten)]
    pub took: Took,
}

/// Requests of people and scripts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RequestStats {
    /// `api`, `pages` or `status`.
    pub part: &'static str,
    /// Such as `GET`.
    pub method: &'static str,
    /// Of the answer: `2xx` to `5xx`.
    pub status: &'static str,
    #[serde(flatten)]
    pub took: Took,
}

/// What goes on at a switch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SwitchStats {
    /// The switch's name.
    pub switch: String,
    pub switch_id: Uuid,
    /// Since when nothing is known of it: then all else is `null`.
    pub unknown_since: Option<DateTime<Utc>>,
    /// How often this node stopped hearing it.
    pub gaps: u64,
    /// Calls that go on.
    pub calls: Option<usize>,
    /// Phones that are registered.
    pub registrations: Option<usize>,
    /// Callers who wait in queues.
    pub callers_waiting: Option<usize>,
    /// Gateways to carriers that are up.
    pub gateways_up: Option<usize>,
    /// Those that are down.
    pub gateways_down: Option<usize>,
    /// Legs of calls, by the switch's own count.
    pub legs: Option<u32>,
    /// The most legs at once.
    pub legs_limit: Option<u32>,
    /// Legs since the switch started.
    pub legs_begun: Option<u64>,
    /// How much of its processors is unused, from 0 to 1.
    pub idle_ratio: Option<f64>,
    /// For how long it has been running.
    pub uptime_seconds: Option<u64>,
}

impl From<Sight> for SwitchStats {
    fn from(sight: Sight) -> Self {
        let known = |value: usize| sight.unknown_since.is_none().then_some(value);
        let beat = sight.beat.as_ref();
        Self {
            switch_id: sight.id,
            unknown_since: sight.unknown_since,
            gaps: sight.gaps,
            calls: known(sight.calls),
            registrations: known(sight.registrations),
            callers_waiting: known(sight.waiting),
            gateways_up: known(sight.gateways[0]),
            gateways_down: known(sight.gateways[1]),
            legs: beat.map(|beat| beat.sessions),
            legs_limit: beat.map(|beat| beat.most_sessions),
            legs_begun: beat.map(|beat| beat.sessions_ever),
            idle_ratio: beat.map(|beat| f64::from(beat.idle_permille) / 1000.0),
            uptime_seconds: beat.map(|beat| beat.uptime_ms / 1000),
            switch: sight.switch,
        }
    }
}

/// Of all switches that are heard.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct LiveTotals {
    /// Switches with an event socket.
    pub switches: usize,
    /// Those that this node hears.
    pub switches_heard: usize,
    /// Calls that go on.
    pub calls: usize,
    /// Phones that are registered.
    pub registrations: usize,
    /// Callers who wait in queues.
    pub callers_waiting: usize,
    /// Gateways to carriers that are up.
    pub gateways_up: usize,
    /// Those that are down.
    pub gateways_down: usize,
}

/// Figures of the node that answers, since it started.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MonitoringStats {
    /// The node's id.
    pub node_id: Uuid,
    /// When its process started.
    pub since: Option<DateTime<Utc>>,
    /// Tenants that the node knows.
    pub tenants: usize,
    /// Answers to switches that are kept in memory.
    pub kept_answers: u64,
    /// The same about what does not exist.
    pub kept_strays: u64,
    /// Memory that the process holds. `null` where the system does not say it.
    pub memory_bytes: Option<u64>,
    /// Clients that listen to events at this node.
    pub event_clients: usize,
    /// Questions of switches, by kind and by where the answer came from.
    pub fetches: Vec<FetchStats>,
    /// Requests of people and scripts.
    pub requests: Vec<RequestStats>,
    /// What goes on at all switches that are heard.
    pub live: LiveTotals,
    /// Switches with an event socket, by name.
    pub switches: Vec<SwitchStats>,
}

pub fn look(health: &Health, timing: &Timing, live: &Live) -> MonitoringStats {
    let fetch = &health.fetch;
    let (kept_answers, kept_strays) = fetch.cache.len();
    let sights = scrape::sights(live);
    let mut totals = LiveTotals { switches: sights.len(), ..LiveTotals::default() };
    for sight in sights.iter().filter(|sight| sight.unknown_since.is_none()) {
        totals.switches_heard += 1;
        totals.calls += sight.calls;
        totals.registrations += sight.registrations;
        totals.callers_waiting += sight.waiting;
        totals.gateways_up += sight.gateways[0];
        totals.gateways_down += sight.gateways[1];
    }
    let fetches = fetch.metrics.summaries();
    let fetches = fetches.map(|(kind, source, summary)| FetchStats { kind, source, took: summary.into() });
    let requests = timing.summaries();
    let requests =
        requests.map(|([part, method, status], summary)| RequestStats { part, method, status, took: summary.into() });
    MonitoringStats {
        node_id: fetch.node,
        since: process::started(),
        tenants: fetch.generations.tenants(),
        kept_answers,
        kept_strays,
        memory_bytes: process::memory(),
        event_clients: live.bus.clients(),
        fetches: fetches.collect(),
        requests: requests.collect(),
        live: totals,
        switches: sights.into_iter().map(SwitchStats::from).collect(),
    }
}

/// Show figures of this node and of the switches
///
/// They are of the node that answers, since it started. What a monitoring system collects over time is `/metrics`.
#[utoipa::path(tag = "monitoring", responses((status = 200, body = MonitoringStats)))]
#[get("/v1/monitoring/stats")]
pub async fn show_stats(
    _actor: Actor,
    health: Data<Health>,
    timing: Data<Timing>,
    live: Data<Live>,
) -> Json<MonitoringStats> {
    Json(look(&health, &timing, &live))
}
