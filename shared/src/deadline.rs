//! How long this invocation may still take.

use std::time::{Duration, Instant};

use axum::{extract::FromRequestParts, http::request::Parts};
use lambda_http::Context;

use crate::clock::Clock;

/// The longest that a Lambda function can be given (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html>).
const LONGEST: Duration = Duration::from_mins(15);

/// A moment on the monotonic clock by which the work must be done.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So much from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The invocation's own deadline, or `default` from now where the platform gives none that makes sense:
    /// `cargo lambda watch` sends the year 1970.
    #[must_use]
    pub fn of_invocation(context: Option<&Context>, clock: &Clock, default: Duration) -> Self {
        let now = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
        let left = context
            .and_then(|context| context.deadline.checked_sub(now))
            .map(Duration::from_millis)
            .filter(|left| !left.is_zero() && *left <= LONGEST);
        Self::after(left.unwrap_or(default))
    }

    /// A deadline that much earlier.
    #[must_use]
    pub fn less(self, reserve: Duration) -> Self {
        Self(self.0.checked_sub(reserve).unwrap_or_else(Instant::now))
    }

    /// The earlier of this deadline and so much from now.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        Self(self.0.min(Instant::now() + time))
    }

    /// What is left; zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// What some work gives, or `None` if the time is up before it does.
    pub async fn limit<T>(self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.remaining(), Box::pin(work)).await.ok()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn has_passed(self) -> bool {
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
