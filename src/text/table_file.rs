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
}
