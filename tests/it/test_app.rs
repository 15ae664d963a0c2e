//! A world per test: a backend of its own on its own database, bucket and providers, and users who speak HTTP to it.
//!
//! The database server is one for the whole run; everything else is the test's own. `TEST_MONGODB_URI` names a real
//! server to use instead, which is left with this run's databases and without those of earlier ones.

use std::{
    net::IpAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, Request, StatusCode};
use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use serde_json::{Value, json};
use shared::{clock::Clock, env::Env};
use tests::{
    fakes::{elevenlabs, gemini, mongodb::MongoDb, mongodb_wire::MongoWire, s3::S3},
    harness::{Backend, Options, Services, SigningKey, gateway},
};
use time::macros::datetime;
use tokio::{net::TcpListener, task::AbortHandle};
use tower::ServiceExt;

use crate::platform::openapi;

/// Half a minute of real speech as Chrome records it.
pub const WEBM: &[u8] = include_bytes!("../fixtures/recordings/speech-34s.webm");
/// The password of every user.
pub const PASSWORD: &str = "correct horse battery staple";

/// One backend with everything around it.
pub struct TestApp {
    pub services: Services,
    pub backend: Backend,
    pub clock: Clock,
    pub base: String,
    pub http: reqwest::Client,
    server: AbortHandle,
}

/// What is different in this world.
#[derive(Default)]
pub struct Setup {
    /// Variables for the functions, such as `MONTHLY_CHAR_LIMIT`.
    pub env: Vec<(&'static str, String)>,
    /// The account at the provider.
    pub elevenlabs: elevenlabs::Config,
    /// Whether it is today, as it is for programs of their own, and not the usual standing noon.
    pub today: bool,
}

/// A registered user with a session.
#[derive(Clone)]
pub struct User {
    pub id: String,
    pub username: String,
    pub access_token: String,
    pub refresh_token: String,
    pub code: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl TestApp {
    pub async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        let key = SigningKey::generate();
        let mut given = Env::from_iter([
            ("STAGE", "test"),
            ("MONGODB_URI", mongodb_uri()),
            // bcrypt's least: what is tested is not how slow it is.
            ("BCRYPT_COST", "4"),
            ("JWT_SIGNING_KEY", &key.private),
            ("JWT_PUBLIC_KEYS", &key.public_set),
        ]);
        given.extend([("MONGODB_DATABASE", format!("test-{}", ObjectId::new()))]);
        given.extend(setup.env);
        let options = Options { given, elevenlabs: setup.elevenlabs, ..Options::default() };
        let mut services = Services::start(options, |_| {}).await.expect("the stand-ins start");
        services.count_commands().await.expect("the proxy starts");

        let clock = if setup.today { Clock::system() } else { Clock::fixed(datetime!(2026-11-22 12:00 UTC)) };
        let backend = Backend::start(&services.env, &clock).await.expect("the backend starts");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let server = tokio::spawn(gateway::serve(listener, backend.routes.clone(), std::future::pending()));
        Self { services, backend, clock, base, http: reqwest::Client::new(), server: server.abort_handle() }
    }

    pub fn elevenlabs(&self) -> &elevenlabs::ElevenLabs {
        self.services.elevenlabs.as_ref().expect("tests run on the stand-in")
    }

    pub fn gemini(&self) -> &gemini::Gemini {
        self.services.gemini.as_ref().expect("tests run on the stand-in")
    }

    pub fn s3(&self) -> &S3 {
        self.services.s3.as_ref().expect("tests run on the stand-in")
    }

    pub fn wire(&self) -> &MongoWire {
        self.services.wire.as_ref().expect("every world counts its commands")
    }

    /// A fresh activation code.
    pub async fn code(&self) -> String {
        self.backend.activation_code().await.expect("a code").as_str().to_owned()
    }

    /// Registers a user.
    pub async fn register(&self, username: &str) -> User {
        let code = self.code().await;
        let answer = self.post("/auth/register", &registration(username, &code)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        User::signed_in(&answer, code)
    }

    /// Registers a user and uploads their voice.
    pub async fn performer(&self, username: &str) -> User {
        let user = self.register(username).await;
        let answer = self.upload(&user, WEBM).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        user
    }

    /// Uploads a recording as a browser would: the bytes themselves.
    pub async fn upload(&self, user: &User, audio: &[u8]) -> Answer {
        let request = self.request(Method::POST, "/users/me/voice", Some(user));
        send(request.header("content-type", "audio/webm").body(audio.to_vec())).await
    }

    /// Performs with a routine.
    pub async fn perform(&self, user: &User, value: &str) -> Answer {
        self.post_as(user, "/perform", &json!({ "routine_type": "cards", "value": value })).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path, None)).await
    }

