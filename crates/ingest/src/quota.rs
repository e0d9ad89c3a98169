//! How much a sender may send.

use serde::{Deserialize, Serialize};

/// Limits of one sender; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Events a second, averaged over [`BURST_MS`].
    pub events_per_second: Option<u64>,
    /// Bytes a second, likewise.
    pub bytes_per_second: Option<u64>,
    /// Events on a day of the calendar in UTC.
    pub events_per_day: Option<u64>,
}

/// A sender that was quiet may send at once what it may send in so many milliseconds.
pub const BURST_MS: u64 = 10_000;

/// A bucket that fills with time and from which what is sent is taken.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// What may still be sent, in thousandths.
    milli: u64,
    filled_ms: i64,
}

impl Bucket {
    fn full(rate: u64, now_ms: i64) -> Self {
        Self { milli: rate.saturating_mul(BURST_MS), filled_ms: now_ms }
    }

    fn fill(&mut self, rate: u64, now_ms: i64) {
        let passed = u64::try_from(now_ms.saturating_sub(self.filled_ms)).unwrap_or(0);
        // A clock that was set back fills nothing, and starts anew from there.
        self.filled_ms = now_ms;
        self.milli = self.milli.saturating_add(rate.saturating_mul(passed)).min(rate.saturating_mul(BURST_MS));
    }

    /// Milliseconds until `amount` is there, 0 when it is. More than a full bucket is there when the bucket is full.
    fn wait_ms(&self, rate: u64, amount: u64) -> u64 {
        let wanted = amount.saturating_mul(1_000).min(rate.saturating_mul(BURST_MS));
        wanted.saturating_sub(self.milli).div_ceil(rate.max(1))
    }

    fn take(&mut self, amount: u64) {
        self.milli = self.milli.saturating_sub(amount.saturating_mul(1_000));
    }
}

/// What a sender has used of its quota.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    events: Bucket,
    bytes: Bucket,
    day: i64,
    today: u64,
}

const DAY_MS: i64 = 86_400_000;

/// Why something must not be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which limit: `events_per_second`, `bytes_per_second` or `events_per_day`.
    pub limit: &'static str,
    /// When to try again.
    pub retry_ms: u64,
}

impl Meter {
    /// Of a sender that has sent nothing yet.
    pub fn new(quota: &Quota, now_ms: i64) -> Self {
        Self {
            events: Bucket::full(quota.events_per_second.unwrap_or(0), now_ms),
            bytes: Bucket::full(quota.bytes_per_second.unwrap_or(0), now_ms),
            day: now_ms.div_euclid(DAY_MS),
            today: 0,
        }
    }

    /// Takes `events` events of `bytes` bytes together, all or none.
    ///
    /// # Errors
    /// The limit that stands against it.
    pub fn take(&mut self, quota: &Quota, events: u64, bytes: u64, now_ms: i64) -> Result<(), Exceeded> {
        let day = now_ms.div_euclid(DAY_MS);
        if day != self.day {
            (self.day, self.today) = (day, 0);
        }
        if quota.events_per_day.is_some_and(|most| self.today.saturating_add(events) > most) {
            let retry_ms = u64::try_from((day + 1) * DAY_MS - now_ms).unwrap_or(0);
            return Err(Exceeded { limit: "events_per_day", retry_ms });
        }
        let rates = [
            (&mut self.events, quota.events_per_second, events, "events_per_second"),
            (&mut self.bytes, quota.bytes_per_second, bytes, "bytes_per_second"),
        ];
        for (bucket, rate, amount, limit) in rates {
            let Some(rate) = rate else { continue };
            bucket.fill(rate, now_ms);
            let retry_ms = bucket.wait_ms(rate, amount);
            if retry_ms > 0 {
                return Err(Exceeded { limit, retry_ms });
            }
        }
        self.events.take(events);
        self.bytes.take(bytes);
        self.today += events;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_rules() {
        let quota = Quota { events_per_second: Some(100), ..Quota::default() };
        let mut meter = Meter::new(&quota, 0);
        assert_eq!(meter.take(&quota, 1_000, 0, 0), Ok(()));
        let refused = meter.take(&quota, 50, 0, 0);
        assert_eq!(refused, Err(Exceeded { limit: "events_per_second", retry_ms: 500 }));
        assert!(meter.take(&quota, 50, 0, 499).is_err());
        assert_eq!(meter.take(&quota, 50, 0, 500), Ok(()));
    }

    #[test]
    fn a_batch_larger_than_the_bucket_passes_when_the_bucket_is_full() {
        let quota = Quota { bytes_per_second: Some(10), ..Quota::default() };
        let mut meter = Meter::new(&quota, 0);
        assert_eq!(meter.take(&quota, 1, 1_000_000, 0), Ok(()));
        assert_eq!(meter.take(&quota, 1, 1, 0).unwrap_err().limit, "bytes_per_second");
    }

    #[test]
    fn days_begin_anew_and_a_clock_set_back_gives_nothing_away() {
        let quota = Quota { events_per_day: Some(10), ..Quota::default() };
        let mut meter = Meter::new(&quota, 0);
        assert_eq!(meter.take(&quota, 10, 0, 5), Ok(()));
        assert_eq!(meter.take(&quota, 1, 0, 5), Err(Exceeded { limit: "events_per_day", retry_ms: 86_399_995 }));
        assert_eq!(meter.take(&quota, 10, 0, DAY_MS), Ok(()));
        let rate = Quota { events_per_second: Some(1), ..Quota::default() };
        let mut meter = Meter::new(&rate, 100_000);
        assert_eq!(meter.take(&rate, 10, 0, 100_000), Ok(()));
        assert!(meter.take(&rate, 1, 0, 0).is_err());
        assert_eq!(meter.take(&rate, 1, 0, 1_000), Ok(()));
    }
}
