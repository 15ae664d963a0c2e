//! `cargo local demo`: the main job, once, as a client, on a freshly started stack.
//!
//! Every step is an HTTP request. At the end the state is checked at its source: the provider, the database, and the file
//! that was written.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use http::Method;
use mongodb::bson::{Document, doc};
use serde_json::json;
use shared::{
    clock::Clock,
    clone_slots::CloneSlots,
    deadline::Deadline,
    elevenlabs::{ElevenLabs, ListedVoice},
    http_client,
    voice_name::VoiceNaming,
};
use sweep::SweepReport;
use tests::harness::{
    Backend, PASSWORD, Response, Services, SigningKey, TestClient, TestRequest, User, gateway, mp3, routine,
};
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
    let server = tokio::spawn(gateway::serve(listener, backend.routes.clone(), std::future::pending()));

    println!("\nThe main job, with {}:", recording.display());
    let client = TestClient::http(format!("http://{address}"));
    let result = main_job(&services, &backend, &client, &audio).await;
    server.abort();
    if let (Err(_), Some(why)) = (&result, services.mongodb.stopped()) {
        return Err(why);
    }
    result
}

async fn main_job(
    services: &Services,
    backend: &Backend,
    client: &TestClient,
    audio: &[u8],
) -> Result<(), String> {
    let code = backend.activation_code().await.map_err(|error| format!("No activation code: {error}"))?;
    // A unique name, because an external database may not be empty.
    let username = format!("demo-{}", &code.as_str().to_lowercase()[..6]);
    step("register with an activation code", client.register(&username, code.as_str())).await?;

    let login = json!({ "username": username, "password": PASSWORD });
    let login = step("log in", client.request(Method::POST, "/auth/login").json(&login)).await?;
    let user = User::signed_in(&login, code.as_str().to_owned());

    let settings = json!({ "voice_language": "en", "voice_stability": 40, "voice_similarity": 80 });
    let settings = client.request(Method::PUT, "/users/me/settings").user(&user).json(&settings);
    step("choose settings", settings).await?;

    let uploaded = step("upload the recording", client.upload(&user, "audio/webm", audio)).await?.json();
    println!(
        "      {} of {} s, {} bytes, stored in S3",
        uploaded["mime_type"].as_str().unwrap_or_default(),
        uploaded["duration"],
        uploaded["bytes"]
    );

    let response = step("perform", client.perform(&user, &routine("Queen of Hearts"))).await?;
    let performed = response.json();
    let text = performed["text"].as_str().unwrap_or_default();
    println!("      \"{text}\" ({}, {})", performed["thoughtSource"], performed["voiceSource"]);

    let mp3 = response.audio();
    fs::write(OUTPUT, &mp3).map_err(|error| format!("{OUTPUT} cannot be written: {error}."))?;
    let sound = mp3::listen(&mp3).ok_or("The audio is not a valid MP3.")?;
    check(sound.seconds > 1.0 && sound.loudness > 0.001, || {
        format!(
            "The audio is {:.1} s long with a loudness of {:.4}: it is silent.",
            sound.seconds, sound.loudness
        )
    })?;
    println!("      {OUTPUT}: {:.1} s of MP3 at {} Hz, {} bytes", sound.seconds, sound.rate, mp3.len());

    let meta = client.request(Method::GET, "/users/me/voice/meta").user(&user);
    let meta = step("read the voice metadata", meta).await?.json();
    check(meta["voiceCloneId"].is_null() && meta["hasClone"] == true, || {
        format!("A clone is still recorded: {meta}")
    })?;
    let usage = step("read the usage", client.request(Method::GET, "/usage").user(&user)).await?.json();
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
        let left = existing_clones(services, backend).await?;
        println!("  clones at the provider           left {left}");
        check(left == 0, || String::from("A clone of this deployment still exists at the provider."))?;
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

/// Clones of this deployment at the real provider.
async fn existing_clones(services: &Services, backend: &Backend) -> Result<usize, String> {
    let slots = CloneSlots::from_env(&services.env, &backend.database, Clock::system());
    let slots = slots.map_err(|error| error.to_string())?.list().await.map_err(|error| error.to_string())?;
    let http = http_client::client().map_err(|error| error.to_string())?;
    let names = VoiceNaming::from_env(&services.env);
    let voices = ElevenLabs::from_env(&services.env, http)
        .map_err(|error| error.to_string())?
        .cloned_voices(&names.prefix(), Deadline::after(Duration::from_secs(30)))
        .await
        .map_err(|error| format!("ElevenLabs does not list its voices: {error}"))?;
    let is_ours = |voice: &&ListedVoice| {
        names
            .parse(&voice.name)
            .is_some_and(|name| name.deployment.is_some() && name.deployment == slots.deployment)
    };
    Ok(voices.iter().filter(is_ours).count())
}

/// Sends a request, which must succeed, and prints how long it took.
async fn step(what: &str, request: TestRequest) -> Result<Response, String> {
    let started = Instant::now();
    let response = request.send_successfully().await.map_err(|why| format!("Could not {what}: {why}"))?;
    println!("  {what:<32} {}", seconds(started.elapsed()));
    Ok(response)
}

fn check(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
