#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test code")]

use super::*;

/// A directory of this name is one where large and small letters are one.
pub(crate) const FOLDS: &str = "folds";

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        mode: 0o644,
        modified: (7, 0),
        kind,
    }
}

/// Contents of two files would come to lie in one, the end of the longer one behind the shorter.
#[test]
fn what_is_one_name_for_a_disk_is_written_as_no_mixture() {
    let dir = tempfile::tempdir().unwrap();
    let file = |path| entry(path, EntryKind::File { size: Some(3) });
    let directory = |path| entry(path, EntryKind::Directory);
    let link = |path| {
        let target = b"file".to_vec();
        entry(path, EntryKind::Link { target })
    };
    let same = |made: Result<(), OpenError>, name: &str| match made {
        Err(OpenError::SameName { path }) => assert_eq!(path, Path::new(name)),
        other => panic!("{other:?}"),
    };
    for folds in [false, true] {
        let beside = dir.path().join(if folds { FOLDS } else { "plain" });
        let staging = Staging::create(&beside, 1).unwrap();
        staging.directory(&directory("d")).unwrap();
        staging.begin(&file("d/file")).unwrap();
        staging.write(&file("d/file"), 0, b"one").unwrap();
        if !folds {
            staging.begin(&file("d/File")).unwrap();
            staging.directory(&directory("D")).unwrap();
            assert_eq!(staging.finish(&[link("d/FILE")]).unwrap(), []);
            continue;
        }
        same(staging.begin(&file("d/File")), "d/File");
        same(staging.directory(&directory("D")), "D");
        same(staging.begin(&file("D")), "D");
        same(staging.directory(&directory("D/FILE")), "D/FILE");
        let made = staging.finish(&[link("d/FILE")]);
        same(made.map(drop), "d/FILE");
        let kept = staging
            .into_place(&[b"d".to_vec()], &beside, false)
            .unwrap();
        assert_eq!(fs::read(kept[0].join("file")).unwrap(), b"one");
    }
}
