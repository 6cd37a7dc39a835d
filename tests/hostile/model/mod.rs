//! A model of how FreeSWITCH reads a fetched document, written after switch_xml.c (1.11.3-dev, cc93a683ca), with its bugs.
//!
//! [`preprocess`] is `preprocess()`, [`parse`] is `switch_xml_parse_str()`, [`write`] is `switch_xml_toxml()`, [`search`] is
//! `switch_xml_locate_user()`. They work on bytes, because a switch has no encoding until it writes. "Not modelled" means that
//! FreeSWITCH does something that none of our answers may lead to; the model then refuses the document.
//!
//! `recorded.jsonl` beside this folder has documents with libfreeswitch's own results.

mod parse;
mod preprocess;
mod search;
mod tree;
mod write;

use std::collections::BTreeMap;

pub use self::{preprocess::Command, tree::Element};

/// A switch with its global variables, `$${name}`.
#[derive(Debug, Clone, Default)]
pub struct Switch {
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The result of reading a document.
#[derive(Debug)]
pub struct Reading {
    /// Lines that did not reach the parser, or only in part.
    pub dropped: Vec<String>,
    /// Names of the global variables that were expanded.
    pub expanded: Vec<String>,
    /// Commands that the switch would have run.
    pub commands: Vec<Command>,
    /// The text that the parser got.
    pub text: Vec<u8>,
    pub tree: Result<Element, String>,
}

impl Switch {
    /// A switch with those variables of FreeSWITCH's example configuration that attackers want most.
    pub fn new() -> Self {
        let variables = [("domain", "switch.example"), ("default_password", "4711"), ("mark", "?<&\"")];
        Self { variables: variables.map(|(name, value)| (name.into(), value.into())).into() }
    }

    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name.as_bytes()).map(|value| text(value))
    }

    /// Reads a document as `xml_url_fetch` does (mod_xml_curl.c).
    pub fn read(&mut self, document: &[u8]) -> Reading {
        let mut reading = Reading {
            dropped: Vec::new(),
            expanded: Vec::new(),
            commands: Vec::new(),
            text: Vec::new(),
            tree: Err(String::new()),
        };
        preprocess::run(document, &mut self.variables, &mut reading);
        reading.tree = parse::parse(&reading.text);
        reading
    }
}

impl Reading {
    /// Whether every line was read unchanged.
    pub fn is_untouched(&self) -> bool {
        self.dropped.is_empty() && self.expanded.is_empty() && self.commands.is_empty()
    }

    pub fn tree(&self) -> &Element {
        self.tree.as_ref().unwrap_or_else(|error| panic!("{error}: {}", text(&self.text)))
    }
}

impl Element {
    /// The document as the switch writes it.
    pub fn written(&self) -> Vec<u8> {
        write::write(self)
    }

    /// Writes the document and reads it again, as a switch does with every user that it finds (`switch_xml_dup`).
    pub fn duplicated(&self) -> Result<Element, String> {
        parse::parse(&self.written())
    }
}

/// Bytes as text for people.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// === C's library functions ===

/// `isspace` in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// `strstr`.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// `switch_stristr`.
fn find_any_case(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
}

/// A C string: the bytes before the first NUL.
fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}
