//! `POST /perform`: the order of a perform.
//!
//! One update takes the user's lease and reserves the characters. Side by side, a slot is claimed, the recording
//! is fetched and the thought is written; the thought may take as long as the making of the clone. Then the clone
//! speaks, is deleted, and the lease is settled: charged for what was spoken, or for nothing.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{Extension, extract::State as Of, http::HeaderMap, response::Response};
use bytes::Bytes;
use futures::FutureExt as _;
use mongodb::bson::oid::ObjectId;
use shared::{
    content::{Speakable, ThoughtSource},
    deadline::{Deadline, Invocation},
    elevenlabs::{ElevenLabsError, RefusalKind, Speech, VoiceSettings},
    error::Error,
    http::RequestId,
    json::Hashed,
    session::Caller,
    settings::Settings,
    users::{Idempotency, Replay, Reservation, Settlement, User},
};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::{
    State,
    answer::{self, Facts},
    audit::Ended,
    idempotency::IdempotencyKey,
    lease::{self, LEASE_MARGIN, Taken},
    request::{Body, Request, Voice, Words},
    temp_voice_clone::{
        CLEANUP_RESERVE, CloneRecord, LEAST_TIME, PAUSES, SETTLE_RESERVE, with_temp_voice_clone,
    },
};

/// After this long, no further attempt to settle is begun: the audience waits.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);
/// What writing and sending the answer takes.
const ANSWER_RESERVE: Duration = Duration::from_millis(500);

/// Performs. The work runs in a task of its own: if the client goes away and this future is dropped, the clone is
/// deleted all the same.
pub async fn perform(
    Of(state): Of<State>,
    Extension(request_id): Extension<RequestId>,
    Invocation(invocation): Invocation,
    caller: Caller,
    key: IdempotencyKey,
    headers: HeaderMap,
    Hashed(body, hash): Hashed<Body>,
) -> Result<Response, Error> {
    let request = body.checked(&caller)?;
    let deadline = Deadline::of_invocation(invocation.as_ref(), &state.clones.clock, state.settings.timeout);
    let work = run(state, caller, request, key.with(hash), deadline, request_id);
    let work = tokio::spawn(work.instrument(tracing::Span::current()));
    let (facts, audio) = work.await.map_err(|_| Error::internal("a perform panicked"))??;
    Ok(answer::answer(&headers, &facts, audio))
}

async fn run(
    state: State,
    caller: Caller,
    request: Request,
    idempotency: Option<Idempotency>,
    deadline: Deadline,
    request_id: RequestId,
) -> Result<(Facts, Bytes), Error> {
    let started = Instant::now();
    let want = Reservation {
        lease_id: ObjectId::new(),
        lasts: state.settings.timeout + LEASE_MARGIN,
        characters: state.quota.cost(request.words.most_characters()),
        monthly_limit: state.quota.monthly_limit,
        needs_recording: request.voice == Voice::Own,
        idempotency,
    };
    let user = match lease::take(&state, &caller, &want, deadline).await? {
        Taken::Lease(user) => user,
        Taken::Before(replay) => return again(&state, &caller, *replay).await,
    };
    let spent_before = user.usage.now(&state.clones.clock);

    let mut clone = CloneRecord::default();
    let spoken = AssertUnwindSafe(speak(&state, &user, want.lease_id, &request, deadline, &mut clone));
    // The lease is settled after a panic too.
    let spoken = spoken.catch_unwind().await;
    let heard = spoken.as_ref().ok().and_then(|spoken| spoken.as_ref().ok());
    let kept = match heard {
        Some(spoken) if want.idempotency.is_some() => {
            keep(&state, user.id, want.lease_id, spoken, deadline).await
        }
        _ => false,
    };

    // What was asked for with a key and cannot be kept will be performed anew when it is asked for again: charged then.
    let is_charged = want.idempotency.is_none() || kept;
    let facts =
        heard.map(|spoken| Facts::new(&state.quota, &request, spoken, spent_before, is_charged, &request_id));
    let settlement = Settlement {
        characters: facts.as_ref().map_or(0, Facts::cost),
        clone_is_gone: !clone.orphaned,
        replay: want.idempotency.filter(|_| kept).zip(facts.as_ref()).and_then(|(idempotency, facts)| {
            let at = state.clones.clock.now();
            Some(Replay { idempotency, lease_id: want.lease_id, at, answer: facts.stored()? })
        }),
    };
    let has_owner = settle(&state, user.id, want.lease_id, &settlement, deadline).await;
    if kept && !has_owner {
        forget(&state, user.id, want.lease_id).await;
    }
    let ended = Ended {
        user_id: user.id,
        request_id: &request_id,
        clone: &clone,
        took: started.elapsed(),
        spoken: spoken.as_ref().ok(),
        characters: settlement.characters,
    };
    ended.record(&state.settings.stage, &state.clones.clock);

    let spoken = spoken.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let facts = facts.ok_or_else(|| Error::internal("a perform has audio and no facts"))?;
    Ok((facts, spoken.audio))
}

