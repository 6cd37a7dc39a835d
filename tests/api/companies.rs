//! A tenant as one file: `apply` makes it so, `export` writes it, and doing both changes nothing.

use std::{fmt::Write as _, process::Output, time::Instant};

use serde_json::{Value, json};

use crate::{
    command_line::CommandLine,
    harness::{Database, Node, key_file},
    over_the_network::remote,
};

const ACME: &str = r#"
tenant: { domain: acme.test, name: Acme, external_id: customer-1, metadata: { plan: gold } }
settings: { time_zone: Europe/Berlin, country: DE }
retention: { recordings_days: 90 }
usage_limits: { calls: 4000, storage_bytes: null }
pools: [{ first_number: 2000, last_number: 2999 }]
reserved_numbers: [{ number: "2003", reason: the boss }]
webhooks:
  - { url: "https://crm.test/told", description: The CRM, topics: ["call:ended", "call:incoming"], external_id: hook-1, metadata: { team: "text:group:sales" } }
extensions:
  - { number: "2000", ring_seconds: 40, external_id: phone-1, metadata: { room: "2.01" } }
  - { number: "700", display_name: Door, sip_username: door, calls: { do_not_disturb: true } }
agents:
  - { email: ada@acme.test, first_name: Ada, last_name: Lovelace, role: manager, extensions: ["2000", "2001"], external_id: hr-1,
      metadata: { floor: "3", team: "text:group:sales" } }
  - { email: Grace@acme.test, first_name: Grace, last_name: Hopper, extensions: ["2002"], status: suspended }
groups:
  - { name: sales, number: "3000", members: ["extension:2000", "extension:2002"], otherwise: { to: "queue:Support" } }
destinations:
  - kind: queue
    name: Support
    config: { strategy: longest_idle, tiers: [{ extension_id: "extension:2001" }], overflow: { to: "ivr:Main" } }
  - kind: ivr
    name: Main
    number: "4000"
    config: { greeting: { file: "ivr/hello.wav" }, entries: { "1": { to: "group:sales" }, "2": { to: "ivr:More" } } }
  - kind: ivr
    name: More
    config: { greeting: { file: "ivr/hello.wav" }, entries: { "0": { to: "ivr:Main" } } }
numbers:
  - number: "+4930123456"
    destination: { to: "ivr:Main" }
    assignment: { agent_id: "agent:ada@acme.test", daily_limit: 50 }
dialplan_entries:
  - name: lobby
    position: 10
    conditions: [{ field: destination_number, pattern: "^77$", actions: [{ application: answer }] }]
"#;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The audit log and the versions of everything: they change if anything is written.
async fn written(database: &Database) -> Vec<i64> {
    let mut seen = vec![database.count("select count(*) from audit_log").await];
    for query in [
        "select coalesce(sum(version), 0)::bigint from tenants",
        "select coalesce(sum(version), 0)::bigint from extensions",
        "select coalesce(sum(version), 0)::bigint from users",
        "select coalesce(sum(version), 0)::bigint from groups",
        "select coalesce(sum(version), 0)::bigint from destinations",
        "select coalesce(sum(version), 0)::bigint from numbers",
        "select coalesce(sum(version), 0)::bigint from webhooks",
        "select coalesce(sum(version), 0)::bigint from usage_limits",
        "select coalesce(sum(generation), 0)::bigint from generation",
    ] {
        seen.push(database.count(query).await);
    }
    seen
}

