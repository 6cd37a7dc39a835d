//! Who may hear messages, what is taken of switches, and what the log says.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Answer, Database, Node, send},
    people::{Person, person},
};

const FILE: &str = "msg_f70a3b66-5105-4e1e-8913-485896181d48.wav";

/// A message that a switch has told of, in the mailbox of an agent's extension.
struct Stage {
    database: Database,
    node: Node,
    tenant: Uuid,
    agent: Person,
    message: Uuid,
    user: String,
}

/// Half a second of sound.
fn wav() -> Vec<u8> {
    let mut wav = [b"RIFF", &8036_u32.to_le_bytes()[..], b"WAVEfmt ", &16_u32.to_le_bytes()].concat();
    wav.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    wav.extend([8000_u32, 16_000].map(u32::to_le_bytes).concat());
    wav.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend(8000_u32.to_le_bytes());
    wav.extend((0..8000_u32).map(|n| (n % 251) as u8));
    wav
}

impl Stage {
    async fn new() -> Self {
        let database = Database::new().await;
        let node = Node::start(&database).await;
        let tenant = node.tenant("acme.test").await;
        let agent = person(&node, Some(tenant), Role::Agent, "agent@acme.test").await;
        let extension = node.extension(tenant, json!({ "number": "71" })).await;
        let (id, user) = (extension["id"].as_str().unwrap().parse::<Uuid>().unwrap(), "71".to_owned());
        let pool = node.app.changes.pool();
        let give =
            "update extensions set user_id = (select id from users where email = 'agent@acme.test') where id = $1";
        sqlx::query(give).bind(id).execute(pool).await.unwrap();
        let message = Uuid::now_v7();
        let told = "insert into voicemail_messages (tenant_id, id, extension_id, switch_id, message, file, caller_number, caller_name,
                                                    received_at, seconds, is_urgent)
                    select $1, $2, $3, s.id, gen_random_uuid(), $4, '+493012345678', 'Ann', now(), 1, false from switches s limit 1";
        sqlx::query(told).bind(tenant).bind(message).bind(id).bind(FILE).execute(pool).await.unwrap();
        Self { database, node, tenant, agent, message, user }
    }

    async fn sends(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (name, token) = &self.node.switch;
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
        let path = format!("/fs/voicemail/{path}");
        send(self.node.app.switch_address, method, &path, &[("Authorization", &basic)], body).await
    }

    fn file(&self) -> String {
        format!("acme.test/{}/{FILE}", self.user)
    }

    fn audio(&self) -> String {
        format!("/v1/voicemail/{}/audio", self.message)
    }
}

