//! The ephemeral voice clone: create → use → delete → release the slot, whatever happens in between.
//!
//! [`with_temp_voice_clone`] is the only place that creates voices, and besides the sweep the only one that deletes
//! them. The slot was recorded before the voice is created; it is freed only when the voice is confirmed deleted, and
//! otherwise left to the sweep as an orphan.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use shared::{
    clone_slots::{Hold, Slot},
    deadline::Deadline,
    digest::sha256_hex,
    elevenlabs::{AddedVoice, ElevenLabsError, Refusal, RefusalKind},
    error::Error,
    object_store::Recording,
};

use crate::{
    budget::{
        ATTEMPT_TIMEOUT, CLEANUP_BACKOFF, CLEANUP_RESERVE, DB_WRITE_RESERVE, FULL_ACCOUNT_INTERVAL,
        LEASE_MARGIN, LIST_LAG, MIN_CLONE_TIME, SETTLE_RESERVE, SLOT_WAIT, SYNTHESIS_RESERVE, USUAL_PERFORM,
    },
    history::{History, HistoryReport},
    metrics::PerformMetrics,
    state::AppState,
};

/// Creates a clone of `recording` in `slot`, lets `speak` use it, and deletes it: after success, failure, panic and
/// deadline alike. What was spoken goes to `keep`, which runs beside the deletion.
///
/// # Panics
/// If `speak` or `keep` panics, once the clone is deleted.
#[expect(clippy::too_many_arguments, reason = "what a clone needs, and what is done with it")]
pub async fn with_temp_voice_clone<T, U, Speaking, Keeping>(
    state: &AppState,
    slot: Slot,
    recording: Recording,
    deadline: Deadline,
    history: &History,
    metrics: &mut PerformMetrics,
    speak: impl FnOnce(String) -> Speaking,
    keep: impl FnOnce(T) -> Keeping,
) -> Result<U, Error>
where
    Speaking: Future<Output = Result<T, Error>>,
    Keeping: Future<Output = Result<U, Error>>,
{
    let creating = Instant::now();
    let fill_by = deadline
        .minus(MIN_CLONE_TIME)
        .capped_at(SLOT_WAIT.saturating_sub(metrics.slot_wait_ms.unwrap_or_default()));
    let created = create(state, &slot, recording, deadline, fill_by).await;
    metrics.clone_attempts = 1;
    metrics.clone_create_ms = Some(creating.elapsed());
    let voice_id = match created {
        Ok(voice_id) => voice_id,
        Err(NotCreated { error, remains, is_spent }) => {
            metrics.clone.is_spent = is_spent;
            metrics.clone.hold = remains.as_ref().map(|remains| remains.hold);
            release_slot(state, slot, remains, &HistoryReport::default(), deadline).await;
            return Err(error);
        }
    };
    metrics.clone_successes = 1;
    metrics.clone.is_spent = true;
    metrics.clone.created_at = Some(state.clock.now());
    let created = Instant::now();

    // Until the voice is deleted, nothing may return or unwind past this point.
    let speaking = AssertUnwindSafe(async {
        tokio::join!(speak(voice_id.clone()), record_voice_id(state, &slot, &voice_id)).0
    });
    let spoken = speaking.catch_unwind().await;

    let keeping = AssertUnwindSafe(async {
        match spoken {
            Ok(Ok(spoken)) => keep(spoken).await,
            Ok(Err(error)) => Err(error),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    let deleting = async {
        let started = Instant::now();
        let confirmed_deleted = delete(state, &slot, &voice_id, deadline).await;
        metrics.clone_delete = Some(started.elapsed());
        if confirmed_deleted {
            metrics.clone.deleted_at = Some(state.clock.now());
            metrics.clone_lifetime_ms = Some(created.elapsed());
        }
        let remains = (!confirmed_deleted).then(|| Remains::orphan(&voice_id));
        metrics.clone.hold = remains.as_ref().map(|remains| remains.hold);
        let report = history.finish().await;
        metrics.clone.history_deleted = report.is_deleted;
        release_slot(state, slot, remains, &report, deadline).await;
    };
    let (kept, ()) = tokio::join!(keeping.catch_unwind(), deleting);
    kept.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Why there is no voice to use.
struct NotCreated {
    error: Error,
    /// `None` if there is no voice at the provider either.
    remains: Option<Remains>,
    /// Whether a voice creation was spent, or nobody knows.
    is_spent: bool,
}

/// A voice that may exist at the provider.
struct Remains {
    voice_id: Option<String>,
    hold: Hold,
}

impl Remains {
    /// A voice that could not be deleted: the sweep may try again at once.
    fn orphan(voice_id: &str) -> Self {
        Self { voice_id: Some(voice_id.to_owned()), hold: Hold::For(Duration::ZERO) }
    }
}

/// Creates the voice and returns its id.
async fn create(
    state: &AppState,
    slot: &Slot,
    recording: Recording,
    deadline: Deadline,
    fill_by: Deadline,
) -> Result<String, NotCreated> {
    let name = state.voice_names.name(&slot.deployment, slot.lease_id);
    let create_by = deadline.minus(CLEANUP_RESERVE + SYNTHESIS_RESERVE);
    let hash = sha256_hex(&recording.bytes);
    match add_voice(state, &name, recording, create_by, fill_by).await {
        Ok(voice) if !voice.requires_verification => Ok(voice.voice_id),
        Ok(voice) => {
            let (deleted, remembered) = tokio::join!(
                delete(state, slot, &voice.voice_id, deadline),
                state.users.set_requires_verification(slot.user_id, &hash),
            );
            if let Err(error) = remembered {
                tracing::warn!(%error, "failed to remember that a recording requires verification");
            }
            let remains = (!deleted).then(|| Remains::orphan(&voice.voice_id));
            Err(NotCreated { error: requires_verification(), remains, is_spent: true })
        }
        Err(error) if error.outcome_unknown() => recover_by_name(state, slot, &name, error, deadline).await,
        Err(error) => Err(NotCreated { error: map_create_error(error), remains: None, is_spent: false }),
    }
}

/// The provider wants a person to verify voices of this recording, which makes them unusable.
pub fn requires_verification() -> Error {
    Error::CloneFailed(ElevenLabsError::Refused(Refusal {
        kind: RefusalKind::Other,
        status: 200,
        code: String::from("requires_verification"),
    }))
}

/// Waits while the account's slots are full, as for a slot of ours. One of our orphans may occupy one, so it sweeps first.
async fn add_voice(
    state: &AppState,
    name: &str,
    recording: Recording,
    create_by: Deadline,
    fill_by: Deadline,
) -> Result<AddedVoice, ElevenLabsError> {
    let mut has_swept = false;
    loop {
        let added = state.elevenlabs.add_voice(name, recording.clone(), create_by).await;
        let slots_full = added.as_ref().is_err_and(|error| error.refusal() == Some(RefusalKind::SlotsFull));
        if !slots_full || fill_by.is_expired() {
            return added;
        }
        let is_swept = !has_swept && state.sweeper.sweep(fill_by).await.is_ok_and(|report| report.swept > 0);
        has_swept = true;
        if !is_swept {
            tokio::time::sleep(FULL_ACCOUNT_INTERVAL.min(fill_by.remaining())).await;
        }
    }
}

/// The outcome of the create is unknown, so the voice may exist. It is looked up by its name, and never created again.
async fn recover_by_name(
    state: &AppState,
    slot: &Slot,
    name: &str,
    error: ElevenLabsError,
    deadline: Deadline,
) -> Result<String, NotCreated> {
    tracing::warn!(%error, lease_id = %slot.lease_id, "the outcome of a create is unknown; looking for the voice");
    let failed = Instant::now();
    let find_by = deadline.minus(DB_WRITE_RESERVE + ATTEMPT_TIMEOUT);
    let find = async || {
        let voices = state.elevenlabs.cloned_voices(name, find_by.capped_at(ATTEMPT_TIMEOUT)).await;
        voices.ok().and_then(|voices| voices.into_iter().find(|voice| voice.name == name)).ok_or(NotListed)
    };
    // The list may lag behind.
    let [first, rest @ ..] = CLEANUP_BACKOFF;
    tokio::time::sleep(first.min(find_by.remaining())).await;
    let Ok(voice) = find_by.retry(&rest, find, |NotListed| true).await else {
        // A request that was answered has ended: what it made is listed soon.
        let hold = if error.is_answered() {
            Hold::For(LIST_LAG.saturating_sub(failed.elapsed()))
        } else {
            Hold::ToTheEnd
        };
        let remains = Some(Remains { voice_id: None, hold });
        let is_spent = hold == Hold::ToTheEnd;
        return Err(NotCreated { error: map_ambiguous_error(error, hold, deadline), remains, is_spent });
    };
    if deadline.minus(CLEANUP_RESERVE).remaining() >= SYNTHESIS_RESERVE {
        return Ok(voice.voice_id);
    }
    let confirmed_deleted = delete(state, slot, &voice.voice_id, deadline).await;
    let remains = (!confirmed_deleted).then(|| Remains::orphan(&voice.voice_id));
    let error = map_ambiguous_error(error, Hold::For(Duration::ZERO), deadline);
    Err(NotCreated { error, remains, is_spent: true })
}

/// The provider does not list the voice (yet), or could not be asked.
struct NotListed;

/// Records the voice for `voice/meta` and the sweep. Best effort: the sweep also finds the voice by name.
async fn record_voice_id(state: &AppState, slot: &Slot, voice_id: &str) {
    let recorded = tokio::try_join!(
        state.slots.record_voice_id(slot, voice_id),
        state.users.record_voice_id(slot.user_id, slot.lease_id, voice_id),
    );
    if let Err(error) = recorded {
        tracing::warn!(%error, lease_id = %slot.lease_id, "failed to record the clone's id");
    }
}

/// Deletes a voice, with a few attempts inside the reserve. Returns whether the deletion is confirmed.
async fn delete(state: &AppState, slot: &Slot, voice_id: &str, deadline: Deadline) -> bool {
    let delete_by = deadline.minus(DB_WRITE_RESERVE);
    let delete = || state.elevenlabs.delete_voice(voice_id, delete_by.capped_at(ATTEMPT_TIMEOUT));
    let Err(error) = delete_by.retry(&CLEANUP_BACKOFF, delete, |_| true).await else { return true };
    tracing::warn!(
        %error,
        user_id = %slot.user_id,
        lease_id = %slot.lease_id,
        voice_id,
        "failed to delete a clone; the sweep will retry"
    );
    false
}

/// Frees the slot, or leaves it to the sweep as an orphan. If the write fails, the sweep finds the slot once its lease
/// has expired.
async fn release_slot(
    state: &AppState,
    slot: Slot,
    remains: Option<Remains>,
    history: &HistoryReport,
    deadline: Deadline,
) {
    let lease_id = slot.lease_id;
    let release = async {
        match remains {
            None => state.slots.free(slot, &history.pending).await,
            Some(Remains { voice_id, hold }) => {
                state.slots.orphan(slot, voice_id.as_deref(), hold).await?;
                state.slots.record_history(&history.pending).await
            }
        }
    };
    match deadline.minus(SETTLE_RESERVE).timeout(release).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, %lease_id, "failed to release a slot; the sweep will free it");
        }
        Err(error) => tracing::warn!(%error, %lease_id, "failed to release a slot; the sweep will free it"),
    }
}

fn map_create_error(error: ElevenLabsError) -> Error {
    if matches!(error, ElevenLabsError::OutOfTime) {
        return Error::DeadlineExceeded;
    }
    match error.refusal() {
        Some(RefusalKind::VoiceEditLimitReached) => Error::CloneBudgetExhausted(error),
        Some(RefusalKind::SlotsFull) => Error::CloneSlotsBusy { retry_in: USUAL_PERFORM },
        Some(RefusalKind::CreditsExhausted) => {
            tracing::warn!(%error, "the provider's account has no characters left");
            // Filled in when the perform has ended.
            Error::ProviderCreditsExhausted { resets_in: Duration::ZERO }
        }
        Some(RefusalKind::RateLimited) | None => Error::ProviderUnavailable(error),
        Some(RefusalKind::SampleRefused) => Error::RecordingRefused(error),
        Some(RefusalKind::VoiceNotFound | RefusalKind::Other) => Error::CloneFailed(error),
    }
}

fn map_ambiguous_error(cause: ElevenLabsError, hold: Hold, deadline: Deadline) -> Error {
    match cause {
        ElevenLabsError::TimedOut => Error::DeadlineExceeded,
        cause => {
            let retry_in = match hold {
                Hold::For(time) => time,
                Hold::ToTheEnd => deadline.remaining() + LEASE_MARGIN,
            };
            Error::CloneInDoubt { cause, retry_in }
        }
    }
}
