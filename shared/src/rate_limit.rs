//! Rate limiting of guesses at passwords and activation codes; the collection `attempts`.
//!
//! What is refused is the guessing, and never the owner for good: each counter is of one account and one address, so
//! nobody elsewhere can use it up, and past its limit one attempt a second is still judged. There is none per account
//! alone, because that could be turned on the owner, and none per address alone, because that could be turned on the
//! neighbours. A device that has signed in to the account before ([`crate::users::Users::knows_device`]) has a counter of
//! its own, which others behind its address cannot use up either.
//!
//! An attempt is counted before it is checked, in one atomic update, so parallel guesses gain nothing. A TTL index deletes
//! counters. Names and addresses are stored as hashes only.

use std::time::Duration;

use mongodb::{
    Collection, Database,
    bson::{DateTime, doc},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use crate::{client_ip::ClientIp, clock::Clock, digest::sha256_hex, error::Error, mongo::from_now};

/// The length of a counter's window.
const WINDOW: Duration = Duration::from_mins(15);
/// Between two attempts that are judged, once a window's limit is reached.
const PACE: Duration = Duration::from_secs(1);

/// Cheap to clone.
#[derive(Clone)]
pub struct RateLimiter {
    counters: Collection<Counter>,
    clock: Clock,
}

/// What is attempted; each has counters of its own. The names are part of the counters' ids.
#[derive(Clone, Copy, Debug)]
pub enum Attempt {
    Login,
    PasswordReset,
    /// Re-authentication with the password. The session takes the place of the account.
    Confirmation,
    /// There is no account, and the guests of a theatre may share an address.
    ActivationCode,
    /// With a name or an address that is taken. A valid code takes the place of the account: it could ask without limit
    /// who has one.
    TakenName,
}

impl Attempt {
    /// Attempts in a window that are judged at once.
    fn limit(self) -> i64 {
        match self {
            Self::Login | Self::PasswordReset | Self::Confirmation | Self::TakenName => 10,
            Self::ActivationCode => 100,
        }
    }

    /// Whether attempts past the limit are judged, one at a time.
    fn has_pace(self) -> bool {
        !matches!(self, Self::TakenName)
    }
}

/// Where an attempt comes from, as far as its counter cares.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    Address(&'a ClientIp),
    /// A device that the account knows, by its id.
    KnownDevice(&'a str),
    Anywhere,
}

/// One counter, as stored.
#[derive(Debug, Serialize, Deserialize)]
struct Counter {
    #[serde(rename = "_id")]
    id: String,
    /// Attempts in the window that were judged.
    count: i64,
    window_ends: DateTime,
    /// When the latest attempt was judged.
    latest: DateTime,
    /// Whether the attempt that was counted last is to be judged.
    judged: bool,
    /// When the TTL index deletes the document, by the database's clock.
    expires_at: DateTime,
}

impl RateLimiter {
    #[must_use]
    pub fn new(database: &Database, clock: Clock) -> Self {
        Self { counters: database.collection("attempts"), clock }
    }

    /// Counts an attempt on an account and returns [`Error::TooManyAttempts`] if it is not to be judged now.
    pub async fn check(&self, attempt: Attempt, account: &str, source: Source<'_>) -> Result<(), Error> {
        let id = id(attempt, account, source);
        let now = self.clock.now();
        // Some servers return no document for a concurrent upsert; by then there is one to update.
        let counter = match self.count(attempt, &id, now).await? {
            None => self.count(attempt, &id, now).await?,
            counter => counter,
        };
        let counter = counter.ok_or_else(|| Error::internal("a counter was not stored"))?;
        if counter.judged { Ok(()) } else { Err(counter.refusal(attempt, now)) }
    }

    /// Returns the same error without counting, if attempts past the limit are not judged at all.
    pub async fn check_only(&self, attempt: Attempt, account: &str, source: Source<'_>) -> Result<(), Error> {
        let now = self.clock.now();
        let counter = self.counters.find_one(doc! { "_id": id(attempt, account, source) }).await?;
        match counter.filter(|counter| counter.window_ends > now && counter.count >= attempt.limit()) {
            Some(counter) if !attempt.has_pace() => Err(counter.refusal(attempt, now)),
            _ => Ok(()),
        }
    }

    /// After a success: the next attempts of this account and source are judged at once.
    pub async fn reset(&self, attempt: Attempt, account: &str, source: Source<'_>) -> Result<(), Error> {
        self.counters.delete_one(doc! { "_id": id(attempt, account, source) }).await?;
        Ok(())
    }

    async fn count(&self, attempt: Attempt, id: &str, now: DateTime) -> Result<Option<Counter>, Error> {
        let is_running = doc! { "$gt": [{ "$ifNull": ["$window_ends", DateTime::MIN] }, now] };
        let mut is_judged = vec![
            doc! { "$not": [&is_running] },
            doc! { "$lt": [{ "$ifNull": ["$count", 0_i64] }, attempt.limit()] },
        ];
        if attempt.has_pace() {
            let due = DateTime::from_millis(now.timestamp_millis() - millis(PACE));
            is_judged.push(doc! { "$lte": [{ "$ifNull": ["$latest", DateTime::MIN] }, due] });
        }
        let is_judged = doc! { "$or": is_judged };
        let next_count = doc! { "$cond": [&is_running, { "$add": ["$count", 1_i64] }, 1_i64] };
        let update = doc! { "$set": {
            "judged": &is_judged,
            "count": { "$cond": [&is_judged, next_count, "$count"] },
            "latest": { "$cond": [is_judged, now, "$latest"] },
            "window_ends": { "$cond": [is_running, "$window_ends", after(now, WINDOW)] },
            "expires_at": from_now(WINDOW),
        } };
        let counter = self.counters.find_one_and_update(doc! { "_id": id }, vec![update]).upsert(true);
        Ok(counter.return_document(ReturnDocument::After).await?)
    }
}

impl Counter {
    fn refusal(&self, attempt: Attempt, now: DateTime) -> Error {
        let next = if attempt.has_pace() { after(self.latest, PACE) } else { self.window_ends };
        let left = next.timestamp_millis() - now.timestamp_millis();
        Error::TooManyAttempts { retry_in: Duration::from_millis(u64::try_from(left).unwrap_or(0)) }
    }
}

fn after(at: DateTime, duration: Duration) -> DateTime {
    DateTime::from_millis(at.timestamp_millis() + millis(duration))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

/// A counter's id. It is a hash, so that it does not reveal the account or the address.
fn id(attempt: Attempt, account: &str, source: Source) -> String {
    let source = match source {
        Source::Address(ip) => format!("address {}", ip.as_str()),
        Source::KnownDevice(id) => format!("device {id}"),
        Source::Anywhere => String::from("anywhere"),
    };
    sha256_hex(format!("{attempt:?}\n{account}\n{source}"))
}
