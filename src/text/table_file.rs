//! Table files as spreadsheets and other systems write them: detects their encoding and column separator.

use std::borrow::Cow;

use encoding_rs::{Encoding, WINDOWS_1252};

use super::{Code, Why};

/// Decodes a file: UTF-8 or UTF-16 with a byte order mark, UTF-8 without one, or else the code page that Excel uses in western
/// Europe and America.
///
/// # Errors
///
/// The file is a spreadsheet, such as .xlsx.
pub fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Why> {
    if let Some(kind) = spreadsheet(bytes) {
        return Err(Code::SpreadsheetNotCsv.with("kind", kind));
    }
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Ok(encoding.decode_without_bom_handling(&bytes[mark..]).0);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0),
    }
}

/// Recognises spreadsheets by their first bytes: a ZIP archive is .xlsx or .ods, a compound file is .xls.
fn spreadsheet(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"PK\x03\x04") {
        // An OpenDocument file names its type in the first entry, uncompressed.
        let head = &bytes[..bytes.len().min(100)];
        let is_open_document = head.windows(12).any(|part| part == b"opendocument");
        return Some(if is_open_document { ".ods" } else { ".xlsx" });
    }
    bytes.starts_with(b"\xd0\xcf\x11\xe0").then_some(".xls")
}

/// The rows of a file without Excel's line `sep=;`, and the column separator: the one that occurs most often in the first line
/// outside of quotes.
#[must_use]
pub fn rows(text: &str) -> (&str, u8) {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.split(['\r', '\n']).next().unwrap_or_default();
    if let Some(told) = first.strip_prefix("sep=")
        && let [delimiter] = told.as_bytes()
    {
        return (text[first.len()..].trim_start_matches(['\r', '\n']), *delimiter);
    }
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in first.bytes() {
        quoted ^= byte == b'"';
        for (delimiter, count) in &mut counts {
            *count += usize::from(!quoted && byte == *delimiter);
        }
    }
    // In a tie, the first one wins, which is the comma.
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    (text, most.map_or(b',', |(delimiter, _)| *delimiter))
}

/// Refuses a text with a quoted field that has no end, because a CSV reader would take the rest of the file for its content.
///
/// # Errors
///
/// The text has such a field. The error names its line.
pub fn check_quotes(text: &str, delimiter: u8) -> Result<(), Why> {
    let (mut line, mut opened, mut begins) = (1_usize, None, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        // Of `\r\n`, only the second is counted.
        line += usize::from(byte == b'\n' || (byte == b'\r' && bytes.peek() != Some(&b'\n')));
        match (byte, opened) {
            (b'"', None) if begins => opened = Some(line),
            // Two quotes stand for one in the content.
            (b'"', Some(_)) if bytes.next_if_eq(&b'"').is_none() => opened = None,
            _ => {}
        }
        begins = opened.is_none() && (byte == delimiter || byte == b'\n' || byte == b'\r');
    }
    opened.map_or(Ok(()), |line| Err(Code::QuoteNotClosed.with("line", line)))
}

/// The line of a record in a text whose lines end with `\n`, counted from one. The CSV reader skips empty lines, and reports the position
/// before them.
#[must_use]
pub fn line_of(text: &str, record: &csv::StringRecord) -> usize {
    let Some(position) = record.position() else { return 0 };
    let from = usize::try_from(position.byte()).unwrap_or_default();
    let empty = text.as_bytes()[from.min(text.len())..].iter().take_while(|byte| **byte == b'\n').count();
    usize::try_from(position.line()).unwrap_or_default() + empty
}

/// A column's name without the differences between systems: case, spaces and punctuation.
#[must_use]
pub fn plain(head: &str) -> String {
    head.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_in_the_encoding_that_it_is_in() {
        let utf_16 = |text: &str, little: bool| {
            let units = text.encode_utf16();
            units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect::<Vec<_>>()
        };
        for bytes in [
            "Jörg €".as_bytes().to_vec(),
            "\u{feff}Jörg €".as_bytes().to_vec(),
            b"J\xf6rg \x80".to_vec(),
            utf_16("\u{feff}Jörg €", true),
            utf_16("\u{feff}Jörg €", false),
        ] {
            assert_eq!(text(&bytes).unwrap(), "Jörg €", "{bytes:?}");
        }
    }

    #[test]
    fn a_spreadsheet_says_what_to_do() {
        let ods = b"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.spreadsheet".as_slice();
        for (bytes, kind) in [(b"PK\x03\x04\x14".as_slice(), ".xlsx"), (ods, ".ods"), (b"\xd0\xcf\x11\xe0\xa1", ".xls")]
        {
            let said = text(bytes).unwrap_err().to_string();
            assert!(said.contains(kind) && said.contains("Save As"), "{said}");
        }
    }

    #[test]
    fn what_separates_columns_is_what_the_head_has_most_of() {
        for (file, rest, delimiter) in [
            ("a,b,c\n", "a,b,c\n", b','),
            ("a;b\r\n", "a;b\r\n", b';'),
            ("\"Name, first\";\"b\"\n", "\"Name, first\";\"b\"\n", b';'),
            ("a\tb\rc,d,e\r", "a\tb\rc,d,e\r", b'\t'),
            ("sep=;\r\na;b,c,d\n", "a;b,c,d\n", b';'),
            ("a\n", "a\n", b','),
        ] {
            assert_eq!(rows(file), (rest, delimiter), "{file:?}");
        }
    }

    #[test]
    fn a_quoted_field_without_an_end_is_named_with_its_line() {
        for (text, line) in [
            ("a,b\n\"x\",\"y \"\"z\"\"\"\n", None),
            ("a,b\n5\" pipe,x\n", None),
            ("a,\"x\ny\"\nb\n", None),
            ("a,b\r\n1,\"x\r\n2,y\r\n", Some("2")),
            ("a,b\r1,x\r2,\"\"\"\r3,y", Some("3")),
            ("\"", Some("1")),
        ] {
            let refused = check_quotes(text, b',').err().map(|why| why.to_string());
            assert_eq!(refused.is_some(), line.is_some(), "{text:?}");
            assert!(
                refused.unwrap_or_default().contains(&format!("line {}", line.unwrap_or_default())) || line.is_none()
            );
        }
    }
}
