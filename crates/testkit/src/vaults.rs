//! Vaults: people, keys and versions. What a version holds is for others to test.

#![expect(
    clippy::panic,
    reason = "a world that is asked for the impossible ends its test"
)]

use crate::world::World;
use engine::records::VaultRecord;
use engine::{CommandOutcome, Engine, EngineError, Input, Role, VaultVersion};
use keys::vault::GenerationKeys;
use keys::vault_root::{ObjectRef, RootBody, RootHash, VaultRoot};
use keys::{AccountId, BlobId, GroupId, Secret, ed25519};
use wire::{Reply, Request};

impl World {
    /// Makes a vault.
    pub fn create_vault(&mut self, name: &str, vault_name: &str) -> GroupId {
        let vault = GroupId::random(self.chance().rng());
        let vault_name = vault_name.to_owned();
        let made = self.command(name, |command| Input::CreateVault {
            command,
            vault,
            name: vault_name,
        });
        done(made).unwrap_or_else(|error| panic!("{name}: {error}"));
        self.settle();
        vault
    }

    /// Lets people into a vault, or gives them another role.
    ///
    /// # Errors
    /// As the command ends.
    pub fn share_vault(
        &mut self,
        name: &str,
        vault: GroupId,
        others: &[&str],
        role: Option<Role>,
    ) -> Result<(), EngineError> {
        let accounts = self.accounts(name, others);
        done(self.command(name, |command| Input::ShareVault {
            command,
            vault,
            accounts,
            role,
        }))
    }

    /// Puts people out of a vault.
    ///
    /// # Errors
    /// As the command ends.
    pub fn unshare_vault(
        &mut self,
        name: &str,
        vault: GroupId,
        others: &[&str],
    ) -> Result<(), EngineError> {
        let accounts = self.accounts(name, others);
        done(self.command(name, |command| Input::UnshareVault {
            command,
            vault,
            accounts,
        }))
    }

    fn accounts(&self, name: &str, others: &[&str]) -> Vec<AccountId> {
        // Of some there is only what others see of them.
        let accounts = others.iter().flat_map(|other| match self.has(other) {
            true => vec![self.account(other)],
            false => self.contacts_of(name, &[other]),
        });
        accounts.collect()
    }

    /// What somebody keeps of a vault.
    #[must_use]
    pub fn vault(&self, name: &str, vault: GroupId) -> Option<VaultRecord> {
        let store = &self.person(name).store;
        Engine.vault(store, &vault).unwrap_or_default()
    }

    /// The keys of a vault that somebody has, generation 1 first.
    #[must_use]
    pub fn vault_keys(&self, name: &str, vault: GroupId) -> Vec<Vec<u8>> {
        let Some(record) = self.vault(name, vault) else {
            return Vec::new();
        };
        let keys = (1..=record.generation()).filter_map(|generation| record.key(generation));
        keys.map(|key| key.expose_secret().to_vec()).collect()
    }

    /// A version of a vault as somebody's device would write it next: what it holds is a number.
    #[must_use]
    pub fn next_root(
        &self,
        name: &str,
        vault: GroupId,
        before: Option<&VaultRoot>,
        holds: u8,
    ) -> RootBody {
        let object = |byte| ObjectRef {
            id: [byte; 32],
            generation: 1,
            pack: BlobId::from_bytes([byte; 16]),
            offset: 0,
            length: 256,
        };
        let generation = match before {
            Some(before) if before.body.closed => before.body.generation.saturating_add(1),
            Some(before) => before.body.generation,
            None => 1,
        };
        RootBody {
            vault,
            generation,
            counter: before.map_or(1, |before| before.body.counter.saturating_add(1)),
            previous: before.map_or(RootHash::NONE, VaultRoot::hash),
            previous_root: before.map_or(ObjectRef::NONE, |_| object(200)),
            directory: object(holds),
            time: self.now().as_secs(),
            account: self.account(name),
            device: self.device(name),
            closed: false,
        }
    }

    /// Signs a version.
    ///
    /// # Errors
    /// As the engine says.
    pub fn sign_root(&mut self, name: &str, body: RootBody) -> Result<VaultRoot, EngineError> {
        let store = self.person(name).store.clone();
        let rng = self.chance().rng();
        let signature = Engine.sign_vault_root(&store, &body.vault, &body.encode(), rng)?;
        Ok(VaultRoot { body, signature })
    }

    /// Makes a version the newest one; `previous` is the version of the head that the relay has.
    ///
    /// # Errors
    /// As the command ends.
    pub fn publish_root(
        &mut self,
        name: &str,
        root: &VaultRoot,
        previous: u64,
    ) -> Result<(), EngineError> {
        let head = VaultVersion {
            generation: root.body.generation,
            version: previous.saturating_add(1),
            previous,
            body: root.encode(),
        };
        done(self.command(name, |command| Input::PublishVault {
            command,
            vault: root.body.vault,
            head,
            root: root.encode(),
        }))
    }