    pub async fn get_as(&self, user: &User, path: &str) -> Answer {
        send(self.request(Method::GET, path, Some(user))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path, None).json(body)).await
    }

    pub async fn post_as(&self, user: &User, path: &str, body: &Value) -> Answer {
        self.send_as(user, Method::POST, path, body).await
    }

    pub async fn send_as(&self, user: &User, method: Method, path: &str, body: &Value) -> Answer {
        send(self.request(method, path, Some(user)).json(body)).await
    }

    /// A request to be built further.
    pub fn request(&self, method: Method, path: &str, user: Option<&User>) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match user {
            Some(user) => request.bearer_auth(&user.access_token),
            None => request,
        }
    }

    /// Another machine of the same deployment, whose clock is its own.
    pub async fn machine(&self, clock: &Clock) -> Backend {
        Backend::start(&self.services.env, clock).await.expect("another machine starts")
    }

    /// A user's document, as stored.
    pub async fn stored(&self, user: &User) -> Document {
        let id = ObjectId::parse_str(&user.id).expect("an id");
        let users = self.backend.database.collection::<Document>("users");
        users.find_one(doc! { "_id": id }).await.expect("the database answers").expect("the user is stored")
    }

    /// Slots that are held.
    pub async fn held_slots(&self) -> usize {
        let slots = self.backend.database.collection::<Document>("clone_slots");
        let document = slots.find_one(doc! {}).await.expect("the database answers");
        document.and_then(|document| document.get_array("held").ok().map(Vec::len)).unwrap_or(0)
    }

    /// Asserts what must hold after every perform, however it ended: no voice of ours at the provider, no slot and no
    /// lease held, no clone noted.
    pub async fn assert_nothing_remains(&self, user: &User) {
        let ledger = self.elevenlabs().ledger();
        assert!(ledger.living.is_empty(), "voices live on: {:?}", ledger.living);
        assert_eq!(self.held_slots().await, 0, "a slot is held");
        let stored = self.stored(user).await;
        assert!(
            stored.get("lease").is_none_or(|lease| lease.as_null().is_some()),
            "a lease is held: {stored}"
        );
        assert!(
            stored.get("voice_clone_id").is_none_or(|id| id.as_null().is_some()),
            "a clone is noted: {stored}"
        );
    }

    /// Makes every lease and every slot's lease run out, as time would.
    pub async fn let_leases_run_out(&self) {
        let past = DateTime::from_millis(0);
        let users = self.backend.database.collection::<Document>("users");
        let held = doc! { "lease.until": { "$exists": true } };
        let ended = doc! { "$set": { "lease.until": past } };
        users.update_many(held, ended).await.expect("the database answers");
        let slots = self.backend.database.collection::<Document>("clone_slots");
        let ended = vec![doc! { "$set": { "held": { "$map": {
            "input": "$held", "in": { "$mergeObjects": ["$$this", { "until": past }] },
        } } } }];
        slots.update_many(doc! {}, ended).await.expect("the database answers");
    }

    /// A new session of a user.
    pub async fn sign_in(&self, user: &User) -> User {
        let login = json!({ "username": user.username, "password": PASSWORD });
        let answer = self.post("/auth/login", &login).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        user.with_tokens_of(&answer)
    }

    /// Gives a user the admin role, as an operator would.
    pub async fn make_admin(&self, user: &User) {
        let id = ObjectId::parse_str(&user.id).expect("an id");
        self.backend.make_admin(id).await.expect("the database answers");
    }

    /// Changes a user's document behind the backend's back.
    pub async fn rewrite(&self, user: &User, update: Document) {
        let id = ObjectId::parse_str(&user.id).expect("an id");
        let users = self.backend.database.collection::<Document>("users");
        let updated = users.update_one(doc! { "_id": id }, update).await.expect("the database answers");
        assert_eq!(updated.matched_count, 1);
    }

    /// Characters charged to the user this month.
    pub async fn char_count(&self, user: &User) -> i64 {
        self.get_as(user, "/usage").await.json()["charCount"].as_i64().expect("a count")
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl User {
    /// Who a registration or a sign-in answered to.
    pub fn signed_in(answer: &Answer, code: String) -> Self {
        let body = answer.json();
        let text = |member: &str| body[member].as_str().expect(member).to_owned();
        Self {
            id: text("user_id"),
            username: text("username"),
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            code,
        }
    }

    /// The same user with the tokens of a sign-in or a refresh.
    pub fn with_tokens_of(&self, answer: &Answer) -> Self {
        let body = answer.json();
        let token = |member: &str| body[member].as_str().expect(member).to_owned();
        Self { access_token: token("access_token"), refresh_token: token("refresh_token"), ..self.clone() }
    }
}

impl Answer {
    /// What every answer has, whatever it says: an id, no place in a cache, and complete problem details (RFC 9457)
    /// where it is an error.
    #[track_caller]
    fn assert_well_formed(&self) {
        let id = self.header("x-request-id");
        assert!(!id.is_empty(), "no request id: {self:?}");
        assert_eq!(self.header("cache-control"), "no-store");
        if !self.status.is_client_error() && !self.status.is_server_error() {
            return;
        }
        let problem = self.json();
        let media_type = self.header("content-type");
        assert!(["application/problem+json", "application/json"].contains(&media_type), "{media_type}");
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["request_id"], id);
        for member in ["type", "title", "detail", "code"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        assert!(problem["errors"].is_array(), "{problem}");
        if [409, 429, 503].contains(&self.status.as_u16()) {
            assert!(self.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0), "{self:?}");
        }
        if self.status == StatusCode::UNAUTHORIZED {
            assert!(self.header("www-authenticate").starts_with("Bearer"), "{self:?}");
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The JSON, or null for an answer that is none.
    pub fn json_or_null(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The audio of a perform's JSON.
    pub fn audio(&self) -> Vec<u8> {
        STANDARD.decode(self.json()["audio_base64"].as_str().expect("audio")).expect("base64")
    }

    /// Asserts that this is problem details with this status and code, and gives them.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) -> Value {
        let said = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{said}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        problem
    }

    /// The fields that a 422 complains about, sorted.
    #[track_caller]
    pub fn bad_fields(&self) -> Vec<String> {
        let problem = self.assert_problem(422, "invalid_request");
        let errors = problem["errors"].as_array().expect("a list");
        let mut fields: Vec<String> =
            errors.iter().map(|error| error["field"].as_str().expect("a field").to_owned()).collect();
        fields.sort();
        fields
    }
}

/// The body of a registration.
pub fn registration(username: &str, code: &str) -> Value {
    json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": PASSWORD,
        "activationCode": code,
    })
}

