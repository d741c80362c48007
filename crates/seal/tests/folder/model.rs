//! Three people do anything in folders that are kept in step, whatever happens to their programs, and a plain set says what
//! must be there at the end: everything that somebody wrote and nobody removed or replaced knowing it.
//!
//! `LETTERLOCK_SEED` says where the seeds begin, `LETTERLOCK_SEEDS` how many there are, `LETTERLOCK_STEPS` how much happens.

use super::{Author, Editor, Folder, Host, InStep, Person, Reader, VAULT, nothing};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

fn number(name: &str, usual: u64) -> u64 {
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(usual)
}

/// Where a program is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Killed {
    Never,
    /// The folder was looked through, and nothing is published.
    BeforeVersion,
    /// The version is there, and nothing of it is written.
    BeforeApply,
    /// So many bytes of it are written.
    InApply(u64),
    /// All is written, and nothing is remembered.
    BeforeMemory,
}

/// The program ended here.
struct Kill;

impl Host {
    /// One round as [`Host::sync`] does it, of a program that may be killed; whether all is in step then.
    fn live(&mut self, person: &Person, killed: Killed, between: impl FnOnce()) -> bool {
        let folder = Folder::open(&person.path).unwrap();
        let before = folder.in_step().unwrap();
        let before = before.unwrap_or(InStep {
            vault: VAULT,
            base: None,
            since: 0,
            refused: Vec::new(),
        });
        let since = Folder::now();
        let reader = Reader::new(&self.keys, &self.packs, &self.cache);
        let mut editor = Editor::new(reader, &self.packs, before.base, &mut self.rng);
        let newest = self.newest;
        let quiet = (&nothing as _, &nothing as _);
        let put = folder
            .scan(&mut editor, reader, &before, newest.as_ref(), quiet)
            .unwrap();
        let ours = match (put, before.base) {
            (None, Some(base)) => base,
            _ => editor.finish().unwrap(),
        };
        between();
        if killed == Killed::BeforeVersion {
            return false;
        }
        let mut editor = Editor::new(reader, &self.packs, newest, &mut self.rng);
        let author = Author {
            person: person.name.to_owned(),
            time: "2026-11-22 14-03".to_owned(),
        };
        let base = before.base;
        editor.merge(base.as_ref(), &ours, &author).unwrap();
        let both = editor.finish().unwrap();
        self.newest = Some(both);
        if killed == Killed::BeforeApply {
            return false;
        }
        let reader = self.reader();
        let written = std::sync::atomic::AtomicU64::new(0);
        let progress = |bytes| {
            let sum = written.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed) + bytes;
            if matches!(killed, Killed::InApply(most) if sum > most) {
                resume_unwind(Box::new(Kill));
            }
        };
        let apply = || folder.apply(reader, Some(&ours), &both, &[], (&nothing, &progress));
        let applied = match catch_unwind(AssertUnwindSafe(apply)) {
            Ok(applied) => applied.unwrap(),
            Err(why) if why.is::<Kill>() => return false,
            Err(why) => resume_unwind(why),
        };
        if killed == Killed::BeforeMemory {
            return false;
        }
        if !applied.busy {
            folder
                .remember(&InStep {
                    vault: VAULT,
                    base: Some(both),
                    since,
                    refused: applied.refused.clone(),
                })
                .unwrap();
        }
        !applied.busy && applied.refused.is_empty()
    }
}

/// All that is in a folder: contents of files, targets of links.
fn contents(top: &Path) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    let mut left = vec![top.to_path_buf()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            match path.symlink_metadata().unwrap() {
                metadata if metadata.is_dir() && path != top.join(".letterlock-sync") => {
                    left.push(path);
                }
                metadata if metadata.is_dir() => {}
                _ => drop(found.insert(content(&path).unwrap())),
            }
        }
    }
    found
}

/// What a name holds, if that is a file or link.
fn content(path: &Path) -> Option<Vec<u8>> {
    match fs::read_link(path) {
        Ok(target) => Some(target.as_os_str().as_bytes().to_vec()),
        Err(_) => fs::read(path).ok(),
    }
}

/// What people know that they wrote, and have not taken away.
#[derive(Default)]
struct Model {
    alive: BTreeSet<Vec<u8>>,
    next: u32,
}

