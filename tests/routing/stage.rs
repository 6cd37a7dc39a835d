//! A tenant in Germany, with an agent who has a phone number, and carriers with rates.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use crate::harness::{Answer, Cluster, Database, Node, send};

/// How many stages run at the same time. A test that sends thousands of calls takes all places, because other tests' calls would get 503.
const PLACES: u32 = 1000;
static SIDE_BY_SIDE: Semaphore = Semaphore::const_new(PLACES as usize);

pub struct Stage {
    _places: SemaphorePermit<'static>,
    pub database: Database,
    pub node: Node,
    pub tenant: Uuid,
    pub domain: String,
    pub agent: Uuid,
    /// The agent's extension, by its SIP username.
    pub phone: String,
    pub number: Uuid,
    pub carriers: Vec<Uuid>,
}

impl Stage {
    /// Adds two carriers: "cheap" at 0.01 per minute and "dear" at 0.05.
    pub async fn new() -> Self {
        Self::with_places(1, json!({})).await
    }

    /// A stage that runs alone.
    pub async fn alone() -> Self {
        Self::with_places(PLACES, json!({})).await
    }

    /// The same of a tenant that is there for tests.
    pub async fn sandbox() -> Self {
        Self::with_places(1, json!({ "sandbox": true })).await
    }

    /// One whose Postgres the test may kill.
    pub async fn on(cluster: &Cluster) -> Self {
        Self::with_database(1, json!({}), Database::on(cluster).await).await
    }

    async fn with_places(places: u32, more: Value) -> Self {
        Self::with_database(places, more, Database::new().await).await
    }

