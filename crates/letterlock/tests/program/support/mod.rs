//! A town for a test: a folder, a relay in it, people with homes in it. All of it goes when the test ends.

mod clock;
pub(crate) mod process;
mod proxy;
mod small_disk;
mod terminal;

pub(crate) use process::{Process, Ran, letterlock};
pub(crate) use proxy::{AtLimit, Proxy};
pub(crate) use small_disk::SmallDisk;
pub(crate) use terminal::Terminal;

use rustix::process::Pid;
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What the relay makes for TLS, in its folder.
const KEY_FILES: [&str; 2] = ["tls-certificate.pem", "tls-key.pem"];

/// A folder with a relay.
pub(crate) struct Town {
    relay: Option<Process>,
    listen: String,
    settings: Option<PathBuf>,
    url: String,
    data: PathBuf,
    /// How far its clock is ahead.
    ahead_seconds: u64,
    /// Beside which process the relay runs.
    beside: Option<Pid>,
    dir: TempDir,
}

impl Town {
    /// Starts a relay on a free port of loopback.
    pub(crate) fn new() -> Self {
        let mut town = Self::empty();
        town.listen = format!("127.0.0.1:{}", free_port());
        town.url = format!("http://{}", town.listen);
        town.start_relay();
        town
    }

    /// Starts a relay that speaks TLS, as it does on every address but loopback.
    pub(crate) fn with_tls() -> Self {
        let mut town = Self::empty();
        town.listen = format!("0.0.0.0:{}", free_port());
        let settings = town.path("relay.toml");
        std::fs::write(&settings, "public_host = \"localhost\"\n").unwrap();
        town.settings = Some(settings);
        town.start_relay();
        town
    }

    /// Starts a relay on loopback with settings of its own.
    pub(crate) fn with_settings(settings: &str) -> Self {
        let mut town = Self::empty();
        town.listen = format!("127.0.0.1:{}", free_port());
        town.url = format!("http://{}", town.listen);
        town.settings = Some(town.path("relay.toml"));
        town.set(settings);
        town
    }

    /// Gives the relay other settings, and starts it again.
    pub(crate) fn set(&mut self, settings: &str) {
        self.stop_relay();
        std::fs::write(self.path("relay.toml"), settings).unwrap();
        self.start_relay();
    }

