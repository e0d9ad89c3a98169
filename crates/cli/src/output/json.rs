//! Writing JSON and times by hand: the findings' hot path does not build values first.

/// Appends `text` as a JSON string.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends `bytes` as a JSON string; bytes that are not UTF-8 become `U+FFFD`.
pub fn string_lossy(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        escaped(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

/// Appends UTF-8 text with the characters escaped that JSON wants escaped, and DEL, which terminals act on.
fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && byte != 0x7f {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                hex(byte, out);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
}

/// Appends a byte as two hexadecimal digits.
pub fn hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// Appends a valid JSON value on one line. Line breaks can stand only between its tokens, where a space means the same.
pub fn one_line(json: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(json.trim_ascii());
    let mut from = start;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', &out[from..]) {
        out[from + at] = b' ';
        from += at + 1;
    }
}

/// Appends a whole number.
pub fn number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a whole number of exactly `width` digits.
fn padded(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Appends a time, nanoseconds since 1970, as RFC 3339 in UTC with as many digits of the second as it needs.
pub fn time(nanoseconds: i64, out: &mut Vec<u8>) {
    let seconds = nanoseconds.div_euclid(SECOND);
    let fraction = nanoseconds.rem_euclid(SECOND) as u64;
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY) as u64;
    padded(year, 4, out);
    out.push(b'-');
    padded(month, 2, out);
    out.push(b'-');
    padded(day, 2, out);
    out.push(b'T');
    padded(second / 3600, 2, out);
    out.push(b':');
    padded(second / 60 % 60, 2, out);
    out.push(b':');
    padded(second % 60, 2, out);
    if fraction > 0 {
        out.push(b'.');
        padded(fraction, 9, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    out.push(b'Z');
}

/// Year, month and day of a day counted from 1970-01-01. An `i64` of nanoseconds stays within the years 1677 to 2262.
///
/// The algorithm `civil_from_days` of <https://howardhinnant.github.io/date_algorithms.html>.
fn civil(days: i64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as u64, month as u64, day as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_what_json_readers_expect() {
        for text in ["", "a\"b\\c", "\u{0}\u{1f}\u{7f}\n\r\t", "Tiếng Việt 漢字 🦀", "\u{2028}"] {
            let json = written(|out| string(text, out));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            assert!(!json.contains(|c: char| c.is_ascii_control()));
        }
        assert_eq!(written(|out| string_lossy(b"a\xff\xfe\"\xe1\xbb", out)), "\"a\u{fffd}\u{fffd}\\\"\u{fffd}\"");
    }

    #[test]
    fn json_is_put_on_one_line() {
        assert_eq!(written(|out| one_line(b" {\"a\":\r\n 1}\n", out)), "{\"a\":   1}");
    }

    #[test]
    fn numbers() {
        for n in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(written(|out| number(n, out)), n.to_string());
        }
    }

    #[test]
    fn times_have_the_digits_they_need() {
        let shown = |ns| written(|out| time(ns, out));
        assert_eq!(shown(0), "1970-01-01T00:00:00Z");
        assert_eq!(shown(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(shown(951_782_400_000_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(shown(1_700_000_000_120_000_000), "2023-11-14T22:13:20.12Z");
        assert_eq!(shown(1_700_000_000_000_000_100), "2023-11-14T22:13:20.0000001Z");
    }

    #[test]
    fn times_are_those_of_a_known_library() {
        let mut ns = i64::MIN;
        while let Some(next) = ns.checked_add(61_234_567_890_123_457) {
            let expected = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap().to_string();
            assert_eq!(written(|out| time(ns, out)), expected);
            ns = next;
        }
    }
}
