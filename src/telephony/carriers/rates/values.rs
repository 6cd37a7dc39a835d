//! The values of a rate sheet in their many spellings. An ambiguous value is refused, never guessed.

use chrono::{DateTime, NaiveDate, Utc};

use crate::text::Prefix;

/// The most prefixes that one line may stand for.
const MOST_OF_A_LINE: u64 = 1000;

/// Why a line is refused, for the report.
pub type Reason = String;

/// What a comma in a sheet's prices means. One unambiguous price decides for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimals {
    #[default]
    Unknown,
    Comma,
}

impl Decimals {
    /// Learns from a price.
    pub fn learn(&mut self, text: &str) {
        let number = bare(text);
        if let Some((whole, decimals)) = number.rsplit_once(',')
            && !decimals.contains('.')
            && (decimals.len() != 3 || whole.contains('.') || whole.trim_start_matches('0').is_empty())
        {
            *self = Self::Comma;
        }
    }
}

/// A price without its currency.
fn bare(text: &str) -> &str {
    let text = text.trim().trim_matches(|c| matches!(c, '$' | '€' | '£'));
    let text = text.trim();
    let is_currency = |word: &str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_alphabetic());
    match text.split_once(' ') {
        Some((number, currency)) if is_currency(currency.trim()) => number,
        Some((currency, number)) if is_currency(currency) => number.trim(),
        _ => text,
    }
}

/// A price per minute, in millionths.
pub fn price(text: &str, decimals: Decimals) -> Result<i64, Reason> {
    let wrong = || format!("the price {text:?} is not a decimal number such as 0.0125");
    let number = bare(text);
    let plain = match (number.rfind(','), number.rfind('.')) {
        (None, _) => number.to_owned(),
        (Some(comma), Some(point)) if comma > point => number.replace('.', "").replace(',', "."),
        (Some(_), Some(_)) => number.replace(',', ""),
        (Some(comma), None) => {
            let is_clear = number.len() - comma - 1 != 3 || number[..comma].trim_start_matches('0').is_empty();
            if !is_clear && decimals == Decimals::Unknown {
                return Err(format!(
                    "the price {text:?} may be {} or {}",
                    number.replace(',', "."),
                    number.replace(',', "")
                ));
            }
            number.replacen(',', ".", 1)
        }
    };
    micros(&plain).ok_or_else(wrong)
}

/// A decimal number in millionths. More than six places are rounded up, in the carrier's favour, as the carrier will charge.
#[must_use]
pub fn micros(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 6 || !digits(whole) || !digits(fraction) || fraction.len() > 12 {
        return None;
    }
    let rest_is_more = fraction.get(6..).is_some_and(|rest| rest.bytes().any(|b| b != b'0'));
    let millionths =
        format!("{:0<6}", fraction.get(..6.min(fraction.len())).unwrap_or_default()).parse::<i64>().ok()?;
    Some(whole.parse::<i64>().ok()? * 1_000_000 + millionths + i64::from(rest_is_more))
}

/// The prefixes of a line: one, several separated by commas, or ranges such as 4930-4939 or 49151-55.
pub fn prefixes(text: &str) -> Result<Vec<Prefix>, Reason> {
    let mut all = Vec::new();
    for part in text.split([',', ';', '|', '/']).map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once(['-', '–']) {
            None => all.push(prefix(part)?),
            Some((from, to)) => range(part, from, to, &mut all)?,
        }
        if all.len() as u64 > MOST_OF_A_LINE {
            return Err(too_many(text));
        }
    }
    if all.is_empty() { Err("the prefix is missing".into()) } else { Ok(all) }
}

fn too_many(text: &str) -> Reason {
    format!("{text:?} is more than {MOST_OF_A_LINE} prefixes")
}

/// A prefix with the country code first, such as `49`, `+49` or `0049`.
fn prefix(text: &str) -> Result<Prefix, Reason> {
    let text = text.replace(' ', "");
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).unwrap_or(&text);
    if digits.starts_with('0') {
        return Err(format!(
            "the prefix {text:?} begins with 0: write it with the country code first, such as 49 or +49"
        ));
    }
    Prefix::parse(digits).map_err(|_| format!("the prefix {text:?} is not 1 to 15 digits"))
}

fn range(part: &str, from: &str, to: &str, all: &mut Vec<Prefix>) -> Result<(), Reason> {
    let wrong = || format!("{part:?} is not a range of prefixes such as 4930-4939");
    let from = prefix(from)?.to_string();
    let to = to.trim();
    let to = if to.starts_with('+') || to.starts_with("00") { prefix(to)?.to_string() } else { to.replace(' ', "") };
    if to.len() > from.len() || to.is_empty() {
        return Err(wrong());
    }
    let to = format!("{}{to}", &from[..from.len() - to.len()]);
    let (first, last) = (from.parse::<u64>().map_err(|_| wrong())?, to.parse::<u64>().map_err(|_| wrong())?);
    if last < first {
        return Err(wrong());
    }
    if last - first >= MOST_OF_A_LINE {
        return Err(too_many(part));
    }
    for number in first..=last {
        all.push(Prefix::parse(&number.to_string()).map_err(|_| wrong())?);
    }
    Ok(())
}

/// Seconds, such as `60`, `60s` or `60 sec`.
pub fn seconds(text: &str) -> Result<i16, Reason> {
    let number = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '.').trim();
    let seconds = number.parse::<i16>().ok().filter(|seconds| (1..=3600).contains(seconds));
    seconds.ok_or_else(|| format!("{text:?} is not 1 to 3600 seconds"))
}

