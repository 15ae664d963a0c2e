//! The takes of a perform. Thoughts are generated concurrently, takes are synthesized two at a time with one voice, and
//! the ambience is mixed while the clone is deleted.
//!
//! A perform has 1 to 10 takes. Of several, each may fail on its own; if all fail, the perform fails.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::join_all;
use mongodb::bson::oid::ObjectId;
use shared::{
    content_filter::Speakable,
    deadline::Deadline,
    elevenlabs::{ElevenLabsError, RefusalKind, Speech, SpeechStream, VoiceSettings},
    error::Error,
    settings::Settings,
    thought::ThoughtSource,
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    ambience::{BackgroundSound, MixTask},
    budget::{CLEANUP_RESERVE, DB_WRITE_RESERVE, MIX_RESERVE, SYNTHESIS_BACKOFF, SYNTHESIS_RETRY_TIME},
    history::History,
    mp3_check::{Mp3Check, Mp3Flaw},
    request::{Request, Take, TakeText, Voice},
    state::AppState,
};

/// The smallest plan allows three concurrent requests, and another user may perform
/// (<https://help.elevenlabs.io/hc/en-us/articles/14312733311761>).
const MAX_CONCURRENT_SYNTHESES: usize = 2;
/// Bytes of audio of all takes of a list: Lambda's response limit is 6 MB, three quarters of that remain after base64,
/// and a quarter of a megabyte is for the texts.
const MAX_AUDIO: usize = (6 * 1024 - 256) * 1024 / 4 * 3;

/// One result per requested take, in their order; at least one is a success.
pub type TakeResults = Vec<Result<FinishedTake, Error>>;

pub struct FinishedTake {
    pub text: Speakable,
    /// `None` if the caller wrote the text.
    pub thought_source: Option<ThoughtSource>,
    /// MP3, 44.1 kHz.
    pub audio: Bytes,
    pub background_sound: BackgroundSound,
    /// Start and end of the provider's synthesis.
    pub synthesis: (Instant, Instant),
}

/// A take whose ambience is still being mixed.
pub struct SynthesizedTake {
    text: Speakable,
    thought_source: Option<ThoughtSource>,
    audio: MixTask,
    synthesis: (Instant, Instant),
}

/// The takes of one perform.
pub struct TakePipeline<'a> {
    state: &'a AppState,
    settings: &'a Settings,
    lease_id: ObjectId,
    deadline: Deadline,
    is_list: bool,
    /// Whether the voice is new, so that the provider may not know it everywhere yet.
    is_clone: bool,
    /// Taken when they are synthesized.
    thoughts: Mutex<Vec<ThoughtTask>>,
    pub history: History,
}

/// Generates the text of a take; stops when it is dropped.
type ThoughtTask = JoinSet<(Speakable, Option<ThoughtSource>)>;

impl<'a> TakePipeline<'a> {
    /// Starts to generate the thoughts.
    pub fn start(
        state: &'a AppState,
        request: &Request,
        settings: &'a Settings,
        lease_id: ObjectId,
        deadline: Deadline,
    ) -> Self {
        let thoughts =
            request.takes.iter().map(|take| spawn_thought(state, take, settings, deadline)).collect();
        let delete_history_by = deadline.minus(DB_WRITE_RESERVE);
        Self {
            state,
            settings,
            lease_id,
            deadline,
            is_list: request.is_list,
            is_clone: request.voice == Voice::Own,
            thoughts: Mutex::new(thoughts),
            history: History::new(state.elevenlabs.clone(), delete_history_by),
        }
    }

