//! Streams of music.

use super::{Code, TextError, display::no_directive, text_type};

text_type!(
    /// The name of a stream of music on the switch: 1 to 40 letters, digits, `_` or `-`.
    StreamName, parse_stream_name, "default"
);

impl StreamName {
    /// What a switch plays for it.
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
