//! What a value says as a time, for the time modifiers (modifiers appendix 2.1, "Time Modifiers": "It is not designed to
//! handle timezone or format conversions", so a time without a zone is UTC).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::TimePart;

/// Longest text that is read as a time.
const TEXT_BYTES: usize = 64;

/// The part of the time that `text` is: RFC 3339, the same without a zone or with a space instead of the `T`, or a whole
/// number of seconds, milliseconds, microseconds or nanoseconds since 1970 (told apart by magnitude). In UTC.
pub fn part_of(text: &str, part: TimePart) -> Option<i64> {
    let time = time_of(text)?;
    Some(match part {
        TimePart::Minute => i64::from(time.minute()),
        TimePart::Hour => i64::from(time.hour()),
        TimePart::Day => i64::from(time.day()),
        TimePart::Week => i64::from(time.date().iso_week_date().week()),
        TimePart::Month => i64::from(time.month()),
        TimePart::Year => i64::from(time.year()),
    })
}

fn time_of(text: &str) -> Option<DateTime> {
    if text.is_empty() || text.len() > TEXT_BYTES {
        return None;
    }
    let stamp = if text.bytes().all(|b| b.is_ascii_digit()) {
        since_1970(text.parse().ok()?)?
    } else {
        match text.parse::<Timestamp>() {
            Ok(stamp) => stamp,
            Err(_) => return text.parse().ok(),
        }
    };
    Some(Offset::UTC.to_datetime(stamp))
}

fn since_1970(n: i64) -> Option<Timestamp> {
    match n {
        0..100_000_000_000 => Timestamp::from_second(n).ok(),
        100_000_000_000..100_000_000_000_000 => Timestamp::from_millisecond(n).ok(),
        100_000_000_000_000..100_000_000_000_000_000 => Timestamp::from_microsecond(n).ok(),
        _ => Timestamp::from_nanosecond(i128::from(n)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_forms_have_parts() {
        for text in [
            "2026-11-21T23:05:09Z",
            "2026-11-22T06:05:09+07:00",
            "2026-11-21 23:05:09.123",
            "1795302309",
            "1795302309000",
            "1795302309000000000",
        ] {
            let parts =
                [TimePart::Minute, TimePart::Hour, TimePart::Day, TimePart::Week, TimePart::Month, TimePart::Year];
            let found: Vec<_> = parts.into_iter().map(|p| part_of(text, p).unwrap()).collect();
            assert_eq!(found, [5, 23, 21, 47, 11, 2026], "{text}");
        }
        for text in ["", "noon", "2026", "23:05", "2026-13-01T00:00:00Z", "-5"] {
            assert!(part_of(text, TimePart::Year).is_none() || text == "2026", "{text}");
        }
    }
}
