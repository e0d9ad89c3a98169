//! Event times as logs write them.
//!
//! Everything becomes nanoseconds since 1970-01-01 UTC in an `i64`, which reaches from 1677 to 2262; other times are
//! refused. A time without a zone is taken as UTC, because the log does not say better. RFC 3339 is read without
//! allocation: it is asked for on every finding. Not here: which field holds the time (that is the taxonomy's).

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Longest text that is looked at, in bytes. No format above is longer.
const LONGEST: usize = 64;
/// Seconds between 1601 (Windows FILETIME) and 1970.
const FILETIME_OFFSET: i64 = 11_644_473_600;

/// Reads a time that names its year: RFC 3339 and its relatives (space for `T`, comma for the point, any fraction, no
/// zone), epoch seconds, milliseconds, microseconds and nanoseconds as integer or decimal (told apart by magnitude),
/// Windows FILETIME, Common Log Format, RFC 2822, `ctime`, US dates with or without AM/PM, and `/Date(ms)/`.
///
/// The result is in nanoseconds since 1970 UTC; `None` when the text is none of these or out of range.
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.trim_ascii().as_bytes();
    if let Some((time, used)) = iso(bytes)
        && used == bytes.len()
    {
        return Some(time);
    }
    if bytes.len() > LONGEST {
        return None;
    }
    let bytes = without_brackets(bytes);
    epoch(bytes)
        .or_else(|| json_date(bytes))
        .or_else(|| common_log(bytes))
        .or_else(|| us(bytes))
        .or_else(|| words(bytes)?.with_year())
}

/// Reads what [`parse`] reads and also times without a year (`Nov 21 10:00:00`, RFC 3164), for which the latest year is
/// chosen that does not lie more than a day after `reference_ns` (nanoseconds since 1970, usually the time the file was
/// last written).
pub fn parse_near(text: &str, reference_ns: i64) -> Option<i64> {
    parse(text).or_else(|| {
        let bytes = text.trim_ascii().as_bytes();
        if bytes.len() > LONGEST {
            return None;
        }
        words(without_brackets(bytes))?.near(reference_ns)
    })
}

/// Reads an RFC 3339 time, or one of its relatives, at the start of `bytes`: the time and how many bytes it takes.
pub fn iso(bytes: &[u8]) -> Option<(i64, usize)> {
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/' | b'.') || *bytes.get(7)? != separator {
        return None;
    }
    let year = digits(bytes, 0, 4)?;
    let days = days(year, digits(bytes, 5, 2)?, digits(bytes, 8, 2)?)?;
    let mut at = 10;
    while bytes.get(at) == Some(&b' ') && at < 13 {
        at += 1;
    }
    if at == 10 {
        if !matches!(bytes.get(at), Some(b'T' | b't' | b'_' | b'-')) {
            return None;
        }
        at += 1;
    }
    let (clock, mut at) = clock(bytes, at)?;
    let mut offset = 0;
    if let Some((seconds, end)) = zone(bytes, at) {
        offset = seconds;
        at = end;
    } else if bytes.get(at) == Some(&b' ')
        && let Some((seconds, end)) = zone(bytes, at + 1)
    {
        offset = seconds;
        at = end;
    }
    Some((join(days, clock, offset)?, at))
}

/// A time of day in nanoseconds.
type Clock = i64;

