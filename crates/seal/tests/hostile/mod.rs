//! What somebody hands over as a sealed file, an identity or a recipient: noise, and real files with bytes changed.

use keys::hpke::EnvelopeSecret;
use keys::{SecretBytes, Suite};
use letterlock_seal::Sink;
use letterlock_seal::age::{self, AgeFile, Identities, Identity, armor};
use letterlock_seal::lock::{self, LockFile, Manifest};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use std::io;
use std::sync::Mutex;

/// A real file of each format, short enough to be edited anywhere, and who can open it.
pub(crate) struct Stage {
    key: EnvelopeSecret,
    identity: Identity,
    lock: Vec<u8>,
    age: Vec<u8>,
    armored: Vec<u8>,
}

/// Noise is taken as one of these.
pub(crate) const FORMS: usize = 5;

#[derive(Default)]
struct Memory(Mutex<Vec<u8>>);

impl Sink for Memory {
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.0.lock().expect("not poisoned");
        let start = usize::try_from(offset).expect("short");
        let end = start + bytes.len();
        if all.len() < end {
            all.resize(end, 0);
        }
        all[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn give_up(&self) {}
}

fn nothing(_: u64) {}

impl Stage {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = EnvelopeSecret::generate(Suite::Hybrid, &mut rng).expect("a key");
        let own = EnvelopeSecret::generate(Suite::Hybrid, &mut rng).expect("a key");
        let identity = Identity::Hybrid(own);
        let content = b"a few lines\n".repeat(3);
        let out = Memory::default();
        let passphrase = lock::Recipient::Passphrase(SecretBytes::new(b"not tried".to_vec()));
        let recipients = [lock::Recipient::Key(key.public().clone()), passphrase];
        lock::Sealer {
            recipients: &recipients,
            author: None,
        }
        .seal_stream(b"lines.txt", &content[..], &out, &nothing, &mut rng)
        .expect("sealed");
        let lock = out.0.into_inner().expect("not poisoned");
        let out = Memory::default();
        age::Sealer {
            recipients: &[identity.recipient()],
        }
        .seal_stream(&content[..], &out, &nothing, &mut rng)
        .expect("sealed");
        let age = out.0.into_inner().expect("not poisoned");
        let mut writer = armor::ArmorWriter::new(Vec::new());
        io::Write::write_all(&mut writer, &age).expect("in memory");
        let armored = writer.finish().expect("in memory");
        Self {
            key,
            identity,
            lock,
            age,
            armored,
        }
    }

    /// Opens a `.lock` file; all of its bytes then were as they were sealed.
    fn opens_lock(&self, bytes: &[u8]) -> bool {
        let Ok(header) = lock::UnverifiedHeader::read(&mut &bytes[..]) else {
            return false;
        };
        assert!(bytes.starts_with(header.bytes()));
        let Ok(Some(key)) = header.unwrap_key(lock::Opener::Key(&self.key)) else {
            return false;
        };
        let Ok(header) = header.verify(&key) else {
            return false;
        };
        let file = LockFile::open(bytes.to_vec(), &header);
        file.is_ok_and(|file| file.verify(&nothing).is_ok())
    }

    fn opens_age(&self, bytes: &[u8]) -> bool {
        let Ok(header) = age::UnverifiedHeader::read(&mut &bytes[..]) else {
            return false;
        };
        assert!(bytes.starts_with(header.bytes()));
        let Ok(Some(key)) = header.unwrap_key(age::Opener::Identity(&self.identity)) else {
            return false;
        };
        let Ok(header) = header.verify(&key) else {
            return false;
        };
        let file = AgeFile::open(bytes.to_vec(), &header);
        file.is_ok_and(|file| file.verify(&nothing).is_ok())
    }

    /// Takes noise: nothing breaks, and what is read says the same when it is written.
    pub(crate) fn take(&self, form: usize, bytes: &[u8]) {
        match form {
            0 => assert!(!self.opens_lock(bytes) || bytes == self.lock),
            1 => assert!(!self.opens_age(bytes) || bytes == self.age),
            2 => {
                let mut out = Vec::new();
                let _ = armor::decode(&mut &bytes[..], &mut out);
            }
            3 => {
                if let Ok(manifest) = Manifest::decode(bytes) {
                    assert_eq!(manifest.encode().expect("read before"), bytes);
                }
            }
            _ => {
                let text = String::from_utf8_lossy(bytes);
                if let Ok(found) = Identities::of_text(&text) {
                    for identity in found.iter() {
                        let _ = identity.recipient();
                    }
                }
                let _ = text.parse::<age::Recipient>();
            }
        }
    }

    /// Takes a real file with bytes changed, cut or added: it opens only as it was.
    pub(crate) fn take_edited(&self, which: u8, edits: &[u8]) {
        match which % 3 {
            0 => {
                let bytes = edited(&self.lock, edits);
                assert_eq!(self.opens_lock(&bytes), bytes == self.lock);
            }
            1 => {
                let bytes = edited(&self.age, edits);
                assert_eq!(self.opens_age(&bytes), bytes == self.age);
            }
            _ => {
                let bytes = edited(&self.armored, edits);
                let mut out = Vec::new();
                let read = armor::decode(&mut &bytes[..], &mut out).is_ok();
                // Blanks around it and other line ends are allowed.
                assert!(bytes != self.armored || (read && out == self.age));
                assert!(!read || !self.opens_age(&out) || out == self.age);
            }
        }
    }
}

/// Each three bytes are a place and what is done there.
fn edited(real: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = real.to_vec();
    for edit in edits.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([edit[0], edit[1]]));
        match bytes.get_mut(place) {
            Some(byte) => *byte ^= edit[2],
            None if place & 1 == 0 => bytes.truncate(place % real.len()),
            None => bytes.push(edit[2]),
        }
    }
    bytes
}
