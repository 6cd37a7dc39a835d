//! `tenant`, `extension`, `group`, `number`, `switch`, `key`: the same changes as the API's, made by the operator.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    local::{Local, author},
    print,
};
use crate::{
    changes::Change,
    extensions::{self, NewExtension},
    groups::{self, NewGroup},
    http::{input, page::Window},
    keys::{self, NewKey},
    numbers::{self, Destination, NewNumber},
    settings::Settings,
    switches::{self, NewSwitch},
    tenants::{self, NewTenant},
    text::{DisplayName, Domain, E164, SwitchName},
};

/// What to change: `FIELD=VALUE` …, `FIELD=null` to empty one.
#[derive(Args)]
pub struct Set {
    #[arg(required = true, value_name = "FIELD=VALUE")]
    fields: Vec<String>,
}

/// Fields whose values are no text.
const NUMERIC: [&str; 2] = ["ring_seconds", "max_registrations"];

impl Set {
    fn patch<T: serde::de::DeserializeOwned>(&self) -> anyhow::Result<T> {
        let mut patch = Map::new();
        for field in &self.fields {
            let (name, value) = field.split_once('=').with_context(|| format!("{field} is not FIELD=VALUE"))?;
            let is_json =
                matches!(value, "null" | "true" | "false") || value.starts_with(['{', '[']) || NUMERIC.contains(&name);
            let value =
                if is_json { serde_json::from_str(value).unwrap_or_else(|_| value.into()) } else { value.into() };
            patch.insert(name.to_owned(), value);
        }
        input::parse(&serde_json::to_vec(&Value::from(patch))?).map_err(|problem| anyhow::anyhow!("{problem}"))
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
    /// Show one: TENANT is an id or a domain
    Show { tenant: String },
    /// Change fields of one
    Update {
        tenant: String,
        #[command(flatten)]
        set: Set,
    },
    /// Delete one
    Delete {
        tenant: String,
        /// Also delete its extensions, groups and numbers
        #[arg(long)]
        cascade: bool,
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
    /// Show one: EXTENSION is an id, number, alias or SIP username
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
    /// Show one: GROUP is an id
    Show {
        #[arg(long)]
        tenant: String,
        group: Uuid,
    },
    /// Change fields of one
    Update {
        #[arg(long)]
        tenant: String,
        group: Uuid,
        #[command(flatten)]
        set: Set,
    },
    /// Delete one
    Delete {
        #[arg(long)]
        tenant: String,
        group: Uuid,
    },
}

#[derive(Subcommand)]
pub enum NumberCommand {
    /// Create a phone number
    Create {
        #[arg(long)]
        tenant: String,
        #[arg(long)]
        number: E164,
        /// The extension that it rings: id, number, alias or SIP username
        #[arg(long)]
        extension: Option<String>,
        /// The group that it rings: id
        #[arg(long, conflicts_with = "extension")]
        group: Option<Uuid>,
    },
    /// List all
    List {
        #[arg(long)]
        tenant: String,
    },
    /// Show one: NUMBER is an id or the number itself
    Show {
        #[arg(long)]
        tenant: String,
        number: String,
    },
    /// Change fields of one, as `destination={"kind":"extension","id":"…"}`
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
    /// Show one: SWITCH is an id or a name
    Show { switch: String },
    /// Change fields of one: `status=disabled`, `new_token=true`
    Update {
        switch: String,
        #[command(flatten)]
        set: Set,
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
        /// For that tenant alone: id or domain
        #[arg(long)]
        tenant: Option<String>,
        #[arg(long)]
        expires_at: Option<chrono::DateTime<chrono::Utc>>,
    },
    /// List all
    List,
    /// Show one
    Show { key: Uuid },
    /// Change fields of one
    Update {
        key: Uuid,
        #[command(flatten)]
        set: Set,
    },
    /// Delete one
    Delete { key: Uuid },
}

async fn tenant_id(local: &Local, tenant: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(tenant) {
        return Ok(id);
    }
    let domain = Domain::parse(tenant).map_err(|e| anyhow::anyhow!("{tenant} is no tenant's id or domain: it {e}"))?;
    let found = tenants::store::by_domain(local.changes.pool(), &domain).await?;
    Ok(found.with_context(|| format!("there is no tenant with the domain {domain}"))?.id)
}

async fn extension_id(local: &Local, tenant: Uuid, extension: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(extension) {
        return Ok(id);
    }
    let name = extension.to_lowercase();
    let found = extensions::store::list(local.changes.pool(), tenant, Some(&name), Window::FIRST).await?;
    Ok(found.first().with_context(|| format!("the tenant has no extension {extension}"))?.id)
}

async fn number_id(local: &Local, tenant: Uuid, number: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(number) {
        return Ok(id);
    }
    let number = E164::parse(number).map_err(|e| anyhow::anyhow!("{number} is no id or phone number: it {e}"))?;
    let found = numbers::store::by_number(local.changes.pool(), tenant, &number).await?;
    Ok(found.with_context(|| format!("the tenant has no number {number}"))?.id)
}

async fn switch_id(local: &Local, switch: &str) -> anyhow::Result<Uuid> {
    if let Ok(id) = Uuid::parse_str(switch) {
        return Ok(id);
    }
    let name = SwitchName::parse(switch).map_err(|e| anyhow::anyhow!("{switch} is no switch's id or name: it {e}"))?;
    let found = switches::store::by_name(local.changes.pool(), &name).await?;
    Ok(found.with_context(|| format!("there is no switch named {name}"))?.id)
}

/// Runs a change to its end: committed, and in force on every node.
async fn change<T>(
    local: &Local,
    work: impl AsyncFnOnce(&mut Change) -> crate::changes::Result<T>,
) -> anyhow::Result<T> {
    let mut change = local.changes.begin(author()).await?;
    let done = work(&mut change).await?;
    change.commit().await?;
    Ok(done)
}

/// Every page of a list.
async fn all<T>(
    id: impl Fn(&T) -> Uuid,
    mut page: impl AsyncFnMut(Window) -> sqlx::Result<Vec<T>>,
) -> anyhow::Result<Vec<T>> {
    let mut window = Window::FIRST;
    let mut things = Vec::new();
    loop {
        let found = page(window).await?;
        let Some(last) = found.last().map(&id) else { return Ok(things) };
        things.extend(found);
        window.after = last;
    }
}

fn deleted(json: bool) -> anyhow::Result<()> {
    if json {
        print::one(true, &serde_json::json!({ "deleted": true }))
    } else {
        println!("Deleted.");
        Ok(())
    }
}

pub async fn tenant(settings: &Settings, json: bool, command: TenantCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let pool = local.changes.pool();
    let done = async {
        match command {
            TenantCommand::Create { new } => {
                print::one(json, &change(&local, async |change| tenants::create(change, new).await).await?)
            }
            TenantCommand::List => {
                let tenants =
                    all(|t: &tenants::Tenant| t.id, async |window| tenants::store::list(pool, None, window).await);
                print::many(json, &tenants.await?, &["domain", "name", "status", "id"])
            }
            TenantCommand::Show { tenant } => {
                let id = tenant_id(&local, &tenant).await?;
                print::one(json, &tenants::store::get(pool, id).await?.context("there is no such tenant")?)
            }
            TenantCommand::Update { tenant, set } => {
                let (id, patch) = (tenant_id(&local, &tenant).await?, set.patch()?);
                print::one(json, &change(&local, async |change| tenants::update(change, id, patch, None).await).await?)
            }
            TenantCommand::Delete { tenant, cascade } => {
                let id = tenant_id(&local, &tenant).await?;
                change(&local, async |change| tenants::delete(change, id, cascade, None).await).await?;
                deleted(json)
            }
        }
    };
    finish(done.await, local).await
}

pub async fn extension(settings: &Settings, json: bool, command: ExtensionCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let pool = local.changes.pool();
    let done = async {
        match command {
            ExtensionCommand::Create { tenant, new } => {
                let tenant = tenant_id(&local, &tenant).await?;
                print::one(json, &change(&local, async |change| extensions::create(change, tenant, *new).await).await?)
            }
            ExtensionCommand::List { tenant } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let page = async |window| extensions::store::list(pool, tenant, None, window).await;
                let columns = ["number", "display_name", "sip_username", "status", "id"];
                print::many(json, &all(|e: &extensions::Extension| e.id, page).await?, &columns)
            }
            ExtensionCommand::Show { tenant, extension } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let id = extension_id(&local, tenant, &extension).await?;
                print::one(
                    json,
                    &extensions::store::get(pool, tenant, id).await?.context("there is no such extension")?,
                )
            }
            ExtensionCommand::Update { tenant, extension, set } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let (id, patch) = (extension_id(&local, tenant, &extension).await?, set.patch()?);
                let work = async |change: &mut Change| extensions::update(change, tenant, id, patch, None).await;
                print::one(json, &change(&local, work).await?)
            }
            ExtensionCommand::Delete { tenant, extension } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let id = extension_id(&local, tenant, &extension).await?;
                change(&local, async |change| extensions::delete(change, tenant, id, None).await).await?;
                deleted(json)
            }
        }
    };
    finish(done.await, local).await
}

