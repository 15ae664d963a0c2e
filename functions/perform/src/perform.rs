//! `POST /perform`: the handler, and the steps of a perform.
//!
//! 1. One update acquires the user's lease and reserves the characters.
//! 2. Concurrently: claim a slot, fetch the recording, generate the thoughts.
//! 3. Create the clone, synthesize with it, delete it.
//! 4. Settle the lease: charge what was synthesized, or nothing.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{Extension, extract::State, http::HeaderMap, response::Response};
use bytes::Bytes;
use futures::{FutureExt as _, TryFutureExt as _};
use lambda_http::Context;
use mongodb::bson::oid::ObjectId;
use shared::{
    deadline::Deadline,
    error::{Error, FieldError},
    http::RequestId,
    json::HashedJson,
    object_store::Recording,
    session::Caller,
    users::{Idempotency, Replay, Reservation, Settlement, User},
};
use tracing::Instrument as _;

use crate::{
    admission::{self, LeaseOutcome},
    budget::{
        CLEANUP_BACKOFF, MIN_CLONE_TIME, RESPONSE_RESERVE, SETTLE_RESERVE, SETTLE_TIMEOUT, STORE_TIMEOUT,
        SUBSCRIPTION_TIMEOUT, UNKNOWN_RESET, lease_ttl,
    },
    idempotency::IdempotencyKey,
    metrics::{CloneTimes, PerformMetrics},
    request::{Body, Request, Voice},
    response::{self, PerformResponse},
    state::AppState,
    takes::{SynthesizedTake, TakePipeline, TakeResults},
    temp_voice_clone::{self, with_temp_voice_clone},
};

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
/// Without a key, the same body gets the same audio while the first request runs and for 10 seconds after it.
#[utoipa::path(
    post,
    path = "/perform",
    operation_id = "perform",
    request_body = Body,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Identifies this request: if it is sent again, it is not performed again, and the first response is repeated.")),
    responses((status = 200, content((PerformResponse = "application/json"), (Vec<u8> = "audio/mpeg")))),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["forbidden", "voice_required", "perform_in_progress", "idempotency_conflict", "content_rejected", "answer_too_large", "quota_exceeded", "clone_quota_exceeded", "recording_refused", "clone_failed", "synthesis_failed", "clone_slots_busy", "clone_budget_exhausted", "provider_credits_exhausted", "provider_unavailable", "deadline_exceeded"]))),
)]
pub async fn perform(
    State(state): State<AppState>,
    Extension(request_id): Extension<RequestId>,
    context: Option<Extension<Context>>,
    caller: Caller,
    key: IdempotencyKey,
    headers: HeaderMap,
    HashedJson(body, hash): HashedJson<Body>,
) -> Result<Response, Error> {
    let request = body.validate(&caller)?;
    if request.is_list && !response::accepts_list(&headers) {
        return Err(Error::Invalid(vec![FieldError {
            field: String::from("Accept"),
            message: String::from("must allow application/json: several takes are no single MP3"),
        }]));
    }
    let context = context.map(|Extension(context)| context);
    let deadline = Deadline::from_invocation(context.as_ref(), &state.clock, state.config.timeout);
    // In a task of its own: if the client disconnects and this future is dropped, the clone is still deleted.
    let work = run(state, caller, request, key.for_body(hash), deadline, request_id);
    let work = tokio::spawn(work.instrument(tracing::Span::current()));
    let (response, audio) = work.await.map_err(|_| Error::internal("perform task panicked"))??;
    response.into_response(&headers, audio)
}

/// A perform that holds its user's lease.
struct Perform<'a> {
    state: &'a AppState,
    user: &'a User,
    reservation: &'a Reservation,
    request: &'a Request,
    request_id: &'a RequestId,
    deadline: Deadline,
}

/// What was spoken.
struct Kept {
    takes: TakeResults,
    /// Of all takes, concatenated.
    audio: Bytes,
    /// Whether the audio is stored for a repeated request.
    is_stored: bool,
}

/// The result of a perform that succeeded.
struct Output {
    response: PerformResponse,
    /// Of all takes, concatenated.
    audio: Bytes,
    /// `None` if the audio could not be stored.
    replay: Option<Replay>,
}

