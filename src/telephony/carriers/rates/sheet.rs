//! Reading a rate sheet.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{
    MOST_TOLD, Refused,
    columns::{Column, Columns, Meaning, Unclear},
    values::{self, Reason},
};
use crate::{
    model::error::{Error, Result},
    telephony::carriers::store::RateColumns,
    text::{Code, Prefix, table_file},
};

/// The most lines and rates of one sheet.
const MOST_LINES: usize = 1_000_000;

/// How many lines may precede the headings: titles, addresses, dates.
const MOST_TITLES: usize = 30;

/// A sheet as it was read.
pub struct Sheet {
    pub(super) rates: RateColumns,
    pub(super) columns: Vec<Column>,
    pub(super) refused: Vec<Refused>,
    pub(super) refusals: usize,
}

impl Sheet {
    /// How many rates it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rates.prefixes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn refuse(&mut self, line: usize, reason: Reason) {
        self.refusals += 1;
        if self.refused.len() < MOST_TOLD {
            self.refused.push(Refused { line, reason });
        }
    }
}

/// Reads a sheet. Prices are decimal, per minute, in the carrier's currency. Rates without a date begin at `now`.
pub fn read(file: &[u8], now: DateTime<Utc>) -> Result<Sheet> {
    let text = lines(file)?;
    let delimiter = delimiter(&text);
    table_file::check_quotes(&text, delimiter).map_err(|why| Error::invalid("file", why))?;
    let mut lines = Lines::of(&text, delimiter);
    let mut columns = None;
    let mut titles = Vec::new();
    // The first line that names prefix and price has the headings. If there is none, the first line is a rate.
    while titles.len() < MOST_TITLES
        && let Some((_, line)) = lines.next()?
    {
        columns = Columns::by_heads(&line).map_err(unclear)?;
        if columns.is_some() {
            break;
        }
        titles.push(line);
    }
    let is_headless = columns.is_none();
    let mut columns = match (columns, titles.into_iter().next()) {
        (Some(columns), _) => columns,
        (None, None) => return Err(Error::invalid("file", Code::NoLines)),
        (None, Some(first)) => {
            let columns = Columns::by_position();
            // A first line without a prefix consists of unknown headings.
            if columns.get(&first, Meaning::Prefix).is_none_or(|text| values::prefixes(text).is_err()) {
                return Err(unclear(Unclear::Heads(first.iter().map(ToOwned::to_owned).collect())));
            }
            columns
        }
    };
    if is_headless {
        lines = Lines::of(&text, delimiter);
    }
    let start = lines.position();
    let mut decimals = columns.decimals;
    while let Some((_, line)) = lines.next()? {
        decimals.learn(columns.get(&line, Meaning::Price).unwrap_or_default());
    }
    columns.decimals = decimals;
    lines.back_to(start)?;
    let sheet = rates(lines, columns, now)?;
    if sheet.is_empty() && sheet.refusals == 0 { Err(Error::invalid("file", Code::NoLines)) } else { Ok(sheet) }
}

fn rates(mut lines: Lines<'_>, mut columns: Columns, now: DateTime<Utc>) -> Result<Sheet> {
    let mut sheet = Sheet { rates: RateColumns::default(), columns: Vec::new(), refused: Vec::new(), refusals: 0 };
    let mut seen = HashMap::new();
    let mut currency: Option<(String, usize)> = None;
    let mut count = 0;
    let perhaps_dates = columns.perhaps_dates();
    while let Some((number, line)) = lines.next()? {
        count += 1;
        if count > MOST_LINES || sheet.len() > MOST_LINES {
            return Err(Error::invalid("file", Code::TooManyLines.with("most", MOST_LINES)));
        }
        let rate = match rate(&line, &columns, now) {
            Ok(rate) => rate,
            Err(reason) => {
                sheet.refuse(number, reason);
                continue;
            }
        };
        // A price that is meant for later must not be in force at once because its date stands under an unknown heading.
        if let Some(at) = perhaps_dates.iter().copied().find(|at| is_to_come(line.get(*at).unwrap_or_default(), now)) {
            let head = columns.all[at].head.as_deref().unwrap_or_default();
            sheet.refuse(
                number,
                format!("{head:?} has a day to come: name it effective_date if prices begin then, or take it out"),
            );
            continue;
        }
        let price = columns.get(&line, Meaning::Price).unwrap_or_default();
        if let Some(this) = values::currency(price, columns.get(&line, Meaning::Currency)) {
            match &currency {
                Some((of_others, other)) if *of_others != this => {
                    sheet.refuse(number, format!("the price is in {this}, but in line {other} in {of_others}"));
                    continue;
                }
                Some(_) => {}
                None => currency = Some((this, number)),
            }
        }
        columns.illustrate(&line, |meaning| rate.shown(meaning));
        let terms = (rate.price, rate.first, rate.step);
        for prefix in rate.prefixes {
            match seen.insert((prefix.clone(), rate.effective), (terms, number)) {
                None => {
                    sheet.rates.prefixes.push(prefix.to_string());
                    sheet.rates.effective.push(rate.effective);
                    sheet.rates.prices.push(rate.price);
                    sheet.rates.first.push(rate.first);
                    sheet.rates.steps.push(rate.step);
                }
                // Repeating the same price is fine.
                Some((before, _)) if before == terms => {}
                Some((_, before)) => sheet.refuse(number, format!("{prefix} has another price in line {before}")),
            }
        }
    }
    sheet.columns = columns.all;
    Ok(sheet)
}

