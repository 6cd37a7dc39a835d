//! What `tenant` and `switch` can do at the database, beside the verbs that every noun has.

mod commands;
mod find;

use anyhow::Context as _;

pub use self::commands::{SwitchCommand, TenantCommand, moment};
use self::find::switch_id;
pub use self::find::tenant_id;
use super::{
    failure::Missing,
    local::{Local, author},
    print,
};
use crate::{
    app::settings::Settings,
    node::changes::Change,
    switch::{link, link::NewEventSocket},
    tenancy::tenants,
    text::EventSocketPassword,
};

/// Runs a change until it is committed and in force on every node.
async fn change<T>(
    local: &Local,
    work: impl AsyncFnMut(&mut Change) -> crate::model::error::Result<T>,
) -> anyhow::Result<T> {
    Ok(local.changes.run(author(), work).await?)
}

fn deleted(json: bool) -> anyhow::Result<()> {
    print::done(json, "delete")
}

pub async fn tenant(settings: &Settings, json: bool, command: TenantCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let pool = local.changes.pool();
    let done = async {
        match command {
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
        }
    };
    finish(done.await, local).await
}

pub async fn switch(settings: &Settings, json: bool, command: SwitchCommand) -> anyhow::Result<()> {
    let local = Local::open(settings).await?;
    let pool = local.changes.pool();
    let done = async {
        match command {
            SwitchCommand::EventSocket { switch, address, off } => {
                let id = switch_id(&local, &switch).await?;
                if off {
                    change(&local, async |change| link::delete(change, id, None).await).await?;
                    return deleted(json);
                }
                if let Some(address) = address {
                    let new = NewEventSocket { address, password: event_socket_password()? };
                    return print::one(
                        json,
                        &change(&local, async |change| link::put(change, id, &new, None).await).await?,
                    );
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
        }
    };
    finish(done.await, local).await
}

/// Reads the password from the environment or standard input. Everybody on the machine could see an argument.
fn event_socket_password() -> anyhow::Result<EventSocketPassword> {
    let password = match std::env::var("DIALPLANE_EVENT_SOCKET_PASSWORD") {
        Ok(password) => password,
        Err(_) => std::io::stdin().lines().next().context("no password on standard input")??,
    };
    EventSocketPassword::parse(&password).map_err(|error| anyhow::anyhow!("the password {error}"))
}

/// Closes the database, whether the command succeeded or not.
async fn finish(done: anyhow::Result<()>, local: Local) -> anyhow::Result<()> {
    let closed = local.close().await;
    done.and(closed)
}
