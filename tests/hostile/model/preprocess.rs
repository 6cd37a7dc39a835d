//! `preprocess()`, `expand_vars()` and `switch_fp_read_dline()`: the pass over the lines before XML is parsed.
//!
//! Not modelled: what a command prints into the document, and the content of included files.

use std::collections::BTreeMap;

use super::{Reading, find, find_any_case, text, until_nul};

/// Something that a switch does because a document says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub name: String,
    pub argument: String,
}

/// A longer line is split, and one byte is lost there (`DLINE_MAX_SIZE` in switch_utils.c).
const LONGEST_LINE: usize = 1024 * 1024 - 2;

type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn run(document: &[u8], variables: &mut Variables, reading: &mut Reading) {
    let mut in_comment = false;
    let mut rest = document;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).map_or(rest.len(), |end| end + 1);
        let line = if end > LONGEST_LINE {
            reading.dropped.push(text(&rest[LONGEST_LINE..=LONGEST_LINE]));
            let line = &rest[..LONGEST_LINE];
            rest = &rest[LONGEST_LINE + 1..];
            line
        } else {
            let line = &rest[..end];
            rest = &rest[end..];
            line
        };
        if !one_line(line, &mut in_comment, variables, reading) {
            reading.dropped.push(text(line));
        }
    }
}

/// Returns whether the line was passed on whole.
fn one_line(bytes: &[u8], in_comment: &mut bool, variables: &mut Variables, reading: &mut Reading) -> bool {
    let line = until_nul(bytes);
    let (raw, mut expanded) = expand(line, variables, &mut reading.expanded);
    // It is searched in the original line, which by now ends at the first variable's brace.
    if [&b"<include>"[..], b"</include>", b"<?"].iter().any(|word| find(raw, word).is_some()) {
        return false;
    }
    let was_in_comment = *in_comment;
    if was_in_comment {
        let Some(end) = find(raw, b"-->") else { return false };
        *in_comment = false;
        expanded = raw[end + 3..].to_vec();
    }
    if let Some(at) = find_any_case(&expanded, b"X-pre-process") {
        // It only has an effect after a '<', but the line is lost in any case.
        if at > 0 && expanded[at - 1] == b'<' {
            element(&expanded[at..], variables, &mut reading.commands);
        }
        return false;
    }
    if let Some(at) = find(&expanded, b"<!--#") {
        reading.text.extend_from_slice(&expanded[..at]);
        let comment = &expanded[at..];
        let comment = if let Some(end) = find(comment, b"-->") {
            reading.text.extend_from_slice(&comment[end + 3..]);
            &comment[..end]
        } else {
            *in_comment = true;
            comment
        };
        directive(&comment[5..], variables, &mut reading.commands);
        return false;
    }
    reading.text.extend_from_slice(&expanded);
    !was_in_comment && line.len() == bytes.len()
}

/// Replaces `$${name}` by the variable's value, or by nothing. Returns the original line as this leaves it (with a NUL where the
/// first brace closed), and the expanded line.
fn expand<'a>(line: &'a [u8], variables: &Variables, asked: &mut Vec<String>) -> (&'a [u8], Vec<u8>) {
    let (mut expanded, mut left, mut at) = (Vec::new(), line, 0);
    while at < line.len() {
        if line[at..].starts_with(b"$${")
            && let Some(length) = closing_brace(&line[at + 2..])
        {
            let name = &line[at + 3..at + 2 + length];
            asked.push(text(name));
            expanded.extend_from_slice(variables.get(name).map_or(&[], |value| until_nul(value)));
            if left.len() == line.len() {
                left = &line[..at + 2 + length];
            }
            at += 2 + length + 1;
        } else {
            expanded.push(line[at]);
            at += 1;
        }
    }
    (left, expanded)
}

/// `switch_find_end_paren`: the position of the brace that closes the text's first one.
fn closing_brace(text: &[u8]) -> Option<usize> {
    let mut depth = 0;
    text.iter().position(|byte| {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

/// `<X-PRE-PROCESS cmd="…" data="…"/>`
fn element(text: &[u8], variables: &mut Variables, commands: &mut Vec<Command>) {
    let text = find(text, b"/>").map_or(text, |end| &text[..end + 2]);
    let Some((name, rest)) = quoted(text, b"cmd") else { return };
    let Some((argument, _)) = rest.and_then(|rest| quoted(rest, b"data")) else { return };
    act(name, argument, &["set", "exec-set", "stun-set", "env-set", "include", "exec"], variables, commands);
}

/// The quoted text after a word and `=`, and what follows its closing quote, if it has one.
fn quoted<'a>(text: &'a [u8], word: &[u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let text = &text[find_any_case(text, word)?..];
    let text = &text[memchr::memchr(b'=', text)?..];
    let text = &text[memchr::memchr(b'"', text)? + 1..];
    Some(match memchr::memchr(b'"', text) {
        Some(end) => (&text[..end], Some(&text[end + 1..])),
        None => (text, None),
    })
}

/// `<!--#set "a=b"-->`
fn directive(text: &[u8], variables: &mut Variables, commands: &mut Vec<Command>) {
    let line = [b'\r', b'\n'].iter().find_map(|end| memchr::memchr(*end, text)).map_or(text, |end| &text[..end]);
    let Some(space) = memchr::memchr(b' ', line) else { return };
    let (name, mut argument) = (&line[..space], &line[space + 1..]);
    if let Some(open) = memchr::memchr(b'"', argument)
        && let Some(length) = memchr::memchr(b'"', &argument[open + 1..])
    {
        argument = &argument[open + 1..open + 1 + length];
    }
    act(name, argument, &["set", "exec-set", "stun-set", "include", "exec"], variables, commands);
}

fn act(name: &[u8], argument: &[u8], known: &[&str], variables: &mut Variables, commands: &mut Vec<Command>) {
    let Some(name) = known.iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes())) else { return };
    if *name == "set"
        && let Some(equals) = memchr::memchr(b'=', argument)
    {
        let key = argument[..equals].trim_suffix_spaces();
        let value = argument[equals + 1..].trim_prefix_spaces();
        variables.insert(key.to_vec(), without_expressions(value));
    }
    commands.push(Command { name: (*name).to_owned(), argument: text(argument) });
}

/// A variable never contains `${` (`switch_string_var_check`).
fn without_expressions(value: &[u8]) -> Vec<u8> {
    let (mut value, mut dollar) = (value.to_vec(), None);
    for at in 0..value.len() {
        match (value[at], dollar) {
            (b'$', _) => dollar = Some(at),
            (b'{', Some(place)) => {
                value[place] = b'%';
                dollar = None;
            }
            (b'\\', _) => {}
            _ => dollar = None,
        }
    }
    value
}

/// Whether there are only spaces, as this C code defines them.
trait Spaces {
    fn trim_prefix_spaces(&self) -> &[u8];
    fn trim_suffix_spaces(&self) -> &[u8];
}

impl Spaces for [u8] {
    fn trim_prefix_spaces(&self) -> &[u8] {
        &self[self.iter().take_while(|byte| **byte == b' ').count()..]
    }
    fn trim_suffix_spaces(&self) -> &[u8] {
        &self[..self.len() - self.iter().rev().take_while(|byte| **byte == b' ').count()]
    }
}
