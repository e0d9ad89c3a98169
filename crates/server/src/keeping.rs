//! What the register says of retention, as the lake understands it.

use khien_lake::{Hold, Keep, Retention};
use khien_sources::{Keeping, KeepingError, default_keeping};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Rules, the default behind them, and holds that are not lifted.
pub(crate) async fn retention(keeping: &Keeping) -> Result<Retention, KeepingError> {
    let own = keeping.rules().await?.into_iter().map(|rule| Keep {
        organisation: rule.organisation,
        class_uid: rule.class_uid,
        days: u32::try_from(rule.days).unwrap_or(u32::MAX),
    });
    let mut rules: Vec<Keep> = own.collect();
    if !rules.iter().any(|rule| rule.organisation.is_none() && rule.class_uid.is_none()) {
        rules.push(Keep { organisation: None, class_uid: None, days: default_keeping().days });
    }
    let held = keeping.holds().await?.into_iter().filter(|hold| hold.lifted_ms.is_none());
    let holds = held.map(|hold| Hold {
        organisation: hold.organisation,
        from_day: hold.from_ms.div_euclid(DAY_MS) as i32,
        to_day: hold.to_ms.div_euclid(DAY_MS) as i32,
    });
    Ok(Retention { rules, holds: holds.collect() })
}
