//! Whatever a tenant may give a variable, a switch runs, opens and writes nothing by it: a canary file would say so.

use std::path::Path;

use dialplane::text::{Variable, variable_names};
use serde_json::{Value, json};

use crate::{
    calls::{Stage, play},
    ports,
};

/// What would leave the canary behind on a switch that takes it for more than a name.
fn attempts(canary: &Path) -> Vec<String> {
    let file = canary.display();
    let mut attempts = vec![
        format!("record_session::{file}"),
        format!("system::/usr/bin/touch {file}"),
        format!("bgsystem::/usr/bin/touch {file}"),
        format!("shell_stream:///usr/bin/touch {file}"),
        format!("record::{file}"),
        format!("set_audio_level::read 1,record::{file}"),
        format!("m:^:record_session::{file}"),
        format!("local_stream://x/record_session::{file}"),
        format!("debug:{file}"),
        file.to_string(),
        format!("../..{file}"),
    ];
    // What each variable does take, at its edges.
    attempts.extend(
        [
            "jazz",
            "true",
            "UTC",
            "Europe/Berlin",
            "60",
            "30",
            "86400",
            "60:200:20",
            "1p:5p:2p",
            "mandatory",
            "optional",
            "en",
            "pt-BR",
            "a,b",
            "support@acme",
            "x.y-z_1",
            "in the office (back 5:30) /usr/bin/touch",
        ]
        .map(ToOwned::to_owned),
    );
    attempts
}

#[actix_web::test]
async fn no_variable_that_is_taken_makes_a_switch_run_or_write_anything() {
    play(canary).await;
}

fn canary(stage: &Stage) {
    let ports = [ports::phone(), ports::phone()];
    assert!(stage.register(0, ports[0]) && stage.register(1, ports[1]));
    let canary = stage.switch.folder.join("canary.wav");
    let paths = [0, 1].map(|which: usize| {
        format!("/v1/tenants/{}/extensions/{}", stage.tenant, stage.phones[which]["id"].as_str().unwrap())
    });
    let (mut refused, mut taken) = (0, Vec::<(String, String)>::new());
    for name in variable_names() {
        for value in attempts(&canary) {
            let answer = stage.api("PATCH", &paths[0], json!({ "variables": { name: value } }));
            match answer.status {
                200 => taken.push((name.to_owned(), value)),
                422 => refused += 1,
                other => panic!("{name}={value}: {other}"),
            }
        }
    }
    println!("{} values are taken, {refused} refused", taken.len());
    assert!(refused > 300 && taken.len() > 40, "{} {refused}", taken.len());
    // All that were taken, as many at once as an extension carries: both phones have them, one holds the other, both leave messages.
    while !taken.is_empty() {
        let mut variables = serde_json::Map::new();
        taken.retain(|(name, value)| {
            let free = !variables.contains_key(name);
            if free {
                variables.insert(name.clone(), value.clone().into());
            }
            !free
        });
        // Media is SRTP's with these, which the phones here don't speak.
        variables.remove("rtp_secure_media");
        for path in &paths {
            let answer = stage.api("PATCH", path, json!({ "variables": variables }));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let callee = stage.phone(1, "answer.xml", ports[1], "-");
        assert!(stage.phone(0, "call-hold.xml", ports[0], "1001").succeeds(), "{variables:?}\n{}", stage.switch.log());
        assert!(callee.succeeds(), "{variables:?}");
        // Prompts of a language that this switch lacks end the call: that is no harm.
        let in_english = variables.get("default_language").is_none_or(|language| language == "en");
        let left = stage.phone(0, "call-voicemail.xml", ports[0], "1001").succeeds();
        assert!(left || !in_english, "{variables:?}\n{}", stage.switch.log());
        unharmed(stage, &canary, &variables);
    }
    control(stage, ports, &canary, &paths);
}

fn unharmed(stage: &Stage, canary: &Path, variables: &serde_json::Map<String, Value>) {
    assert!(!canary.exists(), "the switch wrote it: {variables:?}");
    let log = stage.switch.log();
    let acted = log.lines().find(|line| line.contains("canary") || line.contains("[CRIT]"));
    assert!(acted.is_none(), "{acted:?}: {variables:?}");
}

/// The canary sings: with the variable set on the channel itself, past every check, the same call leaves the file.
fn control(stage: &Stage, ports: [u16; 2], canary: &Path, paths: &[String; 2]) {
    assert!(Variable::parse("hold_music", &format!("record_session::{}", canary.display())).is_err());
    for path in paths {
        assert_eq!(stage.api("PATCH", path, json!({ "variables": {} })).status, 200);
    }
    // The last call's channels may not be gone yet.
    stage.until("nobody talks", |switch| switch.api("show channels count").contains("0 total"));
    let callee = stage.phone(1, "answer.xml", ports[1], "-");
    let caller = stage.phone(0, "call-hold.xml", ports[0], "1001");
    stage.until("they talk", |switch| switch.api("show bridged_calls count").contains("1 total"));
    let channels = serde_json::from_str::<Value>(&stage.switch.api("show channels as json")).unwrap();
    for row in channels["rows"].as_array().unwrap() {
        let set =
            format!("uuid_setvar {} hold_music record_session::{}", row["uuid"].as_str().unwrap(), canary.display());
        assert!(stage.switch.api(&set).contains("+OK"));
    }
    assert!(caller.succeeds() && callee.succeeds());
    assert!(canary.exists(), "the test would see it");
}
