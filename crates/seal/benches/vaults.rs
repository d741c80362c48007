//! A vault in a folder beside restic: wall time of 1 GiB without order, what a changed byte stores, ranges, memory.
//!
//! `LETTERLOCK_MIB` sets how much; `LETTERLOCK_FOLDER` where, `/dev/shm` else.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "a benchmark"
)]

use keys::vault_root::ObjectRef;
use keys::{GroupId, Secret};
use letterlock_seal::vault::{Editor, FolderPacks, Keyring, NodeCache, Reader, VaultPath};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).unwrap().as_secs_f64()
}

fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|kib| kib.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}

struct Bench {
    keys: Keyring,
    folder: PathBuf,
    plain: PathBuf,
    edits: u64,
}

impl Bench {
    fn put(&mut self, packs: &FolderPacks, top: Option<ObjectRef>) -> (ObjectRef, Duration) {
        self.edits += 1;
        let mut rng = ChaCha20Rng::seed_from_u64(self.edits);
        let cache = NodeCache::default();
        let start = Instant::now();
        let reader = Reader::new(&self.keys, packs, &cache);
        let mut editor = Editor::new(reader, packs, top, &mut rng);
        let path = VaultPath::parse(b"plain").unwrap();
        editor.put_path(&path, &self.plain, &|_| {}).unwrap();
        (editor.finish().unwrap(), start.elapsed())
    }

    /// A first backup of restic, to a repository that is there already; nothing where there is no restic.
    fn restic(&self) -> Option<Duration> {
        let repository = self.folder.join("restic");
        let run = |words: &[&str]| {
            let mut command = Command::new("restic");
            command.args(["--no-cache", "-q", "-r"]).arg(&repository);
            command.args(words).env("RESTIC_PASSWORD", "benchmark");
            let start = Instant::now();
            let status = command.stdout(Stdio::null()).status().ok()?;
            status.success().then(|| start.elapsed())
        };
        run(&["init"])?;
        let time = run(&["backup", self.plain.to_str()?]);
        fs::remove_dir_all(&repository).unwrap();
        time
    }
}

fn main() {
    let mib: usize = std::env::var("LETTERLOCK_MIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1024);
    let beside = std::env::var("LETTERLOCK_FOLDER").unwrap_or_else(|_| "/dev/shm".to_owned());
    let folder = tempfile::tempdir_in(beside).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let plain = folder.path().join("plain");
    let mut file = File::create(&plain).unwrap();
    let mut block = vec![0; 1 << 20];
    for _ in 0..mib {
        rng.fill_bytes(&mut block);
        file.write_all(&block).unwrap();
    }
    drop(file);
    let key = Secret::random(&mut rng);
    let mut bench = Bench {
        keys: Keyring::new(GroupId::from_bytes([1; 32]), [(1, &key)]).unwrap(),
        folder: folder.path().to_path_buf(),
        plain,
        edits: 0,
    };
    let at = bench.folder.join("packs");
    let (mut puts, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let packs = FolderPacks::new(&at).unwrap();
        puts.push(bench.put(&packs, None).1);
        if round + 1 < ROUNDS {
            fs::remove_dir_all(&at).unwrap();
        }
        theirs.extend(bench.restic());
    }
    let peak = peak_mib();
    fs::remove_dir_all(&at).unwrap();
    println!("{mib} MiB without order, to a folder, median of {ROUNDS}:");
    let put = median(puts);
    println!("  vault put      {put:.3} s");
    match theirs.is_empty() {
        true => println!("  restic backup  not here"),
        false => {
            let time = median(theirs);
            println!(
                "  restic backup  {time:.3} s   put takes {:.2} of it",
                put / time
            );
        }
    }
    println!("  peak memory    {peak:.1} MiB");
    let packs = FolderPacks::new(&at).unwrap();
    let (top, _) = bench.put(&packs, None);
    changed(&mut bench, &packs, top);
    ranges(&bench, &packs, &top, &mut rng);
}

fn changed(bench: &mut Bench, packs: &FolderPacks, top: ObjectRef) {
    let at = bench.folder.join("packs");
    let mut stored = Vec::new();
    for round in 0..ROUNDS as u64 {
        let before = size(&at);
        let file = File::options()
            .read(true)
            .write(true)
            .open(&bench.plain)
            .unwrap();
        let offset = file.metadata().unwrap().len() / 7 * round + 12_345;
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
        let (_, time) = bench.put(packs, Some(top));
        stored.push(size(&at) - before);
        if round == 0 {
            println!("  put again      {:.3} s", time.as_secs_f64());
        }
        file.write_all_at(&byte, offset).unwrap();
    }
    let kib: Vec<String> = stored
        .iter()
        .map(|bytes| format!("{}", bytes / 1024))
        .collect();
    println!("  one byte changed stores {} KiB", kib.join(", "));
}

fn ranges(bench: &Bench, packs: &FolderPacks, top: &ObjectRef, rng: &mut ChaCha20Rng) {
    let cache = NodeCache::default();
    let reader = Reader::new(&bench.keys, packs, &cache);
    let path = VaultPath::parse(b"plain").unwrap();
    let entry = reader.lookup(top, &path).unwrap().unwrap();
    let mut file = reader.file(&entry).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let times: Vec<Duration> = (0..200)
        .map(|_| {
            let offset = rng.next_u64() % file.size().saturating_sub(64 << 10);
            let start = Instant::now();
            file.read_at(offset, &mut buffer).unwrap();
            start.elapsed()
        })
        .collect();
    println!("  range of 64 KiB: {:.0} us", median(times) * 1e6);
}
