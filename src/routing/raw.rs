//! XML entries, which platform administrators write for a switch. They are parsed, checked and written anew, one element per
//! line, so that nothing is left that the switch's preprocessor would act on. `applications` lists what they may run.

use std::{borrow::Cow, fmt::Write as _};

use askama::filters::Escaper as _;
use quick_xml::{Reader, events::Event};
use regex_syntax::{
    ast::{self, Ast},
    hir::{Class, Hir, HirKind},
};

use super::{
    actions::PARK,
    applications::{self, Place},
};
use crate::text::{Code, Domain, Why, escape::SwitchXml};

/// Elements and the attributes each may have (`parse_exten` in mod_dialplan_xml.c).
const ALLOWED: &[(&str, &[&str])] = &[
    ("extension", &["name", "continue"]),
    ("condition", &["field", "expression", "break", "regex", "require-nested", "dst"]),
    ("regex", &["field", "expression"]),
    ("action", &["application", "data", "inline", "loop"]),
    ("anti-action", &["application", "data", "inline", "loop"]),
];

/// Elements without content. A switch takes the text of an action, also a line's end, for its data (`parse_exten` in mod_dialplan_xml.c).
const EMPTY: [&str; 3] = ["regex", "action", "anti-action"];

/// Attributes that make a condition depend on the time (`switch_xml_std_datetime_check` in switch_xml.c).
pub const TIMES: [&str; 13] = [
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
];

/// Whether a switch reads this attribute of this element.
#[must_use]
pub fn is_known(element: &str, attribute: &str) -> bool {
    (element == "condition" && TIMES.contains(&attribute))
        || ALLOWED
            .iter()
            .find(|(name, _)| *name == element)
            .is_none_or(|(_, attributes)| attributes.contains(&attribute))
}

/// The fields that a condition may test. They are fields of the caller profile (`switch_caller_get_field_by_name` in
/// switch_caller.c). Anything with a `$` would be expanded (`parse_exten`), and callers could make it call the switch's API.
const FIELDS: &[&str] = &[
    "destination_number",
    "caller_id_number",
    "caller_id_name",
    "username",
    "network_addr",
    "rdnis",
    "ani",
    "context",
];

/// The largest entry. Larger ones are refused before they are parsed.
const MOST_BYTES: usize = 64 << 10;
/// How deep elements may be nested, and how many attributes one may have: quick-xml compares each name with all before it.
const MOST_DEPTH: usize = 8;
const MOST_ATTRIBUTES: usize = 20;
/// The most repetitions in one pattern. Each raises the work for a text that doesn't match by a power of its length.
const MOST_REPEATS: usize = 3;
/// In how many ways the patterns of one entry together may try a text before they give up. A switch stops after ten million
/// steps in a pattern (the match limit of PCRE2), which is about a second; this is less than a tenth of that.
const MOST_WAYS: u64 = 1 << 17;
/// What a repetition without a small bound counts as: as many characters as a long number has.
const WAYS_OF_REPEAT: u64 = 32;

/// Checks the `<extension>` elements that somebody wrote for the tenant of this domain, and returns them as they are kept:
/// without the domain's name, which may change.
pub fn canonical(text: &str, domain: &Domain) -> Result<String, Why> {
    read(text, Some(domain))
}

