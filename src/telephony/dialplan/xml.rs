//! XML that a platform's administrator writes for a switch: parsed, checked, and written anew, one element a line, so that nothing
//! of it is left that the switch's preprocessor would act on.

use std::fmt::Write as _;

use askama::filters::Escaper as _;
use quick_xml::{Reader, events::Event};
use regex_syntax::hir::{Hir, HirKind};

use crate::text::escape::SwitchXml;

/// Elements and the attributes each may have (`parse_exten` in mod_dialplan_xml.c).
const ALLOWED: &[(&str, &[&str])] = &[
    ("extension", &["name", "continue"]),
    (
        "condition",
        &[
            "field",
            "expression",
            "break",
            "regex",
            "require-nested",
            "date-time",
            "year",
            "yday",
            "mon",
            "mday",
            "week",
            "mweek",
            "wday",
            "hour",
            "minute",
            "minute-of-day",
            "time-of-day",
            "tz-offset",
            "dst",
        ],
    ),
    ("regex", &["field", "expression"]),
    ("action", &["application", "data", "inline", "loop"]),
    ("anti-action", &["application", "data", "inline", "loop"]),
];

/// Applications that run programs, or leave the tenant: nobody's, also not by XML.
const FORBIDDEN: &[&str] = &[
    "system",
    "bgsystem",
    "spawn",
    "spawn_stream",
    "lua",
    "python",
    "python3",
    "perl",
    "javascript",
    "jsrun",
    "mono",
    "socket",
    "eval",
    "curl",
    "cidlookup",
    "limit_execute",
    "sched_transfer",
];

/// Checks XML of `<extension>` elements and returns it as it is kept.
pub fn canonical(text: &str) -> Result<String, String> {
    if text.len() > 64 << 10 {
        return Err("must have at most 64 KiB".into());
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().trim_text(true);
    let mut out = String::with_capacity(text.len());
    let mut open = Vec::<&str>::new();
    let mut extensions = 0;
    loop {
        let event = reader.read_event().map_err(|error| format!("is not well-formed: {error}"))?;
        match event {
            // An empty element comes as its start and end.
            Event::Start(start) | Event::Empty(start) => {
                let name = start.name().0.to_owned();
                let (name, attributes) = allowed(&name, open.last().copied())?;
                extensions += usize::from(name == "extension");
                write_start(&mut out, name, attributes, &start)?;
                open.push(name);
            }
            Event::End(_) => {
                // The reader refuses an end without its start.
                let name = open.pop().unwrap_or_default();
                let _ = writeln!(out, "</{name}>");
            }
            Event::Eof => break,
            Event::Text(text) if text.trim_ascii().is_empty() => {}
            Event::Text(_) | Event::CData(_) => return Err("must have its values in attributes, not as text".into()),
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) | Event::Decl(_) | Event::GeneralRef(_) => {
                return Err("must hold elements alone: no comments, declarations or references".into());
            }
        }
    }
    if !open.is_empty() || extensions == 0 {
        return Err("must be one or more whole <extension> elements".into());
    }
    Ok(out)
}

fn allowed(name: &str, parent: Option<&str>) -> Result<(&'static str, &'static [&'static str]), String> {
    let found = ALLOWED.iter().find(|(allowed, _)| *allowed == name);
    let Some((name, attributes)) = found else {
        return Err(format!("may not hold <{name}>"));
    };
    let fits = match *name {
        "extension" => parent.is_none(),
        "condition" => matches!(parent, Some("extension" | "condition")),
        _ => parent == Some("condition"),
    };
    if fits { Ok((name, attributes)) } else { Err(format!("may not hold <{name}> there")) }
}

fn write_start(
    out: &mut String,
    name: &str,
    allowed: &[&str],
    start: &quick_xml::events::BytesStart<'_>,
) -> Result<(), String> {
    let _ = write!(out, "<{name}");
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| format!("is not well-formed: {error}"))?;
        let key = attribute.key.0.to_owned();
        if !allowed.contains(&key.as_str()) {
            return Err(format!("may not have {key} on <{name}>"));
        }
        let value =
            quick_xml::escape::unescape(&attribute.value).map_err(|error| format!("is not well-formed: {error}"))?;
        check_value(name, &key, &value)?;
        let _ = write!(out, " {key}=\"");
        SwitchXml.write_escaped_str(&mut *out, &value).map_err(|_| format!("has a control character in {key}"))?;
        out.push('"');
    }
    out.push_str(">\n");
    Ok(())
}

