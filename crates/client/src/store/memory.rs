//! Keys that were rotated are gone from the memory of the process: what signs at once, what opens letters that are under
//! way when those have come.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code"
)]

use super::*;
use engine::{
    CommandId, CommandOutcome, Committed, Engine, Event, Input, Outgoing, Registration,
    Snapshot as _, Table,
};
use keys::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use zeroize::Zeroize as _;

const MASK: u8 = 0xa5;
/// Bytes read at once.
const PIECE: usize = 1 << 20;
const PAGE: usize = 4096;
const EMPTY: [u8; PAGE] = [0; PAGE];

/// 32 bytes to look for, as they are not: this must not be what is found.
struct Masked([u8; 32]);

impl Masked {
    fn of(secret: &[u8]) -> Self {
        let mut masked = [0; 32];
        for (masked, byte) in masked.iter_mut().zip(secret) {
            *masked = byte ^ MASK;
        }
        Self(masked)
    }

    fn count(&self, bytes: &[u8]) -> usize {
        let first = self.0[0] ^ MASK;
        let is_it = |at: usize| {
            let Some(window) = bytes.get(at..at + 32) else {
                return false;
            };
            let mut pairs = window.iter().zip(&self.0);
            pairs.all(|(byte, masked)| byte ^ MASK == *masked)
        };
        let pages = bytes.chunks(PAGE).enumerate();
        // Most pages are empty. No secret begins with zeros.
        let used = pages.filter(|(_, page)| **page != EMPTY[..page.len()]);
        let starts = used.flat_map(|(number, page)| {
            let bytes = page.iter().enumerate();
            bytes
                .filter(|(_, byte)| **byte == first)
                .map(move |(at, _)| number * PAGE + at)
        });
        starts.filter(|at| is_it(*at)).count()
    }
}

/// Where in the memory of this process the bytes stand, by the name of the mapping; nothing where the system does
/// not let it look.
fn found(secrets: &[Masked]) -> Option<Vec<String>> {
    let memory = File::open("/proc/self/mem").ok()?;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut buffer = vec![0; PIECE + 31];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let range = fields.next()?;
        if !fields.next()?.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-')?;
        let mut at = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let name = fields.nth(3).unwrap_or("anonymous");
        while at < end {
            // What is read here lies in memory too.
            let stop = if at < own.start {
                end.min(own.start)
            } else {
                end
            };
            if own.contains(&at) {
                at = own.end;
                continue;
            }
            let length = usize::try_from(stop - at).unwrap().min(buffer.len());
            let Ok(read @ 1..) = memory.read_at(&mut buffer[..length], at) else {
                break;
            };
            for (number, secret) in secrets.iter().enumerate() {
                for _ in 0..secret.count(&buffer[..read]) {
                    all.push(format!("secret {number} in {name}"));
                }
            }
            buffer.as_mut_slice().zeroize();
            at += if at + read as u64 == stop {
                read
            } else {
                PIECE.min(read)
            } as u64;
        }
    }
    Some(all)
}

struct Home {
    store: ProfileStore,
    rng: ChaCha20Rng,
    now: Timestamp,
}

impl Home {
    fn feed(&mut self, input: Input) -> Committed {
        let step = Engine
            .handle(&self.store, input, self.now, &mut self.rng)
            .unwrap();
        let committed = step.commit(&mut self.store).unwrap();
        crate::os::wipe_stack();
        committed
    }

    /// Feeds an input; its relay takes what it is asked to take, of one kind.
    fn accepted(&mut self, input: Input, is_it: impl Fn(&wire::Request) -> bool) -> Committed {
        let committed = self.feed(input);
        let mut asked = committed
            .outgoing
            .into_iter()
            .filter_map(|outgoing| match outgoing {
                Outgoing::Request { id, request, .. } if is_it(&request) => Some(id),
                _ => None,
            });
        let id = asked.next().expect("the relay is asked");
        let reply = Box::new(wire::Reply::Done);
        self.feed(Input::Reply { id, reply })
    }

    /// Where the secrets stand while the account is loaded. What it leaves on the stack is below whoever asks.
    #[inline(never)]
    fn found_while_loaded(&self, secrets: &[Masked]) -> Option<Vec<String>> {
        let loaded = Engine.account(&self.store).unwrap();
        let all = found(secrets);
        drop(loaded);
        all
    }

    /// The secrets of this device, masked: identity, both seeds of the signing key, envelope.
    #[inline(never)]
    fn secrets(&self) -> Vec<Masked> {
        let own = Engine.account(&self.store).unwrap().unwrap();
        let record = self.store.get(Table::Meta, b"account").unwrap().unwrap();
        let id = own.device.as_bytes();
        let mut windows = record.windows(16).enumerate();
        let place = windows.rfind(|(_, window)| window == id).unwrap().0 + 16;
        let secrets = &record[place..place + 128];
        secrets.chunks_exact(32).map(Masked::of).collect()
    }
}

fn is_done(committed: &Committed) -> bool {
    let done = |event: &Event| {
        matches!(
            event,
            Event::Command {
                outcome: CommandOutcome::Done | CommandOutcome::AccountCreated,
                ..
            }
        )
    };
    committed.events.iter().any(done)
}

#[test]
fn rotated_keys_are_in_no_memory_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let store = ProfileStore::create(folder.path(), &Passphrase::new(b"words".to_vec())).unwrap();
    let rng = ChaCha20Rng::seed_from_u64(7);
    let now = Timestamp::from_secs(1_700_000_000);
    let mut home = Home { store, rng, now };
    let registration = Registration {
        name: "ada".to_owned(),
        device_name: "desk".to_owned(),
        relay: "http://127.0.0.1:1".to_owned(),
        code: None,
        suite: keys::Suite::Hybrid,
    };
    let command = CommandId(1);
    let create = Input::CreateAccount {
        command,
        registration,
    };
    let created = home.accepted(create, |asked| matches!(asked, wire::Request::Register(_)));
    assert!(is_done(&created));
    let old = home.secrets();
    let Some(before) = home.found_while_loaded(&old) else {
        println!("SKIPPED: this system does not show a process its memory in /proc");
        return;
    };
    assert!(before.iter().any(|place| place.starts_with("secret 0")));
    let rotate = Input::RotateDevice { command };
    let rotated = home.accepted(rotate, |asked| {
        matches!(asked, wire::Request::AppendEntries(_))
    });
    assert!(is_done(&rotated));
    crate::os::wipe_stack();
    let [identity, signing, more_signing, envelope] = old.try_into().ok().unwrap();
    let signing = found(&[signing, more_signing]).unwrap();
    assert!(signing.is_empty(), "{signing:?}");
    let opening = [identity, envelope];
    home.now = now.saturating_add(engine::limits::REPLACED_KEPT_SECONDS);
    home.feed(Input::Tick);
    home.store.forget_removed();
    crate::os::wipe_stack();
    let after = found(&opening).unwrap();
    assert!(after.is_empty(), "{after:?}");
    let new = home.secrets();
    let there = home.found_while_loaded(&new).unwrap();
    assert!(!there.is_empty(), "the new ones are there");
}