/// `H:MM[:SS[.fraction]]` at `at`; the nanoseconds since midnight and where it ends. A leap second is read as the
/// second before it.
fn clock(bytes: &[u8], at: usize) -> Option<(Clock, usize)> {
    let (hour, at) = match bytes.get(at + 1)? {
        b':' => (digits(bytes, at, 1)?, at + 1),
        _ => (digits(bytes, at, 2)?, at + 2),
    };
    if *bytes.get(at)? != b':' {
        return None;
    }
    let minute = digits(bytes, at + 1, 2)?;
    let mut at = at + 3;
    let (mut second, mut nanos) = (0, 0);
    if bytes.get(at) == Some(&b':') {
        second = digits(bytes, at + 1, 2)?;
        at += 3;
        if matches!(bytes.get(at), Some(b'.' | b',')) && bytes.get(at + 1)?.is_ascii_digit() {
            (nanos, at) = fraction(bytes, at + 1);
        }
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let second = second.min(59);
    Some((((hour * 60 + minute) * 60 + second) * SECOND + nanos, at))
}

/// The digits at `at` as nanoseconds (more than nine are read and dropped), and where they end.
fn fraction(bytes: &[u8], at: usize) -> (i64, usize) {
    let mut nanos = 0;
    let mut unit = SECOND;
    let mut end = at;
    while let Some(digit) = bytes.get(end).filter(|b| b.is_ascii_digit()) {
        unit /= 10;
        nanos += i64::from(digit - b'0') * unit;
        end += 1;
    }
    (nanos, end)
}

/// A zone at `at`: `Z`, `UTC`, `GMT`, `+07`, `+0700`, `+07:00`; seconds east of UTC and where it ends.
fn zone(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let rest = bytes.get(at..)?;
    let sign = match rest.first()? {
        b'Z' | b'z' => return Some((0, at + 1)),
        b'+' => 1,
        b'-' => -1,
        _ => {
            let word = rest.get(..3)?;
            let known = word.eq_ignore_ascii_case(b"UTC") || word.eq_ignore_ascii_case(b"GMT");
            return known.then_some((0, at + 3));
        }
    };
    let hours = digits(rest, 1, 2)?;
    let (minutes, used) = match rest.get(3) {
        Some(b':') => (digits(rest, 4, 2)?, 6),
        Some(b) if b.is_ascii_digit() => (digits(rest, 3, 2)?, 5),
        _ => (0, 3),
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 60 + minutes) * 60, at + used))
}

/// `count` decimal digits at `at`.
fn digits(bytes: &[u8], at: usize, count: usize) -> Option<i64> {
    bytes
        .get(at..at + count)?
        .iter()
        .try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar; `None` when there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    // Years are counted from March, so that the leap day is the last of its year.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The year of a time in nanoseconds.
fn year_of(nanos: i64) -> i64 {
    let mut year = 1970 + nanos / SECOND / (DAY * 366);
    // The estimate is at most a year off per 366 years either way.
    for _ in 0..4 {
        let (Some(start), Some(next)) = (days(year, 1, 1), days(year + 1, 1, 1)) else {
            break;
        };
        let day = nanos.div_euclid(SECOND * DAY);
        if day < start {
            year -= 1;
        } else if day >= next {
            year += 1;
        } else {
            break;
        }
    }
    year
}

/// One time out of its parts; `None` when it does not fit nanoseconds in an `i64`.
fn join(days: i64, clock: Clock, offset_seconds: i64) -> Option<i64> {
    days.checked_mul(DAY)?.checked_sub(offset_seconds)?.checked_mul(SECOND)?.checked_add(clock)
}

/// Removes one pair of brackets or quotes around the text.
fn without_brackets(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'[', inner @ .., b']'] | [b'"', inner @ .., b'"'] => inner.trim_ascii(),
        _ => bytes,
    }
}

/// Epoch numbers. Below 10^8 a number is not believed to be a time.
fn epoch(bytes: &[u8]) -> Option<i64> {
    let whole = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(9..=19).contains(&whole) {
        return None;
    }
    let value = digits(bytes, 0, whole.min(18))?;
    let value = if whole == 19 { value.checked_mul(10)?.checked_add(digits(bytes, 18, 1)?)? } else { value };
    let nanos = match bytes.get(whole) {
        None => 0,
        Some(b'.' | b',') => {
            let (nanos, end) = fraction(bytes, whole + 1);
            if end != bytes.len() {
                return None;
            }
            nanos
        }
        Some(_) => return None,
    };
    let (unit, base) = match value {
        100_000_000..100_000_000_000 => (SECOND, 0),
        100_000_000_000..100_000_000_000_000 => (1_000_000, 0),
        100_000_000_000_000..100_000_000_000_000_000 => (1_000, 0),
        // 1973 to 1978 in nanoseconds, 1973 to 2424 in FILETIME: surely the latter.
        116_540_000_000_000_000..260_000_000_000_000_000 => (100, FILETIME_OFFSET),
        260_000_000_000_000_000.. => (1, 0),
        _ => return None,
    };
    (value - base * (SECOND / unit)).checked_mul(unit)?.checked_add(nanos / (SECOND / unit))
}

