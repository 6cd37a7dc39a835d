//! What is refused, and how it is said.

use serde_json::{Value, json};

use crate::harness::{Database, Node};

#[actix_web::test]
async fn what_a_switch_could_act_on_is_refused_by_the_name_of_its_field() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let extensions = format!("/v1/tenants/{tenant}/extensions");
    let nasty = ["${system id}", "$${domain}", "a<!b", "X-PRE-PROCESS", "a\"b", "a\nb", "a\u{0}b", "a\u{202e}b", "]]>"];
    for text in nasty {
        for field in [
            "number",
            "alias",
            "sip_username",
            "sip_password",
            "display_name",
            "caller_id_name",
            "caller_id_number",
            "voicemail_pin",
            "voicemail_email",
            "codecs",
        ] {
            let mut new = json!({ "number": "1000" });
            new[field] = text.into();
            let answer = node.api("POST", &extensions, new).await;
            assert_eq!((answer.status, &answer.json()["field"]), (422, &json!(field)), "{text:?}: {}", answer.text());
        }
        let variables = json!({ "number": "1000", "variables": { "accountcode": text } });
        let answer = node.api("POST", &extensions, variables).await;
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (422, &json!("variables.accountcode")),
            "{}",
            answer.text()
        );
        for (path, body, field) in [
            ("/v1/tenants".to_owned(), json!({ "domain": text }), "domain"),
            ("/v1/tenants".to_owned(), json!({ "domain": "x.test", "name": text }), "name"),
            ("/v1/switches".to_owned(), json!({ "name": text }), "name"),
            ("/v1/keys".to_owned(), json!({ "name": text }), "name"),
            (format!("/v1/tenants/{tenant}/groups"), json!({ "name": text }), "name"),
            (format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": text }), "number"),
        ] {
            let answer = node.api("POST", &path, body).await;
            assert_eq!((answer.status, &answer.json()["field"]), (422, &json!(field)), "{text:?}: {}", answer.text());
        }
    }
    node.stop().await;
}

#[actix_web::test]
async fn a_problem_says_what_is_wrong_and_where() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let path = format!("/v1/tenants/{tenant}/extensions");
    for (body, status, field) in [
        (json!({ "number": 1000 }), 422, json!("number")),
        (json!({}), 422, json!("number")),
        (json!({ "number": "1000", "nubmer": "1" }), 422, json!("nubmer")),
        (json!({ "number": "1000", "ring_seconds": 4 }), 422, json!("ring_seconds")),
        (json!({ "number": "1000", "ring_seconds": "x" }), 422, json!("ring_seconds")),
        (json!({ "number": "1000", "max_registrations": 21 }), 422, json!("max_registrations")),
        (json!({ "number": "1000", "variables": { "user_context": "x" } }), 422, json!("variables.user_context")),
        (json!([]), 422, json!(".")),
    ] {
        let answer = node.api("POST", &path, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let problem = answer.json();
        if field != json!(".") {
            assert_eq!(problem["field"], field, "{problem}");
        }
        for member in ["type", "title", "status", "detail"] {
            assert!(problem.get(member).is_some(), "{member} in {problem}");
        }
        assert_eq!(problem["status"], status);
    }
    let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "application/json")];
    let raw = async |body: &[u8]| crate::harness::send(node.app.app_address, "POST", &path, &headers, body).await;
    assert_eq!(raw(b"{\"number\": ").await.status, 400);
    assert_eq!(raw(b"number=1000").await.status, 400);
    assert_eq!(raw(b"{\"number\": \"\xff\"}").await.status, 400);
    let large = format!("{{\"number\": \"{}\"}}", "1".repeat(4_300_000));
    let refused = raw(large.as_bytes()).await;
    assert_eq!(refused.status, 413);
    assert!(refused.json()["detail"].as_str().unwrap().contains("larger than 4 MiB"), "{}", refused.text());
    assert_eq!(node.api("GET", "/v1/tenants/not-an-id", Value::Null).await.status, 404);
    assert_eq!(node.api("GET", &path, Value::Null).await.json()["items"], json!([]), "nothing was made");
    node.stop().await;
}
