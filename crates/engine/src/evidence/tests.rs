//! What each kind of evidence shows, and that a damaged one shows nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "test code"
)]
use super::*;
use keys::account_log::{Authority, DeviceSecrets, Reason, RootSecret, genesis};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use ratchet::{KemPreKey, PreKeyKind, PreKeySigner, SignedPreKey};
use std::path::{Path, PathBuf};

const BORN: u64 = 1_700_002_800;

fn later(hours: u64) -> Timestamp {
    Timestamp::from_secs(BORN + hours * 3600)
}

fn device(seed: u64) -> DeviceSecrets {
    DeviceSecrets::generate(keys::Suite::Hybrid, &mut ChaCha20Rng::seed_from_u64(seed)).unwrap()
}

/// An account of two devices of which the second was revoked; before that, and the devices.
struct Scene {
    first: DeviceSecrets,
    gone: DeviceSecrets,
    two: VerifiedLog,
    log: VerifiedLog,
}

fn scene() -> Scene {
    let root =
        RootSecret::generate(keys::Suite::Hybrid, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let (first, gone) = (device(2), device(3));
    let log = genesis(&root, &first, later(0)).unwrap();
    let by = Authority::Device(&first);
    let two = log.add_device(by, &gone, true, later(1)).unwrap();
    let revoked = two.revoke(by, gone.device_id(), Reason::Stolen, later(2));
    Scene {
        log: revoked.unwrap(),
        first,
        gone,
        two,
    }
}

fn evidence(pinned: &VerifiedLog, shown: Shown) -> Evidence {
    Evidence {
        at: later(3),
        account: *pinned.account_id(),
        pinned: pinned.bytes().to_vec(),
        shown,
    }
}

fn finding(pinned: &VerifiedLog, shown: Shown) -> Finding {
    let evidence = evidence(pinned, shown);
    let again = Evidence::decode(&evidence.encode()).unwrap();
    assert_eq!(again, evidence);
    again.verify().unwrap()
}

fn pre_keys(signer: &DeviceSecrets, of: &DeviceSecrets, expires: Timestamp) -> PreKeys {
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let by = PreKeySigner::Letterlock {
        key: signer.signing(),
        expires,
    };
    let signed = SignedPreKey::generate(1, &by, &mut rng).unwrap();
    let kem = KemPreKey::generate(2, PreKeyKind::LastResortKem, &by, &mut rng).unwrap();
    PreKeys {
        device: *of.device_id(),
        identity: [
            &[0, 0, 0, 7],
            &of.identity().unwrap().public().as_bytes()[..],
        ]
        .concat(),
        signed_ec: signed.public().encode(),
        kem: kem.public().encode(),
    }
}

#[test]
fn logs_are_told_apart() {
    let Scene { log, two, gone, .. } = scene();
    let other = genesis(
        &RootSecret::generate(keys::Suite::Hybrid, &mut ChaCha20Rng::seed_from_u64(50)).unwrap(),
        &device(51),
        later(0),
    );
    let fork = two.revoke(
        Authority::Device(&gone),
        gone.device_id(),
        Reason::Retired,
        later(2),
    );
    let (other, fork) = (other.unwrap(), fork.unwrap());
    let shown = |log: &VerifiedLog| Shown::Log(log.bytes().to_vec());
    assert_eq!(finding(&log, shown(&log)), Finding::Nothing);
    assert_eq!(finding(&two, shown(&log)), Finding::Nothing);
    let rolled_back = Finding::RolledBack { shown: 1, known: 2 };
    assert_eq!(finding(&log, shown(&two)), rolled_back);
    let forked = finding(&log, shown(&fork));
    assert_eq!(forked, Finding::Fork { sequence: 2 });
    assert!(forked.is_signed() && !rolled_back.is_signed());
    let shown_account = *other.account_id();
    let expected = Finding::OtherAccount {
        shown: shown_account,
    };
    assert_eq!(finding(&log, shown(&other)), expected);
    assert_eq!(
        evidence(&log, shown(&other)).shown_account(),
        Some(shown_account)
    );
    let mut bytes = log.bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let not_signed = finding(&two, Shown::Log(bytes));
    assert_eq!(not_signed.name(), "log_not_signed");
    assert_eq!(finding(&two, Shown::Log(b"none".to_vec())), Finding::NoLog);
}

#[test]
fn pre_keys_are_of_the_device_or_not() {
    let Scene {
        two, first, gone, ..
    } = scene();
    let shown = |keys| finding(&two, Shown::PreKeys(keys));
    let of = *gone.device_id();
    assert_eq!(shown(pre_keys(&gone, &gone, later(9))), Finding::Nothing);
    let not_signed = Finding::PreKeysNotSigned { device: of };
    assert_eq!(shown(pre_keys(&first, &gone, later(9))), not_signed);
    let mut swapped = pre_keys(&gone, &gone, later(9));
    swapped.kem = pre_keys(&first, &gone, later(9)).kem;
    assert_eq!(shown(swapped), not_signed);
    let mut other = pre_keys(&gone, &gone, later(9));
    other.identity = pre_keys(&first, &first, later(9)).identity;
    assert_eq!(shown(other), not_signed);
    let expired = Finding::PreKeysExpired { device: of };
    assert_eq!(shown(pre_keys(&gone, &gone, later(2))), expired);
}

#[test]
fn devices_and_silence_are_judged_by_the_log() {
    let Scene {
        two,
        log,
        first,
        gone,
    } = scene();
    let device = *gone.device_id();
    let wrote = Finding::RevokedDeviceWrote {
        device,
        sequence: 2,
    };
    assert_eq!(finding(&log, Shown::LetterOfRevoked(device)), wrote);
    assert_eq!(
        finding(&two, Shown::LetterOfRevoked(device)),
        Finding::Nothing
    );
    let silence = |sequence| Shown::Silence {
        sequence,
        hash: [7; 32],
    };
    let withheld = Finding::Withheld { told: 2, known: 1 };
    assert_eq!(finding(&two, silence(2)), withheld);
    assert_eq!(finding(&two, silence(1)), Finding::Nothing);
    let none = Shown::Certificate {
        device,
        bytes: Vec::new(),
    };
    assert_eq!(finding(&log, none), Finding::NotVouchedFor { device });
    let certificate = Certificate::issue(&two, &first, &device, later(3)).unwrap();
    let shown = |bytes: &[u8]| Shown::Certificate {
        device,
        bytes: bytes.to_vec(),
    };
    assert_eq!(finding(&two, shown(certificate.bytes())), Finding::Nothing);
    // The first device says that it saw another entry than the one that is known.
    let fork = two.revoke(
        Authority::Device(&gone),
        gone.device_id(),
        Reason::Retired,
        later(2),
    );
    let certificate = Certificate::issue(&log, &first, first.device_id(), later(3)).unwrap();
    let forked = finding(&fork.unwrap(), shown(certificate.bytes()));
    assert_eq!(forked, Finding::Fork { sequence: 2 });
}

#[test]
fn evidence_about_nobody_is_refused() {
    let Scene { log, two, .. } = scene();
    let mut made_up = evidence(&log, Shown::Log(two.bytes().to_vec()));
    made_up.account = AccountId::from_bytes([1; 32]);
    let made_up = Evidence::decode(&made_up.encode()).unwrap();
    assert_eq!(
        made_up.verify(),
        Err(EvidenceError::Pinned(LogError::OtherAccount))
    );
    let mut broken = evidence(&log, Shown::Log(two.bytes().to_vec()));
    broken.pinned.truncate(100);
    let broken = Evidence::decode(&broken.encode()).unwrap();
    assert!(matches!(broken.verify(), Err(EvidenceError::Pinned(_))));
}

#[test]
fn a_damaged_file_is_never_a_proof() {
    let evidence = Evidence {
        at: later(3),
        account: AccountId::from_bytes([1; 32]),
        pinned: vec![2; 50],
        shown: Shown::Log(vec![3; 50]),
    };
    let bytes = evidence.encode();
    assert_eq!(Evidence::decode(&bytes), Ok(evidence));
    for end in 0..bytes.len() {
        assert!(Evidence::decode(&bytes[..end]).is_err(), "{end}");
    }
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(Evidence::decode(&changed).is_err(), "{place}");
    }
    assert!(Evidence::decode(&[&bytes[..], &[0]].concat()).is_err());
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/evidence")
}

