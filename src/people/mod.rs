//! What combines tenancy and telephony: agents (a user with extensions), and onboarding (a tenant with all it begins with).

pub mod agents;
pub mod me;
pub mod onboarding;
