//! Changing agents: their names and addresses, role, status and extensions; and deleting them.

use uuid::Uuid;

use super::{Agent, AgentPatch, MOST_EXTENSIONS, Maker, NewPhone, new_phone, store};
use crate::{
    model::error::{Error, Result, same_version},
    model::same::is_same,
    model::user::UserStatus,
    node::changes::{Audit, Change},
    telephony::{
        extensions::{self, Extension, Owner, store::NewRows},
        groups, pools,
    },
    tenancy::{
        auth::{
            one_time::{self, Purpose},
            rules::Role,
            store::end_sessions,
        },
        mail::{self, Message},
        tenants::{self, templates},
        users::{self, User},
    },
    text::{Code, DisplayName, Email, ExtensionNumber},
};

pub async fn update(
    change: &mut Change,
    maker: Maker<'_>,
    tenant: Uuid,
    id: Uuid,
    patch: AgentPatch,
    if_match: Option<i64>,
) -> Result<Agent> {
    change.hold(tenant).await?;
    let before = locked(change, maker, tenant, id, if_match).await?;
    let mut after = before.clone();
    if let Some(name) = patch.first_name {
        after.first_name = name.to_string();
    }
    if let Some(name) = patch.last_name {
        after.last_name = name.to_string();
    }
    if let Some(language) = patch.language {
        after.language = language;
    }
    if let Some(required) = patch.two_factor_required {
        if before.two_factor_required && !required && maker.role != Role::PlatformAdmin {
            return Err(Error::from(Code::SecondFactorStaysRequired));
        }
        after.two_factor_required = required;
    }
    if let Some(role) = patch.role.filter(|role| *role != before.role) {
        if !maker.may_grant(role) {
            return Err(Error::invalid("role", Code::RoleAboveYours));
        }
        after.role = role;
    }
    let new_email = patch.email.filter(|email| *email.as_str() != before.email);
    if let Some(email) = &new_email {
        after.email = email.to_string();
    }
    if let Some(status) = patch.status {
        // Somebody who never chose a password is still invited.
        let chose = store::has_password(change.db(), tenant, id).await?;
        after.status = match status {
            UserStatus::Suspended => UserStatus::Suspended,
            UserStatus::Active | UserStatus::Invited if chose => UserStatus::Active,
            UserStatus::Active | UserStatus::Invited => UserStatus::Invited,
        };
    }
    if is_same(&before, &after) {
        let is = store::with_extensions(change.db(), tenant, before.clone()).await?;
        let sorted = |numbers: &mut dyn Iterator<Item = &str>| {
            let mut numbers = numbers.map(str::to_owned).collect::<Vec<_>>();
            numbers.sort_unstable();
            numbers
        };
        let has = sorted(&mut is.extensions.iter().map(|extension| extension.number.as_str()));
        let same = |wanted: &Vec<_>| sorted(&mut wanted.iter().map(ExtensionNumber::as_str)) == has;
        if patch.extensions.as_ref().is_none_or(|wanted| !wanted.is_empty() && same(wanted)) {
            return Ok(is);
        }
    }
    keep_an_owner(change, tenant, &before, after.role, after.status).await?;
    let (old_name, new_name) = (full_name(&before), full_name(&after));
    if old_name != new_name && DisplayName::parse(&new_name).is_err() {
        return Err(Error::invalid("last_name", Code::NamesTooLong));
    }
    let after = users::store::update(change.db(), &after).await.map_err(users::taken)?;
    if old_name != new_name || before.email != after.email {
        let emails = (&*before.email, &*after.email);
        store::extensions_follow(change.db(), tenant, id, (&old_name, &new_name), emails).await?;
    }
    if (before.status == UserStatus::Suspended) != (after.status == UserStatus::Suspended) {
        suspend(change, tenant, id, after.status == UserStatus::Suspended).await?;
    }
    if let Some(wanted) = patch.extensions {
        set_extensions(change, tenant, &after, &wanted).await?;
    }
    if new_email.is_some() || before.role != after.role {
        end_sessions(change.db(), id, None).await?;
    }
    if let Some(email) = new_email {
        new_address(change, maker, tenant, &after, &email).await?;
    }
    let resource = format!("agents/{id}");
    let json = |user: &User| serde_json::to_value(user).ok();
    change
        .audit(Audit { tenant: Some(tenant), action: "update", resource, before: json(&before), after: json(&after) })
        .await?;
    Ok(store::with_extensions(change.db(), tenant, after).await?)
}

