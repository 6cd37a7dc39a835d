//! Routing on a real switch: queues, menus, conferences, working and failing carriers, gateways that register.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Database, Node, send},
    ports,
    sipp::{self, Phone, Script},
    switch::Switch,
};

/// The ports of the carriers that SIPp plays.
static DEAD: LazyLock<u16> = LazyLock::new(ports::phone);
static LIVING: LazyLock<u16> = LazyLock::new(ports::phone);
static REGISTRAR: LazyLock<u16> = LazyLock::new(ports::phone);
static NEW: LazyLock<u16> = LazyLock::new(ports::phone);
const MUNICH: &str = "+498912345678";

/// Makes three agents, the first with a number, and three carriers. The switch boots when all is set up.
struct Stage {
    switch: Switch,
    phones: Vec<(String, String)>,
    /// By what people dial to ring them.
    numbers: Vec<String>,
    registrar: Option<Phone>,
}

async fn made(node: &Node, path: &str, new: Value) -> Value {
    let made = node.api("POST", path, new).await;
    assert!(matches!(made.status, 200 | 201), "{path}: {}", made.text());
    made.json()
}

fn id(made: &Value) -> Uuid {
    made["id"].as_str().unwrap().parse().unwrap()
}

async fn carrier(node: &Node, name: &str, port: u16, patch: Value, rates: &str) {
    let mut new = json!({ "name": name, "config": { "host": format!("127.0.0.1:{port}"), "number_format": "digits" } });
    new["config"].as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
    if new["config"]["username"].is_string() {
        new["password"] = json!("at-the-carrier");
    }
    let carrier = id(&made(node, "/v1/carriers", new).await);
    if !rates.is_empty() {
        let headers = [("X-API-Key", node.key.as_str()), ("Content-Type", "text/csv")];
        let path = format!("/v1/carriers/{carrier}/rates");
        assert_eq!(send(node.app.app_address, "PUT", &path, &headers, rates.as_bytes()).await.status, 201);
    }
}

async fn set_up(node: &Node) -> (Vec<(String, String)>, Vec<String>) {
    let tenant = node.tenant("acme.test").await;
    let settings = json!({ "country": "DE", "time_zone": "Europe/Berlin" });
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{tenant}/settings"), settings).await.status, 200);
    let mut phones = Vec::new();
    let mut extensions = Vec::new();
    let mut dialled = Vec::new();
    let mut numbers = Vec::new();
    for n in 0..3 {
        let agent =
            json!({ "first_name": "Agent", "last_name": n.to_string(), "email": format!("agent{n}@acme.test") });
        let agent = made(node, &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
        let extension = &agent["extensions"][0];
        let text = |name: &str| extension[name].as_str().unwrap().to_owned();
        phones.push((text("sip_username"), text("sip_password")));
        dialled.push(text("number"));
        extensions.push(text("id"));
        if n == 0 {
            let number =
                made(node, &format!("/v1/phone-numbers?tenant_id={tenant}"), json!({ "number": "+493012345678" }))
                    .await;
            let to = json!({ "agent_id": agent["id"] });
            made(node, &format!("/v1/phone-numbers/{}/assign?tenant_id={tenant}", id(&number)), to).await;
            numbers.push(id(&number));
        }
    }
    let leads = json!({ "destination": { "kind": "extension", "id": extensions[1] } });
    let number = format!("/v1/phone-numbers/{}?tenant_id={tenant}", numbers[0]);
    assert_eq!(node.api("PATCH", &number, leads).await.status, 200);
    let first = format!("/v1/tenants/{tenant}/extensions/{}", extensions[0]);
    let calls = json!({ "calls": { "follow_me": [{ "number": MUNICH }] } });
    assert_eq!(node.api("PATCH", &first, calls).await.status, 200);
    let third = format!("/v1/tenants/{tenant}/extensions/{}", extensions[2]);
    assert_eq!(node.api("PATCH", &third, json!({ "calls": { "pickup": true } })).await.status, 200);
    carrier(node, "dead", *DEAD, json!({}), "49,0.01\n").await;
    carrier(node, "living", *LIVING, json!({}), "49,0.02\n").await;
    carrier(node, "registers", *REGISTRAR, json!({ "username": "acme", "register": true }), "").await;
    let destinations = format!("/v1/tenants/{tenant}/destinations");
    let queue = json!({ "name": "Support", "number": "500", "kind": "queue", "config": {
        "tiers": [{ "extension_id": extensions[1] }], "ring_seconds": 10,
        "overflow": { "kind": "extension", "id": extensions[2] } } });
    made(node, &destinations, queue).await;
    let menu = json!({ "name": "Menu", "number": "501", "kind": "ivr", "config": {
        "greeting": { "file": "digits/1.wav" }, "entries": { "1": { "kind": "extension", "id": extensions[2] } } } });
    made(node, &destinations, menu).await;
    made(node, &destinations, json!({ "name": "Room", "number": "502", "kind": "conference", "config": {} })).await;
    let page = json!({ "name": "All", "number": "503", "kind": "page", "config": { "members": [extensions[1], extensions[2]] } });
    made(node, &destinations, page).await;
    (phones, dialled)
}

#[actix_web::test]
async fn queues_menus_conferences_and_carriers_work_on_a_switch() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (phones, dialled) = set_up(&node).await;
    let played = tokio::task::spawn_blocking(move || {
        // A gateway registers when the switch boots.
        let registrar = Phone::start(&Script {
            scenario: "registrar.xml",
            target: 9,
            port: *REGISTRAR,
            user: "acme",
            password: "at-the-carrier",
            to: "-",
        });
        let switch = Switch::boot(&binary, &node);
        let mut stage = Stage { switch, phones, numbers: dialled, registrar: Some(registrar) };
        gateway_registers(&mut stage);
        gateways_are_known(&stage, &node);
        for (which, port) in [(0, 60_000), (1, 60_100), (2, 60_200)] {
            assert!(stage.phone(which, "register.xml", port, "-").succeeds(), "phone {which} registers");
            sipp::take_notify(port);
        }
        comes_in_where_it_registered(&stage);
        failover(&stage);
        busy_is_no_failover(&stage);
        barred_country(&stage);
        follow_me(&stage);
        queue(&stage);
        menu(&stage);
        conference(&stage);
        intercom_page_and_park(&stage);
        pickup(&stage);
        what_is_made_later_works_without_a_command(&stage, &node);
        who_is_suspended_leaves_at_once(&stage, &node);
        node
    });
    played.await.unwrap().stop().await;
}

