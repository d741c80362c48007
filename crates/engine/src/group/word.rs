//! The forms of what devices tell each other about a group, one to one (docs/spec/groups.md, section 4).

use crate::archive::PartRef;
use crate::limits;
use ::groups::LeafName;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, DeviceId, GroupId, Secret};
use zeroize::Zeroizing;

/// How a letter that is never shown begins, where it is about a group.
pub(crate) const ERRAND: u8 = 11;

const INVITATION: u8 = 1;
const ASK: u8 = 2;
const INFO: u8 = 3;
const ASK_PICTURE: u8 = 4;
const PICTURE: u8 = 5;
const HISTORY: u8 = 6;

/// A group's ratchet tree, or where it lies.
pub(super) enum Tree {
    Here(Vec<u8>),
    Blob(PartRef),
}

pub(super) enum Word {
    /// A device may join.
    Invitation {
        group: GroupId,
        relay: String,
        welcome: Vec<u8>,
        tree: Tree,
    },
    /// A device cannot follow, or does not know whether it does.
    Ask {
        group: GroupId,
        device: LeafName,
        /// Whether it cannot.
        lost: bool,
        epoch: u64,
        /// [`GroupRecord::branch`].
        branch: [u8; 16],
        /// Whether the relay refused every other branch.
        sure: bool,
    },
    /// The answer.
    Info {
        group: GroupId,
        epoch: u64,
        token: Secret<32>,
        envelope: Secret<32>,
        /// As in `Ask`.
        sure: bool,
        info: Vec<u8>,
        tree: Tree,
    },
    /// A device has not got the picture, and the relay has it no more.
    AskPicture {
        group: GroupId,
        device: LeafName,
        hash: [u8; 32],
    },
    /// Where the picture lies now.
    Picture { group: GroupId, part: PartRef },
    /// Where letters of before lie, for somebody who has joined.
    History { group: GroupId, part: PartRef },
}

impl Tree {
    fn write(&self, out: &mut Writer) {
        match self {
            Self::Here(tree) => {
                out.u8(1);
                out.bytes(tree);
            }
            Self::Blob(part) => {
                out.u8(2);
                part.write(out);
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.u8()? {
            1 => Ok(Self::Here(input.bytes(limits::GROUP_WORD_BYTES)?.to_vec())),
            2 => Ok(Self::Blob(PartRef::read(input)?)),
            _ => Err(DecodeError::Invalid),
        }
    }
}

impl Word {
    /// Whether somebody may say it who has no answer: it begins the conversation of two.
    pub(super) fn is_for_strangers(&self) -> bool {
        match self {
            // SECURITY: its tree has an end; `a_stranger_begins_a_conversation_and_no_more` notices.
            Self::Invitation {
                tree: Tree::Blob(part),
                ..
            } => part.size <= limits::PAIR_TREE_BYTES,
            Self::Invitation { .. } => true,
            _ => false,
        }
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::new();
        match self {
            Self::Invitation {
                group,
                relay,
                welcome,
                tree,
            } => {
                out.u8(INVITATION);
                out.array(group.as_bytes());
                out.bytes(relay.as_bytes());
                out.bytes(welcome);
                tree.write(&mut out);
            }
            Self::Ask {
                group,
                device,
                lost,
                epoch,
                branch,
                sure,
            } => {
                out.u8(ASK);
                out.array(group.as_bytes());
                out.array(device.account.as_bytes());
                out.array(device.device.as_bytes());
                out.u8(u8::from(*lost));
                out.u64(*epoch);
                out.array(branch);
                out.u8(u8::from(*sure));
            }
            Self::Info {
                group,
                epoch,
                token,
                envelope,
                sure,
                info,
                tree,
            } => {
                out.u8(INFO);
                out.array(group.as_bytes());
                out.u64(*epoch);
                out.array(token.expose_secret());
                out.array(envelope.expose_secret());
                out.u8(u8::from(*sure));
                out.bytes(info);
                tree.write(&mut out);
            }
            Self::AskPicture {
                group,
                device,
                hash,
            } => {
                out.u8(ASK_PICTURE);
                out.array(group.as_bytes());
                out.array(device.account.as_bytes());
                out.array(device.device.as_bytes());
                out.array(hash);
            }
            Self::Picture { group, part } | Self::History { group, part } => {
                out.u8(match self {
                    Self::History { .. } => HISTORY,
                    _ => PICTURE,
                });
                out.array(group.as_bytes());
                part.write(&mut out);
            }
        }
        Zeroizing::new(out.finish())
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let kind = input.u8()?;
        let group = GroupId::from_bytes(input.array()?);
        let word = match kind {
            INVITATION => {
                let relay = input.bytes(limits::RELAY_URL_BYTES)?.to_vec();
                Self::Invitation {
                    group,
                    relay: String::from_utf8(relay).map_err(|_| DecodeError::Invalid)?,
                    welcome: input.bytes(limits::GROUP_WORD_BYTES)?.to_vec(),
                    tree: Tree::read(&mut input)?,
                }
            }
            ASK => Self::Ask {
                group,
                device: LeafName {
                    account: AccountId::from_bytes(input.array()?),
                    device: DeviceId::from_bytes(input.array()?),
                },
                lost: input.u8()? == 1,
                epoch: input.u64()?,
                branch: input.array()?,
                sure: input.u8()? == 1,
            },
            INFO => Self::Info {
                group,
                epoch: input.u64()?,
                token: secret(&mut input)?,
                envelope: secret(&mut input)?,
                sure: input.u8()? == 1,
                info: input.bytes(limits::GROUP_WORD_BYTES)?.to_vec(),
                tree: Tree::read(&mut input)?,
            },
            ASK_PICTURE => Self::AskPicture {
                group,
                device: LeafName {
                    account: AccountId::from_bytes(input.array()?),
                    device: DeviceId::from_bytes(input.array()?),
                },
                hash: input.array()?,
            },
            PICTURE => Self::Picture {
                group,
                part: PartRef::read(&mut input)?,
            },
            HISTORY => Self::History {
                group,
                part: PartRef::read(&mut input)?,
            },
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(word)
    }
}

fn secret(input: &mut Reader<'_>) -> Result<Secret<32>, DecodeError> {
    Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)
}

/// What stands behind the first byte of an errand that is such a word.
pub(super) fn of_errand(errand: &[u8]) -> Option<&[u8]> {
    errand.strip_prefix(&[ERRAND])
}

/// Whether a word leads to letters of before.
pub(crate) fn is_history(bytes: &[u8]) -> bool {
    bytes.first() == Some(&HISTORY)
}

/// Whether bytes are a word of this version.
pub(crate) fn is_understood(bytes: &[u8]) -> bool {
    Word::decode(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    #[test]
    fn a_stranger_begins_a_conversation_and_no_more() {
        let invitation = |tree: &[u8]| [&[1][..], &[14; 32], &[0; 8], tree].concat();
        let blob = |size: u64| [&[2][..], &[19; 80], &size.to_be_bytes()].concat();
        let may = |word: &[u8]| Word::decode(word).unwrap().is_for_strangers();
        assert!(may(&invitation(&[1, 0, 0, 0, 0])));
        assert!(may(&invitation(&blob(1 << 20))));
        assert!(!may(&invitation(&blob((1 << 20) + 1))));
        let ask = [&[2][..], &[14; 32], &[15; 32], &[16; 16], &[1; 26]].concat();
        assert!(!may(&ask));
    }
}
