//! Mailboxes.

use serde_json::json;

use super::{Needs, Row, Table, row};
use crate::phone::Call;

const TWO: Needs = Needs::phones(2);

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

/// Speaks until enough is recorded, hangs up, and waits until the message is in the box.
async fn kept(t: &Table, call: &Call, mailbox: String) {
    call.answered().await;
    let (folder, domain) = (t.switch.folder.clone(), t.domain().to_owned());
    let place = format!("/{domain}/{mailbox}/");
    let recorded = move |switch: &crate::switch::Switch| {
        let own = switch.messages().into_iter().filter(|path| path.to_string_lossy().contains(&place));
        own.into_iter().any(|path| std::fs::metadata(path).is_ok_and(|file| file.len() > 3 * 16_000))
    };
    t.until("enough is recorded", recorded).await;
    call.hangs_up().await;
    let asks = format!("vm_boxcount {mailbox}@{domain}|all");
    t.until("the message is in the box", move |switch| switch.api(&asks).starts_with("1:")).await;
    assert!(folder.exists());
}
