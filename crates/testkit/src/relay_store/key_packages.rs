//! Key packages.

use super::{RelayStore, no};
use std::collections::{BTreeSet, VecDeque};
use wire::{KeyPackage, KeyPackageCounts, PublishKeyPackages, RefusalKind, Reply};

/// The key packages of a device for groups of one suite.
#[derive(Debug, Clone, Default)]
pub(super) struct Packages {
    once: VecDeque<Vec<u8>>,
    last_resort: Option<Vec<u8>>,
    seen: BTreeSet<[u8; 32]>,
}

impl Packages {
    fn counts(&self) -> Reply {
        Reply::KeyPackageCounts(KeyPackageCounts {
            packages: u32::try_from(self.once.len()).unwrap_or(u32::MAX),
            last_resort: self.last_resort.is_some(),
        })
    }

    /// All that it holds, as one run of bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let all = self.once.iter().chain(&self.last_resort);
        all.flatten().copied().collect()
    }
}

impl RelayStore {
    pub(crate) fn publish_key_packages(&mut self, request: &PublishKeyPackages) -> Reply {
        let account = self.accounts.get(&request.account);
        if !account.is_some_and(|account| account.has_signed_packages(request)) {
            return no(RefusalKind::NotFound);
        }
        let device = (request.account, request.device);
        let packages = self.key_packages.entry(device).or_default();
        let packages = packages.entry(request.suite).or_default();
        if request.replace {
            packages.once.clear();
            packages.last_resort = None;
        }
        for package in &request.packages {
            if packages.seen.insert(keys::sha256(&[package])) {
                packages.once.push_back(package.clone());
            }
        }
        if request.last_resort.is_some() {
            packages.last_resort.clone_from(&request.last_resort);
        }
        packages.counts()
    }

    pub(crate) fn count_key_packages(&self, request: &wire::KeyPackageCount) -> Reply {
        let device = (request.account, request.device);
        let packages = self.key_packages.get(&device);
        let packages = packages.and_then(|packages| packages.get(&request.suite));
        packages.map_or_else(|| no(RefusalKind::NotFound), Packages::counts)
    }

    /// Takes a key package, as `FetchKeyPackage` does.
    pub fn take_key_package(&mut self, of: &wire::FetchKeyPackage) -> Option<KeyPackage> {
        let packages = self.key_packages.get_mut(&(of.account, of.device))?;
        let packages = packages.get_mut(&of.suite)?;
        let once = packages.once.pop_front();
        let last_resort = once.is_none();
        let package = once.or_else(|| packages.last_resort.clone())?;
        Some(KeyPackage {
            package,
            last_resort,
        })
    }
}
