//! Who may hear, share, hold and delete a recording, and what the log says of it.

use dialplane::tenancy::auth::rules::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Answer, Database, Node, send},
    people::{Person, person},
};

struct Stage {
    node: Node,
    tenant: Uuid,
    recording: Uuid,
}

impl Stage {
    async fn new() -> Self {
        let database = Database::new().await;
        let node = Node::start(&database).await;
        let tenant = node.tenant("acme.test").await;
        let call = node.call(tenant).await;
        let recording = node.recording(call).await;
        Self { node, tenant, recording }
    }

    async fn person(&self, role: Role) -> Person {
        let email = format!("{}@acme.test", role.as_str().replace('_', "-"));
        person(&self.node, Some(self.tenant), role, &email).await
    }

    fn path(&self, more: &str) -> String {
        format!("/v1/recordings/{}{more}", self.recording)
    }

    async fn status(&self, person: &Person, method: &str, more: &str, body: Value) -> u16 {
        person.ask(&self.node, method, &self.path(more), body).await.status
    }

    /// What the audit log says of recordings, the oldest first.
    async fn log(&self) -> Vec<(String, String)> {
        let path = format!("/v1/audit?tenant_id={}&limit=200", self.tenant);
        let entries = self.node.api("GET", &path, Value::Null).await.items();
        let of = format!("recordings/{}", self.recording);
        let entries = entries.as_array().unwrap().iter().filter(|entry| entry["resource"] == of.as_str());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut said = entries.map(|entry| (text(&entry["action"]), text(&entry["actor"]))).collect::<Vec<_>>();
        said.reverse();
        said
    }

    async fn opens(&self, url: &str) -> Answer {
        let path = url.find("/v1/").map(|at| &url[at..]).unwrap();
        send(self.node.app.app_address, "GET", path, &[], b"").await
    }
}

#[actix_web::test]
async fn managers_hear_and_share_and_administrators_hold_and_delete() {
    let stage = Stage::new().await;
    let (admin, manager) = (stage.person(Role::Admin).await, stage.person(Role::Manager).await);
    assert_eq!(stage.status(&manager, "GET", "/audio", Value::Null).await, 200);
    assert_eq!(stage.status(&manager, "POST", "/links", json!({})).await, 201);
    for (method, body) in [("PATCH", json!({ "legal_hold": "x" })), ("DELETE", Value::Null)] {
        assert_eq!(stage.status(&manager, method, "", body).await, 403, "{method}");
    }
    assert_eq!(stage.status(&admin, "PATCH", "", json!({ "legal_hold": "Case 17" })).await, 200);
    assert_eq!(stage.status(&admin, "DELETE", "", Value::Null).await, 409);
    assert_eq!(stage.status(&admin, "PATCH", "", json!({ "legal_hold": null })).await, 200);
    assert_eq!(stage.status(&admin, "DELETE", "", Value::Null).await, 204);
    assert_eq!(stage.status(&admin, "GET", "", Value::Null).await, 404);
    let said = stage.log().await;
    let actions = said.iter().map(|(action, _)| action.as_str()).collect::<Vec<_>>();
    assert_eq!(actions, ["hear", "share", "update", "update", "delete"], "{said:?}");
    assert!(said[0].1.contains("manager@acme.test") && said[4].1.contains("admin@acme.test"), "{said:?}");
    stage.node.stop().await;
}

