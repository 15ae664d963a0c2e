//! Strings of the API's description that are plain strings in the code: what they look like, said once.
//!
//! They only stand as `value_type` in attributes of answers; the programs hold no trace of them.

use utoipa::ToSchema;

/// An id, as MongoDB makes them: an `ObjectId` in hex.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9a-f]{24}$", example = "6921c0de5a3f1b2c4d5e6f70")]
pub struct Id(pub String);

/// A moment (RFC 3339), in UTC.
#[derive(ToSchema)]
#[schema(format = DateTime, pattern = "Z$", example = "2026-11-22T12:00:00Z")]
pub struct Timestamp(pub String);

/// SHA-256 in hex.
#[derive(ToSchema)]
#[schema(
    pattern = "^[0-9a-f]{64}$",
    example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)]
pub struct Sha256(pub String);

/// Bytes in base64 (RFC 4648, section 4), with padding.
#[derive(ToSchema)]
#[schema(content_encoding = "base64", pattern = "^[0-9A-Za-z+/]+={0,2}$")]
pub struct Base64(pub String);
