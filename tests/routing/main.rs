//! Numbers, routing and carriers: set up over the API, and as a switch then gets them.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

mod admission;
mod agents;
mod call_backs;
mod call_time;
mod clicks;
mod contacts;
mod control;
mod crashes;
mod dashboard;
mod destinations;
mod devices;
mod erasures;
mod event_socket;
mod events;
mod exchange;
mod features;
mod gateways;
mod hearing;
mod help;
mod history;
mod import;
mod inbound;
mod lamps;
mod links;
mod live;
mod messages;
mod modules;
mod money;
mod monitoring;
mod moves;
mod numbers;
mod outages;
mod outside;
mod own_calls;
#[allow(dead_code, reason = "these tests use a part of it")]
#[path = "../people/people.rs"]
mod people;
mod pickup;
mod pushes;
mod rates;
mod records;
mod reports;
mod returns;
mod rows;
mod sandbox;
mod stage;
mod topics;
mod transfer;
mod transfers;
mod usage;
mod withheld;
mod written;
mod zones;
