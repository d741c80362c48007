//! Every domain-separation label of the project (docs/spec/labels.md).
//!
//! Labels are unique and no label is a prefix of another, so that no two uses of a key can meet.

/// A domain-separation label: ASCII without terminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(&'static str);

impl Label {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        self.0.as_bytes()
    }
}

macro_rules! labels {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        $($(#[doc = $doc])* pub const $name: Label = Label($text);)*
        /// All labels.
        pub const ALL: &[Label] = &[$($name),*];
    };
}

labels! {
    /// PQXDH of the `signal` profile.
    SIGNAL_PQXDH = "WhisperText_X25519_SHA-256_CRYSTALS-KYBER-1024";
    /// Root step of the `signal` profile.
    SIGNAL_ROOT = "WhisperRatchet";
    /// Message keys of the `signal` profile.
    SIGNAL_MESSAGE = "WhisperMessageKeys";
    /// Start of the SPQR chain, `signal` profile; two spaces.
    SIGNAL_SPQR_START = "Signal PQ Ratchet V1 Chain  Start";
    /// Step of the SPQR chain, `signal` profile.
    SIGNAL_SPQR_NEXT = "Signal PQ Ratchet V1 Chain Next";
    /// New epoch of the SPQR chain, `signal` profile.
    SIGNAL_SPQR_EPOCH = "Signal PQ Ratchet V1 Chain Add Epoch";
    /// SPQR authenticator update, `signal` profile.
    SIGNAL_SPQR_AUTHENTICATOR = "Signal_PQCKA_V1_MLKEM768:Authenticator Update";
    /// SPQR epoch secret, `signal` profile.
    SIGNAL_SPQR_SECRET = "Signal_PQCKA_V1_MLKEM768:SCKA Key";
    /// SPQR header MAC, `signal` profile.
    SIGNAL_SPQR_HEADER = "Signal_PQCKA_V1_MLKEM768:ekheader";
    /// SPQR ciphertext MAC, `signal` profile.
    SIGNAL_SPQR_CIPHERTEXT = "Signal_PQCKA_V1_MLKEM768:ciphertext";
    /// PQXDH.
    PQXDH = "letterlock/v1/pqxdh";
    /// Signature of the initiator over the PQXDH transcript.
    INITIATOR = "letterlock/v1/initiator";
    /// Root step.
    ROOT = "letterlock/v1/ratchet/root";
    /// Message keys.
    MESSAGE = "letterlock/v1/ratchet/message";
    /// Associated data of a ratchet message.
    RATCHET_AD = "letterlock/v1/ratchet/ad";
    /// Start of the SPQR chain.
    SPQR_START = "letterlock/v1/spqr/chain/start";
    /// Step of the SPQR chain.
    SPQR_NEXT = "letterlock/v1/spqr/chain/next";
    /// New epoch of the SPQR chain.
    SPQR_EPOCH = "letterlock/v1/spqr/chain/epoch";
    /// SPQR authenticator update.
    SPQR_AUTHENTICATOR = "letterlock/v1/spqr/mlkem768:Authenticator Update";
    /// SPQR epoch secret.
    SPQR_SECRET = "letterlock/v1/spqr/mlkem768:SCKA Key";
    /// SPQR header MAC.
    SPQR_HEADER = "letterlock/v1/spqr/mlkem768:ekheader";
    /// SPQR ciphertext MAC.
    SPQR_CIPHERTEXT = "letterlock/v1/spqr/mlkem768:ciphertext";
    /// Signature of a pre-key.
    PRE_KEY = "letterlock/v1/prekey";
    /// Account id.
    ACCOUNT_ID = "letterlock/v1/account-id";
    /// Hash of an account-log entry.
    LOG_ENTRY_HASH = "letterlock/v1/account-log/hash";
    /// Signature of an account-log entry.
    LOG_ENTRY = "letterlock/v1/account-log/entry";
    /// Signature of a device certificate.
    DEVICE_CERTIFICATE = "letterlock/v1/device-certificate";
    /// Signing key of a recovery secret.
    RECOVERY_SIGNING = "letterlock/v1/recovery/signing";
    /// Envelope key of a recovery secret.
    RECOVERY_ENVELOPE = "letterlock/v1/recovery/envelope";
    /// Key of the head record of a recovery bundle.
    RECOVERY_HEAD = "letterlock/v1/recovery/head";
    /// Hash of a device list.
    DEVICE_LIST = "letterlock/v1/device-list";
    /// Body of a first letter.
    FRONT_DOOR = "letterlock/v1/front-door";
    /// What a device tells another one without a session.
    SIGNED_WORD = "letterlock/v1/signed-word";
    /// Body of a later letter.
    ROUTE = "letterlock/v1/route";
    /// Slot of a body that goes to several devices.
    SLOT = "letterlock/v1/slot";
    /// What shows a relay that a sender is in an epoch of a group.
    GROUP_TOKEN = "letterlock/v1/group/token";
    /// Body of a message of a group.
    GROUP_BODY = "letterlock/v1/group/body";
    /// What tells two branches of a group apart that have the same epoch.
    GROUP_BRANCH = "letterlock/v1/group/branch";
    /// Seed of the key of a leaf in a group of a lower suite than the device's.
    GROUP_LEAF_KEY = "letterlock/v1/group/leaf-key";
    /// A device's word for that key.
    GROUP_LEAF_VOUCHER = "letterlock/v1/group/leaf-voucher";
    /// What hides the messages of an epoch of a group.
    GROUP_ENVELOPE = "letterlock/v1/group/envelope";
    /// Content of a body that goes to several devices.
    CONTENT = "letterlock/v1/content";
    /// Nonce of the redeemer of an invite.
    REDEEM = "letterlock/v1/invite/redeem";
    /// Safety number.
    SAFETY_NUMBER = "letterlock/v1/safety-number";
    /// Subscription to a queue.
    SUBSCRIBE = "letterlock/v1/queue/subscribe";
    /// Deletion of a queue.
    DELETE_QUEUE = "letterlock/v1/queue/delete";
    /// Publication of pre-keys.
    PUBLISH = "letterlock/v1/publish";
    /// Publication of key packages.
    PUBLISH_KEY_PACKAGES = "letterlock/v1/key-packages";
    /// Replacement of a head at the relay.
    PUT_HEAD = "letterlock/v1/head/put";
    /// Deletion of a head at the relay.
    DELETE_HEAD = "letterlock/v1/head/delete";
    /// Making of a lock at the relay.
    PUT_LOCK = "letterlock/v1/lock/put";
    /// Cancellation of a lock that is opening.
    CANCEL_LOCK = "letterlock/v1/lock/cancel";
    /// Deletion of a lock at the relay.
    DELETE_LOCK = "letterlock/v1/lock/delete";
    /// Message between two devices that link.
    LINK_MESSAGE = "letterlock/v1/link/message";
    /// Head of a backup.
    BACKUP = "letterlock/v1/backup";
    /// Part of an archive.
    ARCHIVE = "letterlock/v1/archive";
    /// File key of a sealed file, to a recipient's key.
    SEAL_RECIPIENT = "letterlock/v1/seal/recipient";
    /// File key of a sealed file, under a passphrase.
    SEAL_PASSPHRASE = "letterlock/v1/seal/passphrase";
    /// Keys of a sealed file's header and payload.
    SEAL_KEYS = "letterlock/v1/seal/keys";
    /// Payload of a sealed file.
    SEAL_PAYLOAD = "letterlock/v1/seal/payload";
    /// Signature of a sealed file.
    SEAL_SIGNATURE = "letterlock/v1/seal/signature";
    /// Signature of a vault's root.
    VAULT_ROOT = "letterlock/v1/vault/root";
    /// Keys of a generation of a vault.
    VAULT_KEYS = "letterlock/v1/vault/keys";
    /// Keys of the ids of a vault's objects, and of the cuts in its files.
    VAULT_IDS = "letterlock/v1/vault/ids";
    /// Object of a vault.
    VAULT_OBJECT = "letterlock/v1/vault/object";
    /// Token of a pack of a vault.
    VAULT_TOKEN = "letterlock/v1/vault/token";
    /// Head of a vault.
    VAULT_HEAD = "letterlock/v1/vault/head";
    /// What was written to a mounted vault and is in no version yet.
    VAULT_STAGING = "letterlock/v1/vault/staging";
    /// Contents of an enclosure.
    ENCLOSURE = "letterlock/v1/enclosure";
    /// Key of the profile's database.
    PROFILE = "letterlock/v1/profile";
    /// Sealed secrets of a device.
    SEALED_DEVICE = "letterlock/v1/sealed/device";
    /// Sealed root key.
    SEALED_ROOT = "letterlock/v1/sealed/root";
    /// Queue of a linking.
    LINK_QUEUE = "letterlock/v1/link/queue";
    /// Send token of that queue.
    LINK_SEND = "letterlock/v1/link/send";
    /// Key of the first message of a linking.
    LINK_FIRST = "letterlock/v1/link/first";
    /// PSK of the answer of a linking.
    LINK_PSK = "letterlock/v1/link/psk";
    /// Checksum of a link code.
    LINK_CHECK = "letterlock/v1/link/check";
    /// The new device's commitment to its nonce.
    LINK_COMMITMENT = "letterlock/v1/link/commitment";
    /// Six digits that both devices of a linking show.
    LINK_PAIRING = "letterlock/v1/link/pairing";
    /// Checksum of a recovery sheet.
    SHEET_CHECK = "letterlock/v1/sheet/check";
    /// Seed of a recovery sheet.
    SHEET_SEED = "letterlock/v1/sheet/seed";
    /// Commitment to a share.
    SHARE = "letterlock/v1/share";
    /// A share under the key that only the relay has.
    WRAPPED_SHARE = "letterlock/v1/wrapped-share";
    /// Checksum of a request code.
    REQUEST_CHECK = "letterlock/v1/request/check";
    /// Queue where shares come to whoever asked for recovery.
    REQUEST_QUEUE = "letterlock/v1/request/queue";
    /// Send token of that queue.
    REQUEST_SEND = "letterlock/v1/request/send";
    /// PSK of what comes there.
    REQUEST_PSK = "letterlock/v1/request/psk";
    /// A guardian's share on its way to whoever asked for recovery.
    APPROVAL = "letterlock/v1/approval";
    /// Commitment to the initiator's nonce of a SAS.
    SAS_COMMITMENT = "letterlock/v1/sas/commitment";
    /// Short authentication string.
    SAS_CODE = "letterlock/v1/sas/code";
    /// Hash of a root key in a verification code.
    VERIFY_ROOT = "letterlock/v1/verify/root";
    /// Queue of whoever gives by code.
    GIVE_QUEUE = "letterlock/v1/give/queue";
    /// Send token of that queue.
    GIVE_SEND = "letterlock/v1/give/send";
    /// Password of the SPAKE2 exchange of a code.
    GIVE_PASSWORD = "letterlock/v1/give/password";
    /// Whoever takes, in that exchange.
    GIVE_TAKER = "letterlock/v1/give/taker";
    /// Whoever gives, in that exchange.
    GIVE_GIVER = "letterlock/v1/give/giver";
    /// All that both said before they confirm.
    GIVE_TRANSCRIPT = "letterlock/v1/give/transcript";
    /// Keys of a transfer by code.
    GIVE_KEYS = "letterlock/v1/give/keys";
    /// What both tell each other under these keys.
    GIVE_WORD = "letterlock/v1/give/word";
    /// Name of the state of a transfer that was begun.
    GIVE_STATE = "letterlock/v1/give/state";
    /// Id of what a link leads to.
    GIVE_LINK_BLOB = "letterlock/v1/give/link/blob";
    /// Read token of it.
    GIVE_LINK_READ = "letterlock/v1/give/link/read";
    /// Seed of the key that it is sealed to.
    GIVE_LINK_RECIPIENT = "letterlock/v1/give/link/recipient";
    /// Queue of whoever gives by link.
    GIVE_LINK_QUEUE = "letterlock/v1/give/link/queue";
    /// Send token of that queue, of a link.
    GIVE_LINK_SEND = "letterlock/v1/give/link/send";
    /// Key of what whoever takes by link says.
    GIVE_LINK_TAKER = "letterlock/v1/give/link/taker";
    /// Key of what whoever gives by link says.
    GIVE_LINK_GIVER = "letterlock/v1/give/link/giver";
    /// Name of the state of a transfer by link.
    GIVE_LINK_STATE = "letterlock/v1/give/link/state";
    /// Checksum of a link to what is given.
    GIVE_LINK_CHECK = "letterlock/v1/give/link/check";
    /// File key of an age file, to a key of X-Wing.
    AGE_HYBRID = "age-encryption.org/mlkem768x25519";
    /// File key of an age file, to an X25519 key.
    AGE_X25519 = "age-encryption.org/v1/X25519";
    /// File key of an age file, under a passphrase.
    AGE_SCRYPT = "age-encryption.org/v1/scrypt";
    /// File key of an age file, to an Ed25519 key of SSH.
    AGE_SSH_ED25519 = "age-encryption.org/v1/ssh-ed25519";
    /// File key of an age file, to an RSA key of SSH.
    AGE_SSH_RSA = "age-encryption.org/v1/ssh-rsa";
    /// Key of the MAC of an age file's header.
    AGE_HEADER = "header";
    /// Key of an age file's payload.
    AGE_PAYLOAD = "payload";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_lists_every_label() {
        let page = include_str!("../../../docs/spec/labels.md");
        for label in ALL {
            assert!(page.contains(&format!("`{}`", label.0)), "{label:?}");
        }
    }

    #[test]
    fn labels_are_unique_and_prefix_free() {
        for (place, label) in ALL.iter().enumerate() {
            for (other_place, other) in ALL.iter().enumerate() {
                assert!(
                    place == other_place || !other.as_bytes().starts_with(label.as_bytes()),
                    "{label:?} is a prefix of {other:?}"
                );
            }
        }
    }
}
