//! Messages between people, and notices to a team: who may send and read them, who hears of them, and for how long they are kept.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{events::Listener, harness::Node, own_calls::Agent, pushes::Fleet};

const TOPICS: &str = "topics=message:received";

/// Somebody else of the tenant, with another role.
pub async fn colleague(fleet: &Fleet, name: &str, role: &str) -> Agent {
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let new =
        json!({ "first_name": name, "last_name": "Noether", "email": format!("{}@acme.test", name.to_lowercase()) });
    let made = node.makes(&format!("/v1/admin/agents?tenant_id={tenant}"), new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let set = sqlx::query("update users set role = $1 where id = $2").bind(role).bind(made.id());
    set.execute(node.app.changes.pool()).await.unwrap();
    Agent::of(fleet, &made.json()).await
}

async fn writes(node: &Node, from: &Agent, to: &Agent, text: &str) -> Value {
    let sent = from.asks(node, "POST", "/v1/chat/messages", json!({ "to": to.id, "text": text })).await;
    assert_eq!(sent.status, 201, "{}", sent.text());
    sent.json()
}

/// Whom somebody can write to, by their id.
async fn person(node: &Node, who: &Agent, other: &Agent) -> Value {
    let people = who.asks(node, "GET", "/v1/chat/people", Value::Null).await.json();
    let found = people["items"].as_array().unwrap().iter().find(|one| one["user_id"] == json!(other.id));
    found.unwrap_or_else(|| panic!("{people}")).clone()
}

async fn next(listener: &mut Listener) -> Value {
    loop {
        let message = listener.message().await;
        // The switch may be heard for the first time meanwhile.
        if message["type"] == "snapshot" {
            continue;
        }
        assert_eq!(message["topic"], "message:received", "{message}");
        return message["data"].clone();
    }
}

#[actix_web::test]
async fn a_message_is_its_senders_and_receivers_and_nobody_elses_whatever_their_role() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let [bob, ann] = Agent::two(&fleet).await;
    let emmy = colleague(&fleet, "Emmy", "owner").await;
    let mut to_bob = bob.hears(node, TOPICS).await;
    let mut to_ann = ann.hears(node, TOPICS).await;
    let mut to_emmy = emmy.hears(node, TOPICS).await;
    let sent = writes(node, &bob, &ann, "<b>Lunch</b>?").await;
    for listener in [&mut to_bob, &mut to_ann] {
        let heard = next(listener).await;
        assert_eq!(
            (&heard["id"], &heard["text"], &heard["is_notice"], &heard["from"], &heard["to"]),
            (&sent["id"], &json!("<b>Lunch</b>?"), &json!(false), &json!(bob.id), &json!(ann.id))
        );
    }
    // What comes next to the others is a message of their own: they did not hear of the first.
    let mine = writes(node, &emmy, &ann, "Come to my office.").await;
    assert_eq!(next(&mut to_emmy).await["id"], mine["id"]);
    let notice = format!("/v1/chat/notices?tenant_id={}", fleet.stage.tenant);
    let told = node.api("POST", &notice, json!({ "text": "All of you." })).await;
    assert_eq!(told.status, 201, "{}", told.text());
    for listener in [&mut to_bob, &mut to_emmy] {
        let heard = next(listener).await;
        assert_eq!((&heard["id"], &heard["is_notice"]), (&told.json()["id"], &json!(true)));
    }
    // A key is nobody, and reads nothing.
    for path in ["/v1/chat/people".to_owned(), format!("/v1/chat/messages?with={}", ann.id), "/v1/chat/notices".into()]
    {
        assert_eq!(node.api("GET", &path, Value::Null).await.status, 403, "{path}");
    }
    let by_key = node.api("POST", "/v1/chat/messages", json!({ "to": ann.id, "text": "x" })).await;
    assert_eq!(by_key.status, 403);
    let of_others = emmy.asks(node, "GET", &format!("/v1/chat/messages?with={}", bob.id), Value::Null).await;
    assert_eq!(of_others.json()["items"], json!([]), "what Bob and Ann wrote is not Emmy's");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn what_was_not_seen_is_counted_and_the_latest_comes_first() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let [bob, ann] = Agent::two(&fleet).await;
    for number in 1..=5 {
        writes(node, &bob, &ann, &format!("Message {number}")).await;
    }
    let shown = person(node, &ann, &bob).await;
    assert_eq!((&shown["unread"], &shown["last_text"]), (&json!(5), &json!("Message 5")), "{shown}");
    assert_eq!(person(node, &bob, &ann).await["unread"], 0, "one's own are seen");
    // Page by page.
    let path = format!("/v1/chat/messages?with={}&limit=2", bob.id);
    let first = ann.asks(node, "GET", &path, Value::Null).await.json();
    let texts =
        |page: &Value| page["items"].as_array().unwrap().iter().map(|one| one["text"].clone()).collect::<Vec<_>>();
    assert_eq!(texts(&first), ["Message 5", "Message 4"]);
    let rest = format!("{path}&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(texts(&ann.asks(node, "GET", &rest, Value::Null).await.json()), ["Message 3", "Message 2"]);
    // Seen, and the sender knows it.
    let seen = format!("/v1/chat/people/{}/seen", bob.id);
    assert_eq!(ann.asks(node, "POST", &seen, Value::Null).await.json()["seen"], 5);
    assert_eq!(ann.asks(node, "POST", &seen, Value::Null).await.json()["seen"], 0);
    assert_eq!(person(node, &ann, &bob).await["unread"], 0);
    let sent = bob.asks(node, "GET", &format!("/v1/chat/messages?with={}", ann.id), Value::Null).await.json();
    assert!(sent["items"][0]["read_at"].is_string(), "{sent}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_text_is_bounded_in_size_and_rate_and_goes_to_colleagues_only() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let [bob, ann] = Agent::two(&fleet).await;
    let other = node.api("POST", "/v1/tenants", json!({ "name": "Other", "domain": "other.test" })).await.id();
    let new = json!({ "first_name": "Eve", "last_name": "E", "email": "eve@other.test" });
    let stranger = node.makes(&format!("/v1/admin/agents?tenant_id={other}"), new).await;
    let send = async |body: Value| bob.asks(node, "POST", "/v1/chat/messages", body).await;
    for (to, text, code) in [
        (json!(ann.id), "x".repeat(2001), "too_high"),
        (json!(ann.id), " \n ".into(), "empty"),
        (json!(ann.id), "a\u{202e}b".into(), "invisible_characters"),
        (json!(bob.id), "Hi".into(), "writes_to_oneself"),
        (json!(stranger.id()), "Hi".into(), "nobody_to_write_to"),
        (json!(Uuid::new_v4()), "Hi".into(), "nobody_to_write_to"),
    ] {
        let refused = send(json!({ "to": to, "text": text })).await;
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(code == "too_high" || refused.text().contains(code), "{code}: {}", refused.text());
    }
    // Some at once: exactly as many as are left of a minute's thirty.
    let many = "insert into chat_messages (tenant_id, id, author_id, sender_id, sender, recipient_id, body)
        select $1, gen_random_uuid(), $2, $2, 'Bob', $3, 'x' from generate_series(1, 28)";
    let many = sqlx::query(many).bind(fleet.stage.tenant).bind(bob.id).bind(ann.id);
    many.execute(node.app.changes.pool()).await.unwrap();
    let asked = (0..6).map(|number| send(json!({ "to": ann.id, "text": format!("Message {number}") })));
    let answers = futures_util::future::join_all(asked).await;
    let sent = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(sent, 2, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert!(refused.text().contains("too_many_messages"), "{}", refused.text());
    // The other one may still answer.
    writes(node, &ann, &bob, "Slow down.").await;
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_notice_to_a_queue_is_its_agents_and_an_agent_tells_nobody() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let [bob, ann] = Agent::two(&fleet).await;
    let tenant = fleet.stage.tenant;
    let queue = json!({ "name": "Sales", "kind": "queue", "config": { "tiers": [{ "extension_id": bob.extension }] } });
    let queue = node.makes(&format!("/v1/tenants/{tenant}/destinations"), queue).await;
    assert_eq!(queue.status, 201, "{}", queue.text());
    let boss = colleague(&fleet, "Emmy", "manager").await;
    let told = boss.asks(node, "POST", "/v1/chat/notices", json!({ "text": "Sell!", "queue_id": queue.id() })).await;
    assert_eq!(told.status, 201, "{}", told.text());
    assert_eq!(told.json()["from_name"], "Emmy Noether");
    let notices =
        async |who: &Agent| who.asks(node, "GET", "/v1/chat/notices", Value::Null).await.json()["items"].clone();
    assert_eq!(notices(&bob).await[0]["text"], "Sell!");
    assert_eq!(notices(&ann).await, json!([]));
    let refused = ann.asks(node, "POST", "/v1/chat/notices", json!({ "text": "Strike!" })).await;
    assert_eq!(refused.status, 403);
    let unknown = boss.asks(node, "POST", "/v1/chat/notices", json!({ "text": "x", "queue_id": Uuid::new_v4() })).await;
    assert_eq!(unknown.status, 404);
    // It is in the audit log; what people write to each other is not.
    writes(node, &bob, &ann, "Between us.").await;
    let log = node.api("GET", &format!("/v1/audit?tenant_id={tenant}"), Value::Null).await.text();
    assert!(log.contains("Sell!") && !log.contains("Between us."), "{log}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn messages_are_deleted_after_their_period_and_with_their_people() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let [bob, ann] = Agent::two(&fleet).await;
    writes(node, &bob, &ann, "Old").await;
    writes(node, &bob, &ann, "New").await;
    fleet.sql("update chat_messages set sent_at = now() - interval '91 days' where body = 'Old'").await;
    let periods = dialplane::app::settings::Settings::default().retention();
    let began = Instant::now();
    // A node does this as well, and one at a time.
    while dialplane::app::retention::pass(node.app.changes.pool(), &periods, chrono::Utc::now())
        .await
        .unwrap()
        .is_none()
    {
        assert!(began.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left = bob.asks(node, "GET", &format!("/v1/chat/messages?with={}", ann.id), Value::Null).await.json();
    assert_eq!(left["items"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["items"][0]["text"], "New");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_message_is_heard_however_much_others_write_at_the_same_time() {
    let fleet = Fleet::new().await;
    let node = &fleet.stage.node;
    let [bob, ann] = Agent::two(&fleet).await;
    let other = node.tenant("other.test").await;
    let mut to_ann = ann.hears(node, TOPICS).await;
    writes(node, &bob, &ann, "One").await;
    assert_eq!(next(&mut to_ann).await["text"], "One");
    let many = "insert into chat_messages (tenant_id, id, author_id, sender, people, body)
                select $1, gen_random_uuid(), $1, 'Somebody', '{}', 'x' from generate_series(1, 2500)";
    sqlx::query(many).bind(other).execute(node.app.changes.pool()).await.unwrap();
    writes(node, &bob, &ann, "Two").await;
    assert_eq!(next(&mut to_ann).await["text"], "Two");
    fleet.stage.stop().await;
}
