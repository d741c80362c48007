//! What a device knows, as parts that another device of the account can take over (docs/spec/archive.md).
//!
//! A part is a run of records. Each part is sealed under a key of its own and travels as a blob; whoever is to
//! open it gets a [`PartRef`].

use crate::account;
use crate::devices;
use crate::error::{EngineError, StoreError};
use crate::group::restored;
use crate::guardians;
use crate::letters;
use crate::limits;
use crate::records::{
    Contact, Direction, Letter, LetterState, Part, PartPurpose, Record as _, VaultRecord, Way,
};
use crate::standby;
use crate::step::Outgoing;
use crate::store::Table;
use crate::transaction::Transaction;
use crate::vault;
use keys::codec::{DecodeError, Reader, Writer};
use keys::{AccountId, BlobId, DeviceId, GroupId, LetterId, Secret, label};
use zeroize::Zeroizing;

const CONTACT: u8 = 1;
const LETTER: u8 = 2;
const DEVICE_NAME: u8 = 3;
const DELETED: u8 = 4;
const SHARE: u8 = 5;
const GUARDIANS: u8 = 6;
const NO_SHARE: u8 = 7;
const BACKUPS: u8 = 8;
const VAULT: u8 = 9;
const NO_VAULT: u8 = 10;
const VAULT_WAY: u8 = 11;
const VAULT_FAR_WAY: u8 = 12;

/// Where a part lies and what opens it.
pub(crate) struct PartRef {
    pub(crate) blob: BlobId,
    pub(crate) read_token: Secret<32>,
    pub(crate) key: Secret<32>,
    /// Length of the blob in bytes.
    pub(crate) size: u64,
}

/// How far an archive is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Contacts and names are written.
    letters: bool,
    /// The last row of the table that is being written.
    after: Option<Vec<u8>>,
}

impl PartRef {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.array(self.blob.as_bytes());
        out.array(self.read_token.expose_secret());
        out.array(self.key.expose_secret());
        out.u64(self.size);
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let secret = |bytes: [u8; 32]| {
            let bytes = Zeroizing::new(bytes);
            Secret::from_slice(&*bytes).ok_or(DecodeError::Invalid)
        };
        Ok(Self {
            blob: BlobId::from_bytes(input.array()?),
            read_token: secret(input.array()?)?,
            key: secret(input.array()?)?,
            size: input.u64()?,
        })
    }
}

impl Cursor {
    /// Goes on behind the letters that are archived: up to an order number in every conversation.
    pub(crate) fn write(&self, out: &mut Writer) {
        out.u8(u8::from(self.letters));
        out.bytes(self.after.as_deref().unwrap_or_default());
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let letters = input.u8()? == 1;
        let after = input.bytes(1024)?;
        Ok(Self {
            letters,
            after: (!after.is_empty()).then(|| after.to_vec()),
        })
    }
}

/// Room for a whole part: growth would leave copies of what it holds behind.
pub(crate) fn empty_part() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(limits::PART_BYTES.saturating_mul(2)))
}

/// Writes the next part, or nothing where all is written.
pub(crate) fn next_part(
    tx: &mut Transaction<'_>,
    cursor: &mut Cursor,
) -> Result<Option<Zeroizing<Vec<u8>>>, EngineError> {
    let mut part = empty_part();
    if !cursor.letters {
        if cursor.after.is_none() {
            for (device, name) in devices::names(tx.snapshot())? {
                add(
                    &mut part,
                    DEVICE_NAME,
                    &[device.as_bytes(), name.as_bytes()].concat(),
                );
            }
        }
        if cursor.after.is_none() {
            add_guardians(tx, &mut part)?;
            if let Some(told) = standby::record(tx)? {
                add(&mut part, BACKUPS, &told);
            }
            for id in letters::deleted(tx)? {
                add(&mut part, DELETED, id.as_bytes());
            }
            for (_, share) in tx.scan(Table::Share, &[], None, limits::SHARES)? {
                add(&mut part, SHARE, &share);
            }
            for vault in vault::all(tx.snapshot())? {
                let id = vault.id;
                add(&mut part, VAULT, &archived_vault(vault).encode());
                add_way(tx, &mut part, &id)?;
            }
        }
        contacts(tx, cursor, &mut part)?;
    }
    if cursor.letters {
        conversations(tx, cursor, &mut part)?;
    }
    Ok((!part.is_empty()).then_some(part))
}

