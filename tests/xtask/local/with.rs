//! `cargo local with COMMAND…`: a command beside services of its own, and beside the API on them.
//!
//! All of it is fresh and ends with the command. How to reach the services is in its environment, in the variables that
//! the functions read; the API is at `API_URL`, and `API_TOKEN` signs in an admin who has a recording.

use std::{ffi::OsString, path::Path, process::Stdio};

use mongodb::bson::oid::ObjectId;
use serde_json::{Value, json};
use shared::clock::Clock;
use tests::harness::{Backend, SigningKey, gateway};
use tokio::{net::TcpListener, process::Command};

use super::configuration;

/// Runs the command, which must succeed.
pub async fn with(command: &[OsString]) -> Result<(), String> {
    let [program, arguments @ ..] = command else { return Err(String::from("No command is given.")) };
    let name = Path::new(program).display();
    let given = configuration::given()?;
    configuration::init_logs(&given, "warn");
    let recording = configuration::recording(&configuration::sample_recording(&given))?;
    println!("Starting services for {name}:");
    let services = configuration::start(given, None, &SigningKey::generate()).await?;
    let backend = Backend::start(&services.env, &Clock::system()).await?;
    let no_port = |error: std::io::Error| format!("No port is free: {error}.");
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(no_port)?;
    let url = format!("http://{}", listener.local_addr().map_err(no_port)?);
    let serving = tokio::spawn(gateway::serve(listener, backend.routes.clone(), std::future::pending()));
    let token =
        sign_up(&url, &backend, recording).await.map_err(|why| format!("No user signed up: {why}"))?;

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
        asked = configuration::asked_to_stop() => asked,
    };
    serving.abort();
    ended
}

/// The access token of a new user, who is an admin and has a recording.
async fn sign_up(url: &str, backend: &Backend, recording: Vec<u8>) -> Result<String, String> {
    let code = backend.activation_code().await.map_err(|error| error.to_string())?;
    let register = json!({
        "username": "bess", "email": "bess@example.com", "password": "correct horse battery staple",
        "activationCode": code.as_str(),
    });
    let http = reqwest::Client::new();
    let failed = |error: reqwest::Error| error.to_string();
    let answer = http.post(format!("{url}/auth/register")).json(&register).send().await.map_err(failed)?;
    let session: Value = answer.error_for_status().map_err(failed)?.json().await.map_err(failed)?;
    let token = session["access_token"].as_str().unwrap_or_default().to_owned();
    let id = ObjectId::parse_str(session["user_id"].as_str().unwrap_or_default());
    let id = id.map_err(|error| error.to_string())?;
    backend.make_admin(id).await.map_err(|error| error.to_string())?;
    let upload = http.post(format!("{url}/users/me/voice")).header("content-type", "audio/webm");
    let answer = upload.bearer_auth(&token).body(recording).send().await.map_err(failed)?;
    answer.error_for_status().map_err(failed)?;
    Ok(token)
}
