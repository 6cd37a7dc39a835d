//! Commands over the API: the same as at the database.

use std::{
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::{
    command_line::CommandLine,
    harness::{Database, Node, key_file},
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
