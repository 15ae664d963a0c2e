//! `cargo local services`: what the functions talk to, without the functions.
//!
//! For `cargo lambda watch`, which runs the functions itself and reads how to reach the services from a file.

use std::{fmt::Write as _, fs};

use shared::{clock::Clock, env::Env};
use tests::harness::Backend;

use super::configuration;

/// Names every variable that the functions read.
const EXAMPLE: &str = include_str!("../../../.env.example");

/// Runs the services until Ctrl-C.
pub async fn services() -> Result<(), String> {
    let given = configuration::given()?;
    configuration::init_logs(&given, "warn");
    let folder = configuration::data_folder(&given);
    let file = configuration::lambda_env(&given);
    let _occupied = configuration::occupied(&folder)?;
    let key = configuration::kept_signing_key(&folder)?;
    println!("Starting the services of New Visions (data in {}):", folder.display());
    let services = configuration::start(given, Some(folder), &key).await?;
    let backend = Backend::start(&services.env, &Clock::system()).await?;
    let code = backend.activation_code().await.map_err(|error| {
        services.mongodb.stopped().unwrap_or_else(|| format!("MongoDB does not answer: {error}"))
    })?;

    fs::write(&file, written(&services.env))
        .map_err(|error| format!("{} cannot be written: {error}.", file.display()))?;
    println!(
        "\nA fresh activation code: {}\nIn another terminal:\n\n  cargo lambda watch --env-file .local/lambda.env\n",
        code.as_str()
    );
    let asked = configuration::asked_to_stop().await;
    let _ = fs::remove_file(file);
    asked
}

fn written(env: &Env) -> String {
    let names =
        EXAMPLE.lines().filter_map(|line| line.strip_prefix('#')?.split_once('=')).map(|(name, _)| name);
    names.fold(String::new(), |mut text, name| {
        if let Some(value) = env.get(name) {
            // Single quotes: values hold `=`, `"` and `&`, and none holds a single quote.
            let _ = writeln!(text, "{name}='{value}'");
        }
        text
    })
}
