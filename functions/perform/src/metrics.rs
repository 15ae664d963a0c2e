//! What every perform leaves: one log line (who, when the clone existed, how long it took, how it ended) and one metrics
//! entry, in one value that is filled on the way.

use std::time::{Duration, Instant, SystemTime};

use metrique::{CloseValue as _, RootEntry, unit::Millisecond, unit_of_work::metrics};
use mongodb::bson::{DateTime, oid::ObjectId};
use shared::{
    clock::{Clock, rfc3339},
    clone_slots::Hold,
    http::RequestId,
};

use crate::{state::AppState, takes::TakeResults};

/// Started with the perform; a perform that ends before it has a lease is dropped without an entry. What did not happen
/// is left out.
#[metrics(
    emf::dimension_sets = [["Stage", "Function", "Outcome"], ["Stage", "Function"]],
    rename_all = "PascalCase"
)]
pub struct PerformMetrics {
    #[metrics(timestamp)]
    at: SystemTime,
    stage: String,
    function: &'static str,
    outcome: &'static str,
    pub clone_attempts: u64,
    pub clone_successes: u64,
    /// How long the provider took to create the voice, or to refuse it.
    #[metrics(unit = Millisecond)]
    pub clone_create_ms: Option<Duration>,
    /// The goal is a mean under 30 s.
    #[metrics(unit = Millisecond)]
    pub clone_lifetime_ms: Option<Duration>,
    #[metrics(unit = Millisecond)]
    synthesis_ms: Option<Duration>,
    #[metrics(unit = Millisecond)]
    perform_ms: Duration,
    /// `perform_ms` without the provider's own time.
    #[metrics(unit = Millisecond)]
    overhead_ms: Duration,
    audio_bytes: Option<u64>,
    #[metrics(ignore)]
    takes: Option<u64>,
    pub takes_failed: Option<u64>,
    chars: u64,
    /// Slots of this deployment that were held, this one included.
    pub slots_held: Option<u64>,
    #[metrics(unit = Millisecond)]
    pub slot_wait_ms: Option<Duration>,
    cleanup_failures: u64,
    /// How long the provider took to delete the voice; not a metric of its own.
    #[metrics(ignore)]
    pub clone_delete: Option<Duration>,
    #[metrics(ignore)]
    pub clone: CloneTimes,
    #[metrics(ignore)]
    started: Instant,
    #[metrics(ignore)]
    user_id: ObjectId,
    #[metrics(ignore)]
    request_id: String,
}

/// When the clone existed.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneTimes {
    pub created_at: Option<DateTime>,
    /// When the deletion was confirmed.
    pub deleted_at: Option<DateTime>,
    /// Set if a voice may still exist at the provider, for the sweep to delete.
    pub hold: Option<Hold>,
    /// Whether what was spoken is deleted from the provider's history too.
    pub history_deleted: bool,
    /// Whether one of the month's voice creations was spent, or may have been.
    pub is_spent: bool,
}

impl PerformMetrics {
    pub fn start(state: &AppState, user_id: ObjectId, request_id: &RequestId) -> Self {
        Self {
            at: SystemTime::UNIX_EPOCH,
            stage: state.config.stage.clone(),
            function: "perform",
            outcome: "",
            clone_attempts: 0,
            clone_successes: 0,
            clone_create_ms: None,
            clone_lifetime_ms: None,
            synthesis_ms: None,
            perform_ms: Duration::ZERO,
            overhead_ms: Duration::ZERO,
            audio_bytes: None,
            takes: None,
            takes_failed: None,
            chars: 0,
            slots_held: None,
            slot_wait_ms: None,
            cleanup_failures: 0,
            clone_delete: None,
            clone: CloneTimes::default(),
            started: Instant::now(),
            user_id,
            request_id: request_id.0.clone(),
        }
    }

    pub fn record_takes(&mut self, takes: &TakeResults) {
        let succeeded = || takes.iter().flatten();
        let started = succeeded().map(|take| take.synthesis.0).min();
        let ended = succeeded().map(|take| take.synthesis.1).max();
        self.synthesis_ms = ended.zip(started).map(|(ended, started)| ended.duration_since(started));
        self.takes = Some(takes.len() as u64);
        self.takes_failed = Some((takes.len() - succeeded().count()) as u64);
        self.audio_bytes = Some(succeeded().map(|take| take.audio.len() as u64).sum());
    }

    /// Writes the log line and the metrics. `outcome` is `ok`, `partial` (some takes failed), an error code, or `panic`.
    pub fn finish(mut self, outcome: &'static str, charged: i64, clock: &Clock) {
        self.at = clock.now().to_system_time();
        self.outcome = outcome;
        self.chars = u64::try_from(charged).unwrap_or(0);
        self.perform_ms = self.started.elapsed();
        let provider = [self.clone_create_ms, self.synthesis_ms, self.clone_delete];
        self.overhead_ms = self.perform_ms.saturating_sub(provider.into_iter().flatten().sum());
        self.cleanup_failures = self.clone.hold.is_some().into();
        tracing::info!(
            user_id = %self.user_id,
            request_id = self.request_id,
            clone_created_at = self.clone.created_at.map(rfc3339),
            clone_deleted_at = self.clone.deleted_at.map(rfc3339),
            latency_ms = u64::try_from(self.perform_ms.as_millis()).unwrap_or(u64::MAX),
            takes = self.takes,
            takes_failed = self.takes_failed,
            outcome,
            "perform finished: {outcome}"
        );
        shared::metrics::emit(&RootEntry::new(self.close()));
    }
}
