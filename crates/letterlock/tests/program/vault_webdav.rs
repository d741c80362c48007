//! Vaults by WebDAV: a real process, a real relay, requests as file managers send them.

use crate::sealed::text;
use crate::support::{Person, Process, Ran, Town};
use crate::vault_files::{content, shared};
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

/// A vault that is served.
struct Served {
    process: Process,
    authority: String,
    /// `/SECRET`.
    top: String,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

fn serve(person: &Person, words: &[&str]) -> Served {
    let words = [&["vault", "mount", "plans", "--webdav", "--json"], words].concat();
    served(person.start(&words))
}

/// A process that is to serve a vault, once it does.
fn served(mut process: Process) -> Served {
    let line: Value = serde_json::from_str(&process.next_line().unwrap()).unwrap();
    assert_eq!(line["answer"], "vault_mounted");
    at_address(process, line["place"].as_str().unwrap())
}

/// What a process serves at the address that it told.
fn at_address(process: Process, url: &str) -> Served {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, secret) = rest.split_once('/').unwrap();
    let secret = secret.trim_end_matches('/');
    assert!(
        authority.starts_with("127.0.0.1:") && secret.len() >= 24,
        "{url}"
    );
    Served {
        process,
        authority: authority.to_owned(),
        top: format!("/{secret}"),
    }
}

impl Served {
    fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str(&format!("host: {}\r\n", self.authority));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        // Who is refused may not be read to the end.
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: answer[end + 4..].to_vec(),
        }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.raw(method, &format!("{}{path}", self.top), headers, body)
    }

    fn status(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        self.ask(method, path, headers, b"").status
    }

    fn end(self) -> Ran {
        self.process.interrupt();
        let ran = self.process.wait();
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    }
}

/// No device.
const MISSING: &str = "[ ! -e /dev/fuse ]";
/// A device that is not the one it seems.
const ANOTHER: &str = r#"touch /dev/fuse; mount --bind "$0/null" /dev/fuse"#;

/// Starts a command where /dev has a few devices, and what is to be in place of /dev/fuse. Nothing, and a line that
/// says so, where this user cannot take it away.
fn without_fuse(town: &Town, instead: &str, command: &Command) -> Option<Process> {
    let devices = town.path("devices");
    fs::create_dir(&devices).unwrap();
    let hide = format!(
        r#"mount --rbind /dev "$0" && mount -t tmpfs none /dev || exit
        for name in null zero urandom; do touch /dev/$name; mount --bind "$0/$name" /dev/$name; done
        {instead} && echo hidden; exec "$@""#
    );
    let mut outer = Command::new("unshare");
    outer.args(["--user", "--map-root-user", "--mount", "sh", "-c", &hide]);
    outer.arg(devices).arg(command.get_program());
    outer.args(command.get_args()).env_clear();
    let set = command.get_envs();
    outer.envs(set.filter_map(|(name, value)| Some((name, value?))));
    outer.stdin(std::process::Stdio::null());
    let mut process = Process::spawn(&mut outer);
    if process.next_line().as_deref() != Some("hidden") {
        println!("SKIPPED: this user cannot hide /dev/fuse");
        return None;
    }
    Some(process)
}

/// A machine that has no FUSE: what was to be mounted on a folder is served, and the person is told why.
#[test]
fn what_cannot_be_mounted_is_served() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "reader");
    let at = town.path("mnt");
    let command = alice.command(&["vault", "mount", "plans", text(&at), "--json"]);
    let Some(process) = without_fuse(&town, MISSING, &command) else {
        return;
    };
    let served = served(process);
    let long = content(4, 2_000_000);
    assert_eq!(served.ask("PUT", "/long", &[], &long).status, 201);
    assert!(served.ask("GET", "/long", &[], b"").body == long);
    let ran = served.end();
    assert!(
        ran.stderr.contains("the vault was not mounted") && ran.stderr.contains("by WebDAV"),
        "{ran:?}"
    );
    // Nothing was written to the folder, and all to the vault.
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0);
    let out = town.path("out");
    fs::create_dir(&out).unwrap();
    bob.ok(&["vault", "get", "plans", "long", "--out", text(&out)]);
    assert!(fs::read(out.join("long")).unwrap() == long);
}

