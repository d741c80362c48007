//! What the library reads and writes, kept in memory for one call: the caller stores it.

use mls_rs_core::group::{EpochRecord, GroupState, GroupStateStorage};
use mls_rs_core::key_package::{KeyPackageData, KeyPackageStorage};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

#[derive(Default)]
struct Kept {
    state: Option<Zeroizing<Vec<u8>>>,
    packages: BTreeMap<Vec<u8>, KeyPackageData>,
}

/// One group's state, and the private halves of key packages.
#[derive(Clone, Default)]
pub(crate) struct Storage(Arc<Mutex<Kept>>);

impl Storage {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_state(state: Zeroizing<Vec<u8>>) -> Self {
        let storage = Self::default();
        storage.put_state(state);
        storage
    }

    pub(crate) fn put_state(&self, state: Zeroizing<Vec<u8>>) {
        self.lock().state = Some(state);
    }

    pub(crate) fn take_state(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.lock().state.take()
    }

    pub(crate) fn take_packages(&self) -> BTreeMap<Vec<u8>, KeyPackageData> {
        std::mem::take(&mut self.lock().packages)
    }

    pub(crate) fn put_package(&self, id: Vec<u8>, package: KeyPackageData) {
        self.lock().packages.insert(id, package);
    }
}

impl GroupStateStorage for Storage {
    type Error = Infallible;

    fn state(&self, _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.lock().state.clone())
    }

    /// Past epochs are not kept: a relay that is honest delivers each message within its epoch.
    fn epoch(&self, _: &[u8], _: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }

    fn write(
        &mut self,
        state: GroupState,
        _: Vec<EpochRecord>,
        _: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        self.lock().state = Some(state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

impl KeyPackageStorage for Storage {
    type Error = Infallible;

    /// The caller decides when a key package is used up.
    fn delete(&mut self, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    fn insert(&mut self, id: Vec<u8>, package: KeyPackageData) -> Result<(), Infallible> {
        self.put_package(id, package);
        Ok(())
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, Infallible> {
        Ok(self.lock().packages.get(id).cloned())
    }
}