    /// Synthesizes the takes, and starts to mix each. Fails with the first take's error if all fail.
    pub async fn synthesize_all(&self, voice_id: &str) -> Result<Vec<Result<SynthesizedTake, Error>>, Error> {
        let permits = Semaphore::new(MAX_CONCURRENT_SYNTHESES);
        let mut thoughts = std::mem::take(&mut *self.thoughts.lock().unwrap_or_else(PoisonError::into_inner));
        let permits = &permits;
        let takes = join_all(thoughts.iter_mut().zip(0..).map(async |(thought, number)| {
            let (text, thought_source) = await_thought(thought).await?;
            let _permit =
                permits.acquire().await.map_err(|_| Error::internal("synthesis semaphore closed"))?;
            let (audio, synthesis) = self.synthesize(voice_id, &text).await?;
            let mix_by = self.deadline.minus(MIX_RESERVE);
            let audio = MixTask::spawn(audio, self.settings, self.seed(number), mix_by);
            Ok(SynthesizedTake { text, thought_source, audio, synthesis })
        }));
        let takes: Vec<Result<SynthesizedTake, Error>> = takes.await;
        require_one_success(takes)
    }

    /// Waits for the mixing. Of a list, takes that do not fit in the response fail.
    pub async fn finish(&self, takes: Vec<Result<SynthesizedTake, Error>>) -> Result<TakeResults, Error> {
        let mix_by = self.deadline.minus(MIX_RESERVE);
        let (mut finished, mut bytes) = (Vec::new(), 0);
        for take in takes {
            finished.push(match take {
                Ok(SynthesizedTake { text, thought_source, audio, synthesis }) => {
                    let (audio, background_sound) = audio.join(mix_by).await;
                    if self.is_list && bytes + audio.len() > MAX_AUDIO {
                        Err(Error::AnswerTooLarge)
                    } else {
                        bytes += audio.len();
                        Ok(FinishedTake { text, thought_source, audio, background_sound, synthesis })
                    }
                }
                Err(error) => Err(error),
            });
        }
        require_one_success(finished)
    }

    /// Seed per take, derived from the lease id.
    fn seed(&self, number: u64) -> u64 {
        let lease = self.lease_id.bytes();
        lease.iter().fold(number, |seed, byte| seed.rotate_left(5).wrapping_mul(31) ^ u64::from(*byte))
    }

    /// The audio of a text, and the start and end of its synthesis.
    async fn synthesize(
        &self,
        voice_id: &str,
        text: &Speakable,
    ) -> Result<(Bytes, (Instant, Instant)), Error> {
        let (model, settings) = (&self.state.speech_model, self.settings);
        let speech = Speech {
            text,
            model_id: &model.id,
            language_code: model.supports_language_code().then(|| settings.voice_language.code()),
            voice_settings: VoiceSettings {
                stability: settings.voice_stability.fraction(),
                similarity_boost: settings.voice_similarity.fraction(),
            },
        };
        let started = Instant::now();
        let audio = self.synthesize_with_retries(voice_id, &speech).await.map_err(map_synthesis_error)?;
        Ok((audio, (started, Instant::now())))
    }

    /// The voice has been created and paid for, so a trouble that passes is waited for. Audio that is not usable is
    /// replaced once.
    async fn synthesize_with_retries(
        &self,
        voice_id: &str,
        speech: &Speech<'_>,
    ) -> Result<Bytes, ElevenLabsError> {
        let synthesize_by = self.deadline.minus(CLEANUP_RESERVE);
        let retry_by = synthesize_by.capped_at(SYNTHESIS_RETRY_TIME);
        let [.., longest] = SYNTHESIS_BACKOFF;
        let mut delays = SYNTHESIS_BACKOFF.into_iter().chain(std::iter::repeat(longest));
        let mut had_bad_audio = false;
        loop {
            let error = match self.synthesize_once(voice_id, speech, synthesize_by).await {
                Err(error) if self.passes(&error) => error,
                Err(error @ ElevenLabsError::BadAudio(_)) if !had_bad_audio => {
                    had_bad_audio = true;
                    error
                }
                result => return result,
            };
            tracing::info!(%error, lease_id = %self.lease_id, "a synthesis failed and is tried again");
            match delays.next() {
                Some(delay) if delay < retry_by.remaining() => tokio::time::sleep(delay).await,
                _ => return Err(error),
            }
        }
    }

