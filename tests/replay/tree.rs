//! Prints an XML document as indented text with sorted attributes. Values that differ from run to run are replaced.

use quick_xml::{Reader, XmlVersion, events::Event};

/// The tree of a document. Panics if the document can't be parsed.
pub fn tree(document: &str) -> String {
    let mut reader = Reader::from_str(document);
    reader.config_mut().check_end_names = true;
    let mut lines = String::new();
    let mut depth = 0;
    loop {
        match reader.read_event().unwrap_or_else(|e| panic!("{e}: {document}")) {
            Event::Start(tag) => {
                lines += &line(depth, &tag);
                depth += 1;
            }
            Event::Empty(tag) => lines += &line(depth, &tag),
            Event::End(_) => depth -= 1,
            Event::Text(text) => assert!(text.trim_ascii().is_empty(), "text in {document}"),
            Event::Eof => break,
            other => panic!("{other:?} in {document}"),
        }
    }
    assert_eq!(depth, 0, "{document}");
    lines
}

fn line(depth: usize, tag: &quick_xml::events::BytesStart<'_>) -> String {
    let mut attributes = tag
        .attributes()
        .map(|attribute| {
            let attribute = attribute.unwrap();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap();
            format!("{}={:?}", attribute.key.as_ref(), steady(&value))
        })
        .collect::<Vec<_>>();
    attributes.sort();
    format!("{}{} {}\n", "  ".repeat(depth), tag.name().as_ref(), attributes.join(" ")).replace(" \n", "\n")
}

/// Replaces ids, hashes and PINs, which are new in each run.
fn steady(value: &str) -> String {
    if value.len() == 36 && uuid::Uuid::parse_str(value).is_ok() {
        return "(uuid)".into();
    }
    if let Some((name, id)) = value.split_once('=')
        && uuid::Uuid::parse_str(id).is_ok()
    {
        return format!("{name}=(uuid)");
    }
    if value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return "(hash)".into();
    }
    value.into()
}

/// Checks what a switch's preprocessor requires of every answer.
pub fn is_fit_for_a_switch(document: &str) {
    assert!(document.ends_with('\n') && document.is_ascii(), "{document}");
    for line in document.lines() {
        assert!(!line.contains("<?") && !line.contains("<!"), "{line}");
        // The stock profiles use variables of the switch as whole values.
        let named = line.contains("value=\"$${") && line.contains("}\"/>") && document.contains("name=\"sofia.conf\"");
        assert!(named || !line.contains('$'), "{line}");
        assert!(line.matches('<').count() <= 1, "one element a line: {line}");
    }
}
