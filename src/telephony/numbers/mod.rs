//! Phone numbers: E.164 numbers of a tenant. Each leads calls from outside to one of its destinations, and may be assigned to an
//! agent, who calls out with it.

pub mod api;
pub mod assignments;
pub mod bulk;
pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::used::UsedKind;
use crate::{
    model::number::Choice,
    model::{
        destination::Target,
        error::{Error, NOT_THERE, Result, same_version},
        patch::patch,
        put::Put,
        same::is_same,
        settings::{Country, Feature, Words},
    },
    node::changes::{Audited, Change},
    routing::callee::Callee,
    telephony::destinations,
    text::{Code, E164},
};

/// The extension, group or destination that a number leads to, as people know it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LeadsTo {
    pub name: String,
    /// The number that reaches it within the tenant.
    pub number: Option<String>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Number {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub number: E164,
    /// ISO 3166, from the number itself; `null` for numbers without a country.
    pub country: Option<Country>,
    /// The company that the number was bought from.
    pub provider: Option<Words>,
    pub status: NumberStatus,
    pub capabilities: Vec<Capability>,
    /// Whether calls to it are recorded.
    pub record: bool,
    /// Where calls to it lead. With `null`, they are refused as unallocated.
    pub destination: Option<Target>,
    /// The agent who calls out with it.
    pub assignment: Option<Assignment>,
    /// What calls to it reach, if a list is asked for it by `expand=destination`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads_to: Option<LeadsTo>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum NumberStatus {
    #[default]
    Active,
    /// Calls to it are refused, and nobody can call out with it. `inactive` is read as this.
    #[serde(alias = "inactive")]
    Suspended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Capability {
    Voice,
    Sms,
    Mms,
    Fax,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNumber {
    /// In E.164, or as it is dialled in the tenant's country.
    pub number: String,
    /// If given, it must be the country of the number.
    pub country: Option<Country>,
    pub provider: Option<Words>,
    #[serde(default)]
    pub status: NumberStatus,
    #[serde(default = "voice")]
    pub capabilities: Vec<Capability>,
    #[serde(default)]
    pub record: bool,
    pub destination: Option<Target>,
}

fn voice() -> Vec<Capability> {
    vec![Capability::Voice]
}

impl NewNumber {
    /// A number with this destination, and defaults for everything else.
    #[must_use]
    pub fn leading(number: &E164, destination: Option<Target>) -> Self {
        Self::as_written(number.to_string(), destination)
    }

    /// The same with a number as somebody writes it.
    #[must_use]
    pub fn as_written(number: String, destination: Option<Target>) -> Self {
        Self {
            number,
            country: None,
            provider: None,
            status: NumberStatus::Active,
            capabilities: voice(),
            record: false,
            destination,
        }
    }
}

/// A merge patch: absent fields stay as they are, and `null` empties a field.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumberPatch {
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Words>)]
    pub provider: Option<Option<Words>>,
    pub status: Option<NumberStatus>,
    pub capabilities: Option<Vec<Capability>>,
    pub record: Option<bool>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Target>)]
    pub destination: Option<Option<Target>>,
}

/// A new number, read by the numbering plans.
struct Parsed {
    number: E164,
    country: Option<Country>,
}

/// A number as people write it, if that is all there is: the library picks a number out of any text, leaves out what follows it, and
/// takes letters for the digits of their keys.
fn written<'a>(text: &'a str, own: Option<&str>) -> Option<&'a str> {
    let text = text.trim();
    let text = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("tel:")).map_or(text, |_| &text[4..]);
    let is_digit = |c: char| c.is_ascii_digit() || ('\u{ff10}'..='\u{ff19}').contains(&c);
    let is_sign = |c: char| "+＋-‐‑–./() \u{a0}\u{202f}".contains(c);
    if !text.chars().all(|c| is_digit(c) || is_sign(c)) {
        return None;
    }
    // `030/123456` is one number, `030 123456/57` two.
    let is_two = text.match_indices('/').any(|(at, _)| Callee::read(text[..at].trim(), own).is_some());
    (!is_two).then_some(text)
}

