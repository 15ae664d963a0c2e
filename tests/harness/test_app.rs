//! A backend of its own on its own database, bucket and providers, with users who call it.
//!
//! The database server is one for the whole process; everything else is the app's own. `TEST_MONGODB_URI` names a real
//! server to use instead, which is left with this run's databases and without those of earlier ones.
//!
//! What fails while a test is set up is a bug, and panics.

#![expect(clippy::missing_panics_doc, reason = "said once, above")]

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use http::Method;
use mongodb::{
    bson::{DateTime, Document, doc, oid::ObjectId},
    options::ReturnDocument,
};
use serde_json::{Value, json};
use shared::{clock::Clock, env::Env};
use time::macros::datetime;
use tokio::{net::TcpListener, task::AbortHandle};

use super::{
    Backend, LambdaBinaries, Options, Services, SigningKey,
    client::{PASSWORD, Response, TestClient, TestRequest, User, routine},
    gateway,
    lambda_runtime_api::{self, Function},
    openapi, routes,
};
use crate::fakes::{elevenlabs, gemini, mongodb::MongoDb, mongodb_wire::MongoWire, s3::S3};

/// Half a minute of real speech as Chrome records it.
pub const WEBM: &[u8] = include_bytes!("../fixtures/recordings/speech-34s.webm");
/// What a fake takes where a test looks at the middle of something: long enough on a busy machine too.
pub const SLOW: Duration = Duration::from_secs(3);
/// How long a test waits for a condition before it fails: long enough for any machine.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// One backend with everything around it.
pub struct TestApp {
    pub services: Services,
    pub backend: Backend,
    pub clock: Clock,
    /// Where the backend listens, such as `http://127.0.0.1:8080`.
    pub base: String,
    /// Calls the backend over HTTP.
    pub client: TestClient,
    /// For what is not the backend, such as presigned links.
    pub http: reqwest::Client,
    server: AbortHandle,
}

/// What is different in this app.
#[derive(Default)]
pub struct Setup {
    /// Variables for the functions, such as `MONTHLY_CHAR_LIMIT`.
    pub env: Vec<(&'static str, String)>,
    /// The account at the provider.
    pub elevenlabs: elevenlabs::Config,
    /// Whether the clock is the system's, as for programs of their own, and not a fixed noon.
    pub today: bool,
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
        let mut services = Services::start(options, |_| {}).await.expect("the fakes start");
        services.count_commands().await.expect("the proxy starts");
        let clock = if setup.today { Clock::system() } else { Clock::fixed(datetime!(2026-11-22 12:00 UTC)) };
        Self::on(services, clock).await.expect("the backend starts")
    }

    /// Starts the backend on services that run, and serves it over HTTP.
    pub async fn on(services: Services, clock: Clock) -> Result<Self, String> {
        let no_port = |error: std::io::Error| format!("No port is free: {error}.");
        let backend = Backend::start(&services.env, &clock).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(no_port)?;
        let base = format!("http://{}", listener.local_addr().map_err(no_port)?);
        let server = tokio::spawn(gateway::serve(listener, backend.routes.clone(), std::future::pending()));
        Ok(Self {
            services,
            backend,
            clock,
            client: TestClient::http(&base),
            base,
            http: reqwest::Client::new(),
            server: server.abort_handle(),
        })
    }

    /// Executes a function's program in this deployment.
    pub async fn function(
        &self,
        binaries: &LambdaBinaries,
        name: &str,
        timeout: Duration,
    ) -> Result<Arc<Function>, String> {
        let options = lambda_runtime_api::Options {
            name: name.to_owned(),
            timeout,
            ..lambda_runtime_api::Options::default()
        };
        let mut env = self.services.env.clone();
        if name == "perform" {
            env.extend([("PERFORM_TIMEOUT_SECONDS", timeout.as_secs().to_string())]);
        }
        let started = Function::spawn(binaries.path(name)?, env, options).await;
        started.map(Arc::new).map_err(|failure| format!("{name}: {failure}"))
    }

    pub fn elevenlabs(&self) -> &elevenlabs::ElevenLabs {
        self.services.elevenlabs.as_ref().expect("tests run on the fake")
    }

    pub fn gemini(&self) -> &gemini::Gemini {
        self.services.gemini.as_ref().expect("tests run on the fake")
    }

    pub fn s3(&self) -> &S3 {
        self.services.s3.as_ref().expect("tests run on the fake")
    }

    pub fn wire(&self) -> &MongoWire {
        self.services.wire.as_ref().expect("this app counts its commands")
    }

