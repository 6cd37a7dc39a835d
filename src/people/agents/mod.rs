//! Agents: people of a tenant with extensions of their own. User and extensions are created, suspended and deleted together.

pub mod api;
pub mod bulk;
mod edit;
pub mod file;
mod put;
pub mod store;

pub use self::{
    edit::{add_extension, delete, detach, invite_again, update},
    put::put,
};

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::user::UserStatus,
    model::{
        error::{Error, Result},
        language::Language,
    },
    node::changes::{Audit, Change},
    telephony::{
        extensions::{self, Extension, ExtensionStatus, Free, Owner, Sealed, store::NewRows},
        numbers::NumberStatus,
        pools,
    },
    tenancy::{
        auth::{
            one_time::{self, Purpose},
            rules::Role,
        },
        mail::{self, Message},
        tenants::{self, templates},
        users::{self, User},
    },
    text::{Code, DisplayName, Email, ExtensionNumber, SipSecret, VoicemailPin},
};

/// The most extensions of an agent.
pub const MOST_EXTENSIONS: usize = 5;

/// An agent's extension, without its secrets.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AgentExtension {
    pub id: Uuid,
    pub number: String,
    pub sip_username: String,
    pub status: ExtensionStatus,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Agent {
    #[serde(flatten)]
    pub user: User,
    pub extensions: Vec<AgentExtension>,
    /// The phone numbers that they call out with, if a list is asked for them by `expand=numbers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<OwnNumber>>,
}

/// A phone number that an agent calls out with.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OwnNumber {
    pub id: Uuid,
    /// As E.164.
    pub number: String,
    pub status: NumberStatus,
    /// How many calls a day may show it.
    pub daily_limit: i32,
}

/// A new extension. Its secrets are shown only now.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NewPhone {
    pub id: Uuid,
    pub number: String,
    pub sip_username: String,
    pub sip_password: String,
    pub domain: String,
    pub display_name: String,
    pub voicemail_pin: String,
    #[serde(default = "active")]
    #[schema(required = true)]
    pub status: ExtensionStatus,
}

fn active() -> ExtensionStatus {
    ExtensionStatus::Active
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct CreatedAgent {
    #[serde(flatten)]
    pub user: User,
    pub extensions: Vec<NewPhone>,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    pub first_name: DisplayName,
    pub last_name: DisplayName,
    pub email: Email,
    /// Their role; `agent` if absent. Nobody can create somebody with more rights than they have themselves.
    #[serde(default = "agent")]
    pub role: Role,
    pub language: Option<Language>,
    /// How many extensions, 1 to 5; 1 if absent. They get the lowest free numbers.
    pub extensions_count: Option<usize>,
    /// Instead of the lowest free numbers: numbers in the tenant's pools, or of extensions without an agent.
    pub numbers: Option<Vec<ExtensionNumber>>,
}

fn agent() -> Role {
    Role::Agent
}

/// A merge patch: absent fields stay as they are.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentPatch {
    pub first_name: Option<DisplayName>,
    pub last_name: Option<DisplayName>,
    pub email: Option<Email>,
    pub role: Option<Role>,
    #[serde(default, deserialize_with = "crate::model::patch::patch")]
    #[schema(value_type = Option<Language>)]
    pub language: Option<Option<Language>>,
    /// If `suspended`, they can't sign in, and their phones are refused at the next REGISTER or INVITE.
    pub status: Option<UserStatus>,
    pub two_factor_required: Option<bool>,
    /// The numbers of all extensions that they have from now on, 1 to 5. They may be their own or of extensions without an agent.
    /// One that is left out no longer has an agent, and gets a new SIP password and PIN.
    pub extensions: Option<Vec<ExtensionNumber>>,
}

/// Who creates agents, which decides whom they may create.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    /// The URL with which links in mails begin.
    pub public_url: &'a str,
    pub role: Role,
    /// Whether this is a key with limited scopes. It must not create or change anybody who may do more than it.
    pub is_scoped: bool,
    /// Called after each agent, for those who wait for many.
    pub on_made: Option<&'a (dyn Fn() + Sync)>,
}

impl<'a> Maker<'a> {
    #[must_use]
    pub fn new(public_url: &'a str, role: Role) -> Self {
        Self { public_url, role, is_scoped: false, on_made: None }
    }

    fn may_grant(self, role: Role) -> bool {
        self.role.may_grant(role) && (!self.is_scoped || role == Role::Agent)
    }
}

impl NewAgent {
    /// How many extensions to create besides those with given numbers.
    fn count(&self) -> Result<usize> {
        let wanted = self.numbers.as_ref().map_or(0, Vec::len);
        let count = match (self.extensions_count, wanted) {
            (None, 0) => 1,
            (None, wanted) => wanted,
            (Some(count), 0) => count,
            (Some(count), wanted) if count == wanted => count,
            (Some(_), _) => return Err(Error::invalid("extensions_count", Code::CountDiffers)),
        };
        if !(1..=MOST_EXTENSIONS).contains(&count) {
            let field = if wanted > 0 { "numbers" } else { "extensions_count" };
            return Err(Error::invalid(field, Code::range(1, MOST_EXTENSIONS)));
        }
        Ok(count - wanted)
    }

