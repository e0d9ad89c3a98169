//! The part of a time that the time modifiers ask for (modifiers appendix 2.1, "Time Modifiers").
//!
//! "It is not designed to handle timezone or format conversions": what [`khien_event::time::parse`] reads is a time, in
//! UTC, and without a zone it is UTC already.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::TimePart;

/// The part of the time that `text` is, `None` when it is no time.
pub fn part_of(text: &str, part: TimePart) -> Option<i64> {
    let nanoseconds = khien_event::time::parse(text)?;
    let stamp = Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()?;
    let time = Offset::UTC.to_datetime(stamp);
    Some(match part {
        TimePart::Minute => i64::from(time.minute()),
        TimePart::Hour => i64::from(time.hour()),
        TimePart::Day => i64::from(time.day()),
        TimePart::Week => i64::from(time.date().iso_week_date().week()),
        TimePart::Month => i64::from(time.month()),
        TimePart::Year => i64::from(time.year()),
    })
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
        ] {
            let parts =
                [TimePart::Minute, TimePart::Hour, TimePart::Day, TimePart::Week, TimePart::Month, TimePart::Year];
            let found: Vec<_> = parts.iter().filter_map(|p| part_of(text, *p)).collect();
            assert_eq!(found, [5, 23, 21, 47, 11, 2026], "{text}");
        }
        for text in ["", "noon", "2026-13-01T00:00:00Z"] {
            assert_eq!(part_of(text, TimePart::Year), None, "{text}");
        }
    }
}