/// Settles the lease, with a few attempts: a settlement that is repeated changes nothing. If none succeeds, the audio
/// exists all the same and the show goes on; the sweep frees the lease, uncharged. Gives whether the perform still
/// belongs to somebody: an account may be deleted in the middle of it.
async fn settle(
    state: &State,
    user_id: ObjectId,
    lease_id: ObjectId,
    settlement: &Settlement,
    deadline: Deadline,
) -> bool {
    let patience = deadline.within(SETTLE_PATIENCE);
    let mut pauses = PAUSES.into_iter();
    let settling = async {
        loop {
            match state.clones.sweeper.users.settle(user_id, lease_id, settlement).await {
                // That nothing is left to settle may be the work of an attempt whose answer was lost.
                Ok(settled) => return Some(settled || pauses.len() < PAUSES.len()),
                Err(error) => error.log(),
            }
            match pauses.next() {
                Some(pause) if pause < patience.remaining() => tokio::time::sleep(pause).await,
                _ => return None,
            }
        }
    };
    deadline.less(ANSWER_RESERVE).limit(settling).await.flatten().unwrap_or_else(|| {
        tracing::warn!(%user_id, %lease_id, "a perform could not be settled; the sweep will free it");
        true
    })
}

/// What a perform gave.
pub struct Spoken {
    /// What was said.
    pub text: Speakable,
    /// Who wrote it; nobody if the caller did.
    pub thought_source: Option<ThoughtSource>,
    /// MP3, 44.1 kHz.
    pub audio: Bytes,
    /// How long the provider took to speak.
    pub synthesis: Duration,
}

/// The answer of an earlier perform, as it was.
async fn again(state: &State, caller: &Caller, replay: Replay) -> Result<(Facts, Bytes), Error> {
    let audio = state.recordings.get_replay(caller.user_id, replay.lease_id).await?;
    Ok((Facts::read(replay.answer)?, audio))
}

/// Keeps the audio for a repeated request, and tells whether it is kept.
async fn keep(
    state: &State,
    user_id: ObjectId,
    lease_id: ObjectId,
    spoken: &Spoken,
    deadline: Deadline,
) -> bool {
    let keeping = state.recordings.put_replay(user_id, lease_id, spoken.audio.clone());
    match deadline.less(SETTLE_RESERVE).limit(keeping).await {
        Some(Ok(())) => return true,
        Some(Err(error)) => {
            tracing::warn!(%error, %lease_id, "the audio could not be kept for a repeated request");
        }
        None => tracing::warn!(%lease_id, "no time was left to keep the audio for a repeated request"),
    }
    false
}

/// Deletes the kept audio of a perform that nobody can ask for again.
async fn forget(state: &State, user_id: ObjectId, lease_id: ObjectId) {
    if let Err(error) = state.recordings.delete_replay(user_id, lease_id).await {
        tracing::warn!(%error, %lease_id, "the audio of a deleted account stays until it expires");
    }
}