/// Adds a contact as it is now.
pub(crate) fn add_contact(
    tx: &Transaction<'_>,
    part: &mut Vec<u8>,
    id: &AccountId,
) -> Result<(), EngineError> {
    if let Some(mut contact) = crate::contacts::load(tx, id)? {
        contact.invite_ticket = None;
        add(part, CONTACT, &contact.encode());
    }
    Ok(())
}

/// Adds a share that is kept for a contact, or that it is gone.
pub(crate) fn add_share(
    tx: &Transaction<'_>,
    part: &mut Vec<u8>,
    id: &AccountId,
) -> Result<(), EngineError> {
    match tx.get(Table::Share, id.as_bytes())? {
        Some(share) => add(part, SHARE, &share),
        None => add(part, NO_SHARE, id.as_bytes()),
    }
    Ok(())
}

/// Adds a vault as it is now, or that it is not one of ours any more.
pub(crate) fn add_vault(
    tx: &Transaction<'_>,
    part: &mut Vec<u8>,
    id: &GroupId,
) -> Result<(), EngineError> {
    match vault::load(tx, id)? {
        Some(vault) => add(part, VAULT, &archived_vault(vault).encode()),
        None => add(part, NO_VAULT, id.as_bytes()),
    }
    Ok(())
}

/// Adds how the group of a vault is entered.
pub(crate) fn add_way(
    tx: &Transaction<'_>,
    part: &mut Vec<u8>,
    id: &GroupId,
) -> Result<(), EngineError> {
    // A home that was restored, and is not in again yet, may have both.
    if let Some(way) = restored::trees::kept(tx, id)? {
        add(part, VAULT_FAR_WAY, &way);
    } else if let Some(way) = restored::kept(tx, id)? {
        add(part, VAULT_WAY, &way);
    }
    Ok(())
}

/// A vault as another device has it: what this one is about to do is its own affair.
fn archived_vault(mut vault: VaultRecord) -> VaultRecord {
    (vault.renew, vault.ask, vault.answer) = (None, None, None);
    vault.unsure = None;
    vault.elders.clear();
    vault
}

/// Adds who the guardians of the account are.
pub(crate) fn add_guardians(tx: &Transaction<'_>, part: &mut Vec<u8>) -> Result<(), EngineError> {
    if let Some(guardians) = guardians::known(tx)? {
        add(part, GUARDIANS, &Zeroizing::new(guardians));
    }
    Ok(())
}

/// Adds a letter as it is now, or that it is gone.
pub(crate) fn add_letter(
    tx: &Transaction<'_>,
    part: &mut Vec<u8>,
    id: &LetterId,
) -> Result<(), EngineError> {
    match letters::load(tx, id)? {
        Some(letter) if letter.direction == Direction::Errand => {}
        Some(letter) => add(part, LETTER, &archived(letter).encode()),
        None => add(part, DELETED, id.as_bytes()),
    }
    Ok(())
}

fn contacts(
    tx: &Transaction<'_>,
    cursor: &mut Cursor,
    part: &mut Vec<u8>,
) -> Result<(), EngineError> {
    while part.len() < limits::PART_BYTES {
        let rows = tx.scan(Table::Contact, &[], cursor.after.as_deref(), 1)?;
        let Some((place, bytes)) = rows.into_iter().next() else {
            *cursor = Cursor {
                letters: true,
                after: None,
            };
            return Ok(());
        };
        let mut contact = Contact::decode(&bytes)?;
        contact.invite_ticket = None; // A ticket is shown once, by the device that has it.
        add(part, CONTACT, &contact.encode());
        cursor.after = Some(place);
    }
    Ok(())
}

