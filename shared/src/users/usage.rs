//! Characters and voice creations spent in a month.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Clock,
    quota::{next_period, period},
};

/// What was spent in one month, as stored with the user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// The month, as `2026-11`.
    #[serde(default)]
    pub period: String,
    #[serde(default)]
    pub chars: i64,
    /// Voice creations.
    #[serde(default)]
    pub clones: i64,
}

impl Usage {
    /// Characters spent in the current month: an earlier month's count is ignored, so nothing has to reset it. If a
    /// machine whose clock is ahead has already begun the next month, that month counts.
    #[must_use]
    pub fn current(&self, clock: &Clock) -> i64 {
        if self.is_current(clock) { self.chars } else { 0 }
    }

    /// Voice creations of the current month, as [`Usage::current`].
    #[must_use]
    pub fn current_clones(&self, clock: &Clock) -> i64 {
        if self.is_current(clock) { self.clones } else { 0 }
    }

    fn is_current(&self, clock: &Clock) -> bool {
        [period(clock.now()), next_period(clock)].contains(&self.period)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;

    use super::*;

    #[test]
    fn usage_of_an_earlier_month_is_not_counted() {
        let clock = Clock::fixed(datetime!(2026-12-31 23:59:59 UTC));
        let usage = Usage { period: period(clock.now()), chars: 12, clones: 3 };
        assert_eq!((usage.current(&clock), usage.current_clones(&clock)), (12, 3));
        clock.advance(Duration::from_secs(1));
        assert_eq!((usage.current(&clock), usage.current_clones(&clock)), (0, 0));
    }
}
