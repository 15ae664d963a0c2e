//! Finished performs that a repeated request gets again: `Idempotency-Key`.
//!
//! They live in their user, so that taking the lease and looking for the key is one conditional write. The audio is
//! in S3 and expires in a day, as these entries do.

use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use serde::{Deserialize, Serialize};

/// How long a finished perform can be had again.
pub const REPLAY_LIFETIME: Duration = Duration::from_hours(24);
/// How many of them a user has; the oldest give way.
const MAX_REPLAYS: i32 = 20;

/// What a client says to make a request repeatable, as hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// SHA-256 of the `Idempotency-Key`, in hex.
    pub key: String,
    /// SHA-256 of the request's body, in hex: another body under the same key is refused.
    pub body: String,
}

/// A finished perform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// What asked for it.
    pub idempotency: Idempotency,
    /// The lease under which it ran; names its audio.
    pub lease_id: ObjectId,
    /// When it was finished.
    pub at: DateTime,
    /// Its answer, without the audio.
    pub answer: Document,
}

/// The entries that have not expired.
pub(super) fn alive(now: DateTime) -> Document {
    let lifetime = i64::try_from(REPLAY_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    let oldest = DateTime::from_millis(now.timestamp_millis().saturating_sub(lifetime));
    doc! { "$filter": {
        "input": { "$ifNull": ["$replays", []] },
        "cond": { "$gt": ["$$this.at", oldest] },
    } }
}

/// Whether no entry that has not expired has this key.
pub(super) fn is_new(key: &str, now: DateTime) -> Document {
    let same =
        doc! { "$filter": { "input": alive(now), "cond": { "$eq": ["$$this.idempotency.key", key] } } };
    doc! { "$eq": [{ "$size": same }, 0] }
}

/// The entries with one more.
pub(super) fn with(replay: &Document, now: DateTime) -> Document {
    doc! { "$slice": [{ "$concatArrays": [alive(now), [{ "$literal": replay }]] }, -MAX_REPLAYS] }
}
