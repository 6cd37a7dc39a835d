//! What stands in a list: a value of the API, as people read it.

use std::{collections::HashMap, fmt::Write as _};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::super::{Shell, fields::word, schema::at};

/// How a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// What the thing is called, as a link to it.
    Title,
    /// A person's first and last name, as a link to them.
    Person,
    Text,
    /// Text of machines, such as a SIP username.
    Mono,
    /// A number of the telephone network.
    Number,
    /// An extension's number.
    Extension,
    State,
    Flag,
    Time,
    /// A thing, by its id.
    Ref,
    /// Where a call is led.
    Target,
    Count,
    List,
    /// Numbers of the telephone network.
    Numbers,
    /// Things that have a number, such as extensions.
    Numbered,
    Choice,
    Role,
}

/// A cell, ready for the page.
#[derive(Debug, Default)]
pub struct Shown {
    pub text: String,
    pub class: &'static str,
    pub href: Option<String>,
    /// Several links: address and text.
    pub links: Vec<(String, String)>,
    pub time: Option<DateTime<Utc>>,
    pub state: Option<String>,
    pub title: bool,
}

impl Shown {
    /// Whether there is nothing to be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.links.is_empty() && self.time.is_none()
    }
}

/// A telephone number in groups: `+1 202 555 0123`, `+49 309 01 820`.
#[must_use]
pub fn formatted(number: &str) -> String {
    let Some(digits) = number.strip_prefix('+').filter(|rest| rest.bytes().all(|b| b.is_ascii_digit())) else {
        return number.to_owned();
    };
    let code = country_code(digits);
    let (code, rest) = digits.split_at(code.min(digits.len()));
    let mut text = format!("+{code}");
    let mut rest = rest;
    while !rest.is_empty() {
        // No digit is left over alone.
        let size = match rest.len() {
            short @ 0..=4 => short,
            5 => 2,
            _ => 3,
        };
        let (group, others) = rest.split_at(size);
        let _ = write!(text, "\u{a0}{group}");
        rest = others;
    }
    text
}

/// A number as a telephone dials it; empty if it is none, such as "anonymous".
#[must_use]
pub fn dialled(number: &str) -> &str {
    let rest = number.strip_prefix('+').unwrap_or(number);
    if rest.len() > 1 && rest.bytes().all(|b| b.is_ascii_digit() || b == b'*') { number } else { "" }
}

/// The links by which a thing's numbers are called, with the numbers as people read them.
#[must_use]
pub fn dials(value: &Value) -> Vec<(String, String)> {
    let all = match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect::<Vec<_>>(),
    };
    let dialled = all.into_iter().filter(|number| !dialled(number).is_empty());
    dialled.map(|number| (format!("tel:{number}"), formatted(number))).collect()
}

/// How many digits a number's country code has: one in zones 1 and 7, two where the ITU gave two (E.164, 2016), else three.
fn country_code(digits: &str) -> usize {
    const TWO: [&str; 43] = [
        "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49",
        "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84",
        "86", "90", "91", "92", "93", "94", "95",
    ];
    match digits.get(..2) {
        Some(two) if two.starts_with(['1', '7']) => 1,
        Some(two) if TWO.contains(&two) || two == "98" => 2,
        _ => 3,
    }
}

/// The page of what a call is led to.
#[must_use]
pub fn page_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "extension" => "/app/extensions",
        "group" => "/app/groups",
        "queue" => "/app/queues",
        "ivr" => "/app/menus",
        "conference" => "/app/conferences",
        "mailbox" => "/app/mailboxes",
        "schedule" => "/app/schedules",
        "announcement" => "/app/announcements",
        "external" => "/app/outside-numbers",
        "page" => "/app/paging",
        "agent" => "/app/agents",
        _ => return None,
    })
}

/// The ids in a cell, whose names are to be found.
pub fn ids(cell: Cell, path: &str, thing: &Value, found: &mut Vec<Uuid>) {
    let value = at(thing, path);
    let mut add = |value: &Value| found.extend(value.as_str().and_then(|id| id.parse::<Uuid>().ok()));
    match cell {
        Cell::Ref => add(value),
        Cell::Target => add(&value["id"]),
        Cell::List => value.as_array().into_iter().flatten().for_each(add),
        _ => {}
    }
}

