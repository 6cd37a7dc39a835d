//! The table of calls: who calls whom in which state, and what everybody then sees and hears. All rows are played on one switch, several
//! at once, each by a tenant, phones and carriers of its own.
//!
//! To add a row, add it to the list in the file of its subject:
//!
//! ```ignore
//! row("a phone that declines is busy to its caller", Needs::phones(2), async |t| {
//!     let call = t.phone(0).calls("1001");
//!     t.phone(1).rings().await.declines(486).await;
//!     assert_eq!(call.ended().await, End { status: 486, cause: Some(17) });
//! }),
//! ```
//!
//! - `Needs` says what is made before the switch boots: phones (`t.phone(0)` has the number 1000 and the name `Phone 0`, the next 1001 and
//!   so on; all are registered), agents (phones that may call outside: `t.number(0)` is the first one's), carriers of its own
//!   (`t.carrier(0)` is the cheapest; they take [`Table::outside`], all other numbers that begin like it, and emergency calls).
//! - A row's state is made with `t.patch_phone(1, json!(…))`, `t.settings(json!(…))` and `t.api(…)`, and is in force when these return.
//! - What a call shows and how it ends is asked of the calls themselves ([`crate::phone`]); `t.talk(&a, &b)` measures that two hear each
//!   other and nobody else; `t.outbound()` is the record of the last call out, with its charge.
//! - Nothing may wait for a fixed time. If something must *not* happen, wait for something that comes after it.
//!
//! `ROWS=withheld` plays only the rows with that word in their name.

mod basics;
mod call_backs;
mod clicks;
mod codecs;
mod connected;
mod dialled;
mod forged;
mod groups;
mod help;
mod lamps;
mod menus;
mod mixed;
mod outside;
mod parking;
mod queues;
mod transfers;
mod voicemail;
mod withheld;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, future::LocalBoxFuture};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Answer, Database, Node, send},
    phone::{Call, Phone},
    switch::Switch,
};

/// How many rows are played at once: each needs ports for media, of which a test's switch has forty.
const AT_ONCE: usize = 8;
/// The longest that a row may take.
const LIMIT: Duration = Duration::from_secs(90);

/// What a row has before the switch boots.
#[derive(Clone, Copy, Default)]
pub struct Needs {
    pub phones: usize,
    /// How many of the phones belong to agents with a number each.
    pub agents: usize,
    pub carriers: usize,
    /// What carriers' `config` has besides the usual.
    pub carrier: Option<fn() -> Value>,
}

impl Needs {
    pub const fn phones(phones: usize) -> Self {
        Self { phones, agents: 0, carriers: 0, carrier: None }
    }

    pub const fn agents(self, agents: usize) -> Self {
        Self { agents, ..self }
    }

    pub const fn carriers(self, carriers: usize) -> Self {
        Self { carriers, ..self }
    }

    /// Their configuration, over the usual one.
    pub const fn carriers_with(self, carriers: usize, config: fn() -> Value) -> Self {
        Self { carriers, carrier: Some(config), ..self }
    }
}

type Play = Box<dyn Fn(Table) -> LocalBoxFuture<'static, ()>>;

/// A row: its name, what it needs, and what happens.
pub struct Row {
    name: &'static str,
    needs: Needs,
    play: Play,
}

pub fn row<F: AsyncFn(Table) + Copy + 'static>(name: &'static str, needs: Needs, play: F) -> Row {
    Row { name, needs, play: Box::new(move |table| async move { play(table).await }.boxed_local()) }
}

/// What a row's play works with.
#[derive(Clone)]
pub struct Table {
    node: Arc<Node>,
    pub switch: Arc<Switch>,
    stand: Arc<Stand>,
    phones: Arc<Vec<Phone>>,
}

/// What was made for a row.
struct Stand {
    place: usize,
    tenant: Uuid,
    domain: String,
    extensions: Vec<Value>,
    /// The ids of agents, by their phones.
    agents: Vec<String>,
    numbers: Vec<String>,
    carriers: Vec<Phone>,
    carrier_ids: Vec<String>,
}

impl Table {
    pub fn phone(&self, which: usize) -> &Phone {
        &self.phones[which]
    }

    /// The other end of a trunk, cheapest first.
    pub fn carrier(&self, which: usize) -> &Phone {
        &self.stand.carriers[which]
    }

    /// The number of an agent, to which it is assigned and which leads to their phone.
    pub fn number(&self, which: usize) -> &str {
        &self.stand.numbers[which]
    }

