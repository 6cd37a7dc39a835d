//! Changes by command line, and what `render` and `doctor` say.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::Database;

pub struct CommandLine {
    pub url: String,
    pub folder: std::path::PathBuf,
}

impl CommandLine {
    pub fn on(database: &Database) -> Self {
        let socket = database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
        let url = format!("postgres://dialplane@{socket}/{}", database.options.get_database().unwrap());
        let folder = std::env::temp_dir().join(format!("dialplane-cli-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self { url, folder }
    }

    pub fn run(&self, words: &[&str]) -> Output {
        self.run_with(words, &[])
    }

    /// With further variables of the environment.
    pub fn run_with(&self, words: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
        command.args(words).arg("--data-dir").arg(&self.folder).env("DATABASE_URL", &self.url);
        command.envs(variables.iter().copied()).output().unwrap()
    }

    pub fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--json"]].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn refused(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for CommandLine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[actix_web::test]
async fn a_tenant_is_created_and_deleted_by_command_line() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    let tenant = cli.json(&["tenant", "create", "--domain", "acme.test"]);
    assert_eq!(tenant["context"], "acme.test");
    let extension =
        cli.json(&["extension", "create", "--tenant", "acme.test", "--number", "1000", "--display-name", "Ada"]);
    assert_eq!(extension["sip_password"].as_str().unwrap().len(), 24);
    let group = cli.json(&["group", "create", "--tenant", "acme.test", "--name", "sales", "--number", "3000"]);
    assert_eq!(group["name"], "sales");
    // As people write it, as the API takes it.
    let number =
        cli.json(&["number", "create", "--tenant", "acme.test", "--number", "(202) 555-0100", "--extension", "1000"]);
    assert_eq!(number["number"], "+12025550100");
    assert_eq!(number["destination"]["id"], extension["id"]);
    assert!(cli.json(&["switch", "create", "--name", "fs1"])["token"].as_str().unwrap().starts_with("dps_"));
    assert!(cli.json(&["key", "create", "--name", "script"])["token"].as_str().unwrap().starts_with("dpk_"));
    let changed =
        cli.json(&["extension", "update", "--tenant", "acme.test", "1000", "ring_seconds=40", "status=suspended"]);
    assert_eq!((&changed["ring_seconds"], &changed["status"]), (&json!(40), &json!("suspended")));
    assert_eq!(cli.json(&["extension", "list", "--tenant", "acme.test"]).as_array().unwrap().len(), 1);
    assert_eq!(cli.json(&["switch", "show", "fs1"])["status"], "active");
    let table = String::from_utf8(cli.run(&["tenant", "list"]).stdout).unwrap();
    assert!(table.starts_with("DOMAIN") && table.contains("acme.test"), "{table}");

    let refused = cli.refused(&["extension", "delete", "--tenant", "acme.test", "1000"]);
    assert!(refused.contains("its phones will be refused") && refused.contains("--yes"), "{refused}");
    assert_eq!(cli.json(&["extension", "show", "--tenant", "acme.test", "1000"])["number"], "1000");
    let refused = cli.refused(&["tenant", "delete", "acme.test", "--yes"]);
    assert!(refused.starts_with("dialplane: ") && refused.contains("--cascade"), "{refused}");
    let delete = ["tenant", "delete", "acme.test", "--cascade", "--purge"];
    assert!(cli.refused(&delete).contains("its people can't sign in"));
    assert_eq!(cli.json(&[&delete[..], &["--yes"]].concat()), json!({ "deleted": true }));
    for words in [
        &["tenant", "show", "acme.test"][..],
        &["extension", "create", "--tenant", "acme.test", "--number", "1000"],
        &["extension", "update", "--tenant", "acme.test", "1000", "nonsense"],
    ] {
        let refused = cli.refused(words);
        assert!(refused.starts_with("dialplane: ") && refused.lines().count() == 1, "{refused}");
    }
    assert!(cli.refused(&["tenant", "create", "--domain", "${x}"]).contains("DNS name"));
}

#[test]
fn a_command_whose_reader_leaves_ends_without_a_word() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
    let mut left = command.args(["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(left.stdout.take());
    let output = left.wait_with_output().unwrap();
    assert_eq!((String::from_utf8_lossy(&output.stderr).as_ref(), output.status.code()), ("", Some(141)));
}

#[actix_web::test]
async fn settings_come_from_the_environment() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    let run = |name: &str, value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
        command.args(["tenant", "list"]).env("DIALPLANE_DATA_DIR", &cli.folder).env("DATABASE_URL", &cli.url);
        command.env(name, value).output().unwrap()
    };
    assert!(run("DIALPLANE_FILL_TIMEOUT_MS", "100").status.success());
    assert!(cli.folder.join("secret.key").exists(), "the data directory was taken");
    let wrong = run("DIALPLANE_FILL_TIMEOUT_MS", "soon");
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).to_lowercase().contains("fill_timeout_ms"), "{wrong:?}");
    for (name, value, said) in [
        ("DIALPLANE_OF_SOMEBODY_ELSE", "x", "not a setting"),
        ("DIALPLANE_FIL_TIMEOUT_MS", "100", "did you mean DIALPLANE_FILL_TIMEOUT_MS?"),
        ("DIALPLANE_LOG", "inof", "is not a level"),
    ] {
        let output = run(name, value);
        assert!(!output.status.success(), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    }
    assert!(run("DIALPLANE_SERVICE_HOST", "10.0.0.1").status.success(), "Kubernetes sets it");
}

