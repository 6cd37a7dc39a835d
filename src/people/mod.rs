//! What combines tenancy and telephony: agents (users with extensions), and onboarding (a tenant with everything it starts with).

pub mod agents;
pub mod me;
pub mod onboarding;
