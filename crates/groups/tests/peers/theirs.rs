//! A member of openmls on its provider of RustCrypto, the one that speaks our suites.

use super::{Change, Member, Received};
use mls_rs_core::crypto::CipherSuite;
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, Capabilities, Ciphersuite, CredentialWithKey, KeyPackage, LeafNodeIndex,
    LeafNodeParameters, MlsGroup, MlsGroupCreateConfig, MlsGroupJoinConfig, MlsMessageBodyIn,
    MlsMessageIn, ProcessedMessageContent, ProtocolVersion, StagedWelcome,
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

/// A signing key that the provider of openmls signs with.
struct Key {
    provider: OpenMlsRustCrypto,
    scheme: SignatureScheme,
    secret: Vec<u8>,
}

impl Signer for Key {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        let crypto = self.provider.crypto();
        crypto
            .sign(self.scheme, payload, &self.secret)
            .map_err(SignerError::CryptoError)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

pub(crate) struct Theirs {
    pub(crate) provider: OpenMlsRustCrypto,
    suite: Ciphersuite,
    key: Key,
    credential: CredentialWithKey,
    pub(crate) group: Option<MlsGroup>,
}

pub(crate) fn member(suite: CipherSuite, name: &str) -> Theirs {
    let suite = Ciphersuite::try_from(suite.raw_value()).unwrap();
    let provider = OpenMlsRustCrypto::default();
    let scheme = suite.signature_algorithm();
    let (secret, public) = provider.crypto().signature_key_gen(scheme).unwrap();
    let credential = CredentialWithKey {
        credential: BasicCredential::new(name.as_bytes().to_vec()).into(),
        signature_key: public.into(),
    };
    let key = Key {
        provider: OpenMlsRustCrypto::default(),
        scheme,
        secret,
    };
    Theirs {
        provider,
        suite,
        key,
        credential,
        group: None,
    }
}

impl Theirs {
    /// The draft's suites stand in no default of theirs without a feature that pulls in a database.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(None, Some(&[self.suite]), None, None, None)
    }

    fn join_config() -> MlsGroupJoinConfig {
        MlsGroupJoinConfig::builder()
            .use_ratchet_tree_extension(true)
            .build()
    }

    fn leaf_parameters(&self) -> LeafNodeParameters {
        LeafNodeParameters::builder()
            .with_capabilities(self.capabilities())
            .build()
    }

    fn here(&self) -> &MlsGroup {
        self.group.as_ref().unwrap()
    }

    fn body(message: &[u8]) -> MlsMessageBodyIn {
        let message = MlsMessageIn::tls_deserialize_exact(message).unwrap();
        message.extract()
    }
}

impl Member for Theirs {
    fn key_package(&mut self) -> Vec<u8> {
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(self.capabilities())
            .build(
                self.suite,
                &self.provider,
                &self.key,
                self.credential.clone(),
            )
            .unwrap();
        let message = openmls::prelude::MlsMessageOut::from(bundle.into_key_package());
        message.tls_serialize_detached().unwrap()
    }

    fn create(&mut self) {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .capabilities(self.capabilities())
            .use_ratchet_tree_extension(true)
            .build();
        let credential = self.credential.clone();
        self.group = Some(MlsGroup::new(&self.provider, &self.key, &config, credential).unwrap());
    }

