//! No log line and no panic's message holds a secret or a person's data, however a request ends.

use std::{
    cell::Cell,
    io::{self, Write},
    panic,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::TryStreamExt as _;
use http::Method;
use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use shared::{env::Env, telemetry};
use tests::{
    fakes::{
        elevenlabs,
        faults::{Fault, Operation},
        mongodb_wire, s3,
    },
    harness::{
        PASSWORD, Response, Setup, SigningKey, TestApp, TestClient, User, WEBM, gateway, registration,
        routes, send,
    },
};

use tokio::net::TcpListener;
use tracing::{Dispatch, subscriber::NoSubscriber};
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

const NEW_PASSWORD: &str = "seven purple umbrellas dancing";
const WRONG_PASSWORD: &str = "eleven crooked lanterns";
const SPOKEN: &str = "the spectator thinks of Marigold";

#[test]
fn logs_hold_no_secret_and_no_personal_data() {
    let log = Log::default();
    let known = runtime(&log).block_on(async {
        let (app, mut known) = app().await;
        live_a_life(&app, &mut known).await;
        fail_in_every_way(&app, &mut known).await;
        panic_with(&known).await;
        known.hashes(&app).await;
        known
    });
    let text = log.text();
    // It was listened to: every kind of line is there, and the panic's place.
    for line in [
        "handled",
        "perform finished: ",
        "request refused",
        "ElevenLabs failed",
        "MongoDB failed",
        "S3 failed",
    ] {
        assert!(text.contains(line), "no line says {line:?}");
    }
    assert!(text.contains("panicked") && text.contains("secrets.rs"), "the panic left no line");
    let leaks = known.found_in(&text);
    assert!(leaks.is_empty(), "{leaks:#?}");

    // The search finds what is there.
    runtime(&log).block_on(async { tracing::debug!(password = PASSWORD, "a planted leak") });
    assert_eq!(known.found_in(&log.text()).len(), 1);
}

/// A user's life, as it should go.
async fn live_a_life(app: &TestApp, known: &mut Known) {
    let ada = known.register(app, "ada-of-the-logs").await;
    assert_eq!(app.upload(&ada, WEBM).await.status, 200);
    let audio = json!({ "audio_base64": STANDARD.encode(WEBM) });
    assert_eq!(app.post_as(&ada, "/users/me/voice", &audio).await.status, 200);

    let offer = json!({ "mime_type": "audio/webm", "bytes": WEBM.len() });
    let offer = app.post_as(&ada, "/users/me/voice/upload", &offer).await.json();
    let url = offer["upload_url"].as_str().unwrap();
    let (_, signature) = url.split_once("X-Amz-Signature=").expect("a presigned URL");
    known.secret("an upload's signature", signature.split('&').next().unwrap());
    let mut put = app.http.put(url).body(WEBM);
    for (name, value) in offer["headers"].as_object().unwrap() {
        put = put.header(name, value.as_str().unwrap());
    }
    assert_eq!(put.send().await.expect("S3 responds").status(), 200);
    assert_eq!(app.post_as(&ada, "/users/me/voice", &json!({ "key": offer["key"] })).await.status, 200);

    let perform =
        app.request(Method::POST, "/perform", Some(&ada)).header("idempotency-key", "once-only-4711");
    known.secret("an idempotency key", "once-only-4711");
    let performed = send(perform.json(&json!({ "text": SPOKEN }))).await;
    assert_eq!(performed.status, 200, "{performed:?}");
    known.secret("what was said", &STANDARD.encode(performed.audio())[100..148]);
    let thought = json!({ "topic": "names", "value": "Marigold" });
    assert_eq!(app.post_as(&ada, "/thought", &thought).await.status, 200);
    assert_eq!(app.get("/health").await.status, 200);
    for route in routes::closed().filter(|route| route.method == Method::GET) {
        app.get_as(&ada, &route.path_for("me")).await;
    }
    let change = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    assert_eq!(app.send_as(&ada, Method::PUT, "/users/me/password", &change).await.status, 204);
    let refreshed = app.post("/auth/refresh", &json!({ "refresh_token": ada.refresh_token })).await;
    let ada = known.signed_in(&refreshed, &ada);
    let rename = json!({ "email": "ada-elsewhere@example.com", "current_password": NEW_PASSWORD });
    assert_eq!(app.send_as(&ada, Method::PATCH, "/users/me", &rename).await.status, 200);
    app.backend.make_admin(ada.id.parse().unwrap()).await.unwrap();
    let codes = app.post_as(&ada, "/activation/codes", &json!({ "count": 5 })).await.json();
    for code in codes["codes"].as_array().unwrap() {
        known.secret("an activation code", code.as_str().unwrap());
    }
    let reset = json!({
        "email": "ada-elsewhere@example.com", "activation_code": ada.code, "new_password": NEW_PASSWORD,
    });
    assert_eq!(app.post("/activation/reset-password", &reset).await.status, 204);
    let login = json!({ "username": "ada-elsewhere@example.com", "password": NEW_PASSWORD });
    let ada = known.signed_in(&app.post("/auth/login", &login).await, &ada);
    assert_eq!(app.post_as(&ada, "/auth/logout", &Value::Null).await.status, 204);
}

/// What can go wrong, at the client, at the providers and at the stores.
async fn fail_in_every_way(app: &TestApp, known: &mut Known) {
    let eve = known.register(app, "eve-of-the-logs").await;
    assert_eq!(app.upload(&eve, WEBM).await.status, 200);
    let eve = client_errors(app, known, &eve).await;

    // Providers repeat what they were sent.
    let echo = json!({ "detail": {
        "status": "invalid_api_key",
        "message": format!("the key {} is bad, and so is {SPOKEN}", known.of("the ElevenLabs key")),
    } });
    let echo = Fault::json(401, &echo);
    for (operation, fault) in [
        (Operation::Create, echo.clone()),
        (Operation::Create, Fault::TruncatedBody),
        (Operation::Synthesize, echo.clone()),
        (Operation::Synthesize, Fault::TruncatedBody),
        (Operation::Delete, echo),
        (Operation::Delete, Fault::html_503()),
        (Operation::Delete, Fault::ResetBeforeEffect),
    ] {
        app.elevenlabs().faults().next(operation, fault);
        app.perform(&eve, SPOKEN).await;
        app.elevenlabs().faults().clear();
    }
    let refused = Fault::json(400, &json!({ "error": { "message": SPOKEN } }));
    for fault in [Fault::html_503(), refused, Fault::text(200, SPOKEN)] {
        app.gemini().faults().next_n(Operation::Generate, 3, &fault);
        app.post_as(&eve, "/thought", &json!({ "topic": "names", "value": "Marigold" })).await;
        app.gemini().faults().clear();
    }
    app.backend.sweep().await.unwrap();

    for fault in [s3::Fault::AccessDenied, s3::Fault::ResetBefore] {
        app.s3().inject(9, Method::PUT, fault);
        app.s3().inject(9, Method::GET, fault);
        assert_eq!(app.upload(&eve, WEBM).await.status, 503);
        app.perform(&eve, SPOKEN).await;
        app.s3().reset();
    }

    let refused = mongodb_wire::Fault::Refuse {
        code: 121,
        message: format!("validation failed: eve-of-the-logs@example.com {PASSWORD} {}", eve.code),
    };
    app.wire().inject(999, None, None, refused);
    for route in routes::closed() {
        let request = app.request(route.method.clone(), &route.path_for("me"), Some(&eve));
        let response = send(request.json(&route.body(&eve))).await;
        assert!(!response.status.is_success(), "{} {}: {response:?}", route.method, route.path);
    }
    lose_mongodb(app, &eve).await;
    // A driver waits for half a second before it asks for a lost server again.
    for fault in [mongodb_wire::Fault::CutBefore, mongodb_wire::Fault::CutAfter] {
        app.wire().reset();
        app.wire().inject(999, None, None, fault);
        lose_mongodb(app, &eve).await;
    }
    app.wire().reset();
}

/// Sign-ins without a database.
async fn lose_mongodb(app: &TestApp, eve: &User) {
    let login = json!({ "username": "eve-of-the-logs", "password": PASSWORD });
    for (path, body) in [
        ("/auth/register", registration("mallory", &eve.code)),
        ("/auth/login", login),
        ("/auth/refresh", json!({ "refresh_token": eve.refresh_token })),
    ] {
        app.post(path, &body).await.assert_problem(503, "service_unavailable");
    }
}

/// Requests that are refused, with secrets in the wrong places. One of them ends the session; gives the next.
async fn client_errors(app: &TestApp, known: &mut Known, eve: &User) -> User {
    let code = known.of("an activation code");
    for body in [
        json!({ "username": "eve-of-the-logs", "password": WRONG_PASSWORD }),
        json!({ "username": PASSWORD, "password": "eve-of-the-logs@example.com" }),
        json!({ "username": [PASSWORD], "password": { "is": PASSWORD } }),
    ] {
        app.post("/auth/login", &body).await;
    }
    for (member, value) in [
        ("username", json!(PASSWORD)),
        ("email", json!(PASSWORD)),
        ("password", json!("password")),
        ("activationCode", json!(format!("{code}{code}"))),
        ("activationCode", json!("ABCDEFGH123")),
        ("activationCode", json!(eve.code)),
        ("username", json!("eve-of-the-logs")),
        ("email", json!("eve-of-the-logs@example.com")),
    ] {
        let mut body = registration("mallory", &code);
        body[member] = value;
        assert!(app.post("/auth/register", &body).await.status.is_client_error());
    }
    // Half of a body, and secrets where ids, keys and media types go.
    let half = format!("{{\"username\":\"eve\",\"password\":\"{PASSWORD}");
    let request = app.request(Method::POST, "/auth/login", None).header("content-type", "application/json");
    send(request.body(half)).await.assert_problem(400, "malformed_json");
    let request =
        app.request(Method::POST, "/auth/login", None).header("content-type", eve.refresh_token.as_str());
    send(request.body(PASSWORD)).await.assert_problem(415, "unsupported_media_type");
    for path in [
        format!("/users/{}", eve.refresh_token),
        format!("/nowhere/{}?token={}", eve.access_token, eve.access_token),
    ] {
        app.get_as(eve, &path).await;
    }
    app.post("/auth/refresh", &json!({ "refresh_token": format!("{}x", eve.refresh_token) })).await;
    let eve_again =
        app.post("/auth/login", &json!({ "username": "eve-of-the-logs", "password": PASSWORD })).await;
    let eve = &known.signed_in(&eve_again, eve);
    for bad in [&eve.refresh_token, &code, &format!("{}x", eve.access_token)] {
        send(app.request(Method::GET, "/auth/session", None).bearer_auth(bad)).await;
    }
    let body = json!({ "audio_base64": STANDARD.encode(&WEBM[..4000]) });
    app.post_as(eve, "/users/me/voice", &body).await;
    app.post_as(eve, "/users/me/voice", &json!({ "key": eve.refresh_token })).await;
    for bad in
        [json!({ "text": SPOKEN, "voice": SPOKEN }), json!({ "routine_type": SPOKEN, "value": SPOKEN })]
    {
        app.post_as(eve, "/perform", &bad).await;
    }
    eve.clone()
}

/// A handler that panics with everything in its text, behind the edge that every function has.
async fn panic_with(known: &Known) {
    let text = known.0.iter().map(|(_, secret)| secret.as_str()).collect::<Vec<_>>().join("\n");
    let routes = Router::new().route(
        "/panic",
        post(async move || -> &'static str {
            tokio::task::yield_now().await;
            panic!("{text}")
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TestClient::http(format!("http://{}", listener.local_addr().unwrap()));
    let server = tokio::spawn(gateway::serve(
        listener,
        shared::http::with_common_layers(routes, &Env::default()).unwrap(),
        std::future::pending(),
    ));
    let response = send(client.request(Method::POST, "/panic")).await;
    let problem = response.assert_problem(500, "internal_error");
    assert!(known.found_in(&problem.to_string()).is_empty(), "{problem}");
    server.abort();
}

async fn app() -> (TestApp, Known) {
    let key = SigningKey::generate();
    let provider_key = "xi-secret-key-of-this-test";
    let mut known = Known::default();
    for (what, secret) in [
        ("a password", PASSWORD),
        ("a password", NEW_PASSWORD),
        ("a password", WRONG_PASSWORD),
        ("what a spectator thinks of", "Marigold"),
        ("an email address", "@example.com"),
        ("the signing key", &key.private),
        ("the ElevenLabs key", provider_key),
        ("the S3 key", s3::SECRET_KEY),
    ] {
        known.secret(what, secret);
    }
    // A recording, wherever it was cut out of: as base64 and as Rust prints bytes.
    for at in [0, 3000, 30_000] {
        known.secret("the recording", &STANDARD.encode(&WEBM[at..at + 36]));
        known.secret("the recording", &WEBM[at..at + 12].escape_ascii().to_string());
    }
    let env = vec![("JWT_SIGNING_KEY", key.private.clone()), ("JWT_PUBLIC_KEYS", key.public_set.clone())];
    let elevenlabs = elevenlabs::Config { api_key: provider_key.to_owned(), ..elevenlabs::Config::default() };
    let app = TestApp::with(Setup { env, elevenlabs, ..Setup::default() }).await;
    known.secret("the Gemini key", app.services.env.get("GEMINI_API_KEY").expect("a key"));
    (app, known)
}

/// What must not be logged, each with what it is.
#[derive(Default)]
struct Known(Vec<(&'static str, String)>);

impl Known {
    fn secret(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 8, "{what} is too short to be looked for");
        self.0.push((what, secret.to_owned()));
    }

    /// The latest of a kind.
    fn of(&self, what: &str) -> String {
        self.0.iter().rfind(|(kind, _)| *kind == what).expect("one is known").1.clone()
    }

    async fn register(&mut self, app: &TestApp, username: &str) -> User {
        let user = app.register(username).await;
        self.secret("an activation code", &user.code);
        self.tokens(&user);
        self.hashes(app).await;
        user
    }

    fn signed_in(&mut self, response: &Response, before: &User) -> User {
        assert_eq!(response.status, 200, "{response:?}");
        let body = response.json();
        let text = |member: &str| body[member].as_str().expect(member).to_owned();
        let (access_token, refresh_token) = (text("access_token"), text("refresh_token"));
        let user = User { access_token, refresh_token, ..before.clone() };
        self.tokens(&user);
        user
    }

    fn tokens(&mut self, user: &User) {
        // The parts that are worth something: a token without its signature is not.
        self.secret("an access token", user.access_token.rsplit('.').next().expect("three parts"));
        self.secret("a refresh token", user.refresh_token.rsplit('.').next().expect("three parts"));
    }

    /// Adds what only the database knows: the hashes of the passwords, as they are now.
    async fn hashes(&mut self, app: &TestApp) {
        let users = app.backend.database.collection::<Document>("users");
        let users: Vec<Document> = users.find(doc! {}).await.unwrap().try_collect().await.unwrap();
        for user in users {
            let hash = user.get_str("password_hash").unwrap().to_owned();
            // The salt alone would be too much.
            self.secret("a password's hash", &hash[..29]);
            self.secret("a password's hash", &hash[29..]);
        }
    }

    /// Each kind of secret that a text holds, with the place.
    fn found_in(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (what, secret) in &self.0 {
            if let Some(line) = text.lines().find(|line| line.contains(secret.as_str())) {
                found.push(format!("{what}: {}", line.chars().take(600).collect::<String>()));
            }
        }
        found
    }
}

/// All that is logged, as text.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

thread_local! {
    /// Whether what happens on this thread belongs to this test.
    static LISTENED_TO: Cell<bool> = const { Cell::new(false) };
}

/// A runtime whose every thread writes all levels, all crates and all spans to `log`, and panics as a bootstrap does.
pub fn runtime(log: &Log) -> tokio::runtime::Runtime {
    let log = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        // All levels of all crates, but for the S3 server's, whose log is not ours.
        .with_env_filter(EnvFilter::new("trace,s3s=off,s3s_fs=off"))
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
        .with_writer(move || log.clone())
        .finish();
    let dispatch = Dispatch::new(subscriber);
    // While there is but one, `tracing` asks whichever thread comes first to a line whether anybody will ever want
    // it, and the other tests' threads want none.
    std::mem::forget(Dispatch::new(NoSubscriber::new()));
    let listen = move || {
        LISTENED_TO.set(true);
        // For as long as the thread lives.
        std::mem::forget(tracing::dispatcher::set_default(&dispatch));
    };
    listen();
    hear_panics();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(listen)
        .build()
        .expect("a runtime")
}

/// The hook is the whole process's, and other tests keep theirs; so does this one, to say why it fails.
fn hear_panics() {
    let theirs = panic::take_hook();
    telemetry::hide_panic_messages();
    let ours = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if LISTENED_TO.get() {
            ours(info);
        }
        theirs(info);
    }));
}
