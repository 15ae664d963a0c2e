//! A client of the API: over HTTP, on the routers in this process, or as the Runtime API of a function's program.

use std::{
    error::Error,
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::lambda_runtime_api::{Failure, Function};

/// The password of every user of the tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct TestClient {
    transport: Transport,
}

#[derive(Clone)]
enum Transport {
    Router(Router),
    Http { http: reqwest::Client, base: String },
    Function(Arc<Function>),
}

/// A registered user with a session.
#[derive(Clone)]
pub struct User {
    pub id: String,
    pub username: String,
    pub access_token: String,
    pub refresh_token: String,
    /// The activation code they registered with.
    pub code: String,
}

/// A request to be built further and sent.
#[derive(Clone)]
pub struct TestRequest {
    client: TestClient,
    pub method: Method,
    pub path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
    /// Whether the body was given as a value, and not as bytes that are sent as they are.
    is_json: bool,
}

/// A response, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no response.
#[derive(Debug)]
pub enum SendError {
    /// No connection, or one that ended too early.
    Http(reqwest::Error),
    /// The function's program ended, timed out or gave no HTTP response.
    Function(Failure),
}

impl TestClient {
    /// Requests go to these routers without a connection.
    #[must_use]
    pub fn router(router: &Router) -> Self {
        Self { transport: Transport::Router(router.clone()) }
    }

    /// Requests go to a server, such as `http://127.0.0.1:8080`.
    pub fn http(base: impl Into<String>) -> Self {
        Self { transport: Transport::Http { http: reqwest::Client::new(), base: base.into() } }
    }

    /// The same as [`http`](Self::http) from another client address: 127.0.0.`host`.
    ///
    /// # Panics
    /// If that is no address of this machine.
    #[must_use]
    pub fn http_from(base: &str, host: usize) -> Self {
        let host = u8::try_from(host).expect("a host of the loopback network");
        let address = IpAddr::from([127, 0, 0, host]);
        let http = reqwest::Client::builder().local_address(address).build().expect("a client");
        Self { transport: Transport::Http { http, base: base.to_owned() } }
    }

    /// Requests become events for a function's program.
    #[must_use]
    pub fn function(function: &Arc<Function>) -> Self {
        Self { transport: Transport::Function(Arc::clone(function)) }
    }

    /// `path` may have a query.
    pub fn request(&self, method: Method, path: impl Into<String>) -> TestRequest {
        TestRequest {
            client: self.clone(),
            method,
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            is_json: false,
        }
    }

    /// Registers a user with an activation code.
    #[must_use]
    pub fn register(&self, username: &str, code: &str) -> TestRequest {
        self.request(Method::POST, "/auth/register").json(&registration(username, code))
    }

    /// Uploads a recording as a browser would: the bytes themselves.
    #[must_use]
    pub fn upload(&self, user: &User, media_type: &str, audio: &[u8]) -> TestRequest {
        let request = self.request(Method::POST, "/users/me/voice").user(user);
        request.header("content-type", media_type).body(audio.to_vec())
    }

    /// Performs; see [`routine`] for a body.
    #[must_use]
    pub fn perform(&self, user: &User, body: &Value) -> TestRequest {
        self.request(Method::POST, "/perform").user(user).json(body)
    }
}

impl TestRequest {
    /// Signs the request with a user's access token.
    #[must_use]
    pub fn user(self, user: &User) -> Self {
        self.bearer_auth(&user.access_token)
    }

    #[must_use]
    pub fn bearer_auth(self, token: impl AsRef<str>) -> Self {
        self.header("authorization", format!("Bearer {}", token.as_ref()))
    }

    #[must_use]
    pub fn basic_auth(self, username: &str, password: &str) -> Self {
        let credentials = STANDARD.encode(format!("{username}:{password}"));
        self.header("authorization", format!("Basic {credentials}"))
    }

