//! A tenant's start page: what comes next for a new company, ticked off by itself, what needs a hand, and how much there is.

use actix_web::{get, web::ServiceConfig};
use askama::Template;
use chrono::{DateTime, Utc};
use jiff::{civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{
    Page, Shell, Turned, Visitor,
    ask::{Ask, turned, with},
    calls::{moment, named},
    ok,
    zone::of_days,
};
use crate::{
    http::problem::Problem,
    people::agents::store,
    telephony::{pools, reports},
    tenancy::{
        auth::{
            actor::Actor,
            rules::{Level, Resource, Role},
        },
        tenants,
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(today);
}

/// How many free numbers are few.
const FEW: i64 = 5;
/// How many of each problem are named.
const MOST: usize = 5;

/// Something to do, which is ticked off by itself.
struct Task {
    label: &'static str,
    text: &'static str,
    href: &'static str,
    button: &'static str,
    done: bool,
}

/// Something that needs a hand.
struct Trouble {
    text: String,
    href: String,
}

#[derive(Template)]
#[template(path = "web/today.html")]
struct TodayPage<'a> {
    s: &'a Shell,
    tenant: String,
    domain: String,
    agents: i64,
    invited: i64,
    suspended: i64,
    extensions: i64,
    free: i64,
    numbers: String,
    tasks: Vec<Task>,
    troubles: Vec<Trouble>,
    now: Now,
    can_write: bool,
}

/// A figure of right now or of today.
struct Figure {
    href: String,
    value: String,
    label: String,
    /// The same on the same day last week.
    before: Option<String>,
}

/// What goes on, and what today was like so far.
#[derive(Default)]
struct Now {
    figures: Vec<Figure>,
    /// Agents by state.
    agents: Vec<(&'static str, &'static str, usize)>,
    /// Whether a switch is not heard, so that not everything is known.
    is_unknown: bool,
}

impl TodayPage<'_> {
    fn is_new(&self) -> bool {
        self.can_write && self.tasks.iter().any(|task| !task.done)
    }

    fn done(&self) -> usize {
        self.tasks.iter().filter(|task| task.done).count()
    }
}

fn tasks(people: bool, phone: bool, numbers: &[Value], called: bool) -> Vec<Task> {
    let leads = numbers.iter().any(|number| !number["destination"].is_null());
    vec![
        Task {
            label: "today.add_person",
            text: "today.add_person_text",
            href: "/app/agents/new",
            button: "agents.add",
            done: people,
        },
        Task {
            label: "today.phone",
            text: "today.phone_text",
            href: "/app/agents",
            button: "agents.title",
            done: phone,
        },
        Task {
            label: "today.number",
            text: "today.number_text",
            href: "/phone-numbers/new",
            button: "today.number_button",
            done: !numbers.is_empty(),
        },
        Task {
            label: "today.route",
            text: "today.route_text",
            href: "/phone-numbers",
            button: "nav.numbers",
            done: leads,
        },
        Task { label: "today.call", text: "today.call_text", href: "/app/calls", button: "nav.calls", done: called },
    ]
}

async fn troubles(visitor: &Visitor, tenant: uuid::Uuid, numbers: &[Value], free: i64) -> Result<Vec<Trouble>, Turned> {
    let s = &visitor.shell;
    let mut found = Vec::new();
    let text = |thing: &Value, field: &str| thing[field].as_str().unwrap_or_default().to_owned();
    let idle = numbers.iter().filter(|number| number["destination"].is_null() && number["assignment"].is_null());
    for number in idle.take(MOST) {
        found.push(Trouble {
            text: s.t_with("today.leads_nowhere", &[("number", super::resource::formatted(&text(number, "number")))]),
            href: format!("/phone-numbers/{}", text(number, "id")),
        });
    }
    let queues = visitor.page_of(&format!("/v1/tenants/{tenant}/destinations?kind=queue"), 500, None).await;
    let empty = |queue: &&Value| queue["config"]["tiers"].as_array().is_none_or(Vec::is_empty);
    for queue in queues.map_err(turned)?.items.iter().filter(empty).take(MOST) {
        found.push(Trouble {
            text: s.t_with("today.empty_queue", &[("name", text(queue, "name"))]),
            href: format!("/app/queues/{}", text(queue, "id")),
        });
    }
    if free < FEW {
        found.push(Trouble {
            text: s.t_with("today.few_free", &[("count", free.to_string())]),
            href: "/app/pools".into(),
        });
    }
    Ok(found)
}

