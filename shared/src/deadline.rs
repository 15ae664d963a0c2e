//! How long an invocation may still take, and what is tried again within that.

use std::time::{Duration, Instant};

use lambda_http::Context;

use crate::clock::Clock;

/// A moment on the monotonic clock by which work must be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

/// The deadline passed before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of time")]
pub struct OutOfTime;

impl Deadline {
    /// `time` from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The invocation's own deadline, but never later than the function's configured timeout from now: leases are
    /// computed from the timeout, and no work may outlive its lease. If the platform's deadline makes no sense
    /// (`cargo lambda watch` sends the year 1970, and a machine's clock may be wrong), only the timeout counts.
    #[must_use]
    pub fn from_invocation(context: Option<&Context>, clock: &Clock, timeout: Duration) -> Self {
        let now = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
        let left = context
            .and_then(|context| context.deadline.checked_sub(now))
            .map(Duration::from_millis)
            .filter(|left| !left.is_zero());
        Self::after(left.map_or(timeout, |left| left.min(timeout)))
    }

    /// This deadline, `reserve` earlier.
    #[must_use]
    pub fn minus(self, reserve: Duration) -> Self {
        Self(self.0.checked_sub(reserve).unwrap_or_else(Instant::now))
    }

    /// The earlier of this deadline and `time` from now.
    #[must_use]
    pub fn capped_at(self, time: Duration) -> Self {
        Self(self.0.min(Instant::now() + time))
    }

    /// The time left; zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    #[must_use]
    pub fn is_expired(self) -> bool {
        self.remaining().is_zero()
    }

    /// Runs `work`, and drops it when the deadline passes.
    pub async fn timeout<T>(self, work: impl Future<Output = T>) -> Result<T, OutOfTime> {
        tokio::time::timeout(self.remaining(), Box::pin(work)).await.map_err(|_| OutOfTime)
    }

    /// Runs `operation`, and again after each of `delays` while its error is retryable and the delay ends before the
    /// deadline. The deadline bounds when an attempt starts; how long one takes is up to `operation`. Gives the last
    /// attempt's result.
    pub async fn retry<T, E, Attempt>(
        self,
        delays: &[Duration],
        mut operation: impl FnMut() -> Attempt,
        is_retryable: impl Fn(&E) -> bool,
    ) -> Result<T, E>
    where
        Attempt: Future<Output = Result<T, E>>,
    {
        let mut delays = delays.iter();
        loop {
            let error = match operation().await {
                Err(error) if is_retryable(&error) => error,
                result => return result,
            };
            match delays.next() {
                Some(delay) if *delay < self.remaining() => tokio::time::sleep(*delay).await,
                _ => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn deadline_is_never_later_than_the_timeout_that_leases_are_computed_from() {
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

    /// Attempts of an operation that fails with the same error every time, and that error.
    async fn attempts(deadline: Deadline, delays: &[Duration], error: &'static str) -> (u32, &'static str) {
        let mut attempts = 0;
        let operation = || {
            attempts += 1;
            async move { Err::<(), _>(error) }
        };
        let last = deadline.retry(delays, operation, |error| *error == "busy").await.unwrap_err();
        (attempts, last)
    }

    #[tokio::test]
    async fn retry_ends_with_the_delays_the_deadline_or_a_lasting_error() {
        let (soon, late) = (Duration::from_millis(1), Duration::from_mins(1));
        assert_eq!(attempts(Deadline::after(late), &[soon, soon], "busy").await, (3, "busy"));
        assert_eq!(attempts(Deadline::after(late), &[soon, soon], "refused").await, (1, "refused"));
        assert_eq!(attempts(Deadline::after(late), &[soon, late, soon], "busy").await, (2, "busy"));
        assert_eq!(attempts(Deadline::after(Duration::ZERO), &[soon], "busy").await, (1, "busy"));
    }

    #[tokio::test]
    async fn retry_gives_the_first_success() {
        let mut attempts = 0;
        let operation = || {
            attempts += 1;
            let result = if attempts < 2 { Err("busy") } else { Ok(attempts) };
            async move { result }
        };
        let delays = [Duration::from_millis(1); 3];
        let result = Deadline::after(Duration::from_mins(1)).retry(&delays, operation, |_| true).await;
        assert_eq!(result, Ok(2));
    }
}
