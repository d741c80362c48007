//! Points in time as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds since 1970 as date and minute in the zone of this machine; what lies outside of all calendars as `?`.
pub(crate) fn local(unix_seconds: u64) -> String {
    shown(unix_seconds, TimeZone::system())
}

/// Seconds since 1970 by RFC 3339, in UTC; nothing for what lies outside of all calendars.
pub(crate) fn utc(unix_seconds: u64) -> Option<String> {
    let seconds = i64::try_from(unix_seconds).ok()?;
    let time = Timestamp::from_second(seconds).ok()?;
    Some(time.to_string())
}

/// Seconds since 1970 as a day, in the zone of this machine.
pub(crate) fn day(unix_seconds: u64) -> String {
    local(unix_seconds).chars().take(10).collect()
}

fn shown(unix_seconds: u64, zone: TimeZone) -> String {
    i64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "?".to_owned(),
            |time| time.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_clocks_do_no_harm() {
        let shown = [0, 1_790_000_000, u64::MAX].map(|time| shown(time, TimeZone::UTC));
        assert_eq!(shown, ["1970-01-01 00:00", "2026-09-21 14:13", "?"]);
    }
}
