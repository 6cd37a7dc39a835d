//! `switch_xml_parse_str()` and `switch_xml_decode()`.
//!
//! Not modelled: a DOCTYPE, whose entities FreeSWITCH would honour, processing instructions, which it would keep, and
//! UTF-16, which it would convert.

use std::ops::Range;

use super::{Element, find, is_space};

/// The five entities that exist without a DOCTYPE. Each is replaced by a reference, which is then decoded.
const ENTITIES: [(&[u8], &[u8]); 5] =
    [(b"lt;", b"&#60;"), (b"gt;", b"&#62;"), (b"quot;", b"&#34;"), (b"apos;", b"&#39;"), (b"amp;", b"&#38;")];

/// What is decoded besides line endings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Attribute,
    Text,
    Cdata,
}

pub fn parse(document: &[u8]) -> Result<Element, String> {
    let Some((&last, _)) = document.split_last() else { return Err("root tag missing".into()) };
    if matches!(document[0], 0xfe | 0xff) {
        return Err("UTF-16 is not modelled".into());
    }
    // The last byte is remembered and replaced by a NUL. The preprocessor ensures that there is no earlier NUL.
    Parser { text: &document[..document.len() - 1], last, at: 0, open: Vec::new(), root: None }.run()
}

struct Parser<'d> {
    text: &'d [u8],
    last: u8,
    at: usize,
    open: Vec<Element>,
    root: Option<Element>,
}

impl Parser<'_> {
    fn byte(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// `strcspn`: moves to the next of these bytes, or to the end.
    fn skip_until(&mut self, stop: &[u8]) {
        let rest = self.rest();
        self.at += rest.iter().position(|byte| stop.contains(byte)).unwrap_or(rest.len());
    }

    fn skip_spaces(&mut self) {
        while is_space(self.byte()) {
            self.at += 1;
        }
    }

    /// The tag may end with the document.
    fn at_last(&self, byte: u8) -> bool {
        self.byte() == 0 && self.last == byte
    }

    fn run(mut self) -> Result<Element, String> {
        self.skip_until(b"<");
        if self.byte() == 0 {
            return Err("root tag missing".into());
        }
        loop {
            self.at += 1;
            self.markup()?;
            if self.byte() == 0 {
                break;
            }
            self.at += 1;
            let start = self.at;
            if self.byte() == 0 {
                break;
            }
            self.skip_until(b"<");
            if self.byte() == 0 {
                break;
            }
            self.content(start..self.at, In::Text);
        }
        match (self.open.last(), self.root) {
            (Some(open), _) => Err(format!("unclosed tag <{}>", open.name())),
            (None, Some(root)) => Ok(root),
            (None, None) => Err("root tag missing".into()),
        }
    }

    /// Reads what comes after a '<', up to its '>'.
    fn markup(&mut self) -> Result<(), String> {
        let first = self.byte();
        if first.is_ascii_alphabetic() || matches!(first, b'_' | b':') || first >= 0x80 {
            return self.tag();
        }
        let start = self.at;
        if first == b'/' {
            return self.closing_tag();
        }
        if self.rest().starts_with(b"!--") {
            // Any "--" ends it, or makes it an error.
            let length = self.text.get(start + 3..).and_then(|rest| find(rest, b"--"));
            self.at = start + 3 + length.ok_or("unclosed <!--")? + 2;
            return if self.byte() == b'>' || self.at_last(b'>') { Ok(()) } else { Err("unclosed <!--".into()) };
        }
        if self.rest().starts_with(b"![CDATA[") {
            let length = find(self.rest(), b"]]>").ok_or("unclosed <![CDATA[")?;
            self.content(start + 8..start + length, In::Cdata);
            self.at = start + length + 2;
            return Ok(());
        }
        if self.rest().starts_with(b"!DOCTYPE") {
            return Err("a DOCTYPE is not modelled".into());
        }
        if first == b'?' {
            return Err("a processing instruction is not modelled".into());
        }
        Err("unexpected <".into())
    }

    fn tag(&mut self) -> Result<(), String> {
        if self.root.is_some() {
            return Err("markup outside of root element".into());
        }
        let start = self.at;
        self.skip_until(b"\t\r\n />");
        let mut element = Element { name: self.text[start..self.at].to_vec(), ..Element::default() };
        self.skip_spaces();
        while !matches!(self.byte(), 0 | b'/' | b'>') {
            element.attributes.push(self.attribute()?);
            self.skip_spaces();
        }
        element.offset = self.open.last().map_or(0, |parent| parent.text.len());
        let closes_itself = self.byte() == b'/';
        self.at += usize::from(closes_itself);
        if self.byte() != b'>' && !self.at_last(b'>') {
            return Err("missing >".into());
        }
        self.open.push(element);
        if closes_itself {
            self.close();
        }
        Ok(())
    }

    /// A name, and a value if there is one in quotes.
    fn attribute(&mut self) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
        let start = self.at;
        self.skip_until(b"\t\r\n =/>");
        let name = self.text[start..self.at].to_vec();
        if self.byte() != b'=' && !is_space(self.byte()) {
            return Ok((name, None));
        }
        self.at += 1;
        while matches!(self.byte(), b'\t' | b'\r' | b'\n' | b' ' | b'=') {
            self.at += 1;
        }
        let quote = self.byte();
        if !matches!(quote, b'"' | b'\'') {
            return Ok((name, None));
        }
        self.at += 1;
        let start = self.at;
        self.skip_until(&[quote]);
        if self.byte() == 0 {
            return Err(format!("missing {}", char::from(quote)));
        }
        let value = decode(&self.text[start..self.at], In::Attribute);
        self.at += 1;
        Ok((name, Some(value)))
    }

    fn closing_tag(&mut self) -> Result<(), String> {
        self.at += 1;
        let start = self.at;
        self.skip_until(b"\t\r\n >");
        if self.byte() == 0 && self.last != b'>' {
            return Err("missing >".into());
        }
        let name = self.text[start..self.at].to_vec();
        if self.open.last().is_none_or(|open| open.name != name) {
            return Err(format!("unexpected closing tag </{}>", super::text(&name)));
        }
        self.close();
        if is_space(self.byte()) {
            while matches!(self.byte(), b'\t' | b'\r' | b'\n' | b' ') {
                self.at += 1;
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        let Some(closed) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(closed),
            None => self.root = Some(closed),
        }
    }

    fn content(&mut self, place: Range<usize>, kind: In) {
        if let Some(open) = self.open.last_mut() {
            open.text.extend(decode(&self.text[place], kind));
        }
    }
}

