//! Reports: how many calls there were, how soon they were answered and what they cost, beside the time before; and what a month used.

use std::collections::HashMap;

use actix_web::{
    get,
    web::{Query, ServiceConfig},
};
use askama::Template;
use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    Page, Shell, Turned, Visitor,
    ask::{Ask, turned, with},
    calls::{money, named},
    ok,
    zone::of_days,
};
use crate::{
    model::measure::Measure,
    telephony::reports,
    tenancy::auth::{
        actor::Actor,
        rules::{Level, Resource},
    },
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(calls).service(usage);
}

const PERIODS: [&str; 6] = ["today", "week", "month", "last_month", "quarter", "custom"];
const PERS: [&str; 4] = ["hour", "day", "week", "month"];
const BYS: [&str; 7] = ["all", "agent", "queue", "number", "carrier", "country", "disposition"];
const DIRECTIONS: [&str; 3] = ["inbound", "outbound", "internal"];
const WITHIN: [&str; 9] = ["5", "10", "15", "20", "30", "45", "60", "90", "120"];

/// A figure beside that of the time before.
struct Figure {
    label: String,
    value: String,
    /// How it changed, and whether that is good: `good`, `bad` or neither.
    change: String,
    class: &'static str,
}

struct Row {
    label: String,
    href: String,
    cells: Vec<String>,
}

struct Chosen {
    name: &'static str,
    label: &'static str,
    options: Vec<(String, String, bool)>,
}

#[derive(Template)]
#[template(path = "web/reports.html")]
struct ReportsPage<'a> {
    s: &'a Shell,
    choices: Vec<Chosen>,
    since: String,
    until: String,
    zone: String,
    figures: Vec<Figure>,
    heads: Vec<&'static str>,
    rows: Vec<Row>,
    /// What is drawn, as JSON; empty if there is nothing to draw.
    chart: String,
    export: String,
    /// Whether there are more rows than can be shown.
    more: bool,
    /// Why there are no reports.
    refused: Option<String>,
}

struct Asked {
    period: &'static str,
    per: &'static str,
    by: &'static str,
    direction: &'static str,
    within: &'static str,
    since: Date,
    until: Date,
}

fn one_of(known: &[&'static str], wanted: Option<&String>, otherwise: &'static str) -> &'static str {
    known.iter().copied().find(|one| wanted.is_some_and(|wanted| wanted == one)).unwrap_or(otherwise)
}

/// The days of a period, and how much each row covers by default.
fn days(period: &str, today: Date) -> (Date, Date, &'static str) {
    let ago = |days: i64| today.checked_sub(Span::new().days(days)).unwrap_or(today);
    match period {
        "today" => (today, today, "hour"),
        "week" => (ago(6), today, "day"),
        "last_month" => {
            let last = today.first_of_month().yesterday().unwrap_or(today);
            (last.first_of_month(), last, "day")
        }
        "quarter" => (ago(89), today, "week"),
        _ => (today.first_of_month(), today, "day"),
    }
}

impl Asked {
    fn of(visitor: &Visitor, today: Date) -> Self {
        let query = Query::<HashMap<String, String>>::from_query(visitor.request.query_string());
        Self::read(&query.map(Query::into_inner).unwrap_or_default(), today)
    }

    fn read(query: &HashMap<String, String>, today: Date) -> Self {
        let day = |name: &str| query.get(name).and_then(|day| day.parse::<Date>().ok());
        let mut period = one_of(&PERIODS, query.get("period"), "week");
        let (mut since, mut until, mut per) = days(period, today);
        if period == "custom" {
            match (day("since"), day("until")) {
                (Some(from), Some(to)) if from <= to => {
                    (since, until) = (from, to);
                    per = if from == to { "hour" } else { "day" };
                }
                _ => period = "month",
            }
        }
        Self {
            period,
            per: one_of(&PERS, query.get("per"), per),
            by: one_of(&BYS, query.get("by"), "all"),
            direction: one_of(&DIRECTIONS, query.get("direction"), ""),
            within: one_of(&WITHIN, query.get("within"), "20"),
            since,
            until,
        }
    }

