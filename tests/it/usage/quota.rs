//! The month's characters: what is charged, where it ends, and when it starts anew.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tests::{
    fakes::elevenlabs::Delays,
    harness::{Response, SLOW, Setup, TestApp, User, eventually},
};

/// From the clock's start, 22 November at noon, to the last second of the month.
const TO_THE_LAST_SECOND: Duration = Duration::from_secs((8 * 24 + 12) * 60 * 60 - 1);

#[tokio::test]
async fn quota_exhausted_reaches_no_provider() {
    let app = limited(50).await;
    let ada = app.performer("ada").await;
    let spoken = speak(&app, &ada, 60).await.json();
    assert_eq!((&spoken["charCount"], &spoken["monthlyLimit"]), (&json!(30), &json!(50)));
    let before = app.elevenlabs().requests().spans().len();

    let refused = speak(&app, &ada, 42).await;
    let problem = refused.assert_problem(429, "quota_exceeded");
    assert_eq!(refused.header("retry-after"), "734400", "to the first of December");
    assert!(problem["detail"].as_str().unwrap().contains("20 are left"), "{problem}");
    assert_eq!(app.elevenlabs().requests().spans().len(), before);
    app.assert_nothing_remains(&ada).await;

    // What just fits is spoken.
    assert_eq!(speak(&app, &ada, 40).await.json()["charCount"], 50);
    speak(&app, &ada, 1).await.assert_problem(429, "quota_exceeded");
    let usage = app.get_as(&ada, "/usage").await.json();
    assert_eq!((&usage["charCount"], &usage["remaining"]), (&json!(50), &json!(0)));
}

#[tokio::test]
async fn quota_is_not_overdrawn_by_a_race() {
    let app = limited(50).await;
    let ada = app.performer("ada").await;
    let responses = futures::future::join_all((0..4).map(|_| speak(&app, &ada, 40))).await;
    let spoken = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(spoken, 2);
    for refused in responses.iter().filter(|response| response.status != 200) {
        refused.assert_problem(429, "quota_exceeded");
    }
    assert_eq!(app.char_count(&ada).await, 40);
}

#[tokio::test]
async fn quota_is_each_users_own() {
    let app = limited(50).await;
    let (ada, grace) = (app.performer("ada").await, app.performer("grace").await);
    assert_eq!(speak(&app, &ada, 100).await.status, 200);
    assert_eq!((app.char_count(&ada).await, app.char_count(&grace).await), (50, 0));
    assert_eq!(speak(&app, &grace, 100).await.status, 200);
}

#[tokio::test]
async fn quota_restarts_with_a_new_month() {
    let app = limited(50).await;
    let ada = app.performer("ada").await;
    assert_eq!(speak(&app, &ada, 100).await.status, 200);
    app.clock.advance(TO_THE_LAST_SECOND);
    let ada = app.sign_in(&ada).await;
    let usage = app.get_as(&ada, "/usage").await.json();
    assert_eq!((&usage["charCount"], &usage["period"]), (&json!(50), &json!("2026-11")));
    let refused = speak(&app, &ada, 1).await;
    assert_eq!(refused.header("retry-after"), "1", "{refused:?}");

    app.clock.advance(Duration::from_secs(1));
    let usage = app.get_as(&ada, "/usage").await.json();
    let expected = json!({
        "charCount": 0, "monthlyLimit": 50, "remaining": 50, "period": "2026-12",
        "clonesUsed": 0, "clonesLimit": 30,
        "resetsAt": "2027-01-01T00:00:00Z", "model": "eleven_flash_v2_5", "costFactor": 0.5,
    });
    assert_eq!(usage, expected);
    assert_eq!(speak(&app, &ada, 80).await.json()["charCount"], 40);
}

