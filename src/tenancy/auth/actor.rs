//! Who makes a request: a signed-in user, or an API key of the platform or of one tenant; and whether the rules allow it.

use std::{future::Future, net::IpAddr, pin::Pin, time::Duration};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest,
    dev::Payload,
    http::{Method, header},
    web::{Data, Query},
};
use uuid::Uuid;

use crate::{
    http::{change::Maker, problem::Problem},
    tenancy::Api,
    text::Code,
};
use crate::{
    model::error::Error,
    node::changes::Author,
    tenancy::{
        auth::{
            remembered::{self, Name, Owner},
            rules::{self, Level, Resource, Role},
            session::{self, Source},
            store::{self, Live},
            throttle,
        },
        keys,
    },
    text::token::TokenHash,
};

/// The cookie that holds a browser's session.
pub const COOKIE: &str = "dialplane_session";
/// The header in which our pages' scripts send their CSRF token.
pub const CSRF_HEADER: &str = "X-CSRF-Token";

/// The operator's name, in the extensions of a request that a command makes in its own process, at the database. No request over the
/// network can have it, and whoever can open the database needs no key.
#[derive(Debug, Clone)]
pub struct Operator(pub String);

/// The web origins of the key that a request was made with.
#[derive(Debug, Clone)]
pub struct Origins(Vec<String>);

impl Origins {
    #[must_use]
    pub fn have(&self, origin: &header::HeaderValue) -> bool {
        self.0.iter().any(|named| named.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }
}

/// An authenticated caller who may use the route. Handlers without one are open to everybody.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The user or the key.
    pub id: Uuid,
    pub name: String,
    pub role: Role,
    /// `None` for the platform, which may work on every tenant.
    pub tenant: Option<Uuid>,
    /// The caller's level for what this route touches.
    pub level: Level,
    /// A signed-in user's session; keys have none.
    pub session: Option<Uuid>,
    /// Not limited by a key's scopes.
    pub is_unlimited: bool,
    /// The signed-in user, or the maker of the key; `None` if the operator made it.
    pub person: Option<Uuid>,
    is_operator: bool,
    /// Of a key: the web origins whose pages may use it.
    origins: Vec<String>,
}

impl Maker for Actor {
    fn id(&self) -> Uuid {
        self.id
    }

    fn author(&self, request: &HttpRequest) -> Author {
        Self::author(self, request)
    }
}

impl Actor {
    /// Checks that this caller may work on that tenant. Another tenant's things are 404.
    pub fn in_tenant(&self, tenant: Uuid) -> Result<Uuid, Problem> {
        match self.tenant {
            Some(own) if own != tenant => Err(Problem::not_found("tenant")),
            _ => Ok(tenant),
        }
    }

    /// The tenant for a route without one in its path: the caller's own, or the one that the platform names.
    pub fn tenant_or(&self, named: Option<Uuid>) -> Result<Uuid, Problem> {
        match (self.tenant, named) {
            (Some(own), Some(named)) if own != named => Err(Problem::not_found("tenant")),
            (Some(own), _) => Ok(own),
            (None, Some(named)) => Ok(named),
            (None, None) => Err(Problem::from(Code::WhichTenant).field("tenant_id")),
        }
    }

    /// Whether the caller may take something out of groups and queues: a key that is limited to other things may not change these.
    pub fn may_detach(&self, wanted: bool) -> Result<(), Problem> {
        if wanted && !self.is_unlimited { Err(Problem::forbidden()) } else { Ok(()) }
    }

    /// Where the caller finds something of a tenant again: the platform must name the tenant.
    #[must_use]
    pub fn place(&self, tenant: Uuid, path: &str) -> String {
        self.tenant.map_or_else(|| format!("{path}?tenant_id={tenant}"), |_| path.to_owned())
    }

    /// The user whose things the caller is limited to; `None` if there is no such limit.
    #[must_use]
    pub fn only_own(&self) -> Option<Uuid> {
        (self.level == Level::Own).then_some(self.id)
    }

    /// The signed-in user; keys have none.
    pub fn user(&self) -> Result<Uuid, Problem> {
        if self.session.is_some() { Ok(self.id) } else { Err(Problem::forbidden()) }
    }

    #[must_use]
    pub fn author(&self, request: &HttpRequest) -> Author {
        if self.is_operator {
            return Author { name: self.name.clone(), source: None, within: None };
        }
        let kind = if self.session.is_some() { "user" } else { "key" };
        let name = format!("{kind}:{}:{}", self.id, self.name);
        Author { name, source: peer(request), within: self.tenant }
    }

