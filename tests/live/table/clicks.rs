//! Calls that are made and led by clicks: three who talk, and whom their phones show.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Needs, Row, Table, connected::names_nobody_wrongly, row, withheld::is_hidden};
use crate::phone::{Call, PATIENCE, Phone};

const THREE: Needs = Needs::phones(3);
const OUT: Needs = Needs::phones(2).agents(1).carriers(1);
const EVE: &str = "\"Eve\" <sip:+4915112345678@carrier.test>";

pub fn rows() -> Vec<Row> {
    vec![
        row("by clicks: three colleagues talk, and no phone shows a made-up name", THREE, async |t| {
            let (call, first, second) = clicks(&t).await;
            act(&t, &call, json!({ "action": "consult", "to": "1002" })).await;
            let rings = t.phone(2).rings().await;
            assert_eq!(rings.shows(), "Phone 0 <1000>");
            let third = rings.answers().await;
            t.talk((&first, t.phone(0)), (&third, t.phone(2))).await;
            act(&t, &call, json!({ "action": "conference" })).await;
            all_hear_each_other(&[(&first, t.phone(0)), (&second, t.phone(1)), (&third, t.phone(2))]).await;
            names_nobody_wrongly(&[&first, &second, &third]);
            assert_eq!(second.shows(), "Phone 0 <1000>", "{}", second.story());
            assert_eq!(third.shows(), "Phone 0 <1000>", "{}", third.story());
            // It is the first phone's conversation.
            first.hangs_up().await;
            second.ended().await;
            third.ended().await;
        }),
        row("by clicks: one of three leaves, and the others go on", THREE, async |t| {
            let (call, first, second) = clicks(&t).await;
            act(&t, &call, json!({ "action": "consult", "to": "1002" })).await;
            let third = t.phone(2).rings().await.answers().await;
            t.talk((&first, t.phone(0)), (&third, t.phone(2))).await;
            act(&t, &call, json!({ "action": "conference" })).await;
            all_hear_each_other(&[(&first, t.phone(0)), (&second, t.phone(1)), (&third, t.phone(2))]).await;
            second.hangs_up().await;
            t.talk((&first, t.phone(0)), (&third, t.phone(2))).await;
        }),
        row("by clicks: a caller from outside, an agent and a colleague talk", OUT, async |t| {
            let caller = t.comes_in(EVE, t.number(0), &[]);
            let agent = t.phone(0).rings().await.answers().await;
            caller.answered().await;
            t.talk((&caller, t.carrier(0)), (&agent, t.phone(0))).await;
            let call = only_call(&t).await;
            act(&t, &call, json!({ "action": "consult", "to": "1001" })).await;
            let third = t.phone(1).rings().await.answers().await;
            t.talk((&agent, t.phone(0)), (&third, t.phone(1))).await;
            assert_eq!(third.shows(), "Phone 0 <1000>", "{}", third.story());
            act(&t, &call, json!({ "action": "conference" })).await;
            all_hear_each_other(&[(&caller, t.carrier(0)), (&agent, t.phone(0)), (&third, t.phone(1))]).await;
            names_nobody_wrongly(&[&caller, &agent, &third]);
            agent.hangs_up().await;
            caller.ended().await;
            third.ended().await;
        }),
        row("by clicks: a number outside is the third, and the agent pays for it", OUT, async |t| {
            let (first, second) = t.connect(0, 1).await;
            let call = only_call(&t).await;
            act(&t, &call, json!({ "action": "consult", "to": t.outside(), "leg_id": leg(&t, &call, "1000").await }))
                .await;
            let third = t.carrier(0).rings().await;
            assert_eq!(third.invite().from().number, t.number(0), "{}", third.story());
            let third = third.answers().await;
            t.talk((&first, t.phone(0)), (&third, t.carrier(0))).await;
            act(&t, &call, json!({ "action": "conference", "leg_id": leg(&t, &call, "1000").await })).await;
            all_hear_each_other(&[(&first, t.phone(0)), (&second, t.phone(1)), (&third, t.carrier(0))]).await;
            names_nobody_wrongly(&[&first, &second, &third]);
            first.hangs_up().await;
            second.ended().await;
            third.ended().await;
            let record = t.outbound(|record| record["ended_at"].is_string()).await;
            assert_eq!(record["extension_id"], t.extension_id(0), "{record}");
        }),
        row("by clicks: withheld, and neither of two others gets a trace", THREE, async |t| {
            t.handle(0, json!({ "withhold_number": true })).await;
            let (call, first, second) = clicks(&t).await;
            act(&t, &call, json!({ "action": "consult", "to": "1002" })).await;
            let third = t.phone(2).rings().await.answers().await;
            t.talk((&first, t.phone(0)), (&third, t.phone(2))).await;
            act(&t, &call, json!({ "action": "conference" })).await;
            all_hear_each_other(&[(&first, t.phone(0)), (&second, t.phone(1)), (&third, t.phone(2))]).await;
            let user = t.extension(0)["sip_username"].as_str().unwrap();
            is_hidden(&second, &["1000", "Phone 0", user]);
            is_hidden(&third, &["1000", "Phone 0", user]);
        }),
        row(
            "by clicks: whoever is listened to sees nothing of it, and the supervisor no made-up name",
            THREE,
            async |t| {
                let (call, first, second) = clicks(&t).await;
                let before = [first.shows(), second.shows()];
                for mode in ["listen", "whisper", "barge"] {
                    let new = json!({ "mode": mode, "leg_id": leg(&t, &call, "1000").await, "extension_id": t.extension_id(2) });
                    let path = format!("/v1/live/calls/{call}/supervise?tenant_id={}", t.tenant());
                    placed(&t, &path, new, 2).await;
                    let rings = t.phone(2).rings().await;
                    let supervisor = rings.answers().await;
                    supervisor.hears(t.phone(0)).await;
                    supervisor.hears(t.phone(1)).await;
                    names_nobody_wrongly(&[&first, &second, &supervisor]);
                    assert_eq!([first.shows(), second.shows()], before, "{mode}");
                    supervisor.hangs_up().await;
                    t.talk((&first, t.phone(0)), (&second, t.phone(1))).await;
                }
            },
        ),
    ]
}

