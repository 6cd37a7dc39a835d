//! Mails: to an SMTP server that this test plays, to files, with retries and failover.

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use dialplane::{
    telephony::reports::mails,
    tenancy::{auth::rules::Role, mail::deliver::Providers},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    harness::{Database, Node},
    people::person,
};

/// How the server answers recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// 451: try again later.
    Busy,
    /// 550: never.
    Refuses,
    /// 535: wrong password.
    LetsNobodyIn,
    /// 554: refused for another reason.
    Shut,
    /// 550, but not because of the mailbox.
    RelaysNothing,
}

/// An SMTP server (RFC 5321) on its own port, which keeps what it gets.
pub struct SmtpServer {
    pub url: String,
    pub mails: Arc<Mutex<Vec<(String, String)>>>,
    pub mood: Arc<Mutex<Mood>>,
}

impl SmtpServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let (mails, mood) = (Arc::default(), Arc::new(Mutex::new(Mood::Takes)));
        let server = Self { url, mails: Arc::clone(&mails), mood: Arc::clone(&mood) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(session(stream, Arc::clone(&mails), Arc::clone(&mood)));
            }
        });
        server
    }

    /// Waits for a mail to an address, and returns it.
    pub async fn mail_to(&self, recipient: &str) -> String {
        let began = std::time::Instant::now();
        loop {
            let found =
                self.mails.lock().unwrap().iter().rev().find(|(to, _)| to == recipient).map(|(_, mail)| mail.clone());
            if let Some(mail) = found {
                return mail;
            }
            assert!(began.elapsed().as_secs() < 20, "no mail to {recipient}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// The token in the link of the newest mail to an address.
    pub async fn token_for(&self, recipient: &str) -> String {
        self.token_of(recipient, "").await
    }

    /// The same for the newest mail whose link has this path.
    pub async fn token_of(&self, recipient: &str, path: &str) -> String {
        let link = format!("{path}?token=");
        let plain = |mail: &str| mail.replace("=\r\n", "").replace("=3D", "=");
        let began = std::time::Instant::now();
        let mail = loop {
            let mails = self.mails.lock().unwrap().clone();
            let found = mails.iter().rev().find(|(to, mail)| to == recipient && plain(mail).contains(&link));
            if let Some((_, mail)) = found {
                break plain(mail);
            }
            assert!(began.elapsed().as_secs() < 20, "no link {link} for {recipient}: {mails:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let start = mail.find(&link).unwrap_or_default() + link.len();
        mail[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect()
    }
}

async fn session(stream: TcpStream, mails: Arc<Mutex<Vec<(String, String)>>>, mood: Arc<Mutex<Mood>>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut recipient = String::new();
    write.write_all(b"220 test\r\n").await.unwrap();
    while let Ok(Some(line)) = lines.next_line().await {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-test\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",
            "AUTH" if *mood.lock().unwrap() == Mood::LetsNobodyIn => "535 5.7.8 authentication failed\r\n",
            "AUTH" => "235 come in\r\n",
            "RCPT" => {
                recipient = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                match *mood.lock().unwrap() {
                    Mood::Takes | Mood::LetsNobodyIn => "250 ok\r\n",
                    Mood::Shut => "554 no service\r\n",
                    Mood::RelaysNothing => "550 5.7.1 relaying denied\r\n",
                    Mood::Busy => "451 busy\r\n",
                    Mood::Refuses => "550 no such mailbox\r\n",
                }
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.unwrap();
                let mut mail = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line == "." {
                        break;
                    }
                    mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.push_str("\r\n");
                }
                mails.lock().unwrap().push((recipient.clone(), mail));
                "250 taken\r\n"
            }
            "QUIT" => {
                let _ = write.write_all(b"221 bye\r\n").await;
                return;
            }
            _ => "250 ok\r\n",
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

pub async fn with_smtp(database: &Database, urls: &[&str]) -> Node {
    let providers = Providers::new(urls.iter().map(ToString::to_string).collect());
    Node::with(database, |settings| settings.smtp = providers).await
}

async fn agent(node: &Node, tenant: uuid::Uuid, email: &str) {
    let new = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": email });
    let made = node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), new).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

async fn status_of(database: &Database, recipient: &str, wanted: &str) -> (String, i32, Option<String>, i32) {
    let began = std::time::Instant::now();
    loop {
        let row = sqlx::query_as::<_, (String, i32, Option<String>, i32)>(
            "select status, attempts, last_error, octet_length(sealed) from mail_outbox where recipient = $1",
        );
        let row = row.bind(recipient).fetch_one(&mut database.connect().await).await.unwrap();
        if row.0 == wanted && row.1 > 0 && (wanted != "queued" || row.2.is_some()) {
            return row;
        }
        assert!(began.elapsed().as_secs() < 20, "{row:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn a_mail_arrives_whole_by_the_first_provider_that_takes_it() {
    let database = Database::new().await;
    let server = SmtpServer::start().await;
    // The first provider is dead.
    let node = with_smtp(&database, &["smtp://127.0.0.1:9", &server.url]).await;
    let tenant = node.tenant("acme.test").await;
    agent(&node, tenant, "ada@acme.test").await;
    let mail = server.mail_to("ada@acme.test").await;
    for part in [
        "From: \"Dialplane\" <dialplane@localhost>",
        "To: ada@acme.test",
        "Auto-Submitted: auto-generated",
        "Content-Type: multipart/alternative",
        "Content-Type: text/plain",
        "Content-Type: text/html",
    ] {
        assert!(mail.contains(part) || mail.contains(&part.replace('"', "")), "{part} in {mail}");
    }
    assert!(server.token_for("ada@acme.test").await.starts_with("dpo_"));
    let (_, attempts, error, left) = status_of(&database, "ada@acme.test", "sent").await;
    assert_eq!((attempts, error, left), (1, None, 0), "what was sent is not kept");
    node.stop().await;
}

#[actix_web::test]
async fn what_is_not_taken_now_is_tried_again_and_what_never_will_be_is_not() {
    let database = Database::new().await;
    let server = SmtpServer::start().await;
    let node = with_smtp(&database, &[&server.url]).await;
    let tenant = node.tenant("acme.test").await;
    *server.mood.lock().unwrap() = Mood::Busy;
    agent(&node, tenant, "busy@acme.test").await;
    let (_, attempts, error, _) = status_of(&database, "busy@acme.test", "queued").await;
    assert!(attempts == 1 && error.unwrap().contains("451"));
    *server.mood.lock().unwrap() = Mood::Takes;
    let mut db = database.connect().await;
    sqlx::query("update mail_outbox set next_attempt_at = now()").execute(&mut db).await.unwrap();
    server.mail_to("busy@acme.test").await;
    *server.mood.lock().unwrap() = Mood::Refuses;
    agent(&node, tenant, "refused@acme.test").await;
    let (_, attempts, error, _) = status_of(&database, "refused@acme.test", "failed").await;
    assert!(attempts == 1 && error.unwrap().contains("550"));
    // Sent again by hand, once the mailbox exists.
    *server.mood.lock().unwrap() = Mood::Takes;
    assert_eq!(dialplane::tenancy::mail::store::retry(node.app.changes.pool(), None).await.unwrap(), 1);
    server.mail_to("refused@acme.test").await;
    node.stop().await;
}

#[actix_web::test]
async fn what_one_provider_refuses_for_reasons_of_its_own_the_next_takes() {
    let database = Database::new().await;
    let (first, second) = (SmtpServer::start().await, SmtpServer::start().await);
    let url = first.url.replace("://", "://user:password@");
    let node = with_smtp(&database, &[&url, &second.url]).await;
    let tenant = node.tenant("acme.test").await;
    let moods = [Mood::Shut, Mood::RelaysNothing, Mood::Refuses, Mood::LetsNobodyIn];
    for (mood, email) in moods.into_iter().zip(["one@acme.test", "two@acme.test", "three@acme.test", "four@acme.test"])
    {
        *first.mood.lock().unwrap() = mood;
        agent(&node, tenant, email).await;
        second.mail_to(email).await;
        let (_, attempts, error, _) = status_of(&database, email, "sent").await;
        assert_eq!((attempts, error), (1, None), "{mood:?}");
    }
    assert!(first.mails.lock().unwrap().is_empty());
    // No server accepts it, but not all because of the recipient, so it is not given up.
    *second.mood.lock().unwrap() = Mood::Refuses;
    agent(&node, tenant, "five@acme.test").await;
    let (_, attempts, error, _) = status_of(&database, "five@acme.test", "queued").await;
    assert!(attempts == 1 && error.as_ref().unwrap().contains("535"), "{error:?}");
    *first.mood.lock().unwrap() = Mood::Refuses;
    agent(&node, tenant, "six@acme.test").await;
    let (_, attempts, error, _) = status_of(&database, "six@acme.test", "failed").await;
    assert!(attempts == 1 && error.as_ref().unwrap().contains("550"), "{error:?}");
    node.stop().await;
}

#[actix_web::test]
async fn each_mail_leaves_once_whichever_node_sends_it_and_none_before_the_commit() {
    let database = Database::new().await;
    let server = SmtpServer::start().await;
    let (one, two) = (with_smtp(&database, &[&server.url]).await, with_smtp(&database, &[&server.url]).await);
    let tenant = one.tenant("acme.test").await;
    let many = (0..50).map(|n| json!({ "first_name": "A", "last_name": "B", "email": format!("a{n}@acme.test") }));
    let bulk = json!({ "agents": many.collect::<Vec<_>>() });
    let report = two.api("POST", &format!("/v1/admin/agents/bulk?tenant_id={tenant}"), bulk).await;
    assert_eq!(report.json()["created"], 50);
    // All or none: the mail of the good line is not sent.
    let half =
        json!({ "agents": [{ "first_name": "A", "last_name": "B", "email": "half@acme.test" }, { "email": "wrong" }] });
    assert_eq!(one.api("POST", &format!("/v1/admin/agents/bulk?tenant_id={tenant}"), half).await.status, 422);
    for n in 0..50 {
        server.mail_to(&format!("a{n}@acme.test")).await;
    }
    status_of(&database, "a49@acme.test", "sent").await;
    let mails = server.mails.lock().unwrap().iter().map(|(to, _)| to.clone()).collect::<Vec<_>>();
    let mut distinct = mails.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((mails.len(), distinct.len()), (50, 50));
    assert!(!mails.contains(&"half@acme.test".to_owned()));
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn without_a_server_mails_are_files() {
    let database = Database::new().await;
    let mut folder = None;
    let node = Node::with(&database, |settings| folder = Some(settings.data_dir.join("mail"))).await;
    let tenant = node.tenant("acme.test").await;
    agent(&node, tenant, "ada@acme.test").await;
    status_of(&database, "ada@acme.test", "sent").await;
    let files = std::fs::read_dir(folder.unwrap()).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(files.len(), 1);
    let mail = std::fs::read_to_string(&files[0]).unwrap();
    assert!(
        mail.contains("To: ada@acme.test") && mail.contains("reset?token=3Ddpo_") || mail.contains("reset?token=dpo_"),
        "{mail}"
    );
    assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    node.stop().await;
}

#[actix_web::test]
async fn from_registration_to_a_phone_as_a_script_would_do_it() {
    let database = Database::new().await;
    let server = SmtpServer::start().await;
    let node = with_smtp(&database, &[&server.url]).await;
    let open = async |path: &str, body: Value| node.api_with("POST", path, &[], body).await;
    let new = json!({ "company": "Acme", "domain": "acme.test", "first_name": "Ada", "last_name": "Lovelace",
        "email": "ada@acme.test", "password": "copper lantern walks 9 rivers" });
    assert_eq!(open("/v1/auth/register", new.clone()).await.status, 202);
    let login = json!({ "email": "ada@acme.test", "password": "copper lantern walks 9 rivers" });
    assert_eq!(open("/v1/auth/login", login.clone()).await.status, 409, "not before the address is verified");
    let token = server.token_for("ada@acme.test").await;
    let verify = json!({ "token": token, "password": "copper lantern walks 9 rivers" });
    assert_eq!(open("/v1/auth/verify-email", verify.clone()).await.status, 204);
    assert_eq!(open("/v1/auth/verify-email", verify).await.status, 422, "once");
    let session = open("/v1/auth/login", login).await;
    assert_eq!(session.status, 200, "{}", session.text());
    let bearer = format!("Bearer {}", session.json()["access_token"].as_str().unwrap());
    let headers = [("Authorization", bearer.as_str())];
    // The same address again gets the same answer, and a mail that says so.
    let mut again = new;
    again["domain"] = json!("other.test");
    assert_eq!(open("/v1/auth/register", again).await.status, 202);
    let began = std::time::Instant::now();
    while !server.mails.lock().unwrap().iter().any(|(_, mail)| mail.contains("You already have an account")) {
        assert!(began.elapsed().as_secs() < 20);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let mut agents = Vec::new();
    for n in 1..=3 {
        let new = json!({ "first_name": "Agent", "last_name": format!("{n}"), "email": format!("agent{n}@acme.test") });
        let made = node.api_with("POST", "/v1/admin/agents", &headers, new).await;
        assert_eq!(made.status, 201, "{}", made.text());
        agents.push(made.json());
    }
    for agent in &agents {
        let user = agent["extensions"][0]["sip_username"].as_str().unwrap();
        assert!(node.sign_in(user, "acme.test").await.text().contains("a1-hash"));
    }
    // An agent chooses a password with the link, and their softphone asks for its settings.
    let token = server.token_for("agent1@acme.test").await;
    let weak = open("/v1/auth/reset-password", json!({ "token": token, "password": "agent12345" })).await;
    assert_eq!((weak.status, &weak.json()["field"]), (422, &json!("password")));
    let chosen = json!({ "token": token, "password": "nine purple harbours hum" });
    assert_eq!(open("/v1/auth/reset-password", chosen.clone()).await.status, 204);
    assert_eq!(open("/v1/auth/reset-password", chosen).await.status, 422, "once");
    let login = json!({ "email": "agent1@acme.test", "password": "nine purple harbours hum" });
    let theirs = open("/v1/auth/login", login).await.json();
    let bearer = format!("Bearer {}", theirs["access_token"].as_str().unwrap());
    let me = node.api_with("GET", "/v1/auth/me", &[("Authorization", &bearer)], Value::Null).await.json();
    assert_eq!(me["extensions"][0]["sip_password"], agents[0]["extensions"][0]["sip_password"]);

    let path = format!("/v1/admin/agents/{}", agents[1]["id"].as_str().unwrap());
    assert_eq!(node.api_with("PATCH", &path, &headers, json!({ "status": "suspended" })).await.status, 200);
    let user = agents[1]["extensions"][0]["sip_username"].as_str().unwrap();
    assert!(!node.sign_in(user, "acme.test").await.text().contains("<user "));
    node.stop().await;
}

#[actix_web::test]
async fn a_report_comes_once_each_morning_with_its_table_to_those_who_may_see_it() {
    let (database, server) = (Database::new().await, SmtpServer::start().await);
    let node = with_smtp(&database, &[&server.url]).await;
    let second = with_smtp(&database, &[&server.url]).await;
    let tenant = node.tenant("acme.test").await;
    let manager = person(&node, Some(tenant), Role::Manager, "mia@acme.test").await;
    let agent = person(&node, Some(tenant), Role::Agent, "ann@acme.test").await;
    let elsewhere = node.tenant("other.test").await;
    let stranger = person(&node, Some(elsewhere), Role::Owner, "eve@other.test").await;
    let path = format!("/v1/tenants/{tenant}/settings");
    let daily = |to: Vec<uuid::Uuid>| json!({ "name": "Daily", "every": "day", "by": "agent", "recipients": to });
    let mut refused = Vec::new();
    for mails in [
        json!([daily(vec![agent.id])]),
        json!([daily(vec![manager.id, stranger.id])]),
        json!([daily(vec![])]),
        json!([daily(vec![manager.id]), daily(vec![manager.id])]),
    ] {
        let answer = node.api("PATCH", &path, json!({ "reports": { "mails": mails } })).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        let (problem, code) = (answer.json(), answer.json()["code"].clone());
        refused.push((problem["field"].as_str().unwrap().to_owned(), code.as_str().unwrap().to_owned()));
    }
    let expected = [
        ("reports.mails[0].recipients", "names_no_reader"),
        ("reports.mails[0].recipients", "names_no_reader"),
        ("reports.mails[0].recipients", "out_of_range"),
        ("reports.mails[1].name", "names_one_twice"),
    ];
    assert_eq!(refused, expected.map(|(field, code)| (field.to_owned(), code.to_owned())));
    // In India, it is always half past five more than in Greenwich.
    let set = json!({ "time_zone": "Asia/Kolkata", "reports": { "mails": [daily(vec![manager.id])] } });
    let changed = node.api("PATCH", &path, set).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    node.call(tenant).await;
    dialplane::telephony::reports::roll_store::roll(node.app.changes.pool()).await.unwrap();
    let today = (chrono::Utc::now() + chrono::TimeDelta::minutes(330)).date_naive();
    let at = |days: u64, time: &str| {
        format!("{}T{time}Z", today + chrono::Days::new(days)).parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    // Two nodes at once: it is mailed once.
    let (one, other) = tokio::join!(
        mails::send(&node.app.changes, at(1, "06:30:00")),
        mails::send(&second.app.changes, at(1, "06:30:00"))
    );
    assert_eq!(one.unwrap() + other.unwrap(), 1);
    let subject = format!("Daily: {today}");
    let began = std::time::Instant::now();
    let mail = loop {
        let mails = server.mails.lock().unwrap().clone();
        let mut found = mails.into_iter().filter(|(to, mail)| to == "mia@acme.test" && mail.contains(&subject));
        if let Some((_, mail)) = found.next() {
            break mail.replace("=\r\n", "").replace("=3D", "=");
        }
        assert!(began.elapsed().as_secs() < 20, "{:?}", server.mails.lock().unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    for part in [
        "multipart/mixed",
        "text/csv",
        &format!("filename=\"report-{today}.csv\""),
        "begins_at,key,name,calls,answered",
        "there were 1 calls, after 0",
    ] {
        assert!(mail.replace("\r\n", " ").contains(part), "{part}: {mail}");
    }
    // It comes at six, not before, and once.
    for (days, time, mails_sent) in [(2, "00:29:00", 0), (2, "00:31:00", 1), (2, "12:00:00", 0), (3, "00:29:00", 0)] {
        assert_eq!(mails::send(&second.app.changes, at(days, time)).await.unwrap(), mails_sent, "{days} {time}");
    }
    // Whoever may no longer see reports gets none.
    let path_of_her = format!("/v1/admin/agents/{}?tenant_id={tenant}", manager.id);
    let less = node.api("PATCH", &path_of_her, json!({ "role": "agent" })).await;
    assert_eq!(less.status, 200, "{}", less.text());
    assert_eq!(mails::send(&node.app.changes, at(4, "00:31:00")).await.unwrap(), 0);
    // Nor does a tenant without the feature.
    let off = json!({ "features": { "reports": false } });
    assert_eq!(node.api("PATCH", &path, off).await.status, 200);
    assert_eq!(mails::send(&node.app.changes, at(5, "00:31:00")).await.unwrap(), 0);
    assert_eq!(database.count("select count(*) from report_mails").await, 1);
    second.stop().await;
    node.stop().await;
}

#[actix_web::test]
async fn a_report_by_mail_that_is_renamed_or_removed_leaves_nothing_behind() {
    let (database, server) = (Database::new().await, SmtpServer::start().await);
    let node = with_smtp(&database, &[&server.url]).await;
    let tenant = node.tenant("acme.test").await;
    let manager = person(&node, Some(tenant), Role::Manager, "mia@acme.test").await;
    let path = format!("/v1/tenants/{tenant}/settings");
    let have = async |names: &[&str]| {
        let mails = names.iter().map(|name| json!({ "name": name, "every": "day", "recipients": [manager.id] }));
        let set = json!({ "reports": { "mails": mails.collect::<Vec<_>>() } });
        let changed = node.api("PATCH", &path, set).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
    };
    let noted = async || {
        let names = "select coalesce(string_agg(name, ',' order by name), '') from report_mails";
        sqlx::query_scalar::<_, String>(names).fetch_one(&mut database.connect().await).await.unwrap()
    };
    // Later than the node's own job is.
    let now = chrono::Utc::now() + chrono::TimeDelta::days(3);
    have(&["Daily", "Weekly"]).await;
    assert_eq!(mails::send(&node.app.changes, now).await.unwrap(), 2);
    assert_eq!(noted().await, "Daily,Weekly");
    have(&["Morning", "Weekly"]).await;
    assert_eq!(mails::send(&node.app.changes, now).await.unwrap(), 1, "the one with the new name");
    assert_eq!(noted().await, "Morning,Weekly");
    have(&["Weekly"]).await;
    assert_eq!(mails::send(&node.app.changes, now).await.unwrap(), 0);
    assert_eq!(noted().await, "Weekly");
    // A later report with the old name is another one.
    have(&["Daily", "Weekly"]).await;
    assert_eq!(mails::send(&node.app.changes, now).await.unwrap(), 1);
    have(&[]).await;
    assert_eq!(mails::send(&node.app.changes, now).await.unwrap(), 0);
    assert_eq!(noted().await, "");
    node.stop().await;
}
