//! Both sides of an exchange, as what they hear and what they say (docs/spec/give.md, section 2). No network is in it.

use super::line::TheirQueue;
use crate::failure::internal;
use crate::limits;
use crate::view::Failure;
use engine::give::{GiveMessage, GiveWord, Refusal};
use keys::QueueId;
use keys::give::GiveCode;
use keys::pake::{CONFIRMATION_LEN, Giver, Taker, TransferKeys, Unconfirmed};
use rand_core::CryptoRng;
use std::collections::VecDeque;

/// The giver's side of all exchanges of one code.
pub(super) struct Giving {
    code: GiveCode,
    queue: QueueId,
    open: VecDeque<Exchange>,
    taken: Option<Taken>,
    used_up: bool,
}

struct Exchange {
    taker: TheirQueue,
    unconfirmed: Unconfirmed,
}

/// The taker that confirmed.
pub(super) struct Taken {
    pub(super) taker: TheirQueue,
    keys: TransferKeys,
    /// What it confirmed with, and what is answered.
    tags: [[u8; CONFIRMATION_LEN]; 2],
}

/// What a giver does about a body.
pub(super) enum Heard {
    /// Nothing: it is not for this giver, or says nothing new.
    Nothing,
    /// Say this there.
    Say(TheirQueue, GiveMessage),
    /// Say this there; the taker confirmed, now or before.
    Confirmed(GiveMessage),
    /// Say this there, and end: somebody guessed, or mistyped.
    Guessed(TheirQueue, GiveMessage),
    /// The taker has everything.
    Done,
    /// The taker stopped.
    Stopped,
}

impl Giving {
    /// Waits for takers of a code.
    pub(super) fn new(code: GiveCode, queue: QueueId) -> Self {
        Self {
            code,
            queue,
            open: VecDeque::new(),
            taken: None,
            used_up: false,
        }
    }

    /// The taker that confirmed.
    pub(super) fn taken(&self) -> Option<&Taken> {
        self.taken.as_ref()
    }

    /// Looks at a body. What is not understood is passed over: who does not know the code stops nobody but by a guess.
    pub(super) fn hear(&mut self, body: &[u8], rng: &mut dyn CryptoRng) -> Heard {
        // SECURITY: one guess uses the code up; `a_wrong_guess_uses_the_code_up` notices.
        if self.used_up {
            return Heard::Nothing;
        }
        match GiveMessage::of_body(body) {
            Ok(hello @ GiveMessage::Hello { .. }) => self.greeted(&hello, rng),
            Ok(GiveMessage::Confirm { queue, tag }) => self.confirmed(queue, &tag),
            Ok(GiveMessage::Word(sealed)) => {
                let taken = self.taken.as_ref();
                let word = taken.map(|taken| GiveWord::open(&taken.keys, &self.queue, &sealed));
                match word {
                    Some(Ok(GiveWord::Done)) => Heard::Done,
                    Some(Ok(GiveWord::Stop)) => Heard::Stopped,
                    _ => Heard::Nothing,
                }
            }
            _ => Heard::Nothing,
        }
    }

    fn greeted(&mut self, hello: &GiveMessage, rng: &mut dyn CryptoRng) -> Heard {
        let GiveMessage::Hello {
            queue,
            token,
            share,
        } = hello
        else {
            return Heard::Nothing;
        };
        let taker = || TheirQueue {
            id: *queue,
            token: token.duplicate(),
        };
        if self.taken.is_some() {
            return Heard::Say(taker(), GiveMessage::Refused(Refusal::Taken));
        }
        let Ok((giver, share)) = Giver::answer(&self.code, &self.queue, share, rng) else {
            return Heard::Nothing;
        };
        let answer = GiveMessage::Answer(share);
        let unconfirmed = giver.finish(&said(&self.queue, &hello.encode(), &answer.encode()));
        self.open.retain(|exchange| exchange.taker.id != *queue);
        if self.open.len() >= limits::GIVE_EXCHANGES {
            self.open.pop_front();
        }
        self.open.push_back(Exchange {
            taker: taker(),
            unconfirmed,
        });
        Heard::Say(taker(), answer)
    }

    fn confirmed(&mut self, queue: QueueId, tag: &[u8; CONFIRMATION_LEN]) -> Heard {
        if let Some(taken) = &self.taken {
            let [theirs, ours] = &taken.tags;
            // It was killed and goes on: it hears the same once more.
            let again = taken.taker.id == queue && keys::ct_eq(theirs, tag);
            return match again {
                true => Heard::Confirmed(GiveMessage::Confirmed(*ours)),
                false => Heard::Nothing,
            };
        }
        let place = self
            .open
            .iter()
            .position(|exchange| exchange.taker.id == queue);
        let Some(exchange) = place.and_then(|place| self.open.remove(place)) else {
            return Heard::Nothing;
        };
        let ours = exchange.unconfirmed.confirmation();
        match exchange.unconfirmed.confirm(tag) {
            Ok(keys) => {
                self.open.clear();
                self.taken = Some(Taken {
                    taker: exchange.taker,
                    keys,
                    tags: [*tag, ours],
                });
                Heard::Confirmed(GiveMessage::Confirmed(ours))
            }
            Err(_) => {
                self.used_up = true;
                let wrong = GiveMessage::Refused(Refusal::WrongCode);
                Heard::Guessed(exchange.taker, wrong)
            }
        }
    }
}

