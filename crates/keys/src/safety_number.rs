//! Safety numbers: 60 digits that two people compare (docs/spec/account-log.md, section 6).

use crate::AccountId;
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
    let half = |log: &VerifiedLog| half(log.account_id(), log.root_key().as_bytes());
    whole(half(ours), half(theirs))
}

fn whole(ours: String, theirs: String) -> String {
    let mut halves = [ours, theirs];
    halves.sort();
    halves.join(" ")
}

fn half(account: &AccountId, root: &[u8]) -> String {
    let label = label::SAFETY_NUMBER.as_bytes();
    let mut hash = sha512(&[label, &[0], account.as_bytes(), root]);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "test code")]
    use super::*;

    const ROOT_LEN: usize = 1984;

    fn half_of(account: u8, root: u8) -> String {
        half(&AccountId::from_bytes([account; 32]), &[root; ROOT_LEN])
    }

    /// Computed from docs/spec/account-log.md, section 6, by another program.
    #[test]
    fn the_sixty_digits_never_change() {
        assert_eq!(half_of(1, 2), "29957 60015 28116 96780 72121 26449");
        assert_eq!(half_of(3, 4), "56048 25023 94222 90787 55458 66514");
        assert_eq!(
            whole(half_of(1, 2), half_of(3, 4)),
            "29957 60015 28116 96780 72121 26449 56048 25023 94222 90787 55458 66514"
        );
    }

    #[test]
    fn both_sides_read_the_same() {
        assert_eq!(
            whole(half_of(1, 2), half_of(3, 4)),
            whole(half_of(3, 4), half_of(1, 2))
        );
    }

    #[test]
    fn any_bit_of_account_id_or_root_key_changes_it() {
        let unchanged = half_of(1, 2);
        for bit in (0..256).step_by(37) {
            let mut account = [1; 32];
            account[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(
                half(&AccountId::from_bytes(account), &[2; ROOT_LEN]),
                unchanged
            );
        }
        for bit in (0..ROOT_LEN * 8).step_by(2017) {
            let mut root = [2; ROOT_LEN];
            root[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(half(&AccountId::from_bytes([1; 32]), &root), unchanged);
        }
    }
}
