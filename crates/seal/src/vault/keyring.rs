//! The keys of a vault, all generations of them.

use keys::vault::{GenerationKeys, IdKeys};
use keys::{GroupId, Secret};
use std::collections::BTreeMap;

/// What opens a vault, and what new objects are sealed with.
pub struct Keyring {
    vault: GroupId,
    ids: IdKeys,
    generations: BTreeMap<u32, GenerationKeys>,
}

impl Keyring {
    /// Takes the keys of generations; new objects are sealed with the newest. Nothing: that of generation 1, which
    /// names all objects, is missing.
    #[must_use]
    pub fn new<'a>(
        vault: GroupId,
        keys: impl IntoIterator<Item = (u32, &'a Secret<32>)>,
    ) -> Option<Self> {
        let mut ids = None;
        let mut generations = BTreeMap::new();
        for (generation, key) in keys {
            if generation == 1 {
                ids = Some(IdKeys::derive(key, &vault));
            }
            generations.insert(generation, GenerationKeys::derive(key, &vault));
        }
        Some(Self {
            vault,
            ids: ids?,
            generations,
        })
    }

    /// The vault.
    #[must_use]
    pub fn vault(&self) -> &GroupId {
        &self.vault
    }

    /// What names objects and cuts contents.
    #[must_use]
    pub fn ids(&self) -> &IdKeys {
        &self.ids
    }

    /// The keys of a generation.
    #[must_use]
    pub fn generation(&self, generation: u32) -> Option<&GenerationKeys> {
        self.generations.get(&generation)
    }

    /// The newest generation.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.generations.keys().next_back().copied().unwrap_or(0)
    }
}
