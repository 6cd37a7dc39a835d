//! Compares the model with FreeSWITCH. Each line of `recorded.jsonl` has a document, good or broken, with the results of
//! libfreeswitch's preprocessor, parser and writer. Bytes are written as the characters U+0000 to U+00FF. If a field is missing,
//! the step before it failed.

use serde_json::Value;

use crate::model::{Switch, text};

#[test]
fn the_model_reads_and_writes_what_freeswitch_read_and_wrote() {
    let recorded = include_str!("recorded.jsonl").lines().map(|line| serde_json::from_str(line).unwrap());
    let recorded = recorded.collect::<Vec<Value>>();
    assert!(recorded.len() > 300);
    recorded.iter().for_each(compare);
}

fn compare(recorded: &Value) {
    let document = bytes(recorded, "document").unwrap();
    let mut switch = Switch::new();
    let reading = switch.read(&document);
    let ours = reading.tree.as_ref().ok();
    if let Err(refused) = &reading.tree
        && refused.ends_with("not modelled")
    {
        return;
    }
    let made = [
        ("preprocessed", Some(reading.text.clone())),
        ("a", switch.variable("a").filter(|value| !value.is_empty()).map(String::into_bytes)),
        ("written", ours.map(crate::model::Element::written)),
        ("again", ours.and_then(|tree| tree.duplicated().ok()).map(|again| again.written())),
    ];
    for (what, made) in made {
        let expected = bytes(recorded, what);
        let shown = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(text);
        assert_eq!(shown(&made), shown(&expected), "{what} of {:?}", text(&document));
    }
}

fn bytes(recorded: &Value, name: &str) -> Option<Vec<u8>> {
    Some(recorded[name].as_str()?.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect())
}
