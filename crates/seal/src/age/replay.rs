//! Replays vectors of the age format (C2SP CCTV): a text of `key: value` lines, an empty line, the file.

use super::{AgeFile, Identity, Opener, UnverifiedHeader, armor};
use crate::lock::HeaderError;
use crate::place::InOrder;
use data_encoding::HEXLOWER;
use keys::{SecretBytes, sha256};
use std::io::BufReader;

const CHUNK: usize = 64 << 10;

/// What became of a file.
#[derive(Debug)]
enum Outcome {
    Success,
    NoMatch,
    ArmorFailure,
    HeaderFailure,
    HmacFailure,
    PayloadFailure,
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::NoMatch => "no match",
            Self::ArmorFailure => "armor failure",
            Self::HeaderFailure => "header failure",
            Self::HmacFailure => "HMAC failure",
            Self::PayloadFailure => "payload failure",
        }
    }
}

#[derive(Default)]
struct Vector<'a> {
    expect: &'a str,
    payload: Option<&'a str>,
    file_key: Option<&'a str>,
    identities: Vec<Identity>,
    passphrases: Vec<SecretBytes>,
    armored: bool,
    file: Vec<u8>,
}

/// Whether bytes begin as a vector does.
#[must_use]
pub fn knows(bytes: &[u8]) -> bool {
    bytes.starts_with(b"expect: ")
}

fn parsed(bytes: &[u8]) -> Option<Vector<'_>> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, rest) = bytes.split_at_checked(end)?;
    let mut vector = Vector::default();
    let mut compressed = false;
    for line in std::str::from_utf8(head).ok()?.lines() {
        let (key, value) = line.split_once(": ")?;
        match key {
            "expect" => vector.expect = value,
            "payload" => vector.payload = Some(value),
            "file key" => vector.file_key = Some(value),
            "identity" => vector.identities.push(Identity::of_text(value)?),
            "passphrase" => vector.passphrases.push(SecretBytes::from(value.as_bytes())),
            "armored" => vector.armored = value == "yes",
            "compressed" => compressed = value == "zlib",
            "comment" => {}
            _ => return None,
        }
    }
    let rest = rest.get(2..)?;
    vector.file = match compressed {
        true => miniz_oxide::inflate::decompress_to_vec_zlib(rest).ok()?,
        false => rest.to_vec(),
    };
    Some(vector)
}

impl Vector<'_> {
    /// What became of the file, its file key if it was found, and what of its contents was shown.
    fn outcome(&self) -> (Outcome, Option<String>, Vec<u8>) {
        let failed = |outcome| (outcome, None, Vec::new());
        let mut file = Vec::new();
        match self.armored {
            true => {
                if armor::decode(&mut self.file.as_slice(), &mut file).is_err() {
                    return failed(Outcome::ArmorFailure);
                }
            }
            false => file.clone_from(&self.file),
        }
        let Ok(header) = UnverifiedHeader::read(&mut BufReader::new(file.as_slice())) else {
            return failed(Outcome::HeaderFailure);
        };
        let identities = self.identities.iter().map(Opener::Identity);
        let openers = identities.chain(self.passphrases.iter().map(Opener::Passphrase));
        let mut key = None;
        for opener in openers {
            match header.unwrap_key(opener) {
                Ok(found) => key = key.or(found),
                Err(HeaderError::Changed) => return failed(Outcome::HmacFailure),
                Err(_) => return failed(Outcome::HeaderFailure),
            }
        }
        let Some(key) = key else {
            return failed(Outcome::NoMatch);
        };
        let told = Some(HEXLOWER.encode(key.secret().expose_secret()));
        let Ok(header) = header.verify(&key) else {
            return failed(Outcome::HmacFailure);
        };
        let Ok(file) = AgeFile::open(file, &header) else {
            return (Outcome::PayloadFailure, told, Vec::new());
        };
        let out = InOrder::new(Vec::new());
        let written = file.write_to(&out, &|_| {});
        let out = out.into_inner();
        match written {
            Ok(()) => (Outcome::Success, told, out),
            Err(_) => (Outcome::PayloadFailure, told, out),
        }
    }
}

/// Replays one vector: how many facts held.
///
/// # Errors
/// What did not, in words.
pub fn file(name: &str, bytes: &[u8]) -> Result<usize, String> {
    let vector = parsed(bytes).ok_or_else(|| format!("{name}: no vector of the age format"))?;
    let (outcome, key, shown) = vector.outcome();
    if outcome.name() != vector.expect {
        let (expect, got) = (vector.expect, outcome.name());
        return Err(format!("{name}: expected {expect}, got {got}"));
    }
    if let (Some(got), Some(expected)) = (&key, vector.file_key)
        && got != expected
    {
        return Err(format!("{name}: another file key"));
    }
    let same = vector.payload == Some(HEXLOWER.encode(&sha256(&[&shown])).as_str());
    // The hash is of what a reader shows that goes from chunk to chunk and takes the last one as it says of itself.
    // Ours knows from the length which one is the last: it may show fewer whole chunks, and never more.
    let allowed = match outcome {
        Outcome::Success => same,
        Outcome::PayloadFailure => same || shown.len().is_multiple_of(CHUNK),
        _ => shown.is_empty(),
    };
    match allowed {
        true => Ok(3),
        false => Err(format!("{name}: other contents were shown")),
    }
}
