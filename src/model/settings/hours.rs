//! Business hours: spans per weekday in the tenant's time zone, and the days on which they don't count.

use std::fmt;

use jiff::{Timestamp, civil, tz::TimeZone as Zone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{SettingsError, words::Words, wrong};
use crate::text::{Code, TextError};

/// The most spans of one day.
const MOST_SPANS: usize = 8;
const MOST_HOLIDAYS: usize = 100;
const DAY: u16 = 24 * 60;

/// Minutes since midnight, written as `HH:MM`. `24:00` is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, example = "09:30")]
pub struct Clock(u16);

impl Clock {
    fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| (digits.len() == 2).then(|| digits.parse::<u16>().ok()).flatten();
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let fine = minutes < 60 && hours * 60 + minutes <= DAY;
        fine.then_some(Self(hours * 60 + minutes))
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(TextError(Code::NotATime).for_serde()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    pub open: Clock,
    pub close: Clock,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    #[schema(value_type = String, example = "2026-12-25")]
    pub date: civil::Date,
    pub name: Words,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BusinessHours {
    pub monday: Vec<Span>,
    pub tuesday: Vec<Span>,
    pub wednesday: Vec<Span>,
    pub thursday: Vec<Span>,
    pub friday: Vec<Span>,
    pub saturday: Vec<Span>,
    pub sunday: Vec<Span>,
    /// Closed all day.
    pub holidays: Vec<Holiday>,
}

impl BusinessHours {
    fn day(&self, weekday: civil::Weekday) -> &[Span] {
        match weekday {
            civil::Weekday::Monday => &self.monday,
            civil::Weekday::Tuesday => &self.tuesday,
            civil::Weekday::Wednesday => &self.wednesday,
            civil::Weekday::Thursday => &self.thursday,
            civil::Weekday::Friday => &self.friday,
            civil::Weekday::Saturday => &self.saturday,
            civil::Weekday::Sunday => &self.sunday,
        }
    }

    pub fn check(&self) -> Result<(), SettingsError> {
        let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        for (name, weekday) in names.into_iter().zip(civil::Weekday::Monday.cycle_forward()) {
            let spans = self.day(weekday);
            let field = format!("business_hours.{name}");
            if spans.len() > MOST_SPANS {
                return Err(wrong(&field, Code::TooManySpans.with("most", MOST_SPANS)));
            }
            for (at, span) in spans.iter().enumerate() {
                if span.close <= span.open {
                    return Err(wrong(&format!("{field}[{at}].close"), Code::ClosesBeforeItOpens));
                }
                if spans[..at].last().is_some_and(|before| before.close > span.open) {
                    return Err(wrong(&format!("{field}[{at}].open"), Code::SpansOverlap));
                }
            }
        }
        if self.holidays.len() > MOST_HOLIDAYS {
            return Err(wrong("business_hours.holidays", Code::TooManyDays.with("most", MOST_HOLIDAYS)));
        }
        Ok(())
    }

    /// Whether it is open at a moment in a time zone. The local time counts. When clocks change, some local times are skipped or
    /// come twice.
    #[must_use]
    pub fn is_open(&self, at: Timestamp, zone: &Zone) -> bool {
        let local = zone.to_datetime(at);
        if self.holidays.iter().any(|holiday| holiday.date == local.date()) {
            return false;
        }
        let time = local.time();
        let minute = u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs());
        self.day(local.date().weekday()).iter().any(|span| (span.open.0..span.close.0).contains(&minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours() -> BusinessHours {
        let span = |open, close| Span { open: Clock::parse(open).unwrap(), close: Clock::parse(close).unwrap() };
        BusinessHours {
            sunday: vec![span("01:30", "03:30"), span("22:00", "24:00")],
            monday: vec![span("00:00", "02:00"), span("09:00", "12:00")],
            holidays: vec![Holiday { date: civil::date(2026, 12, 28), name: Words::parse("Closed").unwrap() }],
            ..BusinessHours::default()
        }
    }

    fn open(zone: &str, at: &str) -> bool {
        hours().is_open(at.parse().unwrap(), &Zone::get(zone).unwrap())
    }

    #[test]
    fn hours_are_those_that_the_tenants_clocks_show() {
        hours().check().unwrap();
        // Monday 2026-11-23, 09:00 and 12:00 in Berlin (UTC+1).
        assert!(open("Europe/Berlin", "2026-11-23T08:00:00Z") && !open("Europe/Berlin", "2026-11-23T11:00:00Z"));
        assert!(!open("America/New_York", "2026-11-23T08:00:00Z") && open("America/New_York", "2026-11-23T14:00:00Z"));
        // Around midnight.
        assert!(open("Europe/Berlin", "2026-11-22T22:59:59Z") && open("Europe/Berlin", "2026-11-22T23:00:00Z"));
        assert!(!open("Europe/Berlin", "2026-12-28T08:30:00Z"), "a holiday");
    }

    #[test]
    fn hours_hold_when_clocks_are_put_forward_and_back() {
        // 2026-03-29, Berlin: 02:00 becomes 03:00. 01:59 is 00:59 UTC, 03:00 is 01:00 UTC.
        assert!(open("Europe/Berlin", "2026-03-29T00:59:00Z") && open("Europe/Berlin", "2026-03-29T01:29:00Z"));
        assert!(!open("Europe/Berlin", "2026-03-29T01:30:00Z"), "03:30");
        // 2026-10-25, Berlin: 03:00 becomes 02:00, so 02:30 comes twice. It is open both times.
        assert!(open("Europe/Berlin", "2026-10-25T00:30:00Z") && open("Europe/Berlin", "2026-10-25T01:30:00Z"));
        assert!(!open("Europe/Berlin", "2026-10-25T02:30:00Z"), "03:30");
        // 2026-03-08, New York: 02:00 becomes 03:00.
        assert!(open("America/New_York", "2026-03-08T06:59:00Z") && open("America/New_York", "2026-03-08T07:10:00Z"));
    }

    #[test]
    fn spans_that_overlap_or_end_before_they_begin_are_refused() {
        let span = |open, close| Span { open: Clock(open), close: Clock(close) };
        let with =
            |spans: Vec<Span>| BusinessHours { tuesday: spans, ..BusinessHours::default() }.check().unwrap_err().field;
        assert_eq!(with(vec![span(600, 600)]), "business_hours.tuesday[0].close");
        assert_eq!(with(vec![span(600, 700), span(690, 800)]), "business_hours.tuesday[1].open");
        for text in ["9:00", "24:01", "12:60", "ab:cd", "12", "-1:00"] {
            assert!(Clock::parse(text).is_none(), "{text}");
        }
        assert_eq!(Clock::parse("24:00").unwrap().to_string(), "24:00");
    }
}
