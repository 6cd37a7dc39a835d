//! Every answer of the API is compared with the API's own description: a status or a field that is not described, or one that is described
//! and missing, fails the test that saw it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock},
};

use dialplane::text::{Code, codes::Kind};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Answer, try_send};

struct Described {
    paths: Value,
    /// Schemas in which an object has no other fields than those that it names.
    components: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

static DESCRIBED: OnceLock<Described> = OnceLock::new();

/// Panics if the answer is not as it is described.
pub async fn check(address: SocketAddr, method: &str, path: &str, answer: &Answer) {
    if DESCRIBED.get().is_none() {
        // A server that doesn't answer this is not an app listener over plain HTTP.
        let Ok(document) = Box::pin(try_send(address, "GET", "/openapi.json", &[], b"")).await else { return };
        let Ok(mut document) = serde_json::from_slice::<Value>(&document.body) else { return };
        let mut components = document["components"].take();
        close(&mut components["schemas"]);
        let _ = DESCRIBED.set(Described { paths: document["paths"].take(), components, validators: Mutex::default() });
    }
    if let Some(described) = DESCRIBED.get() {
        described.check(method, path, answer);
    }
}

/// A problem about a value says which: by a path, such as `members[2]`, or `.` for a body that is nothing of the kind.
fn names_its_field(what: &str, problem: &Value) {
    let code = Code::ALL.iter().find(|code| problem["code"] == code.name()).unwrap_or_else(|| panic!("{problem:#}"));
    let field = problem["field"].as_str();
    assert!(code.kind() != Kind::Field || field.is_some(), "{what} names no field: {problem:#}");
    let begins = |field: &str| field == "." || field.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    assert!(field.is_none_or(begins), "{what} has no path to its field: {problem:#}");
}

/// Objects with named properties have no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

impl Described {
    fn check(&self, method: &str, path: &str, answer: &Answer) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let Some((template, operations)) = self.route(path) else { return };
        // A browser's preflight request for another site's page.
        if method == "OPTIONS" && answer.status == 204 {
            return;
        }
        let Some(operation) = operations.get(method.to_lowercase()) else {
            assert_eq!(answer.status, 405, "{method} {path} is not described");
            assert!(answer.header("Allow").is_some());
            return;
        };
        let what = format!("{method} {template}: {}", answer.status);
        assert!(answer.header("X-Request-Id").is_some(), "{what} has no id");
        let response = &operation["responses"][answer.status.to_string()];
        let response = match response["$ref"].as_str() {
            Some(name) => &self.components["responses"][name.rsplit('/').next().unwrap()],
            None => response,
        };
        assert!(response.is_object(), "{what} is not described: {}", answer.text());
        if matches!(answer.status, 429 | 503) {
            assert!(answer.header("Retry-After").is_some(), "{what} doesn't say when to try again");
        }
        if answer.status < 300 {
            for name in ["ETag", "Location", "Dialplane-Visible"] {
                let is_said = response["headers"].get(name).is_some();
                let is_replayed = answer.header("Idempotency-Replayed").is_some();
                let is_there = answer.header(name).is_some() || name == "Dialplane-Visible" && is_said && is_replayed;
                assert_eq!(is_there, is_said, "{what}: {name} is there or described, but not both");
            }
        }
        let media = answer.header("Content-Type").unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
        if answer.body.is_empty() {
            assert!(response.get("content").is_none(), "{what} is described with a body");
            return;
        }
        let content = &response["content"][&media];
        assert!(content.is_object(), "{what} with {media} is not described: {}", answer.text());
        if !media.ends_with("json") {
            return;
        }
        // Whoever names the fields gets no others.
        if query.split('&').any(|one| one.starts_with("fields=")) && answer.status == 200 {
            return;
        }
        let body = answer.json();
        let validator = self.validator(&content["schema"]);
        let errors = validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path()));
        let errors = errors.collect::<Vec<_>>();
        assert!(errors.is_empty(), "{what} is not as described: {errors:#?}\n{body:#}");
        if media == "application/problem+json" {
            names_its_field(&what, &body);
        }
    }

    /// The path as it is described. A word counts more than a parameter in its place.
    fn route(&self, path: &str) -> Option<(&String, &Value)> {
        let parts = path.split('/').collect::<Vec<_>>();
        let fits = |template: &str| {
            let named = template.split('/').collect::<Vec<_>>();
            named.len() == parts.len()
                && named.iter().zip(&parts).all(|(named, part)| named.starts_with('{') || named == part)
        };
        let routes = self.paths.as_object().unwrap().iter().filter(|(template, _)| fits(template));
        routes.min_by_key(|(template, _)| template.matches('{').count())
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let key = schema.to_string();
        if let Some(known) = self.validators.lock().unwrap().get(&key) {
            return Arc::clone(known);
        }
        let whole = json!({ "allOf": [schema], "components": self.components });
        let validator =
            Arc::new(jsonschema::draft202012::options().should_validate_formats(true).build(&whole).unwrap());
        self.validators.lock().unwrap().insert(key, Arc::clone(&validator));
        validator
    }
}