fn conversations(
    tx: &Transaction<'_>,
    cursor: &mut Cursor,
    part: &mut Vec<u8>,
) -> Result<(), EngineError> {
    while part.len() < limits::PART_BYTES {
        let after = cursor.after.as_deref();
        let rows = tx.scan(Table::Conversation, &[], after, limits::PAGE)?;
        if rows.is_empty() {
            return Ok(());
        }
        for (place, id) in rows {
            let id = LetterId::from_slice(&id).ok_or(StoreError::Damaged {
                what: "conversation",
            })?;
            if let Some(letter) = letters::load(tx, &id)? {
                add(part, LETTER, &archived(letter).encode());
            }
            cursor.after = Some(place);
        }
    }
    Ok(())
}

/// A letter as another device has it: who sent it from here sees to its delivery, and tells if there is none.
fn archived(mut letter: Letter) -> Letter {
    letter.deliveries.clear();
    let under_way = matches!(letter.state, LetterState::Uploading | LetterState::Queued);
    if letter.direction == Direction::Sent && under_way {
        letter.state = LetterState::Sent;
    }
    letter
}

fn add(part: &mut Vec<u8>, kind: u8, record: &[u8]) {
    let mut out = Writer::new();
    out.u8(kind);
    out.bytes(record);
    part.extend_from_slice(&Zeroizing::new(out.finish()));
}

/// Takes a part over. A later part knows better.
pub(crate) fn take_in(tx: &mut Transaction<'_>, part: &[u8]) -> Result<(), EngineError> {
    let mut input = Reader::new(part);
    while input.remaining() > 0 {
        let malformed = |_| EngineError::BadArchive;
        let kind = input.u8().map_err(malformed)?;
        let record = input.bytes(1 << 21).map_err(malformed)?;
        match kind {
            CONTACT => contact(tx, record)?,
            LETTER => letter(tx, record)?,
            DEVICE_NAME => {
                let (device, name) = record
                    .split_first_chunk::<16>()
                    .ok_or(EngineError::BadArchive)?;
                let name = std::str::from_utf8(name).map_err(|_| EngineError::BadArchive)?;
                devices::set_name(tx, &DeviceId::from_bytes(*device), name)?;
            }
            DELETED => {
                let id = LetterId::from_slice(record).ok_or(EngineError::BadArchive)?;
                letters::remove_for_good(tx, &id)?;
            }
            SHARE => guardians::keep_share(tx, record)?,
            NO_SHARE => tx.delete(Table::Share, record.to_vec()),
            GUARDIANS => guardians::keep(tx, record)?,
            VAULT => {
                let vault = VaultRecord::decode(record).map_err(|_| EngineError::BadArchive)?;
                vault::take_over(tx, archived_vault(vault))?;
            }
            NO_VAULT => tx.delete(Table::Vault, record.to_vec()),
            VAULT_WAY => restored::keep(tx, record).map_err(|_| EngineError::BadArchive)?,
            VAULT_FAR_WAY => {
                restored::trees::keep(tx, record).map_err(|_| EngineError::BadArchive)?;
            }
            BACKUPS if standby::is_one(record) => standby::keep(tx, record),
            _ => {} // Of a later version.
        }
    }
    Ok(())
}

fn contact(tx: &mut Transaction<'_>, record: &[u8]) -> Result<(), EngineError> {
    let contact = Contact::decode(record).map_err(|_| EngineError::BadArchive)?;
    // Verified anew: an archive may come from a disk that is not ours.
    crate::contacts::verify_stored(&contact)?;
    crate::contacts::store(tx, &contact);
    Ok(())
}

