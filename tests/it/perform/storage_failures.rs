//! S3 or `MongoDB` failing in the middle of a perform.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use tests::{
    fakes::{mongodb_wire::Fault as WireFault, s3::Fault as S3Fault},
    harness::{TestApp, mp3, send},
};

#[tokio::test]
async fn s3_failure_of_the_recording_prevents_the_clone() {
    let failures = [
        (S3Fault::SlowDown, 503, "service_unavailable"),
        (S3Fault::ResetBefore, 503, "service_unavailable"),
        (S3Fault::Truncate, 503, "service_unavailable"),
        // What S3 says of a missing object to whoever may not list the bucket.
        (S3Fault::AccessDenied, 409, "voice_required"),
    ];
    let worlds = failures.map(async |(fault, status, code)| {
        let app = TestApp::new().await;
        let ada = app.performer("ada").await;
        app.s3().inject(3, Method::GET, fault);
        let response = app.perform(&ada, "Queen of Hearts").await;
        response.assert_problem(status, code);
        assert_eq!(app.elevenlabs().state().created.len(), 0);
        app.assert_nothing_remains(&ada).await;
        assert_eq!(app.char_count(&ada).await, 0);
    });
    futures::future::join_all(worlds).await;
}

#[tokio::test]
async fn s3_that_hangs_does_not_hold_the_audio_back() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.s3().inject(9, Method::PUT, S3Fault::HangBefore);
    let began = Instant::now();
    let body = json!({ "text": "Good morning." });
    let request = app.request(Method::POST, "/perform", Some(&ada)).header("idempotency-key", "k");
    let response = send(request.json(&body)).await;
    assert_eq!(response.status, 200, "{response:?}");
    // Two seconds, and not the twenty of a failing S3.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(app.char_count(&ada).await, 0, "a retry will be charged");
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn s3_failure_once_is_retried() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.s3().inject(1, Method::GET, S3Fault::SlowDown);
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn mongodb_down_means_no_voice_is_created() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    for collection in ["users", "clone_slots"] {
        app.wire().inject(1, None, Some(collection), refused());
        let response = app.perform(&ada, "Queen of Hearts").await;
        response.assert_problem(503, "service_unavailable");
        assert!(!String::from_utf8_lossy(&response.body).to_lowercase().contains("mongo"), "{response:?}");
        assert_eq!(app.elevenlabs().state().created.len(), 0);
        app.assert_nothing_remains(&ada).await;
    }
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn mongodb_failure_to_record_the_clone_still_uses_and_deletes_it() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    for collection in ["users", "clone_slots"] {
        app.wire().inject(1, Some("update"), Some(collection), refused());
        let response = app.perform(&ada, "Queen of Hearts").await;
        assert_eq!(response.status, 200, "{response:?}");
        app.assert_nothing_remains(&ada).await;
    }
}

#[tokio::test]
async fn mongodb_failure_to_release_a_slot_is_left_to_the_sweep() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    // The clone is noted; handing the slot back fails.
    app.wire().inject(1, Some("update"), Some("clone_slots"), pass());
    app.wire().inject(1, Some("update"), Some("clone_slots"), refused());
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    assert_eq!((app.held_slots().await, app.elevenlabs().state().existing.len()), (1, 0));
    app.expire_leases().await;
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.released, swept.failed), (0, 1, 0));
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn mongodb_failure_to_settle_returns_the_audio_and_is_left_to_the_sweep() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    // The clone is noted; ending the lease fails, as often as it is tried.
    app.wire().inject(1, Some("update"), Some("users"), pass());
    app.wire().inject(4, Some("update"), Some("users"), refused());
    let response = app.perform(&ada, "Queen of Hearts").await;
    assert_eq!(response.status, 200, "{response:?}");
    assert!(mp3::listen(&response.audio()).is_some());
    assert_eq!((app.held_slots().await, app.elevenlabs().state().existing.len()), (0, 0));
    assert!(app.stored(&ada).await.get_document("lease").is_ok(), "held until it runs out");

    app.expire_leases().await;
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.released, swept.failed), (0, 1, 0));
    app.assert_nothing_remains(&ada).await;
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn mongodb_lost_reply_leaves_nothing_after_a_sweep() {
    let commands = [
        ("findAndModify", "users"),
        ("findAndModify", "clone_slots"),
        ("update", "users"),
        ("update", "clone_slots"),
    ];
    for (command, collection) in commands {
        let app = TestApp::new().await;
        let ada = app.performer("ada").await;
        // Often enough that the driver's own repetition is lost too.
        app.wire().inject(2, Some(command), Some(collection), WireFault::CutAfter);
        app.perform(&ada, "Queen of Hearts").await;
        app.wire().reset();
        app.expire_leases().await;
        assert_eq!(app.backend.sweep().await.unwrap().failed, 0);
        app.assert_nothing_remains(&ada).await;
        assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200, "{command} {collection}");
    }
}

/// An error that the driver does not repeat.
fn refused() -> WireFault {
    WireFault::Refuse { code: 13, message: String::from("not authorized on test to execute command") }
}

/// Lets one command through, so that the one after it can fail.
fn pass() -> WireFault {
    WireFault::Delay(Duration::ZERO)
}
