//! `tenant`, `extension`, `group`, `number`, `switch`, `key`: the same changes as over the API, made by the operator.

mod commands;
mod find;

use anyhow::Context as _;
use uuid::Uuid;

pub use self::commands::{
    ExtensionCommand, GroupCommand, KeyCommand, NumberCommand, SwitchCommand, TenantCommand, moment,
};
pub use self::find::tenant_id;
use self::find::{extension_id, number_id, switch_id};
use super::{
    failure::Missing,
    local::{Local, author},
    next, print,
};
use crate::{
    app::settings::Settings,
    model::{destination::Target, paging::Window},
    node::changes::Change,
    people::onboarding::{self, NewTenancy},
    switch::{link, link::NewEventSocket},
    telephony::{
        extensions, groups,
        numbers::{self, NewNumber},
    },
    tenancy::{
        keys::{self, NewKey},
        switches, tenants,
    },
    text::EventSocketPassword,
};

/// Runs a change until it is committed and in force on every node.
async fn change<T>(
    local: &Local,
    work: impl AsyncFnMut(&mut Change) -> crate::model::error::Result<T>,
) -> anyhow::Result<T> {
    Ok(local.changes.run(author(), work).await?)
}

/// Reads all pages of a list.
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
            TenantCommand::Create { new } => print::one(
                json,
                &change(&local, async |change| {
                    let new =
                        NewTenancy { reuse: new.reuse, ..NewTenancy::plain(new.name.clone(), new.domain.clone()) };
                    onboarding::create("", change, new, None).await.map(|made| made.tenant)
                })
                .await?,
            ),
            TenantCommand::List => {
                let tenants =
                    all(|t: &tenants::Tenant| t.id, async |window| tenants::store::list(pool, None, window).await);
                print::many(json, &tenants.await?, &["domain", "name", "status", "id"], &local.place)
            }
            TenantCommand::Show { tenant } => {
                let id = tenant_id(&local, &tenant).await?;
                print::one(
                    json,
                    &tenants::store::get(pool, id).await?.ok_or_else(|| Missing("there is no such tenant".into()))?,
                )
            }
            TenantCommand::Update { tenant, set, sure } => {
                let (id, patch) = (tenant_id(&local, &tenant).await?, set.patch::<tenants::TenantPatch>()?);
                if patch.status == Some(tenants::TenantStatus::Suspended) {
                    sure.ask(&format!("The phones of {tenant} will be refused, and its calls will end."))?;
                }
                print::one(
                    json,
                    &change(&local, async |change| tenants::update(change, id, patch.clone(), None).await).await?,
                )
            }
            TenantCommand::FormerDomains { tenant } => {
                let id = tenant_id(&local, &tenant).await?;
                let items = tenants::domains::store::list(pool, id).await?;
                if json {
                    return print::one(true, &serde_json::json!({ "items": items }));
                }
                if items.is_empty() {
                    println!("The tenant keeps no former domain.");
                }
                for former in items {
                    println!("{} works until {}", former.domain, former.until.format("%Y-%m-%d %H:%M UTC"));
                    for phone in former.phones {
                        let seen = phone.last_seen_at.format("%Y-%m-%d %H:%M UTC");
                        println!("    {} {} was last seen there at {seen}", phone.number, phone.display_name);
                    }
                }
                Ok(())
            }
            TenantCommand::EndFormerDomain { tenant, domain, sure } => {
                let id = tenant_id(&local, &tenant).await?;
                sure.ask(&format!("Phones that still use {domain} will be refused."))?;
                change(&local, async |change| tenants::domains::end(change, id, &domain).await).await?;
                deleted(json)
            }
            TenantCommand::Delete { tenant, cascade, purge } => {
                let id = tenant_id(&local, &tenant).await?;
                let how = if purge { tenants::Purge::Now } else { tenants::Purge::Later };
                let work = async |change: &mut _| tenants::delete(change, id, cascade, how, None).await;
                match change(&local, work).await? {
                    None => deleted(json),
                    Some(tenant) => print::one(json, &tenant),
                }
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
                let made =
                    change(&local, async |change| extensions::create(change, tenant, (*new).clone()).await).await?;
                print::one(json, &made)?;
                if !json && let Some(tenant) = tenants::store::get(pool, tenant).await? {
                    next::extension(tenant.domain.as_str(), made.extension.sip_username.as_str());
                }
                Ok(())
            }
            ExtensionCommand::List { tenant } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let page = async |window| {
                    extensions::store::list(pool, tenant, extensions::store::Filter::default(), window).await
                };
                let columns = ["number", "display_name", "sip_username", "status", "id"];
                print::many(json, &all(|e: &extensions::Extension| e.id, page).await?, &columns, &local.place)
            }
            ExtensionCommand::Show { tenant, extension } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let id = extension_id(&local, tenant, &extension).await?;
                print::one(
                    json,
                    &extensions::store::get(pool, tenant, id)
                        .await?
                        .ok_or_else(|| Missing("there is no such extension".into()))?,
                )
            }
            ExtensionCommand::Update { tenant, extension, set } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let id = extension_id(&local, tenant, &extension).await?;
                let patch = set.patch::<extensions::ExtensionPatch>()?;
                let work =
                    async |change: &mut Change| extensions::update(change, tenant, id, patch.clone(), None).await;
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
                print::one(
                    json,
                    &change(&local, async |change| groups::create(change, tenant, new.clone()).await).await?,
                )
            }
            GroupCommand::List { tenant } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let page = async |window| groups::store::list(pool, tenant, window).await;
                print::many(json, &all(|g: &groups::Group| g.id, page).await?, &["name", "number", "id"], &local.place)
            }
            GroupCommand::Show { tenant, group } => {
                let tenant = tenant_id(&local, &tenant).await?;
                print::one(
                    json,
                    &groups::store::get(pool, tenant, group)
                        .await?
                        .ok_or_else(|| Missing("there is no such group".into()))?,
                )
            }
            GroupCommand::Update { tenant, group, set } => {
                let (tenant, patch) = (tenant_id(&local, &tenant).await?, set.patch::<groups::GroupPatch>()?);
                let work = async |change: &mut Change| groups::update(change, tenant, group, patch.clone(), None).await;
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
                    (Some(extension), _) => Some(Target::extension(extension_id(&local, tenant, &extension).await?)),
                    (None, group) => group.map(Target::group),
                };
                let new = NewNumber::as_written(number, destination);
                print::one(
                    json,
                    &change(&local, async |change| numbers::create(change, tenant, new.clone()).await).await?,
                )
            }
            NumberCommand::List { tenant } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let page =
                    async |window| numbers::store::list(pool, tenant, &numbers::store::Filter::default(), window).await;
                print::many(
                    json,
                    &all(|n: &numbers::Number| n.id, page).await?,
                    &["number", "destination", "id"],
                    &local.place,
                )
            }
            NumberCommand::Show { tenant, number } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let id = number_id(&local, tenant, &number).await?;
                print::one(
                    json,
                    &numbers::store::get(pool, tenant, id)
                        .await?
                        .ok_or_else(|| Missing("there is no such number".into()))?,
                )
            }
            NumberCommand::Update { tenant, number, set } => {
                let tenant = tenant_id(&local, &tenant).await?;
                let id = number_id(&local, tenant, &number).await?;
                let patch = set.patch::<numbers::NumberPatch>()?;
                let work = async |change: &mut Change| numbers::update(change, tenant, id, patch.clone(), None).await;
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
                let made = change(&local, async |change| switches::create(change, new.clone()).await).await?;
                show_switch(settings, json, &made)
            }
            SwitchCommand::List => {
                let page = async |window| switches::store::list(pool, window).await;
                print::many(
                    json,
                    &all(|s: &switches::Switch| s.id, page).await?,
                    &["name", "status", "id"],
                    &local.place,
                )
            }
            SwitchCommand::Show { switch } => {
                let id = switch_id(&local, &switch).await?;
                print::one(
                    json,
                    &switches::store::get(pool, id).await?.ok_or_else(|| Missing("there is no such switch".into()))?,
                )
            }
            SwitchCommand::Update { switch, set, sure } => {
                let (id, patch) = (switch_id(&local, &switch).await?, set.patch::<switches::SwitchPatch>()?);
                if patch.new_token {
                    sure.ask(&format!("The switch {switch} will be refused until it has the new token."))?;
                }
                let changed =
                    change(&local, async |change| switches::update(change, id, patch.clone(), None).await).await?;
                show_switch(settings, json, &changed)
            }
            SwitchCommand::EventSocket { switch, address, off } => {
                let id = switch_id(&local, &switch).await?;
                if off {
                    change(&local, async |change| link::delete(change, id).await).await?;
                    return deleted(json);
                }
                if let Some(address) = address {
                    let new = NewEventSocket { address, password: event_socket_password()? };
                    return print::one(json, &change(&local, async |change| link::put(change, id, &new).await).await?);
                }
                let socket = link::store::get(pool, id)
                    .await?
                    .ok_or_else(|| Missing("the switch has no event socket yet: set one with --address".into()))?;
                let gateways = link::store::of_switch(pool, id).await?;
                let pushes = link::store::pushes(pool, id).await?;
                let cleanups = link::store::cleanups(pool, id).await?;
                print::one(
                    json,
                    &serde_json::json!({ "event_socket": socket, "gateways": gateways, "pushes": pushes, "cleanups": cleanups }),
                )
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

fn show_switch(settings: &Settings, json: bool, switch: &switches::SwitchWithToken) -> anyhow::Result<()> {
    print::one(json, switch)?;
    if let (false, Some(token)) = (json, &switch.token) {
        next::switch(settings, switch.switch.name.as_str(), token);
    }
    Ok(())
}

/// Reads the password from the environment or standard input. Everybody on the machine could see an argument.
fn event_socket_password() -> anyhow::Result<EventSocketPassword> {
    let password = match std::env::var("DIALPLANE_EVENT_SOCKET_PASSWORD") {
        Ok(password) => password,
        Err(_) => std::io::stdin().lines().next().context("no password on standard input")??,
    };
    EventSocketPassword::parse(&password).map_err(|error| anyhow::anyhow!("the password {error}"))
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
                let new = NewKey { name, tenant_id, expires_at, scopes: keys::all_scopes() };
                let made = change(&local, async |change| keys::create(change, new.clone()).await).await?;
                print::one(json, &made)?;
                if !json {
                    next::key(settings, &made.token);
                }
                Ok(())
            }
            KeyCommand::List => {
                let page = async |window| keys::store::list(pool, None, window).await;
                let columns = ["prefix", "name", "tenant_id", "expires_at", "id"];
                print::many(json, &all(|k: &keys::Key| k.id, page).await?, &columns, &local.place)
            }
            KeyCommand::Show { key } => print::one(
                json,
                &keys::store::get(pool, None, key).await?.ok_or_else(|| Missing("there is no such key".into()))?,
            ),
            KeyCommand::Update { key, set } => {
                let patch = set.patch::<keys::KeyPatch>()?;
                print::one(
                    json,
                    &change(&local, async |change| {
                        keys::update(change, keys::Maker::OPERATOR, None, key, patch.clone(), None).await
                    })
                    .await?,
                )
            }
            KeyCommand::Delete { key } => {
                change(&local, async |change| keys::delete(change, keys::Maker::OPERATOR, None, key, None).await)
                    .await?;
                deleted(json)
            }
        }
    };
    finish(done.await, local).await
}

/// Closes the database, whether the command succeeded or not.
async fn finish(done: anyhow::Result<()>, local: Local) -> anyhow::Result<()> {
    let closed = local.close().await;
    done.and(closed)
}
