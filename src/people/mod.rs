//! What combines tenancy and telephony: agents (users with extensions), onboarding (a tenant with everything it starts with), and what a
//! user's own phone needs (`me`). What concerns users or extensions alone belongs to those groups, and what a switch gets to `switch`.

pub mod agents;
pub mod me;
pub mod onboarding;
