//! Pushes to a switch: gateways, addresses and queues, which it reads only when it loads; and expulsions.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    event_socket::{EventSocket, PASSWORD},
    stage::Stage,
};

/// A stage with a switch that has an event socket.
pub struct Fleet {
    pub stage: Stage,
    pub socket: EventSocket,
    pub switch: String,
}

impl Fleet {
    /// The switch read its carriers when it started.
    pub async fn new() -> Self {
        let stage = Stage::new().await;
        let socket = EventSocket::open().await;
        socket.says(&[(stage.carriers[0], "NOREG", "UP"), (stage.carriers[1], "NOREG", "UP")]);
        let switches = stage.node.api("GET", "/v1/switches", Value::Null).await.json();
        let switch = format!("/v1/switches/{}", switches["items"][0]["id"].as_str().unwrap());
        let fleet = Self { stage, socket, switch };
        let new = json!({ "address": fleet.socket.address, "password": PASSWORD });
        let put = fleet.stage.node.api("PUT", &format!("{}/event-socket", fleet.switch), new).await;
        assert_eq!(put.status, 200, "{}", put.text());
        fleet
    }

    pub async fn sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&mut self.stage.database.connect().await).await.unwrap();
    }

    /// Makes the last commands look older.
    pub async fn later(&self) {
        self.sql("update switch_things set since = since - interval '11 seconds'").await;
    }

    pub async fn get(&self, path: &str) -> Value {
        self.stage.node.api("GET", &format!("{}/{path}", self.switch), Value::Null).await.json()
    }

    /// Waits for a whole visit. Returns how much there was to do.
    pub async fn visited(&self) -> i64 {
        // When the second visit begins, the first is over, which began after this call.
        for _ in 0..2 {
            self.sql("update event_sockets set asked_at = null").await;
            while self.stage.database.count("select count(*) from event_sockets where asked_at is null").await > 0 {
                actix_web::rt::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        let socket = self.get("event-socket").await;
        assert_eq!(socket["error"], Value::Null, "{socket}");
        socket["pending"].as_i64().unwrap()
    }

    /// Visits until nothing is left to do. Returns all commands that the switch got.
    pub async fn settled(&self) -> Vec<String> {
        for _ in 0..5 {
            if self.visited().await == 0 {
                return self.socket.told();
            }
        }
        panic!("there is no end: {:?}", self.socket.told());
    }

    pub async fn change(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.stage.node.api(method, path, body).await;
        assert!(matches!(answer.status, 200 | 201 | 204), "{path}: {}", answer.text());
        if answer.status == 204 { Value::Null } else { answer.json() }
    }

    /// The agent's extension.
    pub async fn extension(&self) -> String {
        let extensions = format!("/v1/tenants/{}/extensions", self.stage.tenant);
        let extensions = self.change("GET", &extensions, Value::Null).await;
        extensions["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Makes a queue with the agent in it. Returns its name on the switch.
    pub async fn queue(&self) -> (String, String) {
        let tiers = json!([{ "extension_id": self.extension().await }]);
        let queue = json!({ "name": "Support", "kind": "queue", "config": { "tiers": tiers } });
        let path = format!("/v1/tenants/{}/destinations", self.stage.tenant);
        let id = self.change("POST", &path, queue).await["id"].as_str().unwrap().parse::<Uuid>().unwrap();
        (format!("{path}/{id}"), format!("{}.acme.test", id.simple()))
    }
}

fn kill(carrier: Uuid) -> String {
    format!("sofia profile external killgw c{}", carrier.simple())
}

fn start(carrier: Uuid) -> String {
    format!("sofia profile external startgw c{}", carrier.simple())
}

#[actix_web::test]
async fn a_switch_gets_changed_carriers_without_being_asked_to() {
    let fleet = Fleet::new().await;
    let [cheap, dear] = [fleet.stage.carriers[0], fleet.stage.carriers[1]];
    // The state of the addresses is unknown; the gateways were there when it started.
    assert_eq!(fleet.settled().await, ["reloadacl"]);
    assert_eq!(fleet.settled().await, [""; 0]);
    let pushes = fleet.get("pushes").await;
    let pushes = pushes["items"].as_array().unwrap();
    assert_eq!(pushes.len(), 3, "{pushes:?}");
    assert!(pushes.iter().all(|push| push["given_at"].is_string() && push["error"].is_null()), "{pushes:?}");

    // For another host, the gateway is removed and created again. Changes that only Dialplane uses leave it alone.
    let path = format!("/v1/carriers/{cheap}");
    fleet.change("PATCH", &path, json!({ "config": { "host": "other.carrier.test" } })).await;
    assert_eq!(fleet.settled().await, [kill(cheap), start(cheap)]);
    fleet.change("PATCH", &path, json!({ "config": { "host": "other.carrier.test", "capacity": 5 } })).await;
    assert_eq!(fleet.settled().await, [""; 0]);
    let networks = json!({ "host": "other.carrier.test", "networks": ["192.0.2.0/24"] });
    fleet.change("PATCH", &path, json!({ "config": networks })).await;
    assert_eq!(fleet.settled().await, ["reloadacl"]);
    // A new password is noticed although it is sealed.
    let mut signed_in = networks.clone();
    signed_in["username"] = json!("acme");
    for password in ["one", "another"] {
        fleet.change("PATCH", &path, json!({ "password": password, "config": signed_in })).await;
        assert_eq!(fleet.settled().await, [kill(cheap), start(cheap)], "{password}");
    }

    // One carrier is disabled, and one is new.
    fleet.change("PATCH", &format!("/v1/carriers/{dear}"), json!({ "status": "disabled" })).await;
    assert_eq!(fleet.settled().await, [kill(dear)]);
    let new = fleet.stage.carrier("new", json!({ "host": "new.carrier.test" }), "49,0.02\n").await;
    assert_eq!(fleet.settled().await, [start(new)]);

    // The switch restarted, and has read everything.
    fleet.sql("update switch_things set since = now() - interval '1 hour'").await;
    assert_eq!(fleet.settled().await, ["reloadacl"]);
    // It says that it has read the addresses, but has not.
    fleet.socket.has().distrusts = true;
    fleet.sql("update switch_things set since = since - interval '11 seconds' where thing = 'acl'").await;
    assert_eq!((fleet.visited().await, fleet.socket.told()), (1, vec!["reloadacl".into()]));
    assert_eq!((fleet.visited().await, fleet.socket.told()), (1, vec![]), "not at once");
    fleet.socket.has().distrusts = false;
    assert_eq!(fleet.settled().await, [""; 0]);
    fleet.stage.stop().await;
}

#[actix_web::test]
async fn a_new_queue_takes_calls_without_a_command() {
    let fleet = Fleet::new().await;
    assert_eq!(fleet.settled().await, ["reloadacl"]);
    let phone = format!("{}@acme.test", fleet.stage.phone);
    fleet.socket.has().agents = vec![phone.clone()];

    // A command that fails on the switch is reported, and tried again.
    fleet.socket.has().refuses = Some("callcenter_config queue");
    let (path, name) = fleet.queue().await;
    let load = format!("callcenter_config queue load {name}");
    assert_eq!((fleet.visited().await, fleet.socket.told()), (1, vec![load.clone()]));
    let push = &fleet.get("pushes").await["items"][3];
    assert_eq!(*push, json!({ "thing": format!("queue/{name}"), "given_at": null, "error": "-ERR not today" }));
    assert_eq!((fleet.visited().await, fleet.socket.told()), (1, vec![]), "not at once");
    fleet.socket.has().refuses = None;
    fleet.later().await;
    assert_eq!(fleet.settled().await, [load.as_str()]);
    assert!(fleet.get("pushes").await["items"][3]["given_at"].is_string());

    // A caller made the switch load the queue, but without its agents.
    fleet.socket.has().tiers.clear();
    fleet.later().await;
    assert_eq!(fleet.settled().await, [load.as_str()]);
    let tiers = json!([{ "extension_id": fleet.extension().await }]);
    fleet.change("PATCH", &path, json!({ "config": { "tiers": tiers, "wrap_up_seconds": 30 } })).await;
    assert_eq!(fleet.settled().await, [load.as_str()]);

    // A suspended agent leaves the queue.
    let extension = format!("/v1/tenants/{}/extensions/{}", fleet.stage.tenant, fleet.extension().await);
    fleet.socket.has().agents.clear();
    fleet.change("PATCH", &extension, json!({ "status": "suspended" })).await;
    let told = fleet.settled().await;
    assert!(told.ends_with(&[load, format!("callcenter_config tier del {name} {phone}")]), "{told:?}");

    // Somebody still waits in a deleted queue, so it stays.
    fleet.socket.has().waiting = 1;
    fleet.change("DELETE", &path, Value::Null).await;
    assert_eq!((fleet.visited().await, fleet.socket.told()), (1, vec![]));
    fleet.socket.has().waiting = 0;
    assert_eq!(fleet.settled().await, [format!("callcenter_config queue unload {name}")]);
    assert_eq!(fleet.get("pushes").await["items"].as_array().unwrap().len(), 3, "nothing is kept of it");

    // Queues and agents that are not Dialplane's are left alone.
    fleet.socket.has().queues.insert("support@default".into());
    fleet.socket.has().tiers.insert(("support@default".into(), "1000".into()));
    assert_eq!(fleet.settled().await, [""; 0]);
    fleet.stage.stop().await;
}

/// The commands that the switch got, without those for carriers and queues.
fn expelled(told: Vec<String>) -> Vec<String> {
    told.into_iter().filter(|command| command.contains("flush_inbound_reg") || command.contains("hupall")).collect()
}

#[actix_web::test]
async fn suspended_agents_leave_at_once_with_their_calls() {
    let fleet = Fleet::new().await;
    fleet.settled().await;
    let extension = fleet.extension().await;
    let path = format!("/v1/tenants/{}/extensions/{extension}", fleet.stage.tenant);
    let phone = &fleet.stage.phone;
    let flush = format!("sofia profile internal flush_inbound_reg {phone}@acme.test");
    let all = [
        flush.clone(),
        format!("hupall CALL_REJECTED dialplane_extension {extension}"),
        format!("hupall CALL_REJECTED dialed_user {phone} dialed_domain acme.test direction outbound"),
    ];
    fleet.change("PATCH", &path, json!({ "display_name": "Ada L" })).await;
    assert_eq!(expelled(fleet.settled().await), [""; 0], "no reason to leave");
    fleet.change("PATCH", &path, json!({ "status": "suspended" })).await;
    assert_eq!(expelled(fleet.settled().await), all);
    assert_eq!(expelled(fleet.settled().await), [""; 0], "once");
    fleet.change("PATCH", &path, json!({ "status": "active" })).await;
    assert_eq!(expelled(fleet.settled().await), [""; 0]);

    // The command fails on the switch, and meanwhile they are allowed to stay.
    fleet.socket.has().refuses = Some("hupall");
    fleet.change("PATCH", &path, json!({ "status": "suspended" })).await;
    assert_eq!((fleet.visited().await, expelled(fleet.socket.told())), (0, all.to_vec()));
    fleet.visited().await;
    assert_eq!(expelled(fleet.socket.told()), [""; 0], "not at once");
    fleet.sql("update expulsions set since = now()").await;
    fleet.visited().await;
    assert_eq!(expelled(fleet.socket.told()), all, "again");
    fleet.socket.has().refuses = None;
    fleet.change("PATCH", &path, json!({ "status": "active" })).await;
    fleet.sql("update expulsions set since = now()").await;
    assert_eq!(expelled(fleet.settled().await), [""; 0]);

    // After a new password, registrations with the old one end, but calls don't.
    fleet.change("POST", &format!("{path}/rotate-secret"), Value::Null).await;
    assert_eq!(expelled(fleet.settled().await), [flush]);

    // After a new domain, nobody is registered at the old one.
    let at = |domain: &str| [format!("sofia profile internal flush_inbound_reg {phone}@{domain}")];
    fleet.sql("update tenants set domain = 'other.test'").await;
    assert_eq!(expelled(fleet.settled().await), at("acme.test"));
    fleet.sql("update tenants set domain = 'acme.test'").await;
    assert_eq!(expelled(fleet.settled().await), at("other.test"));

    // If a tenant is suspended, everybody in it leaves; also if it is deleted.
    let tenant = format!("/v1/tenants/{}", fleet.stage.tenant);
    fleet.change("PATCH", &tenant, json!({ "status": "suspended" })).await;
    assert_eq!(expelled(fleet.settled().await), all);
    fleet.change("PATCH", &tenant, json!({ "status": "active" })).await;
    assert_eq!(expelled(fleet.settled().await), [""; 0]);
    fleet
        .change(
            "DELETE",
            &format!("/v1/admin/agents/{}?tenant_id={}", fleet.stage.agent, fleet.stage.tenant),
            Value::Null,
        )
        .await;
    assert_eq!(expelled(fleet.settled().await), all);
    fleet.stage.stop().await;
}

fn of_mailboxes(told: Vec<String>) -> Vec<String> {
    told.into_iter().filter(|command| command.starts_with("vm_")).collect()
}

#[actix_web::test]
async fn what_a_switch_keeps_of_a_mailbox_goes_with_its_owner_and_is_shown_until_then() {
    let fleet = Fleet::new().await;
    fleet.settled().await;
    let node = &fleet.stage.node;
    let extension = fleet.extension().await;
    let path = format!("/v1/tenants/{}/extensions/{extension}", fleet.stage.tenant);
    let phone = fleet.stage.phone.clone();
    let no_pin = |mailbox: &str| format!("vm_fsdb_pref_password_set default acme.test {mailbox} -");
    let all = |mailbox: &str| [format!("vm_delete {mailbox}@acme.test/default"), no_pin(mailbox)];

    // With a PIN from here, one that was chosen by phone counts no more: a moment later, when the switch has saved it.
    fleet.change("PATCH", &path, json!({ "ring_seconds": 30 })).await;
    assert_eq!(of_mailboxes(fleet.settled().await), [""; 0]);
    fleet.change("PATCH", &path, json!({ "voicemail_pin": "802411" })).await;
    assert_eq!(of_mailboxes(fleet.settled().await), [""; 0], "not yet");
    let waiting = fleet.get("cleanups").await;
    assert_eq!((&waiting["items"][0]["mailbox"], &waiting["items"][0]["whole"]), (&json!(phone), &json!(false)));
    fleet.sql("update cleanups set due_at = now()").await;
    assert_eq!(of_mailboxes(fleet.settled().await), [no_pin(&phone)]);
    assert_eq!(fleet.get("cleanups").await["items"], json!([]));

    // Deleted: all of it. The switch does not do it at first, and that is shown.
    fleet.socket.has().refuses = Some("vm_delete");
    let agent = format!("/v1/admin/agents/{}?tenant_id={}", fleet.stage.agent, fleet.stage.tenant);
    fleet.change("DELETE", &agent, Value::Null).await;
    assert_eq!(of_mailboxes(fleet.settled().await), all(&phone)[..1]);
    let waiting = fleet.get("cleanups").await;
    assert_eq!(
        (&waiting["items"][0]["whole"], &waiting["items"][0]["error"]),
        (&json!(true), &json!("-ERR not today"))
    );
    fleet.socket.has().refuses = None;
    assert_eq!(of_mailboxes(fleet.settled().await), [""; 0], "not at once");
    fleet.sql("update cleanups set due_at = now()").await;
    assert_eq!(of_mailboxes(fleet.settled().await), all(&phone));
    assert_eq!(fleet.get("cleanups").await["items"], json!([]));

    // A cleanup for a mailbox whose owner still exists: the messages stay.
    let post = async |what: &str, new: Value| {
        let made = node.api("POST", &format!("/v1/tenants/{}/{what}", fleet.stage.tenant), new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    };
    post("extensions", json!({ "number": "4001", "sip_username": "lobby" })).await;
    fleet
        .sql("insert into cleanups (switch_id, mailbox, domain, whole) select id, 'lobby', 'acme.test', true from switches")
        .await;
    assert_eq!(of_mailboxes(fleet.settled().await), [no_pin("lobby")]);

    // A mailbox that belongs to no extension, and those of a tenant that is purged.
    let office = post("destinations", json!({ "name": "Office", "kind": "mailbox", "config": {} })).await;
    let office = office["id"].as_str().unwrap().to_owned();
    fleet.change("DELETE", &format!("/v1/tenants/{}/destinations/{office}", fleet.stage.tenant), Value::Null).await;
    assert_eq!(of_mailboxes(fleet.settled().await), all(&office.replace('-', "")));
    let last = post("extensions", json!({ "number": "4000" })).await;
    let mut last = [last["sip_username"].as_str().unwrap().to_owned(), "lobby".to_owned()];
    // Nobody knows the switch's event socket: the order waits for it.
    assert_eq!(node.api("DELETE", &format!("{}/event-socket", fleet.switch), Value::Null).await.status, 204);
    // It is no new switch, so that it may have mailboxes of calls that are forgotten.
    fleet.sql("update switches set created_at = created_at - interval '7 days'").await;
    let purge = format!("/v1/tenants/{}?cascade=true&purge=now", fleet.stage.tenant);
    fleet.change("DELETE", &purge, Value::Null).await;
    assert_eq!(fleet.get("cleanups").await["items"].as_array().unwrap().len(), 2);
    let new = json!({ "address": fleet.socket.address, "password": PASSWORD });
    assert_eq!(node.api("PUT", &format!("{}/event-socket", fleet.switch), new).await.status, 200);
    let mut told = of_mailboxes(fleet.settled().await);
    told.sort();
    last.sort();
    let mut expected = last.iter().flat_map(|mailbox| all(mailbox)).collect::<Vec<_>>();
    expected.sort();
    assert_eq!(told, expected);
    fleet.stage.stop().await;
}
