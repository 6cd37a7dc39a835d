//! Webhooks, with real receivers: some fail, hang, redirect, or have a forbidden address.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use dialplane::{
    model::topic::Topic,
    tenancy::webhooks::{event, publish, sign::Secret},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};
use uuid::Uuid;

use crate::harness::{Database, Node};

/// A request as a receiver got it.
#[derive(Debug, Clone)]
struct Got {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn is_signed_with(&self, secret: &str) -> bool {
        let timestamp = self.header("webhook-timestamp").parse().unwrap();
        let signature = Secret::of(secret).sign(self.header("webhook-id"), timestamp, &self.body);
        self.header("webhook-signature").split(' ').any(|one| one == signature)
    }
}

/// A receiver that answers as it is told; with no answer, it hangs.
struct Receiver {
    address: SocketAddr,
    got: mpsc::UnboundedReceiver<Got>,
    answer: Arc<Mutex<Option<String>>>,
}

impl Receiver {
    async fn new(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, got) = mpsc::unbounded_channel();
        let answer = Arc::new(Mutex::new(Some(answer.to_owned())));
        let told = Arc::clone(&answer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (send, told) = (send.clone(), Arc::clone(&told));
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    while let Some(got) = receive(&mut stream, &mut read).await {
                        let _ = send.send(got);
                        let answer = told.lock().unwrap().clone();
                        match answer {
                            Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                            None => std::future::pending().await,
                        }
                    }
                });
            }
        });
        Self { address, got, answer }
    }

    fn answers(&self, answer: Option<&str>) {
        *self.answer.lock().unwrap() = answer.map(ToOwned::to_owned);
    }

    fn url(&self) -> String {
        format!("http://{}/hooks?key=of-the-receiver", self.address)
    }

    async fn next(&mut self) -> Got {
        tokio::time::timeout(Duration::from_secs(30), self.got.recv()).await.expect("nothing came").unwrap()
    }
}

async fn receive(stream: &mut tokio::net::TcpStream, read: &mut Vec<u8>) -> Option<Got> {
    loop {
        if let Some(end) = memchr::memmem::find(read, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
            let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned()));
            let headers = headers.collect::<BTreeMap<_, _>>();
            let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if read.len() >= end + 4 + length {
                let body = String::from_utf8(read[end + 4..end + 4 + length].to_vec()).unwrap();
                read.drain(..end + 4 + length);
                return Some(Got { headers, body });
            }
        }
        if stream.read_buf(read).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

const FINE: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 9\r\n\r\nbe right\0";

async fn node(database: &Database) -> Node {
    Node::with(database, |settings| settings.webhooks_to_private_addresses = true).await
}

