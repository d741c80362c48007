//! What devices tell each other about a group, one to one: invitations, and how to come back.
//!
//! They travel as letters that are never shown, in the sessions of the two devices (docs/spec/groups.md, section 4).

use super::inbox;
use super::packages;
use super::parcels;
use super::people;
use super::state::{self, Part};
use super::turn;
use crate::account;
use crate::archive::{self, PartRef};
use crate::contacts;
use crate::error::EngineError;
use crate::event::Event;
use crate::letters;
use crate::limits;
use crate::records::{
    Delivery, DeliveryState, Direction, Flight, FlightKind, GroupRecord, GroupStanding, Letter,
    LetterState, PartPurpose, key,
};
use crate::sending;
use crate::store::Table;
use crate::transaction::Transaction;
use ::groups::{Directory, Group, GroupData, LeafName, names_of, packages_of};
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, BlobId, DeviceId, GroupId, LetterId, MessageId, Secret};
use zeroize::Zeroizing;

/// How a letter that is never shown begins, where it is about a group.
pub(crate) const ERRAND: u8 = 11;

const INVITATION: u8 = 1;
const ASK: u8 = 2;
const INFO: u8 = 3;

/// A tree this long goes as a blob.
const TREE_INLINE: usize = 24 * 1024;
/// Words that wait until their tree is at the relay, or here.
const TREE: &[u8] = b"group-tree/";

/// A group's ratchet tree, or where it lies.
enum Tree {
    Here(Vec<u8>),
    Blob(PartRef),
}

enum Word {
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
    fn encode(&self) -> Zeroizing<Vec<u8>> {
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
        }
        Zeroizing::new(out.finish())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
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
            _ => return Err(DecodeError::Invalid),
        };
        input.finish()?;
        Ok(word)
    }
}

fn secret(input: &mut Reader<'_>) -> Result<Secret<32>, DecodeError> {
    Secret::from_slice(input.take(32)?).ok_or(DecodeError::Invalid)
}

/// Whether bytes are a word of this version.
pub(crate) fn is_understood(bytes: &[u8]) -> bool {
    Word::decode(bytes).is_ok()
}

/// Tells one device something, as a letter that is never shown.
fn say(tx: &mut Transaction<'_>, to: &LeafName, word: &[u8]) -> Result<(), EngineError> {
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
    };
    letters::store(tx, &letter);
    sending::dispatch(tx, &letter.id)
}

/// Says words once their tree is where the others find it.
fn say_with_tree(
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
    if parcels::stored(tx, blob)? {
        return Ok(());
    }
    let place = key(&[TREE, blob.as_bytes()]);
    let Some(bytes) = tx.get(Table::Meta, &place)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, place);
    let mut input = Reader::new(&bytes);
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
    for (name, word) in words {
        say(tx, &name, &word)?;
    }
    Ok(())
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
    match &decoded {
        Word::Invitation {
            tree: Tree::Blob(part),
            ..
        }
        | Word::Info {
            tree: Tree::Blob(part),
            ..
        } => {
            let relay = account::own(tx)?.relay;
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
            answer(tx, from, (group, device), &asked)
        }
        _ => heard_whole(tx, decoded),
    }
}

