//! What a client of `/v1/events` hears of calls that are acted on at a real switch, in order; and what both sides of a supervised call hear.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    control::{Desk, Socket, text},
    phone::{Call, PATIENCE},
};

/// An event in a few words: what it is, who is in the call, and how it is.
fn word(event: &Value) -> String {
    let data = &event["data"];
    let legs = data["legs"].as_array().cloned().unwrap_or_default();
    let of = |leg: &Value| leg["extension"].as_str().or(leg["number"].as_str()).unwrap_or("?").to_owned();
    let who = legs.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("+");
    match text(&event["topic"]) {
        "call:incoming" => format!("incoming {who}"),
        "call:ended" => "ended".to_owned(),
        _ => format!("{} {who}", text(&data["state"])),
    }
}

/// The words of what was heard until one of them, each once in a row. `connected` is left out: a leg that has answered is with nobody for a
/// moment between two others.
async fn until(desk: &Desk, socket: &mut Socket, last: &str) -> Vec<String> {
    let mut words = Vec::<String>::new();
    loop {
        let Ok(event) = tokio::time::timeout(PATIENCE, socket.next()).await else {
            panic!("{last} is not heard but {words:?}\n{}", desk.switch.log());
        };
        let word = word(&event);
        let is_last = word == last;
        if !word.starts_with("connected ") && words.last() != Some(&word) {
            words.push(word);
        }
        if is_last {
            return words;
        }
    }
}

/// What happened, each once in a row, whoever was in the call.
fn kinds(words: &[String]) -> Vec<&str> {
    let mut kinds = words.iter().map(|word| word.split(' ').next().unwrap()).collect::<Vec<_>>();
    kinds.dedup();
    kinds
}

/// Has two phones talk, of which everything is heard.
async fn talk(desk: &Desk, socket: &mut Socket) -> (String, Call, Call) {
    let (job, first, second) = desk.talk().await;
    let made = until(desk, socket, "talking 1000+1001").await;
    assert_eq!(
        made,
        ["ringing 1000", "incoming 1000+1001", "ringing 1000+1001", "talking 1000+1001"],
        "the agent first"
    );
    (job, first, second)
}

async fn over(desk: &Desk, socket: &mut Socket) {
    let over = until(desk, socket, "ended").await;
    assert_eq!(kinds(&over).last(), Some(&"ended"), "{over:?}");
    assert!(!kinds(&over).contains(&"incoming"), "{over:?}");
}

#[actix_web::test]
async fn a_client_hears_every_step_of_transfers_a_consultation_and_a_conference_in_order() {
    let Some(desk) = Desk::open().await else { return };
    let mut socket = Socket::open(&desk).await;
    let (job, first, second) = talk(&desk, &mut socket).await;
    desk.does(&job, json!({ "action": "transfer", "to": "1002" })).await;
    let third = desk.phones[2].rings().await.answers().await;
    desk.hear_each_other((&second, 1), (&third, 2)).await;
    first.ended().await;
    let moved = until(&desk, &mut socket, "talking 1001+1002").await;
    assert_eq!(kinds(&moved), ["incoming", "ringing", "talking"], "{moved:?}");
    second.hangs_up().await;
    third.ended().await;
    over(&desk, &mut socket).await;

    let (job, first, second) = talk(&desk, &mut socket).await;
    desk.does(&job, json!({ "action": "consult", "to": "1002" })).await;
    let third = desk.phones[2].rings().await.answers().await;
    desk.hear_each_other((&first, 0), (&third, 2)).await;
    desk.does(&job, json!({ "action": "complete" })).await;
    desk.hear_each_other((&second, 1), (&third, 2)).await;
    first.ended().await;
    let completed = until(&desk, &mut socket, "talking 1001+1002").await;
    assert_eq!(kinds(&completed), ["incoming", "ringing", "talking"], "{completed:?}");
    second.hangs_up().await;
    third.ended().await;
    over(&desk, &mut socket).await;

    let (job, first, second) = talk(&desk, &mut socket).await;
    desk.does(&job, json!({ "action": "consult", "to": "1002" })).await;
    let third = desk.phones[2].rings().await.answers().await;
    desk.hear_each_other((&first, 0), (&third, 2)).await;
    desk.does(&job, json!({ "action": "conference" })).await;
    first.hears(&desk.phones[1]).await;
    first.hangs_up().await;
    second.ended().await;
    third.ended().await;
    let joined = until(&desk, &mut socket, "ended").await;
    assert_eq!(kinds(&joined), ["incoming", "ringing", "talking", "ended"], "{joined:?}");
    assert!(joined.contains(&"talking 1000+1001+1002".to_owned()), "all three: {joined:?}");
    desk.closes().await;
}

