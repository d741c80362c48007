//! `message-protection.json` and `welcome.json`. The library decodes and encodes every message; its keys come from
//! the file, so what opens them is written here.

use super::ReplayError;
use super::facts::{Facts, must};
use super::json::{bytes, small};
use super::labeled::{decrypt, derive, expand, ref_hash, sign, signs};
use super::reader::{Reader, vector};
use super::schedule::{group_context, of_joiner};
use super::secret_tree::{leaf_secret, message_key, sender_data_key};
use crate::group::library::{decode, encode};
use crate::provider::SuiteProvider;
use mls_rs_core::crypto::{CipherSuiteProvider as _, HpkeCiphertext};
use serde_json::Value;

const PUBLIC: u64 = 1;
const PRIVATE: u64 = 2;
const COMMIT: u8 = 3;
/// The recorded messages are of the second of two members.
const SENDER: u32 = 1;

/// Through our groups' decoder and back.
pub(super) fn decodes(facts: &mut Facts, name: &str, message: &[u8]) -> Result<(), ReplayError> {
    let decoded = must(name, decode(message))?;
    facts.same(name, &must(name, encode(&decoded))?, message)
}

struct Keys {
    suite: SuiteProvider,
    context: Vec<u8>,
    group_id: Vec<u8>,
    epoch: u64,
    signature: Vec<u8>,
    membership: Vec<u8>,
    sender_data: Vec<u8>,
    encryption: Vec<u8>,
}

pub(super) fn replay(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let group_id = bytes(case, "group_id")?;
    let epoch = small(case, "epoch")?;
    let keys = Keys {
        context: group_context(&suite, &group_id, epoch, case)?,
        signature: bytes(case, "signature_pub")?,
        membership: bytes(case, "membership_key")?,
        sender_data: bytes(case, "sender_data_secret")?,
        encryption: bytes(case, "encryption_secret")?,
        suite,
        group_id,
        epoch,
    };
    let secret = bytes(case, "signature_priv")?;
    let ours = sign(&keys.suite, &secret, b"FramedContentTBS", b"content")?;
    let good = signs(
        &keys.suite,
        &keys.signature,
        b"FramedContentTBS",
        b"content",
        &ours,
    );
    facts.holds("signature_priv", good)?;
    for (content_type, name) in [(1_u8, "application"), (2, "proposal"), (COMMIT, "commit")] {
        let content = bytes(case, name)?;
        let framed = match name {
            "application" => vector(&content),
            _ => content,
        };
        let field = format!("{name}_priv");
        let message = bytes(case, &field)?;
        decodes(facts, &field, &message)?;
        keys.private(&message, content_type, &framed, facts)
            .map_err(|error| error.at(&field))?;
        if name == "application" {
            continue;
        }
        let field = format!("{name}_pub");
        let message = bytes(case, &field)?;
        decodes(facts, &field, &message)?;
        keys.public(&message, content_type, &framed, facts)
            .map_err(|error| error.at(&field))?;
    }
    Ok(())
}

impl Keys {
    /// Version and wire format, group and epoch.
    fn head(
        &self,
        reader: &mut Reader<'_>,
        wire_format: u64,
        facts: &mut Facts,
    ) -> Result<(), ReplayError> {
        facts.equal("version", &reader.number(2)?, &1)?;
        facts.equal("wire format", &reader.number(2)?, &wire_format)?;
        Ok(())
    }

    fn group(&self, reader: &mut Reader<'_>, facts: &mut Facts) -> Result<(), ReplayError> {
        facts.same("group_id", reader.vector()?, &self.group_id)?;
        facts.equal("epoch", &reader.number(8)?, &self.epoch)
    }

