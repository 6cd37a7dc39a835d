//! Whether credentials that were shown earlier are still valid, for many at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::HttpRequest;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    actor::{self, Actor},
    remembered::{Name, Owner, Remembered},
    rules::{self, Level, Resource, Role},
    store,
};
use crate::{tenancy::keys, text::token::TokenHash};

/// How often those are asked for who are remembered.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);

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

/// Asks the database for as long as the node runs whether those who are remembered may still come in. While it is away, nobody can be asked.
pub async fn confirm(remembered: Arc<Remembered>, pool: PgPool) {
    loop {
        tokio::time::sleep(CONFIRM_EVERY).await;
        let asked = Instant::now();
        let (names, credentials): (Vec<_>, Vec<_>) =
            remembered.all().into_iter().filter_map(|(name, owner)| Some((name, remembered_as(name, owner)?))).unzip();
        if names.is_empty() {
            continue;
        }
        match still(&pool, &credentials).await {
            Ok(still) => remembered.confirmed(asked, names.into_iter().zip(still)),
            Err(error) => tracing::debug!(%error, "the database could not say who may still come in"),
        }
    }
}

fn remembered_as(name: Name, owner: Owner) -> Option<Credential> {
    match (name, owner) {
        (Name::Key(hash), Owner::Key(key)) => {
            let role = actor::role_of(key.tenant_id, key.role, key.maker_role)?;
            Some(Credential::Key { hash, role })
        }
        (_, Owner::Person(live)) => {
            let (session, role) = (live.session, live.role);
            Some(Credential::Session { session, role, is_cookie: matches!(name, Name::Cookie(_)) })
        }
        (_, Owner::Key(_)) => None,
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
