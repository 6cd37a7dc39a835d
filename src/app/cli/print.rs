//! Output for a person or a script: the same values as lines or as JSON.

use serde::Serialize;
use serde_json::Value;

/// Prints one thing, with one field per line.
pub fn one(json: bool, thing: &impl Serialize) -> anyhow::Result<()> {
    let value = serde_json::to_value(thing)?;
    if json {
        println!("{value}");
        return Ok(());
    }
    let fields = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).collect::<Vec<_>>();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in fields {
        println!("{name:width$}  {}", text(value));
    }
    Ok(())
}

/// Says that something was done which leaves nothing to show.
pub fn done(json: bool, verb: &str) -> anyhow::Result<()> {
    let is_deletion = verb == "delete";
    if json {
        return one(true, &serde_json::json!({ (if is_deletion { "deleted" } else { "done" }): true }));
    }
    println!("{}", if is_deletion { "Deleted." } else { "Done." });
    Ok(())
}

/// Prints a table with these columns, or in JSON one list with all fields. If there is nothing, a person is told in which
/// database: it may be the wrong one.
pub fn many(json: bool, things: &[impl Serialize], columns: &[&str], place: &str) -> anyhow::Result<()> {
    let values = things.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    if json {
        println!("{}", Value::from(values));
        return Ok(());
    }
    let rows = values.iter().map(|value| columns.iter().map(|name| text(&value[*name])).collect::<Vec<_>>());
    let rows =
        std::iter::once(columns.iter().map(|name| name.to_uppercase()).collect()).chain(rows).collect::<Vec<_>>();
    let widths = (0..columns.len()).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or_default());
    let widths = widths.collect::<Vec<_>>();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    if things.is_empty() {
        eprintln!("None found in {place}.");
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
