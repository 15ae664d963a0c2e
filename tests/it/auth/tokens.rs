//! Attacks on access tokens, each against every closed route: none is accepted, nothing is read, nothing is changed.

mod attacks;
mod forge;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use serde_json::{Value, json};
use tests::harness::{PASSWORD, Response, Setup, SigningKey, TestApp, User, routes, send};

use self::{
    attacks::{Attack, Scene, with},
    forge::Key,
};

use crate::db_snapshot::Stored;

#[tokio::test]
async fn token_that_is_forged_or_misplaced_opens_no_route_and_reaches_no_database() {
    let key = SigningKey::generate();
    let app = app_with(&key, &[&key]).await;
    let ada = app.performer("ada").await;
    let offer = json!({ "mime_type": "audio/webm", "bytes": 9000 });
    assert_eq!(app.post_as(&ada, "/users/me/voice/upload", &offer).await.status, 201);
    let eve = app.register("eve").await;
    let scene = Scene {
        genuine: Key::of(&key),
        retired: Key::fresh(),
        claims: claims(&ada),
        token: ada.access_token.clone(),
        refresh_token: ada.refresh_token.clone(),
        others_token: eve.access_token.clone(),
    };
    // The workshop works: what it signs with the genuine key and leaves as it is is good.
    let copy = scene.genuine.token(&scene.genuine.header(), &scene.claims);
    assert_eq!(session(&app, &copy).await.status, 200);

    let before = Stored::of(&app).await;
    let attacks = scene.attacks();
    assert!(attacks.len() >= 40);
    for (attack, id) in attacks.iter().zip(["me", &ada.id].into_iter().cycle()) {
        app.wire().reset();
        refused_everywhere(&app, &ada, id, attack).await;
        assert!(app.wire().commands().is_empty(), "{}: the database was asked", attack.name);
    }
    assert_eq!(Stored::of(&app).await, before);
    assert_eq!(app.elevenlabs().state().created.len(), 0);
    assert_eq!(session(&app, &ada.access_token).await.status, 200);
}

#[tokio::test]
async fn token_without_a_session_of_its_user_opens_no_route() {
    let key = SigningKey::generate();
    let app = app_with(&key, &[&key]).await;
    let ada = app.performer("ada").await;
    let eve = app.register("eve").await;
    let genuine = Key::of(&key);
    let told =
        |member: &str, value: Value| genuine.token(&genuine.header(), &with(&claims(&ada), member, value));
    let mut attacks = vec![
        Attack::bearer("another user's id", told("sub", json!(eve.id))),
        Attack::bearer("nobody's id", told("sub", json!("000000000000000000000000"))),
        Attack::bearer("another user's session", told("sid", claims(&eve)["sid"].clone())),
        Attack::bearer("an unheard-of session", told("sid", json!("11111111-2222-4333-8444-555555555555"))),
        Attack::bearer("a nameless session", told("sid", json!(""))),
        Attack::bearer("a session like a query", told("sid", json!("{\"$ne\":null}"))),
        Attack::bearer("a session like a pattern", told("sid", json!(".*"))),
    ];

    let out = login(&app, "ada").await;
    assert_eq!(app.post_as(&out, "/auth/logout", &Value::Null).await.status, 204);
    attacks.push(Attack::bearer("signed out", &out.access_token));

    let stolen = login(&app, "ada").await;
    for status in [200, 401] {
        let response = app.post("/auth/refresh", &json!({ "refresh_token": stolen.refresh_token })).await;
        assert_eq!(response.status, status);
        // The grace for an answer that was lost.
        app.clock.advance(Duration::from_secs(61));
    }
    attacks.push(Attack::bearer("a refresh token was used twice", &stolen.access_token));

    let elsewhere = login(&app, "ada").await;
    let body = json!({ "current_password": PASSWORD, "new_password": PASSWORD });
    let response = app.send_as(&ada, Method::PUT, "/users/me/password", &body).await;
    assert_eq!(response.status, 204, "{response:?}");
    attacks.push(Attack::bearer("the password was changed elsewhere", &elsewhere.access_token));

    let bob = app.register("bob").await;
    let reset = json!({ "email": "bob@example.com", "activation_code": bob.code, "new_password": PASSWORD });
    assert_eq!(app.post("/activation/reset-password", &reset).await.status, 204);
    attacks.push(Attack::bearer("the password was reset", &bob.access_token));

    let carol = app.register("carol").await;
    let delete = app.send_as(&carol, Method::DELETE, "/users/me", &json!({ "password": PASSWORD })).await;
    assert_eq!(delete.status, 204);
    attacks.push(Attack::bearer("the account is deleted", &carol.access_token));

    let before = Stored::of(&app).await;
    for attack in &attacks {
        refused_everywhere(&app, &ada, "me", attack).await;
    }
    assert_eq!(Stored::of(&app).await, before);
}

