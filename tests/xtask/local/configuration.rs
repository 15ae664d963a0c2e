//! The configuration of `cargo local`: the environment, the file `.env`, and the data folder.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use shared::env::Env;
use tests::harness::{Options, Services, SigningKey};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, fmt};

/// The folder of the workspace's `Cargo.toml`.
pub fn workspace(env: &Env) -> PathBuf {
    // Cargo tells programs that it runs where their package is: `tests`.
    let package = env.get("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("tests"), PathBuf::from);
    package.parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// Where the data of `cargo local` is stored; git ignores it.
pub fn data_folder(env: &Env) -> PathBuf {
    workspace(env).join(".local")
}

/// The environment in which functions reach the services; exists while `cargo local services` runs.
pub fn lambda_env(env: &Env) -> PathBuf {
    data_folder(env).join("lambda.env")
}

/// Half a minute of speech: the default recording.
pub fn sample_recording(env: &Env) -> PathBuf {
    workspace(env).join("tests/fixtures/recordings/speech-34s.webm")
}

pub fn recording(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("The recording {} cannot be read: {error}.", file.display()))
}

/// The process's environment, with the workspace's file `.env` for what is not set.
pub fn load_env() -> Result<Env, String> {
    let process = Env::from_process();
    let mut env = Env::default();
    match dotenvy::from_path_iter(workspace(&process).join(".env")) {
        Ok(lines) => {
            let mut above = String::from("at its beginning");
            for line in lines {
                // The line itself may hold a secret.
                let (name, value) = line.map_err(|error| match error {
                    dotenvy::Error::Io(error) => format!("The file .env cannot be read: {error}."),
                    _ => format!("The file .env has a line that is not NAME=value, {above}."),
                })?;
                above = format!("after the one of {name}");
                env.extend([(name, value)]);
            }
        }
        Err(error) if error.not_found() => {}
        Err(_) => return Err(String::from("The file .env cannot be read.")),
    }
    env.extend(process);
    // An empty variable counts as not set, and must not hide a default.
    Ok(env.into_iter().filter(|(_, value)| !value.is_empty()).collect())
}

/// Human-readable logs on standard error.
pub fn init_logs(env: &Env, default: &str) {
    let filter = EnvFilter::new(env.get("LOG_LEVEL").unwrap_or(default));
    let logs = fmt().compact().with_target(false).with_env_filter(filter);
    let _ = logs.with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).try_init();
    shared::telemetry::hide_panic_messages();
}

/// Starts the services, and prints for each how long it took.
pub async fn start(env: Env, storage: Option<PathBuf>, key: &SigningKey) -> Result<Services, String> {
    let real = |name: &'static str| env.get(name).is_some();
    let is_real = [
        ("MongoDB", real("MONGODB_URI")),
        ("S3", real("S3_ENDPOINT") || real("RECORDINGS_BUCKET")),
        ("ElevenLabs", real("ELEVENLABS_API_KEY")),
        ("Gemini", real("GEMINI_API_KEY")),
    ];
    let mut defaults = Env::from_iter([("STAGE", "local"), ("JWT_SIGNING_KEY", &key.private)]);
    defaults.extend([("JWT_PUBLIC_KEYS", key.public_set.as_str())]);
    defaults.extend(env);

    let mut running: Option<(String, Instant)> = None;
    let mut report = |next: Option<&str>| {
        if let Some((name, since)) = running.take() {
            let kind = match is_real.iter().find(|(known, _)| *known == name) {
                Some((_, true)) => "real, as configured",
                _ => "local fake",
            };
            println!("  {name:<12} {kind:<28} {}", seconds(since.elapsed()));
        }
        running = next.map(|name| (name.to_owned(), Instant::now()));
    };
    let options = Options { given: defaults, storage, ..Options::default() };
    let services = Services::start(options, |name| report(Some(name))).await?;
    report(None);
    Ok(services)
}

/// Locks the data folder while the file is open. The system releases the lock of a killed process.
pub fn lock_data_folder(folder: &Path) -> Result<File, String> {
    let lock = fs::create_dir_all(folder).and_then(|()| File::create(folder.join("lock")));
    let lock =
        lock.map_err(|error| format!("The folder {} cannot be written: {error}.", folder.display()))?;
    lock.try_lock().map_err(|_| {
        format!("The data in {} is in use by another cargo local: stop that one first.", folder.display())
    })?;
    Ok(lock)
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn shutdown_signal() -> Result<(), String> {
    let failed = |error: io::Error| format!("Ctrl-C cannot be waited for: {error}.");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.map_err(failed),
        _ = terminate.recv() => Ok(()),
    }
}

/// The stored signing key, or a new one that is stored for the next run.
pub fn load_or_create_signing_key(folder: &Path) -> Result<SigningKey, String> {
    let file = folder.join("signing-key");
    if let Some(key) = fs::read_to_string(&file).ok().and_then(|text| SigningKey::read(&text)) {
        return Ok(key);
    }
    let key = SigningKey::generate();
    fs::write(&file, &key.private)
        .map_err(|error| format!("The folder {} cannot be written: {error}.", folder.display()))?;
    Ok(key)
}

pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