/// Gives the agent the wanted extensions and takes the others back.
async fn set_extensions(change: &mut Change, tenant: Uuid, agent: &User, wanted: &[ExtensionNumber]) -> Result<()> {
    if !(1..=MOST_EXTENSIONS).contains(&wanted.len()) {
        return Err(Error::invalid("extensions", Code::range(1, MOST_EXTENSIONS)));
    }
    if let Some((_, twice)) = wanted.iter().enumerate().find(|(at, number)| wanted[..*at].contains(number)) {
        return Err(Code::NumberWantedTwice.with("number", twice).into());
    }
    let has = store::extensions_of(change.db(), tenant, &[agent.id]).await?;
    for (_, extension) in has.iter().filter(|(_, has)| !wanted.iter().any(|number| *number.as_str() == has.number)) {
        extensions::give_back(change, tenant, extension.id).await?;
    }
    let name = DisplayName::parse(&full_name(agent)).map_err(|_| Error::invalid("last_name", Code::NamesTooLong))?;
    let email = Email::parse(&agent.email).map_err(|error| Error::invalid("email", error))?;
    let to = Owner { id: agent.id, name: &name, email: &email };
    for number in wanted.iter().filter(|number| !has.iter().any(|(_, has)| *number.as_str() == has.number)) {
        if agent.status == UserStatus::Suspended {
            return Err(Code::AgentSuspended.with("agent", &name).into());
        }
        extensions::give(change, tenant, number, &to).await?;
    }
    Ok(())
}

