//! The page of `tests/clients/typescript`, served from its folder beside the API. A change to it shows after a reload.

use std::path::Path;

use axum::{Router, http::HeaderValue, middleware, response::Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use tower_http::services::{ServeDir, ServeFile};

/// Its own files, its own API, the note that it plays, and nothing else; no text ever becomes markup or script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("permissions-policy"), HeaderValue::from_static("microphone=(self)")),
    // A browser asks each time whether its copy is still the newest.
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// `/`, and the files that it names.
pub fn routes() -> Router {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/typescript");
    let folder = |name| ServeDir::new(package.join(name)).append_index_html_on_directories(false);
    Router::new()
        .route_service("/", ServeFile::new(package.join("page/index.html")))
        .nest_service("/page", folder("page"))
        .nest_service("/built", folder("built"))
        .layer(middleware::map_response(with_headers))
}

async fn with_headers(mut response: Response) -> Response {
    response.headers_mut().extend(HEADERS);
    response
}
