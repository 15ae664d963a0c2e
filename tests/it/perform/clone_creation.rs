//! The clone's beginning: what a failed creation tells the client and leaves behind.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tests::{
    fakes::{
        elevenlabs::Delays,
        faults::{Fault, Operation},
    },
    harness::{Response, Setup, TestApp, User, WEBM, eventually},
};

#[tokio::test]
async fn creation_refused_by_the_provider_costs_nothing_and_leaves_nothing() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let refusals = [
        (Fault::invalid_api_key(), 502, "clone_failed"),
        (Fault::missing_permissions(), 502, "clone_failed"),
        (Fault::no_instant_voice_cloning(), 502, "clone_failed"),
        (Fault::invalid_audio(), 422, "recording_refused"),
        (Fault::voice_sample_too_short(), 422, "recording_refused"),
        (Fault::upload_file_size_exceeded(), 502, "clone_failed"),
        (Fault::duplicated_files(), 502, "clone_failed"),
        (Fault::unprocessable(), 502, "clone_failed"),
        (Fault::bare_not_found(), 502, "clone_failed"),
        (Fault::voice_add_edit_limit_reached(), 503, "clone_budget_exhausted"),
        (Fault::voice_add_edit_limit_reached_403(), 503, "clone_budget_exhausted"),
        (Fault::too_many_concurrent_requests(), 503, "provider_unavailable"),
        (Fault::system_busy(), 503, "provider_unavailable"),
        (Fault::rate_limit_exceeded(), 503, "provider_unavailable"),
    ];
    for (fault, status, code) in refusals {
        app.elevenlabs().faults().next(Operation::Create, fault.clone());
        let response = app.perform(&ada, "Queen of Hearts").await;
        let problem = response.assert_problem(status, code);
        assert_says_nothing_of_the_provider(&response);
        assert!(problem["detail"].as_str().unwrap().contains("Nothing was charged"), "{problem}");
        app.assert_nothing_remains(&ada).await;
        assert_eq!(app.char_count(&ada).await, 0, "{fault:?}");
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.synthesized.len()), (0, 0));
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn creation_at_the_accounts_limits_says_so() {
    let mut setup = Setup::default();
    setup.elevenlabs.max_voice_add_edits = Some(1);
    let app = TestApp::with(setup).await;
    let ada = app.performer("ada").await;
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    let spent = app.perform(&ada, "Queen of Hearts").await;
    spent.assert_problem(503, "clone_budget_exhausted");
    assert_eq!(spent.header("retry-after"), "86400");
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn creation_with_a_lost_reply_is_found_by_name_and_used() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().next(Operation::Create, Fault::ResetAfterEffect);
    let response = app.perform(&ada, "Queen of Hearts").await;
    assert_eq!(response.status, 200, "{response:?}");
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len()), (1, 1), "never made twice");
    assert_eq!(ledger.synthesized[0].voice_id, ledger.created[0].voice_id);
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn creation_listed_late_is_found_all_the_same() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_list_lag(Duration::from_millis(400));
    app.elevenlabs().faults().next(Operation::Create, Fault::ResetAfterEffect);
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn creation_of_unknown_outcome_is_left_to_the_sweep() {
    let faults = [
        Fault::internal_server_error(),
        Fault::html_503(),
        Fault::ResetBeforeEffect,
        Fault::json(200, &json!({ "voice_id": "", "requires_verification": false })),
        Fault::json(200, &json!({ "voice_id": "../models", "requires_verification": false })),
        Fault::html(200, "<html>Please log in to the hotel's network</html>"),
        Fault::html(404, "<html>Not Found</html>"),
        Fault::text(408, ""),
        Fault::json(409, &json!({ "detail": "Conflict" })),
        Fault::text(425, ""),
        Fault::text(499, ""),
    ];
    let worlds = faults.map(async |fault| {
        let app = TestApp::new().await;
        let ada = app.performer("ada").await;
        app.elevenlabs().faults().next(Operation::Create, fault);
        let response = app.perform(&ada, "Queen of Hearts").await;
        response.assert_problem(503, "provider_unavailable");
        assert_says_nothing_of_the_provider(&response);
        assert_eq!(app.elevenlabs().state().created.len(), 0, "it was not tried again");
        assert_left_to_the_sweep(&app, &ada).await;
    });
    futures::future::join_all(worlds).await;
}

#[tokio::test]
async fn creation_that_appears_after_giving_up_is_swept() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_list_lag(Duration::from_secs(10));
    app.elevenlabs().faults().next(Operation::Create, Fault::ResetAfterEffect);
    app.perform(&ada, "Queen of Hearts").await.assert_problem(503, "provider_unavailable");
    assert_eq!(app.elevenlabs().state().existing.len(), 1);
    assert_eq!(app.char_count(&ada).await, 0);

    app.expire_leases().await;
    eventually("it is listed and swept", async || app.backend.sweep().await.unwrap().swept == 1).await;
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn creation_without_a_reply_ends_within_the_timeout() {
    let setups = [(Fault::TimeoutBeforeEffect, false), (Fault::TimeoutAfterEffect, true)];
    let worlds = setups.map(async |(fault, exists)| {
        let app = TestApp::with(hurried()).await;
        let ada = app.performer("ada").await;
        app.elevenlabs().faults().next(Operation::Create, fault);
        let began = Instant::now();
        app.perform(&ada, "Queen of Hearts").await.assert_problem(504, "deadline_exceeded");
        assert!(began.elapsed() < Duration::from_secs(21), "within the function's own timeout");
        assert_eq!(app.elevenlabs().state().created.len(), usize::from(exists));
        if exists {
            app.assert_nothing_remains(&ada).await;
        } else {
            assert_left_to_the_sweep(&app, &ada).await;
        }
        assert_eq!(app.char_count(&ada).await, 0);
    });
    futures::future::join_all(worlds).await;
}

