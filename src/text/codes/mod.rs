//! Why something was refused, as a code with parameters.
//!
//! Programs compare codes, and pages translate them. The English and German sentences are in one table (`codes::table`) and
//! nowhere else. Codes are stable: once in use, a code is never renamed or given another meaning.

mod headings;
mod serdes;
mod table;

use std::{borrow::Cow, fmt};

pub use headings::Heading;
pub use table::Code;

/// The kind of refusal, which decides the status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The value of a field. The sentence continues after the field's name.
    Field,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    Changed,
    TooLarge,
    WrongType,
    TooSlow,
    Unprocessable,
    TooMany,
    Internal,
    Unavailable,
}

impl Kind {
    /// The status of an answer over HTTP.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::Changed => 412,
            Self::TooSlow => 408,
            Self::TooLarge => 413,
            Self::WrongType => 415,
            Self::Field | Self::Unprocessable => 422,
            Self::TooMany => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

/// What to do about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    Correct,
    NameExisting,
    ChooseAnother,
    ChangeFirst,
    MakeRoom,
    AskAdministrator,
    SignIn,
    SecondFactor,
    Wait,
    ReadAgain,
    ReadDescription,
    CorrectFile,
    MakeDiskRoom,
    Report,
    StrongPassword,
}

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texts {
    pub english: &'static str,
    pub german: &'static str,
}

impl Advice {
    #[must_use]
    pub const fn texts(self) -> Texts {
        let (english, german) = match self {
            Self::Correct => (
                "Correct the field and send it again. The problem's `field` names it.",
                "Berichtigen Sie das Feld und senden Sie es noch einmal. `field` im Problem nennt es.",
            ),
            Self::NameExisting => (
                "Name something that exists and that you may see. The lists show what there is.",
                "Nennen Sie etwas, das es gibt und das Sie sehen dürfen. Die Listen zeigen, was es gibt.",
            ),
            Self::ChooseAnother => (
                "Choose another, or change or delete whatever has it now.",
                "Wählen Sie etwas anderes, oder ändern oder löschen Sie das, was es jetzt hat.",
            ),
            Self::ChangeFirst => (
                "First change what the problem names, then try again.",
                "Ändern Sie zuerst, was das Problem nennt, und versuchen Sie es dann noch einmal.",
            ),
            Self::MakeRoom => (
                "A limit is reached. Delete what is no longer needed, or have the limit raised.",
                "Eine Grenze ist erreicht. Löschen Sie, was nicht mehr gebraucht wird, oder lassen Sie die Grenze anheben.",
            ),
            Self::AskAdministrator => (
                "Ask an administrator to do it, to give you the role, or to give your API key the scope.",
                "Bitten Sie jemanden aus der Verwaltung, es zu tun oder Ihnen die Rolle oder Ihrem API-Schlüssel die Berechtigung dafür zu geben.",
            ),
            Self::SignIn => (
                "Sign in, or send a valid API key or access token.",
                "Melden Sie sich an, oder senden Sie einen gültigen API-Schlüssel oder ein gültiges Token.",
            ),
            Self::SecondFactor => (
                "Set up, confirm or switch off the second factor on your account page.",
                "Sie können den zweiten Faktor auf der Seite Ihres Kontos einrichten, bestätigen und abschalten.",
            ),
            Self::Wait => (
                "Wait as long as `Retry-After` says, or a few seconds, then send the same request again.",
                "Warten Sie so lange, wie `Retry-After` sagt, oder einige Sekunden, und senden Sie dieselbe Anfrage noch einmal.",
            ),
            Self::ReadAgain => (
                "Read it again, apply your change to the present state, and send its ETag as `If-Match`.",
                "Lesen Sie es noch einmal, ändern Sie den jetzigen Stand, und senden Sie sein ETag als `If-Match`.",
            ),
            Self::MakeDiskRoom => (
                "Tell whoever runs the database that its disk is full. Answers that were read before are still served.",
                "Sagen Sie denen Bescheid, die die Datenbank betreiben, dass deren Festplatte voll ist. Bereits gelesene Antworten werden weiter geliefert.",
            ),
            Self::ReadDescription => (
                "Compare the request with the description of the API at /openapi.json.",
                "Vergleichen Sie die Anfrage mit der Beschreibung der Schnittstelle unter /openapi.json.",
            ),
            Self::CorrectFile => (
                "Correct the file and upload it again.",
                "Berichtigen Sie die Datei und laden Sie sie noch einmal hoch.",
            ),
            Self::Report => (
                "You can't fix this. Tell the platform administrators the problem's `id`.",
                "Das können Sie nicht beheben. Nennen Sie der Plattformverwaltung die `id` des Problems.",
            ),
            Self::StrongPassword => (
                "Use several uncommon words, or let a password manager make a password.",
                "Nehmen Sie mehrere ungewöhnliche Wörter, oder lassen Sie einen Passwortmanager ein Passwort machen.",
            ),
        };
        Texts { english, german }
    }
}

