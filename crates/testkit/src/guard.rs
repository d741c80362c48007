//! The log guard: what must never be read off a network, a disk or a log, and a search for it.

#![expect(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a secret in the open ends the test; the folders of a story are read here"
)]

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER};
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The shortest text that is looked for.
const HEAD: usize = 6;
/// So many bytes of a key are a leak.
const WINDOW: usize = 16;
/// Fewer different bytes are padding, not a key.
const DIFFERENT: usize = 8;

/// Texts and keys of a story.
#[derive(Default)]
pub struct Secrets {
    /// By its first bytes: what it is, and a form in which it may be found.
    words: HashMap<[u8; HEAD], Vec<(String, Vec<u8>)>>,
    windows: HashSet<[u8; WINDOW]>,
    begins: Begins,
}

/// Which three bytes something begins with: most places need no closer look.
struct Begins(Vec<bool>);

impl Default for Begins {
    fn default() -> Self {
        Self(vec![false; 1 << 24])
    }
}

impl Begins {
    fn place(bytes: &[u8]) -> usize {
        let first = bytes.iter().take(3);
        first.fold(0, |place, byte| place << 8 | usize::from(*byte))
    }

    fn note(&mut self, bytes: &[u8]) {
        if let Some(place) = self.0.get_mut(Self::place(bytes)) {
            *place = true;
        }
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.0.get(Self::place(bytes)).is_some_and(|noted| *noted)
    }
}

impl Secrets {
    /// Adds a text, name or passphrase of at least six bytes.
    pub fn word(&mut self, what: &str, word: &str) {
        let bytes = word.as_bytes();
        let forms = [
            bytes.to_vec(),
            HEXLOWER.encode(bytes).into_bytes(),
            BASE64
                .encode(bytes)
                .trim_end_matches('=')
                .as_bytes()
                .to_vec(),
            BASE64URL_NOPAD.encode(bytes).into_bytes(),
            BASE32_NOPAD.encode(bytes).into_bytes(),
        ];
        for form in forms {
            let head = form.first_chunk().copied();
            let head = head.unwrap_or_else(|| panic!("{what} is too short to be looked for"));
            self.begins.note(&head);
            let words = self.words.entry(head).or_default();
            words.push((what.to_owned(), form));
        }
    }

    /// Adds bytes of which no stretch may be found.
    pub fn key(&mut self, bytes: &[u8]) {
        for window in windows(bytes) {
            self.begins.note(&window);
            self.windows.insert(window);
        }
    }

    /// Takes out what everybody may know, such as the public halves that a key's record holds.
    pub fn public(&mut self, bytes: &[u8]) {
        for window in windows(bytes) {
            self.windows.remove(&window);
        }
    }

    /// Says what is found in some bytes: texts in the usual encodings, stretches of keys raw, in hexadecimal, and as
    /// Rust prints bytes.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        for (at, head) in bytes.windows(HEAD).enumerate() {
            if !self.begins.has(head) {
                continue;
            }
            let words = <[u8; HEAD]>::try_from(head)
                .ok()
                .and_then(|head| self.words.get(&head));
            let rest = bytes.get(at..).unwrap_or_default();
            let mut words = words.into_iter().flatten();
            if let Some((what, _)) = words.find(|(_, form)| rest.starts_with(form)) {
                return Some(what);
            }
        }
        let known = |window: &[u8]| self.begins.has(window) && self.windows.contains(window);
        let leaks = |bytes: &[u8]| bytes.windows(WINDOW).any(known);
        let printed = from_hex(bytes).into_iter().chain([from_decimal(bytes)]);
        if leaks(bytes) || printed.into_iter().any(|bytes| leaks(&bytes)) {
            return Some("a key");
        }
        None
    }

    /// Ends the test if something is found.
    pub fn assert_absent(&self, place: &str, bytes: &[u8]) {
        if let Some(what) = self.found_in(bytes) {
            panic!("{place} shows {what}");
        }
    }

    /// Looks through every file of a folder; the names of files count too.
    pub fn assert_absent_in_folder(&self, folder: &Path) {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{error}"));
        for entry in entries.flatten() {
            let path = entry.path();
            let shown = path.display().to_string();
            self.assert_absent(&shown, entry.file_name().as_encoded_bytes());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.assert_absent_in_folder(&path),
                Ok(kind) if kind.is_file() => {
                    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{error}"));
                    self.assert_absent(&shown, &bytes);
                }
                _ => {} // A socket or a link holds nothing.
            }
        }
    }
}