#[tokio::test]
async fn quota_counts_a_perform_over_midnight_in_the_month_it_began() {
    let app = limited(50).await;
    let ada = app.performer("ada").await;
    app.clock.advance(TO_THE_LAST_SECOND);
    let ada = app.sign_in(&ada).await;
    app.elevenlabs().set_delays(Delays { first_byte: SLOW, ..Delays::default() });
    let midnight = async {
        eventually("it has begun", async || app.held_slots().await == 1).await;
        app.clock.advance(Duration::from_secs(1));
    };
    let (performed, ()) = tokio::join!(speak(&app, &ada, 100), midnight);
    assert_eq!(performed.status, 200, "{performed:?}");
    assert_eq!(app.char_count(&ada).await, 0);
    assert_eq!(app.stored(&ada).await.get_document("usage").unwrap().get_str("period").unwrap(), "2026-11");
    assert_eq!(speak(&app, &ada, 100).await.json()["charCount"], 50);
}

#[tokio::test]
async fn quota_charges_a_thoughts_real_length() {
    let app = limited(100).await;
    let ada = app.performer("ada").await;
    let response = app.perform(&ada, "Fargo").await.json();
    let raw = response["charsUsedRaw"].as_u64().unwrap();
    assert!((80..=120).contains(&raw), "{response}");
    assert_eq!(response["charsUsedEffective"], raw.div_ceil(2));
    assert_eq!(response["charCount"], raw.div_ceil(2));
    // Up to 160 characters are reserved for the next one.
    let refused = app.perform(&ada, "Fargo").await.assert_problem(429, "quota_exceeded");
    assert!(refused["detail"].as_str().unwrap().contains("80 are needed"), "{refused}");
}

#[tokio::test]
async fn usage_is_shown_in_full_and_in_short_also_before_the_first_use() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let unused = app.get_as(&ada, "/usage").await.json();
    assert_eq!((&unused["charCount"], &unused["remaining"]), (&json!(0), &json!(4000)));
    assert_eq!(unused["period"], "2026-11");
    let meta = app.get_as(&ada, "/users/me/meta").await.json();
    assert_eq!(meta, json!({ "charCount": 0, "monthlyLimit": 4000 }));
    let body = json!({ "text": "la ".repeat(7).trim(), "voice": "default" });
    assert_eq!(app.post_as(&ada, "/perform", &body).await.status, 200);
    let usage = app.get_as(&ada, "/usage").await.json();
    let expected = json!({
        "charCount": 10, "monthlyLimit": 4000, "remaining": 3990, "period": "2026-11", "clonesUsed": 0, "clonesLimit": 30,
        "resetsAt": "2026-12-01T00:00:00Z", "model": "eleven_flash_v2_5", "costFactor": 0.5,
    });
    assert_eq!(usage, expected);
    for id in ["me", &ada.id] {
        let meta = app.get_as(&ada, &format!("/users/{id}/meta")).await.json();
        assert_eq!(meta, json!({ "charCount": 10, "monthlyLimit": 4000 }));
    }
}

#[tokio::test]
async fn usage_cannot_be_changed_by_a_client() {
    let app = limited(50).await;
    let ada = app.performer("ada").await;
    assert_eq!(speak(&app, &ada, 100).await.status, 200);
    let forged = json!({ "charCount": 0, "usage": { "chars": 0 }, "monthlyLimit": 9 });
    for (method, path) in [(Method::PATCH, "/users/me"), (Method::PUT, "/users/me/settings")] {
        assert_eq!(app.send_as(&ada, method, path, &forged).await.status, 200);
    }
    assert_eq!(app.char_count(&ada).await, 50);
}

async fn limited(characters: u32) -> TestApp {
    let env = vec![("MONTHLY_CHAR_LIMIT", characters.to_string())];
    TestApp::with(Setup { env, ..Setup::default() }).await
}

/// Speaks a text of that many characters.
async fn speak(app: &TestApp, user: &User, characters: usize) -> Response {
    let text: Value = "la ".chars().cycle().take(characters - 1).chain(['.']).collect::<String>().into();
    app.post_as(user, "/perform", &json!({ "text": text })).await
}
