//! No fetch that begins after a change was acknowledged sees the state before it.
//!
//! Writers change one extension each, over the API, and note the version that was acknowledged. Readers note the newest
//! acknowledged version, fetch, and look at the version in the answer. Break the check of generations
//! (`Entry::is_current` in src/switch/fetch/cache.rs) and this fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{Database, Node, call_form, invite_form};

const EXTENSIONS: usize = 4;
const FOR: Duration = Duration::from_secs(4);
/// With fewer changes, nothing would be proved: on a busy machine it takes longer until there are as many.
const CHANGES: u64 = 24;

/// The last acknowledged version of each extension.
struct Acknowledged([AtomicU64; EXTENSIONS]);

impl Acknowledged {
    fn go_on(&self, end: Instant) -> bool {
        let now = Instant::now();
        let changes = self.0.iter().map(|version| version.load(Ordering::SeqCst)).sum::<u64>();
        now < end || changes < CHANGES && now < end + Duration::from_mins(3)
    }
}

/// The version in an answer. Writers put it into the display name and the ring time.
fn shown_version(document: &str) -> u64 {
    let after = |mark: &str| {
        document.split(mark).nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
    };
    let digits = after("effective_caller_id_name\" value=\"Version ").or_else(|| after("call_timeout="));
    digits.unwrap_or_else(|| panic!("no version in {document}")).parse().unwrap()
}

async fn writer(
    node: Arc<Node>,
    tenant: String,
    which: usize,
    id: String,
    acknowledged: Arc<Acknowledged>,
    end: Instant,
) -> u64 {
    let mut version = 0;
    while acknowledged.go_on(end) {
        version += 1;
        // The ring time, 5 to 300 seconds, rises with the versions of a run.
        let body = json!({ "display_name": format!("Version {version}"), "ring_seconds": 5 + version.min(295) });
        let answer = node.api("PATCH", &format!("/v1/tenants/{tenant}/extensions/{id}"), body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        acknowledged.0[which].store(version, Ordering::SeqCst);
    }
    version
}

async fn reader(node: Arc<Node>, which: usize, dialplan: bool, acknowledged: Arc<Acknowledged>, end: Instant) -> u64 {
    let number = 1000 + which;
    let form = if dialplan {
        call_form(&number.to_string(), "acme.test")
    } else {
        invite_form(&number.to_string(), "acme.test")
    };
    let mut fetches = 0;
    while acknowledged.go_on(end) {
        let floor = acknowledged.0[which].load(Ordering::SeqCst);
        let began = Instant::now();
        let answer = node.fetch(&form).await;
        assert_eq!(answer.status, 200);
        let shown = shown_version(&answer.text());
        let floor = if dialplan { 5 + floor.min(295) } else { floor };
        // On a machine so busy that a poll took longer than a lease, it says what it knows, as in an outage.
        let generations = &node.app.fetch.generations;
        if shown < floor && (!generations.is_fresh() || generations.has_returned_since(began)) {
            continue;
        }
        assert!(shown >= floor, "extension {number}: version {floor} was acknowledged, but {shown} was served");
        fetches += 1;
    }
    fetches
}

async fn run(nodes: Vec<Arc<Node>>) {
    let tenant = nodes[0].tenant("acme.test").await;
    let acknowledged = Arc::new(Acknowledged(Default::default()));
    let end = Instant::now() + FOR;
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for which in 0..EXTENSIONS {
        let number = (1000 + which).to_string();
        let new = json!({ "number": number, "display_name": "Version 0", "ring_seconds": 5 });
        let id = nodes[0].extension(tenant, new).await["id"].as_str().unwrap().to_owned();
        let node = Arc::clone(&nodes[which % nodes.len()]);
        writers.push(actix_web::rt::spawn(writer(node, tenant.to_string(), which, id, Arc::clone(&acknowledged), end)));
        for reading in 0..4 {
            let node = Arc::clone(&nodes[(which + reading) % nodes.len()]);
            let acknowledged = Arc::clone(&acknowledged);
            readers.push(actix_web::rt::spawn(reader(node, which, reading % 2 == 1, acknowledged, end)));
        }
    }
    let (mut changes, mut fetches) = (0, 0);
    for writer in writers {
        changes += writer.await.unwrap();
    }
    for reader in readers {
        fetches += reader.await.unwrap();
    }
    println!("{changes} changes, {fetches} fetches on {} nodes, none stale", nodes.len());
    assert!(changes >= CHANGES && fetches > 200, "too few to prove anything: {changes} changes, {fetches} fetches");
    for node in nodes {
        Arc::into_inner(node).expect("all tasks have ended").stop().await;
    }
}

#[actix_web::test]
async fn no_fetch_after_an_acknowledged_change_sees_the_older_state_on_one_node() {
    let database = Database::new().await;
    run(vec![Arc::new(Node::start(&database).await)]).await;
}

#[actix_web::test]
async fn no_fetch_after_an_acknowledged_change_sees_the_older_state_on_three_nodes() {
    let database = Database::new().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Arc::new(Node::start(&database).await));
    }
    run(nodes).await;
}

/// A change made in psql is seen with the next poll, because the triggers raise the generation.
#[actix_web::test]
async fn a_change_by_hand_is_in_force_within_a_second() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    assert!(node.invite("1000", "acme.test").await.text().contains("<user "));
    let mut db = database.connect().await;
    sqlx::query("update extensions set status = 'suspended'").execute(&mut db).await.unwrap();
    let since = Instant::now();
    while !node.invite("1000", "acme.test").await.text().contains("dialplane_help_only") {
        assert!(since.elapsed() < Duration::from_secs(1), "a suspended extension is still served");
        tokio::task::yield_now().await;
    }
    node.stop().await;
}

/// If a fill reads before a change and ends after it, nobody who asks after the change gets its answer.
#[actix_web::test]
async fn a_slow_fill_that_read_the_older_state_is_not_served_later() {
    let database = Database::new().await;
    let node = Arc::new(Node::start(&database).await);
    let tenant = node.tenant("acme.test").await;
    let new = json!({ "number": "1000", "display_name": "Version 0" });
    let id = node.extension(tenant, new).await["id"].as_str().unwrap().to_owned();
    // Cold keys are fetched all the time, so that some fills are under way when the change is acknowledged.
    let stop = Arc::new(AtomicBool::new(false));
    let clearing = {
        let (node, stop) = (Arc::clone(&node), Arc::clone(&stop));
        actix_web::rt::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                node.app.fetch.cache.clear();
                node.invite("1000", "acme.test").await;
            }
        })
    };
    for version in 1..=60_u64 {
        let body = json!({ "display_name": format!("Version {version}") });
        let answer = node.api("PATCH", &format!("/v1/tenants/{tenant}/extensions/{id}"), body).await;
        assert_eq!(answer.status, 200);
        for _ in 0..5 {
            let shown = shown_version(&node.invite("1000", "acme.test").await.text());
            assert_eq!(shown, version);
        }
    }
    stop.store(true, Ordering::SeqCst);
    clearing.await.unwrap();
    Arc::into_inner(node).expect("all tasks have ended").stop().await;
}