/// What the numbering plans say about a number. One that they don't know may still exist: plans change before libraries do.
fn parse(new: &NewNumber, own: Option<&str>) -> Result<Parsed> {
    let text = written(&new.number, own).ok_or(Error::invalid("number", Code::NotE164))?;
    let parsed = match Callee::read(text, own) {
        Some(callee) => Parsed { number: callee.number, country: callee.country },
        None => Parsed { number: E164::parse(text).map_err(|error| Error::invalid("number", error))?, country: None },
    };
    match (&new.country, &parsed.country) {
        (Some(said), Some(found)) if said != found => Err(Error::invalid(
            "country",
            Code::CountryDiffers.with("said", said).with("number", &parsed.number).with("found", found),
        )),
        (Some(said), None) => Ok(Parsed { country: Some(said.clone()), ..parsed }),
        _ => Ok(parsed),
    }
}

pub async fn create(change: &mut Change, tenant: Uuid, new: NewNumber) -> Result<Number> {
    change.hold(tenant).await?;
    let own = destinations::store::plan(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let parsed = parse(&new, own.country())?;
    check(change, tenant, new.destination).await?;
    if new.record {
        own.settings.features.need(Feature::CallRecording)?;
    }
    let mut capabilities = new.capabilities;
    capabilities.sort_unstable();
    capabilities.dedup();
    if let Some(known) = store::by_number(change.db(), tenant, &parsed.number).await? {
        let why = Code::NumberTaken.with("number", &parsed.number);
        return Err(Error::taken(why, UsedKind::Number, known.id, &known.number));
    }
    let row = store::New {
        tenant,
        id: Uuid::now_v7(),
        number: &parsed.number,
        country: parsed.country.as_ref(),
        provider: new.provider.as_ref(),
        status: new.status,
        capabilities: &capabilities,
        record: new.record,
        destination: new.destination,
    };
    store::insert(change.db(), &row).await.map_err(|error| {
        let error = Error::from(error);
        match error.violated() {
            Some(("numbers_number_key", _)) => taken(&parsed.number),
            Some((constraint, _)) if constraint.ends_with("tenant_id_fkey") => Error::NotFound("tenant"),
            _ => error,
        }
    })?;
    let number = store::get(change.db(), tenant, row.id).await?.ok_or(Error::NotFound("number"))?;
    change.audit_of("create", None, Some(&number)).await?;
    Ok(number)
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    patch: NumberPatch,
    if_match: Option<i64>,
) -> Result<Number> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    let mut after = before.clone();
    if let Some(provider) = patch.provider {
        after.provider = provider;
    }
    if let Some(status) = patch.status {
        after.status = status;
    }
    if let Some(mut capabilities) = patch.capabilities {
        capabilities.sort_unstable();
        capabilities.dedup();
        after.capabilities = capabilities;
    }
    if let Some(record) = patch.record {
        if record && !before.record {
            destinations::features(change, tenant).await?.need(Feature::CallRecording)?;
        }
        after.record = record;
    }
    if let Some(destination) = patch.destination.filter(|destination| *destination != before.destination) {
        check(change, tenant, destination).await?;
        after.destination = destination;
    }
    if is_same(&before, &after) {
        return Ok(before);
    }
    store::update(change.db(), &after).await?;
    let after = store::get(change.db(), tenant, id).await?.ok_or(Error::NotFound("number"))?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Makes the number equal to what is wanted, or adds it. Who calls out with it stays as it is.
pub async fn put(
    change: &mut Change,
    tenant: Uuid,
    key: &E164,
    new: NewNumber,
    if_match: Option<i64>,
) -> Result<Put<Number>> {
    change.hold(tenant).await?;
    let own = destinations::store::plan(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let parsed = parse(&new, own.country())?;
    if parsed.number != *key {
        return Err(Error::invalid("number", Code::NotThePathsName));
    }
    let Some(number) = store::by_number(change.db(), tenant, &parsed.number).await? else {
        same_version(if_match, NOT_THERE)?;
        return create(change, tenant, new).await.map(Put::Made);
    };
    if parsed.country.is_some() && parsed.country != number.country {
        return Err(Error::invalid("country", Code::CantChange));
    }
    let NewNumber { number: _, country: _, provider, status, capabilities, record, destination } = new;
    let patch = NumberPatch {
        provider: Some(provider),
        status: Some(status),
        capabilities: Some(capabilities),
        record: Some(record),
        destination: Some(destination),
    };
    update(change, tenant, number.id, patch, if_match).await.map(Put::Is)
}

pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<()> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    if let Some(assignment) = &before.assignment {
        let agent = store::agent(change.db(), tenant, assignment.agent_id).await?.unwrap_or_default();
        let why = Code::NumberAssigned.with("agent", &agent.name).with("id", assignment.agent_id);
        return Err(Error::taken(why, UsedKind::Agent, assignment.agent_id, &agent.name));
    }
    store::delete(change.db(), tenant, id).await?;
    change.audit_of("delete", Some(&before), None).await
}

pub(super) async fn locked(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<Number> {
    let number = store::lock(change.db(), tenant, id).await?.ok_or(Error::NotFound("number"))?;
    same_version(if_match, number.version)?;
    Ok(number)
}

/// Does not say who has the number: that is nobody else's business.
fn taken(number: &E164) -> Error {
    Code::NumberTaken.with("number", number).into()
}

async fn check(change: &mut Change, tenant: Uuid, destination: Option<Target>) -> Result<()> {
    let Some(destination) = destination else { return Ok(()) };
    if !destinations::store::exists(change.db(), tenant, destination).await? {
        return Err(Error::invalid("destination", Code::NamesNothing));
    }
    match Feature::of_kind(destination.kind) {
        Some(feature) => destinations::features(change, tenant).await?.need(feature),
        None => Ok(()),
    }
}

impl Audited for Number {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("numbers/{}", self.id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Assignment {
    pub agent_id: Uuid,
    /// Calls per day, in the tenant's time zone.
    pub daily_limit: i32,
    /// Countries that may be called; with `null`, all that the tenant allows.
    pub allowed_countries: Option<Vec<Country>>,
}

/// A number that an agent calls out with, and how often it was used today.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AgentNumber {
    pub id: Uuid,
    pub number: E164,
    pub country: Option<Country>,
    pub status: NumberStatus,
    pub daily_limit: i32,
    pub allowed_countries: Option<Vec<Country>>,
    /// Since midnight in the tenant's time zone, or since the number was assigned to them.
    pub calls_made_today: i32,
}

/// Which of an agent's numbers a call shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    pub choice: Choice,
    /// The number for `fixed`; the oldest if absent.
    #[serde(default)]
    pub number_id: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_only_if_the_text_is_nothing_else() {
        let read = |text: &str| {
            let new = serde_json::from_value(serde_json::json!({ "number": text })).unwrap();
            parse(&new, Some("DE")).map(|parsed| parsed.number.to_string()).ok()
        };
        for (text, number) in [
            ("030 / 12345678", "+493012345678"),
            ("+49 (0)30/123456-78", "+493012345678"),
            ("tel:+49-30-12345678", "+493012345678"),
            ("0044 20 7946 0018", "+442079460018"),
            ("+49\u{a0}30\u{a0}12345678", "+493012345678"),
            ("＋４９３０１２３４５６７８", "+493012345678"),
        ] {
            assert_eq!(read(text).as_deref(), Some(number), "{text}");
        }
        for text in [
            "+49 30 12345678 ext. 12",
            "+49 30 12345678;ext=5",
            "+49 30 12345678 / 79",
            "030 12345678/79",
            "+49 30 12345678 x",
            "+49-30-VANITY7",
            "<+493012345678>",
            "{\"number\":\"+493012345678\"}",
            "+493012345678,+493012345679",
            "+49 30 12345678\n+49 30 12345679",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