fn letter(tx: &mut Transaction<'_>, record: &[u8]) -> Result<(), EngineError> {
    let letter = Letter::decode(record).map_err(|_| EngineError::BadArchive)?;
    if letter.direction == Direction::Errand || letters::is_deleted(tx, &letter.id)? {
        return Ok(());
    }
    tx.raise_number("letters", letter.order)?;
    letters::file(tx, &letter);
    letters::keep_expiry(tx, &letter);
    letters::catch_up(tx, &letter.id)
}

/// Seals a part and stores it for the relay.
pub(crate) fn seal(
    tx: &mut Transaction<'_>,
    part: &[u8],
    purpose: PartPurpose,
) -> Result<PartRef, EngineError> {
    let blob = BlobId::random(tx.rng);
    let (read_token, write_token) = (Secret::random(tx.rng), Secret::random(tx.rng));
    let key = Secret::random(tx.rng);
    // The key seals nothing else, so the nonce may be fixed.
    let sealed = keys::gcm_seal(&key, &[0; 12], &part_data(&blob), part);
    let part = PartRef {
        blob,
        read_token: read_token.duplicate(),
        key,
        size: u64::try_from(sealed.len()).unwrap_or(u64::MAX),
    };
    let relay = account::own(tx)?.relay.clone();
    let record = Part {
        blob,
        relay,
        read_token,
        way: Way::Store {
            write_token,
            sealed,
        },
        purpose,
    };
    tx.put(Table::Part, blob.as_bytes().to_vec(), record.encode());
    tx.send(Outgoing::Part(blob));
    Ok(part)
}

/// Asks for a part.
pub(crate) fn fetch(tx: &mut Transaction<'_>, part: &PartRef, relay: &str, purpose: PartPurpose) {
    let record = Part {
        blob: part.blob,
        relay: relay.to_owned(),
        read_token: part.read_token.duplicate(),
        way: Way::Fetch { size: part.size },
        purpose,
    };
    tx.put(Table::Part, part.blob.as_bytes().to_vec(), record.encode());
    tx.send(Outgoing::Part(part.blob));
}

/// Opens a part that came.
pub(crate) fn open(part: &PartRef, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, EngineError> {
    keys::gcm_open(&part.key, &[0; 12], &part_data(&part.blob), sealed)
        .map(Zeroizing::new)
        .map_err(|_| EngineError::BadArchive)
}

fn part_data(blob: &BlobId) -> Vec<u8> {
    [label::ARCHIVE.as_bytes(), &[0], blob.as_bytes()].concat()
}

/// Reads a part under way.
pub(crate) fn load(tx: &Transaction<'_>, blob: &BlobId) -> Result<Option<Part>, EngineError> {
    match tx.get(Table::Part, blob.as_bytes())? {
        Some(bytes) => Ok(Some(Part::decode(&bytes)?)),
        None => Ok(None),
    }
}

/// A part is done with.
pub(crate) fn forget(tx: &mut Transaction<'_>, blob: &BlobId) {
    tx.delete(Table::Part, blob.as_bytes().to_vec());
}

/// What an unfinished archive brought goes again.
pub(crate) fn forget_all(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Letter, &[], |tx, id, _| {
        if let Some(id) = LetterId::from_slice(id) {
            letters::remove(tx, &id)?;
        }
        Ok(())
    })?;
    for table in [Table::Contact, Table::Share, Table::Vault] {
        tx.each(table, &[], |tx, place, _| {
            tx.delete(table, place.to_vec());
            Ok(())
        })?;
    }
    restored::forget_all(tx)?;
    guardians::forget(tx);
    standby::forget(tx);
    Ok(())
}

/// Offers every part that is under way; called once when the driver starts.
pub(crate) fn resume(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    for (blob, _) in tx.scan(Table::Part, &[], None, usize::MAX)? {
        let blob = BlobId::from_slice(&blob).ok_or(StoreError::Damaged { what: "part" })?;
        tx.send(Outgoing::Part(blob));
    }
    Ok(())
}
