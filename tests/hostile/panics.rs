//! Checks that nothing panics in the process, in which the node under test runs too.

use std::sync::{Mutex, Once};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on, records panics outside the tests' own code.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A failed assertion of a test is not a panic of the node.
            if panic.location().is_none_or(|place| !place.file().starts_with("tests/")) {
                SEEN.lock().unwrap().push(panic.to_string());
            }
            before(panic);
        }));
    });
}

pub fn assert_none() {
    let seen = SEEN.lock().unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}
