//! The one log line that every perform leaves: who, when the clone lived, how long it took, how it ended.

use std::time::Instant;

use mongodb::bson::oid::ObjectId;
use shared::{clock::rfc3339, error::Error, http::RequestId};

use crate::temp_voice_clone::CloneRecord;

/// Writes the line.
pub fn log(
    user_id: ObjectId,
    request_id: &RequestId,
    clone: &CloneRecord,
    started: Instant,
    outcome: Result<(), &Error>,
) {
    tracing::info!(
        %user_id,
        request_id = request_id.0,
        clone_created_at = clone.created_at.map(rfc3339),
        clone_deleted_at = clone.deleted_at.map(rfc3339),
        latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        outcome = outcome.err().map_or("ok", Error::code),
        "performed"
    );
}
