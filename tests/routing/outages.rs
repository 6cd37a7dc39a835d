//! What people see and what webhooks are told of an outage of Postgres.

use std::{
    collections::HashSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use uuid::Uuid;

use crate::{
    event_socket::{EventSocket, PASSWORD},
    events::{Listener, call_to},
    harness::{Answer, Cluster, Database, Node},
    live::{fires, known_at, now},
    own_calls::cookie_of,
    people::person,
};

/// A node with a Postgres of its own, a tenant with a phone, and a switch.
struct Stage {
    cluster: Cluster,
    node: Node,
    tenant: Uuid,
    phone: String,
    socket: EventSocket,
}

impl Stage {
    async fn new() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
        let database = Database::on(&cluster).await;
        let node = Node::with(&database, |settings| settings.webhooks_to_private_addresses = true).await;
        let tenant = node.tenant("acme.test").await;
        let extension = node.extension(tenant, json!({ "number": "1000", "display_name": "Ada" })).await;
        let phone = extension["sip_username"].as_str().unwrap().to_owned();
        let socket = EventSocket::open().await;
        let switches = node.api("GET", "/v1/switches", Value::Null).await.json();
        let path = format!("/v1/switches/{}/event-socket", switches["items"][0]["id"].as_str().unwrap());
        let put = node.api("PUT", &path, json!({ "address": socket.address, "password": PASSWORD })).await;
        assert_eq!(put.status, 200, "{}", put.text());
        known_at(&socket, &node).await;
        Self { cluster, node, tenant, phone, socket }
    }

    async fn page(&self, cookie: &str, path: &str) -> Answer {
        let cookie = format!("dialplane_session={cookie}");
        self.node.api_with("GET", path, &[("Cookie", &cookie), ("Accept", "text/html")], Value::Null).await
    }
}

#[actix_web::test]
async fn the_live_pages_are_shown_while_postgres_is_away_and_say_that_nothing_can_be_changed() {
    const AWAY: &str = "nothing can be changed";
    let stage = Stage::new().await;
    let node = &stage.node;
    let cookie = async |tenant, role: Role| {
        let email = format!("{}@{}.test", role.as_str().replace('_', "-"), Uuid::new_v4().simple());
        cookie_of(node, person(node, tenant, role, &email).await.id).await
    };
    let of_tenant = Some(stage.tenant);
    let (manager, agent) = (cookie(of_tenant, Role::Manager).await, cookie(of_tenant, Role::Agent).await);
    let (admin, never_came) = (cookie(None, Role::PlatformAdmin).await, cookie(of_tenant, Role::Owner).await);
    let pages =
        [(&manager, "/app/live"), (&manager, "/app/live/devices"), (&agent, "/app/live"), (&admin, "/platform/live")];
    for (cookie, path) in pages {
        let page = stage.page(cookie, path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        assert!(!page.text().contains(AWAY), "{path}");
    }
    stage.cluster.kill();
    for (cookie, path) in pages {
        let since = Instant::now();
        let page = stage.page(cookie, path).await;
        println!("{path} after {:?}", since.elapsed());
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        assert!(page.text().contains(AWAY), "{path}: {}", page.text());
    }
    assert!(stage.page(&admin, "/platform/live").await.text().contains(&node.switch.0), "switches have their names");
    // What the page asks for is there, too.
    let header = format!("Cookie: dialplane_session={manager}\r\n");
    let mut listener = Listener::open_with(node, "", "topics=call:ended", false, &header).await.unwrap();
    assert_eq!(listener.message().await["type"], "snapshot");
    for event in call_to("acme.test", &stage.phone, Uuid::new_v4(), Uuid::new_v4()) {
        fires(&stage.socket, event, now());
    }
    assert_eq!(listener.message().await["topic"], "call:ended");
    // Whoever was not there can't be checked, other pages need the database, and rights are as ever.
    assert_eq!(stage.page(&never_came, "/app/live").await.status, 503);
    for path in ["/app", "/app/extensions", "/account"] {
        assert_eq!(stage.page(&manager, path).await.status, 503, "{path}");
    }
    assert_eq!(stage.page(&manager, "/platform/live").await.status, 403);
    assert_eq!(stage.page(&agent, "/app/live/devices").await.status, 403);
    let Stage { cluster, node, socket, .. } = stage;
    drop((listener, socket));
    node.stop().await;
    drop(cluster);
}

/// Takes what webhooks are told, and says yes to all.
async fn receiver() -> (SocketAddr, mpsc::UnboundedReceiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (send, got) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(receive(stream, send.clone()));
        }
    });
    (address, got)
}