    fn path(&self, actor: &Actor, tenant: uuid::Uuid, path: &str) -> String {
        let mut path = named(actor, tenant, path);
        let days = [("since", self.since.to_string()), ("until", self.until.to_string())];
        for (name, value) in days.iter().map(|(name, day)| (*name, day.as_str())).chain([
            ("by", self.by),
            ("within_seconds", self.within),
            ("direction", self.direction),
            // Rows are about time, or about something else.
            ("per", if self.by == "all" { self.per } else { "" }),
        ]) {
            if !value.is_empty() {
                path = with(&path, name, value);
            }
        }
        path
    }
}

fn percent(value: &Value) -> Option<f64> {
    value.as_f64().map(|share| share * 100.0)
}

/// Seconds as people say them.
fn seconds(value: Option<f64>) -> String {
    value.map_or_else(
        || "–".into(),
        |seconds| if seconds < 100.0 { format!("{seconds:.0} s") } else { super::calls::lasted_f(seconds) },
    )
}

fn whole(value: &Value) -> String {
    value.as_i64().map_or_else(|| "–".into(), |number| number.to_string())
}

fn share(value: &Value) -> String {
    percent(value).map_or_else(|| "–".into(), |share| format!("{share:.1} %"))
}

/// `is_good`: whether more is better; `None` if it is neither.
fn figure(
    label: String,
    value: String,
    now: Option<f64>,
    before: Option<f64>,
    is_good: Option<bool>,
    in_points: bool,
) -> Figure {
    let (change, class) = match (now, before) {
        (Some(now), Some(before)) if in_points || before > 0.0 => {
            let by = if in_points { now - before } else { (now - before) / before * 100.0 };
            let unit = if in_points { "" } else { " %" };
            let class = match is_good {
                Some(good) if by.abs() >= 0.05 => {
                    if (by > 0.0) == good {
                        "good"
                    } else {
                        "bad"
                    }
                }
                _ => "",
            };
            (format!("{by:+.1}{unit}").replace('-', "−"), class)
        }
        _ => (String::new(), ""),
    };
    Figure { label, value, change, class }
}

fn figures(s: &Shell, report: &Value, sees_cost: Option<&str>) -> Vec<Figure> {
    let (now, before) = (&report["total"], &report["before"]);
    let count = |field: &str, key: &str, is_good| {
        let [is, was] = [now, before].map(|of| of[field].as_f64());
        figure(super::catalogue::text(key, s.language).to_owned(), whole(&now[field]), is, was, is_good, false)
    };
    let lost = |figures: &Value| Some(figures["missed"].as_f64()? + figures["abandoned"].as_f64()?);
    let missed = lost(now).map_or_else(|| "–".into(), |lost| format!("{lost:.0}"));
    let wait = |figures: &Value| figures["average_wait_seconds"].as_f64();
    let mut all = vec![
        count("calls", "reports.calls", None),
        count("answered", "reports.answered", Some(true)),
        figure(s.t("reports.lost").to_owned(), missed, lost(now), lost(before), Some(false), false),
        figure(
            s.t_with("reports.level", &[("seconds", report["within_seconds"].to_string())]),
            share(&now["service_level"]),
            percent(&now["service_level"]),
            percent(&before["service_level"]),
            Some(true),
            true,
        ),
        figure(s.t("reports.wait").to_owned(), seconds(wait(now)), wait(now), wait(before), Some(false), false),
        figure(
            s.t("reports.talk").to_owned(),
            seconds(now["average_talk_seconds"].as_f64()),
            now["average_talk_seconds"].as_f64(),
            before["average_talk_seconds"].as_f64(),
            None,
            false,
        ),
    ];
    if let Some(currency) = sees_cost {
        let value = money(now["cost"].as_i64().unwrap_or_default(), currency);
        all.push(figure(
            s.t("reports.cost").to_owned(),
            value,
            now["cost"].as_f64(),
            before["cost"].as_f64(),
            None,
            false,
        ));
    }
    all
}

