//! Tests with a real FreeSWITCH: it boots from `freeswitch-conf`, SIPp plays the phones, and Dialplane provides users and routes.
//!
//! `FREESWITCH_BIN` names the FreeSWITCH. Without it, the tests are skipped, and `script/test` counts them as skipped.

#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

#[allow(dead_code, reason = "each test binary uses a part of the harness")]
#[path = "../harness/mod.rs"]
mod harness;

mod agents;
mod browser_carriers;
mod browser_phone;
mod browser_returns;
mod browser_times;
mod calls;
mod canary;
mod carriers;
#[allow(dead_code, reason = "the tests of pages use all of it")]
#[path = "../browser/chromium.rs"]
mod chromium;
mod control;
mod dead_calls;
mod devices;
mod everyday;
mod goes_on;
mod groups;
mod guesses;
mod heard;
mod identities;
mod links;
mod money;
mod moves;
mod names;
#[allow(dead_code, reason = "rows use what they need of it")]
mod phone;
mod ports;
mod recordings;
mod routing;
mod sipp;
#[allow(dead_code, reason = "the tests of pages use all of it")]
#[path = "../browser/site.rs"]
mod site;
mod switch;
#[allow(dead_code, reason = "rows use what they need of it")]
mod table;
mod takeover;
mod transfers;
mod voicemail;
mod zones;

/// The FreeSWITCH to test with. If there is none, records the tests as skipped.
fn freeswitch() -> Option<std::path::PathBuf> {
    let binary = std::env::var_os("FREESWITCH_BIN").filter(|name| !name.is_empty()).map(std::path::PathBuf::from);
    if binary.is_none() {
        harness::skipped("FREESWITCH_BIN names no FreeSWITCH");
    }
    binary
}
