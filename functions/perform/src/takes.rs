//! The takes of a perform: written side by side, spoken a few at a time by one voice, mixed while that is deleted.
//!
//! A perform has one take or up to ten. Of several, each may fail by itself; if all do, the perform does.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use mongodb::bson::oid::ObjectId;
use shared::{
    content_filter::Speakable,
    deadline::Deadline,
    elevenlabs::{ElevenLabsError, RefusalKind, Speech, VoiceSettings},
    error::Error,
    settings::Settings,
    thought::ThoughtSource,
};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    AppState,
    ambience::{BackgroundSound, Mixing},
    request::{Request, Take, Words},
    temp_voice_clone::CLEANUP_RESERVE,
};

/// Takes that are spoken at once: the smallest plan allows three requests at a time, and another user may perform
/// (<https://help.elevenlabs.io/hc/en-us/articles/14312733311761>).
const AT_ONCE: usize = 2;
/// Pauses before a take that the provider was too busy for is asked for again. A single one is not: its audience waits,
/// and the client may ask for it anew at no cost.
const PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// What keeping the audio, settling and answering may take; an ambience that is not mixed by then is done without.
const MIX_RESERVE: Duration = Duration::from_secs(5);
/// Bytes of audio that several takes may have in all: Lambda lets 6 MB out, three quarters of them are left in base64,
/// and a quarter of a megabyte is for the texts.
const MAX_AUDIO: usize = (6 * 1024 - 256) * 1024 / 4 * 3;

/// What a perform gave: an audio or a failure for each take, and at least one audio.
pub type Performed = Vec<Result<Spoken, Error>>;

/// One take that can be heard.
pub struct Spoken {
    /// What was said.
    pub text: Speakable,
    /// Who wrote it; nobody if the caller did.
    pub thought_source: Option<ThoughtSource>,
    /// MP3, 44.1 kHz.
    pub audio: Bytes,
    /// Whether the ambience is in it.
    pub background_sound: BackgroundSound,
    /// From when to when the provider spoke it.
    pub synthesis: (Instant, Instant),
}

/// The takes of one perform and what they have in common.
pub struct Takes<'a> {
    state: &'a AppState,
    settings: &'a Settings,
    lease_id: ObjectId,
    deadline: Deadline,
    is_list: bool,
    words: Vec<Writing>,
}

/// The words of a take: a task that writes them beside everything else, and stops when it is dropped.
type Writing = JoinSet<(Speakable, Option<ThoughtSource>)>;

/// What was said, while its ambience is being mixed.
pub struct Said {
    text: Speakable,
    thought_source: Option<ThoughtSource>,
    audio: Mixing,
    synthesis: (Instant, Instant),
}

impl<'a> Takes<'a> {
    /// Begins to write what is to be said.
    pub fn begin(
        state: &'a AppState,
        request: &Request,
        settings: &'a Settings,
        lease_id: ObjectId,
        deadline: Deadline,
    ) -> Self {
        let words = request.takes.iter().map(|take| write(state, take, settings, deadline)).collect();
        Self { state, settings, lease_id, deadline, is_list: request.is_list, words }
    }

    /// Lets a voice say them, a few at a time, and begins to mix what is said. An error if nothing was: the first take's.
    pub async fn speak(&mut self, voice_id: &str) -> Result<Vec<Result<Said, Error>>, Error> {
        let turns = Semaphore::new(AT_ONCE);
        let mut words = std::mem::take(&mut self.words);
        let (this, turns) = (&*self, &turns);
        let said = join_all(words.iter_mut().zip(0..).map(async |(writing, number)| {
            let (text, thought_source) = written(writing).await?;
            let _turn = turns.acquire().await.map_err(|_| Error::internal("the turns are over"))?;
            let (audio, synthesis) = this.synthesize(voice_id, &text).await?;
            let by = this.deadline.minus(MIX_RESERVE);
            let audio = Mixing::begin(audio, this.settings, this.seed(number), by);
            Ok(Said { text, thought_source, audio, synthesis })
        }));
        let said: Vec<Result<Said, Error>> = said.await;
        some(said)
    }

