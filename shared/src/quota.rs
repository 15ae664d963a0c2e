//! The monthly limits, and the calendar month that they count against.

use std::time::Duration;

use mongodb::bson::DateTime;
use time::{Month, OffsetDateTime, Time};

use crate::{
    clock::{Clock, calendar},
    env::{Env, EnvError},
};

/// What a user may spend.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Characters per user and month (`MONTHLY_CHAR_LIMIT`, default 4000).
    pub monthly_limit: i64,
    /// Voice creations per user and month (`MONTHLY_CLONE_LIMIT`, default 30): they are the account's scarcest good.
    pub monthly_clones: i64,
}

impl Quota {
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        Ok(Self {
            monthly_limit: env.parse_or("MONTHLY_CHAR_LIMIT", 4000)?,
            monthly_clones: env.parse_or("MONTHLY_CLONE_LIMIT", 30)?,
        })
    }
}

/// The UTC calendar month of a time, as `2026-11`.
#[must_use]
pub fn period(at: DateTime) -> String {
    month(calendar(at))
}

fn month(at: OffsetDateTime) -> String {
    format!("{:04}-{:02}", at.year(), u8::from(at.month()))
}

/// The month after the current one, as `2026-11`.
#[must_use]
pub fn next_period(clock: &Clock) -> String {
    month(resets_at(clock))
}

/// The first moment of the next UTC month.
#[must_use]
pub fn resets_at(clock: &Clock) -> OffsetDateTime {
    let now = clock.utc();
    let year = if now.month() == Month::December { now.year() + 1 } else { now.year() };
    let first = now.replace_time(Time::MIDNIGHT).replace_day(1).unwrap_or(now);
    first.replace_month(now.month().next()).and_then(|first| first.replace_year(year)).unwrap_or(first)
}

/// The time until [`resets_at`].
#[must_use]
pub fn resets_in(clock: &Clock) -> Duration {
    (resets_at(clock) - clock.utc()).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn quota_month_resets_at_its_end_also_in_december() {
        let clock = Clock::fixed(datetime!(2026-12-31 23:59:59 UTC));
        assert_eq!(resets_at(&clock), datetime!(2027-01-01 0:00 UTC));
        assert_eq!(resets_in(&clock), Duration::from_secs(1));
        let clock = Clock::fixed(datetime!(2028-01-31 12:00 UTC));
        assert_eq!(resets_at(&clock), datetime!(2028-02-01 0:00 UTC));
    }
}
