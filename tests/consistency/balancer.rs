//! Nodes behind a balancer with the documented configuration: switches don't notice when the database is down, and nobody notices
//! when a node stops.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Answer, Cluster, Database, Node, send, sign_in_form, skipped, try_send};

/// A haproxy before two nodes.
struct Balancer {
    child: Child,
    folder: PathBuf,
    switches: SocketAddr,
    people: SocketAddr,
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Balancer {
    /// `None` if haproxy is not installed.
    fn start(nodes: &[Node; 2], change: impl Fn(String) -> String) -> Option<Self> {
        let (switches, people) = (free_address(), free_address());
        let mut shown = include_str!("../../docs/examples/haproxy.cfg").to_owned();
        for (from, to) in [
            ("10.0.0.10:8080", switches),
            ("10.0.0.10:8081", people),
            ("10.0.0.1:8080", nodes[0].app.switch_address),
            ("10.0.0.2:8080", nodes[1].app.switch_address),
            ("10.0.0.1:8081", nodes[0].app.app_address),
            ("10.0.0.2:8081", nodes[1].app.app_address),
        ] {
            assert!(shown.contains(from), "{from}");
            shown = shown.replace(from, &to.to_string());
        }
        let folder = std::env::temp_dir().join(format!("dialplane-haproxy-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("haproxy.cfg"), change(shown)).unwrap();
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg")).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let Ok(child) = child else {
            skipped("there is no haproxy");
            return None;
        };
        Some(Self { child, folder, switches, people })
    }

    async fn fetch(&self, node: &Node) -> u16 {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (name, token) = &node.switch;
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
        let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/x-www-form-urlencoded")];
        let form = sign_in_form("1000", "acme.test");
        let answer = try_send(self.switches, "POST", "/fs/xml", &headers, form.as_bytes()).await;
        answer.map_or(0, |answer| if answer.text().contains("<user id=") { 200 } else { answer.status })
    }

    async fn read(&self, node: &Node) -> Option<Answer> {
        try_send(self.people, "GET", "/v1/tenants", &[("X-API-Key", &node.key)], b"").await.ok()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let since = Instant::now();
    while !holds().await {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn status(address: SocketAddr, path: &str) -> u16 {
    send(address, "GET", path, &[], b"").await.status
}

async fn two_nodes(database: &Database) -> [Node; 2] {
    let nodes = [Node::start(database).await, Node::start(database).await];
    let tenant = nodes[0].tenant("acme.test").await;
    nodes[0].extension(tenant, json!({ "number": "1000" })).await;
    for node in &nodes {
        assert_eq!(node.sign_in("1000", "acme.test").await.status, 200);
    }
    nodes
}

#[actix_web::test]
async fn a_balancer_goes_on_giving_fetches_to_nodes_whose_database_is_away() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let database = Database::on(&cluster).await;
    let nodes = two_nodes(&database).await;
    let Some(balancer) = Balancer::start(&nodes, |shown| shown) else { return };
    until("haproxy gives fetches", async || balancer.fetch(&nodes[0]).await == 200).await;
    until("haproxy gives people", async || balancer.read(&nodes[0]).await.is_some_and(|a| a.status == 200)).await;

    cluster.kill();
    for node in &nodes {
        until("detached", async || status(node.app.app_address, "/readyz/people").await == 503).await;
        assert_eq!(status(node.app.app_address, "/readyz/switches").await, 200);
        assert_eq!(
            status(node.app.switch_address, "/readyz/switches").await,
            200,
            "the switch listener says so as well"
        );
    }
    // The balancer has no node for people any more, and says so.
    until("no node for people", async || {
        balancer.read(&nodes[0]).await.is_some_and(|answer| answer.status == 503 && answer.text().contains("No server"))
    })
    .await;
    for _ in 0..500 {
        assert_eq!(balancer.fetch(&nodes[0]).await, 200, "stale, and served");
    }
    cluster.up();
    until("people again", async || balancer.read(&nodes[0]).await.is_some_and(|answer| answer.status == 200)).await;

    // Proof that the test works: a balancer that asks /readyz loses every fetch.
    let naive = Balancer::start(&nodes, |shown| {
        shown
            .replace("/readyz/switches", "/readyz")
            .replace("default-server check", &format!("default-server check port {}", nodes[0].app.app_address.port()))
    });
    let naive = naive.unwrap();
    until("it gives fetches as well", async || naive.fetch(&nodes[0]).await == 200).await;
    cluster.kill();
    until("it gives none", async || naive.fetch(&nodes[0]).await == 503).await;
    assert_eq!(balancer.fetch(&nodes[0]).await, 200);
    for node in nodes {
        node.stop().await;
    }
}

#[actix_web::test]
async fn a_node_that_is_about_to_stop_says_no_first_and_loses_nothing() {
    let database = Database::new().await;
    let [staying, leaving] = two_nodes(&database).await;
    let nodes = [staying, leaving];
    let Some(balancer) = Balancer::start(&nodes, |shown| shown) else { return };
    until("haproxy gives fetches", async || balancer.fetch(&nodes[0]).await == 200).await;
    let [staying, leaving] = nodes;
    let address = leaving.app.switch_address;
    leaving.app.leave_soon();
    for path in ["/readyz/switches", "/readyz/people", "/readyz"] {
        let answer = send(leaving.app.app_address, "GET", path, &[], b"").await;
        assert_eq!((answer.status, &answer.json()["status"]), (503, &json!("stopping")), "{path}");
    }
    assert_eq!(status(address, "/readyz/switches").await, 503);
    assert_eq!(leaving.sign_in("1000", "acme.test").await.status, 200, "whoever comes is served");
    assert_eq!(leaving.api("GET", "/v1/tenants", Value::Null).await.status, 200);
    // During drain_seconds, the balancer notices; then the node stops, during fetches.
    let mut fetched = 0;
    let since = Instant::now();
    let mut leaving = Some(leaving);
    while since.elapsed() < Duration::from_secs(8) {
        assert_eq!(balancer.fetch(&staying).await, 200, "after {fetched}");
        fetched += 1;
        if since.elapsed() > Duration::from_secs(5)
            && let Some(node) = leaving.take()
        {
            node.stop().await;
        }
    }
    assert!(fetched > 100, "{fetched}");
    assert!(try_send(address, "GET", "/readyz/switches", &[], b"").await.is_err(), "gone");
    staying.stop().await;
}
