//! The form that mod_xml_curl sends. It is read in place, without map or copy, and a value is decoded only if it matters.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

/// The `name=value` pairs in the order they were sent. FreeSWITCH never URL-encodes names
/// (`switch_event_build_param_string` in switch_event.c), so they are compared as they are.
pub fn pairs(form: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut start = 0;
    memchr_iter(b'&', form).chain(std::iter::once(form.len())).filter_map(move |end| {
        let pair = &form[start..end];
        start = end + 1;
        let equals = memchr(b'=', pair)?;
        Some((&pair[..equals], &pair[equals + 1..]))
    })
}

/// Undoes FreeSWITCH's URL-encoding, which is `%XX` only: a space is `%20` and a plus is `%2B`, so a literal `+` is a
/// plus too (`switch_url_encode` in switch_utils.c). Returns `None` if the bytes are not UTF-8.
#[must_use]
pub fn decode(value: &[u8]) -> Option<Cow<'_, str>> {
    match percent_encoding::percent_decode(value).into() {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_in_order_and_unchanged() {
        let form = b"a=1&b=&c&=x&d=2=3&a=4";
        let read = pairs(form).collect::<Vec<_>>();
        let expected: [(&[u8], &[u8]); 5] = [(b"a", b"1"), (b"b", b""), (b"", b"x"), (b"d", b"2=3"), (b"a", b"4")];
        assert_eq!(read, expected);
        assert_eq!(pairs(b"").count(), 0);
        assert_eq!(pairs(b"&&&").count(), 0);
    }

    #[test]
    fn values_decode_as_freeswitch_encodes() {
        assert_eq!(decode(b"sofia/internal/1000%40acme.test").unwrap(), "sofia/internal/1000@acme.test");
        assert_eq!(decode(b"50%2Boff%20a+b").unwrap(), "50+off a+b");
        assert_eq!(decode(b"100%").unwrap(), "100%");
        assert!(decode(b"%ff%fe").is_none());
    }
}
