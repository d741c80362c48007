//! Vaults: who is in them, what opens them, which version counts. Files are read and written by whoever asks.

use super::Loop;
use super::begin::Begun;
use super::calls::{About, Kind, Pending};
use super::groups::standing;
use crate::api::{Answer, Request};
use crate::failure::failure;
use crate::names;
use crate::os;
use crate::view::{self, Failure, FailureKind, HiddenText};
use data_encoding::HEXLOWER;
use engine::records::{GroupStanding, VaultRecord};
use engine::{Input, Role, Vault, VaultVersion};
use keys::{AccountId, GroupId};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

impl Loop {
    pub(super) fn begin_for_vaults(
        &mut self,
        answers: mpsc::Sender<Answer>,
        request: Request,
    ) -> Begun {
        match request {
            Request::VaultCreate { name } => {
                self.vault_name_is_free(&name, None)?;
                let vault = GroupId::from_bytes(os::random());
                self.vault_command(answers, Some(About::Vault(vault)), |command| {
                    Input::CreateVault {
                        command,
                        vault,
                        name,
                    }
                })
            }
            Request::VaultShare { vault, to, role } => {
                let vault = self.find_vault(&vault)?;
                let accounts = self.find_people(&vault, &to)?;
                let role = role.map(meant);
                self.vault_command(answers, Some(About::Vault(vault)), |command| {
                    Input::ShareVault {
                        command,
                        vault,
                        accounts,
                        role,
                    }
                })
            }
            Request::VaultUnshare { vault, who } => {
                let vault = self.find_vault(&vault)?;
                let accounts = self.find_people(&vault, &who)?;
                self.vault_command(answers, Some(About::Vault(vault)), |command| {
                    Input::UnshareVault {
                        command,
                        vault,
                        accounts,
                    }
                })
            }
            Request::VaultLeave { vault } => {
                let vault = self.find_vault(&vault)?;
                self.vault_command(answers, None, |command| Input::LeaveVault {
                    command,
                    vault,
                })
            }
            Request::VaultRename { vault, name } => {
                let vault = self.find_vault(&vault)?;
                self.vault_name_is_free(&name, Some(&vault))?;
                self.vault_command(answers, Some(About::Vault(vault)), |command| {
                    Input::RenameVault {
                        command,
                        vault,
                        name,
                    }
                })
            }
            Request::VaultList => self.vault_list().map(Some),
            Request::VaultMembers { vault } => {
                let vault = self.find_vault(&vault)?;
                self.vault_members(&vault).map(Some)
            }
            request => self.begin_for_versions(answers, request),
        }
    }

    /// What a face asks that reads and writes the files of a vault.
    fn begin_for_versions(&mut self, answers: mpsc::Sender<Answer>, request: Request) -> Begun {
        match request {
            Request::VaultAccess { vault } => {
                let vault = self.find_vault(&vault)?;
                Ok(Some(vec![self.vault_access(&vault)?]))
            }
            Request::VaultHead { vault, generation } => {
                let vault = self.find_vault(&vault)?;
                self.vault_command(answers, None, |command| Input::FetchVaultHead {
                    command,
                    vault,
                    generation,
                })
            }
            request @ (Request::VaultCheck { .. } | Request::VaultAccept { .. }) => {
                self.begin_to_judge(answers, request)
            }
            Request::VaultSign { vault, body } => {
                let vault = self.find_vault(&vault)?;
                let body = bytes(&body)?;
                let rng = &mut self.rng;
                let signature = self
                    .engine
                    .sign_vault_root(&self.store, &vault, &body, rng)?;
                let signature = HEXLOWER.encode(signature.as_bytes());
                let signed = view::VaultSignature { signature };
                Ok(Some(vec![Answer::VaultSignature(signed)]))
            }
            Request::VaultPublish {
                vault,
                generation,
                version,
                previous,
                body,
                root,
            } => {
                let vault = self.find_vault(&vault)?;
                let root = bytes(&root)?;
                let head = VaultVersion {
                    generation,
                    version,
                    previous,
                    body: bytes(&body)?,
                };
                self.vault_command(answers, Some(About::Version), |command| {
                    Input::PublishVault {
                        command,
                        vault,
                        head,
                        root,
                    }
                })
            }
            Request::VaultCaughtUp => {
                self.own()?;
                self.catch_up(answers);
                Ok(None)
            }
            Request::VaultNewer { vault } => self.vault_newer(answers, &vault),
            request => self.begin_for_letters(answers, request),
        }
    }

