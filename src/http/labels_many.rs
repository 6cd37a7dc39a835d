//! Labels of many new things of one kind of a tenant, with a few statements for all of them.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::{labels, labels_store as store};
use crate::{
    model::{
        error::Result,
        label_column,
        labels::{Kind, Labels},
    },
    node::changes::{Audit, Change},
};

/// Which external ids others have, and which ones of a file.
pub struct Claims {
    kind: Kind,
    /// Whose they are; `None` for a line of the file.
    of: HashMap<String, Option<Uuid>>,
}

impl Claims {
    /// Looks up whose the wanted ids are. The tenant must be held, so that nobody else takes them.
    pub async fn look_up<'a>(
        change: &mut Change,
        kind: Kind,
        tenant: Uuid,
        wanted: impl Iterator<Item = &'a Labels>,
    ) -> Result<Self> {
        let wanted = wanted.filter_map(|labels| labels.external_id.as_ref());
        let wanted = wanted.map(ToString::to_string).collect::<Vec<_>>();
        let found =
            if wanted.is_empty() { Vec::new() } else { store::taken(change.db(), kind, tenant, &wanted).await? };
        Ok(Self { kind, of: found.into_iter().map(|(external_id, id)| (external_id, Some(id))).collect() })
    }

    /// Claims the id for another line.
    pub fn claim(&mut self, labels: &Labels) -> Result<()> {
        let Some(wanted) = &labels.external_id else { return Ok(()) };
        match self.of.get(wanted.as_str()) {
            Some(Some(other)) => return Err(labels::taken(self.kind, wanted, *other)),
            Some(None) => return Err(label_column::twice()),
            None => self.of.insert(wanted.to_string(), None),
        };
        Ok(())
    }
}

/// Keeps the labels of things that were made just now, and whose entries for the audit log have them.
pub async fn keep<'a>(
    change: &mut Change,
    kind: Kind,
    tenant: Uuid,
    made: impl Iterator<Item = (Uuid, &'a Labels)>,
) -> Result<()> {
    let noted = made.filter(|(_, labels)| **labels != Labels::default()).collect::<Vec<_>>();
    for part in noted.chunks(2_000) {
        store::insert_all(change.db(), kind, tenant, part).await?;
    }
    Ok(())
}

/// The entry of the audit log for a new thing, with its labels.
#[must_use]
pub fn audited<'a>(mut entry: Audit<'a>, kind: Kind, labels: &Labels) -> Audit<'a> {
    if *labels != Labels::default()
        && let Some(Value::Object(after)) = &mut entry.after
        && let Value::Object(more) = labels::shown(kind, labels)
    {
        after.extend(more);
    }
    entry
}