#[actix_web::test]
async fn applying_a_file_twice_or_an_export_changes_nothing() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let cli = CommandLine::on(&database);
    std::fs::copy(key_file(), cli.folder.join("secret.key")).unwrap();
    let url = format!("http://{}", node.app.app_address);
    let far = async |words: &[&str], input: &str| {
        remote(&cli, &[("DIALPLANE_URL", url.as_str()), ("DIALPLANE_KEY", node.key.as_str())], words, input).await
    };
    let near = async |words: &[&str], input: &str| {
        let words = [words, &["--data-dir", cli.folder.to_str().unwrap()]].concat();
        remote(&cli, &[("DATABASE_URL", cli.url.as_str())], &words, input).await
    };
    let before = written(&database).await;
    let tried = far(&["apply", "-f", "-", "--dry-run"], ACME).await;
    assert!(tried.status.success() && said(&tried).contains("+ agent ada@acme.test"), "{}", said(&tried));
    assert_eq!(written(&database).await, before, "a dry run writes nothing");
    let first = far(&["apply", "-f", "-"], ACME).await;
    assert!(first.status.success(), "{}", said(&first));
    let then = written(&database).await;
    let again = far(&["apply", "-f", "-"], ACME).await;
    assert!(said(&again).contains("0 created, 0 changed, 0 deleted"), "{}", said(&again));
    assert_eq!(written(&database).await, then);

    let exported = far(&["export", "--tenant", "acme.test", "--as", "yaml"], "").await;
    let file = String::from_utf8(exported.stdout.clone()).unwrap();
    for part in [
        "extension:2000",
        "to: group:sales",
        "to: ivr:Main",
        "agent:ada@acme.test",
        "Grace@acme.test",
        "suspended",
        "\nsettings:\n",
        "recordings_days: 90",
        "calls_days: null",
        "calls: 4000",
        "reason: the boss",
        "url: https://crm.test/told",
    ] {
        assert!(file.contains(part), "{part}: {file}");
    }
    assert!(!file.contains("sip_password") && !file.contains("version"), "{file}");
    let at_database = near(&["export", "--tenant", "acme.test", "--as", "yaml"], "").await;
    assert_eq!(said(&at_database), said(&exported));
    let as_json = near(&["export", "--tenant", "acme.test", "--as", "json"], "").await;
    for (is_far, file) in [(true, &file), (false, &file), (false, &said(&as_json))] {
        let words = ["apply", "-f", "-", "--prune", "--json"];
        let report = if is_far { far(&words, file).await } else { near(&words, file).await };
        let report =
            serde_json::from_slice::<Value>(&report.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&report)));
        assert_eq!((&report["created"], &report["updated"], &report["deleted"]), (&json!([]), &json!([]), &json!([])));
    }
    assert_eq!(written(&database).await, then, "no row, no version, no generation");

    // The same file makes another tenant the same. Addresses, phone numbers and external ids of tenants belong to one.
    let other = file.replace("acme.test", "other.test").replace("customer-1", "customer-2");
    let other = other.replace("+4930123456", "+4930123457");
    let made = near(&["apply", "-f", "-"], &other).await;
    assert!(made.status.success(), "{}", said(&made));
    let exported = far(&["export", "--tenant", "other.test", "--as", "yaml"], "").await;
    assert_eq!(said(&exported), other);
    node.stop().await;
}

#[actix_web::test]
async fn a_changed_file_changes_what_differs_and_prune_deletes_the_rest() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.run(&["migrate"]);
    let run = async |words: &[&str], input: &str| {
        let words = [words, &["--data-dir", cli.folder.to_str().unwrap()]].concat();
        remote(&cli, &[("DATABASE_URL", cli.url.as_str())], &words, input).await
    };
    let first = run(&["apply", "-f", "-"], ACME).await;
    assert!(first.status.success(), "{}", said(&first));
    let without_grace = ACME.lines().filter(|line| !line.contains("Grace")).collect::<Vec<_>>().join("\n");
    let changed = without_grace
        .replace("ring_seconds: 40", "ring_seconds: 41")
        .replace(", \"extension:2002\"", "")
        .replace("Door", "Gate")
        .replace("floor: \"3\", ", "")
        .replace("plan: gold", "plan: silver")
        .replace("the boss", "the lift")
        .replace("recordings_days: 90", "recordings_days: null")
        .replace("calls: 4000", "calls: 5000")
        .replace("\"call:ended\", \"call:incoming\"", "\"call:incoming\"");
    let tried = run(&["apply", "-f", "-", "--prune", "--dry-run"], &changed).await;
    let tried = said(&tried);
    for line in [
        "~ tenant: metadata\n",
        "~ retention: recordings_days\n",
        "~ usage_limits: calls\n",
        "~ reserved number 2003: reason\n",
        "~ webhook https://crm.test/told: topics\n",
        "~ agent ada@acme.test: metadata\n",
        "~ extension 2000: ring_seconds\n",
        "~ extension 700: display_name\n",
        "~ group sales: members\n",
        "- agent grace@acme.test\n",
    ] {
        assert!(tried.contains(line), "{line}: {tried}");
    }
    let unsure = run(&["apply", "-f", "-", "--prune"], &changed).await;
    assert!(!unsure.status.success() && said(&unsure).contains("--yes"), "{}", said(&unsure));
    let kept = run(&["apply", "-f", "-"], &changed).await;
    assert!(kept.status.success() && said(&kept).contains("--prune deletes them"), "{}", said(&kept));
    assert_eq!(cli.json(&["agent", "list", "--tenant", "acme.test"]).as_array().unwrap().len(), 2);
    let pruned = run(&["apply", "-f", "-", "--prune", "--yes"], &changed).await;
    assert!(pruned.status.success(), "{}", said(&pruned));
    assert_eq!(cli.json(&["agent", "list", "--tenant", "acme.test"]).as_array().unwrap().len(), 1);
    assert_eq!(cli.json(&["extension", "show", "700", "--tenant", "acme.test"])["display_name"], "Gate");
    let ada = cli.json(&["agent", "show", "ada@acme.test", "--tenant", "acme.test"]);
    assert_eq!((&ada["external_id"], &ada["metadata"]), (&json!("hr-1"), &json!({ "team": "group:sales" })));
    let again = run(&["apply", "-f", "-", "--prune"], &changed).await;
    assert!(said(&again).contains("0 created, 0 changed, 0 deleted"), "{}", said(&again));
    // The tenant has what the file has, and nothing else.
    let nothing = "agents: []\nextensions: []\ngroups: []\ndestinations: []\nnumbers: []\ndialplan_entries: []\n\
                   reserved_numbers: []\nwebhooks: []\n";
    let emptied = run(&["apply", "-f", "-", "--tenant", "acme.test", "--prune", "--yes"], nothing).await;
    assert!(emptied.status.success(), "{}", said(&emptied));
    for noun in ["agent", "extension", "group", "destination", "number", "dialplan-entry"] {
        assert_eq!(cli.json(&[noun, "list", "--tenant", "acme.test"]), json!([]), "{noun}");
    }
    assert_eq!(cli.json(&["webhook", "list"]), json!([]));
    // The numbers of whoever was deleted rest, and are free again by themselves.
    let held = cli.json(&["reserved-number", "list", "--tenant", "acme.test"]);
    let is_resting = |held: &Value| held["until"].is_string() && held["number"] != "2003";
    assert!(held.as_array().unwrap().iter().all(is_resting), "{held}");
}

