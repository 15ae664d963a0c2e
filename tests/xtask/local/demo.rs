//! `cargo local demo`: the main job, once, as a client sees it, on a freshly started stack.
//!
//! Every step goes over HTTP; every claim at the end is checked where it can be seen: at the provider, in the
//! database, in the file that was written.

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

/// Runs the main job; an error says which claim did not hold.
pub async fn demo(recording: Option<PathBuf>) -> Result<(), String> {
    let given = configuration::given()?;
    configuration::init_logs(&given, "error");
    let recording = recording.unwrap_or_else(|| configuration::sample_recording(&given));
    let audio = configuration::recording(&recording)?;

    println!("Starting a fresh stack:");
    let services = configuration::start(given, None, &SigningKey::generate()).await?;
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
    // A fresh name, in case the database is one that was given and is not fresh.
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

    let adopted = app.upload(audio).await?;
    println!(
        "      {} of {} s, {} bytes, kept in S3",
        adopted["mime_type"].as_str().unwrap_or_default(),
        adopted["duration"],
        adopted["bytes"]
    );

    let perform = json!({ "routine_type": "cards", "value": "Queen of Hearts" });
    let performed = app.step("perform", Method::POST, "/perform", perform).await?;
    let said = performed["text"].as_str().unwrap_or_default();
    println!("      \"{said}\" ({}, {})", performed["thoughtSource"], performed["voiceSource"]);

    let mp3 = decode(&performed["audio_base64"])?;
    fs::write(OUTPUT, &mp3).map_err(|error| format!("{OUTPUT} cannot be written: {error}."))?;
    let heard = mp3::listen(&mp3).ok_or("The audio that came back is not an MP3 that plays.")?;
    check(heard.seconds > 1.0 && heard.loudness > 0.001, || {
        format!(
            "The audio is {:.1} s long with a loudness of {:.4}: nothing to hear.",
            heard.seconds, heard.loudness
        )
    })?;
    println!("      {OUTPUT}: {:.1} s of MP3 at {} Hz, {} bytes", heard.seconds, heard.rate, mp3.len());

    let meta = app.step("look at the voice", Method::GET, "/users/me/voice/meta", Value::Null).await?;
    check(meta["voiceCloneId"].is_null() && meta["hasClone"] == false, || {
        format!("A clone is still noted: {meta}")
    })?;
    let usage = app.step("look at the usage", Method::GET, "/usage", Value::Null).await?;
    check(usage["charCount"] == performed["charsUsedEffective"], || {
        format!("The characters are not counted: {usage}")
    })?;
    println!("      {} of {} characters this month", usage["charCount"], usage["monthlyLimit"]);

    let started = Instant::now();
    let swept = backend.sweep().await.map_err(|error| format!("The sweep failed: {error}"))?;
    println!("  {:<32} {}", "sweep", seconds(started.elapsed()));
    check(SweepReport { foreign_skipped: 0, ..swept } == SweepReport::default(), || {
        format!("The sweep found work: {swept:?}")
    })?;
    nothing_remains(services, backend).await
}

/// No clone at the provider, no slot held, no lease held.
async fn nothing_remains(services: &Services, backend: &Backend) -> Result<(), String> {
    println!("\nWhat remains:");
    if let Some(standin) = &services.elevenlabs {
        let ledger = standin.ledger();
        let (created, deleted, living) = (ledger.created.len(), ledger.deleted.len(), ledger.living.len());
        println!("  the provider's ledger            created {created}, deleted {deleted}, living {living}");
        check((created, deleted, living) == (1, 1, 0), || {
            String::from("The provider's ledger should say 1, 1, 0.")
        })?;
    } else {
        let living = living(services).await?;
        println!("  clones of ours at the provider   living {living}");
        check(living == 0, || String::from("A clone of ours is still at the provider."))?;
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
    println!("\nDone: one clone was made, heard and deleted. Listen to {OUTPUT}.");
    Ok(())
}

/// Clones of this stage at the real provider.
async fn living(services: &Services) -> Result<usize, String> {
    let http = http_client::client().map_err(|error| error.to_string())?;
    let names = VoiceNaming::from_env(&services.env);
    let voices = ElevenLabs::from_env(&services.env, http)
        .map_err(|error| error.to_string())?
        .cloned_voices("", Deadline::after(Duration::from_secs(30)))
        .await
        .map_err(|error| format!("ElevenLabs does not list its voices: {error}"))?;
    Ok(voices.iter().filter(|voice| names.lease(&voice.name).is_some()).count())
}

/// A client of the API that tells what it does.
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
        let answer = request.send().await.map_err(|error| format!("{what}: {error}"))?;
        let answer = read(what, answer).await?;
        println!("  {what:<32} {}", seconds(started.elapsed()));
        Ok(answer)
    }
}

async fn read(what: &str, answer: Response) -> Result<Value, String> {
    let status = answer.status();
    let body: Value = answer.json().await.map_err(|error| format!("{what}: {error}"))?;
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
    let text = audio.as_str().ok_or("The answer holds no audio.")?;
    STANDARD.decode(text).map_err(|_| String::from("The audio is not base64."))
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
