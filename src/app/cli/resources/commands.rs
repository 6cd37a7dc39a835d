//! The arguments of what `tenant` and `switch` can do beside the verbs that every noun has.

use clap::Subcommand;

use crate::{
    app::cli::sure::Sure,
    text::{Domain, Host},
};

#[derive(Subcommand)]
pub enum TenantCommand {
    /// List the domains that one had and that still work, with the phones that use them
    FormerDomains { tenant: String },
    /// End the time of a former domain: phones that still use it are refused
    EndFormerDomain {
        tenant: String,
        domain: Domain,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(Subcommand)]
pub enum SwitchCommand {
    /// Show a switch's event socket and gateways; set it with --address, delete it with --off
    ///
    /// The password is read from DIALPLANE_EVENT_SOCKET_PASSWORD, or else from standard input.
    EventSocket {
        switch: String,
        /// Host, or host and port
        #[arg(long)]
        address: Option<Host>,
        #[arg(long, conflicts_with = "address")]
        off: bool,
    },
}

/// Parses a time with its offset from UTC.
pub fn moment<T: std::str::FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "write it like 2026-12-24T18:00:00Z")
}
