//! A tenant that gets another domain keeps the former one for a while: phones register and call at both.

use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    command_line::CommandLine,
    harness::{Database, Node, call_form},
};

/// A tenant with a phone, an agent and a mailbox, whose domain was `old.test`.
struct Moving {
    database: Database,
    node: Node,
    tenant: Uuid,
    user: String,
    password: String,
}

impl Moving {
    async fn renamed(patch: Value) -> Self {
        let database = Database::new().await;
        let node = Node::start(&database).await;
        // No call is known, so only an old switch may have mailboxes.
        database.execute("update switches set created_at = created_at - interval '7 days'").await;
        let tenant = node.tenant("old.test").await;
        let agent = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@people.test" });
        let agent = node.api("POST", &format!("/v1/admin/agents?tenant_id={tenant}"), agent).await;
        assert_eq!(agent.status, 201, "{}", agent.text());
        let phone = agent.json()["extensions"][0].clone();
        let text = |field: &str| phone[field].as_str().unwrap().to_owned();
        let (user, password) = (text("sip_username"), text("sip_password"));
        node.extension(tenant, json!({ "number": "1000" })).await;
        let moving = Self { database, node, tenant, user, password };
        moving.rename(patch).await;
        moving
    }

    fn path(&self, what: &str) -> String {
        format!("/v1/tenants/{}{what}", self.tenant)
    }