struct Chance(ChaCha20Rng);

impl Chance {
    fn below(&mut self, below: u32) -> u32 {
        self.0.next_u32() % below
    }
}

impl Model {
    fn fresh(&mut self, what: &str) -> Vec<u8> {
        self.next += 1;
        let content = format!("{what} {}", self.next).into_bytes();
        self.alive.insert(content.clone());
        content
    }

    /// Somebody takes away what a name holds, and all that is below it.
    fn takes(&mut self, path: &Path) {
        if path.is_dir() && !path.is_symlink() {
            for content in contents(path) {
                self.alive.remove(&content);
            }
            fs::remove_dir_all(path).unwrap();
        } else if let Some(old) = content(path) {
            self.alive.remove(&old);
            fs::remove_file(path).unwrap();
        }
    }

    /// Somebody does something in a folder.
    fn act(&mut self, top: &Path, chance: &mut Chance) {
        let at = place(top, chance);
        let parent = at.parent().unwrap().to_path_buf();
        let here = fs::create_dir_all(&parent).is_ok() && !has_link(top, &parent);
        if !here {
            return;
        }
        match chance.below(16) {
            0..=4 => {
                if !at.is_dir() || at.is_symlink() {
                    self.takes(&at);
                    let content = self.fresh("content");
                    fs::write(&at, content).unwrap();
                }
            }
            // Written over in its place, and as editors do it.
            5 => {
                if at.is_file() && !at.is_symlink() {
                    let old = content(&at).unwrap();
                    self.alive.remove(&old);
                    let content = self.fresh("a longer content");
                    fs::write(&at, content).unwrap();
                }
            }
            6 => {
                if at.is_file() && !at.is_symlink() {
                    let beside = parent.join("editor~");
                    let old = content(&at).unwrap();
                    self.alive.remove(&old);
                    let content = self.fresh("edited");
                    fs::write(&beside, content).unwrap();
                    fs::rename(&beside, &at).unwrap();
                }
            }
            7 => {
                if !at.is_dir() || at.is_symlink() {
                    self.takes(&at);
                }
            }
            8 | 9 => self.moves(top, &at, chance),
            // A name that differs in case alone.
            10 => {
                let name = at.file_name().unwrap().to_str().unwrap().to_owned();
                let to = parent.join(match name.starts_with('f') {
                    true => name.to_uppercase(),
                    false => name.to_lowercase(),
                });
                if at.symlink_metadata().is_ok() && to.symlink_metadata().is_err() {
                    fs::rename(&at, &to).unwrap();
                }
            }
            // Something of another kind in its place.
            11 => {
                let was_directory = at.is_dir() && !at.is_symlink();
                self.takes(&at);
                match was_directory {
                    true => fs::write(&at, self.fresh("content")).unwrap(),
                    false => {
                        fs::create_dir(&at).unwrap();
                        fs::write(at.join("f0"), self.fresh("inside")).unwrap();
                    }
                }
            }
            12 => {
                if !at.is_dir() || at.is_symlink() {
                    self.takes(&at);
                    let target = self.fresh("target");
                    symlink(std::ffi::OsStr::from_bytes(&target), &at).unwrap();
                }
            }
            13 => {
                if at.symlink_metadata().is_ok() && !at.is_symlink() {
                    let modes = if at.is_dir() {
                        [0o755, 0o700]
                    } else {
                        [0o644, 0o600]
                    };
                    let mode = modes[chance.below(2) as usize];
                    fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
                }
            }
            14 => self.takes(&top.join(["d", "d/e", "g"][chance.below(3) as usize])),
            _ => self.moves_directory(top, chance),
        }
    }

    /// A file goes to another name, in the place of what was there.
    fn moves(&mut self, top: &Path, at: &Path, chance: &mut Chance) {
        let to = place(top, chance);
        let parent = to.parent().unwrap();
        let there = parent.is_dir() && !has_link(top, parent);
        let files = (!at.is_dir() || at.is_symlink()) && (!to.is_dir() || to.is_symlink());
        if at.symlink_metadata().is_ok() && there && files && at != to {
            self.takes(&to);
            fs::rename(at, &to).unwrap();
        }
    }

