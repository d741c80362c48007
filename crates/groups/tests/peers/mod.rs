//! Members of groups: ours (`mls-rs` on our provider) and those of openmls, behind one trait.

pub(crate) mod ours;
pub(crate) mod theirs;

/// What a commit changes.
pub(crate) enum Change {
    /// Only the committer's own path.
    Nothing,
    /// Adds whom these key packages belong to.
    Add(Vec<Vec<u8>>),
    /// Removes a leaf.
    Remove(u32),
    /// What was proposed in this epoch.
    Proposed,
}

/// What a message brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Letter(Vec<u8>),
    Proposal,
    Commit,
}

/// A device in at most one group.
pub(crate) trait Member {
    fn key_package(&mut self) -> Vec<u8>;
    fn create(&mut self);
    fn join(&mut self, welcome: &[u8]);
    /// Joins by a group info: the commit for the others.
    fn join_externally(&mut self, group_info: &[u8]) -> Vec<u8>;
    fn group_info(&mut self) -> Vec<u8>;
    /// Commit and, if somebody is added, welcome. It stays pending.
    fn commit(&mut self, change: Change) -> (Vec<u8>, Option<Vec<u8>>);
    fn apply_own(&mut self);
    fn propose_update(&mut self) -> Vec<u8>;
    fn send(&mut self, text: &[u8]) -> Vec<u8>;
    fn receive(&mut self, message: &[u8]) -> Received;
    fn index(&self) -> u32;
    fn epoch(&self) -> u64;
    fn authenticator(&self) -> Vec<u8>;
    fn members(&self) -> usize;
    /// Writes the group to its store: bytes, where the store counts them.
    fn save(&mut self) -> Option<usize>;
}
