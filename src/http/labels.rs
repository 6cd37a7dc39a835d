//! `external_id` and `metadata` of things, for the handlers of each kind. A subject does not know them: no rule and no switch depends on
//! them. They are read and written beside it, in the same transaction, and count as part of the thing: they raise its version, and are in
//! the audit log, in the same entry as what else was changed.

use std::{collections::HashMap, ops::Deref};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::labels_store as store;
use crate::{
    model::{
        error::{Error, Result},
        labels::{ExternalId, Labels, LabelsPatch},
        paging::{Page, Window},
        put::Put,
        sorting::Sorted,
    },
    node::changes::{Audit, Change},
    text::{Code, Why},
};

pub use crate::model::labels::{Kind, With};

/// What labels need to know of a thing.
pub struct Core<'a> {
    pub kind: Kind,
    pub id: Uuid,
    /// The tenant that it belongs to; `None` for the platform.
    pub tenant: Option<Uuid>,
    pub version: &'a mut i64,
    pub updated_at: &'a mut DateTime<Utc>,
}

impl Core<'_> {
    /// Within which external ids differ. Tenants differ within the platform.
    fn scope(&self) -> Option<Uuid> {
        if self.kind == Kind::Tenant { None } else { self.tenant }
    }
}

/// A thing that can have labels.
pub trait Thing: Serialize {
    fn core(&mut self) -> Core<'_>;
}

/// Says where a type has what labels need: `labelled!(Group, Group, tenant_id)`; or that it has a thing within:
/// `labelled!(CreatedKey.key)`.
macro_rules! labelled {
    ($type:ty, $kind:ident, $tenant:expr) => {
        impl crate::http::labels::Thing for $type {
            fn core(&mut self) -> crate::http::labels::Core<'_> {
                let tenant: fn(&Self) -> Option<uuid::Uuid> = $tenant;
                crate::http::labels::Core {
                    kind: crate::http::labels::Kind::$kind,
                    id: self.id,
                    tenant: tenant(self),
                    version: &mut self.version,
                    updated_at: &mut self.updated_at,
                }
            }
        }
    };
    ($type:ident . $within:ident) => {
        impl crate::http::labels::Thing for $type {
            fn core(&mut self) -> crate::http::labels::Core<'_> {
                self.$within.core()
            }
        }
    };
}
pub(crate) use labelled;

/// A thing with its labels, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Labelled<T> {
    #[serde(flatten)]
    thing: T,
    #[serde(flatten)]
    labels: Labels,
}

impl<T> Deref for Labelled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.thing
    }
}

impl<T> Labelled<T> {
    /// A thing that has just been made, without any.
    pub fn plain(thing: T) -> Self {
        Self { thing, labels: Labels::default() }
    }

    /// A thing with these.
    pub fn new(thing: T, labels: Labels) -> Self {
        Self { thing, labels }
    }

    pub fn labels(&self) -> &Labels {
        &self.labels
    }
}

/// A thing with the labels that it has.
pub async fn of<T: Thing>(db: &mut PgConnection, mut thing: T) -> Result<Labelled<T>> {
    let core = thing.core();
    let labels = store::get(db, core.scope(), core.id).await?.unwrap_or_default();
    Ok(Labelled { thing, labels })
}

/// The same for many.
pub async fn of_all<T: Thing>(db: &mut PgConnection, mut things: Vec<T>) -> Result<Vec<Labelled<T>>> {
    let of_each = |thing: &mut T| {
        let core = thing.core();
        (core.id, core.scope())
    };
    let (ids, scopes): (Vec<_>, Vec<_>) = things.iter_mut().map(of_each).unzip();
    let mut found = store::of_all(db, &ids, &scopes).await?.into_iter().collect::<HashMap<_, _>>();
    let with = |(thing, id)| Labelled { thing, labels: found.remove(&id).unwrap_or_default() };
    Ok(things.into_iter().zip(ids).map(with).collect())
}

/// The same for a page.
pub async fn page<T: Thing>(db: &mut PgConnection, page: Page<T>) -> Result<Page<Labelled<T>>> {
    Ok(Page { items: of_all(db, page.items).await?, next_cursor: page.next_cursor })
}

/// A new thing with what its maker says.
pub async fn made<T: Thing>(change: &mut Change, thing: T, said: LabelsPatch) -> Result<Labelled<T>> {
    keep(change, thing, |_| Labels::default().patched(said), true).await
}

/// A thing with its labels changed by a merge patch.
pub async fn changed<T: Thing>(change: &mut Change, thing: T, said: LabelsPatch) -> Result<Labelled<T>> {
    keep(change, thing, |before| before.patched(said), false).await
}

