//! The tenant of the recorded requests.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Database, Node};

pub struct Stage {
    pub database: Database,
    pub node: Node,
    pub tenant: Uuid,
    pub extensions: Vec<Value>,
}

pub const PIN: &str = "493827";
pub const DID: &str = "+12025550100";

impl Stage {
    pub async fn set() -> Self {
        let database = Database::new().await;
        let node = Node::start(&database).await;
        let tenant = node.tenant("acme.test").await;
        let mut extensions = Vec::new();
        for (number, name, alias) in [("1000", "Ada Lovelace", "2000"), ("1001", "Grace Hopper", "2001")] {
            let new = json!({
                "number": number, "alias": alias, "display_name": name, "voicemail_pin": PIN,
                "sip_password": format!("secret-of-{number}"), "voicemail_email": format!("{number}@mail.test"),
                "variables": { "accountcode": "a-1" },
            });
            extensions.push(node.extension(tenant, new).await);
        }
        let members = extensions.iter().map(|e| e["id"].clone()).collect::<Vec<_>>();
        let group = json!({ "name": "sales", "number": "3000", "members": members });
        let group = node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await;
        assert_eq!(group.status, 201, "{}", group.text());
        let number = json!({ "number": DID, "destination": { "kind": "extension", "id": extensions[0]["id"] } });
        assert_eq!(node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), number).await.status, 201);
        Self { database, node, tenant, extensions }
    }

    /// A directory request like the recorded ones.
    pub async fn directory(&self, event: &str, rest: &str) -> Answer {
        let base = "hostname=vm&section=directory&tag_name=domain&key_name=name&key_value=acme.test";
        self.node.fetch(&format!("{base}&Event-Name={event}&{rest}")).await
    }

    pub async fn set_status(&self, which: usize, status: &str) {
        let id = self.extensions[which]["id"].as_str().unwrap();
        let path = format!("/v1/tenants/{}/extensions/{id}", self.tenant);
        let answer = self.node.api("PATCH", &path, json!({ "status": status })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// The tree of an answer, which must be a document that a switch reads.
pub fn document(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/xml"));
    assert_eq!(answer.header("connection"), Some("close"));
    crate::tree::is_fit_for_a_switch(&answer.text());
    crate::tree::tree(&answer.text())
}
