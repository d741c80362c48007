//! What devices tell each other about a group, one to one: invitations, and how to come back.
//!
//! They travel as letters that are never shown, in the sessions of the two devices (docs/spec/groups.md, section 4).

use super::back::{self, Asked, Told};
use super::history;
use super::inbox;
use super::invitations;
use super::parcels;
use super::pictures;
use super::turn;
use super::word::{ERRAND, Tree, Word};
use crate::account;
use crate::archive::{self, PartRef};
use crate::contacts;
use crate::error::EngineError;
use crate::event::Event;
use crate::letters;
use crate::records::{
    Delivery, DeliveryState, Direction, GroupRecord, GroupStanding, Letter, LetterState, Marks,
    PartPurpose, Way, key,
};
use crate::sending;
use crate::store::Table;
use crate::transaction::Transaction;
use ::groups::{GroupData, GroupError, LeafName, names_of};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, BlobId, DeviceId, GroupId, LetterId, MessageId, Secret, Suite};
use zeroize::Zeroizing;

/// A tree this long goes as a blob.
const TREE_INLINE: usize = 24 * 1024;
/// Words that wait until their tree is at the relay, or here.
const TREE: &[u8] = b"group-tree/";

/// Tells one device something, as a letter that is never shown.
pub(super) fn say(tx: &mut Transaction<'_>, to: &LeafName, word: &[u8]) -> Result<(), EngineError> {
    let own = account::own(tx)?.id == to.account;
    if !own && contacts::load(tx, &to.account)?.is_none() {
        return Ok(());
    }
    let mut errand = Zeroizing::new(Vec::with_capacity(word.len().saturating_add(1)));
    errand.push(ERRAND);
    errand.extend_from_slice(word);
    let letter = Letter {
        id: LetterId::random(tx.rng),
        contact: to.account,
        order: tx.number("letters")?,
        direction: Direction::Errand,
        state: LetterState::Queued,
        text: String::new(),
        sent_at: tx.now,
        reply_to: None,
        expires_after: None,
        expires_at: None,
        enclosures: Vec::new(),
        deliveries: vec![Delivery {
            device: to.device,
            own,
            message: MessageId::random(tx.rng),
            state: DeliveryState::Waiting,
        }],
        errand,
        author: None,
        marks: Marks::default(),
    };
    letters::store(tx, &letter);
    match sending::dispatch(tx, &letter.id) {
        // What a group does next does not hang on one word.
        Err(error) if !matches!(error, EngineError::Store(_)) => {
            sending::fail(tx, &letter.id, &to.device, error)
        }
        done => done,
    }
}

/// Says words once their tree is where the others find it.
pub(super) fn say_with_tree(
    tx: &mut Transaction<'_>,
    to: &[LeafName],
    tree: &[u8],
    words: impl Fn(usize, Tree) -> Word,
) -> Result<(), EngineError> {
    if tree.len() <= TREE_INLINE {
        for (index, name) in to.iter().enumerate() {
            let word = words(index, Tree::Here(tree.to_vec())).encode();
            say(tx, name, &word)?;
        }
        return Ok(());
    }
    let part = archive::seal(tx, tree, PartPurpose::Group)?;
    let mut out = Writer::new();
    out.u32(u32::try_from(to.len()).unwrap_or(u32::MAX));
    for (index, name) in to.iter().enumerate() {
        let copy = PartRef {
            blob: part.blob,
            read_token: part.read_token.duplicate(),
            key: part.key.duplicate(),
            size: part.size,
        };
        out.array(name.account.as_bytes());
        out.array(name.device.as_bytes());
        out.bytes(&words(index, Tree::Blob(copy)).encode());
    }
    let place = key(&[TREE, part.blob.as_bytes()]);
    tx.put(Table::Meta, place, Zeroizing::new(out.finish()));
    Ok(())
}

