//! The page of `take --page` in a browser: its script, its policy, its buttons, as a person has them.

use crate::give::{Side, at_the_relay, noise, ok};
use crate::sealed::text;
use crate::support::{Process, Town, letterlock, occurs};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What browsers of one kind are called, which speak the DevTools protocol.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// How long anything in a browser may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Nothing, and a line that says so, where there is none.
fn found() -> Option<&'static str> {
    let is_here = |name: &&&str| {
        let mut asked = Command::new(name);
        asked.arg("--version").stderr(Stdio::null());
        asked.output().is_ok_and(|ran| ran.status.success())
    };
    let name = NAMES.iter().find(is_here).copied();
    if name.is_none() {
        let under_ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!under_ci, "there is no Chromium");
        println!("SKIPPED: no Chromium: apt-get install chromium");
    }
    name
}

/// A browser with one tab. Messages go through pipes, a zero byte after each
/// (<https://chromedevtools.github.io/devtools-protocol/>).
struct Browser {
    process: Process,
    to: File,
    from: mpsc::Receiver<Vec<u8>>,
    session: Option<String>,
    asked: u64,
    /// Whether a page was loaded since this was last false.
    loaded: bool,
    /// What the page did wrong: exceptions, and what its policy refused.
    wrong: Vec<Value>,
}

fn pipe(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
    path
}

/// What comes out of a pipe, one message at a time.
fn messages(path: PathBuf) -> mpsc::Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut from = BufReader::new(File::open(path).unwrap());
        let mut bytes = Vec::new();
        while let Ok(1..) = from.read_until(0, &mut bytes) {
            if bytes.pop() != Some(0) || tell.send(std::mem::take(&mut bytes)).is_err() {
                return;
            }
        }
    });
    told
}

impl Browser {
    fn start(town: &Town) -> Option<Self> {
        let name = found()?;
        let folder = town.path("browser");
        fs::create_dir(&folder).unwrap();
        let (to, from) = (pipe(&folder, "to"), pipe(&folder, "from"));
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "exec \"$0\" \"$@\" 3<\"$TO\" 4>\"$FROM\" >/dev/null 2>&1",
            name,
        ]);
        command.args([
            "--headless=new",
            // This test may be root, and shows pages of ours alone.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            // Its handler would outlive the browser.
            "--disable-breakpad",
            "--remote-debugging-pipe",
        ]);
        command.arg(format!("--user-data-dir={}", text(&folder)));
        command.env("HOME", &folder);
        command.env("TO", &to).env("FROM", &from);
        command.stdin(Stdio::null());
        let process = Process::spawn(&mut command);
        let mut browser = Self {
            process,
            to: File::options().write(true).open(to).unwrap(),
            from: messages(from),
            session: None,
            asked: 0,
            loaded: false,
            wrong: Vec::new(),
        };
        let tab = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": tab["targetId"], "flatten": true });
        let session = browser.ask("Target.attachToTarget", &attach);
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.ask(domain, &json!({}));
        }
        Some(browser)
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let mut said = self.hear();
            if said["id"] == self.asked {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].take();
            }
        }
    }

    /// The next message, an answer or an event.
    fn hear(&mut self) -> Value {
        let bytes = self.from.recv_timeout(PATIENCE);
        let bytes = bytes.expect("the browser answers");
        let said: Value = serde_json::from_slice(&bytes).unwrap();
        match said["method"].as_str() {
            Some("Page.loadEventFired") => self.loaded = true,
            Some("Runtime.exceptionThrown" | "Log.entryAdded") => self.wrong.push(said.clone()),
            _ => {}
        }
        said
    }

    /// What an expression is in the page.
    fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut said = self.ask("Runtime.evaluate", &asked);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {said}");
        said["result"]["value"].take()
    }

    fn string(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap().to_owned()
    }

    /// What the page says.
    fn said(&mut self) -> String {
        self.string("document.getElementById('said').textContent")
    }

    fn until(&mut self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.value(expression) != true {
            let said = self.said();
            assert!(Instant::now() < end, "{expression} never: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types an address and waits for the page behind it.
    fn open(&mut self, url: &str) {
        self.loaded = false;
        let went = self.ask("Page.navigate", &json!({ "url": url }));
        assert!(went["errorText"].is_null(), "{went}");
        while !self.loaded {
            self.hear();
        }
    }

    fn is_shown(&mut self, id: &str) -> bool {
        self.value(&format!(
            "document.getElementById('{id}').checkVisibility()"
        )) == true
    }

    /// Presses the mouse on something, where it is once all is drawn.
    fn click(&mut self, id: &str) {
        self.value(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))",
        );
        let place = self.value(&format!(
            "(({{ x, y, width, height }}) => [x + width / 2, y + height / 2])(document.getElementById('{id}').getBoundingClientRect())"
        ));
        for (kind, button) in [
            ("mouseMoved", "none"),
            ("mousePressed", "left"),
            ("mouseReleased", "left"),
        ] {
            let count = u8::from(button == "left");
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": button, "clickCount": count,
            });
            self.ask("Input.dispatchMouseEvent", &event);
        }
    }

    /// Pastes a text into the field.
    fn paste(&mut self, text: &str) {
        self.click("pasted");
        self.ask("Input.insertText", &json!({ "text": text }));
        assert_eq!(self.value("document.getElementById('pasted').value"), text);
    }

    /// Ends it; what the page did wrong.
    fn end(mut self) -> Vec<Value> {
        self.session = None;
        self.ask("Browser.close", &json!({}));
        self.process.wait();
        self.wrong
    }
}

