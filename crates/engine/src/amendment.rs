//! What is said of a letter after it was written: a reaction, an edit, a deletion (docs/spec/letters.md, section 11).
//!
//! An amendment changes a letter the same way whenever it comes, and however often: each kind has a number of its
//! author, the highest counts, and where two are equal the higher bytes do.

use crate::error::AmendmentError;
use crate::limits;
use crate::records::{Letter, Marks, Reaction};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, LetterId, Timestamp};
use zeroize::Zeroizing;

const REACTION: u8 = 1;
const EDIT: u8 = 2;
const DELETED: u8 = 3;
const SHARED: u8 = 4;

/// What is said of which letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amendment {
    pub(crate) letter: LetterId,
    pub(crate) what: What,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A reaction, or nothing in the place of one.
    Reaction { number: u64, emoji: String },
    /// Another text.
    Edit { number: u8, text: String },
    /// The letter is gone for everybody.
    Deleted,
    /// It, and others, went to somebody who joined the group later.
    Shared {
        with: AccountId,
        others: Vec<LetterId>,
    },
}

/// Who says it, and when by its own clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker {
    pub(crate) account: AccountId,
    pub(crate) sent_at: Timestamp,
}

impl Amendment {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        out.u8(self.what.kind());
        out.array(self.letter.as_bytes());
        match &self.what {
            What::Reaction { number, emoji } => {
                out.u64(*number);
                out.array(emoji.as_bytes());
            }
            What::Edit { number, text } => {
                out.u8(*number);
                out.array(text.as_bytes());
            }
            What::Deleted => {}
            What::Shared { with, others } => {
                out.array(with.as_bytes());
                for other in others {
                    out.array(other.as_bytes());
                }
            }
        }
        Zeroizing::new(out.finish())
    }

    /// Reads what somebody says.
    ///
    /// # Errors
    /// Not of this version, or beyond a limit.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let kind = input.u8()?;
        let letter = LetterId::from_bytes(input.array()?);
        let what = match kind {
            REACTION => What::Reaction {
                number: input.u64()?,
                emoji: rest(&mut input, limits::REACTION_BYTES)?,
            },
            EDIT => What::Edit {
                number: input.u8()?,
                text: rest(&mut input, limits::TEXT_BYTES)?,
            },
            DELETED => What::Deleted,
            SHARED => What::Shared {
                with: AccountId::from_bytes(input.array()?),
                others: ids(&mut input)?,
            },
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        let unreadable = matches!(&what, What::Reaction { emoji, .. } if !emoji.is_empty() && !is_reaction(emoji));
        match unreadable {
            true => Err(DecodeError::Invalid),
            false => Ok(Self { letter, what }),
        }
    }
}

fn ids(input: &mut Reader<'_>) -> Result<Vec<LetterId>, DecodeError> {
    let mut ids = Vec::new();
    while input.remaining() > 0 {
        if ids.len() >= limits::SHARED_LETTERS {
            return Err(DecodeError::Invalid);
        }
        ids.push(LetterId::from_bytes(input.array()?));
    }
    Ok(ids)
}

fn rest(input: &mut Reader<'_>, max: usize) -> Result<String, DecodeError> {
    let got = input.remaining();
    if got > max {
        return Err(DecodeError::TooLong { got, max });
    }
    String::from_utf8(input.take(got)?.to_vec()).map_err(|_| DecodeError::Invalid)
}

/// Whether a text can be a reaction.
pub(crate) fn is_reaction(emoji: &str) -> bool {
    let length = emoji.len();
    (1..=limits::REACTION_BYTES).contains(&length)
        && !emoji.chars().any(char::is_control)
        && !emoji.trim().is_empty()
}

impl What {
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Self::Reaction { .. } => REACTION,
            Self::Edit { .. } => EDIT,
            Self::Deleted => DELETED,
            Self::Shared { .. } => SHARED,
        }
    }

    /// Whether it counts where the other one of the same kind does not.
    pub(crate) fn is_above(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Reaction { number, emoji },
                Self::Reaction {
                    number: before,
                    emoji: text,
                },
            ) => (number, emoji) > (before, text),
            (
                Self::Edit { number, text },
                Self::Edit {
                    number: before,
                    text: old,
                },
            ) => (number, text) > (before, old),
            _ => false,
        }
    }
}

/// Changes a letter as somebody says, and tells whether that changed anything. `author` wrote the letter.
///
/// # Errors
/// Whoever says it may not, or not any more.
pub(crate) fn merge(
    letter: &mut Letter,
    author: &AccountId,
    by: &Speaker,
    what: &What,
) -> Result<bool, AmendmentError> {
    // SECURITY: nobody rewrites or deletes what somebody else wrote; `nobody_amends_the_letter_of_another` notices.
    if matches!(what, What::Edit { .. } | What::Deleted) && by.account != *author {
        return Err(AmendmentError::NotAuthor);
    }
    match what {
        // A notice is about several letters, and none of them changes by it.
        What::Shared { .. } => Ok(false),
        _ if letter.marks.deleted => Ok(false),
        What::Reaction { number, emoji } => react(&mut letter.marks, &by.account, *number, emoji),
        What::Edit { number, text } => {
            if !(1..=limits::EDITS).contains(number) {
                return Err(AmendmentError::TooManyEdits);
            }
            if by.sent_at.since(letter.sent_at) > limits::EDIT_SECONDS {
                return Err(AmendmentError::TooLate);
            }
            if text.is_empty() && letter.enclosures.is_empty() {
                return Err(AmendmentError::Empty);
            }
            let shown = (letter.marks.edit, &letter.text);
            if (*number, text) <= shown {
                return Ok(false);
            }
            letter.marks.edit = *number;
            letter.text.clone_from(text);
            Ok(true)
        }
        What::Deleted => {
            letter.text.clear();
            letter.enclosures.clear();
            letter.reply_to = None;
            letter.marks.edit = 0;
            letter.marks.reactions.clear();
            letter.marks.deleted = true;
            Ok(true)
        }
    }
}

fn react(
    marks: &mut Marks,
    author: &AccountId,
    number: u64,
    emoji: &str,
) -> Result<bool, AmendmentError> {
    let mut reactions = marks.reactions.iter_mut();
    if let Some(known) = reactions.find(|known| known.author == *author) {
        if (number, emoji) <= (known.number, &known.emoji) {
            return Ok(false);
        }
        known.number = number;
        emoji.clone_into(&mut known.emoji);
        return Ok(true);
    }
    if marks.reactions.len() >= limits::REACTIONS {
        return Err(AmendmentError::TooManyReactions);
    }
    marks.reactions.push(Reaction {
        author: *author,
        number,
        emoji: emoji.to_owned(),
    });
    Ok(true)
}

#[cfg(test)]
#[path = "amendment_tests.rs"]
mod tests;
