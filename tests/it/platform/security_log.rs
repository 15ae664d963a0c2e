//! The trail of security events: who did what, without names, addresses or secrets.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use http::Method;
use serde_json::{Value, json};
use tests::harness::{PASSWORD, TestApp, registration, send};
use tracing::{Dispatch, instrument::WithSubscriber as _};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One event of the trail.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    name: String,
    user_id: Value,
    has_session: bool,
}

#[tokio::test]
async fn security_events_are_logged_with_ids_and_without_names() {
    let lines = Lines::default();
    let out = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || out.clone());
    // The requests run on the routers in this task, so that their events come to this subscriber.
    let ids = live_a_life().with_subscriber(Dispatch::new(subscriber.finish())).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let mut sources = Vec::new();
    let mut events = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["event"].is_null() {
            continue;
        }
        sources.push(line["source"].as_str().unwrap().to_owned());
        events.push(Event {
            name: line["event"].as_str().unwrap().to_owned(),
            user_id: line["user_id"].clone(),
            has_session: line["session_id"].is_string(),
        });
    }
    let event = |name: &str, user_id: &Value, has_session: bool| Event {
        name: name.to_owned(),
        user_id: user_id.clone(),
        has_session,
    };
    let [ada, nobody] = [json!(ids), Value::Null];
    assert_eq!(
        events,
        [
            event("registered", &ada, true),
            event("sign_in", &ada, true),
            event("sign_in_failed", &ada, false),
            event("sign_in_failed", &nobody, false),
            event("refresh_reuse", &ada, true),
            event("confirmation_failed", &ada, true),
            event("email_changed", &ada, true),
            event("password_changed", &ada, true),
            event("codes_issued", &ada, true),
            event("sign_out", &ada, true),
            event("password_reset_refused", &nobody, false),
            event("password_reset", &ada, false),
            event("sign_in", &ada, true),
            event("account_deleted", &ada, true),
        ]
    );
    sources.dedup();
    assert_eq!(sources.len(), 1, "one address has one hash");
    assert_eq!(sources[0].len(), 16);
    for secret in ["ada", "example.com", PASSWORD, "127.0.0.1", "unknown"] {
        assert!(!text.to_lowercase().contains(&format!("\"{secret}")), "{secret}: {text}");
    }
}

/// A user who does everything once; gives the id.
async fn live_a_life() -> String {
    let app = TestApp::new().await;
    let client = tests::harness::TestClient::router(&app.backend.routes);
    let code = app.code().await;
    let post = async |path: &str, token: &str, body: Value| {
        let request = client.request(Method::POST, path).bearer_auth(token);
        send(request.optional_json(&body)).await
    };
    let login = async |password: &str| {
        post("/auth/login", "", json!({ "username": "ada", "password": password })).await
    };
    let registered = post("/auth/register", "", registration("ada", &code)).await.json();
    let id = registered["user_id"].as_str().unwrap().to_owned();
    let session = login(PASSWORD).await.json();
    let token = session["access_token"].as_str().unwrap().to_owned();
    login("not the password").await;
    post("/auth/login", "", json!({ "username": "zoe", "password": PASSWORD })).await;
    let mut refresh = json!({ "refresh_token": registered["refresh_token"] });
    let second = post("/auth/refresh", "", refresh.clone()).await.json();
    post("/auth/refresh", "", json!({ "refresh_token": second["refresh_token"] })).await;
    post("/auth/refresh", "", refresh.clone()).await.assert_problem(401, "invalid_refresh_token");
    // The session is over by now: not reuse.
    post("/auth/refresh", "", refresh.take()).await.assert_problem(401, "invalid_refresh_token");

    let change = async |method: Method, path: &str, body: Value| {
        send(client.request(method, path).bearer_auth(&token).json(&body)).await.status.as_u16()
    };
    let email = json!({ "email": "elsewhere@example.com", "current_password": "not the password" });
    assert_eq!(change(Method::PATCH, "/users/me", email).await, 401);
    let email = json!({ "email": "elsewhere@example.com", "current_password": PASSWORD });
    assert_eq!(change(Method::PATCH, "/users/me", email).await, 200);
    let password = json!({ "current_password": PASSWORD, "new_password": "quite another phrase" });
    assert_eq!(change(Method::PUT, "/users/me/password", password).await, 204);
    app.backend.make_admin(id.parse().unwrap()).await.unwrap();
    assert_eq!(post("/activation/codes", &token, json!({ "count": 1 })).await.status, 201);
    assert_eq!(post("/auth/logout", &token, Value::Null).await.status, 204);
    let mut reset = json!({
        "email": "elsewhere@example.com", "activation_code": "ABCDEFGH123", "new_password": PASSWORD,
    });
    post("/activation/reset-password", "", reset.clone())
        .await
        .assert_problem(422, "invalid_activation_code");
    reset["activation_code"] = json!(code);
    assert_eq!(post("/activation/reset-password", "", reset).await.status, 204);
    let session = login(PASSWORD).await.json();
    let token = session["access_token"].as_str().unwrap();
    let request = client.request(Method::DELETE, "/users/me").bearer_auth(token);
    assert_eq!(send(request.json(&json!({ "password": PASSWORD }))).await.status, 204);
    id
}
