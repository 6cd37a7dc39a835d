//! A call on a real switch is recorded, sent, stored and played again: the player returns what the phones sent.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dialplane::switch::sender::{Report, Sender};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Database, Node},
    phone::{PATIENCE, Phone, media::tones_in},
    switch::Switch,
};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_file()).collect()
}

/// The samples of one channel of a WAV file with two of 16 bits.
fn channel(wav: &[u8], which: usize) -> Vec<i16> {
    let begins = memchr::memmem::find(wav, b"data").unwrap() + 8;
    wav[begins..].chunks_exact(4).map(|frame| i16::from_le_bytes([frame[2 * which], frame[2 * which + 1]])).collect()
}

/// The tones in each tenth of a second.
fn tones(samples: &[i16]) -> Vec<Vec<u32>> {
    samples.chunks_exact(800).map(tones_in).collect()
}

async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(since.elapsed() < PATIENCE * 2, "it did not come about: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn passes(sender: &std::sync::Arc<Sender>, folder: &Path) -> Report {
    let (sender, folder) = (std::sync::Arc::clone(sender), folder.to_owned());
    tokio::task::spawn_blocking(move || sender.pass(&folder, &|_| {}).unwrap()).await.unwrap()
}

#[actix_web::test]
async fn what_a_switch_recorded_is_heard_again_with_its_tones_and_its_pause() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let store = std::env::temp_dir().join(format!("dialplane-recordings-{}", Uuid::now_v7().simple()));
    let node = Node::with(&database, |settings| settings.recordings_dir = Some(store.clone())).await;
    let tenant = node.tenant("desk.test").await;
    let settings = json!({ "features": { "call_recording": true }, "routing": { "record": { "internal": true } } });
    let set = node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let mut phones = Vec::new();
    for number in ["1000", "1001"] {
        phones.push(node.extension(tenant, json!({ "number": number, "voicemail_enabled": false })).await);
    }
    let (switch, node) = tokio::task::spawn_blocking(move || (Switch::boot(&binary, &node), node)).await.unwrap();
    let phones = phones.iter().map(|extension| {
        let text = |field: &str| extension[field].as_str().unwrap();
        Phone::new(switch.internal, text("sip_username"), "desk.test", text("sip_password"))
    });
    let phones = phones.collect::<Vec<_>>();
    for phone in &phones {
        phone.registers().await;
    }
    let folder = switch.folder.join("sounds/recordings");
    let (name, token) = &node.switch;
    let url = format!("http://{}", node.app.switch_address);
    let sender = std::sync::Arc::new(Sender::new(&url, &format!("{name}:{token}"), None).unwrap());

    let first = phones[0].calls("1001");
    let second = phones[1].rings().await.answers().await;
    first.answered().await;
    first.hears_only(&[&phones[1]]).await;
    second.hears_only(&[&phones[0]]).await;
    let file = until("the switch records", async || files(&folder).pop()).await;
    // Two channels of 16 bits, 8,000 times a second. The switch removes what is shorter than three seconds.
    let seconds = async |least: u64| {
        until("it records on", async || fs::metadata(&file).ok().filter(|file| file.len() > least * 32_000)).await.len()
    };
    seconds(3).await;
    let report = passes(&sender, &folder).await;
    assert_eq!((report.under_way, report.sent, report.failed.len()), (1, 0, 0), "not while it is written: {report:?}");

    // A card's number is read out.
    let leg = file.file_stem().unwrap().to_string_lossy().into_owned();
    let masks = |how: &str| switch.api(&format!("uuid_record {leg} {how} {}", file.display()));
    assert!(masks("mask").starts_with("+OK"), "{}", switch.log());
    let from = seconds(0).await;
    seconds(from / 32_000 + 4).await;
    assert!(masks("unmask").starts_with("+OK"));
    let from = seconds(0).await;
    seconds(from / 32_000 + 3).await;
    first.hangs_up().await;
    second.ended().await;

    // The call's records and the file may arrive in any order.
    let mut all = Report::default();
    until("it is sent", async || {
        let report = passes(&sender, &folder).await;
        assert_eq!(report.failed, [], "{report:?}");
        all.sent += report.sent;
        (all.sent > 0).then_some(())
    })
    .await;
    assert_eq!(all.sent, 1);
    assert!(files(&folder).is_empty() && files(&folder.join("sending")).is_empty(), "the switch's copy is gone");

    let recording = until("the call names it", async || {
        let calls = node.api("GET", &format!("/v1/calls?tenant_id={tenant}"), Value::Null).await.items();
        let id = calls[0]["id"].as_str()?.to_owned();
        let call = node.api("GET", &format!("/v1/calls/{id}?tenant_id={tenant}"), Value::Null).await.json();
        call["recordings"].get(0).cloned()
    })
    .await;
    let path = format!("/v1/recordings/{}/audio?tenant_id={tenant}", recording["id"].as_str().unwrap());
    let heard = node.api("GET", &path, Value::Null).await;
    assert_eq!(heard.status, 200, "{}", heard.text());
    let (own, others) = (tones(&channel(&heard.body, 0)), tones(&channel(&heard.body, 1)));
    let windows = |tones: &[Vec<u32>], tone: u32| tones.iter().filter(|heard| **heard == [tone]).count();
    let (said, answered) = (windows(&own, phones[0].tone()), windows(&others, phones[1].tone()));
    println!(
        "{} windows of 0.1 s: the caller's tone alone in {said}, the other's alone in {answered}; silences {}",
        own.len(),
        recording["silences"]
    );
    assert!(said > 50 && answered > 50, "five seconds of each: {own:?} {others:?}");
    assert_eq!(windows(&own, phones[1].tone()) + windows(&others, phones[0].tone()), 0, "each on their own side");
    let pause = &recording["silences"][0];
    let lasted = pause["to"].as_u64().unwrap() - pause["from"].as_u64().unwrap();
    assert!(lasted >= 3000, "the pause: {recording}");
    let within = usize::try_from(pause["from"].as_u64().unwrap() / 100 + 2).unwrap();
    assert!(own[within].is_empty() && others[within].is_empty(), "nothing is heard in it");
    drop(switch);
    node.stop().await;
    let _ = fs::remove_dir_all(&store);
}

