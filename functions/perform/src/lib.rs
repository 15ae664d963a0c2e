//! The show: a thought, spoken in the performer's own voice.
//!
//! - `request`: what a perform is asked for;
//! - `perform`: the handler, and the order of a perform;
//! - `takes`: what is said, take by take;
//! - `ambience`: the fan under the voice;
//! - `temp_voice_clone`: the lifecycle of the clone, the heart of it all;
//! - `lease`: the user's lease and the slot, both waited for within bounds;
//! - `idempotency`: repeated requests;
//! - `audit`: the log line and the metrics that a perform leaves;
//! - `facts`: what is said of a perform beside its audio;
//! - `described`: the answer in one piece, for the API's description;
//! - `answer`: the audio as JSON or as MP3.

mod admission;
pub mod ambience;
mod answer;
mod described;
mod facts;
mod idempotency;
mod metrics;
mod perform;
mod request;
mod takes;
mod temp_voice_clone;

use std::time::Duration;

use axum::{Router, extract::FromRef, routing::post};
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
    sweeper::Sweeper,
    thought::Thoughts,
    users::Users,
    voice_name::VoiceNaming,
};
use utoipa::OpenApi;

use temp_voice_clone::Clones;

/// What this function touches.
#[derive(Clone, FromRef)]
pub struct AppState {
    clones: Clones,
    recordings: ObjectStore,
    thoughts: Thoughts,
    quota: Quota,
    verifier: TokenVerifier,
    settings: Settings,
}

/// How this deployment performs.
#[derive(Clone)]
struct Settings {
    /// The function's own timeout (`PERFORM_TIMEOUT_SECONDS`, default 60).
    timeout: Duration,
    /// The deployment stage, for the metrics.
    stage: String,
    /// The stock voice of `voice: "default"` (`ELEVENLABS_DEFAULT_VOICE_ID`).
    default_voice: String,
}

/// "George", the voice of the provider's own introduction (<https://elevenlabs.io/docs/overview/intro>).
const DEFAULT_VOICE: &str = "JBFqnCBsd6RMkjVDRZzb";

/// A clone's least time, and a little for what comes before it.
const MIN_TIMEOUT: Duration = Duration::from_secs(20);

impl AppState {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_http::Error> {
        let database = mongo::connect(env).await?;
        let http = http_client::client()?;
        let sweeper = Sweeper {
            elevenlabs: ElevenLabs::from_env(env, http.clone())?,
            slots: CloneSlots::from_env(env, &database, clock.clone())?,
            users: Users::new(&database, clock.clone()),
            names: VoiceNaming::from_env(env),
        };
        Ok(Self {
            clones: Clones { sweeper, clock: clock.clone() },
            recordings: ObjectStore::from_env(env, http.clone())?,
            thoughts: Thoughts::new(Gemini::from_env(env, http)?),
            quota: Quota::from_env(env)?,
            verifier: TokenVerifier::from_env(env, clock)?,
            settings: Settings::from_env(env)?,
        })
    }
}

impl Settings {
    fn from_env(env: &Env) -> Result<Self, EnvError> {
        let timeout = Duration::from_secs(env.parse_or("PERFORM_TIMEOUT_SECONDS", 60)?);
        if timeout < MIN_TIMEOUT {
            return Err(EnvError::Malformed {
                name: "PERFORM_TIMEOUT_SECONDS",
                expected: "long enough to make, hear and delete a voice: at least 20",
            });
        }
        let default_voice = env.get("ELEVENLABS_DEFAULT_VOICE_ID").unwrap_or(DEFAULT_VOICE).to_owned();
        Ok(Self { timeout, stage: env.stage().to_owned(), default_voice })
    }
}

/// The routes.
pub fn router(state: AppState) -> Router {
    Router::new().route("/perform", post(perform::perform)).with_state(state)
}

/// The description of the routes.
#[derive(OpenApi)]
#[openapi(paths(perform::perform))]
pub struct Api;
