//! `POST /users/{user_id}/voice/upload`: a presigned URL, for recordings that are too large for API Gateway.

use axum::{extract::State, http::StatusCode};
use deserr::Deserr;
use serde::Serialize;
use serde_json::{Map, Value};
use shared::{
    audio::MAX_BYTES,
    error::Error,
    json::{self, Json, ValidationError, ValidationErrors, integer_from_f64},
    object_store::{ObjectStore, UPLOAD_LIFETIME},
    session::Caller,
    users::Users,
};
use utoipa::ToSchema;

/// What a file without a usable media type is stored as until it is validated.
const UNKNOWN_TYPE: &str = "application/octet-stream";
const MAX_TYPE_LENGTH: usize = 255;

#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct UploadUrlRequest {
    /// Left out, it is `application/octet-stream`.
    #[deserr(default)]
    mime_type: Option<FileType>,
    bytes: Size,
}

/// The media type that the client declares, in whatever form. The recording's format is detected from its bytes later.
#[derive(Deserr, ToSchema)]
#[deserr(try_from(String) = Self::try_from -> ValidationError)]
#[schema(max_length = 255, example = "audio/webm;codecs=opus")]
struct FileType(String);

/// The exact size in bytes.
#[derive(Deserr, ToSchema)]
#[deserr(try_from(f64) = Self::try_from -> ValidationError)]
#[schema(minimum = 1, maximum = 10_485_760, example = 9_000_000)]
struct Size(i64);

#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub struct UploadUrl {
    #[schema(format = "uri")]
    upload_url: String,
    #[schema(pattern = "^PUT$")]
    method: &'static str,
    /// Headers to send unchanged with the PUT: they are part of the signature.
    #[schema(value_type = BTreeMap<String, String>)]
    headers: Map<String, Value>,
    key: String,
    /// Seconds.
    #[schema(minimum = 1, example = 900)]
    expires_in: u64,
}

/// Creates a URL for uploading one recording of exactly that size.
///
/// PUT the recording there, then send its `key` to `POST /users/{user_id}/voice`. A new URL invalidates the key of an
/// earlier one.
#[utoipa::path(
    post,
    path = "/users/{user_id}/voice/upload",
    operation_id = "offerUpload",
    request_body = UploadUrlRequest,
    responses((status = 201, body = UploadUrl)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["too_many_attempts"]))),
)]
pub async fn create_upload_url(
    State(users): State<Users>,
    State(recordings): State<ObjectStore>,
    caller: Caller,
    Json(body): Json<UploadUrlRequest>,
) -> Result<(StatusCode, Json<UploadUrl>), Error> {
    let key = ObjectStore::upload_key(caller.user_id);
    if let Some(previous) = users.set_pending_upload(&caller, &key).await? {
        recordings.delete_upload(&previous).await?;
    }
    let mime_type = body.mime_type.as_ref().map_or(UNKNOWN_TYPE, |mime_type| &mime_type.0);
    let upload = recordings.presign_upload(&key, mime_type, body.bytes.0).await?;
    let headers = upload.headers.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    let upload_url = UploadUrl {
        upload_url: upload.url,
        method: "PUT",
        headers,
        key,
        expires_in: UPLOAD_LIFETIME.as_secs(),
    };
    Ok((StatusCode::CREATED, Json(upload_url)))
}

impl TryFrom<String> for FileType {
    type Error = ValidationError;

    fn try_from(mime_type: String) -> Result<Self, ValidationError> {
        if !json::is_file(&mime_type) {
            return Err(ValidationError("must not be JSON, a form or text: only files are uploaded"));
        }
        if mime_type.len() > MAX_TYPE_LENGTH {
            return Err(ValidationError("must have at most 255 characters"));
        }
        // It becomes a header of the PUT.
        let is_header =
            !mime_type.trim().is_empty() && mime_type.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        Ok(Self(if is_header { mime_type.trim().to_owned() } else { UNKNOWN_TYPE.to_owned() }))
    }
}

impl TryFrom<f64> for Size {
    type Error = ValidationError;

    fn try_from(bytes: f64) -> Result<Self, ValidationError> {
        integer_from_f64(bytes)
            .filter(|bytes| usize::try_from(*bytes).is_ok_and(|bytes| (1..=MAX_BYTES).contains(&bytes)))
            .map(Self)
            .ok_or(ValidationError("must be the recording's size in bytes, at most 10 MB"))
    }
}