/// The relay has a tree: the words that name it go.
pub(crate) fn part_stored(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    if parcels::stored(tx, blob)? || pictures::stored(tx, blob)? || history::stored(tx, blob)? {
        return Ok(());
    }
    let place = key(&[TREE, blob.as_bytes()]);
    let Some(bytes) = tx.get(Table::Meta, &place)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, place);
    for (name, word) in read_waiting(&bytes)? {
        say(tx, &name, &word)?;
    }
    Ok(())
}

/// For whom a word is, and the word.
type Waiting = (LeafName, Zeroizing<Vec<u8>>);

/// Words that wait until their tree is at the relay.
fn read_waiting(bytes: &[u8]) -> Result<Vec<Waiting>, EngineError> {
    let mut input = Reader::new(bytes);
    let mut words = Vec::new();
    let mut read = || {
        for _ in 0..input.u32()? {
            let name = LeafName {
                account: AccountId::from_bytes(input.array()?),
                device: DeviceId::from_bytes(input.array()?),
            };
            words.push((name, Zeroizing::new(input.bytes(1 << 20)?.to_vec())));
        }
        Ok::<_, DecodeError>(())
    };
    read().map_err(|_| EngineError::Internal {
        what: "words about a group",
    })?;
    Ok(words)
}

/// Lets devices that our commit added join.
pub(super) fn invite(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    welcomes: &[(LeafName, Vec<u8>)],
    tree: &[u8],
) -> Result<(), EngineError> {
    let names: Vec<LeafName> = welcomes.iter().map(|(name, _)| *name).collect();
    let welcome = |index: usize| {
        let found = welcomes.get(index);
        found
            .map(|(_, welcome)| welcome.clone())
            .unwrap_or_default()
    };
    say_with_tree(tx, &names, tree, |index, tree| Word::Invitation {
        group: record.id,
        relay: record.relay.clone(),
        welcome: welcome(index),
        tree,
    })
}

/// A device of a contact, or another one of ours, says something about a group.
pub(crate) fn heard(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    word: &[u8],
) -> Result<(), EngineError> {
    let Ok(decoded) = Word::decode(word) else {
        return Ok(()); // Of a later version.
    };
    let contact = contacts::load(tx, from)?;
    let stranger = contact.is_some_and(|contact| contact.request);
    if stranger && !decoded.is_for_strangers() {
        return Ok(());
    }
    match &decoded {
        Word::Invitation {
            tree: Tree::Blob(part),
            ..
        }
        | Word::Info {
            tree: Tree::Blob(part),
            ..
        } => {
            let relay = account::own(tx)?.relay.clone();
            archive::fetch(tx, part, &relay, PartPurpose::Group);
            let kept = Zeroizing::new([from.as_bytes(), word].concat());
            tx.put(Table::Meta, key(&[TREE, part.blob.as_bytes()]), kept);
            Ok(())
        }
        Word::Ask {
            group,
            device,
            lost,
            epoch,
            branch,
            sure,
        } => {
            let asked = Asked {
                lost: *lost,
                epoch: *epoch,
                branch: *branch,
                sure: *sure,
            };
            back::answer(tx, from, (group, device), &asked)
        }
        Word::AskPicture {
            group,
            device,
            hash,
        } => pictures::asked(tx, from, (group, device), hash),
        Word::Picture { group, part } => pictures::told(tx, from, group, part),
        Word::History { group, part } => history::told(tx, from, group, part),
        _ => heard_whole(tx, from, decoded),
    }
}

fn heard_whole(tx: &mut Transaction<'_>, from: &AccountId, word: Word) -> Result<(), EngineError> {
    match word {
        Word::Invitation {
            group,
            relay,
            welcome,
            tree: Tree::Here(tree),
        } => {
            let mut out = Writer::new();
            out.array(from.as_bytes());
            out.bytes(relay.as_bytes());
            out.bytes(&welcome);
            out.bytes(&tree);
            invitations::keep(tx, &group, out.finish())?;
            invitations::join_again(tx, &group)?;
            inbox::release(tx, &group)?;
            turn::advance(tx, &group)
        }
        Word::Info {
            group,
            epoch,
            token,
            envelope,
            sure,
            info,
            tree: Tree::Here(tree),
        } => {
            let told = Told {
                epoch,
                token,
                envelope,
                sure,
            };
            back::come_back(tx, from, &group, told, (&info, &tree))
        }
        _ => Ok(()),
    }
}

