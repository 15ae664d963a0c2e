//! `cargo local demo`: the main job, once, as a client, on a freshly started stack.
//!
//! Every step is an HTTP request. At the end the state is checked at its source: the provider, the database, and the file
//! that was written.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use mongodb::bson::{Document, doc};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use shared::{
    clock::Clock, deadline::Deadline, elevenlabs::ElevenLabs, http_client, voice_name::VoiceNaming,
};
use sweep::SweepReport;
use tests::harness::{Backend, Services, SigningKey, gateway, mp3};
use tokio::net::TcpListener;

use super::configuration::{self, seconds};

/// Where the voice note is written.
const OUTPUT: &str = "performed.mp3";

/// Runs the main job; an error says which check failed.
pub async fn demo(recording: Option<PathBuf>) -> Result<(), String> {
    let env = configuration::load_env()?;
    configuration::init_logs(&env, "error");
    let recording = recording.unwrap_or_else(|| configuration::sample_recording(&env));
    let audio = configuration::recording(&recording)?;

    println!("Starting a fresh stack:");
    let services = configuration::start(env, None, &SigningKey::generate()).await?;
    let backend = Backend::start(&services.env, &Clock::system()).await?;
    let listener =
        TcpListener::bind("127.0.0.1:0").await.map_err(|error| format!("No port is free: {error}."))?;
    let address = listener.local_addr().map_err(|error| format!("No port is free: {error}."))?;
    let serving = tokio::spawn(gateway::serve(listener, backend.routes.clone(), std::future::pending()));

    println!("\nThe main job, with {}:", recording.display());
    let mut app = App { http: Client::new(), base: format!("http://{address}"), token: None };
    let result = main_job(&services, &backend, &mut app, &audio).await;
    serving.abort();
    if let (Err(_), Some(why)) = (&result, services.mongodb.stopped()) {
        return Err(why);
    }
    result
}

async fn main_job(services: &Services, backend: &Backend, app: &mut App, audio: &[u8]) -> Result<(), String> {
    let code = backend.activation_code().await.map_err(|error| format!("No activation code: {error}"))?;
    // A unique name, because an external database may not be empty.
    let username = format!("demo-{}", &code.as_str().to_lowercase()[..6]);
    let password = "correct horse battery staple";

    let register = json!({
        "username": username, "email": format!("{username}@example.com"), "password": password,
        "activationCode": code.as_str(),
    });
    app.step("register with an activation code", Method::POST, "/auth/register", register).await?;

    let login = json!({ "username": username, "password": password });
    let session = app.step("log in", Method::POST, "/auth/login", login).await?;
    app.token = session["access_token"].as_str().map(str::to_owned);

    let settings = json!({ "voice_language": "en", "voice_stability": 40, "voice_similarity": 80 });
    app.step("choose settings", Method::PUT, "/users/me/settings", settings).await?;

    let uploaded = app.upload(audio).await?;
    println!(
        "      {} of {} s, {} bytes, stored in S3",
        uploaded["mime_type"].as_str().unwrap_or_default(),
        uploaded["duration"],
        uploaded["bytes"]
    );

    let perform = json!({ "routine_type": "cards", "value": "Queen of Hearts" });
    let performed = app.step("perform", Method::POST, "/perform", perform).await?;
    let text = performed["text"].as_str().unwrap_or_default();
    println!("      \"{text}\" ({}, {})", performed["thoughtSource"], performed["voiceSource"]);

    let mp3 = decode(&performed["audio_base64"])?;
    fs::write(OUTPUT, &mp3).map_err(|error| format!("{OUTPUT} cannot be written: {error}."))?;
    let sound = mp3::listen(&mp3).ok_or("The audio is not a valid MP3.")?;
    check(sound.seconds > 1.0 && sound.loudness > 0.001, || {
        format!(
            "The audio is {:.1} s long with a loudness of {:.4}: it is silent.",
            sound.seconds, sound.loudness
        )
    })?;
    println!("      {OUTPUT}: {:.1} s of MP3 at {} Hz, {} bytes", sound.seconds, sound.rate, mp3.len());

    let meta = app.step("read the voice metadata", Method::GET, "/users/me/voice/meta", Value::Null).await?;
    check(meta["voiceCloneId"].is_null() && meta["hasClone"] == false, || {
        format!("A clone is still recorded: {meta}")
    })?;
    let usage = app.step("read the usage", Method::GET, "/usage", Value::Null).await?;
    check(usage["charCount"] == performed["charsUsedEffective"], || {
        format!("The characters were not charged: {usage}")
    })?;
    println!("      {} of {} characters this month", usage["charCount"], usage["monthlyLimit"]);

    let started = Instant::now();
    let swept = backend.sweep().await.map_err(|error| format!("The sweep failed: {error}"))?;
    println!("  {:<32} {}", "sweep", seconds(started.elapsed()));
    check(SweepReport { foreign_skipped: 0, ..swept } == SweepReport::default(), || {
        format!("The sweep found something to clean up: {swept:?}")
    })?;
    check_nothing_is_left(services, backend).await
}