    /// The operator at the database, who may do everything.
    fn of_operator(operator: Operator, resource: Resource) -> Self {
        let role = Role::PlatformAdmin;
        Self {
            id: Uuid::nil(),
            name: operator.0,
            role,
            tenant: None,
            level: rules::level(role, resource),
            session: None,
            is_unlimited: true,
            person: None,
            is_operator: true,
            origins: Vec::new(),
        }
    }

    /// A signed-in user, with how far they reach into a resource.
    #[must_use]
    pub fn of_session(live: &Live, resource: Resource) -> Self {
        // Without a required second factor, they can only set it up.
        let stuck = live.totp_missing && resource != Resource::Account;
        let level = if stuck { Level::None } else { rules::level(live.role, resource) };
        let (id, name) = (live.user, live.email.clone());
        Self {
            id,
            name,
            role: live.role,
            tenant: live.tenant,
            level,
            session: Some(live.session),
            is_unlimited: true,
            person: Some(id),
            is_operator: false,
            origins: Vec::new(),
        }
    }
}

/// The tenant that a query names. What can't be read is refused by the handler, which says why.
fn named_tenant(request: &HttpRequest) -> Option<Uuid> {
    let asked = Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?.into_inner();
    asked.into_iter().find(|(name, _)| name == "tenant_id")?.1.parse().ok()
}

/// Whether there is such a tenant: a list of one that does not exist is no empty list. What was done to a tenant can still be read when
/// it is gone.
async fn is_known(api: &Api, tenant: Uuid, resource: Resource, looks: bool) -> Result<bool, Problem> {
    if looks
        && api.auth.remembered.is_away()
        && let Some(poller) = api.changes.poller()
    {
        return Ok(poller.generations().scope(tenant).is_some());
    }
    let is_there = store::is_tenant(api.pool(), tenant).await?;
    Ok(is_there || resource == Resource::Audit && store::was_tenant(api.pool(), tenant).await?)
}

/// The address that a request came from: the peer's, or the one that our proxy reports. Anybody can write into `X-Forwarded-For`, so
/// it is read from its end, as far as trusted proxies wrote it.
#[must_use]
pub fn peer(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let proxies = request.app_data::<Data<Api>>().map(|api| api.proxies.load_full()).unwrap_or_default();
    if !proxies.contains(&peer) {
        return Some(peer);
    }
    let lines = request.headers().get_all("X-Forwarded-For").filter_map(|value| value.to_str().ok());
    let hops = lines.flat_map(|line| line.split(',')).map(|hop| hop.trim().parse::<IpAddr>().ok());
    let hops = hops.map(|hop| hop.map(|hop| hop.to_canonical())).collect::<Vec<_>>();
    let outside = hops.into_iter().rev().take_while(Option::is_some).flatten().find(|hop| !proxies.contains(hop));
    outside.or(Some(peer))
}

/// Where somebody signs in from.
#[must_use]
pub fn source(request: &HttpRequest) -> Source {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Source { address: peer(request), user_agent: agent.map(ToOwned::to_owned) }
}

/// The credential of a request.
enum Shown {
    Key(TokenHash),
    Access(String),
    Cookie(TokenHash),
}

fn shown(request: &HttpRequest) -> Result<Option<Shown>, Problem> {
    let headers = request.headers();
    let text = |value: &header::HeaderValue| value.to_str().map(ToOwned::to_owned).map_err(|_| Problem::unauthorized());
    if let Some(key) = headers.get("X-API-Key") {
        return Ok(Some(Shown::Key(TokenHash::of(text(key)?.as_bytes()))));
    }
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let value = text(value)?;
        let (scheme, token) = value.split_once(' ').ok_or_else(Problem::unauthorized)?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(Problem::unauthorized());
        }
        let token = token.trim();
        return Ok(Some(if token.starts_with("dpk_") {
            Shown::Key(TokenHash::of(token.as_bytes()))
        } else {
            Shown::Access(token.to_owned())
        }));
    }
    let Some(cookie) = request.cookie(COOKIE) else { return Ok(None) };
    // A browser sends the cookie for any site's page, so a change also needs a token that only our pages know.
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let csrf = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if changes && !session::is_csrf_token(cookie.value(), csrf) {
        return Err(Problem::cross_site());
    }
    Ok(Some(Shown::Cookie(TokenHash::of(cookie.value().as_bytes()))))
}

/// The key that a request shows, if it shows one.
#[must_use]
pub fn shown_key(request: &HttpRequest) -> Option<TokenHash> {
    match shown(request) {
        Ok(Some(Shown::Key(hash))) => Some(hash),
        _ => None,
    }
}

