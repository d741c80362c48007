//! A file system with little room, mounted where only one process sees it, and reached through that process.

use super::Process;
use rustix::process::Pid;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own; it goes with this value.
pub(crate) struct SmallDisk {
    holder: Process,
    path: PathBuf,
    seen: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many KiB on a folder; nothing, and a line that says so, where the system does not let this
    /// user.
    pub(crate) fn mount(folder: &Path, kib: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={kib}k,mode=700 none \"$0\" && echo mounted && exec sleep 600"
        );
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .arg(folder);
        let mut holder = Process::spawn(&mut command);
        if holder.next_line().as_deref() != Some("mounted") {
            println!(
                "SKIPPED: this user may not mount a tmpfs: {}",
                holder.stderr()
            );
            return None;
        }
        let root = PathBuf::from(format!("/proc/{}/root", holder.pid().as_raw_nonzero()));
        let seen = root.join(folder.strip_prefix("/").unwrap());
        Some(Self {
            holder,
            path: folder.to_owned(),
            seen,
        })
    }

    /// Where it is for those beside its holder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it is for this test.
    pub(crate) fn seen(&self) -> &Path {
        &self.seen
    }

    /// The process that holds it.
    pub(crate) fn holder(&self) -> Pid {
        self.holder.pid()
    }

    fn filler(&self) -> PathBuf {
        self.seen.join("filler")
    }

    /// Takes all room but so many KiB.
    pub(crate) fn fill_but(&self, kib: usize) {
        let mut filler = std::fs::File::create(self.filler()).unwrap();
        let block = [0_u8; 1024];
        let mut written = 0_u64;
        while let Ok(count @ 1..) = std::io::Write::write(&mut filler, &block) {
            written += count as u64;
        }
        filler
            .set_len(written.saturating_sub(kib as u64 * 1024))
            .unwrap();
    }

    /// Gives the room back.
    pub(crate) fn clear(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}