const STATES: [(&str, &str); 8] = [
    ("available", "live.available"),
    ("ringing", "live.ringing"),
    ("on_call", "live.on_call"),
    ("wrap_up", "live.wrap_up"),
    ("busy", "live.busy"),
    ("away", "live.away"),
    ("offline", "live.offline"),
    ("unknown", "live.unknown"),
];

/// The sums of a day's hours, until a moment.
#[derive(Default)]
struct Sums {
    answered: i64,
    lost: i64,
    level: Option<f64>,
}

impl Sums {
    /// Only hours that have begun by then.
    fn until(report: &Value, end: DateTime<Utc>) -> Self {
        let mut sums = Self::default();
        let (mut within, mut counted) = (0.0, 0.0);
        for row in report["rows"].as_array().into_iter().flatten() {
            if moment(&row["begins_at"]).is_none_or(|begins| begins > end) {
                continue;
            }
            let number = |field: &str| row[field].as_i64().unwrap_or_default();
            sums.answered += number("answered");
            sums.lost += number("missed") + number("abandoned");
            let of_level = f64::from(i32::try_from(number("answered") + number("abandoned")).unwrap_or(i32::MAX));
            within += row["service_level"].as_f64().unwrap_or_default() * of_level;
            counted += of_level;
        }
        sums.level = (counted > 0.0).then(|| within / counted);
        sums
    }
}

async fn now(visitor: &Visitor, actor: &Actor, tenant: uuid::Uuid) -> Result<Now, Turned> {
    let s = &visitor.shell;
    let live = async |list: &str| {
        let path = with(&named(actor, tenant, &format!("/v1/live/{list}")), "limit", "500");
        visitor.ask(Ask::get(path)).await.map_err(turned).map(|answer| answer.body)
    };
    let (calls, queues, agents) = (live("calls").await?, live("queues").await?, live("agents").await?);
    let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
    let more = if calls["next_cursor"].is_string() { "+" } else { "" };
    let waiting = items(&queues).iter().map(|queue| queue["waiting"].as_array().map_or(0, Vec::len)).sum::<usize>();
    let agents = items(&agents);
    let figure = |href: &str, value: String, key: &str, before| Figure {
        href: href.to_owned(),
        value,
        label: super::catalogue::text(key, s.language).to_owned(),
        before,
    };
    let mut figures = vec![
        figure("/app/live", format!("{}{more}", items(&calls).len()), "live.figure_calls", None),
        figure("/app/live", waiting.to_string(), "live.figure_waiting", None),
    ];
    let whose = reports::store::whose(&mut *visitor.api.read(actor).await?, tenant).await?;
    let (zone, this_day) = whose.map(|whose| (whose.zone, whose.today)).unwrap_or_default();
    let zone = TimeZone::get(&zone).unwrap_or(TimeZone::UTC);
    let hours = async |day: chrono::NaiveDate| {
        let day = day.to_string();
        let path = with(&named(actor, tenant, "/v1/reports/calls?per=hour"), "since", &day);
        visitor.ask(Ask::get(with(&path, "until", &day))).await
    };
    // A tenant may have no reports.
    if let (Ok(day), Ok(before)) = (hours(this_day).await, hours(this_day - chrono::Days::new(7)).await) {
        let at = Utc::now();
        let (day, before) = (Sums::until(&day.body, at), Sums::until(&before.body, at - chrono::Days::new(7)));
        let level = |sums: &Sums| sums.level.map_or_else(|| "–".into(), |level| format!("{:.0} %", level * 100.0));
        // The day is the tenant's, and may be another one where the visitor is.
        let date = this_day.to_string().parse::<Date>().unwrap_or_default();
        let (since, until) = of_days(&zone, date, date);
        let between = format!("since={}&until={}", since.unwrap_or_default(), until.unwrap_or_default());
        let count = |key, now: i64, before: i64, state| {
            figure(&format!("/app/calls?{between}&state={state}"), now.to_string(), key, Some(before.to_string()))
        };
        figures.extend([
            count("today.answered", day.answered, before.answered, "answered"),
            count("today.lost", day.lost, before.lost, "lost"),
            figure("/app/reports?period=today", level(&day), "today.level", Some(level(&before))),
        ]);
    }
    let of = |state: &str| agents.iter().filter(|agent| agent["state"] == state).count();
    let agents = STATES.map(|(state, key)| (state, key, of(state))).into_iter().filter(|(.., count)| *count > 0);
    let is_unknown = calls["unknown"].as_array().is_some_and(|unknown| !unknown.is_empty());
    Ok(Now { figures, agents: agents.collect(), is_unknown })
}

