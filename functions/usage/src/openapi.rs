//! `GET /openapi.json`: the description of the whole API; public.
//!
//! The document is generated from the code by `cargo local openapi` and checked in; a test compares it with the code.

use axum::{http::header, response::IntoResponse};

/// OpenAPI 3.1, <https://spec.openapis.org/oas/v3.1.1.html>.
const DOCUMENT: &str = include_str!("../openapi.json");

/// This document, OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApi",
    responses((status = 200, body = Object)),
)]
pub async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
