//! The main job, and what every request has in common.

use http::Method;
use serde_json::json;
use tests::harness::mp3;

use crate::test_app::{PASSWORD, TestApp, WEBM, send};

#[tokio::test]
async fn a_performer_registers_records_performs_and_hears_and_no_clone_remains() {
    let world = TestApp::new().await;
    let ada = world.register("ada").await;
    let login = world.post("/auth/login", &json!({ "username": "ADA", "password": PASSWORD })).await;
    assert_eq!(login.status, 200);

    let adopted = world.upload(&ada, WEBM).await.json();
    assert_eq!((adopted["status"].as_str(), adopted["mime_type"].as_str()), (Some("ok"), Some("audio/webm")));

    let performed = world.perform(&ada, "Queen of Hearts").await;
    assert_eq!(performed.status, 200, "{performed:?}");
    let answer = performed.json();
    let text = answer["text"].as_str().unwrap();
    assert!(text.contains("Queen of Hearts"));
    assert_eq!(answer["voiceSource"], "ephemeral_clone");
    assert_eq!(answer["thoughtSource"], "gemini");
    assert_eq!(answer["routine_type"], "cards");
    assert_eq!(answer["charsUsedRaw"], text.chars().count());
    assert_eq!(answer["charCount"], answer["charsUsedEffective"]);
    let heard = mp3::listen(&performed.audio()).expect("an MP3 that plays");
    assert!(heard.rate == 44100 && heard.seconds > 2.0 && heard.loudness > 0.01, "{heard:?}");

    let ledger = world.elevenlabs().ledger();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.most_living), (1, 1, 1));
    assert_eq!(ledger.created[0].sample_bytes, WEBM.len());
    world.assert_nothing_remains(&ada).await;
    let swept = world.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.released, swept.failed), (0, 0, 0));
}

#[tokio::test]
async fn the_audio_comes_alone_when_it_is_asked_for() {
    let world = TestApp::new().await;
    let ada = world.performer("ada").await;
    let request = world.request(Method::POST, "/perform", Some(&ada)).header("accept", "audio/mpeg");
    let answer = send(request.json(&json!({ "text": "Good morning, I had a dream." }))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "audio/mpeg");
    assert_eq!(answer.header("x-voice-source"), "ephemeral_clone");
    assert_eq!(answer.header("x-chars-used-raw"), "28");
    assert!(mp3::listen(&answer.body).is_some());
}
