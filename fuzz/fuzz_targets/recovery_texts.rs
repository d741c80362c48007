//! What people type, paste or scan: link codes, words, recovery sheets, request codes, verification codes, links of what is
//! given; and shares.
#![no_main]

use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use keys::account_log::{DeviceSecrets, RootSecret, VerifiedLog, genesis};
use keys::give_link::GiveLink;
use keys::link::{LinkCode, LinkSecret};
use keys::request_code::RequestCode;
use keys::shamir::Share;
use keys::sheet::SheetSecret;
use keys::{Timestamp, VerificationCode};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

static CODE: LazyLock<(VerificationCode, String)> = LazyLock::new(|| {
    let (ours, theirs) = (log(1), log(2));
    let shown = VerificationCode::new(&theirs, &ours).to_string();
    (VerificationCode::new(&ours, &theirs), shown)
});

fn log(seed: u8) -> VerifiedLog {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let root = RootSecret::generate(keys::Suite::Hybrid, &mut rng).expect("root");
    let device = DeviceSecrets::generate(keys::Suite::Hybrid, &mut rng).expect("device");
    genesis(&root, &device, Timestamp::from_secs(1_800_000_000)).expect("genesis")
}

/// Reads a link; what was understood is written in one form, and that form is understood as the same.
fn give_link(text: &str) {
    let Ok(link) = GiveLink::from_text(text) else {
        return;
    };
    let again = GiveLink::from_text(&link.to_fragment()).expect("what was written");
    assert_eq!(again.secret.state_name(), link.secret.state_name());
    assert_eq!((again.length, again.header), (link.length, link.header));
    assert_eq!((again.expires, &again.relay), (link.expires, &link.relay));
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What a link holds before its checksum, so that more than the checksum is tried.
    let label = keys::label::GIVE_LINK_CHECK.as_bytes();
    let check = keys::sha256(&[label, &[0], data]);
    give_link(&BASE64URL_NOPAD.encode(&[data, &check[..4]].concat()));
    if let Ok(share) = Share::decode(data) {
        assert_eq!(data.get(1), Some(&share.index()));
        let again = Share::decode(&share.encode().into_zeroizing()).expect("what was encoded");
        assert_eq!(again.commitment(&[0; 16]), share.commitment(&[0; 16]));
    }
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    // What was understood is written in one form, and that form is understood as the same.
    if let Ok(code) = LinkCode::from_text(text) {
        let again = LinkCode::from_text(&code.to_text()).expect("what was written");
        assert_eq!(again.relay(), code.relay());
        assert_eq!(again.secret().queue_id(), code.secret().queue_id());
    }
    if let Ok(secret) = LinkSecret::from_words(text) {
        let again = LinkSecret::from_words(&secret.to_words()).expect("what was written");
        assert_eq!(again.queue_id(), secret.queue_id());
    }
    if let Ok(sheet) = SheetSecret::from_text(text) {
        let again = SheetSecret::from_text(&sheet.to_text()).expect("what was written");
        assert!(again.seed().ct_eq(&sheet.seed()));
    }
    if let Ok(code) = RequestCode::from_text(text) {
        let again = RequestCode::from_text(&code.to_text()).expect("what was written");
        assert_eq!(again.secret().queue_id(), code.secret().queue_id());
    }
    give_link(text);
    let (code, shown) = &*CODE;
    assert_eq!(code.matches(text).is_ok(), text.trim() == shown);
});