/// When a row begins, in words of the tenant's zone.
fn begins(at: &str, per: &str, zone: &TimeZone) -> String {
    let Ok(at) = at.parse::<Timestamp>() else { return at.to_owned() };
    let at = at.to_zoned(zone.clone());
    match per {
        "hour" => at.strftime("%Y-%m-%d %H:%M").to_string(),
        "month" => at.strftime("%Y-%m").to_string(),
        _ => at.strftime("%Y-%m-%d").to_string(),
    }
}

fn row(s: &Shell, row: &Value, asked: &Asked, zone: &TimeZone, currency: &str) -> Row {
    let text = |field: &str| row[field].as_str().unwrap_or_default();
    let key = text("key");
    let label = if asked.by == "all" {
        begins(text("begins_at"), asked.per, zone)
    } else {
        let name = Some(text("name")).filter(|name| !name.is_empty()).unwrap_or(key);
        if name.is_empty() { s.t("reports.nobody").to_owned() } else { super::resource::formatted(name) }
    };
    let filter = match asked.by {
        "agent" => "agent_id",
        "queue" => "queue_id",
        "number" => "number_id",
        "carrier" => "carrier_id",
        "country" => "country",
        "disposition" => "disposition",
        _ => "",
    };
    let href = if filter.is_empty() || key.is_empty() {
        String::new()
    } else {
        let (since, until) = of_days(zone, asked.since, asked.until);
        let (since, until) = (since.unwrap_or_default(), until.unwrap_or_default());
        let direction = Some(asked.direction).filter(|way| !way.is_empty()).map(|way| format!("&direction={way}"));
        let direction = direction.unwrap_or_default();
        format!("/app/calls?{filter}={}&since={since}&until={until}{direction}", super::in_query(key))
    };
    Row {
        label,
        href,
        cells: vec![
            whole(&row["calls"]),
            whole(&row["answered"]),
            whole(&row["missed"]),
            whole(&row["abandoned"]),
            share(&row["answer_rate"]),
            share(&row["service_level"]),
            seconds(row["average_wait_seconds"].as_f64()),
            seconds(row["longest_wait_seconds"].as_f64()),
            seconds(row["average_talk_seconds"].as_f64()),
            money(row["cost"].as_i64().unwrap_or_default(), currency),
        ],
    }
}

const HEADS: [&str; 10] = [
    "reports.calls",
    "reports.answered",
    "reports.missed",
    "reports.abandoned",
    "reports.rate",
    "reports.level_short",
    "reports.wait",
    "reports.longest",
    "reports.talk",
    "reports.cost",
];

/// What the chart draws: times, and calls answered, voicemail and lost. Times without calls have none.
fn chart(s: &Shell, report: &Value, per: &str, zone: &str) -> String {
    let rows = report["rows"].as_array().into_iter().flatten();
    let mut columns = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for row in rows {
        let Some(at) = row["begins_at"].as_str().and_then(|at| at.parse::<Timestamp>().ok()) else { continue };
        let number = |field: &str| row[field].as_i64().unwrap_or_default();
        let lost = number("missed") + number("abandoned");
        let answered = number("answered");
        for (column, value) in
            columns.iter_mut().zip([at.as_second(), answered, lost, number("calls") - answered - lost])
        {
            column.push(value);
        }
    }
    if columns[0].is_empty() {
        return String::new();
    }
    let names =
        ["reports.answered", "reports.lost", "reports.other"].map(|key| super::catalogue::text(key, s.language));
    json!({ "columns": columns, "names": names, "per": per, "zone": zone, "all": s.t("reports.calls") }).to_string()
}

fn chosen(s: &Shell, name: &'static str, label: &'static str, group: &str, values: &[&str], is: &str) -> Chosen {
    let options = values.iter().map(|value| {
        let text = if group.is_empty() { format!("{value} s") } else { s.t_of(group, value) };
        ((*value).to_owned(), text, *value == is)
    });
    Chosen { name, label, options: options.collect() }
}

