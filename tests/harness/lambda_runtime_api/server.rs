//! Owns the HTTP side of the Runtime API for one process: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::{Failure, RESPONSE_LIMIT, lock};

/// Where an invocation's answer goes.
pub(super) type Answer = oneshot::Sender<Result<Bytes, Failure>>;

/// An event on its way to the function.
pub(super) struct Invocation {
    pub(super) payload: Bytes,
    /// Milliseconds since the Unix epoch.
    pub(super) deadline_ms: i64,
    pub(super) function: String,
    pub(super) answer: Answer,
}

/// The server, for as long as this value lives.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    address: SocketAddr,
    invocations: mpsc::UnboundedSender<Invocation>,
    progress: watch::Receiver<Progress>,
    server: AbortHandle,
}

/// How far the process has come.
#[derive(Debug, Default)]
struct Progress {
    /// When it first asked for an event, or why it never will.
    first_next: Option<Result<Instant, Failure>>,
    /// Whether it is asking for one now.
    waiting: bool,
}

struct Shared {
    invocations: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    progress: watch::Sender<Progress>,
    /// The invocation that the process is at: its request id, and where the answer goes.
    current: Mutex<Option<(String, Answer)>>,
}

impl RuntimeApi {
    pub(super) async fn start() -> io::Result<Self> {
        let (invocations, receiver) = mpsc::unbounded_channel();
        let (progress, seen) = watch::channel(Progress::default());
        let shared = Arc::new(Shared {
            invocations: tokio::sync::Mutex::new(receiver),
            progress,
            current: Mutex::default(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(invocation_error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            // The limit is the platform's, and it has its own answer.
            .layer(DefaultBodyLimit::disable())
            .with_state(shared);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Self { address, invocations, progress: seen, server })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the process an event as soon as it asks for one.
    pub(super) fn deliver(&self, invocation: Invocation) {
        // The receiver ends with the server, which ends with this value.
        let _ = self.invocations.send(invocation);
    }

    /// When the process first asked for an event, or the error that its start ended with.
    pub(super) async fn first_next(&self) -> Result<Instant, Failure> {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.first_next.is_some()).await;
        match reached.ok().and_then(|progress| progress.first_next.clone()) {
            Some(first) => first,
            None => std::future::pending().await,
        }
    }

    /// Ends when the process asks for an event and there is none.
    pub(super) async fn waiting(&self) {
        let mut progress = self.progress.clone();
        let _ = progress.wait_for(|progress| progress.waiting).await;
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let now = Instant::now();
    shared.progress.send_modify(|progress| {
        progress.first_next.get_or_insert(Ok(now));
        progress.waiting = true;
    });
    let Some(invocation) = shared.invocations.lock().await.recv().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    shared.progress.send_modify(|progress| progress.waiting = false);
    let id = uuid::Uuid::new_v4();
    let trace = id.simple().to_string();
    let seconds = shared::clock::Clock::system().utc().unix_timestamp();
    *lock(&shared.current) = Some((id.to_string(), invocation.answer));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", id.to_string()),
        ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:us-east-1:123456789012:function:{}", invocation.function),
        ),
        (
            "lambda-runtime-trace-id",
            format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", &trace[..24], &trace[16..]),
        ),
    ];
    (headers, invocation.payload).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    if body.len() > RESPONSE_LIMIT {
        let message = format!(
            "Exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes): the response has {} bytes",
            body.len()
        );
        let known = shared.answer(&id, Err(Failure::ResponseTooLarge(body.len())));
        return if known {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
        } else {
            unknown_request()
        };
    }
    if shared.answer(&id, Ok(body)) { accepted() } else { unknown_request() }
}

async fn invocation_error(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    if shared.answer(&id, Err(function_error(&body))) { accepted() } else { unknown_request() }
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    shared.progress.send_modify(|progress| {
        progress.first_next.get_or_insert(Err(function_error(&body)));
    });
    accepted()
}

impl Shared {
    /// Hands an answer to whoever waits for it. False if this invocation is not the current one.
    fn answer(&self, id: &str, answer: Result<Bytes, Failure>) -> bool {
        let current = lock(&self.current).take_if(|(current, _)| current == id);
        // Whoever waited may have given up meanwhile, which is not the function's business.
        current.map(|(_, waiting)| waiting.send(answer)).is_some()
    }
}

fn function_error(body: &[u8]) -> Failure {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Failure::Function { error_type: text("errorType"), message: text("errorMessage") }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, axum::Json(json!({ "status": "OK" }))).into_response()
}

fn unknown_request() -> Response {
    refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
}

fn refused(status: StatusCode, error_type: &str, message: &str) -> Response {
    (status, axum::Json(json!({ "errorType": error_type, "errorMessage": message }))).into_response()
}
