//! The recovery sheet as one page of A4: the groups in large type, a QR code of the same text, and what it is for.

use crate::failure;
use client::view::Failure;
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};
use qrcode::{Color, EcLevel, QrCode};

/// Points: 1/72 inch.
const A4: (f32, f32) = (595.28, 841.89);
const MARGIN: f32 = 57.0;
/// Groups side by side, and the distance from one to the next.
const COLUMNS: usize = 4;
const COLUMN: f32 = 120.0;
const ROW: f32 = 58.0;
const QR_SIDE: f32 = 150.0;
/// Modules of white that a reader needs around a code.
const QUIET: f32 = 4.0;

/// What stands on the page.
pub(crate) struct Paper<'a> {
    /// Groups of four with hyphens between.
    pub(crate) sheet: &'a str,
    /// `NAME@HOST`.
    pub(crate) address: &'a str,
    /// The account id.
    pub(crate) account: &'a str,
    /// The relay's URL with its pin.
    pub(crate) relay: &'a str,
    /// When it was made, for people.
    pub(crate) made: &'a str,
}

#[derive(Clone, Copy)]
enum Font {
    Plain,
    Bold,
    Fixed,
}

impl Font {
    const ALL: [Self; 3] = [Self::Plain, Self::Bold, Self::Fixed];

    fn name(self) -> Name<'static> {
        Name(match self {
            Self::Plain => b"F1",
            Self::Bold => b"F2",
            Self::Fixed => b"F3",
        })
    }

    /// One of the fonts that every reader has.
    fn base(self) -> Name<'static> {
        Name(match self {
            Self::Plain => b"Helvetica",
            Self::Bold => b"Helvetica-Bold",
            Self::Fixed => b"Courier-Bold",
        })
    }
}

impl Paper<'_> {
    /// Writes the page as a PDF.
    ///
    /// *Errors*: the text is longer than a QR code takes.
    pub(crate) fn to_pdf(&self) -> Result<Vec<u8>, Failure> {
        let code = QrCode::with_error_correction_level(self.sheet, EcLevel::Q)
            .map_err(|_| failure::failed("no sheet is so long", "please report this"))?;
        let mut page = Page::new();
        page.write(
            Font::Bold,
            22.0,
            (MARGIN, 772.0),
            "Letterlock recovery sheet",
        );
        self.facts(&mut page);
        self.groups(&mut page);
        page.code(&code, (MARGIN, 118.0));
        explain(&mut page);
        Ok(page.into_pdf("Letterlock recovery sheet"))
    }

    fn facts(&self, page: &mut Page) {
        let facts = [
            ("Account", self.address),
            ("Id", self.account),
            ("Relay", self.relay),
            ("Made", self.made),
        ];
        let mut height = 738.0;
        for (label, value) in facts {
            page.write(Font::Plain, 10.0, (MARGIN, height), label);
            for part in pieces(value, 72) {
                page.write(Font::Fixed, 9.0, (MARGIN + 56.0, height), part);
                height -= 14.0;
            }
        }
    }

    fn groups(&self, page: &mut Page) {
        let groups: Vec<&str> = self.sheet.split('-').collect();
        let mut height = 600.0;
        let mut number = 0_usize;
        for row in groups.chunks(COLUMNS) {
            let mut left = MARGIN;
            for group in row {
                number = number.saturating_add(1);
                let label = number.to_string();
                page.write(Font::Plain, 8.0, (left, height + 26.0), &label);
                page.write(Font::Fixed, 28.0, (left, height), group);
                left += COLUMN;
            }
            height -= ROW;
        }
    }
}

fn explain(page: &mut Page) {
    let lines = [
        "Whoever holds this sheet can become a device of the account and",
        "read what its backup holds. Keep it where you keep a passport.",
        "Take no photograph of it, and put it into no mail and no cloud.",
        "",
        "When all devices are lost, on a new machine:",
    ];
    let left = MARGIN + QR_SIDE + 24.0;
    let mut height = 118.0 + QR_SIDE - 24.0;
    for line in lines {
        page.write(Font::Plain, 10.0, (left, height), line);
        height -= 14.0;
    }
    for line in ["letterlock recovery restore", "  --relay URL --sheet -"] {
        page.write(Font::Fixed, 9.0, (left, height), line);
        height -= 14.0;
    }
    let lines = ["It stays valid after that. A new sheet ends the validity of this one."];
    for line in lines {
        page.write(Font::Plain, 10.0, (MARGIN, 92.0), line);
    }
}

/// A text in pieces of at most `length` characters.
fn pieces(text: &str, length: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((place, _)) = rest.char_indices().nth(length) {
        let (piece, after) = rest.split_at(place);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// A page on its way; the origin is below on the left.
struct Page {
    content: Content,
}

impl Page {
    fn new() -> Self {
        Self {
            content: Content::new(),
        }
    }

    fn write(&mut self, font: Font, size: f32, (left, height): (f32, f32), text: &str) {
        // The fonts know printable ASCII; names of accounts and URLs have nothing else.
        let plain = |c: char| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        };
        let text: String = text.chars().map(plain).collect();
        self.content
            .begin_text()
            .set_font(font.name(), size)
            .next_line(left, height)
            .show(Str(text.as_bytes()))
            .end_text();
    }

    /// Draws the dark modules, those of a row that touch as one.
    fn code(&mut self, code: &QrCode, (left, below): (f32, f32)) {
        let (rows, side) = dark_runs(code);
        let module = QR_SIDE / (side + 2.0 * QUIET);
        for (row, from, length) in rows {
            let x = left + (QUIET + from) * module;
            let y = below + QR_SIDE - (QUIET + row + 1.0) * module;
            self.content.rect(x, y, length * module, module);
        }
        self.content.fill_nonzero();
    }

    fn into_pdf(self, title: &str) -> Vec<u8> {
        let (catalog, tree, page, content, info) = (
            Ref::new(1),
            Ref::new(2),
            Ref::new(3),
            Ref::new(4),
            Ref::new(5),
        );
        let fonts = [Ref::new(6), Ref::new(7), Ref::new(8)];
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree).kids([page]).count(1);
        let mut one = pdf.page(page);
        one.media_box(Rect::new(0.0, 0.0, A4.0, A4.1));
        one.parent(tree).contents(content);
        let mut resources = one.resources();
        let mut named = resources.fonts();
        for (font, place) in Font::ALL.into_iter().zip(fonts) {
            named.pair(font.name(), place);
        }
        named.finish();
        resources.finish();
        one.finish();
        for (font, place) in Font::ALL.into_iter().zip(fonts) {
            pdf.type1_font(place).base_font(font.base());
        }
        pdf.stream(content, &self.content.finish());
        pdf.document_info(info).title(TextStr(title));
        pdf.finish()
    }
}