    fn check(&self, maker: Maker<'_>) -> Result<()> {
        self.count()?;
        if !maker.may_grant(self.role) || self.role == Role::PlatformAdmin {
            return Err(Error::invalid("role", Code::RoleAboveYours));
        }
        self.full_name().map(|_| ())
    }

    fn full_name(&self) -> Result<DisplayName> {
        let name = format!("{} {}", self.first_name, self.last_name);
        DisplayName::parse(&name).map_err(|_| Error::invalid("last_name", Code::NamesTooLong))
    }

    fn email_key(&self) -> String {
        self.email.as_str().to_ascii_lowercase()
    }
}

/// The errors of lines, with their positions.
pub type Wrong = Vec<(usize, Error)>;

/// Creates agents, all or none: users, extensions with the lowest free numbers, secrets, mailboxes, and mails with a link.
///
/// `Err` names the lines that can't be created.
pub async fn create_all(
    change: &mut Change,
    maker: Maker<'_>,
    tenant: Uuid,
    new: &[NewAgent],
) -> std::result::Result<Vec<CreatedAgent>, Wrong> {
    let whole = |error: Error| vec![(0, error)];
    // Nobody else gives out this tenant's numbers meanwhile, nor makes the same person.
    change.hold(tenant).await.map_err(whole)?;
    let home = tenants::store::get(change.db(), tenant).await.map_err(|e| whole(e.into()))?;
    let home = home.ok_or_else(|| whole(Error::NotFound("tenant")))?;
    let mut wrong = check_emails(change, new).await.map_err(whole)?;
    let wanted = check_lines(change, maker, tenant, new, &mut wrong).await.map_err(whole)?;
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let counts = new.iter().map(NewAgent::count).collect::<Result<Vec<_>>>().map_err(whole)?;
    let lowest = pools::take_lowest(change, tenant, counts.iter().sum(), &wanted).await.map_err(whole)?;
    let mut lowest = lowest.into_iter();
    let mut made = Vec::with_capacity(new.len());
    for (agent, count) in new.iter().zip(counts) {
        let numbers = agent.numbers.iter().flatten().cloned().chain(lowest.by_ref().take(count)).collect::<Vec<_>>();
        made.push((agent, numbers));
    }
    insert_all(change, maker, &home, &made).await.map_err(whole)
}

/// Checks the lines and the numbers that they want. Returns those numbers.
async fn check_lines(
    change: &mut Change,
    maker: Maker<'_>,
    tenant: Uuid,
    new: &[NewAgent],
    wrong: &mut Wrong,
) -> Result<Vec<String>> {
    let mut seen = HashSet::new();
    let mut wanting = Vec::new();
    for (line, agent) in new.iter().enumerate() {
        let numbers = agent.numbers.iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
        match agent.check(maker).and_then(|()| wanted_once(&numbers, &mut seen)) {
            Err(error) => wrong.push((line, error)),
            Ok(()) if numbers.is_empty() => {}
            Ok(()) => wanting.push((line, numbers)),
        }
    }
    let wanted = seen.into_iter().collect::<Vec<_>>();
    if !wanting.is_empty() {
        let why = pools::unavailable(change, tenant, &wanted).await?;
        let refused = wanting.iter().filter_map(|(line, numbers)| {
            let error = pools::check_wanted(numbers, &why).err()?;
            Some((*line, error))
        });
        wrong.extend(refused);
    }
    Ok(wanted)
}

fn wanted_once(numbers: &[String], seen: &mut HashSet<String>) -> Result<()> {
    match numbers.iter().find(|number| !seen.insert((*number).clone())) {
        None => Ok(()),
        Some(twice) => Err(Error::from(Code::NumberWantedTwice.with("number", twice))),
    }
}

async fn check_emails(change: &mut Change, new: &[NewAgent]) -> Result<Wrong> {
    let emails = new.iter().map(NewAgent::email_key).collect::<Vec<_>>();
    // Only the platform may learn which addresses other tenants have.
    let taken = match change.author().within {
        Some(tenant) => users::store::taken_in_tenant(change.db(), tenant, &emails).await?,
        None => users::store::taken_emails(change.db(), &emails).await?,
    };
    let mut seen = taken.into_iter().collect::<HashSet<_>>();
    let mut wrong = Vec::new();
    for (line, email) in emails.into_iter().enumerate() {
        if !seen.insert(email) {
            let email = &new[line].email;
            wrong.push((line, Error::from(Code::EmailTaken.with("email", email))));
        }
    }
    Ok(wrong)
}

/// How many people one statement creates. This bounds memory, and how long the database works before it is noticed that nobody
/// waits any more.
const AT_ONCE: usize = 1_000;

