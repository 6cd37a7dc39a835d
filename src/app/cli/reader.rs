//! Whoever reads a command's output may leave before its end, as `dialplane agent list | head` does.

use std::{
    any::Any,
    io::{self, Write as _},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

/// What shells report for a program that was ended by SIGPIPE, which Rust's programs ignore: they panic when they print.
const READER_LEFT: u8 = 128 + 13;

/// The reader of the output left before its end.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output left")]
pub struct Left;

/// Runs a command. If its reader leaves, it ends without a word; if its output can't be written otherwise, it says why.
pub fn or_left(run: impl FnOnce() -> ExitCode) -> ExitCode {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !has_left(info.payload()) && unwritten(info.payload()).is_none() {
            usual(info);
        }
    }));
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(code) => code,
        Err(payload) if has_left(&*payload) => left(),
        Err(payload) => match unwritten(&*payload) {
            Some(why) => {
                let _ = writeln!(io::stderr(), "dialplane: the output can't be written: {why}");
                ExitCode::FAILURE
            }
            None => panic::resume_unwind(payload),
        },
    }
}

/// How a command ends whose reader left.
pub fn left() -> ExitCode {
    ExitCode::from(READER_LEFT)
}

/// Writes bytes to standard output.
pub fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Left.into()),
        done => Ok(done?),
    }
}

fn has_left(payload: &(dyn Any + Send)) -> bool {
    // Of `println!`, and of what is unwrapped.
    payload.downcast_ref::<String>().is_some_and(|text| text.contains("Broken pipe") || text.contains("BrokenPipe"))
}

/// Why `println!` could not write, such as a full disk.
fn unwritten(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<String>()?.strip_prefix("failed printing to stdout: ")
}