/// The program that serves the page, and its address.
fn serve(side: &Side, into: &str) -> (Process, String) {
    let mut command = letterlock();
    command
        .args(["take", "--page", "--port", "0", "--out", into])
        .env("XDG_STATE_HOME", side.path("state"))
        .env("LETTERLOCK_HOME", side.path("home"))
        .current_dir(&side.folder);
    let mut serving = Process::spawn(&mut command);
    let line = serving.next_line().unwrap();
    let url = line.strip_prefix("listening on ").unwrap().to_owned();
    (serving, url)
}

/// What somebody gives by a link, and the one who takes it.
struct Given {
    content: Vec<u8>,
    giving: Process,
    link: String,
    bob: Side,
}

/// What a name looks like is not what it is.
const INTO: &str = "<b>in";

impl Given {
    fn new(town: &Town) -> Self {
        let (alice, bob) = (Side::new(town, "alice"), Side::new(town, "bob"));
        let content = noise(3_000_000);
        fs::write(alice.path("f"), &content).unwrap();
        let (giving, link) = alice.give(&["f", "--link"], town.url());
        Self {
            content,
            giving,
            link,
            bob,
        }
    }

    fn fragment(&self) -> &str {
        self.link.split_once('#').unwrap().1
    }

    /// Presses the button: all is there.
    fn take(self, browser: &mut Browser) {
        assert!(!self.bob.path(INTO).join("f").exists());
        browser.click("take");
        browser.until("document.getElementById('said').textContent.startsWith('Here it is: ')");
        let written = self.bob.path(INTO).join("f");
        assert!(browser.said().ends_with(text(&written)));
        for id in ["take", "bar", "field"] {
            assert!(!browser.is_shown(id), "{id}");
        }
        assert!(fs::read(&written).unwrap() == self.content);
        ok(&self.giving.wait());
    }
}

#[test]
fn a_link_that_is_opened_is_taken_when_the_person_says_so() {
    let mut town = Town::new();
    let Some(mut browser) = Browser::start(&town) else {
        return;
    };
    let given = Given::new(&town);
    let (serving, url) = serve(&given.bob, INTO);
    let fragment = given.fragment().to_owned();
    browser.open(&format!("{url}#{fragment}"));
    assert!(
        browser
            .said()
            .contains("only if you know who sent the link")
    );
    assert!(browser.is_shown("take") && !browser.is_shown("field"));
    let button = browser.string("document.getElementById('take').textContent");
    assert!(
        button.starts_with("Take it into ") && button.ends_with(INTO),
        "{button}"
    );
    assert_eq!(browser.string("location.href"), url);
    given.take(&mut browser);
    serving.interrupt();
    ok(&serving.wait());
    // Another one, into the page that is open; without its program the page can do nothing, and says so.
    browser.value(&format!("location.hash = '{fragment}'"));
    browser.until("!document.getElementById('take').hidden");
    browser.click("take");
    browser.until("document.getElementById('said').textContent.includes('has ended')");
    let wrong = browser.end();
    let other = |wrong: &&Value| wrong["params"]["entry"]["source"] != "network";
    assert_eq!(wrong.iter().find(other), None);
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

/// A browser writes down the addresses that it opened, whatever the page says to that; not what is typed into a page.
#[test]
fn a_link_that_is_pasted_is_in_no_history() {
    let mut town = Town::new();
    let Some(mut browser) = Browser::start(&town) else {
        return;
    };
    let given = Given::new(&town);
    let (_serving, url) = serve(&given.bob, INTO);
    let (link, fragment) = (given.link.clone(), given.fragment().to_owned());
    browser.open(&url);
    assert!(browser.said().contains("of your own machine"));
    // At a place where what is left is base64.
    let cut = &fragment[..(fragment.len() - 1) / 4 * 4];
    for (typed, told) in [("", "is no link"), (cut, "cut or mistyped")] {
        browser.paste(typed);
        browser.click("take");
        browser.until(&format!(
            "document.getElementById('said').textContent.includes('{told}')"
        ));
        browser.until("!document.getElementById('take').hidden");
        assert!(browser.is_shown("field"));
    }
    browser.paste(&link);
    given.take(&mut browser);
    assert_eq!(browser.end(), [] as [Value; 0]);
    // So it does write: the page is there, the key is not.
    let folder = town.path("browser/Default");
    assert!(occurs(&folder, url.as_bytes()));
    assert!(!occurs(&folder, &fragment.as_bytes()[..40]));
    assert_eq!(at_the_relay(&mut town), [0, 0]);
}

/// A page of somebody else reads nothing of ours in the same browser, and frames nothing.
#[test]
fn a_page_of_another_origin_reads_nothing() {
    let town = Town::new();
    let Some(mut browser) = Browser::start(&town) else {
        return;
    };
    let bob = Side::new(&town, "bob");
    let (_serving, url) = serve(&bob, "in");
    // Its own page reads itself: so the address is right.
    browser.open(&url);
    let read =
        |url: &str| format!("fetch('{url}').then((answer) => answer.text(), () => 'refused')");
    assert!(browser.string(&read(&url)).contains("const token"));
    browser.open("data:text/html,<p id=said>other</p>");
    assert_eq!(browser.string(&read(&url)), "refused");
    let sent = format!(
        "fetch('{url}take', {{ method: 'POST', body: 'x', headers: {{ 'x-letterlock': 'x' }} }}).then(() => 'sent', () => 'refused')"
    );
    assert_eq!(browser.string(&sent), "refused");
    let framed = format!(
        "new Promise((done) => {{ const it = document.createElement('iframe'); it.onload = () => done(it); it.src = '{url}'; document.body.append(it); }}).then(() => 'loaded')"
    );
    assert_eq!(browser.string(&framed), "loaded");
    let frames = browser.ask("Page.getFrameTree", &json!({}));
    let frame = &frames["frameTree"]["childFrames"][0]["frame"];
    assert_ne!(frame["url"], url, "{frame}");
    browser.end();
}
