//! The API from outside: what scripts can rely on.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../people/people.rs"]
mod people;

mod access;
mod app_listener;
mod backups;
mod bucket;
mod by_key;
mod command_line;
mod companies;
mod declared;
mod documented;
mod domains;
mod examples;
mod fuzzed;
mod identities;
mod in_the_way;
mod input;
mod keys;
mod labels;
mod lists;
mod many;
mod metrics;
mod migrations;
mod mistakes;
mod onboarding_scripts;
mod over_the_network;
mod private_database;
mod purge;
mod races;
mod recordings;
mod renewal;
mod renewed_settings;
mod repeats;
mod resources;
mod retention;
mod servers;
mod service;
mod storms;
mod traces;
mod webhooks;
mod whose;
