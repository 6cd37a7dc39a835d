//! Whatever value a tenant may set a variable to, and whatever a dialplan entry may have a switch run, the switch runs, opens and writes
//! nothing because of it. Otherwise a canary file would appear.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use dialplane::{
    routing::applications,
    text::{CallVariable, Variable, call_variable_names, variable_names},
};
use serde_json::{Value, json};

use crate::{
    calls::{Stage, play},
    ports,
};

/// Values that would create the canary file if a switch took them for more than a name.
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
    // The values that each variable accepts, up to its limits.
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
    // All accepted values, as many at once as an extension can have: both phones have them, one holds the other, both leave messages.
    while !taken.is_empty() {
        let mut variables = serde_json::Map::new();
        taken.retain(|(name, value)| {
            let free = !variables.contains_key(name);
            if free {
                variables.insert(name.clone(), value.clone().into());
            }
            !free
        });
        // With these values, media is SRTP, which the phones here can't do.
        variables.remove("rtp_secure_media");
        for path in &paths {
            let answer = stage.api("PATCH", path, json!({ "variables": variables }));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let callee = stage.phone(1, "answer.xml", ports[1], "-");
        assert!(stage.phone(0, "call-hold.xml", ports[0], "1001").succeeds(), "{variables:?}\n{}", stage.switch.log());
        assert!(callee.succeeds(), "{variables:?}");
        // The call ends if the switch lacks the prompts of a language, which is fine.
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

/// Proof that the test works: if the variable is set directly on the channel, without checks, the same call creates the file.
fn control(stage: &Stage, ports: [u16; 2], canary: &Path, paths: &[String; 2]) {
    assert!(Variable::parse("hold_music", &format!("record_session::{}", canary.display())).is_err());
    for path in paths {
        assert_eq!(stage.api("PATCH", path, json!({ "variables": {} })).status, 200);
    }
    assert!(writes(stage, ports, canary, "1001"), "the test would see it");
}

/// Whether the canary file appears if hold music is set directly on the channels of a call, without checks. That must happen in the half
/// second between the answer and the hold, which a busy machine may miss, so there are several calls.
fn writes(stage: &Stage, ports: [u16; 2], canary: &Path, number: &str) -> bool {
    (0..6).any(|_| {
        // The last call's channels may not be gone yet.
        stage.until("nobody talks", |switch| switch.api("show channels count").contains("0 total"));
        let callee = stage.phone(1, "answer.xml", ports[1], "-");
        let caller = stage.phone(0, "call-hold.xml", ports[0], number);
        // While it rings, the other channel may not exist yet.
        stage.until("they talk", |switch| switch.api("show bridged_calls count").contains("1 total"));
        let channels = serde_json::from_str::<Value>(&stage.switch.api("show channels as json")).unwrap();
        for row in channels["rows"].as_array().unwrap() {
            let music = format!("hold_music record_session::{}", canary.display());
            // On a busy machine, the call may be over by now.
            stage.switch.api(&format!("uuid_setvar {} {music}", row["uuid"].as_str().unwrap()));
        }
        assert!(caller.succeeds() && callee.succeeds());
        canary.exists()
    })
}

/// What a dialplan entry sets stays on the channel: in conferences and queues, at the hangup, and after a bridge.
#[actix_web::test]
async fn no_entry_that_is_taken_makes_a_switch_run_or_write_anything() {
    play(entries).await;
}

/// Variables that FreeSWITCH runs when a channel is answered, bridged, hung up, or comes back from a bridge.
const HOOKS: [&str; 12] = [
    "api_hangup_hook",
    "api_on_answer",
    "api_after_bridge",
    "execute_on_answer",
    "execute_on_pre_bridge",
    "execute_on_post_bridge",
    "exec_after_bridge_app",
    "exec_after_bridge_arg",
    "transfer_after_bridge",
    "bridge_pre_execute_aleg_app",
    "session_in_hangup_hook",
    "cc_moh_override",
];

fn entries(stage: &Stage) {
    let ports = [ports::phone(), ports::phone()];
    assert!(stage.register(0, ports[0]) && stage.register(1, ports[1]));
    let canary = stage.switch.folder.join("canary.wav");
    let tenant = format!("/v1/tenants/{}", stage.tenant);
    let made = |path: &str, body: Value| {
        let answer = stage.api("POST", &format!("{tenant}{path}"), body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    };
    made("/destinations", json!({ "name": "Room", "number": "502", "kind": "conference", "config": {} }));
    let queue = json!({ "name": "Support", "number": "500", "kind": "queue", "config": {
        "tiers": [{ "extension_id": stage.phones[1]["id"] }], "ring_seconds": 5 } });
    made("/destinations", queue);
    let entry = made("/dialplan-entries", rule(&[]));
    let entry = format!("{tenant}/dialplan-entries/{}", entry["id"].as_str().unwrap());

    // Steps that no entry may have, whoever writes it.
    let mut refused = 0;
    for name in HOOKS {
        for value in attempts(&canary) {
            assert!(CallVariable::parse(name, &value).is_err());
            for body in [rule(&[(name.to_owned(), value.clone())]), xml("set", &format!("{name}={value}"))] {
                let answer = stage.api("POST", &format!("{tenant}/dialplan-entries"), body);
                assert_eq!(answer.status, 422, "{name}={value}: {}", answer.text());
                refused += 1;
            }
        }
    }
    for application in
        applications::names().chain(["system", "bgsystem", "lua", "sched_broadcast", "bind_meta_app", "record"])
    {
        for value in attempts(&canary).iter().filter(|value| value.contains("canary")) {
            let answer = stage.api("POST", &format!("{tenant}/dialplan-entries"), xml(application, value));
            assert_eq!(answer.status, 422, "{application} {value}: {}", answer.text());
            refused += 1;
        }
    }
    // Steps that an entry may have, up to their limits.
    let mut taken = Vec::<(String, String)>::new();
    for name in call_variable_names() {
        let edges = ["%(1000,4000,425)", "PCMU,PCMA", "USER_BUSY,NO_ANSWER", "*#", "none", "1", "3600", "false"];
        for value in attempts(&canary).into_iter().chain(edges.map(ToOwned::to_owned)) {
            match stage.api("PATCH", &entry, rule(&[(name.to_owned(), value.clone())])).status {
                200 => taken.push((name.to_owned(), value)),
                422 => refused += 1,
                other => panic!("{name}={value}: {other}"),
            }
        }
    }
    println!("{} values are taken, {refused} refused", taken.len());
    assert!(refused > 900 && taken.len() > 60, "{} {refused}", taken.len());

    while !taken.is_empty() {
        let mut all = Vec::<(String, String)>::new();
        taken.retain(|(name, value)| {
            let free = all.iter().all(|(other, _)| other != name) && all.len() < 18;
            if free {
                all.push((name.clone(), value.clone()));
            }
            !free
        });
        // With these values, media is SRTP, which the phones here can't do.
        all.retain(|(name, _)| name != "rtp_secure_media");
        let changed = stage.api("PATCH", &entry, rule(&all));
        assert_eq!(changed.status, 200, "{}", changed.text());
        for number in ["71001", "7502", "7500"] {
            let callee = (number != "7502").then(|| stage.phone(1, "answer.xml", ports[1], "-"));
            // The call ends if the switch lacks prompts or the phones lack codecs, which is fine.
            stage.phone(0, "call-hold.xml", ports[0], number).ends();
            drop(callee);
        }
        transferred(stage, ports);
        stage.until("all have left", |switch| switch.api("show calls count").contains("0 total"));
        let said = all.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        unharmed(stage, &canary, &said);
    }
    hold_would_sing(stage, ports, &canary, &entry);
}

/// Both legs of a call with these variables are transferred into the echo test, if the call comes about: with some values it can't.
fn transferred(stage: &Stage, ports: [u16; 2]) {
    let _callee = stage.phone(1, "answer.xml", ports[1], "-");
    let _caller = stage.phone(0, "call-until-bye.xml", ports[0], "71001");
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        if stage.switch.api("show bridged_calls count").contains("1 total") {
            let channels = serde_json::from_str::<Value>(&stage.switch.api("show channels as json")).unwrap();
            let uuid = channels["rows"][0]["uuid"].as_str().unwrap().to_owned();
            let done = stage.switch.api(&format!("uuid_transfer {uuid} -both 9196 XML acme.test"));
            assert!(done.contains("+OK"), "{done}");
            stage.until("they hear themselves", |switch| switch.api("show channels").contains(",echo,"));
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    stage.switch.api("hupall");
    stage.until("nobody talks", |switch| switch.api("show channels count").contains("0 total"));
}

/// `7` and a number sets everything, and dials the number.
fn rule(variables: &[(String, String)]) -> Value {
    let sets = variables.iter().map(|(name, value)| json!({ "application": "set", "name": name, "value": value }));
    let dial = json!({ "application": "dial", "number": "{1}" });
    json!({ "name": "Canary", "conditions": [{ "pattern": "^7(\\d{3,4})$", "actions": sets.chain([dial]).collect::<Vec<_>>() }] })
}

fn xml(application: &str, data: &str) -> Value {
    let data = data.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    json!({ "name": "Canary", "xml": format!("<extension name=\"c\"><condition field=\"destination_number\" expression=\"^66$\">\
        <action application=\"{application}\" data=\"{data}\"/></condition></extension>") })
}

/// Proof that the test works: if hold music is set directly on the channel, without checks, the same call creates the file. (A hook
/// could not, because freeswitch-conf/hardening.xml removes `system` from this switch.)
fn hold_would_sing(stage: &Stage, ports: [u16; 2], canary: &Path, entry: &str) {
    assert_eq!(stage.api("PATCH", entry, rule(&[])).status, 200);
    assert!(writes(stage, ports, canary, "71001"), "the test would see it");
}
