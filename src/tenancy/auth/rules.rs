//! Who may do what: one table of roles and resources, and one list that says what each route touches.
//!
//! A route that is not in the list is refused to everybody, and a test that walks the router finds it.

use actix_web::http::Method;
use serde::{Deserialize, Serialize};

/// A person's role, on the platform or in a tenant.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    PlatformAdmin,
    Owner,
    Admin,
    Manager,
    Agent,
}

/// What a route is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Which tenants there are: making, suspending, moving and deleting them.
    Platform,
    Clusters,
    Switches,
    Templates,
    Tenant,
    Extensions,
    Groups,
    Numbers,
    Destinations,
    /// A tenant's own dialplan entries.
    Dialplan,
    Carriers,
    /// Prices and explanations of calls.
    Routes,
    /// What happened: calls with their stories.
    Calls,
    /// Recordings of calls.
    Recordings,
    /// Messages that callers leave.
    Voicemail,
    /// Figures of calls, and what a tenant used.
    Reports,
    /// Whom a tenant calls and is called by.
    Contacts,
    /// Erasing what is kept of a person.
    Erasures,
    Agents,
    /// Messages to and from oneself.
    Messages,
    /// What goes on right now, and acting on it: registrations, calls, queues.
    Live,
    Pools,
    Setup,
    Keys,
    Webhooks,
    Audit,
    /// What a tenant that is there for tests may do besides: calls that are played, mails that were not sent.
    Sandbox,
    /// The caller's own password, second factor and sessions.
    Account,
}

/// What somebody may do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    None,
    /// Their own things.
    Own,
    Read,
    Write,
}

pub const ROLES: [Role; 5] = [Role::PlatformAdmin, Role::Owner, Role::Admin, Role::Manager, Role::Agent];

impl Role {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlatformAdmin => "platform_admin",
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Agent => "agent",
        }
    }

    /// Whether this role may create or change users of the other role. Nobody can grant more than they have.
    #[must_use]
    pub fn may_grant(self, other: Self) -> bool {
        match self {
            Self::PlatformAdmin => other != Self::PlatformAdmin,
            Self::Owner => matches!(other, Self::Owner | Self::Admin | Self::Manager | Self::Agent),
            Self::Admin => matches!(other, Self::Admin | Self::Manager | Self::Agent),
            Self::Manager | Self::Agent => false,
        }
    }
}

impl Resource {
    /// Its name in the scopes of API keys, such as `extensions` in `extensions:read`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Clusters => "clusters",
            Self::Switches => "switches",
            Self::Templates => "templates",
            Self::Tenant => "tenant",
            Self::Extensions => "extensions",
            Self::Groups => "groups",
            Self::Numbers => "numbers",
            Self::Destinations => "destinations",
            Self::Dialplan => "dialplan",
            Self::Carriers => "carriers",
            Self::Routes => "routes",
            Self::Calls => "calls",
            Self::Recordings => "recordings",
            Self::Voicemail => "voicemail",
            Self::Reports => "reports",
            Self::Contacts => "contacts",
            Self::Erasures => "erasures",
            Self::Agents => "agents",
            Self::Messages => "messages",
            Self::Live => "live",
            Self::Pools => "pools",
            Self::Setup => "setup",
            Self::Keys => "keys",
            Self::Webhooks => "webhooks",
            Self::Audit => "audit",
            Self::Sandbox => "sandbox",
            Self::Account => "account",
        }
    }
}

pub const RESOURCES: [Resource; 28] = [
    Resource::Platform,
    Resource::Clusters,
    Resource::Switches,
    Resource::Templates,
    Resource::Tenant,
    Resource::Extensions,
    Resource::Groups,
    Resource::Numbers,
    Resource::Destinations,
    Resource::Dialplan,
    Resource::Carriers,
    Resource::Routes,
    Resource::Calls,
    Resource::Recordings,
    Resource::Voicemail,
    Resource::Reports,
    Resource::Contacts,
    Resource::Erasures,
    Resource::Agents,
    Resource::Messages,
    Resource::Live,
    Resource::Pools,
    Resource::Setup,
    Resource::Keys,
    Resource::Webhooks,
    Resource::Audit,
    Resource::Sandbox,
    Resource::Account,
];