    async fn rename(&self, patch: Value) -> Value {
        let answer = self.node.api("PATCH", &self.path(""), patch).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn former(&self) -> Value {
        let answer = self.node.api("GET", &self.path("/former-domains"), Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["items"].clone()
    }

    /// What a switch gets for a REGISTER with this domain.
    async fn signs_in(&self, domain: &str) -> String {
        self.node.sign_in(&self.user, domain).await.text()
    }

    /// Whether the answer lets the phone in that hashes its password with this realm.
    fn lets_in(&self, answer: &str, domain: &str) -> bool {
        let hash = Md5::digest(format!("{}:{domain}:{}", self.user, self.password));
        let hash = dialplane::text::keyring::hex(&hash);
        answer.contains(&format!("name=\"a1-hash\" value=\"{hash}\""))
            && answer.contains(&format!("<domain name=\"{domain}\">"))
    }

    async fn count(&self, query: &'static str) -> i64 {
        self.database.count(query).await
    }
}

fn plain(document: &str) -> String {
    [("&#45;", "-"), ("&#91;", "["), ("&#93;", "]"), ("&#123;", "{"), ("&#125;", "}"), ("&#37;", "%"), ("&#44;", ",")]
        .iter()
        .fold(document.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[actix_web::test]
async fn phones_register_and_call_at_both_domains_until_the_time_of_the_former_one_is_over() {
    let moving = Moving::renamed(json!({ "domain": "new.test" })).await;
    let node = &moving.node;
    for domain in ["new.test", "old.test"] {
        let answer = plain(&moving.signs_in(domain).await);
        assert!(moving.lets_in(&answer, domain), "{domain}: {answer}");
        // Lamps for messages of the mailbox, which is at the new domain.
        let elsewhere = format!("name=\"mwi-account\" value=\"{}@new.test\"", moving.user);
        assert_eq!(answer.contains(&elsewhere), domain == "old.test", "{answer}");
        let invited = plain(&node.invite(&moving.user, domain).await.text());
        assert!(moving.lets_in(&invited, domain), "{domain}: {invited}");
        assert!(invited.contains("name=\"user_context\" value=\"new.test\""), "{invited}");
        // A call rings the phone at whichever domain it is registered.
        let rung = invited_form(&moving.user, domain);
        let rung = plain(&node.fetch(&rung).await.text());
        let legs = format!(
            "[sip_invite_domain=old.test]sofia/internal/{0}%old.test,[sip_invite_domain=new.test]sofia/internal/{0}%new.test",
            moving.user
        );
        assert!(rung.contains(&legs) && rung.contains(&format!("<domain name=\"{domain}\">")), "{rung}");
        // A call that began before the change and is led on, and one after it.
        let called = plain(&node.fetch(&call_form("1000", domain)).await.text());
        assert!(
            called.contains(&format!("<context name=\"{domain}\">")) && called.contains("user/1000@new.test"),
            "{called}"
        );
        // The caller is known at either domain.
        let own = call_form("*97", "new.test").replace(
            "&Hunt-Context",
            &format!("&variable_user_name={}&variable_domain_name={domain}&Hunt-Context", moving.user),
        );
        let own = plain(&node.fetch(&own).await.text());
        assert!(own.contains(&moving.user) && own.contains("application=\"voicemail\""), "{own}");
    }
    let nobody = node.sign_in("nobody", "old.test").await.text();
    assert!(
        nobody.contains("<domain name=\"old&#46;test\">") || nobody.contains("<domain name=\"old.test\">"),
        "{nobody}"
    );

    // The former domain is the tenant's, in every kind of request.
    let shown = node.api("GET", "/v1/tenants/by-domain/old.test", Value::Null).await.json();
    assert_eq!((&shown["domain"], &shown["former_domains"]), (&json!("new.test"), &json!(["old.test"])));
    let cli = CommandLine::on(&moving.database);
    std::fs::copy(crate::harness::key_file(), cli.folder.join("secret.key")).unwrap();
    let listed = cli.run(&["tenant", "former-domains", "old.test"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("old.test works until"), "{listed:?}");
    let taken = json!({ "domain": "old.test", "reuse": true });
    assert_eq!(node.api("POST", "/v1/tenants", taken.clone()).await.json()["code"], "domain_taken");
    let other = node.tenant("other.test").await;
    assert_eq!(node.api("PATCH", &format!("/v1/tenants/{other}"), taken).await.json()["code"], "domain_taken");

    let former = moving.former().await;
    let day = |field: &str| serde_json::from_value::<chrono::DateTime<chrono::Utc>>(former[0][field].clone()).unwrap();
    assert_eq!((&former[0]["domain"], (day("until") - day("since")).num_days()), (&json!("old.test"), 30));
    let mail = "select count(*) from mail_outbox where template = 'domain_changed' and recipient = 'ada@people.test'";
    assert_eq!(moving.count(mail).await, 1);
    // The phone that registered at the former domain is named.
    let since = std::time::Instant::now();
    while moving.former().await[0]["phones"].as_array().unwrap().is_empty() {
        assert!(since.elapsed() < std::time::Duration::from_secs(20), "the phone was not noted");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(moving.former().await[0]["phones"].as_array().unwrap().len(), 1, "and nobody else");
    // A call's record says the domain at which its phone signed in.
    let tenant = "select count(*) from tenants t where 'old.test' = any (t.former_domains)";
    assert_eq!(moving.count(tenant).await, 1);

    moving
        .database
        .execute("insert into event_sockets (switch_id, address, password) select id, 'fs.test', '' from switches")
        .await;
    moving.database.execute("update former_domains set until = now() - interval '1 second'").await;
    dialplane::tenancy::tenants::domains::end_due(&node.app.changes).await.unwrap();
    let since = std::time::Instant::now();
    while !moving.signs_in("old.test").await.contains("not found") {
        assert!(since.elapsed() < std::time::Duration::from_secs(5), "{}", moving.signs_in("old.test").await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(node.fetch(&call_form("1000", "old.test")).await.text().contains("not found"));
    let home = plain(&moving.signs_in("new.test").await);
    assert!(moving.lets_in(&home, "new.test"), "{home}");
    // Switches are told, and the domain rests.
    assert!(moving.count("select count(*) from expulsions where domain = 'old.test' and not calls").await >= 2);
    assert_eq!(moving.count("select count(*) from expulsions where domain = 'new.test'").await, 0);
    assert!(moving.count("select count(*) from cleanups where domain = 'old.test' and whole").await >= 2);
    assert_eq!(moving.count("select count(*) from cleanups where domain = 'new.test'").await, 0);
    assert_eq!(node.api("POST", "/v1/tenants", json!({ "domain": "old.test" })).await.json()["code"], "domain_rests");
    moving.node.stop().await;
}

/// The fetch for a call to this user.
fn invited_form(user: &str, domain: &str) -> String {
    crate::harness::invite_form(user, domain).replace("action=sip_auth", "action=user_call")
}

#[actix_web::test]
async fn a_tenant_chooses_how_long_it_keeps_a_domain_and_may_end_that_early_or_go_back() {
    let moving = Moving::renamed(json!({ "domain": "b.test", "keep_former_days": 3 })).await;
    let node = &moving.node;
    let refused = async |patch: Value| {
        let answer = node.api("PATCH", &moving.path(""), patch).await;
        (answer.status, answer.json()["code"].clone())
    };
    assert_eq!(refused(json!({ "domain": "c.test", "keep_former_days": 366 })).await.0, 422);
    assert_eq!(refused(json!({ "keep_former_days": 5 })).await, (422, json!("only_with_another_domain")));
    // Not at all: switches forget it at once.
    moving.rename(json!({ "domain": "c.test", "keep_former_days": 0 })).await;
    assert!(moving.signs_in("b.test").await.contains("not found"));
    let shown = moving.rename(json!({ "domain": "d.test" })).await;
    assert_eq!(shown["former_domains"], json!(["old.test", "c.test"]));
    // Back to a former one, which is then the tenant's own; the last one is kept instead.
    let shown = moving.rename(json!({ "domain": "old.test" })).await;
    assert_eq!((&shown["domain"], &shown["former_domains"]), (&json!("old.test"), &json!(["c.test", "d.test"])));
    for domain in ["old.test", "c.test", "d.test"] {
        let answer = plain(&moving.signs_in(domain).await);
        assert!(moving.lets_in(&answer, domain), "{domain}: {answer}");
    }
    assert_eq!(
        moving.count("select count(*) from cleanups where domain = 'old.test'").await,
        0,
        "nothing of it was given up"
    );
    for at in 0..2 {
        moving.rename(json!({ "domain": format!("e{at}.test") })).await;
    }
    assert_eq!(refused(json!({ "domain": "f.test" })).await, (409, json!("former_domains_full")));
    let end = async |domain: &str| {
        node.api("DELETE", &moving.path(&format!("/former-domains/{domain}")), Value::Null).await.status
    };
    assert_eq!((end("c.test").await, end("c.test").await, end("nobody.test").await), (204, 404, 404));
    assert!(moving.signs_in("c.test").await.contains("not found"));
    moving.rename(json!({ "domain": "f.test" })).await;

    // What is made while a domain is kept counts there, too.
    let extension = node.extension(moving.tenant, json!({ "number": "1001", "sip_username": "late" })).await;
    let path = moving.path(&format!("/extensions/{}", extension["id"].as_str().unwrap()));
    assert_eq!(node.api("DELETE", &path, Value::Null).await.status, 204);
    let left = "select count(distinct domain) from cleanups where mailbox = 'late' and whole";
    assert_eq!(moving.count(left).await, 5, "the mailbox goes wherever it may be");
    let again = json!({ "number": "1002", "sip_username": "late" });
    let again = node.api("POST", &moving.path("/extensions"), again).await;
    assert_eq!(again.json()["code"], "sip_username_used");

    // A purge gives up all of them, and says where something is left.
    let gone = node.api("DELETE", &format!("{}?cascade=true&purge=now", moving.path("")), Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    for domain in ["f.test", "d.test", "e1.test"] {
        let taken = node.api("POST", "/v1/tenants", json!({ "domain": domain })).await;
        assert_eq!(taken.json()["code"], "domain_rests", "{domain}");
    }
    let purged = node.api("GET", &format!("/v1/purges/{}", moving.tenant), Value::Null).await.json();
    let left = moving.count("select count(*) from cleanups where whole").await;
    assert_eq!(purged["waits_for"][0]["mailboxes"], left, "{purged}");
    moving.node.stop().await;
}

#[actix_web::test]
async fn a_domain_is_a_tenants_or_a_clusters_and_never_both() {
    let database = Database::new().await;
    let node = Node::start(&database).await;
    let tenant = node.tenant("a.test").await;
    let cluster = json!({ "name": "two", "region": "eu", "max_tenants": 5, "sip_domains": ["sip.test"] });
    let cluster = node.api("POST", "/v1/clusters", cluster).await;
    assert_eq!(cluster.status, 201, "{}", cluster.text());
    let cluster = format!("/v1/clusters/{}", cluster.id());
    let code = async |method: &str, path: &str, body: Value| node.api(method, path, body).await.json()["code"].clone();
    assert_eq!(code("POST", "/v1/tenants", json!({ "domain": "sip.test" })).await, "domain_of_cluster");
    let path = format!("/v1/tenants/{tenant}");
    assert_eq!(code("PATCH", &path, json!({ "domain": "sip.test" })).await, "domain_of_cluster");
    assert_eq!(code("PATCH", &cluster, json!({ "sip_domains": ["a.test"] })).await, "sip_domain_of_tenant");
    assert_eq!(node.api("PATCH", &path, json!({ "domain": "b.test" })).await.status, 200);
    assert_eq!(code("PATCH", &cluster, json!({ "sip_domains": ["a.test"] })).await, "sip_domain_of_tenant");
    // Only one of two requests at once gets the domain, whichever comes first.
    for at in 0..12 {
        let domain = format!("race{at}.test");
        let (one, other) = tokio::join!(
            node.api("POST", "/v1/tenants", json!({ "domain": domain })),
            node.api("PATCH", &cluster, json!({ "sip_domains": [domain] }))
        );
        assert!(one.status < 500 && other.status < 500, "{} {}", one.text(), other.text());
        assert!((one.status == 201) != (other.status == 200), "{} {}", one.text(), other.text());
    }
    node.stop().await;
}
