//! Speech that fails: the clone is gone all the same, and nothing is charged.

use std::time::{Duration, Instant};

use axum::http::{HeaderValue, Method, Response, header::CONTENT_TYPE};
use bytes::Bytes;
use futures::future::join_all;
use mongodb::bson::{DateTime, Document, doc};
use serde_json::json;
use tests::{
    fakes::{
        elevenlabs::Delays,
        faults::{Fault, Operation},
    },
    harness::{Setup, TestApp, send},
};

#[tokio::test]
async fn speech_refused_deletes_the_clone_and_costs_nothing() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let failures =
        [Fault::model_not_found(), Fault::text_too_long(), Fault::unprocessable(), Fault::invalid_api_key()];
    let count = failures.len();
    for fault in failures {
        app.elevenlabs().faults().next(Operation::Synthesize, fault);
        let response = app.perform(&ada, "Queen of Hearts").await;
        response.assert_problem(502, "synthesis_failed");
        app.assert_nothing_remains(&ada).await;
        assert_eq!(app.char_count(&ada).await, 0);
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len()), (count, count));
    assert_eq!(app.elevenlabs().requests().count(Operation::Synthesize), count, "none was repeated");
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn speech_that_fails_for_a_moment_is_tried_again_with_the_same_clone() {
    let troubles = [
        Fault::too_many_concurrent_requests(),
        Fault::system_busy(),
        Fault::rate_limit_exceeded(),
        Fault::internal_server_error(),
        Fault::html_503(),
        Fault::voice_not_found(),
        Fault::voice_not_found_400(),
        Fault::ResetBeforeEffect,
        Fault::ResetAfterEffect,
        Fault::TruncatedBody,
    ];
    let worlds = troubles.map(async |fault| {
        let app = TestApp::new().await;
        let ada = app.performer("ada").await;
        app.elevenlabs().faults().next(Operation::Synthesize, fault.clone());
        let single = app.post_as(&ada, "/perform", &json!({ "text": "Good morning." })).await;
        assert_eq!(single.status, 200, "{fault:?}: {single:?}");
        app.elevenlabs().faults().next(Operation::Synthesize, fault.clone());
        let takes = json!({ "takes": [{ "text": "Good evening." }, { "text": "Good night, all." }] });
        let list = app.post_as(&ada, "/perform", &takes).await.json();
        assert_eq!((&list["takes"][0]["status"], &list["takes"][1]["status"]), (&json!("ok"), &json!("ok")));
        let ledger = app.elevenlabs().state();
        assert_eq!((ledger.created.len(), ledger.deleted.len()), (2, 2), "{fault:?}");
        assert_eq!(app.char_count(&ada).await, 7 + 7 + 8, "{fault:?}");
        app.assert_nothing_remains(&ada).await;
    });
    futures::future::join_all(worlds).await;
}

#[tokio::test]
async fn speech_that_keeps_failing_ends_in_a_clear_error() {
    let troubles = [
        (Fault::system_busy(), 503, "provider_unavailable"),
        (Fault::html_503(), 503, "provider_unavailable"),
        (Fault::ResetBeforeEffect, 503, "provider_unavailable"),
        (Fault::voice_not_found(), 502, "synthesis_failed"),
        (Fault::TruncatedBody, 502, "synthesis_failed"),
    ];
    let worlds = troubles.map(async |(fault, status, code)| {
        let env = vec![("PERFORM_TIMEOUT_SECONDS", String::from("21"))];
        let app = TestApp::with(Setup { env, ..Setup::default() }).await;
        let ada = app.performer("ada").await;
        app.elevenlabs().faults().always(Operation::Synthesize, fault);
        app.perform(&ada, "Queen of Hearts").await.assert_problem(status, code);
        assert!(app.elevenlabs().requests().count(Operation::Synthesize) > 1);
        assert_eq!((app.elevenlabs().state().created.len(), app.char_count(&ada).await), (1, 0));
        app.assert_nothing_remains(&ada).await;
    });
    futures::future::join_all(worlds).await;
}

#[tokio::test]
async fn speech_of_ten_users_on_a_plan_for_three_at_once_is_all_served() {
    let mut setup = Setup::default();
    setup.elevenlabs.concurrency = 3;
    setup.elevenlabs.delays = Delays { first_byte: Duration::from_millis(500), ..Delays::default() };
    setup.env = vec![("ELEVENLABS_MODEL", String::from("eleven_multilingual_v2"))];
    let app = TestApp::with(setup).await;
    let names: Vec<String> = (0..10).map(|at| format!("user{at}")).collect();
    let users = join_all(names.iter().map(|name| app.performer(name))).await;
    let responses = join_all(users.iter().map(|user| app.perform(user, "Queen of Hearts"))).await;
    for response in responses {
        assert_eq!(response.status, 200, "{response:?}");
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.synthesized.len()), (10, 10, 10));
    assert!(app.elevenlabs().requests().count(Operation::Synthesize) > 10, "some were refused at first");
}

