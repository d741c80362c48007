//! Safety numbers: 60 digits that two people compare, and the code that one scans from the other's screen
//! (docs/spec/account-log.md, section 6; docs/spec/verification.md, section 1).

use crate::AccountId;
use crate::account_log::VerifiedLog;
use crate::codec::{DecodeError, Reader, Writer};
use crate::kdf::sha512;
use crate::label;
use data_encoding::BASE32_NOPAD;
use std::fmt;

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

const CODE_PREFIX: &str = "letterlock-verify-1:";
const CODE_VERSION: u8 = 1;
/// Symbols of base32 behind the prefix: 129 bytes.
const CODE_SYMBOLS: usize = 207;

/// What one device shows as a QR code and the other scans: both accounts and the roots of both.
///
/// *Shape*: `letterlock-verify-1:` and base32 (RFC 4648, upper case, no padding) of `01 ‖ side ‖ side`, the side that
/// shows it first, with `side = account id 32 ‖ root hash 32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationCode {
    ours: Side,
    theirs: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Side {
    account: AccountId,
    root: [u8; 32],
}

/// Why a scanned code does not verify a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// The text is no verification code of this version.
    #[error("not a verification code")]
    NotACode,
    /// It is the code that this device shows.
    #[error("the code of this device, not the contact's")]
    Own,
    /// It shows another account than the contact's.
    #[error("the code of another account than this contact's")]
    OtherContact,
    /// It was made for another account than ours.
    #[error("a code that was made for somebody else")]
    NotForUs,
    /// The contact has another root key than the one known here: somebody lied.
    #[error("the contact's root key is another one here")]
    TheirRoot,
    /// The contact knows another root key of ours than we have: somebody lied.
    #[error("our root key is another one at the contact")]
    OurRoot,
}

impl VerificationCode {
    /// The code that `ours` shows to `theirs`.
    #[must_use]
    pub fn new(ours: &VerifiedLog, theirs: &VerifiedLog) -> Self {
        Self {
            ours: Side::of(ours),
            theirs: Side::of(theirs),
        }
    }

    /// Compares with what was scanned from the other's screen, where the two sides are exchanged.
    ///
    /// # Errors
    /// [`VerificationError`]: a mistake of people first, then what only a lie explains.
    pub fn matches(&self, scanned: &str) -> Result<(), VerificationError> {
        let scanned = Self::from_text(scanned).ok_or(VerificationError::NotACode)?;
        if scanned == *self {
            return Err(VerificationError::Own);
        }
        if scanned.ours.account != self.theirs.account {
            return Err(VerificationError::OtherContact);
        }
        if scanned.theirs.account != self.ours.account {
            return Err(VerificationError::NotForUs);
        }
        // SECURITY: a relay that showed either side a false log is found out here;
        // `a_false_root_on_either_side_is_named` notices.
        if scanned.ours.root != self.theirs.root {
            return Err(VerificationError::TheirRoot);
        }
        if scanned.theirs.root != self.ours.root {
            return Err(VerificationError::OurRoot);
        }
        Ok(())
    }

    /// Whether the root key that a code names for the account of `log` is the one of `log`; nothing where the text is no
    /// code, or one of other accounts.
    #[must_use]
    pub fn names_root_of(text: &str, log: &VerifiedLog) -> Option<bool> {
        let code = Self::from_text(text)?;
        let known = Side::of(log);
        let mut sides = [code.ours, code.theirs].into_iter();
        let named = sides.find(|side| side.account == known.account)?;
        Some(named.root == known.root)
    }

    fn from_text(text: &str) -> Option<Self> {
        let symbols = text.trim().strip_prefix(CODE_PREFIX)?;
        if symbols.len() != CODE_SYMBOLS {
            return None;
        }
        let bytes = BASE32_NOPAD.decode(symbols.as_bytes()).ok()?;
        Self::decode(&bytes).ok()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != CODE_VERSION {
            return Err(DecodeError::Invalid);
        }
        let (ours, theirs) = (Side::read(&mut input)?, Side::read(&mut input)?);
        input.finish()?;
        Ok(Self { ours, theirs })
    }
}

