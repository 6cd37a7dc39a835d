//! Who there is and who may do what: tenants, users, sign-in, keys, the audit log, mails; clusters and switches. A folder each: rules in
//! `mod.rs`, all its SQL in `store.rs`, thin handlers in `api.rs`. Nothing here knows of telephones.

pub mod audit;
pub mod auth;
pub mod clusters;
pub mod keys;
pub mod mail;
pub mod switches;
pub mod tenants;
pub mod users;

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
    node::changes::Changes,
};

/// What handlers work with.
#[derive(Clone)]
pub struct Api {
    pub changes: Changes,
    pub auth: Auth,
    /// Where switches reach this platform: what is put into their configuration.
    pub switch_url: Arc<str>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Arc<ArcSwap<Vec<IpAddr>>>,
    pub turns: Turns,
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

    /// A turn for much at once, to be held until that is done.
    pub async fn turn(&self) -> Result<Turn, Problem> {
        self.turns.take().await
    }

    /// To read with: what the database shows to who asks, which to a tenant is its own rows.
    pub async fn read(&self, actor: &Actor) -> sqlx::Result<Transaction<'static, Postgres>> {
        self.changes.within(actor.tenant).await
    }
}

/// Which tenant it is about: the caller's own, so that only the platform names one.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TenantQuery {
    pub tenant_id: Option<Uuid>,
}