#[tokio::test]
async fn speech_is_judged_by_its_bytes() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let good = app.post_as(&ada, "/perform", &json!({ "text": "Good morning." })).await.audio();
    let before = app.char_count(&ada).await;
    let page = "<html>Please log in to the hotel's network</html>".repeat(50);
    let bad: [Vec<u8>; 8] = [
        page.into_bytes(),
        br#"{"audio_base64":""}"#.to_vec(),
        vec![0; 20_000],
        vec![0xff, 0xfb, 0x90],
        Vec::new(),
        [b"RIFF\x24\x10\x00\x00WAVEfmt ".to_vec(), vec![0; 4096]].concat(),
        // Cut off, in the middle of a frame.
        good[..good.len() / 3].to_vec(),
        good.repeat(6 * 1024 * 1024 / good.len() + 1),
    ];
    for audio in bad {
        app.elevenlabs().faults().next_n(Operation::Synthesize, 2, &labelled("audio/mpeg", &audio));
        app.elevenlabs().requests().clear();
        let response = app.post_as(&ada, "/perform", &json!({ "text": "Good afternoon." })).await;
        response.assert_problem(502, "synthesis_failed");
        assert_eq!(app.elevenlabs().requests().count(Operation::Synthesize), 2, "tried again once");
        assert_eq!(app.char_count(&ada).await, before);
        app.assert_nothing_remains(&ada).await;

        app.elevenlabs().faults().next(Operation::Synthesize, labelled("audio/mpeg", &audio));
        let body = json!({ "text": "Good afternoon.", "voice": "default" });
        let request = app.request(Method::POST, "/perform", Some(&ada)).header("idempotency-key", "k");
        assert_eq!(send(request.json(&body)).await.status, 200);
        app.rewrite(&ada, doc! { "$set": { "usage.chars": before, "replays": [] } }).await;
    }
    for label in ["Audio/MPEG", "audio/mpeg; charset=binary", "application/octet-stream"] {
        app.elevenlabs().faults().next(Operation::Synthesize, labelled(label, &good));
        let response =
            app.post_as(&ada, "/perform", &json!({ "text": "Good morning.", "voice": "default" })).await;
        assert_eq!(response.audio(), good, "{label}");
    }
}

#[tokio::test]
async fn speech_without_credits_says_so_and_spends_no_further_creation() {
    for fault in [Fault::characters_exhausted(), Fault::insufficient_credits()] {
        let app = TestApp::new().await;
        let (ada, bob) = (app.performer("ada").await, app.performer("bob").await);
        app.elevenlabs().faults().always(Operation::Synthesize, fault);
        for user in [&ada, &bob, &ada] {
            let refused = app.perform(user, "Queen of Hearts").await;
            refused.assert_problem(503, "provider_credits_exhausted");
            let seconds: u64 = refused.header("retry-after").parse().unwrap();
            assert!(seconds > 60, "to the reset: {seconds}");
            app.assert_nothing_remains(user).await;
        }
        assert_eq!(app.elevenlabs().state().created.len(), 1);
        assert_eq!((app.char_count(&ada).await, app.char_count(&bob).await), (0, 0));

        // A minute later it is tried again.
        app.elevenlabs().faults().clear();
        let slots = app.backend.database.collection::<Document>("clone_slots");
        let past = doc! { "$set": { "credits_exhausted.until": DateTime::from_millis(0) } };
        assert_eq!(slots.update_one(doc! {}, past).await.unwrap().modified_count, 1);
        assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    }
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
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::text_too_long());
    let body = json!({ "text": "Good morning.", "voice": "default" });
    app.post_as(&ada, "/perform", &body).await.assert_problem(502, "synthesis_failed");
    app.assert_nothing_remains(&ada).await;
    assert_eq!(app.char_count(&ada).await, 0);
}

/// A 200 with these bytes under this label.
fn labelled(media_type: &'static str, audio: &[u8]) -> Fault {
    let mut response = Response::new(Bytes::copy_from_slice(audio));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    Fault::Respond(response)
}
