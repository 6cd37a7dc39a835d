//! What `/metrics` shows besides counters: of each switch, and of work that waits. It is read when somebody asks, so that what is gone has no
//! line, and from memory, so that it is there while the database is away.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::backlog_store::{self, Backlog};
use crate::switch::{
    fetch::Fetch,
    link::states::LinkStates,
    live::{Live, said::Beat},
};

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Work that waits in the database, as it was some seconds ago. Unknown while the database is away.
#[derive(Default)]
pub struct Backlogs(ArcSwapOption<Vec<Backlog>>);

impl Backlogs {
    #[must_use]
    pub fn known(&self) -> Option<Arc<Vec<Backlog>>> {
        self.0.load_full()
    }

    /// Reads it forever.
    pub async fn watch(self: Arc<Self>, pool: PgPool) {
        loop {
            let read = backlog_store::backlogs(&pool).await;
            self.0.store(read.ok().map(Arc::new));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Where the lines of a scrape are read.
pub struct Sources<'a> {
    pub fetch: &'a Fetch,
    pub links: &'a LinkStates,
    pub live: &'a Live,
    pub backlogs: &'a Backlogs,
}

/// The lines of a metric: its labels, written out, and its value.
type Lines = Vec<(String, f64)>;

pub fn write(from: &Sources<'_>, text: &mut String) {
    let mut put = |name: &str, kind: &str, help: &str, lines: Lines| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{{{labels}}} {value}");
        }
    };
    sockets(from, &mut put);
    switches(from.live, &mut put);
    let backlogs = from.backlogs.known();
    let each = |value: fn(&Backlog) -> f64| -> Lines {
        backlogs.iter().flat_map(|known| known.iter()).map(|it| (label("kind", &it.kind), value(it))).collect()
    };
    put("dialplane_backlog", "gauge", "Work that waits in the database, by kind.", each(|it| count(it.waiting)));
    put("dialplane_backlog_oldest_seconds", "gauge", "How long the oldest of it has waited.", each(|it| it.oldest));
}

fn sockets(from: &Sources<'_>, put: &mut impl FnMut(&str, &str, &str, Lines)) {
    let mut sightings = from.fetch.credentials.sightings();
    sightings.sort();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let asked = |ago: Duration| now.saturating_sub(ago).as_secs_f64().round();
    put(
        "dialplane_switch_last_fetch_timestamp_seconds",
        "gauge",
        "When a switch asked this node last, in seconds since 1970, give or take 15; 0: not since the node started.",
        sightings.iter().map(|(name, ago)| (label("switch", name), ago.map_or(0.0, asked))).collect(),
    );
    let links = from.links.known();
    put(
        "dialplane_switch_event_socket_up",
        "gauge",
        "1 while a switch answers over its event socket, 0 while it does not.",
        links.iter().map(|link| (label("switch", &link.switch), f64::from(u8::from(link.is_up)))).collect(),
    );
    put(
        "dialplane_switch_pending_commands",
        "gauge",
        "What a switch was not told yet over its event socket.",
        links.iter().map(|link| (label("switch", &link.switch), f64::from(link.pending))).collect(),
    );
}

/// What this node hears of a switch.
pub struct Sight {
    pub id: Uuid,
    pub switch: String,
    /// Since when nothing is known of it, if so.
    pub unknown_since: Option<DateTime<Utc>>,
    pub gaps: u64,
    pub beat: Option<Beat>,
    pub registrations: usize,
    pub calls: usize,
    pub waiting: usize,
    /// How many are up, and how many are down.
    pub gateways: [usize; 2],
    /// Each of them: to which carrier, its state in the switch's words, and whether it is up.
    pub each_gateway: Vec<(Uuid, String, bool)>,
}

