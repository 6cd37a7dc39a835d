//! The phone in the browser at a real switch: Chromium with a microphone that beeps, driven through the pages. What is heard is measured by
//! the browser's own statistics, and at the other end by a phone that measures.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use serde_json::{Value, json};

use crate::{
    chromium::Chromium,
    freeswitch,
    harness::Database,
    phone::Phone,
    site::{PASSWORD, Site},
    switch::Switch,
};

/// A tenant with people at browsers and people at desk phones.
pub struct Office {
    pub site: Site,
    pub switch: Switch,
    pub tenant: uuid::Uuid,
}

/// Somebody at a browser.
pub struct Person {
    pub browser: Chromium,
    pub number: String,
    pub id: String,
    /// What the extension registers with.
    pub extension: Value,
}

impl Office {
    pub async fn open(database: &Database) -> Option<Self> {
        let binary = freeswitch()?;
        let site = Site::start(database).await;
        let owner = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "ada@acme.test" });
        let tenant = json!({ "name": "Acme", "domain": "acme.test", "owner": owner });
        let tenant = site.node.api("POST", "/v1/tenants", tenant).await.id();
        let booting = tokio::task::spawn_blocking(move || (Switch::boot(&binary, &site.node), site));
        let (switch, site) = booting.await.unwrap();
        let clusters = site.node.api("GET", "/v1/clusters", Value::Null).await.json();
        let path = format!("/v1/clusters/{}", clusters["items"][0]["id"].as_str().unwrap());
        let url = format!("ws://127.0.0.1:{}", switch.internal + 6);
        assert_eq!(site.node.api("PATCH", &path, json!({ "websocket_url": url })).await.status, 200);
        Some(Self { site, switch, tenant })
    }

    /// An agent who signs in and goes online.
    pub async fn person(&self, first: &str) -> Option<Person> {
        let browser = Chromium::start_with_microphone().await?;
        let email = format!("{}@acme.test", first.to_lowercase());
        let agent = json!({ "first_name": first, "last_name": "Agent", "email": email });
        let made = self.site.node.api("POST", &format!("/v1/admin/agents?tenant_id={}", self.tenant), agent).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let extension = made.json()["extensions"][0].clone();
        let number = extension["number"].as_str().unwrap().to_owned();
        browser.page.goto(&self.site.link_for(&email).await).await.unwrap();
        browser.fill("password", PASSWORD).await;
        browser.click("Set the password").await;
        browser.sees("Your password is set").await;
        self.site.sign_in(&browser, &email).await;
        browser.sees("Your account").await;
        browser.page.goto(&format!("{}/app/phone", self.site.url)).await.unwrap();
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let person = Person { browser, number, id, extension };
        person.browser.sees("Calls don’t ring here.").await;
        person.listens().await;
        person.browser.click("Go online").await;
        person.browser.sees(&format!("Calls for {} ring here.", person.number)).await;
        Some(person)
    }

    /// A desk phone that measures, registered at an extension of its own.
    pub async fn desk_phone(&self, number: &str) -> Phone {
        let new = json!({ "number": number, "display_name": format!("Desk {number}"), "ring_seconds": 20, "voicemail_enabled": false });
        let made = self.site.node.extension(self.tenant, new).await;
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        let phone = Phone::new(self.switch.internal, &text("sip_username"), "acme.test", &text("sip_password"));
        phone.registers().await;
        phone
    }

    pub async fn close(self, people: Vec<Person>) {
        for person in people {
            person.browser.stop().await;
        }
        let Self { site, switch, .. } = self;
        tokio::task::spawn_blocking(move || drop(switch)).await.unwrap();
        site.node.stop().await;
    }
}

/// What a browser has received and sent in the calls that it has.
#[derive(Debug, Clone, Copy)]
struct Counted {
    received: f64,
    energy: f64,
    sent: f64,
}

impl Person {
    /// Keeps the page's connections, so that their statistics can be read.
    pub async fn listens(&self) {
        let script = "window.connections = []; const Real = RTCPeerConnection;
            window.RTCPeerConnection = class extends Real { constructor(...all) { super(...all); window.connections.push(this); } };";
        self.browser.page.execute(script, vec![]).await.unwrap();
    }

