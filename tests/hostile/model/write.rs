//! `switch_xml_toxml_r()` and `switch_xml_ampencode()`: a tree as text again.

use std::ops::Range;

use super::Element;

pub fn write(root: &Element) -> Vec<u8> {
    let mut out = Vec::new();
    element(root, 0, &mut out);
    out
}

fn element(element: &Element, depth: usize, out: &mut Vec<u8>) {
    if out.last() == Some(&b'>') {
        out.push(b'\n');
    }
    indent(depth, out);
    out.push(b'<');
    out.extend(&element.name);
    for (place, (name, value)) in element.attributes.iter().enumerate() {
        // Of two attributes with one name, the first counts. But an attribute without a value is written as often as it occurs.
        let first = element.attributes[..place].iter().find(|(other, _)| other == name);
        if first.is_none_or(|(_, first)| first.is_none() && value.is_none()) {
            let value = value.as_deref().unwrap_or_default();
            out.push(b' ');
            out.extend(name);
            out.extend(b"=\"");
            encode(value, 0..value.len(), true, out);
            out.push(b'"');
        }
    }
    out.push(b'>');
    if element.children.is_empty() {
        encode(&element.text, 0..element.text.len(), false, out);
    } else {
        children(element, depth + 1, out);
    }
    if out.last() == Some(&b'\n') {
        indent(depth, out);
    }
    out.extend(b"</");
    out.extend(&element.name);
    out.extend(b">\n");
}

fn children(parent: &Element, depth: usize, out: &mut Vec<u8>) {
    let mut start = 0;
    for child in &parent.children {
        // A length of 0 means "all there is" to switch_xml_ampencode: text behind adjacent elements comes out twice.
        let end = if child.offset == start { parent.text.len() } else { child.offset };
        encode(&parent.text, start..end, false, out);
        element(child, depth, out);
        start = child.offset;
    }
    encode(&parent.text, start..parent.text.len(), false, out);
}

fn indent(depth: usize, out: &mut Vec<u8>) {
    out.extend(std::iter::repeat_n(b' ', 2 * depth));
}

fn encode(text: &[u8], part: Range<usize>, in_attribute: bool, out: &mut Vec<u8>) {
    let (mut is_immune, mut missing, mut code) = (false, 0, 0_u32);
    for at in part {
        let byte = text[at];
        match byte {
            _ if is_immune => out.push(byte),
            b'&' => out.extend(b"&amp;"),
            // Once "<!" is met, the rest is written as it is.
            b'<' if text.get(at + 1) == Some(&b'!') => {
                out.push(byte);
                is_immune = true;
            }
            b'<' => out.extend(b"&lt;"),
            b'>' => out.extend(b"&gt;"),
            b'"' if in_attribute => out.extend(b"&quot;"),
            b'\n' if in_attribute => out.extend(b"&#xA;"),
            b'\t' if in_attribute => out.extend(b"&#x9;"),
            b'\r' => out.extend(b"&#xD;"),
            b'"' | b'\n' | b'\t' => out.push(byte),
            _ if missing == 0 && byte < 0x80 => out.push(byte),
            _ if missing == 0 => {
                (missing, code) = match byte {
                    // A continuation where a character should begin is left out.
                    0x80..=0xbf => (0, code),
                    0xc0..=0xdf => (1, u32::from(byte & 0x1f)),
                    0xe0..=0xef => (2, u32::from(byte & 0x0f)),
                    0xf0.. => (3, u32::from(byte & 0x07)),
                    ..0x80 => unreachable!("taken above"),
                };
            }
            0x80..=0xbf => {
                code = (code << 6) | u32::from(byte & 0x3f);
                missing -= 1;
                if missing == 0 {
                    out.extend(format!("&#x{code:X};").into_bytes());
                }
            }
            // A character that breaks off takes the next one with it.
            _ => missing = 0,
        }
    }
}
