//! Onboarding: creates a working tenant from a template, in one transaction.

pub mod api;
mod put;
pub mod sign_up;
mod store;

pub use self::put::put;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    http::labels::Labelled,
    model::user::UserStatus,
    model::{
        error::{Error, Result},
        language::Language,
        settings::Settings,
    },
    node::changes::{Audit, Change},
    telephony::{destinations, dialplan::limits, pools},
    tenancy::{
        auth::{
            one_time::{self, Purpose},
            rules::Role,
            store as auth_store,
        },
        clusters,
        mail::{self, Message},
        tenants::{
            self, NewTenant, Tenant,
            templates::{self, DEFAULT_TEMPLATE},
        },
        users,
    },
    text::{Code, DialNumber, DisplayName, Domain, Email, SipSecret, keyring::Place},
};

/// The owner of a new tenant.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOwner {
    pub first_name: DisplayName,
    pub last_name: DisplayName,
    pub email: Email,
    /// The tenant's language if absent.
    pub language: Option<Language>,
}

/// A new tenant with everything it starts with.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenancy {
    /// The domain if absent.
    pub name: Option<DisplayName>,
    /// Its SIP domain, which is also the name of its dialplan context.
    pub domain: Domain,
    /// Also take a domain that another tenant had recently.
    #[serde(default)]
    pub reuse: bool,
    /// The template to use; `default` if absent.
    pub template: Option<String>,
    /// Places it on the least filled cluster of this region that has an active switch. Any region if absent. Only while the whole platform
    /// has no active switch does a cluster without one count: the first tenant may come before the first switch.
    pub region: Option<String>,
    /// Places it on this cluster, also if the cluster has no active switch yet.
    pub cluster_id: Option<Uuid>,
    /// For tests: nothing is dialled or mailed outside, **not even a call to an emergency number**, and calls may be played
    /// (`POST /v1/sandbox/calls`). It never changes.
    pub sandbox: Option<bool>,
    /// Gets a mail with a link to choose a password.
    pub owner: Option<NewOwner>,
    /// A merge patch over the template's settings.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Value>,
}

impl NewTenancy {
    /// From the default template, without an owner.
    #[must_use]
    pub fn plain(name: Option<DisplayName>, domain: Domain) -> Self {
        Self {
            name,
            domain,
            reuse: false,
            template: None,
            region: None,
            cluster_id: None,
            sandbox: None,
            owner: None,
            settings: None,
        }
    }
}

/// The answer when a tenant is created.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Tenancy {
    #[serde(flatten)]
    pub tenant: Tenant,
    pub owner: Option<users::User>,
    #[serde(flatten)]
    pub setup: Setup,
}

/// What a tenant starts with: its pools, and what is not set up yet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Setup {
    #[schema(value_type = Vec<pools::Pool>)]
    pub pools: Vec<Labelled<pools::Pool>>,
    pub number_requests: Vec<NumberRequest>,
    pub channels: Vec<Channel>,
    pub integrations: Vec<Integration>,
}

/// A phone number that the tenant is waiting for, with the SIP account that its calls will use.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NumberRequest {
    pub id: Uuid,
    pub country: String,
    pub status: String,
    pub sip_username: String,
    /// Shown once, when it is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_password: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// A channel besides calls; inactive until it is set up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Channel {
    pub id: Uuid,
    pub kind: String,
    pub status: String,
    #[schema(value_type = Object)]
    pub config: Value,
}

/// An integration with another system; inactive until it is set up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Integration {
    pub id: Uuid,
    pub kind: String,
    pub name: String,
    pub status: String,
    #[schema(value_type = Object)]
    pub config: Value,
}

/// Creates a tenant with everything it needs. `password_hash` is set if the owner has confirmed the address and chosen a password.
///
/// `public_url` is the beginning of links in mails.
pub async fn create(
    public_url: &str,
    change: &mut Change,
    new: NewTenancy,
    password_hash: Option<&str>,
) -> Result<Tenancy> {
    let template = templates::of(change, new.template.as_deref().unwrap_or(DEFAULT_TEMPLATE)).await?;
    let settings = match &new.settings {
        None => template.settings.clone(),
        Some(patch) => template.settings.patched(patch).map_err(templates::wrong_setting)?,
    };
    settings.need_features(None).map_err(templates::wrong_setting)?;
    templates::known_to_database(change, &settings).await?;
    let cluster = match new.cluster_id {
        Some(cluster) => {
            clusters::check_room(change, cluster).await?;
            cluster
        }
        None => clusters::choose(change, new.region.as_deref()).await?,
    };
    let from = tenants::From {
        cluster,
        template: template.name.to_string(),
        template_version: template.version,
        settings: serde_json::to_value(&settings).unwrap_or_default(),
    };
    let sandbox = new.sandbox.unwrap_or_default();
    let row = NewTenant { name: new.name, domain: new.domain, reuse: new.reuse, sandbox };
    let tenant = tenants::create(change, row, &from).await?;
    let ordinal = tenants::store::ordinal(change.db(), tenant.id).await?;
    let (first_number, last_number) = pools::default_range(ordinal, pool_size(&from.settings));
    let pool = pools::create(change, tenant.id, pools::NewPool { first_number, last_number }).await?;
    let number_requests = vec![request_number(change, tenant.id, &from.settings).await?];
    let channels = make_channels(change, tenant.id, &settings).await?;
    let integrations = make_integrations(change, tenant.id, &from.settings).await?;
    let owner = match new.owner {
        None => None,
        Some(owner) => {
            Some(make_owner(public_url, change, &tenant, owner, password_hash, language(&from.settings)).await?)
        }
    };
    let setup = Setup { pools: vec![Labelled::plain(pool)], number_requests, channels, integrations };
    Ok(Tenancy { tenant, owner, setup })
}