/// So it is where the device is there and mounts nothing; a person reads the address, and why it is one.
#[test]
fn where_mounting_fails_a_person_is_told_the_address() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "writer");
    let (note, at) = (town.path("note"), town.path("mnt"));
    fs::write(&note, b"by bob").unwrap();
    bob.ok(&["vault", "put", "plans", text(&note)]);
    let command = alice.command(&["vault", "mount", "plans", text(&at)]);
    let Some(mut process) = without_fuse(&town, ANOTHER, &command) else {
        return;
    };
    let line = process.next_line().unwrap();
    let place = line.strip_prefix("plans is at ").unwrap();
    let (url, _) = place.split_once(", version ").unwrap();
    let served = at_address(process, url);
    assert_eq!(served.ask("GET", "/note", &[], b"").text(), "by bob");
    assert_eq!(served.ask("PUT", "/note", &[], b"by alice").status, 204);
    let ran = served.end();
    assert!(
        ran.stderr.contains("the vault was not mounted")
            && ran.stderr.contains("it is served by WebDAV"),
        "{ran:?}"
    );
    assert_eq!(fs::read_dir(&at).unwrap().count(), 0);
    let out = town.path("out");
    fs::create_dir(&out).unwrap();
    bob.ok(&["vault", "get", "plans", "note", "--out", text(&out)]);
    assert_eq!(fs::read(out.join("note")).unwrap(), b"by alice");
}

#[test]
fn a_vault_is_written_by_webdav() {
    let town = Town::new();
    let (alice, bob) = shared(&town, "reader");
    let served = serve(&alice, &[]);
    let options = served.ask("OPTIONS", "/", &[], b"");
    assert!(options.head.contains("dav: 1, 2"), "{}", options.head);
    let long = content(3, 3_000_000);
    assert_eq!(served.status("MKCOL", "/a%20folder", &[]), 201);
    assert_eq!(served.status("MKCOL", "/a%20folder", &[]), 405);
    assert_eq!(served.status("MKCOL", "/none/inner", &[]), 409);
    let put = |path: &str, body: &[u8]| served.ask("PUT", path, &[], body).status;
    assert_eq!(put("/a%20folder/long", &long), 201);
    assert_eq!(put("/a%20folder/long", &long), 204);
    assert_eq!(put("/none/long", b"x"), 409);
    assert_eq!(put("/a%20folder", b"x"), 405);
    let got = served.ask("GET", "/a%20folder/long", &[], b"");
    assert!(got.status == 200 && got.body == long);
    let got = served.ask(
        "GET",
        "/a%20folder/long",
        &[("range", "bytes=1000000-1000009")],
        b"",
    );
    assert_eq!(
        (got.status, &got.body[..]),
        (206, &long[1_000_000..1_000_010])
    );
    let head = served.ask("HEAD", "/a%20folder/long", &[], b"");
    assert!(head.head.contains("content-length: 3000000") && head.body.is_empty());
    // Properties, those that are not known too.
    let asked = br#"<propfind xmlns="DAV:"><prop><getcontentlength/><resourcetype/><own xmlns="urn:x"/></prop></propfind>"#;
    let found = served.ask("PROPFIND", "/a%20folder", &[("depth", "1")], asked);
    assert_eq!(found.status, 207);
    let found = found.text();
    assert!(
        found.contains("<D:getcontentlength>3000000</D:getcontentlength>"),
        "{found}"
    );
    assert!(
        found.contains("<D:collection/>") && found.contains("404 Not Found"),
        "{found}"
    );
    assert_eq!(
        served.status("PROPFIND", "/", &[("depth", "infinity")]),
        403
    );
    let time = br#"<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified></D:prop></D:set></D:propertyupdate>"#;
    let set = served.ask("PROPPATCH", "/a%20folder/long", &[], time);
    assert!(set.text().contains("200 OK"), "{}", set.text());
    // Copies and moves, over others if they may.
    let to = |path: &str| format!("http://{}{}{path}", served.authority, served.top);
    let (copy, moved) = (to("/copy"), to("/moved.txt"));
    assert_eq!(
        served.status("COPY", "/a%20folder", &[("destination", &copy)]),
        201
    );
    assert_eq!(put("/note.txt", b"a note"), 201);
    assert_eq!(
        served.status("MOVE", "/note.txt", &[("destination", &moved)]),
        201
    );
    let refused = [("destination", moved.as_str()), ("overwrite", "F")];
    assert_eq!(served.status("COPY", "/copy/long", &refused), 412);
    let elsewhere = [("destination", "http://127.0.0.1:1/x")];
    assert_eq!(served.status("MOVE", "/moved.txt", &elsewhere), 502);
    assert_eq!(served.status("DELETE", "/a%20folder", &[]), 204);
    assert_eq!(served.status("DELETE", "/a%20folder", &[]), 404);
    // Who has no token writes nothing that is locked.
    let lock = br#"<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>"#;
    let locked = served.ask("LOCK", "/moved.txt", &[], lock);
    assert_eq!(locked.status, 200);
    let token = locked
        .head
        .lines()
        .find_map(|line| line.strip_prefix("lock-token: "));
    let token = token.unwrap().trim().to_owned();
    assert_eq!(put("/moved.txt", b"by nobody"), 423);
    assert_eq!(served.ask("LOCK", "/moved.txt", &[], lock).status, 423);
    let shown = format!("({token})");
    let with = served.ask("PUT", "/moved.txt", &[("if", &shown)], b"by its holder");
    assert_eq!(with.status, 204);
    assert_eq!(
        served.status("UNLOCK", "/moved.txt", &[("lock-token", &token)]),
        204
    );
    assert_eq!(put("/moved.txt", b"the last word"), 204);
    served.end();
    let listed = bob.json(&["vault", "list", "plans", "--all"]);
    let paths: Vec<&str> = listed
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["copy", "copy/long", "moved.txt"]);
    // A reader writes nothing.
    let served = serve(&bob, &[]);
    assert_eq!(
        served.ask("GET", "/moved.txt", &[], b"").text(),
        "the last word"
    );
    assert_eq!(served.ask("PUT", "/moved.txt", &[], b"x").status, 403);
    assert_eq!(served.status("DELETE", "/moved.txt", &[]), 403);
    assert_eq!(served.status("MKCOL", "/new", &[]), 403);
    served.end();
}