    /// A number in Germany that this row's carriers take.
    pub fn outside(&self) -> String {
        format!("+49{}5", area(self.stand.place))
    }

    pub fn tenant(&self) -> Uuid {
        self.stand.tenant
    }

    pub fn domain(&self) -> &str {
        &self.stand.domain
    }

    pub fn extension(&self, which: usize) -> &Value {
        &self.stand.extensions[which]
    }

    pub fn extension_id(&self, which: usize) -> &str {
        self.stand.extensions[which]["id"].as_str().unwrap()
    }

    pub async fn api(&self, method: &str, path: &str, body: Value) -> Answer {
        self.node.api(method, path, body).await
    }

    /// Sends a change, which must succeed.
    pub async fn make(&self, method: &str, path: &str, body: Value) -> Value {
        make(&self.node, method, path, body).await
    }

    /// Changes an extension.
    pub async fn patch_phone(&self, which: usize, patch: Value) {
        let path = format!("/v1/tenants/{}/extensions/{}", self.tenant(), self.extension_id(which));
        self.make("PATCH", &path, patch).await;
    }

    /// Changes how an extension handles calls.
    pub async fn handle(&self, which: usize, calls: Value) {
        self.patch_phone(which, json!({ "calls": calls })).await;
    }

    pub async fn settings(&self, settings: Value) {
        self.make("PATCH", &format!("/v1/tenants/{}/settings", self.tenant()), settings).await;
    }

    /// Makes something under the tenant: `groups`, `destinations`, `dialplan-entries`.
    pub async fn create(&self, what: &str, new: Value) -> Value {
        self.make("POST", &format!("/v1/tenants/{}/{what}", self.tenant()), new).await
    }

    /// Makes a destination and returns its id, as switches write it.
    pub async fn destination(&self, number: &str, kind: &str, config: Value) -> String {
        let new = json!({ "name": format!("{kind}-{number}"), "number": number, "kind": kind, "config": config });
        self.create("destinations", new).await["id"].as_str().unwrap().replace('-', "")
    }

    /// Makes a group of some of the phones.
    pub async fn group(&self, number: &str, members: &[usize], more: Value) -> Value {
        let members = members.iter().map(|n| self.extension_id(*n)).collect::<Vec<_>>();
        let mut new = json!({ "name": format!("g{number}"), "number": number, "members": members, "ring_seconds": 5 });
        new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.create("groups", new).await
    }

    /// Makes a queue with these phones as agents, and waits until the switch has it with all of them. Returns its name there.
    pub async fn queue(&self, number: &str, agents: &[(usize, u8)], more: Value) -> String {
        let tier = |(n, level): &(usize, u8)| json!({ "extension_id": self.extension_id(*n), "level": level });
        let mut config = json!({ "tiers": agents.iter().map(tier).collect::<Vec<_>>(), "ring_seconds": 5 });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let name = format!("{}.{}", self.destination(number, "queue", config).await, self.domain());
        let (asks, count) = (format!("callcenter_config queue list tiers {name}"), agents.len());
        let domain = format!("@{}", self.domain());
        self.until("it has the queue and its agents", move |switch| {
            switch.api(&asks).matches(&domain).count() >= count
        })
        .await;
        name
    }

    /// Waits until mod_callcenter says this of an agent.
    pub async fn agent_is(&self, which: usize, status: &'static str) {
        let user = self.extension(which)["sip_username"].as_str().unwrap();
        let asks = format!("callcenter_config agent get status {user}@{}", self.domain());
        self.until(status, move |switch| switch.api(&asks).trim() == status).await;
    }

    /// Replaces a carrier's rates.
    pub async fn rates(&self, which: usize, sheet: &str) {
        let headers = [("X-API-Key", self.node.key.as_str()), ("Content-Type", "text/csv")];
        let path = format!("/v1/carriers/{}/rates", self.stand.carrier_ids[which]);
        let put = send(self.node.app.app_address, "PUT", &path, &headers, sheet.as_bytes()).await;
        assert_eq!(put.status, 201, "{}", put.text());
    }

    /// Suspends the agent of a phone, whose registration ends then.
    pub async fn suspend(&self, which: usize) {
        let path = format!("/v1/admin/agents/{}?tenant_id={}", self.stand.agents[which], self.tenant());
        self.make("PATCH", &path, json!({ "status": "suspended" })).await;
    }

