//! Hostile input from strangers and tenants, and how a switch reads our answers.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

mod answer_size;
mod forms;
mod large_plans;
mod login_params;
mod model;
mod panics;
mod parser_answers;
mod parser_model;
mod parser_recorded;
mod scanner;
mod second_reader;
mod spellings;
mod switch_credentials;
mod switch_http;
mod switch_listener;
mod switch_mutations;
mod switch_slow;
mod switch_tls;
mod switch_whole;
mod typed_values;
mod values;
mod wire;