/// The visitor's tenant, its zone and its currency.
async fn arrive(visitor: &mut Visitor) -> Result<(Actor, uuid::Uuid, String, String), Turned> {
    let actor = visitor.needs(Resource::Reports, Level::Read)?;
    let tenant = Visitor::in_tenant(&actor)?;
    visitor.shell.active = "reports";
    let whose = reports::store::whose(&mut *visitor.api.read(&actor).await?, tenant).await?;
    let (zone, currency) = whose.map(|whose| (whose.zone, whose.currency.unwrap_or_default())).unwrap_or_default();
    Ok((actor, tenant, zone, currency))
}

#[get("/app/reports")]
async fn calls(mut visitor: Visitor) -> Page {
    let (actor, tenant, zone_name, currency) = arrive(&mut visitor).await?;
    let zone = TimeZone::get(&zone_name).unwrap_or(TimeZone::UTC);
    let today = Timestamp::now().to_zoned(zone.clone()).date();
    let asked = Asked::of(&visitor, today);
    let answer = visitor.ask(Ask::get(asked.path(&actor, tenant, "/v1/reports/calls"))).await;
    let s = &visitor.shell;
    let (report, refused) = match answer {
        Ok(answer) => (answer.body, None),
        // The tenant has no reports.
        Err(problem) if problem.log_id().is_none() => (Value::Null, Some(s.reason(&problem.reason()))),
        Err(problem) => return Err(turned(problem)),
    };
    let choices = vec![
        chosen(s, "period", "calls.period", "period", &PERIODS, asked.period),
        chosen(s, "by", "reports.by", "report_by", &BYS, asked.by),
        chosen(s, "per", "reports.per", "report_per", &PERS, asked.per),
        chosen(s, "direction", "calls.direction", "value", &DIRECTIONS, asked.direction),
        chosen(s, "within", "reports.within", "", &WITHIN, asked.within),
    ];
    let rows = report["rows"].as_array().into_iter().flatten();
    ok(&ReportsPage {
        choices,
        since: asked.since.to_string(),
        until: asked.until.to_string(),
        figures: if refused.is_none() { figures(s, &report, Some(&currency)) } else { Vec::new() },
        heads: HEADS.into(),
        rows: rows.map(|one| row(s, one, &asked, &zone, &currency)).collect(),
        chart: if asked.by == "all" { chart(s, &report, asked.per, &zone_name) } else { String::new() },
        export: asked.path(&actor, tenant, "/v1/reports/calls.csv"),
        zone: zone_name.replace('_', " "),
        more: report["more"] == true,
        refused,
        s,
    })
}

#[derive(Template)]
#[template(path = "web/usage.html")]
struct UsagePage<'a> {
    s: &'a Shell,
    month: String,
    zone: String,
    heads: Vec<&'static str>,
    rows: Vec<Row>,
    figures: Vec<Figure>,
    limits: Vec<LimitLine>,
}

/// How much of a limit is used.
struct LimitLine {
    label: String,
    text: String,
    is_near: bool,
}

/// What a month has used of the limits that there are.
fn limits(s: &Shell, month: &Value) -> Vec<LimitLine> {
    let line = |measure: Measure| {
        let most = month["limits"][measure.as_str()].as_i64().filter(|most| *most > 0)?;
        let used = month[measure.as_str()].as_i64()?;
        let amount = |amount| measure.amount(amount, month["currency"].as_str(), s.language);
        let percent = i128::from(used) * 100 / i128::from(most);
        let values = [("percent", percent.to_string()), ("used", amount(used)), ("most", amount(most))];
        let label = measure.name(s.language).to_owned();
        Some(LimitLine { label, text: s.t_with("usage.of_limit", &values), is_near: percent >= 80 })
    };
    Measure::ALL.into_iter().filter_map(line).collect()
}

/// How many months are beside each other.
const MONTHS: i64 = 6;

const USED: [(&str, &str); 9] = [
    ("calls", "reports.calls"),
    ("calls_in", "usage.calls_in"),
    ("calls_out", "usage.calls_out"),
    ("minutes_in", "usage.minutes_in"),
    ("minutes_out", "usage.minutes_out"),
    ("peak_calls", "usage.peak"),
    ("extensions", "usage.extensions"),
    ("numbers", "usage.numbers"),
    ("cost", "reports.cost"),
];

