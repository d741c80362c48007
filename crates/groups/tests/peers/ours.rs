//! A member of `mls-rs` on our provider.

use super::{Change, Member, Received};
use mls_rs::client_builder::{MlsConfig, PaddingMode};
use mls_rs::group::ReceivedMessage;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::{Client, ExtensionList, Group, MlsMessage};
use mls_rs_core::crypto::{CipherSuite, CipherSuiteProvider as _, CryptoProvider};
use mls_rs_core::group::GroupStateStorage as _;

pub(crate) struct Ours<C: MlsConfig> {
    pub(crate) client: Client<C>,
    pub(crate) group: Option<Group<C>>,
}

/// A client with fresh keys.
pub(crate) fn member<P: CryptoProvider + Clone + 'static>(
    provider: P,
    suite: CipherSuite,
    name: &str,
) -> Ours<impl MlsConfig + use<P>> {
    let keys = provider.cipher_suite_provider(suite).unwrap();
    let (secret, public) = keys.signature_key_generate().unwrap();
    let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
    let rules = DefaultMlsRules::new()
        .with_commit_options(CommitOptions::new().with_path_required(true))
        .with_encryption_options(EncryptionOptions::new(true, PaddingMode::None));
    let client = Client::builder()
        .crypto_provider(provider)
        .identity_provider(BasicIdentityProvider::new())
        .mls_rules(rules)
        .signing_identity(SigningIdentity::new(credential, public), secret, suite)
        .build();
    Ours {
        client,
        group: None,
    }
}

impl<C: MlsConfig> Ours<C> {
    pub(crate) fn group(&mut self) -> &mut Group<C> {
        self.group.as_mut().unwrap()
    }

    fn here(&self) -> &Group<C> {
        self.group.as_ref().unwrap()
    }
}

impl<C: MlsConfig> Member for Ours<C> {
    fn key_package(&mut self) -> Vec<u8> {
        let none = ExtensionList::default;
        self.client
            .generate_key_package_message(none(), none(), None)
            .unwrap()
            .to_bytes()
            .unwrap()
    }

    fn create(&mut self) {
        let none = ExtensionList::default;
        self.group = Some(self.client.create_group(none(), none(), None).unwrap());
    }

    fn join(&mut self, welcome: &[u8]) {
        let welcome = MlsMessage::from_bytes(welcome).unwrap();
        self.group = Some(self.client.join_group(None, &welcome, None).unwrap().0);
    }

    fn join_externally(&mut self, group_info: &[u8]) -> Vec<u8> {
        let info = MlsMessage::from_bytes(group_info).unwrap();
        let (group, commit) = self.client.commit_external(info).unwrap();
        self.group = Some(group);
        commit.to_bytes().unwrap()
    }

    fn group_info(&mut self) -> Vec<u8> {
        let info = self.here().group_info_message_allowing_ext_commit(true);
        info.unwrap().to_bytes().unwrap()
    }

    fn commit(&mut self, change: Change) -> (Vec<u8>, Option<Vec<u8>>) {
        let builder = self.group().commit_builder();
        let builder = match change {
            Change::Nothing | Change::Proposed => builder,
            Change::Add(packages) => packages.iter().fold(builder, |builder, package| {
                let package = MlsMessage::from_bytes(package).unwrap();
                builder.add_member(package).unwrap()
            }),
            Change::Remove(leaf) => builder.remove_member(leaf).unwrap(),
        };
        let output = builder.build().unwrap();
        let welcome = output.welcome_messages().first();
        let welcome = welcome.map(|welcome| welcome.to_bytes().unwrap());
        (output.commit_message().to_bytes().unwrap(), welcome)
    }

    fn apply_own(&mut self) {
        self.group().apply_pending_commit().unwrap();
    }

    fn propose_update(&mut self) -> Vec<u8> {
        let proposal = self.group().propose_update(Vec::new()).unwrap();
        proposal.to_bytes().unwrap()
    }

    fn send(&mut self, text: &[u8]) -> Vec<u8> {
        let letter = self.group().encrypt_application_message(text, Vec::new());
        letter.unwrap().to_bytes().unwrap()
    }

    fn receive(&mut self, message: &[u8]) -> Received {
        let message = MlsMessage::from_bytes(message).unwrap();
        match self.group().process_incoming_message(message).unwrap() {
            ReceivedMessage::ApplicationMessage(letter) => Received::Letter(letter.data().to_vec()),
            ReceivedMessage::Proposal(_) => Received::Proposal,
            ReceivedMessage::Commit(_) => Received::Commit,
            other => panic!("{other:?}"),
        }
    }

    fn index(&self) -> u32 {
        self.here().current_member_index()
    }

    fn epoch(&self) -> u64 {
        self.here().current_epoch()
    }

    fn authenticator(&self) -> Vec<u8> {
        self.here().epoch_authenticator().unwrap().to_vec()
    }

    fn members(&self) -> usize {
        self.here().roster().members_iter().count()
    }

    fn save(&mut self) -> Option<usize> {
        self.group().write_to_storage().unwrap();
        let id = self.here().group_id();
        let stored = self.client.group_state_storage().state(id).unwrap();
        stored.map(|stored| stored.len())
    }
}
