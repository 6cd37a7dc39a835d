//! Removes secrets from what is logged about a change: more people read the audit log than may know secrets, and it is kept longer.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Replaces a secret.
const HIDDEN: &str = "(hidden)";

/// Whether a field, parameter or attribute with this name contains a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = ["pass", "secret", "cred", "token", "api_key", "api-key", "apikey", "private", "dsn"];
    parts.iter().any(|part| name.contains(part)) || name == "pin" || name.ends_with("_pin") || name.ends_with("-pin")
}

/// Hides secrets: by the names of fields, within XML by the names of parameters and attributes, and in URLs.
#[must_use]
pub fn masked(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, value)| field(name, value)).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(masked).collect()),
        Value::String(text) => Value::String(masked_text(text)),
        other => other,
    }
}

fn field(name: String, value: Value) -> (String, Value) {
    let value = match value {
        // Text in brackets describes a secret and is not one.
        Value::String(text) if is_secret(&name) && !text.starts_with('(') => Value::String(HIDDEN.into()),
        Value::Number(_) if is_secret(&name) => Value::String(HIDDEN.into()),
        other => masked(other),
    };
    (name, value)
}

/// `scheme://user:password@host` and `?token=…`, also if XML has them as character references.
static IN_ADDRESS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    let regex = |text| Regex::new(text).expect("it is a constant that is tried by a test");
    [
        regex(r#"(://)[^/@\s"<>]+@"#),
        regex(r#"(?i)((?:pass\w*|secret\w*|cred\w*|token|api_?key|key|signature)=)[^"&;\s<>]+"#),
    ]
});
static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"([a-z][a-z0-9_-]*)="([^"]*)""#).expect("it is a constant that is tried by a test"));

fn masked_text(text: String) -> String {
    if text.starts_with("<configuration ") {
        return text.lines().map(|line| masked_element(line) + "\n").collect();
    }
    masked_addresses(text)
}

fn masked_addresses(text: String) -> String {
    if !text.contains("://") && !text.contains('=') {
        return text;
    }
    let text = IN_ADDRESS[0].replace_all(&text, format!("${{1}}{HIDDEN}@")).into_owned();
    IN_ADDRESS[1].replace_all(&text, format!("${{1}}{HIDDEN}")).into_owned()
}

/// One element of a configuration, which stands on a line of its own.
fn masked_element(line: &str) -> String {
    let named = ATTRIBUTE.captures_iter(line).find(|found| &found[1] == "name").map(|found| plain(&found[2]));
    let secret = named.is_some_and(|name| is_secret(&name));
    let masked = ATTRIBUTE.replace_all(line, |found: &regex::Captures<'_>| {
        let (key, value) = (&found[1], &found[2]);
        if key != "name" && (secret || is_secret(key)) {
            return format!("{key}=\"{HIDDEN}\"");
        }
        format!("{key}=\"{}\"", masked_addresses(value.to_owned()))
    });
    masked.into_owned()
}

/// A name with hyphens instead of the escaper's character references.
fn plain(name: &str) -> String {
    name.replace("&#45;", "-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand_and_the_rest_is_not() {
        let before = json!({
            "name": "Acme", "password": "(changed)", "sip_password": "s3cret", "voicemail_pin": "1234", "pin": 1234,
            "has_password": true, "key_id": null, "number": "1000",
            "ice_servers": [{ "urls": ["turn:t.test"], "username": "u", "credential": "s3cret" }],
            "config": { "api_key": "s3cret", "url": "https://u:s3cret@h.test/?token=s3cret&page=2" },
        });
        let after = masked(before);
        assert!(!after.to_string().contains("s3cret") && !after.to_string().contains("1234"), "{after}");
        assert_eq!(after["password"], "(changed)");
        assert_eq!(
            (&after["name"], &after["has_password"], &after["number"]),
            (&json!("Acme"), &json!(true), &json!("1000"))
        );
        assert_eq!(after["ice_servers"][0]["username"], "u");
        assert!(after["config"]["url"].as_str().unwrap().ends_with("&page=2"));
    }

    #[test]
    fn parameters_of_modules_are_hidden_by_their_names() {
        let text = "<configuration name=\"json&#95;cdr.conf\">\n<param name=\"cred\" value=\"fs:s3cret\">\n</param>\n\
            <param value=\"s3cret\" name=\"auth&#45;PASS\">\n</param>\n<x password=\"s3cret\">\n</x>\n\
            <param name=\"odbc&#45;dsn\" value=\"db:u:s3cret\">\n</param>\n\
            <param name=\"url\" value=\"http://u:s3cret@b.test/&#63;token=s3cret\">\n</param>\n\
            <param name=\"sip&#45;port\" value=\"5060\">\n</param>\n</configuration>\n";
        let masked = masked(json!(text));
        let masked = masked.as_str().unwrap();
        assert!(!masked.contains("s3cret"), "{masked}");
        assert!(masked.contains("value=\"5060\"") && masked.contains("b.test"), "{masked}");
        assert_eq!(masked.lines().count(), text.lines().count());
    }
}
