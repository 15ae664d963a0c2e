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
    clone_slots::Slot,
    content::{Speakable, ThoughtSource},
    deadline::{Deadline, Invocation},
    elevenlabs::{ElevenLabsError, RefusalKind, Speech, VoiceSettings},
    error::Error,
    http::RequestId,
    json::Json,
    quota,
    session::Caller,
    settings::Settings,
    users::{LeaseRefused, Reservation, User},
};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::{
    State, answer, audit,
    request::{Body, Request, Voice, Words},
    temp_voice_clone::{CLEANUP_RESERVE, CloneRecord, Clones, LEAST_TIME, with_temp_voice_clone},
};

/// No invocation may outlive its lease.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// How long a perform waits for another one of the same user.
const LEASE_WAIT: Duration = Duration::from_secs(12);
/// How long a perform waits for a slot.
const SLOT_WAIT: Duration = Duration::from_secs(10);
/// How often it asks again.
const POLL: Duration = Duration::from_millis(250);

/// A perform that succeeded.
pub struct Performed {
    /// What was said.
    pub text: Speakable,
    /// Who wrote it; nobody if the caller did.
    pub thought_source: Option<ThoughtSource>,
    /// MP3, 44.1 kHz.
    pub audio: Bytes,
    /// Whose voice.
    pub voice: Voice,
    /// The request.
    pub routine: Option<&'static str>,
    /// What it cost.
    pub cost: i64,
    /// The user's characters of this month, this perform's included.
    pub char_count: i64,
    /// The user's characters of a month.
    pub monthly_limit: i64,
    /// The request's id.
    pub request_id: RequestId,
}

/// Performs. The work runs in a task of its own: if the client goes away and this future is dropped, the clone is
/// deleted all the same.
pub async fn perform(
    Of(state): Of<State>,
    Extension(request_id): Extension<RequestId>,
    Invocation(invocation): Invocation,
    caller: Caller,
    headers: HeaderMap,
    Json(body): Json<Body>,
) -> Result<Response, Error> {
    let request = body.checked(&caller)?;
    let deadline = Deadline::of_invocation(invocation.as_ref(), &state.clock, state.settings.timeout);
    let work = run(state, caller, request, deadline, request_id);
    let work = work.instrument(tracing::Span::current());
    let performed = tokio::spawn(work).await.map_err(|_| Error::internal("a perform panicked"))??;
    Ok(answer::answer(&headers, performed))
}

async fn run(
    state: State,
    caller: Caller,
    request: Request,
    deadline: Deadline,
    request_id: RequestId,
) -> Result<Performed, Error> {
    let started = Instant::now();
    let (user, lease_id) = take_lease(&state, &caller, &request, deadline).await?;

    let mut clone = CloneRecord::default();
    // The lease is settled after a panic too.
    let spoken =
        AssertUnwindSafe(speak(&state, &user, lease_id, &request, deadline, &mut clone)).catch_unwind().await;

    let cost = match &spoken {
        Ok(Ok(spoken)) => state.quota.cost(spoken.text.characters()),
        _ => 0,
    };
    let settled = state.users.settle(user.id, lease_id, cost, !clone.orphaned).await;
    let outcome = spoken.as_ref().map_or(Ok(()), |spoken| spoken.as_ref().map(drop));
    audit::log(user.id, &request_id, &clone, started, outcome);

    let spoken = spoken.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let char_count = match settled {
        Ok(Some(char_count)) => char_count,
        // The account was deleted meanwhile, or the database failed: the audio exists, and the show goes on.
        Ok(None) => user.usage.now(&state.clock) + cost,
        Err(error) => {
            tracing::warn!(%error, user_id = %user.id, %lease_id, "a perform could not be settled; the sweep will free it");
            user.usage.now(&state.clock) + cost
        }
    };
    Ok(Performed {
        text: spoken.text,
        thought_source: spoken.thought_source,
        audio: spoken.audio,
        voice: request.voice,
        routine: request.routine.map(shared::content::Routine::word),
        cost,
        char_count,
        monthly_limit: state.quota.monthly_limit,
        request_id,
    })
}

