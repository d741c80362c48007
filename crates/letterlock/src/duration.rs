//! Spans of time as people type them: `10s`, `15m`, `2h`, `1d`, `4w`, `500ms`.

use std::time::Duration;

/// Why a span of time was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// It is not a number and a unit.
    #[error("write a number and a unit, for example 30s, 15m, 2h, 1d or 4w")]
    Malformed,
    /// It is zero.
    #[error("it must be longer than nothing")]
    Zero,
    /// It is longer than a century.
    #[error("it is too long")]
    TooLong,
}

const LONGEST_MS: u64 = 100 * 366 * 24 * 3600 * 1000;

/// Reads a span of time.
///
/// *Shape*: digits and one of `ms`, `s`, `m`, `h`, `d`, `w`; more than zero, at most a century.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text
        .split_at_checked(digits)
        .ok_or(DurationError::Malformed)?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return Err(DurationError::Malformed),
    };
    if number.is_empty() {
        return Err(DurationError::Malformed);
    }
    let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
    match number.checked_mul(unit_ms) {
        Some(0) => Err(DurationError::Zero),
        Some(ms) if ms <= LONGEST_MS => Ok(Duration::from_millis(ms)),
        _ => Err(DurationError::TooLong),
    }
}

/// Whole milliseconds of a span that [`parse`] allowed.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Whole seconds of a span, at least one.
pub(crate) fn seconds(span: Duration) -> u64 {
    span.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let read: Vec<u128> = ["500ms", "10s", "15m", "2h", "1d", "4w"]
            .iter()
            .map(|text| parse(text).map_or(0, |span| span.as_millis()))
            .collect();
        assert_eq!(
            read,
            [500, 10_000, 900_000, 7_200_000, 86_400_000, 2_419_200_000]
        );
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "s", "10", "10 s", "-1s", "1.5h", "1y", "10S", "é1s"] {
            assert_eq!(parse(text), Err(DurationError::Malformed), "{text}");
        }
        assert_eq!(parse("0d"), Err(DurationError::Zero));
        for text in ["5301w", "99999999999999999999s", "18446744073709551615w"] {
            assert_eq!(parse(text), Err(DurationError::TooLong), "{text}");
        }
    }
}
