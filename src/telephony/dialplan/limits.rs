//! How much routing data a tenant may have. Nodes read all of it after each change, and try its entries for each call, and
//! one tenant must not slow down the others.

use serde::Serialize;
use uuid::Uuid;

use super::{DialplanEntry, cost, store};
use crate::{
    model::error::{Error, Result},
    node::changes::Change,
    routing::entries::{EntryBody, MOST_COST},
    text::Code,
};

/// The most routing data in bytes: settings, destinations and entries.
const MOST_BYTES: i64 = 1 << 20;
/// The most bytes of XML entries, which are part of every answer to a call.
const MOST_XML: i64 = 256 << 10;

/// Whether the entry grew. What a tenant had before there were limits may exceed them: it may change, but not grow.
pub fn is_more(before: &DialplanEntry, after: &DialplanEntry) -> bool {
    let is_enabled = after.enabled && !before.enabled;
    is_enabled || cost(&after.body) > cost(&before.body) || is_longer(&before.body, &after.body)
}

/// Whether `after` is longer than `before`, as JSON.
pub fn is_longer(before: &impl Serialize, after: &impl Serialize) -> bool {
    length(after) > length(before)
}

fn length(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |text| text.len())
}

/// Refuses entries that cost too much together. Called after an entry was written, since its trigger makes other changes of
/// the tenant wait.
pub async fn entries_fit(change: &mut Change, tenant: Uuid, body: &EntryBody) -> Result<()> {
    let sums = store::sums(change.db(), tenant).await?;
    let most = i64::try_from(MOST_COST).unwrap_or(i64::MAX);
    if sums.cost > most && matches!(body, EntryBody::Conditions(_)) {
        return Err(Error::invalid(
            "conditions",
            Code::TooMuchWork.with("cost", sums.cost).with("most", most).with("own", cost(body)),
        ));
    }
    if sums.xml > MOST_XML && matches!(body, EntryBody::Xml(_)) {
        return Err(Error::invalid("xml", Code::TooMuchXml.with("bytes", sums.xml).with("most", MOST_XML)));
    }
    let field = if matches!(body, EntryBody::Xml(_)) { "xml" } else { "conditions" };
    plan_fits(change, tenant, field).await
}

/// Refuses a change that makes a tenant's routing data larger than a node reads at once.
pub async fn plan_fits(change: &mut Change, tenant: Uuid, field: &'static str) -> Result<()> {
    let bytes = store::plan_bytes(change.db(), tenant).await?;
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::invalid(field, Code::PlanTooLarge.with("bytes", bytes).with("most", MOST_BYTES)))
}