#[actix_web::test]
async fn a_client_hears_that_a_call_is_parked_picked_up_and_supervised() {
    let Some(desk) = Desk::open().await else { return };
    let mut socket = Socket::open(&desk).await;
    let (job, first, second) = talk(&desk, &mut socket).await;
    desk.does(&job, json!({ "action": "park" })).await;
    first.ended().await;
    let parked = until(&desk, &mut socket, "parked 1001").await;
    assert_eq!(kinds(&parked), ["parked"], "{parked:?}");
    let call = text(&desk.get("/v1/live/parked").await["items"][0]["call_id"]).to_owned();
    desk.does(&call, json!({ "action": "pick_up", "extension_id": desk.id(3) })).await;
    let fourth = desk.phones[3].rings().await.answers().await;
    desk.hear_each_other((&second, 1), (&fourth, 3)).await;
    let picked = until(&desk, &mut socket, "talking 1001+1003").await;
    // The call that was parked goes on as a part of the one that took it.
    assert_eq!(kinds(&picked), ["ringing", "ended", "talking"], "{picked:?}");
    assert_eq!(picked[0], "ringing 1003");
    fourth.hangs_up().await;
    second.ended().await;
    over(&desk, &mut socket).await;

    let (job, agent, customer) = talk(&desk, &mut socket).await;
    let leg = desk.leg(&job, 0).await;
    let new = json!({ "mode": "listen", "leg_id": leg, "extension_id": desk.id(3) });
    let made = desk.asks(&format!("/v1/live/calls/{job}/supervise"), new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let part = text(&made.json()["id"]).to_owned();
    let supervisor = desk.phones[3].rings().await.answers().await;
    desk.is_in_state(&part, "answered").await;
    desk.does(&part, json!({ "action": "hangup" })).await;
    supervisor.ended().await;
    let supervised = until(&desk, &mut socket, "ended").await;
    assert_eq!(supervised, ["incoming 1003", "ringing 1003", "ended"], "and nothing of the call itself");
    agent.hangs_up().await;
    customer.ended().await;
    over(&desk, &mut socket).await;
    desk.closes().await;
}

#[actix_web::test]
async fn both_sides_hear_that_a_supervisor_will_listen_and_the_supervisor_hears_nothing_before() {
    let Some(desk) = Desk::open().await else { return };
    let path = format!("/v1/tenants/{}/settings", desk.tenant);
    let announced = desk.node.api("PATCH", &path, json!({ "calling": { "supervision": "announced" } })).await;
    assert_eq!(announced.status, 200, "{}", announced.text());
    let (job, agent, customer) = desk.talk().await;
    let leg = desk.leg(&job, 0).await;
    for mode in ["listen", "whisper", "barge"] {
        desk.hear_each_other((&agent, 0), (&customer, 1)).await;
        let new = json!({ "mode": mode, "leg_id": leg, "extension_id": desk.id(3) });
        let made = desk.asks(&format!("/v1/live/calls/{job}/supervise"), new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let part = text(&made.json()["id"]).to_owned();
        let rings = desk.phones[3].rings().await;
        let listens = async {
            let supervisor = rings.answers().await;
            desk.is_in_state(&part, "answered").await;
            supervisor
        };
        // The tone is nobody's: 800 Hz, which no phone sends.
        let (supervisor, (), ()) = tokio::join!(listens, agent.hears_something(), customer.hears_something());
        supervisor.hears(&desk.phones[0]).await;
        supervisor.hears(&desk.phones[1]).await;
        desk.does(&part, json!({ "action": "hangup" })).await;
        supervisor.ended().await;
    }
    desk.hear_each_other((&agent, 0), (&customer, 1)).await;

    // Nobody is there to tell them, as if the node had died: what it had told the switch connects nobody, and then the supervisor's phone is
    // hung up on. Sooner here than by `UNANNOUNCED` in src/switch/control/command.rs.
    let user = text(&desk.extensions[3]["sip_username"]).to_owned();
    let command = format!(
        "originate {{user_name={user},domain_name=desk.test,user_context=desk.test,eavesdrop_enable_dtmf=false}}user/{user}@desk.test \
         'm:^:set:park_timeout=3:NORMAL_CLEARING^park:' inline"
    );
    let switch = std::sync::Arc::clone(&desk.switch);
    let placed = tokio::task::spawn_blocking(move || switch.api(&command));
    let supervisor = desk.phones[3].rings().await.answers().await;
    let placed = placed.await.unwrap();
    assert!(placed.starts_with("+OK"), "{placed}");
    supervisor.does_not_hear(&desk.phones[0]).await;
    assert_eq!(supervisor.ended().await.cause, Some(16));
    desk.closes().await;
}

#[actix_web::test]
async fn a_call_is_sent_to_a_mailbox_and_to_a_queue() {
    let Some(desk) = Desk::open().await else { return };
    let of = |which: usize| format!("/v1/tenants/{}/extensions/{}", desk.tenant, desk.id(which));
    let boxed = desk.node.api("PATCH", &of(2), json!({ "voicemail_enabled": true })).await;
    assert_eq!(boxed.status, 200, "{}", boxed.text());
    // To the mailbox of a colleague.
    let (job, first, second) = desk.talk().await;
    desk.does(&job, json!({ "action": "voicemail", "to": "1002" })).await;
    first.ended().await;
    let channels = || desk.switch.api("show channels");
    let since = std::time::Instant::now();
    while !channels().lines().any(|line| line.contains(",voicemail,")) {
        assert!(since.elapsed() < PATIENCE, "{}\n{}", channels(), desk.switch.log());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let before = desk.switch.messages().len();
    let long = |path: &std::path::PathBuf| std::fs::metadata(path).is_ok_and(|file| file.len() > 3 * 16_000);
    let since = std::time::Instant::now();
    while !desk.switch.messages().iter().any(long) {
        assert!(since.elapsed() < PATIENCE * 2, "{before}: nothing is recorded\n{}", desk.switch.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    second.hangs_up().await;
    let count = format!("vm_boxcount {}@desk.test|all", text(&desk.extensions[2]["sip_username"]));
    let since = std::time::Instant::now();
    while desk.switch.api(&count).trim() != "1:0:0:0" {
        assert!(since.elapsed() < PATIENCE, "{}", desk.switch.api(&count));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Into a queue, whose agent is the third phone.
    let config = json!({ "tiers": [{ "extension_id": desk.id(2) }], "ring_seconds": 10 });
    let new = json!({ "name": "Support", "number": "500", "kind": "queue", "config": config });
    let queue = desk.node.makes(&format!("/v1/tenants/{}/destinations", desk.tenant), new).await;
    assert_eq!(queue.status, 201, "{}", queue.text());
    let name = format!("{}.desk.test", queue.id().simple());
    let since = std::time::Instant::now();
    while !desk.switch.api(&format!("callcenter_config queue list tiers {name}")).contains("desk.test|") {
        assert!(since.elapsed() < PATIENCE * 2, "{}", desk.switch.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (job, first, second) = desk.talk().await;
    let sent = desk.does(&job, json!({ "action": "queue", "queue_id": queue.id() })).await;
    // The switch took the call away from the phone; that it waits is heard a moment later.
    let since = std::time::Instant::now();
    loop {
        let shown = desk.get("/v1/live/calls").await;
        let waits =
            |call: &Value| call["id"] == sent["call"]["id"] && call["state"] == "waiting" && call["queue"] == "Support";
        if shown["items"].as_array().unwrap().iter().any(waits) {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "{sent} {shown}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.ended().await;
    let rings = desk.phones[2].rings().await;
    let shown = desk.get("/v1/live/calls").await;
    assert!(shown["items"].as_array().unwrap().iter().any(|call| call["queue_id"] == json!(queue.id())), "{shown}");
    let third = rings.answers().await;
    desk.hear_each_other((&second, 1), (&third, 2)).await;
    third.hangs_up().await;
    second.ended().await;
    desk.closes().await;
}