struct Rate {
    prefixes: Vec<Prefix>,
    effective: DateTime<Utc>,
    price: i64,
    first: i16,
    step: i16,
}

impl Rate {
    /// How a column's value is read.
    #[expect(clippy::cast_precision_loss, reason = "to look at")]
    fn shown(&self, meaning: Meaning) -> Option<String> {
        match meaning {
            Meaning::Prefix => self.prefixes.first().map(|prefix| format!("+{prefix}")),
            Meaning::Price => Some(format!("{}/min", self.price as f64 / 1e6)),
            Meaning::FirstSeconds => Some(format!("≥ {} s", self.first)),
            Meaning::StepSeconds => Some(format!("+ {} s", self.step)),
            Meaning::EffectiveDate => Some(self.effective.format("%F").to_string()),
            Meaning::Currency | Meaning::CountryCode | Meaning::ConnectionFee | Meaning::Unused => None,
        }
    }
}

fn rate(line: &csv::StringRecord, columns: &Columns, now: DateTime<Utc>) -> std::result::Result<Rate, Reason> {
    let column = |meaning| columns.get(line, meaning);
    let prefixes = values::prefixes(column(Meaning::Prefix).unwrap_or_default())?;
    if let Some(country) = column(Meaning::CountryCode).and_then(values::country)
        && !prefixes.iter().all(|prefix| prefix.as_str().starts_with(&country))
    {
        return Err(format!("the prefix does not begin with the country code {country}: write both into one column"));
    }
    let price = values::price(column(Meaning::Price).unwrap_or_default(), columns.decimals)?;
    let (mut first, mut step) = (column(Meaning::FirstSeconds), column(Meaning::StepSeconds));
    if let Some(both) = step.or(first).and_then(values::increments) {
        (first, step) = (Some(both.0), Some(both.1));
    }
    let first = first.map_or(Ok(60), values::seconds)?;
    let step = step.map_or(Ok(60), values::seconds)?;
    if let Some(fee) = column(Meaning::ConnectionFee)
        && values::price(fee, columns.decimals) != Ok(0)
    {
        return Err(format!("the connection fee {fee:?} can't be charged: Dialplane only has prices per minute"));
    }
    let effective = column(Meaning::EffectiveDate).map_or(Ok(now), values::moment)?;
    Ok(Rate { prefixes, effective, price, first, step })
}

fn is_to_come(text: &str, now: DateTime<Utc>) -> bool {
    text.contains(['-', '/', '.', ' ']) && values::moment(text).is_ok_and(|moment| moment > now)
}

fn unclear(unclear: Unclear) -> Error {
    match unclear {
        Unclear::Heads(heads) => Error::invalid("file", Code::RateHeadsUnknown.with("heads", heads.join(", "))),
        Unclear::Twice(one, other) => {
            Error::invalid("file", Code::RateHeadsTwice.with("one", one).with("other", other))
        }
    }
}

