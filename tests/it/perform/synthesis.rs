//! Speech that fails: the clone is gone all the same, and nothing is charged.

use std::time::{Duration, Instant};

use axum::http::{HeaderValue, Response, header::CONTENT_TYPE};
use bytes::Bytes;
use serde_json::json;
use tests::{
    fakes::faults::{Fault, Operation},
    harness::{Setup, TestApp},
};

#[tokio::test]
async fn speech_refused_cut_or_empty_deletes_the_clone_and_costs_nothing() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let failures = [
        (Fault::characters_exhausted(), 502, "synthesis_failed"),
        (Fault::insufficient_credits(), 502, "synthesis_failed"),
        (Fault::model_not_found(), 502, "synthesis_failed"),
        (Fault::text_too_long(), 502, "synthesis_failed"),
        (Fault::unprocessable(), 502, "synthesis_failed"),
        (Fault::voice_not_found(), 502, "synthesis_failed"),
        (Fault::too_many_concurrent_requests(), 503, "provider_unavailable"),
        (Fault::system_busy(), 503, "provider_unavailable"),
        (Fault::internal_server_error(), 503, "provider_unavailable"),
        (Fault::html_503(), 503, "provider_unavailable"),
        (Fault::html(200, "<html>Please log in to the hotel's network</html>"), 503, "provider_unavailable"),
        (Fault::json(200, &json!({ "audio_base64": "" })), 503, "provider_unavailable"),
        (silence(), 503, "provider_unavailable"),
        (Fault::TruncatedBody, 503, "provider_unavailable"),
        (Fault::ResetBeforeEffect, 503, "provider_unavailable"),
        (Fault::ResetAfterEffect, 503, "provider_unavailable"),
    ];
    let count = failures.len();
    for (fault, status, code) in failures {
        app.elevenlabs().faults().next(Operation::Synthesize, fault);
        let response = app.perform(&ada, "Queen of Hearts").await;
        response.assert_problem(status, code);
        app.assert_nothing_remains(&ada).await;
        assert_eq!(app.char_count(&ada).await, 0);
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len()), (count, count));
    assert_eq!(app.elevenlabs().requests().count(Operation::Synthesize), count, "none was repeated");
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn speech_that_is_late_leaves_time_to_delete_the_clone() {
    let faults = [Fault::TimeoutBeforeEffect, Fault::SlowDrip(Duration::from_mins(1))];
    let worlds = faults.map(async |fault| {
        let env = vec![("PERFORM_TIMEOUT_SECONDS", String::from("21"))];
        let app = TestApp::with(Setup { env, ..Setup::default() }).await;
        let ada = app.performer("ada").await;
        app.elevenlabs().faults().next(Operation::Synthesize, fault);
        let began = Instant::now();
        app.perform(&ada, "Queen of Hearts").await.assert_problem(504, "deadline_exceeded");
        assert!(began.elapsed() < Duration::from_secs(21), "within the function's own timeout");
        app.assert_nothing_remains(&ada).await;
        assert_eq!(app.char_count(&ada).await, 0);
    });
    futures::future::join_all(worlds).await;
}

#[tokio::test]
async fn default_voice_that_fails_costs_nothing() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::characters_exhausted());
    let body = json!({ "text": "Good morning.", "voice": "default" });
    app.post_as(&ada, "/perform", &body).await.assert_problem(502, "synthesis_failed");
    app.assert_nothing_remains(&ada).await;
    assert_eq!(app.char_count(&ada).await, 0);
}

/// A 200 without a byte of audio.
fn silence() -> Fault {
    let mut response = Response::new(Bytes::new());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("audio/mpeg"));
    Fault::Respond(response)
}
