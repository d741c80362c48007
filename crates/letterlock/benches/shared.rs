//! A vault over a relay on loopback: syncs of many small files, ranges and a changed byte of a large one, a mounted one.
//!
//! Client and relay in one process, everything in `/dev/shm`; the mounted folder is the program's, in a process of its
//! own. `LETTERLOCK_FILES` sets how many small files, `LETTERLOCK_MIB` how large the large one is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

mod common;

use client::Client;
use client::api::Request;
use client::sealed::Work;
use client::vault::{self, Desk, Edit, Mount, Mounted, Sync};
use common::{House, ask, person, quantile};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const RUNS: usize = 5;
const RANGE: usize = 64 << 10;
const RANGES: usize = 500;

fn number(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn now() -> String {
    "2026-11-22 14-03".to_owned()
}

fn work() -> Arc<Work> {
    Arc::new(Work::default())
}

fn seconds(times: &mut [Duration]) -> f64 {
    times.sort();
    times.get(times.len() / 2).unwrap().as_secs_f64()
}

fn show_times(what: &str, times: &mut [Duration]) {
    times.sort();
    let (middle, far) = (quantile(times, 0.5), quantile(times, 0.99));
    println!("{what:<44} p50 {middle:.2} ms  p99 {far:.2} ms");
}

async fn sync(client: &Client, home: &Path, folder: &Path) -> Duration {
    let wish = Sync {
        home: home.to_path_buf(),
        vault: "many".to_owned(),
        folder: folder.to_path_buf(),
        time: now(),
    };
    let began = Instant::now();
    vault::sync(client, wish, work()).await.unwrap();
    began.elapsed()
}

/// The first sync of many files, those in which nothing is new, and one with a new file.
async fn many(client: &Client, home: &Path, folder: &Path) {
    let files = number("LETTERLOCK_FILES", 100_000);
    let many = folder.join("many");
    for at in 0..files {
        let directory = many.join(format!("{:03}", at / 100));
        if at % 100 == 0 {
            fs::create_dir_all(&directory).unwrap();
        }
        let text = format!("file {at} of many\n").repeat(at % 32 + 1);
        fs::write(directory.join(format!("{at}.txt")), text).unwrap();
    }
    ask(
        client,
        Request::VaultCreate {
            name: "many".to_owned(),
        },
    )
    .await;
    // What was modified within the last instants is read again, whoever looks.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let first = sync(client, home, &many).await;
    println!("{files} files, first sync {:>23.2} s", first.as_secs_f64());
    let mut again = Vec::new();
    for _ in 0..RUNS {
        again.push(sync(client, home, &many).await);
    }
    println!("nothing is new {:>31.3} s", seconds(&mut again));
    let mut new = Vec::new();
    for run in 0..RUNS {
        fs::write(many.join(format!("new-{run}")), "new").unwrap();
        new.push(sync(client, home, &many).await);
    }
    println!("one new file {:>33.3} s", seconds(&mut new));
}

/// Bytes without order.
fn large(place: &Path, mib: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let mut file = File::create(place).unwrap();
    let mut block = vec![0; 1 << 20];
    for _ in 0..mib {
        rng.fill_bytes(&mut block);
        file.write_all(&block).unwrap();
    }
}

async fn put(client: &Client, home: &Path, file: &Path) -> Duration {
    let desk = Desk {
        home: home.to_path_buf(),
        vault: "large".to_owned(),
        time: now(),
    };
    let edit = Edit::Put {
        paths: vec![file.to_path_buf()],
        to: String::new(),
    };
    let began = Instant::now();
    vault::edit(client, desk, edit, work()).await.unwrap();
    began.elapsed()
}

/// Bytes of all files below a folder.
fn bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let of = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => bytes(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(of).sum()
}

/// Times of ranges anywhere in a file of so many bytes.
fn ranges(size: u64, mut read: impl FnMut(u64)) -> Vec<Duration> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut times = Vec::new();
    for _ in 0..RANGES {
        let offset = rng.next_u64() % (size - RANGE as u64);
        let began = Instant::now();
        read(offset);
        times.push(began.elapsed());
    }
    times
}

/// A large file goes to a relay, is changed in one byte, and is read in ranges.
async fn one(client: &Client, home: &Path, folder: &Path) -> PathBuf {
    let mib = number("LETTERLOCK_MIB", 1024);
    let (place, blobs) = (folder.join("plain"), folder.join("relay"));
    large(&place, mib);
    ask(
        client,
        Request::VaultCreate {
            name: "large".to_owned(),
        },
    )
    .await;
    let took = put(client, home, &place).await;
    let before = bytes(&blobs);
    println!("put {mib} MiB {:>35.2} s", took.as_secs_f64());
    let file = File::options().read(true).write(true).open(&place).unwrap();
    let middle = (mib as u64) << 19;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    let took = put(client, home, &place).await;
    println!(
        "put with one changed byte {:>20.2} s, {:.2} MiB more at the relay",
        took.as_secs_f64(),
        bytes(&blobs).saturating_sub(before) as f64 / f64::from(1 << 20)
    );
    let wish = Mount {
        home: home.to_path_buf(),
        vault: "large".to_owned(),
        version: None,
        read_only: true,
        time: now,
    };
    let (tell, _told) = tokio::sync::mpsc::unbounded_channel();
    let face = move |mounted: Mounted| {
        let files = mounted.files;
        let number = files.look_up(files.top(), b"plain").unwrap().number;
        let handle = files.open(number, false).unwrap();
        let mut times = ranges((mib as u64) << 20, |offset| {
            let got = files.read(handle, offset, RANGE).unwrap();
            assert_eq!(got.len(), RANGE);
        });
        show_times("64 KiB anywhere in it, through the relay", &mut times);
        files.close(handle);
        Ok(())
    };
    vault::mount(client, wish, work(), tell, face)
        .await
        .unwrap();
    place
}

