//! Reading the audit log: who did what, when, from where, and the values before and after.

pub mod api;
pub mod store;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// One entry. Secrets are hidden in it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    pub id: Uuid,
    pub at: DateTime<Utc>,
    /// `user:ID:E-MAIL`, `key:ID:NAME`, `cli:…`, `phone`.
    pub actor: String,
    /// The address that the request came from.
    pub source: Option<String>,
    pub tenant_id: Option<Uuid>,
    pub action: String,
    /// Such as `extensions/ID`.
    pub resource: String,
    /// The changed fields as they were before; a text for the configuration of a module. Secrets are left out.
    pub before: Option<Value>,
    /// The same, as they were afterwards.
    pub after: Option<Value>,
}

/// Which entries to list.
#[derive(Debug, Clone, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// For platform administrators. Others see their own tenant's entries.
    pub tenant_id: Option<Uuid>,
    /// Part of the actor's name.
    pub actor: Option<String>,
    /// Such as `create`, `update` or `delete`.
    pub action: Option<String>,
    /// The beginning of the resource: `extensions/`, or `extensions/ID`.
    pub resource: Option<String>,
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
}
