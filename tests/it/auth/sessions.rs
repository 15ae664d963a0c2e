//! Signing in, staying signed in, and signing out.

use std::time::Duration;

use futures::future::join_all;
use http::Method;
use serde_json::json;
use tests::harness::{PASSWORD, Response, TestApp, User, send};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn login_takes_name_or_email_in_any_case() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for login in ["ada", "ADA", "ada@example.com", "Ada@Example.COM"] {
        let response = login_as(&app, login, PASSWORD).await;
        assert_eq!(response.status, 200, "{login}");
        assert_eq!(response.json()["user_id"], ada.id.as_str());
        assert_eq!(response.json().as_object().unwrap().len(), 7);
    }
}

#[tokio::test]
async fn login_responds_alike_to_unknown_user_and_wrong_password() {
    let app = TestApp::new().await;
    app.register("ada").await;
    let blank = |response: Response| {
        let mut problem = response.assert_problem(401, "invalid_credentials");
        problem["request_id"] = json!(null);
        let mut headers = response.headers;
        headers.remove("x-request-id");
        headers.remove("date");
        (problem.to_string(), headers)
    };
    let wrong = blank(login_as(&app, "ada", "wrong horse").await);
    for (login, password) in [
        ("nobody", "wrong horse"),
        ("nobody", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("ada@example.com", "wrong horse"),
        ("ada", ""),
        ("", PASSWORD),
        ("$ne", PASSWORD),
    ] {
        assert_eq!(blank(login_as(&app, login, password).await), wrong, "{login} {password}");
    }
}

#[tokio::test]
async fn session_says_who_is_signed_in_and_until_when() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let state = app.get_as(&ada, "/auth/session").await.json();
    let expected = json!({
        "user_id": ada.id,
        "username": "ada",
        "email": "ada@example.com",
        "session": { "created_at": "2026-11-22T12:00:00Z", "expires_at": "2026-12-22T12:00:00Z" },
    });
    assert_eq!(state, expected);
}

#[tokio::test]
async fn refresh_gives_new_tokens_of_the_same_session() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.clock.advance(DAY);
    app.get_as(&ada, "/auth/session").await.assert_problem(401, "invalid_token");

    let response = refresh(&app, &ada).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.json().as_object().unwrap().len(), 7);
    let refreshed = ada.with_tokens_of(&response);
    assert_ne!(refreshed.refresh_token, ada.refresh_token);
    let state = app.get_as(&refreshed, "/auth/session").await.json();
    assert_eq!(state["session"]["created_at"], "2026-11-22T12:00:00Z");
    assert_eq!(refresh(&app, &refreshed).await.status, 200);
}

#[tokio::test]
async fn refresh_after_a_lost_answer_goes_on_for_a_minute() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let lost = ada.with_tokens_of(&refresh(&app, &ada).await);
    app.clock.advance(Duration::from_mins(1));
    let again = ada.with_tokens_of(&refresh(&app, &ada).await);
    assert_ne!(again.refresh_token, lost.refresh_token);
    for tokens in [&lost, &again] {
        let session = app.get_as(tokens, "/auth/session").await.json();
        assert_eq!(session["session"]["created_at"], "2026-11-22T12:00:00Z", "the same session");
    }
    // Whichever answer a tab has kept, it goes on with it, much later too.
    for kept in [lost, again] {
        app.clock.advance(Duration::from_secs(30));
        assert_eq!(refresh(&app, &kept).await.status, 200);
    }
}

#[tokio::test]
async fn refresh_by_two_tabs_at_once_signs_neither_out() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for _ in 0..5 {
        let (one, other) = tokio::join!(refresh(&app, &ada), refresh(&app, &ada));
        let (one, other) = (ada.with_tokens_of(&one), ada.with_tokens_of(&other));
        for tokens in [&ada, &one, &other] {
            assert_eq!(app.get_as(tokens, "/auth/session").await.status, 200);
        }
    }
}

#[tokio::test]
async fn refresh_by_twelve_calls_at_once_answers_all_of_them() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let responses = join_all((0..12).map(|_| refresh(&app, &ada))).await;
    let mut secrets = Vec::new();
    for response in &responses {
        assert_eq!(response.status, 200, "{response:?}");
        let tokens = ada.with_tokens_of(response);
        assert_eq!(app.get_as(&tokens, "/auth/session").await.status, 200);
        secrets.push(tokens.refresh_token);
    }
    secrets.sort();
    secrets.dedup();
    assert_eq!(secrets.len(), 12);
    // An hour later the client has one of them, and nobody knows which.
    app.clock.advance(Duration::from_hours(1));
    let kept = ada.with_tokens_of(&responses[7]);
    let next = refresh(&app, &kept).await;
    assert_eq!(next.status, 200);
    assert_eq!(refresh(&app, &ada.with_tokens_of(&next)).await.status, 200);
}

#[tokio::test]
async fn refresh_with_the_predecessor_after_a_minute_ends_its_session_and_no_other() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let other_device = app.sign_in(&ada).await;
    let refreshed = ada.with_tokens_of(&refresh(&app, &ada).await);
    app.clock.advance(Duration::from_millis(60_001));
    assert_session_ends(&app, &ada, &refreshed).await;
    assert_eq!(app.get_as(&other_device, "/auth/session").await.status, 200);
    assert_eq!(refresh(&app, &other_device).await.status, 200);
}

