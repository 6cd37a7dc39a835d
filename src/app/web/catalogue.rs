//! The texts of pages, in English and German, from one catalogue.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use crate::model::language::Language;

static CATALOGUE: LazyLock<HashMap<String, [String; 2]>> =
    LazyLock::new(|| serde_json::from_str(include_str!("catalogue.json")).expect("a test reads the catalogue"));

/// What is said about fields and problems comes in English from where it is decided; this is what it is in German. `{}` stands
/// for what differs from time to time, in the order of the English.
static ERRORS: LazyLock<HashMap<String, String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("errors.json")).expect("a test reads the errors"));

/// Those of them with `{}`, the most particular first.
static PATTERNS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let all = ERRORS.iter().map(|(pattern, text)| (pattern.as_str(), text.as_str()));
    let mut patterns = all.filter(|(pattern, _)| pattern.contains("{}")).collect::<Vec<_>>();
    patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse((pattern.len(), *pattern)));
    patterns
});

/// The text of a key; the key itself if there is none, which a test finds.
#[must_use]
pub fn text(key: &str, language: Language) -> &str {
    CATALOGUE.get(key).map_or(key, |texts| match language {
        Language::En => &texts[0],
        Language::De => &texts[1],
    })
}

/// A message about a field or a problem, in a language; in English where there is no other.
#[must_use]
pub fn error(message: &str, language: Language) -> Cow<'_, str> {
    match language {
        Language::En => message.into(),
        Language::De => german(message).unwrap_or_else(|| message.into()),
    }
}

fn german(message: &str) -> Option<Cow<'static, str>> {
    if let Some(text) = ERRORS.get(message) {
        return Some(text.as_str().into());
    }
    let filled = PATTERNS.iter().find_map(|(pattern, text)| Some(fill(text, &parts(pattern, message)?)));
    filled.or_else(|| of_a_field(message)).map(Cow::Owned)
}

/// What stands in a message where its pattern has `{}`.
fn parts<'m>(pattern: &str, message: &'m str) -> Option<Vec<&'m str>> {
    let (first, rest) = pattern.split_once("{}")?;
    let mut message = message.strip_prefix(first)?;
    let mut found = Vec::new();
    let mut literals = rest.split("{}").peekable();
    while let Some(literal) = literals.next() {
        let at = if literals.peek().is_none() {
            message.ends_with(literal).then(|| message.len() - literal.len())?
        } else {
            message.find(literal)?
        };
        found.push(&message[..at]);
        message = &message[at + literal.len()..];
    }
    found.iter().all(|part| !part.is_empty()).then_some(found)
}

/// Parts are in German where they can be: a reason within a reason.
fn fill(text: &str, parts: &[&str]) -> String {
    parts.iter().fold(text.to_owned(), |text, part| {
        text.replacen("{}", &german(part).unwrap_or_else(|| Cow::Owned((*part).to_owned())), 1)
    })
}

/// A message about a field that the form has not: `field is so and so.`
fn of_a_field(message: &str) -> Option<String> {
    let (field, rest) = message.strip_suffix('.')?.split_once(' ')?;
    let key = format!("field.{field}");
    let name = CATALOGUE.get(&key).map_or(field, |texts| &texts[1]);
    Some(format!("{name}: {}.", german(rest)?))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn files(folder: &Path, found: &mut Vec<String>) {
        if folder.is_file() {
            found.push(fs::read_to_string(folder).unwrap());
            return;
        }
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|e| e == "html" || e == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_key_that_pages_use_is_there_in_both_languages_and_none_is_idle() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut texts = Vec::new();
        files(&root.join("templates/web"), &mut texts);
        files(&root.join("src/app/web"), &mut texts);
        let all = texts.join("\n");
        for (at, _) in all.match_indices("s.t(\"").chain(all.match_indices("s.t_with(\"")) {
            let rest = &all[at..];
            let key = rest.split('"').nth(1).unwrap();
            assert!(CATALOGUE.contains_key(key), "{key}");
        }
        let idle = CATALOGUE.keys().filter(|key| {
            let made_up = ["field.", "status.", "role.", "layout.theme."].iter().any(|prefix| key.starts_with(prefix));
            !made_up && !all.contains(&format!("\"{key}\""))
        });
        assert_eq!(idle.collect::<BTreeSet<_>>(), BTreeSet::new());
        for (key, [english, german]) in CATALOGUE.iter() {
            assert!(!english.is_empty() && !german.is_empty(), "{key}");
        }
    }

    #[test]
    fn what_pages_say_about_mistakes_is_said_in_german_too() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut texts = Vec::new();
        for folder in [
            "people/agents",
            "tenancy/users",
            "app/web",
            "tenancy/tenants/mod.rs",
            "tenancy/clusters/mod.rs",
            "tenancy/switches/mod.rs",
        ] {
            files(&root.join(folder), &mut texts);
        }
        for file in [
            "tenancy/auth/flows.rs",
            "tenancy/auth/password.rs",
            "tenancy/auth/second_factor.rs",
            "text/display.rs",
            "telephony/pools/mod.rs",
        ] {
            texts.push(fs::read_to_string(root.join(file)).unwrap());
        }
        let said = r#"(?s)(?:Error::invalid\(\s*(?:field|"\w+"),|form\.wrong\("\w+",|TextError\(|Error::(?:Conflict|Forbidden|Refused)\(|Problem::bad_request\()\s*(?:format!\(\s*)?"((?:[^"\\]|\\.)+)""#;
        let (said, held) = (regex::Regex::new(said).unwrap(), regex::Regex::new(r"\{\w+\}").unwrap());
        let mut missing = BTreeSet::new();
        let mut count = 0;
        for text in &texts {
            let text = text.split("#[cfg(test)]").next().unwrap();
            for found in said.captures_iter(text) {
                let message = found[1].replace("\\\\", "\\").replace("\\\"", "\"");
                let message = held.replace_all(&message, "{}").into_owned();
                count += 1;
                if !ERRORS.contains_key(&message) {
                    missing.insert(message);
                }
            }
        }
        assert_eq!(missing, BTreeSet::new());
        assert!(count > 40, "{count}");
        for (pattern, text) in PATTERNS.iter() {
            assert!(pattern.matches("{}").count() >= text.matches("{}").count(), "{pattern}");
        }
    }

    #[test]
    fn what_differs_is_put_into_the_german_text() {
        let de = |message| error(message, Language::De).into_owned();
        assert_eq!(de("2001 is wanted twice."), "2001 wird zweimal gewünscht.");
        assert_eq!(de("must have 10 to 200 characters"), "muss 10 bis 200 Zeichen haben");
        let weak = "is too weak: This is a very common password — use several uncommon words, or let a password manager make one";
        assert!(
            de(weak).starts_with("ist zu schwach: Das ist ein sehr häufiges Passwort – nehmen Sie"),
            "{}",
            de(weak)
        );
        assert_eq!(
            de("Too many attempts. Try again in 30 seconds."),
            "Zu viele Versuche. Versuchen Sie es in 30 Sekunden wieder."
        );
        assert_eq!(de("cluster_id names no cluster."), "cluster_id: nennt keinen Cluster.");
        assert_eq!(de("must be 1 to 10000 lines"), "muss 1 bis 10000 Zeilen haben");
        assert_eq!(de("numbers must be 1 to 5."), "Gewünschte Nummern: muss 1 bis 5 sein.");
        assert_eq!(de("unheard of"), "unheard of");
        assert_eq!(error("2001 is wanted twice.", Language::En), "2001 is wanted twice.");
    }
}
