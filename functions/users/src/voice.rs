//! `POST` and `DELETE /users/{user_id}/voice`: the recording of the caller's voice.
//!
//! It arrives as base64 in JSON, as the bare audio, or as the key of an upload; either way its bytes are judged
//! before anything is stored. No endpoint ever gives it out again.
//!
//! With it, the client may say that the speaker consents to being cloned, which the provider's usage policy asks for
//! (<https://elevenlabs.io/use-policy>): `"consent": true` in JSON, or `X-Consent: true` beside bare audio. When that
//! was is kept with the recording. Whoever says no is refused: the recording would serve nothing else.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
};
use deserr::Deserr;
use serde::Serialize;
use shared::{
    audio,
    clock::Clock,
    error::{Error, FieldError},
    json::{self, Json, ValidationErrors},
    object_store::{ObjectStore, Recording},
    session::Caller,
    users::{RecordingMetadata, Users},
};
use utoipa::ToSchema;

/// The JSON body: one of `audio_base64` and `key`. The client's `mime_type` and `duration_seconds` are ignored:
/// the bytes tell both.
#[derive(Deserr, ToSchema)]
#[deserr(error = ValidationErrors)]
struct Adopt {
    /// Base64 of the file, with or without a data URL's head.
    #[deserr(default)]
    audio_base64: Option<String>,
    /// The key of an offered upload.
    #[deserr(default)]
    key: Option<String>,
    /// Whether the speaker consents to being cloned.
    #[deserr(default)]
    consent: Option<bool>,
}

/// Says the same of bare audio, which has no members.
const CONSENT_HEADER: &str = "x-consent";

/// The answer.
#[derive(Serialize, ToSchema)]
pub struct Adopted {
    #[schema(pattern = "^ok$")]
    status: &'static str,
    #[schema(minimum = 1, example = 550_000)]
    bytes: usize,
    /// SHA-256, in hex.
    #[schema(value_type = shared::schema::Sha256)]
    hash: String,
    /// Seconds.
    #[schema(minimum = 0, example = 34.02)]
    duration: f64,
    #[schema(example = "audio/webm")]
    mime_type: &'static str,
}

/// Checks a recording and stores it in place of any earlier one.
#[utoipa::path(
    post,
    path = "/users/{user_id}/voice",
    operation_id = "replaceVoice",
    params(("X-Consent" = Option<bool>, Header, description = "With bare audio: what `consent` says in JSON.")),
    request_body(content((Adopt = "application/json"), (Vec<u8> = "audio/*"))),
    responses((status = 200, body = Adopted)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["invalid_recording"]))),
)]
pub async fn adopt(
    State(users): State<Users>,
    State(recordings): State<ObjectStore>,
    State(clock): State<Clock>,
    caller: Caller,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<Adopted>, Error> {
    let user = users.find_by_session(&caller).await?;
    let (bytes, consents) = match source(&headers)? {
        BodyKind::Audio => {
            let consents = consent_header(&headers)?;
            (json::read(request, &()).await?, consents)
        }
        BodyKind::Json => {
            let body: Adopt = json::parse(&json::read(request, &()).await?)?;
            let consents = consent("consent", body.consent)?;
            let bytes = match (body.audio_base64, body.key) {
                (Some(text), None) => {
                    Recording::decode(&text).ok_or_else(|| invalid("audio_base64", "is not valid base64"))?
                }
                (None, Some(key)) if user.pending_upload.as_deref() == Some(&key) => {
                    let upload = recordings.get_upload(&key).await?;
                    upload
                        .ok_or_else(|| {
                            invalid("key", "has no upload yet: PUT the recording to its upload_url first")
                        })?
                        .bytes
                }
                (None, Some(_)) => {
                    return Err(invalid("key", "is not the key of your latest upload offer"));
                }
                _ => {
                    return Err(invalid(
                        "audio_base64",
                        "is missing (or send the key of an upload, not both)",
                    ));
                }
            };
            (bytes, consents)
        }
    };

    let judged = bytes.clone();
    let audio = tokio::task::spawn_blocking(move || audio::inspect(&judged))
        .await
        .map_err(|_| Error::internal("judging a recording panicked"))??;

    let mut facts = RecordingMetadata::new(&bytes, &audio, &clock);
    facts.consent_at = consents.then_some(facts.uploaded_at);
    let recording = Recording { bytes, mime_type: facts.mime_type.clone() };
    recordings.put(caller.user_id, recording).await?;
    if let Err(error) = users.set_recording(&caller, &facts).await {
        // The session ended meanwhile; if the account is gone too, its recording must not stay.
        if matches!(error, Error::InvalidToken) && !users.exists(caller.user_id).await? {
            recordings.delete(caller.user_id).await?;
        }
        return Err(error);
    }
    if let Some(upload) = &user.pending_upload {
        recordings.delete_upload(upload).await?;
    }
    Ok(Json(Adopted {
        status: "ok",
        bytes: usize::try_from(facts.bytes).unwrap_or_default(),
        hash: facts.hash,
        duration: facts.duration,
        mime_type: audio.format.mime_type(),
    }))
}

/// Deletes the caller's recording; having none is no error.
#[utoipa::path(
    delete,
    path = "/users/{user_id}/voice",
    operation_id = "deleteVoice",
    responses((status = 204)),
    security(("bearer" = [])),
)]
pub async fn delete(
    State(users): State<Users>,
    State(recordings): State<ObjectStore>,
    caller: Caller,
) -> Result<StatusCode, Error> {
    users.find_by_session(&caller).await?;
    recordings.delete(caller.user_id).await?;
    users.clear_recording(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

enum BodyKind {
    Json,
    Audio,
}

fn source(headers: &HeaderMap) -> Result<BodyKind, Error> {
    match json::media_type(headers).as_deref() {
        _ if json::is_json(headers) => Ok(BodyKind::Json),
        // Recorders label sound alone as video too.
        Some(media_type)
            if media_type.starts_with("audio/")
                || media_type == "video/webm"
                || media_type == "video/mp4" =>
        {
            Ok(BodyKind::Audio)
        }
        _ => Err(Error::UnsupportedMediaType(
            "application/json with audio_base64, or the audio itself as audio/*",
        )),
    }
}

/// Whether consent was given; that it is refused is an error.
fn consent(field: &str, said: Option<bool>) -> Result<bool, Error> {
    match said {
        Some(false) => Err(invalid(field, "must be true: without the speaker's consent no voice is cloned")),
        said => Ok(said.unwrap_or(false)),
    }
}

fn consent_header(headers: &HeaderMap) -> Result<bool, Error> {
    match headers.get(CONSENT_HEADER).map(HeaderValue::as_bytes) {
        None => Ok(false),
        Some(b"true") => Ok(true),
        Some(b"false") => consent("X-Consent", Some(false)),
        Some(_) => Err(invalid("X-Consent", "must be true or left out")),
    }
}

fn invalid(field: &str, message: &str) -> Error {
    Error::Invalid(vec![FieldError { field: field.to_owned(), message: message.to_owned() }])
}
