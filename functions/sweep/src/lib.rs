//! The scheduled sweep: finishes what a perform could not. The work itself is [`shared::sweeper`]'s.

mod measured;

use std::time::Duration;

use lambda_runtime::Context;
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

/// The function's timeout, where the platform does not tell it.
const TIMEOUT: Duration = Duration::from_mins(2);
/// What is left to the freeing of slots and users once no more voices are deleted, and to what follows.
const RESERVE: Duration = Duration::from_secs(15);

/// Asking for indexes, most of the time in vain; where there is much to index, the database goes on without us.
const INDEXES_PATIENCE: Duration = Duration::from_secs(8);
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

/// One sweep, and then every index that is missing: that is what makes a fresh deployment ready.
///
/// In this order, because the driver repeats what the sweep asks for when a connection broke, and the making of
/// indexes it does not: no sweep shall fail for that.
pub async fn sweep(state: &State, invocation: Option<&Context>) -> Result<Swept, Error> {
    let deadline = Deadline::of_invocation(invocation, &state.clock, TIMEOUT);
    let swept = state.sweeper.sweep(deadline.less(RESERVE)).await?;
    let indexed = deadline.within(INDEXES_PATIENCE).limit(mongo::ensure_indexes(&state.database)).await;
    indexed.ok_or_else(|| Error::internal("the database made no indexes in time"))??;
    // The month's remaining creations are watched here, every five minutes, and not by every perform.
    let account = state.sweeper.elevenlabs.subscription(deadline.within(ACCOUNT_PATIENCE)).await;
    if let Err(error) = &account {
        tracing::warn!(%error, "ElevenLabs does not say what is left of its account");
    }
    measured::record(&state.stage, &state.clock, &swept, account.as_ref().ok());
    Ok(swept)
}
