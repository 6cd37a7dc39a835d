//! For how long somebody hears over `/v1/events`, and what the live lists show by filter and page.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    events::{Listener, call},
    harness::Node,
    live::{fires, known, leg, now, of_gateway, registers},
    messages::colleague,
    own_calls::{Agent, dials, joins, rings},
    pushes::Fleet,
};

async fn key(node: &Node, tenant: Uuid) -> (Uuid, String) {
    let new = json!({ "name": "listens", "tenant_id": tenant, "scopes": ["live:read"] });
    let made = node.api("POST", "/v1/keys", new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    (made.id(), made.json()["token"].as_str().unwrap().to_owned())
}

/// How long after an answer the stream says that it is over.
async fn ends(mut listener: Listener) -> Duration {
    let since = Instant::now();
    loop {
        let message = listener.message().await;
        if message["type"] == "ended" {
            assert_eq!(message["reason"], "access_ended", "{message}");
            return since.elapsed();
        }
    }
}

#[actix_web::test]
async fn a_stream_ends_within_a_second_of_a_sign_out_a_suspension_another_role_and_a_revoked_key() {
    let fleet = Fleet::new().await;
    let (node, tenant) = (&fleet.stage.node, fleet.stage.tenant);
    let [ada, bob] = Agent::two(&fleet).await;
    let (emmy, max) = (colleague(&fleet, "Emmy", "agent").await, colleague(&fleet, "Max", "agent").await);
    let mut took = Vec::new();
    let change = async |method: &str, path: String, body: Value| {
        let answer = node.api(method, &path, body).await;
        assert!(matches!(answer.status, 200 | 204), "{path}: {}", answer.text());
    };

    let listener = ada.hears(node, "").await;
    let out = ada.asks(node, "POST", "/v1/auth/logout", Value::Null).await;
    assert!(matches!(out.status, 200 | 204), "{}", out.text());
    took.push(("signed out", ends(listener).await));

    let listener = bob.hears(node, "").await;
    change("PATCH", format!("/v1/admin/agents/{}?tenant_id={tenant}", bob.id), json!({ "status": "suspended" })).await;
    took.push(("a suspended person", ends(listener).await));

    let listener = emmy.hears(node, "").await;
    change("PATCH", format!("/v1/admin/agents/{}?tenant_id={tenant}", emmy.id), json!({ "role": "manager" })).await;
    took.push(("another role", ends(listener).await));

    let (id, token) = key(node, tenant).await;
    let listener = Listener::open(node, &token, "", true).await.unwrap();
    change("DELETE", format!("/v1/keys/{id}"), Value::Null).await;
    took.push(("a revoked key", ends(listener).await));

    let (_, token) = key(node, tenant).await;
    let (listener, of_max) = (Listener::open(node, &token, "", true).await.unwrap(), max.hears(node, "").await);
    change("PATCH", format!("/v1/tenants/{tenant}"), json!({ "status": "suspended" })).await;
    took.push(("a suspended company, by key", ends(listener).await));
    took.push(("a suspended company, signed in", ends(of_max).await));

    println!("{took:?}");
    let mut times = took.iter().map(|(_, time)| *time).collect::<Vec<_>>();
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{took:?}");
    // Not each of them, as other tests may hold the machine up.
    assert!(*times.last().unwrap() < Duration::from_secs(5), "{took:?}");
    fleet.stage.stop().await;
}

/// All items of a list, read one by one.
async fn one_by_one(node: &Node, path: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let page = node.api("GET", &format!("{path}&limit=1{next}"), Value::Null).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        let page = page.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() < 2, "{page}");
        all.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return all,
        }
    }
}