/// Inserts the people first and their phones last: switches only see phones, so the tenant's generation is locked only at the
/// end.
async fn insert_all(
    change: &mut Change,
    maker: Maker<'_>,
    home: &tenants::Tenant,
    new: &[(&NewAgent, Vec<ExtensionNumber>)],
) -> Result<Vec<CreatedAgent>> {
    let usual = templates::usual(change.db(), home.id).await?;
    let wanted =
        new.iter().flat_map(|(agent, _)| agent.numbers.iter().flatten()).map(ToString::to_string).collect::<Vec<_>>();
    let free = extensions::free_among(change, home.id, &wanted).await?;
    let mut rows = Vec::new();
    let mut given = Vec::new();
    let mut created = Vec::with_capacity(new.len());
    for some in new.chunks(AT_ONCE) {
        let mut users = store::NewUsers::default();
        let mut new_rows = NewRows::default();
        let mut phones = Vec::with_capacity(some.len());
        for (agent, numbers) in some {
            let user = users.push(agent);
            let mut phones_of = Vec::with_capacity(numbers.len());
            for number in numbers {
                let whose = (&agent.full_name()?, &agent.email);
                let (phone, extension, sealed) =
                    new_phone(change, home, &usual, whose, number, free.get(number.as_str()))?;
                if let Some(free) = free.get(number.as_str()) {
                    given.push((*agent, user, free.id, sealed));
                } else {
                    new_rows.push(Extension { user_id: Some(user), ..extension }, sealed);
                }
                phones_of.push(phone);
            }
            phones.push(phones_of);
        }
        let some = some.iter().map(|(agent, _)| *agent).collect::<Vec<_>>();
        created.extend(insert_people(change, maker, home, &usual, &some, &users, phones).await?);
        rows.push(new_rows);
    }
    for rows in &rows {
        extensions::insert(change, home.id, rows).await?;
    }
    for (agent, user, id, sealed) in given {
        let to = Owner { id: user, name: &agent.full_name()?, email: &agent.email };
        extensions::give_anew(change, home.id, id, &to, &sealed).await?;
    }
    Ok(created)
}

/// New secrets, with somebody's name and address, for a new extension or for one without an agent.
fn new_phone(
    change: &Change,
    home: &tenants::Tenant,
    usual: &templates::Usual,
    (name, email): (&DisplayName, &Email),
    number: &ExtensionNumber,
    free: Option<&Free>,
) -> Result<(NewPhone, Extension, Sealed)> {
    let tenant = home.id;
    let id = free.map_or_else(Uuid::now_v7, |free| free.id);
    let (secret, pin) = (SipSecret::generate(), VoicemailPin::generate_but(&[number.as_str()]));
    let extension = Extension {
        display_name: name.clone(),
        voicemail_email: Some(email.clone()),
        ..Extension::usual(tenant, id, number.clone(), usual)?
    };
    let sealed = Sealed::new(&change.keyring(), tenant, id, &secret, &pin);
    let phone = NewPhone {
        id,
        number: number.to_string(),
        sip_username: free.map_or(&extension.sip_username, |free| &free.sip_username).to_string(),
        sip_password: secret.reveal().to_owned(),
        domain: home.domain.to_string(),
        display_name: name.to_string(),
        voicemail_pin: pin.reveal().to_owned(),
        // Only an active extension is free.
        status: extension.status,
    };
    Ok((phone, extension, sealed))
}

/// Inserts users with their links, mails and audit entries.
async fn insert_people(
    change: &mut Change,
    maker: Maker<'_>,
    home: &tenants::Tenant,
    usual: &templates::Usual,
    new: &[&NewAgent],
    rows: &store::NewUsers,
    phones: Vec<Vec<NewPhone>>,
) -> Result<Vec<CreatedAgent>> {
    store::insert_users(change.db(), home.id, rows).await.map_err(users::taken)?;
    let made = store::users(change.db(), home.id, &rows.ids).await?;
    let links = one_time::links(change, maker.public_url, &rows.ids, Purpose::Welcome).await?;
    let mails = new.iter().zip(&made).zip(&links).map(|((agent, user), link)| {
        let message = Message::Welcome { name: &user.first_name, tenant: home.name.as_str(), link };
        (&agent.email, user.language.unwrap_or(usual.language), message)
    });
    mail::queue_all(change, Some(home.id), mails).await?;
    let entries = made.iter().zip(&phones).map(|(user, extensions)| {
        let numbers = extensions.iter().map(|phone| phone.number.as_str()).collect::<Vec<_>>();
        let after = Some(serde_json::json!({ "user": user, "extensions": numbers }));
        let resource = format!("agents/{}", user.id);
        Audit { tenant: Some(home.id), action: "create", resource, before: None, after }
    });
    change.audit_all(entries).await?;
    let created = made.into_iter().zip(phones).map(|(user, extensions)| {
        maker.on_made.inspect(|on_made| on_made());
        CreatedAgent { user, extensions }
    });
    Ok(created.collect())
}

/// Creates one agent.
pub async fn create(change: &mut Change, maker: Maker<'_>, tenant: Uuid, new: NewAgent) -> Result<CreatedAgent> {
    let made = create_all(change, maker, tenant, &[new]).await;
    let made = made.map_err(|wrong| wrong.into_iter().next().map_or(Error::NotFound("agent"), |(_, error)| error))?;
    made.into_iter().next().ok_or(Error::NotFound("agent"))
}
