//! What speaking costs, and the calendar month that it counts against.

use std::time::Duration;

use mongodb::bson::DateTime;
use serde::{Deserialize, Serialize};
use time::{Month, OffsetDateTime, Time};

use crate::{
    clock::{Clock, calendar},
    env::{Env, EnvError},
};

/// The price of a character and how many a user has a month.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Characters a user may spend in a month (`MONTHLY_CHAR_LIMIT`, default 4000).
    pub monthly_limit: i64,
    /// The model that speaks (`ELEVENLABS_MODEL`).
    pub model: String,
}

/// The model used unless configuration names another: about 75 ms to the first byte, at half the price.
pub const DEFAULT_MODEL: &str = "eleven_flash_v2_5";

impl Quota {
    /// Reads `MONTHLY_CHAR_LIMIT` and `ELEVENLABS_MODEL`.
    pub fn from_env(env: &Env) -> Result<Self, EnvError> {
        Ok(Self {
            monthly_limit: env.parsed("MONTHLY_CHAR_LIMIT", 4000)?,
            model: env.get("ELEVENLABS_MODEL").unwrap_or(DEFAULT_MODEL).to_owned(),
        })
    }

    /// What one character of this model costs: Flash and Turbo half, others one
    /// (<https://elevenlabs.io/docs/overview/models>).
    #[must_use]
    pub fn cost_factor(&self) -> f64 {
        if self.is_half_price() { 0.5 } else { 1.0 }
    }

    /// What a text of that many characters costs: whole characters, rounded up, at least one.
    #[must_use]
    pub fn cost(&self, characters: usize) -> i64 {
        let characters = if self.is_half_price() { characters.div_ceil(2) } else { characters };
        i64::try_from(characters.max(1)).unwrap_or(i64::MAX)
    }

    fn is_half_price(&self) -> bool {
        self.model.contains("flash") || self.model.contains("turbo")
    }
}

/// Characters spent in one month, as stored with the user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// The month, as `2026-11`.
    #[serde(default)]
    pub period: String,
    /// Characters spent in it.
    #[serde(default)]
    pub chars: i64,
}

impl Usage {
    /// Characters spent in the month that is now; nothing has to reset what an earlier month left. If a machine whose
    /// clock is ahead has already begun the next month, that is the month.
    #[must_use]
    pub fn now(&self, clock: &Clock) -> i64 {
        if [period(clock.now()), next_period(clock)].contains(&self.period) { self.chars } else { 0 }
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

/// The month after the one that is now.
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

/// Time to the first moment of the next month.
#[must_use]
pub fn resets_in(clock: &Clock) -> Duration {
    (resets_at(clock) - clock.utc()).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_month_resets_at_its_end_also_in_december() {
        let clock = Clock::fixed(datetime!(2026-12-31 23:59:59 UTC));
        assert_eq!(resets_at(&clock), datetime!(2027-01-01 0:00 UTC));
        assert_eq!(resets_in(&clock), Duration::from_secs(1));
        let usage = Usage { period: period(clock.now()), chars: 12 };
        assert_eq!(usage.now(&clock), 12);
        clock.advance(Duration::from_secs(1));
        assert_eq!(usage.now(&clock), 0);
        let clock = Clock::fixed(datetime!(2028-01-31 12:00 UTC));
        assert_eq!(resets_at(&clock), datetime!(2028-02-01 0:00 UTC));
    }

    #[test]
    fn a_character_costs_the_models_factor_and_never_nothing() {
        let flash = Quota { monthly_limit: 1, model: "eleven_flash_v2_5".into() };
        let full = Quota { monthly_limit: 1, model: "eleven_multilingual_v2".into() };
        assert_eq!((flash.cost(101), flash.cost(100), flash.cost(0)), (51, 50, 1));
        assert_eq!((full.cost(101), full.cost(0)), (101, 1));
    }
}
