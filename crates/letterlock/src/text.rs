//! Foreign text made harmless for a terminal, and numbers made readable.

use std::fmt::Write as _;

/// Escapes whatever could move the cursor, set a title or reorder a line; a line break becomes `\n`.
///
/// *Shape*: one line. Controls (C0, DEL, C1), line and paragraph separators and bidirectional controls appear as
/// Rust escapes; all else stays.
pub(crate) fn line(foreign: &str) -> String {
    let mut harmless = String::with_capacity(foreign.len());
    for c in foreign.chars() {
        push(&mut harmless, c);
    }
    harmless
}

/// Does the same to a longer text, whose line breaks stay and whose every line is indented, so that no line of a
/// letter can pass for a line of this program.
pub(crate) fn block(foreign: &str, indent: &str) -> String {
    let mut harmless = String::with_capacity(foreign.len());
    for part in foreign.split('\n') {
        harmless.push_str(indent);
        for c in part.strip_suffix('\r').unwrap_or(part).chars() {
            match c {
                '\t' => harmless.push_str("    "),
                _ => push(&mut harmless, c),
            }
        }
        harmless.push('\n');
    }
    harmless
}

/// Does the same inside a line of JSON, where such characters only occur in strings.
pub(crate) fn json(line: &str) -> String {
    let mut harmless = String::with_capacity(line.len());
    for c in line.chars() {
        if moves_the_cursor(c) {
            // All of them are below U+10000: one escape each.
            let _ = write!(harmless, "\\u{:04x}", u32::from(c));
        } else {
            harmless.push(c);
        }
    }
    harmless
}

fn push(out: &mut String, c: char) {
    if moves_the_cursor(c) {
        out.extend(c.escape_default());
    } else {
        out.push(c);
    }
}

fn moves_the_cursor(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A number of bytes for people: `1023 B`, `4.0 KiB`, `2.0 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = u128::from(count).saturating_mul(10) / 1024;
    let mut unit = "KiB";
    for bigger in UNITS.into_iter().skip(1) {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = bigger;
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A count with its noun: `1 letter`, `3 letters`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_and_not_obeyed() {
        let title = "\u{1b}]0;owned\u{7}\u{9b}2Jx\rmoved\u{8}\u{202e}txt.exe";
        assert_eq!(
            line(title),
            "\\u{1b}]0;owned\\u{7}\\u{9b}2Jx\\rmoved\\u{8}\\u{202e}txt.exe"
        );
    }

    #[test]
    fn words_of_every_language_stay() {
        for text in ["Grüße, Zoë", "こんにちは", "שלום", "👩‍👩‍👧 ok"] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn every_line_of_a_letter_is_indented() {
        assert_eq!(
            block("one\r\n\ttwo\nid: 3", "  "),
            "  one\n      two\n  id: 3\n"
        );
        assert_eq!(block("a\rb\u{85}", "> "), "> a\\rb\\u{85}\n");
    }

    #[test]
    fn json_stays_json_and_one_line() {
        let value = "a\u{7f}\u{9b}b\u{2028}c\u{202e}d\u{1b}\n";
        let shown = json(&serde_json::to_string(value).unwrap_or_default());
        assert!(shown.is_ascii());
        assert_eq!(
            serde_json::from_str::<String>(&shown).ok().as_deref(),
            Some(value)
        );
    }

    #[test]
    fn sizes_are_rounded_down_to_a_tenth() {
        let shown = [0, 1023, 1024, 1536, 1_048_575, 2 << 30, 5 << 40].map(bytes);
        assert_eq!(
            shown,
            [
                "0 B",
                "1023 B",
                "1.0 KiB",
                "1.5 KiB",
                "1023.9 KiB",
                "2.0 GiB",
                "5.0 TiB"
            ]
        );
        assert_eq!(bytes(u64::MAX), "16777215.9 TiB");
    }
}