#[actix_web::test]
async fn an_agent_hears_their_own_calls_only_if_the_tenant_lets_agents() {
    let stage = Stage::new().await;
    let (agent, other) = (
        stage.person(Role::Agent).await,
        person(&stage.node, Some(stage.tenant), Role::Agent, "other@acme.test").await,
    );
    let pool = stage.node.app.changes.pool();
    sqlx::query("update calls set agents = array[$1]").bind(agent.id).execute(pool).await.unwrap();
    let seen = async |person: &Person| {
        let list = person.ask(&stage.node, "GET", "/v1/recordings", Value::Null).await.items();
        let audio = stage.status(person, "GET", "/audio", Value::Null).await;
        (list.as_array().unwrap().len(), audio)
    };
    let call = sqlx::query_scalar::<_, Uuid>("select id from calls").fetch_one(pool).await.unwrap();
    let named = async || {
        let call = agent.ask(&stage.node, "GET", &format!("/v1/calls/{call}"), Value::Null).await;
        assert_eq!(call.status, 200, "{}", call.text());
        call.json()["recordings"].as_array().unwrap().len()
    };
    assert_eq!((seen(&agent).await, named().await), ((0, 404), 0));
    let path = format!("/v1/tenants/{}/settings", stage.tenant);
    let lets = json!({ "routing": { "record": { "agents_listen": true } } });
    assert_eq!(stage.node.api("PATCH", &path, lets).await.status, 200);
    assert_eq!((seen(&agent).await, named().await), ((1, 200), 1));
    assert_eq!(seen(&other).await, (0, 404), "it is somebody else's call");
    for (method, more, body) in
        [("POST", "/links", json!({})), ("PATCH", "", json!({ "legal_hold": "x" })), ("DELETE", "", Value::Null)]
    {
        assert_eq!(stage.status(&agent, method, more, body).await, 403, "{method}");
    }
    stage.node.stop().await;
}

#[actix_web::test]
async fn another_tenants_recording_is_not_found() {
    let stage = Stage::new().await;
    let theirs = stage.node.tenant("theirs.test").await;
    let owner = person(&stage.node, Some(theirs), Role::Owner, "owner@theirs.test").await;
    for (method, more, body) in [
        ("GET", "", Value::Null),
        ("GET", "/audio", Value::Null),
        ("POST", "/links", json!({})),
        ("PATCH", "", json!({ "legal_hold": "x" })),
        ("DELETE", "", Value::Null),
    ] {
        assert_eq!(stage.status(&owner, method, more, body).await, 404, "{method} {more}");
    }
    let list = owner.ask(&stage.node, "GET", "/v1/recordings", Value::Null).await.items();
    assert_eq!(list, json!([]));
    assert_eq!(stage.log().await, []);
    stage.node.stop().await;
}

#[actix_web::test]
async fn a_link_plays_one_recording_without_signing_in_until_it_ends() {
    let stage = Stage::new().await;
    let owner = stage.person(Role::Owner).await;
    for (seconds, status) in [(59, 422), (604_801, 422), (-1, 422), (60, 201)] {
        let made = stage.status(&owner, "POST", "/links", json!({ "seconds": seconds })).await;
        assert_eq!(made, status, "{seconds}");
    }
    let link = owner.ask(&stage.node, "POST", &stage.path("/links"), json!({})).await.json();
    let url = link["url"].as_str().unwrap();
    let heard = stage.opens(url).await;
    assert_eq!((heard.status, heard.body.len()), (200, 16_044), "{}", heard.text());
    let part =
        send(stage.node.app.app_address, "GET", &url[url.find("/v1/").unwrap()..], &[("Range", "bytes=0-9")], b"");
    assert_eq!(part.await.status, 206);
    let until = url.split("until=").nth(1).unwrap().split('&').next().unwrap().parse::<i64>().unwrap();
    let other = stage.node.tenant("theirs.test").await;
    for forged in [
        url.replace(&format!("until={until}"), &format!("until={}", until + 1)),
        url.replace(&format!("until={until}"), "until=0"),
        url.replace(&stage.tenant.to_string(), &other.to_string()),
        url.replace(&stage.recording.to_string(), &Uuid::now_v7().to_string()),
        format!("{}x", &url[..url.len() - 1]),
        url.split("&signature").next().unwrap().to_owned() + "&signature=",
    ] {
        assert_eq!(stage.opens(&forged).await.status, 404, "{forged}");
    }
    assert_eq!(stage.status(&owner, "DELETE", "", Value::Null).await, 204);
    assert_eq!(stage.opens(url).await.status, 404, "it ends with the recording");
    let said = stage.log().await;
    assert!(said.contains(&("hear".into(), "link".into())), "{said:?}");
    assert!(!format!("{said:?}").contains("signature"));
    stage.node.stop().await;
}
