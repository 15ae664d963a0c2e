//! The model that speaks: what the operator is told of a bad choice, and what happens on stage.

use serde_json::json;
use tests::{
    fakes::faults::{Fault, Operation},
    harness::{Setup, TestApp},
};

use crate::platform::secrets::{Log, runtime};

fn speaking_with(model: &str) -> Setup {
    Setup { env: vec![("ELEVENLABS_MODEL", model.to_owned())], ..Setup::default() }
}

#[test]
fn model_that_should_not_be_used_is_named_at_start_and_in_health() {
    for (model, status, factor) in [
        ("eleven_flash_v2_5", "current", 0.5),
        ("eleven_v4", "current", 1.0),
        ("eleven_turbo_v2_5", "deprecated", 0.5),
        ("eleven_monolingual_v1", "retired", 1.0),
        ("eleven_flahs_v2_5", "unknown", 1.0),
    ] {
        let log = Log::default();
        let health = runtime(&log).block_on(async {
            let app = TestApp::with(speaking_with(model)).await;
            app.get("/health").await.json()
        });
        assert_eq!(
            (&health["elevenlabs_model"], &health["elevenlabs_model_status"], &health["model_cost_factor"]),
            (&json!(model), &json!(status), &json!(factor))
        );
        let text = log.text();
        let warnings = text.lines().filter(|line| line.contains("WARN") && line.contains("ELEVENLABS_MODEL"));
        // Each of the two functions that speak of it.
        assert_eq!(warnings.count(), if status == "current" { 0 } else { 2 }, "{model}");
    }
}

#[test]
fn model_unknown_to_the_provider_fails_clearly_and_is_logged() {
    let log = Log::default();
    runtime(&log).block_on(async {
        let app = TestApp::with(speaking_with("eleven_monolingual_v1")).await;
        let ada = app.performer("ada").await;
        let problem = app.perform(&ada, "Queen of Hearts").await.assert_problem(502, "synthesis_failed");
        assert!(!problem.to_string().contains("model"), "that is for operators: {problem}");
        app.assert_nothing_remains(&ada).await;
        assert_eq!(app.char_count(&ada).await, 0);
        let ledger = app.elevenlabs().state();
        assert_eq!((ledger.created.len(), ledger.synthesized.len()), (1, 0));
    });
    let text = log.text();
    let said = |line: &str| line.contains("ElevenLabs failed") && line.contains("model_not_found");
    assert_eq!(text.lines().filter(|line| said(line)).count(), 1);
}

#[tokio::test]
async fn clone_that_failed_is_replaced_by_no_other_voice() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    for (operation, fault) in [
        (Operation::Create, Fault::invalid_api_key()),
        (Operation::Create, Fault::html_503()),
        (Operation::Synthesize, Fault::text_too_long()),
        (Operation::Synthesize, Fault::model_not_found()),
    ] {
        app.elevenlabs().faults().next(operation, fault);
        let response = app.perform(&ada, "Queen of Hearts").await;
        assert!(response.status.is_server_error(), "{response:?}");
        app.expire_leases().await;
        app.backend.sweep().await.expect("a sweep");
    }
    assert_eq!(app.elevenlabs().state().synthesized.len(), 0);
}