#[tokio::test]
async fn creation_failing_for_a_while_keeps_nobody_waiting_after_it() {
    let app = TestApp::new().await;
    let names: Vec<String> = (0..10).map(|at| format!("user{at}")).collect();
    let users = join_all(names.iter().map(|name| app.performer(name))).await;
    app.elevenlabs().faults().always(Operation::Create, Fault::internal_server_error());
    let refused = join_all(users.iter().map(|user| app.perform(user, "Queen of Hearts"))).await;
    for response in refused {
        response.assert_problem(503, "provider_unavailable");
        let seconds: u64 = response.header("retry-after").parse().unwrap();
        assert!((1..=12).contains(&seconds), "for as long as the list may lag: {seconds}");
    }
    assert_eq!(app.held_slots().await, 10);
    app.elevenlabs().faults().clear();
    // Each waits for the rest of the doubt, which is less than a perform waits, and is served.
    let served = join_all(users.iter().map(|user| app.perform(user, "Queen of Hearts"))).await;
    for response in served {
        assert_eq!(response.status, 200, "{response:?}");
    }
    assert_eq!(app.elevenlabs().state().created.len(), 10);
    for user in &users {
        app.assert_nothing_remains(user).await;
    }
}

#[tokio::test]
async fn creation_waits_while_the_account_is_full_of_foreign_voices() {
    let app = TestApp::new().await;
    app.elevenlabs().set_delays(Delays { first_byte: Duration::from_secs(1), ..Delays::default() });
    let foreign: Vec<String> =
        (0..8).map(|at| app.elevenlabs().seed_voice(&format!("Rachel {at}"), "cloned", Some(1))).collect();
    let users = join_all(["ada", "bob", "eve", "joe", "kim"].map(|name| app.performer(name))).await;
    let served = join_all(users.iter().map(|user| app.perform(user, "Queen of Hearts"))).await;
    for response in served {
        assert_eq!(response.status, 200, "{response:?}");
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.existing.len()), (5, foreign.len()));

    // Not for ever, and without a trace.
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().always(Operation::Create, Fault::voice_limit_reached());
    app.perform(&ada, "Queen of Hearts").await.assert_problem(503, "clone_slots_busy");
    assert!(app.elevenlabs().requests().count(Operation::Create) > 1);
    app.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn creation_that_requires_verification_is_deleted_and_not_repeated_for_the_recording() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_requires_verification(true);
    for _ in 0..2 {
        app.perform(&ada, "Queen of Hearts").await.assert_problem(502, "clone_failed");
        app.assert_nothing_remains(&ada).await;
    }
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.synthesized.len()), (1, 1, 0));
    assert_eq!(app.char_count(&ada).await, 0);

    app.elevenlabs().set_requires_verification(false);
    assert_eq!(app.upload(&ada, WEBM).await.status, 200);
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn creation_at_an_unreachable_provider_leaves_nothing() {
    // A port that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let env = vec![
        ("ELEVENLABS_API_KEY", String::from("any")),
        ("ELEVENLABS_BASE_URL", format!("http://{closed}")),
    ];
    let app = TestApp::with(Setup { env, ..Setup::default() }).await;
    let ada = app.performer("ada").await;
    app.perform(&ada, "Queen of Hearts").await.assert_problem(503, "provider_unavailable");
    assert_eq!(app.held_slots().await, 0);
    assert_eq!(app.stored(&ada).await.get("lease"), Some(&mongodb::bson::Bson::Null));
    assert_eq!(app.char_count(&ada).await, 0);
}

/// A deployment whose functions have hardly more time than a clone needs.
fn hurried() -> Setup {
    Setup { env: vec![("PERFORM_TIMEOUT_SECONDS", String::from("21"))], ..Setup::default() }
}

/// Asserts that the slot is kept until its lease ran out, and that the sweep then leaves nothing.
async fn assert_left_to_the_sweep(app: &TestApp, user: &User) {
    assert_eq!(app.held_slots().await, 1, "a voice may still appear");
    let early = app.backend.sweep().await.unwrap();
    assert_eq!((early.released, app.held_slots().await), (0, 1));
    app.expire_leases().await;
    let swept = app.backend.sweep().await.unwrap();
    assert_eq!((swept.released, swept.failed), (2, 0), "the slot and the user's lease");
    app.assert_nothing_remains(user).await;
    assert_eq!(app.char_count(user).await, 0);
}

#[track_caller]
fn assert_says_nothing_of_the_provider(response: &Response) {
    let text = String::from_utf8_lossy(&response.body).to_lowercase();
    for word in ["elevenlabs", "invalid_api_key", "newvisions:test", "subscription", "html"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}
