//! Safety numbers: 60 digits that two people compare (docs/spec/account-log.md, section 6).

use crate::account_log::VerifiedLog;
use crate::kdf::sha512;
use crate::label;

/// Hash rounds; the cost of a search for a similar number grows with them.
const ROUNDS: usize = 5200;

/// The safety number of two accounts: twelve groups of five digits with single spaces, the same for both sides.
///
/// *Formula*: for each side `h = SHA-512(label ‖ 00 ‖ account id ‖ root key)`, then 5200 times
/// `h = SHA-512(h ‖ root key)`; six groups `BE5(h[5i..5i+5]) mod 100000`; the smaller half first.
#[must_use]
pub fn safety_number(ours: &VerifiedLog, theirs: &VerifiedLog) -> String {
    let mut halves = [half(ours), half(theirs)];
    halves.sort();
    halves.join(" ")
}

fn half(log: &VerifiedLog) -> String {
    let root = log.root_key().as_bytes();
    let mut hash = sha512(&[
        label::SAFETY_NUMBER.as_bytes(),
        &[0],
        log.account_id().as_bytes(),
        root,
    ]);
    for _ in 0..ROUNDS {
        hash = sha512(&[&hash, root]);
    }
    let groups: Vec<String> = hash
        .chunks_exact(5)
        .take(6)
        .map(|bytes| {
            let value = bytes
                .iter()
                .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
            format!("{:05}", value % 100_000)
        })
        .collect();
    groups.join(" ")
}