/// Whether a request shows a browser's cookie and nothing else.
#[must_use]
pub fn shows_cookie(request: &HttpRequest) -> bool {
    matches!(shown(request), Ok(Some(Shown::Cookie(_))))
}

/// The same for a page that only shows what goes on right now. `true`: the database is away, and this node remembers whose cookie it is.
pub async fn looking_session(api: &Api, request: &HttpRequest) -> Result<Option<(Live, String, bool)>, Problem> {
    let Some(cookie) = request.cookie(COOKIE) else { return Ok(None) };
    let name = Name::Cookie(TokenHash::of(cookie.value().as_bytes()));
    let (owner, is_away) = owner(api, name, None, None, api.auth.remembered.of(&name)).await?;
    Ok(match owner {
        Some(Owner::Person(live)) => Some((live, session::csrf_token(cookie.value()), is_away)),
        _ => None,
    })
}

/// The session of a browser's cookie, if it is valid.
pub async fn browser_session(api: &Api, request: &HttpRequest) -> Result<Option<(Live, String)>, Problem> {
    let Some(cookie) = request.cookie(COOKIE) else { return Ok(None) };
    let live = store::live_cookie(api.pool(), &TokenHash::of(cookie.value().as_bytes())).await?;
    Ok(live.map(|live| (live, session::csrf_token(cookie.value()))))
}

/// Why it is nobody's credential.
enum Unknown {
    /// The database did not say whose it is.
    Sql(sqlx::Error),
    Refused(Problem),
}

impl From<sqlx::Error> for Unknown {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Unknown> for Problem {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Sql(error) => error.into(),
            Unknown::Refused(problem) => problem,
        }
    }
}

/// For how long whoever is remembered waits for the database.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks the database whose credential it is. `token`: when an access token ends, in seconds since 1970, and whose it is.
async fn whose(
    api: &Api,
    name: Name,
    token: Option<(i64, Uuid)>,
    source: Option<IpAddr>,
) -> Result<Option<Owner>, Unknown> {
    let live = match name {
        Name::Key(hash) => {
            if let Some(key) = keys::store::by_hash(api.pool(), &hash).await? {
                return Ok(Some(Owner::Key(key)));
            }
            // That nothing can be counted opens no door.
            return match throttle::wrong_key(api.pool(), source).await {
                Err(error @ Error::TooMany { .. }) => Err(Unknown::Refused(error.into())),
                Ok(()) | Err(_) => Ok(None),
            };
        }
        Name::Session(session) => {
            let live = store::live_session(api.pool(), session, token.map(|(until, _)| until)).await?;
            live.filter(|live| token.is_some_and(|(_, user)| live.user == user))
        }
        Name::Cookie(hash) => store::live_cookie(api.pool(), &hash).await?,
    };
    Ok(live.map(Owner::Person))
}

/// `looks`: whether the request only looks at what goes on right now. That goes on while the database is away, for whoever came a short time ago.
async fn authenticate(
    api: &Api,
    shown: Shown,
    source: Option<IpAddr>,
    (resource, how): (Resource, Level),
    looks: bool,
) -> Result<Actor, Problem> {
    let (name, token) = match shown {
        Shown::Key(hash) => (Name::Key(hash), None),
        Shown::Cookie(hash) => (Name::Cookie(hash), None),
        Shown::Access(token) => {
            let claims = api.auth.signer.read(&token, api.pool(), api.changes.keyring()).await;
            let claims = claims.ok_or_else(Problem::unauthorized)?;
            (Name::Session(claims.sid), Some((claims.exp, claims.sub)))
        }
    };
    let all = &api.auth.remembered;
    let known = if looks { all.of(&name) } else { None };
    // Only by the database's clock is it exact when a token ends. Without it, this node's must do.
    let has_ended = token.is_some_and(|(until, _)| chrono::Utc::now().timestamp() >= until);
    let known = known.filter(|owner| {
        let is_theirs = match (owner, token) {
            (Owner::Person(live), Some((_, user))) => live.user == user,
            _ => true,
        };
        is_theirs && !has_ended
    });
    let (owner, _) = owner(api, name, token, source, known).await?;
    match owner.ok_or_else(Problem::unauthorized)? {
        Owner::Key(key) => by_key(key, resource, how),
        Owner::Person(live) => Ok(Actor::of_session(&live, resource)),
    }
}

