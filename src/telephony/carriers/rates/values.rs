//! The values of a rate sheet in their many spellings. An ambiguous value is refused, never guessed.

use chrono::{DateTime, NaiveDate, Utc};

use crate::{model::settings::Currency, text::Prefix};

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
        let (number, _) = amount(text);
        if let Some((whole, decimals)) = number.rsplit_once(',')
            && !decimals.contains('.')
            && (decimals.len() != 3 || whole.contains('.') || whole.trim_start_matches('0').is_empty())
        {
            *self = Self::Comma;
        }
    }
}

/// A price without its currency, and the currency.
fn amount(text: &str) -> (&str, Option<String>) {
    const SIGNS: [(char, &str); 3] = [('$', "$"), ('€', "EUR"), ('£', "GBP")];
    let text = text.trim();
    for (sign, name) in SIGNS {
        if let Some(number) = text.strip_prefix(sign).or_else(|| text.strip_suffix(sign)) {
            return (number.trim(), Some(name.to_owned()));
        }
    }
    // Other words of three letters may be units, such as cts.
    let known = |word: &str| Currency::parse(&word.trim().to_ascii_uppercase()).ok().map(|known| known.to_string());
    if let Some((number, word)) = text.rsplit_once(' ')
        && let Some(currency) = known(word)
    {
        return (number.trim(), Some(currency));
    }
    if let Some((word, number)) = text.split_once(' ')
        && let Some(currency) = known(word)
    {
        return (number.trim(), Some(currency));
    }
    (text, None)
}

/// The currency that a price or a column of currencies names. A dollar sign may be that of several.
#[must_use]
pub fn currency(price: &str, column: Option<&str>) -> Option<String> {
    amount(price).1.or_else(|| column.map(|text| text.trim().to_ascii_uppercase()))
}

/// A price per minute, in millionths.
pub fn price(text: &str, decimals: Decimals) -> Result<i64, Reason> {
    let wrong = || format!("the price {text:?} is not a decimal number such as 0.0125");
    let (number, _) = amount(text);
    let unclear = |one: String, other: String| Err(format!("the price {text:?} may be {one} or {other}"));
    // Thousands are groups of three digits; `45,0.01` is two values.
    let without = |thousands: char, decimal: char| {
        let (whole, fraction) = number.rsplit_once(decimal)?;
        let mut groups = whole.split(thousands);
        let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()));
        let fine = first && groups.all(|group| group.len() == 3);
        fine.then(|| format!("{}.{fraction}", whole.replace(thousands, "")))
    };
    let plain = match (number.rfind(','), number.rfind('.')) {
        (None, Some(point)) if decimals == Decimals::Comma && number.len() - point - 1 == 3 => {
            let is_clear = number[..point].trim_start_matches('0').is_empty();
            if !is_clear {
                return unclear(number.to_owned(), number.replace('.', ""));
            }
            number.to_owned()
        }
        (None, _) => number.to_owned(),
        (Some(comma), Some(point)) if comma > point => without('.', ',').ok_or_else(wrong)?,
        (Some(_), Some(_)) => without(',', '.').ok_or_else(wrong)?,
        (Some(comma), None) => {
            let is_clear = number.len() - comma - 1 != 3 || number[..comma].trim_start_matches('0').is_empty();
            if !is_clear && decimals == Decimals::Unknown {
                return unclear(number.replace(',', "."), number.replace(',', ""));
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

/// The digits of a country code, such as `44` or `+44`. A country's letters are none.
#[must_use]
pub fn country(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).unwrap_or(text);
    let fine = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| digits.to_owned())
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

/// Seconds, such as `60`, `60s`, `60 sec` or `1 min`.
pub fn seconds(text: &str) -> Result<i16, Reason> {
    let wrong = || format!("{text:?} is not 1 to 3600 seconds");
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds_each = match unit.trim().trim_end_matches('.').to_ascii_lowercase().as_str() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" | "sek" | "sekunde" | "sekunden" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" | "minuten" => 60,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<i16>().ok().and_then(|number| number.checked_mul(seconds_each));
    seconds.filter(|seconds| (1..=3600).contains(seconds)).ok_or_else(wrong)
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
        for text in ["45,0.01", "1,2345.6", "1.234.5,6", "12345,678.9", "0.9 cts", "1 min", "$1€"] {
            assert!(price(text, Decimals::Unknown).is_err(), "{text}");
        }
        assert!(price("1.234", Decimals::Comma).unwrap_err().contains("may be 1.234 or 1234"));
        assert_eq!(price("0.012", Decimals::Comma), Ok(12_000));
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
    fn seconds_have_a_unit_or_none_and_a_minute_is_sixty() {
        for (text, read) in [("60", 60), ("6s", 6), ("30 sec.", 30), ("1 min", 60), ("1m", 60), ("2 Minuten", 120)] {
            assert_eq!(seconds(text), Ok(read), "{text}");
        }
        for text in ["", "s", "0", "3601", "61 min", "1 h", "6x", "1.5", "-6", "32767 min", "60/60", "6 6"] {
            assert!(seconds(text).is_err(), "{text}");
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
