//! The HTTP server under a fake: listens, logs the requests, and applies the injected [`Faults`].
//!
//! It uses hyper directly, because some faults are below what an axum handler can express: closing a connection
//! without a response, or announcing more body than is sent.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Method, Request, Response};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tower::ServiceExt as _;

use super::faults::{Fault, FaultSignal, Faults, Operation};
use super::requests::RequestLog;

/// The number of pieces of a slow body.
const DRIPS: u32 = 20;

/// A running server. Dropping it closes the port and every connection.
pub(super) struct Server {
    address: SocketAddr,
    accepting: AbortHandle,
    connections: Connections,
}

/// The numbers of the newest connection, and of the newest one that is frozen: it and all older ones.
#[derive(Clone, Default)]
struct Connections {
    newest: Arc<AtomicUsize>,
    frozen: Arc<AtomicUsize>,
}

impl Server {
    /// Serves `router` on `bind` (port 0 takes a free one). `classify` names the operation of a request by method and
    /// path; requests that it does not name are neither logged nor made to fail.
    pub(super) async fn start(
        bind: SocketAddr,
        router: Router,
        classify: fn(&Method, &str) -> Option<Operation>,
        faults: Faults,
        requests: RequestLog,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(bind).await?;
        let address = listener.local_addr()?;
        let connections = Connections::default();
        let service =
            Service { router, classify, faults, requests, connections: connections.clone(), connection: 0 };
        let accepting = tokio::spawn(accept(listener, service)).abort_handle();
        Ok(Self { address, accepting, connections })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, requests over the connections that exist are swallowed: no effect, and no response.
    pub(super) fn freeze_connections(&self) {
        let newest = self.connections.newest.load(Ordering::Relaxed);
        self.connections.frozen.store(newest, Ordering::Relaxed);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: Service) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An accept fails when the client gave up first or the process is out of files: nothing to serve.
                let Ok((stream, _)) = accepted else { continue };
                let connection = service.connections.newest.fetch_add(1, Ordering::Relaxed) + 1;
                connections.spawn(serve(stream, Service { connection, ..service.clone() }));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, service: Service) {
    // Without it, small writes wait for acknowledgements and every request gains up to 40 ms.
    let _ = stream.set_nodelay(true);
    let respond = service_fn(move |request| service.clone().respond(request));
    // An error is a client that went away or an injected reset: nothing to handle.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), respond).await;
}

#[derive(Clone)]
struct Service {
    router: Router,
    classify: fn(&Method, &str) -> Option<Operation>,
    faults: Faults,
    requests: RequestLog,
    connections: Connections,
    /// The number of this connection, from 1.
    connection: usize,
}

impl Service {
    async fn respond(self, request: Request<Incoming>) -> Result<Response<Body>, Reset> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
        if self.connection <= self.connections.frozen.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let operation = (self.classify)(&head.method, head.uri.path());
        let request = Request::from_parts(head, Body::from(body));
        let Some(operation) = operation else {
            return effect(self.router, request, Duration::ZERO).await;
        };

        let fault = self.faults.take(operation);
        let mut span = self.requests.open(operation);
        let response = apply(fault, self.faults.triggered(), self.router, request).await?;
        span.status = Some(response.status().as_u16());
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                // Held until the body is dropped, which is when hyper has taken its last frame.
                let _held = &span;
                frame
            }))
        }))
    }
}

async fn apply(
    fault: Fault,
    triggered: &FaultSignal,
    router: Router,
    request: Request<Body>,
) -> Result<Response<Body>, Reset> {
    if !matches!(fault, Fault::Pass) && !fault.is_after_effect() {
        triggered.set();
    }
    let delay = if let Fault::DelayBeforeEffect(delay) = fault { delay } else { Duration::ZERO };
    match fault {
        Fault::Respond(response) => return Ok(response.map(Body::from)),
        Fault::TimeoutBeforeEffect => return std::future::pending().await,
        Fault::ResetBeforeEffect => return Err(Reset),
        Fault::RespondBeforeEffect(response, delay) => {
            tokio::spawn(effect(router, request, delay));
            return Ok(response.map(Body::from));
        }
        _ => {}
    }
    let response = effect(router, request, delay).await?;
    if fault.is_after_effect() {
        triggered.set();
    }
    match fault {
        Fault::TimeoutAfterEffect => std::future::pending().await,
        Fault::ResetAfterEffect => Err(Reset),
        Fault::TruncatedBody => truncate(response).await,
        Fault::SlowDrip(total) => drip(response, total).await,
        Fault::RespondAfterEffect(other) => Ok(replace(response, other)),
        Fault::ContentType(content_type) => {
            let mut response = response;
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            Ok(response)
        }
        Fault::DelayAfterEffect(delay) => {
            sleep(delay).await;
            Ok(response)
        }
        _ => Ok(response),
    }
}

/// Lets the request take effect. In a task of its own, because a provider finishes what it started although the client
/// has hung up; hyper drops this future in that moment.
async fn effect(router: Router, request: Request<Body>, delay: Duration) -> Result<Response<Body>, Reset> {
    let work = tokio::spawn(async move {
        sleep(delay).await;
        router.oneshot(request).await
    });
    // A handler that panicked has printed why; its client sees the connection close.
    let done: Result<Response<Body>, Infallible> = work.await.map_err(|_| Reset)?;
    Ok(done.unwrap_or_else(|never| match never {}))
}

/// `other`, with the headers of `response` that do not describe its body.
fn replace(response: Response<Body>, other: Response<Bytes>) -> Response<Body> {
    let (mut head, _) = response.into_parts();
    for of_the_body in [CONTENT_TYPE, CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(of_the_body);
    }
    let (other, body) = other.into_parts();
    head.status = other.status;
    head.headers.extend(other.headers);
    Response::from_parts(head, Body::from(body))
}

async fn truncate(response: Response<Body>) -> Result<Response<Body>, Reset> {
    let (mut head, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let sent = futures::stream::once(async move { Ok(half) });
    let broken = futures::stream::once(async {
        // hyper flushes when the body has nothing ready, and drops what is not flushed when the body fails.
        sleep(Duration::from_millis(20)).await;
        Err(Reset)
    });
    Ok(Response::from_parts(head, Body::from_stream(sent.chain(broken))))
}

async fn drip(response: Response<Body>, total: Duration) -> Result<Response<Body>, Reset> {
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Reset)?.to_bytes();
    let size = body.len().div_ceil(DRIPS as usize).max(1);
    let pieces: Vec<Bytes> =
        (0..body.len()).step_by(size).map(|at| body.slice(at..body.len().min(at + size))).collect();
    let drips = futures::stream::iter(pieces).then(move |piece| async move {
        sleep(total / DRIPS).await;
        Ok::<_, Infallible>(piece)
    });
    Ok(Response::from_parts(head, Body::from_stream(drips)))
}

/// Makes hyper close the connection without sending anything more.
#[derive(Debug)]
struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("injected fault: the fake closes the connection")
    }
}

impl std::error::Error for Reset {}
