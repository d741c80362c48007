//! 64 pictures that people tell apart at a glance and by their names (docs/spec/verification.md, section 2).

/// A picture and its English name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emoji {
    /// The picture: one character that is shown in colour without a variation selector.
    pub symbol: &'static str,
    /// What to say aloud.
    pub name: &'static str,
}

/// The picture of a number below 64; higher bits are not looked at.
pub(crate) fn emoji(number: u64) -> Emoji {
    let place = usize::try_from(number & 63).unwrap_or_default();
    let (symbol, name) = TABLE.get(place).copied().unwrap_or_default();
    Emoji { symbol, name }
}

/// The order is part of the protocol.
const TABLE: [(&str, &str); 64] = [
    ("🐶", "dog"),
    ("🐱", "cat"),
    ("🐴", "horse"),
    ("🐷", "pig"),
    ("🐘", "elephant"),
    ("🐰", "rabbit"),
    ("🦁", "lion"),
    ("🐊", "crocodile"),
    ("🐵", "monkey"),
    ("🐔", "chicken"),
    ("🐧", "penguin"),
    ("🦉", "owl"),
    ("🐢", "turtle"),
    ("🐍", "snake"),
    ("🐙", "octopus"),
    ("🐟", "fish"),
    ("🦋", "butterfly"),
    ("🐝", "bee"),
    ("🌵", "cactus"),
    ("🌲", "tree"),
    ("🌻", "sunflower"),
    ("🍄", "mushroom"),
    ("🍎", "apple"),
    ("🍌", "banana"),
    ("🍒", "cherries"),
    ("🍇", "grapes"),
    ("🥕", "carrot"),
    ("🌽", "corn"),
    ("🧀", "cheese"),
    ("🍞", "bread"),
    ("🥚", "egg"),
    ("🍕", "pizza"),
    ("🍩", "doughnut"),
    ("☕", "cup"),
    ("🔔", "bell"),
    ("🎈", "balloon"),
    ("🎁", "gift"),
    ("🎸", "guitar"),
    ("🎺", "trumpet"),
    ("🥁", "drum"),
    ("🎲", "dice"),
    ("👑", "crown"),
    ("👟", "shoe"),
    ("👓", "glasses"),
    ("🔑", "key"),
    ("🔨", "hammer"),
    ("📎", "paperclip"),
    ("📷", "camera"),
    ("💡", "lamp"),
    ("📖", "book"),
    ("⏰", "clock"),
    ("⚓", "anchor"),
    ("🚲", "bicycle"),
    ("🚂", "train"),
    ("🚜", "tractor"),
    ("🚀", "rocket"),
    ("⛵", "sailboat"),
    ("🏠", "house"),
    ("🌙", "moon"),
    ("⭐", "star"),
    ("🔥", "fire"),
    ("🌈", "rainbow"),
    ("🌍", "globe"),
    ("☔", "umbrella"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn pictures_and_names_are_all_different() {
        let symbols: BTreeSet<_> = TABLE.iter().map(|(symbol, _)| symbol).collect();
        let names: BTreeSet<_> = TABLE.iter().map(|(_, name)| name).collect();
        assert_eq!((symbols.len(), names.len()), (64, 64));
    }

    #[test]
    fn a_picture_is_one_character_and_a_name_one_word() {
        for (symbol, name) in TABLE {
            assert_eq!(symbol.chars().count(), 1, "{name}");
            assert!(!symbol.is_ascii());
            assert!(name.bytes().all(|letter| letter.is_ascii_lowercase()));
        }
    }

    #[test]
    fn the_specification_has_the_same_table() {
        let page = include_str!("../../../docs/spec/verification.md");
        for (number, (symbol, name)) in TABLE.iter().enumerate() {
            let entry = format!("{number} {symbol} {name}");
            assert!(page.contains(&entry), "{entry}");
        }
    }

    #[test]
    fn numbers_are_places_in_the_table() {
        assert_eq!((emoji(0).symbol, emoji(63).name), ("🐶", "umbrella"));
        assert_eq!(emoji(64), emoji(0));
    }
}