/// The language in a tenant's settings.
#[must_use]
pub fn language(settings: &Value) -> Language {
    settings.get("language").and_then(|language| serde_json::from_value(language.clone()).ok()).unwrap_or_default()
}

fn pool_size(settings: &Value) -> i64 {
    settings.pointer("/calling/pool_size").and_then(Value::as_i64).unwrap_or(pools::DEFAULT_SIZE)
}

/// Creates the channels named in the settings, inactive. Voice is always there, those of messaging where the tenant may use them.
async fn make_channels(change: &mut Change, tenant: Uuid, settings: &Settings) -> Result<Vec<Channel>> {
    let of_messaging = settings.messaging.channels.iter().filter(|_| settings.features.messaging);
    let mut channels = Vec::new();
    for kind in std::iter::once("voice").chain(of_messaging.map(|kind| kind.as_str())) {
        channels.push(store::insert_channel(change.db(), tenant, kind).await?);
    }
    Ok(channels)
}

/// Creates the integrations named in the settings, inactive.
async fn make_integrations(change: &mut Change, tenant: Uuid, settings: &Value) -> Result<Vec<Integration>> {
    let mut integrations = Vec::new();
    for named in settings.get("integrations").and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| named.get(field).and_then(Value::as_str).unwrap_or_default();
        let config = named.get("config").cloned().unwrap_or_else(|| serde_json::json!({}));
        let made = store::insert_integration(change.db(), tenant, text("kind"), text("name"), &config).await?;
        integrations.push(made);
    }
    Ok(integrations)
}

/// Changes a tenant's settings by a merge patch (RFC 7396). The result must be valid, and agree with the tenant's names and the limits
/// of its routing data.
pub async fn change_settings(
    change: &mut Change,
    tenant: Uuid,
    patch: &Value,
    if_match: Option<i64>,
) -> Result<(Settings, i64)> {
    let changed = templates::patch_settings(change, tenant, patch, if_match).await?;
    destinations::none_reserved(change, tenant).await?;
    let had = changed.before.pointer("/routing/speed_dials").and_then(Value::as_object).into_iter().flatten();
    let had = had.filter_map(|(_, number)| number.as_str()).collect::<Vec<_>>();
    let has = changed.after.routing.speed_dials.values().map(DialNumber::as_str);
    destinations::none_rests(change, tenant, had, has).await?;
    if limits::is_longer(&changed.before, &changed.after) {
        limits::plan_fits(change, tenant, "settings").await?;
    }
    Ok((changed.after, changed.version))
}

async fn request_number(change: &mut Change, tenant: Uuid, settings: &Value) -> Result<NumberRequest> {
    let id = Uuid::now_v7();
    let secret = SipSecret::generate();
    let sealed =
        change.keyring().seal(Place { column: "number_requests.sip_secret", tenant, row: id }, secret.reveal());
    let request = NumberRequest {
        id,
        country: settings.get("country").and_then(Value::as_str).unwrap_or("US").to_owned(),
        status: "pending".into(),
        // The last digits of an id of version 7 are random.
        sip_username: format!("did-{}", &id.simple().to_string()[20..]),
        sip_password: Some(secret.reveal().to_owned()),
        created_at: Utc::now(),
    };
    store::insert_number_request(change.db(), tenant, &request, &sealed).await?;
    Ok(request)
}

async fn make_owner(
    public_url: &str,
    change: &mut Change,
    tenant: &Tenant,
    new: NewOwner,
    password_hash: Option<&str>,
    tenants_language: Language,
) -> Result<users::User> {
    let id = Uuid::now_v7();
    let row = users::store::NewRow {
        id,
        tenant: Some(tenant.id),
        email: new.email.as_str(),
        first_name: new.first_name.as_str(),
        last_name: new.last_name.as_str(),
        role: Role::Owner,
        status: UserStatus::Invited,
        language: new.language,
        password_hash,
    };
    if password_hash.is_none() {
        // Platform administrators may see all addresses, so they are told if one has an account.
        let key = new.email.as_str().to_ascii_lowercase();
        if !users::store::taken_emails(change.db(), &[key]).await?.is_empty() {
            return Err(Error::from(Code::ThisEmailTaken));
        }
    }
    users::store::insert(change.db(), &row).await.map_err(users::taken)?;
    if password_hash.is_some() {
        auth_store::verify_email(change.db(), id).await?;
    } else {
        let language = new.language.unwrap_or(tenants_language);
        let link = one_time::link(change, public_url, id, Purpose::Welcome).await?;
        let message = Message::Welcome { name: new.first_name.as_str(), tenant: tenant.name.as_str(), link: &link };
        mail::queue(change, Some(tenant.id), &new.email, language, &message).await?;
    }
    let user = users::store::get(change.db(), Some(tenant.id), id).await?.ok_or(Error::NotFound("user"))?;
    let after = serde_json::to_value(&user).ok();
    let resource = format!("users/{id}");
    change.audit(Audit { tenant: Some(tenant.id), action: "create", resource, before: None, after }).await?;
    Ok(user)
}