async fn run(
    state: AppState,
    caller: Caller,
    request: Request,
    idempotency: Idempotency,
    deadline: Deadline,
    request_id: RequestId,
) -> Result<(PerformResponse, Bytes), Error> {
    let mut metrics = PerformMetrics::start(&state, caller.user_id, &request_id);
    let reservation = reservation(&state, &request, idempotency);
    let user = match admission::acquire_lease(&state, &caller, &reservation, deadline).await? {
        LeaseOutcome::Acquired(user) => user,
        LeaseOutcome::AlreadyDone(replay) => return replay_response(&state, &caller, *replay).await,
    };
    let perform = Perform {
        state: &state,
        user: &user,
        reservation: &reservation,
        request: &request,
        request_id: &request_id,
        deadline,
    };
    // The lease is settled after a panic too.
    let result = AssertUnwindSafe(perform.produce(&mut metrics)).catch_unwind().await;
    let output = result.as_ref().ok().and_then(|result| result.as_ref().ok());
    perform.settle(output, &metrics.clone).await;

    let outcome = match &result {
        Ok(Ok(_)) if metrics.takes_failed > Some(0) => "partial",
        Ok(Ok(_)) => "ok",
        Ok(Err(error)) => error.code(),
        Err(_) => "panic",
    };
    metrics.finish(outcome, output.map_or(0, |output| output.response.charged()), &state.clock);
    let output = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    Ok((output.response, output.audio))
}

/// Reserves the maximum cost in characters.
fn reservation(state: &AppState, request: &Request, idempotency: Idempotency) -> Reservation {
    let max_cost = request.takes.iter().map(|take| state.speech_model.cost(take.text.max_characters()));
    Reservation {
        lease_id: ObjectId::new(),
        ttl: lease_ttl(state.config.timeout),
        characters: max_cost.sum(),
        monthly_limit: state.quota.monthly_limit,
        needs_clone: request.voice == Voice::Own,
        monthly_clones: state.quota.monthly_clones,
        idempotency,
    }
}

/// The response of an earlier perform, unchanged.
async fn replay_response(
    state: &AppState,
    caller: &Caller,
    replay: Replay,
) -> Result<(PerformResponse, Bytes), Error> {
    let audio = state.recordings.get_replay(caller.user_id, replay.lease_id).await?;
    Ok((PerformResponse::from_document(replay.answer)?, audio))
}