    async fn with_database(places: u32, more: Value, database: Database) -> Self {
        let places = SIDE_BY_SIDE.acquire_many(places).await.expect("nobody closes it");
        let node = Node::with(&database, |settings| {
            settings.api_connections = 8;
            settings.fill_connections = 8;
        })
        .await;
        let mut new = json!({ "domain": "acme.test" });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = node.makes("/v1/tenants", new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let tenant = made.id();
        let settings = json!({ "country": "DE", "time_zone": "Europe/Berlin" });
        assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await.status, 200);
        let agent = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" });
        let agent = node.makes(&format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
        assert_eq!(agent.status, 201, "{}", agent.text());
        let phone = agent.json()["extensions"][0]["sip_username"].as_str().unwrap().to_owned();
        let number = json!({ "number": "+493012345678" });
        let number = node.makes(&format!("/v1/phone-numbers?tenant_id={tenant}"), number).await;
        assert_eq!(number.status, 201, "{}", number.text());
        let (agent, number) = (agent.id(), number.id());
        let mut stage = Self {
            _places: places,
            database,
            node,
            tenant,
            domain: "acme.test".into(),
            agent,
            phone,
            number,
            carriers: Vec::new(),
        };
        stage.assign(json!({})).await;
        for (name, sheet) in [("cheap", "49,0.01\n1,0.02\n"), ("dear", "49,0.05\n4930,0.005\n33,0.1\n")] {
            let carrier = stage.carrier(name, json!({ "host": format!("{name}.carrier.test") }), sheet).await;
            stage.carriers.push(carrier);
        }
        stage
    }

    pub async fn carrier(&self, name: &str, config: Value, rates: &str) -> Uuid {
        let made = self.node.makes("/v1/carriers", json!({ "name": name, "config": config })).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let put = self.rates(made.id(), rates).await;
        assert_eq!(put.status, 201, "{}", put.text());
        made.id()
    }

    pub async fn rates(&self, carrier: Uuid, sheet: &str) -> Answer {
        let headers = [("X-API-Key", self.node.key.as_str()), ("Content-Type", "text/csv")];
        let path = format!("/v1/carriers/{carrier}/rates");
        send(self.node.app.app_address, "PUT", &path, &headers, sheet.as_bytes()).await
    }

    pub async fn assign(&self, patch: Value) -> Answer {
        let mut to = json!({ "agent_id": self.agent });
        to.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        let path = format!("/v1/phone-numbers/{}/assign?tenant_id={}", self.number, self.tenant);
        let answer = self.node.makes(&path, to).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    }

    /// Changes the tenant's routing settings.
    pub async fn rules(&self, patch: Value) {
        let path = format!("/v1/tenants/{}/settings", self.tenant);
        let answer = self.node.api("PATCH", &path, json!({ "routing": patch })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Switches features on and off.
    pub async fn features(&self, patch: Value) {
        let path = format!("/v1/tenants/{}/settings", self.tenant);
        let answer = self.node.api("PATCH", &path, json!({ "features": patch })).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// The document that a switch gets for one of the agent's calls.
    pub async fn calls(&self, number: &str, call: Uuid) -> String {
        self.calls_as(&self.phone, number, call).await
    }

    /// The same for a call that is not counted.
    pub async fn dials(&self, number: &str) -> String {
        self.calls(number, Uuid::new_v4()).await
    }

    /// The same as one of thousands at once. A node with two busy cores may say 503, so it is asked again.
    pub async fn calls_in_a_crowd(&self, number: &str, call: Uuid) -> String {
        let form = self.form(&self.phone, number, call);
        let since = Instant::now();
        loop {
            let answer = self.node.fetch(&form).await;
            match answer.status {
                200 => return answer.text(),
                503 if since.elapsed() < Duration::from_mins(5) => {
                    actix_web::rt::time::sleep(Duration::from_millis(100)).await;
                }
                _ => panic!("{}", answer.text()),
            }
        }
    }

    pub async fn calls_as(&self, phone: &str, number: &str, call: Uuid) -> String {
        let answer = self.node.fetch(&self.form(phone, number, call)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text()
    }

    pub fn form(&self, phone: &str, number: &str, call: Uuid) -> String {
        let (number, domain) = (number.replace('+', "%2B"), &self.domain);
        let caller = if phone.is_empty() {
            String::new()
        } else {
            format!("&variable_user_name={phone}&variable_domain_name={domain}")
        };
        format!(
            "hostname=fs&section=dialplan&tag_name=&key_name=&key_value=&Event-Name=REQUEST_PARAMS&Unique-ID={call}{caller}&Hunt-Context={domain}&Hunt-Destination-Number={number}"
        )
    }

    /// Posts the record of a finished call, as a switch does.
    pub async fn cdr(&self, leg: Uuid, variables: Value) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let (name, token) = &self.node.switch;
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
        let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
        let body = json!({ "variables": variables }).to_string();
        let path = format!("/fs/cdr?uuid={leg}");
        let answer = send(self.node.app.switch_address, "POST", &path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub async fn made_today(&self) -> i64 {
        let path = format!("/v1/phone-numbers/agent/{}?tenant_id={}", self.agent, self.tenant);
        self.node.api("GET", &path, Value::Null).await.json()["numbers"][0]["calls_made_today"].as_i64().unwrap()
    }

    pub async fn stop(self) {
        self.node.stop().await;
    }
}

/// Has the database answer nothing about tenants, until this connection rolls back.
pub async fn hang(db: &mut sqlx::PgConnection) {
    use sqlx::Executor as _;
    let lock = "begin; lock table tenants, generation, nodes, extensions, admissions in access exclusive mode";
    // Nodes take the same locks in another order, and Postgres may end this one.
    while db.execute(lock).await.is_err() {
        db.execute("rollback").await.unwrap();
    }
}

/// The gateways that a document sends a call to, in order, and the numbers that are dialled there.
pub fn bridges(document: &str) -> Vec<(Uuid, String)> {
    let text = document.replace("&#45;", "-").replace("&#91;", "[").replace("&#93;", "]");
    let bridges = text.lines().filter(|line| line.contains("application=\"bridge\""));
    let legs = bridges.filter_map(|line| {
        let (_, rest) = line.split_once("sofia/gateway/c")?;
        let (gateway, rest) = rest.split_once('/')?;
        Some((gateway.parse().ok()?, rest.split('"').next()?.to_owned()))
    });
    legs.collect()
}

/// The cause of a refusal.
pub fn cause(document: &str) -> Option<String> {
    let line = document.lines().find(|line| line.contains("application=\"hangup\""))?;
    Some(line.split("data=\"").nth(1)?.split('"').next()?.to_owned())
}

/// The name of the route in the document.
pub fn route(document: &str) -> String {
    let line = document.lines().find(|line| line.contains("<extension name=")).unwrap_or_default();
    line.split('"').nth(1).unwrap_or_default().to_owned()
}