    fn empty() -> Self {
        let dir = TempDir::with_prefix("letterlock-test-").unwrap();
        Self {
            relay: None,
            listen: String::new(),
            settings: None,
            url: String::new(),
            data: dir.path().join("relay"),
            ahead_seconds: 0,
            beside: None,
            dir,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `HOST:PORT` of the relay.
    pub(crate) fn authority(&self) -> &str {
        let (_, rest) = self.url.split_once("://").unwrap();
        rest.split('#').next().unwrap()
    }

    pub(crate) fn relay_data(&self) -> PathBuf {
        self.data.clone()
    }

    /// Begins anew with an empty relay on another disk.
    pub(crate) fn move_relay(&mut self, disk: &SmallDisk) {
        self.stop_relay();
        self.data = disk.path().join("relay");
        self.beside = Some(disk.holder());
        self.start_relay();
    }

    /// Starts the relay again where it was, and waits until it says that it listens.
    pub(crate) fn start_relay(&mut self) {
        let mut command = self
            .beside
            .map_or_else(letterlock, process::letterlock_beside);
        command
            .args(["relay", "serve", "--listen", &self.listen, "--data"])
            .arg(self.relay_data());
        if let Some(settings) = &self.settings {
            command.arg("--config").arg(settings);
        }
        clock::set(&mut command, self.dir.path());
        let mut relay = Process::spawn(&mut command);
        let line = relay.next_line().expect("the relay says where it listens");
        let url = line.strip_prefix("listening on ").expect("the one line");
        if self.url.is_empty() {
            self.url = url.to_owned();
        }
        assert_eq!(url, self.url, "the address stays: {}", relay.stderr());
        self.relay = Some(relay);
    }

    /// Lets hours pass, for the relay and for every process that starts from now on.
    pub(crate) fn pass_hours(&mut self, hours: u64) {
        self.stop_relay();
        self.put_ahead(hours);
        self.start_relay();
    }

    /// The same for what starts from now on alone; the library that a process lives by.
    pub(crate) fn put_ahead(&mut self, hours: u64) -> PathBuf {
        self.ahead_seconds += hours * 3600;
        clock::put_ahead(self.dir.path(), self.ahead_seconds);
        clock::of(self.dir.path())
    }

    /// The most memory that the relay has used.
    pub(crate) fn relay_peak_kib(&mut self) -> u64 {
        self.relay.as_mut().map_or(0, Process::note_memory)
    }

    /// Ends the relay as an operator does.
    pub(crate) fn stop_relay(&mut self) {
        if let Some(relay) = self.relay.take() {
            relay.interrupt();
            let ran = relay.wait();
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
    }

    /// Starts the relay again without its TLS key: it makes another one.
    pub(crate) fn lose_key(&mut self) {
        self.stop_relay();
        for file in KEY_FILES {
            std::fs::rename(self.data.join(file), self.path(file)).unwrap();
        }
        let url = std::mem::take(&mut self.url);
        self.start_relay();
        assert_ne!(std::mem::replace(&mut self.url, url), self.url);
    }

    /// Starts the relay again with the key that it had lost.
    pub(crate) fn find_key(&mut self) {
        self.stop_relay();
        for file in KEY_FILES {
            std::fs::rename(self.path(file), self.data.join(file)).unwrap();
        }
        self.start_relay();
    }

    /// Ends the relay as a power cut does.
    pub(crate) fn kill_relay(&mut self) {
        if let Some(relay) = self.relay.take() {
            relay.kill();
        }
    }

    /// Makes a person with an account at the relay.
    pub(crate) fn person(&self, name: &str) -> Person {
        let person = self.stranger(name);
        person.ok(&["account", "create", name, "--relay", self.url()]);
        person
    }

    /// Makes a person who has no account yet.
    pub(crate) fn stranger(&self, name: &str) -> Person {
        Person {
            name: name.to_owned(),
            home: self.path(name),
            beside: None,
        }
    }

    /// Makes two people; the second has added the first by an invite and has been answered, so both can write.
    pub(crate) fn pair(&self, inviting: &str, invited: &str) -> (Person, Person) {
        let (first, second) = (self.person(inviting), self.person(invited));
        let invite = first.ok(&["invite"]).line();
        second.ok(&["contact", "add", &invite]);
        second.ok(&["send", inviting, "It is me.", "--wait"]);
        assert_eq!(first.receive(), ["It is me."]);
        (first, second)
    }
}

/// A port of loopback that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Somebody with a home.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    beside: Option<Pid>,
}

impl Person {
    /// Takes this person's home to another disk.
    pub(crate) fn move_to(&mut self, disk: &SmallDisk) {
        self.home = disk.path().join("home");
        self.beside = Some(disk.holder());
    }

    /// A command of this person, not started yet.
    pub(crate) fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = self
            .beside
            .map_or_else(letterlock, process::letterlock_beside);
        command
            .args(words)
            .env("LETTERLOCK_HOME", &self.home)
            .env("LETTERLOCK_PASSPHRASE", self.passphrase());
        clock::set(&mut command, self.home.parent().unwrap());
        command
    }

    pub(crate) fn passphrase(&self) -> String {
        format!("the passphrase of {}", self.name)
    }

    /// Starts a command.
    pub(crate) fn start(&self, words: &[&str]) -> Process {
        Process::spawn(&mut self.command(words))
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.start(words).wait()
    }

    /// Runs a command that must do.
    pub(crate) fn ok(&self, words: &[&str]) -> Ran {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{} {words:?}: {ran:?}", self.name);
        ran
    }

    /// Runs a command that must do, and reads the objects on its standard output.
    pub(crate) fn json(&self, words: &[&str]) -> Vec<Value> {
        let mut words = words.to_vec();
        words.push("--json");
        self.ok(&words).objects()
    }

    /// Runs a command that must fail with this exit code, and reads the failure.
    pub(crate) fn fails(&self, code: i32, words: &[&str]) -> Value {
        let mut with_json = words.to_vec();
        with_json.push("--json");
        let ran = self.run(&with_json);
        assert_eq!(ran.code, Some(code), "{} {words:?}: {ran:?}", self.name);
        assert_eq!(ran.stdout, "", "{words:?}");
        let failure: Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
        let texts = [&failure["message"], &failure["hint"]];
        assert!(
            texts.iter().all(|text| !text.as_str().unwrap().is_empty()),
            "{failure}"
        );
        failure
    }

    /// Receives all that lies at the relay; the texts in order.
    pub(crate) fn receive(&self) -> Vec<String> {
        let letters = self.json(&["receive"]);
        letters.iter().map(text_of).collect()
    }

    /// The texts of the stored letters of a conversation, oldest first.
    pub(crate) fn read(&self, with: &str) -> Vec<String> {
        let letters = self.json(&["read", with, "--limit", "10000"]);
        letters.iter().map(text_of).collect()
    }

    /// What is known of a contact.
    pub(crate) fn contact(&self, name: &str) -> Option<Value> {
        let contacts = self.json(&["contact", "list"]);
        contacts.into_iter().find(|contact| contact["name"] == name)
    }
}

pub(crate) fn text_of(letter: &Value) -> String {
    letter["text"].as_str().unwrap().to_owned()
}

/// Whether the bytes occur in any file below a folder.
pub(crate) fn occurs(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return occurs(&path, needle);
        }
        std::fs::read(&path)
            .unwrap_or_default()
            .windows(needle.len())
            .any(|window| window == needle)
    })
}
