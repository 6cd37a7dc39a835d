//! Asks for confirmation before phones lose their service or a secret that is in use becomes invalid.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Args;

/// Nobody confirmed: there was no terminal to ask at, or the answer was no.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unsure(String);

#[derive(Args)]
pub struct Sure {
    /// Don't ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl Sure {
    pub fn said(yes: bool) -> Self {
        Self { yes }
    }

    /// Asks at the terminal whether to continue. Scripts use `--yes`.
    pub fn ask(&self, what_happens: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        let input = std::io::stdin();
        if !input.is_terminal() {
            return Err(Unsure(format!("{what_happens} Nothing was changed; use --yes to continue")).into());
        }
        eprint!("{what_happens} Continue? [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        input.lock().read_line(&mut answer)?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(Unsure("nothing was changed".into()).into())
    }
}
