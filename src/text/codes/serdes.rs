//! What serde says of a value that it can't read, as a code. Serde passes on only text. This is the only place that depends on its words.

use super::{Code, Why};

impl Why {
    /// Reads the code from serde's message about a value. Serde passes on only text, so text types put their code in brackets after
    /// their sentence (`TextError::for_serde`). Serde's own messages about kinds and words have codes too; the rest is `unreadable`.
    #[must_use]
    pub fn of_serde(said: &str) -> Self {
        // serde_json appends line and column, but the field is more useful.
        let said = said.split(" at line ").next().unwrap_or(said);
        let code =
            said.strip_suffix(']').and_then(|said| said.rsplit_once('[')).and_then(|(_, name)| Code::named(name));
        code.map(Self::from)
            .or_else(|| wrong_kind(said))
            .or_else(|| wrong_word(said))
            .unwrap_or_else(|| Code::Unreadable.with("reason", without_value(said)))
    }

    /// The field of a serde error, and the reason. `path` is where the error was, `.` at the top. For a missing field, the path
    /// leads to the object that lacks it, and only the message names the field (`missing_field` of serde's `Error`). This is the
    /// only place that depends on that message.
    #[must_use]
    pub fn of_serde_at(path: &str, said: &str) -> (String, Self) {
        match said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            Some(name) if path == "." => (name.to_owned(), Code::Missing.into()),
            Some(name) => (format!("{path}.{name}"), Code::Missing.into()),
            None => (path.to_owned(), Self::of_serde(said)),
        }
    }
}

/// The code for serde's `invalid type: WHAT, expected KIND`, `invalid value: …` (`Error::invalid_type` and its siblings in `serde::de`).
fn wrong_kind(said: &str) -> Option<Why> {
    let (is_value, rest) = match said.split_once(": ")? {
        ("invalid type", rest) => (false, rest),
        ("invalid value", rest) => (true, rest),
        _ => return None,
    };
    // A value may contain anything, so the last one counts.
    let (_, expected) = rest.rsplit_once(", expected ")?;
    Some(match expected {
        "a string" | "string" | "a borrowed string" => Code::NotText.into(),
        "a boolean" => Code::NotAFlag.into(),
        "a sequence" => Code::NotAList.into(),
        "a map" => Code::NotAnObject.into(),
        "f32" | "f64" => Code::NotANumber.into(),
        _ if expected.starts_with("struct ") => Code::NotAnObject.into(),
        _ => {
            let (least, most) = limits(expected)?;
            if is_value { Code::range(least, most) } else { Code::NotAWholeNumber.into() }
        }
    })
}

/// The least and the greatest number of a type of whole numbers.
fn limits(of: &str) -> Option<(i128, i128)> {
    let bits = of.get(1..)?.parse::<u32>().ok().or_else(|| of.ends_with("size").then_some(64))?;
    match (of.as_bytes()[0], bits) {
        (b'u', 8..=64) => Some((0, (1 << bits) - 1)),
        (b'i', 8..=64) => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
        _ => None,
    }
}

/// The code for serde's `unknown variant SENT, expected KNOWN` and `unknown field …` (`OneOf` of `serde::de`).
fn wrong_word(said: &str) -> Option<Why> {
    let code = if said.starts_with("unknown variant ") {
        Code::NotOneOf
    } else if said.starts_with("unknown field ") {
        Code::UnknownField
    } else {
        return None;
    };
    let (_, expected) = said.rsplit_once(", expected ")?;
    let words = expected.split('`').skip(1).step_by(2).collect::<Vec<_>>();
    (!words.is_empty()).then(|| code.with("known", words.join(", ")))
}

/// Serde's message (`Unexpected` of `serde::de`) without the value, which may be a password in the wrong place.
fn without_value(said: &str) -> String {
    let kind = ["invalid type: ", "invalid value: "].into_iter().find(|kind| said.starts_with(*kind));
    let Some(kind) = kind else { return said.to_owned() };
    let rest = &said[kind.len()..];
    let (what, value) = rest.split_at(rest.find(['"', '`']).unwrap_or(rest.len()));
    // A value may contain anything. The expected words come after it.
    let expected = value.rfind(", expected ").map_or("", |at| &value[at..]);
    format!("{kind}{}{expected}", what.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_is_named_with_where_it_should_be() {
        #[derive(Debug, serde::Deserialize)]
        struct Inner {
            #[expect(dead_code, reason = "it is only read")]
            number: u8,
        }
        let said = serde_json::from_str::<Inner>("{}").unwrap_err().to_string();
        assert_eq!(Why::of_serde_at(".", &said), ("number".into(), Code::Missing.into()));
        assert_eq!(Why::of_serde_at("a[0]", &said), ("a[0].number".into(), Code::Missing.into()));
    }

    #[test]
    fn a_code_goes_through_serde() {
        let said = crate::text::TextError(Code::ForbiddenCharacters).for_serde().to_string();
        assert_eq!(Why::of_serde(&format!("{said} at line 1 column 7")), Code::ForbiddenCharacters.into());
        let other = Why::of_serde("invalid type: string [x], expected a moon at line 1 column 7");
        assert_eq!(other, Code::Unreadable.with("reason", "invalid type: string [x], expected a moon"));
    }

    #[test]
    fn what_was_sent_is_not_said_back() {
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(dead_code, reason = "only read")]
        enum Colour {
            #[default]
            Red,
            Blue,
        }
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[allow(dead_code, reason = "only read")]
        struct Line {
            number: u8,
            colour: Colour,
            on: bool,
            names: Vec<String>,
            share: f32,
        }
        let secret = r#"hunter2, expected `x`, \"expected"#;
        let words = || Code::NotOneOf.with("known", "red, blue");
        for (json, told) in [
            (format!("\"{secret}\""), Code::NotAnObject.into()),
            (format!("{{\"number\": \"{secret}\"}}"), Code::NotAWholeNumber.into()),
            ("{\"number\": 471108}".to_owned(), Code::range(0, 255)),
            ("{\"number\": 4711.25}".to_owned(), Code::NotAWholeNumber.into()),
            ("{\"number\": [4711]}".to_owned(), Code::NotAWholeNumber.into()),
            ("{\"number\": true}".to_owned(), Code::NotAWholeNumber.into()),
            ("{\"number\": 1, \"on\": \"yes\"}".to_owned(), Code::NotAFlag.into()),
            ("{\"number\": 1, \"names\": \"4711\"}".to_owned(), Code::NotAList.into()),
            ("{\"number\": 1, \"names\": [4711]}".to_owned(), Code::NotText.into()),
            ("{\"number\": 1, \"share\": \"x\"}".to_owned(), Code::NotANumber.into()),
            (format!("{{\"colour\": \"{secret}\"}}"), words()),
            ("{\"colour\": \"471108\"}".to_owned(), words()),
            ("{\"hunter2\": 1}".to_owned(), Code::UnknownField.with("known", "number, colour, on, names, share")),
        ] {
            let said = serde_json::from_str::<Line>(&json).unwrap_err().to_string();
            assert_eq!(Why::of_serde(&said), told, "{said}");
        }
        assert_eq!(limits("i64"), Some((i64::MIN.into(), i64::MAX.into())));
        assert_eq!(limits("u64"), Some((0, u64::MAX.into())));
        assert_eq!(
            Why::of_serde("invalid type: sequence \"hunter2\", expected a moon").english(),
            "can't be read: invalid type: sequence, expected a moon"
        );
    }
}
