//! What this function uses ([`AppState`]), and how this deployment performs ([`Config`]).

use std::time::Duration;

use axum::extract::FromRef;
use shared::{
    clock::Clock,
    clone_slots::CloneSlots,
    elevenlabs::ElevenLabs,
    env::{Env, EnvError},
    gemini::Gemini,
    http_client, mongo,
    object_store::ObjectStore,
    quota::Quota,
    session::TokenVerifier,
    speech_model::SpeechModel,
    sweeper::Sweeper,
    thought::Thoughts,
    users::Users,
    voice_name::VoiceNaming,
};

use crate::budget::{DEFAULT_TIMEOUT, MIN_TIMEOUT};

#[derive(Clone, FromRef)]
pub struct AppState {
    pub(crate) users: Users,
    pub(crate) slots: CloneSlots,
    pub(crate) voice_names: VoiceNaming,
    pub(crate) elevenlabs: ElevenLabs,
    /// Deletes a clone that blocks a perform.
    pub(crate) sweeper: Sweeper,
    /// Users' voices, and the audio of performs that can be replayed.
    pub(crate) recordings: ObjectStore,
    pub(crate) thoughts: Thoughts,
    pub(crate) quota: Quota,
    pub(crate) speech_model: SpeechModel,
    pub(crate) clock: Clock,
    pub(crate) verifier: TokenVerifier,
    pub(crate) config: Config,
}

#[derive(Clone)]
pub(crate) struct Config {
    /// The function's own timeout (`PERFORM_TIMEOUT_SECONDS`, default 60).
    pub timeout: Duration,
    /// The deployment stage, for the metrics.
    pub stage: String,
    /// The stock voice of `voice: "default"` (`ELEVENLABS_DEFAULT_VOICE_ID`).
    pub default_voice: String,
}

/// "George", the voice of the provider's own introduction (<https://elevenlabs.io/docs/overview/intro>).
const DEFAULT_VOICE: &str = "JBFqnCBsd6RMkjVDRZzb";

impl AppState {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        let http = http_client::client()?;
        let users = Users::new(&database, clock.clone());
        let slots = CloneSlots::from_env(env, &database, clock.clone())?;
        let voice_names = VoiceNaming::from_env(env);
        let elevenlabs = ElevenLabs::from_env(env, http.clone())?;
        Ok(Self {
            sweeper: Sweeper {
                elevenlabs: elevenlabs.clone(),
                slots: slots.clone(),
                users: users.clone(),
                names: voice_names.clone(),
            },
            users,
            slots,
            voice_names,
            elevenlabs,
            recordings: ObjectStore::from_env(env, http.clone())?,
            thoughts: Thoughts::new(Gemini::from_env(env, http)?),
            quota: Quota::from_env(env)?,
            speech_model: SpeechModel::from_env(env),
            verifier: TokenVerifier::from_env(env, clock.clone())?,
            config: Config::from_env(env)?,
            clock,
        })
    }
}

impl Config {
    fn from_env(env: &Env) -> Result<Self, EnvError> {
        let seconds = env.parse_or("PERFORM_TIMEOUT_SECONDS", DEFAULT_TIMEOUT.as_secs())?;
        let timeout = Duration::from_secs(seconds);
        if timeout < MIN_TIMEOUT {
            return Err(EnvError::Malformed {
                name: "PERFORM_TIMEOUT_SECONDS",
                expected: "long enough to create, use and delete a voice: at least 20",
            });
        }
        let default_voice = env.get("ELEVENLABS_DEFAULT_VOICE_ID").unwrap_or(DEFAULT_VOICE).to_owned();
        Ok(Self { timeout, stage: env.stage().to_owned(), default_voice })
    }
}