/// Takes the user's lease and reserves the most that the perform can cost, waiting for another perform of the same
/// user if one runs.
async fn take_lease(
    state: &State,
    caller: &Caller,
    request: &Request,
    deadline: Deadline,
) -> Result<(User, ObjectId), Error> {
    let want = Reservation {
        lease_id: ObjectId::new(),
        lasts: state.settings.timeout + LEASE_MARGIN,
        characters: state.quota.cost(request.words.most_characters()),
        monthly_limit: state.quota.monthly_limit,
        needs_recording: request.voice == Voice::Own,
    };
    let patience = deadline.less(LEAST_TIME).within(LEASE_WAIT);
    loop {
        match state.users.take_lease(caller, &want).await? {
            Ok(user) => return Ok((user, want.lease_id)),
            Err(LeaseRefused::Held) if !patience.has_passed() => tokio::time::sleep(POLL).await,
            Err(LeaseRefused::Held) => return Err(Error::PerformInProgress),
            Err(LeaseRefused::NoRecording) => return Err(Error::VoiceRequired),
            Err(LeaseRefused::QuotaExceeded { remaining }) => {
                let resets_in = quota::resets_in(&state.clock);
                return Err(Error::QuotaExceeded { remaining, needed: want.characters, resets_in });
            }
        }
    }
}

struct Spoken {
    text: Speakable,
    thought_source: Option<ThoughtSource>,
    audio: Bytes,
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
        let audio = synthesize(state, &state.settings.default_voice, &text, &settings, deadline).await?;
        return Ok(Spoken { text, thought_source, audio });
    }

    // Both to their ends: a claim that was dropped half-way could hold a slot that nobody knows of.
    let (slot, recording) =
        tokio::join!(claim_slot(state, user.id, lease_id, deadline), state.recordings.get(user.id));
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
            let _ = state.slots.free(slot).await;
            return Err(error);
        }
    };
    let clones = Clones {
        elevenlabs: state.elevenlabs.clone(),
        slots: state.slots.clone(),
        users: state.users.clone(),
        names: state.names.clone(),
        clock: state.clock.clone(),
    };
    with_temp_voice_clone(&clones, slot, recording, deadline, clone, async |voice_id| {
        let (text, thought_source) = written(&mut writing).await?;
        let audio = synthesize(state, &voice_id, &text, &settings, deadline).await?;
        Ok(Spoken { text, thought_source, audio })
    })
    .await
}

/// Waits, within bounds, until a slot is free.
async fn claim_slot(
    state: &State,
    user_id: ObjectId,
    lease_id: ObjectId,
    deadline: Deadline,
) -> Result<Slot, Error> {
    let patience = deadline.less(LEAST_TIME).within(SLOT_WAIT);
    let lasts = state.settings.timeout + LEASE_MARGIN;
    loop {
        if let Some(slot) = state.slots.claim(lease_id, user_id, lasts).await? {
            return Ok(slot);
        }
        if patience.has_passed() {
            return Err(Error::CloneSlotsBusy);
        }
        tokio::time::sleep(POLL).await;
    }
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
    text: &Speakable,
    settings: &Settings,
    deadline: Deadline,
) -> Result<Bytes, Error> {
    let model = &state.quota.model;
    let speech = Speech {
        text: text.as_str(),
        model_id: model,
        language_code: honours_language(model).then(|| settings.voice_language.code()),
        voice_settings: VoiceSettings {
            stability: settings.voice_stability.fraction(),
            similarity_boost: settings.voice_similarity.fraction(),
        },
    };
    let by = deadline.less(CLEANUP_RESERVE);
    state.elevenlabs.synthesize(voice_id, &speech, by).await.map_err(|error| match error {
        ElevenLabsError::TimedOut => Error::DeadlineExceeded,
        // Not sent because the time was up, or no connection.
        ElevenLabsError::Unreachable if by.has_passed() => Error::DeadlineExceeded,
        error if error.refusal().is_none_or(|kind| kind == RefusalKind::Busy) => {
            Error::ProviderUnavailable(error)
        }
        error => Error::SynthesisFailed(error),
    })
}

/// Other models refuse `language_code` (<https://elevenlabs.io/docs/api-reference/text-to-speech/convert>).
fn honours_language(model: &str) -> bool {
    ["eleven_flash_v2_5", "eleven_turbo_v2_5", "eleven_v3"].contains(&model)
}
