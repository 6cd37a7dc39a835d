//! A node whose pages a browser opens.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    harness::{Database, Node},
};

pub const PASSWORD: &str = "copper lantern walks 9 rivers";
pub const ADMIN: &str = "admin@platform.test";

/// A node with a platform administrator, and the folder with its mails.
pub struct Site {
    pub node: Node,
    pub url: String,
    mails: PathBuf,
}

impl Site {
    pub async fn start(database: &Database) -> Self {
        let mut mails = PathBuf::new();
        // Links in mails have the node's port, so it is chosen in advance.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let node = Node::with(database, |settings| {
            mails = settings.data_dir.join("mail");
            settings.app_listen = ([127, 0, 0, 1], port).into();
            settings.public_url = Some(format!("http://127.0.0.1:{port}"));
        })
        .await;
        let author = dialplane::node::changes::Author { name: "test".into(), source: None, within: None };
        let mut change = node.app.changes.begin(author).await.unwrap();
        dialplane::tenancy::users::create_platform_admin(&mut change, &node.app.auth.passwords, ADMIN, PASSWORD)
            .await
            .unwrap();
        change.commit_quietly().await.unwrap();
        Self { node, url, mails }
    }

    /// The link in the newest mail to an address.
    pub async fn link_for(&self, recipient: &str) -> String {
        let began = std::time::Instant::now();
        loop {
            let mut files = std::fs::read_dir(&self.mails)
                .map(|files| files.map(|file| file.unwrap().path()).collect::<Vec<_>>())
                .unwrap_or_default();
            files.sort();
            for file in files.iter().rev() {
                let mail = std::fs::read_to_string(file).unwrap_or_default();
                let mail = mail.replace("=\r\n", "").replace("=3D", "=");
                if mail.contains(&format!("To: {recipient}"))
                    && let Some(start) = mail.find(&self.url)
                {
                    return mail[start..].split_whitespace().next().unwrap().to_owned();
                }
            }
            assert!(began.elapsed().as_secs() < 20, "no mail to {recipient}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// The id of a tenant.
    pub async fn tenant(&self, domain: &str) -> uuid::Uuid {
        self.node.api("GET", &format!("/v1/tenants/by-domain/{domain}"), Value::Null).await.id()
    }

    /// A tenant's calls: one thing of each subject. Returns their ids by the subject's name.
    pub async fn routing(&self, domain: &str) -> std::collections::HashMap<&'static str, String> {
        let tenant = self.tenant(domain).await;
        let phones = self.node.api("GET", &format!("/v1/tenants/{tenant}/extensions"), Value::Null).await.json();
        let phone = |at: usize| phones["items"][at]["id"].clone();
        let mut made = std::collections::HashMap::new();
        let group = json!({ "name": "sales-team", "number": "701", "members": [phone(0), phone(1)] });
        let group = self.node.api("POST", &format!("/v1/tenants/{tenant}/groups"), group).await.id();
        made.insert("groups", group.to_string());
        let target = json!({ "kind": "group", "id": group });
        let wednesday = json!([{ "open": "09:00", "close": "12:30" }, { "open": "13:30", "close": "17:00" }]);
        let hours = json!({ "monday": wednesday, "wednesday": wednesday, "holidays": [{ "date": "2026-12-25", "name": "Christmas Day" }] });
        for (name, kind, config) in [
            (
                "queues",
                "queue",
                json!({ "tiers": [{ "extension_id": phone(0), "level": 1, "position": 1 }], "overflow": target }),
            ),
            ("announcements", "announcement", json!({ "prompt": { "text": "We are closed." }, "then": target })),
            ("conferences", "conference", json!({ "moderator": phone(1), "muted": true })),
            ("mailboxes", "mailbox", json!({ "email": "team@acme.test" })),
            ("outside-numbers", "external", json!({ "number": "+12025550199", "on_behalf_of": phone(0) })),
            ("paging", "page", json!({ "members": [phone(0), phone(1)] })),
            ("schedules", "schedule", json!({ "open": target, "closed": target, "hours": hours })),
            (
                "menus",
                "ivr",
                json!({ "greeting": { "text": "Press 1 for sales." }, "entries": { "1": target, "2": target } }),
            ),
        ] {
            let new = json!({ "name": format!("Our {name}"), "kind": kind, "config": config });
            let answer = self.node.api("POST", &format!("/v1/tenants/{tenant}/destinations"), new).await;
            assert_eq!(answer.status, 201, "{name}: {}", answer.text());
            made.insert(name, answer.id().to_string());
        }
        let entry = json!({ "name": "Short way", "position": 10, "conditions": [{ "field": "destination_number", "pattern": "^555$",
            "actions": [{ "application": "go", "target": target }] }] });
        let entry = self.node.api("POST", &format!("/v1/tenants/{tenant}/dialplan-entries"), entry).await;
        assert_eq!(entry.status, 201, "{}", entry.text());
        made.insert("entries", entry.id().to_string());
        let number = json!({ "number": "+12025550123", "provider": "telnyx", "destination": target });
        let number = self.node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), number).await.id();
        made.insert("phone-numbers", number.to_string());
        let agents = self.node.api("GET", &format!("/v1/admin/agents?tenant_id={tenant}"), Value::Null).await.json();
        let assign =
            json!({ "agent_id": agents["items"][1]["id"], "daily_limit": 100, "allowed_countries": ["US", "CA"] });
        let path = format!("/v1/phone-numbers/{number}/assign?tenant_id={tenant}");
        assert_eq!(self.node.api("POST", &path, assign).await.status, 200);
        let other = json!({ "number": "+4930901820", "provider": "own" });
        self.node.api("POST", &format!("/v1/phone-numbers?tenant_id={tenant}"), other).await;
        made
    }

    pub async fn sign_in(&self, browser: &Chromium, email: &str) {
        browser.page.goto(&format!("{}/sign-in", self.url)).await.unwrap();
        browser.fill("email", email).await;
        browser.fill("password", PASSWORD).await;
        browser.click("Sign in").await;
    }
}
