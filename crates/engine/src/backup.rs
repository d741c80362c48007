//! The backup at the relay: parts of history, and one head a recovery method that opens them
//! (docs/spec/recovery.md).
//!
//! ```text
//!   changes ─► marks ─► few: the tail of the head ─────────────► PutHead, version + 1
//!                       many: a part, a blob of its own ─► then ─┘
//! ```
//!
//! The head is sealed to the method's envelope key, which only the sheet or the guardians can open: a device
//! writes backups that it cannot read. Once in a while everything is packed anew, so that what was deleted is
//! gone there too.

use crate::account;
use crate::archive;
use crate::error::{EngineError, StoreError};
use crate::event::{CommandOutcome, Event};
use crate::group::restored::trees;
use crate::limits;
use crate::outbox;
use crate::own_log;
use crate::records::{
    Backup, BackupMethod, Direction, GuardianPurpose, Letter, PartPurpose, Purpose, Record as _,
    key,
};
use crate::standby;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use keys::account_log::{Method, Pin, RecoverySecrets, VerifiedLog};
use keys::codec::{DecodeError, Reader, Writer};
use keys::hpke::EnvelopePublic;
use keys::{AccountId, GroupId, LetterId, Timestamp, label};
use zeroize::Zeroizing;

pub(crate) const BACKUP: &[u8] = b"backup";
/// A contact or letter changed since the parts were packed: kind, id.
const MARK: &[u8] = b"backup-mark/";
const CONTACT: u8 = 1;
const LETTER: u8 = 2;
const SHARE: u8 = 3;
const GUARDIANS: u8 = 4;
const VAULT: u8 = 5;
const VAULT_WAY: u8 = 6;
/// Counts changes.
const CHANGES: &str = "backup-changes";
/// The root key waits on this device for guardians who take the place of spent ones.
const ROOT_STAYS: &[u8] = b"root-stays";

pub(crate) fn load(tx: &Transaction<'_>) -> Result<Option<Backup>, EngineError> {
    match tx.get(Table::Meta, BACKUP)? {
        Some(bytes) => Ok(Some(Backup::decode(&bytes)?)),
        None => Ok(None),
    }
}

pub(crate) fn store(tx: &mut Transaction<'_>, backup: &Backup) {
    tx.put(Table::Meta, BACKUP.to_vec(), backup.encode());
}

/// How the backup stands, for people.
#[derive(Debug, Clone)]
pub struct BackupState {
    /// The methods that open it.
    pub methods: Vec<Method>,
    /// When the relay last took it.
    pub at: Option<Timestamp>,
    /// Whether everything of now is in it, as the relay has it.
    pub complete: bool,
    /// Whether each of the methods opens the root key.
    pub opens_root: bool,
    /// The newest version of its heads.
    pub version: u64,
}

/// Reads how the backup stands.
pub(crate) fn state(snapshot: &dyn Snapshot) -> Result<Option<BackupState>, StoreError> {
    let Some(bytes) = snapshot.get(Table::Meta, BACKUP)? else {
        return Ok(None);
    };
    let backup = Backup::decode(&bytes)?;
    let changes = snapshot.get(Table::Meta, CHANGES.as_bytes())?;
    let changes = changes.and_then(|bytes| bytes.as_slice().try_into().ok());
    let changes = changes.map_or(0, u64::from_be_bytes);
    let under_way = backup.storing || backup.methods.iter().any(|known| known.sending);
    Ok(Some(BackupState {
        methods: backup.methods.iter().map(|known| known.method).collect(),
        at: Some(backup.at).filter(|at| at.as_secs() > 0),
        complete: backup.covered >= changes && backup.packing.is_none() && !under_way,
        opens_root: (backup.methods.iter()).all(|known| !known.sealed_root.is_empty()),
        version: newest(&backup),
    }))
}

fn newest(backup: &Backup) -> u64 {
    let versions = backup.methods.iter().map(|method| method.highest);
    versions.max().unwrap_or(0)
}

/// The version that contacts are told, so that an older backup is noticed after a restoration.
pub(crate) fn version(tx: &Transaction<'_>) -> Result<u64, EngineError> {
    let restored = tx.number(RESTORED)?;
    Ok(load(tx)?.map_or(0, |backup| newest(&backup)).max(restored))
}

/// The version that this home was restored from.
const RESTORED: &str = "backup-restored";