/// What this node hears of all switches, by name.
#[must_use]
pub fn sights(live: &Live) -> Vec<Sight> {
    let watched = live.switches();
    let sights = watched.iter().map(|watched| {
        let known = watched.known();
        let state = &known.state;
        let up = state.gateways.values().filter(|gateway| gateway.is_up).count();
        Sight {
            id: watched.switch,
            switch: watched.name.clone(),
            unknown_since: known.unknown_since,
            gaps: watched.gaps(),
            beat: state.beat,
            registrations: state.registrations.len(),
            calls: state.calls.ids().count(),
            waiting: state.queues.count_waiting(),
            gateways: [up, state.gateways.len() - up],
            each_gateway: state.gateways.iter().map(|(id, one)| (*id, one.state.clone(), one.is_up)).collect(),
        }
    });
    let mut sights = sights.collect::<Vec<_>>();
    sights.sort_by(|one, other| one.switch.cmp(&other.switch));
    sights
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn switches(live: &Live, put: &mut impl FnMut(&str, &str, &str, Lines)) {
    let sights = sights(live);
    let all = |value: &dyn Fn(&Sight) -> Option<f64>| -> Lines {
        sights.iter().filter_map(|sight| Some((label("switch", &sight.switch), value(sight)?))).collect()
    };
    let known = |value: fn(&Sight) -> usize| all(&|sight| sight.unknown_since.is_none().then(|| value(sight) as f64));
    let beat = |value: fn(&Beat) -> f64| all(&|sight| sight.beat.as_ref().map(value));
    let gauge = "gauge";
    put(
        "dialplane_switch_heard",
        gauge,
        "1 while this node hears what goes on at a switch, 0 while it does not: then the metrics below have no line.",
        all(&|sight| Some(f64::from(u8::from(sight.unknown_since.is_none())))),
    );
    put(
        "dialplane_switch_gaps_total",
        "counter",
        "How often this node stopped hearing a switch.",
        all(&|sight| Some(sight.gaps as f64)),
    );
    put("dialplane_switch_registrations", gauge, "Registered phones.", known(|sight| sight.registrations));
    put("dialplane_switch_calls", gauge, "Calls that go on.", known(|sight| sight.calls));
    put("dialplane_switch_callers_waiting", gauge, "Callers who wait in queues.", known(|sight| sight.waiting));
    let gateways = sights.iter().filter(|sight| sight.unknown_since.is_none()).flat_map(|sight| {
        ["up", "down"].into_iter().zip(sight.gateways).map(|(state, count)| {
            (format!("{},{}", label("switch", &sight.switch), label("state", state)), count as f64)
        })
    });
    put("dialplane_switch_gateways", gauge, "Gateways to carriers, by state.", gateways.collect());
    let mut each = Lines::new();
    for sight in sights.iter().filter(|sight| sight.unknown_since.is_none()) {
        for (carrier, state, is_up) in &sight.each_gateway {
            let labels =
                [label("switch", &sight.switch), label("carrier_id", &carrier.to_string()), label("state", state)];
            each.push((labels.join(","), f64::from(u8::from(*is_up))));
        }
    }
    each.sort_by(|one, other| one.0.cmp(&other.0));
    put(
        "dialplane_switch_gateway_up",
        gauge,
        "1 while a gateway to a carrier is up, with what the switch says of it.",
        each,
    );
    put(
        "dialplane_switch_sessions",
        gauge,
        "Legs of calls, by the switch's own count.",
        beat(|beat| beat.sessions.into()),
    );
    put("dialplane_switch_sessions_limit", gauge, "The most legs at once.", beat(|beat| beat.most_sessions.into()));
    put(
        "dialplane_switch_sessions_begun_total",
        "counter",
        "Legs since the switch started.",
        beat(|beat| beat.sessions_ever as f64),
    );
    put(
        "dialplane_switch_sessions_begun_limit",
        gauge,
        "The most legs that may begin in a second.",
        beat(|beat| beat.most_begun.into()),
    );
    put(
        "dialplane_switch_idle_ratio",
        gauge,
        "How much of a switch's processors is unused, from 0 to 1.",
        beat(|beat| f64::from(beat.idle_permille) / 1000.0),
    );
    put(
        "dialplane_switch_uptime_seconds",
        gauge,
        "For how long a switch has been running.",
        beat(|beat| beat.uptime_ms as f64 / 1000.0),
    );
}

fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " "))
}
