//! Queues: who is rung for whom, and when.

use serde_json::{Value, json};

use super::{Needs, Row, Table, row};
use crate::{
    phone::media::{next_tone, tone},
    switch::{write_silence, write_sound},
};

const TWO: Needs = Needs::phones(2);
const THREE: Needs = Needs::phones(3);
const IN: Needs = Needs::phones(2).agents(1).carriers(1);

pub fn rows() -> Vec<Row> {
    vec![
        row("queue: an agent answers, and both hear each other", TWO, async |t| {
            t.queue("500", &[(1, 1)], json!({})).await;
            let call = t.phone(0).calls("500");
            let rings = t.phone(1).rings().await;
            assert_eq!(rings.invite().from().to_string(), "Phone 0 <1000>");
            let rings = rings.answers().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            rings.hangs_up().await;
            assert_eq!(call.ended().await.cause, Some(16), "and is not led on");
        }),
        row("queue: a caller who gives up stops the ringing", TWO, async |t| {
            t.queue("500", &[(1, 1)], json!({})).await;
            let call = t.phone(0).calls("500");
            let rings = t.phone(1).rings().await;
            call.answered().await;
            call.hangs_up().await;
            assert_eq!(rings.ended().await.status, 487);
        }),
        row("queue: who has waited long enough is led on", THREE, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let more = json!({ "max_wait_seconds": 3, "overflow": { "kind": "extension", "id": t.extension_id(2) } });
            idle(&t, "500", more).await;
            let call = t.phone(0).calls("500");
            let other = t.phone(2).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&other, t.phone(2))).await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("queue: an agent in a direct call is not rung", Needs::phones(4), async |t| {
            let more = json!({ "max_wait_seconds": 4, "overflow": { "kind": "extension", "id": t.extension_id(3) } });
            t.queue("500", &[(1, 1)], more).await;
            let (_own, _other) = t.connect(1, 2).await;
            let _call = t.phone(0).calls("500");
            let _led_on = t.phone(3).rings().await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("queue: an agent in a direct call is rung if the queue says so", THREE, async |t| {
            t.queue("500", &[(1, 1)], json!({ "ring_busy_agents": true })).await;
            let (_own, _other) = t.connect(1, 2).await;
            let _call = t.phone(0).calls("500");
            let _rings = t.phone(1).rings().await;
        }),
        row("queue: an agent who is not to be disturbed is rung if the queue says so", TWO, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            idle(&t, "500", json!({ "ring_busy_agents": true })).await;
            let call = t.phone(0).calls("500");
            let rings = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
        }),
        row("queue: callers hear at which place they wait, each their own", THREE, async |t| {
            let folder = t.switch.folder.join("sounds");
            let [place, second] = [(); 2].map(|()| next_tone());
            write_sound(&folder.join("ivr/ivr-you_are_number.wav"), &tone(place, 1));
            write_sound(&folder.join("digits/2.wav"), &tone(second, 1));
            t.handle(1, json!({ "do_not_disturb": true })).await;
            idle(&t, "500", json!({ "announce_place": true, "announcement_seconds": 10 })).await;
            let one = t.phone(0).calls("500");
            one.answered().await;
            one.hears_tone(place).await;
            let two = t.phone(2).calls("500");
            two.answered().await;
            two.hears_tone(place).await;
            two.hears_tone(second).await;
            // Whoever was first is first.
            one.hangs_up().await;
            two.hears_tone(place).await;
        }),
        row("queue: callers hear about how long they will wait", Needs::phones(4), async |t| {
            let folder = t.switch.folder.join("sounds");
            let [wait, minute] = [(); 2].map(|()| next_tone());
            for (sound, tones) in [("ivr/ivr-estimated_hold_time", wait), ("time/minute", minute)] {
                write_sound(&folder.join(format!("{sound}.wav")), &tone(tones, 1));
            }
            // The place is said first. What it sounds like is another row's.
            for sound in ["ivr/ivr-you_are_number", "digits/1"] {
                let file = folder.join(format!("{sound}.wav"));
                if !file.exists() {
                    write_silence(&file);
                }
            }
            // Nobody knows before an agent has taken a call.
            t.queue(
                "500",
                &[(1, 1)],
                json!({ "announce_place": true, "announce_wait": true, "announcement_seconds": 10 }),
            )
            .await;
            let first = t.phone(0).calls("500");
            let agent = t.phone(1).rings().await.answers().await;
            t.talk((&first, t.phone(0)), (&agent, t.phone(1))).await;
            first.hangs_up().await;
            agent.ended().await;
            let busy = t.phone(2).calls("500");
            let agent = t.phone(1).rings().await.answers().await;
            busy.answered().await;
            let waits = t.phone(3).calls("500");
            waits.answered().await;
            waits.hears_tone(wait).await;
            waits.hears_tone(minute).await;
            busy.hangs_up().await;
            agent.ended().await;
            waits.hangs_up().await;
        }),
        row("queue: an agent logs out and in by code", TWO, async |t| {
            t.queue("500", &[(1, 1)], json!({})).await;
            t.phone(1).calls("*45").ended().await;
            t.agent_is(1, "Logged Out").await;
            let call = t.phone(0).calls("500");
            call.answered().await;
            t.phone(1).calls("*44").ended().await;
            let rings = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
        }),
        row("queue: an agent pauses by code", TWO, async |t| {
            t.queue("500", &[(1, 1)], json!({})).await;
            t.phone(1).calls("*46").ended().await;
            t.agent_is(1, "On Break").await;
            t.phone(1).calls("*44").ended().await;
            t.agent_is(1, "Available").await;
            let _call = t.phone(0).calls("500");
            let _rings = t.phone(1).rings().await;
        }),
        row("queue: who lets calls ring in vain is paused", TWO, async |t| {
            t.queue("500", &[(1, 1)], json!({ "max_no_answers": 1, "max_wait_seconds": 20 })).await;
            let _call = t.phone(0).calls("500");
            assert_eq!(t.phone(1).rings().await.ended().await.status, 487);
            t.agent_is(1, "On Break").await;
        }),
        row("queue: an agent rests after a call before the next", THREE, async |t| {
            t.queue("500", &[(1, 1)], json!({ "wrap_up_seconds": 4 })).await;
            let first = t.phone(0).calls("500");
            let rings = t.phone(1).rings().await.answers().await;
            t.talk((&first, t.phone(0)), (&rings, t.phone(1))).await;
            let next = t.phone(2).calls("500");
            next.answered().await;
            let over = std::time::Instant::now();
            first.hangs_up().await;
            rings.ended().await;
            let rings = t.phone(1).rings().await;
            assert!(over.elapsed() >= std::time::Duration::from_secs(3), "{:?}", over.elapsed());
            assert_eq!(rings.invite().from().number, "1002");
        }),
        row("queue: a caller with priority is served before one who waits longer", Needs::phones(4), async |t| {
            let more = json!({ "priorities": [{ "callers": "1003", "seconds": 600 }] });
            t.queue("500", &[(1, 1)], more).await;
            let first = t.phone(0).calls("500");
            let busy = t.phone(1).rings().await.answers().await;
            first.answered().await;
            let waits = t.phone(2).calls("500");
            waits.answered().await;
            let before = t.phone(3).calls("500");
            before.answered().await;
            t.until("both wait", {
                let name = t.domain().to_owned();
                move |switch| {
                    let queues = switch.api("callcenter_config queue list");
                    let queue = queues.lines().find_map(|line| line.split('|').next().filter(|q| q.ends_with(&name)));
                    queue.is_some_and(|queue| {
                        switch
                            .api(&format!("callcenter_config queue list members {queue}"))
                            .matches("|Waiting|")
                            .count()
                            >= 2
                    })
                }
            })
            .await;
            first.hangs_up().await;
            busy.ended().await;
            assert_eq!(t.phone(1).rings().await.invite().from().number, "1003");
        }),
        row("queue: the second level is rung after the first", THREE, async |t| {
            t.queue("500", &[(1, 1), (2, 2)], json!({ "level_wait_seconds": 3 })).await;
            let call = t.phone(0).calls("500");
            let one = t.phone(1).rings().await;
            assert!(t.phone(2).rang().is_none());
            one.declines(486).await;
            let mut two = None;
            while two.is_none() {
                two = tokio::select! {
                    again = t.phone(1).rings() => { again.declines(486).await; None }
                    rings = t.phone(2).rings() => Some(rings),
                };
            }
            let two = two.unwrap().answers().await;
            t.talk((&call, t.phone(0)), (&two, t.phone(2))).await;
        }),
        row("queue: all agents ring at once, and the first to answer has the call", THREE, async |t| {
            t.queue("500", &[(1, 1), (2, 1)], json!({ "strategy": "ring_all" })).await;
            let call = t.phone(0).calls("500");
            let (one, two) = (t.phone(1).rings().await, t.phone(2).rings().await);
            let one = one.answers().await;
            t.talk((&call, t.phone(0)), (&one, t.phone(1))).await;
            assert_eq!(two.ended().await.status, 487);
        }),
        row("queue: who waits stays when the queue gets another name", TWO, async |t| {
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let name = idle(&t, "500", json!({})).await;
            let call = t.phone(0).calls("500");
            call.answered().await;
            let path = format!("/v1/tenants/{}/destinations", t.tenant());
            let all = t.api("GET", &path, Value::Null).await.json();
            let id = all["items"][0]["id"].as_str().unwrap().to_owned();
            t.make("PATCH", &format!("{path}/{id}"), json!({ "name": "Another name" })).await;
            t.handle(1, json!({})).await;
            let rings = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            assert!(name.contains(t.domain()));
        }),
        row(
            "queue: a caller from outside is shown to the agent, and the agent to nobody by a wrong name",
            IN,
            async |t| {
                t.queue("500", &[(1, 1)], json!({})).await;
                let queue = t.api("GET", &format!("/v1/tenants/{}/destinations", t.tenant()), Value::Null).await.json();
                let numbers =
                    t.api("GET", &format!("/v1/phone-numbers?tenant_id={}", t.tenant()), Value::Null).await.json();
                let path = format!(
                    "/v1/phone-numbers/{}?tenant_id={}",
                    numbers["items"][0]["id"].as_str().unwrap(),
                    t.tenant()
                );
                let target = json!({ "destination": { "kind": "queue", "id": queue["items"][0]["id"] } });
                t.make("PATCH", &path, target).await;
                let call = t.comes_in("\"Eve\" <sip:+4915112345678@carrier.test>", t.number(0), &[]);
                let rings = t.phone(1).rings().await;
                assert_eq!(rings.shows(), "Eve <+4915112345678>", "{}", rings.story());
                let rings = rings.answers().await;
                t.talk((&call, t.carrier(0)), (&rings, t.phone(1))).await;
                for message in call.received().iter().chain(&rings.received()) {
                    let shown = message.headers.iter().find(|(_, value)| value.contains("Outbound Call"));
                    assert!(shown.is_none(), "{shown:?}");
                }
            },
        ),
    ]
}

/// A queue whose only agent, the second phone, is not rung for now. Returns its name on the switch.
pub(super) async fn idle(t: &Table, number: &str, more: Value) -> String {
    let mut config = json!({ "tiers": [{ "extension_id": t.extension_id(1) }], "ring_seconds": 5 });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let name = format!("{}.{}", t.destination(number, "queue", config).await, t.domain());
    let wanted = name.clone();
    t.until("it has the queue", move |switch| switch.api("callcenter_config queue list").contains(&wanted)).await;
    name
}
