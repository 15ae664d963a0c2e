//! The main job, and what every request has in common.

use http::Method;
use serde_json::json;
use tests::harness::{PASSWORD, TestApp, WEBM, mp3, send};

#[tokio::test]
async fn perform_from_registration_to_audio_leaves_no_clone() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let login = app.post("/auth/login", &json!({ "username": "ADA", "password": PASSWORD })).await;
    assert_eq!(login.status, 200);

    let adopted = app.upload(&ada, WEBM).await.json();
    assert_eq!((adopted["status"].as_str(), adopted["mime_type"].as_str()), (Some("ok"), Some("audio/webm")));

    let performed = app.perform(&ada, "Queen of Hearts").await;
    assert_eq!(performed.status, 200, "{performed:?}");
    let response = performed.json();
    let text = response["text"].as_str().unwrap();
    assert!(text.contains("Queen of Hearts"));
    assert_eq!(response["voiceSource"], "ephemeral_clone");
    assert_eq!(response["thoughtSource"], "gemini");
    assert_eq!(response["routine_type"], "cards");
    assert_eq!(response["charsUsedRaw"], text.chars().count());
    assert_eq!(response["charCount"], response["charsUsedEffective"]);
    let heard = mp3::listen(&performed.audio()).expect("an MP3 that plays");
    assert!(heard.rate == 44100 && heard.seconds > 2.0 && heard.loudness > 0.01, "{heard:?}");

    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.max_existing), (1, 1, 1));
    assert_eq!(ledger.created[0].sample_bytes, WEBM.len());
    app.assert_nothing_remains(&ada).await;
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.released, swept.failed), (0, 0, 0));
}

#[tokio::test]
async fn perform_responds_with_mp3_alone_when_accepted() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let request = app.request(Method::POST, "/perform", Some(&ada)).header("accept", "audio/mpeg");
    let response = send(request.json(&json!({ "text": "Good morning, I had a dream." }))).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("content-type"), "audio/mpeg");
    assert_eq!(response.header("x-voice-source"), "ephemeral_clone");
    assert_eq!(response.header("x-chars-used-raw"), "28");
    assert!(mp3::listen(&response.body).is_some());
}
