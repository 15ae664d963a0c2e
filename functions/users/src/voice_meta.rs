//! `GET /users/{user_id}/voice/meta`: metadata of the caller's voice, never the recording itself.

use axum::extract::State;
use serde::Serialize;
use shared::{
    clock::rfc3339,
    error::Error,
    json::Json,
    schema::{Sha256, Timestamp},
    session::Caller,
    users::{User, Users},
};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoiceMeta {
    has_sample: bool,
    /// Whether the caller can perform: the same as `hasSample`. The clone itself exists only while a perform runs.
    has_clone: bool,
    /// Null except while a perform runs.
    #[schema(required)]
    voice_clone_id: Option<String>,
    /// SHA-256 of the recording, in hex.
    #[schema(required, value_type = Option<Sha256>)]
    hash: Option<String>,
    /// Seconds.
    #[schema(required, minimum = 0, example = 34.02)]
    duration: Option<f64>,
    #[serde(rename = "mime_type")]
    #[schema(required, example = "audio/webm")]
    mime_type: Option<String>,
    #[serde(rename = "uploaded_at")]
    #[schema(required, value_type = Option<Timestamp>)]
    uploaded_at: Option<String>,
    /// When the client confirmed the speaker's consent to cloning this recording; null if it did not.
    #[serde(rename = "consent_at")]
    #[schema(required, value_type = Option<Timestamp>)]
    consent_at: Option<String>,
}

/// Metadata of the caller's recording and clone.
#[utoipa::path(
    get,
    path = "/users/{user_id}/voice/meta",
    operation_id = "getVoice",
    responses((status = 200, body = VoiceMeta)),
    security(("bearer" = [])),
)]
pub async fn get(State(users): State<Users>, caller: Caller) -> Result<Json<VoiceMeta>, Error> {
    users.find_by_session(&caller).await.map(|user| Json(VoiceMeta::from(&user)))
}

impl From<&User> for VoiceMeta {
    fn from(user: &User) -> Self {
        let recording = user.recording.as_ref();
        Self {
            has_sample: recording.is_some(),
            has_clone: recording.is_some(),
            voice_clone_id: user.voice_clone_id.clone(),
            hash: recording.map(|recording| recording.hash.clone()),
            duration: recording.map(|recording| recording.duration),
            mime_type: recording.map(|recording| recording.mime_type.clone()),
            uploaded_at: recording.map(|recording| rfc3339(recording.uploaded_at)),
            consent_at: recording.and_then(|recording| recording.consent_at).map(rfc3339),
        }
    }
}
