//! The time. The only file that reads the system clock, so that tests can set it.
//!
//! Wall-clock time decides sessions and quota months. Leases and slots expire by the database's own clock
//! instead (`$$NOW`), so that machines with skewed clocks agree about them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mongodb::bson::DateTime;
use time::OffsetDateTime;

/// The system's clock, or one that a test advances. Clones of a fixed clock share its time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still at `at` until it is advanced.
    #[must_use]
    pub fn fixed(at: OffsetDateTime) -> Self {
        let millis = at.unix_timestamp() * 1000 + i64::from(at.millisecond());
        Self(Some(Arc::new(AtomicI64::new(millis))))
    }

    /// Moves a fixed clock forward; does nothing to the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(millis) = &self.0 {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            millis.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// Now, to the millisecond, as MongoDB stores it.
    #[must_use]
    pub fn now(&self) -> DateTime {
        match &self.0 {
            Some(millis) => DateTime::from_millis(millis.load(Ordering::SeqCst)),
            #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
            None => DateTime::now(),
        }
    }

    #[must_use]
    pub fn utc(&self) -> OffsetDateTime {
        calendar(self.now())
    }
}

/// A stored time as a calendar time in UTC. Times outside the calendar's years 1–9999 become the epoch.
#[must_use]
pub fn calendar(at: DateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.timestamp_millis()) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A stored time as the contract writes it: RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(at: DateTime) -> String {
    at.try_to_rfc3339_string().unwrap_or_else(|_| String::from("1970-01-01T00:00:00Z"))
}
