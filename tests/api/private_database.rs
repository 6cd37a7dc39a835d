//! Without DATABASE_URL: a private cluster is created, survives a crash, and is stopped.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Starts a demo and waits for its line of JSON.
fn demo(folder: &Path) -> (Child, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
    command.args(["demo", "--json", "--switch-listen", "127.0.0.1:0", "--app-listen", "127.0.0.1:0", "--data-dir"]);
    std::fs::create_dir_all(folder).unwrap();
    let log = folder.join("demo.log");
    command.arg(folder).env_remove("DATABASE_URL").stdout(Stdio::piped()).stderr(std::fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said = || std::fs::read_to_string(&log).unwrap();
    (child, serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}, and the log: {}", said())))
}

fn end(child: &mut Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    child.wait().unwrap();
}

#[test]
fn a_demo_keeps_its_data_over_a_crash_and_leaves_nothing_running() {
    let folder = std::env::temp_dir().join(format!("dialplane-demo-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    let running = folder.join("postgres/postmaster.pid");
    let (mut child, first) = demo(&folder);
    assert_eq!(first["tenant"]["context"], "acme.test");
    assert!(first["extensions"].as_array().unwrap().len() >= 2 && first["did"].as_str().unwrap().starts_with('+'));
    for field in ["switch_url", "cdr_url", "app_url"] {
        assert!(first[field].as_str().unwrap().starts_with("http://127.0.0.1:"), "{first}");
    }
    end(&mut child, Signal::SIGKILL);
    assert!(running.exists(), "the database outlives the crash");

    let (mut child, again) = demo(&folder);
    for field in ["switch", "admin", "tenant", "extensions", "did", "api_key"] {
        assert_eq!(first[field], again[field]);
    }
    let second =
        Command::new(env!("CARGO_BIN_EXE_dialplane")).args(["serve", "--data-dir"]).arg(&folder).output().unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("another dialplane runs on the data directory"), "{said}");
    end(&mut child, Signal::SIGTERM);
    assert!(!running.exists(), "stopped with it");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The server's process id, as the server says it.
fn postmaster(folder: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(folder.join("postgres/postmaster.pid")).ok()?;
    text.lines().next()?.parse().ok().map(Pid::from_raw)
}

/// Makes a change over the API. Returns `false` if it was refused or not answered.
fn can_be_changed(demo: &Value) -> bool {
    let (url, key) = (demo["app_url"].as_str().unwrap(), demo["api_key"].as_str().unwrap());
    let path = format!("{url}/v1/tenants/{}", demo["tenant"]["id"].as_str().unwrap());
    let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().new_agent();
    let name = format!("Acme {}", uuid::Uuid::now_v7());
    let request = agent.patch(path).header("X-API-Key", key).header("Content-Type", "application/json");
    request.send(format!(r#"{{"name":"{name}"}}"#)).is_ok()
}

/// Waits until a condition holds, and returns how long it took.
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    since.elapsed()
}

#[test]
fn a_private_postgres_that_is_killed_runs_again_within_seconds_and_stops_with_its_node() {
    let folder = std::env::temp_dir().join(format!("dialplane-killed-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    let (mut child, made) = demo(&folder);
    assert!(can_be_changed(&made));
    for _ in 0..2 {
        let killed = postmaster(&folder).unwrap();
        kill(killed, Signal::SIGKILL).unwrap();
        let back = until("another server", || postmaster(&folder).is_some_and(|pid| pid != killed));
        let changed = until("a change", || can_be_changed(&made));
        // The promise is two seconds for both, but here a debug build shares the machine with other tests.
        assert!(back < Duration::from_secs(5), "{back:?}");
        println!("a new server after {back:?}, a change {changed:?} later");
    }
    // The node is told to stop just after its database died.
    kill(postmaster(&folder).unwrap(), Signal::SIGKILL).unwrap();
    let since = Instant::now();
    end(&mut child, Signal::SIGTERM);
    assert!(since.elapsed() < Duration::from_secs(12), "five seconds are promised: {:?}", since.elapsed());
    println!("stopped after {:?}", since.elapsed());
    assert!(!folder.join("postgres/postmaster.pid").exists(), "and nothing runs");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_node_starts_whatever_a_crash_left_of_its_postgres() {
    let folder = std::env::temp_dir().join(format!("dialplane-left-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    for _ in 0..4 {
        let (mut child, made) = demo(&folder);
        assert!(can_be_changed(&made));
        // The server's child processes live on and hold its shared memory until they notice.
        let server = postmaster(&folder).unwrap();
        kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
        kill(server, Signal::SIGKILL).unwrap();
        child.wait().unwrap();
    }
    // A server that is still stopping or recovering is waited for.
    let (mut child, _) = demo(&folder);
    end(&mut child, Signal::SIGKILL);
    kill(postmaster(&folder).unwrap(), Signal::SIGINT).unwrap();
    let (mut child, _) = demo(&folder);
    // The number in the pid file may now belong to another process, which is not the server.
    end(&mut child, Signal::SIGTERM);
    std::fs::write(folder.join("postgres/postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    let (mut child, _) = demo(&folder);
    end(&mut child, Signal::SIGTERM);
    std::fs::remove_dir_all(folder).unwrap();
}

/// A node that ended here at once would leave its server running, and the next one would not know it.
#[test]
fn a_node_that_is_told_to_stop_while_it_starts_leaves_no_postgres_behind() {
    let folder = std::env::temp_dir().join(format!("dialplane-early-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    let running = folder.join("postgres/postmaster.pid");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
        command.args(["serve", "--switch-listen", "127.0.0.1:0", "--app-listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(&folder).env_remove("DATABASE_URL").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        until("a server", || running.exists());
        let server = postmaster(&folder);
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.success(), "{ended}");
        assert!(!running.exists() && server.is_none_or(|pid| kill(pid, None).is_err()), "{server:?} runs on");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// A command without DATABASE_URL.
fn run(folder: &Path, words: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
    command.args(words).arg("--data-dir").arg(folder).env_remove("DATABASE_URL").output().unwrap()
}

#[test]
fn commands_other_than_migrate_make_no_database_and_say_where_they_looked() {
    let folder = std::env::temp_dir().join(format!("dialplane-none-{}", uuid::Uuid::now_v7().simple()));
    let csv = std::env::temp_dir().join("none.csv");
    for words in [
        &["tenant", "list"][..],
        &["tenant", "create", "--domain", "acme.test"],
        &["admin", "create", "--email", "ops@platform.test"],
        &["agent", "import", "--tenant", "acme.test", csv.to_str().unwrap()],
        &["mail", "list"],
        &["render", "--user", "1000@acme.test"],
        &["route", "preview", "--tenant", "acme.test", "+493012345678"],
        &["doctor"],
    ] {
        let output = run(&folder, words);
        assert!(!output.status.success(), "{words:?}");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let place = format!("no database in the data directory {}", folder.display());
        assert!(said.contains(&place) && said.contains("dialplane serve"), "{words:?}: {said}");
        assert!(!folder.exists(), "{words:?} made something");
    }
    let output = run(&folder, &["tenant", "list", "--json"]);
    let error = serde_json::from_slice::<Value>(&output.stderr).unwrap();
    assert_eq!(error["code"], "no_database");

    let output = run(&folder, &["migrate"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains(&folder.display().to_string()), "{said}");
    let output = run(&folder, &["tenant", "list"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("the private database in the data directory {}", folder.display())), "{said}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_command_line_finds_a_running_demo_and_starts_nothing_of_its_own() {
    let folder = std::env::temp_dir().join(format!("dialplane-beside-{}", uuid::Uuid::now_v7().simple()));
    let (mut child, made) = demo(&folder);
    let postmaster = || std::fs::read_to_string(folder.join("postgres/postmaster.pid")).unwrap();
    let before = postmaster();
    let output = run(&folder, &["tenant", "list", "--json"]);
    let tenants = serde_json::from_slice::<Value>(&output.stdout).unwrap();
    assert_eq!(tenants[0]["id"], made["tenant"]["id"]);
    assert_eq!(postmaster(), before);
    // A crashed node leaves its Postgres running, and commands find it.
    end(&mut child, Signal::SIGKILL);
    let output = run(&folder, &["tenant", "list", "--json"]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("acme.test"));
    // Several commands at once, without a node, take turns with the cluster.
    let all = (0..4).map(|_| {
        let folder = folder.clone();
        std::thread::spawn(move || run(&folder, &["tenant", "list", "--json"]))
    });
    for one in all.collect::<Vec<_>>() {
        let output = one.join().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!folder.join("postgres/postmaster.pid").exists(), "stopped again");
    std::fs::remove_dir_all(folder).unwrap();
}

/// A file system of a hundred megabytes. `None` if this user may not mount one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("dialplane-disk-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=100m,mode=755", "tmpfs"]).arg(&folder).stderr(Stdio::null());
        let mounted = mount.status().is_ok_and(|status| status.success());
        let disk = Self(folder);
        mounted.then_some(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A node's answer at a path: status and body.
fn said(demo: &Value, method: &str, path: &str, body: &str) -> (u16, Value) {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let request =
        ureq::http::Request::builder().method(method).uri(format!("{}{path}", demo["app_url"].as_str().unwrap()));
    let request =
        request.header("X-API-Key", demo["api_key"].as_str().unwrap()).header("Content-Type", "application/json");
    let mut answer = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
}

/// A node's answer to a call record of a leg.
fn recorded(demo: &Value, body: &str) -> (u16, String) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (name, token) = (text(&demo["switch"]["name"]), text(&demo["switch"]["token"]));
    let url = text(&demo["cdr_url"]);
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{token}")));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
    let path = format!("/{path}?uuid={}", uuid::Uuid::new_v4());
    let sent = crate::harness::send(address.parse().unwrap(), "POST", &path, &headers, body.as_bytes());
    let answer = actix_web::rt::System::new().block_on(sent);
    (answer.status, answer.text())
}

#[test]
fn with_a_full_disk_changes_are_refused_as_such_and_readiness_says_so() {
    let Some(disk) = SmallDisk::mount() else { return crate::harness::skipped("this user may not mount a small disk") };
    let (mut child, made) = demo(&disk.0);
    let path = format!("/v1/tenants/{}/extensions", made["tenant"]["id"].as_str().unwrap());
    assert_eq!(said(&made, "GET", "/readyz", "").0, 200);
    // Fill the disk to the last block.
    let filler = disk.0.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    let refused = (0..2000).map(|n| said(&made, "POST", &path, &format!(r#"{{"number":"{}"}}"#, 100_000 + n)));
    let refused = refused.into_iter().find(|(status, _)| *status != 201).unwrap();
    assert_eq!((refused.0, &refused.1["code"]), (503, &"database_full".into()), "{}", refused.1);
    // A switch is told the same about a record, and keeps it. What can't be compressed does not fit; nor does the node's log, which is on the
    // same disk.
    let filling = || (0..1000).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect::<String>();
    let record = || format!(r#"{{"variables":{{"hangup_cause":"NORMAL_CLEARING","x":"{}"}}}}"#, filling());
    let records = (0..40).map(|_| recorded(&made, &record())).collect::<Vec<_>>();
    let refused = records.iter().filter(|(status, _)| *status != 200).collect::<Vec<_>>();
    assert!(!refused.is_empty());
    for (status, said) in refused {
        assert!(*status == 503 && said.starts_with("database_full: "), "{status}: {said}");
    }
    until("it says so", || said(&made, "GET", "/readyz/people", "").0 == 503);
    let (status, report) = said(&made, "GET", "/readyz", "");
    assert_eq!(
        (status, &report["status"], &report["switches"]),
        (503, &"database_full".into(), &true.into()),
        "{report}"
    );
    assert_eq!(said(&made, "GET", "/readyz/switches", "").0, 200, "switches are served");
    assert_eq!(said(&made, "GET", &path, "").0, 200, "and everything can be read");
    std::fs::remove_file(&filler).unwrap();
    until("room again", || said(&made, "GET", "/readyz/people", "").0 == 200);
    assert_eq!(said(&made, "POST", &path, r#"{"number":"200000"}"#).0, 201);
    end(&mut child, Signal::SIGTERM);
}

#[test]
fn a_demo_that_speaks_tls_says_so_in_the_urls_it_prints() {
    let folder = std::env::temp_dir().join(format!("dialplane-tls-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
    command.args(["demo", "--switch-listen", "0.0.0.0:0", "--app-listen", "127.0.0.1:0", "--data-dir"]).arg(&folder);
    command.env("DIALPLANE_SWITCH_TLS_CERTIFICATE", &certificate).env("DIALPLANE_SWITCH_TLS_KEY", &key);
    command.env_remove("DATABASE_URL").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let shown = lines.take_while(|line| !line.contains("Ctrl-C")).collect::<Vec<_>>().join("\n");
    end(&mut child, Signal::SIGTERM);
    // Where the certificate is valid: nobody believes it for 0.0.0.0.
    assert!(shown.contains("https://localhost:") && shown.contains("/fs/xml"), "{shown}");
    assert!(!shown.contains("0.0.0.0"), "{shown}");
    let plain = shown.lines().find(|line| line.contains("http://") && line.contains("/fs/"));
    assert!(plain.is_none(), "{plain:?}");
    // curl and a switch believe this certificate only if they are told to.
    let trusted = certificate.canonicalize().unwrap().display().to_string();
    assert!(shown.contains(&format!("curl --cacert {trusted} -u fs1:")), "{shown}");
    for (name, value) in
        [("enable-cacert-check", "true"), ("enable-ssl-verifyhost", "true"), ("ssl-cacert-file", &trusted)]
    {
        assert!(shown.contains(&format!("name=\"{name}\" value=\"{value}\"")), "{name}: {shown}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
