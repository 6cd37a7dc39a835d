//! Rate sheets: CSV of `prefix,price[,first_seconds,step_seconds][,effective_date]`, put in force as a whole.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::store::{self, RateColumns};
use crate::{
    model::error::{Error, Result},
    node::changes::{Audit, Change},
    text::{Code, Prefix},
};

/// Most lines of one sheet.
pub const MOST_LINES: usize = 1_000_000;
/// Of refused lines, so many are told.
const MOST_TOLD: usize = 200;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Report {
    pub rates: usize,
    /// Lines that can't be; with one, the sheet in force stays.
    pub refused: usize,
    /// The first of them, and why.
    pub lines: Vec<Refused>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Refused {
    pub line: usize,
    pub reason: String,
}

/// A sheet as it was read.
pub struct Sheet {
    columns: RateColumns,
    refused: Vec<Refused>,
    refusals: usize,
}

/// Reads a sheet. Prices are decimal, for a minute, in the carrier's currency; `now`: from when rates without a date count.
pub fn read(text: &[u8], now: DateTime<Utc>) -> Result<Sheet> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text);
    let mut sheet = Sheet { columns: RateColumns::default(), refused: Vec::new(), refusals: 0 };
    let mut seen = std::collections::HashSet::new();
    let mut record = csv::StringRecord::new();
    let mut line = 0;
    while reader.read_record(&mut record).map_err(|error| Error::invalid("file", Code::NotCsv.with("reason", error)))? {
        if line == 0 && record.get(0).is_some_and(|text| text.eq_ignore_ascii_case("prefix")) {
            continue;
        }
        line += 1;
        if line > MOST_LINES {
            return Err(Error::invalid("file", Code::TooManyLines.with("most", MOST_LINES)));
        }
        match rate(&record, now) {
            Ok(rate) if !seen.insert((rate.prefix.clone(), rate.effective)) => sheet.refuse(line, "stands there twice"),
            Ok(rate) => {
                sheet.columns.prefixes.push(rate.prefix);
                sheet.columns.effective.push(rate.effective);
                sheet.columns.prices.push(rate.price);
                sheet.columns.first.push(rate.first);
                sheet.columns.steps.push(rate.step);
            }
            Err(reason) => sheet.refuse(line, reason),
        }
    }
    if line == 0 {
        return Err(Error::invalid("file", Code::NoLines));
    }
    Ok(sheet)
}

impl Sheet {
    /// How many rates it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.prefixes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn refuse(&mut self, line: usize, reason: &str) {
        self.refusals += 1;
        if self.refused.len() < MOST_TOLD {
            self.refused.push(Refused { line, reason: reason.to_owned() });
        }
    }
}

struct Rate {
    prefix: String,
    effective: DateTime<Utc>,
    price: i64,
    first: i16,
    step: i16,
}

fn rate(record: &csv::StringRecord, now: DateTime<Utc>) -> std::result::Result<Rate, &'static str> {
    let column = |at| record.get(at).filter(|text: &&str| !text.is_empty());
    let prefix = Prefix::parse(column(0).unwrap_or_default()).map_err(|_| "the prefix is not 1 to 15 digits")?;
    let price = micros(column(1).unwrap_or_default()).ok_or("the price is no decimal number such as 0.0125")?;
    let seconds = |at, usual| match column(at) {
        None => Ok(usual),
        Some(text) => text.parse::<i16>().ok().filter(|n| (1..=3600).contains(n)).ok_or("seconds are 1 to 3600"),
    };
    let (first, step) = (seconds(2, 60)?, seconds(3, 60)?);
    let effective = match column(4) {
        None => now,
        Some(text) => day(text).ok_or("the date is not as 2026-12-31")?,
    };
    Ok(Rate { prefix: prefix.to_string(), effective, price, first, step })
}

fn day(text: &str) -> Option<DateTime<Utc>> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

/// A decimal number in millionths; more than six places are rounded up, to the carrier's favour as it will charge.
fn micros(text: &str) -> Option<i64> {
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

/// Puts a sheet in force, if nothing of it was refused. `progress` is told how many rates are in already.
pub async fn replace(change: &mut Change, carrier: Uuid, sheet: Sheet, progress: impl Fn(usize)) -> Result<Report> {
    const AT_ONCE: usize = 10_000;
    let rates = sheet.columns.prefixes.len();
    if sheet.refusals > 0 {
        return Ok(Report { rates: 0, refused: sheet.refusals, lines: sheet.refused });
    }
    let before = store::lock(change.db(), carrier).await?.ok_or(Error::NotFound("carrier"))?;
    let id = Uuid::now_v7();
    store::begin_sheet(change.db(), carrier, id, i32::try_from(rates).unwrap_or(i32::MAX)).await?;
    for from in (0..rates).step_by(AT_ONCE) {
        let to = (from + AT_ONCE).min(rates);
        store::add_rates(change.db(), id, &sheet.columns, from..to).await?;
        progress(to);
    }
    store::put_in_force(change.db(), carrier, id).await?;
    let after = serde_json::json!({ "rates": rates });
    let before = serde_json::json!({ "rates": before.rates });
    let resource = format!("carriers/{carrier}");
    change.audit(Audit { tenant: None, action: "rates", resource, before: Some(before), after: Some(after) }).await?;
    Ok(Report { rates, refused: 0, lines: Vec::new() })
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
    fn every_line_that_cannot_be_is_told() {
        let text = b"prefix,price,first,step,date\n49,0.01\n+4930,0.02,30,6,2026-12-01\nx,1\n1,abc\n44,1,0\n49,0.03\n33,1,60,60,soon\n";
        let sheet = read(text, Utc::now()).unwrap();
        assert_eq!(sheet.columns.prefixes, ["49", "4930"]);
        assert_eq!(sheet.columns.first, [60, 30]);
        assert_eq!(sheet.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        assert!(read(b"", Utc::now()).is_err());
    }
}
