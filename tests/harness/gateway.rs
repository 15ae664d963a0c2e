//! The HTTP API in front of the functions: one address for all routes, CORS, which the platform answers and not the
//! functions, and the source address, which the platform tells the functions.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderName, Method};
use lambda_http::{aws_lambda_events::apigw::ApiGatewayV2httpRequestContext, request::RequestContext};
use tokio::net::TcpListener;
use tower_http::cors::{Any, CorsLayer};

/// Headers that a browser's script may read, beside the ones it always may. The same as in `template.yaml`.
pub const EXPOSED: [&str; 13] = [
    "x-request-id",
    "retry-after",
    "www-authenticate",
    "x-routine-type",
    "x-text",
    "x-filename",
    "x-char-count",
    "x-monthly-limit",
    "x-voice-source",
    "x-thought-source",
    "x-background-sound",
    "x-chars-used-raw",
    "x-chars-used-effective",
];

/// Headers that a browser's script may send. The same as in `template.yaml`.
pub const ALLOWED: [&str; 6] =
    ["authorization", "content-type", "accept", "idempotency-key", "x-consent", "x-request-id"];

/// Puts the platform's CORS around the functions' routes.
pub fn with_cors(routes: Router) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(ALLOWED.map(HeaderName::from_static))
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_hours(1));
    routes.layer(cors)
}

/// Tells the functions who connected, as an HTTP API's event does.
async fn tell_source(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut context = ApiGatewayV2httpRequestContext::default();
    context.http.source_ip = Some(peer.ip().to_string());
    request.extensions_mut().insert(RequestContext::ApiGatewayV2(context));
    next.run(request).await
}

/// Serves until `stop` ends, then finishes the requests that run.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = with_cors(routes.layer(middleware::from_fn(tell_source)));
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}
