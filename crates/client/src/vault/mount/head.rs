//! What the head of a file on this machine's disk says: what it is besides its bytes, and how far it was written.

use keys::codec::{Reader, Writer};
use seal::vault::Meta;

/// Bytes of a head before it is sealed.
pub(super) const HEAD: usize = 86;

/// What a file is besides its bytes.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) size: u64,
    /// As far as the version that is written over counts.
    pub(super) below: u64,
    pub(super) meta: Meta,
    pub(super) wrote: Wrote,
}

/// How far a file was written.
#[derive(Clone, Copy, Default)]
pub(super) struct Wrote {
    /// The last turn of a block.
    pub(super) turn: u64,
    /// The last one that was waited for.
    pub(super) synced: u64,
    /// While the machine was up for this time.
    pub(super) boot: [u8; 16],
    /// Bytes of the file, of those that are not cut off next.
    pub(super) length: u64,
    /// Those of them that were waited for.
    pub(super) kept: u64,
}

impl Wrote {
    /// Whether power may have been lost since, of a machine that is up for the time `boot`.
    pub(super) fn was_lost(&self, boot: [u8; 16]) -> bool {
        self.boot != boot || boot == [0; 16]
    }
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.number);
        out.u64(self.size);
        out.u64(self.below);
        out.u64(self.wrote.turn);
        out.u64(self.wrote.synced);
        out.array(&self.wrote.boot);
        out.u64(self.wrote.length);
        out.u64(self.wrote.kept);
        out.u16(self.meta.mode);
        out.array(&self.meta.modified.0.to_be_bytes());
        out.u32(self.meta.modified.1);
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        let head = Self {
            number: input.u64().ok()?,
            size: input.u64().ok()?,
            below: input.u64().ok()?,
            wrote: Wrote {
                turn: input.u64().ok()?,
                synced: input.u64().ok()?,
                boot: input.array().ok()?,
                length: input.u64().ok()?,
                kept: input.u64().ok()?,
            },
            meta: Meta {
                mode: input.u16().ok()?,
                modified: (i64::from_be_bytes(input.array().ok()?), input.u32().ok()?),
            },
        };
        input.finish().ok()?;
        Some(head)
    }
}

/// Whether bytes are a head, which is written as the same bytes again.
#[cfg(any(test, feature = "conformance"))]
pub(super) fn is_head(bytes: &[u8]) -> Option<bool> {
    Some(Head::decode(bytes)?.encode() == bytes)
}