/// Imports static files and exports static files. A switch that never fetches then works for the tenant.
#[actix_web::test]
async fn a_tenant_comes_from_files_and_leaves_as_files_that_a_switch_boots_from() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let folder = std::env::temp_dir().join(format!("dialplane-files-{}", Uuid::now_v7().simple()));
    let user = |id: u32| {
        format!(
            "<include><user id=\"{id}\"><params><param name=\"password\" value=\"$${{word}}-{id}\"/><param name=\"vm-password\" value=\"48{id}\"/></params></user></include>"
        )
    };
    let write = |path: &str, text: &str| {
        let path = folder.join("in").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "freeswitch.xml",
        "<document><X-PRE-PROCESS cmd=\"set\" data=\"word=pass-word-of\"/><section name=\"directory\"><X-PRE-PROCESS cmd=\"include\" data=\"directory/*.xml\"/></section></document>",
    );
    write(
        "directory/d.xml",
        "<include><domain name=\"x\"><groups><group name=\"default\"><users><X-PRE-PROCESS cmd=\"include\" data=\"u/*.xml\"/></users></group></groups></domain></include>",
    );
    write("directory/u/1000.xml", &user(1000));
    write("directory/u/1001.xml", &user(1001));
    let files = dialplane::switch::import::read(&folder.join("in")).unwrap();
    let domain = files.choose(None, "").unwrap();
    let wish = dialplane::switch::import::Wish { domain: &domain, keep_xml: false };
    let author = dialplane::node::changes::Author { name: "test".into(), source: None, within: None };
    let mut change = node.app.changes.begin(author).await.unwrap();
    let report = dialplane::switch::import::import(&mut change, tenant, &files, wish, |_, _| ()).await.unwrap();
    assert_eq!((report.taken.len(), report.left.len(), report.made.len()), (2, 0, 0), "{report:?}");
    // If there is a stock configuration, all its users are imported as well.
    if let Some(vanilla) = std::env::var_os("FREESWITCH_VANILLA") {
        let files = dialplane::switch::import::read(vanilla.as_ref()).unwrap();
        let domain = files.choose(None, "").unwrap();
        let wish = dialplane::switch::import::Wish { domain: &domain, keep_xml: false };
        let report = dialplane::switch::import::import(&mut change, tenant, &files, wish, |_, _| ()).await.unwrap();
        let users = report.taken.iter().filter(|line| line.kind == "user").count();
        println!("vanilla: {users} users, {} taken in all, {} left", report.taken.len(), report.left.len());
        assert_eq!(users, 18, "20, of which two were there already: {report:?}");
    }
    change.commit().await.unwrap();
    let mut db = node.app.changes.pool().acquire().await.unwrap();
    let out = folder.join("out");
    dialplane::switch::export::export(&mut db, node.app.changes.keyring(), tenant, &out).await.unwrap();
    drop(db);
    let played = tokio::task::spawn_blocking(move || {
        let switch = Switch::boot_from(&binary, &node, &out);
        assert!(switch.api("module_exists mod_xml_curl").contains("false"), "it asks nobody");
        let phones = ["1000", "1001"].map(|id| (id.to_owned(), format!("pass-word-of-{id}"))).to_vec();
        let numbers = ["1000", "1001"].map(ToOwned::to_owned).to_vec();
        let stage = Stage { switch, phones, numbers, registrar: None };
        for (which, port) in [(0, 60_000), (1, 60_100)] {
            assert!(stage.phone(which, "register.xml", port, "-").succeeds(), "{}", stage.switch.log());
            sipp::take_notify(port);
        }
        let callee = stage.phone(1, "answer.xml", 60_100, "-");
        assert!(stage.phone(0, "call.xml", 60_000, "1001").succeeds(), "{}", stage.switch.log());
        assert!(callee.succeeds());
        node
    });
    played.await.unwrap().stop().await;
    std::fs::remove_dir_all(&folder).unwrap();
}