async fn made(node: &Node, tenant: Option<Uuid>, url: &str) -> Value {
    let new = json!({ "url": url, "tenant_id": tenant, "topics": ["call:ended", "call:incoming"] });
    let answer = node.api("POST", "/v1/webhooks", new).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// Something happens in a tenant.
async fn happens(database: &Database, tenant: Uuid, topic: Topic) -> Uuid {
    let event = event(Some(tenant), topic, &json!({ "number": "1000" }));
    publish(&mut database.connect().await, std::slice::from_ref(&event)).await.unwrap();
    event.id
}

/// Waits until a delivery is as wanted.
async fn until(node: &Node, webhook: &Value, delivery: Uuid, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/v1/webhooks/{}/deliveries/{delivery}", webhook["id"].as_str().unwrap());
    let began = std::time::Instant::now();
    loop {
        let shown = node.api("GET", &path, Value::Null).await;
        assert_eq!(shown.status, 200, "{}", shown.text());
        if wanted(&shown.json()) {
            return shown.json();
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{}", shown.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn a_tenants_events_reach_its_endpoint_and_the_platforms_signed_and_once() {
    let database = Database::new().await;
    let node = node(&database).await;
    let (ours, theirs) = (node.tenant("ours.test").await, node.tenant("theirs.test").await);
    let (mut own, mut platform) = (Receiver::new(FINE).await, Receiver::new(FINE).await);
    let webhook = made(&node, Some(ours), &own.url()).await;
    let of_the_platform = made(&node, None, &platform.url()).await;
    let secret = webhook["secret"].as_str().unwrap();
    assert_eq!(STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);

    happens(&database, ours, Topic::PresenceUpdate).await;
    let other = happens(&database, theirs, Topic::CallEnded).await;
    let id = happens(&database, ours, Topic::CallEnded).await;
    let got = own.next().await;
    assert_eq!(got.header("webhook-id"), id.to_string());
    assert_eq!(got.header("content-type"), "application/json");
    assert!(got.is_signed_with(secret) && !got.is_signed_with(of_the_platform["secret"].as_str().unwrap()));
    let body = serde_json::from_str::<Value>(&got.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["number"]), (&json!("call:ended"), &json!("1000")));
    assert_eq!(body["tenant_id"], json!(ours));
    let mut seen = [platform.next().await, platform.next().await].map(|got| got.header("webhook-id").to_owned());
    seen.sort();
    assert_eq!(seen, [other.to_string(), id.to_string()]);

    let shown = until(&node, &webhook, id, |shown| shown["status"] == "delivered").await;
    assert_eq!((&shown["attempts"], &shown["last_status"], &shown["body"]), (&json!(1), &json!(204), &json!(got.body)));
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    let listed = node.api("GET", &format!("{path}/deliveries"), Value::Null).await.items();
    assert_eq!(listed.as_array().unwrap().len(), 1, "nothing of the other tenant, and no topic that it doesn't want");
    assert!(own.got.try_recv().is_err(), "once");
    let kept = "select count(*) from webhook_events where topic = 'presence:update'";
    assert_eq!(database.count(kept).await, 0, "what nobody wants is not kept");
    let mut db = database.connect().await;
    let sealed = sqlx::query_scalar::<_, Vec<u8>>("select secret from webhooks").fetch_all(&mut db).await.unwrap();
    assert!(sealed.iter().all(|sealed| memchr::memmem::find(sealed, &secret.as_bytes()[6..20]).is_none()));
    node.stop().await;
}

#[actix_web::test]
async fn what_fails_is_tried_again_and_can_be_replayed() {
    let database = Database::new().await;
    let node = node(&database).await;
    let tenant = node.tenant("acme.test").await;
    let mut receiver = Receiver::new(BROKEN).await;
    let webhook = made(&node, Some(tenant), &receiver.url()).await;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    let id = happens(&database, tenant, Topic::CallEnded).await;
    let first = receiver.next().await;
    let shown = until(&node, &webhook, id, |shown| shown["last_error"].is_string()).await;
    assert_eq!((&shown["status"], &shown["last_status"]), (&json!("pending"), &json!(500)));
    assert_eq!(shown["last_answer"], "be right\u{fffd}");
    assert!(node.api("GET", &path, Value::Null).await.json()["failing_since"].is_string());
    receiver.answers(Some(FINE));
    // After about five seconds.
    let second = receiver.next().await;
    assert_eq!(second.header("webhook-id"), first.header("webhook-id"), "so that the receiver knows it again");
    until(&node, &webhook, id, |shown| shown["status"] == "delivered" && shown["attempts"] == 2).await;
    assert_eq!(node.api("GET", &path, Value::Null).await.json()["failing_since"], Value::Null);

    let replayed = node.api("POST", &format!("{path}/deliveries/{id}/replay"), Value::Null).await;
    assert_eq!(replayed.status, 204, "{}", replayed.text());
    assert_eq!(receiver.next().await.header("webhook-id"), id.to_string());
    let since = json!({ "since": "2026-01-01T00:00:00Z" });
    let none = node.api("POST", &format!("{path}/replay"), since.clone()).await;
    until(&node, &webhook, id, |shown| shown["status"] == "delivered").await;
    assert_eq!(none.status, 200);

    // Given up after the last attempt, and due again when that is asked for.
    receiver.answers(Some(BROKEN));
    let id = happens(&database, tenant, Topic::CallEnded).await;
    receiver.next().await;
    until(&node, &webhook, id, |shown| shown["last_status"] == 500).await;
    database.execute("update webhook_deliveries set attempts = 9, next_at = now() where status = 'pending'").await;
    receiver.next().await;
    until(&node, &webhook, id, |shown| shown["status"] == "failed" && shown["next_at"].is_null()).await;
    receiver.answers(Some(FINE));
    assert_eq!(node.api("POST", &format!("{path}/replay"), since).await.json()["deliveries"], 1);
    until(&node, &webhook, id, |shown| shown["status"] == "delivered").await;

    // An endpoint that is gone is switched off.
    receiver.answers(Some("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"));
    let id = happens(&database, tenant, Topic::CallEnded).await;
    until(&node, &webhook, id, |shown| shown["status"] == "failed").await;
    assert_eq!(node.api("GET", &path, Value::Null).await.json()["enabled"], false);
    node.stop().await;
}

#[actix_web::test]
async fn an_endpoint_that_hangs_delays_no_other_and_redirects_are_not_followed() {
    let database = Database::new().await;
    let node = node(&database).await;
    let tenant = node.tenant("acme.test").await;
    let (mut slow, mut fine, mut secret) =
        (Receiver::new(FINE).await, Receiver::new(FINE).await, Receiver::new(FINE).await);
    slow.answers(None);
    made(&node, Some(tenant), &slow.url()).await;
    let webhook = made(&node, Some(tenant), &fine.url()).await;
    for _ in 0..40 {
        happens(&database, tenant, Topic::CallIncoming).await;
    }
    slow.next().await;
    for _ in 0..40 {
        fine.next().await;
    }
    let hanging = 1 + std::iter::from_fn(|| slow.got.try_recv().ok()).count();
    assert!(hanging <= 8, "{hanging} requests at a time");

    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", secret.url());
    fine.answers(Some(&redirect));
    let id = happens(&database, tenant, Topic::CallEnded).await;
    let shown = until(&node, &webhook, id, |shown| shown["last_status"] == 302).await;
    assert!(shown["last_error"].as_str().unwrap().contains("redirect"), "{shown}");
    assert!(secret.got.try_recv().is_err());
    node.stop().await;
}

#[actix_web::test]
async fn eight_tenants_whose_endpoints_all_hang_delay_no_other_tenant() {
    let database = Database::new().await;
    let node = node(&database).await;
    let (mut slow, mut fine) = (Receiver::new(FINE).await, Receiver::new(FINE).await);
    slow.answers(None);
    let mut hanging = Vec::new();
    for n in 0..8 {
        let tenant = node.tenant(&format!("hangs{n}.test")).await;
        for _ in 0..4 {
            made(&node, Some(tenant), &slow.url()).await;
        }
        hanging.push(tenant);
    }
    let other = node.tenant("acme.test").await;
    made(&node, Some(other), &fine.url()).await;
    let events = hanging
        .iter()
        .flat_map(|tenant| (0..8).map(|n| event(Some(*tenant), Topic::CallEnded, &json!({ "number": n.to_string() }))));
    publish(&mut database.connect().await, &events.collect::<Vec<_>>()).await.unwrap();
    // Until no more requests come: each of those that came takes fifteen seconds.
    let mut came = 0;
    while tokio::time::timeout(Duration::from_millis(1500), slow.got.recv()).await.is_ok() {
        came += 1;
    }
    assert!((100..256).contains(&came), "{came} requests hang, and there are 256 places");
    let began = std::time::Instant::now();
    for _ in 0..8 {
        happens(&database, other, Topic::CallEnded).await;
    }
    for _ in 0..8 {
        fine.next().await;
    }
    println!("{came} requests hang; the other's came within {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    node.stop().await;
}

#[actix_web::test]
async fn nothing_is_sent_to_private_addresses_unless_the_operator_allows_it() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let mut receiver = Receiver::new(FINE).await;
    let port = receiver.address.port();
    for (url, why) in [
        (format!("http://127.0.0.1:{port}/"), "only https is allowed"),
        (format!("https://127.0.0.1:{port}/"), "its address is not a public one"),
        (format!("https://[::ffff:127.0.0.1]:{port}/"), "its address is not a public one"),
        // The name is resolved at each delivery, and only a checked address is connected to.
        (format!("https://localhost:{port}/"), "its address is not a public one"),
        ("https://169.254.169.254/latest/meta-data/".to_owned(), "its address is not a public one"),
    ] {
        let webhook = made(&node, Some(tenant), &url).await;
        let test = format!("/v1/webhooks/{}/test", webhook["id"].as_str().unwrap());
        let id = node.api("POST", &test, Value::Null).await.id();
        let shown = until(&node, &webhook, id, |shown| shown["last_error"].is_string()).await;
        assert_eq!(shown["last_error"], why, "{url}");
        assert_eq!(shown["last_status"], Value::Null);
    }
    assert!(receiver.got.try_recv().is_err());
    for url in ["ftp://crm.example/", "https://user:pass@crm.example/", "crm.example", ""] {
        let refused = node.api("POST", "/v1/webhooks", json!({ "url": url, "topics": ["call:ended"] })).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!("url")), "{url}");
    }
    for topics in [json!([]), json!(["webhook:test"]), json!(["call:*"])] {
        let refused = node.api("POST", "/v1/webhooks", json!({ "url": "https://crm.example", "topics": topics })).await;
        assert_eq!(refused.status, 422, "{topics}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn after_a_rotation_requests_are_signed_with_both_secrets_for_a_while() {
    let database = Database::new().await;
    let node = node(&database).await;
    let tenant = node.tenant("acme.test").await;
    let mut receiver = Receiver::new(FINE).await;
    let webhook = made(&node, Some(tenant), &receiver.url()).await;
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    let rotated = node.api("POST", &format!("{path}/rotate-secret"), json!({ "overlap_seconds": 3600 })).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    let rotated = rotated.json();
    let (old, new) = (webhook["secret"].as_str().unwrap(), rotated["secret"].as_str().unwrap());
    assert_ne!(old, new);
    assert!(rotated["previous_ends_at"].is_string());
    node.api("POST", &format!("{path}/test"), Value::Null).await;
    let got = receiver.next().await;
    assert!(got.is_signed_with(old) && got.is_signed_with(new));
    database.execute("update webhooks set previous_ends_at = now() - interval '1 second'").await;
    node.api("POST", &format!("{path}/test"), Value::Null).await;
    let got = receiver.next().await;
    assert!(!got.is_signed_with(old) && got.is_signed_with(new));
    // Nobody else's.
    let theirs = node.tenant("theirs.test").await;
    let key = node.api("POST", "/v1/keys", json!({ "name": "k", "tenant_id": theirs })).await.json();
    let headers = [("X-API-Key", key["token"].as_str().unwrap())];
    for (method, what) in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/test"),
        ("POST", "/rotate-secret"),
        ("GET", "/deliveries"),
    ] {
        let answer = node.api_with(method, &format!("{path}{what}"), &headers, json!({})).await;
        assert_eq!(answer.status, 404, "{method} {what}: {}", answer.text());
    }
    assert_eq!(node.api_with("GET", "/v1/webhooks", &headers, Value::Null).await.items(), json!([]));
    node.stop().await;
}
