//! The ephemeral voice clone: create → use → delete → free, whatever happens in between.
//!
//! [`with_temp_voice_clone`] is the one place that makes voices, and beside the sweep the one that deletes them.
//! Its slot is the record of the intent, written before the provider is asked; it is freed only when the voice is
//! surely gone, and left to the sweep as an orphan otherwise.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use mongodb::bson::DateTime;
use shared::{
    clock::Clock,
    clone_slots::Slot,
    deadline::Deadline,
    elevenlabs::{AddedVoice, ElevenLabsError, RefusalKind},
    error::Error,
    object_store::Recording,
    sweeper::Sweeper,
};

/// What deleting the voice and writing that down may take; synthesis never spends it.
pub const CLEANUP_RESERVE: Duration = Duration::from_secs(10);
/// What writing it down may take, within that; deleting never spends it.
const BOOKS_RESERVE: Duration = Duration::from_secs(5);
/// What ending the lease may take, within that; handing the slot back never spends it.
pub const SETTLE_RESERVE: Duration = Duration::from_secs(3);
/// With less left, no clone is begun: it could not be made, heard and deleted.
pub const MIN_TIME: Duration = Duration::from_secs(18);
/// The least that synthesis needs; creating does not spend it.
const SYNTHESIS_RESERVE: Duration = Duration::from_secs(4);
/// One attempt at deleting or at listing.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Pauses before each further attempt at cleaning up.
pub const PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];

/// What the lifecycle touches: the same as the sweep, and the time.
#[derive(Clone)]
pub struct Clones {
    /// The provider, the slots, the users and the voices' names.
    pub sweeper: Sweeper,
    /// The time.
    pub clock: Clock,
}

/// What became of a clone; filled in as it happens, so that it is known after a panic too.
#[derive(Debug, Default)]
pub struct CloneRecord {
    /// When the provider had made the voice.
    pub created_at: Option<DateTime>,
    /// When the voice was surely deleted.
    pub deleted_at: Option<DateTime>,
    /// Whether a voice may be left at the provider, for the sweep to delete.
    pub orphaned: bool,
    /// Slots of this deployment that were held, this one's included.
    pub slots_held: Option<u64>,
    /// How long the slot was waited for.
    pub slot_wait: Option<Duration>,
    /// How long the provider took to make the voice, or to refuse it.
    pub creating: Option<Duration>,
    /// How long the provider took to delete it.
    pub deleting: Option<Duration>,
    /// How long the voice lived; the goal is a mean under 30 s.
    pub lived: Option<Duration>,
}

