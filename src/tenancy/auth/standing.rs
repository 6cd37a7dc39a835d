//! Whether credentials that were shown earlier are still valid, for many at once.

use std::collections::{HashMap, HashSet};

use actix_web::HttpRequest;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    actor::{self, Actor},
    rules::{self, Level, Resource, Role},
    store,
};
use crate::{tenancy::keys, text::token::TokenHash};

/// What somebody showed when they came, and which rights they had by it.
#[derive(Debug, Clone)]
pub enum Credential {
    Session {
        session: Uuid,
        role: Role,
        is_cookie: bool,
    },
    Key {
        hash: TokenHash,
        role: Role,
    },
    /// A command at the database, which can't be revoked.
    Operator,
}

impl Credential {
    #[must_use]
    pub fn of(request: &HttpRequest, actor: &Actor) -> Self {
        let role = actor.role;
        match (actor.session, actor::shown_key(request)) {
            (Some(session), _) => Self::Session { session, role, is_cookie: actor::shows_cookie(request) },
            (None, Some(hash)) => Self::Key { hash, role },
            (None, None) => Self::Operator,
        }
    }

    /// Whether a browser sent it by itself.
    #[must_use]
    pub fn is_cookie(&self) -> bool {
        matches!(self, Self::Session { is_cookie: true, .. })
    }
}

/// Which of these credentials still have the same rights to see what goes on.
pub async fn still(pool: &PgPool, all: &[Credential]) -> sqlx::Result<Vec<bool>> {
    let sessions = all.iter().filter_map(|one| match one {
        Credential::Session { session, .. } => Some(*session),
        _ => None,
    });
    let sessions = sessions.collect::<HashSet<_>>().into_iter().collect::<Vec<_>>();
    let hashes = all.iter().filter_map(|one| match one {
        Credential::Key { hash, .. } => Some(hash.0.to_vec()),
        _ => None,
    });
    let hashes = hashes.collect::<HashSet<_>>().into_iter().collect::<Vec<_>>();
    let sessions = if sessions.is_empty() { Vec::new() } else { store::standing(pool, &sessions).await? };
    let sessions = sessions.into_iter().map(|one| (one.session, one)).collect::<HashMap<_, _>>();
    let mut keys = HashMap::new();
    if !hashes.is_empty() {
        for known in keys::store::standing(pool, &hashes).await? {
            let may = rules::in_scope(&known.scopes, Resource::Live, Level::Own);
            let role = actor::role_of(known.tenant_id, known.role, known.maker_role);
            keys.insert(known.hash, role.filter(|_| may));
        }
    }
    let stands = |one: &Credential| match one {
        Credential::Session { session, role, .. } => {
            sessions.get(session).is_some_and(|live| live.role == *role && !live.totp_missing)
        }
        Credential::Key { hash, role } => keys.get(&hash.0[..]).is_some_and(|now| *now == Some(*role)),
        Credential::Operator => true,
    };
    Ok(all.iter().map(stands).collect())
}
