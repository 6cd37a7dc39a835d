//! What texts look like: formats and patterns, by the name of their type or of their field (`formats.json`). A pattern takes every text that
//! the type takes; what it takes besides is told by the code of a refusal.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value};

type Members = Map<String, Value>;

#[derive(Default, Deserialize)]
struct Formats {
    /// Of schemas that are texts.
    types: BTreeMap<String, Members>,
    /// Of properties without a type of their own; by schema and name where one differs.
    fields: BTreeMap<String, Members>,
}

static FORMATS: LazyLock<Formats> =
    LazyLock::new(|| serde_json::from_str(include_str!("formats.json")).unwrap_or_default());

/// Says of all texts what they look like, as far as that is known.
pub fn add(schemas: &mut Members) {
    for (name, schema) in schemas {
        if let (Some(members), Some(schema)) = (FORMATS.types.get(name), schema.as_object_mut()) {
            schema.extend(members.clone());
        }
        of_fields(name, schema);
    }
}

fn of_fields(name: &str, schema: &mut Value) {
    for (field, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let members = FORMATS.fields.get(&format!("{name}.{field}")).or_else(|| FORMATS.fields.get(field.as_str()));
        if let (Some(members), Some(property)) = (members, property.as_object_mut())
            && is_text(property)
        {
            members.iter().for_each(|(name, value)| {
                property.entry(name.clone()).or_insert_with(|| value.clone());
            });
        }
    }
    for part in ["allOf", "oneOf", "anyOf"] {
        let parts = schema.get_mut(part).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(|part| of_fields(name, part));
    }
}

/// Whether it is any text: not one of several, nor one that says itself what it looks like.
fn is_text(property: &Members) -> bool {
    let is_text = match property.get("type") {
        Some(Value::String(kind)) => kind == "string",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "string"),
        _ => false,
    };
    is_text && !property.contains_key("enum")
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::{
        model::{
            labels::ExternalId,
            settings::{Country, Currency, Prose, TemplateName, Words},
        },
        text::{
            CallVariableName, CallerName, CallerNumber, CarrierPassword, CarrierUser, DialNumber, Dialable,
            DisplayName, Domain, E164, Email, EventSocketPassword, ExtensionNumber, FeatureCode, GroupName, HeaderName,
            Host, Keys, Network, Origin, Prefix, SipSecret, SipUsername, SoundFile, Spoken, StreamName, SwitchName,
            VoicemailPin,
        },
    };

    /// Texts of all kinds, each of which some type takes or nearly takes.
    const SAMPLES: &[&str] = &[
        "",
        " ",
        "a",
        "A",
        "ab",
        "Ada Lovelace",
        " Ada ",
        "O'Brien & Sons",
        "Öz",
        "a$b",
        "a{b}",
        "a<b",
        "a;b",
        "a\"b",
        "a^b",
        "[a]",
        "1",
        "12",
        "1000",
        "0000",
        "100000",
        "123456789012345",
        "1234567890123456",
        "+1",
        "+12025550123",
        "+0202555012",
        "+491",
        "12025550123",
        "*97",
        "*97123",
        "*31+12025550123",
        "#31#+4930123456",
        "31+49",
        "++49",
        "112",
        "1#",
        "1234#",
        "12w34A",
        "acme.example",
        "ACME.example",
        "-acme.example",
        "acme",
        "acme.1",
        "a b.example",
        "ada@acme.example",
        "ada@",
        "@acme.example",
        "ada+x@ACME.example",
        "a..b@acme.example",
        "+ada",
        "ada.lovelace_1-2",
        ".ada",
        "x-pre-process",
        "X-DID",
        "p-asserted",
        "X-",
        "Y-DID",
        "sip.carrier.example:5060",
        "192.0.2.1",
        "192.0.2.1:0",
        "192.0.2.1:5060",
        "192.0.2.1:+5060",
        "192.0.2.0/28",
        "192.0.2.0/+28",
        "192.0.2.0/33",
        "custom/welcome.wav",
        "welcome.wav",
        "../welcome.wav",
        "a//b.wav",
        "welcome.exe",
        "wav",
        "https://crm.example",
        "https://crm.example/",
        "pYqv0-3kQm1xT7uW9zAe",
        "short",
        "pYqv0 3kQm1xT7uW9zAe",
        "as-the-carrier-says",
        "a b",
        "a<b>c",
        "493827",
        "1234",
        "49 (0)30",
        "+49 (0)30",
        "DE",
        "de",
        "XX",
        "EUR",
        "eur",
        "dental-practice",
        "-dental",
        "Dental",
        "a\nb",
        "a\tb",
        "effective_caller_id_name",
        "call_timeout",
        "\u{200b}",
        "crm-4711",
        "a-b_c",
        "_a",
        "default",
    ];

    fn takes(members: &Members, text: &str) -> bool {
        let length = text.chars().count();
        let number =
            |name: &str| members.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        let pattern = members.get("pattern").and_then(Value::as_str).map(|pattern| Regex::new(pattern).unwrap());
        pattern.is_none_or(|pattern| pattern.is_match(text))
            && number("minLength").is_none_or(|least| length >= least)
            && number("maxLength").is_none_or(|most| length <= most)
    }

    #[test]
    fn a_pattern_takes_whatever_its_type_takes_and_not_everything() {
        let mut known = 0;
        macro_rules! compare {
            ($($name:ident),+ $(,)?) => {$(
                let members = &FORMATS.types[stringify!($name)];
                let taken = SAMPLES.iter().filter(|text| $name::parse(text).is_ok()).collect::<Vec<_>>();
                assert!(!taken.is_empty(), "{}: none of the samples", stringify!($name));
                for text in taken {
                    assert!(takes(members, text), "{} takes {text:?}, and its pattern does not", stringify!($name));
                }
                if members.contains_key("pattern") {
                    let refused = SAMPLES.iter().filter(|text| !takes(members, text)).count();
                    assert!(refused > 5, "{}: {refused}", stringify!($name));
                }
                known += 1;
            )+};
        }
        compare!(
            CallVariableName,
            CallerName,
            CallerNumber,
            CarrierPassword,
            CarrierUser,
            Country,
            Currency,
            DialNumber,
            Dialable,
            DisplayName,
            Domain,
            E164,
            Email,
            EventSocketPassword,
            ExtensionNumber,
            ExternalId,
            FeatureCode,
            GroupName,
            HeaderName,
            Host,
            Keys,
            Network,
            Origin,
            Prefix,
            Prose,
            SipSecret,
            SipUsername,
            SoundFile,
            Spoken,
            StreamName,
            SwitchName,
            TemplateName,
            VoicemailPin,
            Words,
        );
        // Those that are no text types: a time of day, a zone, and an address with names in braces.
        assert_eq!(known + 3, FORMATS.types.len());
    }

    #[test]
    fn texts_have_the_formats_of_their_names_unless_they_say_more() {
        let mut schemas = serde_json::json!({
            "Email": { "type": "string" },
            "One": { "properties": {
                "email": { "type": ["string", "null"] }, "url": { "type": "string", "format": "uri-reference" },
                "domain": { "$ref": "#/components/schemas/Domain" }, "date": { "type": "integer" } } },
        });
        add(schemas.as_object_mut().unwrap());
        assert_eq!(schemas["Email"]["format"], "email");
        let one = &schemas["One"]["properties"];
        assert_eq!((&one["email"]["format"], &one["url"]["format"]), (&"email".into(), &"uri-reference".into()));
        assert!(one["domain"].get("format").is_none() && one["date"].get("format").is_none());
    }
}
