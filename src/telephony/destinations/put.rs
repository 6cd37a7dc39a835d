//! Making a destination equal to a description, by its kind and name.

use uuid::Uuid;

use super::{CreatedDestination, Destination, DestinationPatch, NewDestination, create, store, update};
use crate::{
    model::{
        destination::TargetKind,
        error::{NOT_THERE, Result, same_version},
        put::Put,
    },
    node::changes::Change,
    text::{Code, DisplayName},
};

/// The destination of this kind and name. Of doubles from before names had to differ, nobody can say which is meant.
pub async fn only(
    db: &mut sqlx::PgConnection,
    tenant: Uuid,
    kind: TargetKind,
    name: &DisplayName,
) -> Result<Option<Destination>> {
    let mut found = store::by_name(db, tenant, kind, name).await?;
    if found.len() > 1 {
        return Err(Code::SeveralOfThisName.with("kind", kind.as_str()).with("name", name).into());
    }
    Ok(found.pop())
}

/// Makes the destination of this kind and name equal to what is wanted, or creates it. A PIN stays as it is unless one is given.
pub async fn put(
    change: &mut Change,
    tenant: Uuid,
    new: NewDestination,
    if_match: Option<i64>,
) -> Result<Put<Destination, CreatedDestination>> {
    change.hold(tenant).await?;
    let Some(destination) = only(change.db(), tenant, new.kind, &new.name).await? else {
        same_version(if_match, NOT_THERE)?;
        return create(change, tenant, new).await.map(Put::Made);
    };
    let NewDestination { name: _, number, pin, kind: _, config } = new;
    let patch = DestinationPatch { name: None, number: Some(number), pin: pin.map(Some), config: Some(config) };
    update(change, tenant, destination.id, patch, if_match).await.map(Put::Is)
}
