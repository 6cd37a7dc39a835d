//! Names with apostrophes, ampersands and so on: how phones show them, and how a mail about a message has them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use base64::Engine as _;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::{
    freeswitch,
    harness::{Database, Node},
    ports,
    sipp::{self, Phone, Script},
    switch::{Switch, copy},
};

const NAMES: [&str; 4] = ["O'Brien", "L'Oréal", "AT&T", "Smith & Sons"];

/// freeswitch-conf with a mailer that writes each mail to a separate file.
fn conf_with_mailer(folder: &Path) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("freeswitch-conf"), &folder.join("conf"));
    let mailer = folder.join("mailer");
    fs::write(&mailer, format!("#!/bin/sh\ncat > {}/mail-$$\n", folder.display())).unwrap();
    fs::set_permissions(&mailer, fs::Permissions::from_mode(0o700)).unwrap();
    let file = folder.join("conf/autoload_configs/switch.conf.xml");
    let text = fs::read_to_string(&file).unwrap();
    let wanted = "name=\"mailer-app\" value=\"sendmail\"";
    assert!(text.contains(wanted));
    fs::write(&file, text.replace(wanted, &format!("name=\"mailer-app\" value=\"{}\"", mailer.display()))).unwrap();
}

/// The mails that came.
fn mails(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mails = entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("mail-")));
    let texts = mails.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
    texts.collect()
}

#[actix_web::test]
async fn names_are_shown_by_phones_and_told_by_mails_as_they_are() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let caller = node.extension(tenant, json!({ "number": "1000" })).await;
    let mailbox = json!({ "number": "1001", "ring_seconds": 5, "voicemail_email": "box@acme.test" });
    let callee = node.extension(tenant, mailbox).await;
    let folder = std::env::temp_dir().join(format!("dialplane-names-{}", uuid::Uuid::now_v7().simple()));
    conf_with_mailer(&folder);
    let path = format!("/v1/tenants/{tenant}/extensions/{}", caller["id"].as_str().unwrap());
    let (runtime, kept) = (tokio::runtime::Handle::current(), folder.clone());
    let played = tokio::task::spawn_blocking(move || {
        let switch = Switch::boot_from(&binary, &node, &folder.join("conf"));
        let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
        let (user, password) = (text(&caller, "sip_username"), text(&caller, "sip_password"));
        let (other, others) = (text(&callee, "sip_username"), text(&callee, "sip_password"));
        let (here, there) = (ports::phone(), ports::phone());
        let calls = |scenario, to| {
            let script = Script { scenario, target: switch.internal, port: here, user: &user, password: &password, to };
            Phone::start(&script)
        };
        let answers = |scenario, more: &[&str]| {
            let (target, port) = (switch.internal, there);
            let script = Script { scenario, target, port, user: &other, password: &others, to: "-" };
            Phone::start_at("127.0.0.1", &script, more)
        };
        assert!(answers("register.xml", &[]).succeeds());
        sipp::take_notify(there);
        for (at, name) in NAMES.into_iter().enumerate() {
            let renamed = runtime.block_on(node.api("PATCH", &path, json!({ "display_name": name })));
            assert_eq!(renamed.status, 200, "{}", renamed.text());
            let trace = folder.join(format!("trace-{at}"));
            let phone = answers("answer.xml", &["-trace_msg", "-message_file", trace.to_str().unwrap()]);
            assert!(calls("call.xml", "1001").succeeds(), "{name}:\n{}", switch.log());
            assert!(phone.succeeds(), "{name}");
            let seen = fs::read_to_string(&trace).unwrap();
            let invite = &seen[seen.find("INVITE sip:").unwrap_or_else(|| panic!("{seen}"))..];
            let from = invite.lines().find(|line| line.starts_with("From:")).unwrap();
            println!("the phone shows {from}");
            assert!(from.contains(&format!("\"{name}\"")), "{name}: {from}");
            // Nobody answers at 1001, so there is a message, and a mail about it.
            assert!(calls("call-voicemail.xml", "1001").succeeds(), "{name}:\n{}", switch.log());
            let since = Instant::now();
            while mails(&folder).len() <= at {
                assert!(since.elapsed() < Duration::from_mins(1), "no mail about {name}:\n{}", switch.log());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        node
    });
    played.await.unwrap().stop().await;
    let mails = mails(&kept);
    for mail in &mails {
        println!("{}", mail.lines().take(11).collect::<Vec<_>>().join("\n"));
    }
    for name in NAMES {
        assert_eq!(mails.iter().filter(|mail| mail.contains(name)).count(), 1, "{name} in one mail");
    }
    // Each has the message as a sound: a WAV file of some seconds.
    for mail in &mails {
        let (_, part) = mail.split_once("Content-Type: audio/").unwrap_or_else(|| panic!("{mail:.2000}"));
        let (head, body) = part.split_once("\n\n").unwrap();
        assert!(head.contains("Content-Transfer-Encoding: base64") && head.contains("filename"), "{head}");
        let coded = body.split("\n--").next().unwrap().split_whitespace().collect::<String>();
        let sound = base64::engine::general_purpose::STANDARD.decode(coded).unwrap();
        assert!(sound.starts_with(b"RIFF") && sound.len() > 2 * 16_000, "{} bytes", sound.len());
    }
    fs::remove_dir_all(kept).unwrap();
}

/// The arguments of an application's runs, as the switch tells of them.
fn arguments(switch: &Switch, application: &'static str) -> std::thread::JoinHandle<Vec<String>> {
    let (address, password) = switch.event_socket();
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    stream.get_mut().set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    write!(stream.get_mut(), "auth {password}\n\nevent plain CHANNEL_EXECUTE CHANNEL_HANGUP_COMPLETE\n\n").unwrap();
    // So that nothing is missed.
    let mut line = String::new();
    while !line.starts_with("Reply-Text: +OK event listener enabled") {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0);
    }
    std::thread::spawn(move || {
        let (mut runs, mut is_it) = (Vec::new(), false);
        loop {
            line.clear();
            assert!(stream.read_line(&mut line).is_ok_and(|read| read > 0), "the call goes on");
            let (name, value) = line.trim_end().split_once(": ").unwrap_or_default();
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "Event-Name" if value == "CHANNEL_HANGUP_COMPLETE" => return runs,
                "Application" => is_it = value == application,
                "Application-Data" if is_it => runs.push(value),
                _ => {}
            }
        }
    })
}

