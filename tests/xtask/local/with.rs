//! `cargo local with COMMAND…`: runs a command with fresh services and an API, which stop with it.
//!
//! The command's environment has the variables of the functions for the services, `API_URL`, and `API_TOKEN`, the access
//! token of an admin with a recording.

use std::{ffi::OsString, path::Path, process::Stdio};

use mongodb::bson::oid::ObjectId;
use shared::clock::Clock;
use tests::harness::{Backend, SigningKey, TestClient, User, gateway, page};
use tokio::{net::TcpListener, process::Command};

use super::configuration;

/// Runs the command, which must succeed.
pub async fn with(command: &[OsString]) -> Result<(), String> {
    let [program, arguments @ ..] = command else { return Err(String::from("No command is env.")) };
    let name = Path::new(program).display();
    let env = configuration::load_env()?;
    configuration::init_logs(&env, "warn");
    let recording = configuration::recording(&configuration::sample_recording(&env))?;
    println!("Starting services for {name}:");
    let services = configuration::start(env, None, &SigningKey::generate()).await?;
    let backend = Backend::start(&services.env, &Clock::system()).await?;
    let no_port = |error: std::io::Error| format!("No port is free: {error}.");
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(no_port)?;
    let url = format!("http://{}", listener.local_addr().map_err(no_port)?);
    let routes = backend.routes.clone().merge(page::routes());
    let server = tokio::spawn(gateway::serve(listener, routes, std::future::pending()));
    let token = register(&url, &backend, &recording)
        .await
        .map_err(|why| format!("The user could not be registered: {why}"))?;

    let mut command = Command::new(program);
    command.args(arguments).envs(services.env.clone()).env("API_URL", &url).env("API_TOKEN", token);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let mut running = command.spawn().map_err(|error| format!("{name} cannot be started: {error}."))?;
    let ended = tokio::select! {
        ended = running.wait() => match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{name} failed: {status}.")),
            Err(error) => Err(format!("{name} cannot be waited for: {error}.")),
        },
        asked = configuration::shutdown_signal() => asked,
    };
    server.abort();
    ended
}

/// Registers an admin with a recording, and returns the access token.
async fn register(url: &str, backend: &Backend, recording: &[u8]) -> Result<String, String> {
    let code = backend.activation_code().await.map_err(|error| error.to_string())?;
    let client = TestClient::http(url);
    let registered = client.register("bess", code.as_str()).send_successfully().await?;
    let user = User::signed_in(&registered, code.as_str().to_owned());
    let id = ObjectId::parse_str(&user.id).map_err(|error| error.to_string())?;
    backend.make_admin(id).await.map_err(|error| error.to_string())?;
    client.upload(&user, "audio/webm", recording).send_successfully().await?;
    Ok(user.access_token)
}
