//! The scheduled sweep: finishes what a perform could not. The work itself is [`shared::sweeper`]'s.

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

/// What this function touches.
pub struct State {
    database: Database,
    sweeper: Sweeper,
}

impl State {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_runtime::Error> {
        let database = mongo::connect(env).await?;
        let sweeper = Sweeper {
            elevenlabs: ElevenLabs::from_env(env, outgoing::client()?)?,
            slots: CloneSlots::from_env(env, &database, clock.clone())?,
            users: Users::new(&database, clock),
            names: VoiceNames::from_env(env),
        };
        Ok(Self { database, sweeper })
    }
}

/// One sweep, and every index that is missing: that is what makes a fresh deployment ready.
pub async fn sweep(state: &State) -> Result<Swept, Error> {
    mongo::ensure_indexes(&state.database).await?;
    state.sweeper.sweep(Deadline::after(PATIENCE)).await
}
