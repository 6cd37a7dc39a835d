use serde_json::json;

use crate::harness::{Database, Node};

#[actix_web::test]
async fn a_new_extension_is_in_force_with_the_next_fetch() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    assert!(!node.sign_in("1000", "acme.test").await.text().contains("<user "));
    node.extension(tenant, json!({ "number": "1000" })).await;
    let answer = node.sign_in("1000", "acme.test").await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("<user id=\"1000\""), "{}", answer.text());
    node.stop().await;
}