/// A thing whose labels are what is said, and nothing else.
pub async fn put<Is: Thing, Made: Thing>(
    change: &mut Change,
    put: Put<Is, Made>,
    said: LabelsPatch,
) -> Result<Put<Labelled<Is>, Labelled<Made>>> {
    Ok(match put {
        Put::Made(thing) => Put::Made(made(change, thing, said).await?),
        Put::Is(thing) => Put::Is(keep(change, thing, |_| Labels::default().patched(said), false).await?),
    })
}

async fn keep<T: Thing>(
    change: &mut Change,
    mut thing: T,
    after: impl FnOnce(&Labels) -> Result<Labels>,
    is_new: bool,
) -> Result<Labelled<T>> {
    let core = thing.core();
    let (kind, id, tenant, scope) = (core.kind, core.id, core.tenant, core.scope());
    let before = if is_new { Labels::default() } else { store::get(change.db(), scope, id).await?.unwrap_or_default() };
    let after = after(&before)?;
    if before == after {
        return Ok(Labelled { thing, labels: after });
    }
    if let Some(tenant) = tenant {
        change.hold(tenant).await?;
    }
    if let Some(external_id) = after.external_id.as_ref().filter(|wanted| before.external_id.as_ref() != Some(wanted)) {
        store::hold(change.db(), kind.name(), scope, external_id).await?;
        if let Some(other) = store::whose(change.db(), kind, scope, external_id).await?.filter(|other| *other != id) {
            let used = store::used(change.db(), kind, scope, other).await?;
            return Err(Error::Taken(why_taken(kind, external_id, other), used.into_iter().collect()));
        }
    }
    store::set(change.db(), kind, scope, id, &after).await?;
    if !is_new {
        let raised = store::raise_version(change.db(), kind, tenant, id).await?;
        let (version, updated_at) = raised.ok_or(Error::NotFound(kind.name()))?;
        let core = thing.core();
        (*core.version, *core.updated_at) = (version, updated_at);
    }
    let audit = Audit {
        tenant,
        action: "update",
        resource: format!("{}/{id}", kind.resource()),
        before: Some(shown(kind, &before)),
        after: Some(shown(kind, &after)),
    };
    change.audit_further(audit).await?;
    Ok(Labelled { thing, labels: after })
}

/// The refusal of an external id that another thing has.
pub(super) fn taken(kind: Kind, external_id: &ExternalId, other: Uuid) -> Error {
    why_taken(kind, external_id, other).into()
}

fn why_taken(kind: Kind, external_id: &ExternalId, other: Uuid) -> Why {
    Code::ExternalIdTaken.with("external_id", external_id).with("kind", kind.name()).with("id", other)
}

/// Labels as the audit log shows them.
pub(super) fn shown(kind: Kind, labels: &Labels) -> serde_json::Value {
    match kind {
        // Who it is, is not in the log: the log stays when a person's data is erased.
        Kind::Contact => serde_json::json!({ "metadata": labels.metadata.len() }),
        _ => serde_json::to_value(labels).unwrap_or_default(),
    }
}

/// Makes others wait who want this external id for a thing of the platform's that keeps its labels itself.
pub async fn hold_id(change: &mut Change, kind: &str, external_id: &ExternalId) -> Result<()> {
    Ok(store::hold(change.db(), kind, None, external_id).await?)
}

/// Whose external id is asked for.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExternalIdQuery {
    /// Only the one with this `external_id`.
    pub external_id: Option<String>,
}

impl ExternalIdQuery {
    /// The window that shows only the thing with this external id, if one is asked for. `tenant`: whose things are listed.
    pub async fn within(
        &self,
        db: &mut PgConnection,
        kind: Kind,
        tenant: Option<Uuid>,
        window: Window,
    ) -> Result<Window> {
        let Some(external_id) = &self.external_id else { return Ok(window) };
        // Postgres knows no text with NUL, and no thing has such an id.
        let external_id = external_id.replace('\0', "\u{fffd}");
        Ok(Window::of_one(store::named(db, kind, tenant, &external_id).await?))
    }

    /// The same for a list that may be sorted.
    pub async fn sorted(
        &self,
        db: &mut PgConnection,
        kind: Kind,
        tenant: Option<Uuid>,
        sorted: Sorted,
    ) -> Result<Sorted> {
        match &self.external_id {
            None => Ok(sorted),
            Some(_) => Ok(self.within(db, kind, tenant, sorted.window).await?.into()),
        }
    }

    /// The same for lists of things of several tenants, in which an external id may stand more than once.
    pub async fn ids(&self, db: &mut PgConnection, kind: Kind, tenant: Option<Uuid>) -> Result<Option<Vec<Uuid>>> {
        let Some(external_id) = &self.external_id else { return Ok(None) };
        let external_id = external_id.replace('\0', "\u{fffd}");
        Ok(Some(store::all_named(db, kind, tenant, &external_id).await?))
    }
}
