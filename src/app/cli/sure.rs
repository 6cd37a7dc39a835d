//! Asking first: what takes phones off the air, or makes a secret that others still use worthless, is not done by a slip.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Args;

/// Somebody was to be asked, and was not there or said no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unsure(String);

#[derive(Args)]
pub struct Sure {
    /// Do not ask first
    #[arg(long)]
    yes: bool,
}

impl Sure {
    /// Asks whether that is wanted, at a terminal. Scripts say `--yes`.
    pub fn ask(&self, what_happens: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        let input = std::io::stdin();
        if !input.is_terminal() {
            return Err(Unsure(format!("{what_happens} Say --yes to go on; nothing was changed")).into());
        }
        eprint!("{what_happens} Go on? [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        input.lock().read_line(&mut answer)?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(Unsure("nothing was changed".into()).into())
    }
}
