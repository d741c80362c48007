//! The engine: hands each input to the module of its domain.

use crate::account;
use crate::amending;
use crate::archive;
use crate::backup::{self, BackupState};
use crate::certificates;
use crate::contacts;
use crate::custody::{self, Holder, Item};
use crate::devices;
use crate::error::{EngineError, StoreError};
use crate::event::CommandOutcome;
use crate::group;
use crate::guardians::{self, GuardianTerms, GuardiansState, RequestState, ShareState};
use crate::input::{CommandId, Input};
use crate::inventory::{self, KeyEntry};
use crate::joining;
use crate::letters;
use crate::linking::{self, LinkOffer};
use crate::logs;
use crate::outbox;
use crate::own_log::{self, Wish};
use crate::parts;
use crate::pre_keys;
use crate::queues;
use crate::receipts;
use crate::records::{Contact, GroupRecord, Letter, OwnAccount, Part, Record as _, Upload};
use crate::recovery;
use crate::restore;
use crate::retired;
use crate::scanning;
use crate::sending;
use crate::signed;
use crate::silence;
use crate::step::Step;
use crate::store::{Snapshot, Table};
use crate::transaction::Transaction;
use crate::upgrade;
use crate::uploads;
use crate::vault;
use crate::verifying;
use crate::waiting;
use keys::{AccountId, BlobId, DeviceId, GroupId, LetterId, QueueId, Timestamp};
use rand_core::CryptoRng;

/// The client's logic. It has no state of its own: everything is in the snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub struct Engine;

