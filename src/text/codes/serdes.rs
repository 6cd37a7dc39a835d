//! What serde says of a value that it can't read, as a code. Serde passes on only text. This is the only place that depends on its words.

use super::{Code, Why};

impl Why {
    /// Reads the code from serde's message about a value. Serde passes on only text, so text types put their code in brackets after
    /// their sentence (`TextError::for_serde`). Serde's own messages about kinds and words have codes too; the rest is `unreadable`.
    #[must_use]
    pub fn of_serde(said: &str) -> Self {
        let said = without_place(said);
        let code =
            said.strip_suffix(']').and_then(|said| said.rsplit_once('[')).and_then(|(_, name)| Code::named(name));
        code.map(Self::from)
            .or_else(|| wrong_kind(said))
            .or_else(|| wrong_word(said))
            .or_else(|| of_others(said).map(Self::from))
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

/// Without the line and the column, which serde_json appends: the field is more useful.
fn without_place(said: &str) -> &str {
    let place = said.rsplit_once(" at line ").and_then(|(before, place)| Some((before, place.split_once(" column ")?)));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match place {
        Some((before, (line, column))) if is_number(line) && is_number(column) => before,
        _ => said,
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
    let (sent, expected) = rest.rsplit_once(", expected ")?;
    if sent == "null" {
        return Some(Code::Missing.into());
    }
    let code = match expected {
        "a string" | "string" | "a borrowed string" => Code::NotText,
        "a boolean" => Code::NotAFlag,
        "a sequence" => Code::NotAList,
        "a map" => Code::NotAnObject,
        "f32" | "f64" => Code::NotANumber,
        "a formatted UUID string" => Code::IdExpected,
        _ if expected.starts_with("struct ") => Code::NotAnObject,
        // How large a number may be is said by what reads it further: the machine's limits are not those of the field.
        _ if is_whole(expected) && (is_value || is_large(sent)) => Code::OutOfBounds,
        _ if is_whole(expected) => Code::NotAWholeNumber,
        _ => return None,
    };
    Some(code.into())
}

/// Whether this is the name of a type of whole numbers.
fn is_whole(what: &str) -> bool {
    let size = what.strip_prefix(['u', 'i']).unwrap_or_default();
    matches!(size, "8" | "16" | "32" | "64" | "128" | "size")
}

/// Whether a whole number was sent that is too large for all of them, as text or as a number.
fn is_large(sent: &str) -> bool {
    let value = sent.split(['"', '`']).nth(1).unwrap_or_default();
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    let is_number = digits.bytes().all(|b| b.is_ascii_digit());
    (is_number && digits.len() > 18) || (sent.starts_with("floating") && digits.parse::<f64>().is_ok_and(|n| n >= 1e18))
}

/// The code for what other parsers say: of ids (uuid), times (chrono), numbers and flags in a query (std), and serde's `duplicate_field`.
fn of_others(said: &str) -> Option<Code> {
    Some(match said {
        "input contains invalid characters"
        | "premature end of input"
        | "input is out of range"
        | "input is not enough for unique date and time"
        | "trailing input" => Code::NotAMoment,
        "invalid digit found in string" => Code::NotAWholeNumber,
        "number too large to fit in target type" | "number too small to fit in target type" => Code::OutOfBounds,
        "provided string was not `true` or `false`" => Code::NotAFlag,
        _ if said.starts_with("UUID parsing failed") => Code::IdExpected,
        _ if said.starts_with("duplicate field ") => Code::GivenTwice,
        _ => return None,
    })
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
    let kinds = ["invalid type: ", "invalid value: ", "unknown variant ", "unknown field "];
    let kind = kinds.into_iter().find(|kind| said.starts_with(*kind));
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
            ("{\"number\": 471108}".to_owned(), Code::OutOfBounds.into()),
            ("{\"number\": -1}".to_owned(), Code::OutOfBounds.into()),
            ("{\"number\": 99999999999999999999}".to_owned(), Code::OutOfBounds.into()),
            ("{\"number\": \"99999999999999999999\"}".to_owned(), Code::OutOfBounds.into()),
            ("{\"number\": null}".to_owned(), Code::Missing.into()),
            ("{\"number\": 1, \"number\": 2}".to_owned(), Code::GivenTwice.into()),
            ("{\"colour\": \"hunter2 at line 1\"}".to_owned(), words()),
            ("{\"colour\": \"x [missing] at line 3\"}".to_owned(), words()),
            ("{\"number\": \"hunter2 at line 1 column 2\"}".to_owned(), Code::NotAWholeNumber.into()),
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
        assert_eq!(
            Why::of_serde("invalid type: sequence \"hunter2\", expected a moon").english(),
            "can't be read: invalid type: sequence, expected a moon"
        );
    }
}