/// Whether this home was restored from a backup.
pub(crate) fn was_restored(tx: &Transaction<'_>) -> Result<bool, EngineError> {
    Ok(tx.number(RESTORED)? > 0)
}

/// This home was restored from a version.
pub(crate) fn note_restored(tx: &mut Transaction<'_>, version: u64) -> Result<(), EngineError> {
    tx.raise_number(RESTORED, version)
}

/// A recovery method is in the log: from now on there is a backup for it. The relay has `version` of its head.
pub(crate) fn begin(
    tx: &mut Transaction<'_>,
    command: crate::input::CommandId,
    secrets: &RecoverySecrets,
    version: u64,
) -> Result<(), EngineError> {
    begin_with(tx, command, (secrets, version), Vec::new())
}

/// As [`begin`], in a home that was restored: what other methods need came with the history, and goes on too.
pub(crate) fn begin_again(
    tx: &mut Transaction<'_>,
    secrets: &RecoverySecrets,
    version: u64,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    let mut others = standby::take(tx)?;
    others.retain(|method| method.method != secrets.method() && is_in_force(&log, method));
    let command = crate::input::CommandId::default();
    begin_with(tx, command, (secrets, version), others)
}

fn begin_with(
    tx: &mut Transaction<'_>,
    command: crate::input::CommandId,
    (secrets, version): (&RecoverySecrets, u64),
    others: Vec<BackupMethod>,
) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let mut backup = load(tx)?.unwrap_or_else(|| Backup {
        methods: Vec::new(),
        parts: Vec::new(),
        packing: None,
        packed: Vec::new(),
        storing: false,
        covered: 0,
        at: Timestamp::from_secs(0),
        refused_at: Timestamp::from_secs(0),
        packed_at: Timestamp::from_secs(0),
        command,
    });
    drop_method(tx, &mut backup, secrets.method())?;
    // A root key that is not here lies in another bundle, until the sheet of that one unlocks it.
    let sealed_root = match &own.root {
        Some(root) => seal_root(tx, secrets.envelope().public(), &own.id, root)?,
        None => Vec::new(),
    };
    backup.methods.extend(others);
    backup.methods.push(BackupMethod {
        method: secrets.method(),
        head_key: secrets.head_key().duplicate(),
        version,
        highest: version,
        sealed_root,
        sending: false,
    });
    backup.command = command;
    backup.at = Timestamp::from_secs(0); // This method opens none yet.
    backup.packing = Some(archive::Cursor::default());
    backup.packed.clear();
    store(tx, &backup);
    tx.next_number(CHANGES)?;
    standby::tell(tx)?;
    run(tx)
}

/// A method is not in force any more: its head goes, so that its secret opens nothing.
pub(crate) fn end_method(tx: &mut Transaction<'_>, method: Method) -> Result<(), EngineError> {
    let Some(mut backup) = load(tx)? else {
        return Ok(());
    };
    drop_method(tx, &mut backup, method)?;
    if backup.methods.is_empty() {
        tx.delete(Table::Meta, BACKUP.to_vec());
        return forget_marks(tx);
    }
    store(tx, &backup);
    standby::tell(tx)
}

/// This device is suspended: another one goes on with the backup, and tells how when this one is back.
pub(crate) fn hand_over(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if load(tx)?.is_some() {
        tx.delete(Table::Meta, BACKUP.to_vec());
        forget_marks(tx)?;
    }
    Ok(())
}

fn drop_method(
    tx: &mut Transaction<'_>,
    backup: &mut Backup,
    method: Method,
) -> Result<(), EngineError> {
    let (gone, kept) = std::mem::take(&mut backup.methods)
        .into_iter()
        .partition(|known| known.method == method);
    backup.methods = kept;
    if method == Method::Guardians {
        tx.delete(Table::Meta, ROOT_STAYS.to_vec());
    }
    let gone: Vec<BackupMethod> = gone;
    for method in gone {
        // A head that is on its way is there before the deletion.
        let version = if method.sending {
            method.highest.saturating_add(1)
        } else {
            method.version
        };
        if version == 0 {
            continue;
        }
        let public_key = keys::ed25519::public(&method.head_key);
        let message = wire::delete_head_message(&public_key, version);
        let request = wire::Request::DeleteHead(wire::DeleteHead {
            public_key,
            version,
            signature: keys::ed25519::sign(&method.head_key, &message),
        });
        outbox::add_own(tx, Purpose::Guardians(GuardianPurpose::Delete), request)?;
    }
    Ok(())
}

