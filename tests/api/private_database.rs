//! Without DATABASE_URL: a private cluster that is made, kept over a crash, and stopped.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Starts a demo and waits for its line.
fn demo(folder: &Path) -> (Child, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dialplane"));
    command.args(["demo", "--json", "--switch-listen", "127.0.0.1:0", "--app-listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(folder).env_remove("DATABASE_URL").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}")))
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
