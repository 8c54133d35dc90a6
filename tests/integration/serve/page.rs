//! The page in real Chromium, driven through WebDriver.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fantoccini::cookies::Cookie;
use fantoccini::wd::Capabilities;
use fantoccini::{ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::process::{Process, Server, eventually, skip};

#[tokio::test]
async fn a_visitor_signs_in_changes_values_and_signs_out() {
    in_chromium(json!({}), |page, server, _| async move {
        page.open(&server).await;
        assert_eq!(page.text("#empty").await.lines().next().unwrap(), EMPTY);
        assert!(page.cookie().await.is_none(), "looking begins no session");
        assert!(!page.is_enabled("#renew").await && !page.is_enabled("#sign-out").await);

        page.fill("#name", "Ada").await;
        page.click("#sign-in button").await;
        assert_eq!(page.text("#who").await, "Signed in as Ada");
        assert_eq!(page.text("#last-did").await, "created");
        assert!(page.text("#last-time").await.ends_with(" µs"));
        assert!(!page.is_displayed("#sign-in").await);
        check_attributes(&page.cookie().await.unwrap());

        for (key, value) in [("theme", "dark"), ("visits", "42"), ("<b>x</b>", "[1, {\"a\": 2}]")] {
            page.add(key, value).await;
            assert_eq!(page.text("#last-did").await, "saved");
        }
        let values = json!({
            "user": "Ada", "theme": "dark", "visits": 42, "<b>x</b>": [1, {"a": 2}]
        });
        assert_eq!(page.values().await, values);
        let shown = page.text("#values").await;
        assert!(shown.contains("theme") && shown.contains("dark") && shown.contains("<b>x</b>"));
        assert_eq!(page.text("#count").await, "4 values");

        page.click("#values [aria-label='Change theme']").await;
        page.fill("#values textarea", "light").await;
        page.click("#values .edit button").await;
        assert_eq!(page.text("#last-what").await, "PUT /api/session/theme");
        assert_eq!(page.values().await["theme"], "light");
        page.click("#values [aria-label='Remove visits']").await;
        assert_eq!(page.values().await.get("visits"), None);

        page.open(&server).await;
        assert_eq!(page.text("#last-did").await, "loaded, unchanged");
        assert!(page.text("#values").await.contains("light"));
        assert!(page.text("#size").await.ends_with(" bytes"));
        let id = page.cookie().await.unwrap().value().to_owned();
        assert!(!page.script("return document.documentElement.outerHTML").await.contains(&id));
        assert_eq!(page.script("return document.cookie").await, "");

        page.click("#sign-out").await;
        assert_eq!(page.text("#last-did").await, "destroyed");
        assert!(page.cookie().await.is_none());
        page.open(&server).await;
        assert_eq!(page.text("#empty").await, EMPTY);
        assert!(page.is_displayed("#sign-in").await);
    })
    .await;
}

#[tokio::test]
async fn renew_and_reset_change_the_cookie() {
    in_chromium(json!({}), |page, server, _| async move {
        page.open(&server).await;
        page.add("theme", "dark").await;
        let first = page.cookie().await.unwrap();

        page.click("#renew").await;
        let second = page.cookie().await.unwrap();
        assert_ne!(second.value(), first.value());
        check_attributes(&second);
        assert_eq!(page.values().await, json!({"theme": "dark"}));

        page.click("#reset").await;
        assert_eq!(page.text("#reset").await, "Sure?");
        assert_eq!(page.values().await, json!({"theme": "dark"}), "the first click asks");
        page.click("#reset").await;
        assert_ne!(page.cookie().await.unwrap().value(), second.value());
        assert_eq!(page.values().await, json!({}));
        assert!(page.is_displayed("#empty").await && page.is_enabled("#renew").await);
    })
    .await;
}

#[tokio::test]
async fn a_session_is_found_again_after_kill_9() {
    in_chromium(json!({}), |page, server, folder| async move {
        page.open(&server).await;
        page.fill("#name", "Ada").await;
        page.click("#sign-in button").await;
        page.add("theme", "dark").await;
        let address = server.address.clone();
        server.kill().await;

        page.click("#renew").await;
        assert!(page.text("#problem").await.contains("The server does not answer"));
        let server = Server::start_with(&folder, &["--listen", &address]).await;
        page.click("#retry").await;
        assert!(!page.is_displayed("#problem").await);
        assert_eq!(page.text("#who").await, "Signed in as Ada");
        page.open(&server).await;
        assert_eq!(page.values().await, json!({"user": "Ada", "theme": "dark"}));
    })
    .await;
}

#[tokio::test]
async fn the_page_fits_a_phone_and_shows_errors() {
    let phone = json!({"deviceMetrics": {"width": 360, "height": 740, "pixelRatio": 2.0}});
    in_chromium(json!({"mobileEmulation": phone}), |page, server, folder| async move {
        const EXCESS: &str =
            "return String(document.documentElement.scrollWidth - document.body.clientWidth)";
        page.open(&server).await;
        assert_eq!(page.script("return String(innerWidth)").await, "360");
        assert_eq!(page.script(EXCESS).await, "0");
        page.fill("#name", &"Ada ".repeat(19)).await;
        page.click("#sign-in button").await;
        page.add(&"k".repeat(200), &"v".repeat(500)).await;
        assert_eq!(page.script(EXCESS).await, "0");

        page.add("session_id", "1").await;
        assert!(page.text("#problem").await.contains("The key session_id is reserved."));
        assert_eq!(page.text("#last-did").await, "refused (400)");
        assert_eq!(page.script(EXCESS).await, "0");

        let database = rusqlite::Connection::open(folder.join("sessions.db")).unwrap();
        database.execute("UPDATE sessions SET data = 'spoilt'", []).unwrap();
        page.open(&server).await;
        assert!(page.text("#problem").await.contains("not valid json"));
        assert!(!page.is_displayed("#empty").await && !page.is_displayed("#add").await);
        page.click("#sign-out").await;
        assert!(page.is_displayed("#empty").await, "a spoilt session can be parted with");
    })
    .await;
}

const EMPTY: &str = "Nothing is stored yet. The row is written with the first value, not before.";

fn check_attributes(cookie: &Cookie<'_>) {
    assert_eq!(cookie.name(), "_session_id");
    assert_eq!(cookie.value().len(), 32);
    assert_eq!(cookie.http_only(), Some(true));
    assert_eq!(cookie.same_site().unwrap().to_string(), "Lax");
    assert_eq!(cookie.path(), Some("/"));
    assert_eq!(cookie.domain(), Some("127.0.0.1"), "this host alone");
    assert_eq!(cookie.expires(), None, "it ends with the browser");
}

/// Runs a visit to a fresh server in a fresh browser; both end with it, also when it panics.
async fn in_chromium<V, F>(options: Value, visit: V)
where
    V: FnOnce(Page, Server, std::path::PathBuf) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let Some(browser) = Browser::start(options).await else { return };
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let visit = visit(Page(browser.client.clone()), server, folder.path().to_owned());
    let result = tokio::spawn(tokio::time::timeout(Duration::from_secs(120), visit)).await;
    browser.end().await;
    match result {
        Ok(result) => result.expect("the visit took too long"),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Chromium, its driver, and the folder they write to.
struct Browser {
    client: fantoccini::Client,
    driver: Driver,
    _folder: TempDir,
}

/// The driver with its browsers: a process group of its own.
struct Driver(Process);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.signal_group("KILL");
    }
}