/// `/Date(1600000000000)/`, with or without an offset, which says nothing about the instant.
fn json_date(bytes: &[u8]) -> Option<i64> {
    let inner = bytes.strip_prefix(b"/Date(").or_else(|| bytes.strip_prefix(b"\\/Date("))?;
    let sign = if inner.first() == Some(&b'-') { -1 } else { 1 };
    let from = usize::from(sign < 0);
    let count = inner.get(from..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 || count > 15 {
        return None;
    }
    let rest = inner.get(from + count..)?;
    let closed = rest.ends_with(b")/") || rest.ends_with(b")\\/");
    closed.then(|| digits(inner, from, count)?.checked_mul(sign)?.checked_mul(1_000_000))?
}

/// `10/Oct/2000:13:55:36 -0700`
fn common_log(bytes: &[u8]) -> Option<i64> {
    let width = bytes.iter().position(|&b| b == b'/')?;
    if !(1..=2).contains(&width) {
        return None;
    }
    let day = digits(bytes, 0, width)?;
    let month = month(bytes.get(width + 1..width + 4)?)?;
    if *bytes.get(width + 4)? != b'/' || !matches!(bytes.get(width + 9)?, b':' | b' ') {
        return None;
    }
    let year = digits(bytes, width + 5, 4)?;
    let (clock, end) = clock(bytes, width + 10)?;
    let offset = match bytes.get(end..)?.trim_ascii_start() {
        [] => 0,
        rest => whole_zone(rest)?,
    };
    join(days(year, month, day)?, clock, offset)
}

/// `MM/DD/YYYY[,] HH:MM:SS[.fraction] [AM|PM] [zone]`
fn us(bytes: &[u8]) -> Option<i64> {
    let first = bytes.iter().position(|&b| b == b'/')?;
    let second = first + 1 + bytes.get(first + 1..)?.iter().position(|&b| b == b'/')?;
    let (month_width, day_width) = (first, second - first - 1);
    if !(1..=2).contains(&month_width) || !(1..=2).contains(&day_width) {
        return None;
    }
    let month = digits(bytes, 0, month_width)?;
    let day = digits(bytes, first + 1, day_width)?;
    let year = digits(bytes, second + 1, 4)?;
    let rest = bytes.get(second + 5..)?;
    if !matches!(rest.first()?, b' ' | b',' | b'T' | b':') {
        return None;
    }
    let mut parts = Words::default();
    for word in tokens(rest.get(1..)?) {
        parts.read(word)?;
    }
    parts.month = Some(month);
    parts.day = Some(day);
    parts.year = Some(year);
    parts.with_year()
}

/// What a time in words says: `Mon Aug 10 09:26:47 2020`, `Mon, 10 Aug 2020 09:26:47 +0000`, `Nov 21 10:00:00`.
#[derive(Default)]
struct Words {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    clock: Option<Clock>,
    offset: Option<i64>,
    half: Option<Half>,
}

/// The half of a twelve-hour day.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Am,
    Pm,
}

impl Words {
    /// Takes one word; `None` when it has no place in a time.
    fn read(&mut self, word: &[u8]) -> Option<()> {
        if self.clock.is_none() && word.contains(&b':') {
            let (clock, end) = clock(word, 0)?;
            self.clock = Some(clock);
            return match word.get(end..)? {
                [] => Some(()),
                rest => self.read_zone(rest),
            };
        }
        if word.first()?.is_ascii_digit() {
            return self.read_number(word);
        }
        if let Some(month) = month(word)
            && self.month.is_none()
        {
            self.month = Some(month);
            return Some(());
        }
        if is_weekday(word) {
            return Some(());
        }
        self.read_zone(word)
    }

