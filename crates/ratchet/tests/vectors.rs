//! Every recorded vector replays, and a changed one does not.
#![expect(clippy::disallowed_methods, reason = "the vectors are files")]
#![expect(clippy::unwrap_used, reason = "tests")]

use letterlock_ratchet::replay;
use serde_json::Value;
use std::path::Path;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/triple-ratchet");

fn read(name: &str) -> Value {
    let path = Path::new(FOLDER).join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// One test a file, so that they run in parallel, and one that no file is left out.
macro_rules! replays {
    ($($test:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $test() {
                if let Err(error) = replay::file($file, &read($file)) {
                    panic!("{error}");
                }
            }
        )*

        #[test]
        fn every_file_is_named() {
            let named = [$($file),*];
            let mut found: Vec<String> = std::fs::read_dir(FOLDER)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".json"))
                .collect();
            found.sort_unstable();
            assert_eq!(found, named);
        }
    };
}

replays! {
    conv_01_oneway_otpk: "conv-01-oneway-otpk.json",
    conv_02_oneway_no_otpk: "conv-02-oneway-no-otpk.json",
    conv_03_oneway_reordered: "conv-03-oneway-reordered.json",
    conv_04_oneway_lossy: "conv-04-oneway-lossy.json",
    conv_05_pingpong_full_state: "conv-05-pingpong-full-state.json",
    conv_06_pingpong_200: "conv-06-pingpong-200.json",
    conv_07_bursts: "conv-07-bursts.json",
    conv_10_random_reordered: "conv-10-random-reordered.json",
    conv_13_bob_heavy: "conv-13-bob-heavy.json",
    conv_15_crossing: "conv-15-crossing.json",
    conv_16_late_old_chains: "conv-16-late-old-chains.json",
    conv_17_forged: "conv-17-forged.json",
    conv_18_simultaneous_start: "conv-18-simultaneous-start.json",
    conv_19_restart: "conv-19-restart.json",
    conv_20_same_account: "conv-20-same-account.json",
    conv_21_pni_address: "conv-21-pni-address.json",
    conv_22_not_a_service_id: "conv-22-not-a-service-id.json",
    conv_24_limits: "conv-24-limits.json",
    conv_25_prekey_replay: "conv-25-prekey-replay.json",
    conv_26_forged_without_spqr_key: "conv-26-forged-without-spqr-key.json",
    conv_27_wrong_address: "conv-27-wrong-address.json",
    conv_28_archive_of_40: "conv-28-archive-of-40.json",
    curve25519_xeddsa: "curve25519-xeddsa.json",
    erasure_code: "erasure-code.json",
    incremental_mlkem768: "incremental-mlkem768.json",
    kem1024: "kem1024.json",
    pqxdh: "pqxdh.json",
    signal_message: "signal-message.json",
    spqr_chain: "spqr-chain.json",
    spqr_parse: "spqr-parse.json",
    spqr_transcripts: "spqr-transcripts.json",
}
