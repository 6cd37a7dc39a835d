//! Which part of a recording a request asks for (RFC 9110, 14).

use std::ops::Range;

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Whole,
    Only(Range<u64>),
    /// There is no such part.
    Nothing,
}

/// Reads the header `Range`. What is not understood is left aside, as is a list of several parts: then the whole is answered.
#[must_use]
pub fn part(header: Option<&str>, length: u64) -> Part {
    let Some((first, last)) = header.and_then(|header| header.trim().strip_prefix("bytes=")?.split_once('-')) else {
        return Part::Whole;
    };
    let number =
        |text: &str| (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>());
    let (first, last) = (first.trim(), last.trim());
    match (number(first), number(last)) {
        // The end of it.
        (None, Some(Ok(count))) if first.is_empty() => {
            if count == 0 || length == 0 {
                Part::Nothing
            } else {
                Part::Only(length.saturating_sub(count)..length)
            }
        }
        (Some(Ok(first)), None) if last.is_empty() => {
            if first < length {
                Part::Only(first..length)
            } else {
                Part::Nothing
            }
        }
        (Some(Ok(first)), Some(Ok(last))) if first <= last => {
            if first < length {
                Part::Only(first..last.saturating_add(1).min(length))
            } else {
                Part::Nothing
            }
        }
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_the_header_names() {
        for (header, expected) in [
            ("bytes=0-0", Part::Only(0..1)),
            ("bytes=0-99", Part::Only(0..100)),
            ("bytes=10-", Part::Only(10..1000)),
            ("bytes=990-5000", Part::Only(990..1000)),
            ("bytes=-10", Part::Only(990..1000)),
            ("bytes=-5000", Part::Only(0..1000)),
            ("bytes=0-18446744073709551615", Part::Only(0..1000)),
            ("bytes=1000-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=5-1", Part::Whole),
            ("bytes=99999999999999999999-", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("items=0-1", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(Some(header), 1000), expected, "{header}");
        }
        assert_eq!(part(None, 1000), Part::Whole);
    }
}
