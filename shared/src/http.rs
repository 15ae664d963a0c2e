//! What every HTTP function has around its routes: request ids, problem details, caught panics, one log line.
//!
//! A function's `router` holds its routes and nothing else; [`with_common_layers`] is applied to it by Lambda, by the
//! development server and by the tests alike. Every route also answers under the base path, `API_BASE_PATH`.

use std::{any::Any, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Uri, header, uri::PathAndQuery},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use lambda_http::{RequestExt as _, request::RequestContext};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;

use crate::{
    accept::Accept,
    client_ip::ClientIp,
    env::{Env, EnvError},
    error::{Error, Problem},
    messages::Language,
};

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// Lambda's own request id where there is one, so that it also finds the platform's log lines.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Serves the routes as a Lambda function behind an HTTP API (payload format 2.0).
pub async fn run(routes: Router, env: &Env) -> Result<(), lambda_http::Error> {
    lambda_http::run(with_common_layers(routes, env)?).await
}

/// Reads `API_BASE_PATH` (default `/api`; `/` for none) and `BEHIND_CLOUDFRONT`.
pub fn with_common_layers(routes: Router, env: &Env) -> Result<Router, EnvError> {
    let base_path = base_path(env)?;
    let behind_cloudfront = env.flag("BEHIND_CLOUDFRONT")?;
    let routes = routes
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(CatchPanicLayer::custom(handle_panic))
        .layer(middleware::from_fn(request_middleware));
    // A layer of the routes themselves would run after the routing, which the path decides.
    Ok(Router::new().fallback_service(routes).layer(middleware::map_request(move |mut request: Request| {
        let base_path = base_path.clone();
        async move {
            let ip = ClientIp::of(&request, behind_cloudfront);
            request.extensions_mut().insert(ip);
            without_prefix(request, &base_path)
        }
    })))
}

fn base_path(env: &Env) -> Result<String, EnvError> {
    let path = env.get("API_BASE_PATH").unwrap_or("/api");
    let is_segment = |segment: &str| {
        !segment.is_empty()
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    match path.strip_prefix('/') {
        Some("") => Ok(String::new()),
        Some(segments) if segments.split('/').all(is_segment) => Ok(path.to_owned()),
        _ => {
            Err(EnvError::Malformed { name: "API_BASE_PATH", expected: "a path such as /api, or / for none" })
        }
    }
}

/// Removes what the way to the API leaves in front of a route's path: the name of a stage other than `$default`
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html>), then the base path, which a
/// custom domain's mapping or a web app's own origin has.
fn without_prefix(mut request: Request, base_path: &str) -> Request {
    let path = request.uri().path();
    let mut rest = path;
    if let Some(RequestContext::ApiGatewayV2(context)) = request.extensions().get::<RequestContext>()
        && let Some(stage) = context.stage.as_deref().filter(|stage| *stage != "$default")
    {
        rest = rest.strip_prefix('/').and_then(|rest| below(rest, stage)).unwrap_or(rest);
    }
    rest = below(rest, base_path).unwrap_or(rest);
    if rest.len() == path.len() {
        return request;
    }
    let rest = request.uri().query().map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
    let mut parts = request.uri().clone().into_parts();
    // It stays as it is if it were no path, which a part of one that starts with a slash always is.
    if let Ok(rest) = PathAndQuery::try_from(rest) {
        parts.path_and_query = Some(rest);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// What follows the prefix, if it is whole segments of the path.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'))
}

async fn request_middleware(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request
        .lambda_context_ref()
        .map(|context| context.request_id.clone())
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    request.extensions_mut().insert(RequestId(id.clone()));
    let problem_media_type = problem_media_type(request.headers());
    let language = Language::from_headers(request.headers());
    let method = request.method().clone();
    // The route and not the path, which contains ids.
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request_id = %id);

    let mut response = next.run(request).instrument(span.clone()).await;

    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.translate(language);
        response = render_problem(problem, &id, problem_media_type, &response);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.code));
        headers.append(header::VARY, HeaderValue::from_static("accept-language"));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    span.in_scope(
        || tracing::info!(%method, route, status, latency_ms, "handled {method} {route}: {status}"),
    );
    response
}

/// Puts the problem into the body of the response that carries it, and keeps its status and headers.
fn render_problem(mut problem: Problem, id: &str, media_type: &'static str, bare: &Response) -> Response {
    id.clone_into(&mut problem.request_id);
    let mut response = (bare.status(), axum::Json(problem)).into_response();
    for (name, value) in bare.headers() {
        if name != header::CONTENT_LENGTH {
            response.headers_mut().append(name, value.clone());
        }
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// RFC 9457's media type, unless the caller prefers plain JSON: the web app only parses `application/json`.
fn problem_media_type(headers: &HeaderMap) -> &'static str {
    let accept = Accept::from_headers(headers);
    if accept.preference(JSON) > accept.preference(PROBLEM_JSON) { JSON } else { PROBLEM_JSON }
}

/// A panic message may contain anything, so neither the response nor the log repeats it. Rust's own hook prints where
/// it happened.
fn handle_panic(_payload: Box<dyn Any + Send>) -> Response {
    Error::internal("a handler panicked").into_response()
}
