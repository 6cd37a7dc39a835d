//! Calling back instead of waiting in a queue.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Needs, Row, Table, connected::names_nobody_wrongly, queues::idle, row};
use crate::{
    phone::media::{next_tone, tone},
    switch::write_sound,
};

const THREE: Needs = Needs::phones(3);
const IN: Needs = Needs::phones(2).agents(1).carriers(1);

pub fn rows() -> Vec<Row> {
    vec![
        row("call back: an agent's phone rings first, and then calls whoever pressed the key", THREE, async |t| {
            let noted = next_tone();
            write_sound(&t.switch.folder.join(format!("sounds/noted-{noted}.wav")), &tone(noted, 1));
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let prompt = json!({ "file": format!("noted-{noted}.wav") });
            let queue = idle(&t, "500", json!({ "call_back": { "key": "1", "prompt": prompt } })).await;
            let call = t.phone(0).calls("500");
            waits(&t, &queue, 1).await;
            call.presses("1").await;
            call.hears_tone(noted).await;
            assert_eq!(call.ended().await.cause, Some(16));
            let asked = wish(&t, "waiting").await;
            assert_eq!((&asked["number"], &asked["attempts"]), (&json!("1000"), &json!(0)), "{asked}");
            // Somebody who comes later waits in vain until it was the other's turn.
            waits(&t, &queue, 1).await;
            let later = t.phone(2).calls("500");
            waits(&t, &queue, 2).await;
            t.handle(1, json!({})).await;
            let agent = t.phone(1).rings().await;
            assert_eq!(agent.shows(), "Callback <1000>", "{}", agent.story());
            assert!(t.phone(0).rang().is_none(), "the agent's phone comes first");
            let agent = agent.answers().await;
            let back = t.phone(0).rings().await;
            assert_eq!(back.invite().from().number, "1001", "{}", back.story());
            let back = back.answers().await;
            t.talk((&agent, t.phone(1)), (&back, t.phone(0))).await;
            assert_eq!(back.shows(), "Phone 1 <1001>", "{}", back.story());
            names_nobody_wrongly(&[&call, &agent, &back]);
            let done = wish(&t, "done").await;
            assert_eq!((&done["attempts"], &done["extension_id"]), (&json!(1), &t.extension(1)["id"]), "{done}");
            let path = format!("/v1/calls/{}?tenant_id={}", done["call_id"].as_str().unwrap(), t.tenant());
            back.hangs_up().await;
            assert_eq!(agent.ended().await.cause, Some(16));
            assert_eq!(t.phone(1).rings().await.invite().from().number, "1002", "now it is the other's turn");
            later.hangs_up().await;
            let record = there(&t, &path).await;
            assert_eq!(record["state"], "answered", "{record}");
        }),
        row("call back: outside, with the agent's rights and the number that was called", IN, async |t| {
            let shown = format!("{}77", t.outside().trim_end_matches('5'));
            t.handle(0, json!({ "do_not_disturb": true })).await;
            let config = json!({ "tiers": [{ "extension_id": t.extension_id(0) }], "ring_seconds": 5,
                                 "call_back": { "key": "#", "show": shown } });
            let id = t.destination("500", "queue", config).await;
            let queue = format!("{id}.{}", t.domain());
            let leads = json!({ "number": shown, "destination": { "kind": "queue", "id": id } });
            t.make("POST", &format!("/v1/phone-numbers?tenant_id={}", t.tenant()), leads).await;
            let eve = format!("{}1", t.outside());
            let call = t.comes_in(&format!("\"Eve\" <sip:{eve}@carrier.test>"), &shown, &[]);
            waits(&t, &queue, 1).await;
            call.presses("#").await;
            assert_eq!(wish(&t, "waiting").await["number"], json!(eve));
            call.ended().await;
            waits(&t, &queue, 1).await;
            t.handle(0, json!({})).await;
            let agent = t.phone(0).rings().await;
            assert_eq!(agent.shows(), format!("Callback <{eve}>"), "{}", agent.story());
            let agent = agent.answers().await;
            let back = t.carrier(0).rings().await;
            assert_eq!(back.invite().called(), eve.trim_start_matches('+'), "{}", back.story());
            assert_eq!(back.invite().from().number, shown, "{}", back.story());
            let back = back.answers().await;
            t.talk((&agent, t.phone(0)), (&back, t.carrier(0))).await;
            names_nobody_wrongly(&[&call, &agent, &back]);
            wish(&t, "done").await;
            let record = t.outbound(|record| record["admitted"] == true).await;
            assert_eq!(record["extension_id"], t.extension(0)["id"], "the agent's rights count: {record}");
            back.hangs_up().await;
            agent.ended().await;
        }),
        row("call back: whoever withholds the number can't be, and goes on waiting", IN, async |t| {
            t.handle(0, json!({ "do_not_disturb": true })).await;
            let config = json!({ "tiers": [{ "extension_id": t.extension_id(0) }], "call_back": { "key": "1" } });
            let id = t.destination("500", "queue", config).await;
            let numbers =
                t.api("GET", &format!("/v1/phone-numbers?tenant_id={}", t.tenant()), Value::Null).await.json();
            let number = numbers["items"][0]["id"].as_str().unwrap();
            let path = format!("/v1/phone-numbers/{number}?tenant_id={}", t.tenant());
            t.make("PATCH", &path, json!({ "destination": { "kind": "queue", "id": id } })).await;
            let eve = format!("P-Asserted-Identity: <sip:{}1@carrier.test>", t.outside());
            let call = t.comes_in("<sip:anonymous@anonymous.invalid>", t.number(0), &[&eve, "Privacy: id"]);
            waits(&t, &format!("{id}.{}", t.domain()), 1).await;
            call.presses("1").await;
            t.handle(0, json!({})).await;
            let agent = t.phone(0).rings().await.answers().await;
            t.talk((&agent, t.phone(0)), (&call, t.carrier(0))).await;
            assert!(wishes(&t).await.is_empty());
        }),
        row("call back: whoever is not reached is called again, and then no more", THREE, async |t| {
            let more = json!({ "call_back": { "key": "1", "attempts": 2, "retry_seconds": 5 } });
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let queue = idle(&t, "500", more).await;
            let call = t.phone(0).calls("500");
            waits(&t, &queue, 1).await;
            call.presses("1").await;
            call.ended().await;
            t.handle(1, json!({})).await;
            for attempt in 1..=2 {
                let agent = t.phone(1).rings().await.answers().await;
                t.phone(0).rings().await.declines(486).await;
                agent.ended().await;
                let now = wish(&t, if attempt == 1 { "waiting" } else { "failed" }).await;
                assert_eq!((&now["attempts"], &now["cause"]), (&json!(attempt), &json!("USER_BUSY")), "{now}");
            }
            let next = t.phone(2).calls("500");
            assert_eq!(t.phone(1).rings().await.invite().from().number, "1002");
            next.hangs_up().await;
        }),
        row("call back: a wish that is cancelled rings nobody, and there is one for each number", THREE, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let queue = idle(&t, "500", json!({ "call_back": { "key": "*" } })).await;
            for _ in 0..2 {
                let call = t.phone(0).calls("500");
                call.answered().await;
                call.presses("*").await;
                call.ended().await;
            }
            assert_eq!(wishes(&t).await.len(), 1);
            waits(&t, &queue, 1).await;
            let path = format!("/v1/tenants/{}/call-backs", t.tenant());
            let id = wish(&t, "waiting").await["id"].clone();
            let cancel = format!("{path}/{}/cancel", id.as_str().unwrap());
            assert_eq!(t.make("POST", &cancel, Value::Null).await["state"], "cancelled");
            waits(&t, &queue, 0).await;
            assert_eq!(t.api("POST", &cancel, Value::Null).await.status, 409);
            t.handle(1, json!({})).await;
            let next = t.phone(2).calls("500");
            assert_eq!(t.phone(1).rings().await.invite().from().number, "1002");
            assert!(t.phone(0).rang().is_none());
            next.hangs_up().await;
        }),
        row("call back: who presses no key is led on when the time is over, as without it", THREE, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let more = json!({ "max_wait_seconds": 3, "overflow": { "kind": "extension", "id": t.extension_id(2) },
                               "call_back": { "key": "1" } });
            idle(&t, "500", more).await;
            let call = t.phone(0).calls("500");
            let other = t.phone(2).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&other, t.phone(2))).await;
            assert!(wishes(&t).await.is_empty());
        }),
    ]
}

async fn wishes(t: &Table) -> Vec<Value> {
    let all = t.api("GET", &format!("/v1/tenants/{}/call-backs", t.tenant()), Value::Null).await.json();
    all["items"].as_array().unwrap().clone()
}

/// The only wish, once it is in this state.
async fn wish(t: &Table, state: &str) -> Value {
    let since = Instant::now();
    loop {
        let all = wishes(t).await;
        if let [one] = &all[..]
            && one["state"] == state
        {
            return one.clone();
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{state}: {all:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Something that comes a moment later.
async fn there(t: &Table, path: &str) -> Value {
    let since = Instant::now();
    loop {
        let answer = t.api("GET", path, Value::Null).await;
        if answer.status == 200 {
            return answer.json();
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{path}: {}", answer.text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until so many wait in a queue.
async fn waits(t: &Table, queue: &str, count: usize) {
    let asks = format!("callcenter_config queue list members {queue}");
    t.until(&format!("{count} wait in {queue}"), move |switch| switch.api(&asks).matches("|Waiting|").count() == count)
        .await;
}
