//! The labels of SPQR in each profile.

use keys::{Label, label};

/// What separates the derivations of SPQR; one set a profile.
#[derive(Debug)]
pub(crate) struct SpqrLabels {
    pub(crate) start: Label,
    pub(crate) next: Label,
    pub(crate) epoch: Label,
    pub(crate) authenticator: Label,
    pub(crate) secret: Label,
    pub(crate) header: Label,
    pub(crate) ciphertext: Label,
    /// Whether bytes after the end of a message are refused.
    pub(crate) strict: bool,
}

/// Of the `signal` profile.
pub(crate) static SIGNAL: SpqrLabels = SpqrLabels {
    start: label::SIGNAL_SPQR_START,
    next: label::SIGNAL_SPQR_NEXT,
    epoch: label::SIGNAL_SPQR_EPOCH,
    authenticator: label::SIGNAL_SPQR_AUTHENTICATOR,
    secret: label::SIGNAL_SPQR_SECRET,
    header: label::SIGNAL_SPQR_HEADER,
    ciphertext: label::SIGNAL_SPQR_CIPHERTEXT,
    strict: false,
};

/// Of the `letterlock` profile.
pub(crate) static LETTERLOCK: SpqrLabels = SpqrLabels {
    start: label::SPQR_START,
    next: label::SPQR_NEXT,
    epoch: label::SPQR_EPOCH,
    authenticator: label::SPQR_AUTHENTICATOR,
    secret: label::SPQR_SECRET,
    header: label::SPQR_HEADER,
    ciphertext: label::SPQR_CIPHERTEXT,
    strict: true,
};
