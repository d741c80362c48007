//! A process at a terminal: standard input and standard error are one, standard output is a pipe.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A process that runs at a terminal.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    lines: mpsc::Receiver<String>,
    screen: mpsc::Receiver<u8>,
    seen: String,
}

impl Terminal {
    pub(crate) fn open(command: &mut Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let mut child = command
            .stdin(Stdio::from(theirs.try_clone().unwrap()))
            .stderr(Stdio::from(theirs))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The command holds the terminal too, and would keep it open.
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|text| line.send(text));
        });
        let keyboard = File::from(ours);
        let screen_of = BufReader::new(keyboard.try_clone().unwrap());
        let (byte, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = screen_of
                .bytes()
                .map_while(Result::ok)
                .try_for_each(|one| byte.send(one));
        });
        Self {
            child,
            keyboard,
            lines,
            screen,
            seen: String::new(),
        }
    }

    /// Waits for the next line of standard output.
    pub(crate) fn next_line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.unwrap_or_else(|_| panic!("no line; on the screen: {}", self.seen))
    }

    /// Waits until the screen shows something, and returns what stands between it and an end.
    pub(crate) fn wait_for(&mut self, begin: &str, end: &str) -> String {
        loop {
            if let Some((_, after)) = self.seen.split_once(begin)
                && let Some((between, _)) = after.split_once(end)
            {
                return between.to_owned();
            }
            match self.screen.recv_timeout(PATIENCE) {
                Ok(byte) => self.seen.push(char::from(byte)),
                Err(_) => panic!("no {begin:?} on the screen: {}", self.seen),
            }
        }
    }

    /// Types a line.
    pub(crate) fn answer(&mut self, line: &str) {
        self.keyboard
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// Does what Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Waits for the end, and returns the exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                start.elapsed() < PATIENCE,
                "no end; on the screen: {}",
                self.seen
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