/// A call by a click from the first phone to the second, in which both talk. Returns its id, too.
async fn clicks(t: &Table) -> (String, Call, Call) {
    let new = json!({ "extension_id": t.extension_id(0), "to": "1001" });
    let made = placed(t, &format!("/v1/calls?tenant_id={}", t.tenant()), new, 0).await;
    let first = t.phone(0).rings().await;
    assert_eq!(first.invite().from().number, "1001");
    let first = first.answers().await;
    let second = t.phone(1).rings().await.answers().await;
    t.talk((&first, t.phone(0)), (&second, t.phone(1))).await;
    (made["id"].as_str().unwrap().to_owned(), first, second)
}

/// Has a phone called. A node does not hear of the switch at once, and of a phone that registered before then by its next REGISTER only.
async fn placed(t: &Table, path: &str, new: Value, phone: usize) -> Value {
    let since = Instant::now();
    let mut again = Duration::from_secs(3);
    loop {
        let made = t.api("POST", path, new.clone()).await;
        if made.status == 201 {
            return made.json();
        }
        assert!(made.status == 409 && since.elapsed() < PATIENCE, "{}", made.text());
        if since.elapsed() >= again {
            again = since.elapsed() + Duration::from_secs(3);
            t.phone(phone).registers().await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn live(t: &Table) -> Value {
    t.api("GET", &format!("/v1/live/calls?tenant_id={}", t.tenant()), Value::Null).await.json()
}

async fn until<T>(t: &Table, what: &str, found: impl Fn(&Value) -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        let shown = live(t).await;
        if let Some(found) = found(&shown) {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "{what}: {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn only_call(t: &Table) -> String {
    until(t, "a call in which two talk", |shown| {
        let calls = shown["items"].as_array()?;
        let call = calls.first().filter(|call| calls.len() == 1 && call["state"] == "talking")?;
        Some(call["id"].as_str()?.to_owned())
    })
    .await
}

/// The leg of an extension in a call.
async fn leg(t: &Table, call: &str, number: &str) -> String {
    until(t, "the leg is there", |shown| {
        let call = shown["items"].as_array()?.iter().find(|one| one["id"] == call)?;
        let leg = call["legs"].as_array()?.iter().find(|leg| leg["extension"] == number)?;
        Some(leg["id"].as_str()?.to_owned())
    })
    .await
}

async fn act(t: &Table, call: &str, what: Value) {
    t.make("POST", &format!("/v1/live/calls/{call}/actions?tenant_id={}", t.tenant()), what).await;
}

async fn all_hear_each_other(all: &[(&Call, &Phone)]) {
    for (at, (call, _)) in all.iter().enumerate() {
        for (_, other) in all.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, one)| one) {
            call.hears(other).await;
        }
    }
}
