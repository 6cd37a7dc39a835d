//! Keys that seal secrets: they are replaced while nodes run, and nodes say so if one is missing.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dialplane::{
    node::seals_store::Column,
    text::keyring::{self, Keyring, hex},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};

use crate::harness::{Answer, Database, Node, send};

/// A folder for key files, deleted with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-keys-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// A separate key file.
    fn keys(&self, name: &str) -> PathBuf {
        let file = self.0.join(name);
        Keyring::open(&file).unwrap();
        file
    }

    fn copy(&self, of: &Path, name: &str) -> PathBuf {
        let file = self.0.join(name);
        std::fs::copy(of, &file).unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn key_file_command(database: &Database, folder: &Folder, keys: &Path, words: &[&str]) -> Child {
    let socket = database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
    let url = format!("postgres://dialplane@{socket}/{}", database.options.get_database().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
    command.args(["--json", "--data-dir"]).arg(&folder.0).arg("key-file").args(words);
    command.env("DATABASE_URL", url).env("DIALPLANE_KEY_FILE", keys);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What the command printed. It must have succeeded.
async fn printed(mut child: Child) -> Value {
    let ended = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut said).unwrap();
        }
        assert!(child.wait().unwrap().success(), "{text}{said}");
        text
    });
    serde_json::from_str(&ended.await.unwrap()).unwrap()
}

