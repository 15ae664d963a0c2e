//! `POST /perform`: the order of a perform.
//!
//! One update takes the user's lease and reserves the characters. Side by side, a slot is claimed, the recording
//! is fetched and the thoughts are written; they may take as long as the making of the clone. Then the clone speaks, is
//! deleted, and the lease is settled: charged for what was spoken, or for nothing.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use bytes::Bytes;
use futures::FutureExt as _;
use mongodb::bson::oid::ObjectId;
use shared::{
    deadline::{Deadline, Invocation},
    error::{Error, FieldError},
    http::RequestId,
    json::HashedJson,
    session::Caller,
    users::{Idempotency, Replay, Reservation, Settlement, User},
};
use tracing::Instrument as _;

use crate::{
    AppState,
    admission::{self, LEASE_MARGIN, Taken},
    answer,
    described::Answer,
    facts::Facts,
    idempotency::IdempotencyKey,
    metrics::Ended,
    request::{Body, Request, Voice},
    takes::{Performed, Takes},
    temp_voice_clone::{CloneRecord, MIN_TIME, PAUSES, SETTLE_RESERVE, with_temp_voice_clone},
};

/// After this long, no further attempt to settle is begun: the audience waits.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);
/// What writing and sending the answer takes.
const ANSWER_RESERVE: Duration = Duration::from_millis(500);

/// Speaks a thought, a text or up to ten takes, in the caller's own voice or a stock voice. `routine_type` and `value`
/// ask for a thought about the value, `text` is spoken as it is, and `takes` is a list of either. `"voice": "default"`
/// speaks with a stock voice and needs no recording.
///
/// A single take is answered as JSON, or as MP3 with the same data in `X-…` headers if `Accept` prefers `audio/mpeg`.
/// `backgroundSound` says whether the ambience that the settings ask for is `mixed` into the audio, `off`, or `failed`,
/// which leaves the plain voice.
///
/// Several takes are spoken by one clone, which saves time and the provider's monthly voice creations:
/// `{"takes": [{"routine_type": "cards", "value": "Queen of Hearts"}, {"routine_type": "years", "value": "1987"},
/// {"text": "Good night."}]}`. The response lists them in the same order, each with `"status": "ok"` and its audio, or
/// with `"status": "failed"`, `code` and `detail`. Failed takes are not charged; if all of them fail, the response is the
/// error that a single take would have had. One invalid take (`takes[1].value`) rejects the whole request before any
/// provider is called. All takes together may have 2,400 characters, where a thought counts with its maximum length: 160
/// characters, or 120 plus those of its value, if that is more. A take that would exceed the size limit of a response
/// anyway fails with `answer_too_large`. Several takes are answered as JSON only: `Accept: audio/mpeg` alone is 422.
///
/// Send an `Idempotency-Key`: the gateway gives up after 30 seconds, and the same key then fetches what was spoken since,
/// for a day and at no cost. If the audio could not be stored for that, nothing is charged and a retry performs again.
// The work runs in a task of its own: if the client disconnects and this future is dropped, the clone is still deleted.
#[utoipa::path(
    post,
    path = "/perform",
    operation_id = "perform",
    request_body = Body,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Names this request: sent again, it is not performed again, and its answer comes once more.")),
    responses((status = 200, content((Answer = "application/json"), (Vec<u8> = "audio/mpeg")))),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["forbidden", "voice_required", "perform_in_progress", "idempotency_conflict", "content_rejected", "answer_too_large", "quota_exceeded", "clone_failed", "synthesis_failed", "clone_slots_busy", "clone_budget_exhausted", "provider_unavailable", "deadline_exceeded"]))),
)]
pub async fn perform(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    Invocation(invocation): Invocation,
    caller: Caller,
    key: IdempotencyKey,
    headers: HeaderMap,
    HashedJson(body, hash): HashedJson<Body>,
) -> Result<Response, Error> {
    let request = body.checked(&caller)?;
    if request.is_list && !answer::accepts_json(&headers) {
        return Err(Error::Invalid(vec![FieldError {
            field: String::from("Accept"),
            message: String::from("must allow application/json: several takes are no single MP3"),
        }]));
    }
    let deadline =
        Deadline::from_invocation(invocation.as_ref(), &state.clones.clock, state.settings.timeout);
    let work = run(state, caller, request, key.with(hash), deadline, request_id);
    let work = tokio::spawn(work.instrument(tracing::Span::current()));
    let (facts, audio) = work.await.map_err(|_| Error::internal("a perform panicked"))??;
    answer::answer(&headers, &facts, audio)
}

