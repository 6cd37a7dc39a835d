//! What each column of a rate sheet means, recognised by the headings that carriers and other systems write.

use serde::Serialize;

use super::values::Decimals;

/// What a column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    Prefix,
    Price,
    /// The seconds that are charged at least.
    FirstSeconds,
    /// The length of each step after that, in seconds; `30/6` gives both.
    StepSeconds,
    EffectiveDate,
    /// The currency of the line's price, which is the same in all lines.
    Currency,
    /// The country code. The prefix has to begin with it; it may also be a country's letters.
    CountryCode,
    /// What each call costs besides its minutes. Dialplane has no such price, so only 0 is accepted.
    ConnectionFee,
    Unused,
}

impl Meaning {
    /// Recognises a heading, ignoring case, spaces and punctuation. `None` if it is unknown.
    fn of(head: &str) -> Option<Self> {
        const WORDS: [(Meaning, &[&str]); 9] = [
            (
                Meaning::Prefix,
                &[
                    "prefix",
                    "code",
                    "codes",
                    "dialcode",
                    "dialcodes",
                    "dialprefix",
                    "dialingcode",
                    "dialingcodes",
                    "dialpattern",
                    "areacode",
                    "destinationcode",
                    "destinationprefix",
                    "destprefix",
                    "destcode",
                    "numberprefix",
                    "breakout",
                    "breakoutcode",
                    "digits",
                    "vorwahl",
                    "rufnummernprefix",
                    "ziffern",
                ],
            ),
            (
                Meaning::Price,
                &[
                    "price",
                    "rate",
                    "cost",
                    "permin",
                    "perminute",
                    "ratemin",
                    "rateminute",
                    "ratepermin",
                    "rateperminute",
                    "pricemin",
                    "priceminute",
                    "pricepermin",
                    "priceperminute",
                    "costpermin",
                    "costperminute",
                    "minuteprice",
                    "minuterate",
                    "callrate",
                    "sellrate",
                    "buyrate",
                    "newrate",
                    "newprice",
                    "tariff",
                    "preis",
                    "minutenpreis",
                    "preisprominute",
                    "preismin",
                    "preisminute",
                    "cost1",
                    "rate1",
                    "ratemins",
                ],
            ),
            (
                Meaning::FirstSeconds,
                &[
                    "first",
                    "firstseconds",
                    "firstincrement",
                    "firstinterval",
                    "firstperiod",
                    "initial",
                    "initialincrement",
                    "initialinterval",
                    "initialperiod",
                    "initialseconds",
                    "initblock",
                    "interval1",
                    "minimum",
                    "minimumduration",
                    "minduration",
                    "minimumseconds",
                    "minimumtime",
                    "minseconds",
                    "mintime",
                    "connectseconds",
                    "ersttakt",
                    "mindestdauer",
                ],
            ),
            (
                Meaning::StepSeconds,
                &[
                    "step",
                    "stepseconds",
                    "next",
                    "nextincrement",
                    "nextinterval",
                    "nextperiod",
                    "nextseconds",
                    "intervaln",
                    "interval2",
                    "subsequent",
                    "subsequentincrement",
                    "subsequentinterval",
                    "increment",
                    "increments",
                    "incrementseconds",
                    "billingincrement",
                    "billingincrements",
                    "billingblock",
                    "billinginterval",
                    "billing",
                    "rounding",
                    "interval",
                    "takt",
                    "taktung",
                    "folgetakt",
                    "abrechnungstakt",
                ],
            ),
            (
                Meaning::EffectiveDate,
                &[
                    "date",
                    "effective",
                    "effectivedate",
                    "effectivefrom",
                    "effectivetime",
                    "effectiveasof",
                    "neweffectivedate",
                    "from",
                    "fromdate",
                    "since",
                    "start",
                    "starts",
                    "starttime",
                    "begin",
                    "begins",
                    "validfrom",
                    "validfromdate",
                    "inforcefrom",
                    "startdate",
                    "activationdate",
                    "activefrom",
                    "ratestartdate",
                    "datestart",
                    "gultigab",
                    "gueltigab",
                    "gultigvon",
                    "gueltigvon",
                    "von",
                    "beginn",
                    "seit",
                    "wirksamab",
                    "datum",
                    "ab",
                ],
            ),
            (
                Meaning::ConnectionFee,
                &[
                    "connectionfee",
                    "connectfee",
                    "connectcharge",
                    "connectioncharge",
                    "connectioncost",
                    "connectcost",
                    "setupfee",
                    "setupcharge",
                    "flagfall",
                    "verbindungsgebuhr",
                    "verbindungsentgelt",
                ],
            ),
            (Meaning::Currency, &["currency", "currencycode", "wahrung"]),
            (Meaning::CountryCode, &["countrycode", "countryprefix", "landesvorwahl", "landervorwahl"]),
            (
                Meaning::Unused,
                &[
                    "destination",
                    "destinationname",
                    "description",
                    "country",
                    "countryname",
                    "name",
                    "region",
                    "operator",
                    "network",
                    "type",
                    "status",
                    "change",
                    "changetype",
                    "comment",
                    "comments",
                    "note",
                    "notes",
                    "id",
                    "zone",
                    "ziel",
                    "land",
                    "netz",
                    "bemerkung",
                ],
            ),
        ];
        // Currencies and units say nothing about the column: `Rate (USD/min)`.
        let is_unit = |word: &str| matches!(word, "in" | "sec" | "s");
        let words = words(head);
        let word = words.iter().filter(|word| !is_unit(word) && !matches!(&***word, "usd" | "eur" | "gbp" | "chf"));
        let word = word.map(String::as_str).collect::<String>();
        let meaning = WORDS.into_iter().find(|(_, known)| known.contains(&&*word)).map(|(meaning, _)| meaning);
        // A price of a second is none of a minute.
        meaning.filter(|meaning| *meaning != Meaning::Price || !words.iter().any(|word| is_unit(word)))
    }
}