/// Whether the bundle of a method has the root key, as far as this device writes it.
pub(crate) fn has_root(snapshot: &dyn Snapshot, method: Method) -> Result<bool, StoreError> {
    let Some(bytes) = snapshot.get(Table::Meta, BACKUP)? else {
        return Ok(false);
    };
    let backup = Backup::decode(&bytes)?;
    let mut methods = backup.methods.iter();
    Ok(methods.any(|known| known.method == method && !known.sealed_root.is_empty()))
}

fn seal_root(
    tx: &mut Transaction<'_>,
    to: &EnvelopePublic,
    account: &AccountId,
    root: &keys::account_log::RootSecret,
) -> Result<Vec<u8>, EngineError> {
    let info = label::SEALED_ROOT.as_bytes();
    let root = root.encode();
    keys::hpke::seal(tx.rng, to, info, account.as_bytes(), root.expose_secret()).map_err(|_| {
        EngineError::Internal {
            what: "cryptographic library",
        }
    })
}

/// Seals the root key of this device for every method, where it is here.
pub(crate) fn seal_root_again(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let (Some(root), Some(mut backup)) = (&own.root, load(tx)?) else {
        return Ok(());
    };
    let log = account::log_of(&own)?;
    for method in &mut backup.methods {
        if let Some(record) = log.recovery(method.method) {
            method.sealed_root = seal_root(tx, record.envelope(), &own.id, root)?;
        }
    }
    store(tx, &backup);
    tx.next_number(CHANGES).map(drop)
}

/// A share that is kept for a contact came or went.
pub(crate) fn mark_share(tx: &mut Transaction<'_>, account: &AccountId) -> Result<(), EngineError> {
    mark(tx, SHARE, account.as_bytes())
}

/// The guardians of the account changed.
pub(crate) fn mark_guardians(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    mark(tx, GUARDIANS, &[])
}

/// The group of a vault is entered in another way than before.
pub(crate) fn mark_way(tx: &mut Transaction<'_>, vault: &GroupId) -> Result<(), EngineError> {
    mark(tx, VAULT_WAY, vault.as_bytes())
}

fn mark(tx: &mut Transaction<'_>, kind: u8, id: &[u8]) -> Result<(), EngineError> {
    if tx.get(Table::Meta, BACKUP)?.is_none() {
        return Ok(());
    }
    let place = key(&[MARK, &[kind], id]);
    tx.put(Table::Meta, place, Zeroizing::new(Vec::new()));
    tx.next_number(CHANGES).map(drop)
}

/// Marks what a step changed.
pub(crate) fn note(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let changed = tx.changed(&[Table::Letter, Table::Contact, Table::Vault]);
    if changed.is_empty() || tx.get(Table::Meta, BACKUP)?.is_none() {
        return Ok(());
    }
    let mut any = false;
    for (table, id) in changed {
        let kind = match table {
            Table::Contact => CONTACT,
            Table::Vault => VAULT,
            _ => LETTER,
        };
        if kind == LETTER && is_errand(tx, &id)? {
            continue;
        }
        tx.put(
            Table::Meta,
            key(&[MARK, &[kind], &id]),
            Zeroizing::new(Vec::new()),
        );
        any = true;
    }
    if any {
        tx.next_number(CHANGES)?;
    }
    Ok(())
}

/// Whether a row, as it is or was before this step, is no letter of a conversation.
fn is_errand(tx: &Transaction<'_>, id: &[u8]) -> Result<bool, EngineError> {
    let row = match tx.get(Table::Letter, id)? {
        Some(row) => Some(row),
        None => tx.snapshot().get(Table::Letter, id)?,
    };
    let letter = row.map(|row| Letter::decode(&row)).transpose()?;
    Ok(letter.is_some_and(|letter| letter.direction == Direction::Errand))
}

/// Goes on with what is due.
pub(crate) fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(backup) = load(tx)? else {
        return Ok(());
    };
    let now = tx.now;
    let recent = |at| at <= now && now.since(at) < limits::BACKUP_PAUSE_SECONDS;
    if recent(backup.refused_at) || (recent(backup.at) && backup.packing.is_none()) {
        return Ok(());
    }
    run(tx)
}