    async fn counted(&self) -> Counted {
        let script = "const done = arguments[arguments.length - 1];
            (async () => { let [received, energy, sent] = [0, 0, 0];
            for (const one of window.connections.filter((one) => one.connectionState !== 'closed'))
              for (const part of (await one.getStats()).values()) {
                if (part.type === 'inbound-rtp') { received += part.packetsReceived; energy += part.totalAudioEnergy ?? 0; }
                if (part.type === 'outbound-rtp') sent += part.packetsSent;
              }
            done([received, energy, sent]); })();";
        let counted = self.browser.page.execute_async(script, vec![]).await.unwrap();
        let at = |index: usize| counted[index].as_f64().unwrap();
        Counted { received: at(0), energy: at(1), sent: at(2) }
    }

    /// Waits until this many more packets came and went, and returns how much sound was in them.
    pub async fn hears_packets(&self, packets: f64) -> f64 {
        let (before, began) = (self.counted().await, Instant::now());
        loop {
            let now = self.counted().await;
            if now.received >= before.received + packets && now.sent >= before.sent + packets {
                return now.energy - before.energy;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{before:?} {now:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until sound comes.
    pub async fn hears(&self) {
        let began = Instant::now();
        while self.hears_packets(50.0).await < 1e-5 {
            assert!(began.elapsed() < Duration::from_secs(30), "silence");
        }
    }

    pub async fn types(&self, text: &str) {
        let field = self.browser.page.find(Locator::Id("phone-number")).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn calls(&self, number: &str) {
        self.types(number).await;
        self.browser.click("Call").await;
    }

    pub async fn click(&self, text: &str) {
        self.browser.click(text).await;
    }

    pub async fn sees(&self, text: &str) {
        self.browser.sees(text).await;
    }

    pub async fn has_no_call(&self) {
        let began = Instant::now();
        while self.browser.page.find(Locator::Css("article.call")).await.is_ok() {
            assert!(began.elapsed() < Duration::from_secs(30), "the call goes on: {}", self.browser.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// nginx with the configuration in docs/browser-phone.md, but ports and a certificate of its own.
struct Proxy {
    child: std::process::Child,
    folder: std::path::PathBuf,
    port: u16,
}

impl Proxy {
    fn start(pages: u16, sip: u16) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("dialplane-nginx-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let page = include_str!("../../docs/browser-phone.md");
        let shown = page
            .split("```nginx")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .expect("the page has the configuration");
        let server = shown
            .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
            .replace("/etc/nginx/pbx.example.com.pem", &certificate.display().to_string())
            .replace("/etc/nginx/pbx.example.com.key", &key.display().to_string())
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{pages}"))
            .replace("127.0.0.1:5066", &format!("127.0.0.1:{sip}"));
        let whole = format!(
            "daemon off; pid {0}/pid; error_log {0}/error; events {{}}\nhttp {{ access_log off; client_body_temp_path {0}/body; \
             proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n{server}\n}}",
            folder.display()
        );
        std::fs::write(folder.join("nginx.conf"), whole).unwrap();
        let begun =
            std::process::Command::new("nginx").arg("-c").arg(folder.join("nginx.conf")).arg("-p").arg(&folder).spawn();
        let Ok(child) = begun else {
            crate::harness::skipped("nginx is not installed");
            return None;
        };
        Some(Self { child, folder, port })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // QUIT by its id: its worker ends with it.
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[actix_web::test]
async fn pages_and_sip_have_one_host_behind_nginx_as_the_documentation_has_it() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    let Some(proxy) = Proxy::start(office.site.node.app.app_address.port(), office.switch.internal + 6) else { return };
    let clusters = office.site.node.api("GET", "/v1/clusters", Value::Null).await.json();
    let path = format!("/v1/clusters/{}", clusters["items"][0]["id"].as_str().unwrap());
    let url = json!({ "websocket_url": format!("wss://127.0.0.1:{}/sip", proxy.port) });
    assert_eq!(office.site.node.api("PATCH", &path, url).await.status, 200);
    let flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--ignore-certificate-errors"];
    let Some(browser) = Chromium::start_with(&flags, json!({})).await else { return };
    let agent = json!({ "first_name": "Grace", "last_name": "Agent", "email": "grace@acme.test" });
    let made = office.site.node.api("POST", &format!("/v1/admin/agents?tenant_id={}", office.tenant), agent).await;
    let extension = made.json()["extensions"][0].clone();
    let number = extension["number"].as_str().unwrap().to_owned();
    browser.page.goto(&office.site.link_for("grace@acme.test").await).await.unwrap();
    browser.fill("password", PASSWORD).await;
    browser.click("Set the password").await;
    browser.sees("Your password is set").await;
    let host = format!("https://127.0.0.1:{}", proxy.port);
    browser.page.goto(&format!("{host}/sign-in")).await.unwrap();
    browser.fill("email", "grace@acme.test").await;
    browser.fill("password", PASSWORD).await;
    browser.click("Sign in").await;
    browser.sees("Your account").await;
    browser.page.goto(&format!("{host}/app/phone")).await.unwrap();
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let grace = Person { browser, number, id, extension };
    grace.sees("Calls don’t ring here.").await;
    grace.listens().await;
    grace.click("Go online").await;
    grace.sees(&format!("Calls for {} ring here.", grace.number)).await;
    // Her own voice comes back.
    grace.calls("9196").await;
    grace.sees("Talking").await;
    grace.hears().await;
    assert_eq!(grace.browser.complaints().await, Vec::<String>::new());
    drop(proxy);
    office.close(vec![grace]).await;
}

#[actix_web::test]
async fn two_browsers_talk_and_hold_and_one_is_transferred_to_a_desk_phone() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    let Some(grace) = office.person("Grace").await else { return };
    let joan = office.person("Joan").await.unwrap();
    let desk = office.desk_phone("1500").await;

    grace.calls(&joan.number).await;
    joan.sees("Grace Agent is calling.").await;
    joan.click("Answer").await;
    grace.sees("Talking").await;
    grace.hears().await;
    joan.hears().await;

    // Muted, packets go on without sound.
    grace.click("Mute").await;
    grace.sees("Nobody hears you.").await;
    joan.hears_packets(60.0).await;
    let silent = joan.hears_packets(60.0).await;
    assert!(silent < 1e-6, "{silent}");
    grace.click("Mute").await;
    joan.hears().await;
    grace.click("Hold").await;
    grace.sees("On hold").await;
    grace.click("Hold").await;
    grace.sees("Talking").await;
    joan.hears().await;
    grace.hears().await;

    // A phone that knows only PCMU takes over, though the browsers talked in Opus.
    desk.speaks(&["PCMU"]);
    grace.click("Transfer").await;
    grace.types("1500").await;
    grace.click("Transfer now").await;
    let rings = desk.rings().await.answers().await;
    rings.hears_something().await;
    joan.hears().await;
    grace.has_no_call().await;
    rings.hangs_up().await;
    joan.has_no_call().await;
    office.close(vec![grace, joan]).await;
}

#[actix_web::test]
async fn a_browser_and_desk_phones_press_keys_consult_and_meet() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    let Some(grace) = office.person("Grace").await else { return };
    let (one, other) = (office.desk_phone("1500").await, office.desk_phone("1501").await);

    // Both ways, and keys as events in the sound.
    let call = one.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    grace.click("Answer").await;
    call.answered().await;
    call.hears_something().await;
    grace.hears().await;
    call.hangs_up().await;
    grace.has_no_call().await;
    // What she notes is saved with the call's record, once the switch has posted it.
    let notes = grace.browser.page.find(Locator::Id("phone-notes")).await.unwrap();
    notes.send_keys("Wants a desk lamp.").await.unwrap();
    grace.browser.page.wait().for_element(Locator::Css("[data-part=save]:not([disabled])")).await.unwrap();
    grace.click("Save").await;
    grace.sees("Saved.").await;
    let kept = office.site.node.api("GET", &format!("/v1/calls?tenant_id={}", office.tenant), Value::Null).await.json();
    assert_eq!(kept["items"][0]["notes"], "Wants a desk lamp.", "{kept}");
    grace.calls("1500").await;
    let call = one.rings().await.answers().await;
    grace.sees("Talking").await;
    grace.click("Keypad").await;
    for key in ["1", "5", "#"] {
        let key = format!("article [data-key='{key}']");
        let key = grace.browser.page.find(Locator::Css(&key)).await.unwrap();
        grace.browser.click_on(key).await;
    }
    call.is_pressed("15#").await;
    grace.click("Keypad").await;

    // She asks the second before she connects both.
    grace.click("Transfer").await;
    grace.types("1501").await;
    grace.click("Ask first").await;
    let asked = other.rings().await.answers().await;
    asked.hears_something().await;
    grace.sees("Connect both").await;
    grace.click("Connect both").await;
    call.hears_only(&[&other]).await;
    asked.hears_only(&[&one]).await;
    grace.has_no_call().await;
    call.hangs_up().await;
    asked.ended().await;

    // Three in one conversation.
    grace.calls("1500").await;
    let call = one.rings().await.answers().await;
    grace.sees("Talking").await;
    grace.calls("1501").await;
    let third = other.rings().await.answers().await;
    grace.sees("Three-way").await;
    grace.click("Three-way").await;
    call.hears(&other).await;
    third.hears(&one).await;
    // She mutes herself, and the two go on talking.
    grace.click("Mute").await;
    grace.sees("Nobody hears you.").await;
    call.hears_only(&[&other]).await;
    third.hears_only(&[&one]).await;
    grace.click("End three-way").await;
    office.close(vec![grace]).await;
}

#[actix_web::test]
async fn a_browser_and_a_desk_phone_of_one_extension_ring_together_and_the_first_to_answer_wins() {
    let database = Database::new().await;
    let Some(office) = Office::open(&database).await else { return };
    let node = &office.site.node;
    let switch = node.api("GET", "/v1/switches", Value::Null).await.json()["items"][0]["id"].clone();
    let (address, password) = office.switch.event_socket();
    let path = format!("/v1/switches/{}/event-socket", switch.as_str().unwrap());
    assert_eq!(node.api("PUT", &path, json!({ "address": address, "password": password })).await.status, 200);
    let path = format!("/v1/live/registrations?tenant_id={}", office.tenant);
    let other = office.desk_phone("1500").await;
    let known = async || node.api("GET", &path, Value::Null).await.json()["items"].as_array().unwrap().clone();
    // A node that begins to listen may miss the first REGISTER.
    let began = Instant::now();
    while known().await.is_empty() {
        assert!(began.elapsed() < Duration::from_mins(1), "the node does not hear the switch");
        tokio::time::sleep(Duration::from_secs(1)).await;
        other.registers().await;
    }
    let Some(grace) = office.person("Grace").await else { return };
    let own = |name: &str| grace.extension[name].as_str().unwrap().to_owned();
    let desk = Phone::new(office.switch.internal, &own("sip_username"), "acme.test", &own("sip_password"));
    desk.registers().await;
    let began = Instant::now();
    let is_page = |one: &Value| one["transport"] == "ws";
    while !(known().await.iter().any(is_page) && known().await.len() == 3) {
        assert!(began.elapsed() < Duration::from_mins(1), "{:?}", known().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let call = other.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    let rings = desk.rings().await;
    grace.click("Answer").await;
    call.answered().await;
    assert_eq!(rings.ended().await.status, 487, "the desk phone got a CANCEL");
    grace.hears().await;
    call.hears_something().await;
    call.hangs_up().await;
    grace.has_no_call().await;

    let call = other.calls(&grace.number);
    grace.sees("Desk 1500 is calling.").await;
    let rings = desk.rings().await.answers().await;
    call.answered().await;
    grace.has_no_call().await;
    call.hears_only(&[&desk]).await;
    rings.hangs_up().await;
    call.ended().await;

    // Its page is closed: the desk phone rings alone, at once.
    grace.browser.page.goto("about:blank").await.unwrap();
    let began = Instant::now();
    while known().await.iter().any(is_page) {
        assert!(began.elapsed() < Duration::from_secs(30), "the page is still registered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let call = other.calls(&grace.number);
    let rings = desk.rings().await.answers().await;
    call.answered().await;
    call.hangs_up().await;
    rings.ended().await;
    drop((desk, other));
    office.close(vec![grace]).await;
}
