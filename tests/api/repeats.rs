//! Requests that are repeated, or come at the same time.

use serde_json::{Value, json};

use crate::harness::{Answer, Database, Node};

async fn create(node: &Node, path: &str, key: &str, number: &str) -> Answer {
    let headers = [("X-API-Key", node.key.as_str()), ("Idempotency-Key", key)];
    node.api_with("POST", path, &headers, json!({ "number": number })).await
}

#[actix_web::test]
async fn a_repeated_request_gets_the_same_answer_and_makes_one_thing() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let path = format!("/v1/tenants/{tenant}/extensions");
    let first = create(&node, &path, "k1", "1000").await;
    let again = create(&node, &path, "k1", "1000").await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body, "the secret as well");
    assert_eq!((first.header("ETag"), first.header("Location")), (again.header("ETag"), again.header("Location")));
    assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
    assert_eq!(create(&node, &path, "k1", "1001").await.status, 422, "another request under the same key");
    assert_eq!(create(&node, &path, "k2", "1000").await.status, 409);
    assert_eq!(create(&node, &path, "k2", "1001").await.status, 201, "what failed is not remembered");

    let ten = futures_util::future::join_all((0..10).map(|_| create(&node, &path, "k3", "1003"))).await;
    assert!(ten.iter().all(|answer| answer.status == 201), "{:?}", ten.iter().map(|a| a.status).collect::<Vec<_>>());
    assert!(ten.iter().all(|answer| answer.body == ten[0].body));
    let listed = node.api("GET", &path, Value::Null).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 3);
    let mut db = database.connect().await;
    let kept = sqlx::query_scalar::<_, Vec<u8>>("select body from idempotency_keys").fetch_all(&mut db).await.unwrap();
    let secret = first.json()["sip_password"].as_str().unwrap().as_bytes().to_vec();
    assert!(kept.iter().all(|body| memchr::memmem::find(body, &secret).is_none()), "kept answers are sealed");
    node.stop().await;
}

#[actix_web::test]
async fn one_of_ten_changes_to_the_same_version_wins() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let id = node.extension(tenant, json!({ "number": "1000" })).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/tenants/{tenant}/extensions/{id}");
    let headers = [("X-API-Key", node.key.as_str()), ("If-Match", "\"v1\"")];
    let changes =
        (0..10).map(|n| {
            let (node, path) = (&node, &path);
            async move {
                node.api_with("PATCH", path, &headers, json!({ "display_name": format!("Name {n}") })).await.status
            }
        });
    let mut statuses = futures_util::future::join_all(changes).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412, 412, 412]);
    let malformed = [("X-API-Key", node.key.as_str()), ("If-Match", "v1")];
    assert_eq!(node.api_with("PATCH", &path, &malformed, json!({})).await.status, 400);
    node.stop().await;
}