/// Gives an agent one extension more, with new secrets that are shown once: of this number, which one of the tenant's pools or an
/// extension that is nobody's has, or else of the lowest free number.
pub async fn add_extension(
    change: &mut Change,
    maker: Maker<'_>,
    tenant: Uuid,
    id: Uuid,
    number: Option<ExtensionNumber>,
) -> Result<NewPhone> {
    let agent = locked(change, maker, tenant, id, None).await?;
    let name = DisplayName::parse(&full_name(&agent)).map_err(|_| Error::invalid("last_name", Code::NamesTooLong))?;
    let email = Email::parse(&agent.email).map_err(|error| Error::invalid("email", error))?;
    if agent.status == UserStatus::Suspended {
        return Err(Code::AgentSuspended.with("agent", &name).into());
    }
    change.hold(tenant).await?;
    if store::extensions_of(change.db(), tenant, &[id]).await?.len() >= MOST_EXTENSIONS {
        return Err(Error::invalid("extensions", Code::range(1, MOST_EXTENSIONS)));
    }
    let number = match number {
        Some(number) => {
            let wanted = [number.to_string()];
            pools::check_wanted(&wanted, &pools::unavailable(change, tenant, &wanted).await?)?;
            number
        }
        None => pools::take_lowest(change, tenant, 1, &[]).await?.pop().ok_or(Error::NotFound("number"))?,
    };
    let home = tenants::store::get(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let usual = templates::usual(change.db(), tenant).await?;
    let free = extensions::free_among(change, tenant, &[number.to_string()]).await?;
    let free = free.get(number.as_str());
    let (phone, extension, sealed) = new_phone(change, &home, &usual, (&name, &email), &number, free)?;
    if let Some(free) = free {
        extensions::give_anew(change, tenant, free.id, &Owner { id, name: &name, email: &email }, &sealed).await?;
        return Ok(phone);
    }
    let mut rows = NewRows::default();
    rows.push(Extension { user_id: Some(id), ..extension }, sealed);
    extensions::insert(change, tenant, &rows).await?;
    let made = extensions::store::get(change.db(), tenant, phone.id).await?.ok_or(Error::NotFound("extension"))?;
    change.audit_of("create", None, Some(&made)).await?;
    Ok(phone)
}

/// The name as phones show it.
fn full_name(user: &User) -> String {
    format!("{} {}", user.first_name, user.last_name)
}

/// Changes the address. Links in mails to the old address stop working.
async fn new_address(change: &mut Change, maker: Maker<'_>, tenant: Uuid, after: &User, email: &Email) -> Result<()> {
    store::drop_links(change.db(), after.id).await?;
    let usual = templates::usual(change.db(), tenant).await?;
    let language = after.language.unwrap_or(usual.language);
    if store::has_password(change.db(), tenant, after.id).await? {
        let link = one_time::link(change, maker.public_url, after.id, Purpose::Verify).await?;
        let message = Message::VerifyEmail { name: &after.first_name, link: &link };
        return mail::queue(change, Some(tenant), email, language, &message).await;
    }
    // Somebody who never chose a password is invited again at the new address.
    let home = tenants::store::get(change.db(), tenant).await?.ok_or(Error::NotFound("tenant"))?;
    let link = one_time::link(change, maker.public_url, after.id, Purpose::Welcome).await?;
    let message = Message::Welcome { name: &after.first_name, tenant: home.name.as_str(), link: &link };
    mail::queue(change, Some(tenant), email, language, &message).await
}

/// Sends the invitation again, if it was not accepted yet. The earlier link stops working.
pub async fn invite_again(change: &mut Change, maker: Maker<'_>, tenant: Uuid, id: Uuid) -> Result<()> {
    change.hold(tenant).await?;
    let user = locked(change, maker, tenant, id, None).await?;
    if user.status != UserStatus::Invited {
        return Err(Error::from(Code::NotInvited));
    }
    let email = Email::parse(&user.email).map_err(|error| Error::invalid("email", error))?;
    new_address(change, maker, tenant, &user, &email).await?;
    let resource = format!("agents/{id}");
    change.audit(Audit { tenant: Some(tenant), action: "invite", resource, before: None, after: None }).await
}

async fn suspend(change: &mut Change, tenant: Uuid, id: Uuid, suspended: bool) -> Result<()> {
    store::set_extension_status(change.db(), tenant, id, suspended).await?;
    if suspended {
        end_sessions(change.db(), id, None).await?;
    }
    Ok(())
}

async fn keep_an_owner(change: &mut Change, tenant: Uuid, before: &User, role: Role, status: UserStatus) -> Result<()> {
    let stays = role == Role::Owner && status != UserStatus::Suspended;
    if before.role != Role::Owner || stays {
        return Ok(());
    }
    if users::store::other_owners(change.db(), tenant, before.id).await? == 0 {
        return Err(Error::from(Code::LastOwner));
    }
    Ok(())
}

/// Takes an agent's extensions out of the groups and queues that ring them.
pub async fn detach(change: &mut Change, tenant: Uuid, id: Uuid) -> Result<()> {
    change.hold(tenant).await?;
    let phones = store::extensions_of(change.db(), tenant, &[id]).await?;
    let ids = phones.into_iter().map(|(_, phone)| phone.id).collect::<Vec<_>>();
    groups::detach(change, tenant, &ids).await
}

/// Deletes an agent. The extensions are gone on every switch, and their numbers rest.
pub async fn delete(
    change: &mut Change,
    maker: Maker<'_>,
    tenant: Uuid,
    id: Uuid,
    if_match: Option<i64>,
) -> Result<()> {
    change.hold(tenant).await?;
    let before = locked(change, maker, tenant, id, if_match).await?;
    keep_an_owner(change, tenant, &before, Role::Agent, before.status).await?;
    let phones = store::extensions_of(change.db(), tenant, &[id]).await?;
    let ids = phones.into_iter().map(|(_, phone)| phone.id).collect::<Vec<_>>();
    extensions::delete_together(change, tenant, &ids).await?;
    users::store::delete(change.db(), tenant, id).await?;
    let before = serde_json::to_value(&before).ok();
    let resource = format!("agents/{id}");
    change.audit(Audit { tenant: Some(tenant), action: "delete", resource, before, after: None }).await
}

async fn locked(change: &mut Change, maker: Maker<'_>, tenant: Uuid, id: Uuid, if_match: Option<i64>) -> Result<User> {
    // If two owners delete each other at once, the second waits here and sees what the first did.
    change.hold(tenant).await?;
    let user = users::store::lock(change.db(), Some(tenant), id).await?.ok_or(Error::NotFound("agent"))?;
    if !maker.may_grant(user.role) {
        return Err(Error::from(Code::RoleNotYours));
    }
    same_version(if_match, user.version)?;
    Ok(user)
}