impl Stage {
    fn phone(&self, which: usize, scenario: &str, port: u16, to: &str) -> Phone {
        let (user, password) = &self.phones[which];
        Phone::start(&Script { scenario, target: self.switch.internal, port, user, password, to })
    }

    /// The path of the tenant, and the id of a phone's extension.
    fn extension(&self, node: &Node, which: usize) -> (String, String) {
        let get = |path: &str| tokio::runtime::Handle::current().block_on(node.api("GET", path, Value::Null)).json();
        let tenant = format!("/v1/tenants/{}", get("/v1/tenants")["items"][0]["id"].as_str().unwrap());
        let extensions = get(&format!("{tenant}/extensions"));
        let of_phone = |extension: &&Value| extension["sip_username"] == self.phones[which].0;
        let extension = extensions["items"].as_array().unwrap().iter().find(of_phone).unwrap();
        (tenant, extension["id"].as_str().unwrap().to_owned())
    }

    fn until(&self, what: &str, holds: impl Fn(&Switch) -> bool) {
        let since = Instant::now();
        while !holds(&self.switch) {
            assert!(since.elapsed() < Duration::from_mins(1), "{what}:\n{}", self.switch.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A carrier that needs no registration.
fn at(scenario: &str, port: u16) -> Phone {
    Phone::start(&Script { scenario, target: 9, port, user: "carrier", password: "-", to: "-" })
}

fn gateway_registers(stage: &mut Stage) {
    assert!(stage.registrar.take().unwrap().succeeds(), "with the password that was given for it");
    stage.until("the gateway is registered", |switch| switch.api("sofia status gateway").contains("REGED"));
}

/// Checks that the node asks the switch about the state of its gateways.
fn gateways_are_known(stage: &Stage, node: &Node) {
    let (address, password) = stage.switch.event_socket();
    let known = async {
        let switch = node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"].clone();
        let path = format!("/v1/switches/{}", switch.as_str().unwrap());
        let socket = json!({ "address": address, "password": password });
        assert_eq!(node.api("PUT", &format!("{path}/event-socket"), socket).await.status, 200);
        loop {
            let shown = node.api("GET", &format!("{path}/event-socket"), Value::Null).await.json();
            assert!(shown["error"].is_null(), "{shown}");
            if !shown["answered_at"].is_null() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        node.api("GET", &format!("{path}/gateways"), Value::Null).await.json()
    };
    let known = tokio::runtime::Handle::current().block_on(known);
    let mut states = known["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gateway| (gateway["state"].to_string(), gateway["up"] == true))
        .collect::<Vec<_>>();
    states.sort();
    assert_eq!(states, [("\"NOREG\"".into(), true), ("\"NOREG\"".into(), true), ("\"REGED\"".into(), true)], "{known}");
}

/// The cheap carrier says 503, and the expensive one takes the call. This counts as one call of the agent.
fn failover(stage: &Stage) {
    let (dead, living) = (at("carrier-503.xml", *DEAD), at("answer.xml", *LIVING));
    assert!(stage.phone(0, "call.xml", 60_000, MUNICH).succeeds(), "the call goes through:\n{}", stage.switch.log());
    assert!(dead.succeeds() && living.succeeds());
}

/// The called party is busy: no other carrier is tried, and the caller is told.
fn busy_is_no_failover(stage: &Stage) {
    let busy = at("carrier-486.xml", *DEAD);
    assert!(stage.phone(0, "call-refused-486.xml", 60_000, MUNICH).succeeds());
    assert!(busy.succeeds());
}

/// The caller hears tones, then gets 403.
fn barred_country(stage: &Stage) {
    assert!(stage.phone(0, "call-announced-403.xml", 60_000, "+33123456789").succeeds(), "{}", stage.switch.log());
}

/// The first agent's phone is not registered; their mobile rings too, over a carrier, with their number.
fn follow_me(stage: &Stage) {
    let (dead, living) = (at("carrier-503.xml", *DEAD), at("answer.xml", *LIVING));
    let number = &stage.numbers[0];
    assert!(stage.phone(1, "call-long.xml", 60_100, number).succeeds(), "{}", stage.switch.log());
    assert!(dead.succeeds() && living.succeeds());
}

/// A phone in a call loses its registration and the call within seconds.
fn who_is_suspended_leaves_at_once(stage: &Stage, node: &Node) {
    let (tenant, extension) = stage.extension(node, 2);
    let registered = |switch: &Switch| switch.api("sofia status profile internal reg").contains(&stage.phones[2].0);
    assert!(registered(&stage.switch));
    let caller = stage.phone(2, "call-until-bye.xml", 60_200, "9196");
    stage.until("the call is up", |switch| switch.api("show channels").contains("ACTIVE"));
    let path = format!("{tenant}/extensions/{extension}");
    let suspended = node.api("PATCH", &path, json!({ "status": "suspended" }));
    assert_eq!(tokio::runtime::Handle::current().block_on(suspended).status, 200);
    assert!(caller.succeeds(), "it was hung up on:\n{}", stage.switch.api("show channels"));
    stage.until("the registration is gone", |switch| !registered(switch));
}

/// A queue and a carrier are created while the switch runs, and a carrier changes.
fn what_is_made_later_works_without_a_command(stage: &Stage, node: &Node) {
    let handle = tokio::runtime::Handle::current();
    let get = |path: &str| handle.block_on(node.api("GET", path, Value::Null)).json();
    let (tenant, extension) = stage.extension(node, 1);
    let queue = json!({ "name": "Later", "number": "510", "kind": "queue", "config": {
        "tiers": [{ "extension_id": extension }], "ring_seconds": 10 } });
    handle.block_on(made(node, &format!("{tenant}/destinations"), queue));
    handle.block_on(carrier(node, "new", *NEW, json!({ "networks": ["192.0.2.7/32"] }), "33,0.01\n"));
    stage.until("the queue is there, and the gateway", |switch| {
        let (tiers, gateways) = (switch.api("callcenter_config tier list"), switch.api("sofia xmlstatus gateway"));
        tiers.matches("Ready").count() == 2 && gateways.contains(&format!("127.0.0.1:{}", *NEW))
    });
    let agent = stage.phone(1, "answer.xml", 60_100, "-");
    assert!(stage.phone(0, "call-long.xml", 60_000, "510").succeeds(), "{}", stage.switch.log());
    assert!(agent.succeeds(), "the new queue's agent answered:\n{}", stage.switch.api("callcenter_config tier list"));
    assert_eq!(stage.switch.api("acl 192.0.2.7 carriers"), "true");
    // The carrier moves: its gateway is removed and created again.
    let carriers = get("/v1/carriers");
    let of_ours = |carrier: &&Value| carrier["name"] == "new";
    let carrier = carriers["items"].as_array().unwrap().iter().find(of_ours).unwrap();
    let moved = json!({ "config": { "host": format!("127.0.0.1:{}", *NEW + 1), "number_format": "digits" } });
    let path = format!("/v1/carriers/{}", carrier["id"].as_str().unwrap());
    assert_eq!(handle.block_on(node.api("PATCH", &path, moved)).status, 200);
    stage.until("the gateway has moved", |switch| {
        let gateways = switch.api("sofia xmlstatus gateway");
        gateways.contains(&format!("127.0.0.1:{}", *NEW + 1)) && !gateways.contains(&format!("127.0.0.1:{}<", *NEW))
    });
    assert_eq!(stage.switch.api("acl 192.0.2.7 carriers"), "false");
}

fn queue(stage: &Stage) {
    let agent = stage.phone(1, "answer.xml", 60_100, "-");
    assert!(stage.phone(0, "call-long.xml", 60_000, "500").succeeds(), "{}", stage.switch.log());
    assert!(agent.succeeds(), "the queue's agent answered:\n{}", stage.switch.api("callcenter_config agent list"));
    // If the agent hangs up first, the call ends: the caller was served, and does not go to the overflow.
    let agent = stage.phone(1, "answer-hang-up.xml", 60_100, "-");
    assert!(stage.phone(0, "call-until-bye.xml", 60_000, "500").succeeds(), "{}", stage.switch.log());
    assert!(agent.succeeds(), "{}", stage.switch.log());
}

/// A carrier sends a call to the address that the gateway registered.
fn comes_in_where_it_registered(stage: &Stage) {
    let gateways = stage.switch.api("sofia xmlstatus gateway");
    let registered = gateways.split("</gateway>").find(|gateway| gateway.contains("REGED")).unwrap();
    let name = registered.split("<name>").nth(1).unwrap().split('<').next().unwrap();
    let callee = stage.phone(1, "answer.xml", 60_100, "-");
    let (to, external) = (format!("gw+{name}"), stage.switch.external);
    let script = Script {
        scenario: "outside-registered.xml",
        target: external,
        port: *REGISTRAR,
        user: "+493012345678",
        password: "-",
        to: &to,
    };
    assert!(Phone::start(&script).succeeds(), "{}", stage.switch.log());
    assert!(callee.succeeds(), "the number's phone rang:\n{}", stage.switch.log());
}

fn menu(stage: &Stage) {
    let callee = stage.phone(2, "answer.xml", 60_200, "-");
    assert!(stage.phone(0, "call-press-1.xml", 60_000, "501").succeeds(), "{}", stage.switch.log());
    assert!(callee.succeeds(), "1 led to the third phone");
}

/// Phones are told to answer by themselves, and a call waits in a slot until somebody takes it.
fn intercom_page_and_park(stage: &Stage) {
    let called = stage.phone(1, "answer-intercom.xml", 60_100, "-");
    assert!(
        stage.phone(0, "call.xml", 60_000, &format!("*80{}", stage.numbers[1])).succeeds(),
        "{}",
        stage.switch.log()
    );
    assert!(called.succeeds(), "its INVITE says to answer at once");

    let paged = [(1, 60_100), (2, 60_200)].map(|(which, port)| stage.phone(which, "answer-intercom.xml", port, "-"));
    assert!(stage.phone(0, "call-long.xml", 60_000, "503").succeeds(), "{}", stage.switch.log());
    for phone in paged {
        assert!(phone.succeeds(), "paged:\n{}", stage.switch.log());
    }

    // When the one who took the call hangs up, the parked call ends. The scenario does not wait for that.
    let _parked = stage.phone(0, "call-long.xml", 60_000, "*6807");
    stage.until("the call is parked", |switch| switch.api("valet_info park@acme.test").contains(">7<"));
    assert!(stage.phone(1, "call.xml", 60_100, "*687").succeeds(), "{}", stage.switch.log());
    stage.until("nobody waits any more", |switch| !switch.api("valet_info park@acme.test").contains(">7<"));

    // The switch chooses the slot.
    let _parked = stage.phone(0, "call-long.xml", 60_000, "*68");
    stage.until("the call is parked", |switch| switch.api("valet_info park@acme.test").contains(">1<"));
    assert!(stage.phone(1, "call.xml", 60_100, "*6801").succeeds(), "{}", stage.switch.log());
    stage.until("nobody waits any more", |switch| !switch.api("valet_info park@acme.test").contains(">1<"));
}

/// The third phone rings, the second takes its call.
fn pickup(stage: &Stage) {
    let rings = stage.phone(2, "ring.xml", 60_200, "-");
    let caller = stage.phone(0, "call.xml", 60_000, &stage.numbers[2]);
    stage.until("it rings", |switch| switch.api("show channels").contains("pickup/"));
    // Its scenario would hang up itself, but the caller is quicker.
    let _picks = stage.phone(1, "call-long.xml", 60_100, &format!("*8{}", stage.numbers[2]));
    assert!(caller.succeeds(), "the caller spoke to somebody:\n{}", stage.switch.log());
    assert!(rings.succeeds(), "the phone that rang is told to stop");
}

fn conference(stage: &Stage) {
    let members =
        [(0, 60_000), (1, 60_100), (2, 60_200)].map(|(which, port)| stage.phone(which, "call-long.xml", port, "502"));
    stage.until("three are in the room", |switch| {
        switch.api("conference list").lines().filter(|line| line.contains("sofia/internal")).count() == 3
    });
    for member in members {
        assert!(member.succeeds());
    }
}
