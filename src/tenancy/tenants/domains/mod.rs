//! The domains that a tenant had before. For a while they work beside its new one, so that phones can be changed one by one. Whoever has to
//! change one is told. When the time is over, `give_up_domains` (a trigger) has switches forget what they keep there.

pub mod store;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    model::error::{Error, Result},
    node::changes::{self, Audit, Author, Change, Changes},
    tenancy::mail::{self, Message},
    text::{Code, DisplayName, Domain},
};

/// For how many days a tenant keeps its former domain if nobody says otherwise.
pub const USUAL_DAYS: u16 = 30;
const MOST_DAYS: u16 = 365;
/// The most former domains of a tenant: a call tries its phone at each of them.
const MOST: usize = 4;

/// A domain that a tenant had before, and at which its phones may still register and call.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FormerDomain {
    pub domain: Domain,
    /// Since when the tenant has had another one.
    pub since: DateTime<Utc>,
    /// Until when this one works.
    pub until: DateTime<Utc>,
    /// The extensions whose phones signed in here since, as far as known, latest first; at most 1000. A phone that has been changed
    /// is not seen here any more.
    pub phones: Vec<LatePhone>,
}

/// An extension of which a phone still uses a former domain.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LatePhone {
    pub extension_id: Uuid,
    pub number: String,
    pub display_name: DisplayName,
    /// When it last registered there, give or take an hour.
    pub last_seen_at: DateTime<Utc>,
}

/// A tenant that gets another domain.
pub struct Renamed<'a> {
    pub tenant: Uuid,
    pub name: &'a DisplayName,
    pub from: &'a Domain,
    pub to: &'a Domain,
    /// For how many days the former one still works.
    pub days: u16,
}

/// Keeps the domain that the tenant has now. Call this before it gets the other one.
pub async fn keep(change: &mut Change, renamed: &Renamed<'_>) -> Result<()> {
    if renamed.days > MOST_DAYS {
        return Err(Error::invalid("keep_former_days", Code::range(0, MOST_DAYS)));
    }
    if renamed.days == 0 {
        return Ok(());
    }
    let kept = store::names(change.db(), renamed.tenant).await?;
    if kept.iter().filter(|domain| *domain != renamed.to).count() >= MOST {
        return Err(Error::from(Code::FormerDomainsFull.with("most", MOST)));
    }
    store::insert(change.db(), renamed.tenant, renamed.from, i32::from(renamed.days)).await?;
    Ok(())
}

/// Completes a change of domain: the new one is no former one any more, and those who have phones are told.
pub async fn tell(change: &mut Change, renamed: &Renamed<'_>) -> Result<()> {
    store::delete(change.db(), renamed.tenant, renamed.to).await?;
    let until = store::until(change.db(), renamed.tenant, renamed.from).await?;
    let until = until.map(|until| until.format("%Y-%m-%d").to_string());
    let people = store::people(change.db(), renamed.tenant).await?;
    let mails = people.iter().map(|person| {
        let message = Message::DomainChanged {
            name: &person.first_name,
            tenant: renamed.name.as_str(),
            from: renamed.from.as_str(),
            to: renamed.to.as_str(),
            until: until.as_deref(),
        };
        (&person.email, person.language, message)
    });
    mail::queue_all(change, Some(renamed.tenant), mails).await
}

/// Ends the time of a former domain. Phones that still use it are refused from now on.
pub async fn end(change: &mut Change, tenant: Uuid, domain: &Domain) -> Result<()> {
    change.hold(tenant).await?;
    if !store::delete(change.db(), tenant, domain).await? {
        return Err(Error::NotFound("former domain"));
    }
    let resource = format!("tenants/{tenant}/former-domains/{domain}");
    change.audit(Audit { tenant: Some(tenant), action: "delete", resource, before: None, after: None }).await
}

/// Ends those whose time is over.
pub async fn end_due(changes: &Changes) -> Result<()> {
    for (tenant, domain) in store::due(changes.pool()).await? {
        match changes::again(|| end_one(changes, tenant, &domain)).await {
            Ok(()) => tracing::info!(%tenant, %domain, "a tenant's former domain has ended"),
            // Another node was quicker.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn end_one(changes: &Changes, tenant: Uuid, domain: &Domain) -> Result<()> {
    let mut change = changes.begin(Author { name: "domains".into(), source: None, within: None }).await?;
    end(&mut change, tenant, domain).await?;
    change.commit().await.map(|_| ())
}