#[actix_web::test]
async fn a_wrong_file_is_refused_with_its_place_before_anything_is_written() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    let before = written(&database).await;
    for (file, part) in [
        ("extensions: [{ number: 1000 }]", "extensions[0].number is a text: write it in quotes"),
        ("extensions: [{ number: '1000', nunber: '1' }]", "has nunber, which is no field of it: it may have number,"),
        ("extensions: [{ display_name: x }]", "extensions[0] has no number"),
        ("extensions: [{ number: '1' }, { number: '1' }]", "the extension 1 is there twice"),
        ("extensoins: []", "the file has extensoins, which is no section"),
        ("groups: [{ name: sales, members: ['extension:1000'] }]", "group sales: there is no extension:1000"),
        ("retention: { call_days: 3 }", "retention has call_days, which is no field of it: it may have"),
        ("usage_limits: 5", "usage_limits is not an object"),
        (
            "webhooks: [{ url: 'https://a.test/', topics: ['call:ended'], tenant_id: x }]",
            "webhooks[0] has tenant_id, which is no field of it",
        ),
        ("groups: {", "can't be read"),
        ("- 1", "the file has no sections"),
    ] {
        let path = cli.folder.join("file.yaml");
        std::fs::write(&path, file).unwrap();
        let refused = cli.run(&["apply", "--tenant", "acme.test", "-f", path.to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(2), "{file}: {}", said(&refused));
        assert!(said(&refused).contains(part), "{file}: {}", said(&refused));
    }
    assert_eq!(cli.run(&["apply", "-f", "/nowhere/x.yaml"]).status.code(), Some(1));
    assert_eq!(written(&database).await, before);
    // Two that nobody can tell apart.
    let hook = ["webhook", "create", "--set-url", "https://a.test/", "--topics", "call:ended", "--tenant", "acme.test"];
    for _ in 0..2 {
        cli.json(&hook);
    }
    let before = written(&database).await;
    let path = cli.folder.join("file.yaml");
    std::fs::write(&path, "webhooks: [{ url: 'https://a.test/', topics: ['call:incoming'] }]").unwrap();
    let refused = cli.run(&["apply", "--tenant", "acme.test", "-f", path.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("webhook https://a.test/: the tenant has it twice"), "{}", said(&refused));
    assert_eq!(written(&database).await, before);
}

/// A company of a usual size. In a release build, the first takes at most three seconds and the second half a second.
#[actix_web::test]
async fn a_company_of_five_hundred_people_is_applied_and_then_only_compared() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.run(&["migrate"]);
    let mut file =
        "tenant: { domain: big.test }\npools: [{ first_number: 20000, last_number: 29999 }]\nagents:\n".to_owned();
    for n in 0..500 {
        let _ = writeln!(
            file,
            "  - {{ email: p{n}@big.test, first_name: P, last_name: N{n}, extensions: ['{}'] }}",
            20000 + n
        );
    }
    file.push_str("groups:\n");
    for group in 0..20 {
        let members = (0..25).map(|n| format!("'extension:{}'", 20000 + group * 25 + n)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(file, "  - {{ name: team{group}, number: '{}', members: [{members}] }}", 3000 + group);
    }
    file.push_str("numbers:\n");
    for n in 0..50 {
        let _ = writeln!(
            file,
            "  - {{ number: '+4930{}', destination: {{ to: 'extension:{}' }} }}",
            1_000_000 + n,
            20000 + n
        );
    }
    let path = cli.folder.join("big.yaml");
    std::fs::write(&path, file).unwrap();
    let apply = || {
        let since = Instant::now();
        let report = cli.json(&["apply", "-f", path.to_str().unwrap()]);
        println!("applied in {:?}", since.elapsed());
        (report, since.elapsed())
    };
    let (first, took) = apply();
    assert!(first["created"].as_array().unwrap().len() > 570);
    let then = written(&database).await;
    let (again, took_again) = apply();
    // Unoptimised, it takes many times as long.
    if !cfg!(debug_assertions) {
        assert!(took.as_secs_f64() <= 3.0 && took_again.as_secs_f64() <= 0.5, "{took:?}, {took_again:?}");
    }
    assert_eq!((&again["created"], &again["updated"]), (&json!([]), &json!([])));
    assert_eq!(written(&database).await, then);
}
