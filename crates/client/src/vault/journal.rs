//! Packs that were begun, written down before the relay has a byte of them: what no version came of is deleted there.
//!
//! ```text
//!   pack GENERATION ID      before it is stored
//!   root COUNTER HASH       before it is published
//! ```
//!
//! A file a change, locked as long as its process lives. The next change looks at those that nobody holds: if a version
//! that it names is in the history, all is well; if the history went another way, or none was named, its packs go.

use crate::os;
use data_encoding::HEXLOWER;
use keys::BlobId;
use keys::vault_root::RootHash;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Most bytes of a journal: more packs than a terabyte has.
const LONGEST: u64 = 8 << 20;
const ENDING: &str = "packs";

/// A change under way.
pub(super) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

/// What a change had begun that did not come to its end.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Begun {
    pub(super) packs: Vec<(BlobId, u32)>,
    /// Versions that may have been published: counter and hash.
    pub(super) roots: Vec<(u64, RootHash)>,
}

fn pack_line(pack: &BlobId, generation: u32) -> String {
    format!("pack {generation} {pack}\n")
}

fn root_line(counter: u64, hash: &RootHash) -> String {
    format!("root {counter} {}\n", HEXLOWER.encode(&hash.0))
}

impl Begun {
    /// Whether all of it is written and read again as the same.
    #[cfg(any(test, feature = "conformance"))]
    pub(super) fn is_written_again(&self) -> bool {
        let packs = self.packs.iter().map(|(pack, at)| pack_line(pack, *at));
        let roots = self.roots.iter().map(|(at, hash)| root_line(*at, hash));
        let lines: String = packs.chain(roots).collect();
        Self::of(lines.as_bytes()) == *self
    }

    /// Reads what lines say. One that was cut names what was not begun. One that was changed names nothing, or what no
    /// version has: what goes is looked for in all versions first.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let whole = text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'));
        let mut begun = Self::default();
        for line in whole {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("pack"), Some(generation), Some(pack)) => {
                    if let (Ok(generation), Some(pack)) =
                        (generation.parse(), BlobId::from_text(pack))
                    {
                        begun.packs.push((pack, generation));
                    }
                }
                (Some("root"), Some(counter), Some(hash)) => {
                    let hash = HEXLOWER.decode(hash.as_bytes()).ok();
                    let hash = hash.and_then(|hash| hash.try_into().ok());
                    if let (Ok(counter), Some(hash)) = (counter.parse(), hash) {
                        begun.roots.push((counter, RootHash(hash)));
                    }
                }
                _ => {}
            }
        }
        begun
    }
}

impl Journal {
    /// Begins one, in a directory that is made if need be. The vault is not named: whoever finds the disk shall not see
    /// which it is.
    pub(super) fn create(directory: &Path, vault: &str) -> io::Result<Self> {
        os::create_home(directory)?;
        loop {
            let nonce = HEXLOWER.encode(&os::random::<8>());
            let path = directory.join(format!("{vault}.{nonce}.{ENDING}"));
            // Who looks for what is left over may hold it in this moment: it removes it then.
            if let Some(file) = os::try_lock(&path)? {
                let file = Mutex::new(file);
                return Ok(Self { path, file });
            }
        }
    }

    fn line(&self, line: &str) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::End(0))?;
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }

    /// A pack is about to be stored.
    pub(super) fn begin(&self, pack: &BlobId, generation: u32) -> io::Result<()> {
        self.line(&pack_line(pack, generation))
    }

    /// A version is about to be published.
    pub(super) fn publish(&self, counter: u64, hash: &RootHash) -> io::Result<()> {
        self.line(&root_line(counter, hash))
    }

    /// The change came to its end, or nothing of it is left.
    pub(super) fn finish(&self) {
        os::remove(&self.path);
    }

    /// What is written in it.
    pub(super) fn begun(&self) -> io::Result<Begun> {
        let bytes = os::read(&self.path, LONGEST)?.unwrap_or_default();
        Ok(Begun::of(&bytes))
    }

    /// Journals of a vault that no process holds any more.
    pub(super) fn left_over(directory: &Path, vault: &str) -> Vec<Self> {
        let of_vault = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.starts_with(vault) && name.ends_with(ENDING))
        };
        let paths = os::paths_in(directory).into_iter().filter(of_vault);
        let locked = paths.filter_map(|path| {
            let file = os::try_lock(&path).ok().flatten()?;
            Some(Self {
                path,
                file: Mutex::new(file),
            })
        });
        locked.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    #[test]
    fn a_journal_is_found_when_nobody_holds_it() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("vaults");
        let (pack, other) = (BlobId::from_bytes([1; 16]), BlobId::from_bytes([2; 16]));
        let hash = RootHash([7; 48]);
        let journal = Journal::create(&directory, "aa").unwrap();
        journal.begin(&pack, 1).unwrap();
        journal.publish(9, &hash).unwrap();
        journal.begin(&other, 2).unwrap();
        assert!(Journal::left_over(&directory, "aa").is_empty());
        drop(journal);
        assert!(Journal::left_over(&directory, "ab").is_empty());
        let left = Journal::left_over(&directory, "aa");
        let expected = Begun {
            packs: vec![(pack, 1), (other, 2)],
            roots: vec![(9, hash)],
        };
        assert_eq!(left.first().unwrap().begun().unwrap(), expected);
        // A line that was cut names nothing.
        left.first().unwrap().line("pack 3 aaaaa").unwrap();
        assert_eq!(left.first().unwrap().begun().unwrap(), expected);
        left.first().unwrap().finish();
        drop(left);
        assert!(Journal::left_over(&directory, "aa").is_empty());
    }
}
