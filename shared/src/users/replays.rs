//! Finished performs, for idempotent replay.
//!
//! A request with an `Idempotency-Key` is replayed for a day. One without is replayed while the first one runs and for
//! [`REPEAT_TIME`] after it: a double tap, or the client's own retry, sends the same body again.
//!
//! Stored in the user's document, so that taking the lease and looking up the key is one conditional write. The document
//! stays small: the texts in it are bounded by the month's characters. The audio is in S3 and expires after a day.

use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use serde::{Deserialize, Serialize};

use crate::mongo;

/// How long a finished perform with an `Idempotency-Key` is replayed.
const REPLAY_LIFETIME: Duration = Duration::from_hours(24);
/// How long after its end a perform without a key is replayed.
const REPEAT_TIME: Duration = Duration::from_secs(10);
/// How long an entry is kept: longer than S3 keeps the audio, so that whatever is left of it can be deleted. S3 expires
/// objects at the midnight after their last day.
const ENTRY_LIFETIME: Duration = Duration::from_hours(72);
/// The document's size is bounded whatever the limits are: so many short performs take 4 of its 16 MB at most.
const MAX_REPLAYS: i32 = 5000;

/// Identifies a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// SHA-256 of the `Idempotency-Key`, in hex; without one, `body:` and that of the body.
    pub key: String,
    /// SHA-256 of the request's body, in hex: another body with the same key is rejected.
    pub body: String,
    /// Whether there was no `Idempotency-Key`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_implicit: bool,
}

/// A finished perform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replay {
    pub idempotency: Idempotency,
    /// The lease that it ran under; also the name of its audio in S3.
    pub lease_id: ObjectId,
    /// When it finished.
    pub at: DateTime,
    /// The same by the database's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime>,
    /// Its response, without the audio.
    pub answer: Document,
}

impl Replay {
    /// Whether it is still replayed; the same as [`is_new`] asks of the database. `now` is our time, `database_now` the
    /// database's.
    pub(super) fn is_current(&self, now: DateTime, database_now: Option<DateTime>) -> bool {
        if self.idempotency.is_implicit {
            let times = self.ended_at.zip(database_now);
            times.is_some_and(|(ended_at, now)| ended_at > before(now, REPEAT_TIME))
        } else {
            self.at > before(now, REPLAY_LIFETIME)
        }
    }
}

fn before(now: DateTime, time: Duration) -> DateTime {
    let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_millis(now.timestamp_millis().saturating_sub(time))
}

/// Expression: whether no entry replays this request.
pub(super) fn is_new(idempotency: &Idempotency, now: DateTime) -> Document {
    let is_current = if idempotency.is_implicit {
        doc! { "$gt": ["$$this.ended_at", mongo::ago(REPEAT_TIME)] }
    } else {
        doc! { "$gt": ["$$this.at", before(now, REPLAY_LIFETIME)] }
    };
    let same = doc! { "$filter": {
        "input": { "$ifNull": ["$replays", []] },
        "cond": { "$and": [{ "$eq": ["$$this.idempotency.key", { "$literal": &idempotency.key }] }, is_current] },
    } };
    doc! { "$eq": [{ "$size": same }, 0] }
}

/// Expression: the entries that are kept and one more.
pub(super) fn appended(replay: &Document, now: DateTime) -> Document {
    let kept = doc! { "$filter": {
        "input": { "$ifNull": ["$replays", []] },
        "cond": { "$gt": ["$$this.at", before(now, ENTRY_LIFETIME)] },
    } };
    let ended = doc! { "$mergeObjects": [{ "$literal": replay }, { "ended_at": "$$NOW" }] };
    doc! { "$slice": [{ "$concatArrays": [kept, [ended]] }, -MAX_REPLAYS] }
}
