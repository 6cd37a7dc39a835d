//! Who asks: an API key, of the platform or of one tenant.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web::Data};
use uuid::Uuid;

use super::{Api, problem::Problem};
use crate::{changes::Author, keys, token::TokenHash};

/// An authenticated caller. Handlers that don't take one are open to everybody.
#[derive(Debug, Clone)]
pub struct Actor {
    pub key: Uuid,
    pub name: String,
    /// `None`: the platform, which may do everything.
    pub tenant: Option<Uuid>,
}

impl Actor {
    /// May this caller work on that tenant? Another tenant's things are as if they were not there.
    pub fn in_tenant(&self, tenant: Uuid) -> Result<Uuid, Problem> {
        match self.tenant {
            Some(own) if own != tenant => Err(Problem::not_found("tenant")),
            _ => Ok(tenant),
        }
    }

    /// Only the platform's keys may.
    pub fn platform(&self) -> Result<(), Problem> {
        if self.tenant.is_none() { Ok(()) } else { Err(Problem::forbidden()) }
    }

    #[must_use]
    pub fn author(&self, request: &HttpRequest) -> Author {
        Author { name: format!("key:{}:{}", self.key, self.name), source: request.peer_addr().map(|peer| peer.ip()) }
    }
}

fn token(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers();
    if let Some(key) = headers.get("X-API-Key") {
        return key.to_str().ok();
    }
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

impl FromRequest for Actor {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let api = request.app_data::<Data<Api>>().cloned();
        let hash = token(request).map(|token| TokenHash::of(token.as_bytes()));
        Box::pin(async move {
            let (Some(api), Some(hash)) = (api, hash) else { return Err(Problem::unauthorized()) };
            let key = keys::store::by_hash(api.pool(), &hash).await?;
            let key = key.ok_or_else(Problem::unauthorized)?;
            Ok(Self { key: key.id, name: key.name, tenant: key.tenant_id })
        })
    }
}
