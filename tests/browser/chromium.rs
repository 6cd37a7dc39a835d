//! Headless Chromium, controlled by the distribution's chromedriver over WebDriver.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, error::CmdError};
use serde_json::{Value, json};

/// One browser for one test.
pub struct Chromium {
    pub page: Client,
    driver: Child,
    profile: PathBuf,
}

fn found(names: &[&str]) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|path| path.exists())
}

impl Chromium {
    /// `None` if this machine has no Chromium. `script/test` would have installed it.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[], json!({})).await
    }

    /// With a microphone that hums, and that every page may use.
    pub async fn start_with_microphone() -> Option<Self> {
        let flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
        Self::start_with(&flags, json!({})).await
    }

    /// With more flags and preferences.
    pub async fn start_with(flags: &[&str], preferences: Value) -> Option<Self> {
        let (Some(driver), Some(browser)) = (found(&["chromedriver"]), found(&["chromium", "chromium-browser"])) else {
            crate::harness::skipped("chromium and chromedriver are not installed");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = std::env::temp_dir().join(format!("dialplane-browser-{}", uuid::Uuid::now_v7().simple()));
        let mut args = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--lang=en".into(),
            "--hide-scrollbars".into(),
            format!("--user-data-dir={}", profile.display()),
        ];
        args.extend(flags.iter().map(ToString::to_string));
        let capabilities = json!({
            "browserName": "chrome",
            // In milliseconds. A busy machine takes long for what is looked at as a whole.
            "timeouts": { "script": 300_000, "pageLoad": 300_000 },
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": browser,
                "args": args,
                "prefs": preferences,
            },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let began = Instant::now();
        loop {
            let mut builder = ClientBuilder::new(hyper_connector());
            match builder.capabilities(capabilities.clone()).connect(&format!("http://127.0.0.1:{port}")).await {
                Ok(page) => return Some(Self { page, driver, profile }),
                Err(error) => assert!(began.elapsed() < Duration::from_mins(1), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The driver's process, whose children are the browser's.
    #[allow(dead_code, reason = "some tests only")]
    pub fn id(&self) -> u32 {
        self.driver.id()
    }

    pub async fn stop(mut self) {
        let _ = self.page.clone().close().await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }

    pub async fn size(&self, width: u32, height: u32) {
        self.page.set_window_size(width, height).await.unwrap();
    }

    /// Types into the field with this name, replacing its content.
    pub async fn fill(&self, name: &str, text: &str) {
        let field = self.page.find(Locator::Css(&format!("main [name=\"{name}\"]"))).await;
        let field = field.unwrap_or_else(|error| panic!("{name}: {error}"));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks the first element with this text. On a narrow screen, the navigation is opened first if it is there.
    pub async fn click(&self, text: &str) {
        let places = ["main", "header", "nav"].map(|place| {
            let is_named = format!("[normalize-space()='{text}' and not(@aria-hidden)]");
            format!("//{place}//button{is_named} | //{place}//a{is_named}")
        });
        let places = places.join(" | ");
        // What is drawn anew meanwhile is found again.
        let began = Instant::now();
        while let Err(error) = self.click_at(text, &places).await {
            assert!(error.is_stale_element_reference() && began.elapsed() < Duration::from_mins(1), "{text}: {error}");
        }
    }

    async fn click_at(&self, text: &str, places: &str) -> Result<(), CmdError> {
        let thing = self.page.find(Locator::XPath(places)).await;
        let Ok(thing) = thing else { panic!("no {text} in {}", self.text().await) };
        if !thing.is_displayed().await?
            && let Ok(menu) = self.page.find(Locator::Css(".menu-open")).await
        {
            menu.click().await?;
        }
        self.bring_up(&thing).await?;
        thing.click().await
    }

    /// Clicks it, wherever it is.
    pub async fn click_on(&self, thing: fantoccini::elements::Element) {
        self.bring_up(&thing).await.unwrap();
        thing.click().await.unwrap();
    }

    /// Scrolls to it. The driver would scroll it below the bar, which would take the click.
    async fn bring_up(&self, thing: &fantoccini::elements::Element) -> Result<(), CmdError> {
        let script = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })";
        self.page.execute(script, vec![serde_json::to_value(thing)?]).await.map(|_| ())
    }

    pub async fn text(&self) -> String {
        loop {
            // Between two pages, there is no body element, or it is another one now.
            if let Ok(body) = self.page.find(Locator::Css("body")).await
                && let Ok(seen) = body.text().await
            {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the page shows this text.
    pub async fn sees(&self, text: &str) {
        let began = Instant::now();
        loop {
            let seen = self.text().await;
            if seen.contains(text) {
                return;
            }
            assert!(began.elapsed() < Duration::from_mins(1), "no {text:?} in {seen}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Errors of the page's scripts since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        let script = "return window.complaints ?? [];";
        let seen = self.page.execute(script, vec![]).await.unwrap();
        let mut all = seen.as_array().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        let log = self.page.issue_cmd(BrowserLog).await.unwrap();
        let entries = log.as_array().cloned().unwrap_or_default();
        all.extend(
            entries
                .iter()
                .filter(|entry| entry["level"] == "SEVERE" && !is_told(entry))
                .map(|entry| entry["message"].to_string()),
        );
        all
    }

    /// A command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.page.issue_cmd(DevTools { command: command.to_owned(), parameters }).await.unwrap()
    }

    /// All of axe-core's findings at WCAG 2.2 AA.
    pub async fn axe(&self) -> Vec<String> {
        let axe = include_str!("vendor/axe-4.11.4.min.js");
        self.page.execute(axe, vec![]).await.unwrap();
        let script = "const done = arguments[arguments.length - 1];
            axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then(
                (result) => done(result.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html + ' ' + n.failureSummary).join(' | '))),
                (error) => done([String(error)]));";
        let found = self.page.execute_async(script, vec![]).await.unwrap();
        found.as_array().unwrap().iter().map(|entry| entry.as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A refused form answers 422, or 409 if somebody else was quicker; a missing page answers 404, and one that needs a sign-in 401.
/// These statuses are not errors of the page.
fn is_told(entry: &Value) -> bool {
    let message = entry["message"].as_str().unwrap_or_default();
    ["422 (Unprocessable Entity)", "404 (Not Found)", "401 (Unauthorized)", "409 (Conflict)"]
        .iter()
        .any(|status| message.contains(status))
}

fn hyper_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

/// Chrome's own log, which also has network errors and violations of the content security policy.
#[derive(Debug)]
struct BrowserLog;

impl fantoccini::wd::WebDriverCompatibleCommand for BrowserLog {
    fn endpoint(&self, base_url: &url::Url, session_id: Option<&str>) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/se/log", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

/// A command of Chrome's DevTools protocol.
#[derive(Debug)]
struct DevTools {
    command: String,
    parameters: Value,
}

impl fantoccini::wd::WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base_url: &url::Url, session_id: Option<&str>) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!("session/{}/goog/cdp/execute", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.command, "params": self.parameters }).to_string()))
    }
}