    fn moves_directory(&mut self, top: &Path, chance: &mut Chance) {
        let names = ["d", "d/e", "g", "g/h"];
        let from = top.join(names[chance.below(4) as usize]);
        let to = top.join(names[chance.below(4) as usize]);
        let parent = to.parent().unwrap();
        let free = to.symlink_metadata().is_err() && parent.is_dir() && !has_link(top, parent);
        if from.is_dir() && !from.is_symlink() && free && !to.starts_with(&from) {
            fs::rename(&from, &to).unwrap();
        }
    }
}

/// Whether a way leads through a link, out of the folder.
fn has_link(top: &Path, path: &Path) -> bool {
    let mut at = path;
    while at != top {
        if at.is_symlink() {
            return true;
        }
        at = at.parent().unwrap();
    }
    false
}

fn place(top: &Path, chance: &mut Chance) -> PathBuf {
    let directory = ["", "d", "d/e", "g", "g/h"][chance.below(5) as usize];
    top.join(directory).join(format!("f{}", chance.below(4)))
}

fn run(seed: u64, steps: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut host = Host::new(seed);
    let people = ["alice", "bob", "carol"].map(|name| Person::new(dir.path(), name));
    let chance = RefCell::new(Chance(ChaCha20Rng::seed_from_u64(seed)));
    let model = RefCell::new(Model::default());
    let below = |below| chance.borrow_mut().below(below);
    let mut away = BTreeMap::from([(0, 0_u32), (1, 0), (2, 0)]);
    for _ in 0..steps {
        let who = below(3);
        let person = &people[who as usize];
        let act = || {
            model
                .borrow_mut()
                .act(&person.path, &mut chance.borrow_mut())
        };
        for left in away.values_mut() {
            *left = left.saturating_sub(1);
        }
        match below(100) {
            0..=64 => act(),
            65..=67 => drop(away.insert(who, 10 + below(40))),
            _ if away[&who] > 0 => act(),
            68..=83 => drop(host.live(person, Killed::Never, || {})),
            // Somebody goes on working while the program does.
            84..=91 => {
                let busy = || (0..=below(3)).for_each(|_| act());
                host.live(person, Killed::Never, busy);
            }
            _ => {
                let killed = [
                    Killed::BeforeVersion,
                    Killed::BeforeApply,
                    Killed::InApply(below(60).into()),
                    Killed::BeforeMemory,
                ][below(4) as usize];
                host.live(person, killed, || {});
            }
        }
    }
    let mut rounds = 0;
    // What is put aside or beside in one round is new in the next one.
    while !people
        .each_ref()
        .map(|one| host.live(one, Killed::Never, || {}))
        .iter()
        .all(|in_step| *in_step)
    {
        rounds += 1;
        assert!(rounds < 20, "seed {seed}: no end");
    }
    for _ in 0..4 {
        for person in &people {
            assert!(host.live(person, Killed::Never, || {}), "seed {seed}");
        }
    }
    let mut found = contents(&people[0].path);
    // What could not stay where it was is the person's, and told.
    for person in &people {
        if let Ok(aside) = fs::read_dir(person.path.join(".letterlock-sync")) {
            let kept = aside.map(|entry| entry.unwrap().path());
            let kept =
                kept.filter(|path| path.file_name().unwrap().as_bytes().starts_with(b"kept"));
            for path in kept {
                match path.is_dir() && !path.is_symlink() {
                    true => found.extend(contents(&path)),
                    false => drop(found.insert(content(&path).unwrap())),
                }
            }
        }
    }
    for content in &model.borrow().alive {
        let content = String::from_utf8_lossy(content);
        assert!(
            found.contains(content.as_bytes()),
            "seed {seed}: {content} is lost"
        );
    }
    for person in &people[1..] {
        assert_eq!(person.look(), people[0].look(), "seed {seed}");
    }
}

#[test]
fn whatever_three_people_do_nothing_is_lost() {
    let first = number("LETTERLOCK_SEED", 0);
    let steps = number("LETTERLOCK_STEPS", 160);
    for seed in (first..).take(usize::try_from(number("LETTERLOCK_SEEDS", 6)).unwrap()) {
        println!("LETTERLOCK_SEED={seed} LETTERLOCK_SEEDS=1 LETTERLOCK_STEPS={steps}");
        run(seed, steps);
    }
}