/// Row, first column and length of each run of dark modules, and how many modules a side has.
fn dark_runs(code: &QrCode) -> (Vec<(f32, f32, f32)>, f32) {
    let width = code.width();
    let colors = code.to_colors();
    let mut runs = Vec::new();
    let mut row = 0.0;
    for modules in colors.chunks(width.max(1)) {
        let mut column = 0.0;
        for run in modules.chunk_by(|a, b| a == b) {
            let length = run.iter().fold(0.0, |sum, _| sum + 1.0);
            if run.first() == Some(&Color::Dark) {
                runs.push((row, column, length));
            }
            column += length;
        }
        row += 1.0;
    }
    (runs, row)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;

    const SHEET: &str = "000G-40R4-0M30-E209-185G-R38E-1W81-24GK-2GAH-C5RR-34D1-P70X-BKFG";

    /// A character for each byte, so that places stay places.
    fn readable(pdf: &[u8]) -> String {
        let plain = |byte: &u8| {
            if byte.is_ascii() {
                char::from(*byte)
            } else {
                '.'
            }
        };
        pdf.iter().map(plain).collect()
    }

    fn pdf() -> String {
        let paper = Paper {
            sheet: SHEET,
            address: "alice@relay.example",
            account: "mfzwizltoq2gk43umfzwizltoq2gk43umfzwizltoq2gk43uabcd",
            relay: "https://relay.example:4433#sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            made: "2026-11-21 10:04",
        };
        readable(&paper.to_pdf().unwrap())
    }

    fn numbers(line: &str) -> Vec<f32> {
        let words = line.split(' ');
        words.filter_map(|word| word.parse().ok()).collect()
    }

    #[test]
    fn there_is_one_page_with_every_group_and_nothing_beside_it() {
        let pdf = pdf();
        assert_eq!(pdf.matches("/Type /Page\n").count(), 1, "{pdf}");
        assert!(pdf.contains("/Count 1"));
        for group in SHEET.split('-') {
            assert_eq!(pdf.matches(&format!("({group}) Tj")).count(), 1, "{group}");
        }
        for line in pdf.lines().filter(|line| line.ends_with(" Td")) {
            let place = numbers(line);
            let inside = |at: f32, end: f32| at >= MARGIN - 1.0 && at < end - MARGIN;
            assert!(inside(place[0], A4.0) && inside(place[1], A4.1), "{line}");
        }
    }

    /// The modules under a grid laid over the drawn rectangles are those of the code.
    #[test]
    fn the_drawn_code_is_the_code_of_the_sheet() {
        let code = QrCode::with_error_correction_level(SHEET, EcLevel::Q).unwrap();
        let width = code.width();
        let pdf = pdf();
        let drawn: Vec<Vec<f32>> = pdf
            .lines()
            .filter(|line| line.ends_with(" re"))
            .map(numbers)
            .collect();
        let module = QR_SIDE / (width as f32 + 2.0 * QUIET);
        for (place, color) in code.to_colors().into_iter().enumerate() {
            let x = MARGIN + (QUIET + (place % width) as f32 + 0.5) * module;
            let y = 118.0 + QR_SIDE - (QUIET + (place / width) as f32 + 0.5) * module;
            let dark = drawn.iter().any(|rect| {
                x > rect[0] && x < rect[0] + rect[2] && y > rect[1] && y < rect[1] + rect[3]
            });
            assert_eq!(dark, color == Color::Dark, "module {place}");
        }
    }

    #[test]
    fn the_table_of_objects_points_at_them() {
        let pdf = pdf();
        let start: usize = pdf
            .split("startxref\n")
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .unwrap()
            .parse()
            .unwrap();
        assert!(pdf[start..].starts_with("xref\n"));
        for (number, line) in pdf[start..].lines().skip(3).take(8).enumerate() {
            let place: usize = line[..10].parse().unwrap();
            let object = format!("{} 0 obj", number + 1);
            assert!(pdf[place..].starts_with(&object), "{line}");
        }
    }

    #[test]
    fn foreign_characters_do_not_break_the_page() {
        let mut page = Page::new();
        page.write(Font::Plain, 10.0, (0.0, 0.0), ") Tj\u{1b}ä\\");
        let pdf = readable(&page.into_pdf("x"));
        assert!(pdf.contains("(\\) Tj??\\\\) Tj"), "{pdf}");
    }

    #[test]
    fn long_texts_are_cut_into_lines() {
        assert_eq!(pieces("abcdefg", 3), ["abc", "def", "g"]);
        assert_eq!(pieces("abc", 3), ["abc"]);
        assert_eq!(pieces("", 3), [""]);
    }
}