impl Cell {
    pub fn show(self, s: &Shell, path: &str, thing: &Value, names: &HashMap<Uuid, String>) -> Shown {
        let value = at(thing, path);
        let plain = |text: String| Shown { text, ..Shown::default() };
        let text = || match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let name = |id: &Value| {
            let id = id.as_str().unwrap_or_default();
            id.parse::<Uuid>().ok().and_then(|id| names.get(&id).cloned()).unwrap_or_else(|| id.to_owned())
        };
        match self {
            Self::Title => Shown { text: formatted(&text()), title: true, ..Shown::default() },
            Self::Person => {
                let name = |field: &str| thing[field].as_str().unwrap_or_default();
                let both = format!("{} {}", name("first_name"), name("last_name"));
                Shown { text: both.trim().to_owned(), title: true, ..Shown::default() }
            }
            Self::Text => plain(text()),
            Self::Mono => Shown { class: "mono", ..plain(text()) },
            Self::Number => {
                let href = Some(text()).filter(|number| !dialled(number).is_empty());
                Shown { class: "tel", href: href.map(|number| format!("tel:{number}")), ..plain(formatted(&text())) }
            }
            Self::Numbered => {
                let numbers = value.as_array().into_iter().flatten().map(|one| one["number"].clone());
                let links = dials(&Value::Array(numbers.collect()));
                let texts = links.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(", ");
                Shown { links, ..plain(texts) }
            }
            Self::Numbers => Shown { links: dials(value), ..Self::List.show(s, path, thing, names) },
            Self::Extension => Shown { class: if value.is_null() { "" } else { "number" }, ..plain(text()) },
            Self::State => Shown { state: Some(text()), ..plain(word(s, "status", &text())) },
            Self::Flag if value.is_null() => Shown::default(),
            Self::Flag => plain(s.t(if value == true { "audit.yes" } else { "audit.no" }).to_owned()),
            Self::Time => {
                let time = DateTime::parse_from_rfc3339(&text()).ok().map(|time| time.to_utc());
                Shown { time, ..plain(time.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()) }
            }
            Self::Ref => plain(if value.is_null() { String::new() } else { name(value) }),
            Self::Target => match (value["kind"].as_str(), value["id"].as_str()) {
                (Some(kind), Some(id)) => Shown {
                    href: page_of(kind).map(|page| format!("{page}/{id}")),
                    ..plain(format!("{} {}", word(s, "value", kind), name(&value["id"])))
                },
                _ => Shown::default(),
            },
            Self::Count => {
                let count = value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len));
                Shown { class: "figures-cell", ..plain(count.map(|count| count.to_string()).unwrap_or_default()) }
            }
            Self::List => {
                let items = value.as_array().into_iter().flatten().map(|item| match item {
                    Value::String(text) if text.parse::<Uuid>().is_ok() => name(item),
                    Value::String(text) => word(s, "value", text),
                    other => other.to_string(),
                });
                plain(items.collect::<Vec<_>>().join(", "))
            }
            Self::Role => plain(word(s, "role", &text())),
            Self::Choice => plain(if value.is_null() { String::new() } else { word(s, "value", &text()) }),
        }
    }
}

/// A cell of a CSV file. Spreadsheets run what begins like a formula; numbers of the telephone network stay as they are.
#[must_use]
pub fn csv(text: &str) -> String {
    let is_number = text.starts_with('+') && text.len() > 1 && text[1..].bytes().all(|b| b.is_ascii_digit());
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number && text != "-" {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r', ';']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The order of two cells: numbers by value, texts by their letters.
#[must_use]
pub fn order(one: &str, other: &str) -> std::cmp::Ordering {
    match (one.parse::<i128>(), other.parse::<i128>()) {
        (Ok(one), Ok(other)) => one.cmp(&other),
        _ => one.to_lowercase().cmp(&other.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_telephone_network_stand_in_groups() {
        for (number, shown) in [
            ("+12025550123", "+1 202 555 0123"),
            ("+4930901820", "+49 309 01 820"),
            ("+442079460958", "+44 207 946 0958"),
            ("+35312345678", "+353 123 45 678"),
            ("1000", "1000"),
            ("+12", "+1 2"),
            ("+", "+"),
        ] {
            assert_eq!(formatted(number).replace('\u{a0}', " "), shown);
        }
    }

    #[test]
    fn only_numbers_are_called_by_a_click() {
        assert_eq!((dialled("+12025550123"), dialled("1000"), dialled("*98")), ("+12025550123", "1000", "*98"));
        for none in ["", "+", "1", "anonymous", "12 34", "1000@evil.test", "+1\"onclick="] {
            assert_eq!(dialled(none), "", "{none}");
        }
        let several = dials(&serde_json::json!(["+12025550123", "Unknown"]));
        assert_eq!(several, [("tel:+12025550123".to_owned(), formatted("+12025550123"))]);
    }

    #[test]
    fn a_spreadsheet_runs_nothing_that_somebody_typed_into_a_name() {
        assert_eq!(csv("=HYPERLINK(\"http://evil.test\")"), "\"'=HYPERLINK(\"\"http://evil.test\"\")\"");
        assert_eq!(
            (csv("+12025550123"), csv("-1+1"), csv("a,b")),
            ("+12025550123".into(), "'-1+1".into(), "\"a,b\"".into())
        );
    }

    #[test]
    fn rows_are_in_the_order_that_people_expect() {
        assert!(order("9", "10").is_lt() && order("ada", "Bob").is_lt() && order("b", "A").is_gt());
    }
}
