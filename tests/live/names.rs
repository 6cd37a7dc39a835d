//! Names with apostrophes, ampersands and so on: how phones show them, and how a mail about a message has them.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

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
    fs::remove_dir_all(kept).unwrap();
}
