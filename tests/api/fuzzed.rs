//! Schemathesis tries the API with everything that its description allows, and more.

use crate::harness::{Database, Node, skipped};

/// The exit code of `script/schemathesis` if it can't run here.
const NOT_HERE: i32 = 75;

#[actix_web::test]
async fn no_request_of_schemathesis_causes_a_500() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    node.extension(tenant, serde_json::json!({ "number": "1000" })).await;
    let described = node.api("GET", "/openapi.json", serde_json::Value::Null).await.json();
    let operations = described["paths"].as_object().unwrap().values().map(|methods| methods.as_object().unwrap().len());
    let operations = operations.sum::<usize>();
    let mut script = tokio::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/script/schemathesis"));
    script.arg(format!("http://{}", node.app.app_address)).arg(&node.key).arg(tenant.to_string()).arg("40");
    let output = script.stdin(std::process::Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NOT_HERE) {
        return skipped("schemathesis can't be installed here");
    }
    assert!(output.status.success(), "{said}");
    // Each was asked, not only those that there was time for.
    assert!(said.contains(&format!("reached {operations} of {operations} operations")), "{said}");
    node.stop().await;
}
