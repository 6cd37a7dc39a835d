//! What the command line says after a mistake, to people and to scripts, and what to do next.

use serde_json::{Value, json};

use crate::{
    command_line::CommandLine,
    harness::{Database, Node},
};

/// What `--json` prints on an error.
fn error(cli: &CommandLine, words: &[&str]) -> (i32, Value) {
    let output = cli.run(&[words, &["--json"]].concat());
    assert!(output.stdout.is_empty(), "{words:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let error = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{words:?}: {e}: {said}"));
    (output.status.code().unwrap(), error)
}

#[actix_web::test]
async fn errors_are_json_with_a_code_when_json_was_asked_for() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    for (words, status, code, field) in [
        (&["tenant", "create", "--domain", "acme.test"][..], 4, "domain_taken", json!(null)),
        (&["tenant", "show", "nobody.test"], 3, "not_found", json!(null)),
        (&["tenant", "show", "${x}"], 2, "invalid", json!(null)),
        (&["tenant", "update", "acme.test", "nonsense=1"], 1, "unknown_field", json!("nonsense")),
        (&["mail", "retry", "01a21491-c92c-766f-afb9-8960de517d3e"], 3, "not_found", json!(null)),
        (&["mail", "retry", "nope"], 2, "usage", json!(null)),
        (&["tenant", "lst"], 2, "usage", json!(null)),
        (&["tenant", "create"], 2, "usage", json!(null)),
    ] {
        let (exit, error) = error(&cli, words);
        assert_eq!((exit, &error["code"]), (status, &json!(code)), "{words:?}: {error}");
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{error}");
        assert_eq!(error["field"], field, "{words:?}: {error}");
    }
}

#[actix_web::test]
async fn a_wrong_id_is_answered_with_what_an_id_looks_like() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    for words in [
        &["mail", "retry", "nope"][..],
        &["key", "show", "nope"],
        &["key", "delete", "nope"],
        &["group", "create", "--tenant", "acme.test", "--name", "a", "--members", "nope"],
        &["switch", "create", "--name", "fs1", "--cluster-id", "nope"],
        &["number", "create", "--tenant", "acme.test", "--number", "+12025550100", "--group", "nope"],
    ] {
        let refused = cli.refused(words);
        assert!(refused.contains("'nope'") && refused.contains("an id looks like 01a2"), "{words:?}: {refused}");
    }
    for words in [
        &["key", "create", "--name", "x", "--expires-at", "tomorrow"][..],
        &["route", "explain", "--tenant", "acme.test", "--at", "tomorrow", "1000"],
    ] {
        let refused = cli.refused(words);
        assert!(refused.contains("write it like 2026-12-24T18:00:00Z"), "{words:?}: {refused}");
    }
}

#[actix_web::test]
async fn render_takes_a_call_with_its_caller() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    for number in ["1000", "1001"] {
        cli.json(&["extension", "create", "--tenant", "acme.test", "--number", number, "--sip-username", number]);
    }
    let call = cli.json(&["render", "--call", "1000@acme.test", "--from", "1001@acme.test"]);
    assert!(call["document"].as_str().unwrap().contains("user/1000@acme.test"));
    assert!(call["why"][0].as_str().unwrap().contains("made by 1001@acme.test"), "{call}");
    for words in [
        &["render"][..],
        &["render", "--from", "1001@acme.test"],
        &["render", "--user", "1000@acme.test", "--from", "1001@acme.test"],
        &["render", "--user", "1000@acme.test", "--call", "1000@acme.test"],
    ] {
        cli.refused(words);
    }
}

#[actix_web::test]
async fn the_doctor_tells_a_node_of_this_database_from_another_one() {
    let (own, other) = (Database::new().await, Database::new().await);
    let node = Node::start(&own).await;
    let address = node.app.switch_address.to_string();
    let switch_listener = |database: &Database| {
        let cli = CommandLine::on(database);
        let output = cli.run(&["doctor", "--json", "--switch-listen", &address]);
        let report = serde_json::from_slice::<Value>(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["what"] == "switch listener").unwrap().clone()
    };
    let seen = switch_listener(&own);
    assert_eq!(seen["ok"], json!(true), "{seen}");
    let seen = switch_listener(&other);
    assert_eq!(seen["ok"], json!(false), "{seen}");
    assert!(seen["detail"].as_str().unwrap().contains("another dialplane"), "{seen}");
}