#[actix_web::test]
async fn render_shows_what_a_switch_gets_and_why() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["tenant", "create", "--domain", "acme.test"]);
    cli.json(&["extension", "create", "--tenant", "acme.test", "--number", "1000", "--sip-username", "1000"]);
    let call = cli.run(&["render", "--call", "1000@acme.test"]);
    assert!(String::from_utf8_lossy(&call.stdout).contains("user/1000@acme.test"));
    let why = String::from_utf8_lossy(&call.stderr).into_owned();
    assert!(why.contains("a number or name of the tenant") && why.contains("from the database"), "{why}");
    let signed_in = cli.json(&["render", "--sign-in", "1000@acme.test"]);
    assert!(signed_in["document"].as_str().unwrap().contains("a1-hash"));
    let unknown = cli.json(&["render", "--user", "1000@nobody.test"]);
    assert!(unknown["document"].as_str().unwrap().contains("not found"));
    let recorded =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/directory-user_outgoing_channel-user_call-true.http");
    assert!(cli.json(&["render", "--form", recorded])["document"].as_str().unwrap().contains("acme.test"));
}

#[actix_web::test]
async fn doctor_finds_what_is_wrong() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.run(&["migrate"]);
    let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/freeswitch-conf");
    let output = cli.run(&["doctor", "--json", "--switch-listen", "127.0.0.1:9", "--switch-conf", conf]);
    assert!(!output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let check = |what: &str| {
        let found = report["checks"].as_array().unwrap().iter().find(|check| check["what"] == what);
        found.unwrap_or_else(|| panic!("{what} in {report}"))["ok"].clone()
    };
    for (what, ok) in [
        ("database", true),
        ("tables", true),
        ("keys", true),
        ("switch listener", false),
        ("binding of directory", true),
        ("binding of dialplan", true),
        ("static users", true),
        ("SIP profiles", true),
        ("switch.conf.xml", true),
        ("binding users: timeout", true),
        ("binding users: TLS", true),
        ("binding users: fields of directory", true),
        ("binding calls: fields of dialplan", true),
        ("binding users: fetch", false),
        ("folder of certificates", true),
    ] {
        assert_eq!(check(what), json!(ok), "{what}: {report}");
    }
    // A configuration that accepts every registration without a check, and lets data call the switch's API.
    let folder = std::env::temp_dir().join(format!("dialplane-conf-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir_all(folder.join("autoload_configs")).unwrap();
    let sofia = r#"<profile name="x"><settings><param name="accept-blind-auth" value="true"/>
        <param name="tls-cert-dir" value="certs"/></settings></profile>"#;
    std::fs::write(folder.join("autoload_configs/sofia.conf.xml"), sofia).unwrap();
    let bindings = "<configuration><bindings/></configuration>";
    std::fs::write(folder.join("autoload_configs/xml_curl.conf.xml"), bindings).unwrap();
    let output = cli.run(&["doctor", "--json", "--switch-conf", folder.to_str().unwrap()]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for what in ["SIP profiles", "switch.conf.xml", "binding of directory", "folder of certificates"] {
        let found = report["checks"].as_array().unwrap().iter().find(|check| check["what"] == what).unwrap();
        assert_eq!(found["ok"], json!(false), "{what}: {report}");
    }
    // An older configuration, and a carrier's header that it does not send.
    let shipped = include_str!("../../freeswitch-conf/autoload_configs/xml_curl.conf.xml");
    let older = shipped.lines().filter(|line| !line.contains("variable_sip_network_ip")).collect::<Vec<_>>().join("\n");
    let carrier = json!({ "host": "carrier.test", "inbound": { "number_in": "header", "header": "X-Called" } });
    sqlx::query("insert into carriers (id, name, config) values (gen_random_uuid(), 'carrier', $1)")
        .bind(carrier)
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let everything = shipped.lines().filter(|line| !line.contains("enable-post-var")).collect::<Vec<_>>().join("\n");
    let named = shipped.replace("variable_sip_h_X-DID\"", "variable_sip_h_x-called\"");
    for (text, told) in
        [(&*older, Some("variable_sip_network_ip")), (shipped, Some("X-Called")), (&named, None), (&everything, None)]
    {
        std::fs::write(folder.join("autoload_configs/xml_curl.conf.xml"), text).unwrap();
        let output = cli.run(&["doctor", "--json", "--switch-conf", folder.to_str().unwrap()]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let is_it = |check: &&Value| check["what"] == "binding calls: fields of dialplan";
        let found = report["checks"].as_array().unwrap().iter().find(is_it).unwrap();
        assert_eq!(found["ok"], json!(told.is_none()), "{found}");
        assert!(found["detail"].as_str().unwrap().contains(told.unwrap_or("all")), "{found}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[actix_web::test]
async fn agents_are_created_by_command_line_singly_and_from_a_file() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.run(&["tenant", "create", "--domain", "acme.test"]);
    let words = ["--tenant", "acme.test", "--first-name", "Ada", "--last-name", "L", "--email", "ada@acme.test"];
    let made = cli.json(&[&["agent", "create"], &words[..], &["--extensions", "2"]].concat());
    assert_eq!(made["extensions"].as_array().unwrap().len(), 2);
    let again = cli.refused(&[&["agent", "create"], &words[..]].concat());
    assert!(again.contains("already in use"), "{again}");
    let file = std::env::temp_dir().join(format!("agents-{}.csv", uuid::Uuid::now_v7().simple()));
    std::fs::write(&file, "first_name,last_name,email\nGrace,Hopper,grace@acme.test\nNo,Address,nothing\n").unwrap();
    let path = file.to_str().unwrap();
    let refused = cli.run(&["agent", "import", "--tenant", "acme.test", path]);
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(
        !refused.status.success() && told.contains("0 created, 1 refused.") && told.contains("not created"),
        "{told}"
    );
    let tried = cli.json(&["agent", "import", "--tenant", "acme.test", "--dry-run", path]);
    assert_eq!((&tried["created"], &tried["refused"]), (&json!(1), &json!(1)));
    assert_eq!(cli.json(&["agent", "list", "--tenant", "acme.test"]).as_array().unwrap().len(), 1, "it made nothing");
    let report = cli.json(&["agent", "import", "--tenant", "acme.test", "--partial", path]);
    assert_eq!(report["lines"][0]["outcome"], "created", "{report}");
    assert_eq!(
        cli.json(&["agent", "list", "--tenant", "acme.test", "--search", "hopper"]).as_array().unwrap().len(),
        1
    );
    let admin = cli.json(&["admin", "create", "--email", "ops@platform.test"]);
    assert!(admin["password"].as_str().unwrap().len() > 30);
    let mails = cli.json(&["mail", "list", "--status", "queued"]);
    assert_eq!(mails.as_array().unwrap().len(), 2, "nobody serves, so nothing left: {mails}");
    assert_eq!(cli.json(&["mail", "retry", "--failed"])["queued"], 0);
    std::fs::remove_file(file).unwrap();
}

/// A large file is imported in parts, each with its own commit. There is one report, with the file's line numbers.
#[actix_web::test]
async fn a_large_file_is_imported_in_parts_and_reported_as_one() {
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    let tenant = cli.json(&["tenant", "create", "--domain", "acme.test"])["id"].as_str().unwrap().to_owned();
    let mut db = database.connect().await;
    let pool = "insert into extension_pools (tenant_id, id, first_number, last_number) values ($1::uuid, $1::uuid, 50000, 59999)";
    sqlx::query(pool).bind(tenant.parse::<uuid::Uuid>().unwrap()).execute(&mut db).await.unwrap();
    let file = std::env::temp_dir().join(format!("agents-{}.csv", uuid::Uuid::now_v7().simple()));
    let line = |n: usize| match n {
        // The last line repeats the first, which was imported in another part.
        2050 => "A,Gent,agent1@acme.test\n".to_owned(),
        2010 => "No,Address,nothing\n".to_owned(),
        _ => format!("A,Gent,agent{n}@acme.test\n"),
    };
    let lines = (1..=2050).map(line).collect::<String>();
    std::fs::write(&file, format!("first_name,last_name,email\n{lines}")).unwrap();
    let report = cli.json(&["agent", "import", "--tenant", "acme.test", "--partial", file.to_str().unwrap()]);
    assert_eq!((&report["created"], &report["refused"]), (&json!(2048), &json!(2)));
    let all = report["lines"].as_array().unwrap();
    assert!(all.iter().enumerate().all(|(at, line)| line["line"] == at + 2), "lines are the file's");
    assert_eq!((&all[2009]["outcome"], &all[2049]["outcome"]), (&json!("refused"), &json!("refused")));
    let made = sqlx::query_scalar::<_, i64>("select count(distinct xmin::text) from users where tenant_id is not null");
    assert_eq!(made.fetch_one(&mut db).await.unwrap(), 2, "two parts");
    std::fs::remove_file(file).unwrap();
}

#[actix_web::test]
async fn records_that_a_switch_could_not_post_are_imported_and_their_files_moved_only_then() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let database = Database::new().await;
    let cli = CommandLine::on(&database);
    cli.json(&["switch", "create", "--name", "fs1"]);
    let folder = cli.folder.join("cdr");
    std::fs::create_dir_all(&folder).unwrap();
    let xml = "<?xml version=\"1.0\"?>\n<cdr><variables><hangup_cause>NO_ANSWER</hangup_cause><answer_epoch>0</answer_epoch></variables></cdr>";
    let json = json!({ "variables": { "hangup_cause": "NORMAL_CLEARING", "answer_epoch": 0 } }).to_string();
    let leg = uuid::Uuid::new_v4;
    let (first, second, broken) = (leg(), leg(), leg());
    for (name, text) in [
        (format!("{first}.cdr.json"), json.clone()),
        (format!("a_{second}.cdr.xml"), STANDARD.encode(xml)),
        (format!("{broken}.cdr.json"), "{\"variables\":".into()),
        (format!("{}.cdr.json", leg()), " ".repeat(2 << 20)),
        ("readme.txt".into(), "not a record".into()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let path = folder.to_str().unwrap();
    let output = cli.run(&["cdr", "import", path, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!output.status.success(), "one file stays");
    assert_eq!(
        (&report["kept"], &report["unreadable"], &report["known"], &report["others"]),
        (&json!(3), &json!(1), &json!(0), &json!(1))
    );
    assert!(report["failed"][0]["why"].as_str().unwrap().contains("larger"), "{report}");
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        3,
        "the large one, the text, and the folder of those that are kept"
    );
    let names =
        std::fs::read_dir(folder.join("kept")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names = names.collect::<Vec<_>>();
    names.sort();
    let mut expected = vec![format!("a_{second}.cdr.xml"), format!("{broken}.cdr.json"), format!("{first}.cdr.json")];
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(cli.json(&["record", "list"])[0]["leg"], json!(broken));
    // A second copy is known.
    std::fs::write(folder.join(format!("{first}.json")), json).unwrap();
    let again: Value =
        serde_json::from_slice(&cli.run(&["record", "import", path, "--switch", "fs1", "--json"]).stdout).unwrap();
    assert_eq!((&again["kept"], &again["known"]), (&json!(0), &json!(1)), "{again}");
    assert!(cli.refused(&["record", "import", path, "--switch", "fs2"]).contains("no such switch"));
}