fn check_value(element: &str, attribute: &str, value: &str) -> Result<(), String> {
    if value.contains("<!") || value.to_ascii_lowercase().contains("x-pre-process") {
        return Err(format!("has something in {attribute} that a switch acts on"));
    }
    if attribute == "application" && FORBIDDEN.contains(&value.to_ascii_lowercase().as_str()) {
        return Err(format!("may not run {value}"));
    }
    // With parentheses or a space, a switch takes it for an API call (switch_channel_expand_variables_check).
    let calls_api = value.match_indices("${").any(|(at, _)| {
        let inner = value[at + 2..].split('}').next().unwrap_or_default();
        inner.contains(['(', ' '])
    });
    if calls_api {
        return Err(format!("may not call an API in {attribute}"));
    }
    let is_pattern = matches!(element, "condition" | "regex") && attribute == "expression";
    if is_pattern {
        crate::routing::entries::Pattern::parse(value).map_err(|error| format!("has an expression that {error}"))?;
        let parsed = regex_syntax::parse(value).map_err(|error| format!("has an expression that is none: {error}"))?;
        if repeats_repeats(&parsed, false) {
            return Err("has an expression that repeats what repeats already, such as (a+)+".into());
        }
    }
    Ok(())
}

/// A switch matches by going back (PCRE2, in switch_regex.c): a repeat within a repeat takes time that doubles with each character
/// that a caller dials.
fn repeats_repeats(pattern: &Hir, repeated: bool) -> bool {
    match pattern.kind() {
        HirKind::Repetition(repetition) => {
            let often = repetition.max.is_none_or(|most| most > 16);
            (often && repeated) || repeats_repeats(&repetition.sub, repeated || often)
        }
        HirKind::Capture(capture) => repeats_repeats(&capture.sub, repeated),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().any(|part| repeats_repeats(part, repeated))
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = r#"<extension name="x"><condition field="destination_number" expression="^77(\d+)$">
        <action application="bridge" data="sofia/gateway/x/$1"/><anti-action application="hangup"/></condition></extension>"#;

    #[test]
    fn xml_is_written_anew_one_element_a_line() {
        let text = canonical(FINE).unwrap();
        assert!(text.lines().all(|line| line.starts_with('<') && line.ends_with('>')), "{text}");
        assert!(text.contains("data=\"sofia/gateway/x/&#36;1\""), "{text}");
        assert_eq!(canonical(&text).unwrap(), text, "what is kept is kept as it is");
        assert!(crate::model::diff::diff("", &text).contains("+<extension name=\"x\">"));
    }

    #[test]
    fn what_could_run_or_leave_is_refused() {
        for (wrong, why) in [
            (FINE.replace("bridge", "system"), "may not run system"),
            (FINE.replace("sofia/gateway/x/$1", "${system(id)}"), "may not call an API"),
            (FINE.replace("sofia/gateway/x/$1", "a&lt;!b"), "acts on"),
            (FINE.replace("^77(\\d+)$", "^(a+)+(?=b)$"), "regular expression"),
            (FINE.replace("^77(\\d+)$", "^(a+)+$"), "repeats what repeats"),
            (FINE.replace("^77(\\d+)$", "^([0-9]+|x)*y$"), "repeats what repeats"),
            (FINE.replace("field=", "onclick="), "may not have onclick"),
            (format!("<!-- x -->{FINE}"), "no comments"),
            (FINE.replace("<action ", "<X-PRE-PROCESS cmd=\"exec\"/><action "), "may not hold <X-PRE-PROCESS>"),
            ("<context name=\"other.test\"/>".into(), "may not hold <context>"),
            ("<extension>".into(), "whole <extension>"),
            ("<extension></condition>".into(), "well-formed"),
            (String::new(), "whole <extension>"),
        ] {
            let error = canonical(&wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
