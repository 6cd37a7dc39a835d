//! Files that a command reads. `-` is standard input.

use std::{
    io::{self, Read as _},
    path::Path,
};

use anyhow::Context as _;

pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == "-" {
        let mut text = Vec::new();
        io::stdin().read_to_end(&mut text).context("standard input can't be read")?;
        return Ok(text);
    }
    std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))
}