#[actix_web::test]
async fn the_sound_of_a_message_that_a_switch_told_of_is_taken_once_and_its_webhook_told() {
    let stage = Stage::new().await;
    let hook = json!({ "url": "https://hooks.example/x", "topics": ["voicemail:received"] });
    assert_eq!(stage.node.api("POST", "/v1/webhooks", hook).await.status, 201);
    let early = stage.agent.ask(&stage.node, "GET", &stage.audio(), Value::Null).await;
    assert_eq!((early.status, early.json()["code"].as_str()), (503, Some("voicemail_not_here")));
    assert_eq!(stage.sends("HEAD", &stage.file(), b"").await.status, 204, "it is wanted");
    assert_eq!(stage.sends("PUT", &stage.file(), b"no sound at all").await.status, 415);
    assert_eq!(stage.sends("PUT", &stage.file(), &wav()).await.status, 201);
    assert_eq!(stage.sends("HEAD", &stage.file(), b"").await.status, 200);
    assert_eq!(stage.sends("PUT", &stage.file(), b"something else").await.status, 200, "it stays what it is");
    for (path, status) in [
        ("acme.test/71/msg_0.wav", 404),
        ("acme.test/72/msg_0.wav", 404),
        ("other.test/71/msg_0.wav", 404),
        ("acme.test/71/greeting_1.wav", 400),
        ("acme.test/../msg_0.wav", 400),
    ] {
        assert_eq!(stage.sends("PUT", path, &wav()).await.status, status, "{path}");
    }
    let boxes = "select count(*) from voicemail_boxes where due_at <= now()";
    assert_eq!(stage.database.count(boxes).await, 1, "the switch will be asked about the message that nobody knows");
    let told = "select count(*) from webhook_events where topic = 'voicemail:received' and body::jsonb->'data'->>'extension' = '71'";
    assert_eq!(stage.database.count(told).await, 1);
    let heard = stage.agent.ask(&stage.node, "GET", &stage.audio(), Value::Null).await;
    assert_eq!((heard.status, &heard.body), (200, &wav()));
    let objects = "select count(*) from voicemail_objects";
    assert_eq!(stage.database.count(objects).await, 0);
    sqlx::query("delete from voicemail_messages").execute(stage.node.app.changes.pool()).await.unwrap();
    let since = std::time::Instant::now();
    while stage.database.count(objects).await > 0 {
        assert!(since.elapsed().as_secs() < 60, "its sound is still there");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn agents_and_managers_hear_their_own_messages_administrators_all_of_the_tenant_and_the_log_says_who() {
    let stage = Stage::new().await;
    assert_eq!(stage.sends("PUT", &stage.file(), &wav()).await.status, 201);
    let node = &stage.node;
    let other = person(node, Some(stage.tenant), Role::Agent, "other@acme.test").await;
    let manager = person(node, Some(stage.tenant), Role::Manager, "manager@acme.test").await;
    let admin = person(node, Some(stage.tenant), Role::Admin, "admin@acme.test").await;
    let elsewhere = node.tenant("else.test").await;
    let stranger = person(node, Some(elsewhere), Role::Owner, "owner@else.test").await;
    let own = format!("/v1/voicemail/{}", stage.message);
    for (person, status) in [(&stage.agent, 200), (&other, 404), (&manager, 404), (&admin, 200), (&stranger, 404)] {
        assert_eq!(person.ask(node, "GET", &own, Value::Null).await.status, status);
        assert_eq!(person.ask(node, "GET", &stage.audio(), Value::Null).await.status, status);
        // Parts of what somebody hears are one hearing.
        person.ask(node, "GET", &stage.audio(), Value::Null).await;
        for (method, path, body) in [
            ("PATCH", own.clone(), json!({ "is_read": true })),
            ("DELETE", own.clone(), Value::Null),
            ("POST", format!("{own}/forwards"), json!({ "to": "71" })),
        ] {
            // No node hears a switch here, so whoever may act is told so.
            let acted = person.ask(node, method, &path, body).await;
            assert_eq!(acted.status, if status == 200 { 503 } else { 404 }, "{method} {path}: {}", acted.text());
        }
    }
    let path = format!("/v1/audit?tenant_id={}&limit=200", stage.tenant);
    let entries = node.api("GET", &path, Value::Null).await.items();
    let of = format!("voicemail/{}", stage.message);
    let heard = entries.as_array().unwrap().iter().filter(|entry| entry["resource"] == of.as_str());
    let who = heard.map(|entry| format!("{} {}", entry["action"], entry["actor"])).collect::<Vec<_>>();
    assert!(who.len() == 2 && who.iter().all(|one| one.contains("hear_message")), "{who:?}");
    assert!(
        ["admin@acme.test", "agent@acme.test"].iter().all(|name| who.iter().any(|one| one.contains(name))),
        "{who:?}"
    );
    let list = stage
        .agent
        .ask(node, "GET", "/v1/voicemail?extension_id=00000000-0000-0000-0000-00000000beef", Value::Null)
        .await;
    assert_eq!(list.status, 404, "no extension of theirs");
    stage.node.stop().await;
}

#[actix_web::test]
async fn messages_are_counted_for_whoever_may_hear_them() {
    let stage = Stage::new().await;
    let node = &stage.node;
    let path = "/v1/mailboxes";
    let pool = node.app.changes.pool();
    let more = "insert into voicemail_messages (tenant_id, id, extension_id, switch_id, message, file, caller_number, caller_name, received_at, seconds,
                                                is_urgent, read_at)
                select tenant_id, gen_random_uuid(), extension_id, switch_id, gen_random_uuid(), file, caller_number, caller_name, received_at, 1, $2, $3
                  from voicemail_messages where id = $1";
    for (is_urgent, read_at) in [(true, None), (true, Some(chrono::Utc::now())), (false, Some(chrono::Utc::now()))] {
        sqlx::query(more).bind(stage.message).bind(is_urgent).bind(read_at).execute(pool).await.unwrap();
    }
    // A mailbox without messages, and another tenant with one more extension of the same number.
    node.extension(stage.tenant, json!({ "number": "72" })).await;
    let other = node.tenant("other.test").await;
    node.extension(other, json!({ "number": "71" })).await;
    let asked = format!("{path}?tenant_id={}", stage.tenant);
    let counted = node.api("GET", &asked, Value::Null).await;
    assert_eq!(counted.status, 200, "{}", counted.text());
    let items = counted.json()["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 1, "{items:?}");
    let count = |what: &str| items[0][what].as_i64().unwrap();
    assert_eq!((&items[0]["extension"], count("new"), count("urgent"), count("heard")), (&json!("71"), 2, 1, 2));

    let own = stage.agent.ask(node, "GET", path, Value::Null).await;
    assert_eq!(own.json()["items"], json!(items), "{}", own.text());
    let colleague = person(node, Some(stage.tenant), Role::Agent, "colleague@acme.test").await;
    assert_eq!(colleague.ask(node, "GET", path, Value::Null).await.json()["items"], json!([]));
    let theirs = format!("{path}?tenant_id={other}");
    assert_eq!(node.api("GET", &theirs, Value::Null).await.json()["items"], json!([]));
    stage.node.stop().await;
}