    fn read_zone(&mut self, word: &[u8]) -> Option<()> {
        if word.eq_ignore_ascii_case(b"AM") {
            self.half = Some(Half::Am);
        } else if word.eq_ignore_ascii_case(b"PM") {
            self.half = Some(Half::Pm);
        } else {
            // The first zone counts: `+0200 (CEST)`.
            let offset = whole_zone(word)?;
            self.offset.get_or_insert(offset);
        }
        Some(())
    }

    /// A day, a year, or `10-Aug-2020`.
    fn read_number(&mut self, word: &[u8]) -> Option<()> {
        match word.len() {
            1 | 2 if self.day.is_none() => self.day = Some(digits(word, 0, word.len())?),
            4 if self.year.is_none() => self.year = Some(digits(word, 0, 4)?),
            10 | 11 if self.month.is_none() && self.day.is_none() => {
                let width = word.iter().position(|&b| b == b'-')?;
                if word.get(width + 4) != Some(&b'-') || width + 9 != word.len() {
                    return None;
                }
                self.day = Some(digits(word, 0, width)?);
                self.month = Some(month(word.get(width + 1..width + 4)?)?);
                self.year = Some(digits(word, width + 5, 4)?);
            }
            _ => return None,
        }
        Some(())
    }

    fn with_year(&self) -> Option<i64> {
        self.in_year(self.year?)
    }

    fn in_year(&self, year: i64) -> Option<i64> {
        join(days(year, self.month?, self.day?)?, self.clock_of_day()?, self.offset.unwrap_or(0))
    }

    fn clock_of_day(&self) -> Option<Clock> {
        let clock = self.clock?;
        let hour = clock / (3_600 * SECOND);
        let noon = 12 * 3_600 * SECOND;
        match self.half {
            None => Some(clock),
            Some(_) if !(1..=12).contains(&hour) => None,
            Some(Half::Am) => Some(if hour == 12 { clock - noon } else { clock }),
            Some(Half::Pm) => Some(if hour == 12 { clock } else { clock + noon }),
        }
    }

    /// The latest such time not after `reference_ns` and a day. Eight years back there was a 29 February.
    fn near(&self, reference_ns: i64) -> Option<i64> {
        if self.year.is_some() {
            return self.with_year();
        }
        let latest = reference_ns.saturating_add(DAY * SECOND);
        let year = year_of(latest);
        (0..=8).filter_map(|back| self.in_year(year - back)).find(|&time| time <= latest)
    }
}

/// The words of a time, at most twelve.
fn tokens(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| matches!(b, b' ' | b',' | b'\t')).filter(|word| !word.is_empty()).take(12)
}

fn words(bytes: &[u8]) -> Option<Words> {
    let mut parts = Words::default();
    for word in tokens(bytes) {
        parts.read(word)?;
    }
    Some(parts)
}

/// A zone that is the whole word; the names are those of RFC 2822 and a few that mail and syslog show.
fn whole_zone(word: &[u8]) -> Option<i64> {
    let word = match word {
        [b'(', inner @ .., b')'] => inner,
        _ => word,
    };
    if let Some((offset, end)) = zone(word, 0)
        && end == word.len()
    {
        return Some(offset);
    }
    let hours = match word.to_ascii_uppercase().as_slice() {
        b"UT" | b"WET" => 0,
        b"EDT" => -4,
        b"EST" | b"CDT" => -5,
        b"CST" | b"MDT" => -6,
        b"MST" | b"PDT" => -7,
        b"PST" => -8,
        b"CET" | b"BST" | b"WEST" => 1,
        b"CEST" | b"EET" => 2,
        b"EEST" | b"MSK" => 3,
        b"ICT" => 7,
        b"JST" | b"KST" => 9,
        _ => return None,
    };
    Some(hours * 3_600)
}

