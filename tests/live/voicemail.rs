//! Voicemail of a real switch through the API: a caller leaves a tone, and the player gives the same tone; what is done here is seen by phones, and
//! their lamps follow.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use dialplane::switch::sender::Sender;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Answer, Database, Node, example, send},
    phone::{
        PATIENCE, Phone,
        media::{tone, tones_in},
    },
    switch::{Switch, write_sound},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Three phones, the second and third with mailboxes, at a switch that the node is linked to.
struct Office {
    database: Database,
    node: Node,
    switch: Arc<Switch>,
    tenant: Uuid,
    phones: Vec<Phone>,
    extensions: Vec<Value>,
    sender: Arc<Sender>,
    store: PathBuf,
}

impl Office {
    async fn open() -> Option<Self> {
        let binary = freeswitch()?;
        let database = Database::new().await;
        let store = std::env::temp_dir().join(format!("dialplane-voicemail-{}", Uuid::now_v7().simple()));
        let node = Node::with(&database, |settings| settings.recordings_dir = Some(store.clone())).await;
        let tenant = node.tenant("office.test").await;
        let mut extensions = Vec::new();
        for n in 0..3 {
            let new = json!({ "number": format!("100{n}"), "display_name": format!("Phone {n}"), "ring_seconds": 20, "voicemail_enabled": n > 0 });
            extensions.push(node.extension(tenant, new).await);
        }
        let (switch, node) = tokio::task::spawn_blocking(move || (Switch::boot(&binary, &node), node)).await.unwrap();
        let id = node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"].clone();
        let (address, password) = switch.event_socket();
        let socket = json!({ "address": address, "password": password });
        let path = format!("/v1/switches/{}/event-socket", text(&id));
        assert_eq!(node.api("PUT", &path, socket).await.status, 200);
        let phones = extensions.iter().map(|extension| {
            let (user, password) = (text(&extension["sip_username"]), text(&extension["sip_password"]));
            Phone::new(switch.internal, user, "office.test", password)
        });
        let phones = phones.collect::<Vec<_>>();
        for phone in &phones {
            phone.registers().await;
        }
        let (name, token) = &node.switch;
        let url = format!("http://{}", node.app.switch_address);
        let sender = Arc::new(Sender::new(&url, &format!("{name}:{token}"), None).unwrap());
        Some(Self { database, node, switch: Arc::new(switch), tenant, phones, extensions, sender, store })
    }

    fn id(&self, which: usize) -> &str {
        text(&self.extensions[which]["id"])
    }

    fn user(&self, which: usize) -> &str {
        text(&self.extensions[which]["sip_username"])
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let sign = if path.contains('?') { '&' } else { '?' };
        self.node.api(method, &format!("{path}{sign}tenant_id={}", self.tenant), body).await
    }

    async fn messages(&self, which: usize) -> Vec<Value> {
        let answer = self.ask("GET", &format!("/v1/voicemail?extension_id={}", self.id(which)), Value::Null).await;
        assert_eq!(answer.status, 200, "{}\n{}", answer.text(), self.switch.log());
        answer.items().as_array().unwrap().clone()
    }

    /// What the switch counts: new, heard, urgent and new, urgent and heard.
    fn counts(&self, which: usize) -> String {
        self.switch.api(&format!("vm_boxcount {}@office.test|all", self.user(which))).trim().to_owned()
    }

