//! The web app's own requests, as it sends them: same-origin under `/api`, a data URL for the recording, its user's id in
//! bodies and paths, `Accept: application/json`, and no `Idempotency-Key`.

use http::Method;
use serde_json::{Value, json};
use tests::harness::{PASSWORD, Response, TestApp, WEBM, base64, mp3, send};

/// The web app with the access token that it keeps.
struct WebApp<'a> {
    app: &'a TestApp,
    token: Option<String>,
}

impl WebApp<'_> {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.app.request(method, &format!("/api{path}"), None);
        let request =
            request.header("accept", "application/json").header("x-request-id", "chosen-by-the-app");
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = send(request.optional_json(body)).await;
        assert_eq!(
            response.header("content-type"),
            if response.body.is_empty() { "" } else { "application/json" }
        );
        assert_ne!(response.header("x-request-id"), "chosen-by-the-app");
        response
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.ask(Method::GET, path, &Value::Null).await;
        assert_eq!(response.status, 200, "{path}: {response:?}");
        response.json()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.ask(Method::POST, path, &body).await
    }
}

#[tokio::test]
async fn app_journey_from_code_to_voice_note() {
    let app = TestApp::new().await;
    let mut web = WebApp { app: &app, token: None };

    // Typed and pasted on a phone: blanks around everything but the password.
    let code = format!(" {} ", app.code().await);
    assert_eq!(
        web.post("/activation/verify", json!({ "code": code })).await.json(),
        json!({ "valid": true })
    );
    let register = json!({
        "username": " Ada ", "email": "\tada@example.com\n", "password": PASSWORD, "activationCode": code,
    });
    let registered = web.post("/auth/register", register).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    let registered = registered.json();
    assert_eq!((&registered["username"], &registered["email"]), (&json!("Ada"), &json!("ada@example.com")));
    let id = registered["user_id"].as_str().unwrap().to_owned();

    // A wrong password is told in the media type that the app parses.
    let wrong = web.post("/auth/login", json!({ "username": "ada", "password": "not the password" })).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["code"]), (401, &json!("invalid_credentials")));
    let login =
        web.post("/auth/login", json!({ "username": " ada@example.com ", "password": PASSWORD })).await;
    let session = login.json();
    web.token = Some(session["access_token"].as_str().unwrap().to_owned());

    // At its start the app refreshes and asks for everything at once.
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let (first, second) =
        tokio::join!(web.post("/auth/refresh", refresh.clone()), web.post("/auth/refresh", refresh.clone()));
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    web.token = Some(second.json()["access_token"].as_str().unwrap().to_owned());
    let profile = web.get(&format!("/users/{id}")).await;
    assert_eq!(profile["voice"]["hasClone"], false);
    assert_eq!(web.get("/auth/session").await["user_id"], id.as_str());
    assert_eq!(web.get(&format!("/users/{id}/meta")).await["charCount"], 0);

    // Recorded in the browser and sent as its FileReader makes it.
    let recording = json!({
        "user_id": id,
        "audio_base64": format!("data:audio/webm;codecs=opus;base64,{}", base64(WEBM)),
        "mime_type": "audio/webm;codecs=opus",
        "duration_seconds": 34,
    });
    let uploaded = web.post(&format!("/users/{id}/voice"), recording).await;
    assert_eq!(uploaded.status, 200, "{uploaded:?}");
    // By this the app opens Perform.
    let meta = web.get(&format!("/users/{id}/voice/meta")).await;
    assert_eq!((&meta["hasSample"], &meta["hasClone"]), (&json!(true), &json!(true)));
    assert_eq!(web.get(&format!("/users/{id}")).await["voice"], meta);

    let settings = json!({ "user_id": id, "voice_language": "en", "background_sound": true });
    let stored = web.ask(Method::PUT, &format!("/users/{id}/settings"), &settings).await;
    assert_eq!(stored.status, 200, "{stored:?}");
    let perform = json!({ "user_id": id, "routine_type": "cards", "value": "Q of Hearts" });
    let performed = web.post("/perform", perform).await;
    assert_eq!(performed.status, 200, "{performed:?}");
    assert_eq!(performed.json()["voiceSource"], "ephemeral_clone");
    assert!(mp3::listen(&performed.audio()).is_some(), "an MP3 that plays");
    let strangers =
        json!({ "user_id": "000000000000000000000000", "routine_type": "cards", "value": "7 of Clubs" });
    assert_eq!(web.post("/perform", strangers).await.status, 403);
    assert!(web.get("/usage").await["charCount"].as_i64() > Some(0));

    let deleted = web.ask(Method::DELETE, &format!("/users/{id}/voice"), &Value::Null).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(web.get(&format!("/users/{id}/voice/meta")).await["hasClone"], false);
    assert_eq!(web.post("/auth/logout", Value::Null).await.status, 204);
    let ended = web.ask(Method::GET, "/auth/session", &Value::Null).await;
    assert_eq!((ended.status.as_u16(), &ended.json()["code"]), (401, &json!("invalid_token")));
}

#[tokio::test]
async fn text_that_people_type_is_taken_in_every_form() {
    let app = TestApp::new().await;
    let [nfc, nfd] = ["gr\u{fc}n@m\u{fc}ller.de", "gru\u{308}n@mu\u{308}ller.de"];
    let [password, typed_elsewhere] = ["gr\u{fc}ne W\u{e4}lder im Mai", "gru\u{308}ne Wa\u{308}lder im Mai"];
    // A space that is not seen, as chat programs put around what is copied.
    let code = app.code().await;
    let body = json!({
        "username": "\u{a0}gruen\u{200b}", "email": format!(" {nfd}\u{feff}"), "password": typed_elsewhere,
        "activationCode": format!("\u{200b}{code}\u{a0}"),
    });
    let registered = app.post("/auth/register", &body).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    assert_eq!((&registered.json()["username"], &registered.json()["email"]), (&json!("gruen"), &json!(nfc)));
    for login in [nfc, nfd, "GR\u{dc}N@M\u{dc}LLER.de", "GRU\u{308}N@mu\u{308}ller.de ", " Gruen\n"] {
        for password in [password, typed_elsewhere] {
            let response = app.post("/auth/login", &json!({ "username": login, "password": password })).await;
            assert_eq!(response.status, 200, "{login} {password}: {response:?}");
        }
    }
    // The address is one, in whatever form somebody else types it.
    let other = json!({
        "username": "other", "email": nfd, "password": PASSWORD, "activationCode": app.code().await,
    });
    app.post("/auth/register", &other).await.assert_problem(409, "email_taken");
    let reset =
        json!({ "email": nfd, "activation_code": format!(" {code}"), "new_password": "nach dem Regen" });
    assert_eq!(app.post("/activation/reset-password", &reset).await.status, 204);
    let login = json!({ "username": nfc, "password": "nach dem Regen" });
    assert_eq!(app.post("/auth/login", &login).await.status, 200);
}
