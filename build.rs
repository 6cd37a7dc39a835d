//! Tells the program which commit it is of, for `dialplane --version`.
//!
//! A package is built from an archive without git's data: then `PROGRAM_COMMIT` says it, as `COMMIT DATE`. A debug build says
//! nothing: nobody installs one, and it would be built anew after every commit.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PROGRAM_COMMIT");
    let is_debug = env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    let given = env::var("PROGRAM_COMMIT").ok().filter(|given| !given.trim().is_empty());
    let commit = given.or_else(|| if is_debug { None } else { of_git() });
    let origin = commit.as_deref().map_or("built for development", str::trim);
    println!("cargo::rustc-env=PROGRAM_VERSION={} ({origin})", env!("CARGO_PKG_VERSION"));
}

fn of_git() -> Option<String> {
    let git = |words: &[&str]| {
        let said = Command::new("git").args(words).output().ok().filter(|said| said.status.success())?;
        String::from_utf8(said.stdout).ok().map(|said| said.trim().to_owned())
    };
    // These files may lie in somebody else's repository.
    if git(&["rev-parse", "--show-toplevel"])? != env::var("CARGO_MANIFEST_DIR").ok()? {
        return None;
    }
    // Both change when another commit is checked out, or one is made.
    for file in ["HEAD", "logs/HEAD"] {
        println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", file])?);
    }
    git(&["log", "-1", "--format=%h %cs", "--abbrev=10"])
}