/// The program, with a vault mounted.
struct MountedFolder {
    program: Child,
    folder: PathBuf,
}

impl MountedFolder {
    fn begin(home: &Path, folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_letterlock"));
        program.args(["vault", "mount", "large"]).arg(&folder);
        program.arg("--home").arg(home);
        program.env("LETTERLOCK_PASSPHRASE", "a passphrase");
        program.stdout(Stdio::piped());
        let mut program = program.spawn().unwrap();
        let mut line = String::new();
        let told = BufReader::new(program.stdout.take().unwrap()).read_line(&mut line);
        assert!(told.unwrap() > 0, "it is mounted");
        Self { program, folder }
    }

    /// Unmounts it; what was written is in a version then.
    fn end(mut self) {
        let mut unmount = Command::new("fusermount3");
        let unmounted = unmount.arg("-u").arg(&self.folder).status();
        assert!(unmounted.unwrap().success(), "unmounted");
        assert!(self.program.wait().unwrap().success(), "ended well");
    }
}

/// What a program sees that works in a mounted folder.
fn mounted(home: &Path, folder: &Path, plain: &Path) {
    let mib = number("LETTERLOCK_MIB", 1024);
    let rate = |took: Duration| mib as f64 / took.as_secs_f64();
    let mounted = MountedFolder::begin(home, folder.join("mounted"));
    let file = File::open(mounted.folder.join("plain")).unwrap();
    let mut block = vec![0; RANGE];
    let mut times = ranges((mib as u64) << 20, |offset| {
        file.read_exact_at(&mut block, offset).unwrap();
    });
    show_times("mounted: 64 KiB anywhere", &mut times);
    let mut times: Vec<_> = (0..RANGES)
        .map(|_| {
            let began = Instant::now();
            fs::metadata(mounted.folder.join("plain")).unwrap();
            began.elapsed()
        })
        .collect();
    show_times("mounted: metadata", &mut times);
    let mut times: Vec<_> = (0..RANGES)
        .map(|at| {
            let began = Instant::now();
            fs::write(mounted.folder.join(format!("small-{at}")), "small").unwrap();
            began.elapsed()
        })
        .collect();
    show_times("mounted: a new file of 5 bytes", &mut times);
    drop(file);
    let began = Instant::now();
    fs::copy(plain, mounted.folder.join("copy")).unwrap();
    let copied = began.elapsed();
    mounted.end();
    println!(
        "mounted: {mib} MiB copied into it {:>13.0} MiB/s, {:.2} s until it is in a version",
        rate(copied),
        began.elapsed().as_secs_f64()
    );
    let mounted = MountedFolder::begin(home, folder.join("mounted"));
    let began = Instant::now();
    fs::copy(mounted.folder.join("copy"), folder.join("back")).unwrap();
    println!(
        "mounted: copied out of it {:>20.0} MiB/s",
        rate(began.elapsed())
    );
    mounted.end();
    assert!(
        fs::read(plain).unwrap() == fs::read(folder.join("back")).unwrap(),
        "the same bytes"
    );
}

/// The whole program: its start, the home's passphrase, the sync in which nothing is new.
fn program(home: &Path, folder: &Path) {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut program = Command::new(env!("CARGO_BIN_EXE_letterlock"));
        program.args(["vault", "sync", "many"]).arg(folder);
        program.arg("--home").arg(home).stdout(Stdio::null());
        program.env("LETTERLOCK_PASSPHRASE", "a passphrase");
        let began = Instant::now();
        assert!(program.status().unwrap().success());
        times.push(began.elapsed());
    }
    println!(
        "nothing is new, the whole program {:>12.3} s",
        seconds(&mut times)
    );
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kept = tempfile::tempdir_in("/dev/shm").unwrap();
    let folder = kept.path();
    let home = folder.join("alice");
    let house = runtime.block_on(House::open(folder));
    let plain = runtime.block_on(async {
        let alice = person("alice", folder, &house.url).await;
        many(&alice, &home, folder).await;
        let plain = one(&alice, &home, folder).await;
        alice.close().await;
        plain
    });
    program(&home, &folder.join("many"));
    match Path::new("/dev/fuse").exists() {
        true => mounted(&home, folder, &plain),
        false => println!("no /dev/fuse: nothing mounted"),
    }
    runtime.block_on(house.running.shutdown());
}
