//! The texts of pages, in English and German, from one catalogue.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use crate::{
    http::problem::Reason,
    model::language::Language,
    text::{Why, codes::Kind},
};

/// The texts of pages; in a file of their own the words for what the audit log names: fields, their values, and what was done; and in
/// another the texts of subjects and of the frame, those of the phone, those of what goes on and what went on, and those of what is done to
/// calls.
static CATALOGUE: LazyLock<HashMap<String, [String; 2]>> = LazyLock::new(|| {
    let mut texts = read(include_str!("catalogue.json"));
    texts.extend(read(include_str!("audit.json")));
    texts.extend(read(include_str!("pages.json")));
    texts.extend(read(include_str!("phone.json")));
    texts.extend(read(include_str!("desk.json")));
    texts.extend(read(include_str!("acts.json")));
    texts
});

fn read(file: &str) -> HashMap<String, [String; 2]> {
    serde_json::from_str(file).expect("a test reads the catalogue")
}

/// The text of a key, or the key itself if it is missing, which a test finds.
#[must_use]
pub fn text(key: &str, language: Language) -> &str {
    CATALOGUE.get(key).map_or(key, |texts| match language {
        Language::En => &texts[0],
        Language::De => &texts[1],
    })
}

/// All texts whose keys begin so, as a JSON object for scripts.
#[must_use]
pub fn texts(prefix: &str, language: Language) -> String {
    let found = CATALOGUE.keys().filter(|key| key.starts_with(prefix));
    let found = found.map(|key| (key.as_str(), text(key, language))).collect::<BTreeMap<_, _>>();
    serde_json::to_string(&found).expect("texts become JSON")
}

/// Why something was refused, in a language, with fields named as pages name them.
#[must_use]
pub fn why(why: &Why, language: Language) -> Cow<'static, str> {
    let told = match language {
        Language::En => why.english(),
        Language::De => why.german(),
    };
    labelled(&told, language).map_or(told, Cow::Owned)
}

/// A sentence in which the API's names of fields, such as `first_number`, are replaced by their labels, if there are any.
fn labelled(sentence: &str, language: Language) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut said = String::new();
    let mut rest = sentence;
    let mut found = false;
    while let Some(at) = rest.find(is_part) {
        let end = rest[at..].find(|c| !is_part(c)).map_or(rest.len(), |length| at + length);
        let (before, word) = (&rest[..at], &rest[at..end]);
        said.push_str(before);
        match CATALOGUE.get(&format!("field.{word}")).filter(|_| word.contains('_')) {
            Some([english, german]) => {
                found = true;
                match language {
                    Language::En if before.ends_with('"') => said.push_str(english),
                    Language::De if before.ends_with('"') => said.push_str(german),
                    Language::En => said.extend(["“", english, "”"]),
                    Language::De => said.extend(["„", german, "“"]),
                }
            }
            None => said.push_str(word),
        }
        rest = &rest[end..];
    }
    said.push_str(rest);
    found.then_some(said)
}

/// The same with the field's name, for a field that is not in the form.
#[must_use]
pub fn reason(reason: &Reason, language: Language) -> String {
    match (language, &reason.field) {
        (Language::En, _) => labelled(&reason.reason, language).unwrap_or_else(|| reason.reason.clone()),
        (Language::De, Some(field)) if reason.why.code.kind() == Kind::Field => {
            let name = CATALOGUE.get(&format!("field.{field}")).map_or(field, |texts| &texts[1]);
            format!("{name}: {}.", why(&reason.why, language))
        }
        (Language::De, _) => why(&reason.why, language).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;
    use crate::{model::error::Error, text::Code};

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
            let made_up = [
                "field.",
                "status.",
                "role.",
                "layout.theme.",
                "action.",
                "actor.",
                "kind.",
                "kinds.",
                "value.",
                "prompt.",
                "has_agent.",
                "yes.",
                "assigned.",
                "route.",
                "rule.",
                "column.",
                "rates_warning.",
                "switches.light.",
                // A test of the phone's page sees to these.
                "softphone.",
                // And a test of the buttons to these.
                "act.",
                "job.",
                // Named by /v1/monitoring/health.
                "trouble.",
                "work.",
                "cause.",
                "story.",
                "ended_by.",
                "period.",
                "report_by.",
                "report_per.",
            ];
            let is_subject = |key: &str| {
                let name = key.strip_prefix("things.").and_then(|rest| rest.split('.').next());
                name.is_some_and(|name| crate::app::web::resources::ALL.iter().any(|spec| spec.name == name))
            };
            let made_up = is_subject(key) || made_up.iter().any(|prefix| key.starts_with(prefix));
            !made_up && !all.contains(&format!("\"{key}\""))
        });
        assert_eq!(idle.collect::<BTreeSet<_>>(), BTreeSet::new());
        for (key, [english, german]) in CATALOGUE.iter() {
            assert!(!english.is_empty() && !german.is_empty(), "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_the_readers_language() {
        let of = |error: Error, language| reason(&error.into(), language);
        let twice = || Code::NumberWantedTwice.with("number", 2001);
        assert_eq!(of(twice().into(), Language::En), "2001 is listed twice.");
        assert_eq!(of(twice().into(), Language::De), "2001 ist zweimal angegeben.");
        let many = || Error::TooMany { seconds: 30 };
        assert_eq!(of(many(), Language::De), "Zu viele Versuche. Versuchen Sie es in 30 Sekunden wieder.");
        let cluster = || Error::invalid("cluster_id", Code::NamesNoCluster);
        assert_eq!(of(cluster(), Language::De), "Cluster: muss ein vorhandener Cluster sein.");
        assert_eq!(of(cluster(), Language::En), "“Cluster” must be an existing cluster.");
        // A field that is named within a sentence is named as the form does.
        let pool = Code::PoolBackwards.into();
        assert_eq!(why(&pool, Language::En), "must not be below “First number”, and have at most 15 digits");
        assert_eq!(why(&pool, Language::De), "darf nicht unter „Erste Nummer“ liegen und höchstens 15 Ziffern haben");
        let other = Code::NumberOfAnother.with("number", "+49").with("agent", "Ada").with("id", 1);
        assert!(of(other.into(), Language::En).contains("Send \"Take over\": true"), "in its own quotes");
        let numbers = || Error::invalid("numbers", Code::range(1, 5));
        assert_eq!(of(numbers(), Language::De), "Gewünschte Nummern: muss 1 bis 5 sein.");
        let length = Code::LengthOutOfRange.with("least", 10).with("most", 200);
        assert_eq!(why(&length, Language::De), "muss 10 bis 200 Zeichen haben");
        let weak = why(&Code::PasswordVeryCommon.into(), Language::De);
        assert!(weak.starts_with("ist zu schwach: Das ist ein sehr häufiges Passwort – nehmen Sie"), "{weak}");
    }
}
