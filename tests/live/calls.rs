//! The main job: from the first REGISTER to a message in a mailbox.

use std::{
    collections::HashSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    freeswitch,
    harness::{Answer, Database, Node},
    sipp::{self, Phone, Script},
    switch::Switch,
};

const DID: &str = "+12025550100";

/// A tenant with two extensions and a number, a node and a switch.
pub struct Stage {
    database: Database,
    pub node: Node,
    pub switch: Switch,
    pub tenant: Uuid,
    pub phones: Vec<Value>,
    /// The phones that the switch has told about their mailboxes. It does this once.
    told: Mutex<HashSet<(usize, u16)>>,
}

/// Sets up node and switch, and runs the test's play. The play waits for phones, which are processes, so it has its own thread,
/// and the node continues meanwhile.
pub async fn play(play: fn(&Stage)) {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let mut phones = Vec::new();
    for number in ["1000", "1001"] {
        phones.push(node.extension(tenant, json!({ "number": number, "ring_seconds": 5 })).await);
    }
    let number = json!({ "number": DID, "destination": { "kind": "extension", "id": phones[0]["id"] } });
    assert_eq!(node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), number).await.status, 201);
    let carrier = json!({ "name": "outside", "config": { "host": "127.0.0.1:9" } });
    assert_eq!(node.api("POST", "/v1/carriers", carrier).await.status, 201, "who calls from outside is a carrier's");
    let played = tokio::task::spawn_blocking(move || {
        let switch = Switch::boot(&binary, &node);
        let stage = Stage { database, node, switch, tenant, phones, told: Mutex::default() };
        play(&stage);
        let Stage { node, .. } = stage;
        node
    });
    played.await.unwrap().stop().await;
}

impl Stage {
    /// Sends a request to the API, from the play's own thread.
    pub fn api(&self, method: &str, path: &str, body: Value) -> Answer {
        wait(self.node.api(method, path, body))
    }

    pub fn phone(&self, which: usize, scenario: &str, port: u16, to: &str) -> Phone {
        let (user, password) =
            (self.phones[which]["sip_username"].as_str(), self.phones[which]["sip_password"].as_str());
        let target = if scenario.starts_with("outside") { self.switch.external } else { self.switch.internal };
        let (user, password) = (user.unwrap(), password.unwrap());
        Phone::start(&Script { scenario, target, port, user, password, to })
    }

    /// Calls a mailbox, and leaves a message there.
    pub fn leaves_message(&self, which: usize, port: u16, to: &str) -> bool {
        let before = self.switch.messages();
        let caller = self.phone(which, "call-message.xml", port, to);
        self.switch.takes_message(&before);
        caller.succeeds()
    }

    pub fn register(&self, which: usize, port: u16) -> bool {
        let registered = self.phone(which, "register.xml", port, "-").succeeds();
        if registered && self.told.lock().unwrap().insert((which, port)) {
            sipp::take_notify(port);
        }
        registered
    }

