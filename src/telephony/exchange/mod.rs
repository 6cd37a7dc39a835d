//! Rates of exchange, which the platform keeps by day. A rate holds from its day until that of the next one of the same two currencies. None is made
//! from others: not the inverse, not one over a third currency. Where none is known, amounts stay in the currency that they are in.

pub mod api;
mod factor;
pub mod store;

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use factor::ExchangeFactor;

use crate::{
    model::{
        error::{Error, Result},
        settings::Currency,
    },
    node::changes::{Audited, Change},
    text::Code,
};

/// A rate of exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ExchangeRate {
    pub id: Uuid,
    /// The currency of amounts that are converted.
    pub from_currency: String,
    /// The currency that they are converted into.
    pub to_currency: String,
    /// The first day on which it is in force: until that of the next rate of the same currencies.
    pub day: NaiveDate,
    /// How much of `to_currency` one unit of `from_currency` is.
    pub rate: ExchangeFactor,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExchangeRate {
    /// The currency of amounts that are converted.
    pub from_currency: Currency,
    /// The currency that they are converted into.
    pub to_currency: Currency,
    /// The first day on which it is in force: until that of the next rate of the same currencies.
    pub day: NaiveDate,
    /// How much of `to_currency` one unit of `from_currency` is.
    pub rate: ExchangeFactor,
}

/// An amount in a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Amount {
    pub currency: String,
    /// In millionths of the currency.
    pub amount: i64,
}

impl Audited for ExchangeRate {
    fn tenant(&self) -> Option<Uuid> {
        None
    }

    fn resource(&self) -> String {
        format!("exchange-rates/{}", self.id)
    }

    fn shown(&self) -> serde_json::Value {
        serde_json::json!({ "from_currency": self.from_currency, "to_currency": self.to_currency, "day": self.day, "rate": self.rate })
    }
}

/// Sets the rate of a day. One that is there for that day is replaced.
pub async fn set(change: &mut Change, new: NewExchangeRate) -> Result<ExchangeRate> {
    if new.from_currency == new.to_currency {
        return Err(Error::invalid("to_currency", Code::SameCurrency));
    }
    if !(1970..=9000).contains(&new.day.year()) {
        return Err(Error::invalid("day", Code::NotADay));
    }
    let before = store::lock_of_day(change.db(), new.from_currency.as_str(), new.to_currency.as_str(), new.day).await?;
    if let Some(before) = before.as_ref().filter(|before| before.rate == new.rate) {
        return Ok(before.clone());
    }
    let after = store::set(change.db(), &new).await?;
    let action = if before.is_some() { "update" } else { "create" };
    change.audit_of(action, before.as_ref(), Some(&after)).await?;
    Ok(after)
}

pub async fn delete(change: &mut Change, id: Uuid) -> Result<()> {
    let before = store::take(change.db(), id).await?.ok_or(Error::NotFound("exchange rate"))?;
    change.audit_of("delete", Some(&before), None).await
}