    /// Adds a header, its name in lower case; a name may be given twice.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends an `Idempotency-Key`.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        let labelled = self.headers.iter().any(|(name, _)| name == "content-type");
        let request = if labelled { self } else { self.header("content-type", "application/json") };
        let request = request.body(body.to_string());
        Self { is_json: true, ..request }
    }

    /// JSON, or nothing at all for null.
    #[must_use]
    pub fn optional_json(self, body: &Value) -> Self {
        if body.is_null() { self } else { self.json(body) }
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.is_json = false;
        self
    }

    /// Sends it and reads the whole response, whatever its status.
    ///
    /// # Panics
    /// If the request is none that HTTP allows.
    pub async fn send(self) -> Result<Response, SendError> {
        let body = self.distinct_body();
        let Self { client, method, path, headers, .. } = self;
        match client.transport {
            Transport::Router(router) => {
                let mut request = Request::builder().method(method).uri(path);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let request = request.body(Body::from(body)).expect("a request");
                let Ok(response) = router.oneshot(request).await;
                let (head, body) = response.into_parts();
                let body = to_bytes(body, usize::MAX).await.expect("a body in memory");
                Ok(Response { status: head.status, headers: head.headers, body })
            }
            Transport::Http { http, base } => {
                let mut request = http.request(method, format!("{base}{path}")).body(body);
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let response = request.send().await.map_err(SendError::Http)?;
                let (status, headers) = (response.status(), response.headers().clone());
                let body = response.bytes().await.map_err(SendError::Http)?;
                Ok(Response { status, headers, body })
            }
            Transport::Function(function) => {
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let response = function.invoke_http(method.as_str(), &path, &headers, &body).await;
                let response = response.map_err(SendError::Function)?;
                Ok(Response { status: response.status, headers: response.headers, body: response.body })
            }
        }
    }

    /// The body. Two performs without a key are two requests also if their JSON is the same: they differ in the space at
    /// the end.
    fn distinct_body(&self) -> Bytes {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let is_keyed = self.headers.iter().any(|(name, _)| name == "idempotency-key");
        if !self.is_json || is_keyed || self.path != "/perform" {
            return self.body.clone();
        }
        let number = format!("{:b}", COUNT.fetch_add(1, Ordering::Relaxed));
        [&self.body[..], number.replace('0', " ").replace('1', "\t").as_bytes()].concat().into()
    }

    /// Sends it; an error says what the request was and why it failed. For programs, where a test would assert.
    pub async fn send_successfully(self) -> Result<Response, String> {
        let name = format!("{} {}", self.method, self.path);
        let response = self.send().await.map_err(|error| format!("{name}: {error}"))?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(format!("{name} responded {}: {}", response.status, String::from_utf8_lossy(&response.body)))
    }
}

impl User {
    /// Who a response to a registration or a sign-in is for.
    ///
    /// # Panics
    /// If it is no such response.
    #[must_use]
    pub fn signed_in(response: &Response, code: String) -> Self {
        let body = response.json();
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
    ///
    /// # Panics
    /// If it is no such response.
    #[must_use]
    pub fn with_tokens_of(&self, response: &Response) -> Self {
        let body = response.json();
        let token = |member: &str| body[member].as_str().expect(member).to_owned();
        Self { access_token: token("access_token"), refresh_token: token("refresh_token"), ..self.clone() }
    }
}

impl Response {
    /// What every response has: an id, no place in a cache, and complete problem details (RFC 9457) where it is an
    /// error.
    ///
    /// # Panics
    /// If something of that is missing.
    #[track_caller]
    pub fn assert_well_formed(&self) {
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

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The body as JSON, or null if it is none.
    #[must_use]
    pub fn json_or_null(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value; empty without one.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The audio in a perform's JSON.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn audio(&self) -> Vec<u8> {
        STANDARD.decode(self.json()["audio_base64"].as_str().expect("audio")).expect("base64")
    }

    /// Asserts that this is problem details with this status and code, and gives them.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        problem
    }

    /// The fields that a 422 complains about, sorted.
    ///
    /// # Panics
    /// If it is no such response.
    #[must_use]
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

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(error) => error.fmt(f),
            Self::Function(failure) => failure.fmt(f),
        }
    }
}

impl Error for SendError {}

/// The body of a registration.
#[must_use]
pub fn registration(username: &str, code: &str) -> Value {
    json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": PASSWORD,
        "activationCode": code,
    })
}

/// The body of a perform with a routine, for which a thought is generated.
#[must_use]
pub fn routine(value: &str) -> Value {
    json!({ "routine_type": "cards", "value": value })
}

/// Bytes as base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