/// Whether a heading that no meaning is known for may stand above the days on which prices begin.
fn may_be_begin(head: &str) -> bool {
    const ENDS: [&str; 9] = ["to", "until", "till", "end", "ends", "expiry", "expires", "bis", "ende"];
    Meaning::of(head).is_none() && !words(head).iter().any(|word| ENDS.contains(&word.as_str()))
}

fn words(head: &str) -> Vec<String> {
    let plain = head.to_lowercase().replace('ä', "a").replace('ö', "o").replace('ü', "u").replace('€', "");
    plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect()
}

/// How a column is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Column {
    /// From 1.
    pub column: usize,
    /// The heading, if the sheet has headings.
    pub head: Option<String>,
    pub meaning: Meaning,
    /// The first value, and how it is read.
    pub example: Option<String>,
    pub read_as: Option<String>,
}

/// The columns of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub all: Vec<Column>,
    pub decimals: Decimals,
}

/// Why a sheet's columns can't be recognised.
#[derive(Debug, PartialEq, Eq)]
pub enum Unclear {
    /// The first line has neither known headings nor a rate.
    Heads(Vec<String>),
    /// Two columns that mean the same.
    Twice(String, String),
}

impl Columns {
    /// The columns of a sheet without headings: `prefix,price[,first_seconds,step_seconds][,effective_date]`.
    #[must_use]
    pub fn by_position() -> Self {
        let usual =
            [Meaning::Prefix, Meaning::Price, Meaning::FirstSeconds, Meaning::StepSeconds, Meaning::EffectiveDate];
        let all = usual.into_iter().enumerate().map(|(at, meaning)| column(at, None, meaning)).collect();
        Self { all, decimals: Decimals::default() }
    }

    /// The columns by a line of headings. `None` if it names neither prefix nor price, and so is no such line.
    pub fn by_heads(line: &csv::StringRecord) -> Result<Option<Self>, Unclear> {
        let all = line
            .iter()
            .enumerate()
            .map(|(at, head)| column(at, Some(head.to_owned()), Meaning::of(head).unwrap_or(Meaning::Unused)));
        let all = all.collect::<Vec<_>>();
        let has = |meaning| all.iter().any(|column| column.meaning == meaning);
        if !has(Meaning::Prefix) || !has(Meaning::Price) {
            return Ok(None);
        }
        for (at, column) in all.iter().enumerate().filter(|(_, column)| column.meaning != Meaning::Unused) {
            if let Some(before) = all[..at].iter().find(|before| before.meaning == column.meaning) {
                let name = |column: &Column| column.head.clone().unwrap_or_default();
                return Err(Unclear::Twice(name(before), name(column)));
            }
        }
        Ok(Some(Self { all, decimals: Decimals::default() }))
    }

    /// A line's value in the column with this meaning.
    #[must_use]
    pub fn get<'a>(&self, line: &'a csv::StringRecord, meaning: Meaning) -> Option<&'a str> {
        let at = self.all.iter().position(|column| column.meaning == meaning)?;
        line.get(at).filter(|text| !text.is_empty())
    }

    /// The columns with unknown headings that may say when prices begin; none if a column is known to say it.
    #[must_use]
    pub fn perhaps_dates(&self) -> Vec<usize> {
        if self.all.iter().any(|column| column.meaning == Meaning::EffectiveDate) {
            return Vec::new();
        }
        let unknown = |column: &&Column| column.head.as_deref().is_some_and(may_be_begin);
        self.all.iter().filter(unknown).map(|column| column.column - 1).collect()
    }

    /// Notes the first line's values, and how they are read.
    pub fn illustrate(&mut self, line: &csv::StringRecord, read_as: impl Fn(Meaning) -> Option<String>) {
        for (at, column) in self.all.iter_mut().enumerate().filter(|(_, column)| column.example.is_none()) {
            column.example = line.get(at).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
            if column.example.is_some() {
                column.read_as = read_as(column.meaning);
            }
        }
    }
}

fn column(at: usize, head: Option<String>, meaning: Meaning) -> Column {
    Column { column: at + 1, head, meaning, example: None, read_as: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_known_by_the_names_that_others_give_them() {
        for (head, meaning) in [
            ("Prefix", Meaning::Prefix),
            ("Dial Code", Meaning::Prefix),
            ("dialprefix", Meaning::Prefix),
            ("Vorwahl", Meaning::Prefix),
            ("Rate (USD/min)", Meaning::Price),
            ("Preis pro Minute (€)", Meaning::Price),
            ("initblock", Meaning::FirstSeconds),
            ("interval_1", Meaning::FirstSeconds),
            ("Interval N", Meaning::StepSeconds),
            ("Billing Increment", Meaning::StepSeconds),
            ("Gültig ab", Meaning::EffectiveDate),
            ("From", Meaning::EffectiveDate),
            ("Valid from", Meaning::EffectiveDate),
            ("Gültig von", Meaning::EffectiveDate),
            ("Effective Date", Meaning::EffectiveDate),
            ("Connect Fee", Meaning::ConnectionFee),
            ("Country", Meaning::Unused),
        ] {
            assert_eq!(Meaning::of(head), Some(meaning), "{head}");
        }
        assert_eq!(Meaning::of("rate per second"), None);
        assert_eq!(Meaning::of("old rate"), None);
    }
}
