//! Reads an answer with another XML parser.

use quick_xml::{Reader, events::BytesStart, events::Event};

use crate::model::Element;

/// Reads a document with quick-xml, which refuses what is not well-formed.
pub fn read(document: &[u8]) -> Element {
    let document = std::str::from_utf8(document).unwrap();
    assert!(document.is_ascii(), "everything else is a reference");
    let mut reader = Reader::from_str(document);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => open.push(element(&start)),
            Event::Empty(start) => {
                let element = element(&start);
                open.last_mut().unwrap().children.push(element);
            }
            Event::End(_) => {
                let closed = open.pop().unwrap();
                open.last_mut().unwrap().children.push(closed);
            }
            Event::Text(text) => assert!(text.chars().all(|c| c.is_ascii_whitespace()), "{document}"),
            Event::Eof => break,
            other => panic!("{other:?} in {document}"),
        }
    }
    let [nothing] = &mut open[..] else { panic!("something is left open: {document}") };
    assert_eq!(nothing.children.len(), 1, "one root");
    nothing.children.remove(0)
}

fn element(start: &BytesStart<'_>) -> Element {
    let attributes = start.attributes().map(|attribute| {
        let attribute = attribute.unwrap();
        let value = quick_xml::escape::unescape(&attribute.value).unwrap().into_owned();
        (attribute.key.as_ref().into(), Some(value.into_bytes()))
    });
    Element { name: start.name().as_ref().into(), attributes: attributes.collect(), ..Element::default() }
}
