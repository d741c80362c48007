//! A child process that cannot outlive its test.

use rustix::process::Pid;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long any command of a test may take.
const PATIENCE: Duration = Duration::from_secs(120);

const PROGRAM: &str = env!("CARGO_BIN_EXE_letterlock");

/// The program under test, with an environment that is the same everywhere.
pub(crate) fn letterlock() -> Command {
    with_environment(Command::new(PROGRAM))
}

/// The same, where it sees the file systems of another process.
pub(crate) fn letterlock_beside(other: Pid) -> Command {
    let mut command = Command::new("nsenter");
    let target = other.as_raw_nonzero().to_string();
    let words = ["--user", "--mount", "--preserve-credentials", "--target"];
    command.args(words).arg(target).arg(PROGRAM);
    with_environment(command)
}

fn with_environment(mut command: Command) -> Command {
    command
        .env_clear()
        .env("TZ", "UTC")
        .env("COLUMNS", "100")
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null());
    for kept in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// A process that runs.
pub(crate) struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: String,
    stderr: Option<JoinHandle<String>>,
    waited: bool,
    peak_kib: u64,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Nothing if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The most memory that it was seen to use.
    pub(crate) peak_kib: u64,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            child,
            lines,
            seen: String::new(),
            stderr: Some(stderr),
            waited: false,
            peak_kib: 0,
        }
    }

    /// Looks at the most memory that it has used.
    pub(crate) fn note_memory(&mut self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        self.peak_kib = self.peak_kib.max(kib.unwrap_or(0));
        self.peak_kib
    }

    /// Waits for the next line of standard output; nothing if it has ended.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        let line = self.lines.recv_timeout(PATIENCE).ok()?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Some(line)
    }

    /// The identifier of the process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it wrote to standard error, once it has ended; this ends it.
    pub(crate) fn stderr(&mut self) -> String {
        if self.child.try_wait().unwrap().is_none() {
            return "(it runs)".to_owned();
        }
        self.stderr
            .take()
            .map_or_else(String::new, |text| text.join().unwrap())
    }

    /// Closes its standard input, where that is a pipe.
    pub(crate) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Does what Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::INT).unwrap();
    }

    /// `kill -9`, and what was written before.
    pub(crate) fn kill(mut self) -> Ran {
        self.note_memory();
        let _ = self.child.kill();
        self.end()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ran {
        let start = Instant::now();
        while !self.has_ended() {
            if start.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let ran = self.end();
                panic!("a command did not end in time: {ran:?}");
            }
            self.note_memory();
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end()
    }

    fn end(&mut self) -> Ran {
        let status = self.child.wait().unwrap();
        self.waited = true;
        while let Some(_line) = self.next_line() {}
        Ran {
            stdout: std::mem::take(&mut self.seen),
            stderr: self
                .stderr
                .take()
                .map_or_else(String::new, |text| text.join().unwrap()),
            code: status.code(),
            peak_kib: self.peak_kib,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.waited {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ran {
    /// The only line of standard output.
    pub(crate) fn line(&self) -> String {
        let line = self.stdout.strip_suffix('\n').unwrap_or(&self.stdout);
        assert!(!line.is_empty() && !line.contains('\n'), "{self:?}");
        line.to_owned()
    }

    /// The objects on standard output, one a line.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.stdout.lines().map(object).collect()
    }
}

/// Reads one line as one JSON object.
pub(crate) fn object(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    assert!(value.is_object(), "no object: {line}");
    value
}
