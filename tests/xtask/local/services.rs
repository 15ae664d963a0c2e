//! `cargo local services`: the services without the functions.
//!
//! For `cargo lambda watch`, which runs the functions itself and reads their environment from a file.

use std::{fmt::Write as _, fs};

use shared::{clock::Clock, env::Env};
use tests::harness::Backend;

use super::configuration;

/// Names every variable that the functions read.
const EXAMPLE: &str = include_str!("../../../.env.example");

/// Runs until Ctrl-C.
pub async fn services() -> Result<(), String> {
    let env = configuration::load_env()?;
    configuration::init_logs(&env, "warn");
    let folder = configuration::data_folder(&env);
    let file = configuration::lambda_env(&env);
    let _lock = configuration::lock_data_folder(&folder)?;
    let key = configuration::load_or_create_signing_key(&folder)?;
    println!("Starting the services of New Visions (data in {}):", folder.display());
    let services = configuration::start(env, Some(folder), &key).await?;
    let backend = Backend::start(&services.env, &Clock::system()).await?;
    let code = backend.activation_code().await.map_err(|error| {
        services.mongodb.stopped().unwrap_or_else(|| format!("MongoDB does not answer: {error}"))
    })?;

    fs::write(&file, to_env_file(&services.env))
        .map_err(|error| format!("{} cannot be written: {error}.", file.display()))?;
    println!(
        "\nA fresh activation code: {}\nIn another terminal:\n\n  cargo lambda watch --env-file .local/lambda.env\n",
        code.as_str()
    );
    let asked = configuration::shutdown_signal().await;
    let _ = fs::remove_file(file);
    asked
}

fn to_env_file(env: &Env) -> String {
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
