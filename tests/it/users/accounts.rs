//! Accounts: made with an activation code, shown, renamed, deleted.

use futures::future::join_all;
use http::Method;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use tests::harness::{PASSWORD, TestApp, User, WEBM, registration, send};

#[tokio::test]
async fn register_creates_a_signed_in_account() {
    let app = TestApp::new().await;
    let code = app.code().await;
    let response = app.post("/auth/register", &registration("Ada.Lovelace-1_", &code)).await;
    assert_eq!(response.status, 201);
    let body = response.json();
    assert_eq!(body["username"], "Ada.Lovelace-1_");
    assert_eq!(body["email"], "Ada.Lovelace-1_@example.com");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    let members: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 7, "{members:?}");

    let token = body["access_token"].as_str().unwrap();
    let profile = send(app.request(Method::GET, "/users/me", None).bearer_auth(token)).await.json();
    assert_eq!(profile["user_id"], body["user_id"]);
    assert_eq!(profile["created_at"], "2026-11-22T12:00:00Z");
    assert_eq!(profile["settings"]["voice_language"], "en");
    assert_eq!(profile["voice"]["hasSample"], false);
    assert!(!profile.to_string().contains("$2b$"), "{profile}");
}

#[tokio::test]
async fn register_needs_an_issued_and_unused_code() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let unknown = app.post("/auth/register", &registration("grace", "ABCDEFGHJ23")).await;
    unknown.assert_problem(422, "invalid_activation_code");
    let used = app.post("/auth/register", &registration("grace", &ada.code)).await;
    used.assert_problem(409, "activation_code_used");
    assert_eq!(accounts(&app).await, 1);
}

#[tokio::test]
async fn activation_code_is_used_from_the_moment_its_account_exists() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    // As a crash between the account and the code's mark leaves it.
    let codes = app.backend.database.collection::<Document>("activation_codes");
    codes.update_one(doc! { "_id": &ada.code }, doc! { "$set": { "used_by": null } }).await.unwrap();
    let again = app.post("/auth/register", &registration("grace", &ada.code)).await;
    again.assert_problem(409, "activation_code_used");
    let verdict = app.post("/activation/verify", &json!({ "code": ada.code })).await;
    assert_eq!(verdict.json(), json!({ "valid": false }));
}

#[tokio::test]
async fn register_that_fails_leaves_its_code_unused() {
    let app = TestApp::new().await;
    app.register("ada").await;
    let code = app.code().await;

    let mut taken = registration("ADA", &code);
    taken["email"] = json!("other@example.com");
    app.post("/auth/register", &taken).await.assert_problem(409, "username_taken");
    let mut taken = registration("grace", &code);
    taken["email"] = json!("Ada@EXAMPLE.com");
    app.post("/auth/register", &taken).await.assert_problem(409, "email_taken");
    let mut weak = registration("grace", &code);
    weak["password"] = json!("1234567");
    app.post("/auth/register", &weak).await.assert_problem(422, "invalid_request");

    assert_eq!(app.post("/auth/register", &registration("grace", &code)).await.status, 201);
    assert_eq!(accounts(&app).await, 2);
}

#[tokio::test]
async fn register_race_on_one_code_creates_one_account() {
    let app = TestApp::new().await;
    let code = app.code().await;
    let bodies: Vec<Value> = (0..20).map(|at| registration(&format!("user{at}"), &code)).collect();
    let responses = join_all(bodies.iter().map(|body| app.post("/auth/register", body))).await;
    assert_eq!(responses.iter().filter(|response| response.status == 201).count(), 1);
    for refused in responses.iter().filter(|response| response.status != 201) {
        refused.assert_problem(409, "activation_code_used");
    }
    assert_eq!(accounts(&app).await, 1);
}

#[tokio::test]
async fn register_race_on_one_name_creates_one_account_and_uses_one_code() {
    let app = TestApp::new().await;
    let codes = join_all((0..20).map(|_| app.code())).await;
    let bodies: Vec<Value> = codes
        .iter()
        .enumerate()
        .map(|(at, code)| {
            let mut body = registration(if at % 2 == 0 { "ada" } else { "ADA" }, code);
            body["email"] = json!(format!("ada{at}@example.com"));
            body
        })
        .collect();
    let responses = join_all(bodies.iter().map(|body| app.post("/auth/register", body))).await;
    for (response, code) in responses.iter().zip(&codes) {
        let made = response.status == 201;
        if !made {
            response.assert_problem(409, "username_taken");
        }
        let verdict = app.post("/activation/verify", &json!({ "code": code })).await;
        assert_eq!(verdict.json()["valid"], !made);
    }
    assert_eq!(responses.iter().filter(|response| response.status == 201).count(), 1);
    assert_eq!(accounts(&app).await, 1);
}

