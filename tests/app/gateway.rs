//! The HTTP API in front of the functions: one address for all routes, and CORS, which the platform answers and not
//! the functions.

use std::{future::Future, io, time::Duration};

use axum::Router;
use http::{HeaderName, Method, header};
use tokio::net::TcpListener;
use tower_http::cors::{Any, CorsLayer};

/// Headers that a browser's script may read, beside the ones it always may. The same as in `template.yaml`.
const EXPOSED: [&str; 11] = [
    "x-request-id",
    "retry-after",
    "x-routine-type",
    "x-text",
    "x-filename",
    "x-char-count",
    "x-monthly-limit",
    "x-voice-source",
    "x-thought-source",
    "x-chars-used-raw",
    "x-chars-used-effective",
];

/// Puts the platform's CORS around the functions' routes.
pub fn with_cors(routes: Router) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_hours(1));
    routes.layer(cors)
}

/// Serves until `stop` ends, then finishes the requests that run.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, with_cors(routes)).with_graceful_shutdown(stop).await
}