/// Writes what is not written, if nothing is under way.
pub(crate) fn run(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    let Some(mut backup) = load(tx)? else {
        return Ok(());
    };
    if backup.storing || backup.methods.iter().any(|method| method.sending) {
        return Ok(());
    }
    trees::store_due(tx)?;
    let old = tx.now.since(backup.packed_at) > limits::BACKUP_WHOLE_SECONDS;
    if backup.packing.is_none() && (old || backup.parts.len() > limits::BACKUP_PARTS) {
        backup.packing = Some(archive::Cursor::default());
        backup.packed.clear();
    }
    if let Some(mut cursor) = backup.packing.take() {
        if cursor == archive::Cursor::default() {
            forget_marks(tx)?; // What changes from here on is marked again.
            trees::renew(tx)?;
        }
        if let Some(part) = archive::next_part(tx, &mut cursor)? {
            backup
                .packed
                .push(archive::seal(tx, &part, PartPurpose::Backup)?);
            backup.packing = Some(cursor);
            backup.storing = true;
            store(tx, &backup);
            return Ok(());
        }
        backup.parts = std::mem::take(&mut backup.packed);
        backup.packed_at = tx.now;
        backup.covered = 0;
    }
    let changes = tx.number(CHANGES)?;
    if backup.covered >= changes {
        return Ok(());
    }
    let (tail, marks) = tail(tx)?;
    if tail.len() > limits::BACKUP_TAIL_BYTES {
        backup
            .parts
            .push(archive::seal(tx, &tail, PartPurpose::Backup)?);
        for mark in marks {
            tx.delete(Table::Meta, mark);
        }
        backup.storing = true;
        store(tx, &backup);
        return Ok(());
    }
    backup.covered = changes;
    put_heads(tx, backup, &tail)
}

fn forget_marks(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    tx.each(Table::Meta, MARK, |tx, place, _| {
        tx.delete(Table::Meta, place.to_vec());
        Ok(())
    })
}

type Marks = Vec<Vec<u8>>;

/// What is marked, as records, up to a part's worth; and the marks.
fn tail(tx: &Transaction<'_>) -> Result<(Zeroizing<Vec<u8>>, Marks), EngineError> {
    let mut tail = archive::empty_part();
    let mut marks = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while tail.len() < limits::PART_BYTES {
        let Some((place, _)) = tx.scan(Table::Meta, MARK, after.as_deref(), 1)?.pop() else {
            break;
        };
        after = Some(place.clone());
        let rest = place.strip_prefix(MARK).and_then(|rest| rest.split_first());
        match rest {
            Some((&CONTACT, id)) => {
                if let Some(id) = AccountId::from_slice(id) {
                    archive::add_contact(tx, &mut tail, &id)?;
                }
            }
            Some((&SHARE, id)) => {
                if let Some(id) = AccountId::from_slice(id) {
                    archive::add_share(tx, &mut tail, &id)?;
                }
            }
            Some((&VAULT, id)) => {
                if let Some(id) = GroupId::from_slice(id) {
                    archive::add_vault(tx, &mut tail, &id)?;
                }
            }
            Some((&VAULT_WAY, id)) => {
                if let Some(id) = GroupId::from_slice(id) {
                    archive::add_way(tx, &mut tail, &id)?;
                }
            }
            Some((&GUARDIANS, _)) => archive::add_guardians(tx, &mut tail)?,
            Some((_, id)) => {
                if let Some(id) = LetterId::from_slice(id) {
                    archive::add_letter(tx, &mut tail, &id)?;
                }
            }
            None => {}
        }
        marks.push(place);
    }
    Ok((tail, marks))
}

/// Whether bytes are what a head says once opened.
pub(crate) fn is_bundle(bytes: &[u8]) -> bool {
    Bundle::decode(bytes).is_ok()
}

/// What a head says.
pub(crate) struct Bundle {
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) pin: Pin,
    pub(crate) at: Timestamp,
    /// The order number of the newest letter.
    pub(crate) letters: u64,
    pub(crate) sealed_root: Vec<u8>,
    pub(crate) parts: Vec<archive::PartRef>,
    pub(crate) tail: Zeroizing<Vec<u8>>,
}