    /// Writes the next version of a vault behind one that is known, and everybody hears of it.
    pub fn write_vault(
        &mut self,
        name: &str,
        vault: GroupId,
        before: Option<&VaultRoot>,
        holds: u8,
    ) -> VaultRoot {
        let body = self.next_root(name, vault, before, holds);
        let root = self.sign_root(name, body);
        let root = root.unwrap_or_else(|error| panic!("{name}: {error}"));
        let known = match self.fetch_head(name, vault, root.body.generation) {
            Ok((version, _)) => version,
            Err(_) => 0,
        };
        let published = self.publish_root(name, &root, known);
        published.unwrap_or_else(|error| panic!("{name}: {error}"));
        self.settle();
        root
    }

    /// Asks the relay for the head of a generation: its version, and what is in it.
    ///
    /// # Errors
    /// As the command ends.
    pub fn fetch_head(
        &mut self,
        name: &str,
        vault: GroupId,
        generation: u32,
    ) -> Result<(u64, Vec<u8>), EngineError> {
        match self.command(name, |command| Input::FetchVaultHead {
            command,
            vault,
            generation,
        }) {
            CommandOutcome::VaultHead { version, body } => Ok((version, body)),
            CommandOutcome::Failed(error) => Err(error),
            other => panic!("a head came as {other:?}"),
        }
    }

    fn head_keys(&self, name: &str, vault: GroupId, generation: u32) -> GenerationKeys {
        let record = self.vault(name, vault);
        let key = record.as_ref().and_then(|record| record.key(generation));
        let key = key.unwrap_or_else(|| panic!("{name} has no key"));
        GenerationKeys::derive(key, &vault)
    }

    /// Somebody's program writes a head by itself, with the key that every member has. Nothing: the relay reads no such
    /// request.
    pub fn spoil_head(
        &mut self,
        name: &str,
        (vault, generation): (GroupId, u32),
        (previous, version): (u64, u64),
        body: &[u8],
    ) -> Option<Reply> {
        let keys = self.head_keys(name, vault, generation);
        let wire::Head {
            public_key,
            version,
            previous,
            body,
            signature,
        } = signed_head(&keys, (previous, version), body);
        let put = wire::PutHead {
            public_key,
            version,
            previous,
            body,
            signature,
        };
        let now = self.now();
        self.relay().ask(Request::PutHead(put), now)
    }

    /// Somebody's program deletes a head.
    pub fn delete_head(
        &mut self,
        name: &str,
        (vault, generation): (GroupId, u32),
        version: u64,
    ) -> Option<Reply> {
        let keys = self.head_keys(name, vault, generation);
        let public_key = keys.head_public();
        let message = wire::delete_head_message(&public_key, version);
        let delete = wire::DeleteHead {
            public_key,
            version,
            signature: ed25519::sign(keys.head_seed(), &message),
        };
        let now = self.now();
        self.relay().ask(Request::DeleteHead(delete), now)
    }

    /// The relay holds a head at its last version: what an older one took.
    pub fn exhaust_head(&mut self, name: &str, vault: GroupId, generation: u32) {
        let keys = self.head_keys(name, vault, generation);
        let head = signed_head(&keys, (1, wire::limits::HEAD_VERSION), b"last");
        let id = wire::head_id(&head.public_key);
        self.relay().store_mut().set_head(id, Some(head));
    }

    /// Has somebody judge versions, newest first.
    ///
    /// # Errors
    /// As the command ends.
    pub fn check_roots(
        &mut self,
        name: &str,
        vault: GroupId,
        generation: u32,
        roots: &[&VaultRoot],
    ) -> Result<(), EngineError> {
        let roots = roots.iter().map(|root| root.encode()).collect();
        done(self.command(name, |command| Input::CheckVault {
            command,
            vault,
            generation,
            roots,
        }))
    }

    /// Somebody takes what the relay shows.
    ///
    /// # Errors
    /// As the command ends.
    pub fn accept_root(
        &mut self,
        name: &str,
        vault: GroupId,
        root: &VaultRoot,
    ) -> Result<(), EngineError> {
        let (generation, root) = (root.body.generation, root.encode());
        done(self.command(name, |command| Input::AcceptVault {
            command,
            vault,
            generation,
            root,
        }))
    }
}

fn signed_head(keys: &GenerationKeys, (previous, version): (u64, u64), body: &[u8]) -> wire::Head {
    let public_key = keys.head_public();
    let message = wire::put_head_message(&public_key, version, previous, body);
    wire::Head {
        public_key,
        version,
        previous,
        body: body.to_vec(),
        signature: ed25519::sign(keys.head_seed(), &message),
    }
}

/// The head that somebody with a generation's key can write, whatever is in it; nothing: this is no such key, or no id of a
/// vault.
#[must_use]
pub fn head_of_anybody(
    key: &[u8],
    vault: &str,
    versions: (u64, u64),
    body: &[u8],
) -> Option<wire::Head> {
    let keys = GenerationKeys::derive(&Secret::from_slice(key)?, &GroupId::from_text(vault)?);
    Some(signed_head(&keys, versions, body))
}

fn done(outcome: CommandOutcome) -> Result<(), EngineError> {
    match outcome {
        CommandOutcome::Done => Ok(()),
        CommandOutcome::Failed(error) => Err(error),
        other => panic!("a command for a vault ended as {other:?}"),
    }
}
