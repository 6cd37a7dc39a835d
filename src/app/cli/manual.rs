//! `completions` and `man`: shell completion and manual pages, generated from the command line's definition.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use clap_complete::Shell;

use super::{definition, nouns::Description, reader};

#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell to write for
    shell: Shell,
}

#[derive(Args)]
pub struct ManArgs {
    /// Folder to write a page per command to; without it, the page of dialplane itself is printed
    folder: Option<PathBuf>,
}

pub fn completions(args: &CompletionsArgs) {
    clap_complete::generate(args.shell, &mut definition(&Description::own()), "dialplane", &mut std::io::stdout());
}

pub fn man(args: &ManArgs) -> anyhow::Result<()> {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(definition(&Description::own())).render(&mut page)?;
        return reader::write(&page);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    clap_mangen::generate_to(definition(&Description::own()), folder)
        .with_context(|| format!("can't write the pages to {}", folder.display()))?;
    println!("The pages are in {}. Read one with `man -l {}`.", folder.display(), folder.join("dialplane.1").display());
    Ok(())
}
