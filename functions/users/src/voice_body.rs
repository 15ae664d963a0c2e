//! The body of `POST /users/{user_id}/voice`: base64 in JSON, bare audio, or the key of an upload.
//!
//! The client can confirm that the speaker consents to being cloned, as the provider's usage policy demands
//! (<https://elevenlabs.io/use-policy>): `"consent": true` in JSON, or `X-Consent: true` with bare audio. The time of
//! consent is stored with the recording. `false` is rejected, because recordings are only used for cloning.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue},
};
use bytes::Bytes;
use deserr::Deserr;
use shared::{
    error::{Error, FieldError},
    json::{self, Json, ValidationErrors},
    object_store::Recording,
};
use utoipa::ToSchema;

const CONSENT_HEADER: &str = "x-consent";

/// The extracted body. The audio is not validated yet.
pub struct VoiceBody {
    pub audio: AudioSource,
    pub has_consent: bool,
}

pub enum AudioSource {
    Bytes(Bytes),
    UploadKey(String),
}

/// The JSON body: one of `audio_base64` and `key`. The client's `mime_type` and `duration_seconds` are ignored, because
/// both are determined from the audio.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
pub struct VoiceUpload {
    /// Base64 of the file, with or without the prefix of a data URL.
    #[deserr(default)]
    audio_base64: Option<String>,
    /// The key of a finished upload.
    #[deserr(default)]
    key: Option<String>,
    /// Whether the speaker consents to being cloned.
    #[deserr(default)]
    consent: Option<bool>,
}

impl<S: Send + Sync> FromRequest<S> for VoiceBody {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match body_kind(request.headers())? {
            BodyKind::Json => {
                let Json(body) = Json::<VoiceUpload>::from_request(request, state).await?;
                let has_consent = has_consent("consent", body.consent)?;
                Ok(Self { audio: audio_source(body.audio_base64, body.key)?, has_consent })
            }
            BodyKind::Audio => {
                let has_consent = consent_header(request.headers())?;
                let bytes = json::read(request, state).await?;
                Ok(Self { audio: AudioSource::Bytes(bytes), has_consent })
            }
        }
    }
}

enum BodyKind {
    Json,
    Audio,
}

fn body_kind(headers: &HeaderMap) -> Result<BodyKind, Error> {
    if json::is_json(headers) {
        Ok(BodyKind::Json)
    } else if json::is_file(&json::media_type(headers).unwrap_or_default()) {
        Ok(BodyKind::Audio)
    } else {
        Err(Error::UnsupportedMediaType(
            "application/json with audio_base64, or the audio itself as audio/* or application/octet-stream",
        ))
    }
}

fn audio_source(audio_base64: Option<String>, key: Option<String>) -> Result<AudioSource, Error> {
    match (audio_base64, key) {
        (Some(text), None) => Recording::decode(&text)
            .map(AudioSource::Bytes)
            .ok_or_else(|| invalid("audio_base64", "is not valid base64")),
        (None, Some(key)) => Ok(AudioSource::UploadKey(key)),
        _ => Err(invalid("audio_base64", "is missing (or send the key of an upload, not both)")),
    }
}

fn has_consent(field: &str, consent: Option<bool>) -> Result<bool, Error> {
    match consent {
        Some(false) => Err(invalid(field, "must be true: without the speaker's consent no voice is cloned")),
        consent => Ok(consent.unwrap_or(false)),
    }
}

fn consent_header(headers: &HeaderMap) -> Result<bool, Error> {
    match headers.get(CONSENT_HEADER).map(HeaderValue::as_bytes) {
        None => Ok(false),
        Some(b"true") => Ok(true),
        Some(b"false") => has_consent("X-Consent", Some(false)),
        Some(_) => Err(invalid("X-Consent", "must be true or left out")),
    }
}

pub fn invalid(field: &str, message: &str) -> Error {
    Error::Invalid(vec![FieldError { field: field.to_owned(), message: message.to_owned() }])
}