impl Bundle {
    /// Opens a head.
    pub(crate) fn open(secrets: &RecoverySecrets, head: &wire::Head) -> Result<Self, EngineError> {
        let info = label::BACKUP.as_bytes();
        let data = head_data(&secrets.head_id(), head.version);
        let opened = keys::hpke::open(secrets.envelope(), info, &data, &head.body)
            .map(Zeroizing::new)
            .map_err(|_| EngineError::BadBackup)?;
        Self::decode(&opened).map_err(|_| EngineError::BadBackup)
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if input.u8()? != 1 {
            return Err(DecodeError::Invalid);
        }
        let account = AccountId::from_bytes(input.array()?);
        let name = std::str::from_utf8(input.bytes(64)?).map_err(|_| DecodeError::Invalid)?;
        let name = name.to_owned();
        let pin = Pin {
            sequence: input.u64()?,
            hash: input.array()?,
        };
        let at = Timestamp::from_secs(input.u64()?);
        let letters = input.u64()?;
        let sealed_root = input.bytes(4096)?.to_vec();
        let count = input.u32()?;
        if usize::try_from(count).is_ok_and(|count| count > 4096) {
            return Err(DecodeError::Invalid);
        }
        let mut parts = Vec::new();
        for _ in 0..count {
            parts.push(archive::PartRef::read(&mut input)?);
        }
        let tail = Zeroizing::new(input.bytes(1 << 17)?.to_vec());
        input.finish()?;
        Ok(Self {
            account,
            name,
            pin,
            at,
            letters,
            sealed_root,
            parts,
            tail,
        })
    }
}

fn head_data(id: &[u8; 32], version: u64) -> Vec<u8> {
    key(&[id, &version.to_be_bytes()])
}

fn put_heads(tx: &mut Transaction<'_>, mut backup: Backup, tail: &[u8]) -> Result<(), EngineError> {
    let own = account::own(tx)?;
    let log = account::log_of(&own)?;
    let mut methods = std::mem::take(&mut backup.methods);
    methods.retain(|method| is_in_force(&log, method));
    for method in &mut methods {
        let body = encode(tx, &own, &log, &backup, (method, tail))?;
        let request = put_head(tx, &log, method, &body)?;
        method.sending = true;
        outbox::add_own(tx, Purpose::PutHead(method.method), request)?;
    }
    backup.methods = methods;
    store(tx, &backup);
    Ok(())
}

/// Whether the log still names the head of a method.
pub(crate) fn is_in_force(log: &VerifiedLog, method: &BackupMethod) -> bool {
    let id = wire::head_id(&keys::ed25519::public(&method.head_key));
    let record = log.recovery(method.method);
    record.is_some_and(|record| *record.head_id() == id)
}

fn encode(
    tx: &Transaction<'_>,
    own: &crate::records::OwnAccount,
    log: &VerifiedLog,
    backup: &Backup,
    (method, tail): (&BackupMethod, &[u8]),
) -> Result<Zeroizing<Vec<u8>>, EngineError> {
    let mut out = Writer::new();
    out.u8(1);
    out.array(own.id.as_bytes());
    out.bytes(own.name.as_bytes());
    out.u64(log.head().sequence);
    out.array(&log.head().hash);
    out.u64(tx.now.as_secs());
    out.u64(tx.number("letters")?);
    out.bytes(&method.sealed_root);
    out.u32(u32::try_from(backup.parts.len()).unwrap_or(u32::MAX));
    for part in &backup.parts {
        part.write(&mut out);
    }
    out.bytes(tail);
    Ok(Zeroizing::new(out.finish()))
}

fn put_head(
    tx: &mut Transaction<'_>,
    log: &VerifiedLog,
    method: &BackupMethod,
    body: &[u8],
) -> Result<wire::Request, EngineError> {
    let record = log.recovery(method.method).ok_or(EngineError::BadBackup)?;
    let version = method.highest.saturating_add(1);
    let data = head_data(record.head_id(), version);
    let body = keys::hpke::seal(
        tx.rng,
        record.envelope(),
        label::BACKUP.as_bytes(),
        &data,
        body,
    )
    .map_err(|_| EngineError::Internal {
        what: "cryptographic library",
    })?;
    let public_key = keys::ed25519::public(&method.head_key);
    let message = wire::put_head_message(&public_key, version, method.version, &body);
    Ok(wire::Request::PutHead(wire::PutHead {
        public_key,
        version,
        previous: method.version,
        signature: keys::ed25519::sign(&method.head_key, &message),
        body,
    }))
}

