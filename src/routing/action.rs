//! What a switch is told to run.

/// One application and its argument.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Action {
    pub application: &'static str,
    pub data: String,
}

pub(super) fn action(application: &'static str, data: impl Into<String>) -> Action {
    Action { application, data: data.into() }
}

pub(super) fn set(name: &str, value: impl std::fmt::Display) -> Action {
    action("set", format!("{name}={value}"))
}