/// Kept XML as people read it: with characters for the references, which only the switch's preprocessor needs. It is the same XML, and is kept
/// as it was if it comes back.
#[must_use]
pub fn shown(kept: &str) -> String {
    let mut out = String::with_capacity(kept.len());
    let mut rest = kept;
    while let Some(at) = rest.find("&#") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').map_or(rest.len(), |end| end + 1);
        let character = rest[2..end].trim_end_matches(';').parse().ok().and_then(char::from_u32);
        match character {
            Some('&') => out.push_str("&amp;"),
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('"') => out.push_str("&quot;"),
            // Parsers turn other blanks in values into spaces.
            Some(character) if !character.is_control() => out.push(character),
            _ => out.push_str(&rest[..end]),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Checks kept XML against today's rules: it may be older than some of them.
pub fn check(kept: &str) -> Result<(), Why> {
    read(kept, None).map(|_| ())
}

/// The numbers that kept XML dials, and the ids of destinations that it leads to. What a pattern's group matches is not known here.
#[must_use]
pub fn dials(kept: &str) -> Vec<String> {
    let mut reader = Reader::from_str(kept);
    reader.config_mut().expand_empty_elements = true;
    let mut numbers = Vec::new();
    while let Ok(event) = reader.read_event() {
        let start = match event {
            Event::Start(start) => start,
            Event::Eof => break,
            _ => continue,
        };
        let value = |name: &str| {
            let attribute = start.attributes().flatten().find(|attribute| attribute.key.0 == name)?;
            quick_xml::escape::unescape(&attribute.value).ok().map(Cow::into_owned)
        };
        if let (Some(application), Some(data)) = (value("application"), value("data")) {
            numbers.extend(applications::dials(&application, &data));
        }
    }
    numbers
}

/// The XML for a switch, with the tenant's present domain.
#[must_use]
pub fn rendered(kept: &str, domain: &Domain) -> String {
    // This is how the escaper writes `applications::DOMAIN`. Calls that an entry parks wait in the same lot as all others.
    const LOT: &str = "application=\"valet_park\" data=\"";
    let kept = kept.trim_end().replace(&format!("{LOT}&#123;domain&#125;"), &format!("{LOT}{PARK}@&#123;domain&#125;"));
    // Entries that are older have an end of their own for each action.
    let kept = EMPTY.iter().fold(kept, |kept, name| kept.replace(&format!(">\n</{name}>"), "/>"));
    kept.replace("&#123;domain&#125;", domain.as_str())
}

fn read(text: &str, domain: Option<&Domain>) -> Result<String, Why> {
    if text.len() > MOST_BYTES {
        return Err(Code::XmlTooLarge.with("most", MOST_BYTES >> 10));
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().trim_text(true);
    let mut out = String::with_capacity(text.len());
    let mut open = Vec::<Open>::new();
    let mut extensions = 0;
    let mut tried = 0u64;
    loop {
        let event = reader.read_event().map_err(not_well_formed)?;
        match event {
            // An empty element is read as its start and end.
            Event::Start(start) | Event::Empty(start) => {
                let name = start.name().0.to_owned();
                let (name, attributes) = allowed(&name, open.last().map(|open| open.name))?;
                if open.len() >= MOST_DEPTH {
                    return Err(Code::XmlTooDeep.with("most", MOST_DEPTH));
                }
                extensions += usize::from(name == "extension");
                let given = given(name, attributes, &start)?;
                let groups = open.last().map(|open| open.groups.clone()).unwrap_or_default();
                let given = fitting(name, given, &Place { domain, groups: &groups })?;
                write_start(&mut out, name, &given)?;
                let pattern = given.iter().find(|(key, _)| *key == "expression").map(|(_, pattern)| pattern.as_str());
                tried = tried.saturating_add(pattern.map_or(0, ways_of));
                if tried > MOST_WAYS {
                    return Err(Code::XmlTriedInTooManyWays.into());
                }
                // With `regex`, a switch ignores the condition's own expression: `$1` is then a group of one of the
                // <regex> elements, which may test the caller's name (`parse_exten` in mod_dialplan_xml.c).
                let own = name == "condition" && !given.iter().any(|(key, _)| *key == "regex");
                let groups = pattern.filter(|_| own).map(digit_groups).unwrap_or_default();
                open.push(Open { name, groups });
            }
            Event::End(_) => {
                // The reader refuses an end without a start.
                let name = open.pop().map(|open| open.name).unwrap_or_default();
                if EMPTY.contains(&name) {
                    // Its start is the last line.
                    out.truncate(out.trim_end_matches(">\n").len());
                    out.push_str("/>\n");
                } else {
                    let _ = writeln!(out, "</{name}>");
                }
            }
            Event::Eof => break,
            Event::Text(text) if text.trim_ascii().is_empty() => {}
            Event::Text(_) | Event::CData(_) => return Err(Code::XmlHasText.into()),
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) | Event::Decl(_) | Event::GeneralRef(_) => {
                return Err(Code::XmlNotOnlyElements.into());
            }
        }
    }
    if !open.is_empty() || extensions == 0 {
        return Err(Code::XmlWithoutExtension.into());
    }
    Ok(out)
}

fn allowed(name: &str, parent: Option<&str>) -> Result<(&'static str, &'static [&'static str]), Why> {
    let found = ALLOWED.iter().find(|(allowed, _)| *allowed == name);
    let Some((name, attributes)) = found else {
        return Err(Code::XmlElementRefused.with("element", short(name)));
    };
    let fits = match *name {
        "extension" => parent.is_none(),
        "condition" => matches!(parent, Some("extension" | "condition")),
        _ => parent == Some("condition"),
    };
    if fits { Ok((name, attributes)) } else { Err(Code::XmlElementMisplaced.with("element", name)) }
}

/// An element whose end has not come yet.
struct Open {
    name: &'static str,
    /// For each group of a condition's pattern, whether it matches only what can be dialled.
    groups: Vec<bool>,
}

type Attributes = Vec<(&'static str, String)>;

fn given(
    name: &str,
    attributes: &[&'static str],
    start: &quick_xml::events::BytesStart<'_>,
) -> Result<Attributes, Why> {
    let mut given = Attributes::new();
    for attribute in start.attributes() {
        if given.len() >= MOST_ATTRIBUTES {
            return Err(Code::XmlTooManyAttributes.with("element", name).with("most", MOST_ATTRIBUTES));
        }
        let attribute = attribute.map_err(not_well_formed)?;
        let key = attributes.iter().find(|allowed| **allowed == attribute.key.0);
        let refused = || Code::XmlAttributeRefused.with("attribute", short(attribute.key.0)).with("element", name);
        let key = *key.ok_or_else(refused)?;
        let value = quick_xml::escape::unescape(&attribute.value).map_err(not_well_formed)?;
        given.push((key, value.into_owned()));
    }
    Ok(given)
}

/// The parser's own sentence is English.
pub fn not_well_formed(error: impl std::fmt::Display) -> Why {
    Code::XmlNotWellFormed.with("error", error)
}

/// A name as a refusal quotes it.
pub fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The attributes as they are kept, if each has an allowed value.
fn fitting(name: &str, mut given: Attributes, place: &Place<'_>) -> Result<Attributes, Why> {
    let is_action = matches!(name, "action" | "anti-action");
    for (key, value) in &given {
        match (*key, is_action) {
            ("application" | "data", true) => {}
            ("expression", _) => check_pattern(value)?,
            ("field", _) => {
                if !FIELDS.contains(&value.as_str()) {
                    return Err(Code::XmlFieldNotTested.with("fields", FIELDS.join(", ")).with("field", short(value)));
                }
            }
            _ => check_word(key, value)?,
        }
    }
    if is_action {
        let of = |wanted: &str| given.iter().find(|(key, _)| *key == wanted).map_or("", |(_, value)| value.as_str());
        // An anti-action runs when the pattern did not match, so there are no groups.
        let place = if name == "action" { *place } else { Place { groups: &[], ..*place } };
        let kept = applications::check(of("application"), of("data"), &place)?;
        if let Some((_, data)) = given.iter_mut().find(|(key, _)| *key == "data") {
            *data = kept;
        }
    }
    Ok(given)
}

/// Checks the attributes that no application reads: names, times and keywords.
fn check_word(key: &str, value: &str) -> Result<(), Why> {
    let one_of = |words: &[&str]| words.contains(&value);
    let fine = match key {
        "name" => crate::text::DisplayName::parse(value).is_ok(),
        "continue" | "require-nested" | "inline" | "dst" => one_of(&["true", "false"]),
        "break" => one_of(&["on-true", "on-false", "always", "never"]),
        "regex" => one_of(&["all", "any", "xor"]),
        "loop" => (1..=2).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit()),
        // Times: numbers, ranges and lists of them (switch_xml_std_datetime_check in switch_xml.c).
        _ => {
            let plain =
                |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b',' | b':' | b'-' | b'~' | b'@' | b'+');
            (1..=100).contains(&value.len()) && value.bytes().all(plain)
        }
    };
    if fine { Ok(()) } else { Err(Code::XmlValueRefused.with("attribute", key).with("value", short(value))) }
}

fn check_pattern(text: &str) -> Result<(), Why> {
    // A switch expands it before matching (`parse_exten`), and takes it for an API call if it has parentheses or a space.
    if text.contains("${") {
        return Err(Code::PatternExpanded.into());
    }
    // These are other kinds of pattern to a switch (switch_regex_perform in switch_regex.c), so the checks below would not apply.
    if text.starts_with(['_', '/']) {
        return Err(Code::PatternOfOtherKind.into());
    }
    super::patterns::Pattern::parse(text).map_err(|error| Code::XmlPattern.because(error))?;
    // The two engines read other groups differently: to a switch, (?R) is a recursion.
    let flags_are_plain =
        text.match_indices("(?").all(|(at, _)| [":", "i)", "i:"].iter().any(|plain| text[at + 2..].starts_with(plain)));
    if !flags_are_plain {
        return Err(Code::PatternSpecialGroup.into());
    }
    // One engine reads these as borders of words, the other as characters.
    if ["\\<", "\\>", "\\b{", "\\B{"].iter().any(|border| text.contains(border)) {
        return Err(Code::PatternWordBorder.into());
    }
    // One engine reads these as nested sets, the other as characters.
    if ["&&", "--", "~~", "[["].iter().any(|set| text.contains(set)) {
        return Err(Code::PatternNestedSets.into());
    }
    let pattern = ast::parse::Parser::new().parse(text).map_err(|_| Code::XmlPattern.because(Code::NotAPattern))?;
    let mut repeats = 0;
    check_repeats(&pattern, false, &mut repeats)?;
    if repeats > MOST_REPEATS {
        return Err(Code::PatternRepeatsTooOften.with("most", MOST_REPEATS));
    }
    Ok(())
}

/// A switch matches by backtracking (PCRE2, in switch_regex.c). If a repeated part can match in two ways, as in `(a+)+` and
/// `(a|a)*`, the time doubles with each character that a caller dials. So a repeated part must not contain repetitions or
/// alternatives. This is checked in the pattern as written, because simplifying turns `(a|a)*` into `a*`.
fn check_repeats(pattern: &Ast, repeated: bool, repeats: &mut usize) -> Result<(), Why> {
    match pattern {
        Ast::Repetition(repetition) => {
            let exactly = matches!(repetition.op.kind, ast::RepetitionKind::Range(ast::RepetitionRange::Exactly(_)));
            if repeated && !exactly {
                return Err(Code::PatternRepeatsChoice.into());
            }
            let few = match &repetition.op.kind {
                ast::RepetitionKind::ZeroOrOne | ast::RepetitionKind::Range(ast::RepetitionRange::Exactly(_)) => true,
                ast::RepetitionKind::Range(ast::RepetitionRange::Bounded(_, most)) => *most <= 16,
                _ => false,
            };
            *repeats += usize::from(!few);
            // `(…)?` is tried at most once.
            let once = matches!(repetition.op.kind, ast::RepetitionKind::ZeroOrOne);
            check_repeats(&repetition.ast, repeated || !once, repeats)
        }
        Ast::Group(group) => check_repeats(&group.ast, repeated, repeats),
        Ast::Alternation(_) if repeated => Err(Code::PatternRepeatsChoice.into()),
        Ast::Alternation(choice) => choice.asts.iter().try_for_each(|part| check_repeats(part, repeated, repeats)),
        Ast::Concat(parts) => parts.asts.iter().try_for_each(|part| check_repeats(part, repeated, repeats)),
        _ => Ok(()),
    }
}

fn ways_of(pattern: &str) -> u64 {
    ast::parse::Parser::new().parse(pattern).map_or(0, |pattern| ways(&pattern))
}

/// In how many ways a backtracking engine may try a part of a pattern before it gives up. Optional parts and choices one
/// after another, as `\d?\d?\d?` and `(1|1)(1|1)`, multiply, although none of them is repeated.
fn ways(pattern: &Ast) -> u64 {
    match pattern {
        Ast::Repetition(repetition) => {
            let once = ways(&repetition.ast);
            match &repetition.op.kind {
                ast::RepetitionKind::ZeroOrOne => once.saturating_add(1),
                ast::RepetitionKind::Range(ast::RepetitionRange::Exactly(times)) => once.saturating_pow(*times),
                ast::RepetitionKind::Range(ast::RepetitionRange::Bounded(least, most)) => {
                    u64::from(most.saturating_sub(*least)).saturating_add(1).min(WAYS_OF_REPEAT)
                }
                _ => WAYS_OF_REPEAT,
            }
        }
        Ast::Group(group) => ways(&group.ast),
        Ast::Alternation(choice) => choice.asts.iter().map(ways).fold(0, u64::saturating_add),
        Ast::Concat(parts) => parts.asts.iter().map(ways).fold(1, u64::saturating_mul),
        _ => 1,
    }
}

/// For each of a pattern's groups, whether it matches only what can be dialled: digits, `*`, `#` and `+`.
fn digit_groups(pattern: &str) -> Vec<bool> {
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    let mut groups = Vec::new();
    if let Ok(parsed) = parsed {
        note_groups(&parsed, &mut groups);
    }
    groups
}

fn note_groups(pattern: &Hir, groups: &mut Vec<bool>) {
    match pattern.kind() {
        HirKind::Capture(capture) => {
            let at = usize::try_from(capture.index).unwrap_or(usize::MAX).saturating_sub(1);
            if at < 9 {
                groups.resize(groups.len().max(at + 1), false);
                groups[at] = is_dialled(&capture.sub);
            }
            note_groups(&capture.sub, groups);
        }
        HirKind::Repetition(repetition) => note_groups(&repetition.sub, groups),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            for part in parts {
                note_groups(part, groups);
            }
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

fn is_dialled(pattern: &Hir) -> bool {
    let fine = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'*' | b'#' | b'+');
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().copied().all(fine),
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().all(|range| (range.start()..=range.end()).all(fine))
        }
        HirKind::Class(Class::Unicode(class)) => class.ranges().iter().all(|range| {
            let bytes = u8::try_from(u32::from(range.start())).ok().zip(u8::try_from(u32::from(range.end())).ok());
            bytes.is_some_and(|(start, end)| (start..=end).all(fine))
        }),
        HirKind::Capture(capture) => is_dialled(&capture.sub),
        HirKind::Repetition(repetition) => is_dialled(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(is_dialled),
    }
}

fn write_start(out: &mut String, name: &str, attributes: &Attributes) -> Result<(), Why> {
    let _ = write!(out, "<{name}");
    for (key, value) in attributes {
        let _ = write!(out, " {key}=\"");
        SwitchXml.write_escaped_str(&mut *out, value).map_err(|_| Code::XmlControlCharacter.with("attribute", key))?;
        out.push('"');
    }
    out.push_str(">\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = r#"<extension name="x"><condition field="destination_number" expression="^77(\d+)$">
        <action application="bridge" data="sofia/gateway/x/$1"/><anti-action application="hangup"/></condition></extension>"#;

    fn canonical(text: &str) -> Result<String, Why> {
        super::canonical(text, &Domain::parse("acme.test").unwrap())
    }

    #[test]
    fn xml_is_written_anew_with_one_element_per_line() {
        let text = canonical(FINE).unwrap();
        assert!(text.lines().all(|line| line.starts_with('<') && line.ends_with('>')), "{text}");
        assert!(text.contains("data=\"sofia/gateway/x/&#36;1\""), "{text}");
        assert_eq!(canonical(&text).unwrap(), text, "kept XML is kept unchanged");
        assert_eq!(check(&text), Ok(()));
        assert!(crate::model::diff::diff("", &text).contains("+<extension name=\"x\">"));
    }

    #[test]
    fn an_action_has_no_text_which_a_switch_would_take_for_its_data() {
        let kept = canonical(FINE).unwrap();
        let is_empty = |text: &str| {
            let mut reader = Reader::from_str(text);
            reader.config_mut().trim_text(false);
            let mut empty = 0;
            loop {
                match reader.read_event().unwrap() {
                    Event::Empty(_) => empty += 1,
                    Event::Start(start) => assert!(!EMPTY.contains(&start.name().0), "{text}"),
                    Event::Eof => return empty,
                    _ => {}
                }
            }
        };
        assert_eq!(is_empty(&kept), 2, "{kept}");
        let domain = Domain::parse("acme.test").unwrap();
        let older = kept.replace("/>", ">\n</action>");
        let older = older.replacen("</action>\n</condition>", "</anti-action>\n</condition>", 1);
        assert_ne!(older, kept);
        assert_eq!(check(&older), Ok(()), "{older}");
        assert_eq!(rendered(&older, &domain), rendered(&kept, &domain));
        assert_eq!(is_empty(&rendered(&older, &domain)), 2);
    }

    #[test]
    fn xml_is_shown_as_people_write_it_and_kept_the_same_when_it_comes_back() {
        let kept = canonical(FINE).unwrap();
        assert!(kept.contains("&#94;77"), "{kept}");
        let text = shown(&kept);
        assert!(text.contains("expression=\"^77(\\d+)$\"") && text.contains("data=\"sofia/gateway/x/$1\""), "{text}");
        assert!(!text.contains("&#"), "{text}");
        for written in [
            FINE.to_owned(),
            FINE.replace("sofia/gateway/x/$1", "user/$1@acme.test"),
            FINE.replace("name=\"x\"", "name=\"O'Brien &amp; Sons\""),
            FINE.replace("^77(\\d+)$", "^&lt;77&gt;(\\d+)$"),
        ] {
            let Ok(kept) = canonical(&written) else { continue };
            assert_eq!(canonical(&shown(&kept)).as_deref(), Ok(kept.as_str()), "{}", shown(&kept));
        }
        assert_eq!(shown("a&#38;b&#60;c&#62;d&#34;e&#39;f"), "a&amp;b&lt;c&gt;d&quot;e'f");
        for odd in ["&#", "&#;", "&#x41;", "&#9;", "&#99999999;", "a&amp;#94;"] {
            assert_eq!(shown(odd), odd);
        }
    }

    proptest::proptest! {
        #[test]
        fn shown_xml_reads_as_what_is_kept(text in "[ -~äß€]{0,40}") {
            let mut kept = String::new();
            SwitchXml.write_escaped_str(&mut kept, &text).unwrap();
            let (shown, kept) = (format!("<a b=\"{}\"/>", shown(&kept)), format!("<a b=\"{kept}\"/>"));
            let value = |xml: &str| {
                let mut reader = Reader::from_str(xml);
                let Ok(Event::Empty(start)) = reader.read_event() else { panic!("{xml}") };
                let attribute = start.attributes().next().unwrap().unwrap();
                quick_xml::escape::unescape(&attribute.value).unwrap().into_owned()
            };
            proptest::prop_assert_eq!(value(&shown), value(&kept));
        }
    }

    #[test]
    fn entries_follow_a_tenants_domain_when_it_changes() {
        let kept = canonical(&FINE.replace("sofia/gateway/x/$1", "user/$1@ACME.TEST")).unwrap();
        assert!(!kept.contains("acme"), "{kept}");
        let given = rendered(&kept, &Domain::parse("new.test").unwrap());
        assert!(given.contains("data=\"user/&#36;1@new.test\"") && !given.contains("domain&#125;"), "{given}");
        let foreign = kept.replace("&#123;domain&#125;", "beta.test");
        assert!(check(&foreign).is_err(), "kept XML must not name another domain either");
    }

    #[test]
    fn xml_that_could_run_or_leave_something_is_refused() {
        for (wrong, why) in [
            (FINE.replace("bridge", "system"), "must not run"),
            (FINE.replace("bridge", "system "), "must not run"),
            (FINE.replace("sofia/gateway/x/$1", "${system(id)}"), "must not pass"),
            (FINE.replace("sofia/gateway/x/$1", "${${a}system(id)}"), "must not pass"),
            (FINE.replace("sofia/gateway/x/$1", "a&lt;!b"), "must not pass"),
            (FINE.replace("sofia/gateway/x/$1", "user/1000@beta.test"), "must not pass"),
            (FINE.replace("^77(\\d+)$", "^77(.+)$"), "must not pass"),
            (FINE.replace("^77(\\d+)$", "^77([0-9 ]+)$"), "must not pass"),
            (FINE.replace("^77(\\d+)$", "^77([0-9&amp;&amp;[ a-z]]+)$"), "nested character sets"),
            (FINE.replace("^77(\\d+)$", "^77\\d+$"), "must not pass"),
            (
                FINE.replace(
                    "<anti-action application=\"hangup\"/>",
                    "<anti-action application=\"transfer\" data=\"$1\"/>",
                ),
                "must not pass",
            ),
            (FINE.replace("^77(\\d+)$", "^${system(id)}(\\d+)$"), "expands"),
            (FINE.replace("^77(\\d+)$", "^(?<x>\\d+)$"), "special group"),
            (FINE.replace("^77(\\d+)$", "(?s)^77(.+)$"), "special group"),
            (FINE.replace("^77(\\d+)$", "_77X"), "begins with"),
            (FINE.replace("^77(\\d+)$", "/^77(.*)/"), "begins with"),
            (FINE.replace("^77(\\d+)$", "^(a+)+(?=b)$"), "regular expression"),
            (FINE.replace("^77(\\d+)$", "(?R)1"), "special group"),
            (FINE.replace("^77(\\d+)$", "^(a+)+$"), "repeats a repetition"),
            (FINE.replace("^77(\\d+)$", "^(a|a)*$"), "or a choice"),
            (FINE.replace("^77(\\d+)$", "^(a|a){2,30}$"), "or a choice"),
            (FINE.replace("^77(\\d+)$", "^((a|a){1}){30}$"), "or a choice"),
            (FINE.replace("^77(\\d+)$", "^(a?){30}a{30}$"), "repeats a repetition"),
            (FINE.replace("^77(\\d+)$", "^\\d*\\d*\\d*\\d*x$"), "more than 3"),
            (FINE.replace("^77(\\d+)$", "^([0-9]+|x)*y$"), "such as (a+)+"),
            (FINE.replace("^77(\\d+)$", &format!("^({})x$", "\\d?".repeat(40))), "in too many ways"),
            (FINE.replace("^77(\\d+)$", &format!("^({})x$", "\\d{0,4}".repeat(9))), "in too many ways"),
            (FINE.replace("^77(\\d+)$", &format!("^{}x$", "(1|1)".repeat(30))), "in too many ways"),
            (FINE.replace("^77(\\d+)$", "^(\\<\\d+)$"), "border of a word"),
            (FINE.replace("^77(\\d+)$", "^77(\\b{start}\\d+)$"), "border of a word"),
            (
                FINE.replace("<condition ", "<condition regex=\"any\" ")
                    .replace("<action ", "<regex field=\"caller_id_name\" expression=\"^(.+)$\"/><action "),
                "must not pass",
            ),
            (FINE.replace("destination_number", "${system(id)}"), "may test only"),
            (FINE.replace("destination_number", "${destination_number}"), "may test only"),
            (FINE.replace("name=\"x\"", "name=\"$${domain}\""), "which is not allowed"),
            (FINE.replace("<anti-action ", "<anti-action loop=\"${a}\" "), "which is not allowed"),
            (FINE.replace("field=", "onclick="), "must not have the attribute onclick"),
            (format!("<!-- x -->{FINE}"), "no comments"),
            (FINE.replace("<action ", "<X-PRE-PROCESS cmd=\"exec\"/><action "), "must not contain <X-PRE-PROCESS>"),
            ("<context name=\"other.test\"/>".into(), "must not contain <context>"),
            ("<extension>".into(), "whole <extension>"),
            ("<extension></condition>".into(), "well-formed"),
            (String::new(), "whole <extension>"),
            (
                format!("<extension>{}{}</extension>", "<condition>".repeat(20), "</condition>".repeat(20)),
                "nest elements",
            ),
        ] {
            let error = canonical(&wrong).unwrap_err();
            assert!(error.english().contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_people_usually_write_is_accepted() {
        for pattern in [
            r"^77(\d+)$",
            r"^\+?1?(\d{10})$",
            r"^(?:00|\+)?49(30|40|89)(\d{3,12})$",
            r"^\*?(1[0-9]{3}|2\d{3})#?$",
            "^(10[01][0-9])$",
            r"^(\d{2,}),(\d+)$",
            "^([0-9*#]+)$",
        ] {
            let text = FINE.replace(r"^77(\d+)$", pattern);
            assert!(canonical(&text).is_ok(), "{pattern}: {:?}", canonical(&text));
        }
    }
}
