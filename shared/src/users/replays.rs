//! Finished performs, for idempotent replay (`Idempotency-Key`).
//!
//! Stored in the user's document, so that taking the lease and looking up the key is one conditional write. The audio is
//! in S3 and expires after a day, like these entries.

use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use serde::{Deserialize, Serialize};

/// How long a finished perform is replayed.
pub const REPLAY_LIFETIME: Duration = Duration::from_hours(24);
/// Replays per user; the oldest are dropped.
const MAX_REPLAYS: i32 = 20;

/// Identifies a request that was sent with an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// SHA-256 of the `Idempotency-Key`, in hex.
    pub key: String,
    /// SHA-256 of the request's body, in hex: another body with the same key is rejected.
    pub body: String,
}

/// A finished perform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    pub idempotency: Idempotency,
    /// The lease that it ran under; also the name of its audio in S3.
    pub lease_id: ObjectId,
    /// When it finished.
    pub at: DateTime,
    /// Its response, without the audio.
    pub answer: Document,
}

/// Expression: the entries that have not expired.
pub(super) fn unexpired(now: DateTime) -> Document {
    let lifetime = i64::try_from(REPLAY_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    let oldest = DateTime::from_millis(now.timestamp_millis().saturating_sub(lifetime));
    doc! { "$filter": {
        "input": { "$ifNull": ["$replays", []] },
        "cond": { "$gt": ["$$this.at", oldest] },
    } }
}

/// Expression: whether no unexpired entry has this key.
pub(super) fn is_new(key: &str, now: DateTime) -> Document {
    let same =
        doc! { "$filter": { "input": unexpired(now), "cond": { "$eq": ["$$this.idempotency.key", key] } } };
    doc! { "$eq": [{ "$size": same }, 0] }
}

/// Expression: the unexpired entries and one more.
pub(super) fn appended(replay: &Document, now: DateTime) -> Document {
    doc! { "$slice": [{ "$concatArrays": [unexpired(now), [{ "$literal": replay }]] }, -MAX_REPLAYS] }
}
