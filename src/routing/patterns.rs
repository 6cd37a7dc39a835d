//! The patterns of a tenant's entries. A pattern is checked when it is saved, and compiled when a plan is read, never on the
//! threads that serve fetches. A newer plan takes over what the one before has compiled.
//!
//! The engine is the simplest of the `regex` family, a bounded backtracker: whatever is dialled, its work is at most states
//! times characters. It compares ASCII, so `\d` means 0 to 9.

use std::{
    cell::{Cell, RefCell},
    sync::{Arc, OnceLock},
};

use regex_automata::{
    Input,
    nfa::thompson::{
        self,
        backtrack::{BoundedBacktracker, Cache},
    },
    util::syntax,
};
use serde::{Deserialize, Serialize};

use crate::text::{Code, TextError};

const MOST_CHARACTERS: usize = 200;
/// The largest compiled pattern, in bytes: some 300 states.
const MOST_BYTES: usize = 16 << 10;

/// A regular expression of at most 200 characters.
#[derive(Debug, Clone, utoipa::ToSchema)]
#[schema(value_type = String, example = "^77(\\d{4})$")]
pub struct Pattern(Written);

#[derive(Debug, Clone)]
struct Written {
    text: Box<str>,
    /// The inner `None` means that it can't be compiled.
    program: Arc<OnceLock<Option<Program>>>,
}

#[derive(Debug)]
struct Program(BoundedBacktracker);

thread_local! {
    /// Whether this thread serves fetches: then it must not compile patterns.
    static SERVES: Cell<bool> = const { Cell::new(false) };
    static CACHE: RefCell<Option<Cache>> = const { RefCell::new(None) };
}

/// Marks this thread as one that serves fetches.
pub fn serve_here() {
    SERVES.set(true);
}

impl Pattern {
    fn written(text: &str) -> Self {
        Self(Written { text: text.into(), program: Arc::default() })
    }

    /// Reads and compiles a pattern that somebody wrote.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let pattern = Self::written(text);
        pattern.check()?;
        Ok(pattern)
    }

    /// Whether a tenant's entry may have this pattern.
    pub fn check(&self) -> Result<(), TextError> {
        if self.program().is_some() { Ok(()) } else { compile(&self.0.text).map(|_| ()) }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The number of its states, which bounds the work per character. `None` if it can't be compiled.
    #[must_use]
    pub fn states(&self) -> Option<usize> {
        self.program().map(|program| program.0.get_nfa().states().len())
    }

    #[must_use]
    pub fn is_compiled(&self) -> bool {
        self.0.program.get().is_some()
    }

    /// Takes over the compiled form of another pattern with the same text.
    pub fn share(&mut self, other: &Self) {
        self.0.program = Arc::clone(&other.0.program);
    }

    fn program(&self) -> Option<&Program> {
        self.0.program.get_or_init(|| compile(&self.0.text).ok().map(Program)).as_ref()
    }

    /// What its groups matched, beginning with the whole match. `None` if it doesn't match or can't be compiled.
    #[must_use]
    pub fn captures(&self, text: &str) -> Option<Vec<String>> {
        let Program(program) = self.program()?;
        CACHE.with_borrow_mut(|cache| {
            let cache = cache.get_or_insert_with(|| program.create_cache());
            cache.reset(program);
            let mut captures = program.create_captures();
            // It fails only for texts far longer than any that is compared: its record of visited states is bounded.
            program.try_captures(cache, Input::new(text), &mut captures).ok()?;
            if !captures.is_match() {
                return None;
            }
            let group = |at| captures.get_group(at).and_then(|span| text.get(span.range())).unwrap_or_default();
            Some((0..captures.group_len()).map(|at| group(at).to_owned()).collect())
        })
    }
}

fn compile(text: &str) -> Result<BoundedBacktracker, TextError> {
    debug_assert!(!SERVES.get(), "a pattern is compiled on a thread that serves fetches");
    if text.chars().count() > MOST_CHARACTERS || text.chars().any(char::is_control) {
        return Err(TextError(Code::PatternLength));
    }
    if asks_for_unicode(text) {
        return Err(TextError(Code::PatternUnicode));
    }
    let built = BoundedBacktracker::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(20))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MOST_BYTES)))
        .build(text);
    built.map_err(|error| match error.size_limit() {
        Some(_) => TextError(Code::PatternTooLarge),
        None => TextError(Code::NotAPattern),
    })
}

/// `(?u)` has classes of many thousand characters, which take long to compile.
fn asks_for_unicode(text: &str) -> bool {
    text.match_indices("(?").any(|(at, _)| {
        let flags = text[at + 2..].split(|c: char| !c.is_ascii_alphabetic() && c != '-').next().unwrap_or_default();
        !flags.starts_with('P') && flags.contains('u')
    })
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::written(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_return_what_they_matched() {
        let pattern = Pattern::parse(r"^(\+?49|0)(?P<rest>\d{2,12})(x)?$").unwrap();
        assert_eq!(pattern.captures("+493012").unwrap(), ["+493012", "+49", "3012", ""]);
        assert_eq!(pattern.captures("493012x").unwrap()[3], "x");
        assert!(pattern.captures("49").is_none() && pattern.captures("ä49301").is_none());
        assert_eq!(Pattern::parse("").unwrap().captures("1000").unwrap(), [""]);
        assert!(Pattern::parse("^[^0-9]+$").unwrap().captures("äö").is_some());
    }

    #[test]
    fn what_people_write_is_small() {
        for text in
            [r"^77(\d{4})$", r"^(?:\+|00)?49(30|40|89)(\d{3,12})$", r"^\*?(1[0-9]{3}|2\d{3})#?$", "(?i)^sales|support$"]
        {
            let states = Pattern::parse(text).unwrap().states().unwrap();
            assert!(states < 60, "{text}: {states}");
        }
    }

    #[test]
    fn a_pattern_that_is_too_large_is_refused_when_saved_and_never_matches() {
        for text in [
            r"^z(?:[^\x00-\x7f]){60}(?:[^\x00-\x7f]){900}",
            "a{1000}{1000}",
            r"(?u)\w{60}",
            r"(?iu:\pL)",
            r"\p{L}+",
            "(?=a)b",
            "(a)\\1",
            "(",
            &"a".repeat(300),
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
            let kept: Pattern = serde_json::from_value(serde_json::json!(text)).unwrap();
            assert!(kept.captures("aaab").is_none() && kept.states().is_none() && kept.is_compiled(), "{text}");
        }
    }

    #[test]
    fn the_same_text_is_compiled_once() {
        let first = Pattern::parse("^1$").unwrap();
        let mut second: Pattern = serde_json::from_value(serde_json::json!("^1$")).unwrap();
        assert!(!second.is_compiled());
        second.share(&first);
        assert!(second.is_compiled() && second.captures("1").is_some());
    }
}