/// The stretches of bytes that could be of a key.
fn windows(bytes: &[u8]) -> impl Iterator<Item = [u8; WINDOW]> + '_ {
    bytes.windows(WINDOW).filter_map(|window| {
        let window: [u8; WINDOW] = window.try_into().ok()?;
        let mut sorted = window;
        sorted.sort_unstable();
        let different = sorted.chunk_by(|one, other| one == other).count();
        (different >= DIFFERENT).then_some(window)
    })
}

/// What stands in hexadecimal, from either digit on.
fn from_hex(bytes: &[u8]) -> Vec<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let runs = bytes.split(|byte| digit(byte).is_none());
    let long = runs.filter(|run| run.len() >= WINDOW.saturating_mul(2));
    let decode = |run: &[u8]| -> Vec<u8> {
        let pairs = run.chunks_exact(2);
        let value = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        pairs.filter_map(value).collect()
    };
    long.flat_map(|run| [decode(run), decode(run.get(1..).unwrap_or_default())])
        .collect()
}

/// What stands as `[1, 2, 3]`.
fn from_decimal(bytes: &[u8]) -> Vec<u8> {
    let numbers =
        bytes.split(|byte| matches!(byte, b',' | b' ' | b'[' | b']' | b'(' | b')' | b'\n'));
    let numbers = numbers.filter(|number| !number.is_empty());
    numbers
        .filter_map(|number| std::str::from_utf8(number).ok()?.parse().ok())
        .collect()
}

/// Everything that `tracing` is given in this process, at every level, from the first call on.
#[derive(Clone, Default)]
pub struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    /// Begins to listen.
    ///
    /// All tests of a process share one record: each looks for its own secrets in it.
    #[must_use]
    pub fn listen() -> Self {
        static LOGGED: OnceLock<Logged> = OnceLock::new();
        let logged = LOGGED.get_or_init(|| {
            let logged = Self::default();
            let writer = logged.clone();
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .finish();
            let set = tracing::subscriber::set_global_default(subscriber);
            assert!(set.is_ok(), "somebody else listens to this process");
            logged
        });
        logged.clone()
    }

    /// What was logged.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logged.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.word("a text", "Come at six.");
        secrets.key(&key());
        secrets
    }

    fn key() -> [u8; 32] {
        keys::sha256(&[b"key"])
    }

    #[test]
    fn a_text_is_found_in_every_form() {
        let text = b"Come at six.";
        let forms = [
            b"..Come at six...".to_vec(),
            HEXLOWER.encode(text).into_bytes(),
            BASE64.encode(text).into_bytes(),
            BASE64URL_NOPAD.encode(text).into_bytes(),
            BASE32_NOPAD.encode(text).into_bytes(),
        ];
        for form in forms {
            assert_eq!(secrets().found_in(&form), Some("a text"));
        }
        assert_eq!(secrets().found_in(b"Come at seven."), None);
    }

    #[test]
    fn half_a_key_is_found_in_every_form() {
        let half = &key()[7..23];
        let forms = [
            [b"..", half, b".."].concat(),
            format!("key={}", HEXLOWER.encode(half)).into_bytes(),
            format!("key=a{}", HEXLOWER.encode(half)).into_bytes(),
            format!("Key({half:?})").into_bytes(),
        ];
        for form in forms {
            assert_eq!(secrets().found_in(&form), Some("a key"));
        }
        assert_eq!(secrets().found_in(&half[1..]), None);
        let mut public = secrets();
        public.public(&key());
        assert_eq!(public.found_in(&key()), None);
    }

    #[test]
    fn what_is_traced_is_heard() {
        let logged = Logged::listen();
        tracing::trace!(text = "Come at six.");
        assert_eq!(secrets().found_in(&logged.bytes()), Some("a text"));
    }
}
