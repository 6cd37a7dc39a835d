//! Days as the visitor counts them: in the zone that their browser has told (a cookie of assets/app.js), else in UTC.

use jiff::{
    Span, Timestamp, Zoned,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::Visitor;

const COOKIE: &str = "dialplane_zone";

pub fn zone_of(visitor: &Visitor) -> TimeZone {
    let told = visitor.request.cookie(COOKIE);
    let name = told.as_ref().map(|told| told.value().replace("%2F", "/"));
    name.and_then(|name| name.parse::<crate::text::zone::TimeZone>().ok()).map_or(TimeZone::UTC, |zone| zone.rules())
}

fn begins(day: Date, zone: &TimeZone) -> Option<String> {
    day.to_datetime(Time::midnight()).to_zoned(zone.clone()).ok().map(|at| at.timestamp().to_string())
}

/// From when until before when these days are, in a zone that is not the visitor's.
pub fn of_days(zone: &TimeZone, first: Date, last: Date) -> (Option<String>, Option<String>) {
    (begins(first, zone), last.tomorrow().ok().and_then(|day| begins(day, zone)))
}

/// From when until before when a period is.
pub fn between(zone: &TimeZone, period: &str, from: &str, to: &str) -> (Option<String>, Option<String>) {
    of(&Timestamp::now().to_zoned(zone.clone()), period, from, to)
}

fn of(now: &Zoned, period: &str, from: &str, to: &str) -> (Option<String>, Option<String>) {
    let (zone, today) = (now.time_zone().clone(), now.date());
    let begins = |day: Date| begins(day, &zone);
    let ago = |days: i64| today.checked_sub(Span::new().days(days)).ok().and_then(begins);
    match period {
        "today" => (begins(today), None),
        "yesterday" => (ago(1), begins(today)),
        "week" => (ago(6), None),
        "days30" => (ago(29), None),
        "custom" => {
            let to = to.parse::<Date>().ok().and_then(|day| day.tomorrow().ok());
            (from.parse::<Date>().ok().and_then(begins), to.and_then(begins))
        }
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_where_the_visitor_is() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        // Half past midnight in Berlin, while it is still the day before in UTC.
        let now = "2026-03-29T22:30:00Z".parse::<Timestamp>().unwrap().to_zoned(berlin);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of(&now, "today", "", ""), (some("2026-03-29T22:00:00Z"), None));
        // That day has 23 hours.
        assert_eq!(of(&now, "yesterday", "", ""), (some("2026-03-28T23:00:00Z"), some("2026-03-29T22:00:00Z")));
        let custom = of(&now, "custom", "2026-01-01", "2026-01-31");
        assert_eq!(custom, (some("2025-12-31T23:00:00Z"), some("2026-01-31T23:00:00Z")));
        assert_eq!(of(&now, "custom", "x", "9999-12-31"), (None, None));
    }
}
