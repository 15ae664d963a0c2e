//! Characters spent in a month.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Clock,
    quota::{next_period, period},
};

/// Characters spent in one month, as stored with the user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// The month, as `2026-11`.
    #[serde(default)]
    pub period: String,
    #[serde(default)]
    pub chars: i64,
}

impl Usage {
    /// Characters spent in the current month: an earlier month's count is ignored, so nothing has to reset it. If a
    /// machine whose clock is ahead has already begun the next month, that month counts.
    #[must_use]
    pub fn current(&self, clock: &Clock) -> i64 {
        if [period(clock.now()), next_period(clock)].contains(&self.period) { self.chars } else { 0 }
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
        let usage = Usage { period: period(clock.now()), chars: 12 };
        assert_eq!(usage.current(&clock), 12);
        clock.advance(Duration::from_secs(1));
        assert_eq!(usage.current(&clock), 0);
    }
}
