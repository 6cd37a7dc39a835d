//! Whoever reads a command's output may leave before its end, as `dialplane agent list | head` does.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

/// What shells report for a program that was ended by SIGPIPE, which Rust's programs ignore: they panic when they print.
const READER_LEFT: u8 = 128 + 13;

/// Runs a command. If its reader leaves, it ends without a word.
pub fn or_left(run: impl FnOnce() -> ExitCode) -> ExitCode {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !has_left(info.payload()) {
            usual(info);
        }
    }));
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(code) => code,
        Err(payload) if has_left(&*payload) => ExitCode::from(READER_LEFT),
        Err(payload) => panic::resume_unwind(payload),
    }
}

fn has_left(payload: &(dyn Any + Send)) -> bool {
    // Of `println!`, and of what is unwrapped.
    payload.downcast_ref::<String>().is_some_and(|text| text.contains("Broken pipe") || text.contains("BrokenPipe"))
}