#[actix_web::test]
async fn a_command_that_shows_a_secret_says_what_to_do_with_it() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    let told = |words: &[&str]| {
        let output = cli.run(words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    let switch = told(&["switch", "create", "--name", "fs1"]);
    for part in ["shown only this once", "gateway-credentials\" value=\"fs1:dps_", "/fs/xml\"", "doctor --switch-conf"]
    {
        assert!(switch.contains(part), "{part}: {switch}");
    }
    // A binding to an https URL checks who answers there.
    assert!(!switch.contains("enable-cacert-check"), "{switch}");
    let output =
        cli.run_with(&["switch", "create", "--name", "fs2"], &[("DIALPLANE_SWITCH_URL", "https://pbx.acme.test")]);
    let checked = String::from_utf8(output.stdout).unwrap();
    for part in ["https://pbx.acme.test/fs/xml", "\"enable-cacert-check\" value=\"true\"", "enable-ssl-verifyhost"] {
        assert!(checked.contains(part), "{part}: {checked}");
    }
    assert!(told(&["switch", "update", "fs1", "new_token=true", "--yes"]).contains("value=\"fs1:dps_"));
    assert!(!told(&["switch", "update", "fs1", "status=disabled"]).contains("shown only this once"));
    assert!(told(&["key", "create", "--name", "script"]).contains("curl -H 'X-API-Key: dpk_"));
    assert!(told(&["admin", "create", "--email", "ops@platform.test"]).contains("/sign-in"));
    let phone = told(&["extension", "create", "--tenant", "acme.test", "--number", "1000"]);
    assert!(phone.contains("domain acme.test"), "{phone}");
}

#[actix_web::test]
async fn completions_and_manual_pages_are_printed() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(cli.run(&["completions", shell]).stdout).unwrap();
        assert!(script.contains("event-socket") && script.contains("completions"), "{shell}");
    }
    let page = String::from_utf8(cli.run(&["man"]).stdout).unwrap();
    assert!(page.contains(".TH dialplane") && page.contains("doctor"), "{page}");
    let folder = cli.folder.join("man");
    assert!(cli.run(&["man", folder.to_str().unwrap()]).status.success());
    let page = std::fs::read_to_string(folder.join("dialplane-mail-retry.1")).unwrap();
    assert!(page.contains("dialplane mail retry"), "{page}");
    assert!(!folder.join("dialplane-bench-data.1").exists(), "what is hidden stays so");
}

#[actix_web::test]
async fn commands_that_end_calls_or_replace_a_secret_ask_first() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    cli.json(&["switch", "create", "--name", "fs1"]);
    cli.json(&["admin", "create", "--email", "ops@platform.test"]);
    let asking: [&[&str]; 3] = [
        &["tenant", "update", "acme.test", "status=suspended"],
        &["switch", "update", "fs1", "new_token=true"],
        &["admin", "create", "--email", "ops@platform.test"],
    ];
    for words in asking {
        // There is no terminal, so nobody can be asked.
        let output = cli.run(&[words, &["--json"]].concat());
        assert!(!output.status.success(), "{words:?}");
        let told = serde_json::from_slice::<Value>(&output.stderr).unwrap();
        assert_eq!(told["code"], "not_confirmed", "{told}");
        assert!(told["detail"].as_str().unwrap().contains("--yes"), "{told}");
        let log = cli.json(&["tenant", "show", "acme.test"]);
        assert_eq!(log["status"], "active");
        let output = cli.run(&[words, &["--yes"]].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        // Commands that take nothing away don't ask.
        cli.json(&["tenant", "update", "acme.test", "status=active"]);
    }
    cli.json(&["switch", "update", "fs1", "status=disabled"]);
}

#[actix_web::test]
async fn the_doctor_names_time_zones_of_tenants_that_the_database_knows_otherwise() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let settings = format!("/v1/tenants/{tenant}/settings");
    assert_eq!(node.api("PATCH", &settings, json!({ "time_zone": "Europe/Berlin" })).await.status, 200);
    let zones = || {
        let output = CommandLine::on(&database).run(&["doctor", "--json"]);
        let seen = serde_json::from_slice::<Value>(&output.stdout).unwrap();
        let check =
            seen["checks"].as_array().unwrap().iter().find(|check| check["what"] == "time zones").unwrap().clone();
        (check["ok"] == json!(true), check["detail"].as_str().unwrap().to_owned())
    };
    // How many that no tenant uses differ depends on the machine's tzdata.
    let others = |detail: &str| {
        let count = detail.split("; ").nth(1).and_then(|rest| rest.split(" that no tenant uses").next());
        count.map_or(0, |count| count.parse::<u32>().unwrap())
    };
    let (well, before) = zones();
    assert!(well, "{before}");
    // A database whose table of zones is older: it lacks one where a tenant is, and one where none is.
    database
        .execute(
            "create view public.pg_timezone_names as
             select * from pg_catalog.pg_timezone_names where name not in ('Europe/Berlin', 'Asia/Tokyo')",
        )
        .await;
    database
        .execute("do $$ begin execute format('alter database %I set search_path = public, pg_catalog', current_database()); end $$")
        .await;
    let (well, detail) = zones();
    let named =
        detail.contains("other rules than this program") && detail.contains("for Europe/Berlin, where tenants are");
    assert!(!well && named && others(&detail) == others(&before) + 1, "{detail}");
    node.stop().await;
}
