//! Escaping for FreeSWITCH, which needs more than escaping for XML.
//!
//! Before a fetched document is parsed as XML, `preprocess()` in switch_xml.c goes over the text line by line, acts on
//! `$${…}`, `<!--#` and `<X-PRE-PROCESS`, and drops lines that contain certain words. So all but a few characters are written
//! as numeric references, which only the XML parser understands. If a value has a control character, the rendering fails.

use std::fmt;

/// The escaper of every `.xml` template (askama.toml).
#[derive(Debug, Clone, Copy)]
pub struct SwitchXml;

/// Letters, digits, and common characters of numbers, addresses and lists. `-` is not one of them: the preprocessor has words
/// with it.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.' | b',' | b':' | b'/' | b'@' | b'+' | b'=' | b'_' | b'*')
}

impl askama::filters::Escaper for SwitchXml {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        let mut rest = text;
        loop {
            let plain = rest.bytes().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
            dest.write_str(&rest[..plain])?;
            rest = &rest[plain..];
            let Some(special) = rest.chars().next() else { return Ok(()) };
            if special.is_control() {
                return Err(fmt::Error);
            }
            write!(dest, "&#{};", u32::from(special))?;
            rest = &rest[special.len_utf8()..];
        }
    }
}

#[cfg(test)]
mod tests {
    use askama::filters::Escaper as _;
    use proptest::prelude::*;

    use super::*;

    fn escape(text: &str) -> Result<String, fmt::Error> {
        let mut escaped = String::new();
        SwitchXml.write_escaped_str(&mut escaped, text).map(|()| escaped)
    }

    #[test]
    fn what_the_preprocessor_acts_on_becomes_a_reference() {
        assert_eq!(escape("$${domain}").unwrap(), "&#36;&#36;&#123;domain&#125;");
        assert_eq!(escape("X-PRE-PROCESS").unwrap(), "X&#45;PRE&#45;PROCESS");
        assert_eq!(escape("<!\"'&").unwrap(), "&#60;&#33;&#34;&#39;&#38;");
        assert_eq!(escape("José 王").unwrap(), "Jos&#233; &#29579;");
        assert_eq!(escape("user/1001@acme.test").unwrap(), "user/1001@acme.test");
        for control in ["\n", "\r", "\t", "\0", "\u{85}"] {
            assert!(escape(control).is_err());
        }
    }

    proptest! {
        #[test]
        fn escaped_text_reads_back_and_holds_nothing_special(text in "\\PC{0,40}") {
            let Ok(escaped) = escape(&text) else { return Ok(()) };
            let special = ['$', '<', '>', '"', '\'', '-', '!', '{', '?'];
            prop_assert!(!escaped.contains(special), "{}", escaped);
            let read = quick_xml::escape::unescape(&escaped).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
