//! Passwords: what one may be, changing it, resetting it, and the hashes that are already in the database.

use http::Method;
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use serde_json::json;
use tests::harness::{PASSWORD, Response, Setup, TestApp, User, registration};

const NEW: &str = "a new password";

#[tokio::test]
async fn password_has_eight_characters_to_72_bytes_and_is_never_cut() {
    let app = TestApp::new().await;
    let mut long = String::from("a crêpe, an über-gnu and the ñandú of Zürich dance on every second ");
    long.extend(std::iter::repeat_n('é', (72 - long.len()) / 2));
    long.extend(std::iter::repeat_n('!', 72 - long.len()));
    for (name, password) in [("short", "gnú-gñúx"), ("long", &long), ("spaces", "  crêpe gnu  ")] {
        let mut body = registration(name, &app.code().await);
        body["password"] = json!(password);
        assert_eq!(app.post("/auth/register", &body).await.status, 201, "{name}");
        assert_eq!(login(&app, name, password).await.status, 200, "{name}");
        assert_refused_unless(password.trim_end() == password, &login(&app, name, password.trim_end()).await);
        login(&app, name, &format!("{password}x")).await.assert_problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn password_change_ends_every_other_session() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let other_device = app.sign_in(&ada).await;
    let changed = change(&app, &ada, PASSWORD, NEW).await;
    assert_eq!((changed.status.as_u16(), changed.body.len()), (204, 0));

    assert_eq!(app.get_as(&ada, "/auth/session").await.status, 200);
    app.get_as(&other_device, "/auth/session").await.assert_problem(401, "invalid_token");
    let refresh = json!({ "refresh_token": other_device.refresh_token });
    app.post("/auth/refresh", &refresh).await.assert_problem(401, "invalid_refresh_token");
    login(&app, "ada", PASSWORD).await.assert_problem(401, "invalid_credentials");
    assert_eq!(login(&app, "ada", NEW).await.status, 200);
}

#[tokio::test]
async fn password_change_needs_the_current_password() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    change(&app, &ada, "wrong horse", NEW).await.assert_problem(401, "invalid_credentials");
    change(&app, &ada, PASSWORD, "short").await.assert_problem(422, "invalid_request");
    assert_eq!(login(&app, "ada", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn reset_by_code_works_once_and_ends_every_session() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let other_device = app.sign_in(&ada).await;
    let response = reset(&app, "ADA@example.com", &ada.code, NEW).await;
    assert_eq!((response.status.as_u16(), response.body.len()), (204, 0));

    for tokens in [&ada, &other_device] {
        app.get_as(tokens, "/auth/session").await.assert_problem(401, "invalid_token");
        let refresh = json!({ "refresh_token": tokens.refresh_token });
        app.post("/auth/refresh", &refresh).await.assert_problem(401, "invalid_refresh_token");
    }
    login(&app, "ada", PASSWORD).await.assert_problem(401, "invalid_credentials");
    assert_eq!(login(&app, "ada", NEW).await.status, 200);

    let again = reset(&app, "ada@example.com", &ada.code, "another password").await;
    again.assert_problem(422, "invalid_activation_code");
    assert_eq!(login(&app, "ada", NEW).await.status, 200);
}

#[tokio::test]
async fn reset_race_succeeds_once() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let resets = ["first password", "second password", "third password"]
        .map(|password| reset(&app, "ada@example.com", &ada.code, password));
    let responses = futures::future::join_all(resets).await;
    assert_eq!(responses.iter().filter(|response| response.status == 204).count(), 1);
}

#[tokio::test]
async fn reset_responds_alike_to_a_wrong_email_and_a_wrong_code() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let grace = app.register("grace").await;
    let unused = app.code().await;
    let mut problems = Vec::new();
    for (email, code) in [
        ("ada@example.com", &grace.code),
        ("ada@example.com", &unused),
        ("nobody@example.com", &ada.code),
        ("grace@example.com", &ada.code),
    ] {
        let mut problem = reset(&app, email, code, NEW).await.assert_problem(422, "invalid_activation_code");
        problem["request_id"] = json!(null);
        problems.push(problem);
    }
    problems.dedup();
    assert_eq!(problems.len(), 1, "{problems:?}");
    for name in ["ada", "grace"] {
        assert_eq!(login(&app, name, PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn password_hash_as_text_or_binary_works() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let hash = app.stored(&ada).await.get_str("password_hash").unwrap().to_owned();
    assert!(hash.starts_with("$2b$04$"), "{hash}");

    let binary = Binary { subtype: BinarySubtype::Generic, bytes: hash.into_bytes() };
    app.rewrite(&ada, doc! { "$set": { "password_hash": binary } }).await;
    assert_eq!(login(&app, "ada", PASSWORD).await.status, 200);
    login(&app, "ada", "wrong horse").await.assert_problem(401, "invalid_credentials");
    assert_eq!(app.get_as(&ada, "/users/me").await.status, 200);
    assert_eq!(change(&app, &ada, PASSWORD, NEW).await.status, 204);
    assert_eq!(login(&app, "ada", NEW).await.status, 200);

    // Another implementation's, at another cost: a published test vector.
    let foreign = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    app.rewrite(&ada, doc! { "$set": { "password_hash": foreign } }).await;
    assert_eq!(login(&app, "ada", "U*U").await.status, 200);
}

#[tokio::test]
async fn login_rehashes_to_the_current_cost() {
    // The longest password that there is, hashed when the cost was 4.
    let earlier = TestApp::new().await;
    let password = "a crêpe, an über-gnu and the ñandú of Zürich dance on every second!";
    assert_eq!(password.len(), 72);
    let mut body = registration("ada", &earlier.code().await);
    body["password"] = json!(password);
    let user = earlier.post("/auth/register", &body).await.json();
    let users = earlier.backend.database.collection::<Document>("users");
    let stored = users.find_one(doc! { "username": "ada" }).await.unwrap().unwrap();
    let cheap = stored.get_str("password_hash").unwrap();
    assert!(cheap.starts_with("$2b$04$") && user["username"] == "ada", "{cheap}");

    let app =
        TestApp::with(Setup { env: vec![("BCRYPT_COST", String::from("5"))], ..Setup::default() }).await;
    let ada = app.register("ada").await;
    app.rewrite(&ada, doc! { "$set": { "password_hash": cheap } }).await;
    assert_eq!(login(&app, "ada", password).await.status, 200);
    let hash = app.stored(&ada).await.get_str("password_hash").unwrap().to_owned();
    assert!(hash.starts_with("$2b$05$"), "{hash}");
    assert_eq!(login(&app, "ada", password).await.status, 200);
    login(&app, "ada", &password[1..]).await.assert_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn password_hash_that_is_malformed_signs_nobody_in() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    for hash in ["", "x", PASSWORD, "$2b$04$short"] {
        app.rewrite(&ada, doc! { "$set": { "password_hash": hash } }).await;
        for password in [PASSWORD, hash] {
            login(&app, "ada", password).await.assert_problem(401, "invalid_credentials");
        }
    }
}

/// Asserts that a login is refused, unless it is a right one.
#[track_caller]
fn assert_refused_unless(right: bool, login: &Response) {
    if !right {
        login.assert_problem(401, "invalid_credentials");
    }
}

async fn login(app: &TestApp, name: &str, password: &str) -> Response {
    app.post("/auth/login", &json!({ "username": name, "password": password })).await
}

async fn change(app: &TestApp, user: &User, current: &str, new: &str) -> Response {
    let body = json!({ "current_password": current, "new_password": new });
    app.send_as(user, Method::PUT, "/users/me/password", &body).await
}

async fn reset(app: &TestApp, email: &str, code: &str, new: &str) -> Response {
    let body = json!({ "email": email, "activation_code": code, "new_password": new });
    app.post("/activation/reset-password", &body).await
}