fn heard_whole(tx: &mut Transaction<'_>, word: Word) -> Result<(), EngineError> {
    match word {
        Word::Invitation {
            group,
            relay,
            welcome,
            tree: Tree::Here(tree),
        } => {
            let mut out = Writer::new();
            out.bytes(relay.as_bytes());
            out.bytes(&welcome);
            out.bytes(&tree);
            state::put_part(tx, &group, Part::Invitation, out.finish());
            join_again(tx, &group)?;
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
            come_back(tx, &group, told, (&info, &tree))
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
    if parcels::came(tx, blob, sealed)? {
        return Ok(());
    }
    let place = key(&[TREE, blob.as_bytes()]);
    let Some(kept) = tx.get(Table::Meta, &place)? else {
        return Ok(());
    };
    tx.delete(Table::Meta, place);
    let word = kept.get(AccountId::LEN..).unwrap_or_default();
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
    heard_whole(tx, word)
}

/// A tree can be neither stored nor fetched now: whoever waits for it asks again.
pub(crate) fn part_failed(tx: &mut Transaction<'_>, blob: &BlobId) -> Result<(), EngineError> {
    if !parcels::failed(tx, blob)? {
        tx.delete(Table::Meta, key(&[TREE, blob.as_bytes()]));
    }
    Ok(())
}

/// Joins by an invitation that is here, if the logs of all members are.
pub(super) fn join_again(tx: &mut Transaction<'_>, id: &GroupId) -> Result<(), EngineError> {
    let Some(bytes) = state::take_part(tx, id, Part::Invitation)? else {
        return Ok(());
    };
    let mut input = Reader::new(&bytes);
    let mut read = || {
        let relay = String::from_utf8(input.bytes(limits::RELAY_URL_BYTES)?.to_vec());
        let welcome = input.bytes(limits::GROUP_WORD_BYTES)?;
        let tree = input.bytes(usize::MAX >> 1)?;
        Ok::<_, DecodeError>((relay.map_err(|_| DecodeError::Invalid)?, welcome, tree))
    };
    let Ok((relay, welcome, tree)) = read() else {
        return Ok(());
    };
    let before = state::load(tx, id)?;
    let Some((package_id, package)) = packages::secret_of(tx, &packages_of(welcome))? else {
        return Ok(()); // It was heard before.
    };
    let is_in = |record: &GroupRecord| {
        matches!(record.standing, GroupStanding::In | GroupStanding::Leaving)
    };
    if before.as_ref().is_some_and(is_in) {
        // It came before the commit that removes this device did.
        state::put_part(tx, id, Part::Invitation, bytes.to_vec());
        return Ok(());
    }
    let Some(accounts) = accounts_of(tree) else {
        return Ok(());
    };
    let mut directory = Directory::new();
    if !people::fill(tx, &mut directory, &accounts)? {
        for account in &accounts {
            inbox::wait_for(tx, id, account);
        }
        state::put_part(tx, id, Part::Invitation, bytes.to_vec());
        return Ok(());
    }
    let us = state::us(tx)?;
    let mut group = match Group::join(&us, directory, (welcome, tree), &package, tx.rng) {
        Ok(group) => group,
        Err(::groups::GroupError::LogsNeeded(accounts)) => {
            for account in &accounts {
                people::ask(tx, account)?;
                inbox::wait_for(tx, id, account);
            }
            state::put_part(tx, id, Part::Invitation, bytes.to_vec());
            return Ok(());
        }
        Err(error) => {
            tx.event(Event::GroupRefused { group: *id, error });
            return Ok(());
        }
    };
    // SECURITY: an old invitation into a group that this device has left leads nowhere;
    // `a_replayed_invitation_does_nothing` notices.
    let old = before.is_some_and(|record| group.epoch() <= record.epoch);
    if old || group.id() != Ok(*id) {
        return Ok(());
    }
    packages::used(tx, &package_id)?;
    let mut record = fresh(id, relay, tx.now);
    // Those who came while we were not there are noticed, and devices of ours that are missing.
    record.look = Some(tx.now);
    state::enter(tx, &mut record, &mut group)?;
    state::store(tx, &record);
    tx.event(Event::GroupJoined { group: *id });
    Ok(())
}

/// The accounts of a tree; nothing where it does not parse.
fn accounts_of(tree: &[u8]) -> Option<Vec<AccountId>> {
    let names = names_of(tree).ok()?;
    let mut accounts: Vec<AccountId> = names.iter().map(|name| name.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    Some(accounts)
}

/// A record that [`state::enter`] fills.
pub(super) fn fresh(id: &GroupId, relay: String, now: keys::Timestamp) -> GroupRecord {
    GroupRecord {
        id: *id,
        relay,
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

/// This device cannot follow the group: it asks to be let back in.
pub(super) fn lost(tx: &mut Transaction<'_>, mut record: GroupRecord) -> Result<(), EngineError> {
    give_up_following(tx, &mut record)?;
    ask_back(tx, &mut record)?;
    state::store(tx, &record);
    Ok(())
}

fn give_up_following(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
) -> Result<(), EngineError> {
    if let Some(flight) = record.flight {
        turn::land_again(tx, record, flight)?;
    }
    record.behind = None;
    record.standing = GroupStanding::Lost;
    tx.event(Event::GroupLost { group: record.id });
    Ok(())
}

/// A body of this epoch does not open: it is junk, or this device follows another branch than the sender. The others
/// are asked.
pub(super) fn doubtful(
    tx: &mut Transaction<'_>,
    mut record: GroupRecord,
) -> Result<(), EngineError> {
    let due = record
        .asked
        .is_none_or(|at| at > tx.now || tx.now.since(at) >= limits::GROUP_ASK_AGAIN_SECONDS);
    if due {
        ask_back(tx, &mut record)?;
        state::store(tx, &record);
    }
    Ok(())
}

/// What a device says of itself when it asks.
fn ask_word(tx: &Transaction<'_>, record: &GroupRecord) -> Result<Zeroizing<Vec<u8>>, EngineError> {
    let word = Word::Ask {
        group: record.id,
        device: state::us(tx)?.name,
        lost: record.standing == GroupStanding::Lost || record.behind.is_some(),
        epoch: record.epoch,
        branch: record.branch(),
        sure: record.sure,
    };
    Ok(word.encode())
}

/// Asks devices of members that are known: one of each account, not always the same.
pub(super) fn ask_back(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
) -> Result<(), EngineError> {
    record.asked = Some(tx.now);
    let us = state::us(tx)?.name;
    let members = state::members(tx, &record.id)?;
    let mut known = Vec::new();
    for member in &members {
        let name = LeafName {
            account: member.account,
            device: member.device,
        };
        let own = name.account == us.account;
        let contact = contacts::load(tx, &name.account)?;
        let contact = contact.is_some_and(|contact| !contact.request && !contact.blocked);
        if name != us && (own || contact) {
            let mut order = [0; 8];
            tx.rng.fill_bytes(&mut order);
            known.push((order, name));
        }
    }
    known.sort_unstable();
    known.sort_by_key(|(_, name)| name.account);
    known.dedup_by_key(|(_, name)| name.account);
    known.sort_unstable();
    let word = ask_word(tx, record)?;
    for (_, name) in known.iter().take(limits::GROUP_ASKED) {
        say(tx, name, &word)?;
    }
    Ok(())
}

/// What a device says of itself when it asks.
struct Asked {
    lost: bool,
    epoch: u64,
    branch: [u8; 16],
    sure: bool,
}

/// What a member tells of a group.
struct Told {
    epoch: u64,
    token: Secret<32>,
    envelope: Secret<32>,
    sure: bool,
}

/// A device of a member asks.
fn answer(
    tx: &mut Transaction<'_>,
    from: &AccountId,
    (id, device): (&GroupId, &LeafName),
    asked: &Asked,
) -> Result<(), EngineError> {
    let Some(mut record) =
        state::load(tx, id)?.filter(|record| record.standing == GroupStanding::In)
    else {
        return Ok(());
    };
    let members = state::members(tx, id)?;
    // SECURITY: only a member is told how its group is entered; `a_stranger_is_told_nothing_of_a_group` notices.
    if *from != device.account || !members.iter().any(|member| member.account == *from) {
        return Ok(());
    }
    let ours = record.branch();
    let forked = asked.epoch == record.epoch && asked.branch != ours;
    if forked {
        tx.event(Event::GroupForked { group: *id });
    }
    let here = asked.epoch == record.epoch && !forked;
    let chosen = record.sure || (ours < asked.branch && !asked.sure);
    if asked.lost || asked.epoch < record.epoch || (forked && chosen) {
        return tell_info(tx, &record, device);
    }
    if here {
        return Ok(());
    }
    // The other branch is the one that goes on, or further: its device is asked in return.
    record.asked = Some(tx.now);
    let word = ask_word(tx, &record)?;
    state::store(tx, &record);
    say(tx, device, &word)
}

/// Tells a device how the group is entered.
fn tell_info(
    tx: &mut Transaction<'_>,
    record: &GroupRecord,
    device: &LeafName,
) -> Result<(), EngineError> {
    let group = state::open(tx, &record.id, Directory::new())?;
    let internal = |_| EngineError::Internal {
        what: "state of a group",
    };
    let info = group.info().map_err(internal)?;
    let tree = group.tree().map_err(internal)?;
    say_with_tree(tx, &[*device], &tree, |_, tree| Word::Info {
        group: record.id,
        epoch: record.epoch,
        token: record.token.duplicate(),
        envelope: record.envelope.duplicate(),
        sure: record.sure,
        info: info.clone(),
        tree,
    })
}

/// Whether what a member tells of the group leads this device into another branch, or into the group again.
fn leads_on(
    tx: &mut Transaction<'_>,
    record: &mut GroupRecord,
    told: &Told,
) -> Result<bool, EngineError> {
    let epoch = told.epoch;
    match record.standing {
        GroupStanding::Lost => Ok(record.flight.is_none() && epoch >= record.epoch),
        GroupStanding::In => {
            let mut other = fresh(&record.id, record.relay.clone(), tx.now);
            other.envelope = told.envelope.duplicate();
            // SECURITY: of two branches all choose the same one; `a_fork_is_noticed_by_the_next_letter` notices.
            let (theirs, ours) = (other.branch(), record.branch());
            // Where the relay refuses what is sent in ours, it follows the other one.
            let chosen = !record.sure && (theirs < ours || told.sure);
            let chosen = chosen || record.behind.is_some();
            let forked = epoch == record.epoch && theirs != ours && chosen;
            if forked {
                tx.event(Event::GroupForked { group: record.id });
                if let Some(flight) = record.flight {
                    turn::land_again(tx, record, flight)?;
                }
                record.standing = GroupStanding::Lost;
                return Ok(true);
            }
            match record.behind {
                None if epoch > record.epoch => {
                    record.behind = Some(turn::behind(epoch));
                    state::store(tx, record);
                    Ok(false)
                }
                // What leads there did not come although this answer did.
                Some(behind)
                    if epoch > record.epoch && behind.ticks >= limits::GROUP_BEHIND_TICKS =>
                {
                    give_up_following(tx, record)?;
                    Ok(true)
                }
                _ => Ok(false),
            }
        }
        GroupStanding::Leaving | GroupStanding::Out => Ok(false),
    }
}

/// A member told how the group is entered: a commit from outside, which all others see.
fn come_back(
    tx: &mut Transaction<'_>,
    id: &GroupId,
    told: Told,
    (info, tree): (&[u8], &[u8]),
) -> Result<(), EngineError> {
    let Some(mut record) = state::load(tx, id)? else {
        return Ok(());
    };
    if !leads_on(tx, &mut record, &told)? {
        return Ok(());
    }
    let Told {
        epoch,
        token,
        envelope,
        ..
    } = told;
    state::store(tx, &record);
    let Some(accounts) = accounts_of(tree) else {
        return Ok(());
    };
    let mut directory = Directory::new();
    // What is missing is asked for; the next answer finds it here.
    if !people::fill(tx, &mut directory, &accounts)? {
        return Ok(());
    }
    let us = state::us(tx)?;
    let (mut next, message) = match Group::rejoin(&us, directory, (info, tree), tx.now, tx.rng) {
        Ok(joined) => joined,
        Err(error) => {
            tx.event(Event::GroupRefused { group: *id, error });
            return Ok(());
        }
    };
    state::keep_next(tx, id, &mut next)?;
    // The others are in the epoch before; this device is not, but knows what it needs to reach them.
    record.epoch = epoch;
    record.token = token;
    record.envelope = envelope;
    let members = next.members().map_err(|_| EngineError::Internal {
        what: "members of a group",
    })?;
    let rows = members
        .iter()
        .filter_map(|member| member.inbox.as_ref())
        .map(|inbox| wire::SendRow {
            queue_id: inbox.queue,
            token: wire::SendToken::from_bytes(*inbox.token.expose_secret()),
        });
    let place = (id, epoch);
    let sealed = parcels::seal(tx, &record.envelope, place, &message)?;
    let hash = keys::sha256(&[&sealed.body]);
    let message = MessageId::random(tx.rng);
    let next_token = next.epoch_token().map_err(|_| EngineError::Internal {
        what: "state of a group",
    })?;
    let request = wire::SendInEpoch {
        group: *id,
        epoch,
        token: wire::EpochToken::from_bytes(*record.token.expose_secret()),
        next: Some(wire::NextEpoch {
            epoch: next.epoch(),
            token_hash: keys::sha256(&[next_token.expose_secret()]),
        }),
        send: wire::Send {
            message_id: message,
            body: wire::Body::new(sealed.body.clone()).map_err(|_| EngineError::Protocol)?,
            rows: rows.collect(),
        },
    };
    record.flight = Some(Flight {
        kind: FlightKind::Commit,
        message,
        hash,
    });
    state::store(tx, &record);
    let relay = record.relay.clone();
    let request = wire::Request::SendInEpoch(request);
    parcels::hand_out(tx, &sealed, (id, &message), relay, request)
}
