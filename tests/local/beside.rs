//! `cargo local with COMMAND…`: a command beside services of its own, and beside the API on them.
//!
//! All of it is fresh and ends with the command. How to reach the services is in its environment, in the variables that
//! the functions read; the API is at `API_URL`, and `API_TOKEN` signs in a user who has a recording.

use std::process::Stdio;

use tests::app::SigningKey;
use tokio::process::Command;

use crate::configuration;

/// Runs the command, which must succeed.
pub async fn with(program: &str, arguments: &[&str]) -> Result<(), String> {
    let given = configuration::given()?;
    configuration::init_logs(&given, "warn");
    println!("Starting services for {program}:");
    let services = configuration::start(given, None, &SigningKey::generate()).await?;
    let mut command = Command::new(program);
    command.args(arguments).envs(services.env.clone()).stdin(Stdio::null()).kill_on_drop(true);
    let mut running = command.spawn().map_err(|error| format!("{program} cannot be started: {error}."))?;
    tokio::select! {
        ended = running.wait() => match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{program} failed: {status}.")),
            Err(error) => Err(format!("{program} cannot be waited for: {error}.")),
        },
        asked = configuration::asked_to_stop() => asked,
    }
}
