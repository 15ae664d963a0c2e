//! Owns an S3 server in this process: [`s3s-fs`](https://docs.rs/s3s-fs) behind a front that keeps a requests of the
//! requests and can delay or spoil them. Signatures, presigned URLs and checksums are verified as S3 does. It must not
//! know what is stored in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tower::Layer;
use tower_http::cors::{Any, CorsLayer};

use super::faults::FaultSignal;

/// The default access key.
pub const ACCESS_KEY: &str = "AKIALOCALNEWVISIONS1";
/// Access keys that are accepted too: with one for each client, the logged requests tell who sent them.
pub const MORE_ACCESS_KEYS: [&str; 8] = [
    "AKIALOCALNEWVISIONS2",
    "AKIALOCALNEWVISIONS3",
    "AKIALOCALNEWVISIONS4",
    "AKIALOCALNEWVISIONS5",
    "AKIALOCALNEWVISIONS6",
    "AKIALOCALNEWVISIONS7",
    "AKIALOCALNEWVISIONS8",
    "AKIALOCALNEWVISIONS9",
];
/// The secret of every access key.
pub const SECRET_KEY: &str = "local-secret-for-the-s3-server";
/// The region to sign for.
pub const REGION: &str = "us-east-1";
/// The bucket that is there from the start.
pub const BUCKET: &str = "newvisions-recordings";

/// A request that the server received.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// The method; together with the key it tells the operation for what we use.
    pub method: Method,
    /// The object's key as it stands in the path (percent-encoded), empty for requests to the bucket.
    pub key: String,
    /// The access key that it was signed with, in its head or in a presigned URL; empty for none.
    pub access_key: String,
    /// When its head had arrived, before any delay.
    pub started: Instant,
    /// When the whole response was ready; `None` if there was none (yet).
    pub ended: Option<Instant>,
    /// The status of the response.
    pub status: Option<StatusCode>,
}

/// One way for a request to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No fault: lets one request through, so that the next can fail.
    Pass,
    /// 503 `SlowDown`, which the SDK retries.
    SlowDown,
    /// 403 `AccessDenied`.
    AccessDenied,
    /// Closes the connection, and does nothing.
    ResetBefore,
    /// Takes effect, and closes the connection in place of the response.
    ResetAfter,
    /// The response announces its whole body and closes the connection in the middle of it.
    Truncate,
    /// Never responds, and does nothing.
    HangBefore,
    /// Takes effect, and never responds.
    HangAfter,
    /// Takes effect this much later.
    Delay(Duration),
}

/// The server. It ends with this value, and a temporary root with it.
#[derive(Debug)]
pub struct S3 {
    endpoint: String,
    bucket: PathBuf,
    shared: Arc<Shared>,
    server: AbortHandle,
    _temporary: Option<tempfile::TempDir>,
}

#[derive(Debug)]
struct Shared {
    s3: S3Service,
    /// The file system answers the second of two deletions at once with an error; S3 lets both succeed.
    deletion: tokio::sync::Mutex<()>,
    triggered: FaultSignal,
    state: Mutex<State>,
    /// How many connections were accepted.
    connections: AtomicUsize,
    /// So many of the oldest are frozen.
    frozen: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<LoggedRequest>,
    /// How many requests were forgotten: the response to one of them must not be logged for another.
    forgotten: usize,
    delay: Duration,
    rules: Vec<Rule>,
}

/// An injected fault, for so many more requests with the method.
#[derive(Debug)]
struct Rule {
    times: usize,
    method: Method,
    fault: Fault,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

impl S3 {
    /// Serves the files under `root` (`None`: a temporary folder) on a port of the loopback interface (0: any free
    /// one), and creates [`BUCKET`] if it is not there.
    pub async fn start(root: Option<&Path>, port: u16) -> io::Result<Self> {
        let (root, temporary) = if let Some(root) = root {
            (root.to_path_buf(), None)
        } else {
            let temporary = tempfile::tempdir()?;
            (temporary.path().to_path_buf(), Some(temporary))
        };
        let bucket = root.join(BUCKET);
        std::fs::create_dir_all(&bucket)?;
        let files = FileSystem::new(&root).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        let mut auth = SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY);
        for key in MORE_ACCESS_KEYS {
            auth.register(key.into(), SECRET_KEY.into());
        }
        builder.set_auth(auth);

        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            s3: builder.build(),
            deletion: tokio::sync::Mutex::default(),
            triggered: FaultSignal::default(),
            state: Mutex::default(),
            connections: AtomicUsize::new(0),
            frozen: AtomicUsize::new(0),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { endpoint, bucket, shared, server, _temporary: temporary })
    }

    /// `http://127.0.0.1:<port>`; buckets are in the path (`force_path_style`).
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The official SDK's client for this server, with the SDK's defaults.
    #[must_use]
    pub fn client(&self) -> aws_sdk_s3::Client {
        self.client_as(ACCESS_KEY, SECRET_KEY)
    }

    fn client_as(&self, key: &str, secret: &str) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .credentials_provider(Credentials::new(key, secret, None, None, "local"))
            .endpoint_url(&self.endpoint)
            .force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// The keys of all objects in [`BUCKET`], sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        collect_keys(&self.bucket, "", &mut keys);
        keys.sort();
        keys
    }

    /// The requests since the start or [`reset`](Self::reset), in the order they came.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.shared.state().requests.clone()
    }

    /// Forgets the requests, the faults and the delay. Objects stay.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        let forgotten = state.forgotten + state.requests.len();
        *state = State { forgotten, ..State::default() };
        self.shared.triggered.reset();
    }

    /// The signal that a fault was triggered.
    #[must_use]
    pub fn triggered(&self) -> &FaultSignal {
        &self.shared.triggered
    }

    /// From now on, requests over the connections that exist are swallowed, as after their client was frozen.
    pub fn freeze_connections(&self) {
        let newest = self.shared.connections.load(Ordering::Relaxed);
        self.shared.frozen.store(newest, Ordering::Relaxed);
    }

    /// Delays every request by this much from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.state().delay = delay;
    }

    /// Injects a fault into the next `times` requests with this method, after those injected before. The SDK retries
    /// what looks transient (three attempts in all), so a single one is usually survived.
    pub fn inject(&self, times: usize, method: Method, fault: Fault) {
        self.shared.state().rules.push(Rule { times, method, fault });
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // The web app's page comes from another origin, and a browser asks before it uploads to a presigned URL.
    let cors = CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any).expose_headers(Any);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((connection, _)) = listener.accept().await else { continue };
        let _ = connection.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let service = tower::service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move {
                if number <= shared.frozen.load(Ordering::Relaxed) {
                    return std::future::pending().await;
                }
                respond(shared, request).await
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(connection), TowerToHyperService::new(cors.layer(service)));
        connections.spawn(connection);
    }
}