#[get("/app/usage")]
async fn usage(mut visitor: Visitor) -> Page {
    let (actor, tenant, zone_name, _) = arrive(&mut visitor).await?;
    let zone = TimeZone::get(&zone_name).unwrap_or(TimeZone::UTC);
    let this = Timestamp::now().to_zoned(zone).date().first_of_month();
    let wanted = visitor.in_query("month").and_then(|month| format!("{month}-01").parse::<Date>().ok()).unwrap_or(this);
    let mut rows = Vec::new();
    let mut used = Vec::new();
    for ago in 0..MONTHS {
        let Ok(first) = wanted.checked_sub(Span::new().months(ago)) else { break };
        let month = first.strftime("%Y-%m").to_string();
        let path = with(&named(&actor, tenant, "/v1/usage"), "month", &month);
        let of = visitor.ask(Ask::get(path)).await.map_err(turned)?.body;
        let currency = of["currency"].as_str().unwrap_or_default().to_owned();
        let cell = |field: &str| match field {
            "cost" => money(of["cost"].as_i64().unwrap_or_default(), &currency),
            field => whole(&of[field]),
        };
        rows.push(Row {
            label: month,
            href: String::new(),
            cells: USED.iter().map(|(field, _)| cell(field)).collect(),
        });
        used.push(of);
    }
    let s = &visitor.shell;
    let figures =
        USED.iter().zip(rows.first().map(|row| row.cells.clone()).unwrap_or_default()).map(|((field, key), value)| {
            let [now, before] = [0, 1].map(|at| used.get(at).and_then(|of| of[*field].as_f64()));
            figure(super::catalogue::text(key, s.language).to_owned(), value, now, before, None, false)
        });
    ok(&UsagePage {
        limits: used.first().map(|of| limits(s, of)).unwrap_or_default(),
        figures: figures.collect(),
        heads: USED.iter().map(|(_, key)| *key).collect(),
        month: wanted.strftime("%Y-%m").to_string(),
        zone: zone_name.replace('_', " "),
        rows,
        s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_whole_days_of_the_tenant_and_nonsense_is_a_week() {
        let today = "2026-03-15".parse::<Date>().unwrap();
        let read = |pairs: &[(&str, &str)]| {
            let query = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let asked = Asked::read(&query, today);
            (asked.since.to_string(), asked.until.to_string(), asked.per, asked.by)
        };
        let of = |since: &str, until: &str, per, by| (since.to_owned(), until.to_owned(), per, by);
        assert_eq!(read(&[("period", "evil"), ("by", "evil")]), of("2026-03-09", "2026-03-15", "day", "all"));
        assert_eq!(read(&[("period", "last_month")]), of("2026-02-01", "2026-02-28", "day", "all"));
        assert_eq!(read(&[("period", "today"), ("by", "queue")]), of("2026-03-15", "2026-03-15", "hour", "queue"));
        let custom = [("period", "custom"), ("since", "2026-01-01"), ("until", "2026-01-31"), ("per", "week")];
        assert_eq!(read(&custom), of("2026-01-01", "2026-01-31", "week", "all"));
        let wrong = [("period", "custom"), ("since", "2026-02-01"), ("until", "2026-01-31")];
        assert_eq!(read(&wrong), of("2026-03-01", "2026-03-15", "day", "all"));
    }

    #[test]
    fn a_figure_says_how_it_changed_and_whether_that_is_good() {
        let of = |now, before, is_good, in_points| {
            let figure = figure(String::new(), String::new(), now, before, is_good, in_points);
            (figure.change, figure.class)
        };
        assert_eq!(of(Some(12.0), Some(10.0), Some(true), false), ("+20.0 %".into(), "good"));
        assert_eq!(of(Some(5.0), Some(10.0), Some(false), false), ("−50.0 %".into(), "good"));
        assert_eq!(of(Some(80.0), Some(90.0), Some(true), true), ("−10.0".into(), "bad"));
        assert_eq!(of(Some(5.0), Some(0.0), Some(true), false), (String::new(), ""));
        assert_eq!(of(None, Some(10.0), Some(true), false), (String::new(), ""));
    }
}