    async fn synthesize_once(
        &self,
        voice_id: &str,
        speech: &Speech<'_>,
        deadline: Deadline,
    ) -> Result<Bytes, ElevenLabsError> {
        let mut stream = self.state.elevenlabs.synthesize(voice_id, speech, deadline).await?;
        let history_item_id = stream.history_item_id.take();
        let audio = receive(&mut stream, speech.text).await;
        if let Some(id) = history_item_id {
            self.history.delete(id);
        }
        audio
    }

    /// Whether a synthesis may succeed a moment later.
    fn passes(&self, error: &ElevenLabsError) -> bool {
        match error {
            ElevenLabsError::Refused(refusal) => match refusal.kind {
                RefusalKind::RateLimited => true,
                RefusalKind::VoiceNotFound => self.is_clone,
                _ => false,
            },
            ElevenLabsError::Ambiguous(_) | ElevenLabsError::Interrupted | ElevenLabsError::Unreachable => {
                true
            }
            ElevenLabsError::BadAudio(_) | ElevenLabsError::OutOfTime | ElevenLabsError::TimedOut => false,
        }
    }
}

/// Receives audio and judges it meanwhile.
async fn receive(stream: &mut SpeechStream, text: &Speakable) -> Result<Bytes, ElevenLabsError> {
    let bad_audio = |flaw: Mp3Flaw| ElevenLabsError::BadAudio(flaw.to_string());
    let (mut check, mut audio) = (Mp3Check::default(), Vec::new());
    while let Some(bytes) = stream.chunk().await? {
        check.push(&bytes).map_err(bad_audio)?;
        audio.extend_from_slice(&bytes);
    }
    check.finish(text.as_str()).map_err(bad_audio)?;
    Ok(audio.into())
}

fn map_synthesis_error(error: ElevenLabsError) -> Error {
    match error {
        ElevenLabsError::OutOfTime | ElevenLabsError::TimedOut => Error::DeadlineExceeded,
        error @ ElevenLabsError::BadAudio(_) => Error::SynthesisFailed(error),
        error if error.refusal() == Some(RefusalKind::CreditsExhausted) => {
            tracing::warn!(%error, "the provider's account has no characters left");
            // Filled in when the perform has ended.
            Error::ProviderCreditsExhausted { resets_in: Duration::ZERO }
        }
        error if error.refusal().is_none_or(|kind| kind == RefusalKind::RateLimited) => {
            Error::ProviderUnavailable(error)
        }
        error => Error::SynthesisFailed(error),
    }
}

fn spawn_thought(state: &AppState, take: &Take, settings: &Settings, deadline: Deadline) -> ThoughtTask {
    let mut task = JoinSet::new();
    match &take.text {
        TakeText::Text(text) => {
            let text = text.clone();
            task.spawn(async move { (text, None) });
        }
        TakeText::ThoughtAbout(routine, value) => {
            let (thoughts, routine, value) = (state.thoughts.clone(), *routine, value.clone());
            let language = settings.voice_language.clone();
            task.spawn(async move {
                let thought = thoughts.write(routine.into(), &value, &language, deadline).await;
                (thought.text, Some(thought.source))
            });
        }
    }
    task
}

async fn await_thought(task: &mut ThoughtTask) -> Result<(Speakable, Option<ThoughtSource>), Error> {
    match task.join_next().await {
        Some(Ok(thought)) => Ok(thought),
        _ => Err(Error::internal("thought task panicked")),
    }
}

/// The takes, if at least one succeeded; otherwise the first one's error.
fn require_one_success<T>(takes: Vec<Result<T, Error>>) -> Result<Vec<Result<T, Error>>, Error> {
    if takes.iter().any(Result::is_ok) {
        return Ok(takes);
    }
    let first = takes.into_iter().find_map(Result::err);
    Err(first.unwrap_or_else(|| Error::internal("request has no takes")))
}