/// A page of a browser, or a program of somebody else on this machine, knows no secret, or comes under another name.
#[test]
fn a_wrong_secret_is_told_nothing() {
    let town = Town::new();
    let (alice, _) = shared(&town, "reader");
    let served = serve(&alice, &[]);
    assert_eq!(served.ask("PUT", "/here", &[], b"x").status, 201);
    for path in ["/", "/here", "/wrong/here", "/wrong/"] {
        for method in ["GET", "PROPFIND", "PUT", "DELETE", "OPTIONS"] {
            assert_eq!(
                served.raw(method, path, &[], b"").status,
                404,
                "{method} {path}"
            );
        }
    }
    served.end();
}

#[test]
fn another_host_is_refused() {
    let town = Town::new();
    let (alice, _) = shared(&town, "reader");
    let served = serve(&alice, &[]);
    let named = |host: &str| served.ask("PROPFIND", "/", &[("host", host), ("depth", "0")], b"");
    assert_eq!(named("example.org").status, 421);
    assert_eq!(named(&served.authority).status, 207);
    let from_a_page = [("origin", "http://example.org"), ("depth", "0")];
    assert_eq!(served.status("PROPFIND", "/", &from_a_page), 403);
    served.end();
}

#[test]
fn only_loopback_is_served() {
    let town = Town::new();
    let (alice, _) = shared(&town, "reader");
    alice.fails(2, &["vault", "mount", "plans", "--webdav", "0.0.0.0:0"]);
}

/// Who is killed leaves what was written; where that cannot be read, the next one says where it is, and takes nothing away.
#[test]
fn what_was_left_and_cannot_be_read_is_told_and_kept() {
    let town = Town::new();
    let (alice, _) = shared(&town, "reader");
    let served = serve(&alice, &[]);
    assert_eq!(served.ask("PUT", "/note", &[], b"a note").status, 201);
    served.process.kill();
    let left = std::fs::read_dir(alice.home.join("vaults")).unwrap();
    let mut left = left.map(|entry| entry.unwrap().path());
    let is_mount = |path: &std::path::PathBuf| path.to_string_lossy().contains("mount.");
    let directory = left.find(is_mount).unwrap();
    let log = directory.join("log");
    let whole = std::fs::read(&log).unwrap();
    std::fs::write(&log, b"no log").unwrap();
    let served = serve(&alice, &[]);
    assert_eq!(served.ask("GET", "/note", &[], b"").status, 404);
    served.process.interrupt();
    let ran = served.process.wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told = ran.stderr.lines().next().unwrap();
    let told: Value = serde_json::from_str(told).unwrap();
    let message = told["message"].as_str().unwrap();
    assert!(message.contains(directory.to_str().unwrap()), "{message}");
    assert_eq!(told["notice"], "mount_kept");
    assert!(message.contains("copy of the home"), "{message}");
    std::fs::write(&log, whole).unwrap();
    let (mut process, url) = begin(&alice);
    assert_eq!(url["answer"], "vault_change");
    process.next_line().unwrap();
    process.interrupt();
    assert_eq!(process.wait().code, Some(0));
    assert!(!directory.exists());
    assert_eq!(alice.json(&["vault", "list", "plans"]).len(), 1);
}

/// What a command that serves says first.
fn begin(person: &Person) -> (Process, Value) {
    let mut process = person.start(&["vault", "mount", "plans", "--webdav", "--json"]);
    let line = process.next_line().unwrap();
    (process, serde_json::from_str(&line).unwrap())
}
