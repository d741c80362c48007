//! Sealed files beside `cp`, and beside age where it is here: wall time of 1 GiB in a folder in memory, peak memory,
//! ranges.
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
use keys::{AccountId, DeviceId, SigningKey, Suite, Timestamp, X25519Secret, label};
use letterlock_seal::Output;
use letterlock_seal::age::{self, AgeFile, Identity};
use letterlock_seal::lock::{Author, LockFile, Opener, Recipient, Sealer, UnverifiedHeader};
use letterlock_seal::tree::Tree;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::fs::{self, File};
use std::io::{BufReader, Write as _};
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
    identity: Identity,
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

/// The age format.
impl Bench {
    fn seal_age(&self, from: &Path, to: &Path) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let recipients = [self.identity.recipient()];
        let sealer = age::Sealer {
            recipients: &recipients,
        };
        let tree = Tree::of(&[from.to_path_buf()]).unwrap();
        let output = Output::create(to, 1).unwrap();
        sealer
            .seal_file(&tree, output.file(), &|_| {}, &mut rng)
            .unwrap();
        output.keep(true).unwrap();
    }

    fn age_file(&self, from: &Path) -> AgeFile<File> {
        let mut input = BufReader::new(File::open(from).unwrap());
        let header = age::UnverifiedHeader::read(&mut input).unwrap();
        let opener = age::Opener::Identity(&self.identity);
        let key = header.unwrap_key(opener).unwrap().unwrap();
        AgeFile::open(File::open(from).unwrap(), &header.verify(&key).unwrap()).unwrap()
    }

    fn open_age(&self, from: &Path, to: &Path) {
        let output = Output::create(to, 1).unwrap();
        let file = self.age_file(from);
        file.write_to(output.file(), &|_| {}).unwrap();
        output.keep(true).unwrap();
    }

    /// Beside age itself, for the same key.
    fn run_age(&self, plain: &Path, cp: f64) {
        let (sealed, out, key) = (self.at("sealed.age"), self.at("opened"), self.at("key"));
        fs::write(&key, self.identity.text().unwrap().as_bytes()).unwrap();
        let (mut seals, mut opens) = (Vec::new(), Vec::new());
        let (mut theirs_seal, mut theirs_open) = (Vec::new(), Vec::new());
        let recipient = self.identity.recipient().to_string();
        let [plain_name, sealed_name, out_name, key_name] =
            [plain, &sealed, &out, &key].map(|path| path.to_str().unwrap());
        for _ in 0..ROUNDS {
            seals.push(timed(|| self.seal_age(plain, &sealed)));
            opens.push(timed(|| self.open_age(&sealed, &out)));
            fs::remove_file(&out).unwrap();
            let open = ["age", "-d", "-i", key_name, "-o", out_name, sealed_name];
            theirs_open.extend(run(&open));
            let _ = fs::remove_file(&out);
            fs::remove_file(&sealed).unwrap();
            let seal = ["age", "-r", &recipient, "-o", sealed_name, plain_name];
            theirs_seal.extend(run(&seal));
            let _ = fs::remove_file(&sealed);
        }
        let shown = [
            ("seal --format age", seals),
            ("open of it", opens),
            ("age -e", theirs_seal),
            ("age -d", theirs_open),
        ];
        for (name, times) in shown {
            if times.is_empty() {
                println!("  {name:17} not here");
                continue;
            }
            let time = median(times);
            println!("  {name:17} {time:.3} s   {:.2} of cp", time / cp);
        }
        self.seal_age(plain, &sealed);
        let file = self.age_file(&sealed);
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut buffer = vec![0; 64 << 10];
        let mut ranges: Vec<Duration> = (0..200)
            .map(|_| {
                let offset = rng.next_u64() % file.length().saturating_sub(64 << 10);
                timed(|| {
                    file.read(offset, &mut buffer).unwrap();
                })
            })
            .collect();
        ranges.sort();
        println!("  age, range of 64 KiB: {:.0} us", median(ranges) * 1e6);
        fs::remove_file(&sealed).unwrap();
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
        identity: Identity::X25519(X25519Secret::from_random(&mut rng)),
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
    drop(file);
    fs::remove_file(&sealed).unwrap();
    bench.run_age(&plain, cp);
    println!("  peak memory of all {:.1} MiB", peak_kib() as f64 / 1024.0);
}
