//! Moments as people and JSON write them: RFC 3339, or microseconds since 1970 UTC.
//!
//! Invariant: every timestamp that a store holds has a written form, also one that no calendar reaches.

use std::time::Duration;

use batpak_store::Timestamp;

/// Why a text is no moment.
#[derive(Debug, thiserror::Error)]
#[error("a time is written as RFC 3339 (2024-05-01T12:00:00Z) or as microseconds since 1970 UTC")]
pub struct NoTime;

/// Reads RFC 3339, or a whole number of microseconds. What is finer than a microsecond is cut off.
///
/// # Errors
/// [`NoTime`] when the text is neither.
pub fn parse(text: &str) -> Result<Timestamp, NoTime> {
    if let Ok(micros) = text.parse() {
        return Ok(Timestamp::from_micros(micros));
    }
    let moment: jiff::Timestamp = text.parse().map_err(|_| NoTime)?;
    Ok(Timestamp::from_micros(moment.as_microsecond()))
}

/// Writes RFC 3339 in UTC; `None` outside of the years -9999 to 9999.
pub fn rfc3339(time: Timestamp) -> Option<String> {
    Some(jiff::Timestamp::from_microsecond(time.as_micros()).ok()?.to_string())
}

/// Writes a moment for people.
pub fn human(time: Timestamp) -> String {
    rfc3339(time).unwrap_or_else(|| format!("{} us", time.as_micros()))
}

/// Returns how many a second, 0 when no time passed.
pub fn rate(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { count as f64 / took.as_secs_f64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_rfc3339_with_offset() {
        assert_eq!(parse("2024-05-01T12:00:00.5+02:00").unwrap().as_micros(), 1_714_557_600_500_000);
    }

    #[test]
    fn parse_reads_microseconds() {
        assert_eq!(parse("-7").unwrap().as_micros(), -7);
    }

    #[test]
    fn parse_refuses_other_text() {
        assert!(parse("yesterday").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn human_writes_what_no_calendar_reaches() {
        assert_eq!(human(Timestamp::from_micros(i64::MAX)), "9223372036854775807 us");
        assert_eq!(human(Timestamp::from_micros(0)), "1970-01-01T00:00:00Z");
    }
}
