//! Sealed files beside `cp`: wall time of 1 GiB in a folder in memory, peak memory, ranges.
//!
//! `LETTERLOCK_MIB` sets how much; `LETTERLOCK_FOLDER` where, `/dev/shm` else.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "a benchmark"
)]

use keys::hpke::EnvelopeSecret;
use keys::{AccountId, DeviceId, SigningKey, Suite, Timestamp, label};
use letterlock_seal::Output;
use letterlock_seal::lock::{Author, LockFile, Opener, Recipient, Sealer, UnverifiedHeader};
use letterlock_seal::tree::Tree;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// CPU time of this process, all threads.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).unwrap().as_secs_f64()
}

/// Runs a program; nothing if it is not here.
fn run(line: &[&str]) -> Option<Duration> {
    let (program, arguments) = line.split_first()?;
    let start = Instant::now();
    let status = Command::new(program).args(arguments).status().ok()?;
    status.success().then(|| start.elapsed())
}

struct Bench {
    folder: PathBuf,
    envelope: EnvelopeSecret,
    signing: SigningKey,
}

impl Bench {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn seal(&self, from: &Path, to: &Path) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let sign = |message: &[u8]| self.signing.sign(label::SEAL_SIGNATURE, message).ok();
        let author = Author {
            account: AccountId::from_bytes([1; 32]),
            device: DeviceId::from_bytes([2; 16]),
            suite: Suite::Hybrid,
            time: Timestamp::from_secs(0),
            log: Vec::new(),
            sign: &sign,
        };
        let recipients = [Recipient::Key(self.envelope.public().clone())];
        let sealer = Sealer {
            recipients: &recipients,
            author: Some(&author),
        };
        let tree = Tree::of(&[from.to_path_buf()]).unwrap();
        let output = Output::create(to, 1).unwrap();
        sealer
            .seal_tree(&tree, output.file(), &|_| {}, &mut rng)
            .unwrap();
        output.keep(true).unwrap();
    }

    fn lock_file(&self, from: &Path) -> LockFile<File> {
        let mut file = File::open(from).unwrap();
        let header = UnverifiedHeader::read(&mut file).unwrap();
        let key = header.unwrap_key(Opener::Key(&self.envelope)).unwrap();
        let header = header.verify(&key.unwrap()).unwrap();
        LockFile::open(file, &header).unwrap()
    }

    fn open(&self, from: &Path, to: &Path) {
        let extracted = self.lock_file(from).extract(to, 1, &|_| {}).unwrap();
        let claimed = extracted.claimed().unwrap();
        claimed.verify(self.signing.verifying_key()).unwrap();
        extracted.place(to, true).unwrap();
    }
}

fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn main() {
    let mib: usize = std::env::var("LETTERLOCK_MIB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1024);
    let beside = std::env::var("LETTERLOCK_FOLDER").unwrap_or_else(|_| "/dev/shm".to_owned());
    let folder = tempfile::tempdir_in(beside).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let bench = Bench {
        folder: folder.path().to_path_buf(),
        envelope: EnvelopeSecret::generate(Suite::Hybrid, &mut rng).unwrap(),
        signing: SigningKey::generate(Suite::Hybrid, &mut rng).unwrap(),
    };
    let plain = bench.at("plain");
    let mut file = File::create(&plain).unwrap();
    let mut block = vec![0; 1 << 20];
    for _ in 0..mib {
        rng.fill_bytes(&mut block);
        file.write_all(&block).unwrap();
    }
    drop(file);
    let (copy, sealed, out) = (bench.at("copy"), bench.at("sealed.lock"), bench.at("out"));
    fs::create_dir(&out).unwrap();
    let (mut copies, mut seals, mut opens) = (Vec::new(), Vec::new(), Vec::new());
    let (mut seal_cpu, mut open_cpu) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        copies.push(run(&["cp", plain.to_str().unwrap(), copy.to_str().unwrap()]).unwrap());
        fs::remove_file(&copy).unwrap();
        let before = cpu();
        seals.push(timed(|| bench.seal(&plain, &sealed)));
        let between = cpu();
        opens.push(timed(|| bench.open(&sealed, &out)));
        seal_cpu.push(between.saturating_sub(before));
        open_cpu.push(cpu().saturating_sub(between));
        fs::remove_file(out.join("plain")).unwrap();
        if seals.len() < ROUNDS {
            fs::remove_file(&sealed).unwrap();
        }
    }
    let peak = peak_kib();
    let (cp, seal, open) = (median(copies), median(seals), median(opens));
    println!("{mib} MiB, wall time, median of {ROUNDS}:");
    println!("  cp    {cp:.3} s");
    let (seal_cpu, open_cpu) = (median(seal_cpu), median(open_cpu));
    println!(
        "  seal  {seal:.3} s   {:.2} of cp   CPU {seal_cpu:.3} s",
        seal / cp
    );
    println!(
        "  open  {open:.3} s   {:.2} of cp   CPU {open_cpu:.3} s",
        open / cp
    );
    println!("  peak memory {:.1} MiB", peak as f64 / 1024.0);
    let file = bench.lock_file(&sealed);
    let mut buffer = vec![0; 64 << 10];
    let size = file.size(0).unwrap();
    let mut ranges: Vec<Duration> = (0..200)
        .map(|_| {
            let offset = rng.next_u64() % size.saturating_sub(64 << 10);
            timed(|| {
                file.read(0, offset, &mut buffer).unwrap();
            })
        })
        .collect();
    ranges.sort();
    println!("  range of 64 KiB: {:.0} us", median(ranges) * 1e6);
}