#[get("/app")]
async fn today(mut visitor: Visitor) -> Page {
    let actor = visitor.needs(Resource::Agents, Level::Read)?;
    let tenant = Visitor::in_tenant(&actor)?;
    let mut db = visitor.api.read(&actor).await?;
    let home = tenants::store::get(&mut *db, tenant).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let counts = store::counts(&mut *db, tenant).await?;
    let free = pools::store::usage(&mut db, tenant).await?.free;
    drop(db);
    let mut path = "/v1/phone-numbers".to_owned();
    if actor.role == Role::PlatformAdmin {
        path = with(&path, "tenant_id", &tenant.to_string());
    }
    let listed = visitor.page_of(&path, 500, None).await.map_err(turned)?;
    let numbers = listed.items;
    let more = if listed.next.is_some() { "+" } else { "" };
    let people = counts.users > 1;
    // Whoever has accepted the invitation has seen how their phone is set up.
    let phone = people && counts.users - counts.invited - counts.suspended > 1;
    let calls = with(&named(&actor, tenant, "/v1/calls"), "limit", "1");
    let calls = visitor.ask(Ask::get(calls)).await.map_err(turned)?.body;
    let called = calls["items"].as_array().is_some_and(|calls| !calls.is_empty());
    let can_write = actor.level == Level::Write;
    let troubles = troubles(&visitor, tenant, &numbers, free).await?;
    let now = now(&visitor, &actor, tenant).await?;
    visitor.shell.active = "home";
    ok(&TodayPage {
        s: &visitor.shell,
        tenant: home.name.to_string(),
        domain: home.domain.to_string(),
        agents: counts.users,
        invited: counts.invited,
        suspended: counts.suspended,
        extensions: counts.extensions,
        free,
        numbers: format!("{}{more}", numbers.len()),
        tasks: tasks(people, phone, &numbers, called),
        troubles,
        now,
        can_write,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_hours_that_have_begun_are_compared() {
        let row = |at: &str, answered: i64, missed: i64, level: f64| json!({ "begins_at": at, "answered": answered, "missed": missed, "abandoned": 0, "service_level": level });
        let rows = [
            row("2026-03-02T08:00:00Z", 3, 1, 1.0),
            row("2026-03-02T09:00:00Z", 1, 0, 0.0),
            row("2026-03-02T10:00:00Z", 9, 9, 0.0),
        ];
        let sums = Sums::until(&json!({ "rows": rows }), "2026-03-02T09:30:00Z".parse().unwrap());
        assert_eq!((sums.answered, sums.lost, sums.level), (4, 1, Some(0.75)));
        assert_eq!(Sums::until(&json!({ "rows": [] }), Utc::now()).level, None);
    }
}
