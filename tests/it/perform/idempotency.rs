//! Repeated performs: what an `Idempotency-Key` does.

use std::time::Duration;

use http::Method;
use mongodb::bson::{DateTime, Document, doc};
use serde_json::{Value, json};
use tests::{
    fakes::{
        elevenlabs::{self, Delays},
        faults::{Fault, Operation},
    },
    harness::{PASSWORD, Response, SLOW, TestApp, User, eventually, send},
};

/// Performs under a key.
pub async fn keyed(app: &TestApp, user: &User, key: &str, body: &Value) -> Response {
    send(app.client.perform(user, body).key(key)).await
}

/// Leaves time to look at a perform that runs.
const SLOW_CREATION: elevenlabs::Delays = elevenlabs::Delays {
    create: SLOW,
    first_byte: Duration::ZERO,
    delete: Duration::ZERO,
    list: Duration::ZERO,
};

/// Waits until a perform has its slot.
async fn has_begun(app: &TestApp) {
    eventually("a perform has its slot", async || app.held_slots().await == 1).await;
}

fn queen() -> Value {
    json!({ "routine_type": "cards", "value": "Queen of Hearts" })
}

#[tokio::test]
async fn idempotency_key_with_another_body_conflicts_also_during_the_first() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(SLOW_CREATION);
    let (body, other) = (queen(), json!({ "routine_type": "cards", "value": "King of Clubs" }));
    let (first, while_it_runs) = tokio::join!(keyed(&app, &ada, "k", &body), async {
        has_begun(&app).await;
        keyed(&app, &ada, "k", &other).await
    });
    assert_eq!(first.status, 200, "{first:?}");
    while_it_runs.assert_problem(409, "idempotency_conflict");
    keyed(&app, &ada, "k", &other).await.assert_problem(409, "idempotency_conflict");
    assert_eq!(app.elevenlabs().state().created.len(), 1);

    // Keys are each user's own.
    let bob = app.performer("bob").await;
    assert_eq!(keyed(&app, &bob, "k", &other).await.status, 200);
}

#[tokio::test]
async fn idempotency_key_of_a_failed_perform_may_be_used_again() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::text_too_long());
    let body = queen();
    keyed(&app, &ada, "k", &body).await.assert_problem(502, "synthesis_failed");
    assert_eq!(app.char_count(&ada).await, 0);
    assert_eq!(keyed(&app, &ada, "k", &body).await.status, 200);
    assert_eq!(keyed(&app, &ada, "k", &body).await.status, 200);
    assert_eq!(app.elevenlabs().state().created.len(), 2);
}

#[tokio::test]
async fn idempotency_key_replays_a_lost_response_and_goes_with_the_account() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(SLOW_CREATION);
    let body = queen();
    // The client gives up in the middle, as the gateway does after 30 s; the function does not.
    tokio::select! {
        response = keyed(&app, &ada, "k", &body) => panic!("it was not slow: {response:?}"),
        () = has_begun(&app) => {}
    }
    let response = keyed(&app, &ada, "k", &body).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(app.elevenlabs().state().created.len(), 1);
    assert_eq!(Some(app.char_count(&ada).await), response.json()["charsUsedEffective"].as_i64());

    assert!(app.s3().keys().iter().any(|key| key.starts_with("replays/")));
    let gone = app.send_as(&ada, Method::DELETE, "/users/me", &json!({ "password": PASSWORD })).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(app.s3().keys(), Vec::<String>::new());
}

#[tokio::test]
async fn account_deleted_during_its_perform_leaves_nothing() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(SLOW_CREATION);
    let body = queen();
    let (performed, deleted) = tokio::join!(keyed(&app, &ada, "k", &body), async {
        has_begun(&app).await;
        let password = json!({ "password": PASSWORD });
        app.send_as(&ada, Method::DELETE, "/users/me", &password).await
    });
    assert_eq!((performed.status.as_u16(), deleted.status.as_u16()), (200, 204), "{performed:?} {deleted:?}");
    assert_eq!(app.elevenlabs().state().created.len(), 1);
    assert_eq!(app.elevenlabs().state().existing.len(), 0);
    assert_eq!(app.held_slots().await, 0);
    assert_eq!(app.s3().keys(), Vec::<String>::new());
    let users = app.backend.database.collection::<Document>("users");
    assert_eq!(users.count_documents(doc! {}).await.expect("the database responds"), 0);
}