async fn speak(
    state: &State,
    user: &User,
    lease_id: ObjectId,
    request: &Request,
    deadline: Deadline,
    clone: &mut CloneRecord,
) -> Result<Spoken, Error> {
    let settings = user.settings.clone().overridden(request.settings_override.clone());
    let mut writing = begin_to_write(state, request, &settings, deadline);
    if request.voice == Voice::Default {
        let (text, thought_source) = written(&mut writing).await?;
        let voice_id = &state.settings.default_voice;
        return synthesize(state, voice_id, text, thought_source, &settings, deadline).await;
    }

    // Both to their ends: a claim that was dropped half-way could hold a slot that nobody knows of.
    let (slot, recording) = tokio::join!(
        lease::claim_slot(state, user.id, lease_id, deadline, clone),
        state.recordings.get(user.id),
    );
    let slot = slot?;
    let recording = match recording {
        Ok(Some(recording)) if deadline.remaining() >= LEAST_TIME => recording,
        recording => {
            let error = match recording {
                Ok(Some(_)) => Error::DeadlineExceeded,
                Ok(None) => Error::VoiceRequired,
                Err(error) => error.into(),
            };
            // No voice was asked for. If this fails too, the slot's lease runs out and the sweep frees it.
            let _ = state.clones.sweeper.slots.free(slot).await;
            return Err(error);
        }
    };
    with_temp_voice_clone(&state.clones, slot, recording, deadline, clone, async |voice_id| {
        let (text, thought_source) = written(&mut writing).await?;
        synthesize(state, &voice_id, text, thought_source, &settings, deadline).await
    })
    .await
}

/// The words: a task that writes them beside everything else, and stops when it is dropped.
type Writing = JoinSet<(Speakable, Option<ThoughtSource>)>;

fn begin_to_write(state: &State, request: &Request, settings: &Settings, deadline: Deadline) -> Writing {
    let mut writing = JoinSet::new();
    match &request.words {
        Words::Text(text) => {
            let text = text.clone();
            writing.spawn(async move { (text, None) });
        }
        Words::ThoughtAbout(routine, value) => {
            let (thoughts, routine, value) = (state.thoughts.clone(), *routine, value.clone());
            let language = settings.voice_language.clone();
            writing.spawn(async move {
                let thought = thoughts.write(routine.topic(), &value, &language, deadline).await;
                (thought.text, Some(thought.source))
            });
        }
    }
    writing
}

async fn written(writing: &mut Writing) -> Result<(Speakable, Option<ThoughtSource>), Error> {
    match writing.join_next().await {
        Some(Ok(written)) => Ok(written),
        _ => Err(Error::internal("writing the thought panicked")),
    }
}

async fn synthesize(
    state: &State,
    voice_id: &str,
    text: Speakable,
    thought_source: Option<ThoughtSource>,
    settings: &Settings,
    deadline: Deadline,
) -> Result<Spoken, Error> {
    let model = &state.quota.model;
    let speech = Speech {
        text: &text,
        model_id: model,
        language_code: honours_language(model).then(|| settings.voice_language.code()),
        voice_settings: VoiceSettings {
            stability: settings.voice_stability.fraction(),
            similarity_boost: settings.voice_similarity.fraction(),
        },
    };
    let by = deadline.less(CLEANUP_RESERVE);
    let begun = Instant::now();
    let audio = state.clones.sweeper.elevenlabs.synthesize(voice_id, &speech, by).await;
    let audio = audio.map_err(|error| match error {
        ElevenLabsError::TimedOut => Error::DeadlineExceeded,
        // Not sent because the time was up, or no connection.
        ElevenLabsError::Unreachable if by.has_passed() => Error::DeadlineExceeded,
        error if error.refusal().is_none_or(|kind| kind == RefusalKind::Busy) => {
            Error::ProviderUnavailable(error)
        }
        error => Error::SynthesisFailed(error),
    })?;
    Ok(Spoken { text, thought_source, audio, synthesis: begun.elapsed() })
}

/// Other models refuse `language_code` (<https://elevenlabs.io/docs/api-reference/text-to-speech/convert>).
fn honours_language(model: &str) -> bool {
    ["eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_v3"].contains(&model)
}