impl Browser {
    /// `None` where the driver is missing, unless `CI` is set.
    async fn start(options: Value) -> Option<Self> {
        let there = Command::new("chromedriver").arg("--version").stdout(Stdio::null()).status();
        if there.is_err() {
            skip("chromedriver (on Debian: apt-get install chromium-driver)");
            return None;
        }
        let folder = tempdir().unwrap();
        let (out, err) = (folder.path().join("driver.out"), folder.path().join("driver.err"));
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").process_group(0);
        let driver = Driver(Process::spawn(&mut command, &out, &err));
        let port: u16 = eventually("chromedriver", || {
            let text = std::fs::read_to_string(&out).unwrap();
            text.split("started successfully on port ").nth(1)?.split('.').next()?.parse().ok()
        })
        .await;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(options, &folder.path().join("profile")))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self { client, driver, _folder: folder })
    }

    async fn end(self) {
        // A browser that hangs is killed with its driver.
        let _ = tokio::time::timeout(Duration::from_secs(10), self.client.close()).await;
        drop(self.driver);
    }
}

fn capabilities(options: Value, profile: &Path) -> Capabilities {
    let profile = format!("--user-data-dir={}", profile.display());
    let mut chrome = json!({"args": [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--window-size=1280,900", profile,
    ]});
    for (name, value) in options.as_object().unwrap() {
        chrome[name] = value.clone();
    }
    let Value::Object(capabilities) = json!({"goog:chromeOptions": chrome}) else { unreachable!() };
    capabilities
}

/// The page in the browser. Each step waits until the page has settled.
struct Page(fantoccini::Client);

impl Page {
    async fn open(&self, server: &Server) {
        self.0.goto(&format!("http://{}/", server.address)).await.unwrap();
        self.settle().await;
    }

    async fn settle(&self) {
        let settled = Locator::Css("#main[aria-busy='false']:not([data-state='loading'])");
        self.0.wait().at_most(Duration::from_secs(20)).for_element(settled).await.unwrap();
    }

    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        self.0.find(Locator::Css(css)).await.unwrap_or_else(|fault| panic!("{css}: {fault}"))
    }

    async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
        self.settle().await;
    }

    async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    async fn add(&self, key: &str, value: &str) {
        self.fill("#key", key).await;
        self.fill("#value", value).await;
        self.click("#add button").await;
    }

    /// The text as it is in the document, before any style.
    async fn text(&self, css: &str) -> String {
        let text = self.find(css).await.prop("textContent").await.unwrap().unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    async fn is_displayed(&self, css: &str) -> bool {
        self.find(css).await.is_displayed().await.unwrap()
    }

    async fn is_enabled(&self, css: &str) -> bool {
        self.find(css).await.is_enabled().await.unwrap()
    }

    async fn script(&self, script: &str) -> String {
        let result = self.0.execute(script, Vec::new()).await.unwrap();
        result.as_str().unwrap_or_else(|| panic!("{script} answered no text")).to_owned()
    }

    /// What the server holds, asked for by the browser with its cookie.
    async fn values(&self) -> Value {
        let script =
            "const done = arguments[0]; fetch('/api/session').then(r => r.json()).then(done)";
        self.0.execute_async(script, Vec::new()).await.unwrap()
    }

    async fn cookie(&self) -> Option<Cookie<'static>> {
        let mut cookies = self.0.get_all_cookies().await.unwrap();
        assert!(cookies.len() <= 1);
        cookies.pop()
    }
}
