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
async fn refresh_token_used_again_ends_its_session_and_no_other() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let other_device = app.sign_in(&ada).await;
    let refreshed = ada.with_tokens_of(&refresh(&app, &ada).await);

    refresh(&app, &ada).await.assert_problem(401, "invalid_refresh_token");
    refresh(&app, &refreshed).await.assert_problem(401, "invalid_refresh_token");
    for tokens in [&ada, &refreshed] {
        app.get_as(tokens, "/auth/session").await.assert_problem(401, "invalid_token");
    }
    assert_eq!(app.get_as(&other_device, "/auth/session").await.status, 200);
    assert_eq!(refresh(&app, &other_device).await.status, 200);
}

#[tokio::test]
async fn refresh_race_with_one_token_succeeds_at_most_once() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let responses = join_all((0..8).map(|_| refresh(&app, &ada))).await;
    assert_eq!(responses.iter().filter(|response| response.status == 200).count(), 1);
    app.get_as(&ada, "/auth/session").await.assert_problem(401, "invalid_token");
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