#[tokio::test]
async fn refresh_with_an_older_token_ends_the_session_at_once() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let second = ada.with_tokens_of(&refresh(&app, &ada).await);
    let third = ada.with_tokens_of(&refresh(&app, &second).await);
    assert_session_ends(&app, &ada, &third).await;
}

#[tokio::test]
async fn refresh_with_an_answer_to_a_thief_ends_the_session_once_the_owner_has_gone_on() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let owner = ada.with_tokens_of(&refresh(&app, &ada).await);
    let thief = ada.with_tokens_of(&refresh(&app, &ada).await);
    app.clock.advance(DAY);
    let owner = owner.with_tokens_of(&refresh(&app, &owner).await);
    app.clock.advance(Duration::from_mins(2));
    assert_session_ends(&app, &thief, &owner).await;
}

#[tokio::test]
async fn refresh_with_a_made_up_secret_ends_nothing() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let grace = app.register("grace").await;
    let old = ada.clone();
    let ada = ada.with_tokens_of(&refresh(&app, &ada).await);
    let secret = |user: &User| user.refresh_token.rsplit('.').next().unwrap().to_owned();
    let with_secret = |secret: &str| {
        let ids = ada.refresh_token.rsplit_once('.').unwrap().0;
        User { refresh_token: format!("{ids}.{secret}"), ..ada.clone() }
    };
    let (current, previous) = (secret(&ada), secret(&old));
    app.clock.advance(Duration::from_mins(5));
    for made_up in [
        "x".repeat(43),
        "x".repeat(64),
        current[..43].to_owned(),
        current.to_lowercase(),
        format!("{}{}", &current[..32], &previous[32..]),
        format!("{previous}x"),
        secret(&grace),
    ] {
        refresh(&app, &with_secret(&made_up)).await.assert_problem(401, "invalid_refresh_token");
        assert_eq!(app.get_as(&app.sign_in(&ada).await, "/auth/session").await.status, 200);
    }
    assert_eq!(refresh(&app, &ada).await.status, 200, "still signed in");
}

/// The old token is refused, and nothing of its session is valid after that.
async fn assert_session_ends(app: &TestApp, old: &User, current: &User) {
    refresh(app, old).await.assert_problem(401, "invalid_refresh_token");
    refresh(app, current).await.assert_problem(401, "invalid_refresh_token");
    for tokens in [old, current] {
        app.get_as(tokens, "/auth/session").await.assert_problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn refresh_refuses_what_is_no_refresh_token() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let grace = app.register("grace").await;
    let of = |user: &User| user.refresh_token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (adas, graces) = (of(&ada), of(&grace));
    for token in [
        String::new(),
        String::from("x"),
        String::from("a.b.c"),
        ada.access_token.clone(),
        format!("{}.{}.", adas[0], adas[1]),
        format!("{}.{}.{}", graces[0], adas[1], adas[2]),
        format!("{}.{}.{}", adas[0], graces[1], adas[2]),
    ] {
        let response = app.post("/auth/refresh", &json!({ "refresh_token": token })).await;
        response.assert_problem(401, "invalid_refresh_token");
    }
    for user in [&ada, &grace] {
        assert_eq!(refresh(&app, user).await.status, 200, "still signed in");
    }
}

#[tokio::test]
async fn session_ends_after_thirty_days_however_often_it_is_refreshed() {
    let app = TestApp::new().await;
    let mut ada = app.register("ada").await;
    for _ in 0..2 {
        app.clock.advance(DAY * 14);
        ada = ada.with_tokens_of(&refresh(&app, &ada).await);
    }
    app.clock.advance(DAY * 2);
    refresh(&app, &ada).await.assert_problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn logout_ends_every_token_of_the_session_at_once() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let other_device = app.sign_in(&ada).await;
    let refreshed = ada.with_tokens_of(&refresh(&app, &ada).await);

    let out = send(app.request(Method::POST, "/auth/logout", Some(&refreshed))).await;
    assert_eq!((out.status.as_u16(), out.body.len()), (204, 0));
    for tokens in [&ada, &refreshed] {
        app.get_as(tokens, "/auth/session").await.assert_problem(401, "invalid_token");
        app.get_as(tokens, "/users/me").await.assert_problem(401, "invalid_token");
        app.perform(tokens, "Queen of Hearts").await.assert_problem(401, "invalid_token");
    }
    refresh(&app, &refreshed).await.assert_problem(401, "invalid_refresh_token");
    assert_eq!(app.get_as(&other_device, "/auth/session").await.status, 200);
}

#[tokio::test]
async fn session_of_the_eleventh_device_ends_the_first() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let mut devices = vec![ada.clone()];
    for _ in 0..10 {
        devices.push(app.sign_in(&ada).await);
    }
    app.get_as(&devices[0], "/auth/session").await.assert_problem(401, "invalid_token");
    for device in &devices[1..] {
        assert_eq!(app.get_as(device, "/auth/session").await.status, 200);
    }
}

async fn login_as(app: &TestApp, login: &str, password: &str) -> Response {
    app.post("/auth/login", &json!({ "username": login, "password": password })).await
}

async fn refresh(app: &TestApp, user: &User) -> Response {
    app.post("/auth/refresh", &json!({ "refresh_token": user.refresh_token })).await
}