/// One sample of each kind. Signatures are random, so the samples are kept and not made again.
#[test]
fn seeds_are_read_and_judged() {
    let Scene { log, two, gone, .. } = scene();
    let device = *gone.device_id();
    let samples = [
        ("fork", "fork"),
        ("pre_keys", "pre_keys_not_signed"),
        ("revoked", "revoked_device_wrote"),
        ("certificate", "not_vouched_for"),
        ("silence", "withheld"),
        ("nothing", "nothing"),
    ];
    if std::env::var_os("LETTERLOCK_BLESS").is_some() {
        let fork = two.revoke(
            Authority::Device(&gone),
            gone.device_id(),
            Reason::Retired,
            later(2),
        );
        let fork = fork.unwrap().bytes().to_vec();
        let keys = pre_keys(&scene().first, &gone, later(9));
        let none = Shown::Certificate {
            device,
            bytes: Vec::new(),
        };
        let silence = Shown::Silence {
            sequence: 9,
            hash: [7; 32],
        };
        let made = [
            evidence(&log, Shown::Log(fork)),
            evidence(&two, Shown::PreKeys(keys)),
            evidence(&log, Shown::LetterOfRevoked(device)),
            evidence(&log, none),
            evidence(&two, silence),
            evidence(&two, Shown::Log(log.bytes().to_vec())),
        ];
        std::fs::create_dir_all(folder()).unwrap();
        for ((file, _), evidence) in samples.iter().zip(made) {
            let path = folder().join(file);
            if !path.exists() {
                std::fs::write(path, evidence.encode()).unwrap();
            }
        }
    }
    for (file, name) in samples {
        let bytes = std::fs::read(folder().join(file)).unwrap();
        let evidence = Evidence::decode(&bytes).unwrap();
        assert_eq!(evidence.encode(), bytes);
        assert_eq!(evidence.verify().unwrap().name(), name, "{file}");
    }
}