/// The month of an English name or its first three letters.
fn month(word: &[u8]) -> Option<i64> {
    const NAMES: [&[u8]; 12] = [
        b"january",
        b"february",
        b"march",
        b"april",
        b"may",
        b"june",
        b"july",
        b"august",
        b"september",
        b"october",
        b"november",
        b"december",
    ];
    (1..).zip(NAMES).find(|(_, name)| shortens(name, word)).map(|(number, _)| number)
}

fn is_weekday(word: &[u8]) -> bool {
    const NAMES: [&[u8]; 7] = [b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday"];
    NAMES.iter().any(|name| shortens(name, word))
}

/// Whether `word` is `name` or its beginning of three letters or more.
fn shortens(name: &[u8], word: &[u8]) -> bool {
    let word = word.strip_suffix(b".").unwrap_or(word);
    word.len() >= 3 && name.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
    }

    #[test]
    fn reads_rfc_3339_and_its_relatives() {
        for (text, want) in [
            ("2020-10-23T21:57:29.192Z", "2020-10-23T21:57:29.192Z"),
            ("2020-10-23 21:57:29.192", "2020-10-23T21:57:29.192Z"),
            ("2020-10-23 21:57:29,192", "2020-10-23T21:57:29.192Z"),
            ("2020-10-23T21:57:29.1234567Z", "2020-10-23T21:57:29.1234567Z"),
            ("2020-10-23T21:57:29.123456789012Z", "2020-10-23T21:57:29.123456789Z"),
            ("2020-10-23t21:57:29z", "2020-10-23T21:57:29Z"),
            ("2020-10-23T21:57:29+07:00", "2020-10-23T14:57:29Z"),
            ("2020-10-23T21:57:29-0330", "2020-10-24T01:27:29Z"),
            ("2020-10-23T21:57:29+07", "2020-10-23T14:57:29Z"),
            ("2020-10-23 21:57:29.5 +0200", "2020-10-23T19:57:29.5Z"),
            ("2020-10-23 21:57:29 UTC", "2020-10-23T21:57:29Z"),
            ("2020/10/23 21:57:29", "2020-10-23T21:57:29Z"),
            ("2020-10-23T21:57", "2020-10-23T21:57:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            (" 2020-02-29T00:00:00Z ", "2020-02-29T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
        ] {
            assert_eq!(parse(text), Some(at(want)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "T",
            "2020-13-01T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "2020-10-23T24:00:00Z",
            "2020-10-23T21:60:00Z",
            "2020-10-23T21:57:29.Z",
            "2020-10-23T21:57:29Zx",
            "2020-10-23T21:57:29+25:00",
            "9999-01-01T00:00:00Z",
            "2020-10-23",
            "12",
            "12345678",
            "99999999999999999999",
            "1600000000x",
            "1600000000.x",
            "host 1",
            "Nov 21 10:00:00",
            "32/Oct/2000:13:55:36 -0700",
            "13/13/2020 10:00:00 AM",
            "1/2/2020 13:00:00 PM",
            "1/2/2020 0:00:00 AM",
            "/Date()/",
            "/Date(1600000000000",
            "việt",
            "2020-1é-23T21:57:29Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn tells_epochs_apart_by_magnitude() {
        let want = at("2020-09-13T12:26:40.123456Z");
        assert_eq!(parse("1600000000.123456"), Some(want));
        assert_eq!(parse("1600000000123.456"), Some(want));
        assert_eq!(parse("1600000000123456"), Some(want));
        assert_eq!(parse("1600000000123456000"), Some(want));
        assert_eq!(parse("1600000000"), Some(at("2020-09-13T12:26:40Z")));
        assert_eq!(parse("132444736001234560"), Some(want));
        assert_eq!(parse("/Date(1600000000123)/"), Some(at("2020-09-13T12:26:40.123Z")));
        assert_eq!(parse("/Date(1600000000123+0200)/"), Some(at("2020-09-13T12:26:40.123Z")));
    }

    #[test]
    fn reads_written_dates() {
        for (text, want) in [
            ("10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
            ("[10/Oct/2000:13:55:36 +0000]", "2000-10-10T13:55:36Z"),
            ("Mon Aug 10 09:26:47 2020", "2020-08-10T09:26:47Z"),
            ("Mon Aug 10 09:26:47 UTC 2020", "2020-08-10T09:26:47Z"),
            ("Mon, 10 Aug 2020 09:26:47 +0200", "2020-08-10T07:26:47Z"),
            ("Mon, 10 Aug 2020 09:26:47 +0200 (CEST)", "2020-08-10T07:26:47Z"),
            ("Fri Oct 08 17:08:41.203277 2021", "2021-10-08T17:08:41.203277Z"),
            ("Sep 03 2020 14:54:59 GMT", "2020-09-03T14:54:59Z"),
            ("10-Aug-2020 09:26:47.336", "2020-08-10T09:26:47.336Z"),
            ("Aug 10, 2020 9:26:47 PM", "2020-08-10T21:26:47Z"),
            ("08/10/2020 09:26:47", "2020-08-10T09:26:47Z"),
            ("8/10/2020 12:26:47 AM", "2020-08-10T00:26:47Z"),
            ("8/10/2020, 12:26:47 PM", "2020-08-10T12:26:47Z"),
        ] {
            assert_eq!(parse(text), Some(at(want)), "{text}");
        }
    }

    #[test]
    fn chooses_the_latest_year_not_after_the_reference() {
        let reference = at("2026-11-21T12:00:00Z");
        let near = |text| parse_near(text, reference);
        assert_eq!(near("Nov 21 10:00:00"), Some(at("2026-11-21T10:00:00Z")));
        assert_eq!(near("Nov 22 11:59:59"), Some(at("2026-11-22T11:59:59Z")));
        assert_eq!(near("Nov 22 12:00:01"), Some(at("2025-11-22T12:00:01Z")));
        assert_eq!(near("Jan  1 01:01:00.25"), Some(at("2026-01-01T01:01:00.25Z")));
        assert_eq!(near("Feb 29 00:00:00"), Some(at("2024-02-29T00:00:00Z")));
        assert_eq!(near("Feb 30 00:00:00"), None);
        assert_eq!(near("2020-10-23T21:57:29Z"), Some(at("2020-10-23T21:57:29Z")));
        let new_year = at("2026-12-31T20:00:00Z");
        assert_eq!(parse_near("Jan 1 01:00:00", new_year), Some(at("2027-01-01T01:00:00Z")));
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(nanos in any::<i64>()) {
            let text = Timestamp::from_nanosecond(i128::from(nanos)).unwrap().to_string();
            // The first moments of 1677 carry a second that does not fit before the fraction is added.
            if nanos > i64::MIN + SECOND {
                prop_assert_eq!(parse(&text), Some(nanos), "{}", text);
            }
        }

        #[test]
        fn agrees_with_jiff_on_zones(seconds in -10_000_000_000i64..9_000_000_000, minutes in -1_439i64..1_440) {
            let here = Timestamp::from_second(seconds + minutes * 60).unwrap().to_string();
            let sign = if minutes < 0 { '-' } else { '+' };
            let zone = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
            prop_assume!(seconds > -9_200_000_000);
            prop_assert_eq!(parse(&here.replace('Z', &zone)), Some(seconds * SECOND));
        }

        #[test]
        fn never_panics(text in "\\PC{0,80}", reference in any::<i64>()) {
            let _ = (parse(&text), parse_near(&text, reference));
        }

        #[test]
        fn never_panics_on_almost_times(text in "[-0-9:/ .,TZ+JanFeb]{0,40}", reference in any::<i64>()) {
            let _ = (parse(&text), parse_near(&text, reference));
        }

        #[test]
        fn a_year_is_the_year_of_its_days(nanos in any::<i64>()) {
            let year = Timestamp::from_nanosecond(i128::from(nanos)).unwrap().to_zoned(jiff::tz::TimeZone::UTC).year();
            prop_assert_eq!(year_of(nanos), i64::from(year));
        }
    }
}
