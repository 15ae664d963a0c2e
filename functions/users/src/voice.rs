//! `POST` and `DELETE /users/{user_id}/voice`: the recording of the caller's voice.
//!
//! The audio is validated before anything is stored. No endpoint returns it.

use axum::{extract::State, http::StatusCode};
use bytes::Bytes;
use serde::Serialize;
use shared::{
    audio,
    clock::Clock,
    error::Error,
    json::Json,
    object_store::{ObjectStore, Recording},
    session::Caller,
    users::{Limited, RecordingMetadata, User, Users},
};
use utoipa::ToSchema;

use crate::voice_body::{AudioSource, VoiceBody, VoiceUpload, invalid};

#[derive(Serialize, ToSchema)]
pub struct VoiceUploaded {
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

/// Validates a recording and stores it in place of an earlier one.
#[utoipa::path(
    post,
    path = "/users/{user_id}/voice",
    operation_id = "replaceVoice",
    params(("X-Consent" = Option<bool>, Header, description = "With bare audio: what `consent` is in JSON.")),
    request_body(content((VoiceUpload = "application/json"), (Vec<u8> = "audio/*"))),
    responses((status = 200, body = VoiceUploaded)),
    security(("bearer" = [])),
    extensions(("x-codes" = json!(["invalid_recording", "too_many_attempts"]))),
)]
pub async fn upload(
    State(users): State<Users>,
    State(recordings): State<ObjectStore>,
    State(clock): State<Clock>,
    caller: Caller,
    body: VoiceBody,
) -> Result<Json<VoiceUploaded>, Error> {
    let user = users.find_and_count(&caller, Limited::RecordingChecks).await?;
    let bytes = match body.audio {
        AudioSource::Bytes(bytes) => bytes,
        AudioSource::UploadKey(key) => fetch_upload(&recordings, &user, &key).await?,
    };
    let audio = audio::validate(bytes).await?;

    let mut metadata = RecordingMetadata::new(&audio, &clock);
    metadata.consent_at = body.has_consent.then_some(metadata.uploaded_at);
    let recording = Recording { bytes: audio.bytes, mime_type: metadata.mime_type.clone() };
    recordings.put(caller.user_id, recording).await?;
    if let Err(error) = users.set_recording(&caller, &metadata).await {
        // The session ended meanwhile. If the account is gone too, its recording must not stay.
        if matches!(error, Error::InvalidToken) && !users.exists(caller.user_id).await? {
            recordings.delete(caller.user_id).await?;
        }
        return Err(error);
    }
    if let Some(upload) = &user.pending_upload {
        recordings.delete_upload(upload).await?;
    }
    Ok(Json(VoiceUploaded {
        status: "ok",
        bytes: usize::try_from(metadata.bytes).unwrap_or_default(),
        hash: metadata.hash,
        duration: metadata.duration,
        mime_type: audio.format.mime_type(),
    }))
}

/// Deletes the caller's recording, and the stored audio that was spoken with it. Not an error if there is none.
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
    for replay in users.clear_recording(&caller).await?.replays {
        recordings.delete_replay(caller.user_id, replay.lease_id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn fetch_upload(recordings: &ObjectStore, user: &User, key: &str) -> Result<Bytes, Error> {
    if user.pending_upload.as_deref() != Some(key) {
        return Err(invalid("key", "is not the key of your latest upload URL"));
    }
    let upload = recordings.get_upload(key).await?;
    let upload = upload
        .ok_or_else(|| invalid("key", "has no upload yet: PUT the recording to its upload_url first"))?;
    Ok(upload.bytes)
}
