//! Who may do what: asked by the library for every leaf and for every set of proposals, of ours and of others.

use crate::data::{GroupData, Inbox, LeafName, Role};
use crate::directory::{Directory, Standing};
use crate::error::GroupError;
use crate::group::LEAVES;
use keys::AccountId;
use mls_rs::MlsRules;
use mls_rs::group::proposal::Proposal;
use mls_rs::group::{GroupContext, Roster, Sender};
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle,
};
use mls_rs_core::crypto::CipherSuite;
use mls_rs_core::error::IntoAnyError;
use mls_rs_core::extension::ExtensionList;
use mls_rs_core::group::Member;
use mls_rs_core::identity::{
    CredentialType, IdentityProvider, MemberValidationContext, SigningIdentity,
};
use mls_rs_core::time::MlsTime;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One thing that a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A device came in.
    Added(LeafName),
    /// A device is out.
    Removed(LeafName),
    /// The group's data are others now.
    Data(GroupData),
    /// A device that had lost its state came back.
    Rejoined(LeafName),
}

/// Something was refused; what, stands in the judge.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(crate) struct Refused;

impl IntoAnyError for Refused {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

#[derive(Default)]
struct Notes {
    verdict: Option<GroupError>,
    by: Option<LeafName>,
    changes: Vec<Change>,
}

/// Knows the logs of accounts, and notes what it saw and refused.
#[derive(Clone, Default)]
pub(crate) struct Judge {
    directory: Arc<Directory>,
    notes: Arc<Mutex<Notes>>,
}

impl Judge {
    pub(crate) fn new(directory: Directory) -> Self {
        Self {
            directory: Arc::new(directory),
            notes: Arc::default(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the last thing was refused, if it was this judge that did.
    pub(crate) fn take_verdict(&self) -> Option<GroupError> {
        self.notes().verdict.take()
    }

    /// Who made the last commit that was looked at, and what it does.
    pub(crate) fn take_changes(&self) -> (Option<LeafName>, Vec<Change>) {
        let mut notes = self.notes();
        (notes.by.take(), std::mem::take(&mut notes.changes))
    }

    fn refuse<T>(&self, error: GroupError) -> Result<T, Refused> {
        let mut notes = self.notes();
        match (&mut notes.verdict, error) {
            (Some(GroupError::LogsNeeded(known)), GroupError::LogsNeeded(more)) => {
                known.extend(more);
            }
            (verdict, error) => *verdict = Some(error),
        }
        Err(Refused)
    }

    fn name(&self, identity: &SigningIdentity) -> Result<LeafName, Refused> {
        Ok(self.name_and_voucher(identity)?.0)
    }

    fn name_and_voucher<'a>(
        &self,
        identity: &'a SigningIdentity,
    ) -> Result<(LeafName, Option<&'a [u8]>), Refused> {
        match LeafName::and_voucher_of(identity) {
            Some(found) => Ok(found),
            None => self.refuse(GroupError::NotGenuine {
                what: "a credential names no device".to_owned(),
            }),
        }
    }

    /// SECURITY: a leaf stands for a device because the account's log says so, and for no other reason;
    /// `a_leaf_that_is_not_in_the_log_is_refused` notices.
    fn named(&self, identity: &SigningIdentity) -> Result<(), Refused> {
        let (LeafName { account, device }, voucher) = self.name_and_voucher(identity)?;
        let name = LeafName { account, device };
        match self.directory.standing((&name, voucher), identity) {
            Standing::Named { .. } => Ok(()),
            Standing::Unknown => self.refuse(GroupError::LogsNeeded(vec![account])),
            Standing::NotInLog => self.refuse(GroupError::NotInLog { account, device }),
            Standing::NotVouched => self.refuse(GroupError::NotVouched { account, device }),
            Standing::MayNotVouch => self.refuse(GroupError::MayNotVouch { account, device }),
        }
    }

    fn forbid<T>(&self, account: &AccountId, what: &'static str) -> Result<T, Refused> {
        self.refuse(GroupError::RoleForbids {
            account: *account,
            what,
        })
    }
}

impl IdentityProvider for Judge {
    type Error = Refused;

    fn validate_member(
        &self,
        identity: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), Refused> {
        self.named(identity)
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Refused> {
        self.refuse(GroupError::ChangeForbidden {
            what: "senders outside the group",
        })
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Refused> {
        Ok(self.name(identity)?.bytes())
    }

    fn valid_successor(
        &self,
        before: &SigningIdentity,
        after: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, Refused> {
        Ok(self.name(before)? == self.name(after)?)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::BASIC]
    }
}

/// A commit that is being looked at.
struct Case<'a> {
    judge: &'a Judge,
    data: GroupData,
    suite: CipherSuite,
    roster: &'a Roster<'a>,
    by: LeafName,
    /// Whether it comes from outside the tree.
    external: bool,
    /// Whether it is of our own making.
    ours: bool,
}

impl MlsRules for Judge {
    type Error = Refused;

    fn filter_proposals(
        &self,
        direction: CommitDirection,
        source: CommitSource,
        roster: &Roster<'_>,
        context: &GroupContext,
        mut proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Refused> {
        let Ok(data) = GroupData::of(&context.extensions) else {
            return self.refuse(GroupError::NotGenuine {
                what: "the group has no data of its own".to_owned(),
            });
        };
        let (by, external) = match &source {
            CommitSource::ExistingMember(member) => (self.name(&member.signing_identity)?, false),
            CommitSource::NewMember(identity) => (self.name(identity)?, true),
        };
        let case = Case {
            judge: self,
            data,
            suite: context.cipher_suite,
            roster,
            by,
            external,
            ours: direction == CommitDirection::Send,
        };
        if case.ours {
            // What somebody proposed and must not is left out; in a commit of somebody else it is refused.
            proposals.retain(|proposal| {
                let by_reference = proposal.is_by_reference();
                let keep = !by_reference || case.may_propose(proposal).is_ok();
                self.take_verdict();
                Ok::<_, Refused>(keep)
            })?;
        }
        if let (true, CommitSource::NewMember(identity)) = (case.ours, &source) {
            case.must_be_in_force(identity)?;
        }
        let changes = case.changes(&proposals)?;
        let mut notes = self.notes();
        notes.by = Some(by);
        notes.changes = changes;
        drop(notes);
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
        _: &ProposalBundle,
    ) -> Result<CommitOptions, Refused> {
        Ok(CommitOptions::new()
            .with_ratchet_tree_extension(false)
            .with_always_out_of_band_ratchet_tree(true)
            .with_single_welcome_message(false))
    }

    fn encryption_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
    ) -> Result<EncryptionOptions, Refused> {
        // The bodies are padded as a whole.
        Ok(EncryptionOptions::new(
            true,
            mls_rs::client_builder::PaddingMode::None,
        ))
    }
}

/// Whether somebody goes who would be let back in: whoever has a role in a vault and no device there lost them all.
///
/// SECURITY: `nobody_leaves_a_vault_with_a_role` notices.
fn keeps_role(data: &GroupData, account: &AccountId) -> bool {
    data.vault && data.role(account) != Role::Member
}

impl Case<'_> {
    /// Everything that a commit does, if its maker may.
    fn changes(&self, proposals: &ProposalBundle) -> Result<Vec<Change>, Refused> {
        let mut changes = Vec::new();
        let forbidden = |what| self.judge.refuse(GroupError::ChangeForbidden { what });
        if !proposals.psk_proposals().is_empty() {
            return forbidden("keys from outside");
        }
        if !proposals.reinit_proposals().is_empty() {
            return forbidden("a new beginning");
        }
        if !proposals.update_proposals().is_empty() {
            return forbidden("an update without a commit");
        }
        if self.external && !self.accounts().contains(&self.by.account) {
            return self
                .judge
                .forbid(&self.by.account, "come in from outside the group");
        }
        self.fits(proposals)?;
        let mut removed = BTreeSet::new();
        let mut leaving = BTreeSet::new();
        for info in proposals.remove_proposals() {
            let leaf = info.proposal.to_remove();
            let target = self.may_remove(info.sender(), leaf)?;
            if info.is_by_reference() {
                leaving.insert(target.account);
            }
            removed.insert(target.account);
            changes.push(match self.external && target == self.by {
                true => Change::Rejoined(target),
                false => Change::Removed(target),
            });
        }
        if self.external && changes.is_empty() {
            changes.push(Change::Added(self.by));
        }
        let mut added = BTreeSet::new();
        for info in proposals.add_proposals() {
            let target = self.may_add(info.sender(), &info.proposal)?;
            added.insert(target.account);
            changes.push(Change::Added(target));
        }
        let mut data = &self.data;
        let new: Vec<GroupData> = proposals
            .group_context_ext_proposals()
            .iter()
            .map(|info| self.may_change(info.sender(), &info.proposal, &removed))
            .collect::<Result<_, _>>()?;
        if let Some(new) = new.first() {
            changes.push(Change::Data(new.clone()));
            data = new;
        }
        // SECURITY: whoever comes in is a member, whatever an account of that name was once;
        // `who_comes_back_is_a_member` notices.
        let here = self.accounts();
        let newcomers = added.difference(&here);
        // In a vault whoever still has a role is somebody who lost all devices.
        for account in newcomers.filter(|_| data.pair.is_none() && !data.vault) {
            if data.role(account) != Role::Member {
                return self
                    .judge
                    .forbid(&self.by.account, "add more than a member");
            }
        }
        if let Some(account) = leaving.iter().find(|account| keeps_role(data, account)) {
            return self.judge.forbid(account, "leave with a role");
        }
        Ok(changes)
    }

    /// SECURITY: a group that is larger than a request of its members can be sends nothing to anybody any more;
    /// `a_group_has_an_end` notices.
    fn fits(&self, proposals: &ProposalBundle) -> Result<(), Refused> {
        let here = self.roster.member_identities_iter().count();
        let come = proposals.add_proposals().len();
        let after = here
            .saturating_add(come)
            .saturating_add(usize::from(self.external))
            .saturating_sub(proposals.remove_proposals().len());
        match after > LEAVES {
            true => self.judge.refuse(GroupError::TooLarge),
            false => Ok(()),
        }
    }

    /// Whether a proposal that somebody sent by itself may be taken up: only the wish to leave.
    fn may_propose(
        &self,
        proposal: &mls_rs::mls_rules::ProposalInfo<mls_rs::group::proposal::BorrowedProposal<'_>>,
    ) -> Result<(), Refused> {
        match Proposal::from(proposal.proposal.clone()) {
            Proposal::Remove(remove) => {
                let target = self.may_remove(proposal.sender(), remove.to_remove())?;
                match keeps_role(&self.data, &target.account) {
                    true => self.judge.forbid(&target.account, "leave with a role"),
                    false => Ok(()),
                }
            }
            _ => self.judge.refuse(GroupError::ChangeForbidden {
                what: "a proposal without a commit",
            }),
        }
    }

    fn accounts(&self) -> BTreeSet<AccountId> {
        let identities = self.roster.member_identities_iter();
        identities
            .filter_map(LeafName::of)
            .map(|name| name.account)
            .collect()
    }

    fn member(&self, leaf: u32) -> Result<(LeafName, Member), Refused> {
        let Ok(member) = self.roster.member_with_index(leaf) else {
            return self.judge.refuse(GroupError::NotGenuine {
                what: "a change of a leaf that is not there".to_owned(),
            });
        };
        Ok((self.judge.name(&member.signing_identity)?, member))
    }

    /// Whoever wants a change: the maker of the commit, or a member that proposed it.
    fn actor(&self, sender: &Sender) -> Result<LeafName, Refused> {
        match sender {
            Sender::Member(leaf) => Ok(self.member(*leaf)?.0),
            Sender::NewMemberCommit => Ok(self.by),
            _ => self.judge.refuse(GroupError::ChangeForbidden {
                what: "a proposal from outside the group",
            }),
        }
    }

    fn may_add(
        &self,
        sender: &Sender,
        add: &mls_rs::group::proposal::AddProposal,
    ) -> Result<LeafName, Refused> {
        let actor = self.actor(sender)?;
        let target = self.judge.name(add.signing_identity())?;
        // SECURITY: the weakest leaf decides what a group withstands; `another_suite_is_refused` and
        // `a_commit_that_adds_another_suite_is_refused` notice.
        if add.key_package().cipher_suite() != self.suite {
            return self.judge.refuse(GroupError::WrongSuite);
        }
        if Inbox::of(&add.leaf_node_extensions()).is_err() {
            return self.judge.refuse(GroupError::NotGenuine {
                what: "a leaf says not where it takes letters".to_owned(),
            });
        }
        if self.ours {
            self.must_be_in_force(add.signing_identity())?;
        }
        // SECURITY: `nobody_else_comes_into_a_pair` notices.
        let pair = self.data.pair.as_ref();
        if pair.is_some_and(|pair| !pair.contains(&target.account)) {
            return self.judge.forbid(&actor.account, "add to a pair");
        }
        let here = self.accounts().contains(&target.account);
        let rules = self.data.role(&actor.account) >= self.data.ruler();
        // SECURITY: `a_member_cannot_add` and `a_writer_cannot_share_a_vault` notice.
        let allowed = match here {
            true => actor.account == target.account || (rules && self.data.vault),
            false => rules,
        };
        if actor != self.by {
            return self.judge.forbid(&actor.account, "add somebody");
        }
        match allowed || self.comes_back(&target, add.signing_identity())? {
            true => Ok(target),
            false => self.judge.forbid(&actor.account, "add somebody"),
        }
    }

    /// SECURITY: whoever reads a commit late cannot know whether a device was in force when it was made, and takes it;
    /// whoever makes one knows. `an_honest_member_lets_no_revoked_device_in` notices.
    fn must_be_in_force(&self, identity: &SigningIdentity) -> Result<(), Refused> {
        let (name, voucher) = self.judge.name_and_voucher(identity)?;
        let directory = &self.judge.directory;
        match directory.standing((&name, voucher), identity) {
            Standing::Named {
                in_force: false, ..
            } => self.judge.refuse(GroupError::NotInForce {
                account: name.account,
                device: name.device,
            }),
            // The rest is seen to where every leaf is.
            _ => Ok(()),
        }
    }

    /// Whether a device is one of somebody who is in the vault and lost all devices there: anybody lets it in, for nobody
    /// comes in who was not there.
    fn comes_back(&self, target: &LeafName, identity: &SigningIdentity) -> Result<bool, Refused> {
        let account = &target.account;
        let mut here = Vec::new();
        for leaf in self.roster.member_identities_iter() {
            if self.judge.name(leaf)?.account == *account {
                here.push(leaf);
            }
        }
        // SECURITY: `nobody_comes_back_into_a_vault_who_is_none_of_it` notices.
        if !self.data.vault || (here.is_empty() && !keeps_role(&self.data, account)) {
            return Ok(false);
        }
        // SECURITY: whoever has a device here adds the others itself; `who_has_a_device_in_a_vault_is_let_in_by_nobody`
        // notices.
        for leaf in here {
            if self.is_in_force(leaf)? {
                return Ok(false);
            }
        }
        // SECURITY: a lost device stays out; `a_lost_device_comes_back_into_no_vault` notices.
        self.is_in_force(identity)
    }

    /// Whether the log of a leaf's account has its device in force, by what was confirmed a short while ago.
    fn is_in_force(&self, leaf: &SigningIdentity) -> Result<bool, Refused> {
        let (name, voucher) = self.judge.name_and_voucher(leaf)?;
        match self.judge.directory.standing((&name, voucher), leaf) {
            Standing::Named {
                in_force: true,
                fresh: true,
            } => Ok(true),
            Standing::Named { in_force: true, .. } | Standing::Unknown => {
                let accounts = vec![name.account];
                self.judge.refuse(GroupError::LogsNeeded(accounts))
            }
            _ => Ok(false),
        }
    }

    fn may_remove(&self, sender: &Sender, leaf: u32) -> Result<LeafName, Refused> {
        let actor = self.actor(sender)?;
        let (target, member) = self.member(leaf)?;
        let role = self.data.role(&actor.account);
        // SECURITY: `a_writer_cannot_unshare_a_vault` notices.
        let over = role >= self.data.ruler() && role > self.data.role(&target.account);
        // SECURITY: `a_member_cannot_remove` notices.
        if actor.account == target.account || over {
            return Ok(target);
        }
        let (_, voucher) = self.judge.name_and_voucher(&member.signing_identity)?;
        let directory = &self.judge.directory;
        match directory.standing((&target, voucher), &member.signing_identity) {
            Standing::Named {
                in_force: false, ..
            }
            | Standing::NotInLog
            | Standing::NotVouched
            | Standing::MayNotVouch => Ok(target),
            Standing::Named { fresh: true, .. } => self.judge.refuse(GroupError::RemovedInForce {
                by: actor.account,
                account: target.account,
                device: target.device,
            }),
            // The log may be newer where the commit was made.
            Standing::Named { .. } | Standing::Unknown => self
                .judge
                .refuse(GroupError::LogsNeeded(vec![target.account])),
        }
    }

    fn may_change(
        &self,
        sender: &Sender,
        extensions: &ExtensionList,
        removed: &BTreeSet<AccountId>,
    ) -> Result<GroupData, Refused> {
        let actor = self.actor(sender)?;
        let Ok(new) = GroupData::of(extensions) else {
            return self.judge.refuse(GroupError::NotGenuine {
                what: "the data of the group do not parse".to_owned(),
            });
        };
        // SECURITY: a pair stays the one of these two, and no group becomes one; `a_pair_stays_a_pair` notices.
        let pair = self.data.pair.is_some() || new.pair.is_some();
        if pair && new != self.data {
            return self.judge.forbid(&actor.account, "change a pair");
        }
        // SECURITY: `a_vault_stays_a_vault` notices.
        if self.data.vault != new.vault {
            let what = "make another thing of a vault or group";
            return self.judge.forbid(&actor.account, what);
        }
        let here = self.accounts();
        let role = self.data.role(&actor.account);
        let gone = |account: &AccountId| removed.contains(account) || !here.contains(account);
        let accounts: BTreeSet<_> = self.data.roles.keys().chain(new.roles.keys()).collect();
        let given = accounts.into_iter().any(|account| {
            // Whoever leaves a vault gives its role up first.
            let own = new.vault && *account == actor.account;
            let dropped = (gone(account) || own) && new.role(account) == Role::Member;
            self.data.role(account) != new.role(account) && !dropped
        });
        // SECURITY: `a_role_is_the_owners_to_give` notices.
        if given && role < Role::Owner {
            return self.judge.forbid(&actor.account, "give a role");
        }
        let rest = |data: &GroupData| (data.name.clone(), data.picture.clone(), data.timer);
        // SECURITY: `a_writer_cannot_rename_a_vault` notices.
        if rest(&self.data) != rest(&new) && role < self.data.ruler() {
            return self.judge.forbid(&actor.account, "change the group's data");
        }
        match actor == self.by {
            true => Ok(new),
            false => self.judge.forbid(&actor.account, "propose data"),
        }
    }
}
