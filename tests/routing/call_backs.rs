//! Being called back instead of waiting in a queue: what is kept of the key, and what a played switch is told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    event_socket::EventSocket,
    harness::call_form,
    live::{fires, known, leg, now},
    pushes::Fleet,
    stage::{Stage, route},
};

const EVE: &str = "+4915112345678";

async fn queue(stage: &Stage, call_back: Value) -> Uuid {
    let extensions = format!("/v1/tenants/{}/extensions", stage.tenant);
    let extensions = stage.node.api("GET", &extensions, Value::Null).await.json();
    let tiers = json!([{ "extension_id": extensions["items"][0]["id"] }]);
    let config = json!({ "tiers": tiers, "call_back": call_back });
    let new = json!({ "name": "Support", "number": "500", "kind": "queue", "config": config });
    let made = stage.node.api("POST", &format!("/v1/tenants/{}/destinations", stage.tenant), new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.id()
}

/// What a switch gets that asks after a caller has left the queue.
async fn left(stage: &Stage, queue: Uuid, number: &str, more: &str) -> String {
    let form = call_form(&format!("{}%7Eleft", queue.simple()), "acme.test");
    let number = number.replace('+', "%2B");
    let form = format!(
        "{form}&Unique-ID={}&Caller-Caller-ID-Number={number}&variable_dialplane_call_back={number}\
         &variable_cc_queue_joined_epoch={}&variable_cc_base_score=0{more}",
        Uuid::new_v4(),
        now() / 1_000_000 - 90,
    );
    stage.node.fetch(&form).await.text()
}

const BY_KEY: &str = "&variable_cc_cancel_reason=EXIT_WITH_KEY";

async fn wishes(stage: &Stage, more: &str) -> Vec<Value> {
    let path = format!("/v1/tenants/{}/call-backs?limit=500{more}", stage.tenant);
    let all = stage.node.api("GET", &path, Value::Null).await;
    assert_eq!(all.status, 200, "{}", all.text());
    all.json()["items"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn a_wish_is_kept_once_with_the_callers_place_and_can_be_cancelled() {
    let stage = Stage::new().await;
    let id = queue(&stage, json!({ "key": "1" })).await;
    let caller = format!("{}&Caller-Caller-ID-Number=%2B4915112345678", call_form("500", "acme.test"));
    let waits = stage.node.fetch(&caller).await.text();
    assert!(waits.contains("cc_exit_keys=1") && waits.contains(&format!("dialplane_call_back={EVE}")), "{waits}");
    let withheld = stage.node.fetch(&format!("{caller}&Caller-Privacy-Hide-Number=true")).await.text();
    assert!(!withheld.contains("cc_exit_keys=1") && !withheld.contains("dialplane_call_back"), "{withheld}");

    // Who was not served in time goes on, and nothing is kept.
    assert_eq!(route(&left(&stage, id, EVE, "&variable_cc_cancel_reason=TIMEOUT").await), "left_queue");
    assert!(wishes(&stage, "").await.is_empty());
    for _ in 0..2 {
        assert_eq!(route(&left(&stage, id, EVE, BY_KEY).await), "call_back");
    }
    assert_eq!(route(&left(&stage, id, "+493012345678", BY_KEY).await), "call_back");
    let kept = wishes(&stage, "").await;
    assert_eq!(kept.iter().map(|wish| &wish["number"]).collect::<Vec<_>>(), [EVE, "+493012345678"]);
    let waited = kept[0]["waiting_since"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!((chrono::Utc::now() - waited).num_seconds() >= 89, "{waited}: the place is kept");
    for (filter, count) in [
        ("&state=waiting", 2),
        ("&state=done", 0),
        ("&number=%2B493012345678", 1),
        (&*format!("&queue_id={id}"), 2),
        (&*format!("&queue_id={}", Uuid::new_v4()), 0),
    ] {
        assert_eq!(wishes(&stage, filter).await.len(), count, "{filter}");
    }

    let path = format!("/v1/tenants/{}/call-backs/{}", stage.tenant, kept[0]["id"].as_str().unwrap());
    assert_eq!(stage.node.api("GET", &path, Value::Null).await.json(), kept[0]);
    let other = stage.node.tenant("other.test").await;
    let foreign = path.replace(&stage.tenant.to_string(), &other.to_string());
    assert_eq!(stage.node.api("GET", &foreign, Value::Null).await.status, 404);
    assert_eq!(stage.node.api("POST", &format!("{foreign}/cancel"), Value::Null).await.status, 404);
    let cancelled = stage.node.api("POST", &format!("{path}/cancel"), Value::Null).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")), "{}", cancelled.text());
    let again = stage.node.api("POST", &format!("{path}/cancel"), Value::Null).await;
    assert_eq!((again.status, again.json()["code"].as_str()), (409, Some("call_back_over")), "{}", again.text());
    // Whoever was cancelled may wish again.
    left(&stage, id, EVE, BY_KEY).await;
    assert_eq!(wishes(&stage, "&state=waiting").await.len(), 2);
    stage.stop().await;
}

#[actix_web::test]
async fn when_too_many_wait_to_be_called_back_a_caller_goes_on_waiting_at_their_place() {
    let stage = Stage::new().await;
    let id = queue(&stage, json!({ "key": "1" })).await;
    left(&stage, id, EVE, BY_KEY).await;
    let many = "insert into call_backs (tenant_id, id, queue_id, number, joined_at, expires_at)
                select tenant_id, gen_random_uuid(), queue_id, '+4930' || n, now(), now() + interval '1 day'
                  from call_backs, generate_series(1000000, 1000197) n";
    sqlx::query(many).execute(&mut stage.database.connect().await).await.unwrap();
    assert_eq!(route(&left(&stage, id, "+493099999990", BY_KEY).await), "call_back", "the last one");
    let full = left(&stage, id, "+493099999999", BY_KEY).await;
    assert_eq!(route(&full), "queue", "{full}");
    let ahead = full.split("cc_base_score=").nth(1).unwrap().split('"').next().unwrap().parse::<u32>().unwrap();
    assert!((89..=120).contains(&ahead), "as if they had not left: {ahead}");
    stage.stop().await;
}

/// Waits until the switch got a command that begins and goes on with these texts, and returns it.
async fn told(socket: &EventSocket, begins: &str, has: &str) -> String {
    let since = Instant::now();
    loop {
        let has_it = |command: &&String| command.starts_with(begins) && command.contains(has);
        let found = socket.has().told.iter().find(has_it).cloned();
        if let Some(command) = found {
            return command;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "not told {begins} {has}: {:?}", socket.has().told);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn is(stage: &Stage, number: &str, state: &str) -> Value {
    let since = Instant::now();
    loop {
        let all = wishes(stage, "").await;
        let found = all.iter().find(|wish| wish["number"] == number && wish["state"] == state);
        if let Some(wish) = found {
            return wish.clone();
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{number} {state}: {all:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The leg that waits for a number.
fn place(command: &str) -> Uuid {
    command.split("origination_uuid=").nth(1).unwrap().split(',').next().unwrap().parse().unwrap()
}

/// An agent's phone has answered, and is connected with the place that is held. Returns its leg.
fn takes(fleet: &Fleet, place: Uuid) -> Uuid {
    let (domain, phone, agent) = (&fleet.stage.domain, &fleet.stage.phone, Uuid::new_v4());
    let own = json!({
        "Call-Direction": "outbound", "Channel-Name": format!("sofia/internal/{phone}@192.0.2.7"),
        "variable_dialplane_taken_by": format!("{phone}@{domain}"),
    });
    fires(&fleet.socket, leg("CHANNEL_CREATE", agent, agent, &own), now());
    fires(&fleet.socket, leg("CHANNEL_ANSWER", agent, agent, &own), now());
    let pair = json!({ "Bridge-A-Unique-ID": agent, "Bridge-B-Unique-ID": place });
    fires(&fleet.socket, leg("CHANNEL_BRIDGE", agent, agent, &pair), now());
    agent
}

#[actix_web::test]
async fn a_place_is_held_at_the_switch_and_the_agents_phone_calls_until_somebody_is_reached() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (stage, socket) = (&fleet.stage, &fleet.socket);
    let id = queue(stage, json!({ "key": "1", "attempts": 2, "retry_seconds": 5 })).await;
    left(stage, id, EVE, BY_KEY).await;
    let held = told(socket, "originate ", EVE).await;
    assert!(held.ends_with(&format!("null/call-back 'callcenter:{}.acme.test' inline", id.simple())), "{held}");
    let waited = held.split("cc_base_score=").nth(1).unwrap().split(',').next().unwrap().parse::<u32>().unwrap();
    assert!((89..=150).contains(&waited), "{held}");
    let first = place(&held);
    let null = json!({ "Call-Direction": "outbound", "Channel-Name": "null/call-back" });
    fires(socket, leg("CHANNEL_CREATE", first, first, &null), now());

    // The agent's phone calls, and nobody answers.
    let agent = takes(&fleet, first);
    let calls = told(socket, "uuid_transfer ", EVE).await;
    assert!(
        calls.starts_with(&format!("uuid_transfer {agent} 'm:^:set:dialplane_made_by={}@", stage.phone)),
        "{calls}"
    );
    told(socket, "uuid_kill ", &first.to_string()).await;
    let calling = is(stage, EVE, "calling").await;
    assert_eq!((&calling["attempts"], &calling["call_id"]), (&json!(1), &json!(agent)), "{calling}");
    let cancel = format!("/v1/tenants/{}/call-backs/{}/cancel", stage.tenant, calling["id"].as_str().unwrap());
    let refused = stage.node.api("POST", &cancel, Value::Null).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("call_back_under_way")));
    fires(socket, leg("CHANNEL_HANGUP_COMPLETE", agent, agent, &json!({ "Hangup-Cause": "NO_ANSWER" })), now());
    let vain = is(stage, EVE, "waiting").await;
    assert_eq!(vain["cause"], "NO_ANSWER", "{vain}");

    // After the pause, at the same place. This time they answer, after the carrier has connected them.
    socket.told();
    let held = told(socket, "originate ", EVE).await;
    let second = place(&held);
    assert_ne!(second, first);
    fires(socket, leg("CHANNEL_CREATE", second, second, &null), now());
    let agent = takes(&fleet, second);
    told(socket, "uuid_transfer ", &agent.to_string()).await;
    let outside = Uuid::new_v4();
    let out = json!({ "Call-Direction": "outbound", "Channel-Name": "sofia/external/x", "Other-Leg-Unique-ID": agent });
    let pair = json!({ "Bridge-A-Unique-ID": agent, "Bridge-B-Unique-ID": outside });
    fires(socket, leg("CHANNEL_CREATE", outside, agent, &out), now());
    fires(socket, leg("CHANNEL_BRIDGE", agent, agent, &pair), now());
    assert_eq!(is(stage, EVE, "calling").await["attempts"], 2);
    fires(socket, leg("CHANNEL_ANSWER", outside, agent, &out), now());
    assert!(is(stage, EVE, "done").await["ended_at"].is_string());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_place_is_given_up_when_its_wish_is_and_held_again_when_the_switch_has_lost_it() {
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (stage, socket) = (&fleet.stage, &fleet.socket);
    let id = queue(stage, json!({ "key": "1" })).await;
    left(stage, id, EVE, BY_KEY).await;
    let first = place(&told(socket, "originate ", EVE).await);
    let null = json!({ "Call-Direction": "outbound", "Channel-Name": "null/call-back" });
    fires(socket, leg("CHANNEL_CREATE", first, first, &null), now());
    socket.told();
    fires(socket, leg("CHANNEL_HANGUP_COMPLETE", first, first, &json!({ "Hangup-Cause": "NORMAL_CLEARING" })), now());
    let second = place(&told(socket, "originate ", EVE).await);
    assert_ne!(first, second);
    fires(socket, leg("CHANNEL_CREATE", second, second, &null), now());
    let wish = is(stage, EVE, "waiting").await;
    let cancel = format!("/v1/tenants/{}/call-backs/{}/cancel", stage.tenant, wish["id"].as_str().unwrap());
    assert_eq!(stage.node.api("POST", &cancel, Value::Null).await.status, 200);
    told(socket, "uuid_kill ", &second.to_string()).await;

    // In business hours only, which there are none of.
    let path = format!("/v1/tenants/{}/destinations/{id}", stage.tenant);
    let config = json!({ "config": { "call_back": { "key": "1", "business_hours_only": true } } });
    let hours = json!({ "business_hours": { "monday": [], "tuesday": [], "wednesday": [], "thursday": [], "friday": [], "saturday": [], "sunday": [] } });
    assert_eq!(stage.node.api("PATCH", &format!("/v1/tenants/{}/settings", stage.tenant), hours).await.status, 200);
    assert_eq!(stage.node.api("PATCH", &path, config).await.status, 200);
    socket.told();
    left(stage, id, EVE, BY_KEY).await;
    // It is looked at each half second: another queue's is held meanwhile.
    let other = json!({ "name": "Other", "number": "501", "kind": "queue", "config": { "call_back": { "key": "1" } } });
    let other = stage.node.api("POST", &format!("/v1/tenants/{}/destinations", stage.tenant), other).await.id();
    left(stage, other, "+493012345678", BY_KEY).await;
    told(socket, "originate ", "+493012345678").await;
    assert!(!socket.told().iter().any(|command| command.contains(EVE)), "nobody is called now");
    fleet.stage.stop().await;
}
