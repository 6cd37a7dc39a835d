//! The links to switches: who holds them, and what happens when they break.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{event_socket::PASSWORD, harness::Node, pushes::Fleet};

/// Waits until something holds. Returns how long that took.
async fn until(what: &str, holds: impl AsyncFn() -> bool) -> Duration {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_mins(1), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    since.elapsed()
}

async fn is_linked(fleet: &Fleet) -> bool {
    let socket = fleet.get("event-socket").await;
    socket["linked_since"].is_string() && socket["unknown_since"].is_null()
}

#[actix_web::test]
async fn a_change_reaches_the_switch_within_a_second_of_its_commit() {
    let fleet = Fleet::new().await;
    fleet.settled().await;
    fleet.later().await;
    // The next comparison by the clock is ten seconds away.
    let mut times = Vec::new();
    for host in ["one.carrier.test", "two.carrier.test", "three.carrier.test"] {
        let made = fleet.change("POST", "/v1/carriers", json!({ "name": host, "config": { "host": host } })).await;
        let start = format!("startgw c{}", made["id"].as_str().unwrap().replace('-', ""));
        let told = async || fleet.socket.has().told.iter().any(|command| command.ends_with(&start));
        times.push(until("the gateway is started", told).await);
    }
    let (queue, name) = fleet.queue().await;
    let told = async |command: &str| fleet.socket.has().told.iter().any(|told| told.contains(command));
    times.push(until("the queue is loaded", async || told(&format!("queue load {name}")).await).await);
    let path = format!("/v1/tenants/{}/extensions/{}", fleet.stage.tenant, fleet.extension().await);
    fleet.change("PATCH", &path, json!({ "status": "suspended" })).await;
    times.push(until("the registration ends", async || told("flush_inbound_reg").await).await);
    println!("after the commits: {times:?}");
    times.sort();
    // On a machine that is busy with other tests, one may be late.
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{times:?}");
    assert!(times[times.len() - 1] < Duration::from_secs(5), "{times:?}");
    assert!(!queue.is_empty());
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_link_that_breaks_is_opened_again_and_says_since_when_nothing_is_known() {
    let fleet = Fleet::new().await;
    until("the link is up", async || is_linked(&fleet).await).await;
    let sign_ins = || fleet.socket.has().sign_ins;
    // Two that listen, one for questions, one for commands.
    until("all connections are open", async || sign_ins() == 4).await;

    // It starts again.
    fleet.socket.fires(&json!({ "Event-Name": "HEARTBEAT", "Core-UUID": "a" }));
    fleet.socket.fires(&json!({ "Event-Name": "HEARTBEAT", "Core-UUID": "b" }));
    until("another switch is noticed", async || sign_ins() > 4).await;
    until("the link is up again", async || is_linked(&fleet).await && sign_ins() == 8).await;

    // It takes the password, and hangs up each time.
    fleet.socket.has().hangs_up = true;
    fleet.socket.fires(&json!({ "Event-Name": "SHUTDOWN", "Core-UUID": "b" }));
    let down = async || fleet.get("event-socket").await["unknown_since"].is_string();
    until("nothing is known", down).await;
    let shown = fleet.get("event-socket").await;
    assert!(shown["linked_since"].is_null() && shown["error"].is_string(), "{shown}");
    let (storm, since) = (sign_ins(), Instant::now());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let attempts = sign_ins() - storm;
    // Whoever holds the link and whoever follows what goes on each come back by themselves.
    assert!((2..=16).contains(&attempts), "{attempts} attempts in {:?}", since.elapsed());
    assert_eq!(fleet.get("event-socket").await["unknown_since"], shown["unknown_since"], "since the first time");
    fleet.socket.has().hangs_up = false;
    until("the link is up again", async || is_linked(&fleet).await).await;

    // Somebody gives Dialplane a wrong password.
    let path = format!("{}/event-socket", fleet.switch);
    let wrong = json!({ "address": fleet.socket.address, "password": "something-else" });
    fleet.change("PUT", &path, wrong).await;
    until("it is refused", async || fleet.get("event-socket").await["error"] == "the password is refused").await;
    fleet.change("PUT", &path, json!({ "address": fleet.socket.address, "password": PASSWORD })).await;
    until("the link is up again", async || is_linked(&fleet).await).await;
    fleet.stage.stop().await;
}

/// Whether a node has the link.
async fn holds(node: &Node) -> bool {
    let held = sqlx::query_scalar::<_, bool>("select exists (select from event_sockets where holder = $1)");
    held.bind(node.app.fetch.node).fetch_one(node.app.changes.pool()).await.unwrap()
}

#[actix_web::test]
async fn one_node_holds_a_link_and_another_takes_over_when_it_is_gone() {
    let fleet = Fleet::new().await;
    until("the link is up", async || is_linked(&fleet).await).await;
    let second = Node::start(&fleet.stage.database).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(holds(&fleet.stage.node).await && !holds(&second).await, "it stays where it is");
    // Every node listens, but only one has a connection for commands.
    until("both listen", async || fleet.socket.has().sign_ins == 6).await;

    // A third one had it and died: it neither renews its hold nor gives it up.
    fleet.sql("update event_sockets set holder = gen_random_uuid(), held_until = now() + interval '2 seconds'").await;
    let gone = async || holds(&fleet.stage.node).await || holds(&second).await;
    assert!(!gone().await, "it is held");
    let taken = until("a node takes the link", gone).await;
    println!("taken after {taken:?}");
    assert!(taken < Duration::from_secs(3), "{taken:?}");
    until("the link is up", async || is_linked(&fleet).await).await;

    // A node stops.
    let Fleet { stage, .. } = &fleet;
    let first_has_it = holds(&stage.node).await;
    let Fleet { stage, .. } = fleet;
    let (stops, stays) = if first_has_it { (stage.node, second) } else { (second, stage.node) };
    stops.stop().await;
    until("the other has it", async || holds(&stays).await).await;
    stays.stop().await;
}