/// Decodes in place and continues after the decoded text: `&amp;#60;` becomes `&#60;` and is not decoded again.
fn decode(text: &[u8], kind: In) -> Vec<u8> {
    let mut text = with_line_feeds(text);
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if kind != In::Cdata && rest.starts_with(b"&#") {
            if let Some((character, length)) = reference(&rest[2..]) {
                text.splice(at..at + 2 + length, character.iter().copied());
                at += character.len();
            } else {
                at += 1;
            }
        } else if kind != In::Cdata && rest[0] == b'&' {
            match ENTITIES.iter().find(|(name, _)| rest[1..].starts_with(name)) {
                Some((name, reference)) => drop(text.splice(at..=at + name.len(), reference.iter().copied())),
                None => at += 1,
            }
        } else {
            if kind == In::Attribute && is_space(rest[0]) {
                text[at] = b' ';
            }
            at += 1;
        }
    }
    text
}

/// CR and CR LF become LF.
fn with_line_feeds(text: &[u8]) -> Vec<u8> {
    let follows_cr = |at: usize| at > 0 && text[at - 1] == b'\r';
    let kept = text.iter().enumerate().filter(|(at, byte)| **byte != b'\n' || !follows_cr(*at));
    kept.map(|(_, byte)| if *byte == b'\r' { b'\n' } else { *byte }).collect()
}

/// Reads the text between `&#` and `;`. Returns the decoded bytes and the length that was read, with the semicolon.
fn reference(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (base, mut at) = if text.first() == Some(&b'x') { (16, 1) } else { (10, 0) };
    if !text.get(at)?.is_ascii_hexdigit() {
        return None;
    }
    // strtoul accepts a prefix itself, if a digit follows.
    let is_prefix = base == 16
        && matches!(text[at..], [b'0', b'x' | b'X', ..])
        && text.get(at + 2).is_some_and(u8::is_ascii_hexdigit);
    at += if is_prefix { 2 } else { 0 };
    let mut code = 0_u64;
    while let Some(digit) = text.get(at).and_then(|byte| char::from(*byte).to_digit(base)) {
        code = code.saturating_mul(u64::from(base)).saturating_add(u64::from(digit));
        at += 1;
    }
    let code = u32::try_from(code).ok().filter(|code| (1..=0x7fff_ffff).contains(code))?;
    (text.get(at) == Some(&b';')).then(|| (utf8(code), at + 1))
}

/// UTF-8 in its old form, for up to 31 bits.
fn utf8(code: u32) -> Vec<u8> {
    let [.., low] = code.to_be_bytes();
    if code < 0x80 {
        return vec![low];
    }
    let payload = (32 - code.leading_zeros() - 2) / 5;
    let six_bits = |shift: u32| ((code >> shift) & 0x3f).to_be_bytes()[3];
    let head = ((0xff_u32 << (7 - payload)) | (code >> (6 * payload))).to_be_bytes()[3];
    std::iter::once(head).chain((0..payload).rev().map(|place| 0x80 | six_bits(6 * place))).collect()
}
