//! Commands over the API: the same as at the database.

use std::{
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::{
    command_line::CommandLine,
    harness::{Database, Node, key_file, skipped},
};

/// A command line at the database of a running node.
fn beside(database: &Database) -> CommandLine {
    let cli = CommandLine::on(database);
    std::fs::copy(key_file(), cli.folder.join("secret.key")).unwrap();
    cli
}

/// A command over the API, with a home of its own and nothing else. The node goes on meanwhile.
pub async fn remote(cli: &CommandLine, variables: &[(&str, &str)], words: &[&str], input: &str) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_dialplane"));
    command.args(words).env_remove("DATABASE_URL").env("HOME", &cli.folder);
    command
        .env("XDG_CONFIG_HOME", cli.folder.join("settings"))
        .envs(variables.iter().copied())
        .current_dir(&cli.folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that takes no input may have ended.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[actix_web::test]
async fn commands_say_the_same_over_the_api_and_at_the_database() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (url, cli) = (format!("http://{}", node.app.app_address), beside(&database));
    let access = [("DIALPLANE_URL", url.as_str()), ("DIALPLANE_KEY", node.key.as_str())];
    let made = async |words: &[&str]| {
        let output = remote(&cli, &access, &[words, &["--json"]].concat(), "").await;
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let acme = ["--tenant", "acme.test"];
    made(&["tenant", "create", "--domain", "acme.test", "--name", "Acme"]).await;
    let extension = made(&[&["extension", "create", "--number", "1000"], &acme[..]].concat()).await;
    let group = ["group", "create", "--name", "sales", "--members", extension["id"].as_str().unwrap()];
    made(&[&group[..], &acme].concat()).await;
    let number = ["number", "create", "--number", "(202) 555-0100", "--extension", "1000"];
    assert_eq!(made(&[&number[..], &acme].concat()).await["destination"]["id"], extension["id"]);
    let config = r#"{"strategy":"longest_idle","tiers":[]}"#;
    let queue = ["destination", "create", "--kind", "queue", "--name", "Support", "--set-config", config];
    made(&[&queue[..], &acme].concat()).await;
    let ada = ["agent", "create", "--first-name", "Ada", "--last-name", "L", "--email", "ada@acme.test"];
    let ada = made(&[&ada[..], &acme].concat()).await;
    let assigned =
        made(&[&["number", "assign", "+12025550100", "--agent-id", ada["id"].as_str().unwrap()], &acme[..]].concat())
            .await;
    assert_eq!(assigned["assignment"]["agent_id"], ada["id"]);
    made(&["cluster", "create", "--name", "eu", "--region", "eu", "--max-tenants", "10"]).await;
    made(&["carrier", "create", "--name", "trunk", "--set-config", r#"{"host":"carrier.test"}"#]).await;
    for words in [
        &["tenant", "list"][..],
        &["tenant", "show", "acme.test"],
        &["extension", "list", "--tenant", "acme.test"],
        &["extension", "show", "1000", "--tenant", "acme.test"],
        &["agent", "list", "--tenant", "acme.test", "--search", "ada"],
        &["agent", "show", "ada@acme.test", "--tenant", "acme.test"],
        &["group", "show", "sales", "--tenant", "acme.test"],
        &["number", "list", "--tenant", "acme.test"],
        &["number", "show", "+12025550100", "--tenant", "acme.test"],
        &["destination", "list", "--tenant", "acme.test"],
        &["destination", "show", "Support", "--tenant", "acme.test"],
        &["pool", "list", "--tenant", "acme.test"],
        &["settings", "show", "--tenant", "acme.test"],
        &["retention", "show", "--tenant", "acme.test"],
        &["template", "list"],
        &["template", "show", "default"],
        &["cluster", "show", "eu"],
        &["cluster-configuration", "list", "--cluster", "eu"],
        &["carrier", "show", "trunk"],
        &["audit", "list", "--tenant", "acme.test", "--limit", "2"],
        &["key", "list"],
        &["switch", "list"],
        &["reserved-number", "list", "--tenant", "acme.test"],
        &["carrier-rate", "list", "--carrier", "trunk"],
        &["agent", "list"],
        // The same for things that don't exist.
        &["extension", "show", "9999", "--tenant", "acme.test"],
        &["tenant", "show", "nobody.test"],
        &["carrier", "delete", "nobody"],
        &["key", "show", "nope"],
    ] {
        for more in [&[][..], &["--json"]] {
            let words = [words, more].concat();
            let (far, near) = (remote(&cli, &access, &words, "").await, cli.run(&words));
            // Only the place differs.
            let same = |output: &Output| {
                let said = said(output);
                said.lines()
                    .filter(|line| !line.starts_with("None found in "))
                    .map(ToOwned::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!((far.status.code(), same(&far)), (near.status.code(), same(&near)), "{words:?}");
        }
    }
    let report = made(&[&["report", "show", "--by", "agent", "--since", "2026-01-01"], &acme[..]].concat()).await;
    assert_eq!((&report["since"], &report["rows"]), (&json!("2026-01-01"), &json!([])));
    assert_eq!(made(&[&["tenant-usage", "show"], &acme[..]].concat()).await["extensions"], json!(2));
    let changed =
        made(&["extension", "update", "1000", "--tenant", "acme.test", "ring_seconds=40", "display_name=true"]).await;
    assert_eq!((&changed["ring_seconds"], &changed["display_name"]), (&json!(40), &json!("true")));
    let zone = ["settings", "update", "--tenant", "acme.test", "--file", "-", "--json"];
    let updated = remote(&cli, &access, &zone, "time_zone: Europe/Paris\n").await;
    assert!(said(&updated).contains("Europe/Paris"), "{}", said(&updated));
    assert_eq!(made(&["group", "delete", "sales", "--tenant", "acme.test"]).await, json!({ "deleted": true }));
    // The audit log knows who it was, either way.
    cli.json(&["extension", "update", "1000", "--tenant", "acme.test", "ring_seconds=41"]);
    let log = made(&["audit", "list", "--tenant", "acme.test"]).await;
    let actors = log.as_array().unwrap().iter().map(|entry| entry["actor"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(actors.iter().any(|actor| actor.starts_with("cli:")), "{actors:?}");
    assert!(actors.iter().any(|actor| actor.starts_with("key:")), "{actors:?}");
    node.stop().await;
}

#[actix_web::test]
async fn exit_codes_and_problems_are_the_same_everywhere() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (url, cli) = (format!("http://{}", node.app.app_address), beside(&database));
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    cli.json(&["extension", "create", "--tenant", "acme.test", "--number", "1000"]);
    let known = [("DIALPLANE_URL", url.as_str()), ("DIALPLANE_KEY", node.key.as_str())];
    for (exit, status, code, words) in [
        (2, 400, "usage", &["tenant", "lst"][..]),
        (2, 400, "usage", &["extension", "create", "--tenant", "acme.test"]),
        (2, 400, "invalid", &["extension", "update", "--tenant", "acme.test", "1000", "nonsense"]),
        (3, 404, "not_found", &["extension", "show", "--tenant", "acme.test", "9999"]),
        (3, 404, "not_found", &["tenant", "show", "01a21491-c92c-766f-afb9-8960de517d3e"]),
        (4, 409, "name_taken_by", &["extension", "create", "--tenant", "acme.test", "--number", "1000"]),
    ] {
        let words = [words, &["--json"]].concat();
        let (far, near) = (remote(&cli, &known, &words, "").await, cli.run(&words));
        for output in [&far, &near] {
            let problem = serde_json::from_slice::<Value>(&output.stderr).unwrap_or_else(|e| panic!("{e}: {output:?}"));
            assert_eq!(
                (output.status.code(), problem["status"].as_i64()),
                (Some(exit), Some(status)),
                "{words:?}: {problem}"
            );
            assert_eq!(problem["code"], code, "{words:?}: {problem}");
            assert!(
                problem["type"].is_string() && problem["title"].is_string() && problem["detail"].is_string(),
                "{problem}"
            );
            assert!(output.stdout.is_empty(), "{words:?}");
        }
    }
    for (exit, variables) in [
        (5, [("DIALPLANE_URL", "http://127.0.0.1:1"), ("DIALPLANE_KEY", "dpk_x")]),
        (1, [("DIALPLANE_URL", url.as_str()), ("DIALPLANE_KEY", "dpk_wrong")]),
        (2, [("DIALPLANE_URL", "pbx.example.com"), ("DIALPLANE_KEY", "dpk_x")]),
    ] {
        let output = remote(&cli, &variables, &["tenant", "list"], "").await;
        assert_eq!(output.status.code(), Some(exit), "{}", said(&output));
        assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    }
    // A command that only works at the database says so.
    let refused = remote(&cli, &known, &["tenant", "former-domains", "acme.test"], "").await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("at the database only"), "{}", said(&refused));
    let mut away = CommandLine::on(&database);
    away.url = "postgres://dialplane@127.0.0.1:1/nobody".into();
    assert_eq!(away.run(&["tenant", "list"]).status.code(), Some(5));
    let help = String::from_utf8(cli.run(&["--help"]).stdout).unwrap();
    assert!(help.contains("3 not found, 4 conflict, 5 unavailable"), "{help}");
    node.stop().await;
}

#[actix_web::test]
async fn login_keeps_a_key_that_only_its_user_can_read() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (url, cli) = (format!("http://{}", node.app.app_address), beside(&database));
    node.tenant("acme.test").await;
    let run = async |words: &[&str], input: &str| remote(&cli, &[], words, input).await;
    let refused = run(&["login", "--url", &url], "dpk_wrong\n").await;
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let key = format!("{}\n", node.key);
    for profile in [&[][..], &["--profile", "lab"]] {
        let output = run(&[&["login", "--url", &url], profile].concat(), &key).await;
        assert!(output.status.success() && !said(&output).contains(&node.key), "{}", said(&output));
        let listed = run(&[&["tenant", "list"], profile].concat(), "").await;
        assert!(said(&listed).contains("acme.test"), "{}", said(&listed));
    }
    // What was made far away is shown with what to do next.
    let made = said(&run(&["switch", "create", "--name", "far"], "").await);
    for part in
        ["shown only this once", "far:dps_", &format!("{url}/platform/switches/"), "/setup", "doctor --switch-conf"]
    {
        assert!(made.contains(part), "{part}: {made}");
    }
    // A command that names the settings of the database's node works at the database.
    let near = cli.run(&["tenant", "list"]);
    assert!(near.status.success(), "{}", said(&near));
    let file = cli.folder.join("settings/dialplane/profiles.json");
    let mode = |mode: u32| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    mode(0o640);
    let refused = run(&["tenant", "list"], "").await;
    assert!(!refused.status.success() && said(&refused).contains("chmod 600"), "{}", said(&refused));
    mode(0o600);
    assert_eq!(run(&["tenant", "list", "--profile", "nobody"], "").await.status.code(), Some(3));
    assert!(run(&["logout"], "").await.status.success());
    let gone = run(&["tenant", "list"], "").await;
    assert!(!gone.status.success() && said(&gone).contains("no database"), "{}", said(&gone));
    assert!(run(&["tenant", "list", "--profile", "lab"], "").await.status.success());
    node.stop().await;
}

#[actix_web::test]
async fn every_list_of_the_api_is_a_noun() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let cli = beside(&database);
    let document = node.api("GET", "/openapi.json", Value::Null).await.json();
    let help = String::from_utf8(cli.run(&["--help"]).stdout).unwrap();
    let nouns = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect::<Vec<_>>();
    // These have commands of other names, and people write to each other in their browsers: a key is nobody.
    let others = ["/v1/unreadable-records", "/v1/call-records", "/v1/purges", "/v1/chat"];
    for (path, methods) in document["paths"].as_object().unwrap() {
        let answer = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"].to_string();
        if !answer.contains("/Page_") || others.iter().any(|other| path.starts_with(other)) {
            continue;
        }
        let last = path.rsplit('/').next().unwrap();
        let last = if last == "phone-numbers" { "numbers" } else { last };
        let stem = last.strip_suffix("ies").or(last.strip_suffix("es")).or(last.strip_suffix('s')).unwrap_or(last);
        assert!(nouns.iter().any(|noun| noun.contains(stem)), "{path}: {nouns:?}");
    }
    for noun in [
        "pool",
        "destination",
        "settings",
        "template",
        "audit",
        "carrier",
        "cluster",
        "dialplan-entry",
        "reserved-number",
        "retention",
        "contact",
        "call",
        "call-job",
        "recording",
        "live-call",
        "live-agent",
        "live-registration",
        "monitoring-health",
        "monitoring-stats",
        "monitoring-error",
        "webhook",
        "webhook-delivery",
        "sandbox-call",
        "sandbox-mail",
        "report",
        "tenant-usage",
    ] {
        assert!(nouns.contains(&noun), "{noun}: {nouns:?}");
        let help = cli.run(&[noun, "--help"]);
        assert!(help.status.success() && !said(&help).contains("made_from"), "{}", said(&help));
    }
    let script = String::from_utf8(cli.run(&["completions", "bash"]).stdout).unwrap();
    assert!(script.contains("dialplan-entry") && script.contains("--ring-seconds"));
    let folder = cli.folder.join("man");
    assert!(cli.run(&["man", folder.to_str().unwrap()]).status.success());
    for page in [
        "dialplane-sandbox-call-create.1",
        "dialplane-live-call-list.1",
        "dialplane-monitoring-stats-show.1",
        "dialplane-call-job-show.1",
    ] {
        assert!(folder.join(page).exists(), "{page}");
    }
    assert!(script.contains("sandbox-mail") && script.contains("monitoring-health"));
    let page = std::fs::read_to_string(folder.join("dialplane-pool-create.1")).unwrap();
    assert!(page.contains("first\\-number") || page.contains("first-number"), "{page}");
    node.stop().await;
}

#[actix_web::test]
async fn a_reader_that_leaves_and_a_full_disk_end_a_command_without_a_panic() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    let start = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
        command.args(words).arg("--data-dir").arg(&cli.folder).env("DATABASE_URL", &cli.url).stderr(Stdio::piped());
        command
    };
    for words in [
        &["man"][..],
        &["tenant", "list"],
        &["tenant", "list", "--json"],
        &["export", "--tenant", "acme.test", "--as", "yaml"],
    ] {
        let mut left = start(words).stdout(Stdio::piped()).spawn().unwrap();
        drop(left.stdout.take());
        let output = left.wait_with_output().unwrap();
        assert_eq!((said(&output).as_str(), output.status.code()), ("", Some(141)), "{words:?}");
    }
    for words in [&["--help"][..], &["tenant", "--help"], &["nonsense", "--json"]] {
        let mut left = start(words).stdout(Stdio::piped()).spawn().unwrap();
        drop((left.stdout.take(), left.stderr.take()));
        assert_ne!(left.wait().unwrap().code(), Some(101), "{words:?}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = start(&["tenant", "list"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("No space left") && !said(&output).contains("panicked"), "{}", said(&output));
}

#[actix_web::test]
async fn files_can_be_standard_input() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    cli.json(&["carrier", "create", "--name", "trunk", "--set-config", r#"{"host":"carrier.test"}"#]);
    let run = async |words: &[&str], input: &str| {
        let words = [words, &["--data-dir", cli.folder.to_str().unwrap()]].concat();
        let output = remote(&cli, &[("DATABASE_URL", &cli.url)], &words, input).await;
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        said(&output)
    };
    let people = "first_name,last_name,email\nAda,L,ada@acme.test\n";
    assert!(run(&["agent", "import", "--tenant", "acme.test", "-"], people).await.contains("1 created"));
    assert!(run(&["carrier", "rates", "trunk", "-"], "prefix,price\n49,0.01\n").await.contains("1 rates are in force"));
    let group = "name: sales\nring_seconds: 15\n";
    assert!(run(&["group", "create", "--tenant", "acme.test", "-f", "-"], group).await.contains("sales"));
    assert!(
        run(&["apply", "--tenant", "acme.test", "-f", "-"], "groups: [{ name: support }]\n")
            .await
            .contains("+ group support")
    );
    let form =
        "section=directory&tag_name=domain&key_name=name&key_value=acme.test&user=1&domain=acme.test&action=sip_auth";
    run(&["render", "--form", "-"], form).await;
}

/// What a noun's help says that can be done.
fn verbs(cli: &CommandLine, noun: &str) -> Vec<String> {
    let help = String::from_utf8(cli.run(&[noun, "--help"]).stdout).unwrap();
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let commands = commands.take_while(|line| line.starts_with("  "));
    commands.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[actix_web::test]
async fn every_noun_with_things_creates_lists_shows_changes_and_deletes_them() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (url, cli) = (format!("http://{}", node.app.app_address), beside(&database));
    let access = [("DIALPLANE_URL", url.as_str()), ("DIALPLANE_KEY", node.key.as_str())];
    let run = async |words: &[&str], input: &str| remote(&cli, &access, &[words, &["--json"]].concat(), input).await;
    let done = async |words: &[&str], input: &str| {
        let output = run(words, input).await;
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let tenant = node.tenant("acme.test").await.to_string();
    let acme = &["--tenant", "acme.test"][..];
    let none = &[][..];
    // The noun, of whose tenant, what is created, and a change.
    let things = [
        ("cluster", none, json!({ "name": "East", "region": "eu", "max_tenants": 10 }), "max_tenants=11"),
        ("switch", none, json!({ "name": "fs-new" }), "status=disabled"),
        ("tenant", none, json!({ "domain": "new.test" }), "name=New"),
        ("carrier", none, json!({ "name": "One", "config": { "host": "127.0.0.1:5999" } }), "priority=3"),
        ("key", none, json!({ "name": "script" }), "name=other"),
        ("webhook", none, json!({ "url": "https://hooks.test/x", "topics": ["call:ended"] }), "enabled=false"),
        ("pool", acme, json!({ "first_number": 7000, "last_number": 7099 }), "last_number=7199"),
        ("extension", acme, json!({ "number": "2000" }), "ring_seconds=41"),
        ("agent", acme, json!({ "email": "ada@acme.test", "first_name": "Ada", "last_name": "L" }), "last_name=M"),
        ("group", acme, json!({ "name": "sales" }), "ring_seconds=41"),
        ("destination", acme, json!({ "kind": "conference", "name": "Board", "config": {} }), "name=Room"),
        (
            "dialplan-entry",
            acme,
            json!({ "name": "Door", "conditions": [{ "pattern": "^77$", "actions": [{ "application": "answer" }] }] }),
            "enabled=false",
        ),
        ("number", acme, json!({ "number": "+12025550100" }), "provider=Acme"),
        ("contact", acme, json!({ "name": "Grace", "numbers": ["+4915112345678"] }), "name=Hopper"),
    ];
    for (noun, of, new, change) in &things {
        for verb in ["list", "show", "create", "update", "delete"] {
            assert!(verbs(&cli, noun).iter().any(|known| known == verb), "{noun} {verb}");
        }
        let made = done(&[&[noun, "create", "-f", "-"], *of].concat(), &new.to_string()).await;
        let id = [&made["id"], &made["agent"]["id"], &made["switch"]["id"]];
        let id = id.into_iter().find_map(Value::as_str).unwrap_or_else(|| panic!("{noun}: {made}")).to_owned();
        let listed = done(&[&[noun, "list"], *of].concat(), "").await;
        assert!(listed.as_array().unwrap().iter().any(|one| one["id"] == json!(id)), "{noun}: {listed}");
        let shown = done(&[&[noun, "show", &id], *of].concat(), "").await;
        assert_eq!(shown["id"], json!(id), "{noun}");
        let (field, value) = change.split_once('=').unwrap();
        let changed = done(&[&[noun, "update", &id, change], *of].concat(), "").await;
        let is = changed[field].as_str().map_or_else(|| changed[field].to_string(), ToOwned::to_owned);
        assert_eq!(is, value, "{noun}: {changed}");
        let mut more = if *noun == "tenant" { vec!["--purge", "now"] } else { Vec::new() };
        // What ends calls is asked first.
        if said(&cli.run(&[noun, "delete", "--help"])).contains("--yes") {
            more.push("--yes");
        }
        done(&[&[noun, "delete", &id], *of, &more].concat(), "").await;
        let gone = run(&[&[noun, "show", &id], *of].concat(), "").await;
        assert_eq!(gone.status.code(), Some(3), "{noun}: {}", said(&gone));
    }
    // Nothing else can be both created and deleted, but for what has a name or a number for an id, and what is made again instead of changed.
    let help = String::from_utf8(cli.run(&["--help"]).stdout).unwrap();
    let nouns = help.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    for noun in nouns.filter(|noun| noun.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')) {
        let verbs = verbs(&cli, noun);
        let has = |verb: &str| verbs.iter().any(|known| known == verb);
        let is_known = things.iter().any(|(known, ..)| *known == noun)
            || ["template", "reserved-number", "exchange-rate"].contains(&noun);
        assert!(is_known || !(has("create") && has("delete") && has("list")), "{noun}: {verbs:?}");
    }
    let rate = |rate: &str| {
        json!({ "from_currency": "USD", "to_currency": "EUR", "day": "2026-11-01", "rate": rate }).to_string()
    };
    let made = done(&["exchange-rate", "create", "-f", "-"], &rate("0.9")).await["id"].as_str().unwrap().to_owned();
    done(&["exchange-rate", "create", "-f", "-"], &rate("0.95")).await;
    assert_eq!(done(&["exchange-rate", "list"], "").await.as_array().unwrap().len(), 1);
    assert_eq!(done(&["exchange-rate", "show", &made], "").await["rate"], "0.95");
    done(&["exchange-rate", "delete", &made], "").await;
    assert_eq!(run(&["exchange-rate", "show", &made], "").await.status.code(), Some(3));
    let held = json!({ "number": "7105", "reason": "the boss" }).to_string();
    done(&[&["reserved-number", "create", "-f", "-"], acme].concat(), &held).await;
    assert_eq!(done(&[&["reserved-number", "show", "7105"], acme].concat(), "").await["reason"], "the boss");
    done(&[&["reserved-number", "delete", "7105"], acme].concat(), "").await;
    let mut template = done(&["template", "show", "default"], "").await;
    template["name"] = json!("own");
    done(&["template", "create", "-f", "-"], &template.to_string()).await;
    assert_eq!(done(&["template", "show", "own"], "").await["name"], "own");
    done(&["template", "delete", "own"], "").await;
    assert_eq!(node.api("GET", &format!("/v1/tenants/{tenant}"), Value::Null).await.status, 200);
    node.stop().await;
}

#[actix_web::test]
async fn url_and_key_can_be_given_with_the_command_and_count_more_than_what_is_kept() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let (url, cli) = (format!("http://{}", node.app.app_address), beside(&database));
    node.tenant("acme.test").await;
    let here = ["--url", &url, "--key", &node.key];
    for (variables, words, code) in [
        (&[][..], [&["tenant", "list"], &here[..]].concat(), 0),
        // Before the noun as well.
        (&[], [&here[..], &["tenant", "list"]].concat(), 0),
        (
            &[("DIALPLANE_URL", "http://127.0.0.1:1"), ("DIALPLANE_KEY", "dpk_wrong")],
            [&["tenant", "list"], &here[..]].concat(),
            0,
        ),
        (&[("DIALPLANE_URL", url.as_str())], vec!["tenant", "list", "--key", &node.key], 0),
        (&[("DIALPLANE_KEY", node.key.as_str())], vec!["tenant", "list", "--url", &url], 0),
        (&[], vec!["tenant", "list", "--url", &url, "--key", "dpk_wrong"], 1),
        (&[], vec!["tenant", "list", "--url", &url], 1),
        (&[], vec!["tenant", "list", "--url", "http://127.0.0.1:1", "--key", &node.key], 5),
    ] {
        let output = remote(&cli, variables, &words, "").await;
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
        assert_eq!(said(&output).contains("acme.test"), code == 0, "{words:?}: {}", said(&output));
        assert!(!said(&output).contains(&node.key), "{words:?}");
    }
    node.stop().await;
}

#[actix_web::test]
async fn long_work_shows_how_far_it_is_on_a_terminal_and_nowhere_else() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    // util-linux gives the command a terminal.
    if Command::new("script").arg("--version").output().is_err() {
        return skipped("there is no `script` that gives a command a terminal");
    }
    let write = |name: &str, text: String| {
        let path = cli.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let groups = |from: i32| {
        let groups = (from..from + 30).map(|n| format!("  - {{ name: team{n} }}\n")).collect::<Vec<_>>().concat();
        format!("tenant: {{ domain: acme.test }}\ngroups:\n{groups}")
    };
    let people = |from: i32| {
        let people = (from..from + 5).map(|n| format!("Ada,L{n},a{n}@acme.test\n")).collect::<Vec<_>>().concat();
        format!("first_name,last_name,email\n{people}")
    };
    // A command, the same with other things, and how its bar names what it counts.
    let works = [
        (
            [
                "apply -f ".to_owned() + &write("one.yaml", groups(0)),
                "apply -f ".to_owned() + &write("two.yaml", groups(30)),
            ],
            "changes, ",
        ),
        (
            [("one.csv", 0), ("two.csv", 5)]
                .map(|(name, from)| format!("agent import --tenant acme.test {}", write(name, people(from)))),
            "agents, ",
        ),
    ];
    for (commands, what) in works {
        let at_database = |command: &str| {
            let program = env!("CARGO_BIN_EXE_dialplane");
            format!("{program} {command} --data-dir {} 2>&1", cli.folder.display())
        };
        let run = |mut command: Command| {
            let output = command.env("DATABASE_URL", &cli.url).stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
            said(&output)
        };
        let mut terminal = Command::new("script");
        terminal.args(["-q", "-e", "-c", &at_database(&commands[0]), "/dev/null"]).env("TERM", "xterm");
        let shown = run(terminal);
        assert!(shown.contains(what) && shown.contains(" to go"), "{}: {shown:?}", commands[0]);
        let mut pipe = Command::new("sh");
        pipe.args(["-c", &at_database(&commands[1])]);
        let plain = run(pipe);
        assert!(!plain.contains(" to go") && !plain.contains('\u{1b}'), "{}: {plain:?}", commands[1]);
    }
}
