//! The relay as a process, and what the system says of it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A relay that is killed in the end.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From its start until it listened.
    pub(crate) started_after: Duration,
}

impl Process {
    /// Starts a relay on a data folder; with TLS on every address, without it on loopback.
    pub(crate) fn serve(data: &Path, tls: bool) -> Self {
        std::fs::create_dir_all(data).unwrap();
        let config = data.join("bench.toml");
        std::fs::write(
            &config,
            "public_host = \"relay\"\n[rates]\nconnections = 20000\nletters_of_queue = 1000000\n",
        )
        .unwrap();
        let start = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_letterlock-relay"))
            .args(["serve", "--listen"])
            .arg(if tls { "0.0.0.0:0" } else { "127.0.0.1:0" })
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let started_after = start.elapsed();
        let (_, rest) = line.trim_end().rsplit_once(':').unwrap();
        let port = rest.split('#').next().unwrap().parse().unwrap();
        Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            started_after,
        }
    }

    /// KiB of memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:"));
        let mut words = line.unwrap().split_whitespace();
        words.nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
