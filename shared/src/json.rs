//! Reading request bodies: JSON in, every mistake named at once.
//!
//! Bodies are parsed with `serde_json` and turned into request types with `deserr`, which, unlike serde, goes
//! on after the first bad member, so that the 422 lists them all. Members a type does not name are ignored.

use std::ops::ControlFlow;

use axum::{
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;

use crate::{
    digest::sha256_hex,
    error::{Error, FieldError},
};

/// Why a value is refused: a sentence that names the rule and not the value.
#[derive(Debug)]
pub struct ValidationError(pub &'static str);

/// A JSON request body; as an answer, the same as axum's.
///
/// Refuses with 415 (not labelled as JSON), 413 (too large), 400 (not JSON) and 422 (bad values).
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

/// A number that is whole, however JSON writes it: `1.0` is an integer to JSON Schema
/// (<https://json-schema.org/draft/2020-12/json-schema-core#section-4.2.3>), and `1` to us.
#[must_use]
pub fn integer_from_f64(number: f64) -> Option<i64> {
    // Up to here, every whole number is a number of its own.
    let is_exact = number.abs() < 9_007_199_254_740_992.0 && number.trunc().total_cmp(&number).is_eq();
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within bounds")]
    is_exact.then_some(number as i64)
}

/// The whole body, within the route's limit.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::BodyTooLarge,
        _ => Error::UnreadableBody,
    })
}

/// Parses bytes that are already here, for endpoints that take more than JSON.
pub fn parse<T: Deserr<ValidationErrors>>(bytes: &[u8]) -> Result<T, Error> {
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| Error::MalformedJson(position(&error)))?;
    deserr::deserialize(value).map_err(|ValidationErrors(errors)| Error::Invalid(errors))
}

/// Whether the body is labelled `application/json` or `application/…+json`.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    let Some(media_type) = media_type(headers) else { return false };
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// The `Content-Type` without its parameters, in lower case.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Where the JSON broke. `serde_json`'s own text can quote the body, and with it a password.
fn position(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return String::from("it ends too early");
    }
    format!("it breaks at line {}, column {}", error.line(), error.column())
}

/// Every bad field found so far.
#[derive(Debug)]
pub struct ValidationErrors(Vec<FieldError>);

impl ValidationErrors {
    fn and(previous: Option<Self>, field: String, message: String) -> ControlFlow<Self, Self> {
        let mut errors = previous.map(|invalid| invalid.0).unwrap_or_default();
        errors.push(FieldError { field, message });
        ControlFlow::Continue(Self(errors))
    }
}

impl DeserializeError for ValidationErrors {
    fn error<V: IntoValue>(
        previous: Option<Self>,
        error: ErrorKind<V>,
        location: ValuePointerRef,
    ) -> ControlFlow<Self, Self> {
        let (field, message) = match error {
            ErrorKind::MissingField { field } => (path(location.push_key(field)), String::from("is missing")),
            ErrorKind::IncorrectValueKind { accepted, .. } => {
                (path(location), format!("must be {}", kinds(accepted)))
            }
            ErrorKind::UnknownKey { key, .. } => (path(location.push_key(key)), String::from("is not known")),
            ErrorKind::UnknownValue { accepted, .. } => {
                (path(location), format!("must be one of: {}", accepted.join(", ")))
            }
            ErrorKind::BadSequenceLen { .. } => {
                (path(location), String::from("has the wrong number of items"))
            }
            // The text can carry the value (a number out of range does); the rule is enough.
            ErrorKind::Unexpected { .. } => (path(location), String::from("is out of range")),
        };
        Self::and(previous, field, message)
    }
}

impl MergeWithError<ValidationErrors> for ValidationErrors {
    fn merge(
        previous: Option<Self>,
        other: ValidationErrors,
        _location: ValuePointerRef,
    ) -> ControlFlow<Self, Self> {
        let mut errors = previous.map(|invalid| invalid.0).unwrap_or_default();
        errors.extend(other.0);
        ControlFlow::Continue(Self(errors))
    }
}

impl MergeWithError<ValidationError> for ValidationErrors {
    fn merge(
        previous: Option<Self>,
        reason: ValidationError,
        location: ValuePointerRef,
    ) -> ControlFlow<Self, Self> {
        Self::and(previous, path(location), reason.0.to_owned())
    }
}

fn path(location: ValuePointerRef) -> String {
    match location {
        ValuePointerRef::Origin => String::new(),
        ValuePointerRef::Key { key, prev } => match path(*prev) {
            parent if parent.is_empty() => key.to_owned(),
            parent => format!("{parent}.{key}"),
        },
        ValuePointerRef::Index { index, prev } => format!("{}[{index}]", path(*prev)),
    }
}

fn kinds(accepted: &[ValueKind]) -> String {
    let mut words: Vec<&str> = accepted
        .iter()
        .map(|kind| match kind {
            ValueKind::Null => "null",
            ValueKind::Boolean => "true or false",
            ValueKind::Integer | ValueKind::NegativeInteger => "a whole number",
            ValueKind::Float => "a number",
            ValueKind::String => "a string",
            ValueKind::Sequence => "a list",
            ValueKind::Map => "an object",
        })
        .collect();
    if words.contains(&"a number") {
        words.retain(|word| *word != "a whole number");
    }
    words.dedup();
    words.join(" or ")
}
