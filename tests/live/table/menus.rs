//! Menus, schedules, announcements and conferences.

use serde_json::{Value, json};

use super::{Needs, Row, Table, row};
use crate::{
    phone::{
        Call,
        media::{next_tone, tone},
    },
    switch::{write_silence, write_sound},
};

const TWO: Needs = Needs::phones(2);

pub fn rows() -> Vec<Row> {
    vec![
        row("a digit in a menu leads where it says", TWO, async |t| {
            menu(&t, "710", json!({ "1": { "kind": "extension", "id": t.extension_id(1) } })).await;
            let call = chooses(&t, "1").await;
            let rings = t.phone(1).rings().await.answers().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
        }),
        row("a menu in a menu", TWO, async |t| {
            let inner = menu(&t, "711", json!({ "2": { "kind": "extension", "id": t.extension_id(1) } })).await;
            menu(&t, "710", json!({ "1": { "kind": "ivr", "id": inner } })).await;
            let call = chooses(&t, "1").await;
            let id = inner.replace('-', "");
            t.until("the second menu plays", move |switch| switch.api("show channels").contains(&id)).await;
            call.presses("2").await;
            let _rings = t.phone(1).rings().await.answers().await;
        }),
        row("a number that nobody has is dialled in a menu: the caller may try again", TWO, async |t| {
            let config = json!({ "greeting": { "file": "digits/1.wav" }, "direct_dial": true, "timeout_seconds": 2,
                                 "entries": { "9": { "kind": "extension", "id": t.extension_id(1) } } });
            let menu = t.destination("710", "ivr", config).await;
            let call = chooses(&t, "1777").await;
            // After the tone, the call is led to the menu by its id. What is pressed before belongs to the first try.
            let again = format!(",{menu},");
            let is_in = move |line: &str| line.contains(",ivr,") && line.contains(&again);
            t.until("the menu plays again", move |switch| switch.api("show channels").lines().any(&is_in)).await;
            call.presses("1001").await;
            let _rings = t.phone(1).rings().await.answers().await;
            assert!(call.is_up());
        }),
        row("a number that nobody has is dialled in a menu: the caller hears the menu's own words", TWO, async |t| {
            let own = next_tone();
            write_sound(&t.switch.folder.join(format!("sounds/nobody-{own}.wav")), &tone(own, 1));
            let config = json!({ "greeting": { "file": "digits/1.wav" }, "direct_dial": true, "timeout_seconds": 2,
                                 "invalid": { "file": format!("nobody-{own}.wav") },
                                 "entries": { "9": { "kind": "extension", "id": t.extension_id(1) } } });
            t.destination("710", "ivr", config).await;
            let call = chooses(&t, "1777").await;
            call.hears_tone(own).await;
            assert!(call.is_up());
        }),
        row("a caller who chooses nothing in a menu is led on", TWO, async |t| {
            let config = json!({ "greeting": { "file": "digits/1.wav" }, "timeout_seconds": 1, "max_failures": 1,
                                 "entries": { "9": { "kind": "extension", "id": t.extension_id(0) } },
                                 "otherwise": { "kind": "extension", "id": t.extension_id(1) } });
            t.destination("710", "ivr", config).await;
            let call = t.phone(0).calls("710");
            let _rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
        }),
        row("an announcement is heard, and leads on", TWO, async |t| {
            let then = json!({ "kind": "extension", "id": t.extension_id(1) });
            let config = json!({ "prompt": { "file": "digits/1.wav" }, "then": then });
            t.destination("720", "announcement", config).await;
            let call = t.phone(0).calls("720");
            let rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
        }),
        row("a schedule leads where it is open or closed at this moment", Needs::phones(3), async |t| {
            let always = json!({ "open": "00:00", "close": "24:00" });
            let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
            let whole = days.iter().map(|day| ((*day).to_owned(), json!([always]))).collect::<serde_json::Map<_, _>>();
            let target = |n: usize| json!({ "kind": "extension", "id": t.extension_id(n) });
            for (number, hours, rings) in [("730", Value::Object(whole), 1), ("731", json!({}), 2)] {
                let config = json!({ "hours": hours, "open": target(1), "closed": target(2) });
                t.destination(number, "schedule", config).await;
                let call = t.phone(0).calls(number);
                let taken = t.phone(rings).rings().await.answers().await;
                call.answered().await;
                call.hangs_up().await;
                taken.ended().await;
            }
        }),
        row("a holiday leads elsewhere", Needs::phones(3), async |t| {
            let target = |n: usize| json!({ "kind": "extension", "id": t.extension_id(n) });
            let dates = json!([{ "from": "2020-01-01", "to": "2099-12-31", "target": target(2) }]);
            let config = json!({ "dates": dates, "open": target(1), "closed": target(1) });
            t.destination("730", "schedule", config).await;
            let call = t.phone(0).calls("730");
            let _taken = t.phone(2).rings().await.answers().await;
            call.answered().await;
            assert!(t.phone(1).rang().is_none());
        }),
        row("a conference takes its PIN with a # behind it", TWO, async |t| {
            write_silence(&t.switch.folder.join("sounds/conference/conf-pin.wav"));
            let new = json!({ "name": "Room", "number": "700", "kind": "conference", "pin": "8214", "config": {} });
            let room = t.create("destinations", new).await["id"].as_str().unwrap().replace('-', "");
            let calls = [0, 1].map(|n| t.phone(n).calls("700"));
            for call in &calls {
                call.answered().await;
                call.presses("8214#").await;
            }
            t.talk((&calls[0], t.phone(0)), (&calls[1], t.phone(1))).await;
            // The # was part of the PIN, and ends nothing.
            let asks = format!("conference {room}.{} list count", t.domain());
            let asks = asks.replace(&format!("{room}."), &format!("{room}-")).replace(&format!("-{}", t.domain()), "");
            t.until("both are in", move |switch| switch.api(&asks).trim() == "2").await;
        }),
        row("who waits for a conference's moderator hears them when they come", TWO, async |t| {
            t.destination("700", "conference", json!({ "moderator": t.extension_id(1) })).await;
            let waits = t.phone(0).calls("700");
            waits.answered().await;
            let comes = t.phone(1).calls("700");
            comes.answered().await;
            t.talk((&waits, t.phone(0)), (&comes, t.phone(1))).await;
        }),
        row("a renumbered phone rings by its new number only", TWO, async |t| {
            t.patch_phone(1, json!({ "number": "1500" })).await;
            assert_eq!(t.phone(0).calls("1001").ended().await.cause, Some(1));
            let call = t.phone(0).calls("1500");
            let rings = t.phone(1).rings().await.answers().await;
            call.answered().await;
            t.talk((&call, t.phone(0)), (&rings, t.phone(1))).await;
            assert!(t.phone(1).rang().is_none());
        }),
    ]
}

async fn menu(t: &Table, number: &str, entries: Value) -> String {
    let config = json!({ "greeting": { "file": "digits/1.wav" }, "entries": entries });
    let new = json!({ "name": number, "number": number, "kind": "ivr", "config": config });
    t.create("destinations", new).await["id"].as_str().unwrap().to_owned()
}

/// The first phone calls the menu 710 and presses keys.
async fn chooses(t: &Table, keys: &str) -> Call {
    let call = t.phone(0).calls("710");
    call.answered().await;
    plays(t).await;
    call.presses(keys).await;
    call
}

/// Waits until the menu takes keys.
async fn plays(t: &Table) {
    let domain = t.domain().to_owned();
    let is_in = move |line: &str| line.contains(",ivr,") && line.contains(&domain);
    t.until("the menu plays", move |switch| switch.api("show channels").lines().any(&is_in)).await;
}
