//! What became of a letter after it was written: reactions, edits, deletion, and with whom it was shared.

use keys::AccountId;
use keys::codec::{DecodeError, Reader, Writer};

/// What somebody thinks of a letter, in a character or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// Who.
    pub author: AccountId,
    /// Its author's own count for this letter; the highest counts.
    pub number: u64,
    /// What; empty where it was taken back.
    pub emoji: String,
}

/// A letter that was shared with somebody who joined its group later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Who shared it.
    pub by: AccountId,
    /// With whom.
    pub with: AccountId,
    /// The newest letter here when it was.
    pub at: u64,
}

/// What became of a letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The number of the edit that is shown; 0: as written.
    pub edit: u8,
    /// Its author deleted it for everybody.
    pub deleted: bool,
    /// One an author, also where it was taken back.
    pub reactions: Vec<Reaction>,
    /// Who says that the letter is as it is, where it came before this account did.
    pub shared_by: Option<AccountId>,
    /// With whom it was shared.
    pub shares: Vec<Share>,
}

/// More reactions, and more shares, than a group has members.
const MOST: u32 = 10_000;
const NOBODY: AccountId = AccountId::from_bytes([0; 32]);

impl Marks {
    /// Whether nothing became of it.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The reactions that stand.
    pub fn standing(&self) -> impl Iterator<Item = &Reaction> {
        let reactions = self.reactions.iter();
        reactions.filter(|reaction| !reaction.emoji.is_empty())
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.edit);
        out.u8(u8::from(self.deleted));
        out.u32(u32::try_from(self.reactions.len()).unwrap_or(u32::MAX));
        for reaction in &self.reactions {
            out.array(reaction.author.as_bytes());
            out.u64(reaction.number);
            out.bytes(reaction.emoji.as_bytes());
        }
        out.array(self.shared_by.unwrap_or(NOBODY).as_bytes());
        out.u32(u32::try_from(self.shares.len()).unwrap_or(u32::MAX));
        for share in &self.shares {
            out.array(share.by.as_bytes());
            out.array(share.with.as_bytes());
            out.u64(share.at);
        }
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            edit: input.u8()?,
            deleted: input.u8()? == 1,
            reactions: super::list(input, MOST, |input| {
                Ok(Reaction {
                    author: AccountId::from_bytes(input.array()?),
                    number: input.u64()?,
                    emoji: super::text(input, 64)?,
                })
            })?,
            shared_by: somebody(input)?,
            shares: super::list(input, MOST, |input| {
                Ok(Share {
                    by: AccountId::from_bytes(input.array()?),
                    with: AccountId::from_bytes(input.array()?),
                    at: input.u64()?,
                })
            })?,
        })
    }
}

/// An account; zeros stand for none.
pub(super) fn somebody(input: &mut Reader<'_>) -> Result<Option<AccountId>, DecodeError> {
    let account = AccountId::from_bytes(input.array()?);
    Ok(Some(account).filter(|account| *account != NOBODY))
}

/// Writes an account, or zeros.
pub(super) fn write_somebody(out: &mut Writer, account: Option<&AccountId>) {
    out.array(account.unwrap_or(&NOBODY).as_bytes());
}
