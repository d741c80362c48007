//! What people type, paste or scan, through the public doors; and the seeds of its fuzz target, run once each.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use data_encoding::BASE64URL_NOPAD;
use letterlock_keys::account_log::{DeviceSecrets, RootSecret, VerifiedLog, genesis};
use letterlock_keys::give_link::GiveLink;
use letterlock_keys::link::{LinkCode, LinkSecret};
use letterlock_keys::request_code::RequestCode;
use letterlock_keys::shamir::{self, Share, ShareSet};
use letterlock_keys::sheet::SheetSecret;
use letterlock_keys::{Secret, Suite, Timestamp, VerificationCode, VerificationError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::path::Path;

fn log(seed: u8) -> VerifiedLog {
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    let root = RootSecret::generate(Suite::Hybrid, &mut rng).unwrap();
    let device = DeviceSecrets::generate(Suite::Hybrid, &mut rng).unwrap();
    genesis(&root, &device, Timestamp::from_secs(1_800_000_000)).unwrap()
}

fn seed(name: &str) -> Vec<u8> {
    #![expect(clippy::disallowed_methods, reason = "the seeds are files")]
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/recovery_texts");
    std::fs::read(folder.join(name)).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(seed(name)).unwrap()
}

#[test]
fn seeds_of_link_codes_and_words_are_one_secret() {
    let code = LinkCode::from_text(&text("link_code")).unwrap();
    let words = LinkSecret::from_words(&text("words")).unwrap();
    assert_eq!(code.secret().queue_id(), words.queue_id());
    assert_eq!(code.to_text().as_str(), text("link_code"));
    assert_eq!(words.to_words().as_str(), text("words"));
}

#[test]
fn the_seed_of_sheets_is_written_as_it_was_read() {
    let sheet = SheetSecret::from_text(&text("sheet")).unwrap();
    assert_eq!(sheet.to_text().as_str(), text("sheet"));
}

#[test]
fn the_seed_of_request_codes_is_written_as_it_was_read() {
    let code = RequestCode::from_text(&text("request_code")).unwrap();
    assert_eq!(code.to_text().as_str(), text("request_code"));
}

/// One is the text, the other what stands in it before the checksum.
#[test]
fn the_seeds_of_links_are_one() {
    let link = GiveLink::from_text(&text("give_link")).unwrap();
    assert_eq!(*link.to_fragment(), text("give_link"));
    let content = BASE64URL_NOPAD.decode(text("give_link").as_bytes());
    assert!(content.unwrap().starts_with(&seed("give_link_content")));
}

#[test]
fn the_seed_of_shares_is_one() {
    assert_eq!(Share::decode(&seed("share")).unwrap().index(), 3);
}

#[test]
fn people_who_scan_each_other_are_verified() {
    let (ours, theirs) = (log(1), log(2));
    let code = VerificationCode::new(&ours, &theirs);
    let shown = VerificationCode::new(&theirs, &ours).to_string();
    assert_eq!(code.matches(&shown), Ok(()));
    let others = [
        VerificationCode::new(&log(3), &ours).to_string(),
        text("verification_code"),
    ];
    for other in others {
        assert_eq!(code.matches(&other), Err(VerificationError::OtherContact));
    }
}

#[test]
fn texts_of_one_kind_are_no_other() {
    let names = ["link_code", "words", "sheet", "verification_code"];
    let code = VerificationCode::new(&log(1), &log(2));
    for name in names {
        let text = text(name);
        let read = [
            LinkCode::from_text(&text).is_ok(),
            LinkSecret::from_words(&text).is_ok(),
            SheetSecret::from_text(&text).is_ok(),
            code.matches(&text) != Err(VerificationError::NotACode),
        ];
        assert_eq!(read, names.map(|other| other == name), "{name}");
        assert!(Share::decode(text.as_bytes()).is_err());
    }
}

/// A share goes to a guardian and comes back as bytes.
#[test]
fn shares_that_travelled_give_the_secret() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let secret = Secret::random(&mut rng);
    let shares = shamir::split(&mut rng, &secret, 3, 5).unwrap();
    let id = [9; 16];
    let commitments: Vec<_> = shares.iter().map(|share| share.commitment(&id)).collect();
    let back: Vec<_> = [4, 0, 2]
        .map(|place: usize| Share::decode(&shares[place].encode().into_zeroizing()).unwrap())
        .into();
    let set = ShareSet {
        id: &id,
        need: 3,
        commitments: &commitments,
    };
    assert!(back.iter().all(|share| set.check(share).is_ok()));
    assert!(shamir::combine(&set, &back).unwrap().ct_eq(&secret));
}
