//! The two profiles of one state machine (docs/spec/ratchet.md, section 6).

use crate::limits;
use crate::spqr::labels::{self, SpqrLabels};
use keys::kem::Kem;
use keys::{Label, label};

/// Which peers a session talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Wire-compatible with libsignal; kept to prove the implementation against an independent one.
    Signal,
    /// Our own.
    Letterlock,
}

/// What differs between the profiles beside code.
pub(crate) struct Parameters {
    pub(crate) first_byte: u8,
    pub(crate) kem: Kem,
    pub(crate) pqxdh: Label,
    pub(crate) root: Label,
    pub(crate) message: Label,
    pub(crate) spqr: &'static SpqrLabels,
    pub(crate) archived: usize,
    pub(crate) archived_seconds: Option<u64>,
}

static SIGNAL: Parameters = Parameters {
    first_byte: 0x44,
    kem: Kem::Kyber1024,
    pqxdh: label::SIGNAL_PQXDH,
    root: label::SIGNAL_ROOT,
    message: label::SIGNAL_MESSAGE,
    spqr: &labels::SIGNAL,
    archived: limits::ARCHIVED_SIGNAL,
    archived_seconds: None,
};

static LETTERLOCK: Parameters = Parameters {
    first_byte: 0xa1,
    kem: Kem::MlKem1024,
    pqxdh: label::PQXDH,
    root: label::ROOT,
    message: label::MESSAGE,
    spqr: &labels::LETTERLOCK,
    archived: limits::ARCHIVED,
    archived_seconds: Some(limits::ARCHIVED_SECONDS),
};

impl Profile {
    pub(crate) fn parameters(self) -> &'static Parameters {
        match self {
            Self::Signal => &SIGNAL,
            Self::Letterlock => &LETTERLOCK,
        }
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Signal => 1,
            Self::Letterlock => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Signal),
            2 => Some(Self::Letterlock),
            _ => None,
        }
    }
}
