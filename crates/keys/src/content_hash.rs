//! BLAKE3 of long contents, in blocks that any thread may hash in any order.
//!
//! *Source*: the BLAKE3 paper, section 2.1: a block of 1 MiB at a multiple of 1 MiB is a whole subtree.

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

/// Bytes of a block; only the last one of a content may have fewer.
pub const BLOCK_LEN: usize = 1 << 20;

/// What a block adds to the hash of its content.
#[derive(Debug, Clone, Copy)]
pub struct BlockHash {
    value: ChainingValue,
    /// The hash of a content that is this block alone.
    alone: [u8; 32],
}

/// Hashes one block: `number` counts from 0. `None`: empty though not the first, longer than [`BLOCK_LEN`], or its
/// number too large.
///
/// An empty content is one empty block.
#[must_use]
pub fn block(number: u64, bytes: &[u8]) -> Option<BlockHash> {
    let offset = number.checked_mul(BLOCK_LEN as u64)?;
    if bytes.len() > BLOCK_LEN || (bytes.is_empty() && number > 0) {
        return None;
    }
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    let alone = match number {
        0 => *hasher.finalize().as_bytes(),
        _ => [0; 32],
    };
    let value = match bytes.is_empty() {
        true => [0; 32],
        false => hasher.finalize_non_root(),
    };
    Some(BlockHash { value, alone })
}

/// Joins the hashes of all blocks, in their order.
#[derive(Debug, Default)]
pub struct ContentHasher {
    count: u64,
    /// Subtrees that are not joined yet, the largest first; the last block is never joined before the end.
    subtrees: Vec<ChainingValue>,
    alone: [u8; 32],
}

impl ContentHasher {
    /// Begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many blocks came.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next block.
    pub fn push(&mut self, block: &BlockHash) {
        // As many subtrees stay as the number of blocks so far has bits that are set.
        while self.subtrees.len() > self.count.count_ones() as usize {
            self.join();
        }
        self.subtrees.push(block.value);
        self.count = self.count.saturating_add(1);
        self.alone = block.alone;
    }

    fn join(&mut self) {
        if let (Some(right), Some(left)) = (self.subtrees.pop(), self.subtrees.pop()) {
            self.subtrees
                .push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }

    /// The hash of the content. `None`: no block came; an empty content is one empty block.
    #[must_use]
    pub fn finish(mut self) -> Option<[u8; 32]> {
        if self.count <= 1 {
            return (self.count == 1).then_some(self.alone);
        }
        while self.subtrees.len() > 2 {
            self.join();
        }
        match self.subtrees.as_slice() {
            [left, right] => Some(*merge_subtrees_root(left, right, Mode::Hash).as_bytes()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    /// The library's own way through the whole content is the second implementation.
    #[test]
    fn blocks_give_the_hash_of_the_whole() {
        let lengths = [0, 1, 1024, 1025, BLOCK_LEN - 1]
            .into_iter()
            .chain((1..9).flat_map(|n| [n * BLOCK_LEN, n * BLOCK_LEN + 1, n * BLOCK_LEN + 1025]));
        let content: Vec<u8> = (0..9 * BLOCK_LEN).map(|i| (i % 251) as u8).collect();
        for length in lengths {
            let content = &content[..length];
            let mut hasher = ContentHasher::new();
            let mut blocks: Vec<&[u8]> = content.chunks(BLOCK_LEN).collect();
            if blocks.is_empty() {
                blocks.push(&[]);
            }
            for (number, bytes) in blocks.iter().enumerate() {
                hasher.push(&block(number as u64, bytes).unwrap());
            }
            let whole = *blake3::hash(content).as_bytes();
            assert_eq!(hasher.finish(), Some(whole), "{length}");
        }
    }

    #[test]
    fn blocks_that_no_content_has_are_refused() {
        assert!(block(0, &[0; BLOCK_LEN + 1]).is_none());
        assert!(block(1, &[]).is_none());
        assert!(block(u64::MAX, &[1]).is_none());
        assert!(ContentHasher::new().finish().is_none());
    }
}
