//! The database dies: kept answers are still served, and unknown things are never "not found".

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{Cluster, Database, Node, call_form, sign_in_form};

/// Sends a thousand fetches per second of warm keys until told to stop, and returns how many there were. Each must succeed.
async fn steady(node: Arc<Node>, stop: Arc<AtomicBool>, forms: Vec<String>) -> u64 {
    let fetched = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut running = tokio::task::JoinSet::new();
    while !stop.load(Ordering::SeqCst) {
        ticks.tick().await;
        // If the machine is busy and the loop falls behind, it sends several at once.
        let due = u64::try_from(began.elapsed().as_millis()).unwrap();
        for n in fetched.load(Ordering::SeqCst)..due {
            fetched.fetch_add(1, Ordering::SeqCst);
            let (node, form) = (Arc::clone(&node), forms[usize::try_from(n).unwrap() % forms.len()].clone());
            running.spawn_local(async move {
                let answer = node.fetch(&form).await;
                assert_eq!(answer.status, 200, "a warm key failed: {}", answer.text());
                let text = answer.text();
                assert!(text.contains("<user id=") || text.contains("application=\"bridge\""), "{text}");
            });
        }
        while let Some(done) = running.try_join_next() {
            done.unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    fetched.load(Ordering::SeqCst)
}

#[actix_web::test]
async fn a_database_killed_and_restarted_under_load_fails_no_warm_key() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let database = Database::on(&cluster).await;
    let node = Arc::new(Node::start(&database).await);
    let tenant = node.tenant("acme.test").await;
    let mut forms = Vec::new();
    let mut ids = Vec::new();
    for number in 1000..1020 {
        let extension = node.extension(tenant, json!({ "number": number.to_string() })).await;
        ids.push(extension["id"].as_str().unwrap().to_owned());
        forms.push(sign_in_form(&number.to_string(), "acme.test"));
        forms.push(call_form(&number.to_string(), "acme.test"));
    }
    for form in &forms {
        assert_eq!(node.fetch(form).await.status, 200);
    }

    let stop = Arc::new(AtomicBool::new(false));
    let load = actix_web::rt::spawn(steady(Arc::clone(&node), Arc::clone(&stop), forms));
    let pause = |ms| tokio::time::sleep(Duration::from_millis(ms));
    pause(500).await;
    cluster.kill();

    // After its lease has run out, the node knows that it is detached, and says so.
    let since = Instant::now();
    while crate::harness::send(node.app.app_address, "GET", "/readyz", &[], b"").await.status == 200 {
        assert!(since.elapsed() < Duration::from_secs(3), "still called fresh");
        pause(20).await;
    }
    // The node found that out once, so no fetch waits for another poll to fail. A busy machine may be slow; a wait takes two seconds.
    assert_eq!(node.sign_in("1000", "acme.test").await.status, 200);
    let since = Instant::now();
    for _ in 0..10 {
        assert_eq!(node.sign_in("1000", "acme.test").await.status, 200);
    }
    println!("ten fetches one after the other without a database: {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(20), "each waited for a poll: {:?}", since.elapsed());
    // Unknown things get 503, not "not found"; changes get 503.
    assert_eq!(node.sign_in("4711", "acme.test").await.status, 503, "an unknown user");
    assert_eq!(node.sign_in("1000", "unknown.test").await.status, 503, "an unknown domain");
    assert_eq!(node.fetch(&call_form("4711", "acme.test")).await.status, 503, "an unknown number");
    assert_eq!(node.fetch(&call_form("%2B12025550199", "public")).await.status, 503, "an unknown phone number");
    let change =
        node.api("PATCH", &format!("/v1/tenants/{tenant}/extensions/{}", ids[0]), json!({ "ring_seconds": 30 })).await;
    assert_eq!(change.status, 503, "{}", change.text());

    pause(500).await;
    let up = tokio::task::spawn_blocking(move || {
        cluster.up();
        cluster
    });
    let cluster = up.await.unwrap();
    // Soon everything is normal: the node is fresh, unknown things are "not found", changes work and are in force. How soon is in
    // docs/performance.md.
    let since = Instant::now();
    loop {
        let known = node.sign_in("4711", "acme.test").await.status;
        let change = node
            .api("PATCH", &format!("/v1/tenants/{tenant}/extensions/{}", ids[0]), json!({ "ring_seconds": 44 }))
            .await;
        if known == 200 && change.status == 200 {
            break;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{known}, {}", change.text());
        pause(20).await;
    }
    println!("normal {:?} after the database was back", since.elapsed());
    assert!(node.fetch(&call_form("1000", "acme.test")).await.text().contains("call_timeout=44"));
    pause(300).await;
    stop.store(true, Ordering::SeqCst);
    let fetched = load.await.unwrap();
    println!("{fetched} fetches of warm keys, all answered");
    assert!(fetched > 1000);
    Arc::into_inner(node).expect("all tasks have ended").stop().await;
    drop(cluster);
}

/// An outdated answer is still the last good one while the database is down.
#[actix_web::test]
async fn stale_answers_end_at_the_limit_the_operator_set() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let database = Database::on(&cluster).await;
    let node = Node::with(&database, |settings| settings.stale_limit_seconds = 1).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    assert_eq!(node.sign_in("1000", "acme.test").await.status, 200);
    cluster.kill();
    // One second of lease and one of the limit; after that, no token is accepted, because it may have been revoked.
    let since = Instant::now();
    let mut served = Duration::ZERO;
    while node.sign_in("1000", "acme.test").await.status == 200 {
        served = since.elapsed();
        assert!(served < Duration::from_secs(4), "served beyond the limit");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(served > Duration::from_millis(900), "given up after {served:?}");
    tokio::task::spawn_blocking(move || cluster.up()).await.unwrap();
    node.stop().await;
}

/// If another database has the same name, nothing that was read from the first is served.
#[actix_web::test]
async fn another_database_makes_every_answer_void() {
    let first = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let database = Database::on(&first).await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    assert!(node.sign_in("1000", "acme.test").await.text().contains("<user "));
    first.kill();
    let replaced = tokio::task::spawn_blocking(move || {
        first.initialise_again();
        first.up();
        first
    });
    let second = replaced.await.unwrap();
    let empty = Database::on(&second).await;
    assert_eq!(empty.options.get_database(), database.options.get_database(), "the same name");
    let since = Instant::now();
    loop {
        let status = node.fetch("section=directory&tag_name=domain&key_name=name&key_value=acme.test&Event-Name=X&key=id&user=1000&domain=acme.test").await;
        if status.text().contains("not found") || status.status == 401 {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(5), "{}", status.text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.stop().await;
    drop(second);
}
