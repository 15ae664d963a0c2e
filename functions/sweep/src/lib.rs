//! The scheduled sweep: finishes what a perform could not. The work itself is [`shared::sweeper`]'s.

mod measured;

use std::time::Duration;

use mongodb::Database;
use shared::{
    clock::Clock,
    clone_slots::{CloneSlots, VoiceNames},
    deadline::Deadline,
    elevenlabs::ElevenLabs,
    env::Env,
    error::Error,
    mongo, outgoing,
    sweeper::Sweeper,
    users::Users,
};

pub use shared::sweeper::Swept;

/// Less than the function's timeout of 120 s.
const PATIENCE: Duration = Duration::from_secs(100);

/// Asking for the account.
const ACCOUNT_PATIENCE: Duration = Duration::from_secs(5);

/// What this function touches.
pub struct State {
    database: Database,
    sweeper: Sweeper,
    stage: String,
    clock: Clock,
}

impl State {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_runtime::Error> {
        let database = mongo::connect(env).await?;
        let sweeper = Sweeper {
            elevenlabs: ElevenLabs::from_env(env, outgoing::client()?)?,
            slots: CloneSlots::from_env(env, &database, clock.clone())?,
            users: Users::new(&database, clock.clone()),
            names: VoiceNames::from_env(env),
        };
        Ok(Self { database, sweeper, stage: env.stage().to_owned(), clock })
    }
}

/// One sweep, and every index that is missing: that is what makes a fresh deployment ready.
pub async fn sweep(state: &State) -> Result<Swept, Error> {
    mongo::ensure_indexes(&state.database).await?;
    let swept = state.sweeper.sweep(Deadline::after(PATIENCE)).await?;
    // The month's remaining creations are watched here, every five minutes, and not by every perform.
    let account = state.sweeper.elevenlabs.subscription(Deadline::after(ACCOUNT_PATIENCE)).await;
    if let Err(error) = &account {
        tracing::warn!(%error, "ElevenLabs does not say what is left of its account");
    }
    measured::record(&state.stage, &state.clock, &swept, account.as_ref().ok());
    Ok(swept)
}