/// The file as text, in whatever encoding it is, with any kind of line endings.
fn lines(file: &[u8]) -> Result<String> {
    let text = table_file::text(file).map_err(|why| Error::invalid("file", why))?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The separator of fields, which is not a comma in a sheet with decimal commas.
fn delimiter(text: &str) -> u8 {
    let mut counts = [(b';', 0), (b'\t', 0), (b'|', 0)];
    for line in text.lines().filter(|line| !line.trim().is_empty()).take(MOST_TITLES) {
        let mut is_quoted = false;
        for byte in line.bytes() {
            is_quoted ^= byte == b'"';
            counts
                .iter_mut()
                .filter(|(delimiter, _)| *delimiter == byte && !is_quoted)
                .for_each(|(_, count)| *count += 1);
        }
    }
    let most = counts.into_iter().filter(|(_, count)| *count > 0).max_by_key(|(_, count)| *count);
    most.map_or(b',', |(delimiter, _)| delimiter)
}

/// The lines that are not blank, with their numbers in the file.
struct Lines<'a> {
    text: &'a str,
    reader: csv::Reader<std::io::Cursor<&'a [u8]>>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str, delimiter: u8) -> Self {
        let mut reader = csv::ReaderBuilder::new();
        reader.delimiter(delimiter).has_headers(false).trim(csv::Trim::All).flexible(true);
        Self { text, reader: reader.from_reader(std::io::Cursor::new(text.as_bytes())) }
    }

    fn next(&mut self) -> Result<Option<(usize, csv::StringRecord)>> {
        let mut line = csv::StringRecord::new();
        loop {
            let wrong = |error: csv::Error| Error::invalid("file", Code::NotCsv.with("reason", error));
            if !self.reader.read_record(&mut line).map_err(wrong)? {
                return Ok(None);
            }
            if line.iter().any(|field| !field.is_empty()) {
                return Ok(Some((table_file::line_of(self.text, &line), line)));
            }
        }
    }

    fn position(&self) -> csv::Position {
        self.reader.position().clone()
    }

    fn back_to(&mut self, position: csv::Position) -> Result<()> {
        self.reader.seek(position).map_err(|error| Error::invalid("file", Code::NotCsv.with("reason", error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefix, price, first seconds, steps and day of each rate; the lines that were refused.
    fn told(file: &[u8]) -> (Vec<String>, Vec<usize>) {
        let now = "2026-11-26T10:00:00Z".parse().unwrap();
        let sheet = read(file, now).unwrap_or_else(|error| panic!("{error:?}"));
        let rates = &sheet.rates;
        let line = |at: usize| {
            let day =
                if rates.effective[at] == now { "now".into() } else { rates.effective[at].format("%F").to_string() };
            format!("{} {} {}/{} {day}", rates.prefixes[at], rates.prices[at], rates.first[at], rates.steps[at])
        };
        ((0..sheet.len()).map(line).collect(), sheet.refused.iter().map(|refused| refused.line).collect())
    }

    #[test]
    fn every_line_with_an_error_is_reported() {
        let text = b"prefix,price,first,step,date\n49,0.01\n+4930,0.02,30,6,2026-12-01\nx,1\n1,abc\n44,1,0\n49,0.03\n33,1,60,60,soon\n";
        let sheet = read(text, Utc::now()).unwrap();
        assert_eq!(sheet.rates.prefixes, ["49", "4930"]);
        assert_eq!(sheet.rates.first, [60, 30]);
        assert_eq!(sheet.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
        assert!(read(b"", Utc::now()).is_err());
    }

    #[test]
    fn a_sheet_means_the_same_in_whatever_form_it_comes() {
        let usual = ["44 1000000 30/6 now", "4930 20000 60/60 2026-12-15"].map(ToOwned::to_owned).to_vec();
        for sheet in [
            "prefix,first_seconds,step_seconds,price,effective_date\n44,30,6,1,\n4930,60,60,0.02,2026-12-15\n",
            "44,1,30,6\n4930,0.02,60,60,2026-12-15\n",
            "prefix,price,first,step,From,Valid until\n44,1,30,6,,31.12.2090\n4930,0.02,,,2026-12-15,31.12.2090\n",
            "prefix,price,first,step,changed,date\n44,1,30,6,2090-01-01,\n4930,0.02,,,,2026-12-15\n",
            "price;prefix;date;first;step\r\n1;+44;;30;6\r\n0,02;0049 30;15.12.2026;;\r\n",
            "Country\tDial Code\tRate (USD/min)\tBilling Increment\tEffective Date\rUK\t44\t1\t30/6\t\rBerlin\t4930\t0,02\t60/60\t15.12.2026\r",
            "\u{feff}\"Prefix\",\"Price\",\"First\",\"Step\",\"Date\"\n\"44\",\"1,00\",\"30\",\"6\",\"\"\n\"4930\",\"0,02\",\"\",\"\",\"12/15/2026\"\n",
            "Rates of Example Telecom,,,,\n\nvalid from 2026,,,,\nCode,Rate,Initial,Increment,Valid from\n\n  ,,\n44,$1.00,30s,6s,\n4930-4930,0.02,60,60,2026-12-15\n4930,0.02,60,60,2026-12-15",
        ] {
            assert_eq!(told(sheet.as_bytes()), (usual.clone(), Vec::new()), "{sheet}");
        }
        let excel = "Country Code;Area Code;Currency;Rate;Interval 1;Interval N;Date\n+44;44;EUR;1 €;30;6;\nDE;4930;EUR;0,02 €;1 min;60;15.12.2026\n";
        assert_eq!(told(&encoding_rs::WINDOWS_1252.encode(excel).0), (usual.clone(), Vec::new()));
        let latin = b"Vorwahl;L\xe4nge;Preis pro Minute;Takt;G\xfcltig ab\n44;;1;30/6;\n4930;;0,02;60/60;15.12.2026\n";
        assert_eq!(told(latin), (usual.clone(), Vec::new()));
        let utf16 = "prefix\tprice\tfirst\tstep\tdate\n44\t1\t30\t6\n4930\t0.02\t\t\t2026-12-15\n";
        let utf16 = [vec![0xff, 0xfe], utf16.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
        assert_eq!(told(&utf16), (usual, Vec::new()));
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        for ends in ["\n", "\r\n", "\r"] {
            let sheet = "title\n\nprefix,price\n\n\n49,0.01\n  \nx,1\n,,\n\n33,\"1\n\"\ny,1".replace('\n', ends);
            let (rates, refused) = told(sheet.as_bytes());
            assert_eq!((rates.len(), refused), (2, vec![8, 13]), "{sheet:?}");
        }
    }

    #[test]
    fn what_can_be_meant_two_ways_is_refused() {
        let code = |file: &str| match read(file.as_bytes(), Utc::now()) {
            Err(error) => format!("{error:?}"),
            Ok(sheet) => sheet.refused.iter().map(|refused| refused.reason.clone()).collect::<Vec<_>>().join("; "),
        };
        for (file, says) in [
            ("code,rate,price\n49,1,2\n", "RateHeadsTwice"),
            ("prefix,price,when it counts\n49,1,2090-12-15\n", "\"when it counts\" has a day to come"),
            ("what,ever\n49,1\n", "RateHeadsUnknown"),
            ("prefix,old price\n49,1\n", "RateHeadsUnknown"),
            ("prefix;price\n49;1,234\n", "may be 1.234 or 1234"),
            ("prefix,price,date\n49,1,5/12/2026\n", "may be two days"),
            ("prefix,price,connection fee\n49,1,0.1\n", "connection fee"),
            ("prefix,price\n030,1\n", "country code"),
            ("prefix,price\n49,1\n+49,2\n", "another price in line 2"),
            ("prefix,price\n\n\n", "NoLines"),
            ("prefix,price,name\n44,0.01,\"UK\n49,0.02,Germany\n", "QuoteNotClosed"),
            ("44;45,0.01\n46;0,02\n", "not a decimal number"),
            ("44|45,0.01\n", "not a decimal number"),
            ("prefix,price\n44,0.9 cts\n", "not a decimal number"),
            ("prefix,Rate/sec\n44,0.001\n", "RateHeadsUnknown"),
            ("prefix,Price (USD/s)\n44,0.001\n", "RateHeadsUnknown"),
            ("prefix,price\n44,1 GBP\n45,$1\n", "in $, but in line 2 in GBP"),
            ("prefix,price,currency\n44,1,eur\n45,1,EUR\n46,1,USD\n", "in USD, but in line 2 in EUR"),
            ("Country Code,Area Code,Rate\n44,20,0.01\n", "does not begin with the country code 44"),
            ("prefix,price,takt\n44,1,1 h\n", "is not 1 to 3600 seconds"),
        ] {
            assert!(code(file).contains(says), "{file}: {}", code(file));
        }
    }

    #[test]
    fn a_preview_says_how_each_column_was_understood() {
        let sheet = read(b"Country;Dial Code;Rate;Interval 1;Interval N\nUK;44;1,5;30;6\n", Utc::now()).unwrap();
        let told = sheet.columns.iter().map(|column| (column.meaning, column.read_as.as_deref().unwrap_or_default()));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                (Meaning::Unused, ""),
                (Meaning::Prefix, "+44"),
                (Meaning::Price, "1.5/min"),
                (Meaning::FirstSeconds, "≥ 30 s"),
                (Meaning::StepSeconds, "+ 6 s"),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(file: Vec<u8>, text in "[0-9a-z,;\"\n\r +./-]{0,80}") {
            let _ = read(&file, Utc::now());
            let _ = read(text.as_bytes(), Utc::now());
        }
    }
}