pub async fn group(settings: &Settings, json: bool, command: GroupCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let pool = local.changes.pool();
    let done = async {
        match command {
            GroupCommand::Create { tenant, new } => {
                let tenant = tenant_id(&local, &tenant).await?;
                print::one(json, &change(&local, async |change| groups::create(change, tenant, new).await).await?)
            }
            GroupCommand::List { tenant } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let page = async |window| groups::store::list(pool, tenant, window).await;
                print::many(json, &all(|g: &groups::Group| g.id, page).await?, &["name", "number", "id"])
            }
            GroupCommand::Show { tenant, group } => {
                let tenant = tenant_id(&local, &tenant).await?;
                print::one(json, &groups::store::get(pool, tenant, group).await?.context("there is no such group")?)
            }
            GroupCommand::Update { tenant, group, set } => {
                let (tenant, patch) = (tenant_id(&local, &tenant).await?, set.patch()?);
                let work = async |change: &mut Change| groups::update(change, tenant, group, patch, None).await;
                print::one(json, &change(&local, work).await?)
            }
            GroupCommand::Delete { tenant, group } => {
                let tenant = tenant_id(&local, &tenant).await?;
                change(&local, async |change| groups::delete(change, tenant, group, None).await).await?;
                deleted(json)
            }
        }
    };
    finish(done.await, local).await
}