#[tokio::test]
async fn profile_change_of_name_and_email_is_used_at_login() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    let renamed = patch(&app, &ada, &json!({ "username": "Countess" })).await;
    assert_eq!(renamed["username"], "Countess");
    assert_eq!(renamed["email"], "ada@example.com");
    let moved =
        patch(&app, &ada, &json!({ "email": "Countess@Example.org", "current_password": PASSWORD })).await;
    assert_eq!((&moved["username"], &moved["email"]), (&json!("Countess"), &json!("Countess@Example.org")));
    // One's own name in another case is not taken, and nothing at all changes nothing.
    assert_eq!(patch(&app, &ada, &json!({ "username": "countess" })).await["username"], "countess");
    assert_eq!(patch(&app, &ada, &json!({})).await["email"], "Countess@Example.org");

    for (login, status) in
        [("COUNTESS", 200), ("countess@example.org", 200), ("ada", 401), ("ada@example.com", 401)]
    {
        let response = app.post("/auth/login", &json!({ "username": login, "password": PASSWORD })).await;
        assert_eq!(response.status, status, "{login}");
    }
}

#[tokio::test]
async fn profile_change_to_a_taken_name_or_email_changes_nothing() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.register("grace").await;
    for (body, code) in [
        (
            json!({ "username": "GRACE", "email": "new@example.com", "current_password": PASSWORD }),
            "username_taken",
        ),
        (
            json!({ "username": "new", "email": "Grace@example.com", "current_password": PASSWORD }),
            "email_taken",
        ),
    ] {
        let response = app.send_as(&ada, Method::PATCH, "/users/me", &body).await;
        response.assert_problem(409, code);
        let profile = app.get_as(&ada, "/users/me").await.json();
        assert_eq!((&profile["username"], &profile["email"]), (&json!("ada"), &json!("ada@example.com")));
    }
}

#[tokio::test]
async fn profile_change_of_the_email_asks_for_the_password() {
    let app = TestApp::new().await;
    let ada = app.register("ada").await;
    app.register("grace").await;
    // Without the password it does not even tell whether the address is taken.
    for email in ["new@example.com", "grace@example.com"] {
        let response = app.send_as(&ada, Method::PATCH, "/users/me", &json!({ "email": email })).await;
        assert_eq!(response.bad_fields(), ["current_password"]);
        let body = json!({ "email": email, "current_password": "not the password", "username": "other" });
        let response = app.send_as(&ada, Method::PATCH, "/users/me", &body).await;
        response.assert_problem(401, "invalid_credentials");
    }
    let profile = app.get_as(&ada, "/users/me").await.json();
    assert_eq!((&profile["username"], &profile["email"]), (&json!("ada"), &json!("ada@example.com")));
    // The same address, as the app sends it along with a new name, is no change.
    let body = json!({ "username": "countess", "email": "ADA@example.com" });
    assert_eq!(patch(&app, &ada, &body).await["username"], "countess");
}

#[tokio::test]
async fn account_deletion_leaves_nothing_and_its_code_stays_used() {
    let app = TestApp::new().await;
    let ada = app.performer("ada").await;
    let other_device = app.sign_in(&ada).await;
    assert_eq!(app.perform(&ada, "Queen of Hearts").await.status, 200);
    let offer = json!({ "mime_type": "audio/webm", "bytes": WEBM.len() });
    let offer = app.post_as(&ada, "/users/me/voice/upload", &offer).await.json();
    let put = app.http.put(offer["upload_url"].as_str().unwrap()).header("content-type", "audio/webm");
    assert_eq!(put.body(WEBM).send().await.unwrap().status(), 200);
    // The recording, the upload, and the audio that a repetition would get.
    assert_eq!(app.s3().keys().len(), 3);

    let wrong = json!({ "password": "not my password" });
    let refused = app.send_as(&ada, Method::DELETE, "/users/me", &wrong).await;
    refused.assert_problem(401, "invalid_credentials");
    assert_eq!(accounts(&app).await, 1);

    let deleted = app.send_as(&ada, Method::DELETE, "/users/me", &json!({ "password": PASSWORD })).await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    for tokens in [&ada, &other_device] {
        app.get_as(tokens, "/users/me").await.assert_problem(401, "invalid_token");
        let refresh = json!({ "refresh_token": tokens.refresh_token });
        app.post("/auth/refresh", &refresh).await.assert_problem(401, "invalid_refresh_token");
    }
    let login = json!({ "username": "ada", "password": PASSWORD });
    app.post("/auth/login", &login).await.assert_problem(401, "invalid_credentials");

    assert_eq!(app.s3().keys(), [""; 0]);
    let database = &app.backend.database;
    for collection in database.list_collection_names().await.unwrap() {
        let mut documents = database.collection::<Document>(&collection).find(doc! {}).await.unwrap();
        while documents.advance().await.unwrap() {
            let text = documents.deserialize_current().unwrap().to_string();
            // The code names whose it was, by an id that leads nowhere any more.
            let named = text.contains("ada") || (collection != "activation_codes" && text.contains(&ada.id));
            assert!(!named, "{collection}: {text}");
        }
    }

    let again = app.post("/auth/register", &registration("ada", &ada.code)).await;
    again.assert_problem(409, "activation_code_used");
    // The name is free for somebody with a code of their own.
    app.register("ada").await;
}

/// Changes the profile and gives it.
async fn patch(app: &TestApp, user: &User, body: &Value) -> Value {
    let response = app.send_as(user, Method::PATCH, "/users/me", body).await;
    assert_eq!(response.status, 200, "{response:?}");
    response.json()
}

async fn accounts(app: &TestApp) -> u64 {
    let users = app.backend.database.collection::<Document>("users");
    users.count_documents(doc! {}).await.unwrap()
}
