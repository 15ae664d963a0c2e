//! The month's voice creations of a user: what takes one, what gives it back, and where they end.

use serde_json::json;
use tests::{
    fakes::faults::{Fault, Operation},
    harness::{Setup, TestApp, User},
};

/// Creations used and their limit, as `GET /usage` says.
async fn clones(app: &TestApp, user: &User) -> (i64, i64) {
    let usage = app.get_as(user, "/usage").await.json();
    (usage["clonesUsed"].as_i64().unwrap(), usage["clonesLimit"].as_i64().unwrap())
}

async fn limited(limit: u32) -> TestApp {
    let env = vec![("MONTHLY_CLONE_LIMIT", limit.to_string())];
    TestApp::with(Setup { env, ..Setup::default() }).await
}

#[tokio::test]
async fn clone_quota_ends_one_users_performs_and_nobody_elses() {
    let app = limited(2).await;
    let (ada, bob) = (app.performer("ada").await, app.performer("bob").await);
    assert_eq!(clones(&app, &ada).await, (0, 2));
    let list = json!({ "takes": [{ "text": "One." }, { "text": "Two." }, { "text": "Three." }] });
    assert_eq!(app.post_as(&ada, "/perform", &list).await.status, 200);
    assert_eq!(clones(&app, &ada).await, (1, 2), "a list takes one");
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);

    let refused = app.perform(&ada, "Queen of Hearts").await;
    let problem = refused.assert_problem(429, "clone_quota_exceeded");
    assert_eq!(refused.header("retry-after"), "734400", "to the first of December");
    assert!(problem["detail"].as_str().unwrap().contains("2 voice creations"), "{problem}");
    assert_eq!((clones(&app, &ada).await, app.elevenlabs().state().created.len()), ((2, 2), 2));
    app.assert_nothing_remains(&ada).await;
    // A stock voice needs none, and others have their own.
    let stock = json!({ "text": "Good morning.", "voice": "default" });
    assert_eq!(app.post_as(&ada, "/perform", &stock).await.status, 200);
    assert_eq!(app.perform(&bob, "Queen of Hearts").await.status, 200);
    assert_eq!((clones(&app, &ada).await, clones(&app, &bob).await), ((2, 2), (1, 2)));

    // An operator's limit for one account comes before the deployment's.
    app.rewrite(&ada, mongodb::bson::doc! { "$set": { "clone_limit": 3_i64 } }).await;
    assert_eq!(clones(&app, &ada).await, (2, 3));
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    app.perform(&ada, "Queen of Hearts").await.assert_problem(429, "clone_quota_exceeded");
}

#[tokio::test]
async fn clone_quota_is_given_back_for_what_was_surely_not_made() {
    let app = limited(1).await;
    let ada = app.performer("ada").await;
    for fault in [Fault::invalid_audio(), Fault::system_busy(), Fault::voice_add_edit_limit_reached()] {
        app.elevenlabs().faults().next(Operation::Create, fault);
        assert_ne!(app.perform(&ada, "Queen of Hearts").await.status, 200);
        assert_eq!(clones(&app, &ada).await, (0, 1));
    }
    // A voice that was made and could not speak was made.
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::text_too_long());
    app.perform(&ada, "Queen of Hearts").await.assert_problem(502, "synthesis_failed");
    assert_eq!(clones(&app, &ada).await, (1, 1));
    app.perform(&ada, "Queen of Hearts").await.assert_problem(429, "clone_quota_exceeded");
}

#[tokio::test]
async fn clone_quota_is_not_overdrawn_by_a_race() {
    let app = limited(3).await;
    let ada = app.performer("ada").await;
    let responses = futures::future::join_all((0..6).map(|_| app.perform(&ada, "Queen of Hearts"))).await;
    assert_eq!(responses.iter().filter(|response| response.status == 200).count(), 3);
    for refused in responses.iter().filter(|response| response.status != 200) {
        refused.assert_problem(429, "clone_quota_exceeded");
    }
    assert_eq!((clones(&app, &ada).await, app.elevenlabs().state().created.len()), ((3, 3), 3));
}
