#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code"
)]
use super::*;
use crate::records::{Direction, LetterState};

const AUTHOR: AccountId = AccountId::from_bytes([1; 32]);
const OTHER: AccountId = AccountId::from_bytes([2; 32]);

fn letter() -> Letter {
    Letter {
        id: LetterId::from_bytes([3; 16]),
        contact: OTHER,
        order: 1,
        direction: Direction::Sent,
        state: LetterState::Sent,
        text: "as written".to_owned(),
        sent_at: Timestamp::from_secs(1_000),
        reply_to: None,
        expires_after: None,
        expires_at: None,
        enclosures: Vec::new(),
        deliveries: Vec::new(),
        errand: Zeroizing::default(),
        author: None,
        marks: Marks::default(),
    }
}

fn reaction(number: u64, emoji: &str) -> What {
    What::Reaction {
        number,
        emoji: emoji.to_owned(),
    }
}

fn edit(number: u8, text: &str) -> What {
    What::Edit {
        number,
        text: text.to_owned(),
    }
}

fn by(account: AccountId, at: u64) -> Speaker {
    Speaker {
        account,
        sent_at: Timestamp::from_secs(at),
    }
}

/// The letter after all of this, in this order.
fn after(said: &[&(Speaker, What)]) -> Letter {
    let mut letter = letter();
    for (speaker, what) in said {
        let _ = merge(&mut letter, &AUTHOR, speaker, what);
    }
    letter
}

#[test]
fn every_order_of_what_is_said_leads_to_the_same_letter() {
    let said = [
        (by(AUTHOR, 1_001), edit(1, "first")),
        (by(AUTHOR, 1_001), edit(1, "first, of another device")),
        (by(AUTHOR, 1_002), edit(2, "second")),
        (by(OTHER, 1_003), reaction(1, "👍")),
        (by(OTHER, 1_004), reaction(2, "")),
        (by(AUTHOR, 1_004), reaction(1, "👍")),
    ];
    let expected = after(&said.iter().collect::<Vec<_>>());
    assert_eq!(expected.text, "second");
    assert_eq!(expected.marks.edit, 2);
    let standing: Vec<&Reaction> = expected.marks.standing().collect();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].author, AUTHOR);
    // Heap's algorithm would be shorter to name than to read: 720 orders by their numbers.
    for order in 0..720_usize {
        let mut left: Vec<_> = said.iter().collect();
        let mut number = order;
        let mut shuffled = Vec::new();
        for size in (1..=said.len()).rev() {
            shuffled.push(left.remove(number % size));
            number /= size;
        }
        let mut letter = after(&shuffled);
        letter
            .marks
            .reactions
            .sort_by_key(|reaction| reaction.author);
        let mut same = expected.marks.clone();
        same.reactions.sort_by_key(|reaction| reaction.author);
        assert_eq!(letter.text, expected.text, "order {order}");
        assert_eq!(letter.marks, same, "order {order}");
    }
}

#[test]
fn nobody_amends_the_letter_of_another() {
    for what in [edit(1, "forged"), What::Deleted] {
        let mut letter = letter();
        let refused = merge(&mut letter, &AUTHOR, &by(OTHER, 1_001), &what);
        assert_eq!(refused, Err(AmendmentError::NotAuthor));
        assert_eq!(letter.text, "as written");
        assert!(letter.marks.is_empty());
    }
}

#[test]
fn edits_have_an_end() {
    let mut letter = letter();
    let mut say = |at, what| merge(&mut letter, &AUTHOR, &by(AUTHOR, at), &what);
    assert_eq!(
        say(1_001, edit(0, "none")),
        Err(AmendmentError::TooManyEdits)
    );
    assert_eq!(
        say(1_001, edit(limits::EDITS + 1, "one more")),
        Err(AmendmentError::TooManyEdits)
    );
    assert_eq!(say(1_001, edit(1, "")), Err(AmendmentError::Empty));
    let late = 1_000 + limits::EDIT_SECONDS;
    assert_eq!(say(late + 1, edit(1, "late")), Err(AmendmentError::TooLate));
    assert_eq!(say(late, edit(limits::EDITS, "the last")), Ok(true));
    assert_eq!(say(late, edit(1, "an older one")), Ok(false));
    assert_eq!(letter.text, "the last");
}

