//! What the sweep uses.

use mongodb::Database;
use shared::{
    clock::Clock, clone_slots::CloneSlots, elevenlabs::ElevenLabs, env::Env, http_client,
    migration::MigrationCheck, mongo, sweeper::Sweeper, users::Users, voice_name::VoiceNaming,
};

pub struct AppState {
    pub(crate) database: Database,
    pub(crate) sweeper: Sweeper,
    pub(crate) migration: MigrationCheck,
    /// The deployment stage, for the metrics.
    pub(crate) stage: String,
    pub(crate) clock: Clock,
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
        let migration = MigrationCheck::new(&database);
        Ok(Self { database, sweeper, migration, stage: env.stage().to_owned(), clock })
    }
}