    /// Waits for the mixing, and refuses what no longer fits into the answer.
    pub async fn finish(&self, said: Vec<Result<Said, Error>>) -> Result<Performed, Error> {
        let by = self.deadline.minus(MIX_RESERVE);
        let (mut performed, mut bytes) = (Vec::new(), 0);
        for said in said {
            performed.push(match said {
                Ok(Said { text, thought_source, audio, synthesis }) => {
                    let (audio, background_sound) = audio.finish(by).await;
                    if self.is_list && bytes + audio.len() > MAX_AUDIO {
                        Err(Error::AnswerTooLarge)
                    } else {
                        bytes += audio.len();
                        Ok(Spoken { text, thought_source, audio, background_sound, synthesis })
                    }
                }
                Err(error) => Err(error),
            });
        }
        some(performed)
    }

    /// No two performs sound alike, nor two takes.
    fn seed(&self, number: u64) -> u64 {
        let lease = self.lease_id.bytes();
        lease.iter().fold(number, |seed, byte| seed.rotate_left(5).wrapping_mul(31) ^ u64::from(*byte))
    }

    /// The audio of a text, and from when to when it was spoken.
    async fn synthesize(
        &self,
        voice_id: &str,
        text: &Speakable,
    ) -> Result<(Bytes, (Instant, Instant)), Error> {
        let model = &self.state.quota.model;
        let settings = self.settings;
        let speech = Speech {
            text,
            model_id: &model.id,
            language_code: model.supports_language_code().then(|| settings.voice_language.code()),
            voice_settings: VoiceSettings {
                stability: settings.voice_stability.fraction(),
                similarity_boost: settings.voice_similarity.fraction(),
            },
        };
        let by = self.deadline.minus(CLEANUP_RESERVE);
        let began = Instant::now();
        let mut pauses = PAUSES.into_iter().take(if self.is_list { PAUSES.len() } else { 0 });
        let error = loop {
            match self.state.clones.sweeper.elevenlabs.synthesize(voice_id, &speech, by).await {
                Ok(audio) => return Ok((audio, (began, Instant::now()))),
                Err(error) if error.refusal() == Some(RefusalKind::RateLimited) => match pauses.next() {
                    Some(pause) if pause < by.remaining() => tokio::time::sleep(pause).await,
                    _ => break error,
                },
                Err(error) => break error,
            }
        };
        Err(match error {
            ElevenLabsError::TimedOut => Error::DeadlineExceeded,
            // Not sent because the time was up, or no connection.
            ElevenLabsError::Unreachable if by.is_expired() => Error::DeadlineExceeded,
            error if error.refusal().is_none_or(|kind| kind == RefusalKind::RateLimited) => {
                Error::ProviderUnavailable(error)
            }
            error => Error::SynthesisFailed(error),
        })
    }
}

fn write(state: &AppState, take: &Take, settings: &Settings, deadline: Deadline) -> Writing {
    let mut writing = JoinSet::new();
    match &take.words {
        Words::Text(text) => {
            let text = text.clone();
            writing.spawn(async move { (text, None) });
        }
        Words::ThoughtAbout(routine, value) => {
            let (thoughts, routine, value) = (state.thoughts.clone(), *routine, value.clone());
            let language = settings.voice_language.clone();
            writing.spawn(async move {
                let thought = thoughts.write(routine.into(), &value, &language, deadline).await;
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

/// The takes, if there is one that did not fail; otherwise the first one's error.
fn some<T>(takes: Vec<Result<T, Error>>) -> Result<Vec<Result<T, Error>>, Error> {
    if takes.iter().any(Result::is_ok) {
        return Ok(takes);
    }
    let first = takes.into_iter().find_map(Result::err);
    Err(first.unwrap_or_else(|| Error::internal("a perform without takes")))
}
