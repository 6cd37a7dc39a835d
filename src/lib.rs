//! Dialplane: the control plane of a FreeSWITCH fleet. docs/architecture.md is the map.

pub mod app;
pub mod calls;
pub mod changes;
pub mod cli;
pub mod embedded;
pub mod extensions;
pub mod fetch;
pub mod groups;
pub mod http;
pub mod keyring;
pub mod keys;
pub mod metrics;
pub mod numbers;
pub mod routing;
pub mod settings;
pub mod switches;
pub mod telemetry;
pub mod tenants;
pub mod text;
pub mod token;
pub mod users;
