//! Request bodies: JSON, with every mistake named at once.
//!
//! Bodies are parsed with `serde_json` and turned into request types with `deserr`, which, unlike serde, goes
//! on after the first bad member, so that the 422 lists them all. Members that a type does not name are ignored.

use axum::{
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use deserr::Deserr;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;

pub use crate::validation::{ValidationError, ValidationErrors};

use crate::{digest::sha256_hex, error::Error};

/// A JSON request body; as a response, the same as axum's.
///
/// Fails with 415 (no JSON `Content-Type`), 413 (too large), 400 (not JSON) and 422 (bad values).
pub struct Json<T>(pub T);

impl<T: Deserr<ValidationErrors>, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        parse(&read_json(request, state).await?).map(Self)
    }
}

/// A JSON request body together with its hash.
pub struct HashedJson<T>(pub T, pub BodyHash);

/// SHA-256 of a request's body, in hex.
pub struct BodyHash(pub String);

impl<T: Deserr<ValidationErrors>, S: Send + Sync> FromRequest<S> for HashedJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = read_json(request, state).await?;
        Ok(Self(parse(&bytes)?, BodyHash(sha256_hex(&bytes))))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

async fn read_json<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    if is_json(request.headers()) {
        read(request, state).await
    } else {
        Err(Error::UnsupportedMediaType("application/json"))
    }
}

/// An integer, however JSON writes it: `1.0` is one to JSON Schema
/// (<https://json-schema.org/draft/2020-12/json-schema-core#section-4.2.3>).
#[must_use]
pub fn integer_from_f64(number: f64) -> Option<i64> {
    // 2^53: integers are exact in f64 up to here.
    let is_exact = number.abs() < 9_007_199_254_740_992.0 && number.trunc().total_cmp(&number).is_eq();
    #[expect(clippy::cast_possible_truncation, reason = "an integer, and within bounds")]
    is_exact.then_some(number as i64)
}

/// The whole body, within the route's limit.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge,
        _ => Error::UnreadableBody,
    })
}

/// For endpoints that take more than JSON and have read the body.
pub fn parse<T: Deserr<ValidationErrors>>(bytes: &[u8]) -> Result<T, Error> {
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| Error::MalformedJson(position(&error)))?;
    deserr::deserialize(value).map_err(|ValidationErrors(errors)| Error::Invalid(errors))
}

/// Whether `Content-Type` is `application/json` or `application/…+json`.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media_type| is_json_type(&media_type))
}

fn is_json_type(media_type: &str) -> bool {
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// The `Content-Type` without its parameters, in lower case.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(essence(value))
}

/// A media type without its parameters, in lower case.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a body with this `Content-Type` can be a file: anything but JSON, a form or text. What the file is, only its
/// bytes tell; browsers and libraries label recordings in all ways, and some not at all.
#[must_use]
pub fn is_file(media_type: &str) -> bool {
    let media_type = essence(media_type);
    let is_form = ["application/x-www-form-urlencoded", "multipart/form-data"].contains(&media_type.as_str());
    !is_form && !media_type.starts_with("text/") && !is_json_type(&media_type)
}

/// Where the JSON is malformed. `serde_json`'s own text can quote the body, and with it a password.
fn position(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return String::from("it is not whole JSON");
    }
    format!("it is not JSON at line {}, column {}", error.line(), error.column())
}
