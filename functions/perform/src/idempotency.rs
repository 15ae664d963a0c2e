//! The `Idempotency-Key` header: a repeated request gets the first one's response, byte for byte. Without the header, the
//! body identifies the request for a short time.
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>

use axum::{extract::FromRequestParts, http::request::Parts};
use shared::{
    digest::sha256_hex,
    error::{Error, FieldError},
    json::BodyHash,
    users::Idempotency,
};

const HEADER: &str = "idempotency-key";

/// The key of a request, if it has one.
pub struct IdempotencyKey(Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        match value.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) && values.next().is_none() => {
                Ok(Self(Some(key.to_owned())))
            }
            _ => Err(Error::Invalid(vec![FieldError {
                field: String::from("Idempotency-Key"),
                message: String::from("must be sent once, with 1 to 255 ASCII characters"),
            }])),
        }
    }
}

impl IdempotencyKey {
    /// The key and the body that it was sent with.
    pub fn for_body(self, BodyHash(body): BodyHash) -> Idempotency {
        match self.0 {
            Some(key) => Idempotency { key: sha256_hex(key), body, is_implicit: false },
            None => Idempotency { key: format!("body:{body}"), body, is_implicit: true },
        }
    }
}