    async fn until<T>(&self, what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = found().await {
                return found;
            }
            assert!(since.elapsed() < PATIENCE * 2, "it did not come about: {what}\n{}", self.switch.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The first phone leaves a message of three seconds or more for another.
    async fn leaves(&self, which: usize) {
        let before = self.switch.messages().len();
        let call = self.phones[0].calls(&format!("100{which}"));
        self.phones[which].rings().await.declines(486).await;
        call.answered().await;
        self.until("enough is recorded", async || {
            let files = self.switch.messages();
            let long = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 3 * 16_000);
            (files.len() > before && files.iter().all(long)).then_some(())
        })
        .await;
        call.hangs_up().await;
    }

    /// Has the sender look through the switch's folder until it has sent one file.
    async fn sends(&self) {
        let folder = self.switch.folder.join("storage/voicemail/default");
        self.until("a message is sent", async || {
            let (sender, folder) = (Arc::clone(&self.sender), folder.clone());
            let passed = tokio::task::spawn_blocking(move || sender.pass_messages(&folder, &|_| {})).await.unwrap();
            let report = passed.unwrap();
            assert_eq!(report.failed, [], "{report:?}");
            (report.sent == 1).then_some(())
        })
        .await;
    }

    async fn hears(&self, message: &Value) -> Vec<u8> {
        let path = format!("/v1/voicemail/{}/audio", text(&message["id"]));
        let heard = self.ask("GET", &path, Value::Null).await;
        assert_eq!(heard.status, 200, "{}", heard.text());
        heard.body
    }

    async fn closes(self) {
        drop(self.switch);
        self.node.stop().await;
        let _ = fs::remove_dir_all(&self.store);
    }
}

/// The tones in each tenth of a second of a WAV file with one channel of 16 bits.
fn tones(wav: &[u8]) -> Vec<Vec<u32>> {
    let begins = memchr::memmem::find(wav, b"data").unwrap() + 8;
    let samples = wav[begins..].chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect::<Vec<_>>();
    samples.chunks_exact(800).map(tones_in).collect()
}

fn sealed(store: &std::path::Path) -> usize {
    let folders = fs::read_dir(store).into_iter().flatten().flatten();
    folders.map(|folder| fs::read_dir(folder.path()).into_iter().flatten().count()).sum()
}

#[actix_web::test]
async fn a_message_is_heard_marked_forwarded_and_deleted_and_the_lamp_follows_each() {
    let Some(office) = Office::open().await else { return };
    let hook = json!({ "url": "https://hooks.example/voicemail", "topics": ["voicemail:received"] });
    let made = office.node.api("POST", "/v1/webhooks", hook).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let (_, mut lamp) = office.phones[1].subscribes("message-summary", office.user(1)).await;
    office.leaves(1).await;
    lamp.says("Voice-Message: 1/0").await;
    let message = office.until("the message is listed", async || office.messages(1).await.pop()).await;
    assert_eq!((text(&message["caller_number"]), message["is_read"].as_bool()), ("1000", Some(false)), "{message}");
    assert!(message["seconds"].as_i64().unwrap() >= 3, "{message}");
    let id = text(&message["id"]).to_owned();
    let early = office.ask("GET", &format!("/v1/voicemail/{id}/audio"), Value::Null).await;
    assert_eq!((early.status, text(&early.json()["code"])), (503, "voicemail_not_here"), "before its sound came");

    // It is heard as it was left.
    office.sends().await;
    let heard = office.hears(&message).await;
    let kept = fs::read(&office.switch.messages()[0]).unwrap();
    assert_eq!(heard, kept, "byte for byte");
    let windows = tones(&heard);
    let said = windows.iter().filter(|heard| **heard == [office.phones[0].tone()]).count();
    println!("{} windows of 0.1 s, the caller's tone alone in {said}", windows.len());
    assert!(said >= 25 && windows.iter().all(|heard| heard.iter().all(|tone| *tone == office.phones[0].tone())));
    let path = format!("/v1/voicemail/{id}/audio?tenant_id={}", office.tenant);
    let key = format!("Bearer {}", office.node.key);
    let headers = [("Authorization", key.as_str()), ("Range", "bytes=1000-1999")];
    let part = send(office.node.app.app_address, "GET", &path, &headers, b"").await;
    assert_eq!((part.status, &part.body[..]), (206, &kept[1000..2000]));
    let told = "select count(*) from webhook_events where topic = 'voicemail:received'";
    assert_eq!(office.database.count(told).await, 1);

    // Marks reach the switch, and the lamp.
    let own = format!("/v1/voicemail/{id}");
    let marked = office.ask("PATCH", &own, example("PATCH /v1/voicemail/{message}")).await;
    assert_eq!((marked.status, marked.json()["is_read"].as_bool()), (200, Some(true)), "{}", marked.text());
    lamp.says("Voice-Message: 0/1").await;
    let marked = office.ask("PATCH", &own, json!({ "is_read": false })).await;
    assert_eq!((marked.status, marked.json()["read_at"].is_null()), (200, true), "{}", marked.text());
    lamp.says("Voice-Message: 1/0").await;
    let marked = office.ask("PATCH", &own, json!({ "is_urgent": true })).await;
    assert_eq!(marked.status, 200, "{}\n{}", marked.text(), office.switch.log());
    assert_eq!(office.counts(1), "1:0:1:0", "urgent and new");
    let after = office.messages(1).await;
    assert_eq!((after.len(), &after[0]["id"], &after[0]["received_at"]), (1, &message["id"], &message["received_at"]));
    assert_eq!(office.hears(&message).await, kept, "it is the same message");

    // A colleague gets a copy, which is new there.
    let forward = json!({ "to": "1002" });
    let copy = office.ask("POST", &format!("{own}/forwards"), forward).await;
    assert_eq!(copy.status, 201, "{}\n{}", copy.text(), office.switch.log());
    let copy = copy.json();
    assert_eq!((text(&copy["forwarded_by"]), copy["is_urgent"].as_bool()), ("1001", Some(true)), "{copy}");
    assert_eq!((text(&copy["caller_number"]), &copy["received_at"]), ("1000", &message["received_at"]));
    assert_eq!(office.counts(2), "1:0:1:0");
    office.sends().await;
    assert_eq!(office.hears(&copy).await, kept);
    assert_eq!(office.database.count(told).await, 2);
    let other = office.ask("POST", &format!("{own}/forwards"), json!({ "to": "1000" })).await;
    assert_eq!((other.status, text(&other.json()["code"])), (422, "has_no_voicemail"));

    // What is deleted is gone everywhere.
    let deleted = office.ask("DELETE", &own, Value::Null).await;
    assert_eq!(deleted.status, 204, "{}\n{}", deleted.text(), office.switch.log());
    lamp.says("Messages-Waiting: no").await;
    lamp.says("Voice-Message: 0/0").await;
    assert_eq!((office.counts(1).as_str(), office.switch.messages().len()), ("0:0:0:0", 1), "only the copy is left");
    assert_eq!(office.messages(1).await, Vec::<Value>::new());
    assert_eq!(office.ask("GET", &own, Value::Null).await.status, 404);
    office.until("its sound is gone", async || (sealed(&office.store) == 1).then_some(())).await;

    // And what goes at the switch is gone here.
    office.switch.api(&format!("vm_delete {}@office.test/default", office.user(2)));
    office
        .until("the copy is gone", async || {
            let gone =
                office.ask("GET", &format!("/v1/voicemail/{}", text(&copy["id"])), Value::Null).await.status == 404;
            (gone && sealed(&office.store) == 0).then_some(())
        })
        .await;
    office.closes().await;
}

#[actix_web::test]
async fn callers_hear_the_greeting_that_was_chosen_until_it_is_removed() {
    let Some(office) = Office::open().await else { return };
    let path = format!("/v1/voicemail-greetings/{}", office.id(1));
    let shown = office.until("the switch is linked", async || {
        let shown = office.ask("GET", &path, Value::Null).await;
        (shown.status == 200).then(|| shown.json())
    });
    let shown = shown.await;
    assert_eq!((shown["greeting"].is_null(), &shown["recorded"]), (true, &json!([])));
    let refused = office.ask("PUT", &path, json!({ "greeting": 3 })).await;
    assert_eq!((refused.status, text(&refused.json()["code"])), (422, "greeting_not_recorded"));
    // As the owner recorded it by phone: the tone of a phone that is not on the call.
    let folder = office.switch.folder.join("storage/voicemail/default/office.test").join(office.user(1));
    write_sound(&folder.join("greeting_3.wav"), &tone(office.phones[2].tone(), 5));
    let chosen = office.ask("PUT", &path, json!({ "greeting": 3 })).await;
    assert_eq!(chosen.status, 200, "{}\n{}", chosen.text(), office.switch.log());
    assert_eq!((chosen.json()["greeting"].as_u64(), &chosen.json()["recorded"]), (Some(3), &json!([3])));
    let call = office.phones[0].calls("1001");
    office.phones[1].rings().await.declines(486).await;
    call.answered().await;
    call.hears(&office.phones[2]).await;
    call.hangs_up().await;
    let removed = office.ask("DELETE", &format!("{path}?greeting=3"), Value::Null).await;
    assert_eq!(removed.status, 204, "{}\n{}", removed.text(), office.switch.log());
    assert!(!folder.join("greeting_3.wav").exists());
    let shown = office.ask("GET", &path, Value::Null).await.json();
    assert_eq!((shown["greeting"].is_null(), &shown["recorded"]), (true, &json!([])));
    office.closes().await;
}

#[actix_web::test]
async fn while_the_switch_is_away_nothing_is_said_of_its_mailboxes_and_nothing_is_done() {
    let Some(office) = Office::open().await else { return };
    office.leaves(1).await;
    let message = office.until("the message is listed", async || office.messages(1).await.pop()).await;
    office.switch.kill();
    let list = format!("/v1/voicemail?extension_id={}", office.id(1));
    let own = format!("/v1/voicemail/{}", text(&message["id"]));
    office
        .until("it is not heard", async || (office.ask("GET", &list, Value::Null).await.status == 503).then_some(()))
        .await;
    for (method, path, body) in [
        ("GET", list.clone(), Value::Null),
        ("PATCH", own.clone(), json!({ "is_read": true })),
        ("DELETE", own.clone(), Value::Null),
        ("POST", format!("{own}/forwards"), json!({ "to": "1002" })),
        ("GET", format!("/v1/voicemail-greetings/{}", office.id(1)), Value::Null),
    ] {
        let answer = office.ask(method, &path, body).await;
        assert_eq!((answer.status, text(&answer.json()["code"])), (503, "voicemail_away"), "{method} {path}");
    }
    assert_eq!(office.ask("GET", &own, Value::Null).await.json(), message, "as it was last");
    office.closes().await;
}
