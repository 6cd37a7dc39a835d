//! Groups: extensions that ring together under one name and number.

pub mod api;
mod detach;
pub mod store;

pub use self::detach::detach;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::used::UsedKind;
use crate::{
    model::{
        destination::Target,
        error::{Error, NOT_THERE, Result, same_version},
        patch::patch,
        put::Put,
        same::is_same,
    },
    node::changes::{Audited, Change},
    routing::Strategy,
    telephony::{
        destinations::{self, Source},
        names,
    },
    text::{Code, ExtensionNumber, GroupHandle, GroupName},
};

const MAX_MEMBERS: usize = 100;
const USUAL_RING_SECONDS: i16 = 25;

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Group {
    pub id: Uuid,
    pub tenant_id: Uuid,
    /// Its name. On switches it is called so in lower case, or `g` and its id without hyphens if its name has other characters than letters of
    /// ASCII, digits, `.`, `_` and `-`.
    pub name: GroupName,
    /// The number that reaches it.
    pub number: Option<ExtensionNumber>,
    /// How many seconds all of its phones ring, or, with a strategy that is in order, each of them.
    pub ring_seconds: i16,
    pub strategy: Strategy,
    /// Whether whoever answers must press 1 to take the call. This keeps mailboxes from taking it.
    pub confirm: bool,
    /// Whether a member's unconditional forward is followed; otherwise the member's own phone rings. The member pays.
    pub follow_forwards: bool,
    /// Whether any member may pick up a call that rings in the group, by the code for it alone.
    pub pickup: bool,
    /// Where a call goes if nobody takes it.
    pub otherwise: Option<Target>,
    /// The ids of its extensions, in order.
    pub members: Vec<Uuid>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Deserialize, clap::Args, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    #[arg(long)]
    pub name: GroupName,
    #[arg(long)]
    pub number: Option<ExtensionNumber>,
    #[arg(long)]
    pub ring_seconds: Option<i16>,
    #[serde(default)]
    #[arg(long, value_enum, default_value_t)]
    pub strategy: Strategy,
    #[serde(default)]
    #[arg(long)]
    pub confirm: bool,
    #[serde(default)]
    #[arg(long)]
    pub follow_forwards: bool,
    #[serde(default)]
    #[arg(long)]
    pub pickup: bool,
    #[arg(skip)]
    pub otherwise: Option<Target>,
    #[serde(default)]
    #[arg(long, value_parser = crate::text::id)]
    pub members: Vec<Uuid>,
}

/// A merge patch: absent fields stay as they are, and `null` empties a field.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupPatch {
    pub name: Option<GroupName>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<ExtensionNumber>)]
    pub number: Option<Option<ExtensionNumber>>,
    pub ring_seconds: Option<i16>,
    pub strategy: Option<Strategy>,
    pub confirm: Option<bool>,
    pub follow_forwards: Option<bool>,
    pub pickup: Option<bool>,
    #[serde(default, deserialize_with = "patch")]
    #[schema(value_type = Option<Target>)]
    pub otherwise: Option<Option<Target>>,
    pub members: Option<Vec<Uuid>>,
}

pub async fn create(change: &mut Change, tenant: Uuid, new: NewGroup) -> Result<Group> {
    change.hold(tenant).await?;
    // The database keeps no more.
    let now = Utc::now().trunc_subsecs(6);
    let group = Group {
        id: Uuid::now_v7(),
        tenant_id: tenant,
        name: new.name,
        number: new.number,
        ring_seconds: new.ring_seconds.unwrap_or(USUAL_RING_SECONDS),
        strategy: new.strategy,
        confirm: new.confirm,
        follow_forwards: new.follow_forwards,
        pickup: new.pickup,
        otherwise: new.otherwise,
        members: new.members,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    check(change, None, &group).await?;
    store::insert(change.db(), &group).await.map_err(names::taken)?;
    let group = with_members(change, &group).await?;
    change.audit_of("create", None, Some(&group)).await?;
    Ok(group)
}

pub async fn update(
    change: &mut Change,
    tenant: Uuid,
    id: Uuid,
    patch: GroupPatch,
    if_match: Option<i64>,
) -> Result<Group> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    let mut after = before.clone();
    if let Some(name) = patch.name {
        after.name = name;
    }
    if let Some(number) = patch.number {
        after.number = number;
    }
    if let Some(seconds) = patch.ring_seconds {
        after.ring_seconds = seconds;
    }
    if let Some(strategy) = patch.strategy {
        after.strategy = strategy;
    }
    if let Some(confirm) = patch.confirm {
        after.confirm = confirm;
    }
    if let Some(follow) = patch.follow_forwards {
        after.follow_forwards = follow;
    }
    if let Some(pickup) = patch.pickup {
        after.pickup = pickup;
    }
    if let Some(otherwise) = patch.otherwise {
        after.otherwise = otherwise;
    }
    if let Some(members) = patch.members {
        after.members = members;
    }
    if is_same(&before, &after) {
        return Ok(before);
    }
    check(change, Some(&before), &after).await?;
    destinations::not_dialled(change, tenant, id, names_of(&before), names_of(&after)).await?;
    store::update(change.db(), &after).await.map_err(names::taken)?;
    names::give_up(change, tenant, &names_of(&before), &names_of(&after)).await?;
    let after = with_members(change, &after).await?;
    change.audit_of("update", Some(&before), Some(&after)).await?;
    Ok(after)
}