/// The relay has a part.
pub(crate) fn part_stored(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if let Some(mut backup) = load(tx)? {
        backup.storing = false;
        store(tx, &backup);
    }
    run(tx)
}

/// The relay does not take a part; everything is packed anew later.
pub(crate) fn part_refused(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    if let Some(mut backup) = load(tx)? {
        backup.storing = false;
        backup.packing = Some(archive::Cursor::default());
        backup.packed.clear();
        backup.refused_at = tx.now;
        let command = std::mem::take(&mut backup.command);
        store(tx, &backup);
        tx.outcome(command, CommandOutcome::Failed(EngineError::UploadFailed));
    }
    Ok(())
}

/// Guardians gave the account back, and others must be named: the root key waits here for their bundle, since nobody
/// opens that of the spent ones again.
pub(crate) fn keep_root(tx: &mut Transaction<'_>) {
    tx.put(Table::Meta, ROOT_STAYS.to_vec(), Zeroizing::new(Vec::new()));
}

/// The relay has a head.
pub(crate) fn head_stored(tx: &mut Transaction<'_>, method: Method) -> Result<(), EngineError> {
    let Some(mut backup) = load(tx)? else {
        return Ok(());
    };
    for known in &mut backup.methods {
        if known.method == method && known.sending {
            known.sending = false;
            known.highest = known.highest.saturating_add(1);
            known.version = known.highest;
        }
    }
    let done = !backup.methods.iter().any(|method| method.sending);
    if done {
        backup.at = tx.now;
        let command = std::mem::take(&mut backup.command);
        tx.outcome(command, CommandOutcome::Done);
    }
    let all_sealed = backup
        .methods
        .iter()
        .all(|known| !known.sealed_root.is_empty());
    // Who has no sheet cannot take it out again, not even for the bundle of other guardians.
    let by_sheet = (backup.methods.iter()).any(|known| known.method == Method::Sheet);
    store(tx, &backup);
    // The root key lives in the bundle alone; a change that needs it and is under way keeps it here.
    let stays = tx.get(Table::Meta, ROOT_STAYS)?.is_some();
    if done && all_sealed && by_sheet && !stays && !own_log::is_busy(tx)? {
        account::drop_root(tx)?;
    }
    Ok(())
}

/// The relay did not take a head: another device of ours wrote, or the relay was set back.
pub(crate) fn head_refused(
    tx: &mut Transaction<'_>,
    method: Method,
    kind: wire::RefusalKind,
) -> Result<(), EngineError> {
    let Some(mut backup) = load(tx)? else {
        return Ok(());
    };
    let mut id = None;
    for known in backup
        .methods
        .iter_mut()
        .filter(|known| known.method == method)
    {
        known.sending = false;
        id = Some(wire::head_id(&keys::ed25519::public(&known.head_key)));
    }
    backup.covered = 0;
    if kind != wire::RefusalKind::Conflict {
        let command = std::mem::take(&mut backup.command);
        tx.outcome(
            command,
            CommandOutcome::Failed(EngineError::Refused { kind }),
        );
        backup.refused_at = tx.now; // Tried again after the pause.
        id = None;
    }
    store(tx, &backup);
    match id {
        Some(id) => {
            let request = wire::Request::FetchHead(wire::FetchHead { id });
            outbox::add_own(tx, Purpose::HeadVersion(method), request)
        }
        None => Ok(()),
    }
}

/// The version of a head as the relay has it; 0 for none.
pub(crate) fn head_version(
    tx: &mut Transaction<'_>,
    method: Method,
    version: u64,
) -> Result<(), EngineError> {
    let Some(mut backup) = load(tx)? else {
        return Ok(());
    };
    let mut back = false;
    for known in backup
        .methods
        .iter_mut()
        .filter(|known| known.method == method)
    {
        back |= version < known.version;
        known.version = version;
        known.highest = known.highest.max(version);
    }
    backup.packing = Some(archive::Cursor::default());
    backup.packed.clear();
    store(tx, &backup);
    if back {
        let relay = account::own(tx)?.relay.clone();
        tx.event(Event::RelayRolledBack { relay });
    }
    run(tx)
}
