//! `GET /openapi.json`: the description of the whole API, without a token.
//!
//! `cargo local openapi` generates the document from the code; a test fails if the file is out of date.

use axum::{http::header, response::IntoResponse};

/// OpenAPI 3.1, <https://spec.openapis.org/oas/v3.1.1.html>.
const DOCUMENT: &str = include_str!("../openapi.json");

/// This document: OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApi",
    responses((status = 200, body = Object)),
)]
pub async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
