//! File names that a peer chose, made harmless: one visible component that names a plain file.

/// Longest name in bytes; room is left for ` (999)` and `.xxxxxxxx.part`.
const LONGEST: usize = 200;

/// Reduces a name to one safe path component. What cannot be kept becomes `_`; a name of which nothing is left
/// becomes `file`.
pub(crate) fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .map(|letter| if harmful(letter) { '_' } else { letter })
        .collect();
    let clean = clean.trim();
    // A dot in front hides the file and could take the place of a settings file.
    let visible = match clean.strip_prefix('.') {
        Some(rest) => format!("_{}", rest.trim_start_matches('.')),
        None => clean.to_owned(),
    };
    let short = shorten(&visible);
    if short
        .chars()
        .all(|letter| matches!(letter, '_' | '.' | ' '))
    {
        "file".to_owned()
    } else {
        short
    }
}

/// The name with a number, before its extension: `a.txt` becomes `a (1).txt`.
pub(crate) fn numbered(name: &str, number: u32) -> String {
    if number == 0 {
        return name.to_owned();
    }
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem} ({number}).{extension}"),
        _ => format!("{name} ({number})"),
    }
}

/// Control characters, and those that turn the direction of writing or cannot be seen.
fn harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        || matches!(letter, ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// Cuts a name that is too long, but keeps its extension.
fn shorten(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension)
        .filter(|extension| extension.len() <= 16);
    let room =
        LONGEST.saturating_sub(extension.map_or(0, |extension| extension.len().saturating_add(1)));
    let mut end = room.min(name.len());
    while !name.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let stem = name.get(..end).unwrap_or_default();
    extension.map_or_else(
        || stem.to_owned(),
        |extension| format!("{stem}.{extension}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_harmless_component() {
        let cases = [
            ("photo.jpg", "photo.jpg"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\a.exe", "a.exe"),
            ("/", "file"),
            ("", "file"),
            (".", "file"),
            ("..", "file"),
            ("...", "file"),
            (".bashrc", "_bashrc"),
            ("a\u{202e}gpj.exe", "a_gpj.exe"),
            ("a\nb\0c", "a_b_c"),
            ("  spaced  ", "spaced"),
            ("Grüße.txt", "Grüße.txt"),
            ("a:b?.txt", "a_b_.txt"),
        ];
        for (name, wanted) in cases {
            assert_eq!(safe(name), wanted, "{name:?}");
        }
    }

    #[test]
    fn long_names_are_cut_and_keep_their_extension() {
        let name = safe(&format!("{}.tar", "ü".repeat(300)));
        assert!(name.len() <= LONGEST && name.ends_with(".tar"));
        assert!(safe(&"x".repeat(1000)).len() <= LONGEST);
    }

    #[test]
    fn numbers_stand_before_the_extension() {
        assert_eq!(numbered("a.tar.gz", 2), "a.tar (2).gz");
        assert_eq!(numbered("a", 1), "a (1)");
        assert_eq!(numbered("a.txt", 0), "a.txt");
    }
}
