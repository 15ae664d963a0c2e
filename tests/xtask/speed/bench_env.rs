//! The environment of the benchmark: the fakes, a performer with a recording, and the real programs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::Value;
use shared::{clock::Clock, env::Env};
use tests::{
    fakes::{
        elevenlabs::{self, ElevenLabs},
        faults::Operation,
        gemini::Gemini,
        requests::Span,
        s3::S3,
    },
    harness::{
        Backend, LambdaBinaries, Options, Services, SigningKey, TestClient, User, WEBM,
        lambda_runtime_api::{self, Function},
        registration, routine,
    },
};

/// The performer's name.
pub const USERNAME: &str = "speed";
/// A second of speech at 128 kbit/s, in base64.
const MIN_AUDIO: usize = 16_000 * 4 / 3;

/// How long S3 and the providers take.
pub struct Delays {
    s3: Duration,
    generate: Duration,
    voices: elevenlabs::Delays,
}

impl Delays {
    /// Realistic delays.
    pub const USUAL: Self = Self {
        s3: Duration::from_millis(30),
        generate: Duration::from_millis(800),
        voices: elevenlabs::Delays {
            create: Duration::from_secs(3),
            first_byte: Duration::from_millis(300),
            delete: Duration::from_millis(150),
            list: Duration::ZERO,
        },
    };
    /// None: as fast as the fakes are.
    pub const NONE: Self = Self {
        s3: Duration::ZERO,
        generate: Duration::ZERO,
        voices: elevenlabs::Delays {
            create: Duration::ZERO,
            first_byte: Duration::ZERO,
            delete: Duration::ZERO,
            list: Duration::ZERO,
        },
    };
}

pub struct BenchEnv {
    services: Services,
    backend: Backend,
    performer: User,
}

impl BenchEnv {
    /// Starts the fakes, and registers a performer and uploads a recording through the real programs.
    pub async fn start(binaries: &LambdaBinaries) -> Result<Self, String> {
        let key = SigningKey::generate();
        let given = Env::from_iter([
            ("STAGE", "speed"),
            ("LOG_LEVEL", "info"),
            ("JWT_SIGNING_KEY", &key.private),
            ("JWT_PUBLIC_KEYS", &key.public_set),
            // More performs than a real account allows.
            ("ACCESS_TOKEN_SECONDS", "86400"),
            ("MONTHLY_CHAR_LIMIT", "1000000000"),
            ("MONTHLY_CLONE_LIMIT", "1000000000"),
        ]);
        let elevenlabs = elevenlabs::Config {
            max_voice_add_edits: None,
            character_limit: 1_000_000_000,
            ..elevenlabs::Config::default()
        };
        let options = Options { given, elevenlabs, ..Options::default() };
        let services = Services::start(options, |_| {}).await?;
        let backend = Backend::start(&services.env, &Clock::system()).await?;

        let code =
            backend.activation_code().await.map_err(|error| format!("No activation code: {error}."))?;
        let auth = function(&services, binaries, "auth").await?;
        let request = TestClient::function(&auth).register(USERNAME, code.as_str());
        let performer = User::signed_in(&request.send_successfully().await?, code.as_str().to_owned());
        let users = function(&services, binaries, "users").await?;
        TestClient::function(&users).upload(&performer, "audio/webm", WEBM).send_successfully().await?;
        Ok(Self { services, backend, performer })
    }

    /// Starts a function's program.
    pub async fn function(&self, binaries: &LambdaBinaries, name: &str) -> Result<Arc<Function>, String> {
        function(&self.services, binaries, name).await
    }

    /// The body of a registration, with a fresh activation code.
    pub async fn registration(&self, username: &str) -> Result<Value, String> {
        let code =
            self.backend.activation_code().await.map_err(|error| format!("No activation code: {error}."))?;
        Ok(registration(username, code.as_str()))
    }

    /// Sends a request as the performer, without a body for null, and returns the response's JSON.
    pub async fn call(
        &self,
        function: &Arc<Function>,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let request = TestClient::function(function).request(method, path).user(&self.performer);
        Ok(request.optional_json(body).send_successfully().await?.json())
    }

