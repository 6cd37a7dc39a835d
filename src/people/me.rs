//! `/v1/auth/me`: who the caller is, and what their softphone needs.

use actix_web::{
    get,
    web::{Data, Json},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    http::problem::Problem,
    model::{error::Error, language::Language},
    telephony::extensions,
    tenancy::{
        Api,
        auth::{actor::Actor, rules::Role, store},
        clusters::{self, IceServer},
        keys, tenants,
    },
    text::keyring::Place,
};

/// Everything that an agent's softphone needs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Me {
    /// `null` for a key.
    pub user: Option<MyUser>,
    /// The key that asks; `null` for a person.
    pub key: Option<MyKey>,
    /// `null` for the platform.
    pub tenant: Option<MyTenant>,
    pub roles: Vec<Role>,
    pub extensions: Vec<MyExtension>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MyUser {
    pub id: Uuid,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub language: Option<Language>,
    pub two_factor: bool,
    pub two_factor_required: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MyKey {
    pub id: Uuid,
    pub name: String,
    /// The beginning of the key, to tell keys apart.
    pub prefix: String,
    pub scopes: Vec<String>,
    pub origins: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MyTenant {
    pub id: Uuid,
    pub name: String,
    pub domain: String,
    /// Domains that still work for a while. Phones that are set to one of them have to be changed to `domain`.
    pub former_domains: Vec<MyFormerDomain>,
    /// The URL that softphones connect to.
    pub websocket_url: Option<String>,
    pub ice_servers: Vec<IceServer>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MyFormerDomain {
    pub domain: String,
    /// Until when it works.
    pub until: DateTime<Utc>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MyExtension {
    pub id: Uuid,
    pub number: String,
    pub sip_username: String,
    pub sip_password: String,
    pub domain: String,
    pub display_name: String,
    pub websocket_url: Option<String>,
    pub ice_servers: Vec<IceServer>,
}

/// Show who you are, and what your softphone needs
///
/// A key is shown with its scopes. Nobody but a person themselves is ever shown their SIP passwords again.
#[utoipa::path(tag = "auth", responses((status = 200, body = Me)))]
#[get("/v1/auth/me")]
pub async fn me(api: Data<Api>, actor: Actor) -> Result<Json<Me>, Problem> {
    let mut answer = Me { user: None, key: None, tenant: None, roles: vec![actor.role], extensions: Vec::new() };
    let tenant = if let Ok(user) = actor.user() {
        let account = store::account(api.pool(), user).await?.ok_or_else(Problem::unauthorized)?;
        answer.roles = vec![account.role];
        answer.user = Some(MyUser {
            id: account.id,
            email: account.email,
            first_name: account.first_name,
            last_name: account.last_name,
            language: account.language,
            two_factor: account.totp_enabled,
            two_factor_required: account.totp_required,
        });
        account.tenant_id
    } else {
        let key = keys::store::get(api.pool(), actor.tenant, actor.id).await?;
        // The operator at the database has no key.
        answer.key = key.map(|key| MyKey {
            id: key.id,
            name: key.name.to_string(),
            prefix: key.prefix,
            scopes: key.scopes,
            origins: key.origins,
            expires_at: key.expires_at,
        });
        actor.tenant
    };
    let Some(tenant) = tenant else { return Ok(Json(answer)) };
    let mut db = api.read(&actor).await?;
    let home = tenants::store::get(&mut *db, tenant).await?.ok_or_else(Problem::unauthorized)?;
    // Only how the cluster is reached is shown, not how many tenants it has.
    let cluster = clusters::store::get(api.pool(), home.cluster_id).await?;
    let (websocket_url, ice_servers) =
        cluster.map(|cluster| (cluster.websocket_url, cluster.ice_servers)).unwrap_or_default();
    if let Some(user) = &answer.user {
        for phone in extensions::store::phones_of(&mut *db, tenant, user.id).await? {
            let place = Place { column: "sip_secret", tenant, row: phone.id };
            let secret = api.changes.keyring().open_sealed(place, &phone.sip_secret).map_err(Error::from)?;
            answer.extensions.push(MyExtension {
                id: phone.id,
                number: phone.number.to_string(),
                sip_username: phone.sip_username.to_string(),
                sip_password: secret.to_string(),
                domain: home.domain.to_string(),
                display_name: phone.display_name.to_string(),
                websocket_url: websocket_url.clone(),
                ice_servers: ice_servers.clone(),
            });
        }
    }
    let former = tenants::domains::store::of_all(&mut *db, &[tenant]).await?.into_iter();
    answer.tenant = Some(MyTenant {
        former_domains: former.map(|former| MyFormerDomain { domain: former.domain, until: former.until }).collect(),
        id: home.id,
        name: home.name.to_string(),
        domain: home.domain.to_string(),
        websocket_url,
        ice_servers,
    });
    Ok(Json(answer))
}
