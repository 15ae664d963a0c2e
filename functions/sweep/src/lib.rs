//! The scheduled sweep: finishes what a perform could not. The work itself is [`shared::sweeper`]'s.

mod metrics;

use std::time::Duration;

use lambda_runtime::Context;
use mongodb::Database;
use shared::{
    clock::Clock, clone_slots::CloneSlots, deadline::Deadline, elevenlabs::ElevenLabs, env::Env,
    error::Error, http_client, mongo, sweeper::Sweeper, users::Users, voice_name::VoiceNaming,
};

pub use shared::sweeper::SweepReport;

/// The function's timeout, where the platform does not tell it.
const TIMEOUT: Duration = Duration::from_mins(2);
/// What is left to the freeing of slots and users once no more voices are deleted, and to what follows.
const RESERVE: Duration = Duration::from_secs(15);

/// Asking for indexes, most of the time in vain; where there is much to index, the database goes on without us.
const INDEXES_TIMEOUT: Duration = Duration::from_secs(8);
/// Asking for the account.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(5);

/// What this function touches.
pub struct AppState {
    database: Database,
    sweeper: Sweeper,
    stage: String,
    clock: Clock,
}

impl AppState {
    /// Reads the configuration and prepares the clients.
    pub async fn from_env(env: &Env, clock: Clock) -> Result<Self, lambda_runtime::Error> {
        let database = mongo::connect(env).await?;
        let sweeper = Sweeper {
            elevenlabs: ElevenLabs::from_env(env, http_client::client()?)?,
            slots: CloneSlots::from_env(env, &database, clock.clone())?,
            users: Users::new(&database, clock.clone()),
            names: VoiceNaming::from_env(env),
        };
        Ok(Self { database, sweeper, stage: env.stage().to_owned(), clock })
    }
}

/// One sweep, and then every index that is missing: that is what makes a fresh deployment ready.
///
/// In this order, because the driver repeats what the sweep asks for when a connection broke, and the making of
/// indexes it does not: no sweep shall fail for that.
pub async fn sweep(state: &AppState, invocation: Option<&Context>) -> Result<SweepReport, Error> {
    let deadline = Deadline::from_invocation(invocation, &state.clock, TIMEOUT);
    let swept = state.sweeper.sweep(deadline.minus(RESERVE)).await?;
    let indexed = deadline.capped_at(INDEXES_TIMEOUT).timeout(mongo::ensure_indexes(&state.database)).await;
    indexed.ok_or_else(|| Error::internal("the database made no indexes in time"))??;
    // The month's remaining creations are watched here, every five minutes, and not by every perform.
    let account = state.sweeper.elevenlabs.subscription(deadline.capped_at(ACCOUNT_TIMEOUT)).await;
    if let Err(error) = &account {
        tracing::warn!(%error, "ElevenLabs does not say what is left of its account");
    }
    metrics::record(&state.stage, &state.clock, &swept, account.as_ref().ok());
    Ok(swept)
}
