//! Music streams.

use super::{Code, TextError, display::no_directive, text_type};

text_type!(
    /// The name of a music stream on the switch: 1 to 40 letters, digits, `_` or `-`.
    StreamName, parse_stream_name, "default"
);

impl StreamName {
    /// The stream as a file name that a switch plays.
    #[must_use]
    pub fn source(&self) -> String {
        format!("local_stream://{self}")
    }
}

fn parse_stream_name(text: &str) -> Result<String, TextError> {
    no_directive(text)?;
    let fine = (1..=40).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fine { Ok(text.to_owned()) } else { Err(TextError(Code::NotAStreamName)) }
}