    /// What is asked of versions that the relay shows.
    fn begin_to_judge(&mut self, answers: mpsc::Sender<Answer>, request: Request) -> Begun {
        match request {
            Request::VaultCheck {
                vault,
                generation,
                roots,
            } => {
                let vault = self.find_vault(&vault)?;
                let roots = roots.iter().map(|root| bytes(root));
                let roots = roots.collect::<Result<_, _>>()?;
                self.vault_command(answers, None, |command| Input::CheckVault {
                    command,
                    vault,
                    generation,
                    roots,
                })
            }
            Request::VaultAccept {
                vault,
                generation,
                root,
            } => {
                let vault = self.find_vault(&vault)?;
                let root = bytes(&root)?;
                self.vault_command(answers, None, |command| Input::AcceptVault {
                    command,
                    vault,
                    generation,
                    root,
                })
            }
            request => self.begin_for_letters(answers, request),
        }
    }

    fn vault_command(
        &mut self,
        answers: mpsc::Sender<Answer>,
        about: Option<About>,
        input: impl FnOnce(engine::CommandId) -> Input,
    ) -> Begun {
        self.own()?;
        let mut pending = Pending::new(answers, Kind::Command);
        pending.about = about;
        self.command(pending, input)
    }

    /// Tells what is newer than whoever asks may know, now and until it hangs up.
    fn vault_newer(&mut self, answers: mpsc::Sender<Answer>, vault: &str) -> Begun {
        let id = self.find_vault(vault)?;
        if let Some(relay) = &self.own_relay {
            self.relays.connect(relay);
        }
        self.calls.add(Pending::new(answers, Kind::Watch(id)));
        self.tell_newer(&id);
        Ok(None)
    }

    /// A vault has something newer.
    pub(super) fn tell_newer(&self, id: &GroupId) {
        let Ok(Some(record)) = self.engine.vault(&self.store, id) else {
            return;
        };
        let newer = Answer::VaultNewer(view::VaultNewer {
            id: id.to_string(),
            counter: record.newest(),
            generation: record.generation(),
        });
        let watches = |kind: &Kind| matches!(kind, Kind::Watch(watched) if watched == id);
        self.calls.tell(&newer, watches);
    }

    fn vaults(&self) -> Result<Vec<Vault>, Failure> {
        self.own()?;
        Ok(self.engine.vaults(&self.store)?)
    }

    /// Ids and names of vaults, and whether this device is in them.
    fn named_vaults(&self) -> Result<Vec<(GroupId, String, bool)>, Failure> {
        let vaults = self.vaults()?;
        let named = vaults
            .iter()
            .map(|vault| (vault.0.id, name_of(vault).to_owned(), vault.1.is_some()));
        Ok(named.collect())
    }

    /// Whether no other vault has a name.
    fn vault_name_is_free(&self, name: &str, renamed: Option<&GroupId>) -> Result<(), Failure> {
        names::is_free(&self.named_vaults()?, name, renamed, "vault")
    }

    /// Finds the vault that is meant.
    fn find_vault(&self, who: &str) -> Result<GroupId, Failure> {
        let named = self.named_vaults()?;
        let index = names::find_named(&named, who, "vault", "vault list")?;
        let found = named.get(index).map(|(id, ..)| *id);
        found.ok_or_else(|| engine::EngineError::from(engine::VaultError::Unknown).into())
    }

    fn find_people(&self, vault: &GroupId, who: &[String]) -> Result<Vec<AccountId>, Failure> {
        who.iter().map(|who| self.find_member(vault, who)).collect()
    }

    fn vault_list(&self) -> Result<Vec<Answer>, Failure> {
        let mut vaults = self.vaults()?;
        vaults.sort_by(|a, b| name_of(a).cmp(name_of(b)));
        let shown = vaults.iter().map(|vault| self.view_vault(vault));
        shown.collect()
    }

    fn vault(&self, id: &GroupId) -> Result<Vault, Failure> {
        let mut vaults = self.vaults()?.into_iter();
        let found = vaults.find(|(record, _)| record.id == *id);
        found.ok_or_else(|| engine::EngineError::from(engine::VaultError::Unknown).into())
    }

    pub(super) fn vault_members(&self, id: &GroupId) -> Result<Vec<Answer>, Failure> {
        let vault = self.vault(id)?;
        let roles = roles_of(&vault);
        let mut shown = vec![self.view_vault(&vault)?];
        let mut accounts = self.accounts_of(id)?;
        // Who lost all devices is somebody of it all the same.
        for account in roles.keys() {
            accounts.entry(*account).or_default();
        }
        let mut members: Vec<view::VaultMember> = accounts
            .into_iter()
            .map(|(account, devices)| view::VaultMember {
                name: self.member_name(&account),
                account_id: account.to_string(),
                role: role_in(roles, &account),
                devices,
            })
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        shown.extend(members.into_iter().map(Answer::VaultMember));
        Ok(shown)
    }