    fn join(&mut self, welcome: &[u8]) {
        let MlsMessageBodyIn::Welcome(welcome) = Self::body(welcome) else {
            panic!("not a welcome");
        };
        let config = Self::join_config();
        let staged =
            StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None).unwrap();
        self.group = Some(staged.into_group(&self.provider).unwrap());
    }

    fn join_externally(&mut self, group_info: &[u8]) -> Vec<u8> {
        let MlsMessageBodyIn::GroupInfo(info) = Self::body(group_info) else {
            panic!("not a group info");
        };
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(Self::join_config())
            .build_group(&self.provider, info, self.credential.clone())
            .unwrap()
            .leaf_node_parameters(self.leaf_parameters())
            .load_psks(self.provider.storage())
            .unwrap()
            .build(
                self.provider.rand(),
                self.provider.crypto(),
                &self.key,
                |_| true,
            )
            .unwrap()
            .finalize(&self.provider)
            .unwrap();
        self.group = Some(group);
        bundle.into_commit().tls_serialize_detached().unwrap()
    }

    fn group_info(&mut self) -> Vec<u8> {
        let info = self
            .here()
            .export_group_info(self.provider.crypto(), &self.key, true);
        info.unwrap().tls_serialize_detached().unwrap()
    }

    fn commit(&mut self, change: Change) -> (Vec<u8>, Option<Vec<u8>>) {
        let crypto = self.provider.crypto();
        let read = |package: &Vec<u8>| {
            let MlsMessageBodyIn::KeyPackage(package) = Self::body(package) else {
                panic!("not a key package");
            };
            package.validate(crypto, ProtocolVersion::Mls10).unwrap()
        };
        let added: Vec<KeyPackage> = match &change {
            Change::Add(packages) => packages.iter().map(read).collect(),
            _ => Vec::new(),
        };
        let removed = match change {
            Change::Remove(leaf) => Some(LeafNodeIndex::new(leaf)),
            _ => None,
        };
        let parameters = self.leaf_parameters();
        let bundle = self
            .group
            .as_mut()
            .unwrap()
            .commit_builder()
            .leaf_node_parameters(parameters)
            .force_self_update(true)
            .propose_adds(added)
            .propose_removals(removed)
            .load_psks(self.provider.storage())
            .unwrap()
            .build(
                self.provider.rand(),
                self.provider.crypto(),
                &self.key,
                |_| true,
            )
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        let (commit, welcome, _) = bundle.into_messages();
        let welcome = welcome.map(|welcome| welcome.tls_serialize_detached().unwrap());
        (commit.tls_serialize_detached().unwrap(), welcome)
    }

    fn apply_own(&mut self) {
        let group = self.group.as_mut().unwrap();
        group.merge_pending_commit(&self.provider).unwrap();
    }

    fn propose_update(&mut self) -> Vec<u8> {
        let parameters = self.leaf_parameters();
        let group = self.group.as_mut().unwrap();
        let (proposal, _) = group
            .propose_self_update(&self.provider, &self.key, parameters)
            .unwrap();
        proposal.tls_serialize_detached().unwrap()
    }

    fn send(&mut self, text: &[u8]) -> Vec<u8> {
        let group = self.group.as_mut().unwrap();
        let letter = group.create_message(&self.provider, &self.key, text);
        letter.unwrap().tls_serialize_detached().unwrap()
    }

    fn receive(&mut self, message: &[u8]) -> Received {
        let message = MlsMessageIn::tls_deserialize_exact(message).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let group = self.group.as_mut().unwrap();
        let processed = group.process_message(&self.provider, message).unwrap();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(letter) => {
                Received::Letter(letter.into_bytes())
            }
            ProcessedMessageContent::ProposalMessage(proposal) => {
                let storage = self.provider.storage();
                group.store_pending_proposal(storage, *proposal).unwrap();
                Received::Proposal
            }
            ProcessedMessageContent::StagedCommitMessage(commit) => {
                group.merge_staged_commit(&self.provider, *commit).unwrap();
                Received::Commit
            }
            _ => panic!("nobody proposes from outside"),
        }
    }

    fn index(&self) -> u32 {
        self.here().own_leaf_index().u32()
    }

    fn epoch(&self) -> u64 {
        self.here().epoch().as_u64()
    }

    fn authenticator(&self) -> Vec<u8> {
        self.here().epoch_authenticator().as_slice().to_vec()
    }

    fn members(&self) -> usize {
        self.here().members().count()
    }

    /// Every operation of theirs writes what it changes.
    fn save(&mut self) -> Option<usize> {
        None
    }
}