async fn until<F: Future<Output = bool>>(what: &str, is: impl Fn() -> F) {
    let since = Instant::now();
    while !is().await {
        assert!(since.elapsed() < Duration::from_mins(1), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ready(node: &Node) -> Answer {
    send(node.app.app_address, "GET", "/readyz/switches", &[], b"").await
}

#[actix_web::test]
async fn sealing_again_loses_nothing_and_every_fetch_meanwhile_is_right() {
    let (database, folder) = (Database::new().await, Folder::new());
    let ours = folder.keys("one.key");
    let theirs = folder.copy(&ours, "two.key");
    let old = Keyring::open(&ours).unwrap().seals_with();
    let one = Node::with(&database, |settings| settings.key_file = Some(ours.clone())).await;
    let two = Node::with(&database, |settings| settings.key_file = Some(theirs.clone())).await;
    let tenant = one.tenant("acme.test").await;
    let users = (1000..1040).map(|number| number.to_string()).collect::<Vec<_>>();
    for user in &users {
        one.extension(tenant, json!({ "number": user })).await;
    }
    let room = json!({ "kind": "conference", "name": "room", "pin": "493827", "config": {} });
    let made = one.api("POST", &format!("/v1/tenants/{tenant}/destinations"), room).await;
    assert_eq!(made.status, 201, "{}", made.text());
    // Answers kept for repeated requests, several of one actor.
    let headers = |key| [("X-API-Key", one.key.as_str()), ("Idempotency-Key", key)];
    let path = format!("/v1/tenants/{tenant}/extensions");
    let mut kept = Vec::new();
    for (key, number) in [("first", "2000"), ("second", "2001")] {
        kept.push(one.api_with("POST", &path, &headers(key), json!({ "number": number })).await.text());
    }
    let mut before = Vec::new();
    for user in &users {
        before.push((one.sign_in(user, "acme.test").await.text(), one.invite(user, "acme.test").await.text()));
        assert!(before.last().unwrap().0.contains("a1-hash"));
    }

    let mut child = key_file_command(&database, &folder, &ours, &["rotate"]);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let stop = Arc::new(AtomicBool::new(false));
    let told = tokio::task::spawn_blocking(move || {
        let waits = said.by_ref().map(Result::unwrap).find(|line| line.starts_with("Waiting for 1 of the nodes"));
        (waits, said)
    });
    // Node two does not have the new key, and still every fetch is right.
    let (waits, mut said) = told.await.unwrap();
    assert!(waits.unwrap().contains("one.key"));
    let drain = std::thread::spawn(move || said.by_ref().map_while(Result::ok).collect::<Vec<_>>());
    let new = Keyring::open(&ours).unwrap().seals_with();
    assert_ne!(new, old);
    one.extension(tenant, json!({ "number": "3000" })).await;
    assert_eq!(two.sign_in("3000", "acme.test").await.status, 200, "sealed with what both have");
    std::fs::copy(&ours, &theirs).unwrap();

    let ended = actix_web::rt::spawn({
        let stop = Arc::clone(&stop);
        async move {
            let printed = printed(child).await;
            stop.store(true, Ordering::Relaxed);
            printed
        }
    });
    let mut fetched = 0;
    loop {
        let last = stop.load(Ordering::Relaxed);
        for node in [&one, &two] {
            for (user, (sign_in, invite)) in users.iter().zip(&before) {
                assert_eq!(&node.sign_in(user, "acme.test").await.text(), sign_in, "{user}");
                assert_eq!(&node.invite(user, "acme.test").await.text(), invite, "{user}");
                fetched += 2;
            }
        }
        if last {
            break;
        }
    }
    let printed = ended.await.unwrap();
    drain.join().unwrap();
    println!("{fetched} fetches while it went on: {printed}");
    assert_eq!((&printed["key"], &printed["moved_out"]), (&json!(hex(&new)), &json!(1)));
    assert!(printed["sealed"].as_i64().unwrap() >= 86, "{printed}");
    for (key, (answer, number)) in ["first", "second"].iter().zip(kept.iter().zip(["2000", "2001"])) {
        let again = one.api_with("POST", &path, &headers(key), json!({ "number": number })).await;
        assert_eq!(&again.text(), answer, "what was kept for a repetition");
    }

    // Nothing in the whole database is sealed with the old key, and nothing can be any more.
    let mut db = database.connect().await;
    let columns = "select table_name::text, column_name::text from information_schema.columns
                    where table_schema = 'public' and data_type = 'bytea' and table_name <> 'retired_keys'";
    for column in sqlx::query(columns).fetch_all(&mut db).await.unwrap() {
        let (table, name): (String, String) = (column.get(0), column.get(1));
        let left = format!("select count(*) from {table} where substring({name} for 8) = $1");
        let left: i64 = sqlx::query_scalar(AssertSqlSafe(left)).bind(&old[..]).fetch_one(&mut db).await.unwrap();
        assert_eq!(left, 0, "{table}.{name}");
    }
    let late = [&old[..], &[0; 60]].concat();
    for statement in [
        "update extensions set sip_secret = $1",
        "insert into mail_outbox (id, recipient, template, language, sealed) values (gen_random_uuid(), 'a@b.test', 'x', 'en', $1)",
    ] {
        let refused = sqlx::query(statement).bind(&late).execute(&mut db).await.unwrap_err();
        assert_eq!(
            refused.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
            Some("DPL02"),
            "{refused}"
        );
    }
    let aside = Keyring::open(&keyring::retired_file(&ours)).unwrap();
    assert_eq!((aside.ids(), Keyring::open(&ours).unwrap().ids()), (vec![old], vec![new]));
    // The second machine's file is changed by a separate command, and its node continues.
    let retired = key_file_command(&database, &folder, &theirs, &["retire"]);
    assert_eq!(self::printed(retired).await["moved_out"], 1);
    let listed = self::printed(key_file_command(&database, &folder, &theirs, &["list"])).await;
    assert_eq!(
        (&listed[0]["state"], &listed[0]["nodes"], &listed[1]["state"]),
        (&json!("seals"), &json!("2/2"), &json!("retired"))
    );
    assert_eq!(ready(&two).await.status, 200);
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn a_rotation_that_was_stopped_goes_on_with_the_same_key() {
    let (database, folder) = (Database::new().await, Folder::new());
    let ours = folder.keys("one.key");
    let node = Node::with(&database, |settings| settings.key_file = Some(folder.copy(&ours, "two.key"))).await;
    let stopped = key_file_command(&database, &folder, &ours, &["rotate", "--wait", "0"]).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(!stopped.status.success() && said.contains("run `dialplane key-file rotate` again"), "{said}");
    let new = Keyring::open(&ours).unwrap().seals_with();
    std::fs::copy(&ours, folder.0.join("two.key")).unwrap();
    let printed = printed(key_file_command(&database, &folder, &ours, &["rotate"])).await;
    assert_eq!(printed["key"], hex(&new));
    node.stop().await;
}

#[actix_web::test]
async fn a_node_that_lacks_a_key_is_taken_out_until_it_has_it() {
    let (database, folder) = (Database::new().await, Folder::new());
    let file = folder.keys("node.key");
    let node = Node::with(&database, |settings| settings.key_file = Some(file.clone())).await;
    assert_eq!(ready(&node).await.status, 200);
    let more = folder.copy(&file, "more.key");
    let new = keyring::add_key(&more).unwrap();
    let mut db = database.connect().await;
    let add = "insert into sealing_keys (id, seals_since) values ($1, clock_timestamp())";
    sqlx::query(add).bind(&new[..]).execute(&mut db).await.unwrap();
    until("it is out", async || ready(&node).await.status == 503).await;
    let told = ready(&node).await.json();
    assert_eq!(
        (&told["status"], &told["missing_keys"], &told["people"]),
        (&json!("key_missing"), &json!([hex(&new)]), &json!(false))
    );
    let switches = send(node.app.switch_address, "GET", "/readyz/switches", &[], b"").await;
    assert!(switches.status == 503 && switches.text().contains("key file"), "{}", switches.text());
    let doctor = Command::new(env!("CARGO_BIN_EXE_dialplane"))
        .args(["doctor", "--data-dir"])
        .arg(&folder.0)
        .env("DATABASE_URL", {
            let socket = database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
            format!("postgres://dialplane@{socket}/{}", database.options.get_database().unwrap())
        })
        .env("DIALPLANE_KEY_FILE", &file)
        .output()
        .unwrap();
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains(&format!("lacks the key {}", hex(&new))), "{doctor}");

    std::fs::copy(&more, &file).unwrap();
    until("it is back", async || ready(&node).await.status == 200).await;
    node.stop().await;
}

#[actix_web::test]
async fn a_key_file_that_others_may_read_is_refused_and_a_key_in_use_is_not_lost() {
    let (database, folder) = (Database::new().await, Folder::new());
    let file = folder.keys("node.key");
    let node = Node::with(&database, |settings| settings.key_file = Some(file.clone())).await;
    let tenant = node.tenant("acme.test").await;
    let before = std::fs::read(&file).unwrap();
    // If the file has another key instead, the node keeps the one that it has, and says so.
    std::fs::write(&file, format!("{}\n", "7a".repeat(32))).unwrap();
    let named = async || {
        let told = send(node.app.app_address, "GET", "/readyz", &[], b"").await.json();
        told["not_renewed"] == json!(["key_file"])
    };
    until("it is named", named).await;
    node.extension(tenant, json!({ "number": "1000" })).await;
    assert_eq!(node.sign_in("1000", "acme.test").await.status, 200);
    std::fs::write(&file, before).unwrap();
    until("it is well", async || !named().await).await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    until("it is named", named).await;
    let list = key_file_command(&database, &folder, &file, &["list"]).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&list.stderr).into_owned();
    assert!(!list.status.success() && said.contains("mode 0644") && said.contains("chmod 600"), "{said}");
    node.stop().await;
}

#[test]
fn every_sealed_value_is_sealed_again() {
    fn walk(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut sources = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    let known = Column::ALL.iter().map(|column| column.place()).collect::<Vec<_>>();
    let named = sources.iter().flat_map(|text| text.split("Place { column: \"").skip(1));
    let named = named.filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>();
    assert!(named.len() > 8);
    for place in named {
        assert!(known.contains(&place), "{place} in src/node/seals_store.rs, and a trigger in a migration");
    }
}