    /// A fresh activation code.
    pub async fn code(&self) -> String {
        self.backend.activation_code().await.expect("a code").as_str().to_owned()
    }

    /// Registers a user.
    pub async fn register(&self, username: &str) -> User {
        let code = self.code().await;
        let response = send(self.client.register(username, &code)).await;
        assert_eq!(response.status, 201, "{response:?}");
        User::signed_in(&response, code)
    }

    /// Registers a user and uploads their voice.
    pub async fn performer(&self, username: &str) -> User {
        let user = self.register(username).await;
        let response = self.upload(&user, WEBM).await;
        assert_eq!(response.status, 200, "{response:?}");
        user
    }

    /// Uploads a recording, labelled as WebM.
    pub async fn upload(&self, user: &User, audio: &[u8]) -> Response {
        send(self.client.upload(user, "audio/webm", audio)).await
    }

    /// Performs with a routine.
    pub async fn perform(&self, user: &User, value: &str) -> Response {
        send(self.client.perform(user, &routine(value))).await
    }

    pub async fn get(&self, path: &str) -> Response {
        send(self.request(Method::GET, path, None)).await
    }

    pub async fn get_as(&self, user: &User, path: &str) -> Response {
        send(self.request(Method::GET, path, Some(user))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        send(self.request(Method::POST, path, None).json(body)).await
    }

    pub async fn post_as(&self, user: &User, path: &str, body: &Value) -> Response {
        self.send_as(user, Method::POST, path, body).await
    }

    pub async fn send_as(&self, user: &User, method: Method, path: &str, body: &Value) -> Response {
        send(self.request(method, path, Some(user)).json(body)).await
    }

    /// A request to be built further.
    pub fn request(&self, method: Method, path: &str, user: Option<&User>) -> TestRequest {
        let request = self.client.request(method, path);
        match user {
            Some(user) => request.user(user),
            None => request,
        }
    }

    /// A client with another address: 127.0.0.`host`.
    pub fn client_from(&self, host: usize) -> TestClient {
        TestClient::http_from(&self.base, host)
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

    /// The name of a voice that this deployment creates under a lease.
    pub async fn voice_name(&self, lease_id: ObjectId) -> String {
        let slots = self.backend.database.collection::<Document>("clone_slots");
        let made = vec![doc! { "$set": {
            "held": { "$ifNull": ["$held", []] },
            "deployment": { "$ifNull": ["$deployment", "0123456789abcdef"] },
        } }];
        let made = slots.find_one_and_update(doc! { "_id": "test" }, made).upsert(true);
        let stored = made.return_document(ReturnDocument::After).await.expect("the database answers");
        let deployment = stored.as_ref().and_then(|slots| slots.get_str("deployment").ok()).expect("an id");
        format!("newvisions:test:{deployment}:{lease_id}")
    }

    /// Slots that are held.
    pub async fn held_slots(&self) -> usize {
        let slots = self.backend.database.collection::<Document>("clone_slots");
        let document = slots.find_one(doc! {}).await.expect("the database answers");
        document.and_then(|document| document.get_array("held").ok().map(Vec::len)).unwrap_or(0)
    }

    /// Asserts what must hold after every perform, however it ended: no voice of ours at the provider, no slot and no
    /// lease held, no clone recorded.
    pub async fn assert_nothing_remains(&self, user: &User) {
        let ledger = self.elevenlabs().state();
        assert!(ledger.existing.is_empty(), "voices still exist: {:?}", ledger.existing);
        assert_eq!(self.held_slots().await, 0, "a slot is held");
        let stored = self.stored(user).await;
        assert!(
            stored.get("lease").is_none_or(|lease| lease.as_null().is_some()),
            "a lease is held: {stored}"
        );
        assert!(
            stored.get("voice_clone_id").is_none_or(|id| id.as_null().is_some()),
            "a clone is recorded: {stored}"
        );
    }

    /// Expires every lease and every held slot, as time would.
    pub async fn expire_leases(&self) {
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
        let response = self.post("/auth/login", &login).await;
        assert_eq!(response.status, 200, "{response:?}");
        user.with_tokens_of(&response)
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

/// Sends a request and reads the whole response, which must be well-formed and as the API's description says.
pub async fn send(request: TestRequest) -> Response {
    let route = routes::find(&request.method, &request.path);
    let response = request.send().await.expect("the backend responds");
    response.assert_well_formed();
    if let Some(route) = route {
        openapi::assert_described(route, &response);
    }
    response
}

/// Waits until a condition holds, however slow the machine is.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < MAX_WAIT, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
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
