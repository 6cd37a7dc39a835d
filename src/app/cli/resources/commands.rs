//! The arguments of `tenant`, `extension`, `group`, `number`, `switch` and `key`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    app::cli::{failure::Refused, sure::Sure},
    http::input,
    telephony::{extensions::NewExtension, groups::NewGroup},
    tenancy::{switches::NewSwitch, tenants::NewTenant},
    text::{DisplayName, Domain, Host, id},
};

/// Fields to change; `FIELD=null` empties one.
#[derive(Args)]
pub struct Set {
    #[arg(required = true, value_name = "FIELD=VALUE")]
    fields: Vec<String>,
}

/// Fields whose values are numbers.
const NUMERIC: [&str; 3] = ["ring_seconds", "max_registrations", "keep_former_days"];

impl Set {
    pub(super) fn patch<T: serde::de::DeserializeOwned>(&self) -> anyhow::Result<T> {
        let mut patch = Map::new();
        for field in &self.fields {
            let (name, value) =
                field.split_once('=').ok_or_else(|| Refused::because(format!("{field} is not FIELD=VALUE")))?;
            let is_json =
                matches!(value, "null" | "true" | "false") || value.starts_with(['{', '[']) || NUMERIC.contains(&name);
            let value =
                if is_json { serde_json::from_str(value).unwrap_or_else(|_| value.into()) } else { value.into() };
            patch.insert(name.to_owned(), value);
        }
        input::parse(&serde_json::to_vec(&Value::from(patch))?).map_err(|problem| Refused::from(problem).into())
    }
}

#[derive(Subcommand)]
pub enum TenantCommand {
    /// Create a tenant
    Create {
        #[command(flatten)]
        new: NewTenant,
    },
    /// List all
    List,
    /// Show one by its id or domain
    Show { tenant: String },
    /// Change fields of one: `status=suspended` asks first, and with `domain=` goes `keep_former_days=`
    Update {
        tenant: String,
        #[command(flatten)]
        set: Set,
        #[command(flatten)]
        sure: Sure,
    },
    /// List the domains that one had and that still work, with the phones that use them
    FormerDomains { tenant: String },
    /// End the time of a former domain: phones that still use it are refused
    EndFormerDomain {
        tenant: String,
        domain: Domain,
        #[command(flatten)]
        sure: Sure,
    },
    /// Delete one
    Delete {
        tenant: String,
        /// Also delete its extensions, groups and numbers
        #[arg(long)]
        cascade: bool,
        /// Delete at once, not after 30 days in which the deletion can be undone
        #[arg(long, requires = "cascade")]
        purge: bool,
    },
}

#[derive(Subcommand)]
pub enum ExtensionCommand {
    /// Create an extension; its secrets are printed once
    Create {
        /// Id or domain
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        new: Box<NewExtension>,
    },
    /// List all
    List {
        #[arg(long)]
        tenant: String,
    },
    /// Show one by its id, number, alias or SIP username
    Show {
        #[arg(long)]
        tenant: String,
        extension: String,
    },
    /// Change fields of one
    Update {
        #[arg(long)]
        tenant: String,
        extension: String,
        #[command(flatten)]
        set: Set,
    },
    /// Delete one
    Delete {
        #[arg(long)]
        tenant: String,
        extension: String,
    },
}

#[derive(Subcommand)]
pub enum GroupCommand {
    /// Create a group
    Create {
        #[arg(long)]
        tenant: String,
        #[command(flatten)]
        new: NewGroup,
    },
    /// List all
    List {
        #[arg(long)]
        tenant: String,
    },
    /// Show one by its id
    Show {
        #[arg(long)]
        tenant: String,
        #[arg(value_parser = id)]
        group: Uuid,
    },
    /// Change fields of one
    Update {
        #[arg(long)]
        tenant: String,
        #[arg(value_parser = id)]
        group: Uuid,
        #[command(flatten)]
        set: Set,
    },
    /// Delete one
    Delete {
        #[arg(long)]
        tenant: String,
        #[arg(value_parser = id)]
        group: Uuid,
    },
}

#[derive(Subcommand)]
pub enum NumberCommand {
    /// Create a phone number
    Create {
        #[arg(long)]
        tenant: String,
        /// In E.164, or as it is dialled in the tenant's country
        #[arg(long)]
        number: String,
        /// The extension that rings: its id, number, alias or SIP username
        #[arg(long)]
        extension: Option<String>,
        /// The group that rings: its id
        #[arg(long, conflicts_with = "extension", value_parser = id)]
        group: Option<Uuid>,
    },
    /// List all
    List {
        #[arg(long)]
        tenant: String,
    },
    /// Show one by its id or the number itself
    Show {
        #[arg(long)]
        tenant: String,
        number: String,
    },
    /// Change fields of one, such as `destination={"kind":"extension","id":"…"}`
    Update {
        #[arg(long)]
        tenant: String,
        number: String,
        #[command(flatten)]
        set: Set,
    },
    /// Delete one
    Delete {
        #[arg(long)]
        tenant: String,
        number: String,
    },
}

#[derive(Subcommand)]
pub enum SwitchCommand {
    /// Create a switch; its token is printed once
    Create {
        #[command(flatten)]
        new: NewSwitch,
    },
    /// List all
    List,
    /// Show one by its id or name
    Show { switch: String },
    /// Change fields of one, such as `status=disabled`; `new_token=true` makes a new token, and asks first
    Update {
        switch: String,
        #[command(flatten)]
        set: Set,
        #[command(flatten)]
        sure: Sure,
    },
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
    /// Delete one
    Delete { switch: String },
}

#[derive(Subcommand)]
pub enum KeyCommand {
    /// Create an API key; it is printed once
    Create {
        #[arg(long)]
        name: DisplayName,
        /// Only for this tenant: its id or domain
        #[arg(long)]
        tenant: Option<String>,
        /// When the key expires, such as 2026-12-24T18:00:00Z; by default never
        #[arg(long, value_parser = moment::<chrono::DateTime<chrono::Utc>>)]
        expires_at: Option<chrono::DateTime<chrono::Utc>>,
    },
    /// List all
    List,
    /// Show one
    Show {
        #[arg(value_parser = id)]
        key: Uuid,
    },
    /// Change fields of one
    Update {
        #[arg(value_parser = id)]
        key: Uuid,
        #[command(flatten)]
        set: Set,
    },
    /// Delete one
    Delete {
        #[arg(value_parser = id)]
        key: Uuid,
    },
}

/// Parses a time with its offset from UTC.
pub fn moment<T: std::str::FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "write it like 2026-12-24T18:00:00Z")
}