/// Bytes as base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A client at another address: 127.0.0.`host`.
pub fn http_from(host: usize) -> reqwest::Client {
    let host = u8::try_from(host).expect("a host of the loopback network");
    reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, host])).build().expect("a client")
}

/// Sends a request and reads the whole answer, which must be well-formed and described.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let (http, request) = request.build_split();
    let request = request.expect("a request");
    let route = openapi::route_of(request.method(), request.url().path());
    let response = http.execute(request).await.expect("the backend answers");
    let answer = Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await.expect("a whole answer").to_vec(),
    };
    answer.assert_well_formed();
    if let Some(route) = &route {
        openapi::assert_described(route, &answer);
    }
    answer
}

/// The answer of routes to a request that did not come over a connection.
pub async fn call(routes: &Router, request: Request<Body>) -> Answer {
    let route = openapi::route_of(request.method(), request.uri().path());
    let Ok(response) = routes.clone().oneshot(request).await;
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole answer").to_vec();
    let answer = Answer { status: head.status, headers: head.headers, body };
    answer.assert_well_formed();
    if let Some(route) = &route {
        openapi::assert_described(route, &answer);
    }
    answer
}

/// Waits until something holds, for a few seconds at most.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(8), "it never came to be that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The server for the whole run: it ends with this process.
fn mongodb_uri() -> &'static str {
    static SERVER: OnceLock<MongoDb> = OnceLock::new();
    let start = || match Env::from_process().get("TEST_MONGODB_URI") {
        Some(uri) => {
            drop_earlier_runs(uri);
            MongoDb::external(uri)
        }
        None => MongoDb::start(None, 0).unwrap_or_else(|error| panic!("{error}")),
    };
    SERVER.get_or_init(start).uri()
}

/// Drops what runs of an hour ago and earlier left on a server that outlives them. The age is in the database's name.
fn drop_earlier_runs(uri: &str) {
    let dropping = async {
        let client = mongodb::Client::with_uri_str(uri).await?;
        let an_hour_ago = Clock::system().now().timestamp_millis() - 60 * 60 * 1000;
        for name in client.list_database_names().await? {
            let id = name.strip_prefix("test-").and_then(|id| ObjectId::parse_str(id).ok());
            if id.is_some_and(|id| id.timestamp().timestamp_millis() < an_hour_ago) {
                client.database(&name).drop().await?;
            }
        }
        Ok::<_, mongodb::error::Error>(())
    };
    // A test's own runtime waits for this one.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .expect("a runtime")
                .block_on(dropping)
                .expect("TEST_MONGODB_URI names a server that answers");
        });
    });
}