/// The table of rights. Tenant roles are limited to their own tenant in any case.
#[must_use]
#[rustfmt::skip]
#[expect(clippy::match_same_arms, reason = "a table: one line a resource, also where two are alike")]
pub fn level(role: Role, resource: Resource) -> Level {
    use Level::{None, Own, Read, Write};
    //                                   platform owner  admin  manager agent
    let row = match resource {
        Resource::Platform           => [Write,   None,  None,  None,   None],
        Resource::Clusters           => [Write,   None,  None,  None,   None],
        Resource::Switches           => [Write,   None,  None,  None,   None],
        Resource::Templates          => [Write,   None,  None,  None,   None],
        Resource::Tenant             => [Write,   Write, Write, Read,   None],
        Resource::Extensions         => [Write,   Write, Write, Read,   Own],
        Resource::Groups             => [Write,   Write, Write, Read,   None],
        Resource::Numbers            => [Write,   Write, Write, Read,   Own],
        Resource::Destinations       => [Write,   Write, Write, Read,   None],
        Resource::Dialplan           => [Write,   Write, Write, Read,   None],
        Resource::Carriers           => [Write,   None,  None,  None,   None],
        Resource::Routes             => [Read,    Read,  Read,  Read,   None],
        Resource::Calls              => [Write,   Write, Write, Write,  Own],
        Resource::Recordings         => [Write,   Write, Write, Read,   Own],
        Resource::Voicemail          => [Write,   Write, Write, Own,    Own],
        Resource::Reports            => [Read,    Read,  Read,  Read,   None],
        Resource::Contacts           => [Write,   Write, Write, Write,  Read],
        Resource::Erasures           => [Write,   Write, Write, None,   None],
        Resource::Agents             => [Write,   Write, Write, Read,   None],
        Resource::Messages           => [None,    Own,   Own,   Own,    Own],
        Resource::Live               => [Write,   Write, Write, Write,  Own],
        Resource::Pools              => [Write,   Write, Write, Read,   None],
        Resource::Setup              => [Write,   Write, Write, Read,   None],
        Resource::Keys               => [Write,   Write, Write, None,   None],
        Resource::Webhooks           => [Write,   Write, Write, None,   None],
        Resource::Audit              => [Read,    Read,  Read,  None,   None],
        Resource::Sandbox            => [Write,   Write, Write, None,   None],
        Resource::Account            => [Own,     Own,   Own,   Own,    Own],
    };
    row[match role {
        Role::PlatformAdmin => 0,
        Role::Owner => 1,
        Role::Admin => 2,
        Role::Manager => 3,
        Role::Agent => 4,
    }]
}

/// What a route needs from its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Open to everybody: the handler checks a password or token itself.
    Anyone,
    Needs(Resource, Level),
    /// For changes to the caller's own things, or to everybody's. Reading everybody's is not enough.
    OwnOrWrite(Resource),
}

impl Rule {
    /// What it touches, and how.
    #[must_use]
    pub fn resource(self) -> Option<(Resource, Level)> {
        match self {
            Self::Anyone => None,
            Self::Needs(resource, level) => Some((resource, level)),
            Self::OwnOrWrite(resource) => Some((resource, Level::Write)),
        }
    }

    /// Whether this level satisfies the rule.
    #[must_use]
    pub fn allows(self, level: Level) -> bool {
        match self {
            Self::Anyone => true,
            Self::Needs(_, needs) => level >= needs,
            Self::OwnOrWrite(_) => matches!(level, Level::Own | Level::Write),
        }
    }
}

const OWN: Level = Level::Own;
const READ: Level = Level::Read;
const WRITE: Level = Level::Write;