/// The text that the QR code holds.
impl fmt::Display for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Writer::new();
        out.u8(CODE_VERSION);
        self.ours.write(&mut out);
        self.theirs.write(&mut out);
        write!(f, "{CODE_PREFIX}{}", BASE32_NOPAD.encode(&out.finish()))
    }
}

impl Side {
    fn of(log: &VerifiedLog) -> Self {
        Self::new(*log.account_id(), log.root_key().as_bytes())
    }

    /// *Formula*: root hash = first 32 bytes of `SHA-512(label ‖ 00 ‖ root key)`.
    fn new(account: AccountId, root: &[u8]) -> Self {
        let hash = sha512(&[label::VERIFY_ROOT.as_bytes(), &[0], root]);
        let root = *hash.first_chunk().unwrap_or(&[0; 32]);
        Self { account, root }
    }

    fn write(&self, out: &mut Writer) {
        out.array(self.account.as_bytes());
        out.array(&self.root);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            account: AccountId::from_bytes(input.array()?),
            root: input.array()?,
        })
    }
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

    fn side(account: u8, root: u8) -> Side {
        Side::new(AccountId::from_bytes([account; 32]), &[root; ROOT_LEN])
    }

    fn code(ours: Side, theirs: Side) -> VerificationCode {
        VerificationCode { ours, theirs }
    }

    /// Computed from docs/spec/verification.md, section 1, by another program.
    const CODE: &str = "letterlock-verify-1:AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCZZIP3YSPTC\
                        WPXMMF2IVGVK66FODGFCSXJSUKUJMZWUKEFOTF4WHAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGA\
                        YDAMBQGAYDAMBR66PVXUF7GF4MZPZ6NZJCCLM6FSBPT4WYZJSFKMWO7OKZD3BI7NY";

    #[test]
    fn the_code_never_changes() {
        let ours = code(side(1, 2), side(3, 4));
        assert_eq!(ours.to_string(), CODE);
        assert_eq!(VerificationCode::from_text(CODE), Some(ours));
    }

    #[test]
    fn the_code_of_the_other_side_matches() {
        let ours = code(side(1, 2), side(3, 4));
        let theirs = code(side(3, 4), side(1, 2));
        assert_eq!(ours.matches(&theirs.to_string()), Ok(()));
        assert_eq!(theirs.matches(&format!("\n {ours} ")), Ok(()));
    }

    #[test]
    fn a_false_root_on_either_side_is_named() {
        let ours = code(side(1, 2), side(3, 4));
        let matches = |code: VerificationCode| ours.matches(&code.to_string());
        assert_eq!(
            matches(code(side(3, 5), side(1, 2))),
            Err(VerificationError::TheirRoot)
        );
        assert_eq!(
            matches(code(side(3, 4), side(1, 5))),
            Err(VerificationError::OurRoot)
        );
    }

    #[test]
    fn codes_of_and_for_others_are_told_apart() {
        let ours = code(side(1, 2), side(3, 4));
        let matches = |code: VerificationCode| ours.matches(&code.to_string());
        assert_eq!(matches(ours.clone()), Err(VerificationError::Own));
        assert_eq!(
            matches(code(side(5, 4), side(1, 2))),
            Err(VerificationError::OtherContact)
        );
        assert_eq!(
            matches(code(side(3, 4), side(5, 2))),
            Err(VerificationError::NotForUs)
        );
    }

    #[test]
    fn every_cut_and_every_changed_bit_is_refused() {
        let theirs = code(side(3, 4), side(1, 2));
        for length in 0..CODE.len() {
            assert_eq!(
                theirs.matches(&CODE[..length]),
                Err(VerificationError::NotACode)
            );
        }
        for more in ["A", "AAAAAAAA", "="] {
            assert!(theirs.matches(&format!("{CODE}{more}")).is_err());
        }
        for (place, symbol) in CODE.char_indices() {
            let other = if symbol == 'B' { "A" } else { "B" };
            let mut changed = CODE.to_owned();
            changed.replace_range(place..=place, other);
            assert!(theirs.matches(&changed).is_err(), "{place}");
        }
        assert!(theirs.matches(&CODE.to_lowercase()).is_err());
        assert_eq!(theirs.matches(CODE), Ok(()));
    }
}
