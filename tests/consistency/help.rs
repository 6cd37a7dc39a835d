//! Emergency calls pass while the database is down, even from a tenant that this node has not seen yet.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Cluster, Database, Node, call_form, send};

#[actix_web::test]
async fn emergency_calls_pass_without_a_database() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let database = Database::on(&cluster).await;
    let node = Node::start(&database).await;
    node.tenant("acme.test").await;
    let known = node.tenant("known.test").await;
    let settings = json!({ "country": "DE" });
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{known}/settings"), settings).await.status, 200);
    let carrier = json!({ "name": "carrier", "config": { "host": "carrier.test" } });
    assert_eq!(node.api("POST", "/v1/carriers", carrier).await.status, 201);
    // One tenant has called through this node, and the other has not.
    assert_eq!(node.fetch(&call_form("4711", "known.test")).await.status, 200);
    let help = async |number: &str, domain: &str| {
        let answer = node.fetch(&call_form(number, domain)).await;
        (answer.status, answer.text().contains("name=\"emergency\"") && answer.text().contains("sofia/gateway/c"))
    };
    assert_eq!(help("112", "known.test").await, (200, true), "with a database");
    cluster.kill();
    let since = Instant::now();
    while send(node.app.app_address, "GET", "/readyz", &[], b"").await.status == 200 {
        assert!(since.elapsed() < Duration::from_secs(3), "still called fresh");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (number, domain) in [("112", "known.test"), ("110", "known.test"), ("112", "acme.test"), ("911", "acme.test")] {
        assert_eq!(help(number, domain).await, (200, true), "{number} at {domain}");
    }
    assert_eq!(node.fetch(&call_form("4712", "acme.test")).await.status, 503, "what is not known is not made up");
    tokio::task::spawn_blocking(move || cluster.up()).await.unwrap();
    node.stop().await;
}