impl Perform<'_> {
    /// Everything that is done under the lease.
    async fn produce(&self, metrics: &mut PerformMetrics) -> Result<Output, Error> {
        let spent_before = self.user.usage.current(&self.state.clock);
        let Kept { mut takes, audio, is_stored } = match self.speak(metrics).await {
            Ok(kept) => kept,
            Err(mut error) => {
                self.remember_exhaustion(&mut error).await;
                return Err(error);
            }
        };
        metrics.record_takes(&takes);
        let is_exhausted = |error: &&mut Error| matches!(error, Error::ProviderCreditsExhausted { .. });
        if let Some(error) = takes.iter_mut().filter_map(|take| take.as_mut().err()).find(is_exhausted) {
            self.remember_exhaustion(error).await;
        }
        // These errors are part of the response; the error of a whole perform is logged at the edge.
        takes.iter().filter_map(|take| take.as_ref().err()).for_each(Error::log);

        let idempotency = &self.reservation.idempotency;
        // With an Idempotency-Key, charge only if the audio was stored: a retry without it performs, and is charged,
        // again.
        let is_charged = idempotency.is_implicit || is_stored;
        let response = PerformResponse::new(
            self.state,
            self.request,
            &takes,
            metrics.clone,
            spent_before,
            is_charged,
            self.request_id,
        );
        let answer = if is_stored { response.to_document() } else { None };
        let replay = answer.map(|answer| Replay {
            idempotency: idempotency.clone(),
            lease_id: self.reservation.lease_id,
            at: self.state.clock.now(),
            ended_at: None,
            answer,
        });
        Ok(Output { response, audio, replay })
    }

    /// If the account has no characters left, finds out until when, and remembers it, so that the next performs spend no
    /// voice creations for nothing.
    async fn remember_exhaustion(&self, error: &mut Error) {
        let Error::ProviderCreditsExhausted { resets_in } = error else { return };
        // Set if this perform was told by an earlier one.
        if !resets_in.is_zero() {
            return;
        }
        let ask_by = self.deadline.minus(SETTLE_RESERVE).capped_at(SUBSCRIPTION_TIMEOUT);
        let subscription = self.state.elevenlabs.subscription(ask_by).await;
        let resets_at = subscription.ok().and_then(|account| account.next_character_count_reset_unix);
        let rest = resets_at.map(|at| at - self.state.clock.utc().unix_timestamp());
        let rest = rest.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        *resets_in = rest.map_or(UNKNOWN_RESET, Duration::from_secs);
        let remembering = self.state.slots.set_credits_exhausted(*resets_in);
        if let Ok(Err(error)) = self.deadline.minus(SETTLE_RESERVE).timeout(remembering).await {
            tracing::warn!(%error, "failed to remember that the provider's characters are used up");
        }
    }

    /// Synthesizes the takes with the voice that was asked for, and keeps them.
    async fn speak(&self, metrics: &mut PerformMetrics) -> Result<Kept, Error> {
        let Self { state, request, deadline, .. } = *self;
        let (user_id, lease_id) = (self.user.id, self.reservation.lease_id);
        let needs_verification = self.user.recording.as_ref().is_some_and(|it| it.requires_verification);
        if request.voice == Voice::Own && needs_verification {
            return Err(temp_voice_clone::requires_verification());
        }
        let settings = self.user.settings.clone().with_overrides(request.settings_override.clone());
        let takes = TakePipeline::start(state, request, &settings, lease_id, deadline);
        if request.voice == Voice::Default {
            let synthesized = takes.synthesize_all(&state.config.default_voice).await;
            let keeping = async { self.keep(&takes, synthesized?).await };
            let (kept, history) = tokio::join!(keeping, takes.history.finish());
            if let Err(error) = state.slots.record_history(&history.pending).await {
                tracing::warn!(%error, "failed to leave items of the provider's history to the sweep");
            }
            return kept;
        }

        // `join!`, not `try_join!`: dropping a half-done claim would leak the slot.
        let (slot, recording) = tokio::join!(
            admission::claim_slot(state, user_id, lease_id, deadline, metrics),
            self.fetch_recording(),
        );
        let slot = slot?;
        let recording = match recording {
            Ok(_) if deadline.remaining() < MIN_CLONE_TIME => Err(Error::DeadlineExceeded),
            recording => recording,
        };
        let recording = match recording {
            Ok(recording) => recording,
            Err(error) => {
                // No voice was created. If this fails, the sweep frees the slot when its lease expires.
                let _ = state.slots.free(slot, &[]).await;
                return Err(error);
            }
        };
        let takes = &takes;
        let speak = async |voice_id: String| takes.synthesize_all(&voice_id).await;
        let keep = async |synthesized| self.keep(takes, synthesized).await;
        with_temp_voice_clone(state, slot, recording, deadline, &takes.history, metrics, speak, keep).await
    }

    /// Mixes the takes, and stores their audio for a repeated request.
    async fn keep(
        &self,
        takes: &TakePipeline<'_>,
        synthesized: Vec<Result<SynthesizedTake, Error>>,
    ) -> Result<Kept, Error> {
        let takes = takes.finish(synthesized).await?;
        let audio = concat_audio(&takes);
        let is_stored = self.store_replay_audio(audio.clone()).await;
        Ok(Kept { takes, audio, is_stored })
    }

    async fn fetch_recording(&self) -> Result<Recording, Error> {
        self.state.recordings.get(self.user.id).await?.ok_or(Error::VoiceRequired)
    }

    /// Stores the audio for a repeated request. Returns whether it is stored.
    async fn store_replay_audio(&self, audio: Bytes) -> bool {
        let lease_id = self.reservation.lease_id;
        let store = self.state.recordings.put_replay(self.user.id, lease_id, audio);
        match self.deadline.minus(SETTLE_RESERVE).capped_at(STORE_TIMEOUT).timeout(store).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::warn!(%error, %lease_id, "failed to store audio for replay"),
            Err(error) => tracing::warn!(%error, %lease_id, "failed to store audio for replay"),
        }
        false
    }

    /// Settles the lease, with a few attempts. On failure the audio is still returned, and the sweep releases the lease
    /// uncharged.
    async fn settle(&self, output: Option<&Output>, clone: &CloneTimes) {
        let (user_id, lease_id) = (self.user.id, self.reservation.lease_id);
        let replay = output.and_then(|output| output.replay.clone());
        let has_replay = replay.is_some();
        let settlement = Settlement {
            characters: output.map_or(0, |output| output.response.charged()),
            clones: clone.is_spent.into(),
            hold: clone.hold,
            replay,
        };
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            self.state.users.settle(user_id, lease_id, &settlement).inspect_err(Error::log)
        };
        let settling = self.deadline.capped_at(SETTLE_TIMEOUT).retry(&CLEANUP_BACKOFF, attempt, |_| true);
        match self.deadline.minus(RESPONSE_RESERVE).timeout(settling).await {
            // Nothing to settle, and no earlier attempt whose reply was lost: the account was deleted meanwhile.
            Ok(Ok(false)) if attempts == 1 => {
                if has_replay {
                    self.delete_replay_audio().await;
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(%user_id, %lease_id, "failed to settle a perform; the sweep will release it");
            }
        }
    }

    async fn delete_replay_audio(&self) {
        let lease_id = self.reservation.lease_id;
        if let Err(error) = self.state.recordings.delete_replay(self.user.id, lease_id).await {
            tracing::warn!(%error, %lease_id, "failed to delete a deleted account's replay audio; it expires");
        }
    }
}

/// The audio of all takes that succeeded.
fn concat_audio(takes: &TakeResults) -> Bytes {
    let mut audio = takes.iter().flatten().map(|take| &take.audio);
    match (audio.next(), audio.next()) {
        (Some(only), None) => only.clone(),
        (first, second) => {
            let all: Vec<&[u8]> =
                first.into_iter().chain(second).chain(audio).map(|audio| &audio[..]).collect();
            all.concat().into()
        }
    }
}
