//! Lines of `key=value` pairs: `FortiGate`, Sophos, netfilter, and whatever writes logfmt.

use super::out::Out;
use super::pairs::{Closing, Pairs, Part, Quote, starts_with_key, unescaped};
use crate::time;

/// Fewest pairs that make a line one of pairs.
const PAIRS: usize = 3;

/// Pairs that are looked at to recognise a line.
const LOOK: usize = 8;

/// Whether `line` begins with a pair and holds more pairs than other words at its beginning.
pub(crate) fn recognise(line: &str) -> bool {
    if !starts_with_key(line.as_bytes()) {
        return false;
    }
    let (mut pairs, mut words) = (0, 0);
    for part in Pairs::new(line, Closing::BeforeSeparator).take(LOOK) {
        match part {
            Part::Pair { .. } => pairs += 1,
            Part::Word(_) => words += 1,
        }
    }
    pairs >= PAIRS && pairs > words
}

/// Decodes a line of pairs; whether it was one.
pub(crate) fn decode(line: &str, out: &mut Out<'_>) -> bool {
    if !recognise(line) {
        return false;
    }
    out.shape("keyvalue");
    let mut times = Times::default();
    for part in Pairs::new(line, Closing::BeforeSeparator) {
        let Part::Pair { key, value, quote } = part else {
            continue;
        };
        if quote == Quote::Double {
            out.text(key, &unescaped(value));
        } else {
            out.text(key, value);
        }
        times.read(key, value);
    }
    out.better_time(times.time());
    true
}

/// The pairs that say when it happened.
#[derive(Default)]
struct Times<'a> {
    event_time: Option<&'a str>,
    date: Option<&'a str>,
    time: Option<&'a str>,
    zone: Option<&'a str>,
    stamp: Option<&'a str>,
}

impl<'a> Times<'a> {
    fn read(&mut self, key: &str, value: &'a str) {
        let place = match key {
            "eventtime" => &mut self.event_time,
            "date" => &mut self.date,
            "time" => &mut self.time,
            "tz" | "timezone" => &mut self.zone,
            "timestamp" | "ts" | "t" | "@timestamp" => &mut self.stamp,
            _ => return,
        };
        place.get_or_insert(value);
    }

    fn time(&self) -> Option<i64> {
        let stated = self.event_time.and_then(time::parse);
        stated.or_else(|| self.date_and_time()).or_else(|| {
            let single = self.stamp.or(self.time);
            single.and_then(time::parse)
        })
    }

    /// `FortiGate` and Sophos: `date=2022-04-25 time=15:27:08 tz="+0200"`.
    fn date_and_time(&self) -> Option<i64> {
        let (date, time) = (self.date?, self.time?);
        if date.len() > 16 || time.len() > 24 {
            return None;
        }
        let zone = self.zone.filter(|z| z.len() <= 6).unwrap_or("");
        time::parse(&format!("{date} {time}{zone}")).or_else(|| time::parse(&format!("{date} {time}")))
    }
}
