//! What every perform leaves: one log line that says who, when the clone lived, how long it took and how it ended;
//! and its metrics.

use std::time::{Duration, SystemTime};

use metrique::{CloseValue as _, RootEntry, unit::Millisecond, unit_of_work::metrics};
use mongodb::bson::oid::ObjectId;
use shared::{
    clock::{Clock, rfc3339},
    error::Error,
    http::RequestId,
};

use crate::{
    takes::{Performed, Spoken},
    temp_voice_clone::CloneRecord,
};

/// One perform, as it is measured. What did not happen is left out.
#[metrics(
    emf::dimension_sets = [["Stage", "Function", "Outcome"], ["Stage", "Function"]],
    rename_all = "PascalCase"
)]
struct Measured {
    #[metrics(timestamp)]
    at: SystemTime,
    stage: String,
    function: &'static str,
    outcome: &'static str,
    clone_attempts: u64,
    clone_successes: u64,
    #[metrics(unit = Millisecond)]
    clone_create_ms: Option<Duration>,
    #[metrics(unit = Millisecond)]
    clone_lifetime_ms: Option<Duration>,
    #[metrics(unit = Millisecond)]
    synthesis_ms: Option<Duration>,
    #[metrics(unit = Millisecond)]
    perform_ms: Duration,
    /// What is ours of it: all but the provider's own time.
    #[metrics(unit = Millisecond)]
    overhead_ms: Duration,
    audio_bytes: Option<u64>,
    chars: u64,
    slots_held: Option<u64>,
    #[metrics(unit = Millisecond)]
    slot_wait_ms: Option<Duration>,
    cleanup_failures: u64,
}

/// What is known of a perform when it ends.
pub struct Ended<'a> {
    /// Whose it was.
    pub user_id: ObjectId,
    /// The request.
    pub request_id: &'a RequestId,
    /// The clone's life.
    pub clone: &'a CloneRecord,
    /// How long it took.
    pub took: Duration,
    /// What it gave; `None` after a panic.
    pub performed: Option<&'a Result<Performed, Error>>,
    /// Characters charged.
    pub characters: i64,
}

impl Ended<'_> {
    /// Writes the line and the metrics.
    pub fn record(&self, stage: &str, clock: &Clock) {
        let clone = self.clone;
        let outcome = match self.performed {
            Some(Ok(_)) => "ok",
            Some(Err(error)) => error.code(),
            None => "panic",
        };
        tracing::info!(
            user_id = %self.user_id,
            request_id = self.request_id.0,
            clone_created_at = clone.created_at.map(rfc3339),
            clone_deleted_at = clone.deleted_at.map(rfc3339),
            latency_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            outcome,
            "performed"
        );
        let spoken = self.performed.and_then(|performed| performed.as_ref().ok());
        let spoken: Vec<&Spoken> = spoken.into_iter().flatten().flatten().collect();
        let began = spoken.iter().map(|take| take.synthesis.0).min();
        let ended = spoken.iter().map(|take| take.synthesis.1).max();
        let synthesis = ended.zip(began).map(|(ended, began)| ended.duration_since(began));
        let providers = [clone.creating, synthesis, clone.deleting].into_iter().flatten().sum();
        let measured = Measured {
            at: clock.now().to_system_time(),
            stage: stage.to_owned(),
            function: "perform",
            outcome,
            clone_attempts: clone.creating.is_some().into(),
            clone_successes: clone.created_at.is_some().into(),
            clone_create_ms: clone.creating,
            clone_lifetime_ms: clone.lived,
            synthesis_ms: synthesis,
            perform_ms: self.took,
            overhead_ms: self.took.saturating_sub(providers),
            audio_bytes: synthesis.map(|_| spoken.iter().map(|take| take.audio.len() as u64).sum()),
            chars: u64::try_from(self.characters).unwrap_or(0),
            slots_held: clone.slots_held,
            slot_wait_ms: clone.slot_wait,
            cleanup_failures: clone.orphaned.into(),
        };
        shared::metrics::emit(&RootEntry::new(measured.close()));
    }
}
