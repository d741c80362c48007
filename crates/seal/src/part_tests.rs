//! What was left by somebody who was killed goes; what somebody writes, and what is a person's, stays.

#![allow(clippy::unwrap_used, reason = "test code")]
use super::*;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_a_killed_writer_left_goes_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at(&name(7)), b"half").unwrap();
    fs::create_dir_all(at(&name(8)).join("new/deep")).unwrap();
    fs::write(at(&name(8)).join("new/deep/file"), b"half").unwrap();
    let next = Part::file(folder.path(), 9).unwrap();
    assert_eq!(names(folder.path()), [name(9)]);
    drop(next);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn what_somebody_writes_is_not_swept() {
    let folder = tempfile::tempdir().unwrap();
    let file = Part::file(folder.path(), 1).unwrap();
    let directory = Part::directory(folder.path(), 2).unwrap();
    let third = Part::file(folder.path(), 3).unwrap();
    assert_eq!(names(folder.path()), [name(1), name(2), name(3)]);
    file.keep(&folder.path().join("whole"), false).unwrap();
    sweep(folder.path());
    assert_eq!(names(folder.path()), [name(2), name(3), "whole".to_owned()]);
    drop((directory, third));
    assert_eq!(names(folder.path()), ["whole"]);
}

#[test]
fn names_that_are_not_ours_stay() {
    let folder = tempfile::tempdir().unwrap();
    let all = [
        ".letterlock-0123456789abcdef.part.txt",
        ".letterlock-0123456789abcde.part",
        ".letterlock-0123456789ABCDEF.part",
        ".letterlock-aaaaaaaaaaaaaaaaaaaaaaaaaa.part",
        ".other-0123456789abcdef.part",
        "letterlock-0123456789abcdef.part",
    ];
    for one in all {
        fs::write(folder.path().join(one), b"a person's").unwrap();
    }
    // A link with such a name leads to something else.
    symlink(
        "letterlock-0123456789abcdef.part",
        folder.path().join(name(5)),
    )
    .unwrap();
    drop(Part::directory(folder.path(), 6).unwrap());
    assert_eq!(names(folder.path()).len(), all.len() + 1);
}

/// As after a kill between two steps, on a file system that exchanges no names.
#[test]
fn what_was_moved_away_for_nothing_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join(name(1)).join(OLD);
    fs::create_dir_all(old.join("plans/locked")).unwrap();
    fs::write(old.join("plans/locked/file"), b"a person's").unwrap();
    fs::write(old.join("came"), b"older").unwrap();
    fs::write(folder.path().join("came"), b"newer").unwrap();
    sweep(folder.path());
    assert_eq!(names(folder.path()), ["came", "plans"]);
    assert_eq!(fs::read(folder.path().join("came")).unwrap(), b"newer");
    assert_eq!(
        fs::read(folder.path().join("plans/locked/file")).unwrap(),
        b"a person's"
    );
}

/// Ends those who sweep, however their test ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whoever begins one while others sweep without end gets one all the same.
#[test]
fn a_part_that_is_swept_as_it_begins_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    sweep(folder.path());
                }
            });
        }
        let _stop = Stop(&stop);
        for nonce in 0..300 {
            let file = Part::file(folder.path(), nonce).unwrap();
            let directory = Part::directory(folder.path(), (nonce + 1) << 32).unwrap();
            fs::write(directory.path().join("in it"), b"whole").unwrap();
            assert!(file.path().exists() && directory.path().exists());
            let whole = folder.path().join("whole");
            directory.keep(&whole, false).unwrap();
            file.keep(&whole.join("too"), false).unwrap();
            assert_eq!(names(&whole), ["in it", "too"]);
            fs::remove_dir_all(&whole).unwrap();
        }
    });
    assert!(names(folder.path()).is_empty());
}
