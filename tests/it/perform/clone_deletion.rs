//! The clone's end: it is deleted whatever happened, and when it cannot be, the sweep does it.

use http::Method;
use serde_json::json;
use tests::{
    fakes::{
        elevenlabs::Delays,
        faults::{Fault, Operation},
    },
    harness::{SLOW, TestApp, User, eventually, mp3},
};

#[tokio::test]
async fn deletion_that_fails_once_is_retried() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    for fault in [
        Fault::html_503(),
        Fault::internal_server_error(),
        Fault::system_busy(),
        Fault::invalid_api_key(),
        Fault::ResetBeforeEffect,
    ] {
        app.elevenlabs().faults().next(Operation::Delete, fault);
        let response = app.perform(&ada, "Queen of Hearts").await;
        assert_eq!(response.status, 200, "{response:?}");
        app.assert_nothing_remains(&ada).await;
    }
    assert_eq!(app.elevenlabs().state().deleted.len(), 5);
}

#[tokio::test]
async fn deletion_of_a_voice_that_is_not_found_is_a_success() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    for form in [
        Fault::voice_not_found(),
        Fault::voice_not_found_400(),
        Fault::voice_does_not_exist(),
        Fault::invalid_uid(),
        Fault::bare_not_found(),
        Fault::text(404, ""),
        Fault::json(404, &json!({ "detail": { "status": "not_found", "message": "…" } })),
        Fault::json(410, &json!({})),
        Fault::html(410, "<html>Gone</html>"),
    ] {
        // It is deleted, but the response is lost; the second attempt finds it gone.
        app.elevenlabs().faults().next(Operation::Delete, Fault::ResetAfterEffect);
        app.elevenlabs().faults().next(Operation::Delete, form);
        app.elevenlabs().requests().clear();
        assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
        assert_eq!(app.elevenlabs().requests().count(Operation::Delete), 2);
        app.assert_nothing_remains(&ada).await;
    }
}

#[tokio::test]
async fn deletion_failure_returns_the_audio_and_is_left_to_the_sweep() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let grace = app.performer("grace").await;
    app.elevenlabs().faults().always(Operation::Delete, Fault::html_503());
    let response = app.perform(&ada, "Queen of Hearts").await;
    assert_eq!(response.status, 200, "{response:?}");
    assert!(mp3::listen(&response.audio()).is_some());
    assert_eq!(app.char_count(&ada).await, response.json()["charsUsedEffective"]);
    let voice = app.elevenlabs().state().existing[0].voice_id.clone();
    assert_orphaned(&app, &ada, &voice).await;

    // Nobody else is bothered, and a sweep that fails too changes nothing.
    let failed = app.backend.sweep().await.unwrap();
    assert_eq!((failed.swept, failed.released, failed.failed), (0, 0, 1));
    assert_orphaned(&app, &ada, &voice).await;
    app.elevenlabs().faults().clear();
    assert_eq!(app.perform(&grace, "Seven of Clubs").await.status, 200);
    assert_orphaned(&app, &ada, &voice).await;

    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.swept, swept.released, swept.failed), (1, 2, 0));
    app.assert_nothing_remains(&ada).await;
    assert_eq!(app.char_count(&ada).await, response.json()["charsUsedEffective"], "charged once");
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn orphan_of_a_user_is_swept_by_their_next_perform() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().next_n(Operation::Delete, 4, &Fault::html_503());
    let first = app.perform(&ada, "Queen of Hearts").await.json();
    assert_eq!(app.elevenlabs().state().existing.len(), 1);
    let second = app.perform(&ada, "Seven of Clubs").await;
    assert_eq!(second.status, 200, "{second:?}");
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.deleted.len(), ledger.max_existing), (2, 1), "never two at once");
    app.assert_nothing_remains(&ada).await;
    let both = [&first, &second.json()].map(|response| response["charsUsedEffective"].as_i64().unwrap());
    assert_eq!(app.char_count(&ada).await, both.iter().sum::<i64>());
}

#[tokio::test]
async fn client_that_disconnects_does_not_prevent_deletion() {
    for while_it_speaks in [false, true] {
        let app = TestApp::new().await;
        let ada = app.performer("ada").await;
        app.elevenlabs().set_delays(Delays { create: SLOW, first_byte: SLOW, ..Delays::default() });
        let request = app.request(Method::POST, "/perform", Some(&ada));
        let request = request.json(&json!({ "text": "Good morning, I had a dream." }));
        let client = tokio::spawn(request.send());
        eventually("it is at work", async || {
            let slots = app.held_slots().await;
            if while_it_speaks { app.elevenlabs().state().created.len() == 1 } else { slots == 1 }
        })
        .await;
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled(), "the connection is closed without a response");
        assert_eq!(app.elevenlabs().state().deleted.len(), 0);

        eventually("the clone is deleted", async || app.elevenlabs().state().deleted.len() == 1).await;
        eventually("the slot is free", async || app.held_slots().await == 0).await;
        eventually("the characters are charged", async || app.char_count(&ada).await == 14).await;
        app.assert_nothing_remains(&ada).await;
    }
}

#[tokio::test]
async fn clone_id_is_shown_only_while_the_clone_exists() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(Delays { first_byte: SLOW, ..Delays::default() });
    let watching = async {
        eventually("the clone is noted", async || {
            app.get_as(&ada, "/users/me/voice/meta").await.json()["voiceCloneId"].is_string()
        })
        .await;
        let meta = app.get_as(&ada, "/users/me/voice/meta").await.json();
        assert_eq!(meta["voiceCloneId"], app.elevenlabs().state().existing[0].voice_id);
    };
    let (performed, ()) = tokio::join!(app.perform(&ada, "Queen of Hearts"), watching);
    assert_eq!(performed.status, 200);
    let meta = app.get_as(&ada, "/users/me/voice/meta").await.json();
    // "hasClone" is for the app, which opens Perform by it.
    assert_eq!((&meta["hasClone"], &meta["voiceCloneId"]), (&json!(true), &json!(null)));
    app.assert_nothing_remains(&ada).await;
}

/// Asserts that the voice lives on, and that both records of it do.
async fn assert_orphaned(app: &TestApp, user: &User, voice_id: &str) {
    assert_eq!(app.elevenlabs().state().existing[0].voice_id, voice_id);
    assert_eq!(app.held_slots().await, 1);
    let meta = app.get_as(user, "/users/me/voice/meta").await.json();
    assert_eq!(meta["voiceCloneId"], voice_id);
}