    fn view_vault(&self, vault: &Vault) -> Result<Answer, Failure> {
        let (own, _) = self.own()?;
        let (record, group) = vault;
        let accounts = self.accounts_of(&record.id)?;
        let state = group.as_ref().map(|group| standing(group.standing));
        Ok(Answer::Vault(view::Vault {
            name: name_of(vault).to_owned(),
            id: record.id.to_string(),
            state: state.unwrap_or(view::GroupState::Out),
            role: role_in(roles_of(vault), &own.id),
            members: u32::try_from(accounts.len()).unwrap_or(u32::MAX),
            devices: accounts.values().sum(),
            generation: record.generation(),
            version: record.pin.map_or(0, |pin| pin.counter),
            stale: record.is_stale(),
            pending: group.as_ref().is_some_and(|group| group.is_busy()),
        }))
    }

    fn vault_access(&mut self, id: &GroupId) -> Result<Answer, Failure> {
        let rng = &mut self.rng;
        let awaits_key = self.engine.vault_awaits_key(&self.store, id, rng)?;
        let (own, _) = self.own()?;
        let vault = self.vault(id)?;
        let record = &vault.0;
        if record.generation() == 0 {
            return Err(engine::EngineError::from(engine::VaultError::NoKey).into());
        }
        let mut devices = self.engine.device_names(&self.store)?.into_iter();
        let device_name = devices.find(|(device, _)| *device == own.device);
        Ok(Answer::VaultAccess(view::VaultAccess {
            name: name_of(&vault).to_owned(),
            id: record.id.to_string(),
            role: role_in(roles_of(&vault), &own.id),
            relay: own.relay,
            account_id: own.id.to_string(),
            device_id: own.device.to_string(),
            account_name: own.name,
            device_name: device_name.map(|(_, name)| name).unwrap_or_default(),
            alone: record.seen.alone,
            keys: keys_of(record),
            pin: record.pin.map(|pin| view::VaultPin {
                counter: pin.counter,
                hash: HEXLOWER.encode(&pin.hash.0),
                root: record
                    .newest_root()
                    .map(|root| HEXLOWER.encode(&root.encode())),
            }),
            awaits_key,
        }))
    }

    /// Why what was asked for a vault is not done, if that is because this device is not in it yet.
    pub(super) fn vault_waits(&self, about: About) -> Option<Failure> {
        let About::Vault(id) = about else {
            return None;
        };
        let group = self.engine.vault_group(&self.store, &id).ok()??;
        let message = "this device is not in the vault yet; what was asked for is done once somebody who is in it has let it in";
        let hint = "revoke the devices that are lost (`letterlock device revoke`); `letterlock receive` waits for whoever is in the vault";
        (group.standing == GroupStanding::Lost)
            .then(|| failure(FailureKind::Unreachable, message, Some(hint)))
    }

    /// What the group of a vault is called.
    pub(super) fn vault_name(&self, id: &GroupId) -> Option<String> {
        let group = self.engine.vault_group(&self.store, id).ok()??;
        Some(group.data.name)
    }
}

fn keys_of(record: &VaultRecord) -> Vec<view::VaultKey> {
    let generations = 1..=record.generation();
    let keys = generations.filter_map(|generation| {
        let key = record.key(generation)?;
        Some(view::VaultKey {
            generation,
            key: HiddenText::from(HEXLOWER.encode(key.expose_secret())),
        })
    });
    keys.collect()
}

fn name_of((record, group): &Vault) -> &str {
    let group = group.as_ref().map(|group| &group.data.name);
    group.unwrap_or(&record.seen.name)
}

fn roles_of((record, group): &Vault) -> &BTreeMap<AccountId, Role> {
    let group = group.as_ref().map(|group| &group.data.roles);
    group.unwrap_or(&record.seen.roles)
}

fn role_in(roles: &BTreeMap<AccountId, Role>, account: &AccountId) -> view::VaultRole {
    match roles.get(account) {
        Some(Role::Owner) => view::VaultRole::Owner,
        Some(Role::Admin) => view::VaultRole::Writer,
        _ => view::VaultRole::Reader,
    }
}

fn meant(role: view::VaultRole) -> Role {
    match role {
        view::VaultRole::Reader => Role::Member,
        view::VaultRole::Writer => Role::Admin,
        view::VaultRole::Owner => Role::Owner,
    }
}

/// Bytes of a request, in hexadecimal.
fn bytes(text: &str) -> Result<Vec<u8>, Failure> {
    let malformed = |_| failure(FailureKind::Usage, "the request is malformed", None);
    HEXLOWER.decode(text.as_bytes()).map_err(malformed)
}
