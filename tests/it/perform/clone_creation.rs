//! The clone's beginning: what a failed creation tells the client and leaves behind.

use std::time::{Duration, Instant};
use tests::{
    fakes::faults::{Fault, Operation},
    harness::{Response, Setup, TestApp, User, eventually},
};

#[tokio::test]
async fn creation_refused_by_the_provider_costs_nothing_and_leaves_nothing() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let refusals = [
        (Fault::invalid_api_key(), 502, "clone_failed"),
        (Fault::missing_permissions(), 502, "clone_failed"),
        (Fault::no_instant_voice_cloning(), 502, "clone_failed"),
        (Fault::invalid_audio(), 502, "clone_failed"),
        (Fault::voice_sample_too_short(), 502, "clone_failed"),
        (Fault::upload_file_size_exceeded(), 502, "clone_failed"),
        (Fault::duplicated_files(), 502, "clone_failed"),
        (Fault::unprocessable(), 502, "clone_failed"),
        (Fault::bare_not_found(), 502, "clone_failed"),
        (Fault::voice_limit_reached(), 503, "clone_slots_busy"),
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
    let faults = [Fault::internal_server_error(), Fault::html_503(), Fault::ResetBeforeEffect];
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
async fn creation_that_requires_verification_is_deleted_unused() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_requires_verification(true);
    app.perform(&ada, "Queen of Hearts").await.assert_problem(502, "clone_failed");
    let ledger = app.elevenlabs().state();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.synthesized.len()), (1, 1, 0));
    app.assert_nothing_remains(&ada).await;
    assert_eq!(app.char_count(&ada).await, 0);
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
