//! The clone's beginning: what a failed creation tells the client and leaves behind.

use std::time::{Duration, Instant};

use tests::fakes::faults::{Fault, Operation};

use crate::test_app::{Answer, Setup, TestApp, User, eventually};

#[tokio::test]
async fn a_refused_creation_is_told_apart_costs_nothing_and_leaves_nothing() {
    let world = TestApp::new().await;
    let ada = world.performer("ada").await;
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
        world.elevenlabs().faults().next(Operation::Create, fault.clone());
        let answer = world.perform(&ada, "Queen of Hearts").await;
        let problem = answer.assert_problem(status, code);
        assert_says_nothing_of_the_provider(&answer);
        assert!(problem["detail"].as_str().unwrap().contains("Nothing was charged"), "{problem}");
        world.assert_nothing_remains(&ada).await;
        assert_eq!(world.char_count(&ada).await, 0, "{fault:?}");
    }
    let ledger = world.elevenlabs().ledger();
    assert_eq!((ledger.created.len(), ledger.synthesized.len()), (0, 0));
    assert_eq!(world.perform(&ada, "Queen of Hearts").await.status, 200);
}

#[tokio::test]
async fn the_accounts_own_limits_are_told_as_such() {
    let mut setup = Setup::default();
    setup.elevenlabs.max_voice_add_edits = Some(1);
    let world = TestApp::with(setup).await;
    let ada = world.performer("ada").await;
    assert_eq!(world.perform(&ada, "Queen of Hearts").await.status, 200);
    let spent = world.perform(&ada, "Queen of Hearts").await;
    spent.assert_problem(503, "clone_budget_exhausted");
    assert_eq!(spent.header("retry-after"), "86400");
    world.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn a_voice_whose_creation_was_answered_by_a_reset_is_found_by_name_and_used() {
    let world = TestApp::new().await;
    let ada = world.performer("ada").await;
    world.elevenlabs().faults().next(Operation::Create, Fault::ResetAfterEffect);
    let answer = world.perform(&ada, "Queen of Hearts").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let ledger = world.elevenlabs().ledger();
    assert_eq!((ledger.created.len(), ledger.deleted.len()), (1, 1), "never made twice");
    assert_eq!(ledger.synthesized[0].voice_id, ledger.created[0].voice_id);
    world.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn a_voice_that_is_listed_late_is_found_all_the_same() {
    let world = TestApp::new().await;
    let ada = world.performer("ada").await;
    world.elevenlabs().set_list_lag(Duration::from_millis(400));
    world.elevenlabs().faults().next(Operation::Create, Fault::ResetAfterEffect);
    assert_eq!(world.perform(&ada, "Queen of Hearts").await.status, 200);
    world.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn a_creation_without_a_clear_answer_is_left_to_the_sweep_when_no_voice_is_found() {
    let faults = [Fault::internal_server_error(), Fault::html_503(), Fault::ResetBeforeEffect];
    let worlds = faults.map(async |fault| {
        let world = TestApp::new().await;
        let ada = world.performer("ada").await;
        world.elevenlabs().faults().next(Operation::Create, fault);
        let answer = world.perform(&ada, "Queen of Hearts").await;
        answer.assert_problem(503, "provider_unavailable");
        assert_says_nothing_of_the_provider(&answer);
        assert_eq!(world.elevenlabs().ledger().created.len(), 0, "it was not tried again");
        assert_left_to_the_sweep(&world, &ada).await;
    });
    futures::future::join_all(worlds).await;
}

#[tokio::test]
async fn a_voice_that_appears_after_all_was_given_up_is_swept() {
    let world = TestApp::new().await;
    let ada = world.performer("ada").await;
    world.elevenlabs().set_list_lag(Duration::from_secs(4));
    world.elevenlabs().faults().next(Operation::Create, Fault::ResetAfterEffect);
    world.perform(&ada, "Queen of Hearts").await.assert_problem(503, "provider_unavailable");
    assert_eq!(world.elevenlabs().ledger().living.len(), 1);
    assert_eq!(world.char_count(&ada).await, 0);

    world.let_leases_run_out().await;
    eventually("it is listed and swept", async || world.backend.sweep().await.unwrap().swept == 1).await;
    world.assert_nothing_remains(&ada).await;
}

#[tokio::test]
async fn a_creation_that_is_never_answered_ends_with_the_time_and_not_with_the_lease() {
    let setups = [(Fault::TimeoutBeforeEffect, false), (Fault::TimeoutAfterEffect, true)];
    let worlds = setups.map(async |(fault, exists)| {
        let world = TestApp::with(hurried()).await;
        let ada = world.performer("ada").await;
        world.elevenlabs().faults().next(Operation::Create, fault);
        let began = Instant::now();
        world.perform(&ada, "Queen of Hearts").await.assert_problem(504, "deadline_exceeded");
        assert!(began.elapsed() < Duration::from_secs(21), "within the function's own timeout");
        assert_eq!(world.elevenlabs().ledger().created.len(), usize::from(exists));
        if exists {
            world.assert_nothing_remains(&ada).await;
        } else {
            assert_left_to_the_sweep(&world, &ada).await;
        }
        assert_eq!(world.char_count(&ada).await, 0);
    });
    futures::future::join_all(worlds).await;
}

#[tokio::test]
async fn a_voice_that_wants_to_be_verified_is_deleted_unused() {
    let world = TestApp::new().await;
    let ada = world.performer("ada").await;
    world.elevenlabs().set_requires_verification(true);
    world.perform(&ada, "Queen of Hearts").await.assert_problem(502, "clone_failed");
    let ledger = world.elevenlabs().ledger();
    assert_eq!((ledger.created.len(), ledger.deleted.len(), ledger.synthesized.len()), (1, 1, 0));
    world.assert_nothing_remains(&ada).await;
    assert_eq!(world.char_count(&ada).await, 0);
}

#[tokio::test]
async fn a_provider_out_of_reach_is_unavailable_and_leaves_nothing() {
    // A port that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let env = vec![
        ("ELEVENLABS_API_KEY", String::from("any")),
        ("ELEVENLABS_BASE_URL", format!("http://{closed}")),
    ];
    let world = TestApp::with(Setup { env, ..Setup::default() }).await;
    let ada = world.performer("ada").await;
    world.perform(&ada, "Queen of Hearts").await.assert_problem(503, "provider_unavailable");
    assert_eq!(world.held_slots().await, 0);
    assert_eq!(world.stored(&ada).await.get("lease"), Some(&mongodb::bson::Bson::Null));
    assert_eq!(world.char_count(&ada).await, 0);
}

/// A deployment whose functions have hardly more time than a clone needs.
fn hurried() -> Setup {
    Setup { env: vec![("PERFORM_TIMEOUT_SECONDS", String::from("21"))], ..Setup::default() }
}

/// Asserts that the slot is kept until its lease ran out, and that the sweep then leaves nothing.
async fn assert_left_to_the_sweep(world: &TestApp, user: &User) {
    assert_eq!(world.held_slots().await, 1, "a voice may still appear");
    let early = world.backend.sweep().await.unwrap();
    assert_eq!((early.released, world.held_slots().await), (0, 1));
    world.let_leases_run_out().await;
    let swept = world.backend.sweep().await.unwrap();
    assert_eq!((swept.released, swept.failed), (2, 0), "the slot and the user's lease");
    world.assert_nothing_remains(user).await;
    assert_eq!(world.char_count(user).await, 0);
}

#[track_caller]
fn assert_says_nothing_of_the_provider(answer: &Answer) {
    let text = String::from_utf8_lossy(&answer.body).to_lowercase();
    for word in ["elevenlabs", "invalid_api_key", "newvisions:test", "subscription", "html"] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}
