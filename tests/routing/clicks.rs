//! Calls that are made by a click, and supervision, with simulated switches: what each is told, where a call is refused, and what becomes of its job
//! while the database is away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    control::{acts, code, talking, told},
    event_socket::{EventSocket, PASSWORD},
    events::Listener,
    harness::{Cluster, Database, Node},
    live::{fires, known, known_at, leg, now, registers},
    pushes::Fleet,
    stage::{bridges, route},
};

const MUNICH: &str = "+498912345678";
const OWN: &str = "+493012345678";

/// A phone registers at a switch, and the node knows it there.
async fn signs_in(socket: &EventSocket, node: &Node, tenant: Uuid, user: &str, call_id: &str) {
    fires(socket, registers("acme.test", user, call_id), now());
    let path = format!("/v1/live/registrations?tenant_id={tenant}");
    let since = Instant::now();
    while !node.api("GET", &path, Value::Null).await.text().contains(&format!("\"{call_id}\"")) {
        assert!(since.elapsed() < Duration::from_mins(1), "the phone is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn phone(fleet: &Fleet) {
    signs_in(&fleet.socket, &fleet.stage.node, fleet.stage.tenant, &fleet.stage.phone, "one").await;
}

async fn job(node: &Node, tenant: Uuid, id: Uuid, state: &str) -> Value {
    let since = Instant::now();
    loop {
        let shown = node.api("GET", &format!("/v1/call-jobs/{id}?tenant_id={tenant}"), Value::Null).await;
        if shown.status == 200 && shown.json()["state"] == state {
            return shown.json();
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{state}: {}", shown.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first leg of a call by a click, as its events say.
fn own(fleet: &Fleet, to: &str) -> Value {
    let (phone, domain) = (&fleet.stage.phone, &fleet.stage.domain);
    json!({
        "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7"),
        "variable_dialplane_taken_by": format!("{phone}@{domain}"), "variable_dialplane_places": to,
    })
}

#[actix_web::test]
async fn a_call_by_a_click_is_recorded_from_its_beginning_if_the_company_records() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    phone(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let path = format!("/v1/calls?tenant_id={tenant}");
    let new = json!({ "agent_id": fleet.stage.agent, "to": MUNICH, "record": true });
    assert_eq!(code(&node.api("POST", &path, new.clone()).await), (409, "feature_off".into()));
    fleet.stage.features(json!({ "call_recording": true })).await;
    let made = node.api("POST", &path, new.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let told_first = told(&fleet.socket, &format!("originate {{origination_uuid={}", made.id())).await;
    let records = format!("^record_session:recordings/{}-0.wav^transfer:{MUNICH} XML acme.test' inline", made.id());
    assert!(told_first.ends_with(&records), "{told_first}");
    assert!(!told_first.contains("bridge_pre_execute_bleg_app"), "nobody asked for a tone: {told_first}");
    fleet.stage.rules(json!({ "record": { "consent_tone": true } })).await;
    let made = node.api("POST", &path, new).await;
    let second = told(&fleet.socket, &format!("originate {{origination_uuid={}", made.id())).await;
    assert!(second.contains("^set:bridge_pre_execute_bleg_app=playback^") && second.ends_with("' inline"), "{second}");
    // Without being asked to, nothing is recorded.
    let plain = node.api("POST", &path, json!({ "agent_id": fleet.stage.agent, "to": MUNICH })).await;
    let third = told(&fleet.socket, &format!("originate {{origination_uuid={}", plain.id())).await;
    assert!(!third.contains("record_session"), "{third}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_number_outside_is_admitted_or_refused_as_if_it_was_dialled_and_the_carrier_gets_the_number_to_show() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    phone(&fleet).await;
    let (node, tenant, stage) = (&fleet.stage.node, fleet.stage.tenant, &fleet.stage);
    let path = format!("/v1/calls?tenant_id={tenant}");
    // Another number of the agent's, so that the one that is shown was not chosen anyway.
    let second =
        node.makes(&format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": "+493087654321" })).await;
    let assigned = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", second.id());
    assert_eq!(node.makes(&assigned, json!({ "agent_id": stage.agent })).await.status, 200);

    // What the switch asks once the agent has answered, with the variables that the command gave the leg.
    let asks = async |shows: Option<&str>| {
        let mut new = json!({ "agent_id": stage.agent, "to": MUNICH });
        if let Some(number) = shows {
            new["show"] = json!(number);
        }
        let made = node.api("POST", &path, new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let (id, own) = (made.id(), own(&fleet, MUNICH));
        let command = told(&fleet.socket, &format!("originate {{origination_uuid={id}")).await;
        fires(&fleet.socket, leg("CHANNEL_CREATE", id, id, &own), now());
        fires(&fleet.socket, leg("CHANNEL_ANSWER", id, id, &own), now());
        let variables = command.split_once('{').unwrap().1.split_once('}').unwrap().0;
        let variables = variables.split(',').filter_map(|one| one.split_once('='));
        let variables = variables.filter(|(name, _)| name.starts_with("dialplane_"));
        let variables = variables.map(|(name, value)| format!("&variable_{name}={}", value.replace('+', "%2B")));
        let made_by = format!("&variable_dialplane_made_by={}%40acme.test", stage.phone);
        let form = stage.form(&stage.phone, MUNICH, id) + &variables.collect::<String>() + &made_by;
        let document = node.fetch(&form).await.text();
        (id, document)
    };
    for number in [OWN, "+493087654321"] {
        let (_, document) = asks(Some(number)).await;
        assert_eq!(route(&document), "outbound", "{document}");
        assert_eq!(bridges(&document).len(), 2, "{document}");
        let plain = document.replace("&#43;", "+");
        let shown = format!("effective_caller_id_number={number}");
        assert!(plain.contains(&shown), "{shown}: {plain}");
    }

    // Each refusal is the job's end, with the cause that the switch then gives the leg.
    let unlimited = json!({ "outbound": { "blocked_prefixes": [], "spend_per_day": null } });
    for (rules, reason) in [
        (json!({ "outbound": { "blocked_prefixes": ["4989"] } }), "blocked_number"),
        (json!({ "outbound": { "spend_per_day": 0 } }), "spend_cap"),
        (json!({ "outbound": { "concurrent_calls": 0 } }), "concurrent_calls"),
    ] {
        stage.rules(rules).await;
        let (id, document) = asks(None).await;
        assert_eq!((route(&document).as_str(), bridges(&document).len()), (reason, 0), "{document}");
        let cause = crate::stage::cause(&document).unwrap_or_else(|| panic!("{document}"));
        let ends = json!({ "Hangup-Cause": cause });
        fires(&fleet.socket, leg("CHANNEL_HANGUP_COMPLETE", id, id, &ends), now());
        let ended = job(node, tenant, id, "ended").await;
        assert_eq!((&ended["cause"], &ended["answered_at"]), (&json!(cause), &Value::Null), "{ended}");
        stage.rules(unlimited.clone()).await;
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_limit_of_calls_a_day_counts_calls_by_a_click() {
    let fleet = Fleet::new().await;
    let stage = &fleet.stage;
    stage.assign(json!({ "daily_limit": 1 })).await;
    let made_by =
        format!("&variable_dialplane_made_by={}%40acme.test&variable_dialplane_places=%2B498912345678", stage.phone);
    for expected in ["outbound", "daily_limit"] {
        let form = stage.form(&stage.phone, MUNICH, Uuid::new_v4()) + &made_by;
        assert_eq!(route(&stage.node.fetch(&form).await.text()), expected);
    }
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn another_switch_of_the_cluster_makes_the_call_while_one_drains_or_is_not_heard() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let here = node.api("GET", &fleet.switch, Value::Null).await.json();
    let new = json!({ "name": "fs-second", "cluster_id": here["cluster_id"] });
    let second = node.makes("/v1/switches", new).await;
    assert_eq!(second.status, 201, "{}", second.text());
    let (socket, switch) = (EventSocket::open().await, format!("/v1/switches/{}", second.id()));
    let put = json!({ "address": socket.address, "password": PASSWORD });
    assert_eq!(node.api("PUT", &format!("{switch}/event-socket"), put).await.status, 200);
    known_at(&socket, node).await;
    // The phone is registered at both, as phones are that have two proxies.
    phone(&fleet).await;
    signs_in(&socket, node, tenant, &fleet.stage.phone, "two").await;
    let path = format!("/v1/calls?tenant_id={tenant}");
    let click = async || {
        let made = node.api("POST", &path, json!({ "agent_id": fleet.stage.agent, "to": "1001" })).await;
        (made.status, made)
    };
    let begins = |id: Uuid| format!("originate {{origination_uuid={id}");
    for (drained, other, takes) in [(&fleet.switch, &socket, "the second"), (&switch, &fleet.socket, "the first")] {
        assert_eq!(node.api("POST", &format!("{drained}/drain"), Value::Null).await.status, 200);
        let (status, made) = click().await;
        assert_eq!(status, 201, "{takes}: {}", made.text());
        told(other, &begins(made.id())).await;
        assert_eq!(node.api("POST", &format!("{drained}/resume"), Value::Null).await.status, 200);
    }

    // The first is not heard any more.
    fleet.socket.has().hangs_up = true;
    fires(&fleet.socket, json!({ "Event-Name": "SHUTDOWN" }), now());
    let since = Instant::now();
    let unknown = format!("/v1/live/calls?tenant_id={tenant}");
    while node.api("GET", &unknown, Value::Null).await.json()["unknown"].as_array().unwrap().is_empty() {
        assert!(since.elapsed() < Duration::from_mins(1), "the first is still heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (status, made) = click().await;
    assert_eq!(status, 201, "{}", made.text());
    told(&socket, &begins(made.id())).await;
    // And neither is.
    assert_eq!(node.api("POST", &format!("{switch}/drain"), Value::Null).await.status, 200);
    assert_eq!(code(&click().await.1), (409, "no_switch_for_call".into()));
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn an_action_says_in_words_that_the_calls_switch_takes_no_commands_or_is_not_heard() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (a, _) = talking(&fleet).await;
    let (node, tenant, call) = (&fleet.stage.node, fleet.stage.tenant, a.to_string());
    // It is heard over the connections that are open, and takes no new one for commands.
    fleet.socket.has().hangs_up = true;
    for action in ["hold", "hangup"] {
        let away = acts(node, tenant, &call, json!({ "action": action })).await;
        assert_eq!(code(&away), (503, "switch_away".into()), "{}", away.text());
        let said = "The switch takes no commands right now, so nothing was done. Try again in a moment.";
        assert_eq!(away.json()["detail"], said);
        assert!(away.header("Retry-After").is_some(), "{:?}", away.text());
    }
    assert!(fleet.socket.told().iter().all(|command| !command.starts_with("uuid_")), "nothing was done");

    fires(&fleet.socket, json!({ "Event-Name": "SHUTDOWN" }), now());
    let since = Instant::now();
    let unheard = loop {
        let answer = acts(node, tenant, &call, json!({ "action": "hold" })).await;
        if code(&answer).1 != "switch_away" {
            break answer;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "it is still heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(code(&unheard), (503, "switch_unheard".into()), "{}", unheard.text());
    let said = "The switch that has the call can't be heard right now. Try again in a moment.";
    assert_eq!(unheard.json()["detail"], said);
    let listen = json!({ "mode": "listen", "extension_id": fleet.extension().await });
    let supervises = node.api("POST", &format!("/v1/live/calls/{call}/supervise?tenant_id={tenant}"), listen).await;
    assert_eq!(code(&supervises), (503, "switch_unheard".into()), "{}", supervises.text());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn where_supervising_is_announced_nobody_hears_anything_before_both_sides_were_told() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    phone(&fleet).await;
    let (a, b) = talking(&fleet).await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let announced = json!({ "calling": { "supervision": "announced" } });
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), announced).await.status, 200);
    let extension = fleet.extension().await;
    let path = format!("/v1/live/calls/{a}/supervise?tenant_id={tenant}");
    for (mode, application) in [("listen", "eavesdrop"), ("whisper", "eavesdrop"), ("barge", "three_way")] {
        fleet.socket.told();
        let new = json!({ "mode": mode, "leg_id": b, "extension_id": extension });
        let made = node.api("POST", &path, new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let (id, own) = (made.id(), own(&fleet, ""));
        // What the switch does by itself when the phone answers, if the node is gone by then: nothing, and then the leg ends.
        let command = told(&fleet.socket, &format!("originate {{origination_uuid={id}")).await;
        assert!(command.ends_with(" 'm:^:set:park_timeout=25:NORMAL_CLEARING^park:' inline"), "{command}");
        assert!(!command.contains(&b.to_string()), "{command}");
        fires(&fleet.socket, leg("CHANNEL_CREATE", id, id, &own), now());
        job(node, tenant, id, "ringing_agent").await;
        assert!(
            fleet.socket.has().told.iter().all(|command| !command.starts_with("uuid_")),
            "nobody is told too early"
        );
        fires(&fleet.socket, leg("CHANNEL_ANSWER", id, id, &own), now());
        job(node, tenant, id, "ringing").await;
        assert!(fleet.socket.has().told.iter().all(|command| !command.starts_with("uuid_")), "the switch still has it");
        fires(&fleet.socket, leg("CHANNEL_PARK", id, id, &own), now());
        let takes_part = told(&fleet.socket, "uuid_transfer").await;
        assert_eq!(takes_part, format!("uuid_transfer {id} 'm:^:sleep:700^{application}:{b}' inline"));
        let told = fleet.socket.told();
        let tone = told
            .iter()
            .position(|command| *command == format!("uuid_broadcast {b} tone_stream://%(200,100,800);loops=2 both"));
        let part = told.iter().position(|command| *command == takes_part);
        assert!(tone.is_some() && tone < part, "the tone comes first: {told:?}");
        let ends = json!({ "Hangup-Cause": "NORMAL_CLEARING" });
        fires(&fleet.socket, leg("CHANNEL_HANGUP_COMPLETE", id, id, &ends), now());
        job(node, tenant, id, "ended").await;
    }

    // The tone can't be played: the supervisor has to leave.
    fleet.socket.has().refuses = Some("uuid_broadcast");
    let new = json!({ "mode": "listen", "leg_id": b, "extension_id": extension });
    let made = node.api("POST", &path, new).await;
    let (id, own) = (made.id(), own(&fleet, ""));
    fires(&fleet.socket, leg("CHANNEL_CREATE", id, id, &own), now());
    fires(&fleet.socket, leg("CHANNEL_ANSWER", id, id, &own), now());
    fires(&fleet.socket, leg("CHANNEL_PARK", id, id, &own), now());
    assert_eq!(job(node, tenant, id, "ended").await["cause"], "NOT_ANNOUNCED");
    let told = fleet.socket.told();
    assert!(told.contains(&format!("uuid_kill {id} NORMAL_CLEARING")), "{told:?}");
    assert!(told.iter().all(|command| !command.starts_with("uuid_transfer")), "{told:?}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn what_becomes_of_a_job_while_postgres_is_away_is_written_once_it_is_back() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let database = Database::on(&cluster).await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extension = node.extension(tenant, json!({ "number": "1000", "display_name": "Ada" })).await;
    let phone = extension["sip_username"].as_str().unwrap();
    let socket = EventSocket::open().await;
    let switches = node.api("GET", "/v1/switches", Value::Null).await.json();
    let path = format!("/v1/switches/{}/event-socket", switches["items"][0]["id"].as_str().unwrap());
    let put = node.api("PUT", &path, json!({ "address": socket.address, "password": PASSWORD })).await;
    assert_eq!(put.status, 200, "{}", put.text());
    known_at(&socket, &node).await;
    signs_in(&socket, &node, tenant, phone, "one").await;
    let query = format!("tenant_id={tenant}&topics=call:ended");
    let mut listener = Listener::open(&node, &node.key, &query, true).await.unwrap();
    assert_eq!(listener.message().await["type"], "snapshot");

    // One call is answered and ends during the outage, and another was answered before.
    let mut calls = Vec::new();
    for _ in 0..2 {
        let new = json!({ "extension_id": extension["id"], "to": "1001" });
        let made = node.api("POST", &format!("/v1/calls?tenant_id={tenant}"), new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.id();
        told(&socket, &format!("originate {{origination_uuid={id}")).await;
        let own = json!({
            "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7"),
            "variable_dialplane_taken_by": format!("{phone}@acme.test"), "variable_dialplane_places": "1001",
        });
        fires(&socket, leg("CHANNEL_CREATE", id, id, &own), now());
        job(&node, tenant, id, "ringing_agent").await;
        calls.push((id, own));
    }
    let answers = |(id, own): &(Uuid, Value)| {
        let other = Uuid::new_v4();
        fires(&socket, leg("CHANNEL_ANSWER", *id, *id, own), now());
        let pair = json!({ "Bridge-A-Unique-ID": id, "Bridge-B-Unique-ID": other });
        fires(&socket, leg("CHANNEL_BRIDGE", *id, *id, &pair), now());
    };
    answers(&calls[1]);
    job(&node, tenant, calls[1].0, "answered").await;
    cluster.kill();
    answers(&calls[0]);
    for ((id, _), cause) in calls.iter().zip(["NORMAL_CLEARING", "ALLOTTED_TIMEOUT"]) {
        fires(&socket, leg("CHANNEL_HANGUP_COMPLETE", *id, *id, &json!({ "Hangup-Cause": cause })), now());
        loop {
            let message = listener.message().await;
            if message["data"]["id"] == json!(id) {
                break;
            }
        }
    }
    // Whoever follows the jobs hears the same in a task of its own, and while Postgres is away nothing shows that it has.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let over = chrono::Utc::now();
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.up();
        cluster
    });
    let cluster = cluster.await.unwrap();
    for ((id, _), cause) in calls.iter().zip(["NORMAL_CLEARING", "ALLOTTED_TIMEOUT"]) {
        let ended = job(&node, tenant, *id, "ended").await;
        assert_eq!(ended["cause"], cause, "{ended}");
        let at = |field: &str| ended[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        assert!(at("answered_at") <= at("ended_at") && at("ended_at") <= over, "not when Postgres was back: {ended}");
    }
    drop(listener);
    node.stop().await;
    drop(cluster);
}

#[actix_web::test]
async fn a_node_that_only_saw_that_a_call_is_over_takes_nothing_from_the_one_that_heard_why() {
    use dialplane::switch::control::{job::JobState, store};
    let fleet = Fleet::new().await;
    let pool = fleet.stage.node.app.changes.pool();
    let id = Uuid::new_v4();
    let made = sqlx::query(
        "insert into call_jobs (id, tenant_id, switch_id, extension_id) select $1, $2, s.id, e.id from switches s, extensions e limit 1",
    );
    made.bind(id).bind(fleet.stage.tenant).execute(pool).await.unwrap();
    let heard = chrono::Utc::now();
    let note = async |state, cause, at| store::move_on(pool, fleet.stage.tenant, id, state, cause, at).await.unwrap();
    note(JobState::RingingAgent, None, Some(heard)).await;
    note(JobState::Ended, None, None).await;
    note(JobState::Answered, None, Some(heard)).await;
    note(JobState::Ended, Some("USER_BUSY"), Some(heard)).await;
    // What comes twice changes nothing.
    note(JobState::Ended, Some("NO_ANSWER"), None).await;
    note(JobState::Ringing, None, None).await;
    let shown = job(&fleet.stage.node, fleet.stage.tenant, id, "ended").await;
    assert_eq!(shown["cause"], "USER_BUSY", "{shown}");
    let at = |field: &str| shown[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(at("answered_at"), at("ended_at"), "{shown}");
    fleet.stage.stop().await;
}
