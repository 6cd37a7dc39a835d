//! Session timers (RFC 4028): a call whose phone or carrier is gone ends, although nobody hangs up. With the shipped ten minutes that would take
//! long, so this switch has the shortest time that there is.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Database, Node},
    phone::{Call, Phone},
    switch::{Switch, copy},
};

/// The least that `session-timeout` may be, in seconds (RFC 4028, section 5).
const REFRESHED: u64 = 90;

/// The shipped configuration with a short session.
fn configuration() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("dialplane-conf-{}", Uuid::now_v7().simple()));
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("freeswitch-conf"), &folder);
    let shortens = |file: &str, from: &str| {
        let file = folder.join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replace(from, &from.replace("600", "90"))).unwrap();
    };
    shortens("hardening.xml", "sofia_session_timeout=600");
    shortens("autoload_configs/sofia.conf.xml", "name=\"session-timeout\" value=\"600\"");
    folder
}

async fn ends_within(call: &Call, most: Duration) -> Duration {
    let since = Instant::now();
    while call.is_up() {
        assert!(since.elapsed() < most, "it goes on: {}", call.story());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    since.elapsed()
}

#[actix_web::test]
async fn a_call_whose_phone_is_gone_ends_when_it_does_not_refresh() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("dead.test").await;
    let conf = configuration();
    let booting = tokio::task::spawn_blocking(move || (Switch::boot_from(&binary, &node, &conf), node, conf));
    let (switch, node, conf) = booting.await.unwrap();
    let mut phones = Vec::new();
    for number in ["1000", "1001", "1002", "1003"] {
        let made = node.extension(tenant, json!({ "number": number, "voicemail_enabled": false })).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let phone = Phone::new(switch.internal, &text("sip_username"), "dead.test", &text("sip_password"));
        phone.registers().await;
        phones.push(phone);
    }
    let [a, b, c, d] = &phones[..] else { panic!("four phones") };
    // In one call the caller's machine is gone, in the other the callee's.
    let (dead_caller, living_caller) = (a.calls("1001"), c.calls("1003"));
    let (living_callee, dead_callee) = (b.rings().await.answers().await, d.rings().await.answers().await);
    dead_caller.answered().await;
    living_caller.answered().await;
    a.goes_silent();
    d.goes_silent();
    // A refresh comes after half of the time, and nothing answers it for 32 seconds (64 × T1).
    let most = Duration::from_secs(REFRESHED + 40);
    let (one, other) = tokio::join!(ends_within(&living_callee, most), ends_within(&living_caller, most));
    println!("ended after {one:?} and {other:?}");
    assert!(dead_callee.last_with("Session-Expires").is_some(), "{}", dead_callee.story());
    let switch = tokio::task::spawn_blocking(move || {
        let since = Instant::now();
        while !switch.api("show calls count").contains("0 total") {
            assert!(since.elapsed() < Duration::from_mins(1), "{}", switch.api("show calls"));
            std::thread::sleep(Duration::from_millis(200));
        }
        switch
    });
    let switch = switch.await.unwrap();
    tokio::task::spawn_blocking(move || drop(switch)).await.unwrap();
    let _ = fs::remove_dir_all(conf);
    node.stop().await;
}
