//! A real account log, its proposal and a certificate with bytes changed, cut or added: no such thing holds.
#![no_main]

use std::sync::LazyLock;

use keys::account_log::{
    Authority, Certificate, DeviceSecrets, Method, Proposal, Reason, RecoverySecrets,
    RecoveryTerms, RootSecret, UnverifiedLog, VerifiedLog, genesis,
};
use keys::{Secret, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

struct Real {
    device: DeviceSecrets,
    log: VerifiedLog,
    proposal: Vec<u8>,
    certificate: Vec<u8>,
}

/// One entry of every kind but those that end an account.
fn real() -> Result<Real, Box<dyn std::error::Error>> {
    let rng = &mut ChaCha20Rng::from_seed([7; 32]);
    let root = RootSecret::generate(keys::Suite::Hybrid, rng)?;
    let device = DeviceSecrets::generate(keys::Suite::Hybrid, rng)?;
    let other = DeviceSecrets::generate(keys::Suite::Hybrid, rng)?;
    let renewed = other.renewed(keys::Suite::Hybrid, rng)?;
    let secret = Secret::from_slice(&[9; 32]).expect("32 bytes");
    let guardians = RecoverySecrets::derive(keys::Suite::Hybrid, Method::Guardians, &secret)?;
    let terms = RecoveryTerms {
        delay_seconds: 0,
        need: 2,
        commitments: vec![[1; 32], [2; 32]],
    };
    let by = Authority::Device(&device);
    let log = genesis(&root, &device, NOW)?
        .set_recovery(&device, &guardians, &terms, NOW)?
        .add_device(by, &other, true, NOW)?
        .rotate_device(&other, &renewed, NOW)?
        .revoke(by, other.device_id(), Reason::Lost, NOW)?
        .request_recovery(&DeviceSecrets::generate(keys::Suite::Hybrid, rng)?, NOW)?
        .cancel_recovery(&device, NOW)?
        .rotate_root(&root, &RootSecret::generate(keys::Suite::Hybrid, rng)?, NOW)?;
    let proposal = log.propose_add(&DeviceSecrets::generate(keys::Suite::Hybrid, rng)?, true, NOW)?;
    let certificate = Certificate::issue(&log, &device, device.device_id(), NOW)?;
    Ok(Real {
        proposal: proposal.encode(),
        certificate: certificate.bytes().to_vec(),
        device,
        log,
    })
}

static REAL: LazyLock<Real> = LazyLock::new(|| real().expect("a real log"));

fn edited(real: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = real.to_vec();
    for edit in edits.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([edit[0], edit[1]]));
        match bytes.get_mut(place) {
            Some(byte) => *byte ^= edit[2],
            None if place & 1 == 0 => bytes.truncate(place % real.len()),
            None => bytes.push(edit[2]),
        }
    }
    bytes
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, edits)) = data.split_first() else {
        return;
    };
    let real = &*REAL;
    let (same, holds) = match which % 3 {
        0 => {
            let bytes = edited(real.log.bytes(), edits);
            let log = UnverifiedLog::decode(&bytes);
            let account = Some(real.log.account_id());
            let pin = real.log.head();
            let log = log.and_then(|log| log.verify(account, Some(&pin)));
            (bytes == real.log.bytes(), log.is_ok())
        }
        1 => {
            let bytes = edited(&real.proposal, edits);
            let proposal = Proposal::decode(&bytes);
            let by = Authority::Device(&real.device);
            let log = proposal.and_then(|proposal| real.log.accept_add(by, &proposal, NOW));
            (bytes == real.proposal, log.is_ok())
        }
        _ => {
            let bytes = edited(&real.certificate, edits);
            let certificate = Certificate::verify(&bytes, &real.log, NOW);
            (bytes == real.certificate, certificate.is_ok())
        }
    };
    assert_eq!(holds, same);
});
