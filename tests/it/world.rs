//! A world per test: a backend of its own on its own database, bucket and providers, and users who speak HTTP to it.
//!
//! The database server is one for the whole run; everything else is the test's own. `TEST_MONGODB_URI` names a real
//! server to use instead.

use std::{net::IpAddr, sync::OnceLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, StatusCode};
use mongodb::bson::{Document, doc, oid::ObjectId};
use serde_json::{Value, json};
use shared::{clock::Clock, env::Env};
use tests::{
    app::{Backend, Options, Services, SigningKey, gateway},
    standins::{elevenlabs, gemini, mongodb::MongoDb, mongodb_wire::MongoWire, s3::S3},
};
use time::macros::datetime;
use tokio::{net::TcpListener, task::AbortHandle};

/// Half a minute of real speech as Chrome records it.
pub const WEBM: &[u8] = include_bytes!("../recordings/speech-34s.webm");
/// The password of every user.
pub const PASSWORD: &str = "correct horse battery staple";

/// One backend with everything around it.
pub struct World {
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

impl World {
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

        let clock = Clock::fixed(datetime!(2026-11-22 12:00 UTC));
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
        let body = answer.json();
        let text = |member: &str| body[member].as_str().expect(member).to_owned();
        User {
            id: text("user_id"),
            username: text("username"),
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            code,
        }
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

    /// Characters charged to the user this month.
    pub async fn char_count(&self, user: &User) -> i64 {
        self.get_as(user, "/usage").await.json()["charCount"].as_i64().expect("a count")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The audio of a perform's JSON.
    pub fn audio(&self) -> Vec<u8> {
        STANDARD.decode(self.json()["audio_base64"].as_str().expect("audio")).expect("base64")
    }

    /// Asserts that this is problem details of this status and code (RFC 9457), complete and without a cause.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status.as_u16(), problem["code"].as_str()), (status, Some(code)), "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"].as_str(), Some(self.header("x-request-id")));
        for member in ["type", "title", "detail", "request_id"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {problem}");
        }
        if [409, 429, 503].contains(&status) {
            assert!(self.header("retry-after").parse::<u64>().is_ok(), "no Retry-After");
        }
        if status == 401 {
            assert!(self.header("www-authenticate").starts_with("Bearer"), "no challenge");
        }
        problem
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

/// A client at another address: 127.0.0.`host`.
pub fn http_from(host: usize) -> reqwest::Client {
    let host = u8::try_from(host).expect("a host of the loopback network");
    reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, host])).build().expect("a client")
}

/// Sends a request and reads the whole answer.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("the backend answers");
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.bytes().await.expect("a whole answer").to_vec(),
    }
}

/// The server for the whole run: it ends with this process.
fn mongodb_uri() -> &'static str {
    static SERVER: OnceLock<MongoDb> = OnceLock::new();
    let start = || match Env::of_process().get("TEST_MONGODB_URI") {
        Some(uri) => MongoDb::external(uri),
        None => MongoDb::start(None, 0).unwrap_or_else(|error| panic!("{error}")),
    };
    SERVER.get_or_init(start).uri()
}
