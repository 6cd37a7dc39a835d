//! The cost of a call to a number over each carrier, in the order they would be tried.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    model::{
        error::{Error, Result},
        refusal::Refusal,
        settings::{Country, Currency},
    },
    routing::{callee::Callee, carried},
    switch::fetch::call_store::{self, Leaving},
    telephony::destinations,
    text::{Code, E164},
};

/// One carrier's price for a number.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Priced {
    /// 1 is tried first.
    pub rank: usize,
    pub carrier_id: Uuid,
    pub carrier: String,
    pub prefix: String,
    /// The price per minute, in millionths of the currency.
    pub price: i64,
    /// The carrier's currency; absent: the tenant's.
    pub currency: Option<Currency>,
    pub first_seconds: i16,
    pub step_seconds: i16,
    pub sick: bool,
    /// The percentage of its calls that were answered.
    pub answered: Option<i32>,
    /// The number as it is sent to this carrier.
    pub dialled: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Preview {
    pub number: E164,
    pub country: Option<Country>,
    /// Why the tenant's rules would refuse the call; `null` if they would not.
    pub refusal: Option<Refusal>,
    pub carriers: Vec<Priced>,
}

/// Returns `None` if the tenant does not exist.
pub async fn preview(db: &mut PgConnection, tenant: Uuid, number: &str) -> Result<Option<Preview>> {
    let Some(plan) = destinations::store::plan(&mut *db, tenant).await? else { return Ok(None) };
    let callee =
        Callee::dialled(number, &plan, None).ok_or_else(|| Error::invalid("number", Code::NotATelephoneNumber))?;
    let ask = Leaving {
        tenant,
        caller: None,
        dialled: number.to_owned(),
        callee: callee.number.to_string(),
        prefixes: carried::prefixes(&callee),
        known_plan: -1,
        known_carriers: -1,
        switch: None,
        showing: None,
    };
    let Some(row) = call_store::leaving(&mut *db, &ask).await? else { return Ok(None) };
    let known = row.carriers.unwrap_or_default().into_iter().map(|carrier| (carrier.id, carrier));
    let known = Arc::new(known.collect::<HashMap<_, _>>());
    let chosen = carried::choose(&row.offers, &known, tenant, plan.settings.currency.as_ref());
    let priced = chosen.into_iter().enumerate().filter_map(|(at, offer)| {
        let carrier = known.get(&offer.carrier)?;
        Some(Priced {
            rank: at + 1,
            carrier_id: offer.carrier,
            carrier: carrier.name.clone(),
            prefix: offer.prefix,
            price: offer.price,
            currency: offer.currency,
            first_seconds: offer.first_seconds,
            step_seconds: offer.step_seconds,
            sick: offer.sick,
            answered: offer.answered,
            dialled: carrier.config.dialled(&callee.number),
        })
    });
    let carriers = priced.collect();
    Ok(Some(Preview { refusal: callee.judge(&plan).err(), country: callee.country, number: callee.number, carriers }))
}
