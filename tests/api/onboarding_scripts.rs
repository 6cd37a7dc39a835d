//! A company is set up and kept equal to a file by `docs/onboarding`, with clients that are generated from the description.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value, json};

use crate::harness::{Database, Node, skipped};

/// The exit code of `script/clients` if it can't run here.
const NOT_HERE: i32 = 75;

/// The folder of the generated clients, deleted with the test.
struct Clients(PathBuf);

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn clients(node: &Node) -> Option<Clients> {
    let folder = std::env::temp_dir().join(format!("dialplane-clients-{}", uuid::Uuid::now_v7().simple()));
    let mut script = tokio::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/script/clients"));
    script.arg(format!("http://{}", node.app.app_address)).arg(&folder).stdin(Stdio::null());
    let output = script.output().await.unwrap();
    let clients = Clients(folder);
    if output.status.code() == Some(NOT_HERE) {
        skipped("the generators of script/clients can't be installed here");
        return None;
    }
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(clients)
}

fn person(n: usize, domain: &str) -> Value {
    json!({ "email": format!("p{n}@{domain}"), "first_name": "Person", "last_name": format!("No {n}") })
}

/// A company like the one in docs/onboarding, with so many people. `digit` makes its number and carrier its own.
fn company(domain: &str, digit: usize, people: usize) -> Value {
    let shown = include_str!("../../docs/onboarding/company.json");
    let shown = shown.replace("acme.example", domain).replace("+12025550130", &format!("+1202555013{digit}"));
    let shown = shown.replace("Carrier One", &format!("Carrier {digit}"));
    let mut company = serde_json::from_str::<Value>(&shown).unwrap();
    let all = company["people"].as_array_mut().unwrap();
    let more = people - all.len();
    all.extend((0..more).map(|n| person(n, domain)));
    company
}

struct Script<'a> {
    node: &'a Node,
    program: PathBuf,
    file: PathBuf,
}

impl<'a> Script<'a> {
    fn new(node: &'a Node, clients: &Path, language: &str) -> Self {
        let program = clients.join(format!("onboard-{language}"));
        Self { node, program, file: clients.join(format!("company-{language}.json")) }
    }

    fn command(&self, company: &Value) -> tokio::process::Command {
        std::fs::write(&self.file, company.to_string()).unwrap();
        let mut command = tokio::process::Command::new(&self.program);
        command.arg(format!("http://{}", self.node.app.app_address)).arg(&self.file);
        command.env("DIALPLANE_KEY", &self.node.key).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, company: &Value) -> Value {
        let output = self.command(company).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
        // A company in the United States calls no other country until its settings say so.
        for (number, result) in
            [("650", "queue"), ("690", "ivr"), ("+1202", "on_net"), ("+493012345678", "country"), ("112", "emergency")]
        {
            let mut lines = said.lines().filter(|line| line.contains(&format!(" calls {number}")));
            assert!(lines.any(|line| line.ends_with(&format!(": {result}"))), "{number}: {said}");
        }
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

async fn traces(database: &Database) -> (i64, i64) {
    let audit = database.count("select count(*) from audit_log").await;
    (audit, database.count("select coalesce(sum(generation), 0)::bigint from generation").await)
}

/// What a company came to, without ids.
async fn shape(node: &Node, tenant: &Value) -> Value {
    let tenant = tenant.as_str().unwrap();
    let list = async |path: String| node.api("GET", &path, Value::Null).await.items();
    let names = |items: Value, field: &str| {
        let mut names = items.as_array().unwrap().iter().map(|item| item[field].clone()).collect::<Vec<_>>();
        names.sort_by_key(ToString::to_string);
        names
    };
    let people = list(format!("/v1/admin/agents?tenant_id={tenant}&limit=200")).await;
    let phones = people.as_array().unwrap().iter().map(|person| person["extensions"].as_array().unwrap().len());
    let groups = list(format!("/v1/tenants/{tenant}/groups")).await;
    let numbers = list(format!("/v1/phone-numbers?tenant_id={tenant}")).await;
    json!({
        "phones": phones.sum::<usize>(),
        "people": names(people.clone(), "last_name"),
        "members": groups[0]["members"].as_array().unwrap().len(),
        "groups": names(groups, "name"),
        "destinations": names(list(format!("/v1/tenants/{tenant}/destinations")).await, "name"),
        "pools": names(list(format!("/v1/tenants/{tenant}/pools")).await, "first_number").len(),
        "lead to": numbers[0]["destination"]["kind"],
        "limit": numbers[0]["assignment"]["daily_limit"],
        "numbers": numbers.as_array().unwrap().len(),
    })
}

#[actix_web::test]
async fn scripts_with_generated_clients_set_a_company_up_and_keep_it_equal_to_its_file() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let Some(clients) = clients(&node).await else { return node.stop().await };
    for (language, digit) in [("python", 0), ("typescript", 2)] {
        let script = Script::new(&node, &clients.0, language);
        let domain = format!("{language}.test");
        let mut wanted = company(&domain, digit, 25);
        let made = script.run(&wanted).await;
        let first = shape(&node, &made["tenant"]).await;
        assert_eq!((&first["phones"], &first["members"], &first["numbers"]), (&json!(25), &json!(2), &json!(1)));
        let before = traces(&database).await;
        assert_eq!(script.run(&wanted).await["tenant"], made["tenant"]);
        assert_eq!(traces(&database).await, before, "{language}: the second run writes nothing");

        // The next night: a hundred people are added, then a hundred are renamed, and two leave who are in groups and queues.
        wanted["people"].as_array_mut().unwrap().extend((100..200).map(|n| person(n, &domain)));
        script.run(&wanted).await;
        let people = wanted["people"].as_array_mut().unwrap();
        people.retain(|person| !["Turing", "Noether"].contains(&person["last_name"].as_str().unwrap()));
        for person in people.iter_mut().rev().take(100) {
            person["last_name"] = json!(format!("Renamed {}", person["last_name"].as_str().unwrap()));
        }
        let synced = script.run(&wanted).await;
        let asked = |what: &str| synced["requests"][what].as_u64().unwrap();
        assert!(asked("people") <= 5, "{language}: {synced}");
        // Whatever the number of people: each of the other things is looked at or put once, and five calls are explained.
        assert!((10..=30).contains(&asked("all")), "{language}: {synced}");
        let now = shape(&node, &made["tenant"]).await;
        assert_eq!((&now["phones"], &now["members"]), (&json!(123), &json!(1)));
        let before = traces(&database).await;
        script.run(&wanted).await;
        assert_eq!(traces(&database).await, before, "{language}");

        // Killed in the middle and run again, it comes to the same end.
        let wanted = company(&format!("again-{domain}"), digit + 1, 25);
        let (audited, _) = traces(&database).await;
        let mut child = script.command(&wanted).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while traces(&database).await.0 < audited + 10 && child.try_wait().unwrap().is_none() {}
        child.kill().await.unwrap();
        let made = script.run(&wanted).await;
        assert_eq!(shape(&node, &made["tenant"]).await, first, "{language}");
    }
    node.stop().await;
}
