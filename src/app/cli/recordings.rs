//! `recording send`: runs beside a switch and sends its recordings.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{failure::Refused, print, progress};
use crate::switch::sender::{Failed, Report, Sender};

#[derive(Subcommand)]
pub enum RecordingCommand {
    /// Send the recordings of a switch, and remove each file once it is stored; with --voicemail, also its messages, whose files stay
    ///
    /// Runs on the switch's machine, as a user who may remove the files. A file is sent once the switch has finished it; one that nobody has
    /// written to for a while is sent as it is. It does no harm to send a recording twice, and an interrupted one is sent again.
    Send(SendArgs),
}

#[derive(Args)]
pub struct SendArgs {
    /// The folder into which the switch records
    dir: PathBuf,
    /// The folder of mod_voicemail's messages, such as /var/lib/freeswitch/storage/voicemail/default
    #[arg(long, value_name = "DIR")]
    voicemail: Option<PathBuf>,
    /// The switch's site.xml, which has Dialplane's URL, the switch's credentials, and the authority of an https URL
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,
    /// Dialplane's URL for switches, such as `https://pbx.example.com:8080`, if it is not in the site's file
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// A file with the switch's credentials, NAME:TOKEN, if they are not in the site's file
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// A PEM file with the authority of an https URL, if it is not in the site's file
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Go on, and look for new files every so many seconds
    #[arg(long, value_name = "SECONDS")]
    watch: Option<u64>,
    /// The tenant, by its domain, of recordings whose calls left no record because the switch died
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// After how many seconds without a change a file counts as finished that does not look so
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    abandoned_after: u64,
}

/// A value of the switch's site.xml: `data="NAME=VALUE"`.
fn of_site<'a>(site: &'a str, name: &str) -> Option<&'a str> {
    let lines = site.lines().filter(|line| line.contains("<X-PRE-PROCESS"));
    let mut values = lines.filter_map(|line| line.split_once("data=\"")?.1.strip_prefix(name)?.strip_prefix('='));
    values.next()?.split('"').next()
}

fn sender(args: &SendArgs) -> anyhow::Result<Sender> {
    let read = |file: &Path| fs::read_to_string(file).with_context(|| file.display().to_string());
    let site = args.site.as_deref().map(read).transpose()?.unwrap_or_default();
    let credentials = args.credentials.as_deref().map(read).transpose()?;
    let to = args.to.as_deref().or_else(|| of_site(&site, "dialplane_url"));
    let to = to.ok_or_else(|| Refused::because("say where to: --site FILE or --to URL"))?;
    let credentials = credentials.as_deref().or_else(|| of_site(&site, "dialplane_credentials"));
    let credentials = credentials
        .ok_or_else(|| Refused::because("the switch's credentials are missing: --site FILE or --credentials FILE"))?;
    // A switch's own authority is used only if its file exists: the setting is there for https.
    let authority = of_site(&site, "dialplane_ca_file").map(PathBuf::from).filter(|file| file.exists());
    let authority = args.ca.clone().or(authority);
    let sender = Sender::new(to, credentials, authority.as_deref())?;
    Ok(sender.of_domain(args.domain.clone()).abandoned_after(Duration::from_secs(args.abandoned_after)))
}

pub fn run(json: bool, command: &RecordingCommand) -> anyhow::Result<()> {
    let RecordingCommand::Send(args) = command;
    let sender = sender(args)?;
    let mut before = Report::default();
    loop {
        let bar = progress::bytes("of recordings");
        let passed = sender.pass(&args.dir, &|bytes| bar.inc(bytes as u64));
        let mut report = passed.with_context(|| args.dir.display().to_string())?;
        // A switch makes the folder with its first message.
        if let Some(folder) = args.voicemail.as_deref().filter(|folder| folder.is_dir()) {
            let passed = sender.pass_messages(folder, &|bytes| bar.inc(bytes as u64));
            report.add(passed.with_context(|| folder.display().to_string())?);
        }
        bar.finish_and_clear();
        let Some(seconds) = args.watch else {
            tell(json, &report)?;
            let failed = report.failed.len();
            anyhow::ensure!(failed == 0, "{failed} files stay where they are");
            return Ok(());
        };
        // What stays as it was is said once.
        if report.sent + report.known > 0 || report.failed != before.failed || report.waiting != before.waiting {
            tell(json, &report)?;
        }
        before = report;
        std::thread::sleep(Duration::from_secs(seconds.max(1)));
    }
}

fn tell(json: bool, report: &Report) -> anyhow::Result<()> {
    if json {
        return print::one(true, report);
    }
    for Failed { file, why } in &report.failed {
        eprintln!("{file}: {why}");
    }
    let Report { sent, known, under_way, waiting, failed } = report;
    println!(
        "{sent} sent, {known} known before, {under_way} under way, {waiting} waiting for what the switch says of them, {} failed",
        failed.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sites_file_says_where_recordings_go() {
        let site = include_str!("../../../freeswitch-conf/site.xml");
        assert_eq!(of_site(site, "dialplane_url"), Some("http://127.0.0.1:8080/fs/xml"));
        assert_eq!(of_site(site, "dialplane_credentials"), Some("replace-me:with-the-name-and-token-of-this-switch"));
        assert_eq!(of_site(site, "dialplane"), None, "whole names only");
        assert_eq!(of_site("", "dialplane_url"), None);
    }
}