/// Every route of the API.
#[rustfmt::skip]
pub const RULES: &[(&str, &str, Rule)] = &[
    ("POST",   "/v1/auth/register", Rule::Anyone),
    ("POST",   "/v1/auth/login", Rule::Anyone),
    ("POST",   "/v1/auth/refresh", Rule::Anyone),
    ("POST",   "/v1/auth/forgot-password", Rule::Anyone),
    ("POST",   "/v1/auth/reset-password", Rule::Anyone),
    ("POST",   "/v1/auth/verify-email", Rule::Anyone),
    ("POST",   "/v1/auth/logout", Rule::Needs(Resource::Account, OWN)),
    ("POST",   "/v1/auth/change-password", Rule::Needs(Resource::Account, OWN)),
    ("GET",    "/v1/auth/me", Rule::Needs(Resource::Account, OWN)),
    ("POST",   "/v1/auth/two-factor", Rule::Needs(Resource::Account, OWN)),
    ("POST",   "/v1/auth/two-factor/confirm", Rule::Needs(Resource::Account, OWN)),
    ("POST",   "/v1/auth/two-factor/disable", Rule::Needs(Resource::Account, OWN)),

    ("POST",   "/v1/tenants", Rule::Needs(Resource::Platform, WRITE)),
    ("GET",    "/v1/tenants", Rule::Needs(Resource::Tenant, READ)),
    ("GET",    "/v1/tenants/by-domain/{domain}", Rule::Needs(Resource::Tenant, READ)),
    ("PUT",    "/v1/tenants/by-domain/{domain}", Rule::Needs(Resource::Platform, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}", Rule::Needs(Resource::Tenant, READ)),
    ("PATCH",  "/v1/tenants/{tenant_id}", Rule::Needs(Resource::Platform, WRITE)),
    ("DELETE", "/v1/tenants/{tenant_id}", Rule::Needs(Resource::Platform, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/former-domains", Rule::Needs(Resource::Tenant, READ)),
    ("DELETE", "/v1/tenants/{tenant_id}/former-domains/{domain}", Rule::Needs(Resource::Tenant, WRITE)),
    ("GET",    "/v1/purges/{tenant_id}", Rule::Needs(Resource::Platform, READ)),
    ("GET",    "/v1/tenants/{tenant_id}/settings", Rule::Needs(Resource::Tenant, READ)),
    ("PATCH",  "/v1/tenants/{tenant_id}/settings", Rule::Needs(Resource::Tenant, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/retention", Rule::Needs(Resource::Tenant, READ)),
    ("PATCH",  "/v1/tenants/{tenant_id}/retention", Rule::Needs(Resource::Tenant, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/usage-limits", Rule::Needs(Resource::Tenant, READ)),
    ("PATCH",  "/v1/tenants/{tenant_id}/usage-limits", Rule::Needs(Resource::Tenant, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/setup", Rule::Needs(Resource::Setup, READ)),

    ("POST",   "/v1/tenants/{tenant_id}/extensions", Rule::Needs(Resource::Extensions, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/extensions", Rule::Needs(Resource::Extensions, OWN)),
    ("PATCH",  "/v1/tenants/{tenant_id}/extensions/bulk", Rule::Needs(Resource::Extensions, WRITE)),
    ("POST",   "/v1/tenants/{tenant_id}/extensions/bulk-delete", Rule::Needs(Resource::Extensions, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/extensions/{id}", Rule::Needs(Resource::Extensions, OWN)),
    ("GET",    "/v1/tenants/{tenant_id}/extensions/by-number/{number}", Rule::Needs(Resource::Extensions, OWN)),
    ("PUT",    "/v1/tenants/{tenant_id}/extensions/by-number/{number}", Rule::Needs(Resource::Extensions, WRITE)),
    ("PATCH",  "/v1/tenants/{tenant_id}/extensions/{id}", Rule::OwnOrWrite(Resource::Extensions)),
    ("DELETE", "/v1/tenants/{tenant_id}/extensions/{id}", Rule::Needs(Resource::Extensions, WRITE)),
    ("POST",   "/v1/tenants/{tenant_id}/extensions/{id}/rotate-secret", Rule::Needs(Resource::Extensions, WRITE)),

    ("POST",   "/v1/tenants/{tenant_id}/groups", Rule::Needs(Resource::Groups, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/groups", Rule::Needs(Resource::Groups, READ)),
    ("PATCH",  "/v1/tenants/{tenant_id}/groups/bulk", Rule::Needs(Resource::Groups, WRITE)),
    ("POST",   "/v1/tenants/{tenant_id}/groups/bulk-delete", Rule::Needs(Resource::Groups, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/groups/{id}", Rule::Needs(Resource::Groups, READ)),
    ("GET",    "/v1/tenants/{tenant_id}/groups/by-name/{name}", Rule::Needs(Resource::Groups, READ)),
    ("PUT",    "/v1/tenants/{tenant_id}/groups/by-name/{name}", Rule::Needs(Resource::Groups, WRITE)),
    ("PATCH",  "/v1/tenants/{tenant_id}/groups/{id}", Rule::Needs(Resource::Groups, WRITE)),
    ("DELETE", "/v1/tenants/{tenant_id}/groups/{id}", Rule::Needs(Resource::Groups, WRITE)),

    ("POST",   "/v1/tenants/{tenant_id}/destinations", Rule::Needs(Resource::Destinations, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/destinations", Rule::Needs(Resource::Destinations, READ)),
    ("GET",    "/v1/tenants/{tenant_id}/destinations/{id}", Rule::Needs(Resource::Destinations, READ)),
    ("GET",    "/v1/tenants/{tenant_id}/destinations/by-name/{kind}/{name}", Rule::Needs(Resource::Destinations, READ)),
    ("PUT",    "/v1/tenants/{tenant_id}/destinations/by-name/{kind}/{name}", Rule::Needs(Resource::Destinations, WRITE)),
    ("PATCH",  "/v1/tenants/{tenant_id}/destinations/{id}", Rule::Needs(Resource::Destinations, WRITE)),
    ("DELETE", "/v1/tenants/{tenant_id}/destinations/{id}", Rule::Needs(Resource::Destinations, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/call-backs", Rule::Needs(Resource::Destinations, READ)),
    ("GET",    "/v1/tenants/{tenant_id}/call-backs/{id}", Rule::Needs(Resource::Destinations, READ)),
    ("POST",   "/v1/tenants/{tenant_id}/call-backs/{id}/cancel", Rule::Needs(Resource::Destinations, WRITE)),

    ("POST",   "/v1/tenants/{tenant_id}/dialplan-entries", Rule::Needs(Resource::Dialplan, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/dialplan-entries", Rule::Needs(Resource::Dialplan, READ)),
    ("GET",    "/v1/tenants/{tenant_id}/dialplan-entries/{id}", Rule::Needs(Resource::Dialplan, READ)),
    ("PATCH",  "/v1/tenants/{tenant_id}/dialplan-entries/{id}", Rule::Needs(Resource::Dialplan, WRITE)),
    ("DELETE", "/v1/tenants/{tenant_id}/dialplan-entries/{id}", Rule::Needs(Resource::Dialplan, WRITE)),

    ("POST",   "/v1/phone-numbers", Rule::Needs(Resource::Numbers, WRITE)),
    ("POST",   "/v1/phone-numbers/bulk", Rule::Needs(Resource::Numbers, WRITE)),
    ("PATCH",  "/v1/phone-numbers/bulk", Rule::Needs(Resource::Numbers, WRITE)),
    ("POST",   "/v1/phone-numbers/bulk-delete", Rule::Needs(Resource::Numbers, WRITE)),
    ("POST",   "/v1/phone-numbers/bulk-upload", Rule::Needs(Resource::Numbers, WRITE)),
    ("GET",    "/v1/phone-numbers", Rule::Needs(Resource::Numbers, OWN)),
    ("GET",    "/v1/phone-numbers/agent/{agent_id}", Rule::Needs(Resource::Numbers, OWN)),
    ("PATCH",  "/v1/phone-numbers/agent/{agent_id}", Rule::Needs(Resource::Numbers, WRITE)),
    ("GET",    "/v1/phone-numbers/{id}", Rule::Needs(Resource::Numbers, OWN)),
    ("GET",    "/v1/phone-numbers/by-number/{number}", Rule::Needs(Resource::Numbers, OWN)),
    ("PUT",    "/v1/phone-numbers/by-number/{number}", Rule::Needs(Resource::Numbers, WRITE)),
    ("PATCH",  "/v1/phone-numbers/{id}", Rule::Needs(Resource::Numbers, WRITE)),
    ("DELETE", "/v1/phone-numbers/{id}", Rule::Needs(Resource::Numbers, WRITE)),
    ("POST",   "/v1/phone-numbers/{id}/assign", Rule::Needs(Resource::Numbers, WRITE)),
    ("POST",   "/v1/phone-numbers/{id}/unassign", Rule::Needs(Resource::Numbers, WRITE)),

    ("POST",   "/v1/carriers", Rule::Needs(Resource::Carriers, WRITE)),
    ("GET",    "/v1/carriers", Rule::Needs(Resource::Carriers, READ)),
    ("GET",    "/v1/carriers/{id}", Rule::Needs(Resource::Carriers, READ)),
    ("GET",    "/v1/carriers/by-name/{name}", Rule::Needs(Resource::Carriers, READ)),
    ("PUT",    "/v1/carriers/by-name/{name}", Rule::Needs(Resource::Carriers, WRITE)),
    ("PATCH",  "/v1/carriers/{id}", Rule::Needs(Resource::Carriers, WRITE)),
    ("DELETE", "/v1/carriers/{id}", Rule::Needs(Resource::Carriers, WRITE)),
    ("PUT",    "/v1/carriers/{id}/rates", Rule::Needs(Resource::Carriers, WRITE)),
    ("POST",   "/v1/carriers/{id}/rates/bulk", Rule::Needs(Resource::Carriers, WRITE)),
    ("POST",   "/v1/carriers/{id}/rates/preview", Rule::Needs(Resource::Carriers, WRITE)),
    ("GET",    "/v1/carriers/{id}/rates", Rule::Needs(Resource::Carriers, READ)),
    ("GET",    "/v1/carriers/{id}/gateways", Rule::Needs(Resource::Carriers, READ)),
    ("POST",   "/v1/carriers/{id}/test-connection", Rule::Needs(Resource::Carriers, WRITE)),

    ("POST",   "/v1/exchange-rates", Rule::Needs(Resource::Carriers, WRITE)),
    ("GET",    "/v1/exchange-rates", Rule::Needs(Resource::Carriers, READ)),
    ("GET",    "/v1/exchange-rates/{id}", Rule::Needs(Resource::Carriers, READ)),
    ("DELETE", "/v1/exchange-rates/{id}", Rule::Needs(Resource::Carriers, WRITE)),

    ("GET",    "/v1/tenants/{tenant_id}/outbound-calls", Rule::Needs(Resource::Routes, READ)),
    ("GET",    "/v1/unreadable-records", Rule::Needs(Resource::Switches, READ)),
    ("GET",    "/v1/call-records/unreadable", Rule::Needs(Resource::Switches, READ)),
    ("POST",   "/v1/call-records/unreadable/read-again", Rule::Needs(Resource::Switches, WRITE)),
    ("GET",    "/v1/unreadable-records/{leg}", Rule::Needs(Resource::Switches, READ)),
    ("GET",    "/v1/calls", Rule::Needs(Resource::Calls, OWN)),
    ("GET",    "/v1/calls/count", Rule::Needs(Resource::Calls, OWN)),
    ("GET",    "/v1/calls/export", Rule::Needs(Resource::Calls, OWN)),
    ("GET",    "/v1/calls/{id}", Rule::Needs(Resource::Calls, OWN)),
    ("PATCH",  "/v1/calls/{id}", Rule::OwnOrWrite(Resource::Calls)),
    ("GET",    "/v1/recordings", Rule::Needs(Resource::Recordings, OWN)),
    ("GET",    "/v1/recordings/{id}", Rule::Needs(Resource::Recordings, OWN)),
    ("GET",    "/v1/recordings/{id}/audio", Rule::Needs(Resource::Recordings, OWN)),
    ("POST",   "/v1/recordings/{id}/links", Rule::Needs(Resource::Recordings, READ)),
    ("PATCH",  "/v1/recordings/{id}", Rule::Needs(Resource::Recordings, WRITE)),
    ("DELETE", "/v1/recordings/{id}", Rule::Needs(Resource::Recordings, WRITE)),
    ("GET",    "/v1/shared-recordings/{id}", Rule::Anyone),
    ("GET",    "/v1/voicemail", Rule::Needs(Resource::Voicemail, OWN)),
    ("GET",    "/v1/mailboxes", Rule::Needs(Resource::Voicemail, OWN)),
    ("GET",    "/v1/voicemail/{id}", Rule::Needs(Resource::Voicemail, OWN)),
    ("GET",    "/v1/voicemail/{id}/audio", Rule::Needs(Resource::Voicemail, OWN)),
    ("PATCH",  "/v1/voicemail/{id}", Rule::OwnOrWrite(Resource::Voicemail)),
    ("DELETE", "/v1/voicemail/{id}", Rule::OwnOrWrite(Resource::Voicemail)),
    ("POST",   "/v1/voicemail/{id}/forwards", Rule::OwnOrWrite(Resource::Voicemail)),
    ("GET",    "/v1/voicemail-greetings/{extension_id}", Rule::Needs(Resource::Voicemail, OWN)),
    ("PUT",    "/v1/voicemail-greetings/{extension_id}", Rule::OwnOrWrite(Resource::Voicemail)),
    ("DELETE", "/v1/voicemail-greetings/{extension_id}", Rule::OwnOrWrite(Resource::Voicemail)),
    ("GET",    "/v1/reports/calls", Rule::Needs(Resource::Reports, READ)),
    ("GET",    "/v1/reports/calls.csv", Rule::Needs(Resource::Reports, READ)),
    ("GET",    "/v1/usage", Rule::Needs(Resource::Reports, READ)),
    ("POST",   "/v1/contacts", Rule::Needs(Resource::Contacts, WRITE)),
    ("GET",    "/v1/contacts", Rule::Needs(Resource::Contacts, READ)),
    ("GET",    "/v1/contacts/lookup", Rule::Needs(Resource::Contacts, READ)),
    ("POST",   "/v1/contacts/import", Rule::Needs(Resource::Contacts, WRITE)),
    ("GET",    "/v1/contacts/export", Rule::Needs(Resource::Contacts, READ)),
    ("GET",    "/v1/contacts/{id}", Rule::Needs(Resource::Contacts, READ)),
    ("PATCH",  "/v1/contacts/{id}", Rule::Needs(Resource::Contacts, WRITE)),
    ("DELETE", "/v1/contacts/{id}", Rule::Needs(Resource::Contacts, WRITE)),
    ("POST",   "/v1/erasures", Rule::Needs(Resource::Erasures, WRITE)),
    ("GET",    "/v1/erasures", Rule::Needs(Resource::Erasures, READ)),
    ("GET",    "/v1/erasures/{id}", Rule::Needs(Resource::Erasures, READ)),
    ("GET",    "/v1/routes/preview", Rule::Needs(Resource::Routes, READ)),
    ("POST",   "/v1/routes/explain", Rule::Needs(Resource::Routes, READ)),

    ("POST",   "/v1/tenants/{tenant_id}/pools", Rule::Needs(Resource::Pools, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/pools", Rule::Needs(Resource::Pools, READ)),
    ("GET",    "/v1/tenants/{tenant_id}/pools/{id}", Rule::Needs(Resource::Pools, READ)),
    ("PATCH",  "/v1/tenants/{tenant_id}/pools/{id}", Rule::Needs(Resource::Pools, WRITE)),
    ("DELETE", "/v1/tenants/{tenant_id}/pools/{id}", Rule::Needs(Resource::Pools, WRITE)),
    ("POST",   "/v1/tenants/{tenant_id}/reserved-numbers", Rule::Needs(Resource::Pools, WRITE)),
    ("GET",    "/v1/tenants/{tenant_id}/reserved-numbers", Rule::Needs(Resource::Pools, READ)),
    ("GET",    "/v1/tenants/{tenant_id}/reserved-numbers/{number}", Rule::Needs(Resource::Pools, READ)),
    ("DELETE", "/v1/tenants/{tenant_id}/reserved-numbers/{number}", Rule::Needs(Resource::Pools, WRITE)),

    ("POST",   "/v1/admin/agents", Rule::Needs(Resource::Agents, WRITE)),
    ("GET",    "/v1/admin/agents", Rule::Needs(Resource::Agents, READ)),
    ("POST",   "/v1/admin/agents/bulk", Rule::Needs(Resource::Agents, WRITE)),
    ("PATCH",  "/v1/admin/agents/bulk", Rule::Needs(Resource::Agents, WRITE)),
    ("POST",   "/v1/admin/agents/bulk-delete", Rule::Needs(Resource::Agents, WRITE)),
    ("GET",    "/v1/admin/agents/{id}", Rule::Needs(Resource::Agents, READ)),
    ("GET",    "/v1/admin/agents/by-email/{email}", Rule::Needs(Resource::Agents, READ)),
    ("PUT",    "/v1/admin/agents/by-email/{email}", Rule::Needs(Resource::Agents, WRITE)),
    ("PATCH",  "/v1/admin/agents/{id}", Rule::Needs(Resource::Agents, WRITE)),
    ("DELETE", "/v1/admin/agents/{id}", Rule::Needs(Resource::Agents, WRITE)),

    ("GET",    "/v1/events", Rule::Needs(Resource::Live, OWN)),
    ("GET",    "/v1/live/registrations", Rule::Needs(Resource::Live, OWN)),
    ("GET",    "/v1/live/calls", Rule::Needs(Resource::Live, OWN)),
    ("POST",   "/v1/calls", Rule::OwnOrWrite(Resource::Live)),
    ("GET",    "/v1/call-jobs/{id}", Rule::Needs(Resource::Live, OWN)),
    ("POST",   "/v1/live/calls/{id}/actions", Rule::OwnOrWrite(Resource::Live)),
    ("POST",   "/v1/live/calls/{id}/supervise", Rule::Needs(Resource::Live, WRITE)),
    ("GET",    "/v1/live/queues", Rule::Needs(Resource::Live, OWN)),
    ("GET",    "/v1/live/agents", Rule::Needs(Resource::Live, OWN)),
    ("GET",    "/v1/agents/{id}/status", Rule::Needs(Resource::Live, OWN)),
    ("PUT",    "/v1/agents/{id}/status", Rule::OwnOrWrite(Resource::Live)),
    ("PUT",    "/v1/agents/{id}/wrap-up", Rule::OwnOrWrite(Resource::Live)),
    ("GET",    "/v1/agents/{id}/activity", Rule::Needs(Resource::Live, OWN)),
    ("GET",    "/v1/chat/people", Rule::Needs(Resource::Messages, OWN)),
    ("POST",   "/v1/chat/people/{id}/seen", Rule::Needs(Resource::Messages, OWN)),
    ("GET",    "/v1/chat/messages", Rule::Needs(Resource::Messages, OWN)),
    ("POST",   "/v1/chat/messages", Rule::Needs(Resource::Messages, OWN)),
    ("GET",    "/v1/chat/notices", Rule::Needs(Resource::Messages, OWN)),
    ("POST",   "/v1/chat/notices", Rule::Needs(Resource::Live, WRITE)),
    ("GET",    "/v1/live/conferences", Rule::Needs(Resource::Live, READ)),
    ("GET",    "/v1/live/parked", Rule::Needs(Resource::Live, READ)),
    ("GET",    "/v1/live/gateways", Rule::Needs(Resource::Live, READ)),
    ("GET",    "/v1/monitoring/health", Rule::Needs(Resource::Platform, READ)),
    ("GET",    "/v1/monitoring/stats", Rule::Needs(Resource::Platform, READ)),
    ("GET",    "/v1/monitoring/errors", Rule::Needs(Resource::Platform, READ)),

    ("GET",    "/v1/audit", Rule::Needs(Resource::Audit, READ)),

    ("POST",   "/v1/templates", Rule::Needs(Resource::Templates, WRITE)),
    ("GET",    "/v1/templates", Rule::Needs(Resource::Templates, READ)),
    ("GET",    "/v1/templates/schema", Rule::Needs(Resource::Templates, READ)),
    ("GET",    "/v1/templates/{name}", Rule::Needs(Resource::Templates, READ)),
    ("GET",    "/v1/templates/{name}/versions", Rule::Needs(Resource::Templates, READ)),
    ("PUT",    "/v1/templates/{name}", Rule::Needs(Resource::Templates, WRITE)),
    ("DELETE", "/v1/templates/{name}", Rule::Needs(Resource::Templates, WRITE)),

    ("POST",   "/v1/clusters", Rule::Needs(Resource::Clusters, WRITE)),
    ("GET",    "/v1/clusters", Rule::Needs(Resource::Clusters, READ)),
    ("GET",    "/v1/clusters/{id}", Rule::Needs(Resource::Clusters, READ)),
    ("PATCH",  "/v1/clusters/{id}", Rule::Needs(Resource::Clusters, WRITE)),
    ("DELETE", "/v1/clusters/{id}", Rule::Needs(Resource::Clusters, WRITE)),
    ("GET",    "/v1/clusters/{id}/configuration", Rule::Needs(Resource::Clusters, READ)),
    ("GET",    "/v1/clusters/{id}/configuration/{name}", Rule::Needs(Resource::Clusters, READ)),
    ("PUT",    "/v1/clusters/{id}/configuration/{name}", Rule::Needs(Resource::Clusters, WRITE)),
    ("DELETE", "/v1/clusters/{id}/configuration/{name}", Rule::Needs(Resource::Clusters, WRITE)),

    ("POST",   "/v1/switches", Rule::Needs(Resource::Switches, WRITE)),
    ("GET",    "/v1/switches", Rule::Needs(Resource::Switches, READ)),
    ("GET",    "/v1/switches/{id}", Rule::Needs(Resource::Switches, READ)),
    ("PATCH",  "/v1/switches/{id}", Rule::Needs(Resource::Switches, WRITE)),
    ("DELETE", "/v1/switches/{id}", Rule::Needs(Resource::Switches, WRITE)),
    ("POST",   "/v1/switches/{id}/drain", Rule::Needs(Resource::Switches, WRITE)),
    ("POST",   "/v1/switches/{id}/resume", Rule::Needs(Resource::Switches, WRITE)),
    ("PUT",    "/v1/switches/{id}/event-socket", Rule::Needs(Resource::Switches, WRITE)),
    ("GET",    "/v1/switches/{id}/event-socket", Rule::Needs(Resource::Switches, READ)),
    ("DELETE", "/v1/switches/{id}/event-socket", Rule::Needs(Resource::Switches, WRITE)),
    ("GET",    "/v1/switches/{id}/gateways", Rule::Needs(Resource::Switches, READ)),
    ("GET",    "/v1/switches/{id}/pushes", Rule::Needs(Resource::Switches, READ)),
    ("GET",    "/v1/switches/{id}/cleanups", Rule::Needs(Resource::Switches, READ)),

    ("POST",   "/v1/webhooks", Rule::Needs(Resource::Webhooks, WRITE)),
    ("GET",    "/v1/webhooks", Rule::Needs(Resource::Webhooks, READ)),
    ("GET",    "/v1/webhooks/{id}", Rule::Needs(Resource::Webhooks, READ)),
    ("PATCH",  "/v1/webhooks/{id}", Rule::Needs(Resource::Webhooks, WRITE)),
    ("DELETE", "/v1/webhooks/{id}", Rule::Needs(Resource::Webhooks, WRITE)),
    ("POST",   "/v1/webhooks/{id}/rotate-secret", Rule::Needs(Resource::Webhooks, WRITE)),
    ("POST",   "/v1/webhooks/{id}/test", Rule::Needs(Resource::Webhooks, WRITE)),
    ("POST",   "/v1/webhooks/{id}/replay", Rule::Needs(Resource::Webhooks, WRITE)),
    ("GET",    "/v1/webhooks/{id}/deliveries", Rule::Needs(Resource::Webhooks, READ)),
    ("GET",    "/v1/webhooks/{id}/deliveries/{delivery_id}", Rule::Needs(Resource::Webhooks, READ)),
    ("POST",   "/v1/webhooks/{id}/deliveries/{delivery_id}/replay", Rule::Needs(Resource::Webhooks, WRITE)),

    ("POST",   "/v1/sandbox/calls", Rule::Needs(Resource::Sandbox, WRITE)),
    ("GET",    "/v1/sandbox/calls", Rule::Needs(Resource::Sandbox, READ)),
    ("GET",    "/v1/sandbox/calls/{id}", Rule::Needs(Resource::Sandbox, READ)),
    ("GET",    "/v1/sandbox/mails", Rule::Needs(Resource::Sandbox, READ)),
    ("GET",    "/v1/sandbox/mails/{id}", Rule::Needs(Resource::Sandbox, READ)),

    ("POST",   "/v1/keys", Rule::Needs(Resource::Keys, WRITE)),
    ("GET",    "/v1/keys", Rule::Needs(Resource::Keys, READ)),
    ("GET",    "/v1/keys/{id}", Rule::Needs(Resource::Keys, READ)),
    ("PATCH",  "/v1/keys/{id}", Rule::Needs(Resource::Keys, WRITE)),
    ("DELETE", "/v1/keys/{id}", Rule::Needs(Resource::Keys, WRITE)),
    ("POST",   "/v1/keys/{id}/rotate", Rule::Needs(Resource::Keys, WRITE)),
];

/// The rule of a route, by its method and its pattern.
#[must_use]
pub fn rule(method: &Method, pattern: &str) -> Option<Rule> {
    RULES.iter().find(|(m, p, _)| *m == method.as_str() && *p == pattern).map(|(_, _, rule)| *rule)
}

/// Whether an API key's scopes reach a resource. Scopes are `*`, `extensions:*`, `extensions:write` (includes reading),
/// `extensions:read` and `*:read`.
#[must_use]
pub fn in_scope(scopes: &[String], resource: Resource, level: Level) -> bool {
    scopes.iter().any(|scope| {
        let (name, action) = scope.split_once(':').unwrap_or((scope, "*"));
        (name == "*" || name == resource.name())
            && match action {
                "*" | "write" => true,
                "read" => level <= Level::Read,
                _ => false,
            }
    })
}

/// Whether this is a valid scope.
#[must_use]
pub fn is_scope(scope: &str) -> bool {
    let (name, action) = scope.split_once(':').unwrap_or((scope, "*"));
    (name == "*" || RESOURCES.iter().any(|resource| resource.name() == name))
        && matches!(action, "*" | "read" | "write")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_reach_what_they_name_and_no_more() {
        let scopes = |scope: &str| vec![scope.to_owned()];
        assert!(in_scope(&scopes("*"), Resource::Keys, Level::Write));
        assert!(in_scope(&scopes("extensions:read"), Resource::Extensions, Level::Read));
        assert!(!in_scope(&scopes("extensions:read"), Resource::Extensions, Level::Write));
        assert!(in_scope(&scopes("extensions:write"), Resource::Extensions, Level::Own));
        assert!(!in_scope(&scopes("extensions"), Resource::Keys, Level::Read));
        assert!(!in_scope(&scopes("*:read"), Resource::Agents, Level::Write));
        assert!(!in_scope(&[], Resource::Agents, Level::Read));
        assert!(is_scope("agents:write") && is_scope("*:read") && !is_scope("agent:write") && !is_scope("agents:all"));
    }

    #[test]
    fn nobody_raises_anybody_above_themselves() {
        for role in ROLES {
            for other in ROLES.iter().filter(|other| role.may_grant(**other)) {
                // Who belongs to no company writes to nobody there; that is no power over others.
                for resource in RESOURCES.into_iter().filter(|one| *one != Resource::Messages) {
                    assert!(level(role, resource) >= level(*other, resource), "{role:?} may make {other:?}");
                }
            }
        }
    }
}