/// One request. An error closes the connection without a response.
async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (number, delay, fault) = shared.received(&request);
    // The timer's tick is a millisecond, so a sleep of nothing would be one.
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if matches!(
        fault,
        Some(
            Fault::SlowDown | Fault::AccessDenied | Fault::ResetBefore | Fault::HangBefore | Fault::Delay(_)
        )
    ) {
        shared.triggered.set();
    }
    let response = match fault {
        Some(Fault::SlowDown) => {
            error_response(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate.")
        }
        Some(Fault::AccessDenied) => error_response(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"),
        Some(Fault::ResetBefore) => return Err(reset()),
        Some(Fault::HangBefore) => std::future::pending().await,
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            shared.serve(request).await?
        }
        Some(Fault::Pass | Fault::ResetAfter | Fault::HangAfter | Fault::Truncate) | None => {
            shared.serve(request).await?
        }
    };
    if matches!(fault, Some(Fault::ResetAfter | Fault::HangAfter | Fault::Truncate)) {
        shared.triggered.set();
    }
    match fault {
        Some(Fault::ResetAfter) => return Err(reset()),
        Some(Fault::HangAfter) => std::future::pending().await,
        _ => {}
    }
    shared.responded(number, response.status());
    Ok(response.map(|body| match fault {
        Some(Fault::Truncate) => truncate(&body),
        _ => Full::new(body).map_err(|never| match never {}).boxed_unsync(),
    }))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a request; returns its number, the delay and the injected fault.
    fn received(&self, request: &Request<Incoming>) -> (usize, Duration, Option<Fault>) {
        let key =
            request.uri().path().trim_start_matches('/').split_once('/').map_or("", |(_bucket, key)| key);
        let mut state = self.state();
        state.requests.push(LoggedRequest {
            method: request.method().clone(),
            key: key.to_owned(),
            access_key: access_key(request),
            started: Instant::now(),
            ended: None,
            status: None,
        });
        let number = state.forgotten + state.requests.len() - 1;
        let delay = state.delay;
        let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && rule.method == *request.method());
        let fault = rule.map(|rule| {
            rule.times -= 1;
            rule.fault
        });
        (number, delay, fault)
    }

    fn responded(&self, number: usize, status: StatusCode) {
        let mut state = self.state();
        let index = number.checked_sub(state.forgotten);
        if let Some(entry) = index.and_then(|index| state.requests.get_mut(index)) {
            entry.status = Some(status);
            entry.ended = Some(Instant::now());
        }
    }

    async fn serve(&self, request: Request<Incoming>) -> io::Result<Response<Bytes>> {
        let _one_at_a_time =
            if request.method() == Method::DELETE { Some(self.deletion.lock().await) } else { None };
        let response = self.s3.call(request.map(s3s::Body::from)).await.map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await.map_err(io::Error::other)?.to_bytes()))
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>, and the same in a query.
fn access_key(request: &Request<Incoming>) -> String {
    let head = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let credential = head
        .and_then(|head| head.split_once("Credential="))
        .or_else(|| request.uri().query()?.split_once("X-Amz-Credential="));
    let key = credential.and_then(|(_, rest)| rest.split(['/', '%']).next());
    key.unwrap_or_default().to_owned()
}

fn reset() -> io::Error {
    io::Error::other("injected fault: the connection is closed")
}

/// An error as S3 words it: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
fn error_response(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <RequestId>LOCAL</RequestId></Error>"
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// Half of a body, sent, and then an error, which closes the connection.
fn truncate(body: &Bytes) -> Body {
    let half = body.slice(..body.len() / 2);
    let frames = stream::unfold(Some(half), |half| async {
        if let Some(half) = half {
            return Some((Ok(Frame::data(half)), None));
        }
        // hyper flushes when the body has nothing ready, and drops what is not flushed when the body fails.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Err(reset()), None))
    });
    StreamBody::new(frames).boxed_unsync()
}

fn collect_keys(folder: &Path, prefix: &str, keys: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect_keys(&entry.path(), &format!("{key}/"), keys);
        } else {
            keys.push(key);
        }
    }
}

#[cfg(test)]
mod tests;
