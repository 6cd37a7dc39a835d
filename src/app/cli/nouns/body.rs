//! The fields of a request's body as arguments.

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, builder::PossibleValuesParser, value_parser};
use serde_json::{Map, Value};

use super::{
    description::{Field, Kind, Verb},
    words::id,
};
use crate::{
    app::cli::{failure::Refused, file, resources::moment},
    text,
};

/// A file with fields.
pub const FILE: &str = "file";
/// `FIELD=VALUE`.
pub const SET: &str = "set";

/// Options of all commands.
const TAKEN: [&str; 11] =
    ["config", "data-dir", "switch-listen", "app-listen", "json", "url", "key", "profile", "file", "limit", "yes"];

/// The argument for a field. `in_body`: a file may have it instead.
pub fn argument(field: &Field, in_body: bool) -> Arg {
    // Tenants are named by their domains, too.
    let name = if field.name == "tenant_id" { "tenant".to_owned() } else { field.name.replace('_', "-") };
    // Such as `--config`, which every command has.
    let name = if TAKEN.contains(&name.as_str()) { format!("set-{name}") } else { name };
    let mut arg = Arg::new(id(&field.name)).long(name).help(field.about.clone()).value_name(field.name.to_uppercase());
    if field.name == "tenant_id" {
        return arg.value_name("TENANT").help("Id or domain");
    }
    if field.required && in_body {
        arg = arg.required_unless_present(FILE);
    }
    arg = match &field.kind {
        Kind::Flag => return arg.action(ArgAction::SetTrue),
        Kind::List(kind) => typed(arg.action(ArgAction::Append), kind),
        kind => typed(arg, kind),
    };
    if field.kind == Kind::Json { arg.value_name("JSON") } else { arg }
}

fn typed(arg: Arg, kind: &Kind) -> Arg {
    match kind {
        Kind::Choice(choices) => arg.value_parser(PossibleValuesParser::new(choices.clone())),
        Kind::Id => arg.value_parser(|word: &str| text::id(word).map(|id| id.to_string())),
        Kind::Moment => arg.value_parser(|word: &str| moment::<jiff::Timestamp>(word).map(|_| word.to_owned())),
        Kind::Integer => arg.value_parser(value_parser!(i64)).allow_negative_numbers(true),
        Kind::Boolean | Kind::Flag => arg.value_parser(value_parser!(bool)),
        Kind::Text | Kind::Json | Kind::List(_) => arg,
    }
}

/// The value of a field on the command line.
pub fn value(field: &Field, matches: &ArgMatches) -> anyhow::Result<Option<Value>> {
    let id = id(&field.name);
    let name = id.as_str();
    Ok(match &field.kind {
        Kind::Flag => matches.get_flag(name).then(|| true.into()),
        Kind::Boolean => matches.get_one::<bool>(name).copied().map(Value::from),
        Kind::Integer => matches.get_one::<i64>(name).copied().map(Value::from),
        Kind::List(kind) if **kind == Kind::Integer => matches.get_many::<i64>(name).map(|all| all.copied().collect()),
        Kind::List(_) => matches.get_many::<String>(name).map(|all| all.cloned().collect()),
        Kind::Json => match matches.get_one::<String>(name) {
            None => None,
            Some(text) => Some(json(&field.name, text)?),
        },
        _ => matches.get_one::<String>(name).cloned().map(Value::from),
    })
}

fn json(name: &str, text: &str) -> anyhow::Result<Value> {
    let wrong = |error| Refused::because(format!("{name} is not JSON: {error}"));
    Ok(serde_json::from_str(text).map_err(wrong)?)
}

/// Reads a file, which is JSON if it looks like it, and YAML otherwise.
pub fn read(path: &Path) -> anyhow::Result<Value> {
    let text = file::read(path)?;
    let what = if path == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let text = String::from_utf8(text).map_err(|_| Refused::because(format!("{what} is not text in UTF-8")))?;
    let is_json = text.trim_start().starts_with(['{', '[']);
    let wrong = |error: String| Refused::because(format!("{what} can't be read: {error}"));
    let read = if is_json {
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?
    } else {
        serde_saphyr::from_str::<Value>(&text).map_err(|error| wrong(error.to_string()))?
    };
    Ok(read)
}

/// The body of a request: what the file has, and over it what the command line has.
pub fn of(verb: &Verb, fields: &[Field], matches: &ArgMatches) -> anyhow::Result<Map<String, Value>> {
    let mut body = match matches.get_one::<String>(FILE) {
        None => Map::new(),
        Some(path) => match read(Path::new(path))? {
            Value::Object(body) => body,
            _ => return Err(Refused::because(format!("{path} is not an object with fields")).into()),
        },
    };
    if verb.is_patch {
        for word in matches.get_many::<String>(SET).into_iter().flatten() {
            let (name, value) =
                word.split_once('=').ok_or_else(|| Refused::because(format!("{word} is not FIELD=VALUE")))?;
            let field = fields.iter().find(|field| field.name == name);
            body.insert(name.to_owned(), set(field, value));
        }
        return Ok(body);
    }
    for field in fields {
        if let Some(value) = value(field, matches)? {
            body.insert(field.name.clone(), value);
        }
    }
    Ok(body)
}

/// A value as it is written behind `FIELD=`. What isn't the JSON that a field needs is sent as text, so that the API says what is wrong.
fn set(field: Option<&Field>, value: &str) -> Value {
    let is_text = field.is_some_and(|field| {
        !matches!(field.kind, Kind::Integer | Kind::Flag | Kind::Boolean | Kind::List(_) | Kind::Json)
    });
    let looks_like_json = matches!(value, "true" | "false") || value.starts_with(['{', '[']);
    let is_json = value == "null" || (!is_text && (field.is_some() || looks_like_json));
    let read = is_json.then(|| serde_json::from_str(value).ok()).flatten();
    read.unwrap_or_else(|| value.into())
}
