//! People: signing in, what each role may do where, tenants from templates, agents, and attacks on all of it.

#[path = "../harness/mod.rs"]
mod harness;

mod agents;
mod attacks;
mod mails;
mod matrix;
mod onboarding;
mod people;
mod rows;
mod sign_in;
