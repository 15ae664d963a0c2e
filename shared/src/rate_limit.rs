//! Rate limiting of guesses at passwords and activation codes; the collection `attempts`.
//!
//! Fixed windows. An attempt is counted before it is checked, in one atomic update per counter, so parallel guesses gain
//! nothing. There is one counter per account and address, one per address, and one per account. The last one alone
//! would let a stranger lock an owner out, so addresses from which the account has signed in recently are exempt from
//! it. Windows are measured by the database's clock, and a TTL index deletes counters. Names and addresses are stored
//! as hashes only.

use std::time::Duration;

use mongodb::{
    Collection, Database,
    bson::{DateTime, doc},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

use crate::{client_ip::ClientIp, digest::sha256_hex, error::Error, mongo::from_now};

/// The length of a counter's window.
const WINDOW: Duration = Duration::from_mins(15);
/// How long an address is trusted by an account after a sign-in.
const TRUSTED_SOURCE_TTL: Duration = Duration::from_hours(30 * 24);
/// Attempts in a window on one account from one address.
const MAX_PER_PAIR: i64 = 10;
/// Attempts in a window from one address, on any account: the guests of a theatre may share one.
const MAX_PER_IP: i64 = 100;
/// Attempts in a window on one account, from addresses that it does not trust.
const MAX_PER_ACCOUNT: i64 = 50;

/// Cheap to clone.
#[derive(Clone)]
pub struct RateLimiter(Collection<Counter>);

/// What is attempted; each has counters of its own. The names are part of the counters' ids.
#[derive(Clone, Copy, Debug)]
pub enum Attempt {
    Login,
    PasswordReset,
    /// Re-authentication with the password. The session takes the place of the account.
    Confirmation,
    ActivationCode,
}

/// One counter, as stored.
#[derive(Debug, Serialize, Deserialize)]
struct Counter {
    #[serde(rename = "_id")]
    id: String,
    count: i64,
    window_ends: DateTime,
    /// Until when the account trusts the address.
    #[serde(default, rename = "known_until")]
    trusted_until: Option<DateTime>,
    /// When the TTL index deletes the document.
    expires_at: DateTime,
    /// The database's time of the latest attempt, to compare the other times with.
    now: DateTime,
}

impl RateLimiter {
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self(database.collection("attempts"))
    }

    /// Counts an attempt on an account and returns [`Error::TooManyAttempts`] if there were too many.
    pub async fn check_account(&self, attempt: Attempt, account: &str, ip: &ClientIp) -> Result<(), Error> {
        let (pair, by_ip, by_account) = tokio::try_join!(
            self.count(id(attempt, &[account, ip.as_str()])),
            self.count(id(attempt, &["*", ip.as_str()])),
            self.count(id(attempt, &[account, "*"])),
        )?;
        let is_trusted = pair.trusted_until.is_some_and(|until| until > pair.now);
        let checked = pair.check(MAX_PER_PAIR).and_then(|()| by_ip.check(MAX_PER_IP));
        if checked.is_err() {
            // Not counted against the account: one address must not exhaust the limit that all share.
            self.decrement(id(attempt, &[account, "*"])).await?;
            return checked;
        }
        if is_trusted { Ok(()) } else { by_account.check(MAX_PER_ACCOUNT) }
    }

    /// Counts an attempt that names no account and returns [`Error::TooManyAttempts`] if there were too many.
    pub async fn check_ip(&self, attempt: Attempt, ip: &ClientIp) -> Result<(), Error> {
        self.count(id(attempt, &["*", ip.as_str()])).await?.check(MAX_PER_IP)
    }

    /// After a success: resets the counter of this account and address, and lets the account trust the address.
    pub async fn reset(&self, attempt: Attempt, account: &str, ip: &ClientIp) -> Result<(), Error> {
        let trusted_until = from_now(TRUSTED_SOURCE_TTL);
        let update =
            doc! { "$set": { "count": 0_i64, "known_until": &trusted_until, "expires_at": trusted_until } };
        self.0.update_one(doc! { "_id": id(attempt, &[account, ip.as_str()]) }, vec![update]).await?;
        // A success undoes the two other counts that the check has just made.
        tokio::try_join!(
            self.decrement(id(attempt, &["*", ip.as_str()])),
            self.decrement(id(attempt, &[account, "*"])),
        )?;
        Ok(())
    }

    async fn decrement(&self, id: String) -> Result<(), Error> {
        let counted = doc! { "_id": id, "count": { "$gt": 0 } };
        self.0.update_one(counted, doc! { "$inc": { "count": -1_i64 } }).await?;
        Ok(())
    }

    async fn count(&self, id: String) -> Result<Counter, Error> {
        let is_running = doc! { "$gt": [{ "$ifNull": ["$window_ends", DateTime::MIN] }, "$$NOW"] };
        let update = vec![
            doc! { "$set": {
                "count": { "$cond": [&is_running, { "$add": ["$count", 1_i64] }, 1_i64] },
                "window_ends": { "$cond": [&is_running, "$window_ends", from_now(WINDOW)] },
                "now": "$$NOW",
            } },
            doc! { "$set": { "expires_at": { "$cond": [
                { "$gt": [{ "$ifNull": ["$known_until", DateTime::MIN] }, "$window_ends"] },
                "$known_until",
                "$window_ends",
            ] } } },
        ];
        let counter = self
            .0
            .find_one_and_update(doc! { "_id": &id }, update)
            .upsert(true)
            .return_document(ReturnDocument::After)
            .await?;
        // Some servers return no document for a concurrent upsert, although it was counted; then read it.
        let counter = if counter.is_some() { counter } else { self.0.find_one(doc! { "_id": id }).await? };
        counter.ok_or_else(|| Error::internal("a counter was not stored"))
    }
}

impl Counter {
    fn check(&self, limit: i64) -> Result<(), Error> {
        if self.count <= limit {
            return Ok(());
        }
        let left = self.window_ends.timestamp_millis() - self.now.timestamp_millis();
        Err(Error::TooManyAttempts { retry_in: Duration::from_millis(u64::try_from(left).unwrap_or(0)) })
    }
}

/// A counter's id. It is a hash, so that it does not reveal the account or the address.
fn id(attempt: Attempt, parts: &[&str]) -> String {
    sha256_hex(format!("{attempt:?}\n{}", parts.join("\n").to_lowercase()))
}
