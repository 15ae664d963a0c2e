//! How often a signed-in user may do in an hour what is costly or tells about others.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use mongodb::bson::doc;
use serde_json::{Value, json};
use shared::users::Limited;
use tests::harness::{TestApp, User};

#[tokio::test]
async fn limits_hold_for_each_user_and_hour() {
    let app = TestApp::new().await;
    let mut ada = app.register("ada").await;
    let mut other = app.register("grace").await;
    let thought = json!({ "topic": "a film", "value": "Fargo" });
    let offer = json!({ "mime_type": "audio/webm", "bytes": 9000 });
    for (what, member, method, path, body, usual) in [
        (Limited::Thoughts, "thoughts", Method::POST, "/thought", &thought, 200),
        (Limited::UploadOffers, "upload_offers", Method::POST, "/users/me/voice/upload", &offer, 201),
        (
            Limited::RecordingChecks,
            "recording_checks",
            Method::POST,
            "/users/me/voice",
            &json!({ "audio_base64": "AAAA" }),
            422,
        ),
        (Limited::ProfileChanges, "profile_changes", Method::PATCH, "/users/me", &json!({}), 200),
    ] {
        let ask = async |user: &User| app.send_as(user, method.clone(), path, body).await;
        assert_eq!(ask(&ada).await.status, usual, "{path}");
        assert_eq!(hourly(&app, &ada, member).await, json!(1));

        // Nearly all of the hour's uses, and then more than are left at once.
        let count = format!("hourly.{member}.count");
        app.rewrite(&ada, doc! { "$set": { count: what.per_hour() - 3 } }).await;
        let responses = join_all((0..10).map(|_| ask(&ada))).await;
        assert_eq!(responses.iter().filter(|response| response.status == usual).count(), 3, "{path}");
        let refused = ask(&ada).await;
        refused.assert_problem(429, "too_many_attempts");
        let wait: u64 = refused.header("retry-after").parse().unwrap();
        assert_eq!(wait, 60 * 60, "{path}");
        // Another user's are another user's, and an hour later there are as many again.
        assert_eq!(ask(&other).await.status, usual, "{path}");
        app.clock.advance(Duration::from_mins(10));
        ask(&ada).await.assert_problem(429, "too_many_attempts");
        app.clock.advance(Duration::from_mins(50));
        (ada, other) = (app.sign_in(&ada).await, app.sign_in(&other).await);
        assert_eq!(ask(&ada).await.status, usual, "{path}");
        assert_eq!(ask(&other).await.status, usual, "{path}");
        assert_eq!(hourly(&app, &ada, member).await, json!(1));
    }
}

#[tokio::test]
async fn limit_refuses_before_anything_is_changed_or_asked_of_a_provider() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let offer = json!({ "mime_type": "audio/webm", "bytes": 9000 });
    let key = app.post_as(&ada, "/users/me/voice/upload", &offer).await.json()["key"].clone();
    let thought = json!({ "topic": "a film", "value": "Fargo" });
    assert_eq!(app.post_as(&ada, "/thought", &thought).await.status, 200);
    app.rewrite(
        &ada,
        doc! { "$set": {
            "hourly.thoughts.count": 300_i64, "hourly.upload_offers.count": 120_i64,
        } },
    )
    .await;
    let asked = app.gemini().requests().spans().len();
    app.post_as(&ada, "/thought", &thought).await.assert_problem(429, "too_many_attempts");
    assert_eq!(app.gemini().requests().spans().len(), asked);
    let offered = app.post_as(&ada, "/users/me/voice/upload", &offer).await;
    offered.assert_problem(429, "too_many_attempts");
    assert_eq!(app.stored(&ada).await.get_str("pending_upload").unwrap(), key.as_str().unwrap());
}

async fn hourly(app: &TestApp, user: &User, member: &str) -> Value {
    let stored = app.stored(user).await;
    let count = stored.get_document("hourly").unwrap().get_document(member).unwrap().get_i64("count");
    json!(count.unwrap())
}