/// Whose it is, by the database or, while that is away, by what is `known` here; and whether it is away.
async fn owner(
    api: &Api,
    name: Name,
    token: Option<(i64, Uuid)>,
    source: Option<IpAddr>,
    known: Option<Owner>,
) -> Result<(Option<Owner>, bool), Problem> {
    let all = &api.auth.remembered;
    match known {
        Some(known) if all.is_away() => Ok((Some(known), true)),
        Some(known) => match tokio::time::timeout(PATIENCE, whose(api, name, token, source)).await {
            Ok(Err(Unknown::Sql(error))) if !remembered::is_away(&error) => Err(error.into()),
            Ok(Err(Unknown::Sql(_))) | Err(_) => {
                all.note_away();
                Ok((Some(known), true))
            }
            Ok(answered) => Ok((confirmed(api, name, answered?), false)),
        },
        None => Ok((confirmed(api, name, whose(api, name, token, source).await?), false)),
    }
}

/// The database said whose it is.
fn confirmed(api: &Api, name: Name, owner: Option<Owner>) -> Option<Owner> {
    match &owner {
        Some(owner) => api.auth.remembered.keep(name, owner.clone()),
        None => api.auth.remembered.forget(&name),
    }
    owner
}

/// Whether a request only looks at what goes on right now, which nodes know without the database.
fn looks(request: &HttpRequest, resource: Resource) -> bool {
    let pattern = request.match_pattern();
    *request.method() == Method::GET
        && resource == Resource::Live
        && pattern.is_some_and(|pattern| pattern == "/v1/events" || pattern.starts_with("/v1/live/"))
}

fn by_key(key: keys::store::Known, resource: Resource, how: Level) -> Result<Actor, Problem> {
    let role = role_of(key.tenant_id, key.role, key.maker_role).ok_or_else(Problem::unauthorized)?;
    // Every key may read who it is: that is the only thing that it has of an account.
    let reaches = resource == Resource::Account && how == Level::Own || rules::in_scope(&key.scopes, resource, how);
    let level = if reaches { rules::level(role, resource) } else { Level::None };
    let is_unlimited = key.scopes.iter().any(|scope| scope == "*");
    Ok(Actor {
        id: key.id,
        name: key.name,
        role,
        tenant: key.tenant_id,
        level,
        session: None,
        is_unlimited,
        person: key.created_by,
        is_operator: false,
        origins: key.origins,
    })
}

/// A tenant's key has its own role, and never more than its maker has now. A key of the platform has the platform's.
#[must_use]
pub fn role_of(tenant: Option<Uuid>, own: Role, maker: Option<Role>) -> Option<Role> {
    match (tenant, maker) {
        (None, None | Some(Role::PlatformAdmin)) => Some(Role::PlatformAdmin),
        (None, Some(_)) => None,
        (Some(_), None | Some(Role::PlatformAdmin | Role::Owner)) => Some(own),
        (Some(_), Some(maker)) => Some(maker),
    }
}

impl FromRequest for Actor {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let api = request.app_data::<Data<Api>>().cloned();
        let rule = request.match_pattern().and_then(|pattern| rules::rule(request.method(), &pattern));
        let operator = request.extensions().get::<Operator>().cloned();
        let shown = shown(request);
        let tenant = request.match_info().get("tenant_id").map(str::parse::<Uuid>);
        let named = named_tenant(request);
        let source = peer(request);
        let asked = request.clone();
        Box::pin(async move {
            let shown = shown?;
            let Some(api) = api.filter(|_| operator.is_some() || shown.is_some()) else {
                return Err(Problem::unauthorized());
            };
            // Nobody may use a route without a rule. A test finds such routes.
            let Some((rule, (resource, how))) = rule.and_then(|rule| Some((rule, rule.resource()?))) else {
                return Err(Problem::forbidden());
            };
            let looks = looks(&asked, resource);
            let actor = match (operator, shown) {
                (Some(operator), _) => Self::of_operator(operator, resource),
                (None, Some(shown)) => authenticate(&api, shown, source, (resource, how), looks).await?,
                (None, None) => return Err(Problem::unauthorized()),
            };
            if !actor.origins.is_empty() {
                asked.extensions_mut().insert(Origins(actor.origins.clone()));
            }
            // Another tenant's things are 404, whatever the role.
            if let Some(tenant) = tenant {
                actor.in_tenant(tenant.map_err(|_| Problem::not_found("tenant"))?)?;
            }
            if !rule.allows(actor.level) {
                return Err(Problem::forbidden());
            }
            if let Some(named) = named {
                actor.in_tenant(named)?;
                if actor.tenant.is_none() && !is_known(&api, named, resource, looks).await? {
                    return Err(Problem::not_found("tenant"));
                }
            }
            Ok(actor)
        })
    }
}
