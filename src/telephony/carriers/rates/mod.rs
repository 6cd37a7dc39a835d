//! Rate sheets: CSV files as carriers and other systems write them, put in force as a whole.

mod columns;
mod sheet;
mod values;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

pub use self::{
    columns::{Column, Meaning},
    sheet::{Sheet, read},
};
use super::store;
use crate::{
    model::error::{Error, Result},
    node::changes::{Audit, Change},
};

/// The most lines and prefixes that a report lists.
const MOST_TOLD: usize = 200;

/// The result of a sheet, or of its preview.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RatesReport)]
pub struct Report {
    /// How many rates the sheet has.
    pub rates: usize,
    /// How many lines have errors. If there is one, the sheet in force stays.
    pub refused: usize,
    /// The first of these lines, with their errors.
    pub lines: Vec<Refused>,
    /// How each column is read.
    pub columns: Vec<Column>,
    /// How many rates of the previous sheet stay in force until a rate of this one begins.
    pub kept: usize,
    /// Consequences that may be unintended.
    pub warnings: Vec<Warning>,
    /// Whether it changes a price, now or later. If not, the sheet in force stays, and so does the carrier's version.
    pub changed: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Refused {
    /// The line's number in the file, as editors count.
    pub line: usize,
    pub reason: String,
}

/// Prefixes whose price may not be what was meant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Warning {
    pub kind: WarningKind,
    /// How many prefixes are concerned.
    pub count: usize,
    /// The first of them.
    pub prefixes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// This sheet does not name them, and what it says about a longer or shorter prefix begins later: until then, they keep the price that they
    /// had.
    PricedAsBefore,
    /// They had a price before but have none in this sheet.
    NoLongerPriced,
    /// Their first price begins later; until then, they have none.
    NotYetPriced,
}

impl WarningKind {
    /// What it means for calls.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::PricedAsBefore => {
                "are not in this sheet: they keep their price until the date of the prefix in the sheet that they belong to"
            }
            Self::NoLongerPriced => {
                "had a price until now and have none in this sheet: this carrier takes no calls to them"
            }
            Self::NotYetPriced => {
                "have no price until the date in the sheet: this carrier takes no calls to them before"
            }
        }
    }
}

/// Puts a sheet in force, if nothing of it was refused. `progress` is told how many rates are in already.
pub async fn replace(
    change: &mut Change,
    carrier: Uuid,
    sheet: Sheet,
    now: DateTime<Utc>,
    progress: impl Fn(usize),
) -> Result<Report> {
    const AT_ONCE: usize = 10_000;
    let rates = sheet.len();
    if sheet.refusals > 0 {
        let (refused, lines, columns) = (sheet.refusals, sheet.refused, sheet.columns);
        return Ok(Report { rates: 0, refused, lines, columns, kept: 0, warnings: Vec::new(), changed: false });
    }
    let before = store::lock(change.db(), carrier).await?.ok_or(Error::NotFound("carrier"))?;
    let old = store::sheet_in_force(change.db(), carrier).await?;
    let id = Uuid::now_v7();
    store::begin_sheet(change.db(), carrier, id, i32::try_from(rates).unwrap_or(i32::MAX)).await?;
    for from in (0..rates).step_by(AT_ONCE) {
        let to = (from + AT_ONCE).min(rates);
        store::add_rates(change.db(), id, &sheet.rates, from..to).await?;
        progress(to);
    }
    // A sheet that announces a price for later says nothing about the time until then: what was in force goes on.
    let mut kept = store::KeptRates::default();
    if let Some(old) = old {
        kept = store::keep_until_next(change.db(), old, id, now).await?;
        let by_shorter = store::keep_by_shorter(change.db(), old, id, now).await?;
        kept.rates += by_shorter.rates;
        kept.added += by_shorter.added;
        kept.unnamed.extend(by_shorter.unnamed);
        kept.unnamed.sort_unstable();
    }
    let mut warnings = Vec::new();
    for (kind, without) in [
        (WarningKind::PricedAsBefore, kept.unnamed),
        (WarningKind::NoLongerPriced, store::no_longer_priced(change.db(), old.unwrap_or_default(), id, now).await?),
        (WarningKind::NotYetPriced, store::not_yet_priced(change.db(), id, now).await?),
    ] {
        if !without.is_empty() {
            let count = without.len();
            warnings.push(Warning { kind, count, prefixes: without.into_iter().take(MOST_TOLD).collect() });
        }
    }
    let changed = match old {
        Some(old) => !store::has_same_rates(change.db(), old, id, now).await?,
        None => true,
    };
    if changed {
        store::put_in_force(change.db(), carrier, id, kept.added).await?;
        let after = serde_json::json!({ "rates": rates, "kept": kept.rates });
        let before = serde_json::json!({ "rates": before.rates });
        let resource = format!("carriers/{carrier}");
        change
            .audit(Audit { tenant: None, action: "rates", resource, before: Some(before), after: Some(after) })
            .await?;
    } else {
        store::drop_sheet(change.db(), id).await?;
    }
    let kept = usize::try_from(kept.rates).unwrap_or(usize::MAX);
    Ok(Report { rates, refused: 0, lines: Vec::new(), columns: sheet.columns, kept, warnings, changed })
}
