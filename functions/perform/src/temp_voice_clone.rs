//! The ephemeral voice clone: create → use → delete → release the slot, whatever happens in between.
//!
//! [`with_temp_voice_clone`] is the only place that creates voices, and besides the sweep the only one that deletes
//! them. The slot was recorded before the voice is created; it is freed only when the voice is confirmed deleted, and
//! otherwise left to the sweep as an orphan.

use std::{future::Future, panic::AssertUnwindSafe, time::Instant};

use futures::FutureExt as _;
use shared::{
    clone_slots::Slot,
    deadline::Deadline,
    elevenlabs::{AddedVoice, ElevenLabsError, RefusalKind},
    error::Error,
    object_store::Recording,
};

use crate::{
    budget::{
        ATTEMPT_TIMEOUT, CLEANUP_BACKOFF, CLEANUP_RESERVE, DB_WRITE_RESERVE, SETTLE_RESERVE,
        SYNTHESIS_RESERVE,
    },
    metrics::PerformMetrics,
    state::AppState,
};

/// Creates a clone of `recording` in `slot`, lets `speak` use it, and deletes it: after success, failure, panic and
/// deadline alike.
///
/// # Panics
/// If `speak` panics, once the clone is deleted.
pub async fn with_temp_voice_clone<T, Speaking>(
    state: &AppState,
    slot: Slot,
    recording: Recording,
    deadline: Deadline,
    metrics: &mut PerformMetrics,
    speak: impl FnOnce(String) -> Speaking,
) -> Result<T, Error>
where
    Speaking: Future<Output = Result<T, Error>>,
{
    let creating = Instant::now();
    let created = create(state, &slot, recording, deadline).await;
    metrics.clone_attempts = 1;
    metrics.clone_create_ms = Some(creating.elapsed());
    let voice_id = match created {
        Ok(voice_id) => voice_id,
        Err(NotCreated { error, confirmed_deleted }) => {
            metrics.clone.is_orphaned = !confirmed_deleted;
            release_slot(state, slot, None, confirmed_deleted, deadline).await;
            return Err(error);
        }
    };
    metrics.clone_successes = 1;
    metrics.clone.created_at = Some(state.clock.now());
    let created = Instant::now();

    // Until the voice is deleted, nothing may return or unwind past this point.
    let speaking = AssertUnwindSafe(async {
        tokio::join!(speak(voice_id.clone()), record_voice_id(state, &slot, &voice_id)).0
    });
    let spoken = speaking.catch_unwind().await;

    let deleting = Instant::now();
    let confirmed_deleted = delete(state, &slot, &voice_id, deadline).await;
    metrics.clone_delete = Some(deleting.elapsed());
    if confirmed_deleted {
        metrics.clone.deleted_at = Some(state.clock.now());
        metrics.clone_lifetime_ms = Some(created.elapsed());
    }
    metrics.clone.is_orphaned = !confirmed_deleted;
    release_slot(state, slot, Some(&voice_id), confirmed_deleted, deadline).await;
    spoken.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Why there is no voice to use.
struct NotCreated {
    error: Error,
    /// Whether there is no voice at the provider either.
    confirmed_deleted: bool,
}

/// Creates the voice and returns its id.
async fn create(
    state: &AppState,
    slot: &Slot,
    recording: Recording,
    deadline: Deadline,
) -> Result<String, NotCreated> {
    let name = state.voice_names.name(slot.lease_id);
    let create_by = deadline.minus(CLEANUP_RESERVE + SYNTHESIS_RESERVE);
    match add_voice(state, &name, recording, create_by).await {
        Ok(voice) if !voice.requires_verification => Ok(voice.voice_id),
        Ok(voice) => {
            tracing::warn!("the new voice requires verification by a person and cannot be used");
            let confirmed_deleted = delete(state, slot, &voice.voice_id, deadline).await;
            let error = ElevenLabsError::Ambiguous(String::from("the voice requires verification"));
            Err(NotCreated { error: Error::CloneFailed(error), confirmed_deleted })
        }
        Err(error) if error.outcome_unknown() => recover_by_name(state, slot, &name, error, deadline).await,
        Err(error) => Err(NotCreated { error: map_create_error(error), confirmed_deleted: true }),
    }
}

/// If the account's slots are full, one of our orphans may occupy one: sweep, then retry once.
async fn add_voice(
    state: &AppState,
    name: &str,
    recording: Recording,
    create_by: Deadline,
) -> Result<AddedVoice, ElevenLabsError> {
    let added = state.elevenlabs.add_voice(name, recording.clone(), create_by).await;
    let slots_full = added.as_ref().is_err_and(|error| error.refusal() == Some(RefusalKind::SlotsFull));
    if slots_full && state.sweeper.sweep(create_by).await.is_ok_and(|report| report.swept > 0) {
        return state.elevenlabs.add_voice(name, recording, create_by).await;
    }
    added
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
    let find_by = deadline.minus(DB_WRITE_RESERVE + ATTEMPT_TIMEOUT);
    let find = async || {
        let voices = state.elevenlabs.cloned_voices(name, find_by.capped_at(ATTEMPT_TIMEOUT)).await;
        voices.ok().and_then(|voices| voices.into_iter().find(|voice| voice.name == name)).ok_or(NotListed)
    };
    // The list may lag behind.
    let [first, rest @ ..] = CLEANUP_BACKOFF;
    tokio::time::sleep(first.min(find_by.remaining())).await;
    let Ok(voice) = find_by.retry(&rest, find, |NotListed| true).await else {
        return Err(NotCreated { error: map_ambiguous_error(error), confirmed_deleted: false });
    };
    if deadline.minus(CLEANUP_RESERVE).remaining() >= SYNTHESIS_RESERVE {
        return Ok(voice.voice_id);
    }
    let confirmed_deleted = delete(state, slot, &voice.voice_id, deadline).await;
    Err(NotCreated { error: map_ambiguous_error(error), confirmed_deleted })
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
    voice_id: Option<&str>,
    confirmed_deleted: bool,
    deadline: Deadline,
) {
    let lease_id = slot.lease_id;
    let release = async {
        if confirmed_deleted {
            state.slots.free(slot).await
        } else {
            state.slots.orphan(slot, voice_id).await
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
        Some(RefusalKind::SlotsFull) => Error::CloneSlotsBusy,
        Some(RefusalKind::RateLimited) | None => Error::ProviderUnavailable(error),
        Some(RefusalKind::VoiceNotFound | RefusalKind::Other) => Error::CloneFailed(error),
    }
}

fn map_ambiguous_error(error: ElevenLabsError) -> Error {
    match error {
        ElevenLabsError::TimedOut => Error::DeadlineExceeded,
        error => Error::ProviderUnavailable(error),
    }
}