/// A tree came: the word that waited for it is heard.
pub(crate) fn part_came(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
    sealed: &[u8],
) -> Result<(), EngineError> {
    if parcels::came(tx, blob, sealed)?
        || pictures::came(tx, blob, sealed)?
        || history::came(tx, blob, sealed)?
    {
        return Ok(());
    }
    let place = key(&[TREE, blob.as_bytes()]);
    let Some(kept) = tx.get(Table::Meta, &place)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, place);
    let Some((from, word)) = kept.split_first_chunk::<{ AccountId::LEN }>() else {
        return Ok(());
    };
    let from = AccountId::from_bytes(*from);
    let Ok(mut word) = Word::decode(word) else {
        return Ok(());
    };
    if let Word::Invitation { tree, .. } | Word::Info { tree, .. } = &mut word
        && let Tree::Blob(part) = tree
    {
        let Ok(opened) = archive::open(part, sealed) else {
            return Ok(());
        };
        *tree = Tree::Here(opened.to_vec());
    }
    heard_whole(tx, &from, word)
}

/// A tree can be neither stored nor fetched now. Whoever cannot follow asks again; who is invited does not know of what it
/// could ask for, and so people are told on either side.
pub(crate) fn part_failed(
    tx: &mut Transaction<'_>,
    blob: &BlobId,
    way: &Way,
) -> Result<(), EngineError> {
    if parcels::failed(tx, blob)? || pictures::failed(tx, blob)? || history::failed(tx, blob)? {
        return Ok(());
    }
    let place = key(&[TREE, blob.as_bytes()]);
    let Some(kept) = tx.get(Table::Meta, &place)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, place);
    let invites = |word: &[u8]| match Word::decode(word) {
        Ok(Word::Invitation { group, .. }) => Some(group),
        _ => None,
    };
    match way {
        Way::Store { .. } => {
            for (LeafName { account, device }, word) in read_waiting(&kept)? {
                if invites(&word).is_some() {
                    let error = EngineError::UploadFailed;
                    tx.event(Event::WordLost {
                        account,
                        device,
                        error,
                    });
                }
            }
        }
        Way::Fetch { .. } => {
            let word = kept.get(AccountId::LEN..).unwrap_or_default();
            if let Some(group) = invites(word) {
                let error = GroupError::NotGenuine {
                    what: "the relay does not have what the invitation needs".to_owned(),
                };
                tx.event(Event::GroupRefused { group, error });
            }
        }
    }
    Ok(())
}

/// The accounts of a tree; nothing where it does not parse.
pub(super) fn accounts_of(tree: &[u8]) -> Option<Vec<AccountId>> {
    let names = names_of(tree).ok()?;
    let mut accounts: Vec<AccountId> = names.iter().map(|name| name.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    Some(accounts)
}

/// A record that [`state::enter`] fills.
pub(super) fn fresh(
    id: &GroupId,
    relay: String,
    suite: Suite,
    now: keys::Timestamp,
) -> GroupRecord {
    GroupRecord {
        id: *id,
        relay,
        suite,
        standing: GroupStanding::In,
        epoch: 0,
        data: GroupData::default(),
        token: Secret::from_fn(|_| {}),
        envelope: Secret::from_fn(|_| {}),
        flight: None,
        echoes: Vec::new(),
        wishes: Vec::new(),
        proposed: false,
        look: None,
        renewed: now,
        behind: None,
        asked: None,
        tokens: Vec::new(),
        set_back: None,
        sure: false,
    }
}