impl Code {
    /// Finds a code by its name in problems.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Adds a parameter.
    pub fn with(self, name: &'static str, value: impl fmt::Display) -> Why {
        Why::from(self).with(name, value)
    }

    /// A number must be from `least` to `most`.
    /// A refusal whose reason is another: `{reason}` is its sentence, in either language, and programs get its code.
    #[must_use]
    pub fn because(self, reason: impl Into<Why>) -> Why {
        let reason = reason.into();
        let mut why = self.with("reason", reason.english()).with("reason_code", reason.code);
        why.reason = Some(Box::new(reason));
        why
    }

    pub fn range(least: impl fmt::Display, most: impl fmt::Display) -> Why {
        Self::OutOfRange.with("least", least).with("most", most)
    }

    pub fn at_most(most: impl fmt::Display) -> Why {
        Self::AboveMost.with("most", most)
    }

    /// A list may have at most this many entries.
    pub fn entries(most: impl fmt::Display) -> Why {
        Self::TooManyEntries.with("most", most)
    }

    pub fn lines(most: impl fmt::Display) -> Why {
        Self::LinesOutOfRange.with("most", most)
    }

    /// The names of the parameters, in the order of the English sentence.
    pub fn parameters(self) -> impl Iterator<Item = &'static str> {
        let parts = self.texts().english.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        parts.map(|(name, _)| name).filter(|name| is_parameter(name))
    }
}