#[test]
fn nothing_is_said_of_a_letter_that_was_deleted() {
    let mut letter = letter();
    assert_eq!(
        merge(&mut letter, &AUTHOR, &by(OTHER, 1_001), &reaction(1, "👍")),
        Ok(true)
    );
    // However old it is.
    let late = by(AUTHOR, 100 * limits::EDIT_SECONDS);
    assert_eq!(merge(&mut letter, &AUTHOR, &late, &What::Deleted), Ok(true));
    for what in [edit(1, "back"), reaction(9, "👍"), What::Deleted] {
        assert_eq!(
            merge(&mut letter, &AUTHOR, &by(AUTHOR, 1_002), &what),
            Ok(false)
        );
    }
    assert!(letter.text.is_empty() && letter.marks.reactions.is_empty());
    assert!(letter.marks.deleted);
}

#[test]
fn a_letter_has_as_many_reactions_as_there_can_be_members() {
    let mut letter = letter();
    for number in 0..limits::REACTIONS {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let somebody = by(AccountId::from_bytes(id), 1_001);
        merge(&mut letter, &AUTHOR, &somebody, &reaction(1, "👍")).unwrap();
    }
    let one_more = merge(&mut letter, &AUTHOR, &by(OTHER, 1_001), &reaction(1, "👍"));
    assert_eq!(one_more, Err(AmendmentError::TooManyReactions));
}

#[test]
fn what_is_said_comes_back_from_its_bytes() {
    for what in [
        reaction(7, "👍🏽"),
        reaction(8, ""),
        edit(10, "a text"),
        edit(1, ""),
        What::Deleted,
    ] {
        let amendment = Amendment {
            letter: LetterId::from_bytes([5; 16]),
            what,
        };
        let bytes = amendment.encode();
        assert_eq!(Amendment::decode(&bytes), Ok(amendment));
        for end in 0..17 {
            assert!(Amendment::decode(&bytes[..end]).is_err());
        }
    }
}

#[test]
fn a_reaction_is_a_sign_or_a_word() {
    for good in ["👍", "👩‍👩‍👧", "ok", "❤️", &"x".repeat(32)] {
        assert!(is_reaction(good), "{good}");
    }
    for bad in ["", " ", "a\nb", "\u{1b}[2J", &"x".repeat(33)] {
        assert!(!is_reaction(bad), "{bad:?}");
        if !bad.is_empty() {
            let forged = Amendment {
                letter: LetterId::from_bytes([5; 16]),
                what: reaction(1, bad),
            };
            assert!(Amendment::decode(&forged.encode()).is_err(), "{bad:?}");
        }
    }
}

#[test]
fn what_became_of_a_letter_is_kept() {
    use crate::records::{Record as _, Share};
    let mut kept = letter();
    let plain = kept.encode();
    kept.marks = Marks {
        edit: 3,
        deleted: true,
        reactions: vec![Reaction {
            author: OTHER,
            number: 4,
            emoji: "👍".to_owned(),
        }],
        shared_by: Some(OTHER),
        shares: vec![Share {
            by: AUTHOR,
            with: OTHER,
            at: 7,
        }],
    };
    let read = Letter::decode(&kept.encode()).unwrap();
    assert_eq!(read.marks, kept.marks);
    assert_eq!(read.author, None);
    kept.author = Some(AUTHOR);
    let read = Letter::decode(&kept.encode()).unwrap();
    assert_eq!((read.author, &read.marks), (Some(AUTHOR), &kept.marks));
    // What was written before there were marks reads as one without.
    assert!(Letter::decode(&plain).unwrap().marks.is_empty());
}
