//! `cargo local services`: what the functions talk to, without the functions.
//!
//! For `cargo lambda watch`, which runs the functions itself and reads how to reach the services from a file.

use std::{fmt::Write as _, fs};

use shared::{clock::Clock, env::Env};
use tests::app::Backend;

use crate::configuration;

/// What the functions need to know, in the order in which it is written.
const WRITTEN: [&str; 15] = [
    "STAGE",
    "MONGODB_URI",
    "JWT_SIGNING_KEY",
    "JWT_PUBLIC_KEYS",
    "RECORDINGS_BUCKET",
    "S3_ENDPOINT",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "ELEVENLABS_API_KEY",
    "ELEVENLABS_BASE_URL",
    "ELEVENLABS_MODEL",
    "GEMINI_API_KEY",
    "GEMINI_BASE_URL",
    "GEMINI_MODEL",
];

/// Runs the services until Ctrl-C.
pub async fn services() -> Result<(), String> {
    let given = configuration::given()?;
    configuration::init_logs(&given, "warn");
    let folder = configuration::data_folder(&given);
    let key = configuration::kept_signing_key(&folder)?;
    println!("Starting the services of New Visions (data in {}):", folder.display());
    let services = configuration::start(given, Some(folder.clone()), &key).await?;
    let backend = Backend::start(&services.env, &Clock::system()).await?;
    let code = backend.activation_code().await.map_err(|error| {
        services.mongodb.stopped().unwrap_or_else(|| format!("MongoDB does not answer: {error}"))
    })?;

    let file = folder.join("lambda.env");
    fs::write(&file, written(&services.env))
        .map_err(|error| format!("{} cannot be written: {error}.", file.display()))?;
    println!(
        "\nA fresh activation code: {}\nIn another terminal:\n\n  cargo lambda watch --env-file .local/lambda.env --disable-cors\n",
        code.as_str()
    );
    tokio::signal::ctrl_c().await.map_err(|error| format!("Ctrl-C cannot be waited for: {error}."))?;
    let _ = fs::remove_file(file);
    Ok(())
}

fn written(env: &Env) -> String {
    WRITTEN.iter().fold(String::new(), |mut text, name| {
        if let Some(value) = env.get(name) {
            // Single quotes: values hold `=`, `"` and `&`, and none holds a single quote.
            let _ = writeln!(text, "{name}='{value}'");
        }
        text
    })
}