/// Whether a word in braces is a parameter's name. Sentences also mention plain braces and `{1}`.
fn is_parameter(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub code: Code,
    pub parameters: Vec<(&'static str, String)>,
    /// What `{reason}` is, where that is another refusal.
    reason: Option<Box<Self>>,
}

impl From<Code> for Why {
    fn from(code: Code) -> Self {
        Self { code, parameters: Vec::new(), reason: None }
    }
}

impl From<super::TextError> for Why {
    fn from(error: super::TextError) -> Self {
        error.0.into()
    }
}

impl Why {
    /// As a problem says it.
    #[must_use]
    pub fn told(code: Code, parameters: Vec<(&'static str, String)>) -> Self {
        Self { code, parameters, reason: None }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    #[must_use]
    pub fn english(&self) -> Cow<'static, str> {
        self.fill(self.code.texts().english, |_, value| value.into())
    }

    #[must_use]
    pub fn german(&self) -> Cow<'static, str> {
        self.fill(self.code.texts().german, |name, value| match name {
            "what" | "kind" => table::thing(value).into(),
            "users" => value.split(", ").map(german_user).collect::<Vec<_>>().join(", "),
            "reason" => self.reason.as_ref().map_or_else(|| value.into(), |reason| reason.german().into_owned()),
            _ => value.into(),
        })
    }

    /// Puts each parameter in its place. Values are not searched for parameters again.
    fn fill(&self, template: &'static str, say: impl Fn(&str, &str) -> String) -> Cow<'static, str> {
        if self.parameters.is_empty() {
            return template.into();
        }
        let mut text = String::with_capacity(template.len() + 40);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let value = after.split_once('}').and_then(|(name, after)| {
                let (_, value) = self.parameters.iter().find(|(known, _)| *known == name)?;
                Some((say(name, value), after))
            });
            if let Some((value, after)) = value {
                text.push_str(&value);
                rest = after;
            } else {
                text.push('{');
                rest = after;
            }
        }
        text.push_str(rest);
        text.into()
    }
}

/// Such as `speed dial 12`, as `model::used` writes it.
fn german_user(user: &str) -> String {
    let kind = user.match_indices(' ').map(|(at, _)| &user[..at]).find(|kind| table::thing(kind) != *kind);
    kind.map_or_else(|| user.to_owned(), |kind| format!("{}{}", table::thing(kind), &user[kind.len()..]))
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.english())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_both_languages_with_the_same_parameters() {
        let names = Code::ALL.iter().map(|code| code.name()).collect::<BTreeSet<_>>();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let Texts { english, german } = code.texts();
            assert!(code.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{code}");
            assert_ne!(english, german, "{code}");
            for parameter in code.parameters() {
                assert!(german.contains(&format!("{{{parameter}}}")), "{code}: {parameter}");
            }
            let is_sentence = english.ends_with('.');
            assert_eq!(is_sentence, code.kind() != Kind::Field, "{code}: {english}");
            assert_eq!(german.ends_with('.'), is_sentence, "{code}: {german}");
            assert_eq!(Code::named(code.name()), Some(*code));
        }
    }

    #[test]
    fn sentences_that_say_the_same_are_one_code() {
        let sentences = Code::ALL.iter().map(|code| code.texts().english).collect::<BTreeSet<_>>();
        assert_eq!(sentences.len(), Code::ALL.len());
    }

    #[test]
    fn parameters_are_put_into_both_languages() {
        let twice = Code::NumberWantedTwice.with("number", 2001);
        assert_eq!(twice.english(), "2001 is listed twice.");
        assert_eq!(twice.german(), "2001 ist zweimal angegeben.");
        let odd = Code::FeatureCodeTwice.with("code", "{code}");
        assert_eq!(odd.english(), "{code} is used twice");
        assert_eq!(Code::NotFound.with("what", "tenant").german(), "Nicht gefunden: Mandant.");
        let used = Code::InUse.with("users", "queue Help, speed dial 12, extension 1811, O'Brien");
        assert!(used.german().ends_with("Warteschlange Help, Kurzwahl 12, Nebenstelle 1811, O'Brien."), "{used:?}");
        let taken = Code::NameTakenBy.with("name", 500).with("kind", "group").with("id", 7);
        assert_eq!(taken.german(), "500 wird bereits verwendet: Gruppe 7.");
        assert_eq!(Why::from(Code::ForbiddenCharacters).english(), Code::ForbiddenCharacters.texts().english);
    }

    #[test]
    fn whatever_may_be_missing_has_a_german_name() {
        fn walk(folder: &std::path::Path, found: &mut BTreeSet<String>) {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    walk(&entry, found);
                } else if entry.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(entry).unwrap();
                    for mark in ["NotFound(\"", "not_found(\""] {
                        found
                            .extend(text.split(mark).skip(1).filter_map(|rest| rest.split('"').next().map(Into::into)));
                    }
                }
            }
        }
        let mut found = BTreeSet::new();
        walk(std::path::Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
        assert!(found.len() > 15, "{found:?}");
        // These are the same in German.
        let same = ["switch", "cluster", "carrier"];
        let english = found.iter().filter(|thing| !same.contains(&thing.as_str()) && table::thing(thing) == *thing);
        assert_eq!(english.collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
