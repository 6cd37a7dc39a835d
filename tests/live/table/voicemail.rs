//! Mailboxes.

use serde_json::json;

use super::{Needs, Row, Table, row, withheld::is_hidden};
use crate::{
    phone::{
        Call,
        media::{next_tone, tone},
    },
    switch::write_sound,
};

const TWO: Needs = Needs::phones(2);
const AGENT: Needs = Needs::phones(1).agents(1).carriers(1);

pub fn rows() -> Vec<Row> {
    vec![
        row("voicemail: a message lights the lamp, and is heard with the PIN", TWO, async |t| {
            t.patch_phone(1, json!({ "voicemail_enabled": true, "voicemail_pin": "493827" })).await;
            let (_, _watch) = t.phone(1).subscribes("message-summary", user(&t, 1)).await;
            leaves(&t, "1001", 1).await;
            let lit = |message: &crate::phone::Message| message.body.contains("Messages-Waiting: yes");
            t.phone(1).is_told("a message waits", lit).await;
            let listens = t.phone(1).calls("*97");
            listens.answered().await;
            let domain = t.domain().to_owned();
            let is_in = move |line: &str| line.contains(",voicemail,") && line.contains(&domain);
            t.until("it asks for the PIN", move |switch| switch.api("show channels").lines().any(&is_in)).await;
            listens.presses("493827#").await;
            // It is the tone of whoever left it.
            listens.hears(t.phone(0)).await;
        }),
        row("voicemail: on do not disturb, callers are led to the mailbox", TWO, async |t| {
            t.patch_phone(1, json!({ "voicemail_enabled": true })).await;
            t.handle(1, json!({ "do_not_disturb": true })).await;
            leaves(&t, "1001", 1).await;
            assert!(t.phone(1).rang().is_none());
        }),
        row(
            "voicemail: the forward's target is busy, and the message is for who forwarded",
            Needs::phones(3),
            async |t| {
                t.patch_phone(1, json!({ "voicemail_enabled": true })).await;
                t.handle(1, json!({ "forward_always": "1002" })).await;
                let call = t.phone(0).calls("1001");
                t.phone(2).rings().await.declines(486).await;
                stays(&t, &call, 1).await;
            },
        ),
        row("voicemail: the mailbox of a colleague is reached by its code", TWO, async |t| {
            t.patch_phone(1, json!({ "voicemail_enabled": true, "voicemail_pin": "493827" })).await;
            let call = t.phone(0).calls("*981001");
            call.answered().await;
            assert!(call.is_up());
        }),
        row("voicemail: a destination's mailbox takes messages", TWO, async |t| {
            let new = json!({ "name": "Office", "number": "740", "kind": "mailbox", "config": {} });
            let id = t.create("destinations", new).await["id"].as_str().unwrap().replace('-', "");
            let call = t.phone(0).calls("740");
            call.answered().await;
            kept(&t, &call, id).await;
        }),
        row("voicemail: outside business hours, callers hear the greeting for that", TWO, async |t| {
            let closed = next_tone();
            t.patch_phone(1, json!({ "voicemail_enabled": true })).await;
            t.handle(1, json!({ "do_not_disturb": true, "closed_greeting": 2 })).await;
            let folder = t.switch.folder.join("storage/voicemail/default").join(t.domain()).join(user(&t, 1));
            write_sound(&folder.join("greeting_2.wav"), &tone(closed, 5));
            // Not open on any day of the week.
            t.settings(json!({ "business_hours": {} })).await;
            let call = t.phone(0).calls("1001");
            call.answered().await;
            call.hears_tone(closed).await;
        }),
        row("voicemail: a caller marks a message as urgent", TWO, async |t| {
            t.patch_phone(1, json!({ "voicemail_enabled": true })).await;
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let call = t.phone(0).calls("1001");
            records(&t, &call, user(&t, 1)).await;
            // Ends the recording, keeps it, and marks it.
            call.presses("#2*").await;
            let asks = format!("vm_boxcount {}@{}|all", user(&t, 1), t.domain());
            t.until("an urgent message is in the box", move |switch| switch.api(&asks).starts_with("1:0:1:0")).await;
        }),
        row("voicemail: whoever listens calls back a colleague", TWO, async |t| {
            let listens = hears_own(&t).await;
            listens.presses("#5").await;
            let back = t.phone(0).rings().await;
            assert_eq!(back.shows(), "Phone 1 <1001>", "{}", back.story());
            let back = back.answers().await;
            t.talk((&listens, t.phone(1)), (&back, t.phone(0))).await;
        }),
        row("voicemail: whoever listens calls back a number outside, and pays", AGENT, async |t| {
            t.patch_phone(0, json!({ "voicemail_enabled": true, "voicemail_pin": "493827" })).await;
            t.handle(0, json!({ "do_not_disturb": true })).await;
            let number = t.outside();
            let call = t.comes_in(&format!("\"Eve\" <sip:{number}@carrier.test>"), t.number(0), &[]);
            stays(&t, &call, 0).await;
            let listens = opens(&t, 0).await;
            listens.hears(t.carrier(0)).await;
            listens.presses("#5").await;
            let taken = t.carrier(0).rings().await;
            assert_eq!((taken.invite().called(), &*taken.invite().from().number), (&number[1..], t.number(0)));
            let taken = taken.answers().await;
            t.talk((&listens, t.phone(0)), (&taken, t.carrier(0))).await;
            let record = t.outbound(|record| record["admitted"] == true).await;
            assert_eq!(record["extension_id"], t.extension(0)["id"], "{record}");
        }),
        row("voicemail: whoever left a message with the number withheld is not called back", TWO, async |t| {
            t.phone(0).says("Privacy: id");
            let listens = hears_own(&t).await;
            // The call may end before the second key is up again.
            tokio::select! {
                () = listens.presses("#5") => {}
                _ = listens.ended() => {}
            }
            listens.ended().await;
            assert!(t.phone(0).rang().is_none());
            is_hidden(&listens, &["1000", "Phone 0"]);
        }),
        row("voicemail: whoever listens passes a message on to a colleague", Needs::phones(3), async |t| {
            t.patch_phone(2, json!({ "voicemail_enabled": true })).await;
            let listens = hears_own(&t).await;
            listens.presses("88").await;
            listens.presses("1002#").await;
            let asks = format!("vm_boxcount {}@{}|all", user(&t, 2), t.domain());
            t.until("the message is in the colleague's box", move |switch| switch.api(&asks).starts_with("1:")).await;
        }),
        row("voicemail: a message left with the number withheld tells nobody who left it", TWO, async |t| {
            t.phone(0).says("Privacy: id");
            t.patch_phone(1, json!({ "voicemail_enabled": true })).await;
            t.handle(1, json!({ "do_not_disturb": true })).await;
            let call = t.phone(0).calls("1001");
            stays(&t, &call, 1).await;
            let path = format!("/v1/voicemail?tenant_id={}&extension_id={}", t.tenant(), t.extension_id(1));
            let since = std::time::Instant::now();
            let listed = loop {
                let listed = t.api("GET", &path, serde_json::Value::Null).await.text();
                if listed.contains("received_at") {
                    break listed;
                }
                assert!(since.elapsed() < std::time::Duration::from_mins(1), "{listed}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            };
            let listed = serde_json::from_str::<serde_json::Value>(&listed).unwrap()["items"][0].clone();
            for field in ["caller_number", "caller_name"] {
                let told = listed[field].as_str().unwrap_or_default();
                assert!(!told.contains("1000") && !told.contains("Phone 0"), "{field}: {listed}");
            }
        }),
        row("voicemail: without one, a busy phone is busy", TWO, async |t| {
            let call = t.phone(0).calls("1001");
            t.phone(1).rings().await.declines(486).await;
            assert_eq!(call.ended().await.status, 486);
        }),
    ]
}

fn user(t: &Table, which: usize) -> &str {
    t.extension(which)["sip_username"].as_str().unwrap()
}

/// Calls, and leaves a message of some seconds.
async fn leaves(t: &Table, number: &str, mailbox: usize) {
    let call = t.phone(0).calls(number);
    if !t.extension(mailbox)["id"].is_null() {
        stays(t, &call, mailbox).await;
    }
}

pub(super) async fn stays(t: &Table, call: &Call, mailbox: usize) {
    kept(t, call, user(t, mailbox).to_owned()).await;
}

/// The first phone leaves a message for the second, who listens to it.
async fn hears_own(t: &Table) -> Call {
    t.patch_phone(1, json!({ "voicemail_enabled": true, "voicemail_pin": "493827" })).await;
    t.handle(1, json!({ "do_not_disturb": true })).await;
    let call = t.phone(0).calls("1001");
    stays(t, &call, 1).await;
    let listens = opens(t, 1).await;
    listens.hears(t.phone(0)).await;
    listens
}

/// A phone opens its mailbox.
async fn opens(t: &Table, which: usize) -> Call {
    let listens = t.phone(which).calls("*97");
    listens.answered().await;
    let domain = t.domain().to_owned();
    let is_in = move |line: &str| line.contains(",voicemail,") && line.contains(&domain);
    t.until("it asks for the PIN", move |switch| switch.api("show channels").lines().any(&is_in)).await;
    listens.presses("493827#").await;
    listens
}

/// Speaks until enough is recorded, hangs up, and waits until the message is in the box.
async fn kept(t: &Table, call: &Call, mailbox: String) {
    let (folder, domain) = (t.switch.folder.clone(), t.domain().to_owned());
    records(t, call, &mailbox).await;
    call.hangs_up().await;
    let asks = format!("vm_boxcount {mailbox}@{domain}|all");
    t.until("the message is in the box", move |switch| switch.api(&asks).starts_with("1:")).await;
    assert!(folder.exists());
}

/// Speaks until enough is recorded.
async fn records(t: &Table, call: &Call, mailbox: &str) {
    call.answered().await;
    let place = format!("/{}/{mailbox}/", t.domain());
    let recorded = move |switch: &crate::switch::Switch| {
        let own = switch.messages().into_iter().filter(|path| path.to_string_lossy().contains(&place));
        own.into_iter().any(|path| std::fs::metadata(path).is_ok_and(|file| file.len() > 3 * 16_000))
    };
    t.until("enough is recorded", recorded).await;
}