impl Engine {
    /// Handles one input and returns what it changes.
    ///
    /// A command that fails for a reason a person can mend is not an error here: its outcome is an event.
    ///
    /// # Errors
    /// Only what the driver must deal with: the store failed, or an invariant does not hold.
    pub fn handle(
        &self,
        snapshot: &dyn Snapshot,
        input: Input,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> Result<Step, EngineError> {
        let command = input.command();
        let mut tx = Transaction::new(snapshot, now, rng);
        match route(&mut tx, input) {
            Ok(()) => {
                backup::note(&mut tx)?;
                Ok(tx.into_step())
            }
            Err(error @ (EngineError::Store(_) | EngineError::Internal { .. })) => Err(error),
            Err(error) if command == CommandId::default() => Err(error),
            Err(error) => {
                tx.discard();
                tx.outcome(command, CommandOutcome::Failed(error));
                Ok(tx.into_step())
            }
        }
    }

    /// Signs a subscription for one connection, or nothing where the queue is not ours any more.
    ///
    /// # Errors
    /// The store failed.
    pub fn subscription(
        &self,
        snapshot: &dyn Snapshot,
        queue: &QueueId,
        challenge: &[u8; 32],
    ) -> Result<Option<wire::Request>, EngineError> {
        queues::subscription(snapshot, queue, challenge)
    }

    /// Reads the own account.
    ///
    /// # Errors
    /// The store failed.
    pub fn account(&self, snapshot: &dyn Snapshot) -> Result<Option<OwnAccount>, StoreError> {
        account::read(snapshot)
    }

    /// The relay that holds this home's queues, once there is an account or one is being joined.
    ///
    /// # Errors
    /// The store failed.
    pub fn home_relay(&self, snapshot: &dyn Snapshot) -> Result<Option<String>, StoreError> {
        match account::read(snapshot)? {
            Some(own) => Ok(Some(own.relay)),
            None => match joining::relay_of(snapshot)? {
                Some(relay) => Ok(Some(relay)),
                None => match restore::relay_of(snapshot)? {
                    Some(relay) => Ok(Some(relay)),
                    None => guardians::relay_of(snapshot),
                },
            },
        }
    }

    /// Whether this device was revoked.
    ///
    /// # Errors
    /// The store failed.
    pub fn is_revoked(&self, snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
        devices::revoked_here(snapshot)
    }

    /// Whether this device is suspended.
    ///
    /// # Errors
    /// The store failed.
    pub fn is_suspended(&self, snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
        devices::suspended_here(snapshot)
    }

    /// What the devices of the own account are called.
    ///
    /// # Errors
    /// The store failed.
    pub fn device_names(
        &self,
        snapshot: &dyn Snapshot,
    ) -> Result<Vec<(DeviceId, String)>, StoreError> {
        devices::names(snapshot)
    }

    /// The secret of the link under way, to be shown once.
    ///
    /// # Errors
    /// The store failed.
    pub fn link_offer(&self, snapshot: &dyn Snapshot) -> Result<Option<LinkOffer>, StoreError> {
        linking::shown(snapshot)
    }

    /// The text of the recovery sheet that waits to be retyped.
    ///
    /// # Errors
    /// The store failed.
    pub fn sheet(
        &self,
        snapshot: &dyn Snapshot,
    ) -> Result<Option<zeroize::Zeroizing<String>>, StoreError> {
        recovery::sheet(snapshot)
    }

    /// How the backup at the relay stands; nothing where no recovery method is set from this device.
    ///
    /// # Errors
    /// The store failed.
    pub fn backup(&self, snapshot: &dyn Snapshot) -> Result<Option<BackupState>, StoreError> {
        backup::state(snapshot)
    }

    /// The guardians of the own account, in force or on their way.
    ///
    /// # Errors
    /// The store failed.
    pub fn guardians(
        &self,
        snapshot: &dyn Snapshot,
    ) -> Result<Option<GuardiansState>, EngineError> {
        guardians::guardians(snapshot)
    }

    /// The shares that are kept here for contacts.
    ///
    /// # Errors
    /// The store failed.
    pub fn shares(&self, snapshot: &dyn Snapshot) -> Result<Vec<ShareState>, StoreError> {
        guardians::shares(snapshot)
    }

    /// What this home asked of the guardians of an account.
    ///
    /// # Errors
    /// The store failed.
    pub fn recovery_request(
        &self,
        snapshot: &dyn Snapshot,
    ) -> Result<Option<RequestState>, StoreError> {
        guardians::request(snapshot)
    }

    /// The contacts who wait for an answer to [`Event::SasRequested`](crate::Event::SasRequested).
    ///
    /// # Errors
    /// The store failed.
    pub fn sas_requests(
        &self,
        snapshot: &dyn Snapshot,
        now: Timestamp,
    ) -> Result<Vec<AccountId>, StoreError> {
        verifying::requests(snapshot, now)
    }

    /// Reads a part of an archive under way.
    ///
    /// # Errors
    /// The store failed.
    pub fn part(&self, snapshot: &dyn Snapshot, blob: &BlobId) -> Result<Option<Part>, StoreError> {
        snapshot
            .get(Table::Part, blob.as_bytes())?
            .map(|bytes| Part::decode(&bytes))
            .transpose()
    }

    /// Lists every key that can open an item, and where it lives; nothing where this profile does not have it.
    ///
    /// # Errors
    /// The store failed, or there is no account.
    pub fn custody(
        &self,
        snapshot: &dyn Snapshot,
        item: &Item,
    ) -> Result<Option<Vec<Holder>>, EngineError> {
        custody::of(snapshot, item)
    }

    /// Lists the keys of this profile, how they stand, how old they are and when they are due.
    ///
    /// # Errors
    /// The store failed, or there is no account.
    pub fn inventory(
        &self,
        snapshot: &dyn Snapshot,
        now: Timestamp,
    ) -> Result<Vec<KeyEntry>, EngineError> {
        inventory::read(snapshot, now)
    }

    /// Reads a contact.
    ///
    /// # Errors
    /// The store failed.
    pub fn contact(
        &self,
        snapshot: &dyn Snapshot,
        id: &AccountId,
    ) -> Result<Option<Contact>, StoreError> {
        snapshot
            .get(Table::Contact, id.as_bytes())?
            .map(|bytes| Contact::decode(&bytes))
            .transpose()
    }

    /// Reads all contacts.
    ///
    /// # Errors
    /// The store failed.
    pub fn contacts(&self, snapshot: &dyn Snapshot) -> Result<Vec<Contact>, StoreError> {
        let rows = snapshot.scan(Table::Contact, &[], None, usize::MAX)?;
        rows.iter()
            .map(|(_, bytes)| Contact::decode(bytes))
            .collect()
    }

    /// Reads a letter.
    ///
    /// # Errors
    /// The store failed.
    pub fn letter(
        &self,
        snapshot: &dyn Snapshot,
        id: &LetterId,
    ) -> Result<Option<Letter>, StoreError> {
        snapshot
            .get(Table::Letter, id.as_bytes())?
            .map(|bytes| Letter::decode(&bytes))
            .transpose()
    }

    /// Reads the letters of a conversation, oldest first, from the one after `after` on.
    ///
    /// # Errors
    /// The store failed.
    pub fn conversation(
        &self,
        snapshot: &dyn Snapshot,
        contact: &AccountId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        let start = after.map(|order| [&contact.as_bytes()[..], &order.to_be_bytes()].concat());
        let rows = snapshot.scan(
            Table::Conversation,
            contact.as_bytes(),
            start.as_deref(),
            limit,
        )?;
        let mut letters = Vec::with_capacity(rows.len());
        for (_, id) in rows {
            let id = LetterId::from_slice(&id).ok_or(StoreError::Damaged {
                what: "conversation",
            })?;
            letters.extend(self.letter(snapshot, &id)?);
        }
        Ok(letters)
    }

    /// Reads the groups that are the conversation with a contact, where sessions of two devices cannot be: letters go in
    /// the first one that this device is in.
    ///
    /// # Errors
    /// The store failed.
    pub fn pairs(
        &self,
        snapshot: &dyn Snapshot,
        contact: &AccountId,
    ) -> Result<Vec<GroupRecord>, StoreError> {
        group::pair::all(snapshot, contact)
    }

    /// Reads all groups of more than two, also those that this device has left.
    ///
    /// # Errors
    /// The store failed.
    pub fn groups(&self, snapshot: &dyn Snapshot) -> Result<Vec<GroupRecord>, StoreError> {
        group::state::all(snapshot)
    }

    /// Reads the devices of a group.
    ///
    /// # Errors
    /// The store failed.
    pub fn group_leaves(
        &self,
        snapshot: &dyn Snapshot,
        group: &GroupId,
    ) -> Result<Vec<groups::LeafName>, StoreError> {
        group::state::leaves(snapshot, group)
    }

    /// What the data of a group say of its picture.
    #[must_use]
    pub fn picture_of(&self, record: &GroupRecord) -> Option<group::pictures::Picture> {
        group::pictures::named(record)
    }

    /// Reads the picture of a group: nothing where it has none, or where it has not come yet.
    ///
    /// # Errors
    /// The store failed.
    pub fn group_picture(
        &self,
        snapshot: &dyn Snapshot,
        group: &GroupId,
    ) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, StoreError> {
        group::pictures::read(snapshot, group)
    }

    /// Reads an upload under way.
    ///
    /// # Errors
    /// The store failed.
    pub fn upload(
        &self,
        snapshot: &dyn Snapshot,
        blob: &BlobId,
    ) -> Result<Option<Upload>, StoreError> {
        snapshot
            .get(Table::Upload, blob.as_bytes())?
            .map(|bytes| Upload::decode(&bytes))
            .transpose()
    }
}

fn route(tx: &mut Transaction<'_>, input: Input) -> Result<(), EngineError> {
    match input {
        Input::CreateAccount {
            command,
            registration,
        } => account::create(tx, command, registration),
        Input::CreateInvite { command, valid_for } => {
            contacts::create_invite(tx, command, valid_for)
        }
        Input::AddByInvite {
            command,
            invite,
            petname,
        } => contacts::add_by_invite(tx, command, &invite, petname),
        Input::AddByName {
            command,
            name,
            relay,
            petname,
        } => contacts::add_by_name(tx, command, &name, relay, petname),
        Input::MarkVerified {
            command,
            contact,
            means,
        } => contacts::mark_verified(tx, command, &contact, means),
        Input::StartSas { command, contact } => verifying::start(tx, command, &contact),
        Input::ConfirmSas { contact, same } => verifying::confirm(tx, &contact, same),
        Input::StopSas { contact } => verifying::stop(tx, &contact),
        Input::ShowCode { command, contact } => scanning::begin(tx, command, &contact, None),
        Input::CompareCode {
            command,
            contact,
            scanned,
        } => scanning::begin(tx, command, &contact, Some(scanned)),
        Input::Block {
            command,
            contact,
            blocked,
        } => contacts::block(tx, command, &contact, blocked),
        Input::SendLetter {
            command,
            letter,
            to,
            draft,
        } => sending::send(tx, command, letter, &to, draft),
        Input::AmendLetter {
            command,
            letter,
            change,
        } => amending::amend(tx, command, &letter, change),
        other @ (Input::CreateGroup { .. }
        | Input::AddToGroup { .. }
        | Input::RemoveFromGroup { .. }
        | Input::LeaveGroup { .. }
        | Input::ChangeGroup { .. }) => of_groups(tx, other),
        other @ (Input::CreateVault { .. }
        | Input::ShareVault { .. }
        | Input::UnshareVault { .. }
        | Input::LeaveVault { .. }
        | Input::RenameVault { .. }
        | Input::FetchVaultHead { .. }
        | Input::CheckVault { .. }
        | Input::AcceptVault { .. }
        | Input::PublishVault { .. }) => of_vaults(tx, other),
        Input::DeleteLetters { letters: ids } => letters::delete(tx, &ids),
        Input::MarkRead { letters: read } => letters::mark_read(tx, &read),
        other => of_devices(tx, other),
    }
}

/// What people do with groups.
fn of_groups(tx: &mut Transaction<'_>, input: Input) -> Result<(), EngineError> {
    match input {
        Input::CreateGroup {
            command,
            group,
            name,
            members,
        } => {
            let data = ::groups::GroupData {
                name,
                ..::groups::GroupData::default()
            };
            group::create(tx, command, &group, data, members)
        }
        Input::AddToGroup {
            command,
            group,
            members,
            history,
        } => group::add(tx, command, &group, members, history),
        Input::RemoveFromGroup {
            command,
            group,
            members,
        } => group::remove(tx, command, &group, members),
        Input::LeaveGroup { command, group } => group::leave(tx, command, &group),
        Input::ChangeGroup {
            command,
            group,
            change,
        } => group::change(tx, command, &group, change),
        _ => Ok(()),
    }
}

/// What people do with vaults.
fn of_vaults(tx: &mut Transaction<'_>, input: Input) -> Result<(), EngineError> {
    match input {
        Input::CreateVault {
            command,
            vault,
            name,
        } => vault::create(tx, command, &vault, name),
        Input::ShareVault {
            command,
            vault,
            accounts,
            role,
        } => vault::share(tx, command, &vault, accounts, role),
        Input::UnshareVault {
            command,
            vault,
            accounts,
        } => vault::unshare(tx, command, &vault, accounts),
        Input::LeaveVault { command, vault } => vault::leave(tx, command, &vault),
        Input::RenameVault {
            command,
            vault,
            name,
        } => vault::rename(tx, command, &vault, name),
        Input::FetchVaultHead {
            command,
            vault,
            generation,
        } => vault::heads::fetch(tx, command, &vault, generation),
        Input::CheckVault {
            command,
            vault,
            generation,
            roots,
        } => vault::roots::check(tx, command, &vault, generation, &roots),
        Input::AcceptVault {
            command,
            vault,
            generation,
            root,
        } => vault::roots::accept(tx, command, &vault, generation, &root),
        Input::PublishVault {
            command,
            vault,
            head,
            root,
        } => vault::heads::publish(tx, command, &vault, head, &root),
        _ => Ok(()),
    }
}

/// What changes who belongs to the account.
fn of_devices(tx: &mut Transaction<'_>, input: Input) -> Result<(), EngineError> {
    match input {
        Input::OfferLink { command } => linking::offer(tx, command),
        Input::AcceptLink {
            command,
            secret,
            relay,
            name,
        } => joining::accept(tx, command, &secret.0, relay, name),
        Input::ConfirmLink { same } => linking::confirm(tx, same),
        Input::RevokeDevice {
            command,
            device,
            reason,
        } => own_log::wish(tx, command, &Wish::Revoke { device, reason }),
        Input::SuspendDevice { command, device } => {
            own_log::wish(tx, command, &Wish::Suspend { device })
        }
        Input::ResumeDevice { command, device } => {
            own_log::wish(tx, command, &Wish::Resume { device })
        }
        Input::RotateDevice { command } => own_log::rotate_device(tx, command),
        Input::EndAccount { command } => own_log::wish(tx, command, &Wish::End),
        Input::RotateRoot { command } => own_log::rotate_root(tx, command),
        Input::UpgradeSuite { command, suite } => upgrade::begin(tx, command, suite),
        Input::MakeSheet { command } => recovery::make_sheet(tx, command),
        Input::ConfirmSheet { command, sheet } => recovery::confirm_sheet(tx, command, &sheet.0),
        Input::UnlockRoot { command, sheet } => recovery::unlock_root(tx, command, &sheet.0),
        Input::RestoreBySheet {
            command,
            sheet,
            relay,
            name,
        } => {
            let secret = (keys::account_log::Method::Sheet, sheet.0.seed());
            restore::begin(tx, command, secret, relay, name)
        }
        Input::NameDevice { device, name } => devices::rename(tx, &device, &name),
        other => of_guardians(tx, other),
    }
}

/// What happens between an account, its guardians and a home that asks to come back.
fn of_guardians(tx: &mut Transaction<'_>, input: Input) -> Result<(), EngineError> {
    match input {
        Input::SetGuardians {
            command,
            need,
            guardians,
            delay_seconds,
        } => {
            let terms = GuardianTerms {
                need,
                guardians,
                delay_seconds,
            };
            guardians::plan(tx, command, &terms)
        }
        Input::ClearRecovery { command, method } => {
            own_log::wish(tx, command, &Wish::ClearRecovery { method })
        }
        Input::LookAtRecovery => guardians::look(tx),
        Input::CancelRecovery { command } => own_log::wish(tx, command, &Wish::CancelRecovery),
        Input::ApproveRecovery {
            command,
            contact,
            code,
        } => guardians::approve(tx, command, &contact, code.0),
        Input::RequestRecovery {
            command,
            lost,
            relay,
            name,
        } => guardians::ask(tx, command, lost, relay, name),
        Input::ContinueRecovery { command } => guardians::carry_on(tx, command),
        Input::AbandonRecovery { command } => guardians::give_up(tx, command),
        other => of_driver(tx, other),
    }
}

/// What the driver tells of relays, files and time.
fn of_driver(tx: &mut Transaction<'_>, input: Input) -> Result<(), EngineError> {
    match input {
        Input::Closing => backup::run(tx),
        Input::PartStored { blob } => parts::stored(tx, &blob),
        Input::PartFetched { blob, sealed } => parts::fetched(tx, &blob, &sealed),
        Input::PartFailed { blob } => parts::failed(tx, &blob),
        Input::Connected { relay, welcome } => outbox::connected(tx, &relay, &welcome),
        Input::Reply { id, reply } => outbox::reply(tx, id, *reply),
        Input::Delivered { queue, seq, body } => queues::delivered(tx, &queue, seq, &body),
        Input::Subscribed { queue, next_seq } => queues::subscribed(tx, &queue, next_seq),
        Input::Uploaded { blob } => uploads::uploaded(tx, &blob),
        Input::UploadChanged { blob, attachment } => uploads::changed(tx, &blob, attachment),
        Input::UploadFailed { blob } => uploads::failed(tx, &blob),
        Input::Started => started(tx),
        Input::Tick => tick(tx),
        // The rest was routed before it came here.
        _ => Ok(()),
    }
}

fn started(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    uploads::resume(tx)?;
    archive::resume(tx)?;
    linking::resume(tx)?;
    guardians::started_lock(tx)
}

fn tick(tx: &mut Transaction<'_>) -> Result<(), EngineError> {
    linking::tick(tx)?;
    guardians::tick_asking(tx)?;
    if account::exists(tx)? && !devices::is_revoked(tx)? {
        logs::ask_again(tx)?;
        silence::tick(tx)?;
        if devices::is_suspended(tx)? {
            return Ok(()); // It waits to be resumed, and does nothing else.
        }
        backup::tick(tx)?;
        certificates::tick(tx)?;
        guardians::tick_lock(tx)?;
        verifying::tick(tx)?;
        scanning::tick(tx)?;
        letters::expire(tx)?;
        receipts::send_due(tx)?;
        outbox::expire_sent(tx)?;
        outbox::offer_due(tx)?;
        waiting::ask_again(tx)?;
        pre_keys::rotate(tx)?;
        retired::destroy(tx)?;
        signed::sweep(tx)?;
        group::tick(tx)?;
        vault::tick(tx)?;
    }
    Ok(())
}

impl Input {
    fn command(&self) -> CommandId {
        match self {
            Self::CreateAccount { command, .. }
            | Self::CreateInvite { command, .. }
            | Self::AddByInvite { command, .. }
            | Self::AddByName { command, .. }
            | Self::MarkVerified { command, .. }
            | Self::StartSas { command, .. }
            | Self::ShowCode { command, .. }
            | Self::CompareCode { command, .. }
            | Self::Block { command, .. }
            | Self::AmendLetter { command, .. }
            | Self::CreateGroup { command, .. }
            | Self::AddToGroup { command, .. }
            | Self::RemoveFromGroup { command, .. }
            | Self::LeaveGroup { command, .. }
            | Self::ChangeGroup { command, .. }
            | Self::CreateVault { command, .. }
            | Self::ShareVault { command, .. }
            | Self::UnshareVault { command, .. }
            | Self::LeaveVault { command, .. }
            | Self::RenameVault { command, .. }
            | Self::FetchVaultHead { command, .. }
            | Self::CheckVault { command, .. }
            | Self::AcceptVault { command, .. }
            | Self::PublishVault { command, .. }
            | Self::OfferLink { command }
            | Self::AcceptLink { command, .. }
            | Self::RevokeDevice { command, .. }
            | Self::SuspendDevice { command, .. }
            | Self::ResumeDevice { command, .. }
            | Self::RotateDevice { command }
            | Self::RotateRoot { command }
            | Self::UpgradeSuite { command, .. }
            | Self::EndAccount { command }
            | Self::MakeSheet { command }
            | Self::ConfirmSheet { command, .. }
            | Self::UnlockRoot { command, .. }
            | Self::RestoreBySheet { command, .. }
            | Self::SetGuardians { command, .. }
            | Self::ClearRecovery { command, .. }
            | Self::CancelRecovery { command }
            | Self::ApproveRecovery { command, .. }
            | Self::RequestRecovery { command, .. }
            | Self::ContinueRecovery { command }
            | Self::AbandonRecovery { command }
            | Self::SendLetter { command, .. } => *command,
            _ => CommandId::default(),
        }
    }
}
