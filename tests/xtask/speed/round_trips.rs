//! Commands to the database for each call of a warm process, counted on the wire.
//!
//! What the driver says on its own account (handshakes, monitoring) is not counted: no caller waits for it.

use http::Method;
use serde_json::{Value, json};
use tests::{
    fakes::{faults::Operation, mongodb_wire::Command},
    harness::{LambdaBinaries, lambda_runtime_api::Function},
};

use super::{
    bench_env::{BenchEnv, Delays, PASSWORD},
    report::Report,
};

/// Counts. Takes the stage for itself, because every later program would talk through the counter.
pub async fn measure(
    binaries: &LambdaBinaries,
    mut stage: BenchEnv,
    report: &mut Report,
) -> Result<(), String> {
    stage.count_commands().await?;
    perform(binaries, &stage, report).await?;

    let users = stage.function(binaries, "users").await?;
    let settings = count(&stage, &users, Method::GET, "/users/me/settings", &Value::Null).await?;
    report.count("commands to read the settings", 1, &settings);

    let usage = stage.function(binaries, "usage").await?;
    let commands = count(&stage, &usage, Method::GET, "/usage", &Value::Null).await?;
    report.raw("commands of usage", listed(&commands));

    let thought = stage.function(binaries, "thought").await?;
    let topic = json!({ "topic": "cards", "value": "Queen of Hearts" });
    let commands = count(&stage, &thought, Method::POST, "/thought", &topic).await?;
    report.raw("commands of thought", listed(&commands));

    let auth = stage.function(binaries, "auth").await?;
    let commands = count(&stage, &auth, Method::GET, "/auth/session", &Value::Null).await?;
    report.raw("commands of session", listed(&commands));
    let login = json!({ "username": "speed", "password": PASSWORD });
    let commands = count(&stage, &auth, Method::POST, "/auth/login", &login).await?;
    report.raw("commands of login", listed(&commands));
    accounts(&stage, &auth, report).await
}

/// A perform, and of it what comes before the provider is asked for a voice.
async fn perform(binaries: &LambdaBinaries, stage: &BenchEnv, report: &mut Report) -> Result<(), String> {
    // Slow enough that nothing of what comes after the create is sent before it.
    stage.begin(&Delays::USUAL)?;
    let perform = stage.function(binaries, "perform").await?;
    stage.perform(&perform).await?;
    stage.begin(&Delays::USUAL)?;
    stage.commands()?;
    stage.perform(&perform).await?;
    let commands = stage.commands()?;
    let (create, _) = stage.span(Operation::Create)?;
    let before: Vec<String> = commands.iter().filter(|command| command.started < create).map(name).collect();
    report.count("commands of a perform before the create", 2, &before);
    report.raw("commands of a perform", listed(&commands.iter().map(name).collect::<Vec<_>>()));
    Ok(())
}

/// Registering and refreshing, which cannot be repeated with the same body.
async fn accounts(stage: &BenchEnv, auth: &Function, report: &mut Report) -> Result<(), String> {
    let registration = stage.registration("counted").await?;
    stage.commands()?;
    let registered = stage.call(auth, Method::POST, "/auth/register", &registration).await?;
    report.raw("commands of register", listed(&stage.commands()?.iter().map(name).collect::<Vec<_>>()));

    let refresh = json!({ "refresh_token": registered["refresh_token"] });
    stage.call(auth, Method::POST, "/auth/refresh", &refresh).await?;
    report.raw("commands of refresh", listed(&stage.commands()?.iter().map(name).collect::<Vec<_>>()));
    Ok(())
}

/// The commands of a call that was made before, so that the connection is there.
async fn count(
    stage: &BenchEnv,
    function: &Function,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Vec<String>, String> {
    stage.call(function, method.clone(), path, body).await?;
    stage.commands()?;
    stage.call(function, method, path, body).await?;
    Ok(stage.commands()?.iter().map(name).collect())
}

fn name(command: &Command) -> String {
    format!("{} {}", command.name, command.collection.as_deref().unwrap_or_default()).trim_end().to_owned()
}

fn listed(commands: &[String]) -> String {
    format!("{} ({})", commands.len(), commands.join(", "))
}