#[tokio::test]
async fn token_expires_and_its_session_too_however_fresh_the_token() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    app.clock.advance(Duration::from_secs(899));
    assert_eq!(session(&app, &ada.access_token).await.status, 200);
    app.clock.advance(Duration::from_secs(1));
    refused_everywhere(&app, &ada, &ada.id, &Attack::bearer("the token's end", &ada.access_token)).await;

    // Thirty days after the sign-in, less five minutes: the last token outlives its session.
    app.clock.advance(Duration::from_hours(30 * 24) - Duration::from_mins(20));
    let response = app.post("/auth/refresh", &json!({ "refresh_token": ada.refresh_token })).await;
    assert_eq!(response.status, 200, "{response:?}");
    let body = response.json();
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(session(&app, token).await.status, 200);
    app.clock.advance(Duration::from_mins(5));
    let before = Stored::of(&app).await;
    refused_everywhere(&app, &ada, &ada.id, &Attack::bearer("the session's end", token)).await;
    assert_eq!(Stored::of(&app).await, before);
    let late = app.post("/auth/refresh", &json!({ "refresh_token": body["refresh_token"] })).await;
    late.assert_problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn signing_key_rotation_accepts_both_keys_until_the_old_is_removed() {
    let (old, new) = (SigningKey::generate(), SigningKey::generate());
    let app = app_with(&new, &[&old, &new]).await;
    let ada = app.register("ada").await;
    let token_of = |key: &SigningKey| {
        let key = Key::of(key);
        key.token(&key.header(), &claims(&ada))
    };
    assert_eq!(session(&app, &ada.access_token).await.status, 200);
    assert_eq!(session(&app, &token_of(&old)).await.status, 200);
    // Each key under its own name only.
    let (old_key, new_key) = (Key::of(&old), Key::of(&new));
    let crossed = old_key.token(&new_key.header(), &claims(&ada));
    refused_everywhere(&app, &ada, &ada.id, &Attack::bearer("the old key as the new one", &crossed)).await;
    let crossed = new_key.token(&old_key.header(), &claims(&ada));
    refused_everywhere(&app, &ada, &ada.id, &Attack::bearer("the new key as the old one", &crossed)).await;

    let app = app_with(&new, &[&new]).await;
    let ada = app.register("ada").await;
    let retired = old_key.token(&old_key.header(), &claims(&ada));
    refused_everywhere(&app, &ada, &ada.id, &Attack::bearer("the old key", &retired)).await;
}

#[tokio::test]
async fn authorization_scheme_ignores_case_and_times_are_exact_to_the_second() {
    let key = SigningKey::generate();
    let app = app_with(&key, &[&key]).await;
    let ada = app.register("ada").await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer "] {
        let request = app.request(Method::GET, "/auth/session", None);
        let response = send(request.header("authorization", format!("{scheme} {}", ada.access_token))).await;
        assert_eq!(response.status, 200, "{scheme}");
    }
    let genuine = Key::of(&key);
    let now = claims(&ada)["iat"].as_i64().unwrap();
    // Two hosts' clocks may differ by five seconds at the token's beginning; its end is its end.
    for (member, value, status) in
        [("nbf", now + 90, 200), ("nbf", now + 91, 401), ("exp", now + 1, 200), ("exp", now, 401)]
    {
        let token = genuine.token(&genuine.header(), &with(&claims(&ada), member, json!(value)));
        assert_eq!(session(&app, &token).await.status, status, "{member} {}", value - now);
    }
}

/// An app that signs with one key and believes these.
async fn app_with(signs: &SigningKey, believes: &[&SigningKey]) -> TestApp {
    let keys: Vec<Value> = believes.iter().map(|key| Key::of(key).jwk).collect();
    let env = vec![
        ("JWT_SIGNING_KEY", signs.private.clone()),
        ("JWT_PUBLIC_KEYS", json!({ "keys": keys }).to_string()),
    ];
    TestApp::with(Setup { env, ..Setup::default() }).await
}

/// Tries an attack on a user at every closed route; where the route names a user, it is by this id.
async fn refused_everywhere(app: &TestApp, user: &User, id: &str, attack: &Attack) {
    for route in routes::closed() {
        let path = format!("{}{}", route.path_for(id), attack.query);
        let mut request = app.request(route.method.clone(), &path, None);
        for (name, value) in &attack.headers {
            request = request.header(name, value);
        }
        let response = send(request.optional_json(&route.body(user))).await;
        let context = format!("{}: {} {path}: {}", attack.name, route.method, response.status);
        assert_eq!(response.status, 401, "{context}");
        let problem = response.json();
        let code = problem["code"].as_str().unwrap_or_default();
        assert!(["missing_token", "invalid_token"].contains(&code), "{context}");
        response.assert_problem(401, code);
    }
}

async fn session(app: &TestApp, token: &str) -> Response {
    send(app.request(Method::GET, "/auth/session", None).bearer_auth(token)).await
}

async fn login(app: &TestApp, username: &str) -> User {
    let response = app.post("/auth/login", &json!({ "username": username, "password": PASSWORD })).await;
    assert_eq!(response.status, 200, "{response:?}");
    User::signed_in(&response, String::new())
}

/// What a user's access token says.
fn claims(user: &User) -> Value {
    let payload = user.access_token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}