pub async fn number(settings: &Settings, json: bool, command: NumberCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let pool = local.changes.pool();
    let done = async {
        match command {
            NumberCommand::Create { tenant, number, extension, group } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let destination = match (extension, group) {
                    (Some(extension), _) => {
                        Some(Destination::Extension { id: extension_id(&local, tenant, &extension).await? })
                    }
                    (None, group) => group.map(|id| Destination::Group { id }),
                };
                let new = NewNumber { number, destination };
                print::one(json, &change(&local, async |change| numbers::create(change, tenant, new).await).await?)
            }
            NumberCommand::List { tenant } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let page = async |window| numbers::store::list(pool, tenant, window).await;
                print::many(json, &all(|n: &numbers::Number| n.id, page).await?, &["number", "destination", "id"])
            }
            NumberCommand::Show { tenant, number } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let id = number_id(&local, tenant, &number).await?;
                print::one(json, &numbers::store::get(pool, tenant, id).await?.context("there is no such number")?)
            }
            NumberCommand::Update { tenant, number, set } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let (id, patch) = (number_id(&local, tenant, &number).await?, set.patch()?);
                let work = async |change: &mut Change| numbers::update(change, tenant, id, patch, None).await;
                print::one(json, &change(&local, work).await?)
            }
            NumberCommand::Delete { tenant, number } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let id = number_id(&local, tenant, &number).await?;
                change(&local, async |change| numbers::delete(change, tenant, id, None).await).await?;
                deleted(json)
            }
        }
    };
    finish(done.await, local).await
}

pub async fn switch(settings: &Settings, json: bool, command: SwitchCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let pool = local.changes.pool();
    let done = async {
        match command {
            SwitchCommand::Create { new } => {
                print::one(json, &change(&local, async |change| switches::create(change, new).await).await?)
            }
            SwitchCommand::List => {
                let page = async |window| switches::store::list(pool, window).await;
                print::many(json, &all(|s: &switches::Switch| s.id, page).await?, &["name", "status", "id"])
            }
            SwitchCommand::Show { switch } => {
                let id = switch_id(&local, &switch).await?;
                print::one(json, &switches::store::get(pool, id).await?.context("there is no such switch")?)
            }
            SwitchCommand::Update { switch, set } => {
                let (id, patch) = (switch_id(&local, &switch).await?, set.patch()?);
                print::one(json, &change(&local, async |change| switches::update(change, id, patch, None).await).await?)
            }
            SwitchCommand::Delete { switch } => {
                let id = switch_id(&local, &switch).await?;
                change(&local, async |change| switches::delete(change, id, None).await).await?;
                deleted(json)
            }
        }
    };
    finish(done.await, local).await
}

pub async fn key(settings: &Settings, json: bool, command: KeyCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let pool = local.changes.pool();
    let done = async {
        match command {
            KeyCommand::Create { name, tenant, expires_at } => {
                let tenant_id = match tenant {
                    Some(tenant) => Some(tenant_id(&local, &tenant).await?),
                    None => None,
                };
                let new = NewKey { name, tenant_id, expires_at };
                print::one(json, &change(&local, async |change| keys::create(change, new).await).await?)
            }
            KeyCommand::List => {
                let page = async |window| keys::store::list(pool, window).await;
                let columns = ["prefix", "name", "tenant_id", "expires_at", "id"];
                print::many(json, &all(|k: &keys::Key| k.id, page).await?, &columns)
            }
            KeyCommand::Show { key } => {
                print::one(json, &keys::store::get(pool, key).await?.context("there is no such key")?)
            }
            KeyCommand::Update { key, set } => {
                let patch = set.patch()?;
                print::one(json, &change(&local, async |change| keys::update(change, key, patch, None).await).await?)
            }
            KeyCommand::Delete { key } => {
                change(&local, async |change| keys::delete(change, key, None).await).await?;
                deleted(json)
            }
        }
    };
    finish(done.await, local).await
}

/// Closes the database whatever came of the command.
async fn finish(done: anyhow::Result<()>, local: Local) -> anyhow::Result<()> {
    let closed = local.close().await;
    done.and(closed)
}
