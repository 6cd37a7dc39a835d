//! No panic, anywhere in the process: the node under test runs in it.

use std::sync::{Mutex, Once};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on panics outside the tests' own code are remembered.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A failed assertion of a test is no fault of the node's.
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
