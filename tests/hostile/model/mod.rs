//! FreeSWITCH's way of reading a fetched document, rebuilt from switch_xml.c (1.11.3-dev, cc93a683ca), its faults included.
//!
//! [`preprocess`] is `preprocess()`, [`parse`] is `switch_xml_parse_str()`, [`write`] is `switch_xml_toxml()`, [`search`] is
//! `switch_xml_locate_user()`. Bytes, not text: the switch knows no encoding until it writes. Where a file ends in "not
//! modelled", FreeSWITCH does something that no answer of ours may lead to; the model then refuses the document.
//!
//! `recorded.jsonl` beside this folder holds documents with what libfreeswitch itself made of them.

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

/// What became of a document.
#[derive(Debug)]
pub struct Reading {
    /// Lines of which nothing, or only a part, reached the parser.
    pub dropped: Vec<String>,
    /// Names of the global variables that were asked for.
    pub expanded: Vec<String>,
    /// What the switch would have run.
    pub commands: Vec<Command>,
    /// What the parser was given.
    pub text: Vec<u8>,
    pub tree: Result<Element, String>,
}

impl Switch {
    /// With the variables of FreeSWITCH's own example configuration that strangers like best.
    pub fn new() -> Self {
        let variables = [("domain", "switch.example"), ("default_password", "4711"), ("mark", "?<&\"")];
        Self { variables: variables.map(|(name, value)| (name.into(), value.into())).into() }
    }

    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name.as_bytes()).map(|value| text(value))
    }

    /// Reads a document as `xml_url_fetch` has it read (mod_xml_curl.c).
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
    /// Was it taken as it stood, line for line?
    pub fn is_untouched(&self) -> bool {
        self.dropped.is_empty() && self.expanded.is_empty() && self.commands.is_empty()
    }

    pub fn tree(&self) -> &Element {
        self.tree.as_ref().unwrap_or_else(|error| panic!("{error}: {}", text(&self.text)))
    }
}

impl Element {
    /// Written out by the switch.
    pub fn written(&self) -> Vec<u8> {
        write::write(self)
    }

    /// Written out and read again, as the switch does with every user it finds (`switch_xml_dup`).
    pub fn duplicated(&self) -> Result<Element, String> {
        parse::parse(&self.written())
    }
}

/// Bytes as text for people.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// === What C has for this ===

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

/// A C string: what stands before the first NUL.
fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}