#[actix_web::test]
async fn each_meeting_in_a_conference_has_a_recording_of_its_own() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let store = std::env::temp_dir().join(format!("dialplane-recordings-{}", Uuid::now_v7().simple()));
    let node = Node::with(&database, |settings| settings.recordings_dir = Some(store.clone())).await;
    let tenant = node.tenant("desk.test").await;
    let settings = json!({ "features": { "call_recording": true, "conferences": true } });
    let set = node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let room = json!({ "name": "Room", "kind": "conference", "number": "3000", "config": { "record": true } });
    let room = node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), room).await;
    assert_eq!(room.status, 201, "{}", room.text());
    let mut phones = Vec::new();
    for number in ["1000", "1001"] {
        phones.push(node.extension(tenant, json!({ "number": number, "voicemail_enabled": false })).await);
    }
    let (switch, node) = tokio::task::spawn_blocking(move || (Switch::boot(&binary, &node), node)).await.unwrap();
    let phones = phones.iter().map(|extension| {
        let text = |field: &str| extension[field].as_str().unwrap();
        Phone::new(switch.internal, text("sip_username"), "desk.test", text("sip_password"))
    });
    let phones = phones.collect::<Vec<_>>();
    for phone in &phones {
        phone.registers().await;
    }
    let folder = switch.folder.join("sounds/recordings");
    for meeting in 1..=2 {
        let first = phones[0].calls("3000");
        first.answered().await;
        let second = phones[1].calls("3000");
        second.answered().await;
        first.hears_only(&[&phones[1]]).await;
        second.hears_only(&[&phones[0]]).await;
        until("the switch records", async || {
            let long =
                files(&folder).into_iter().filter(|path| fs::metadata(path).is_ok_and(|file| file.len() > 16_000));
            (long.count() == meeting).then_some(())
        })
        .await;
        first.hangs_up().await;
        second.hangs_up().await;
        first.ended().await;
        second.ended().await;
    }
    let (name, token) = &node.switch;
    let url = format!("http://{}", node.app.switch_address);
    let sender = std::sync::Arc::new(Sender::new(&url, &format!("{name}:{token}"), None).unwrap());
    let mut sent = 0;
    until("both are sent", async || {
        let report = passes(&sender, &folder).await;
        assert_eq!(report.failed, [], "{report:?}");
        sent += report.sent;
        (sent == 2).then_some(())
    })
    .await;
    let listed = node.api("GET", &format!("/v1/recordings?tenant_id={tenant}"), Value::Null).await.items();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    drop(switch);
    node.stop().await;
    let _ = fs::remove_dir_all(&store);
}