    /// Signature and, of a commit, confirmation tag (RFC 9420, section 6.1); returns both as they stand.
    fn authentication<'a>(
        &self,
        reader: &mut Reader<'a>,
        content_type: u8,
        signed: &[u8],
        facts: &mut Facts,
    ) -> Result<&'a [u8], ReplayError> {
        let start = *reader;
        let signature = reader.vector()?;
        let signed = [signed, &self.context].concat();
        let good = signs(
            &self.suite,
            &self.signature,
            b"FramedContentTBS",
            &signed,
            signature,
        );
        facts.holds("signature", good)?;
        if content_type == COMMIT {
            reader.vector()?;
        }
        Ok(reader.since(start))
    }

    /// RFC 9420, section 6.2.
    fn public(
        &self,
        message: &[u8],
        content_type: u8,
        content: &[u8],
        facts: &mut Facts,
    ) -> Result<(), ReplayError> {
        let mut reader = Reader(message);
        let start = reader;
        self.head(&mut reader, PUBLIC, facts)?;
        self.group(&mut reader, facts)?;
        facts.equal("sender type", &reader.number(1)?, &1)?;
        facts.equal("sender", &reader.number(4)?, &u64::from(SENDER))?;
        reader.vector()?;
        facts.equal("content type", &reader.number(1)?, &u64::from(content_type))?;
        facts.same("content", reader.take(content.len())?, content)?;
        let signed = reader.since(start);
        let authentication = self.authentication(&mut reader, content_type, signed, facts)?;
        let covered = [signed, &self.context, authentication].concat();
        let tag = must("mac", self.suite.mac(&self.membership, &covered))?;
        facts.same("membership tag", reader.vector()?, &tag)?;
        facts.holds("end", reader.0.is_empty())
    }

    /// RFC 9420, section 6.3.
    fn private(
        &self,
        message: &[u8],
        content_type: u8,
        content: &[u8],
        facts: &mut Facts,
    ) -> Result<(), ReplayError> {
        let mut reader = Reader(message);
        self.head(&mut reader, PRIVATE, facts)?;
        let start = reader;
        self.group(&mut reader, facts)?;
        facts.equal("content type", &reader.number(1)?, &u64::from(content_type))?;
        let sender_data_aad = reader.since(start);
        let authenticated_data = reader.vector()?;
        let content_aad = reader.since(start);
        let sender_data = reader.vector()?;
        let ciphertext = reader.vector()?;
        facts.holds("end", reader.0.is_empty())?;

        let (key, nonce) = sender_data_key(&self.suite, &self.sender_data, ciphertext)?;
        let opened = self
            .suite
            .aead_open(&key, sender_data, Some(sender_data_aad), &nonce);
        let opened = must("sender data", opened)?;
        let mut opened = Reader(&opened);
        facts.equal("sender", &opened.number(4)?, &u64::from(SENDER))?;
        let generation = must("generation", u32::try_from(opened.number(4)?))?;
        let guard = opened.take(4)?;

        let secret = leaf_secret(&self.suite, &self.encryption, 2, SENDER)?;
        let ratchet = if content_type == 1 {
            &b"application"[..]
        } else {
            b"handshake"
        };
        let (key, mut nonce) = message_key(&self.suite, &secret, ratchet, generation)?;
        for (byte, guard) in nonce.iter_mut().zip(guard) {
            *byte ^= guard;
        }
        let opened = self
            .suite
            .aead_open(&key, ciphertext, Some(content_aad), &nonce);
        let opened = must("ciphertext", opened)?;
        let mut opened = Reader(&opened);
        facts.same("content", opened.take(content.len())?, content)?;
        let signed = [
            &1_u16.to_be_bytes()[..],
            &2_u16.to_be_bytes(),
            &vector(&self.group_id),
            &self.epoch.to_be_bytes(),
            &[1],
            &SENDER.to_be_bytes(),
            &vector(authenticated_data),
            &[content_type],
            content,
        ]
        .concat();
        self.authentication(&mut opened, content_type, &signed, facts)?;
        facts.holds("padding", opened.0.iter().all(|byte| *byte == 0))
    }
}

/// RFC 9420, section 12.4.3.1, up to where the ratchet tree would be needed.
pub(super) fn welcome(case: &Value, facts: &mut Facts) -> Result<(), ReplayError> {
    let Some(suite) = facts.suite(case)? else {
        return Ok(());
    };
    let (welcome, package) = (bytes(case, "welcome")?, bytes(case, "key_package")?);
    decodes(facts, "welcome", &welcome)?;
    decodes(facts, "key_package", &package)?;
    let mut package = Reader(&package);
    package.take(4)?;
    let reference = ref_hash(&suite, b"MLS 1.0 KeyPackage Reference", package.0)?;
    package.take(4)?;
    let init_public = package.vector()?;

    let mut reader = Reader(&welcome);
    reader.take(6)?;
    let mut secrets = Reader(reader.vector()?);
    let group_info = reader.vector()?;
    let mut sealed = None;
    while !secrets.0.is_empty() {
        let member = secrets.vector()?;
        let ciphertext = HpkeCiphertext {
            kem_output: secrets.vector()?.to_vec(),
            ciphertext: secrets.vector()?.to_vec(),
        };
        if member == reference {
            sealed = Some(ciphertext);
        }
    }
    let sealed = sealed.ok_or_else(|| ReplayError::new("not for this key package"))?;
    let init = bytes(case, "init_priv")?;
    let opened = decrypt(
        &suite,
        (&init, init_public),
        (b"Welcome", group_info),
        &sealed,
    )?;
    let joiner = Reader(&opened).vector()?;

    // A file of vectors has no pre-shared keys here.
    let zero = vec![0; suite.kdf_extract_size()];
    let (_, welcome_secret) = of_joiner(&suite, joiner, &zero, &[])?;
    let key = expand(&suite, &welcome_secret, b"key", &[], suite.aead_key_size())?;
    let nonce = expand(
        &suite,
        &welcome_secret,
        b"nonce",
        &[],
        suite.aead_nonce_size(),
    )?;
    let group_info = must(
        "group info",
        suite.aead_open(&key, group_info, None, &nonce),
    )?;
    let mut reader = Reader(&group_info);
    let start = reader;
    reader.take(4)?;
    reader.vector()?;
    reader.take(8)?;
    reader.vector()?;
    let transcript_hash = reader.vector()?;
    reader.vector()?;
    let context = reader.since(start);
    reader.vector()?;
    let tag = reader.vector()?;
    reader.take(4)?;
    let signed = reader.since(start);
    let signature = reader.vector()?;
    let signer = bytes(case, "signer_pub")?;
    let good = signs(&suite, &signer, b"GroupInfoTBS", signed, signature);
    facts.holds("signature", good)?;
    let (secret, _) = of_joiner(&suite, joiner, &zero, context)?;
    let confirmation = derive(&suite, &secret, b"confirm")?;
    let ours = must("mac", suite.mac(&confirmation, transcript_hash))?;
    facts.same("confirmation tag", &ours, tag)
}
