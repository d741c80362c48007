//! The tour: everything shown, nothing left.

use crate::support::{Process, letterlock, process::object};
use tempfile::TempDir;

fn tour(folder: &TempDir, words: &[&str]) -> Process {
    let mut command = letterlock();
    command.arg("tour").args(words).env("TMPDIR", folder.path());
    Process::spawn(&mut command)
}

fn is_empty(folder: &TempDir) -> bool {
    std::fs::read_dir(folder.path()).unwrap().next().is_none()
}

#[test]
fn the_tour_shows_everything_and_leaves_nothing() {
    let folder = TempDir::with_prefix("letterlock-test-").unwrap();
    let ran = tour(&folder, &[]).wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr, "", "the tour is a result");
    for part in [
        "alice$ letterlock",
        "bob$ letterlock",
        "carol$ letterlock",
        "claimed",
        "verified",
        "saved",
    ] {
        assert!(ran.stdout.contains(part), "{part}:\n{}", ran.stdout);
    }
    assert!(is_empty(&folder));
}

#[test]
fn the_tour_speaks_json() {
    let folder = TempDir::with_prefix("letterlock-test-").unwrap();
    let ran = tour(&folder, &["--json"]).wait();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let objects = ran.objects();
    assert!(objects.len() > 10);
    assert!(
        objects.iter().all(|object| object["step"].is_u64()),
        "{}",
        ran.stdout
    );
    assert!(is_empty(&folder));
}

#[test]
fn an_interrupted_tour_leaves_nothing() {
    for lines in [1, 4] {
        let folder = TempDir::with_prefix("letterlock-test-").unwrap();
        let mut running = tour(&folder, &["--json"]);
        for _ in 0..lines {
            object(&running.next_line().unwrap());
        }
        running.interrupt();
        let ran = running.wait();
        assert_eq!(ran.code, Some(130), "{ran:?}");
        assert!(is_empty(&folder), "after {lines} lines");
    }
}
