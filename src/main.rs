//! `dialplane`: see `dialplane --help`.

use std::process::ExitCode;

/// Measured for fetches: docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dialplane::app::cli::main()
}
