//! The collection `attempts`: how often somebody has guessed lately, so that guessing is slow.
//!
//! RateLimiter are counted before they are judged, in one atomic update per counter, so a burst of parallel guesses
//! gains nothing. Counters are kept per account and source, per source, and per account. The last one alone could be
//! used to lock an owner out, so it does not hold for sources from which that account has signed in lately. Every
//! counter ends with its window, by the database's clock, and vanishes by itself. Names and addresses are stored as
//! hashes only.

use std::time::Duration;

use mongodb::{
    Collection, Database,
    bson::{DateTime, doc},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::client_ip::ClientIp;
use crate::{error::Error, users::from_now};

/// How long failures are remembered.
const WINDOW: Duration = Duration::from_mins(15);
/// How long a source counts as the account's own after a sign-in.
const KNOWN: Duration = Duration::from_hours(30 * 24);
/// Attempts in a window on one account from one source.
const MAX_PER_PAIR: i64 = 10;
/// Attempts in a window from one source, on any account: a theatre's guests may share one address.
const MAX_PER_SOURCE: i64 = 100;
/// Attempts in a window on one account, from sources that it does not know.
const MAX_PER_ACCOUNT: i64 = 50;

/// The counters. Cloning it is cheap.
#[derive(Clone)]
pub struct RateLimiter(Collection<Counter>);

/// What is attempted: each has counters of its own.
#[derive(Clone, Copy, Debug)]
pub enum Attempt {
    /// Signing in.
    Login,
    /// Resetting a password.
    PasswordReset,
    /// Confirming with the password what takes more than a token; the account is the session.
    Confirmation,
    /// Trying an activation code.
    ActivationCode,
}

/// One counter, as stored.
#[derive(Debug, Serialize, Deserialize)]
struct Counter {
    #[serde(rename = "_id")]
    id: String,
    count: i64,
    window_ends: DateTime,
    /// Until when the source is the account's own.
    #[serde(default)]
    known_until: Option<DateTime>,
    /// When the document vanishes.
    expires_at: DateTime,
    /// The database's own time, to compare with.
    now: DateTime,
}

impl RateLimiter {
    /// The store in `database`.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Self(database.collection("attempts"))
    }

    /// Counts an attempt on an account, and refuses it with 429 if there were too many.
    pub async fn on_account(&self, attempt: Attempt, account: &str, ip: &ClientIp) -> Result<(), Error> {
        let (pair, of_source, of_account) = tokio::try_join!(
            self.count(id(attempt, &[account, &ip.as_str()])),
            self.count(id(attempt, &["*", &ip.as_str()])),
            self.count(id(attempt, &[account, "*"])),
        )?;
        let known = pair.known_until.is_some_and(|until| until > pair.now);
        let judged = pair.within(MAX_PER_PAIR).and_then(|()| of_source.within(MAX_PER_SOURCE));
        if judged.is_err() {
            // No guess at the account, so not counted as one: a single source shall not use up everybody's.
            self.uncount(id(attempt, &[account, "*"])).await?;
            return judged;
        }
        if known { Ok(()) } else { of_account.within(MAX_PER_ACCOUNT) }
    }

    /// Counts an attempt that names no account.
    pub async fn from_source(&self, attempt: Attempt, ip: &ClientIp) -> Result<(), Error> {
        self.count(id(attempt, &["*", &ip.as_str()])).await?.within(MAX_PER_SOURCE)
    }

    /// The attempt succeeded: what was counted for this account and source is forgotten, and the source is known.
    pub async fn succeeded(&self, attempt: Attempt, account: &str, ip: &ClientIp) -> Result<(), Error> {
        let known_until = from_now(KNOWN);
        let update =
            doc! { "$set": { "count": 0_i64, "known_until": &known_until, "expires_at": known_until } };
        self.0.update_one(doc! { "_id": id(attempt, &[account, &ip.as_str()]) }, vec![update]).await?;
        // What the right password was typed after is no attack on the account, nor from the source.
        tokio::try_join!(
            self.uncount(id(attempt, &["*", &ip.as_str()])),
            self.uncount(id(attempt, &[account, "*"])),
        )?;
        Ok(())
    }

    async fn uncount(&self, id: String) -> Result<(), Error> {
        let counted = doc! { "_id": id, "count": { "$gt": 0 } };
        self.0.update_one(counted, doc! { "$inc": { "count": -1_i64 } }).await?;
        Ok(())
    }

    async fn count(&self, id: String) -> Result<Counter, Error> {
        let runs = doc! { "$gt": [{ "$ifNull": ["$window_ends", DateTime::MIN] }, "$$NOW"] };
        let update = vec![
            doc! { "$set": {
                "count": { "$cond": [&runs, { "$add": ["$count", 1_i64] }, 1_i64] },
                "window_ends": { "$cond": [&runs, "$window_ends", from_now(WINDOW)] },
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
        // Of parallel upserts, some servers answer only the first with the document; the others are counted too.
        let counter = if counter.is_some() { counter } else { self.0.find_one(doc! { "_id": id }).await? };
        counter.ok_or_else(|| Error::internal("a counter was not stored"))
    }
}

impl Counter {
    fn within(&self, limit: i64) -> Result<(), Error> {
        if self.count <= limit {
            return Ok(());
        }
        let left = self.window_ends.timestamp_millis() - self.now.timestamp_millis();
        Err(Error::TooManyAttempts { retry_in: Duration::from_millis(u64::try_from(left).unwrap_or(0)) })
    }
}

/// A counter's id: tells nothing of whom it counts.
fn id(attempt: Attempt, parts: &[&str]) -> String {
    hex::encode(Sha256::digest(format!("{attempt:?}\n{}", parts.join("\n").to_lowercase())))
}