    /// Changes a carrier.
    pub async fn patch_carrier(&self, which: usize, patch: Value) {
        self.make("PATCH", &format!("/v1/carriers/{}", self.stand.carrier_ids[which]), patch).await;
    }

    /// A call from outside to a number of the platform. `from` is what the carrier writes into From, such as `"Eve" <sip:+4915112345@x>`.
    pub fn comes_in(&self, from: &str, number: &str, headers: &[&str]) -> Call {
        let from = format!("From: {from}");
        let all = std::iter::once(from.as_str()).chain(headers.iter().copied()).collect::<Vec<_>>();
        self.stand.carriers[0].calls_with(number, &all)
    }

    /// Two calls' phones hear each other, and nobody else.
    pub async fn talk(&self, one: (&Call, &Phone), other: (&Call, &Phone)) {
        one.0.hears_only(&[other.1]).await;
        other.0.hears_only(&[one.1]).await;
    }

    /// A plain call between two phones of the tenant, up and measured: the caller's end and the callee's.
    pub async fn connect(&self, caller: usize, callee: usize) -> (Call, Call) {
        let call = self.phone(caller).calls(&format!("{}", 1000 + callee));
        let rings = self.phone(callee).rings().await;
        let rings = rings.answers().await;
        call.answered().await;
        self.talk((&call, self.phone(caller)), (&rings, self.phone(callee))).await;
        (call, rings)
    }

    /// Waits until a ringing call can be picked up under this key.
    pub async fn can_be_picked_up(&self, key: &str) {
        let key = format!("pickup/{key}@{}", self.domain());
        self.until("it can be picked up", move |switch| switch.api("show channels").contains(&key)).await;
    }

