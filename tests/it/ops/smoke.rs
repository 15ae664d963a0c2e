//! `cargo ops smoke` against the whole backend over HTTP.

use clap::Parser as _;
use mongodb::bson::{Document, doc};
use ops::Ops;
use shared::env::Env;
use tests::{
    fakes::faults::{Fault, Operation},
    harness::TestApp,
};

use super::commands::ops;

/// No account, recording or voice is left of the smoke test.
async fn assert_nothing_is_left(app: &TestApp) {
    let users = app.backend.database.collection::<Document>("users");
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 0);
    assert!(app.s3().keys().is_empty(), "{:?}", app.s3().keys());
    assert!(app.elevenlabs().state().existing.is_empty());
    assert_eq!(app.held_slots().await, 0);
}

#[tokio::test]
async fn smoke_does_the_main_job_and_leaves_nothing() {
    let app = TestApp::new().await;
    let said = ops(&app, &["smoke", "--url", &app.base]).await.unwrap();
    for step in [
        "register with a fresh code",
        "upload a recording",
        "perform with the stock voice",
        "delete the account",
    ] {
        assert!(said.lines().any(|line| line.starts_with(step) && line.ends_with(" s")), "{step} in {said}");
    }
    assert!(said.contains("The main job works"), "{said}");
    assert!(app.elevenlabs().state().created.is_empty(), "no voice creation is used up");
    assert_nothing_is_left(&app).await;

    let said = ops(&app, &["smoke", "--url", &format!("{}/", app.base), "--clone"]).await.unwrap();
    assert!(said.contains("perform with its own voice"), "{said}");
    assert_eq!(app.elevenlabs().state().created.len(), 1);
    assert_nothing_is_left(&app).await;
}

#[tokio::test]
async fn smoke_with_a_code_needs_the_api_alone() {
    let app = TestApp::new().await;
    let code = app.code().await;
    let words = ["cargo ops", "smoke", "--url", &app.base, "--code", &code];
    let smoke = async || {
        let ops = Ops::try_parse_from(words).unwrap();
        ops.run(Env::default(), app.clock.clone(), &mut Vec::new()).await
    };
    smoke().await.unwrap();
    assert_nothing_is_left(&app).await;
    let used = smoke().await.unwrap_err().to_string();
    assert!(
        used.starts_with("Could not register with a fresh code: 409 Conflict activation_code_used"),
        "{used}"
    );
}

#[tokio::test]
async fn smoke_fails_plainly_and_deletes_its_account_all_the_same() {
    let app = TestApp::new().await;
    app.elevenlabs().faults().always(Operation::Synthesize, Fault::model_not_found());
    let failure = ops(&app, &["smoke", "--url", &app.base]).await.unwrap_err();
    assert!(failure.contains("Could not perform with the stock voice: 502 Bad Gateway"), "{failure}");
    assert!(failure.contains("synthesis_failed") && failure.contains("delete the account"), "{failure}");
    assert_nothing_is_left(&app).await;

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"no recording").unwrap();
    let words = ["smoke", "--url", &app.base, "--recording", file.path().to_str().unwrap()];
    let failure = ops(&app, &words).await.unwrap_err();
    assert!(
        failure.contains("Could not upload a recording: 422 Unprocessable Entity invalid_recording"),
        "{failure}"
    );
    assert_nothing_is_left(&app).await;

    let closed = ops(&app, &["smoke", "--url", "http://127.0.0.1:1"]).await.unwrap_err();
    assert_eq!(closed, "Could not check the health: no connection.");
    let malformed = ops(&app, &["smoke", "--url", "api.example"]).await.unwrap_err();
    assert_eq!(malformed, "Could not check the health: the URL is not valid.");
}
