//! Destinations: what calls lead to besides extensions and groups. These are queues, menus, conferences, mailboxes, schedules,
//! announcements, numbers outside and paging. This module also records what leads where.

pub mod api;
pub mod put;
pub mod store;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::model::destination::{Config, KindConfig, Target, TargetKind};
use crate::{
    model::{
        error::{Error, Result, same_version},
        patch::patch,
        same::is_same,
        settings::{Feature, Features},
        used::{Used, UsedKind},
    },
    node::{
        apart::apart,
        changes::{Audited, Change},
    },
    routing::{self, raw},
    telephony::{dialplan::limits, names},
    text::{Code, DialNumber, DisplayName, ExtensionNumber, VoicemailPin, Why, keyring::Place},
};

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Destination {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub name: DisplayName,
    /// The number that reaches it. Without one, only what leads to it does.
    pub number: Option<ExtensionNumber>,
    #[serde(flatten)]
    pub config: Config,
    /// Whether a conference or mailbox has a PIN.
    pub has_pin: bool,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDestination {
    pub name: DisplayName,
    pub number: Option<ExtensionNumber>,
    /// For a conference or mailbox. A mailbox without one gets a random PIN, which is shown once.
    pub pin: Option<VoicemailPin>,
    pub kind: TargetKind,
    /// The settings of the kind.
    #[schema(value_type = KindConfig)]
    pub config: serde_json::Value,
}

/// A merge patch. `config` is replaced as a whole, and the kind can't change.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationPatch {
    pub name: Option<DisplayName>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<ExtensionNumber>)]
    pub number: Option<Option<ExtensionNumber>>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<VoicemailPin>)]
    pub pin: Option<Option<VoicemailPin>>,
    /// The settings of the kind, whole.
    #[schema(value_type = Option<KindConfig>)]
    pub config: Option<serde_json::Value>,
}

/// A new destination, with the PIN that was made for it and is never shown again.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CreatedDestination {
    #[serde(flatten)]
    pub destination: Destination,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

/// What leads somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Destination(Uuid),
    Group(Uuid),
    Entry(Uuid),
}

impl Source {
    fn parts(self) -> (&'static str, Uuid) {
        match self {
            Self::Destination(id) => ("destination", id),
            Self::Group(id) => ("group", id),
            Self::Entry(id) => ("entry", id),
        }
    }
}

pub async fn create(change: &mut Change, tenant: Uuid, new: NewDestination) -> Result<CreatedDestination> {
    change.hold(tenant).await?;
    let id = Uuid::now_v7();
    let config = Config::read(new.kind, &new.config)?;
    features(change, tenant).await?.allow(None, &config)?;
    let is_mailbox = matches!(config, Config::Mailbox(_));
    let names = new.number.iter().map(ExtensionNumber::as_str).collect::<Vec<_>>();
    let made = (is_mailbox && new.pin.is_none()).then(|| VoicemailPin::generate_but(&names));
    let pin = new.pin.or_else(|| made.clone());
    check_pin(&config, pin.is_some())?;
    let sealed = pin.as_ref().map(|pin| change.keyring().seal(place(tenant, id), pin.reveal()));
    // The database keeps no more.
    let now = Utc::now().trunc_subsecs(6);
    let destination = Destination {
        id,
        tenant_id: tenant,
        name: new.name,
        number: new.number,
        config,
        has_pin: sealed.is_some(),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    pin_is_no_number(change, &destination, pin.as_ref().map(VoicemailPin::reveal), false).await?;
    check(change, None, &destination).await?;
    none_rests(change, tenant, None, dials(&destination.config)).await?;
    store::insert(change.db(), &destination, sealed.as_deref()).await.map_err(names::taken)?;
    limits::plan_fits(change, tenant, "config").await?;
    let destination = leading(change, &destination).await?;
    change.audit_of("create", None, Some(&destination)).await?;
    Ok(CreatedDestination { destination, pin: made.map(|pin| pin.reveal().to_owned()) })
}

/// Where a destination's PIN is kept, for sealing it.
#[must_use]
pub fn place(tenant: Uuid, id: Uuid) -> Place {
    Place { column: "destination_pin", tenant, row: id }
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    patch: DestinationPatch,
    if_match: Option<i64>,
) -> Result<Destination> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = name;
    }
    if let Some(number) = patch.number {
        after.number = number;
    }
    if let Some(config) = patch.config {
        after.config = Config::read(before.config.kind(), &config)?;
        features(change, tenant).await?.allow(Some(&before.config), &after.config)?;
    }
    let keyring = change.keyring();
    let kept = store::sealed_pin(change.db(), tenant, id).await?;
    let kept = kept.and_then(|sealed| keyring.open_sealed(place(tenant, id), &sealed).ok());
    let same_pin = patch.pin.as_ref().is_none_or(|said| match (said, &kept) {
        (None, _) => !before.has_pin,
        (Some(said), Some(kept)) => kept.as_str() == said.reveal(),
        (Some(_), None) => false,
    });
    if same_pin && is_same(&before, &after) {
        return Ok(before);
    }
    let said = patch.pin.as_ref().and_then(|pin| pin.as_ref().map(|pin| pin.reveal().to_owned()));
    pin_is_no_number(change, &after, said.as_deref(), patch.pin.is_none() && after.number != before.number).await?;
    let pin = patch.pin.map(|pin| pin.map(|pin| keyring.seal(place(tenant, id), pin.reveal())));
    after.has_pin = pin.as_ref().map_or(before.has_pin, Option::is_some);
    check_pin(&after.config, after.has_pin)?;
    check(change, Some(&before), &after).await?;
    not_dialled(change, tenant, id, &before.number, &after.number).await?;
    none_rests(change, tenant, dials(&before.config), dials(&after.config)).await?;
    store::update(change.db(), &after, pin.as_ref().map(Option::as_deref)).await.map_err(names::taken)?;
    names::give_up(change, tenant, &numbers(&before), &numbers(&after)).await?;
    if limits::is_longer(&before.config, &after.config) {
        limits::plan_fits(change, tenant, "config").await?;
    }
    let after = leading(change, &after).await?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<()> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    not_in_use(change, tenant, Target { kind: before.config.kind(), id }, &[]).await?;
    store::set_refs(change.db(), tenant, "destination", id, &[]).await?;
    store::delete(change.db(), tenant, id).await?;
    names::give_up(change, tenant, &numbers(&before), &[]).await?;
    change.audit_of("delete", Some(&before), None).await
}