    /// The record of the newest call out of the platform, once it holds.
    pub async fn outbound(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/tenants/{}/outbound-calls", self.tenant());
        let since = Instant::now();
        loop {
            let newest = self.api("GET", &path, Value::Null).await.json()["items"][0].clone();
            if holds(&newest) {
                return newest;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "the record: {newest}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a condition of the switch holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Switch) -> bool + Send + Sync + 'static) {
        let since = Instant::now();
        let holds = Arc::new(holds);
        loop {
            let (switch, holds) = (self.switch.clone(), holds.clone());
            if tokio::task::spawn_blocking(move || holds(&switch)).await.unwrap() {
                return;
            }
            assert!(since.elapsed() < Duration::from_mins(1), "the switch does not come to this: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Each row has numbers of its own, so that its carriers take its calls only.
fn area(place: usize) -> String {
    // None of them ends like an extension's number.
    format!("30{:06}", 220_101 + place)
}

async fn make(node: &Node, method: &str, path: &str, body: Value) -> Value {
    let made = node.api(method, path, body).await;
    assert!(matches!(made.status, 200 | 201), "{path}: {}", made.text());
    made.json()
}

impl Stand {
    async fn set_up(node: &Node, place: usize, needs: Needs) -> Self {
        let domain = format!("row{place}.test");
        let tenant = node.tenant(&domain).await;
        let settings = json!({ "country": "DE", "time_zone": "Europe/Berlin" });
        make(node, "PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await;
        let mut extensions = Vec::new();
        let (mut agents, mut numbers) = (Vec::new(), Vec::new());
        for n in 0..needs.phones {
            let number = (1000 + n).to_string();
            let new = json!({ "number": number, "display_name": format!("Phone {n}"), "ring_seconds": 5, "voicemail_enabled": false });
            let extension = make(node, "POST", &format!("/v1/tenants/{tenant}/extensions"), new).await;
            if n < needs.agents {
                let agent = json!({ "first_name": "Phone", "last_name": n.to_string(), "email": format!("phone{n}@{domain}"), "numbers": [number] });
                let agent = make(node, "POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
                extensions.push(agent["extensions"][0].clone());
                let did = format!("+49{}{n}", area(place));
                let leads = json!({ "number": did, "destination": { "kind": "extension", "id": extension["id"] } });
                let did_id = make(node, "POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), leads).await;
                let assign = format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", did_id["id"].as_str().unwrap());
                make(node, "POST", &assign, json!({ "agent_id": agent["id"] })).await;
                agents.push(agent["id"].as_str().unwrap().to_owned());
                numbers.push(did);
            } else {
                extensions.push(extension);
            }
        }
        let (mut carriers, mut carrier_ids) = (Vec::new(), Vec::new());
        for n in 0..needs.carriers {
            // Where its own calls go is not known before the switch runs.
            let phone = Phone::carrier(9);
            let mut config = json!({ "host": format!("127.0.0.1:{}", phone.port()), "number_format": "digits" });
            if let Some(more) = needs.carrier {
                config.as_object_mut().unwrap().extend(more().as_object().unwrap().clone());
            }
            let new = json!({ "name": format!("row{place}-{n}"), "tenant_id": tenant, "config": config });
            let id = make(node, "POST", "/v1/carriers", new).await["id"].as_str().unwrap().to_owned();
            let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
            let rates = format!("49{},0.0{}\n", area(place), n + 1);
            let path = format!("/v1/carriers/{id}/rates");
            assert_eq!(send(node.app.app_address, "PUT", &path, &headers, rates.as_bytes()).await.status, 201);
            carriers.push(phone);
            carrier_ids.push(id);
        }
        Self { place, tenant, domain, extensions, agents, numbers, carriers, carrier_ids }
    }
}

#[actix_web::test]
async fn calls_go_as_the_table_says() {
    let Some(binary) = freeswitch() else { return };
    let wanted = std::env::var("ROWS").unwrap_or_default();
    let rows = [
        // Those that wait longest come first.
        queues::rows(),
        call_backs::rows(),
        clicks::rows(),
        parking::rows(),
        groups::rows(),
        basics::rows(),
        codecs::rows(),
        connected::rows(),
        dialled::rows(),
        forged::rows(),
        help::rows(),
        lamps::rows(),
        menus::rows(),
        mixed::rows(),
        outside::rows(),
        transfers::rows(),
        voicemail::rows(),
        withheld::rows(),
    ];
    let rows = rows.into_iter().flatten();
    let rows = rows.filter(|row| row.name.contains(&wanted)).collect::<Vec<_>>();
    let since = Instant::now();
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let making = rows.iter().enumerate().map(|(place, row)| Stand::set_up(&node, place, row.needs));
    let stands = futures_util::stream::iter(making).buffered(4).collect::<Vec<_>>().await;
    println!("{} rows are set up after {:.1?}", rows.len(), since.elapsed());
    let (switch, node) = tokio::task::spawn_blocking(move || (Switch::boot(&binary, &node), node)).await.unwrap();
    let (switch, node) = (Arc::new(switch), Arc::new(node));
    watched(&node, &switch).await;
    let playing = rows.iter().zip(stands).map(|(row, stand)| {
        let (node, switch) = (node.clone(), switch.clone());
        async move {
            let began = Instant::now();
            let played = AssertUnwindSafe(tokio::time::timeout(LIMIT, play(row, stand, node, switch)));
            let outcome = match played.catch_unwind().await {
                Ok(Ok(())) => "ok",
                Ok(Err(_)) => "takes too long",
                Err(_) => "FAILED",
            };
            println!("{outcome}: {} ({:.1?})", row.name, began.elapsed());
            (outcome != "ok").then_some(row.name)
        }
    });
    let outcomes = futures_util::stream::iter(playing).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    let failed = outcomes.iter().flatten().collect::<Vec<_>>();
    println!("{} rows, {} failed, after {:.1?}", rows.len(), failed.len(), since.elapsed());
    assert!(failed.is_empty(), "{failed:#?}\n{}", switch.log());
}

/// Tells the node where the switch's event socket is. The node visits the switch from then on.
async fn watched(node: &Node, switch: &Switch) {
    let id = node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"].clone();
    let (address, password) = switch.event_socket();
    let path = format!("/v1/switches/{}/event-socket", id.as_str().unwrap());
    make(node, "PUT", &path, json!({ "address": address, "password": password })).await;
}

async fn play(row: &Row, stand: Stand, node: Arc<Node>, switch: Arc<Switch>) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let phones = stand.extensions.iter().map(|extension| {
        let (user, password) = (text(&extension["sip_username"]), text(&extension["sip_password"]));
        Phone::new(switch.internal, &user, &stand.domain, &password)
    });
    let phones = phones.collect::<Vec<_>>();
    for phone in &phones {
        phone.registers().await;
    }
    for carrier in &stand.carriers {
        carrier.sends_to(switch.external);
    }
    let table = Table { node, switch, stand: Arc::new(stand), phones: Arc::new(phones) };
    (row.play)(table).await;
}