/// Makes a clone of `recording` in `slot`, lets `speak` use it, and deletes it: after success, failure, panic and
/// deadline alike.
///
/// # Panics
/// If `speak` panics, once the clone is deleted.
pub async fn with_temp_voice_clone<T, Speaking>(
    clones: &Clones,
    slot: Slot,
    recording: Recording,
    deadline: Deadline,
    record: &mut CloneRecord,
    speak: impl FnOnce(String) -> Speaking,
) -> Result<T, Error>
where
    Speaking: Future<Output = Result<T, Error>>,
{
    let begun = Instant::now();
    let created = create(clones, &slot, recording, deadline).await;
    record.creating = Some(begun.elapsed());
    let voice_id = match created {
        Ok(voice_id) => voice_id,
        Err(NotCreated { error, confirmed_deleted }) => {
            record.orphaned = !confirmed_deleted;
            release_slot(clones, slot, None, confirmed_deleted, deadline).await;
            return Err(error);
        }
    };
    record.created_at = Some(clones.clock.now());
    let born = Instant::now();

    // Until the voice is deleted, nothing may return or unwind past this point.
    let speaking = AssertUnwindSafe(async {
        let note = note(clones, &slot, &voice_id);
        tokio::join!(speak(voice_id.clone()), note).0
    });
    let spoken = speaking.catch_unwind().await;

    let deleting = Instant::now();
    let confirmed_deleted = delete(clones, &slot, &voice_id, deadline).await;
    record.deleting = Some(deleting.elapsed());
    if confirmed_deleted {
        record.deleted_at = Some(clones.clock.now());
        record.lived = Some(born.elapsed());
    }
    record.orphaned = !confirmed_deleted;
    release_slot(clones, slot, Some(&voice_id), confirmed_deleted, deadline).await;
    spoken.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Why there is no voice to use.
struct NotCreated {
    error: Error,
    /// Whether no voice is left at the provider either.
    confirmed_deleted: bool,
}

async fn create(
    clones: &Clones,
    slot: &Slot,
    recording: Recording,
    deadline: Deadline,
) -> Result<String, NotCreated> {
    let name = clones.sweeper.names.name(slot.lease_id);
    let by = deadline.minus(CLEANUP_RESERVE + SYNTHESIS_RESERVE);
    match add_voice(clones, &name, recording, by).await {
        Ok(voice) if !voice.requires_verification => Ok(voice.voice_id),
        Ok(voice) => {
            tracing::warn!("the provider wants the voice verified by a person; it cannot be used");
            let confirmed_deleted = delete(clones, slot, &voice.voice_id, deadline).await;
            let error = ElevenLabsError::Ambiguous(String::from("the voice requires verification"));
            Err(NotCreated { error: Error::CloneFailed(error), confirmed_deleted })
        }
        Err(error) if error.outcome_unknown() => adopt(clones, slot, &name, error, deadline).await,
        Err(error) => Err(NotCreated { error: refused(error), confirmed_deleted: true }),
    }
}

/// Asks for the voice. If the account's slots are full, an orphan of ours may be in the way: then it is swept, and
/// asked once more.
async fn add_voice(
    clones: &Clones,
    name: &str,
    recording: Recording,
    by: Deadline,
) -> Result<AddedVoice, ElevenLabsError> {
    let elevenlabs = &clones.sweeper.elevenlabs;
    let added = elevenlabs.add_voice(name, recording.clone(), by).await;
    let slots_full = added.as_ref().is_err_and(|error| error.refusal() == Some(RefusalKind::SlotsFull));
    if slots_full && clones.sweeper.sweep(by).await.is_ok_and(|swept| swept.swept > 0) {
        return elevenlabs.add_voice(name, recording, by).await;
    }
    added
}

/// The create got no clear answer: the voice may exist. It is looked up by its name, and never made again.
async fn adopt(
    clones: &Clones,
    slot: &Slot,
    name: &str,
    error: ElevenLabsError,
    deadline: Deadline,
) -> Result<String, NotCreated> {
    tracing::warn!(%error, lease_id = %slot.lease_id, "the outcome of a create is unknown; looking for the voice");
    let by = deadline.minus(BOOKS_RESERVE + ATTEMPT);
    // The list may lag behind.
    for pause in PAUSES {
        tokio::time::sleep(pause.min(by.remaining())).await;
        let Ok(voices) = clones.sweeper.elevenlabs.cloned_voices(name, by.capped_at(ATTEMPT)).await else {
            continue;
        };
        let Some(voice) = voices.into_iter().find(|voice| voice.name == name) else { continue };
        if deadline.minus(CLEANUP_RESERVE).remaining() >= SYNTHESIS_RESERVE {
            return Ok(voice.voice_id);
        }
        let confirmed_deleted = delete(clones, slot, &voice.voice_id, deadline).await;
        return Err(NotCreated { error: unanswered(error), confirmed_deleted });
    }
    Err(NotCreated { error: unanswered(error), confirmed_deleted: false })
}

/// Writes down which voice lives, for `voice/meta` and the sweep. The name leads to it as well, so a failure here
/// is no reason to stop the show.
async fn note(clones: &Clones, slot: &Slot, voice_id: &str) {
    let noted = tokio::try_join!(
        clones.sweeper.slots.record_voice_id(slot, voice_id),
        clones.sweeper.users.record_voice_id(slot.user_id, slot.lease_id, voice_id),
    );
    if let Err(error) = noted {
        tracing::warn!(%error, lease_id = %slot.lease_id, "the clone's id could not be noted");
    }
}

/// Deletes a voice, with a few attempts inside the reserve; whether it is surely gone.
async fn delete(clones: &Clones, slot: &Slot, voice_id: &str, deadline: Deadline) -> bool {
    let by = deadline.minus(BOOKS_RESERVE);
    let mut pauses = PAUSES.into_iter();
    loop {
        let Err(error) = clones.sweeper.elevenlabs.delete_voice(voice_id, by.capped_at(ATTEMPT)).await else {
            return true;
        };
        match pauses.next() {
            Some(pause) if pause < by.remaining() => tokio::time::sleep(pause).await,
            _ => {
                tracing::warn!(
                    %error,
                    user_id = %slot.user_id,
                    lease_id = %slot.lease_id,
                    voice_id,
                    "a clone could not be deleted; the sweep will finish it"
                );
                return false;
            }
        }
    }
}

/// Gives the slot back, or leaves it to the sweep. If not even that can be written down, the slot's record stays as
/// it is, and the sweep finds it when its lease has run out.
async fn release_slot(
    clones: &Clones,
    slot: Slot,
    voice_id: Option<&str>,
    confirmed_deleted: bool,
    deadline: Deadline,
) {
    let (slots, lease_id) = (&clones.sweeper.slots, slot.lease_id);
    let handing =
        async { if confirmed_deleted { slots.free(slot).await } else { slots.orphan(slot, voice_id).await } };
    match deadline.minus(SETTLE_RESERVE).timeout(handing).await {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            tracing::warn!(%error, %lease_id, "a slot could not be handed back; the sweep will free it");
        }
        None => tracing::warn!(%lease_id, "no time was left to hand a slot back; the sweep will free it"),
    }
}

fn refused(error: ElevenLabsError) -> Error {
    match error.refusal() {
        Some(RefusalKind::VoiceEditLimitReached) => Error::CloneBudgetExhausted(error),
        Some(RefusalKind::SlotsFull) => Error::CloneSlotsBusy,
        Some(RefusalKind::RateLimited) | None => Error::ProviderUnavailable(error),
        Some(RefusalKind::VoiceNotFound | RefusalKind::Other) => Error::CloneFailed(error),
    }
}

fn unanswered(error: ElevenLabsError) -> Error {
    match error {
        ElevenLabsError::TimedOut => Error::DeadlineExceeded,
        error => Error::ProviderUnavailable(error),
    }
}
