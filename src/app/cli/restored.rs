//! `restored`: the operator says that the database was restored by other means.

use serde::Serialize;
use uuid::Uuid;

use super::{
    local::{Local, author},
    print,
};
use crate::{
    app::settings::Settings,
    node::{changes::Audit, database::Incomplete, epoch_store},
};

#[derive(Serialize)]
pub struct Begun {
    pub epoch: Uuid,
    /// How many live nodes have read everything again, such as `3/3`.
    pub visible: String,
}

/// Begins a new epoch: every node drops what it knows and reads it again.
pub async fn run(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let local = Local::open_even(settings, Incomplete::Accept).await?;
    let begun = begin(&local).await;
    let closed = local.close().await;
    let begun = begun?;
    print::one(json, &begun)?;
    closed
}

pub async fn begin(local: &Local) -> anyhow::Result<Begun> {
    let mut change = local.changes.begin(author()).await?;
    let epoch = epoch_store::begin_anew(change.db()).await?;
    let resource = format!("epoch {epoch}");
    change.audit(Audit { tenant: None, action: "database.restored", resource, before: None, after: None }).await?;
    let visible = change.commit().await?.to_string();
    Ok(Begun { epoch, visible })
}