#[tokio::test]
async fn idempotency_key_is_validated_and_kept_for_a_day() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let body = queen();
    keyed(&app, &ada, "", &body).await.assert_problem(422, "invalid_request");
    keyed(&app, &ada, &"x".repeat(256), &body).await.assert_problem(422, "invalid_request");
    // What a database could take for an expression is just a key.
    assert_eq!(keyed(&app, &ada, "$lease", &body).await.status, 200);
    assert_eq!(keyed(&app, &ada, "$lease", &body).await.status, 200);
    assert_eq!(app.elevenlabs().state().created.len(), 1);

    app.clock.advance(Duration::from_hours(25));
    let login = app.post("/auth/login", &json!({ "username": "ada", "password": PASSWORD })).await;
    let token = login.json()["access_token"].as_str().expect("a token").to_owned();
    let ada = User { access_token: token, ..ada };
    assert_eq!(keyed(&app, &ada, "$lease", &body).await.status, 200);
    assert_eq!(app.elevenlabs().state().created.len(), 2);
}

#[tokio::test]
async fn idempotency_key_is_replayed_for_a_day_however_many_others_there_were() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let body = json!({ "text": "Good morning.", "voice": "default" });
    let first = keyed(&app, &ada, "first", &body).await;
    for number in 0..25 {
        assert_eq!(keyed(&app, &ada, &format!("other {number}"), &body).await.status, 200);
    }
    let charged = app.char_count(&ada).await;
    let again = keyed(&app, &ada, "first", &body).await;
    assert!(first.status == 200 && first.body == again.body);
    assert_eq!((app.char_count(&ada).await, app.elevenlabs().state().synthesized.len()), (charged, 26));
}

#[tokio::test]
async fn repeated_body_without_a_key_gets_the_first_audio_while_it_runs_and_shortly_after() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().set_delays(SLOW_CREATION);
    let tap = async || {
        let request = app.request(Method::POST, "/perform", Some(&ada));
        let request = request.header("content-type", "application/json");
        send(request.body(queen().to_string())).await
    };
    let (first, second) = tokio::join!(tap(), async {
        has_begun(&app).await;
        tap().await
    });
    let third = tap().await;
    assert_eq!(first.status, 200, "{first:?}");
    assert!(first.body == second.body && first.body == third.body);
    assert_eq!(app.elevenlabs().state().created.len(), 1);
    assert_eq!(Some(app.char_count(&ada).await), first.json()["charsUsedEffective"].as_i64());

    // Another body is another request, and so is the same one a while later.
    app.elevenlabs().set_delays(Delays::default());
    assert_eq!(app.perform(&ada, "King of Clubs").await.status, 200);
    assert_eq!(app.elevenlabs().state().created.len(), 2);
    app.rewrite(&ada, doc! { "$set": { "replays.$[].ended_at": DateTime::from_millis(0) } }).await;
    assert_eq!(tap().await.status, 200);
    assert_eq!(app.elevenlabs().state().created.len(), 3);
}

#[tokio::test]
async fn repeated_body_of_a_perform_that_failed_is_performed() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.elevenlabs().faults().next(Operation::Synthesize, Fault::text_too_long());
    let statuses = (0..2).map(|_| async {
        let request = app.request(Method::POST, "/perform", Some(&ada));
        let request = request.header("content-type", "application/json");
        send(request.body(queen().to_string())).await.status.as_u16()
    });
    let mut statuses = futures::future::join_all(statuses).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
}

#[tokio::test]
async fn audio_that_was_kept_goes_with_the_recording() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    assert_eq!(keyed(&app, &ada, "k", &queen()).await.status, 200);
    assert_eq!(app.perform(&ada, "King of Clubs").await.status, 200);
    assert_eq!(app.s3().keys().iter().filter(|key| key.starts_with("replays/")).count(), 2);
    let gone = app.send_as(&ada, Method::DELETE, "/users/me/voice", &json!(null)).await;
    assert_eq!((gone.status.as_u16(), app.s3().keys()), (204, Vec::new()));
    keyed(&app, &ada, "k", &queen()).await.assert_problem(409, "voice_required");
}