    /// Waits until a condition of the switch holds.
    pub fn until(&self, what: &str, holds: impl Fn(&Switch) -> bool) {
        let since = Instant::now();
        while !holds(&self.switch) {
            assert!(since.elapsed() < Duration::from_mins(1), "{what}:\n{}", self.switch.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

pub fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[actix_web::test]
async fn phones_register_call_each_other_and_leave_messages() {
    play(main_job).await;
}

fn main_job(stage: &Stage) {
    assert!(stage.register(0, 60_000) && stage.register(1, 60_100), "both phones register");
    let registered = stage.switch.api("sofia status profile internal reg");
    assert!(registered.contains("1000@acme.test") && registered.contains("1001@acme.test"), "{registered}");

    let callee = stage.phone(1, "answer.xml", 60_100, "-");
    assert!(stage.phone(0, "call.xml", 60_000, "1001").succeeds(), "1000 calls 1001");
    assert!(callee.succeeds(), "1001 answered and was hung up on");

    let callee = stage.phone(0, "answer.xml", 60_000, "-");
    assert!(stage.phone(1, "outside.xml", 60_300, DID).succeeds(), "a call to the DID from outside");
    assert!(callee.succeeds(), "1000 answered");

    assert!(stage.phone(0, "call-refused-404.xml", 60_000, "4711").succeeds(), "an unknown number");
    assert!(stage.phone(1, "outside-unallocated.xml", 60_300, "+12025550199").succeeds(), "an unknown DID");
    assert!(stage.phone(1, "outside-unallocated.xml", 60_300, "1000").succeeds(), "an extension is no DID");

    // Nobody answers at 1001 any more, so after five seconds the mailbox does.
    assert!(stage.leaves_message(0, 60_000, "1001"), "1000 leaves a message");
    stage.until("the message is in the box", |switch| switch.api("vm_boxcount 1001@acme.test|all").contains("1:0"));

    // Its owner listens to the message, with the PIN that was just set.
    let path = format!("/v1/tenants/{}/extensions/{}", stage.tenant, stage.phones[1]["id"].as_str().unwrap());
    assert_eq!(stage.api("PATCH", &path, json!({ "voicemail_pin": "802411" })).status, 200);
    assert!(stage.phone(1, "call-read-messages.xml", 60_100, "*97").succeeds(), "1001 reads its messages");
    stage.until("the message was heard", |switch| switch.api("vm_boxcount 1001@acme.test|all").contains("0:1"));

    wait(cdrs_arrive(&stage.database));
    assert!(stage.phone(0, "call.xml", 60_000, "9196").succeeds(), "the echo test");
    suspended_is_refused(stage);
    another_tenant_takes_no_calls_and_watches_none(stage);
    locked_down(stage);
}

#[actix_web::test]
async fn agents_phones_register_until_they_are_suspended() {
    play(onboarding).await;
}

/// Does what a script would do: makes three agents, whose phones register; then one is suspended and refused.
fn onboarding(stage: &Stage) {
    let agents = (0..3).map(|n| {
        let new = json!({ "first_name": "Agent", "last_name": format!("{n}"), "email": format!("a{n}@acme.test") });
        let made = stage.api("POST", &format!("/v1/admin/agents?tenant_id={}", stage.tenant), new);
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()
    });
    let agents = agents.collect::<Vec<_>>();
    let registers = |agent: &Value, port| {
        let phone = &agent["extensions"][0];
        let (user, password) = (phone["sip_username"].as_str().unwrap(), phone["sip_password"].as_str().unwrap());
        let target = stage.switch.internal;
        Phone::start(&Script { scenario: "register.xml", target, port, user, password, to: "-" }).succeeds()
    };
    for (agent, port) in agents.iter().zip([60_000, 60_100, 60_200]) {
        assert!(registers(agent, port), "{}", agent["extensions"][0]["number"]);
    }
    let registered = stage.switch.api("sofia status profile internal reg");
    for agent in &agents {
        let user = agent["extensions"][0]["sip_username"].as_str().unwrap();
        assert!(registered.contains(&format!("{user}@acme.test")), "{registered}");
    }
    let path = format!("/v1/admin/agents/{}?tenant_id={}", agents[1]["id"].as_str().unwrap(), stage.tenant);
    assert_eq!(stage.api("PATCH", &path, json!({ "status": "suspended" })).status, 200);
    assert!(!registers(&agents[1], 60_100), "suspended: the next REGISTER is refused");
    assert!(registers(&agents[2], 60_200), "the others go on");
    assert_eq!(stage.api("PATCH", &path, json!({ "status": "active" })).status, 200);
    assert!(registers(&agents[1], 60_100), "active again");
}

/// Checks that the records of both legs came, and that they show media to the caller.
async fn cdrs_arrive(database: &Database) {
    let mut db = database.connect().await;
    let since = Instant::now();
    loop {
        let bodies = sqlx::query_scalar::<_, Vec<u8>>("select body from cdr_inbox").fetch_all(&mut db).await.unwrap();
        let records = bodies.iter().map(|body| serde_json::from_slice::<Value>(body).unwrap()).collect::<Vec<_>>();
        let heard = |record: &Value| {
            let variables = &record["variables"];
            let packets = variables["rtp_audio_out_packet_count"].as_str().and_then(|n| n.parse::<u64>().ok());
            variables["direction"] == "inbound" && variables["last_app"] == "bridge" && packets.unwrap_or_default() > 20
        };
        if records.len() >= 4 && records.iter().any(heard) {
            return;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{} records, none with sound", records.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Checks that a suspended phone's next REGISTER is refused, and also a call to it.
fn suspended_is_refused(stage: &Stage) {
    let path = format!("/v1/tenants/{}/extensions/{}", stage.tenant, stage.phones[1]["id"].as_str().unwrap());
    let answer = stage.api("PATCH", &path, json!({ "status": "suspended" }));
    assert_eq!(answer.status, 200);
    assert!(stage.phone(1, "register-refused.xml", 60_100, "-").succeeds(), "a suspended phone is refused");
    assert!(stage.phone(0, "call-refused-480.xml", 60_000, "1001").succeeds(), "a call to a suspended phone");
    let answer = stage.api("PATCH", &path, json!({ "status": "active" }));
    assert_eq!(answer.status, 200);
    assert!(stage.register(1, 60_100), "active again");
}

/// Checks that another tenant's phone with the same number can't register as ours, which would give it our calls, and can't watch
/// ours.
fn another_tenant_takes_no_calls_and_watches_none(stage: &Stage) {
    let tenant = wait(stage.node.tenant("beta.test"));
    let thief = wait(stage.node.extension(tenant, json!({ "number": "1001" })));
    let password = thief["sip_password"].as_str().unwrap();
    let script =
        |scenario| Script { scenario, target: stage.switch.internal, port: 60_400, user: "1001", password, to: "-" };
    assert!(Phone::start(&script("register-as-another-tenant.xml")).succeeds(), "refused");
    let registered = stage.switch.api("sofia status profile internal reg");
    // With the colon: a Call-ID has the number of a process.
    assert!(!registered.contains(&format!(":{}", sipp::at_place(60_400))), "{registered}");
    // Nor can it see who calls whom here; a colleague can.
    let watch = Script { to: "1000", ..script("watch-as-another-tenant.xml") };
    assert!(Phone::start(&watch).succeeds(), "refused");
    assert!(stage.phone(1, "watch.xml", 60_100, "1000").succeeds(), "1001 watches 1000");
}

/// Checks that the switch's own commands give no access.
fn locked_down(stage: &Stage) {
    let switch = &stage.switch;
    assert!(!switch.lets_in("ClueCon"), "the event socket has no default password");
    assert!(switch.api("system id").contains("-ERR"), "no shell over the API");
    let applications = switch.api("show application");
    let shell = applications.lines().find(|line| line.starts_with("system,") || line.starts_with("bgsystem,"));
    assert!(shell.is_none(), "an application that runs commands: {shell:?}");
    let expanded = switch.api("expand echo ${hostname()}");
    assert!(expanded.contains("Permission Denied"), "no API calls from data: {expanded}");
    let log = switch.log();
    let errors = log.lines().filter(|line| line.contains("[ERR]") || line.contains("[CRIT]")).collect::<Vec<_>>();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Names with any accepted characters, different in each run.
fn generated_names(count: usize) -> Vec<String> {
    use dialplane::text::{CallerName, DisplayName, Variable};
    use proptest::{
        strategy::{Strategy as _, ValueTree as _},
        test_runner::TestRunner,
    };
    let accepted = |text: &String| {
        DisplayName::parse(text).is_ok_and(|name| name.as_str() == text)
            && CallerName::parse(text).is_ok()
            && Variable::parse("presence_data", text).is_ok_and(|variable| variable.value() == text)
    };
    let names = "[\\PC!?#*+=,:/()@~. -]{1,60}".prop_filter("accepted as a name", accepted);
    let mut runner = TestRunner::default();
    (0..count).map(|_| names.new_tree(&mut runner).unwrap().current()).collect()
}

/// A real switch reads an answer as it was meant, with its own preprocessor, parser and printer.
#[actix_web::test]
async fn the_switch_reads_what_was_meant() {
    play(differential).await;
}

fn differential(stage: &Stage) {
    let names = [
        "José Ñandú",
        "王小明",
        "R+D, Halle #3",
        "a!b ?c",
        "x (y) ~z",
        "- -- -",
        "Ops / 24x7 = on",
        "Müller*Söhne",
        "مرحبا",
        "emoji 😀",
        "include",
        "trailing !",
        "!leading",
        "preprocess",
        "a,b:c@d",
        "100 + 1",
    ];
    let names = names.into_iter().map(ToOwned::to_owned).chain(generated_names(200)).collect::<Vec<_>>();
    for (n, name) in names.iter().enumerate() {
        let number = (2000 + n).to_string();
        let variables = json!({ "presence_data": name, "toll_allow": "a,b" });
        let new = json!({ "number": number, "display_name": name, "variables": variables, "caller_id_name": name });
        wait(stage.node.extension(stage.tenant, new));
        let read = stage.switch.api(&format!("find_user_xml id {number} acme.test"));
        let value = |variable: &str| {
            let mark = format!("<variable name=\"{variable}\" value=\"");
            let rest = read.split(&mark).nth(1).unwrap_or_else(|| panic!("{variable} of {name} is missing in {read}"));
            let raw = rest.split('"').next().unwrap();
            quick_xml::escape::unescape(raw).unwrap().into_owned()
        };
        for variable in ["effective_caller_id_name", "outbound_caller_id_name", "presence_data"] {
            assert_eq!(value(variable), *name, "{name:?} {read}");
        }
        assert_eq!(value("user_context"), "acme.test");
        assert_eq!(read.matches("<variable ").count(), 13, "{read}");
    }
    let route = stage.switch.api("xml_locate directory domain name acme.test");
    assert!(route.contains("<domain name=\"acme.test\""), "{route}");
    let unknown = stage.switch.api("user_exists id 4711 acme.test");
    assert_eq!(unknown, "false");
    assert_eq!(stage.switch.api("user_exists id 1000 acme.test"), "true");
    assert_eq!(stage.switch.api("user_exists id 1000 nobody.test"), "false");
    assert_eq!(stage.switch.api("domain_exists acme.test"), "true");
    assert_eq!(stage.switch.api("domain_exists nobody.test"), "false");
}

/// The profile for phones starts only with certificates, and takes them from the folder that the switch was started with.
#[actix_web::test]
async fn phones_get_tls_with_the_certificates_in_the_folder_that_the_switch_was_given() {
    play(certificates).await;
}

fn certificates(stage: &Stage) {
    let folder = stage.switch.folder.join("certs");
    assert!(folder.join("wss.pem").exists(), "{:?}", std::fs::read_dir(&folder).unwrap().collect::<Vec<_>>());
    let profile = stage.switch.api("sofia status profile internal");
    assert!(profile.contains("WSS-BIND-URL"), "{profile}");
    let port = stage.switch.internal + 8;
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), "nobody listens at {port}: {profile}");
}

/// Phones and strangers who write the domain in capitals: neither locks the other out, whoever comes first.
#[actix_web::test]
async fn a_stranger_who_spells_a_domain_in_another_way_locks_no_phone_out() {
    play(spellings).await;
}

fn spellings(stage: &Stage) {
    let port = 60_500;
    let text = |which: usize, name: &str| stage.phones[which][name].as_str().unwrap().to_owned();
    let register = |which: usize, domain: &str, password: &str, scenario: &str| {
        let user = text(which, "sip_username");
        let script = Script { scenario, target: stage.switch.internal, port, user: &user, password, to: "-" };
        let done = Phone::start_at("127.0.0.1", &script, &["-key", "home", domain]).succeeds();
        assert!(done, "{scenario} at {domain}:\n{}", stage.switch.log());
    };
    // Nothing is kept at first, so each stranger's question is the first one in its spelling.
    for (at, domain) in ["ACME.TEST", "Acme.Test", "acme.TEST"].into_iter().enumerate() {
        register(0, domain, "wrong", "register-at-refused.xml");
        register(0, "acme.test", &text(0, "sip_password"), "register-at.xml");
        // A phone that is set to that spelling works as well, before and after others.
        register(0, domain, &text(0, "sip_password"), "register-at.xml");
        register(1, domain, "wrong", "register-at-refused.xml");
        register(1, domain, &text(1, "sip_password"), "register-at.xml");
        // A change makes all kept answers void.
        let path = format!("/v1/tenants/{}/extensions/{}", stage.tenant, text(1, "id"));
        assert_eq!(stage.api("PATCH", &path, json!({ "ring_seconds": 6 + at })).status, 200);
    }
    register(1, "acme.test", &text(1, "sip_password"), "register-at.xml");
}