async fn receive(mut stream: TcpStream, send: mpsc::UnboundedSender<(String, Value)>) {
    let mut read = Vec::new();
    loop {
        while let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let header = |name: &str| {
                let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.unwrap_or_default().trim().to_owned()
            };
            let whole = end + 4 + header("content-length").parse::<usize>().unwrap();
            if read.len() < whole {
                break;
            }
            let body = serde_json::from_slice(&read[end + 4..whole]).unwrap();
            let _ = send.send((header("webhook-id"), body));
            read.drain(..whole);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

/// What tells one event from all others.
fn said(topic: &Value, at: &Value, data: &Value) -> String {
    json!([topic, at, data]).to_string()
}

#[actix_web::test]
async fn webhooks_are_told_once_of_everything_that_happened_while_postgres_was_away() {
    const CALLS: usize = 20;
    let stage = Stage::new().await;
    let node = &stage.node;
    let (address, mut got) = receiver().await;
    let topics = ["call:incoming", "call:state:changed", "call:ended"];
    let hook = json!({ "url": format!("http://{address}/"), "tenant_id": stage.tenant, "topics": topics });
    let made = node.api("POST", "/v1/webhooks", hook).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let new = json!({ "name": "listens", "tenant_id": stage.tenant, "scopes": ["live:read"] });
    let key = node.api("POST", "/v1/keys", new).await.json();
    let query = format!("topics={}", topics.join(","));
    let mut listener = Listener::open(node, key["token"].as_str().unwrap(), &query, true).await.unwrap();
    assert_eq!(listener.message().await["type"], "snapshot");
    // Nodes look from time to time whether anybody wants to be told.
    let began = Instant::now();
    let plays = || {
        let id = Uuid::new_v4();
        for event in call_to("acme.test", &stage.phone, id, Uuid::new_v4()) {
            fires(&stage.socket, event, now());
        }
        id
    };
    loop {
        plays();
        if tokio::time::timeout(Duration::from_secs(2), got.recv()).await.is_ok() {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "nothing is told");
    }
    // A call begins before the outage, and everything else is in it.
    let up = Uuid::new_v4();
    let mut events = call_to("acme.test", &stage.phone, up, Uuid::new_v4());
    let ends = events.split_off(5);
    for event in events {
        fires(&stage.socket, event, now());
    }
    let mut heard = Vec::new();
    let mut hear = async |until: Uuid, topic: &str, state: &str| {
        loop {
            let message = listener.message().await;
            let is_last =
                message["data"]["id"] == json!(until) && message["topic"] == topic && message["data"]["state"] == state;
            heard.push((message["data"]["id"].clone(), said(&message["topic"], &message["at"], &message["data"])));
            if is_last {
                return;
            }
        }
    };
    hear(up, "call:state:changed", "talking").await;
    stage.cluster.kill();
    let killed = Instant::now();
    let mut during = HashSet::new();
    for _ in 0..CALLS {
        let id = plays();
        hear(id, "call:ended", "ended").await;
        during.insert(json!(id));
    }
    for event in ends {
        fires(&stage.socket, event, now());
    }
    hear(up, "call:ended", "ended").await;
    during.insert(json!(up));
    println!("{CALLS} calls within {:?} of the outage", killed.elapsed());
    assert!(
        std::iter::from_fn(|| got.try_recv().ok())
            .all(|(_, body)| body["data"]["id"] != json!(up) || body["type"] != "call:ended")
    );
    // It lasts longer than anybody waits for a connection.
    assert_eq!(node.api("GET", "/v1/switches", Value::Null).await.status, 503);
    let Stage { cluster, node, socket, .. } = stage;
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.up();
        cluster
    });
    let cluster = cluster.await.unwrap();
    // What was told of the call before the outage may have come before it, or not.
    let mut wanted = heard
        .into_iter()
        .filter(|(id, _)| during.contains(id) && *id != json!(up))
        .map(|(_, said)| said)
        .collect::<Vec<_>>();
    wanted.sort();
    assert!(wanted.len() >= CALLS * 4, "{wanted:#?}");
    let back = Instant::now();
    let (mut came, mut ids, mut is_over) = (Vec::new(), HashSet::new(), false);
    while came.len() < wanted.len() || !is_over {
        let next = tokio::time::timeout(Duration::from_mins(1), got.recv()).await;
        let (id, body) = next.unwrap_or_else(|_| panic!("{} of {} came", came.len(), wanted.len())).unwrap();
        assert!(ids.insert(id), "twice: {body}");
        is_over |= body["data"]["id"] == json!(up) && body["type"] == "call:ended";
        if during.contains(&body["data"]["id"]) && body["data"]["id"] != json!(up) {
            came.push(said(&body["type"], &body["timestamp"], &body["data"]));
        }
    }
    println!("{} events came within {:?}", came.len(), back.elapsed());
    came.sort();
    assert_eq!(came, wanted);
    // Nothing comes a second time: what is due is looked for twice a second.
    let more = tokio::time::timeout(Duration::from_secs(2), got.recv()).await;
    assert!(more.is_err(), "{more:?}");
    drop((listener, socket));
    node.stop().await;
    drop(cluster);
}