/// Checks that no clone, slot or lease is left.
async fn check_nothing_is_left(services: &Services, backend: &Backend) -> Result<(), String> {
    println!("\nWhat is left:");
    if let Some(fake) = &services.elevenlabs {
        let state = fake.state();
        let (created, deleted, left) = (state.created.len(), state.deleted.len(), state.existing.len());
        println!("  clones at the provider           created {created}, deleted {deleted}, left {left}");
        check((created, deleted, left) == (1, 1, 0), || {
            String::from("One clone should have been created and deleted, and none left.")
        })?;
    } else {
        let left = existing_clones(services).await?;
        println!("  clones at the provider           left {left}");
        check(left == 0, || String::from("A clone of this stage still exists at the provider."))?;
    }
    let failed = |error: mongodb::error::Error| format!("The database cannot be read: {error}");
    let slots = backend.database.collection::<Document>("clone_slots");
    let held = slots.count_documents(doc! { "held.0": { "$exists": true } }).await.map_err(failed)?;
    let users = backend.database.collection::<Document>("users");
    let leased =
        doc! { "$or": [{ "lease.id": { "$exists": true } }, { "voice_clone_id": { "$type": "string" } }] };
    let leased = users.count_documents(leased).await.map_err(failed)?;
    println!("  slots held, leases held          {held}, {leased}");
    check(held == 0 && leased == 0, || String::from("A slot or a lease is still held."))?;
    println!("\nDone: one clone was created, used and deleted. Listen to {OUTPUT}.");
    Ok(())
}

/// Clones of this stage at the real provider.
async fn existing_clones(services: &Services) -> Result<usize, String> {
    let http = http_client::client().map_err(|error| error.to_string())?;
    let names = VoiceNaming::from_env(&services.env);
    let voices = ElevenLabs::from_env(&services.env, http)
        .map_err(|error| error.to_string())?
        .cloned_voices("", Deadline::after(Duration::from_secs(30)))
        .await
        .map_err(|error| format!("ElevenLabs does not list its voices: {error}"))?;
    Ok(voices.iter().filter(|voice| names.lease(&voice.name).is_some()).count())
}

/// A client of the API that prints what it does.
struct App {
    http: Client,
    base: String,
    token: Option<String>,
}

impl App {
    async fn step(&self, what: &str, method: Method, path: &str, body: Value) -> Result<Value, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !body.is_null() {
            request = request.json(&body);
        }
        self.send(what, request).await
    }

    async fn upload(&self, audio: &[u8]) -> Result<Value, String> {
        let request = self
            .http
            .post(format!("{}/users/me/voice", self.base))
            .header("content-type", "audio/webm")
            .body(audio.to_vec());
        self.send("upload the recording", request).await
    }

    async fn send(&self, what: &str, mut request: reqwest::RequestBuilder) -> Result<Value, String> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let started = Instant::now();
        let response = request.send().await.map_err(|error| format!("{what}: {error}"))?;
        let body = read(what, response).await?;
        println!("  {what:<32} {}", seconds(started.elapsed()));
        Ok(body)
    }
}

async fn read(what: &str, response: Response) -> Result<Value, String> {
    let status = response.status();
    let body: Value = response.json().await.map_err(|error| format!("{what}: {error}"))?;
    if status.is_success() {
        return Ok(body);
    }
    Err(format!(
        "Could not {what}: {} ({status}, {})",
        body["detail"].as_str().unwrap_or_default(),
        body["code"]
    ))
}

fn decode(audio: &Value) -> Result<Vec<u8>, String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = audio.as_str().ok_or("The response has no audio.")?;
    STANDARD.decode(text).map_err(|_| String::from("The audio is not base64."))
}

fn check(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