async fn run(
    state: AppState,
    caller: Caller,
    request: Request,
    idempotency: Option<Idempotency>,
    deadline: Deadline,
    request_id: RequestId,
) -> Result<(Facts, Bytes), Error> {
    let started = Instant::now();
    let model = &state.quota.model;
    let want = Reservation {
        lease_id: ObjectId::new(),
        ttl: state.settings.timeout + LEASE_MARGIN,
        characters: request.takes.iter().map(|take| model.cost(take.words.max_characters())).sum(),
        monthly_limit: state.quota.monthly_limit,
        needs_recording: request.voice == Voice::Own,
        idempotency,
    };
    let user = match admission::take(&state, &caller, &want, deadline).await? {
        Taken::Lease(user) => user,
        Taken::Before(replay) => return again(&state, &caller, *replay).await,
    };
    let spent_before = user.usage.current(&state.clones.clock);

    let mut clone = CloneRecord::default();
    let performed = AssertUnwindSafe(speak(&state, &user, want.lease_id, &request, deadline, &mut clone));
    // The lease is settled after a panic too.
    let performed = performed.catch_unwind().await;
    let heard = performed.as_ref().ok().and_then(|performed| performed.as_ref().ok());
    let audio = heard.map(joined);
    let kept = match &audio {
        Some(audio) if want.idempotency.is_some() => {
            keep(&state, user.id, want.lease_id, audio.clone(), deadline).await
        }
        _ => false,
    };

    // What was asked for with a key and cannot be kept will be performed anew when it is asked for again: charged then.
    let is_charged = want.idempotency.is_none() || kept;
    let facts =
        heard.map(|heard| Facts::new(&state.quota, &request, heard, spent_before, is_charged, &request_id));
    let settlement = Settlement {
        characters: facts.as_ref().map_or(0, Facts::cost),
        clone_deleted: !clone.orphaned,
        replay: want.idempotency.filter(|_| kept).zip(facts.as_ref()).and_then(|(idempotency, facts)| {
            let at = state.clones.clock.now();
            Some(Replay { idempotency, lease_id: want.lease_id, at, answer: facts.stored()? })
        }),
    };
    let has_owner = settle(&state, user.id, want.lease_id, &settlement, deadline).await;
    if kept && !has_owner {
        forget(&state, user.id, want.lease_id).await;
    }
    // The others are part of the answer and end here; what failed as a whole is logged at the edge.
    heard.into_iter().flatten().filter_map(|take| take.as_ref().err()).for_each(Error::log);
    let ended = Ended {
        user_id: user.id,
        request_id: &request_id,
        clone: &clone,
        took: started.elapsed(),
        performed: performed.as_ref().ok(),
        characters: settlement.characters,
    };
    ended.record(&state.settings.stage, &state.clones.clock);

    performed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let heard = facts.zip(audio);
    heard.ok_or_else(|| Error::internal("a perform has audio and no facts"))
}

/// The audio of all takes, one after the other.
fn joined(performed: &Performed) -> Bytes {
    let mut audio = performed.iter().flatten().map(|spoken| &spoken.audio);
    match (audio.next(), audio.next()) {
        (Some(only), None) => only.clone(),
        (first, second) => {
            let all: Vec<&[u8]> =
                first.into_iter().chain(second).chain(audio).map(|audio| &audio[..]).collect();
            all.concat().into()
        }
    }
}

/// Settles the lease, with a few attempts: a settlement that is repeated changes nothing. If none succeeds, the audio
/// exists all the same and the show goes on; the sweep frees the lease, uncharged. Gives whether the perform still
/// belongs to somebody: an account may be deleted in the middle of it.
async fn settle(
    state: &AppState,
    user_id: ObjectId,
    lease_id: ObjectId,
    settlement: &Settlement,
    deadline: Deadline,
) -> bool {
    let patience = deadline.capped_at(SETTLE_TIMEOUT);
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
    deadline.minus(ANSWER_RESERVE).timeout(settling).await.flatten().unwrap_or_else(|| {
        tracing::warn!(%user_id, %lease_id, "a perform could not be settled; the sweep will free it");
        true
    })
}

/// The answer of an earlier perform, as it was.
async fn again(state: &AppState, caller: &Caller, replay: Replay) -> Result<(Facts, Bytes), Error> {
    let audio = state.recordings.get_replay(caller.user_id, replay.lease_id).await?;
    Ok((Facts::read(replay.answer)?, audio))
}

/// Keeps the audio for a repeated request, and tells whether it is kept.
async fn keep(
    state: &AppState,
    user_id: ObjectId,
    lease_id: ObjectId,
    audio: Bytes,
    deadline: Deadline,
) -> bool {
    let keeping = state.recordings.put_replay(user_id, lease_id, audio);
    match deadline.minus(SETTLE_RESERVE).timeout(keeping).await {
        Some(Ok(())) => return true,
        Some(Err(error)) => {
            tracing::warn!(%error, %lease_id, "the audio could not be kept for a repeated request");
        }
        None => tracing::warn!(%lease_id, "no time was left to keep the audio for a repeated request"),
    }
    false
}

/// Deletes the kept audio of a perform that nobody can ask for again.
async fn forget(state: &AppState, user_id: ObjectId, lease_id: ObjectId) {
    if let Err(error) = state.recordings.delete_replay(user_id, lease_id).await {
        tracing::warn!(%error, %lease_id, "the audio of a deleted account stays until it expires");
    }
}

async fn speak(
    state: &AppState,
    user: &User,
    lease_id: ObjectId,
    request: &Request,
    deadline: Deadline,
    clone: &mut CloneRecord,
) -> Result<Performed, Error> {
    let settings = user.settings.clone().with_overrides(request.settings_override.clone());
    let mut takes = Takes::begin(state, request, &settings, lease_id, deadline);
    if request.voice == Voice::Default {
        let said = takes.speak(&state.settings.default_voice).await?;
        return takes.finish(said).await;
    }

    // Both to their ends: a claim that was dropped half-way could hold a slot that nobody knows of.
    let (slot, recording) = tokio::join!(
        admission::claim_slot(state, user.id, lease_id, deadline, clone),
        state.recordings.get(user.id),
    );
    let slot = slot?;
    let recording = match recording {
        Ok(Some(recording)) if deadline.remaining() >= MIN_TIME => recording,
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
    let said = with_temp_voice_clone(&state.clones, slot, recording, deadline, clone, async |voice_id| {
        takes.speak(&voice_id).await
    });
    let said = said.await?;
    takes.finish(said).await
}