/// First seconds and steps, such as `30/6`.
#[must_use]
pub fn increments(text: &str) -> Option<(&str, &str)> {
    text.split_once(['/', '+', ':', '|']).map(|(first, step)| (first.trim(), step.trim()))
}

/// When a rate begins, in UTC. The date must be unambiguous.
pub fn moment(text: &str) -> Result<DateTime<Utc>, Reason> {
    let moment = if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        moment.to_utc()
    } else {
        // Spreadsheets add the time of midnight.
        let is_midnight = |time: &str| matches!(time, "00:00" | "00:00:00" | "0:00:00" | "00:00:00Z" | "00:00:00.000");
        match text.split_once(['T', ' ']) {
            Some((date, time)) if is_midnight(time) => day(date, text)?,
            _ => day(text, text)?,
        }
    };
    let year = moment.format("%Y").to_string().parse::<i32>().unwrap_or_default();
    if (2000..2100).contains(&year) { Ok(moment) } else { Err(format!("the date {text:?} is not in this century")) }
}

fn day(date: &str, text: &str) -> Result<DateTime<Utc>, Reason> {
    let wrong = || format!("the date {text:?} is not written like 2026-12-31");
    for form in
        ["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y"]
    {
        // Years of two digits don't count.
        if let Ok(day) = NaiveDate::parse_from_str(date, form)
            && day.format("%Y").to_string().len() == 4
            && date.len() >= 8
        {
            return Ok(day.and_hms_opt(0, 0, 0).ok_or_else(wrong)?.and_utc());
        }
    }
    // 12/5/2026 may be in May or in December.
    let parts = date.split(['/', '-']).map(str::parse::<u32>).collect::<Result<Vec<_>, _>>().map_err(|_| wrong())?;
    let &[one, two, year] = parts.as_slice() else { return Err(wrong()) };
    let (month, day) = match (one, two) {
        (1..=12, 13..=31) => (one, two),
        (13..=31, 1..=12) => (two, one),
        (1..=12, 1..=12) if one == two => (one, two),
        (1..=12, 1..=12) => return Err(format!("the date {text:?} may be two days: write it like 2026-12-31")),
        _ => return Err(wrong()),
    };
    // Years of two digits don't count.
    let year = i32::try_from(year).map_err(|_| wrong())?;
    let day = NaiveDate::from_ymd_opt(year, month, day).and_then(|day| day.and_hms_opt(0, 0, 0)).ok_or_else(wrong)?;
    Ok(day.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_millionths() {
        for (text, price) in
            [("0.0125", 12_500), ("1", 1_000_000), ("0.000001", 1), ("0.0000001", 1), ("12.5", 12_500_000), ("0", 0)]
        {
            assert_eq!(micros(text), Some(price), "{text}");
        }
        for text in ["", "-1", "1e3", "1,5", "abc", ".5", "1234567"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn prices_are_read_with_point_or_comma_and_never_guessed() {
        for (text, millionths) in [
            ("0,0125", 12_500),
            ("0,012", 12_000),
            ("1,5", 1_500_000),
            ("$0.01", 10_000),
            ("0,01 €", 10_000),
            ("0.01 USD", 10_000),
            ("EUR 0,01", 10_000),
            ("1.234,5", 1_234_500_000),
            ("1,234.5", 1_234_500_000),
        ] {
            assert_eq!(price(text, Decimals::Unknown), Ok(millionths), "{text}");
        }
        assert!(price("1,234", Decimals::Unknown).unwrap_err().contains("may be 1.234 or 1234"));
        let mut decimals = Decimals::Unknown;
        decimals.learn("2,234");
        assert_eq!(decimals, Decimals::Unknown);
        decimals.learn("0,0125");
        assert_eq!(price("1,234", decimals), Ok(1_234_000));
        for text in ["", "-1", "abc", "1e3", "1,2,3", "0,01 per call"] {
            assert!(price(text, Decimals::Comma).is_err(), "{text}");
        }
    }

    #[test]
    fn prefixes_begin_with_the_country_however_they_are_written() {
        let read = |text| prefixes(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        for (text, digits) in [
            ("49", "49"),
            ("+49", "49"),
            ("0049", "49"),
            ("00 49 30", "4930"),
            ("4930-4933", "4930 4931 4932 4933"),
            ("49151-53", "49151 49152 49153"),
            ("+4930 - +4931", "4930 4931"),
            ("93, 9370; 9375-6", "93 9370 9375 9376"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(digits), "{text}");
        }
        for text in ["", "x", "030", "+", "1-201", "4939-4930", "1000000-1999999", "4.93E+10", "49 30 a"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_unambiguous_dates_are_accepted() {
        for text in [
            "2026-12-15",
            "2026/12/15",
            "20261215",
            "15.12.2026",
            "15/12/2026",
            "12/15/2026",
            "15-12-2026",
            "15 Dec 2026",
            "15-Dec-2026",
            "2026-12-15T00:00:00Z",
            "2026-12-15 00:00:00",
        ] {
            assert_eq!(moment(text).map(|at| at.to_rfc3339()), Ok("2026-12-15T00:00:00+00:00".into()), "{text}");
        }
        assert_eq!(moment("5/5/2026").map(|at| at.to_rfc3339()), Ok("2026-05-05T00:00:00+00:00".into()));
        assert_eq!(moment("2026-10-20 00:00:00").map(|at| at.to_rfc3339()), Ok("2026-10-20T00:00:00+00:00".into()));
        for text in [
            "",
            "soon",
            "12/5/2026",
            "5-12-2026",
            "15.12.26",
            "12/15/26",
            "31/02/2026",
            "-262143-01-01",
            "46000",
            "2026-12-15 07:30",
        ] {
            assert!(moment(text).is_err(), "{text}: {:?}", moment(text));
        }
    }
}
