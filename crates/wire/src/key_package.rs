//! Key packages: what brings a device into a group, given out once each, as one-time pre-keys are.

use crate::error::{DecodeError, bounded, field, filled};
use crate::limits;
use crate::proto;
use crate::request::{account_id, bytes_of, device_id};
use bytes::Bytes;
use keys::codec::Writer;
use keys::{AccountId, DeviceId, Suite};

/// Publishes key packages. Repeating it adds none again, not even one that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishKeyPackages {
    /// The account.
    pub account: AccountId,
    /// A device of its log.
    pub device: DeviceId,
    /// The suite of the groups that they are for; each suite has a store of its own.
    pub suite: Suite,
    /// Key packages to add: at most [`limits::KEY_PACKAGES`] of at most [`limits::KEY_PACKAGE_BYTES`], as far as
    /// the frame has room.
    pub packages: Vec<Vec<u8>>,
    /// The one that is given out when no other one is left; without it the one before stays.
    pub last_resort: Option<Vec<u8>>,
    /// Whether all that was published of this suite before is dropped, the one of last resort too.
    pub replace: bool,
    /// Hybrid signature of the device over [`publish_key_packages_message`].
    pub signature: Vec<u8>,
}

/// Takes a key package of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchKeyPackage {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// The suite of the groups that it is for.
    pub suite: Suite,
}

/// Asks how many key packages are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPackageCount {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// The suite of the groups that it is for.
    pub suite: Suite,
}

/// A key package, as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackage {
    /// The key package.
    pub package: Vec<u8>,
    /// Whether it is the one of last resort, which others get, too.
    pub last_resort: bool,
}

/// How many key packages are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPackageCounts {
    /// Those that are given out once.
    pub packages: u32,
    /// Whether there is one of last resort.
    pub last_resort: bool,
}

/// What the device's hybrid key signs, under `label::PUBLISH_KEY_PACKAGES`, to publish key packages.
///
/// *Formula*: `account ‖ device ‖ suite 2 ‖ L(packages) ‖ B(last resort) ‖ replace`, where `B(x) = BE4(|x|) ‖ x`, empty where
/// there is none, `L(xs)` is `BE4(count)` and each `B(x)`, and `replace` is one byte.
#[must_use]
pub fn publish_key_packages_message(request: &PublishKeyPackages) -> Vec<u8> {
    let mut out = Writer::new();
    out.array(request.account.as_bytes());
    out.array(request.device.as_bytes());
    out.u16(request.suite.number());
    out.u32(u32::try_from(request.packages.len()).unwrap_or(u32::MAX));
    for package in &request.packages {
        out.bytes(package);
    }
    out.bytes(request.last_resort.as_deref().unwrap_or_default());
    out.u8(u8::from(request.replace));
    out.finish()
}

fn suite(number: u32) -> Result<Suite, DecodeError> {
    let number = u16::try_from(number).ok();
    number
        .and_then(Suite::from_number)
        .ok_or_else(|| field("suite"))
}

impl PublishKeyPackages {
    pub(crate) fn to_proto(&self) -> proto::PublishKeyPackages {
        let packages = self.packages.iter();
        proto::PublishKeyPackages {
            account: bytes_of(self.account.as_bytes()),
            device: bytes_of(self.device.as_bytes()),
            suite: u32::from(self.suite.number()),
            packages: packages.map(|package| bytes_of(package)).collect(),
            last_resort: self
                .last_resort
                .as_deref()
                .map(bytes_of)
                .unwrap_or_default(),
            replace: self.replace,
            signature: bytes_of(&self.signature),
        }
    }

    pub(crate) fn from_proto(request: &proto::PublishKeyPackages) -> Result<Self, DecodeError> {
        if request.packages.len() > limits::KEY_PACKAGES {
            return Err(field("packages"));
        }
        let package = |bytes: &Bytes| filled(bytes, limits::KEY_PACKAGE_BYTES, "packages");
        let last_resort = bounded(
            &request.last_resort,
            limits::KEY_PACKAGE_BYTES,
            "last_resort",
        )?;
        Ok(Self {
            account: account_id(&request.account)?,
            device: device_id(&request.device)?,
            suite: suite(request.suite)?,
            packages: request
                .packages
                .iter()
                .map(package)
                .collect::<Result<_, _>>()?,
            last_resort: Some(last_resort).filter(|package| !package.is_empty()),
            replace: request.replace,
            signature: filled(&request.signature, limits::SIGNATURE_BYTES, "signature")?,
        })
    }
}

impl FetchKeyPackage {
    pub(crate) fn to_proto(self) -> proto::FetchKeyPackage {
        proto::FetchKeyPackage {
            account: bytes_of(self.account.as_bytes()),
            device: bytes_of(self.device.as_bytes()),
            suite: u32::from(self.suite.number()),
        }
    }

    pub(crate) fn from_proto(request: &proto::FetchKeyPackage) -> Result<Self, DecodeError> {
        Ok(Self {
            account: account_id(&request.account)?,
            device: device_id(&request.device)?,
            suite: suite(request.suite)?,
        })
    }
}

impl KeyPackageCount {
    pub(crate) fn to_proto(self) -> proto::KeyPackageCount {
        proto::KeyPackageCount {
            account: bytes_of(self.account.as_bytes()),
            device: bytes_of(self.device.as_bytes()),
            suite: u32::from(self.suite.number()),
        }
    }

    pub(crate) fn from_proto(request: &proto::KeyPackageCount) -> Result<Self, DecodeError> {
        Ok(Self {
            account: account_id(&request.account)?,
            device: device_id(&request.device)?,
            suite: suite(request.suite)?,
        })
    }
}

impl KeyPackage {
    pub(crate) fn to_proto(&self) -> proto::KeyPackage {
        proto::KeyPackage {
            package: bytes_of(&self.package),
            last_resort: self.last_resort,
        }
    }

    pub(crate) fn from_proto(reply: &proto::KeyPackage) -> Result<Self, DecodeError> {
        Ok(Self {
            package: filled(&reply.package, limits::KEY_PACKAGE_BYTES, "package")?,
            last_resort: reply.last_resort,
        })
    }
}

impl KeyPackageCounts {
    pub(crate) fn to_proto(self) -> proto::KeyPackageCounts {
        proto::KeyPackageCounts {
            packages: self.packages,
            last_resort: self.last_resort,
        }
    }

    pub(crate) fn from_proto(reply: &proto::KeyPackageCounts) -> Self {
        Self {
            packages: reply.packages,
            last_resort: reply.last_resort,
        }
    }
}
