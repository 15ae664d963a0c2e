//! `MongoDB`, S3, `ElevenLabs` and `Gemini`: each a fake on loopback, unless the given environment names a real one.

use std::path::PathBuf;

use shared::env::Env;

use crate::fakes::{
    elevenlabs::{self, ElevenLabs},
    gemini::{self, Gemini},
    mongodb::MongoDb,
    mongodb_wire::MongoWire,
    s3::{self, S3},
};

/// What to start.
#[derive(Default)]
pub struct Options {
    /// Variables of the functions. `MONGODB_URI`, `S3_ENDPOINT` or `RECORDINGS_BUCKET`, `ELEVENLABS_API_KEY` and
    /// `GEMINI_API_KEY` name a real service in place of its fake; how to reach a fake is not given.
    pub given: Env,
    /// Where data is kept; a temporary folder without.
    pub storage: Option<PathBuf>,
    /// The account of the `ElevenLabs` fake.
    pub elevenlabs: elevenlabs::Config,
    /// The `Gemini` fake.
    pub gemini: gemini::Config,
}

/// The running services. They end with this value. `None` stands for a real one that was given.
pub struct Services {
    /// The database's server, if it is ours.
    pub mongodb: MongoDb,
    /// The proxy before it that counts commands.
    pub wire: Option<MongoWire>,
    /// S3.
    pub s3: Option<S3>,
    /// `ElevenLabs`.
    pub elevenlabs: Option<ElevenLabs>,
    /// `Gemini`.
    pub gemini: Option<Gemini>,
    /// Every variable that the functions read, to reach these services.
    pub env: Env,
}

impl Services {
    /// Starts what is not given. `progress` hears the name of each part before it is started.
    pub async fn start(options: Options, mut progress: impl FnMut(&str)) -> Result<Self, String> {
        let Options { given, storage, elevenlabs, gemini } = options;
        let folder = |name: &str| storage.as_ref().map(|storage| storage.join(name));
        let mut env = given.clone();

        progress("MongoDB");
        let mongodb = if let Some(uri) = given.get("MONGODB_URI") {
            MongoDb::external(uri)
        } else {
            let folder = folder("mongodb");
            tokio::task::spawn_blocking(move || MongoDb::start(folder.as_deref(), 0))
                .await
                .map_err(|_| String::from("Starting MongoDB panicked."))?
                .map_err(|error| error.to_string())?
        };
        env.extend([("MONGODB_URI", mongodb.uri())]);

        progress("S3");
        let s3 = if given.get("S3_ENDPOINT").is_some() || given.get("RECORDINGS_BUCKET").is_some() {
            None
        } else {
            let s3 = S3::start(folder("s3").as_deref(), 0)
                .await
                .map_err(|error| format!("S3 would not start: {error}."))?;
            // A shell set up for AWS has credentials, which this S3 does not know.
            env.extend([
                ("S3_ENDPOINT", s3.endpoint()),
                ("RECORDINGS_BUCKET", s3::BUCKET),
                ("AWS_REGION", s3::REGION),
                ("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY),
                ("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY),
                ("AWS_SESSION_TOKEN", ""),
            ]);
            Some(s3)
        };

        progress("ElevenLabs");
        let elevenlabs = if given.get("ELEVENLABS_API_KEY").is_some() {
            None
        } else {
            let key = elevenlabs.api_key.clone();
            let fake = ElevenLabs::start(elevenlabs)
                .await
                .map_err(|error| format!("The ElevenLabs fake would not start: {error}."))?;
            env.extend([("ELEVENLABS_API_KEY", key), ("ELEVENLABS_BASE_URL", fake.url())]);
            Some(fake)
        };

        progress("Gemini");
        let gemini = if given.get("GEMINI_API_KEY").is_some() {
            None
        } else {
            let key = gemini.api_key.clone();
            let fake = Gemini::start(gemini)
                .await
                .map_err(|error| format!("The Gemini fake would not start: {error}."))?;
            env.extend([("GEMINI_API_KEY", key), ("GEMINI_BASE_URL", fake.url())]);
            Some(fake)
        };

        Ok(Self { mongodb, wire: None, s3, elevenlabs, gemini, env })
    }

    /// Puts a counting proxy before the database.
    pub async fn count_commands(&mut self) -> Result<(), String> {
        let wire = MongoWire::start(self.mongodb.uri())
            .await
            .map_err(|error| format!("The MongoDB proxy would not start: {error}."))?;
        self.env.extend([("MONGODB_URI", wire.uri())]);
        self.wire = Some(wire);
        Ok(())
    }
}
