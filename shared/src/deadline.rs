//! How long this invocation may still take.

use std::time::{Duration, Instant};

use axum::{extract::FromRequestParts, http::request::Parts};
use lambda_http::Context;

use crate::clock::Clock;

/// A moment on the monotonic clock by which the work must be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So much from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The invocation's own deadline, but never later than the function's configured timeout from now: leases are
    /// counted by that, and no work may outlive its lease. Where the platform gives no deadline that makes sense
    /// (`cargo lambda watch` sends the year 1970, and a machine's clock may be wrong), the timeout alone counts.
    #[must_use]
    pub fn from_invocation(context: Option<&Context>, clock: &Clock, timeout: Duration) -> Self {
        let now = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
        let left = context
            .and_then(|context| context.deadline.checked_sub(now))
            .map(Duration::from_millis)
            .filter(|left| !left.is_zero());
        Self::after(left.map_or(timeout, |left| left.min(timeout)))
    }

    /// A deadline that much earlier.
    #[must_use]
    pub fn minus(self, reserve: Duration) -> Self {
        Self(self.0.checked_sub(reserve).unwrap_or_else(Instant::now))
    }

    /// The earlier of this deadline and so much from now.
    #[must_use]
    pub fn capped_at(self, time: Duration) -> Self {
        Self(self.0.min(Instant::now() + time))
    }

    /// What is left; zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// What some work gives, or `None` if the time is up before it does.
    pub async fn timeout<T>(self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.remaining(), Box::pin(work)).await.ok()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_expired(self) -> bool {
        self.remaining().is_zero()
    }
}

/// The platform's description of the invocation, where there is one: not in the local runner.
pub struct Invocation(pub Option<Context>);

impl<S: Sync> FromRequestParts<S> for Invocation {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Context>().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn no_work_outlives_the_timeout_that_leases_are_counted_by() {
        let clock = Clock::fixed(datetime!(2026-11-22 12:00 UTC));
        let now = u64::try_from(clock.now().timestamp_millis()).unwrap();
        let timeout = Duration::from_mins(1);
        let left = |deadline: Option<u64>| {
            let mut context = Context::default();
            context.deadline = deadline.unwrap_or_default();
            Deadline::from_invocation(deadline.is_some().then_some(&context), &clock, timeout).remaining()
        };
        let about = |left: Duration, seconds: u64| {
            left.abs_diff(Duration::from_secs(seconds)) < Duration::from_millis(500)
        };
        assert!(about(left(Some(now + 20_000)), 20), "the platform's own");
        for deadline in [
            // None; 1970; this machine's clock a minute behind, ahead, and an hour behind.
            None,
            Some(0),
            Some(now + 120_000),
            Some(now),
            Some(now - 1),
            Some(now + 3_600_000),
            Some(u64::MAX),
        ] {
            assert!(about(left(deadline), 60), "{deadline:?}");
        }
    }
}