#[actix_web::test]
async fn each_live_list_is_filtered_and_read_page_by_page() {
    let fleet = Fleet::new().await;
    let (node, tenant, domain) = (&fleet.stage.node, fleet.stage.tenant, &fleet.stage.domain);
    let (queue, name) = fleet.queue().await;
    let queue = queue.rsplit('/').next().unwrap().to_owned();
    let [ada, bob] = Agent::two(&fleet).await;
    let carrier = async |name: &str| {
        let new = json!({ "name": name, "tenant_id": tenant, "config": { "host": format!("{name}.carrier.test") } });
        node.makes("/v1/carriers", new).await.id().to_string()
    };
    let (one, two) = (carrier("one").await, carrier("two").await);
    known(&fleet).await;
    let switches = node.api("GET", "/v1/switches", Value::Null).await.json();
    let (switch, cluster) = (&switches["items"][0]["id"], &switches["items"][0]["cluster_id"]);
    let (switch, cluster) = (switch.as_str().unwrap(), cluster.as_str().unwrap());

    // Two phones, a call from outside that two legs talk in, one between the phones that rings, and two callers in a queue.
    let mut by_ws = registers(domain, &bob.phone, "ws");
    by_ws["contact"] = json!(format!("\"x\" <sip:{}@192.0.2.7:5060;transport=ws>", bob.phone));
    by_ws["status"] = json!("Registered(WS)");
    fires(&fleet.socket, registers(domain, &ada.phone, "tcp"), now());
    fires(&fleet.socket, by_ws, now());
    let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
    for event in call(&fleet, a, b).into_iter().take(5) {
        fires(&fleet.socket, event, now());
    }
    let (c, d) = (Uuid::new_v4(), Uuid::new_v4());
    fires(&fleet.socket, leg("CHANNEL_CREATE", c, c, &dials(&fleet, &bob, "2000")), now());
    fires(&fleet.socket, leg("CHANNEL_CREATE", d, c, &rings(&fleet, &ada, c, &bob.number)), now());
    for number in ["+498912345671", "+498912345672"] {
        joins(&fleet.socket, &name, Uuid::new_v4(), number);
    }
    for slot in ["1", "2"] {
        let parked = json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "valet_parking::info", "Action": "hold", "Valet-Lot-Name": format!("park@{domain}"),
            "Valet-Extension": slot, "Unique-ID": Uuid::new_v4(),
        });
        fires(&fleet.socket, parked, now());
    }
    for _ in 0..2 {
        let room = Uuid::new_v4().simple().to_string();
        let enters = json!({
            "Event-Name": "CUSTOM", "Event-Subclass": "conference::maintenance", "Action": "add-member", "Conference-Name": room,
            "Conference-Profile-Name": format!("{room}.{domain}"), "Unique-ID": a, "Member-ID": "1",
        });
        fires(&fleet.socket, enters, now());
    }
    for (id, state, ping) in [(&one, "REGED", "UP"), (&two, "FAIL_WAIT", "DOWN")] {
        fires(&fleet.socket, of_gateway("gateway_state", id, &[("State", state), ("Ping-Status", ping)]), now());
    }

    let count = async |path: &str| {
        let answer = node.api("GET", path, Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()["items"].as_array().unwrap().len()
    };
    let none = Uuid::new_v4();
    for (list, filter, wanted) in [
        ("gateways", format!("carrier_id={two}"), 1),
        ("gateways", format!("carrier_id={none}"), 0),
        ("gateways", "up=true".into(), 1),
        ("gateways", "up=false".into(), 1),
        ("registrations", "transport=ws".into(), 1),
        ("registrations", "transport=udp".into(), 0),
        ("registrations", format!("extension={}", bob.number), 1),
        ("calls", "direction=inbound".into(), 1),
        ("calls", "direction=internal".into(), 1),
        ("calls", "direction=outbound".into(), 0),
        ("calls", "state=talking".into(), 1),
        ("calls", "state=ringing".into(), 1),
        ("calls", "number=%2B493012345678".into(), 1),
        ("calls", "number=%2B493000000000".into(), 0),
        ("calls", format!("extension={}", bob.number), 1),
        ("calls", format!("agent_id={}", ada.id), 2),
        ("calls", format!("agent_id={none}"), 0),
        ("calls", format!("queue_id={none}"), 0),
        ("queues", format!("queue_id={queue}"), 1),
        ("queues", format!("queue_id={none}"), 0),
        ("agents", format!("agent_id={}", bob.id), 1),
        ("agents", format!("agent_id={none}"), 0),
    ] {
        let path = format!("/v1/live/{list}?tenant_id={tenant}&{filter}");
        let since = Instant::now();
        while count(&path).await != wanted {
            assert!(since.elapsed() < Duration::from_secs(20), "{path}: {}", count(&path).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // Of which switch, and of which cluster; and each list, page by page.
    for (list, most) in
        [("registrations", 2), ("calls", 2), ("queues", 1), ("agents", 2), ("conferences", 2), ("parked", 2)]
    {
        let path = format!("/v1/live/{list}?tenant_id={tenant}");
        let whole = node.api("GET", &path, Value::Null).await.json();
        let whole = whole["items"].as_array().unwrap();
        assert_eq!(whole.len(), most, "{list}: {whole:?}");
        let paged = one_by_one(node, &path).await;
        let ids = |all: &[Value]| {
            let id = |one: &Value| {
                ["id", "call_id", "queue_id", "agent_id", "conference_id", "slot"].map(|name| one[name].clone())
            };
            all.iter().map(id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&paged), ids(whole), "{list}");
        for (filter, wanted) in [
            (format!("switch_id={switch}"), most),
            (format!("cluster_id={cluster}"), most),
            (format!("switch_id={none}"), 0),
            (format!("cluster_id={none}"), 0),
        ] {
            // Who there is, and which queues, is known whichever switch is asked for.
            if wanted == 0 && matches!(list, "agents") {
                continue;
            }
            assert_eq!(count(&format!("{path}&{filter}")).await, wanted, "{list} {filter}");
        }
    }
    assert_eq!(one_by_one(node, &format!("/v1/live/gateways?tenant_id={tenant}")).await.len(), 2);
    let shown = node.api("GET", &format!("/v1/live/queues?tenant_id={tenant}"), Value::Null).await.json();
    let waiting = shown["items"][0]["waiting"].as_array().unwrap();
    let positions = waiting.iter().map(|one| one["position"].clone()).collect::<Vec<_>>();
    assert_eq!(positions, [json!(1), json!(2)], "{shown}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_client_that_falls_behind_gets_a_snapshot_instead_of_what_it_missed() {
    const PHONES: usize = 12;
    const EVENTS: usize = 900;
    let fleet = Fleet::new().await;
    known(&fleet).await;
    let (node, domain, phone) = (&fleet.stage.node, &fleet.stage.domain, &fleet.stage.phone);
    let query = format!("tenant_id={}&topics=registration:changed", fleet.stage.tenant);
    let mut reads = Listener::open(node, &node.key, &query, true).await.unwrap();
    assert_eq!(reads.message().await["type"], "snapshot");
    let began = Instant::now();
    // Another line of the same phone is news, and an event says all phones of its extension: each is large, and the next is sent only when
    // the one before has come, or what is over would be left out.
    let mut registers_and_is_heard = async |call_id: String, line: usize| {
        let mut event = registers(domain, phone, &call_id);
        let line = format!("line=n{line}n");
        let long = "x".repeat(900);
        event["contact"] = json!(format!("\"x\" <sip:{phone}@192.0.2.7:5060;transport=tcp;{line};long={long}>"));
        fires(&fleet.socket, event, now());
        while !reads.text().await.contains(&line) {}
    };
    for one in 0..PHONES {
        registers_and_is_heard(format!("phone-{one}"), one).await;
    }
    let mut slow = Listener::open_narrow(node, &node.key, &query).await.unwrap();
    assert_eq!(slow.message().await["type"], "snapshot");
    let mut events = 0;
    for line in PHONES..PHONES + EVENTS {
        registers_and_is_heard("phone-0".into(), line).await;
        // One that reads nothing at all for half a minute is taken for gone.
        if line % 100 == 0 {
            assert_eq!(slow.message().await["type"], "event");
            events += 1;
        }
    }
    println!("{EVENTS} events within {:?}", began.elapsed());
    // It reads on only now.
    let snapshot = loop {
        let message = slow.message().await;
        match message["type"].as_str() {
            Some("event") => events += 1,
            _ => break message,
        }
    };
    println!("it had {events} before it was behind");
    assert_eq!((&snapshot["type"], &snapshot["reason"]), (&json!("snapshot"), &json!("behind")), "{snapshot}");
    assert!(events < EVENTS);
    let phones = snapshot["data"]["registrations"].as_array().unwrap();
    assert_eq!(phones.len(), PHONES);
    let last = format!("line=n{}n", PHONES + EVENTS - 1);
    assert!(phones.iter().any(|one| one["contact"].as_str().unwrap().contains(&last)), "{last}: {snapshot}");
    // And it goes on, with what comes after that.
    registers_and_is_heard("phone-1".into(), PHONES + EVENTS).await;
    let next = slow.message().await;
    assert_eq!(next["type"], "event", "{next}");
    assert!(next.to_string().contains(&format!("line=n{}n", PHONES + EVENTS)), "{next}");
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn webhooks_are_told_of_a_queue_once_although_two_nodes_hear_it() {
    let fleet = Fleet::new().await;
    let (_, queue) = fleet.queue().await;
    known(&fleet).await;
    let (node, tenant, database) = (&fleet.stage.node, fleet.stage.tenant, &fleet.stage.database);
    let hook = json!({ "url": "https://hooks.invalid/", "tenant_id": tenant, "topics": ["queue:update"] });
    let made = node.api("POST", "/v1/webhooks", hook).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let query = format!("tenant_id={tenant}&topics=queue:update");
    let hears = async |node: &Node| {
        let mut listener = Listener::open(node, &node.key, &query, true).await.unwrap();
        assert_eq!(listener.message().await["type"], "snapshot");
        listener
    };
    let mut listeners = vec![hears(node).await];
    let kept = async || {
        let rows = "select (body::jsonb)->>'timestamp' from webhook_events where topic = 'queue:update'";
        let rows = sqlx::query_scalar::<_, String>(rows).fetch_all(&mut database.connect().await).await.unwrap();
        let mut times = HashMap::new();
        for at in rows {
            *times.entry(at).or_insert(0) += 1;
        }
        times
    };
    let mut callers = 0;
    // Those who wait before the second node listens are not in the switch's lists here, so it does not know them.
    let before = Cell::new(0);
    let mut heard = HashSet::new();
    // A caller joins, and these nodes hear of it. Returns when that was.
    let mut joins_and_is_heard = async |listeners: &mut [Listener]| {
        callers += 1;
        joins(&fleet.socket, &queue, Uuid::new_v4(), "+498912345671");
        let mut last = String::new();
        for (listener, unknown) in listeners.iter_mut().zip([0, before.get()]) {
            loop {
                let message = listener.message().await;
                last = message["at"].as_str().unwrap().to_owned();
                heard.insert(last.clone());
                if message["data"]["waiting"].as_array().is_some_and(|waiting| waiting.len() == callers - unknown) {
                    break;
                }
            }
        }
        last
    };
    // Nodes look from time to time whether anybody wants to be told, and when they start.
    let since = Instant::now();
    while kept().await.is_empty() {
        assert!(since.elapsed() < Duration::from_mins(1), "nothing is told");
        joins_and_is_heard(&mut listeners).await;
        before.set(before.get() + 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let second = Node::start(database).await;
    let since = Instant::now();
    while second.api("GET", "/v1/live/calls", Value::Null).await.json()["unknown"] != json!([]) {
        assert!(since.elapsed() < Duration::from_mins(1), "the second node hears nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    listeners.push(hears(&second).await);
    let mut both = Vec::new();
    for _ in 0..5 {
        both.push(joins_and_is_heard(&mut listeners).await);
    }
    let written = async |wanted: &[String]| {
        let since = Instant::now();
        loop {
            let times = kept().await;
            if wanted.iter().all(|at| times.contains_key(at)) {
                return times;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "{wanted:?} in {times:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    written(&both).await;
    // What the first node writes down of this comes after everything that both wrote.
    listeners.truncate(1);
    second.stop().await;
    let last = joins_and_is_heard(&mut listeners).await;
    let times = written(&[last]).await;
    println!("{} times, {heard:?}", times.len());
    assert!(times.values().all(|count| *count == 1), "{times:?}");
    assert!(times.keys().all(|at| heard.contains(at)), "a time of one node's own: {times:?}, {heard:?}");
    fleet.stage.stop().await;
}
