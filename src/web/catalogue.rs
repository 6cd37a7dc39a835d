//! The texts of pages, in English and German, from one catalogue.

use std::{collections::HashMap, sync::LazyLock};

use crate::mail::Language;

static CATALOGUE: LazyLock<HashMap<String, [String; 2]>> =
    LazyLock::new(|| serde_json::from_str(include_str!("catalogue.json")).expect("a test reads the catalogue"));

/// What is said about fields and problems comes in English from where it is decided; this is what it is in German.
static ERRORS: LazyLock<HashMap<String, String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("errors.json")).expect("a test reads the errors"));

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
pub fn error(message: &str, language: Language) -> &str {
    match language {
        Language::En => message,
        Language::De => ERRORS.get(message).map_or(message, String::as_str),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn files(folder: &Path, found: &mut Vec<String>) {
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
        files(&root.join("src/web"), &mut texts);
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
        assert!(!ERRORS.is_empty());
    }
}
