//! The number of database commands for each call of a warm process, counted by a proxy.
//!
//! What the driver sends by itself (handshakes, monitoring) is not counted: no caller waits for it.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tests::{
    fakes::{faults::Operation, mongodb_wire::Command},
    harness::{LambdaBinaries, PASSWORD, lambda_runtime_api::Function},
};

use super::{
    bench_env::{BenchEnv, Delays, USERNAME},
    report::Report,
};

/// Consumes the environment, because every later program would use the proxy.
pub async fn measure(
    binaries: &LambdaBinaries,
    mut bench: BenchEnv,
    report: &mut Report,
) -> Result<(), String> {
    bench.count_commands().await?;
    perform(binaries, &bench, report).await?;

    let users = bench.function(binaries, "users").await?;
    let settings = count(&bench, &users, Method::GET, "/users/me/settings", &Value::Null).await?;
    report.count("commands to read the settings", 1, &settings);

    let usage = bench.function(binaries, "usage").await?;
    let commands = count(&bench, &usage, Method::GET, "/usage", &Value::Null).await?;
    report.raw("commands of usage", list(&commands));

    let thought = bench.function(binaries, "thought").await?;
    let topic = json!({ "topic": "cards", "value": "Queen of Hearts" });
    let commands = count(&bench, &thought, Method::POST, "/thought", &topic).await?;
    report.raw("commands of thought", list(&commands));

    let auth = bench.function(binaries, "auth").await?;
    let commands = count(&bench, &auth, Method::GET, "/auth/session", &Value::Null).await?;
    report.raw("commands of session", list(&commands));
    let login = json!({ "username": USERNAME, "password": PASSWORD });
    let commands = count(&bench, &auth, Method::POST, "/auth/login", &login).await?;
    report.raw("commands of login", list(&commands));
    accounts(&bench, &auth, report).await
}

/// The commands of a perform, and of these the ones before the clone is created.
async fn perform(binaries: &LambdaBinaries, bench: &BenchEnv, report: &mut Report) -> Result<(), String> {
    // Slow enough that nothing that follows the create is sent before it.
    bench.reset(&Delays::USUAL)?;
    let perform = bench.function(binaries, "perform").await?;
    bench.perform(&perform).await?;
    bench.reset(&Delays::USUAL)?;
    bench.commands()?;
    bench.perform(&perform).await?;
    let commands = bench.commands()?;
    let (create, _) = bench.span(Operation::Create).await?;
    let before: Vec<String> = commands.iter().filter(|command| command.started < create).map(name).collect();
    report.count("commands of a perform before the create", 2, &before);
    report.raw("commands of a perform", list(&commands.iter().map(name).collect::<Vec<_>>()));
    Ok(())
}

/// Registering and refreshing, which cannot be repeated with the same body.
async fn accounts(bench: &BenchEnv, auth: &Arc<Function>, report: &mut Report) -> Result<(), String> {
    let registration = bench.registration("counted").await?;
    bench.commands()?;
    let registered = bench.call(auth, Method::POST, "/auth/register", &registration).await?;
    report.raw("commands of register", list(&bench.commands()?.iter().map(name).collect::<Vec<_>>()));

    let refresh = json!({ "refresh_token": registered["refresh_token"] });
    bench.call(auth, Method::POST, "/auth/refresh", &refresh).await?;
    report.raw("commands of refresh", list(&bench.commands()?.iter().map(name).collect::<Vec<_>>()));
    Ok(())
}

/// The commands of a repeated call, for which the connection is open.
async fn count(
    bench: &BenchEnv,
    function: &Arc<Function>,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Vec<String>, String> {
    bench.call(function, method.clone(), path, body).await?;
    bench.commands()?;
    bench.call(function, method, path, body).await?;
    Ok(bench.commands()?.iter().map(name).collect())
}

fn name(command: &Command) -> String {
    format!("{} {}", command.name, command.collection.as_deref().unwrap_or_default()).trim_end().to_owned()
}

fn list(commands: &[String]) -> String {
    format!("{} ({})", commands.len(), commands.join(", "))
}