impl Taken {
    /// A word for the taker, as a body.
    pub(super) fn seal(
        &self,
        word: &GiveWord,
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>, Failure> {
        let sealed = word.seal(&self.keys, &self.taker.id, rng);
        sealed.map_err(|_| internal("a word of a transfer is too long"))
    }
}

/// The taker's side before the answer.
pub(super) struct Asking {
    giver: QueueId,
    taker: Taker,
    hello: zeroize::Zeroizing<Vec<u8>>,
}

impl Asking {
    /// Begins: the first word, and what waits for its answer.
    pub(super) fn begin(
        code: &GiveCode,
        giver: QueueId,
        own: TheirQueue,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, GiveMessage), Failure> {
        let begun = Taker::begin(code, &giver, rng);
        let (taker, share) = begun.map_err(|_| internal("a key exchange"))?;
        let hello = GiveMessage::Hello {
            queue: own.id,
            token: own.token,
            share,
        };
        let asking = Self {
            giver,
            taker,
            hello: hello.encode(),
        };
        Ok((asking, hello))
    }

    /// Takes the answer; nothing where no giver can have made it.
    pub(super) fn answered(self, answer: &GiveMessage) -> Option<Unconfirmed> {
        let GiveMessage::Answer(share) = answer else {
            return None;
        };
        let encoded = answer.encode();
        let said = said(&self.giver, &self.hello, &encoded);
        self.taker.finish(share, &said).ok()
    }
}

fn said<'a>(giver: &'a QueueId, hello: &'a [u8], answer: &'a [u8]) -> [&'a [u8]; 3] {
    [giver.as_bytes(), hello, answer]
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;
    use keys::Secret;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const CODE: &str = "4821-guitar-banana-mouse";
    const GIVER: QueueId = QueueId::from_bytes([1; 16]);

    fn giving(text: &str) -> Giving {
        Giving::new(GiveCode::from_text(text).unwrap(), GIVER)
    }

    fn own(number: u8) -> TheirQueue {
        TheirQueue {
            id: QueueId::from_bytes([number; 16]),
            token: Secret::from_slice(&[number; 32]).unwrap(),
        }
    }

    fn body(message: &GiveMessage) -> Vec<u8> {
        message.to_body().unwrap()
    }

    struct World {
        giving: Giving,
        rng: ChaCha20Rng,
    }

    impl World {
        fn new() -> Self {
            Self {
                giving: giving(CODE),
                rng: ChaCha20Rng::seed_from_u64(1),
            }
        }

        fn hear(&mut self, message: &GiveMessage) -> Heard {
            self.giving.hear(&body(message), &mut self.rng)
        }

        /// Says hello with a code, and computes what follows from the answer.
        fn greet(&mut self, code: &str, number: u8) -> (Unconfirmed, GiveMessage) {
            let code = GiveCode::from_text(code).unwrap();
            let begun = Asking::begin(&code, GIVER, own(number), &mut self.rng);
            let (asking, hello) = begun.unwrap();
            let Heard::Say(to, answer) = self.hear(&hello) else {
                panic!("a hello is answered");
            };
            assert_eq!(to.id, own(number).id);
            let unconfirmed = asking.answered(&answer).unwrap();
            let confirm = GiveMessage::Confirm {
                queue: own(number).id,
                tag: unconfirmed.confirmation(),
            };
            (unconfirmed, confirm)
        }

        /// A transfer that both sides have confirmed.
        fn confirmed(&mut self) -> (TransferKeys, GiveMessage) {
            let (unconfirmed, confirm) = self.greet(CODE, 2);
            let Heard::Confirmed(GiveMessage::Confirmed(tag)) = self.hear(&confirm) else {
                panic!("it knows the code");
            };
            (unconfirmed.confirm(&tag).unwrap(), confirm)
        }
    }

    #[test]
    fn who_knows_the_code_gets_words_and_is_heard() {
        let mut world = World::new();
        let (keys, _) = world.confirmed();
        let taken = world.giving.taken().unwrap();
        let said = taken.seal(&GiveWord::Wait { done: 1, total: 2 }, &mut world.rng);
        let Ok(GiveMessage::Word(sealed)) = GiveMessage::of_body(&said.unwrap()) else {
            panic!("a word");
        };
        let word = GiveWord::open(&keys, &own(2).id, &sealed).unwrap();
        assert!(matches!(word, GiveWord::Wait { done: 1, total: 2 }));
        let done = GiveWord::Done.seal(&keys, &GIVER, &mut world.rng).unwrap();
        for place in (0..done.len()).step_by(7) {
            let mut changed = done.clone();
            changed[place] ^= 1;
            assert!(matches!(
                world.giving.hear(&changed, &mut world.rng),
                Heard::Nothing
            ));
        }
        assert!(matches!(
            world.giving.hear(&done, &mut world.rng),
            Heard::Done
        ));
        let stop = GiveWord::Stop.seal(&keys, &GIVER, &mut world.rng).unwrap();
        assert!(matches!(
            world.giving.hear(&stop, &mut world.rng),
            Heard::Stopped
        ));
    }

    #[test]
    fn a_wrong_guess_uses_the_code_up() {
        let mut world = World::new();
        let (_, right) = world.greet(CODE, 2);
        let (_, wrong) = world.greet("4821-guitar-banana-moral", 3);
        let Heard::Guessed(to, GiveMessage::Refused(Refusal::WrongCode)) = world.hear(&wrong)
        else {
            panic!("a wrong guess is noticed");
        };
        assert_eq!(to.id, own(3).id);
        // Who knows the code comes too late, and so does every other guess.
        assert!(matches!(world.hear(&right), Heard::Nothing));
        let code = GiveCode::from_text(CODE).unwrap();
        let (_, hello) = Asking::begin(&code, GIVER, own(4), &mut world.rng).unwrap();
        assert!(matches!(world.hear(&hello), Heard::Nothing));
        assert!(world.giving.taken().is_none());
    }

    /// Nothing but a confirmation is a guess: hellos may come and go.
    #[test]
    fn hellos_without_a_confirmation_use_nothing_up() {
        let mut world = World::new();
        for number in 10..60 {
            world.greet("4821-guitar-banana-moral", number);
        }
        assert_eq!(world.giving.open.len(), limits::GIVE_EXCHANGES);
        // The oldest made room, and its confirmation is nobody's.
        let forgotten = GiveMessage::Confirm {
            queue: own(10).id,
            tag: [0; 32],
        };
        assert!(matches!(world.hear(&forgotten), Heard::Nothing));
        world.confirmed();
    }

    #[test]
    fn a_taker_that_goes_on_hears_the_same_once_more_and_nobody_else_does() {
        let mut world = World::new();
        let (_, confirm) = world.confirmed();
        assert!(matches!(world.hear(&confirm), Heard::Confirmed(_)));
        let GiveMessage::Confirm { queue, mut tag } = confirm else {
            panic!("a confirmation");
        };
        tag[0] ^= 1;
        assert!(matches!(
            world.hear(&GiveMessage::Confirm { queue, tag }),
            Heard::Nothing
        ));
        let code = GiveCode::from_text(CODE).unwrap();
        let (_, hello) = Asking::begin(&code, GIVER, own(5), &mut world.rng).unwrap();
        let heard = world.hear(&hello);
        assert!(matches!(
            heard,
            Heard::Say(_, GiveMessage::Refused(Refusal::Taken))
        ));
    }

    /// Whatever of the first words is changed or cut: it is passed over, or does not confirm.
    #[test]
    fn changed_first_words_confirm_nothing() {
        let code = GiveCode::from_text(CODE).unwrap();
        let length = body(
            &Asking::begin(&code, GIVER, own(2), &mut World::new().rng)
                .unwrap()
                .1,
        )
        .len();
        for place in (0..length).step_by(23) {
            let mut world = World::new();
            let (asking, hello) = Asking::begin(&code, GIVER, own(2), &mut world.rng).unwrap();
            let mut changed = body(&hello);
            changed[place] ^= 1;
            let heard = world.giving.hear(&changed, &mut world.rng);
            let Heard::Say(to, answer) = heard else {
                continue;
            };
            let Some(unconfirmed) = asking.answered(&answer) else {
                continue;
            };
            let confirm = GiveMessage::Confirm {
                queue: to.id,
                tag: unconfirmed.confirmation(),
            };
            assert!(
                matches!(world.hear(&confirm), Heard::Guessed(..)),
                "{place}"
            );
        }
    }

    #[test]
    fn a_giver_without_the_code_is_not_confirmed() {
        let mut world = World::new();
        world.giving = giving("4821-guitar-banana-moral");
        let (unconfirmed, _) = world.greet(CODE, 2);
        for tag in [[0; 32], unconfirmed.confirmation()] {
            let same = Unconfirmed::from_stored(&zeroize::Zeroizing::new(
                unconfirmed.to_stored().into_zeroizing().to_vec(),
            ));
            assert!(same.unwrap().confirm(&tag).is_err());
        }
    }
}
