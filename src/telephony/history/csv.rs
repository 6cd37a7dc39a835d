//! Calls as CSV, in constant memory.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Call, Party};

/// In the order of `line`.
const COLUMNS: &str = "id,started_at,direction,state,from_number,from_name,to_number,to_name,answered_by_number,answered_by_name,phone_number,\
                       ringing_at,answered_at,ended_at,wait_seconds,talk_seconds,hold_seconds,billed_seconds,ended_by,cause,reason,q850,sip_status,\
                       refusal,queue_id,carrier_id,agent_id,extension_id,country,cost,charge,currency,mos,recorded,disposition,tags,notes,contact_id\r\n";

/// The first line.
#[must_use]
pub fn head() -> String {
    COLUMNS.to_owned()
}

/// A call as a line.
#[must_use]
pub fn line(call: &Call) -> String {
    let summary = &call.summary;
    let time = |at: Option<DateTime<Utc>>| at.map(stamp).unwrap_or_default();
    let of = |party: &Party| [party.number.clone().unwrap_or_default(), party.name.clone().unwrap_or_default()];
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut cells = VecDeque::from([
        call.id.to_string(),
        stamp(call.started_at),
        call.direction.as_str().to_owned(),
        call.state.as_str().to_owned(),
    ]);
    cells.extend(of(&summary.from));
    cells.extend(of(&summary.to));
    cells.extend(of(summary.answered_by.as_ref().unwrap_or(&Party::default())));
    cells.extend([
        text(&summary.number),
        time(summary.ringing_at),
        time(summary.answered_at),
        stamp(call.ended_at),
        call.wait_seconds.to_string(),
        call.talk_seconds.to_string(),
        summary.hold_seconds.to_string(),
        call.billed_seconds.to_string(),
        summary.ended_by.map(word).unwrap_or_default(),
        text(&call.cause),
        text(&summary.reason),
        shown(summary.q850),
        shown(summary.sip_status),
        text(&summary.refusal),
        shown(call.queue_id),
        shown(call.carrier_id),
        shown(call.agent_id),
        shown(call.extension_id),
        text(&call.country),
        shown(call.cost),
        shown(summary.charge),
        text(&call.currency),
        shown(summary.mos),
        call.recorded.to_string(),
        text(&call.disposition),
        call.tags.join(" "),
        text(&call.notes),
        shown(call.contact_id),
    ]);
    joined(cells)
}

/// A line of these cells.
#[must_use]
pub fn joined(cells: impl IntoIterator<Item = String>) -> String {
    let mut line = cells.into_iter().map(|cell| quoted(&harmless(cell))).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// Spreadsheets run what begins like a formula, so that gets an apostrophe in front. A number with a sign is none.
fn harmless(cell: String) -> String {
    let begins = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let is_number = cell.len() > 1 && cell.chars().skip(1).all(|c| c.is_ascii_digit());
    if begins && !(is_number && cell.starts_with(['+', '-'])) { format!("'{cell}") } else { cell }
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n', ';']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn shown<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The word that a value is in JSON.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_one_cell() {
        for (cell, shown) in [
            ("=1+1", "'=1+1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-1+1", "'-1+1"),
            ("+4930123456", "+4930123456"),
            ("-5", "-5"),
            ("-", "'-"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"\n", "\"say \"\"hi\"\"\n\""),
            ("\t=1", "'\t=1"),
        ] {
            assert_eq!(joined([cell.to_owned()]), format!("{shown}\r\n"));
        }
    }
}
