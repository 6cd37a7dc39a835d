//! Reads a JSON body, so that errors name the field.

use std::{collections::HashMap, fmt::Debug};

use actix_web::web::Bytes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::problem::Problem;
use crate::{
    node::apart::apart,
    text::{Code, Why},
};

/// What everything is shown with, and nobody changes.
const OF_ALL: [&str; 5] = ["id", "tenant_id", "version", "created_at", "updated_at"];

/// The largest JSON body in bytes, enough for ten thousand agents.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// Reads a body into a type. Wrong values become a 422 that names the field, and broken JSON a 400.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(if body.is_empty() { b"{}" } else { body });
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if cause.is_syntax() || cause.is_eof() {
            return Problem::from(Code::NotJson.with("reason", cause));
        }
        let (field, why) = Why::of_serde_at(&path, &cause.to_string());
        Problem::of_json(field, why)
    })?;
    json.end().map_err(|error| Problem::from(Code::NotJson.with("reason", error)))?;
    Ok(value)
}

/// The same for a merge patch of something that is shown as `Shown`: a field that is shown but can't be changed says so.
///
/// `null` for a field that can't be empty is refused rather than taken for an absent one.
pub fn patch<T: DeserializeOwned + Debug, Shown: ToSchema>(body: &[u8]) -> Result<T, Problem> {
    if let Some(field) = without_effect::<T>(body) {
        return Err(Problem::of_json(field, Code::Missing.into()));
    }
    parse(body).map_err(|problem| {
        let field = problem.named().filter(|field| !field.contains('.')).map(ToOwned::to_owned);
        let is_shown = |field: &String| {
            if OF_ALL.contains(&field.as_str()) {
                return true;
            }
            let mut parts = Vec::new();
            Shown::schemas(&mut parts);
            let json = |schema: &RefOr<Schema>| serde_json::to_value(schema).unwrap_or_default();
            let parts = parts.iter().map(|(name, schema)| (name.as_str(), json(schema))).collect();
            has_field(&json(&Shown::schema()), field, &parts)
        };
        match field.filter(|field| problem.is(Code::UnknownField) && is_shown(field)) {
            Some(field) => Problem::of_field(field, Code::CantChange.into()),
            None => problem,
        }
    })
}

/// Whether what has this schema has the field itself, or by a part that stands in it. `parts`: the schemas that it names.
fn has_field(schema: &Value, field: &str, parts: &HashMap<&str, Value>) -> bool {
    let named = schema["$ref"].as_str().and_then(|name| parts.get(name.rsplit('/').next()?));
    let joined = ["allOf", "oneOf"].iter().filter_map(|how| schema[*how].as_array()).flatten();
    schema["properties"].get(field).is_some() || joined.chain(named).any(|part| has_field(part, field, parts))
}

/// A field that is `null`, which is read as if it were absent.
fn without_effect<T: DeserializeOwned + Debug>(body: &[u8]) -> Option<String> {
    let sent = serde_json::from_slice::<Map<String, Value>>(body).ok()?;
    let said = |sent: Value| serde_json::from_value::<T>(sent).ok().map(|patch| format!("{patch:?}"));
    let nothing = said(Value::Object(Map::new()))?;
    let mut nulls = sent.into_iter().filter(|(_, value)| value.is_null()).map(|(field, _)| field);
    nulls.find(|field| said(serde_json::json!({ field: null })).is_some_and(|said| said == nothing))
}

/// The same for a body that may be large, on a thread that serves nobody else.
pub async fn parse_apart<T: DeserializeOwned + Send + 'static>(body: &Bytes) -> Result<T, Problem> {
    let body = body.clone();
    apart(move || parse(&body)).await?
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError as _;

    use serde::Deserialize;

    use super::*;
    use crate::text::ExtensionNumber;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        number: ExtensionNumber,
        #[serde(default)]
        seconds: Vec<u8>,
    }

    fn refused(body: &str) -> (u16, serde_json::Value) {
        let problem = parse::<Sample>(body.as_bytes()).unwrap_err();
        (problem.status_code().as_u16(), serde_json::to_value(&problem).unwrap())
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        let (status, problem) = refused(r#"{"number": "x"}"#);
        assert_eq!((status, &problem["field"]), (422, &"number".into()));
        assert_eq!(problem["detail"], "number: must be 2 to 15 digits.");
        let (status, problem) = refused(r#"{"number": "1000", "seconds": [1, "x"]}"#);
        assert_eq!((status, &problem["field"]), (422, &"seconds[1]".into()));
        let (status, problem) = refused("{}");
        assert_eq!((status, &problem["field"]), (422, &"number".into()));
        let (status, problem) = refused(r#"{"number": "1000", "nubmer": 1}"#);
        assert_eq!((status, &problem["field"]), (422, &"nubmer".into()));
        let (status, problem) = refused(r#"{"number": 1000}"#);
        assert_eq!((status, &problem["field"]), (422, &"number".into()));
    }

    #[test]
    fn what_is_no_json_is_a_bad_request() {
        for body in ["{", "number=1000", r#"{"number": "1000"} {}"#, "\u{0}"] {
            assert_eq!(refused(body).0, 400, "{body}");
        }
        assert_eq!(parse::<Sample>(br#"{"number": "1000"}"#).unwrap().number.as_str(), "1000");
        assert!(parse::<Sample>(br#"{"number": "1000"}"#).unwrap().seconds.is_empty());
    }
}