impl Group {
    /// What switches call it.
    fn handle(&self) -> GroupHandle {
        self.name.handle(self.id)
    }
}

impl NewGroup {
    /// What makes a group equal to this. Absent fields get the value that a new group has.
    fn into_patch(self) -> GroupPatch {
        let Self { name, number, ring_seconds, strategy, confirm, follow_forwards, pickup, otherwise, members } = self;
        GroupPatch {
            name: Some(name),
            number: Some(number),
            ring_seconds: Some(ring_seconds.unwrap_or(USUAL_RING_SECONDS)),
            strategy: Some(strategy),
            confirm: Some(confirm),
            follow_forwards: Some(follow_forwards),
            pickup: Some(pickup),
            otherwise: Some(otherwise),
            members: Some(members),
        }
    }
}

/// Makes the group of this name equal to what is wanted, or creates it.
pub async fn put(change: &mut Change, tenant: Uuid, new: NewGroup, if_match: Option<i64>) -> Result<Put<Group>> {
    change.hold(tenant).await?;
    let Some(group) = store::by_name(change.db(), tenant, &new.name).await? else {
        same_version(if_match, NOT_THERE)?;
        return create(change, tenant, new).await.map(Put::Made);
    };
    update(change, tenant, group.id, new.into_patch(), if_match).await.map(Put::Is)
}

pub async fn delete(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<()> {
    change.hold(tenant).await?;
    let before = locked(change, tenant, id, if_match).await?;
    destinations::not_in_use(change, tenant, Target::group(id), &[]).await?;
    destinations::store::set_refs(change.db(), tenant, "group", id, &[]).await?;
    store::delete(change.db(), tenant, id).await?;
    names::give_up(change, tenant, &names_of(&before), &[]).await?;
    change.audit_of("delete", Some(&before), None).await
}

async fn with_members(change: &mut Change, group: &Group) -> Result<Group> {
    store::set_members(change.db(), group).await?;
    let leads = group.otherwise.into_iter().collect::<Vec<_>>();
    destinations::lead(change, group.tenant_id, Source::Group(group.id), &leads, &leads).await?;
    store::get(change.db(), group.tenant_id, group.id).await?.ok_or(Error::NotFound("group"))
}

async fn locked(change: &mut Change, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<Group> {
    let group = store::lock(change.db(), tenant, id).await?.ok_or(Error::NotFound("group"))?;
    same_version(if_match, group.version)?;
    Ok(group)
}

fn names_of(group: &Group) -> Vec<String> {
    let mut names = vec![group.handle().to_string()];
    names.extend(group.number.as_ref().map(ToString::to_string));
    names
}

async fn check(change: &mut Change, before: Option<&Group>, group: &Group) -> Result<()> {
    if !(5..=300).contains(&group.ring_seconds) {
        return Err(Error::invalid("ring_seconds", Code::range(5, 300)));
    }
    if group.members.len() > MAX_MEMBERS {
        return Err(Error::invalid("members", Code::at_most(MAX_MEMBERS)));
    }
    let distinct = group.members.iter().collect::<std::collections::HashSet<_>>();
    if distinct.len() != group.members.len() {
        return Err(Error::invalid("members", Code::NamesExtensionTwice));
    }
    let unknown = store::unknown_extensions(change.db(), group.tenant_id, &group.members).await?;
    if let Some(unknown) = unknown.first() {
        return Err(Error::invalid("members", Code::NamesNoExtension.with("id", unknown)));
    }
    if let Some(other) =
        store::by_name(change.db(), group.tenant_id, &group.name).await?.filter(|one| one.id != group.id)
    {
        let why = Code::NameTakenBy.with("name", &group.name).with("kind", "group").with("id", other.id);
        return Err(Error::taken(why, UsedKind::Group, other.id, &other.name));
    }
    let wanted = names_of(group);
    destinations::not_reserved(change, group.tenant_id, &wanted).await?;
    let had = before.map(names_of).unwrap_or_default();
    names::may_have(change, group.tenant_id, &had, &wanted, group.id).await
}

impl Audited for Group {
    fn tenant(&self) -> Option<Uuid> {
        Some(self.tenant_id)
    }

    fn resource(&self) -> String {
        format!("groups/{}", self.id)
    }
}
