//! What comes to the queue of a giver and of a taker: messages, shares, sealed words.
#![no_main]

use std::sync::LazyLock;

use engine::give::{GiveMessage, GiveWord};
use keys::QueueId;
use keys::give::GiveCode;
use keys::pake::{Giver, Taker, TransferKeys, Unconfirmed};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

const QUEUE: QueueId = QueueId::from_bytes([1; 16]);

static CODE: LazyLock<GiveCode> =
    LazyLock::new(|| GiveCode::from_text("4821-guitar-banana-mouse").expect("a code"));

static KEYS: LazyLock<TransferKeys> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let (taker, share) = Taker::begin(&CODE, &QUEUE, &mut rng).expect("a share");
    let (giver, answer) = Giver::answer(&CODE, &QUEUE, &share, &mut rng).expect("an answer");
    let tag = taker
        .finish(&answer, &[])
        .expect("a good answer")
        .confirmation();
    giver.finish(&[]).confirm(&tag).expect("the same code")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = Unconfirmed::from_stored(data);
    if let Ok(text) = str::from_utf8(data)
        && let Ok(code) = GiveCode::from_text(text)
    {
        let again = GiveCode::from_text(&code.to_text()).expect("what was written");
        assert_eq!(again.state_name(&[0; 16]), code.state_name(&[0; 16]));
    }
    if let Ok(word) = GiveWord::decode(data) {
        assert_eq!(*word.encode(), data);
    }
    let message = GiveMessage::decode(data).or_else(|_| GiveMessage::of_body(data));
    let Ok(message) = message else {
        return;
    };
    let body = message.to_body().expect("short enough");
    assert_eq!(
        *GiveMessage::of_body(&body)
            .expect("what was written")
            .encode(),
        *message.encode()
    );
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    match message {
        GiveMessage::Hello { share, .. } => {
            if let Ok((giver, answer)) = Giver::answer(&CODE, &QUEUE, &share, &mut rng) {
                let unconfirmed = giver.finish(&[&answer.pake]);
                // Nobody guesses a tag.
                assert!(unconfirmed.confirm(&[0; 32]).is_err());
            }
        }
        GiveMessage::Answer(share) => {
            let (taker, _) = Taker::begin(&CODE, &QUEUE, &mut rng).expect("a share");
            let _ = taker.finish(&share, &[data]);
        }
        GiveMessage::Word(sealed) => assert!(GiveWord::open(&KEYS, &QUEUE, &sealed).is_err()),
        _ => {}
    }
});