    /// A perform with a thought and a cloned voice. Returns the time to its response.
    pub async fn perform(&self, function: &Arc<Function>) -> Result<Duration, String> {
        let started = Instant::now();
        let body = routine("Queen of Hearts");
        let response = self.call(function, Method::POST, "/perform", &body).await?;
        let time = started.elapsed();
        // A fast response counts only if it is correct.
        if response["voiceSource"] != "ephemeral_clone" || response["thoughtSource"] != "gemini" {
            return Err(format!("A perform did not go as it should: {response}"));
        }
        let audio = response["audio_base64"].as_str().unwrap_or_default();
        if audio.len() < MIN_AUDIO {
            return Err(format!("A perform gave {} characters of audio.", audio.len()));
        }
        Ok(time)
    }

    /// Sets the delays of the fakes and clears their logs.
    pub fn reset(&self, delays: &Delays) -> Result<(), String> {
        let s3 = self.s3()?;
        s3.reset();
        s3.set_delay(delays.s3);
        let elevenlabs = self.elevenlabs()?;
        elevenlabs.requests().clear();
        elevenlabs.set_delays(delays.voices);
        let gemini = self.gemini()?;
        gemini.requests().clear();
        gemini.set_generate_delay(delays.generate);
        Ok(())
    }

    /// When S3 served the one recording that was fetched since [`reset`](Self::reset).
    pub fn fetch(&self) -> Result<(Instant, Instant), String> {
        let requests = self.s3()?.requests();
        match requests.as_slice() {
            [request] if request.method == Method::GET => {
                Ok((request.started, request.ended.ok_or("S3 has not responded.")?))
            }
            _ => Err(format!("A perform should send one request to S3: {requests:?}")),
        }
    }

    /// When a provider served the one request of its kind since [`reset`](Self::reset).
    pub async fn span(&self, operation: Operation) -> Result<(Instant, Instant), String> {
        let requests = if operation == Operation::Generate {
            self.gemini()?.requests()
        } else {
            self.elevenlabs()?.requests()
        };
        requests.finished().await;
        let spans: Vec<Span> =
            requests.spans().into_iter().filter(|span| span.operation == operation).collect();
        match spans.as_slice() {
            [span] => Ok((span.started, span.ended)),
            _ => Err(format!("A perform should send one {operation:?}: {spans:?}")),
        }
    }

    /// Puts a proxy that counts commands before the database, for the programs started from now on.
    pub async fn count_commands(&mut self) -> Result<(), String> {
        self.services.count_commands().await
    }

    /// The commands to the database since the last call, in order.
    pub fn commands(&self) -> Result<Vec<tests::fakes::mongodb_wire::Command>, String> {
        let wire = self.services.wire.as_ref().ok_or("Commands are not counted.")?;
        let commands = wire.commands();
        wire.reset();
        Ok(commands)
    }

    fn s3(&self) -> Result<&S3, String> {
        self.services.s3.as_ref().ok_or_else(|| String::from("The S3 fake does not run."))
    }

    fn elevenlabs(&self) -> Result<&ElevenLabs, String> {
        self.services.elevenlabs.as_ref().ok_or_else(|| String::from("The ElevenLabs fake does not run."))
    }

    fn gemini(&self) -> Result<&Gemini, String> {
        self.services.gemini.as_ref().ok_or_else(|| String::from("The Gemini fake does not run."))
    }
}

async fn function(
    services: &Services,
    binaries: &LambdaBinaries,
    name: &str,
) -> Result<Arc<Function>, String> {
    let options = lambda_runtime_api::Options {
        name: name.to_owned(),
        timeout: Duration::from_mins(1),
        ..lambda_runtime_api::Options::default()
    };
    let function = Function::spawn(binaries.path(name)?, services.env.clone(), options).await;
    Ok(Arc::new(function.map_err(|failure| format!("{name}: {failure}"))?))
}