#[actix_web::test]
async fn what_is_spoken_arrives_at_the_switch_with_its_apostrophes_and_ampersands() {
    let Some(binary) = freeswitch() else { return };
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("acme.test").await;
    let caller = node.extension(tenant, json!({ "number": "1000" })).await;
    let texts = [
        "Welcome to O'Brien & Sons: don't hang up",
        "AT&T, 'quoted', L'Oréal & 'half",
        "Write to sales@@acme",
        "&#39 is &amp no reference",
        "&#39; would be one",
    ];
    let mut said = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        let config = json!({ "prompt": { "text": text } });
        let new = json!({ "name": format!("Said {at}"), "number": format!("50{at}"), "kind": "announcement", "config": config });
        let made = node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), new).await;
        // A semicolon ends a reference, and is refused.
        assert_eq!(made.status, if text.contains(';') { 422 } else { 201 }, "{text}: {}", made.text());
        if made.status == 201 {
            said.push((format!("50{at}"), format!("say:{}", text.replace("@@", "@ @"))));
        }
    }
    let played = tokio::task::spawn_blocking(move || {
        let switch = Switch::boot(&binary, &node);
        let (user, password) = (caller["sip_username"].as_str().unwrap(), caller["sip_password"].as_str().unwrap());
        for (number, argument) in said {
            let heard = arguments(&switch, "playback");
            let (target, port) = (switch.internal, ports::phone());
            let script = Script { scenario: "call-until-bye.xml", target, port, user, password, to: &number };
            assert!(Phone::start(&script).succeeds(), "{number}:\n{}", switch.log());
            assert_eq!(heard.join().unwrap(), [argument], "{}", switch.log());
        }
        node
    });
    played.await.unwrap().stop().await;
}