async fn locked(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<Destination> {
    let destination = store::lock(change.db(), tenant, id).await?.ok_or(Error::NotFound("destination"))?;
    same_version(if_match, destination.version)?;
    Ok(destination)
}

/// Refuses a PIN that is the destination's number: a new PIN, or the present one if the number changes.
async fn pin_is_no_number(
    change: &mut Change,
    after: &Destination,
    pin: Option<&str>,
    is_renumbered: bool,
) -> Result<()> {
    let Some(number) = after.number.as_ref().map(ExtensionNumber::as_str) else { return Ok(()) };
    let kept = match pin {
        None if is_renumbered => store::sealed_pin(change.db(), after.tenant_id, after.id).await?,
        _ => None,
    };
    let kept =
        kept.map(|sealed| change.keyring().open_sealed(place(after.tenant_id, after.id), &sealed)).transpose()?;
    match pin.or(kept.as_ref().map(|kept| kept.as_str())) {
        Some(pin) if pin == number => Err(Error::invalid("pin", Code::PinIsNumber)),
        _ => Ok(()),
    }
}

fn check_pin(config: &Config, has_pin: bool) -> Result<()> {
    match config {
        Config::Mailbox(_) if !has_pin => Err(Error::invalid("pin", Code::PinMissing)),
        Config::Mailbox(_) | Config::Conference(_) => Ok(()),
        _ if has_pin => Err(Error::invalid("pin", Code::PinMisplaced)),
        _ => Ok(()),
    }
}

async fn check(change: &mut Change, before: Option<&Destination>, destination: &Destination) -> Result<()> {
    destination.config.check()?;
    if before.is_none_or(|before| before.name != destination.name) {
        not_named(change, destination).await?;
    }
    let wanted = numbers(destination);
    not_reserved(change, destination.tenant_id, &wanted).await?;
    let had = before.map(numbers).unwrap_or_default();
    names::may_have(change, destination.tenant_id, &had, &wanted, destination.id).await
}

/// Refuses a name that another of its kind has: whoever names one by kind and name means one. Doubles from before this rule may stay as they are
/// until one of them is named differently. The tenant is held, so nobody else takes the name meanwhile.
async fn not_named(change: &mut Change, destination: &Destination) -> Result<()> {
    let Destination { id, tenant_id, name, config, .. } = destination;
    let Some((other, kind)) = store::namesake(change.db(), *tenant_id, config.kind(), name, *id).await? else {
        return Ok(());
    };
    let why = Code::NameTakenBy.with("name", name).with("kind", kind.as_str()).with("id", other);
    Err(Error::taken(why, kind, other, name))
}

fn numbers(destination: &Destination) -> Vec<String> {
    destination.number.iter().map(ToString::to_string).collect()
}

async fn leading(change: &mut Change, destination: &Destination) -> Result<Destination> {
    let targets = destination.config.targets().into_iter().collect::<Vec<_>>();
    let by_itself = destination.config.leads_on().into_iter().collect::<Vec<_>>();
    lead(change, destination.tenant_id, Source::Destination(destination.id), &targets, &by_itself).await?;
    store::get(change.db(), destination.tenant_id, destination.id).await?.ok_or(Error::NotFound("destination"))
}

/// Records what leads where. Refuses targets of other tenants, and circles of things that lead on by themselves.
pub async fn lead(
    change: &mut Change,
    tenant: Uuid,
    from: Source,
    targets: &[Target],
    by_itself: &[Target],
) -> Result<()> {
    for target in targets {
        if !store::exists(change.db(), tenant, *target).await? {
            let kind = target.kind.as_str();
            return Err(Error::invalid("target", Code::NamesNoTarget.with("kind", kind).with("id", target.id)));
        }
    }
    let (kind, id) = from.parts();
    may_lead(change, tenant, id, targets).await?;
    store::set_refs(change.db(), tenant, kind, id, targets).await?;
    if by_itself.is_empty() {
        return Ok(());
    }
    let leads = leads_on(change, tenant).await?;
    if let Some(way) = circle(&leads, id) {
        return Err(Error::invalid("target", Code::LeadsToItself.with("way", way.join(" → "))));
    }
    // Where calls go, a longer way would be taken for a circle.
    let way = longest_way(&leads, id);
    let most = usize::from(routing::MOST_LEADS);
    if way.len() <= most {
        return Ok(());
    }
    let names = way.iter().filter_map(|id| leads.get(id)).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    Err(Error::invalid("target", Code::LeadsTooFar.with("most", most).with("way", names.join(" → "))))
}

/// What a tenant may use.
pub async fn features(change: &mut Change, tenant: Uuid) -> Result<Features> {
    // Whoever writes for a tenant that isn't there is told so by the database.
    Ok(store::rules(change.db(), tenant).await?.map(|plan| plan.settings.features).unwrap_or_default())
}

/// Refuses to lead to what the tenant may not use. What led there before may stay as it is.
async fn may_lead(change: &mut Change, tenant: Uuid, from: Uuid, targets: &[Target]) -> Result<()> {
    let needs = targets.iter().filter_map(|target| Some((target.id, Feature::of_kind(target.kind)?)));
    let needs = needs.collect::<Vec<_>>();
    if needs.is_empty() {
        return Ok(());
    }
    let features = features(change, tenant).await?;
    if needs.iter().all(|(_, feature)| features.has(*feature)) {
        return Ok(());
    }
    let before = store::led_to(change.db(), tenant, from).await?;
    needs.iter().filter(|(id, _)| !before.contains(id)).try_for_each(|(_, feature)| features.need(*feature))
}

/// Destinations and groups that lead on by themselves, each with its name and where it leads.
type Leads = HashMap<Uuid, (String, BTreeSet<Uuid>)>;

async fn leads_on(change: &mut Change, tenant: Uuid) -> Result<Leads> {
    let mut leads = Leads::new();
    for destination in store::all(change.db(), tenant).await? {
        let targets = destination.config.leads_on().into_iter().map(|target| target.id).collect();
        leads.insert(destination.id, (destination.name.to_string(), targets));
    }
    for (id, name, otherwise) in store::groups_leading_on(change.db(), tenant).await? {
        leads.insert(id, (name, [otherwise.id].into()));
    }
    Ok(leads)
}

/// The path from `start` back to itself, if there is one.
fn circle(leads: &Leads, start: Uuid) -> Option<Vec<String>> {
    fn walk(leads: &Leads, at: Uuid, start: Uuid, seen: &mut BTreeSet<Uuid>) -> Option<Vec<String>> {
        let (name, targets) = leads.get(&at)?;
        for target in targets {
            if *target == start {
                return Some(vec![name.clone()]);
            }
            if seen.insert(*target)
                && let Some(mut way) = walk(leads, *target, start, seen)
            {
                way.insert(0, name.clone());
                return Some(way);
            }
        }
        None
    }
    let mut way = walk(leads, start, start, &mut BTreeSet::new())?;
    way.push(way.first()?.clone());
    Some(way)
}

/// The longest way through `id`, by what leads on by itself. There are no circles.
fn longest_way(leads: &Leads, id: Uuid) -> Vec<Uuid> {
    let mut from = HashMap::<Uuid, Vec<Uuid>>::new();
    for (source, (_, targets)) in leads {
        for target in targets {
            from.entry(*target).or_default().push(*source);
        }
    }
    let mut before = longest(id, &|at| from.get(&at).cloned().unwrap_or_default(), &mut HashMap::new());
    let next = |at| leads.get(&at).map(|(_, targets)| targets.iter().copied().collect()).unwrap_or_default();
    let mut way = longest(id, &next, &mut HashMap::new());
    // What leads nowhere ends the way, and is no lead.
    way.retain(|at| leads.get(at).is_some_and(|(_, targets)| !targets.is_empty()));
    before.reverse();
    before.pop();
    before.extend(way);
    before
}

/// The longest way from `at`, with both ends. It is no longer than where it would be refused anyway.
fn longest(at: Uuid, next: &dyn Fn(Uuid) -> Vec<Uuid>, known: &mut HashMap<Uuid, Vec<Uuid>>) -> Vec<Uuid> {
    if let Some(way) = known.get(&at) {
        return way.clone();
    }
    // So that this ends even if there is a circle among what was saved before circles were refused.
    known.insert(at, vec![at]);
    let ways = next(at).into_iter().map(|to| longest(to, next, known));
    let mut way = vec![at];
    way.extend(ways.max_by_key(Vec::len).unwrap_or_default());
    known.insert(at, way.clone());
    way
}

/// What leads to something, or names it by a number that is dialled for it. `together`: what goes with it.
pub async fn users_of(db: &mut PgConnection, tenant: Uuid, target: Target, together: &[Uuid]) -> Result<Vec<Used>> {
    let mut users = store::users_of(&mut *db, tenant, target).await?;
    let names = store::names_of(&mut *db, tenant, target).await?;
    let except = [together, &[target.id]].concat();
    let names = dialled_as(db, tenant, names).await?;
    let by_name = users_of_names(db, tenant, &names, &except).await?;
    users.extend(by_name.into_iter().filter(|by_name| !users.contains(by_name)).collect::<Vec<_>>());
    Ok(users)
}

/// Refuses to remove what something leads to, and says what does.
pub async fn not_in_use(change: &mut Change, tenant: Uuid, target: Target, together: &[Uuid]) -> Result<()> {
    used_by(users_of(change.db(), tenant, target, together).await?)
}

/// Refuses to give up names that something dials: whoever has them next would get its calls.
pub async fn not_dialled<N: ToString>(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    had: impl IntoIterator<Item = N>,
    has: impl IntoIterator<Item = N>,
) -> Result<()> {
    let has = has.into_iter().map(|name| name.to_string()).collect::<BTreeSet<_>>();
    let lost = had.into_iter().map(|name| name.to_string()).filter(|name| !has.contains(name)).collect::<Vec<_>>();
    if lost.is_empty() {
        return Ok(());
    }
    let lost = dialled_as(change.db(), tenant, lost).await?;
    used_by(users_of_names(change.db(), tenant, &lost, &[id]).await?)
}

/// What names something by the number that is dialled for it. XML that dials it is read apart, because it may be long.
async fn users_of_names(db: &mut PgConnection, tenant: Uuid, names: &[String], except: &[Uuid]) -> Result<Vec<Used>> {
    let mut users = store::users_of_names(&mut *db, tenant, names, except).await?;
    let written = store::xml_entries(db, tenant).await?;
    if !written.is_empty() {
        let names = names.to_vec();
        let dials = move |xml: &str| raw::dials(xml).iter().any(|dialled| names.contains(dialled));
        let found = apart(move || written.into_iter().filter(|entry| dials(&entry.xml)).collect::<Vec<_>>()).await?;
        users.extend(found.into_iter().map(|entry| Used { kind: UsedKind::Entry, id: entry.id, name: entry.name }));
    }
    Ok(users)
}

/// The names as they may be dialled: alone, or behind a code that a name follows.
async fn dialled_as(db: &mut PgConnection, tenant: Uuid, names: Vec<String>) -> Result<Vec<String>> {
    let Some(plan) = store::rules(db, tenant).await? else { return Ok(names) };
    let codes = plan.settings.routing.codes.before_names();
    let behind = names.iter().flat_map(|name| codes.iter().map(move |code| format!("{code}{name}")));
    let behind = behind.collect::<Vec<_>>();
    Ok([names, behind].concat())
}

/// Refuses to newly dial a number that rests, also behind a code. `had`: what was dialled before.
pub async fn none_rests<N: ToString>(
    change: &mut Change,
    tenant: Uuid,
    had: impl IntoIterator<Item = N>,
    has: impl IntoIterator<Item = N>,
) -> Result<()> {
    let has = has.into_iter().map(|number| number.to_string()).collect::<Vec<_>>();
    if has.is_empty() {
        return Ok(());
    }
    let Some(plan) = store::rules(change.db(), tenant).await? else { return Ok(()) };
    let codes = &plan.settings.routing.codes;
    let had = had.into_iter().flat_map(|number| codes.names_in(&number.to_string()));
    let has = has.iter().flat_map(|number| codes.names_in(number));
    names::none_rests(change, tenant, had, has).await
}

/// The number outside that a destination dials, if it is one.
fn dials(config: &Config) -> Option<&DialNumber> {
    match config {
        Config::External(external) => Some(&external.number),
        _ => None,
    }
}

fn used_by(users: Vec<Used>) -> Result<()> {
    if users.is_empty() { Ok(()) } else { Err(Error::InUse(users)) }
}

/// Refuses numbers that mean something else: emergency numbers, and feature codes that consist of digits.
pub async fn not_reserved(change: &mut Change, tenant: Uuid, names: &[String]) -> Result<()> {
    match reserved_among(change, tenant, names).await?.first() {
        None => Ok(()),
        Some(number) => Err(Error::from(means_else(number))),
    }
}

/// Those that mean something else.
pub async fn reserved_among(change: &mut Change, tenant: Uuid, names: &[String]) -> Result<Vec<ExtensionNumber>> {
    let Some(plan) = store::rules(change.db(), tenant).await? else { return Ok(Vec::new()) };
    let numbers = names.iter().filter_map(|name| ExtensionNumber::parse(name).ok());
    Ok(numbers.filter(|number| routing::is_reserved(number, &plan)).collect())
}

/// Why such a number is refused.
#[must_use]
pub fn means_else(number: &ExtensionNumber) -> Why {
    Code::NumberMeansElse.with("number", number)
}

/// Refuses settings that would give another meaning to a number that is in use.
pub async fn none_reserved(change: &mut Change, tenant: Uuid) -> Result<()> {
    let Some(plan) = store::rules(change.db(), tenant).await? else { return Ok(()) };
    if let Some(code) = routing::code_for_help(&plan) {
        return Err(Error::invalid("routing.codes", Code::FeatureCodeTwice.with("code", code)));
    }
    let reserved = routing::reserved(&plan);
    names::may_mean_else(change, tenant, &reserved).await
}

impl Audited for Destination {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("destinations/{}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_is_found_and_named() {
        let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
        let leads = |pairs: &[(Uuid, &str, &[Uuid])]| {
            pairs
                .iter()
                .map(|(id, name, to)| (*id, ((*name).to_owned(), to.iter().copied().collect())))
                .collect::<Leads>()
        };
        assert_eq!(circle(&leads(&[(a, "A", &[b]), (b, "B", &[c]), (c, "C", &[])]), a), None);
        let round = leads(&[(a, "A", &[b]), (b, "B", &[c]), (c, "C", &[b, a])]);
        assert_eq!(circle(&round, a).unwrap(), ["A", "B", "C", "A"]);
        assert_eq!(circle(&leads(&[(a, "A", &[a])]), a).unwrap(), ["A", "A"]);
    }

    #[test]
    fn the_longest_way_leads_through_what_is_asked_about() {
        let id = Uuid::from_u128;
        let lead = |from: u128, to: &[u128]| (id(from), (from.to_string(), to.iter().copied().map(id).collect()));
        let leads = [lead(1, &[2, 9]), lead(2, &[3]), lead(3, &[4, 5]), lead(5, &[6]), lead(6, &[]), lead(7, &[3])];
        let leads = leads.into_iter().collect::<Leads>();
        assert_eq!(longest_way(&leads, id(3)), [1, 2, 3, 5].map(id), "6 leads nowhere");
        assert_eq!(longest_way(&leads, id(7)), [7, 3, 5].map(id));
        assert!(longest_way(&leads, id(9)).len() == 1);
    }
}
