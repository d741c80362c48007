//! A text as a QR code of half blocks, two modules a character.

use crate::failure;
use client::view::Failure;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Draws a QR code for a terminal with light text on a dark ground.
///
/// *Errors*: the text is longer than a QR code takes.
pub(crate) fn draw(text: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| {
        failure::failed(
            "the text is too long for a QR code",
            "take the text itself: type the command without --qr",
        )
    })?;
    Ok(code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Dark)
        .light_color(Dense1x2::Light)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_half_as_high_as_wide() {
        let drawn = draw("letterlock:invite").unwrap();
        let width = drawn.lines().next().map_or(0, |line| line.chars().count());
        assert_eq!(drawn.lines().count(), width.div_ceil(2));
        assert!(drawn.contains('█'));
    }

    #[test]
    fn too_long_a_text_is_refused() {
        assert!(draw(&"x".repeat(3000)).is_err());
    }
}
