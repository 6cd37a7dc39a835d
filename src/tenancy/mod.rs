//! Who exists and who may do what: tenants and for how long what they leave is kept, users, sign-in, keys, webhooks, the audit log and
//! mails; clusters and switches. Each subject
//! is a folder with rules in `mod.rs`, all its SQL in `store.rs` and thin handlers in `api.rs`. Nothing here knows of phones.

pub mod audit;
pub mod auth;
pub mod clusters;
pub mod keys;
pub mod mail;
pub mod many;
pub mod retention;
pub mod switches;
pub mod tenants;
pub mod users;
pub mod webhooks;

use arc_swap::ArcSwap;
use std::{net::IpAddr, sync::Arc};

use actix_web::web::Data;
use serde::Deserialize;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use self::auth::{Auth, actor::Actor};
use crate::{
    http::{
        change::Begins,
        problem::Problem,
        turns::{Turn, Turns},
    },
    model::retention::Retention,
    node::changes::Changes,
};

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    pub changes: Changes,
    pub auth: Auth,
    /// The URL in switches' configuration, at which they reach this platform.
    pub switch_url: Arc<str>,
    /// Further parameters of a switch's bindings, by which it checks who answers there.
    pub switch_checks: Arc<[(&'static str, String)]>,
    /// Whether no switch believes that URL, because the listener's certificate names no host.
    pub switch_url_is_missing: bool,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Arc<ArcSwap<Vec<IpAddr>>>,
    pub turns: Turns,
    /// For how long things are kept, unless a tenant says otherwise.
    pub retention: Retention,
}

impl Begins for Data<Api> {
    fn changes(&self) -> &Changes {
        &self.changes
    }
}

impl Api {
    #[must_use]
    pub fn pool(&self) -> &sqlx::PgPool {
        self.changes.pool()
    }

    /// A turn for a large upload. Hold it until the upload is done.
    pub async fn turn(&self) -> Result<Turn, Problem> {
        self.turns.take().await
    }

    /// A transaction to read with. It sees only the tenant's own rows if a tenant asks.
    pub async fn read(&self, actor: &Actor) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.changes.within(actor.tenant).await
    }

    /// The same for figures that belong together: all statements see one moment.
    pub async fn snapshot(&self, actor: &Actor) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.changes.snapshot(actor.tenant).await
    }
}

/// What becomes of what rings something that is deleted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DetachQuery {
    /// Takes it out of groups and queues first; otherwise these are in the way.
    #[serde(default)]
    pub detach: bool,
}

/// A list of things of the platform and of tenants.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfTenantQuery {
    /// Only those of this tenant. For platform administrators; others see their own tenant's.
    pub tenant_id: Option<Uuid>,
}

impl OfTenantQuery {
    /// The tenant whose things are listed; all of them if it is none. Whom `Actor` lets through may ask for it.
    #[must_use]
    pub fn of(&self, actor: &Actor) -> Option<Uuid> {
        actor.tenant.or(self.tenant_id)
    }
}

/// The tenant that a request is about. Only the platform needs to name one; otherwise it is the caller's own.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TenantQuery {
    pub tenant_id: Option<Uuid>,
}
